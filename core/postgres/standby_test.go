package postgres

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core/delivery"
	"hishub/mocks/servers"
)

// What a primary committed without its standby, because somebody ended the session
// that waited for it, is lost when the primary is. Who submits it again must wait
// for the standby, too.
func TestKnownToThePrimaryAlone(t *testing.T) {
	dir, remove, err := servers.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	primary, err := servers.StartPostgres(t.Context(), filepath.Join(dir, "primary"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(primary.Kill)
	l := openLedger(t, primary.URL)
	standby, err := servers.StartStandby(t.Context(), filepath.Join(dir, "standby"), primary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Kill)
	admin, err := pgx.Connect(t.Context(), primary.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close(context.Background()) })

	standby.Pause()
	failed := make(chan error)
	go func() { _, err := l.Enqueue(l.ctx, "h1", payment("A1", "V1")); failed <- err }()
	for ended := 0; ended == 0; time.Sleep(10 * time.Millisecond) {
		if err := admin.QueryRow(l.ctx, `select count(pg_terminate_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep'`).Scan(&ended); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-failed; err == nil {
		t.Fatal("a session was ended while it waited for the standby, and its message is accepted")
	}
	soon, cancel := context.WithTimeout(l.ctx, 2*time.Second)
	defer cancel()
	if a, err := l.Enqueue(soon, "h1", payment("A1", "V1")); err == nil {
		t.Errorf("answered as accepted while the primary alone has it: %+v", a)
	}
	standby.Resume()
	a, err := l.Enqueue(l.ctx, "h1", payment("A1", "V1"))
	if err != nil || !a.Duplicate {
		t.Errorf("once the standby has it: %+v, %v", a, err)
	}
}

// A claim is not waited for, so a crash of the database, or a failover, may undo it
// while its holder still has it. He must not pass for the next one who claims.
func TestClaimUndoneByACrash(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "V1"))
	old := l.one(id)
	undo := func() {
		_, err := l.calm.Exec(l.ctx, `update hub.queue set fence = 0, process = null, lease_until = null, takeover_at = null where message = $1`, id)
		l.must(err)
	}
	undo()
	now := l.one(id)
	if err := l.Sent(l.ctx, old, 1); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("under a claim that was undone it may send: %v", err)
	}
	if _, err := l.Settle(l.ctx, old, attempt(old, "unavailable"), next(old, delivery.Queued)); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("a claim that was undone settles the next one: %v", err)
	}
	l.sent(now)
	l.settle(now, next(now, delivery.Delivered))
	if n := count[int](l, `select count(*) from hub.attempt where late`); n != 1 {
		t.Errorf("%d late attempts are kept", n)
	}
}

// After a failover a number may be given again, to another message.
func TestSettleOfANumberGivenAgain(t *testing.T) {
	l := newLedger(t)
	old := l.one(l.enqueue(payment("A1", "V1")))
	_, err := l.calm.Exec(l.ctx, `update hub.queue set fence = 0; update hub.message set accepted_at = accepted_at + interval '1 second'`)
	l.must(err)
	if _, err := l.Settle(l.ctx, old, attempt(old, "ok"), next(old, delivery.Delivered)); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("settled: %v", err)
	}
	if n := count[int](l, `select (select count(*) from hub.attempt) + (select count(*) from hub.exchange)`); n != 0 {
		t.Errorf("%d attempts and exchanges of another message were put down under this number", n)
	}
}
