package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// moody is a HIS that puts one message off each time it hears of it, for 20 s.
type moody struct {
	mu   sync.Mutex
	bad  string // "": it takes all
	told map[string]int
	came chan struct{} // it was told of the bad one
}

func (m *moody) Close() error { return nil }
func (m *moody) Encode(in core.Input) (core.Request, error) {
	return core.Request{Operation: in.Body.Key()}, nil
}
func (m *moody) Call(_ context.Context, q core.Request) (core.Response, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told[q.Operation]++
	if q.Operation != m.bad {
		return core.Response{Status: string(core.OutcomeOK)}, nil
	}
	m.came <- struct{}{}
	return core.Response{Status: string(core.OutcomeBusy), Headers: core.Tree{{Name: "retry-after", Value: "20"}}}, nil
}
func (m *moody) Decode(_ core.Input, a core.Response) core.Verdict {
	return core.Verdict{Outcome: core.Outcome(a.Status), Answer: &core.Receipt{HisNo: "R1"}}
}

// A message that is put off for 20 s each time waits alone: within its first wait 50
// other lanes deliver all they have. It parks when its time is spent; released, it
// has all of it again, and goes when the HIS takes it.
func TestAMessageThatIsPutOffWaitsAlone(t *testing.T) {
	l := newLedger(t)
	his := &moody{bad: "BAD", told: map[string]int{}, came: make(chan struct{}, 10)}
	op := &core.Operation{Kind: core.PaymentSettle, Steps: []core.Step{{Call: core.Call{Name: "save", Connector: "default", Mapper: his}}}}
	h := core.NewHospital(&core.Dialect{Hospital: "h1", Zone: time.UTC, Limits: core.Limits{Concurrency: 4}, Operations: map[core.Kind]*core.Operation{core.PaymentSettle: op}},
		1, map[string]core.Connector{"default": his}, nil, nil)
	bad := l.enqueue(payment("BAD", "bad"))
	behind := l.enqueue(payment("BEHIND", "bad"))
	policy := delivery.DefaultPolicy
	policy.MaxPutOff = time.Millisecond
	d := &delivery.Dispatcher{Process: "p", Store: l.Store, Hospitals: only{h}, Wakes: deaf{}, Policy: policy, Log: slog.New(slog.DiscardHandler), Sweep: 20 * time.Millisecond}
	ctx, stop := context.WithCancel(l.ctx)
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	until := func(what, sql string, args ...any) {
		t.Helper()
		eventually(t, what, func() bool { return count[bool](l, sql, args...) })
	}
	waits := `select state = 'queued' and attempts = $2 and lease_until is null from hub.queue where message = $1`

	<-his.came
	until("waiting of its own", waits, bad, 1)
	for lane := range 50 {
		for n := range 4 {
			l.enqueue(payment(fmt.Sprintf("G%d-%d", lane, n), fmt.Sprint("L", lane)))
		}
	}
	until("delivery of the others", `select count(*) = 200 from hub.message where state = 'delivered'`)
	if !count[bool](l, `select due > clock_timestamp() and attempts = 1 from hub.queue where message = $1`, bad) || !d.Lights()["h1"].HeldUntil.IsZero() {
		t.Errorf("the others came when its wait was over; the hospital was held until %s", d.Lights()["h1"].HeldUntil)
	}

	l.must(l.Retry(l.ctx, bad, "ops")) // in place of 20 s
	until("parking", `select state = 'parked' from hub.queue where message = $1`, bad)
	m, attempts, err := l.Message(l.ctx, bad)
	l.must(err)
	if m.Class != core.Unavailable || !strings.Contains(m.Reason, "the HIS kept putting it off for") || len(attempts) != 2 {
		t.Errorf("parked as %s after %d attempts: %s", m.Class, len(attempts), m.Reason)
	}
	l.must(l.Release(l.ctx, bad, "ops", Again, "their clerk unlocked the order"))
	until("waiting once more", waits, bad, 3)
	his.mu.Lock()
	his.bad = ""
	his.mu.Unlock()
	l.must(l.Retry(l.ctx, bad, "ops"))
	until("delivery of it and the one behind it", `select count(*) = 2 from hub.message where state = 'delivered' and id = any($1)`, []int64{bad, behind})
	stop()
	l.must(<-ended)
	if his.told["BAD"] != 4 || his.told["BEHIND"] != 1 {
		t.Errorf("the HIS was told %v times", his.told["BAD"])
	}
}

// A pause is no time in which a message is put off.
func TestAPauseDoesNotPutOff(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	l.enqueue(payment("A2", "L2")) // was never tried
	d := l.claim(1)[0]
	if d.ID != id {
		t.Fatalf("claimed %d", d.ID)
	}
	minutes := func(n float64) time.Duration { return time.Duration(n * float64(time.Minute)) }
	for what, c := range map[string]struct{ from, until, paused, left float64 }{ // minutes from now
		"in it":          {-20, 20, -15, 25},
		"over its end":   {-20, -5, -15, 5},
		"from before it": {-20, -5, -60, 0},
		"after it":       {-20, -15, -10, 5},
		"around now":     {-10, 30, -30, 30},
	} {
		var now time.Time
		l.must(l.calm.QueryRow(l.ctx, `select clock_timestamp()`).Scan(&now))
		p := d.Progress
		p.PutOff = delivery.PutOff{For: time.Minute, From: now.Add(minutes(c.from)), Until: now.Add(minutes(c.until))}
		plain, _ := l.sealProgress(id, p)
		l.exec(`update hub.queue set progress = $2 where message = $1`, id, plain)
		l.must(l.Pause(l.ctx, "h1", "ops", "their night"))
		l.exec(`update hub.hospital set paused_at = $1`, now.Add(minutes(c.paused)))
		l.must(l.Resume(l.ctx, "h1", "ops", ""))
		got, err := l.openProgress(l.ctx, id, []byte(count[string](l, `select progress::text from hub.queue where message = $1`, id)), nil)
		l.must(err)
		if left := got.PutOff.Until.Sub(got.PutOff.From); got.PutOff.For != time.Minute || (left-minutes(c.left)).Abs() > 20*time.Second {
			t.Errorf("%s: %s of it are left, want %s", what, left, minutes(c.left))
		}
	}
}
