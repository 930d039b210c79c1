package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
)

// What was claimed before a pause is not sent in it, and goes at once after it.
func TestNothingClaimedBeforeAPauseIsSentInIt(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	l.must(l.Pause(l.ctx, "h1", "ops", "their database is being restored"))
	if err := l.Sent(l.ctx, d, 1); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("sent after the pause: %v", err)
	}
	l.must(l.Resume(l.ctx, "h1", "ops", ""))
	if err := l.Sent(l.ctx, d, 1); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("sent after it went on, by the old claim: %v", err)
	}
	if again := l.one(id); again.Interrupted || again.Attempts != 0 {
		t.Errorf("after the pause: %+v", again.Progress)
	}
}

// A call that was in flight is settled; its next step waits.
func TestAPauseEndsBetweenTwoSteps(t *testing.T) {
	l := newLedger(t)
	d := l.one(l.enqueue(payment("A1", "L1")))
	l.sent(d)
	l.must(l.Pause(l.ctx, "h1", "ops", "their night"))
	on := next(d, delivery.Sending)
	on.Step, on.Finished = 1, []delivery.Finished{{Step: 0, At: time.Now()}}
	if _, err := l.Settle(l.ctx, d, attempt(d, core.OutcomeOK), on); err != nil {
		t.Errorf("what was in flight: %v", err)
	}
	if err := l.Sent(l.ctx, d, 1); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("the next step in the pause: %v", err)
	}
}

// A pause that comes in the middle of a mark is answered after it; a mark that began
// before the pause, and comes to its row after it, finds nothing.
func TestAPauseWaitsForMarksThatBeganBefore(t *testing.T) {
	l := newLedger(t)
	first, second := l.enqueue(payment("A1", "L1")), l.enqueue(payment("A2", "L2"))
	claimed := map[int64]*delivery.Delivery{}
	for _, d := range l.claim(2) {
		claimed[d.ID] = &d
	}
	marking, err := l.hot.Begin(l.ctx)
	l.must(err)
	defer marking.Rollback(l.ctx)
	mark := func(id int64) (n int64) {
		tag, err := marking.Exec(l.ctx, markSent, []int64{id}, []int64{claimed[id].Fence}, []int32{1})
		l.must(err)
		return tag.RowsAffected()
	}
	if mark(first) != 1 {
		t.Fatal("not marked before the pause")
	}
	answered := make(chan error, 1)
	go func() { answered <- l.Pause(l.ctx, "h1", "ops", "their night") }()
	// Its decision is committed, and the claim that no mark holds is ended.
	for count[bool](l, `select lease_until > clock_timestamp() from hub.queue where message = $1`, second) {
		select {
		case err := <-answered:
			t.Fatalf("answered, and the claim stands: %v", err)
		default:
		}
	}
	select {
	case err := <-answered:
		t.Errorf("answered in the middle of a mark: %v", err)
	default:
	}
	if mark(second) != 0 {
		t.Error("marked in the pause")
	}
	l.must(marking.Commit(l.ctx))
	l.must(<-answered)
	if sent := count[bool](l, `select sent_at is not null from hub.queue where message = $1`, first); !sent {
		t.Error("the pause undid a mark")
	}
}

// A mark whose view of the hospital is older than the pause is stopped by the lease.
func TestAMarkThatDoesNotKnowOfThePause(t *testing.T) {
	l := newLedger(t)
	d := l.one(l.enqueue(payment("A1", "L1")))
	// It sees the hospital as it was, and comes to the row after the pause.
	old, err := l.hot.BeginTx(l.ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	l.must(err)
	defer old.Rollback(l.ctx)
	_, err = old.Exec(l.ctx, `select from hub.hospital`)
	l.must(err)
	l.must(l.Pause(l.ctx, "h1", "ops", "their night"))
	if tag, err := old.Exec(l.ctx, markSent, []int64{d.ID}, []int64{d.Fence}, []int32{1}); sqlState(err) != "40001" {
		t.Errorf("it marked %d: %v", tag.RowsAffected(), err)
	}
}

// slowHIS is a HIS that answers when the test lets it.
type slowHIS struct {
	came chan string
	let  chan struct{}
}

func (p *slowHIS) Close() error { return nil }
func (p *slowHIS) Encode(in core.Input) (core.Request, error) {
	return core.Request{Operation: in.Body.Key()}, nil
}
func (p *slowHIS) Call(ctx context.Context, q core.Request) (core.Response, error) {
	p.came <- q.Operation
	select {
	case <-p.let:
	case <-ctx.Done():
	}
	return core.Response{Status: "ok"}, nil
}
func (p *slowHIS) Decode(core.Input, core.Response) core.Verdict {
	return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Receipt{HisNo: "R1"}}
}

type only struct{ h *core.Hospital }

func (o only) Hospital(context.Context, string, int) (*core.Hospital, error) { return o.h, nil }

type deaf struct{}

func (deaf) Listen(context.Context, []int, func(string)) error { return nil }
func (deaf) Wake(string)                                       {}

// Claims that wait for a slot of a slow HIS are not sent once a pause is answered; they
// go after it, and it cost them no attempt.
func TestAPauseHoldsWhatWaitsForASlot(t *testing.T) {
	l := newLedger(t)
	his := &slowHIS{came: make(chan string, 100), let: make(chan struct{})}
	op := &core.Operation{Kind: core.PaymentSettle, Steps: []core.Step{{Call: core.Call{Name: "save", Connector: "default", Mapper: his}}}}
	h := core.NewHospital(&core.Dialect{Hospital: "h1", Zone: time.UTC, Limits: core.Limits{Concurrency: 4}, Operations: map[core.Kind]*core.Operation{core.PaymentSettle: op}},
		1, map[string]core.Connector{"default": his}, nil, nil)
	for i := range 8 {
		l.enqueue(payment(fmt.Sprint("A", i), fmt.Sprint("L", i)))
	}
	d := &delivery.Dispatcher{Process: "p", Store: l.Store, Hospitals: only{h}, Wakes: deaf{}, Policy: delivery.DefaultPolicy, Log: slog.New(slog.DiscardHandler), Sweep: 20 * time.Millisecond}
	ctx, stop := context.WithCancel(l.ctx)
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	until := func(what, sql string) {
		t.Helper()
		for !count[bool](l, sql) {
			if l.ctx.Err() != nil {
				t.Fatal(what)
			}
		}
	}
	for range 4 {
		<-his.came
	}
	until("eight are claimed", `select count(*) = 8 from hub.queue where lease_until > clock_timestamp()`)
	l.must(l.Pause(l.ctx, "h1", "ops", "their database is being restored"))
	close(his.let) // the slots become free, and those that wait for one are tried
	until("four are delivered", `select count(*) = 4 from hub.message where state = 'delivered'`)
	for d.Lights()["h1"].InFlight > 0 {
		time.Sleep(time.Millisecond)
	}
	if n := len(his.came); n != 0 {
		t.Errorf("%d were sent in the pause", n)
	}
	if n := count[int](l, `select count(*) from hub.queue where sent_at is not null or attempts > 0`); n != 0 {
		t.Errorf("%d of those that wait were sent or spent an attempt", n)
	}
	l.must(l.Resume(l.ctx, "h1", "ops", ""))
	until("all are delivered", `select count(*) = 8 from hub.message where state = 'delivered'`)
	stop()
	l.must(<-ended)
}

// A question that was claimed before a pause is not asked in it either, whether it is
// the claim's first exchange or follows the one that is in doubt.
func TestNoQuestionIsAskedInAPause(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	l.sent(d)
	ask := next(d, delivery.Sending)
	ask.Phase, ask.LastByte = delivery.Inquire, time.Now()
	l.settle(d, ask)
	l.must(l.Pause(l.ctx, "h1", "ops", "their night"))
	if open := count[bool](l, `select lease_until > clock_timestamp() from hub.queue`); open {
		t.Error("its lease stands: a mark that does not know of the pause would be let through")
	}
	if err := l.Sent(l.ctx, d, 1); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("asked in the pause: %v", err)
	}
	l.must(l.Resume(l.ctx, "h1", "ops", ""))
	l.none() // the call before it may still be at work
	l.expire("takeover_at")
	d = l.one(id)
	if d.Phase != delivery.Inquire || !d.Interrupted {
		t.Errorf("claimed %+v", d.Progress)
	}
	later := next(d, delivery.Queued)
	l.settle(d, later)
	d = l.one(id)
	l.must(l.Pause(l.ctx, "h1", "ops", "their night"))
	if err := l.Sent(l.ctx, d, 1); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("asked in the pause: %v", err)
	}
	l.must(l.Resume(l.ctx, "h1", "ops", ""))
	if d = l.one(id); d.Interrupted {
		t.Error("nothing was asked, and it is taken for interrupted")
	}
	// One that is in flight is settled in the pause.
	l.sent(d)
	l.must(l.Pause(l.ctx, "h1", "ops", "their night"))
	if _, err := l.Settle(l.ctx, d, attempt(d, core.OutcomeOK), next(d, delivery.Delivered)); err != nil {
		t.Errorf("the answer of one in flight: %v", err)
	}
}
