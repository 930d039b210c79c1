package month

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/mocks/books"
	"hishub/mocks/paychannel"
)

// states: on the real day on which all was submitted, prescriptions that we took
// back are handed out by the HIS all the same. Prescriptions are of the day on
// which the hub accepted them, and that clock nobody moves.
func (w *world) states() {
	w.Helper()
	today := time.Now().In(books.Zone).Format(time.DateOnly)
	if today != w.date(w.days+2) {
		w.Log("midnight went by: the states of prescriptions are not compared this time")
		return
	}
	wrong := map[string]string{}
	for _, h := range w.hospitals {
		// Alipay makes no bill of a day that goes on.
		if slices.Contains(h.ways, core.Channel("alipay")) {
			continue
		}
		r := w.random(99)
		e := &event{kind: plain, h: h, rx: "RX" + h.letter + "STATE", visit: "V" + h.letter + "STATE", patient: "P" + h.letter + "STATE", at: w.at(w.days+2, 8, 0, 0)}
		e.items, e.amount = lines(r, plain)
		w.hub.submit(h.id, core.PrescriptionCreate, e.prescription())
		w.hub.submit(h.id, core.PrescriptionVoid, &core.PrescriptionVoiding{No: e.rx, VisitNo: e.visit, PatientNo: e.patient, Reason: "测试作废", OperatorCode: "0001", VoidedAt: e.at})
		wrong[h.id] = e.rx
	}
	w.delivered()
	w.set(w.at(w.days+3, 11, 0, 0))
	night := func(h *hospital, want ...truth) {
		if _, err := h.channel.WriteBankFile(h.bankDir, today); err != nil {
			w.Errorf("write the bank's file: %v", err)
		}
		n, err := w.run(h, w.days+2)
		if err != nil || n.State != reconcile.NightDone {
			w.Errorf("%s %s: the night is %s: %s (%v)", h.id, today, n.State, n.Problem, err)
			return
		}
		found, err := w.store.Findings(w.ctx, n.ID)
		must(w.T, "read the findings", err)
		if wrong := h.compare(want, found); wrong != "" {
			w.Errorf("seed %d: %s %s, prescriptions:\n%s", w.seed, h.id, today, wrong)
		}
		w.count("prescriptions compared")
	}
	w.each(func(h *hospital) {
		rx := wrong[h.id]
		if rx == "" || h.id == "nanyuan" { // a table has no state that could be set
			return
		}
		if err := h.his(w.ctx, books.Edit{Prescription: rx, State: books.Dispensed}); err != nil {
			w.Errorf("%s: %v", h.id, err)
		}
		night(h, truth{reconcile.StateDiffers, reconcile.EntryPrescription, rx})
		if err := h.his(w.ctx, books.Edit{Prescription: rx, State: books.Voided}); err != nil {
			w.Errorf("%s: %v", h.id, err)
		}
		night(h)
		w.count("found " + string(reconcile.StateDiffers))
	})
}

// last runs every day once more: nothing is left but what was written off.
func (w *world) last() {
	w.Helper()
	w.set(w.at(w.days+2, 11, 0, 0))
	w.each(func(h *hospital) {
		for d := 1; d <= w.days+1; d++ {
			if _, err := h.channel.WriteBankFile(h.bankDir, w.date(d)); err != nil {
				w.Errorf("write the bank's file: %v", err)
			}
			w.look(h, d, w.days+2)
			for _, t := range h.truths(d, w.days+2, reconcile.Full) {
				if t.class.Difference() && t.class != reconcile.AmountDiffers {
					w.Errorf("the plan itself is not clean in the end: %s", t)
				}
			}
		}
	})
	live, err := w.store.Cases(w.ctx, reconcile.CaseQuery{Live: true, Limit: 1000})
	must(w.T, "list the live cases", err)
	for _, c := range live {
		w.Errorf("seed %d: case %d of %s %s is still %s: %s %s, repair %+v", w.seed, c.ID, c.Hospital, c.Day, c.State, c.Class, c.Number, c.Repair)
	}
}

// stand is everything that anybody has in his books.
type stand struct {
	messages int
	channel  map[string]paychannel.Export
	his      map[string]books.Export
}

func (w *world) stand() stand {
	s := stand{messages: w.number(`select count(*) from hub.message`), channel: map[string]paychannel.Export{}, his: map[string]books.Export{}}
	for _, h := range w.hospitals {
		b, err := h.books(w.ctx)
		must(w.T, "read the books of "+h.id, err)
		s.his[h.id], s.channel[h.id] = b, h.channel.Books().Export()
	}
	return s
}

// again says yes to every repair a second time and sweeps some more: nothing moves.
func (w *world) again() {
	w.Helper()
	before := w.stand()
	rows, err := w.ledger.Query(w.ctx, `select id from hub.repair order by id`)
	must(w.T, "list the repairs", err)
	var ids []int64
	for rows.Next() {
		var id int64
		must(w.T, "list the repairs", rows.Scan(&id))
		ids = append(ids, id)
	}
	for _, id := range ids {
		for _, who := range []string{first, second, "zhao-test"} {
			if _, err := w.repairs.Approve(w.ctx, id, who, "once more"); !errors.Is(err, reconcile.ErrNotOpen) && !errors.Is(err, postgres.ErrNotFound) {
				w.Errorf("seed %d: repair %d is approved once more: %v", w.seed, id, err)
			}
		}
	}
	for range 3 {
		w.sweep()
	}
	w.delivered()
	after := w.stand()
	if before.messages != after.messages {
		w.Errorf("seed %d: %d messages became %d by saying yes once more", w.seed, before.messages, after.messages)
	}
	for _, h := range w.hospitals {
		b, a := before.his[h.id], after.his[h.id]
		if len(a.Settlements) != len(b.Settlements) || len(a.Refunds) != len(b.Refunds) {
			w.Errorf("seed %d: %s booked more by saying yes once more", w.seed, h.id)
		}
		if len(before.channel[h.id].Refunds) != len(after.channel[h.id].Refunds) {
			w.Errorf("seed %d: the channel of %s paid more back by saying yes once more", w.seed, h.id)
		}
	}
}

// judge holds the books of the HIS's and of the channels against the plan, and
// against the nights.
func (w *world) judge() {
	w.Helper()
	s := w.stand()
	for _, h := range w.hospitals {
		w.once(h, s)
		w.conserved(h, s)
	}
}

// once: each payment and each refund is in each party's books exactly as often as
// the plan has it.
func (w *world) once(h *hospital, s stand) {
	w.Helper()
	settled, returned, given := map[string]int{}, map[string]int{}, map[string]int64{}
	for _, x := range s.his[h.id].Settlements {
		settled[x.Order]++
	}
	for _, x := range s.his[h.id].Refunds {
		returned[cmp.Or(x.No, x.HisNo)]++
	}
	for _, r := range s.channel[h.id].Refunds {
		if r.State == paychannel.Done {
			given[r.Payment] += r.AmountFen
		}
	}
	wrong := func(e *event, format string, args ...any) {
		w.Errorf("seed %d: %s: %s of %s, %s: %s", w.seed, h.id, e.order, w.date(e.day), e.kind, fmt.Sprintf(format, args...))
	}
	for _, d := range h.days {
		for _, e := range d.events {
			if settled[e.order] != 1 {
				wrong(e, "the HIS has it %d times", settled[e.order])
			}
			delete(settled, e.order)
			var back, again int64
			switch e.kind {
			case refunded, slowRefund:
				back = int64(e.back)
				if returned[e.refund] != 1 {
					wrong(e, "the HIS has its refund %d times", returned[e.refund])
				}
				delete(returned, e.refund)
			case windowRefund:
				back = int64(e.back)
				if returned[e.windowNo()] != 1 {
					wrong(e, "the HIS has its refund %d times", returned[e.windowNo()])
				}
				delete(returned, e.windowNo())
			case paidTwice:
				again = int64(e.amount)
			}
			if given[e.order] != back {
				wrong(e, "the channel gave %d fen back, the plan has %d", given[e.order], back)
			}
			if e.again != "" && given[e.again] != again {
				wrong(e, "of the second payment the channel gave %d fen back, the plan has %d", given[e.again], again)
			}
			delete(given, e.order)
			delete(given, e.again)
		}
	}
	for order := range settled {
		w.Errorf("seed %d: %s booked %s, of which the plan knows nothing", w.seed, h.id, order)
	}
	for order, fen := range given {
		w.Errorf("seed %d: the channel of %s gave %d fen of %s back, of which the plan knows nothing", w.seed, h.id, fen, order)
	}
	reversals := 0
	for _, d := range h.days {
		for _, e := range d.events {
			if e.kind == withoutMoney || e.kind == reversedPair {
				reversals++
			}
		}
	}
	for _, x := range s.his[h.id].Refunds {
		if x.Reversal {
			reversals--
			delete(returned, cmp.Or(x.No, x.HisNo))
		}
	}
	if reversals != 0 {
		w.Errorf("seed %d: %s lacks %d reversals", w.seed, h.id, reversals)
	}
	for number := range returned {
		w.Errorf("seed %d: %s gave back %s, of which the plan knows nothing", w.seed, h.id, number)
	}
}

// total is one party's money.
type total struct {
	paid, back   core.Fen
	paids, backs int64
}

func (t *total) add(typ core.EntryType, amount core.Fen, count int64) {
	if typ == core.EntryRefund {
		t.back, t.backs = t.back+amount, t.backs+count
	} else {
		t.paid, t.paids = t.paid+amount, t.paids+count
	}
}

// conserved: for every party the closed days and what later runs changed come to
// its books; and in the end all three have the same money, but for what was
// written off.
func (w *world) conserved(h *hospital, s stand) {
	w.Helper()
	told := map[reconcile.Party]total{}
	add := func(lines []reconcile.Line) {
		for _, l := range lines {
			if l.Party != reconcile.HIS && !slices.Contains(h.ways, l.Channel) {
				w.Errorf("%s: the nights tell of money of %s by %q, which nobody paid with: %+v", h.id, l.Party, l.Channel, l)
			}
			t := told[l.Party]
			t.add(l.Type, l.Amount, l.Count)
			told[l.Party] = t
		}
	}
	for d := 1; d <= w.days+1; d++ {
		nights, err := w.store.Nights(w.ctx, h.id, w.date(d), 1000)
		must(w.T, "list the nights", err)
		done := slices.DeleteFunc(nights, func(n reconcile.Night) bool { return n.State != reconcile.NightDone })
		i := slices.IndexFunc(done, func(n reconcile.Night) bool { return n.Closed })
		if i < 0 || i != len(done)-1 {
			w.Errorf("%s %s: of %d runs that were done, the first must be the one that closes the day; it is number %d from the end", h.id, w.date(d), len(done), i+1)
			continue
		}
		closing, newest := done[i], done[0]
		add(closing.Lines)
		if newest.ID == closing.ID {
			continue
		}
		before, err1 := w.store.Findings(w.ctx, closing.ID)
		after, err2 := w.store.Findings(w.ctx, newest.ID)
		must(w.T, "read the findings", errors.Join(err1, err2))
		add(reconcile.Adjustments(closing, before, newest, after, w.date(w.days+1)).Lines)
	}

	want := map[reconcile.Party]total{}
	tell := func(p reconcile.Party, typ core.EntryType, fen int64) {
		t := want[p]
		t.add(typ, core.Fen(fen), 1)
		want[p] = t
	}
	for _, p := range s.channel[h.id].Payments {
		tell(reconcile.Channel, pay, p.AmountFen)
	}
	for _, r := range s.channel[h.id].Refunds {
		tell(reconcile.Channel, back, r.AmountFen)
	}
	for _, x := range s.his[h.id].Settlements {
		tell(reconcile.HIS, pay, x.AmountFen)
	}
	var reversed core.Fen // both of ours and of the HIS, in the end: no money
	for _, x := range s.his[h.id].Refunds {
		tell(reconcile.HIS, back, x.AmountFen)
	}
	for _, d := range h.days {
		for _, e := range d.events {
			w.oursOf(e, func(typ core.EntryType, amount core.Fen) { tell(reconcile.Ours, typ, int64(amount)) })
			if e.kind == withoutMoney {
				reversed += e.amount
			}
		}
	}
	for _, p := range reconcile.Parties {
		if told[p] != want[p] {
			w.Errorf("seed %d: %s: the nights tell of %s %+v, its books have %+v", w.seed, h.id, p, told[p], want[p])
		}
	}
	// What we reversed is a refund in our books of which no money moved, and the
	// payment that it takes back was never in them.
	channel, ours, his := told[reconcile.Channel], told[reconcile.Ours], told[reconcile.HIS]
	net := map[reconcile.Party]core.Fen{reconcile.Channel: channel.paid - channel.back, reconcile.Ours: ours.paid - ours.back + reversed, reconcile.HIS: his.paid - his.back - w.writtenOff(h)}
	if net[reconcile.Channel] != net[reconcile.Ours] || net[reconcile.Ours] != net[reconcile.HIS] {
		w.Errorf("seed %d: %s: in the end the parties have not the same money: %v", w.seed, h.id, net)
	}
	w.count(fmt.Sprintf("%s net %s yuan", h.id, channel.paid-channel.back))
}

// oursOf is what our ledger must have of an event in the end.
func (w *world) oursOf(e *event, tell func(core.EntryType, core.Fen)) {
	switch e.kind {
	case zeroYuan, reversedPair:
	case withoutMoney:
		tell(back, e.amount)
	case paidTwice:
		tell(pay, e.amount)
		tell(pay, e.amount)
		tell(back, e.amount)
	default:
		tell(pay, e.amount)
		if e.refund != "" {
			tell(back, e.back)
		}
	}
}

// writtenOff is what the HIS has more than the others, as cases say.
func (w *world) writtenOff(h *hospital) (sum core.Fen) {
	cases, err := w.store.Cases(w.ctx, reconcile.CaseQuery{Hospitals: []string{h.id}, State: reconcile.CaseWrittenOff, Limit: 1000})
	must(w.T, "list what was written off", err)
	for _, c := range cases {
		sum += c.Amount
	}
	return sum
}

// report says what the month was made of, so that one can see that it tests anything.
func (w *world) report() {
	for _, m := range reconcile.Meanings {
		if m.Class == reconcile.StateDiffers && w.counted["prescriptions compared"] == 0 {
			continue // midnight went by
		}
		if m.Difference && m.Class != reconcile.Ambiguous && w.counted["found "+string(m.Class)] == 0 {
			w.Errorf("seed %d: no night has found %s: the month is too small to test it", w.seed, m.Class)
		}
	}
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(w.counted)) {
		fmt.Fprintf(&b, "\n  %5d  %s", w.counted[what], what)
	}
	w.Logf("seed %d, %d days from %s:%s", w.seed, w.days, w.date(1), b.String())
}
