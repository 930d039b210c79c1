package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/core/replay"
	"hishub/mocks/fault"
	"hishub/mocks/servers"
	"hishub/mocks/soaphis"
)

// Three hundred that a HIS refused are told again by two hubs; the one that works on it
// is killed, the other goes on, and each is told exactly once. Then the HIS is back as
// it was in an older backup: told again, it is asked first, and gets what it lacks.
func TestAReplayOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	his, err := soaphis.Start(ctx, soaphis.Options{})
	ok(t, err)
	t.Cleanup(func() { _ = his.Close() })
	url, key := servers.Postgres(t), filepath.Join(t.TempDir(), "key")
	env := environment("DATABASE_URL="+url, "HISHUB_KEY_FILE="+key, "HISHUB_CREATE_KEY=true", "HISHUB_LEASE=2s", "HISHUB_OWNERSHIP=1s", "DONGSHAN_URL="+his.URL())
	env = append(env, samplesOf(t, "dongshan", "dongshan", env)...)
	hubs := []*process{startHub(t, env, "--no-clinic"), startHub(t, env, "--no-clinic")}
	c := exec.Command("hishub", "hospital", "apply", filepath.Join(repository(t), "mapping", "hospitals", "dongshan"))
	c.Env = env
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
	store, err := postgres.Open(ctx, postgres.Options{URL: url, KeyFile: key})
	ok(t, err)
	t.Cleanup(store.Close)

	const many = 300
	ok(t, his.Script().Add(fault.Rule{Fault: fault.Reject}))
	for i := range many {
		_, err := store.Enqueue(ctx, "dongshan", core.Message{Kind: core.PrescriptionCreate, Body: prescriptionOf(fmt.Sprintf("RP%03d", i))})
		ok(t, err)
	}
	waiting := func() postgres.Waiting {
		lights, err := store.Lights(ctx)
		ok(t, err)
		return lights["dongshan"]
	}
	within(t, time.Minute, "all are parked", func() bool { return waiting().Parked == many })
	his.Script().Clear()

	plan := replay.Plan{Filter: replay.Filter{State: delivery.Parked, Class: core.Rejected}, Rate: 150, Concurrency: 20, StopAfter: 5, Note: "mended"}
	r, err := store.CreateReplay(ctx, plan, many, "ops")
	ok(t, err)
	now := func() replay.Replay {
		got, err := store.Replay(ctx, r.ID)
		ok(t, err)
		return got
	}
	within(t, time.Minute, "some are told", func() bool { return now().Tally().Waiting < many*2/3 })
	_, err = store.PauseReplay(ctx, r.ID, "ops", "a look")
	ok(t, err)
	paused := now().Tally().Waiting
	within(t, time.Minute, "what is on its way is followed", func() bool { return now().Tally().OnWay == 0 })
	if left := now().Tally().Waiting; left != paused || left == 0 {
		t.Errorf("%d wait, and %d did when it was paused", left, paused)
	}
	_, err = store.ResumeReplay(ctx, r.ID, "ops", "go on")
	ok(t, err)
	within(t, time.Minute, "more are told", func() bool { return now().Tally().Waiting < paused })
	killed := false
	for _, hub := range hubs {
		if metric(t, hub, `hishub_replay_messages_total{hospital="dongshan",outcome="released"}`) {
			hub.kill()
			killed = true
		}
	}
	if left := now().Tally().Waiting; !killed || left == 0 {
		t.Fatalf("killed %v with %d waiting: nothing is left to go on with", killed, left)
	}
	within(t, 2*time.Minute, "it is done", func() bool { return now().State == replay.Done })
	if n := now().Tally(); n != (replay.Tally{Items: many, Delivered: many}) {
		t.Errorf("in the end %+v", n)
	}
	told := map[int64]int{}
	acts, err := store.HospitalDecisions(ctx, "dongshan", 10*many)
	ok(t, err)
	for _, d := range acts {
		if d.Verb == "replay" && d.Message != 0 {
			told[d.Message]++
		}
	}
	for id, times := range told {
		if times != 1 {
			t.Errorf("message %d was told again %d times", id, times)
		}
	}
	if len(told) != many || len(his.Books().Prescriptions) != many {
		t.Errorf("%d told, %d at the HIS, of %d", len(told), len(his.Books().Prescriptions), many)
	}

	var keys []string
	for i := range 30 {
		keys = append(keys, fmt.Sprintf("RP%03d", i))
	}
	restored(t, his, store, keys)
}

// restored starts the HIS anew with empty books, and tells it again of these.
func restored(t *testing.T, his *soaphis.HIS, store *postgres.Store, keys []string) {
	t.Helper()
	ctx := context.Background()
	address := strings.TrimSuffix(strings.TrimPrefix(his.URL(), "http://"), "/his")
	ok(t, his.Close())
	his, err := soaphis.Start(ctx, soaphis.Options{Listen: address})
	ok(t, err)
	t.Cleanup(func() { _ = his.Close() })
	saved := func() (n int) { // the number of times that it booked one
		for _, e := range his.Books().Journal {
			if strings.HasPrefix(e.Operation, "Save") && e.Effect == "done" {
				n++
			}
		}
		return n
	}
	again := func(keys []string) {
		t.Helper()
		plan := replay.Plan{Filter: replay.Filter{State: delivery.Delivered, Keys: keys}, Rate: 500, Concurrency: 50, StopAfter: 5}
		r, err := store.CreateReplay(ctx, plan, len(keys), "ops")
		ok(t, err)
		within(t, 2*time.Minute, "it is told again", func() bool {
			r, err = store.Replay(ctx, r.ID)
			ok(t, err)
			return r.State == replay.Done
		})
		if r.Tally().Delivered != len(keys) {
			t.Errorf("in the end %+v", r.Tally())
		}
	}
	again(keys[:10])
	if n := saved(); n != 10 {
		t.Errorf("the HIS booked %d, and was told again of 10", n)
	}
	again(keys)
	if n := saved(); n != len(keys) || len(his.Books().Prescriptions) != len(keys) {
		t.Errorf("the HIS booked %d times and has %d, of %d", n, len(his.Books().Prescriptions), len(keys))
	}
}

// metric reports whether a page of metrics has a line that begins so.
func metric(t *testing.T, hub *process, line string) bool {
	t.Helper()
	answer, err := http.Get(hub.address + "/metrics")
	ok(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ok(t, err)
	return strings.Contains(string(text), line)
}
