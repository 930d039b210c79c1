package torture

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/api"
	"hishub/core/delivery"
	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// judge holds what was promised against the books of the hospitals.
func (c *campaign) judge(f found) {
	for id := range f.listed {
		if _, ours := f.details[id]; !ours {
			c.Errorf("seed %d: the ledger holds message %d, which nobody submitted", c.seed, id)
		}
	}
	for _, h := range c.hospitals {
		j := c.openJudgement(f, h)
		for _, l := range c.lanes {
			if l.hospital == h {
				for _, m := range l.messages {
					j.message(m)
				}
				j.order(l)
				j.refusals(l)
			}
		}
		j.strangers()
	}
}

// judgement of one hospital.
type judgement struct {
	*campaign
	found
	hospital *hospital
	journal  []books.Entry
	booked   map[named][]booking
	// first and done are the moments of the first request of a message and of its
	// booking: places in the journal, or milliseconds at nanyuan.
	first, done map[named]int64
}

// booking is an entry of the hospital's books.
type booking struct {
	amount int64
	hisNo  string
	at     time.Time
}

func (c *campaign) openJudgement(f found, h *hospital) *judgement {
	b := h.books(c)
	j := &judgement{campaign: c, found: f, hospital: h, journal: b.Journal, booked: map[named][]booking{}, first: map[named]int64{}, done: map[named]int64{}}
	add := func(kind core.Kind, key string, amount int64, hisNo string, at time.Time) {
		n := named{kind, key}
		j.booked[n] = append(j.booked[n], booking{amount, hisNo, at})
	}
	for _, p := range b.Prescriptions {
		add(core.PrescriptionCreate, p.No, p.AmountFen, p.HisNo, p.At)
	}
	for _, v := range b.Voids {
		add(core.PrescriptionVoid, v.No, 0, "", v.At)
	}
	for _, s := range b.Settlements {
		add(core.PaymentSettle, s.Order, s.AmountFen, s.HisNo, s.At)
	}
	for _, r := range b.Refunds {
		add(core.RefundCreate, r.No, r.AmountFen, r.HisNo, r.At)
	}
	if h.inTables {
		for n, at := range c.ledger.read() {
			j.first[n] = at.UnixMilli()
		}
		for n, bs := range j.booked {
			j.done[n] = bs[0].at.UnixMilli()
		}
		return j
	}
	for i, e := range b.Journal {
		for kind, requests := range h.writes {
			n := named{kind, e.Key}
			if !slices.Contains(requests, e.Operation) && e.Operation != h.asks[kind] {
				continue
			}
			if _, seen := j.first[n]; !seen {
				j.first[n] = int64(i)
			}
			if _, seen := j.done[n]; !seen && e.Operation == requests[len(requests)-1] && e.Effect == string(books.Done) {
				j.done[n] = int64(i)
			}
		}
	}
	return j
}

func (m *message) named() named { return named{m.kind, m.key} }

// entries of the journal that are requests of this message.
func (j *judgement) entries(m *message) (own []books.Entry) {
	for _, e := range j.journal {
		if e.Key == m.key && slices.Contains(j.hospital.writes[m.kind], e.Operation) {
			own = append(own, e)
		}
	}
	return own
}

// message judges one message by itself.
func (j *judgement) message(m *message) {
	if _, ok := j.listed[m.id]; !ok {
		j.wrong(m, "it was accepted and is not in the ledger")
		return
	}
	d, own, booked := j.details[m.id], j.entries(m), j.booked[m.named()]
	if d.Key != m.key || d.Kind != m.kind || d.Hospital != m.lane.hospital.id || d.Lane != m.lane.visit {
		j.wrong(m, "the ledger holds something else under its number")
	}
	j.repeats(m, own)
	refusal := slices.ContainsFunc(own, func(e books.Entry) bool { return e.Fault == string(fault.Reject) })
	switch d.State {
	case delivery.Delivered:
		j.count("delivered at " + j.hospital.id)
		if len(booked) != 1 {
			j.wrong(m, fmt.Sprintf("delivered, and booked %d times", len(booked)))
		} else if booked[0].amount != m.amount {
			j.wrong(m, fmt.Sprintf("booked with %d fen instead of %d", booked[0].amount, m.amount))
		} else if r := d.Receipt; r != nil && r.HisNo != "" && booked[0].hisNo != "" && r.HisNo != booked[0].hisNo {
			j.wrong(m, fmt.Sprintf("booked as %s, and its receipt names %s", booked[0].hisNo, r.HisNo))
		}
	case delivery.Parked:
		j.count(fmt.Sprintf("parked %s at %s", d.Class, j.hospital.id))
		j.parked(m, d, refusal, len(booked))
	case delivery.Queued:
		j.count("behind a parked one at " + j.hospital.id)
		if !j.blocked(m) {
			j.wrong(m, "still queued, and nothing before it is parked")
		}
		if len(booked) > 0 || len(own) > 0 || d.Revision != 0 {
			j.wrong(m, "sent although the message before it is parked")
		}
		if d.BlockedBy == 0 {
			j.wrong(m, "it does not say what blocks it")
		}
	default:
		j.wrong(m, "it ended "+string(d.State))
	}
	if d.State != delivery.Queued && j.last[m.id].Type != core.EventType("message."+string(d.State)) {
		j.wrong(m, fmt.Sprintf("its last event is %q", j.last[m.id].Type))
	}
}

func (j *judgement) parked(m *message, d api.MessageDetail, refusal bool, booked int) {
	switch {
	case d.Class == core.Rejected:
		switch {
		case !refusal || !m.isRefused():
			j.wrong(m, "parked as refused, and the hospital refused nothing")
		case booked > 0:
			j.wrong(m, "parked as refused, and booked")
		case !strings.Contains(d.Words, fault.RejectWords):
			j.wrong(m, "parked as refused without the hospital's words")
		}
	case d.Class == core.InDoubt && j.hospital.neither:
		if booked > 1 {
			j.wrong(m, fmt.Sprintf("booked %d times", booked))
		}
		j.parkedByCrash(m, d)
	default:
		j.wrong(m, "nothing at this hospital may be parked for that")
	}
}

// parkedByCrash: where the answer of an exchange was in doubt, parking is what is
// promised. Where no attempt says so, a process was struck in the middle, and
// then sent_at must have been written: a claim alone parks nothing.
func (j *judgement) parkedByCrash(m *message, d api.MessageDetail) {
	if d.Revision == 0 {
		j.wrong(m, "parked as in doubt, and never sent")
	}
	for _, a := range d.History {
		if !a.Late && a.Number == d.Attempts && a.Outcome == core.OutcomeInDoubt {
			return
		}
	}
	unsent := false
	for _, crash := range j.crashes {
		if held, ok := crash.claims[m.id]; ok && held.attempts == d.Attempts {
			if held.sent {
				j.count("parked by a crash after sent_at")
				return
			}
			unsent = true
		}
	}
	if unsent {
		j.wrong(m, "it was claimed and not sent when its process was struck, and was parked for that")
		return
	}
	j.count("parked after a lease that ran out") // a process too slow for its own lease
}

// repeats: what was booked is never sent again where the HIS can be asked, and
// what was in doubt is never sent again where it cannot. Voids may be sent
// again: a second one does nothing.
func (j *judgement) repeats(m *message, own []books.Entry) {
	unclear := map[string]int{}
	for _, e := range own {
		if e.Effect == string(books.Again) {
			j.wrong(m, "booked a second time")
		}
		if e.Effect == string(books.Already) && m.kind != core.PrescriptionVoid && !j.hospital.mayRepeat {
			j.wrong(m, "sent again after it had been done")
		}
		if e.Effect != "busy" {
			unclear[e.Operation]++
		}
	}
	if j.hospital.neither {
		for op, n := range unclear {
			if n > 1 {
				j.wrong(m, fmt.Sprintf("%s was sent %d times to a hospital that can tell nothing", op, n))
			}
		}
	}
}

func (j *judgement) blocked(m *message) bool {
	return slices.ContainsFunc(m.lane.messages[:m.place], func(b *message) bool { return j.details[b.id].State == delivery.Parked })
}

// order: nothing of a message reaches the HIS before the one in front of it is booked.
func (j *judgement) order(l *lane) {
	slack := int64(0)
	if j.hospital.inTables {
		slack = 2 // its clocks round
	}
	for i, m := range l.messages[1:] {
		before := l.messages[i]
		first, sent := j.first[m.named()]
		done, booked := j.done[before.named()]
		switch {
		case !sent:
		case !booked:
			j.wrong(m, "it reached the hospital, and "+before.String()+" before it is not booked")
		case first < done-slack:
			j.wrong(m, "it reached the hospital before "+before.String()+" was booked")
		}
	}
}

// refusals: what was answered with 4xx was not sent.
func (j *judgement) refusals(l *lane) {
	for _, x := range l.refused {
		if x.key != "" && slices.ContainsFunc(j.journal, func(e books.Entry) bool { return e.Key == x.key }) {
			j.Errorf("seed %d: %s %s was refused by the API and sent to the hospital", j.seed, x.kind, x.key)
		}
	}
}

// strangers: nothing is in the books that was not submitted.
func (j *judgement) strangers() {
	known := map[named]bool{}
	for _, m := range j.messages {
		if m.lane.hospital == j.hospital {
			known[m.named()] = true
		}
	}
	for n := range j.booked {
		if !known[n] {
			j.Errorf("seed %d: %s has booked %s %s, which nobody submitted", j.seed, j.hospital.id, n.kind, n.key)
		}
	}
}

func (j *judgement) wrong(m *message, what string) {
	j.Helper()
	j.Errorf("%s\nrepeat with HISHUB_SEED=%d", j.story(m, what, j.details[m.id]), j.seed)
}
