package month

import (
	"errors"
	"sync"
	"time"

	"hishub/core/reconcile"
	"hishub/mocks/books"
)

// people of finance; two are needed for money.
const first, second = "li-test", "wang-test"

// repair is the afternoon of a day: people approve what they think right, and
// the hub carries it out.
func (w *world) repair(d int) {
	w.Helper()
	w.set(w.at(d, 14, 0, 0))
	w.idle = d%2 == 0 // approved at the command line on one day, at the API on the other
	w.each(func(h *hospital) {
		for past := 1; past < d; past++ {
			for _, e := range h.days[past].events {
				if e.repairOn == d && e.kind != slowRefund {
					w.mend(e)
				}
			}
		}
	})
	w.carried()
	w.delivered()
	for _, h := range w.hospitals {
		for past := 1; past < d; past++ {
			for _, e := range h.days[past].events {
				if e.repairOn == d {
					e.mended = true
					w.learn(e)
				}
			}
		}
	}
}

// of is the case that the event has made.
func (w *world) of(e *event, t truth) (reconcile.Case, bool) {
	cases, err := w.store.Cases(w.ctx, reconcile.CaseQuery{Hospitals: []string{e.h.id}, Number: t.number, Live: true})
	if err != nil {
		w.Errorf("%s: look for the case of %s: %v", e.h.id, t, err)
		return reconcile.Case{}, false
	}
	for _, c := range cases {
		if c.Type == t.typ && c.Class == t.class && c.Day == w.date(e.day) {
			return c, true
		}
	}
	w.Errorf("%s %s: no live case of %s; there are %v", e.h.id, w.date(e.day), t, cases)
	return reconcile.Case{}, false
}

// mend has two people decide about an event.
func (w *world) mend(e *event) {
	ts := e.truths(e.day, e.day+1, reconcile.Full)
	if len(ts) != 1 {
		w.Errorf("%s %s: %s has no single finding to repair: %v", e.h.id, e.order, e.kind, ts)
		return
	}
	if e.kind == yuanAsFen && e.action == "" {
		right := int64(e.amount)
		if err := e.h.his(w.ctx, books.Edit{Settlement: e.order, AmountFen: &right}); err != nil {
			w.Errorf("%s: correct %s: %v", e.h.id, e.order, err)
		}
		w.count("corrected at the HIS")
		return
	}
	c, ok := w.of(e, ts[0])
	if !ok {
		return
	}
	action, params := reconcile.Action(""), reconcile.Params{}
	switch e.kind {
	case lostCall:
		action, params = reconcile.Record, reconcile.Params{VisitNo: e.visit, PatientNo: e.patient, Bill: e.rx}
	case windowRefund:
		action, params = reconcile.PayBack, reconcile.Params{OrderID: e.order}
	case withoutMoney:
		action, params = reconcile.Reverse, reconcile.Params{VisitNo: e.visit, PatientNo: e.patient}
	case yuanAsFen:
		action = reconcile.WriteOff
	}
	var r reconcile.Repair
	var err error
	if action != "" {
		if r, err = w.store.Propose(w.ctx, c.ID, action, params, first, "seen in the papers"); err != nil {
			w.Errorf("%s: propose %s for %s: %v", e.h.id, action, ts[0], err)
			return
		}
	} else {
		if c.Repair == nil || c.Repair.State != reconcile.RepairProposed {
			w.Errorf("%s: the policy proposes nothing for %s: %+v", e.h.id, ts[0], c.Repair)
			return
		}
		r = *c.Repair
	}
	w.count("repair " + string(r.Action))
	w.approve(e, r, action != "")
	e.repair = r.ID
}

// learn looks up what the repair had the hub do.
func (w *world) learn(e *event) {
	if e.repair == 0 {
		return
	}
	err := w.ledger.QueryRow(w.ctx, `select coalesce((select m.key from hub.message m where m.id = r.message), '') from hub.repair r where r.id = $1`, e.repair).Scan(&e.message)
	must(w.T, "look for the repair's message", err)
}

// yes is one person's: of a person at the command line, which leaves it to the
// running hub to carry out, or of one at the API.
func (w *world) yes(repair int64, who string, place reconcile.Place) (reconcile.Repair, error) {
	if w.idle {
		return w.store.Approve(w.ctx, repair, who, "yes", place.FourEyesFrom)
	}
	return w.repairs.Approve(w.ctx, repair, who, "yes")
}

// approve is the yes of one person, or of two, of whom none may count twice.
func (w *world) approve(e *event, r reconcile.Repair, proposed bool) {
	place, err := w.place(w.ctx, e.h.id)
	if err != nil {
		w.Errorf("%s: %v", e.h.id, err)
		return
	}
	two := r.Amount >= place.FourEyesFrom
	if two {
		got, err := w.yes(r.ID, first, place)
		if proposed != errors.Is(err, reconcile.ErrSecondPerson) || err == nil && got.State != reconcile.RepairProposed {
			w.Errorf("%s: %s of %d fen by %s alone: %s, %v", e.h.id, r.Action, r.Amount, first, got.State, err)
		}
		if _, err = w.yes(r.ID, first, place); !errors.Is(err, reconcile.ErrSecondPerson) {
			w.Errorf("%s: %s says yes twice to %s of %d fen: %v", e.h.id, first, r.Action, r.Amount, err)
		}
	}
	if _, err := w.yes(r.ID, second, place); err != nil && !errors.Is(err, reconcile.ErrNotOpen) {
		w.Errorf("%s: approve %s of %s: %v", e.h.id, r.Action, e.order, err)
	}
}

// carried waits until every approved repair has come to its end; the hub's own
// sweep and ours go over them at once, as two processes would.
func (w *world) carried() {
	w.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		w.sweepAtOnce()
		if w.number(`select count(*) from hub.repair where state in ('approved', 'sent')`) == 0 {
			break
		}
		if time.Now().After(end) {
			w.Fatalf("seed %d: repairs are still on their way\n%s", w.seed, w.hub.lastWords())
		}
	}
	rows, err := w.ledger.Query(w.ctx, `select c.hospital || ' ' || to_char(c.day, 'YYYY-MM-DD') || ' ' || c.class || ' ' || c.number || ': ' || r.action || ' failed: ' || r.problem
		from hub.repair r join hub.case c on c.id = r.case_id where r.state = 'failed'`)
	must(w.T, "look for failed repairs", err)
	defer rows.Close()
	for rows.Next() {
		var what string
		must(w.T, "look for failed repairs", rows.Scan(&what))
		w.Errorf("seed %d: %s", w.seed, what)
	}
}

// sweepAtOnce has several find the same repairs at the same moment.
func (w *world) sweepAtOnce() {
	var all sync.WaitGroup
	for range 4 {
		all.Go(w.sweep)
	}
	all.Wait()
}

func (w *world) sweep() {
	for _, h := range w.hospitals {
		if err := w.repairs.Sweep(w.ctx, h.id); err != nil && !errors.Is(err, reconcile.ErrNotOpen) {
			w.Errorf("%s: sweep: %v", h.id, err)
		}
	}
}
