package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"hishub/core/delivery"
	"hishub/core/replay"
)

// Two thousand, with workers of two processes, one of which is killed on the way:
// each is told exactly once.
func TestTwoThousandWithTwoWorkers(t *testing.T) {
	l := newLedger(t)
	const many = 2000
	l.exec(`insert into hub.message (id, hospital, kind, key, lane, place, state, class, digest, accepted_at)
		select 1000000 + n, 'h1', 'payment.settle', 'K' || n, 'lane ' || n % 700, 1000000 + n, 'parked', 'invalid', '\x00', clock_timestamp() from generate_series(1, $1) n`, many)
	l.exec(`insert into hub.queue (message, hospital, kind, key, lane, place, head, state, pass, due, accepted_at, class, parked_at)
		select id, hospital, kind, key, lane, place, false, 'parked', true, accepted_at, accepted_at, 'invalid', clock_timestamp() from hub.message`)
	l.exec(`insert into hub.body (message, accepted_at, sealed) select id, accepted_at, '\x00' from hub.message`)
	r := l.create(plan(delivery.Parked))
	if r.Tally().Waiting != many {
		t.Fatalf("%+v", r.Tally())
	}
	worker := func(process string) (stop func()) {
		ctx, cancel := context.WithCancel(l.ctx)
		done := make(chan struct{})
		w := &replay.Worker{Process: process, Store: l.Store, Rules: canAsk, Log: slog.New(slog.DiscardHandler), Look: 5 * time.Millisecond, Follow: 20 * time.Millisecond}
		go func() { defer close(done); w.Run(ctx) }()
		return func() { cancel(); <-done }
	}
	l.exec(`update hub.replay set concurrency = 100000`)
	stopQ := worker("q")
	defer stopQ()
	kill := worker("p")
	defer func() { kill() }()
	seen := func() int { return count[int](l, `select items - waiting from hub.replay_part`) }
	for end := time.Now().Add(time.Minute); seen() < many/3 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	kill()
	l.must(l.Leave(l.ctx, "p", nil))
	half := seen()
	l.own("q")
	for end := time.Now().Add(2 * time.Minute); seen() < many && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
	if half < many/3 || half >= many {
		t.Errorf("%d were told when the first process was killed", half)
	}
	if n := count[int](l, `select count(*) from hub.decision where verb = 'replay' and message is not null`); n != many {
		t.Errorf("%d decisions about %d messages", n, many)
	}
	if n := count[int](l, `select count(distinct message) from hub.decision where verb = 'replay'`); n != many {
		t.Errorf("%d of %d messages were told", n, many)
	}
	if n := count[int](l, `select count(*) from hub.queue where state = 'queued' and not pass`); n != many {
		t.Errorf("%d wait", n)
	}
	// Lanes begin with their first.
	if n := count[int](l, `select count(*) from hub.queue q where q.head and exists (select from hub.queue b where b.hospital = q.hospital and b.lane = q.lane and b.place < q.place)`); n != 0 {
		t.Errorf("%d lanes begin with a later one", n)
	}
}

// Two replays name the same message, which stays cancelled when another is in its
// place: whose turn comes second tells nobody of it again.
func TestWhatIsReplacedIsNotToldTwice(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(voiding("RX1", "L1"))
	done, err := l.Cancel(l.ctx, id, "nurse", "")
	l.must(err)
	first, second := l.create(plan(delivery.Cancelled)), l.create(plan(delivery.Cancelled))
	if !done || first.Tally().Waiting != 1 || second.Tally().Waiting != 1 {
		t.Fatalf("cancelled %v, listed %+v and %+v", done, first.Tally(), second.Tally())
	}
	if got := l.tellAll("p", first.ID, canAsk); !slices.Equal(got, []replay.Outcome{replay.Released}) {
		t.Fatalf("told %v", got)
	}
	if got := l.tellAll("p", second.ID, canAsk); !slices.Equal(got, []replay.Outcome{replay.Skipped}) {
		t.Errorf("told %v by the second", got)
	}
	l.wantOutcomes(second.ID, fmt.Sprintf("RX1 skipped the message is cancelled: message %d is in its place", id+1))
	if n := count[int](l, `select count(*) from hub.queue`); n != 1 {
		t.Errorf("%d are on their way", n)
	}
}
