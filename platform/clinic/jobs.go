package clinic

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/robfig/cron/v3"
)

// Job is something that one of all processes does, again and again. It may be begun
// a second time after its process died, so it must bear that.
type Job struct {
	// Name is unique among all jobs, as "directory.sync/xihu".
	Name string
	// Times is a cron expression of five fields, or "@every 30s".
	Times string
	// Zone of Times; UTC if nil.
	Zone *time.Location
	// Lasts bounds one run; a run that is older was of a process that died. A minute if 0.
	Lasts time.Duration
	Run   func(context.Context) error
}

// Jobs runs jobs at their times, each by one process at a time. When each ran last,
// and what came of it, is kept.
type Jobs struct {
	Database *pgxpool.Pool
	// Process names this process to people.
	Process string
	Log     *slog.Logger

	mu      sync.Mutex
	jobs    map[string]*job
	changed []*job // not written down yet
}

type job struct {
	Job
	times cron.Schedule
}

// Add a job, or replace the one of that name.
func (js *Jobs) Add(j Job) error {
	times, err := cron.ParseStandard(j.Times)
	if err != nil {
		return fmt.Errorf("job %s: its times %q cannot be read: write five fields, as 30 2 * * *, or @every 1m", j.Name, j.Times)
	}
	if j.Zone == nil {
		j.Zone = time.UTC
	}
	if j.Lasts == 0 {
		j.Lasts = time.Minute
	}
	js.mu.Lock()
	defer js.mu.Unlock()
	if js.jobs == nil {
		js.jobs = map[string]*job{}
	}
	added := &job{j, times}
	js.jobs[j.Name] = added
	js.changed = append(js.changed, added)
	return nil
}

// Remove a job; a run of it that is going on ends by itself.
func (js *Jobs) Remove(name string) {
	js.mu.Lock()
	defer js.mu.Unlock()
	delete(js.jobs, name)
}

// Run works until ctx ends, then waits for what is going on.
func (js *Jobs) Run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	for {
		due, err := js.take(ctx)
		if err != nil && ctx.Err() == nil {
			js.Log.Error("look for jobs", "error", err)
		}
		for _, j := range due {
			work.Go(func() { js.once(ctx, j) })
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// announce writes down the jobs that are new, or have other times than were kept.
func (js *Jobs) announce(ctx context.Context) error {
	js.mu.Lock()
	changed := js.changed
	js.changed = nil
	js.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	var now time.Time
	err := js.Database.QueryRow(ctx, `select clock_timestamp()`).Scan(&now)
	if err == nil {
		_, err = js.Database.Exec(ctx, `insert into clinic.job (name, times, due) select * from unnest($1::text[], $2::text[], $3::timestamptz[])
			on conflict (name) do update set times = excluded.times, due = excluded.due where job.times <> excluded.times`,
			each(changed, func(j *job) string { return j.Name }), each(changed, (*job).written),
			each(changed, func(j *job) time.Time { return j.times.Next(now.In(j.Zone)) }))
	}
	if err != nil {
		js.mu.Lock()
		js.changed = append(changed, js.changed...)
		js.mu.Unlock()
	}
	return err
}

// take claims the jobs that are due, by moving their due time on: only one process
// can.
func (js *Jobs) take(ctx context.Context) (taken []*job, err error) {
	if err := js.announce(ctx); err != nil {
		return nil, err
	}
	rows, err := js.Database.Query(ctx, `select name, clock_timestamp(), due, began_at, coalesce(began_at > coalesce(ended_at, 'epoch'), false)
		from clinic.job where due <= clock_timestamp() or began_at > coalesce(ended_at, 'epoch')`)
	if err != nil {
		return nil, err
	}
	type state struct {
		name     string
		now, due time.Time
		began    *time.Time
		running  bool
	}
	states, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s state, err error) {
		err = row.Scan(&s.name, &s.now, &s.due, &s.began, &s.running)
		return s, err
	})
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		js.mu.Lock()
		j := js.jobs[s.name]
		js.mu.Unlock()
		if j == nil || s.running && s.now.Sub(*s.began) < j.Lasts {
			continue
		}
		tag, err := js.Database.Exec(ctx, `update clinic.job set due = $2, began_at = clock_timestamp(), process = $3, problem = ''
			where name = $1 and due = $4 and began_at is not distinct from $5`, j.Name, j.times.Next(s.now.In(j.Zone)), js.Process, s.due, s.began)
		if err != nil {
			return taken, err
		}
		if tag.RowsAffected() == 1 {
			taken = append(taken, j)
		}
	}
	return taken, nil
}

// written is the times with their zone, as they are kept.
func (j *job) written() string { return j.Times + " " + j.Zone.String() }

// once runs a job that was claimed and keeps what came of it, unless another process
// took it over meanwhile.
func (js *Jobs) once(ctx context.Context, j *job) {
	within, cancel := context.WithTimeout(ctx, j.Lasts)
	defer cancel()
	err := j.Run(within)
	problem := ""
	if err != nil {
		problem = err.Error()
		js.Log.Error("job", "job", j.Name, "error", err)
	}
	keep, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	if _, err := js.Database.Exec(keep, `update clinic.job set ended_at = clock_timestamp(), problem = $2, runs = runs + 1 where name = $1 and process = $3`, j.Name, problem, js.Process); err != nil {
		js.Log.Error("keep what came of a job", "job", j.Name, "error", err)
	}
}

// JobState is when a job ran and runs, for people.
type JobState struct {
	Name    string     `json:"name"`
	Times   string     `json:"times" doc:"cron expression and its zone"`
	Due     time.Time  `json:"due"`
	BeganAt *time.Time `json:"began_at,omitempty"`
	EndedAt *time.Time `json:"ended_at,omitempty"`
	Process string     `json:"process,omitempty" doc:"which process ran it last"`
	Problem string     `json:"problem,omitempty" doc:"of the last run"`
	Runs    int64      `json:"runs"`
}

// States of all jobs that were ever added, by name.
func (js *Jobs) States(ctx context.Context) ([]JobState, error) {
	rows, err := js.Database.Query(ctx, `select name, times, due, began_at, ended_at, process, problem, runs from clinic.job order by name`)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[JobState])
}

func each[A, B any](as []A, f func(A) B) []B {
	out := make([]B, len(as))
	for i, a := range as {
		out[i] = f(a)
	}
	return out
}
