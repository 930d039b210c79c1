package bench

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestQuick runs everything once at a size that says nothing about speed.
func TestQuick(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	binary := filepath.Join(t.TempDir(), "hishub")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "hishub/cmd/hishub").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var told bytes.Buffer
	r, err := Run(ctx, Options{Binary: binary, Messages: 300, History: 1000, Quick: true, Told: &told})
	if err != nil {
		t.Fatalf("%v\n%s", err, &told)
	}
	if r.Booked < 330 || r.Space.Messages != r.Booked {
		t.Errorf("%d booked: fewer than were accepted", r.Booked)
	}
	for what, figure := range map[string]float64{
		"delivered": r.Throughput.PerSec, "accept p99": r.Throughput.Accept.P99, "own rate": r.Own.Single, "own rate in batches": r.Own.Batched,
		"hub's time": r.Throughput.CPU.Hub, "PostgreSQL's time": r.Throughput.CPU.PostgreSQL, "mock's time": r.Throughput.CPU.Mock, "generator's time": r.Throughput.CPU.Generator,
		"delivered with much in flight": r.Concurrent.PerSec, "hub's time then": r.Concurrent.CPU.Hub, "accept p99 at 70 %": r.AtMost.Accept.P99, "ready": r.Ready,
		"database": r.Space.Bytes, "WAL": r.Space.WAL, "memory": float64(r.Space.HubMB), "a commit": r.Machine.CommitMs,
	} {
		if figure <= 0 {
			t.Errorf("%s was not measured", what)
		}
	}
	for _, o := range r.OpenLoops {
		if o.Answered.P50 < ms(latency) {
			t.Errorf("at %d/s the HIS answered after %.1f ms, but it takes %s", o.PerSec, o.Answered.P50, latency)
		}
	}
	if i := r.Isolation; i.Busy.Busy <= 0 || i.Busy.Calm <= 0 || i.Ordered.PerSec <= 0 || i.Hanging.With.P99 <= 0 || i.Hanging.Without.P99 <= 0 || i.Backlog.With.P99 <= 0 || i.Backlog.Without.P99 <= 0 {
		t.Errorf("not all of a hospital's trouble was measured: %+v", i)
	}
	if h := r.History; h == nil || h.Ratio <= 0 || len(h.Looks) < 10 || len(h.Drops) != 4 || h.Ready <= 0 {
		t.Errorf("a long history was not measured: %+v", h)
	}
	if c := r.Chat; c == nil || c.Nodes != 2 || c.Messages < 100 || c.Whole.P50 <= 0 || c.Whole.P99 < c.Accept.P50 || c.DB <= 0 {
		t.Errorf("the chat was not measured: %+v", c)
	}
	var table bytes.Buffer
	r.Print(&table)
	t.Logf("\n%s", &table)
}
