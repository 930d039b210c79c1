package postgres

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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
