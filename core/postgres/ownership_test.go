package postgres

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"hishub/core/delivery"
)

func TestShardsMoveToWhoIsThere(t *testing.T) {
	l := newLedger(t) // "p" owns everything
	if n := len(l.own("p")); n != Shards {
		t.Fatalf("alone it holds %d shards", n)
	}
	if n := len(l.own("q")); n != 0 {
		t.Errorf("q took %d shards that p holds", n)
	}
	p, q := l.own("p"), l.own("q")
	if len(p) != 8 || len(q) != 8 {
		t.Errorf("p holds %v, q holds %v", p, q)
	}
	for _, n := range p {
		if slices.Contains(q, n) {
			t.Errorf("both hold %d", n)
		}
	}
	// A third comes: at most six each.
	l.own("r")
	p, q = l.own("p"), l.own("q")
	r := l.own("r")
	if len(p) != 6 || len(q) != 6 || len(r) != 4 {
		t.Errorf("p holds %v, q holds %v, r holds %v", p, q, r)
	}
	// One leaves, one dies.
	l.must(l.Leave(l.ctx, "q", nil))
	l.exec(`update hub.process set seen_until = clock_timestamp() where id = 'r'`)
	l.exec(`update hub.shard set until = clock_timestamp() where process = 'r'`)
	if n := len(l.own("p")); n != Shards {
		t.Errorf("p holds %d shards after the others have gone", n)
	}
}

// A hospital with something in flight is kept from others for a while; all the rest
// is theirs at once.
func TestLeaveKeepsBusyHospitals(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	l.one(id)
	l.must(l.Leave(l.ctx, "p", []string{"h1"}))
	others := l.own("q")
	if len(others) != Shards-1 || slices.Contains(others, ShardOf("h1")) {
		t.Errorf("q holds %v", others)
	}
	l.must(l.Leave(l.ctx, "p", nil))
	l.own("q")
	if got := l.claimFor("q", 10, lease, deadline); len(got) != 1 || got[0].ID != id {
		t.Errorf("q claimed %v", ids(got))
	}
}

func TestLeaveGivesUpWhatWasNotSent(t *testing.T) {
	l := newLedger(t)
	unsent := l.enqueue(payment("A1", "L1"))
	sent := l.enqueue(payment("A2", "L2"))
	ds := l.claim(2)
	for i := range ds {
		if ds[i].ID == sent {
			l.sent(&ds[i])
		}
	}
	l.must(l.Leave(l.ctx, "p", nil))
	l.own("q")
	got := l.claimFor("q", 10, lease, deadline)
	if len(got) != 1 || got[0].ID != unsent || got[0].Interrupted {
		t.Errorf("q claimed %v", ids(got))
	}
	for i := range ds {
		if ds[i].ID == unsent {
			if err := l.Sent(l.ctx, &ds[i], 1); err == nil {
				t.Error("p may still send what it gave up")
			}
		}
	}
}

// Whoever leaves meets a deadlock, and tries again over a connection that knows
// nothing of the first try.
func TestLeaveOutlivesADeadlock(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	l.one(id)
	other, err := l.hot.Begin(l.ctx)
	l.must(err)
	defer other.Rollback(l.ctx) //nolint:errcheck // committed by then
	in := func(sql string) { t.Helper(); _, err := other.Exec(l.ctx, sql); l.must(err) }
	in(`set local deadlock_timeout = '1min'`) // so that it is not the one that is undone
	in(`select from hub.queue for update`)
	left := make(chan error, 1)
	go func() { left <- l.Leave(l.ctx, "p", nil) }()
	eventually(t, "the wait for what the other one holds", func() bool {
		return count[int](l, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == 1
	})
	l.calm.Reset() // what is in use is closed when it is given back
	in(`update hub.process set seen_until = seen_until`)
	l.must(other.Commit(l.ctx))
	l.must(<-left)
	if n := count[int](l, `select count(*) from hub.queue where process is not null`); n > 0 {
		t.Errorf("it left %d claims behind", n)
	}
}

// Two processes fight over a hospital, with leases that run out all the time; no
// claim may be valid beside another of the same message.
func TestClaimsNeverOverlap(t *testing.T) {
	const messages = 300
	l := newLedger(t)
	for i := range messages {
		l.enqueue(payment(fmt.Sprint("A", i), fmt.Sprint("L", i)))
	}
	var mu sync.Mutex
	sentBy := map[int64]int{}
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for !t.Failed() {
				// They share a name: ownership is not what keeps them apart here.
				ds, err := l.Claim(l.ctx, "p", "h1", 5, time.Millisecond*time.Duration(1+w), 0)
				if err != nil {
					t.Error(err)
					return
				}
				for _, d := range ds {
					if l.Sent(l.ctx, &d, 1) != nil {
						continue // its lease ran out
					}
					mu.Lock()
					if !d.Interrupted {
						sentBy[d.ID]++
					}
					mu.Unlock()
					_, _ = l.Settle(l.ctx, &d, attempt(&d, "ok"), next(&d, delivery.Delivered))
				}
				if len(ds) == 0 && count[int](l, `select count(*) from hub.queue`) == 0 {
					return
				}
			}
		})
	}
	all.Wait()
	for id, n := range sentBy {
		if n > 1 {
			t.Errorf("message %d was sent %d times without a word of the time before", id, n)
		}
	}
	if n := count[int](l, `select count(*) from hub.event where type = 'message.delivered'`); n != messages {
		t.Errorf("%d were delivered", n)
	}
}

func TestAProcessTakesItsShareOfHospitals(t *testing.T) {
	l := newLedger(t)
	for i := range 20 {
		h := fmt.Sprint("s", i)
		l.hospital(h)
		if _, err := l.Enqueue(l.ctx, h, payment("A1", "L1")); err != nil {
			t.Fatal(err)
		}
	}
	l.own("q")
	l.own("p")
	l.own("q")
	p, err := l.Due(l.ctx, "p")
	l.must(err)
	q, err := l.Due(l.ctx, "q")
	l.must(err)
	if len(p)+len(q) != 20 || len(p) == 0 || len(q) == 0 {
		t.Errorf("p sees %v, q sees %v", p, q)
	}
	for _, h := range p {
		if ds, _ := l.Claim(l.ctx, "q", h, 1, lease, deadline); len(ds) != 0 {
			t.Errorf("q claimed at %s, which is p's", h)
		}
	}
}
