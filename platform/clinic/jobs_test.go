package clinic

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/mocks/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

var none embed.FS

func database(t *testing.T) *pgxpool.Pool {
	t.Helper()
	db, err := pgxpool.New(t.Context(), servers.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if err := Migrate(t.Context(), db, "test", none); err != nil {
		t.Fatal(err)
	}
	return db
}

func due(t *testing.T, db *pgxpool.Pool) {
	t.Helper()
	if _, err := db.Exec(t.Context(), `update clinic.job set due = clock_timestamp() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
}

// Two processes share the jobs: what is due is taken by one of them, once.
func TestJobsAreTakenOnce(t *testing.T) {
	db := database(t)
	ctx := t.Context()
	var ran atomic.Int64
	processes := []*Jobs{{Database: db, Process: "a", Log: slog.New(slog.DiscardHandler)}, {Database: db, Process: "b", Log: slog.New(slog.DiscardHandler)}}
	for _, js := range processes {
		if err := js.Add(Job{Name: "expire", Times: "0 3 * * *", Run: func(context.Context) error { ran.Add(1); return nil }}); err != nil {
			t.Fatal(err)
		}
		if taken, err := js.take(ctx); err != nil || len(taken) != 0 {
			t.Fatalf("taken before its time: %v, %v", taken, err)
		}
	}
	due(t, db)
	taken := make(chan []*job)
	for _, js := range processes {
		go func() {
			j, err := js.take(ctx)
			if err != nil {
				t.Error(err)
			}
			taken <- j
		}()
	}
	if first, second := <-taken, <-taken; len(first)+len(second) != 1 {
		t.Fatalf("taken %d times", len(first)+len(second))
	}
	if states, err := processes[0].States(ctx); err != nil || len(states) != 1 || states[0].BeganAt == nil || !states[0].Due.After(time.Now()) {
		t.Fatalf("%+v, %v", states, err)
	}
}

// What a process that died had begun is begun again, after the time that it may last
// and not before.
func TestJobsOfADeadProcess(t *testing.T) {
	db := database(t)
	ctx := t.Context()
	js := &Jobs{Database: db, Process: "b", Log: slog.New(slog.DiscardHandler)}
	if err := js.Add(Job{Name: "expire", Times: "0 3 * * *", Lasts: 10 * time.Minute, Run: func(context.Context) error { return errors.New("no luck") }}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.take(ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ago  string
		want int
	}{{"9 minutes", 0}, {"11 minutes", 1}} {
		if _, err := db.Exec(ctx, `update clinic.job set began_at = clock_timestamp() - $1::interval, ended_at = null, process = 'a'`, c.ago); err != nil {
			t.Fatal(err)
		}
		taken, err := js.take(ctx)
		if err != nil || len(taken) != c.want {
			t.Fatalf("begun %s ago: taken %d times, %v", c.ago, len(taken), err)
		}
		for _, j := range taken {
			js.once(ctx, j)
		}
	}
	states, err := js.States(ctx)
	if err != nil || states[0].Problem != "no luck" || states[0].EndedAt == nil || states[0].Runs != 1 || states[0].Process != "b" {
		t.Fatalf("%+v, %v", states, err)
	}
	if taken, err := js.take(ctx); err != nil || len(taken) != 0 {
		t.Fatalf("taken again after it ended: %v", err)
	}
}

func TestJobsRunAndStop(t *testing.T) {
	db := database(t)
	ctx, stop := context.WithCancel(t.Context())
	js := &Jobs{Database: db, Process: "a", Log: slog.New(slog.DiscardHandler)}
	ran := make(chan struct{}, 1)
	if err := js.Add(Job{Name: "often", Times: "@every 1s", Run: func(context.Context) error {
		select {
		case ran <- struct{}{}:
		default:
		}
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { js.Run(ctx); close(ended) }()
	<-ran
	stop()
	<-ended
}

// New times hold from when they are given; a mistake in them is told.
func TestJobsTimes(t *testing.T) {
	db := database(t)
	ctx := t.Context()
	js := &Jobs{Database: db, Log: slog.New(slog.DiscardHandler)}
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		times string
		hour  int // of UTC
	}{{"30 2 * * *", 18}, {"30 9 * * *", 1}} {
		if err := js.Add(Job{Name: "sync", Times: c.times, Zone: shanghai, Run: func(context.Context) error { return nil }}); err != nil {
			t.Fatal(err)
		}
		if _, err := js.take(ctx); err != nil {
			t.Fatal(err)
		}
		states, err := js.States(ctx)
		if err != nil || len(states) != 1 || states[0].Due.UTC().Hour() != c.hour || states[0].Due.Minute() != 30 {
			t.Fatalf("%s: %+v, %v", c.times, states, err)
		}
	}
	if err := js.Add(Job{Name: "sync", Times: "often"}); err == nil || !strings.Contains(err.Error(), `"often"`) {
		t.Errorf("wrong times: %v", err)
	}
}
