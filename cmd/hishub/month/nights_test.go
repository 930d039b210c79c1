package month

import (
	"cmp"
	"regexp"

	"hishub/core/reconcile"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
)

// morning runs the nights after day d: of the day itself, and of those before
// that something has changed for.
func (w *world) morning(d int) {
	w.Helper()
	w.set(w.at(d+1, 11, 0, 0))
	w.each(func(h *hospital) {
		_, err := h.channel.WriteBankFile(h.bankDir, w.date(d))
		if err != nil {
			w.Errorf("write the bank's file: %v", err)
			return
		}
		w.firstRun(h, d)
		for past := 1; past < d; past++ {
			if past == d-1 || w.changed(h, past, d) {
				w.look(h, past, d+1)
			}
		}
	})
}

// How a night says what is wrong with a bill: with the line where it ends too
// soon, with the file where the whole does not add up.
var (
	atLine = regexp.MustCompile(`^take the bill of (wechat|alipay) for [-0-9]+: (wechat|alipay) .*:\d+: `)
	ofFile = regexp.MustCompile(`^take the bill of (wechat|alipay) for [-0-9]+: (wechat|alipay) `)
	wehold = regexp.MustCompile(`the channel says that there is none, and we hold [1-9]`)
	waits  = regexp.MustCompile(`^waits for the bill of (wechat|alipay)`)
)

// changed reports whether a repair, or money that arrived, on day d must show in
// a day before.
func (w *world) changed(h *hospital, past, d int) bool {
	for _, e := range h.days[past].events {
		if e.repairOn == d {
			return true
		}
	}
	return false
}

// firstRun is the first run of a day, in its weather.
func (w *world) firstRun(h *hospital, d int) {
	bill := func(f fault.Kind, want reconcile.NightState, words *regexp.Regexp) {
		if err := h.channel.AddFaults(fault.Rule{Fault: f, Key: w.date(d)}); err != nil {
			w.Errorf("script a fault: %v", err)
		}
		n, _ := w.run(h, d)
		if n.State != want || !words.MatchString(n.Problem) || n.Closed {
			w.Errorf("%s %s: the bill is %s; the night is %s (closed: %t): %q, want %s with %s", h.id, w.date(d), f, n.State, n.Closed, n.Problem, want, words)
		}
		if found, err := w.store.Findings(w.ctx, n.ID); err != nil || len(found) > 0 {
			w.Errorf("%s %s: a night that is %s has %d findings, %v", h.id, w.date(d), n.State, len(found), err)
		}
		h.channel.ClearFaults()
		w.count("bill " + string(f))
	}
	w.count("day: " + string(cmp.Or(h.days[d].weather, "fair")))
	switch h.days[d].weather {
	case truncated:
		bill(paychannel.BillTruncated, reconcile.NightFailed, atLine)
	case checksum:
		bill(paychannel.BillWrongChecksum, reconcile.NightFailed, ofFile)
	case denied:
		bill(paychannel.BillNone, reconcile.NightFailed, wehold)
	case late:
		bill(paychannel.BillLate, reconcile.NightWaiting, waits)
	case twice:
		yes, no := true, false
		if err := h.his(w.ctx, books.Edit{Twice: &yes}); err != nil {
			w.Errorf("%s: %v", h.id, err)
		}
		defer func() { _ = h.his(w.ctx, books.Edit{Twice: &no}) }()
	}
	n := w.look(h, d, d+1)
	if !n.Closed {
		w.Errorf("%s %s: the first run that had everybody's books did not close the day", h.id, w.date(d))
	}
}

// run is one run of a day.
func (w *world) run(h *hospital, d int) (reconcile.Night, error) {
	w.count("nights")
	return w.runner.Run(w.ctx, reconcile.Ask{Hospital: h.id, Day: w.date(d), Who: "month"})
}

// look runs day d on the morning of day a and holds what it found against the truth.
func (w *world) look(h *hospital, d, a int) reconcile.Night {
	n, err := w.run(h, d)
	if err != nil || n.State != reconcile.NightDone {
		w.Errorf("seed %d: %s %s on the morning of %s: the night is %s: %s (%v)", w.seed, h.id, w.date(d), w.date(a), n.State, n.Problem, err)
		return n
	}
	found, err := w.store.Findings(w.ctx, n.ID)
	if err != nil {
		w.Errorf("%s %s: %v", h.id, w.date(d), err)
		return n
	}
	w.count("nights by " + string(n.Detail))
	want := h.truths(d, a, n.Detail)
	if wrong := h.compare(want, found); wrong != "" {
		w.Errorf("seed %d: %s %s (%s), run %d on the morning of %s (%s: %s):\n%s", w.seed, h.id, w.date(d), h.days[d].weather, n.Run, w.date(a), n.Detail, n.Why, wrong)
	}
	for _, t := range want {
		if t.class.Difference() && a == d+1 {
			w.count("found " + string(t.class))
		}
	}
	return n
}
