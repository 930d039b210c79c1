package month

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hishub/core/reconcile"
)

// TestKill: `hishub reconcile run` is killed at random moments, and so is the hub
// while it carries out repairs. What is run again finds the same; no refund and
// no booking happens twice.
func TestKill(t *testing.T) {
	size := sizeAsked(t)
	binary, dir, server := stage(t)
	for _, seed := range size.seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			w := &world{T: t, ctx: t.Context(), seed: seed, name: fmt.Sprintf("kill%d", seed), days: 2, fair: true, latency: 20 * time.Millisecond,
				binary: binary, dir: filepath.Join(dir, fmt.Sprint("kill", seed)), postgres: server}
			w.open()
			w.plan(2)
			r := w.random(3)
			for d := 1; d <= w.days; d++ {
				w.live(d)
				w.struckNights(r, d, 2*size.often)
			}
			w.struckRepairs(r, 3*size.often)
			w.morning(w.days + 1)
			w.last()
			w.again()
			w.judge()
			w.Logf("seed %d: %v", seed, w.counted)
			if w.counted["killed in a run"] == 0 || w.counted["killed among repairs"] == 0 {
				w.Errorf("seed %d: nothing was struck at work: %v", seed, w.counted)
			}
		})
	}
}

// struckNights runs the nights of a day by the command, killing it so many times
// at each hospital before it may end.
func (w *world) struckNights(r *rand.Rand, d, kills int) {
	w.Helper()
	w.set(w.at(d+1, 11, 0, 0))
	waits := map[string][]time.Duration{}
	for _, h := range w.hospitals {
		for range kills {
			waits[h.id] = append(waits[h.id], time.Duration(r.IntN(250))*time.Millisecond)
		}
	}
	w.each(func(h *hospital) {
		if _, err := h.channel.WriteBankFile(h.bankDir, w.date(d)); err != nil {
			w.Errorf("write the bank's file: %v", err)
		}
		for _, wait := range waits[h.id] {
			w.strikeRun(h, d, wait)
		}
		cmd, out, problem := w.hub.command("reconcile", "run", h.id, w.date(d))
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) { // 3: there are differences
			w.Errorf("%s %s: the run after the kills: %v\n%s%s", h.id, w.date(d), err, out, problem)
			return
		}
		nights, err := w.store.Nights(w.ctx, h.id, w.date(d), 1)
		if err != nil || len(nights) != 1 || nights[0].State != reconcile.NightDone {
			w.Errorf("%s %s: the run after the kills is %+v, %v", h.id, w.date(d), nights, err)
			return
		}
		found, err := w.store.Findings(w.ctx, nights[0].ID)
		if err != nil {
			w.Errorf("%s: %v", h.id, err)
		}
		if wrong := h.compare(h.truths(d, d+1, nights[0].Detail), found); wrong != "" {
			w.Errorf("seed %d: %s %s, run %d after kills:\n%s", w.seed, h.id, w.date(d), nights[0].Run, wrong)
		}
	})
	if n := w.number(`select count(*) from hub.finding f join hub.night n on n.id = f.night where n.state <> 'done'`); n > 0 {
		w.Errorf("seed %d: runs that were killed left %d findings", w.seed, n)
	}
	if n := w.number(`select count(*) from (select from hub.case group by hospital, type, number having count(*) > 1) twice`); n > 0 {
		w.Errorf("seed %d: %d differences have more than one case", w.seed, n)
	}
}

// strikeRun kills one run after a while; its lease then runs out, which it does
// after two minutes by itself.
func (w *world) strikeRun(h *hospital, d int, wait time.Duration) {
	cmd, _, _ := w.hub.command("reconcile", "run", h.id, w.date(d))
	if err := cmd.Start(); err != nil {
		w.Errorf("start a run: %v", err)
		return
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed, as a rule
		close(ended)
	}()
	w.begun(h, ended)
	// Not waiting for anything: the moment is to be any moment of the run.
	time.Sleep(wait)
	_ = cmd.Process.Kill()
	<-ended
	tag, err := w.ledger.Exec(w.ctx, `update hub.night set lease_until = clock_timestamp() - interval '1 second' where hospital = $1 and state = 'running'`, h.id)
	if err != nil {
		w.Errorf("let a lease run out: %v", err)
	} else if tag.RowsAffected() > 0 {
		w.count("killed in a run")
	}
}

// begun waits until a run of the hospital goes on, or its process ended.
func (w *world) begun(h *hospital, ended <-chan struct{}) {
	for {
		var running bool
		err := w.ledger.QueryRow(w.ctx, `select exists (select from hub.night where hospital = $1 and state = 'running')`, h.id).Scan(&running)
		if err != nil || running {
			return
		}
		select {
		case <-ended:
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// struckRepairs has people approve everything while no hub runs, and then starts
// hubs that are killed at work, until all is carried out.
func (w *world) struckRepairs(r *rand.Rand, kills int) {
	w.Helper()
	w.set(w.at(w.days+1, 14, 0, 0))
	w.hub.kill()
	w.idle = true
	w.each(func(h *hospital) {
		for _, d := range h.days {
			for _, e := range d.events {
				if e.repairOn > 0 && e.kind != slowRefund {
					w.mend(e)
				}
			}
		}
	})
	w.idle = false
	open := func() int { return w.number(`select count(*) from hub.repair where state in ('approved', 'sent')`) }
	if open() == 0 {
		w.Fatalf("seed %d: there is nothing to carry out", w.seed)
	}
	for range kills {
		w.hub.start()
		// The first exchanges follow the start at once; any moment of them is to be struck.
		time.Sleep(time.Duration(r.IntN(1200)) * time.Millisecond)
		if open() > 0 {
			w.count("killed among repairs")
		}
		w.hub.kill()
	}
	w.hub.start()
	w.carried()
	w.delivered()
	for _, h := range w.hospitals {
		for _, d := range h.days {
			for _, e := range d.events {
				if e.repairOn > 0 {
					e.mended = true
				}
				w.learn(e)
			}
		}
	}
}
