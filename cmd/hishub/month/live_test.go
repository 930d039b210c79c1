package month

import (
	"sync"
	"time"

	"hishub/core"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
)

// live lets a day happen: patients pay, the hub tells the hospitals, and what the
// plan wants goes wrong does.
func (w *world) live(d int) {
	w.Helper()
	w.set(w.at(d, 20, 0, 0))
	w.arrive(d)
	// First what was paid during the day.
	w.tell(d, func(e *event) bool { return e.kind != crossDay })
	// Then what was paid two seconds before midnight and is booked behind it.
	w.set(w.at(d+1, 0, 0, 3))
	w.tell(d, func(e *event) bool { return e.kind == crossDay })
	w.each(func(h *hospital) {
		for _, e := range h.days[d].events {
			w.spoil(e)
		}
	})
}

// tell submits the messages of a day and waits until all are delivered.
func (w *world) tell(d int, which func(*event) bool) {
	w.Helper()
	var rules sync.WaitGroup
	for _, h := range w.hospitals {
		for _, e := range h.days[d].events {
			if e.kind == hung && which(e) {
				must(w.T, "script a fault", h.ask(w, "POST", "/faults", fault.Rule{Fault: fault.CommitThenHang, Operation: h.settle, Key: e.order, Times: 1}, nil))
			}
		}
		rules.Go(func() {
			for _, e := range h.days[d].events {
				if which(e) {
					w.happen(e)
				}
			}
		})
	}
	rules.Wait()
	if w.Failed() {
		w.FailNow()
	}
	w.delivered()
	if d%5 == 0 {
		for _, h := range w.hospitals {
			must(w.T, "clear the faults", h.ask(w, "DELETE", "/faults", nil, nil))
		}
	}
}

// delivered waits until nothing waits for its hospital any more.
func (w *world) delivered() {
	w.Helper()
	for end := time.Now().Add(2 * time.Minute); w.number(`select count(*) from hub.queue`) > 0; time.Sleep(10 * time.Millisecond) {
		var what string
		err := w.ledger.QueryRow(w.ctx, `select coalesce(string_agg(m.hospital || ' ' || m.kind || ' ' || m.key || ' is parked: ' || coalesce(m.reason, ''), E'\n'), '')
			from hub.queue q join hub.message m on m.id = q.message where q.state = 'parked'`).Scan(&what)
		must(w.T, "look for parked messages", err)
		if what != "" || time.Now().After(end) {
			w.Fatalf("seed %d: not all is delivered\n%s\n%s", w.seed, what, w.hub.lastWords())
		}
	}
}

// happen is one patient.
func (w *world) happen(e *event) {
	if e.money() {
		w.pay(e, e.order, &e.channelNo)
	}
	if e.kind == paidTwice {
		var again string
		w.pay(e, e.again, &again)
	}
	if e.kind == zeroYuan || e.kind == reversedPair || e.kind == withoutMoney {
		return
	}
	w.hub.submit(e.h.id, core.PrescriptionCreate, e.prescription())
	if !e.ours() {
		return
	}
	w.hub.submit(e.h.id, core.PaymentSettle, e.payment())
	if e.kind == refunded || e.kind == slowRefund {
		r := paychannel.Refund{Channel: string(e.way), Number: e.refund, Payment: e.order, AmountFen: int64(e.back), AcceptedAt: e.backAt}
		if e.kind == slowRefund {
			r.State = paychannel.Processing
		}
		r, _, err := e.h.channel.Books().Refund(r)
		if err != nil {
			w.Errorf("%s: refund %s: %v", e.h.id, e.refund, err)
			return
		}
		w.hub.submit(e.h.id, core.RefundCreate, e.refundTold(r.ChannelNo))
	}
}

func (w *world) pay(e *event, order string, channelNo *string) {
	p, err := e.h.channel.Books().Pay(paychannel.Payment{Channel: string(e.way), Number: order, AmountFen: int64(e.amount), PaidAt: e.at, Attach: e.rx})
	if err != nil {
		w.Errorf("%s: pay %s: %v", e.h.id, order, err)
		return
	}
	*channelNo = p.ChannelNo
}

// spoil does behind everybody's back what went wrong with a payment at the HIS.
func (w *world) spoil(e *event) {
	edit := func(x books.Edit) {
		if err := e.h.his(w.ctx, x); err != nil {
			w.Errorf("%s %s: %v", e.h.id, e.order, err)
		}
	}
	text := func(t time.Time) string { return t.Format(books.TimeLayout) }
	alone := books.Settlement{Order: e.order, HisNo: "H" + e.order, Channel: e.h.payWays[e.way], ChannelNo: e.wrongNo, Operator: e.h.operator,
		AmountFen: int64(e.amount), PaidAt: text(e.at)}
	switch e.kind {
	case lostBooking:
		edit(books.Edit{Settlement: e.order, Remove: true})
		if e.h.id != "nanyuan" { // there a prescription has no state of its own
			edit(books.Edit{Prescription: e.rx, State: books.Saved})
		}
	case windowRefund:
		edit(books.Edit{AddRefund: &books.Refund{HisNo: e.windowNo(), Order: e.order, AmountFen: int64(e.back), RefundedAt: text(e.backAt)}})
	case yuanAsFen:
		wrong := int64(e.amount) * 100
		edit(books.Edit{Settlement: e.order, AmountFen: &wrong})
	case zeroYuan:
		alone.AmountFen, alone.Registration = 0, true
		edit(books.Edit{Add: &alone})
	case reversedPair:
		edit(books.Edit{AddReversed: &alone})
	case withoutMoney:
		edit(books.Edit{Add: &alone})
	}
}

// arrive: money of slow refunds that reaches its owner on this day.
func (w *world) arrive(d int) {
	for _, h := range w.hospitals {
		for past := range d {
			for _, e := range h.days[past].events {
				if e.kind == slowRefund && e.repairOn == d {
					_, err := h.channel.Books().Settle(string(e.way), e.refund, paychannel.Done, w.at(d, 9, 0, 0))
					must(w.T, "settle a refund", err)
				}
			}
		}
	}
}
