package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
)

// Many enqueue into few lanes, in transactions of the store's and of their own,
// while others work the queue. Every message must be delivered, in the order in
// which its lane accepted it, never two of a lane at once.
func TestLanesUnderConcurrency(t *testing.T) {
	const lanes, writers, each, workers = 6, 8, 250, 6
	l := newLedger(t)

	var mu sync.Mutex
	delivered := map[string][]int64{}
	inFlight := map[string]int64{}

	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				lane := fmt.Sprint("L", rand.IntN(lanes))
				m := payment(fmt.Sprintf("W%d-%d", w, i), lane)
				if err := l.write(i, m); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { writing.Wait(); close(written) }()

	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for {
				finished := false
				select {
				case <-written:
					finished = count[int](l, `select count(*) from hub.queue`) == 0
				default:
				}
				if finished || t.Failed() {
					return
				}
				for _, d := range l.claim(3) {
					mu.Lock()
					if other := inFlight[d.Lane]; other != 0 {
						t.Errorf("lane %s: %d and %d at once", d.Lane, other, d.ID)
					}
					inFlight[d.Lane] = d.ID
					mu.Unlock()
					l.sent(&d)
					states := []delivery.State{delivery.Delivered, delivery.Delivered, delivery.Cancelled, delivery.Queued}
					n := next(&d, states[rand.IntN(len(states))])
					mu.Lock()
					delete(inFlight, d.Lane)
					if n.State != delivery.Queued {
						delivered[d.Lane] = append(delivered[d.Lane], d.ID)
					}
					mu.Unlock()
					l.settle(&d, n)
				}
			}
		})
	}
	working.Wait()

	total := 0
	for lane, ids := range delivered {
		total += len(ids)
		if !slices.IsSorted(ids) {
			t.Errorf("lane %s was not kept in order", lane)
		}
	}
	accepted := count[int](l, `select count(*) from hub.message`)
	if total != accepted || accepted < writers*each/2 {
		t.Errorf("%d delivered or cancelled of %d", total, accepted)
	}
	if n := count[int](l, `select count(*) from hub.event`); n != total {
		t.Errorf("%d events for %d messages", n, total)
	}
}

// write enqueues in one of the ways there are: alone, in a caller's transaction
// with others, or in one that is rolled back.
func (l *ledger) write(i int, m core.Message) error {
	if i%2 == 0 {
		_, err := l.Enqueue(l.ctx, "h1", m)
		return err
	}
	tx, err := l.calm.Begin(l.ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(l.ctx)
	if _, err := l.In(tx).Enqueue(l.ctx, "h1", m); err != nil {
		return err
	}
	if i%7 == 0 {
		return tx.Rollback(l.ctx)
	}
	return tx.Commit(l.ctx)
}

func TestExactlyOneHead(t *testing.T) {
	l := newLedger(t)
	first := l.enqueue(payment("A1", "L1"))
	second := l.enqueue(payment("A2", "L1"))
	third := l.enqueue(payment("A3", "L1"))
	d := l.one(first)
	if promoted := l.settle(d, next(d, delivery.Parked)); promoted {
		t.Error("a parked payment let its lane go on")
	}
	l.none()
	l.exec(`update hub.queue set state = 'queued' where message = $1`, first)
	d = l.one(first)
	if promoted := l.settle(d, next(d, delivery.Delivered)); !promoted {
		t.Error("the next of the lane was not promoted")
	}
	l.deliver(second)
	d = l.one(third)
	if promoted := l.settle(d, next(d, delivery.Delivered)); promoted {
		t.Error("promoted in an empty lane")
	}
}

func TestLaneGoesOnBehindAParkedOneThatMayBePassed(t *testing.T) {
	l := newLedger(t, func(o *Options) {
		o.PassWhenParked = func(string, core.Kind) bool { return true }
	})
	first := l.enqueue(voiding("R1", "L1"))
	second := l.enqueue(payment("A2", "L1"))
	third := l.enqueue(voiding("R3", "L1"))
	d := l.one(first)
	if promoted := l.settle(d, next(d, delivery.Parked)); !promoted {
		t.Error("the lane did not go on")
	}
	d = l.one(second)
	if promoted := l.settle(d, next(d, delivery.Parked)); promoted {
		t.Error("money was passed")
	}
	l.none()
	_ = third
	// A new one comes into a lane whose only members are passed ones.
	fourth := l.enqueue(voiding("R4", "L2"))
	d = l.one(fourth)
	l.settle(d, next(d, delivery.Parked))
	l.one(l.enqueue(voiding("R5", "L2")))
}

// A caller that holds a lane for long delays that lane only.
func TestACallersTransactionHoldsNobodyElse(t *testing.T) {
	l := newLedger(t)
	busy := l.enqueue(payment("A0", "L1"))
	head := l.one(busy)
	tx, err := l.calm.Begin(l.ctx)
	l.must(err)
	defer tx.Rollback(context.WithoutCancel(l.ctx))
	held, err := l.In(tx).Enqueue(l.ctx, "h1", payment("A1", "L1"))
	l.must(err)

	// These wait for the lane: an acceptance and a settlement.
	var waiting sync.WaitGroup
	var behind core.Accepted
	waiting.Go(func() {
		var err error
		if behind, err = l.Enqueue(l.ctx, "h1", payment("A2", "L1")); err != nil {
			t.Error(err)
		}
	})
	waiting.Go(func() {
		if promoted := l.settle(head, next(head, delivery.Delivered)); !promoted {
			t.Error("the message of the caller's transaction was not promoted")
		}
	})
	// These do not.
	for i := range 20 {
		id := l.enqueue(payment(fmt.Sprint("B", i), "L2"))
		l.deliver(id)
	}
	l.must(tx.Commit(l.ctx))
	waiting.Wait()
	l.deliver(held.ID)
	l.deliver(behind.ID)
}

func TestACallersTransactionThatRollsBackLeavesNothing(t *testing.T) {
	l := newLedger(t)
	tx, err := l.calm.Begin(l.ctx)
	l.must(err)
	_, err = l.In(tx).Enqueue(l.ctx, "h1", payment("A1", "L1"))
	l.must(err)
	l.must(tx.Rollback(l.ctx))
	for _, table := range []string{"message", "queue", "body", "ledger_entry", "event"} {
		if n := count[int](l, `select count(*) from hub.`+table); n != 0 {
			t.Errorf("%d rows in %s", n, table)
		}
	}
	l.one(l.enqueue(payment("A1", "L1")))
}

func TestOnlyReadCommittedKeepsLanes(t *testing.T) {
	l := newLedger(t)
	tx, err := l.calm.BeginTx(l.ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	l.must(err)
	defer tx.Rollback(l.ctx)
	if _, err := l.In(tx).Enqueue(l.ctx, "h1", payment("A1", "L1")); err == nil {
		t.Error("accepted in a serializable transaction")
	}
}

func TestDuplicatesAndConflicts(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	again, err := l.Enqueue(l.ctx, "h1", payment("A1", "L1"))
	if err != nil || again != (core.Accepted{ID: id, Duplicate: true}) {
		t.Errorf("the same again: %+v %v", again, err)
	}
	sameMoment := payment("A1", "L1")
	b := sameMoment.Body.(*core.Payment)
	b.PaidAt = b.PaidAt.In(core8)
	if again, err = l.Enqueue(l.ctx, "h1", sameMoment); err != nil || !again.Duplicate {
		t.Errorf("the same in another zone: %+v %v", again, err)
	}
	other := payment("A1", "L1")
	b = other.Body.(*core.Payment)
	b.Amount, b.Bills = 1300, []string{"B1", "B2"}
	var conflict *core.Conflict
	if _, err = l.Enqueue(l.ctx, "h1", other); !errors.As(err, &conflict) || conflict.ID != id || !slices.Equal(conflict.Fields, []string{"amount", "bills"}) {
		t.Errorf("other content: %v", err)
	}
	tx, err := l.calm.Begin(l.ctx)
	l.must(err)
	defer tx.Rollback(l.ctx)
	if _, err = l.In(tx).Enqueue(l.ctx, "h1", other); !errors.As(err, &conflict) {
		t.Errorf("other content in a caller's transaction: %v", err)
	}
	if _, err = l.Enqueue(l.ctx, "nowhere", payment("A1", "L1")); !errors.Is(err, core.ErrUnknownHospital) {
		t.Errorf("an unknown hospital: %v", err)
	}
	var problems core.Problems
	if _, err = l.Enqueue(l.ctx, "h1", payment("", "L1")); !errors.As(err, &problems) {
		t.Errorf("an invalid message: %v", err)
	}
}

func TestOneKeyFromManySidesAtOnce(t *testing.T) {
	l := newLedger(t)
	for round := range 30 {
		var mu sync.Mutex
		fresh, duplicates, conflicts := 0, 0, 0
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				m := payment(fmt.Sprint("K", round), fmt.Sprint("L", i%3))
				m.Body.(*core.Payment).Amount += core.Fen(i % 2)
				a, err := l.Enqueue(l.ctx, "h1", m)
				mu.Lock()
				defer mu.Unlock()
				var conflict *core.Conflict
				switch {
				case errors.As(err, &conflict):
					conflicts++
				case err != nil:
					t.Error(err)
				case a.Duplicate:
					duplicates++
				default:
					fresh++
				}
			})
		}
		all.Wait()
		if fresh != 1 || duplicates != 5 || conflicts != 6 {
			t.Fatalf("%d accepted, %d duplicates, %d conflicts", fresh, duplicates, conflicts)
		}
	}
}

func TestAPoisonousMessageHurtsNobodyElse(t *testing.T) {
	l := newLedger(t)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			e, err := l.enqueueing("h1", payment(fmt.Sprint("A", i), fmt.Sprint("L", i)), EnqueueOptions{})
			if err != nil {
				t.Error(err)
			}
			if i == 20 {
				e.Submission = "\xff" // the server refuses it
			}
			_, err = l.accepts.do(l.ctx, e)
			if (err != nil) != (i == 20) {
				t.Errorf("message %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

// What a batch leaves to nobody: two of a lane, and two of a key, in one transaction.
func TestALaneAndAKeyTwiceInOneBatch(t *testing.T) {
	l := newLedger(t)
	var es []enqueueing
	for _, m := range []core.Message{payment("A1", "L1"), payment("A2", "L1"), payment("A1", "L1"), payment("A3", "L3")} {
		e, err := l.enqueueing("h1", m, EnqueueOptions{})
		l.must(err)
		es = append(es, e)
	}
	rs, err := l.acceptAll(l.ctx, es)
	l.must(err)
	if rs[0].id == 0 || rs[1].id <= rs[0].id || rs[2].held || rs[3].id <= rs[1].id {
		t.Errorf("accepted %+v", rs)
	}
	if heads := count[string](l, `select string_agg(key, ' ' order by place) from hub.queue where head`); heads != "A1 A3" {
		t.Errorf("heads %s", heads)
	}
}

// Until something of a message has reached the HIS, the newest folder says it: a
// mended address must reach what was tried in vain.
func TestRevisionIsKeptOnlyFromWhatReachedTheHIS(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	l.must(l.Sent(l.ctx, d, 1))
	again := next(d, delivery.Queued)
	again.LastByte = time.Time{}
	l.settle(d, again)
	if d = l.one(id); d.Revision != 0 {
		t.Fatalf("kept revision %d although nothing arrived", d.Revision)
	}
	l.must(l.Sent(l.ctx, d, 2))
	again = next(d, delivery.Queued)
	again.Finished = []delivery.Finished{{Step: 0, At: time.Now()}}
	l.settle(d, again)
	if d = l.one(id); d.Revision != 2 {
		t.Fatalf("revision %d, though its first step was done with 2", d.Revision)
	}
}
