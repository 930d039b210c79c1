package month

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hishub/core"
	"hishub/core/reconcile"
)

// truth is a finding as the plan wants it.
type truth struct {
	class  reconcile.Class
	typ    core.EntryType
	number string
}

func (t truth) String() string { return fmt.Sprintf("%s %s %s", t.class, t.typ, t.number) }

const (
	pay  = core.EntryPayment
	back = core.EntryRefund
)

// shownAs is the number under which an entry is found that only the HIS has.
func (e *event) shownAs() string {
	if n := e.h.shown(e.order, e.wrongNo); n != "" {
		return n
	}
	return e.wrongNo
}

// windowNo is the HIS's number of a refund at its window. It has none of ours, and
// the channel's is that of the payment.
func (e *event) windowNo() string { return "W" + e.order }

// truths are what a night over day d must find of the event when it is run on the
// morning of day a. On the morning after the repair it shows. By totals no row of
// the HIS is seen.
func (e *event) truths(d, a int, how reconcile.Detail) (all []truth) {
	find := func(c reconcile.Class, t core.EntryType, number string) { all = append(all, truth{c, t, number}) }
	of, mended := d == e.day, e.mended && e.repairOn < a
	// What the HIS books late is there under the date of the repair, and belongs to the day of the payment.
	lateRow := e.h.clocked && mended && d == e.repairOn
	switch e.kind {
	case lostCall, lostBooking:
		class := map[kind]reconcile.Class{lostCall: reconcile.MissingHere, lostBooking: reconcile.MissingAtHIS}[e.kind]
		if of && !mended {
			find(class, pay, e.order)
		}
		if lateRow {
			find(reconcile.CrossDay, pay, e.order)
		}
	case windowRefund:
		switch {
		case of && !mended:
			find(reconcile.MissingHere, back, e.windowNo())
		case of:
			find(reconcile.CrossDay, back, e.message) // it counts on the day on which the money went back
		}
	case yuanAsFen:
		if of && (!mended || e.action == "write_off") {
			find(reconcile.AmountDiffers, pay, e.order)
		}
	case zeroYuan, reversedPair:
		if of {
			find(reconcile.Excluded, pay, e.shownAs())
		}
	case withoutMoney:
		switch {
		case of && !mended:
			find(reconcile.WithoutMoney, pay, e.shownAs())
		case of:
			find(reconcile.Excluded, pay, e.order)
		case mended && d == e.repairOn && how == reconcile.Totals:
			find(reconcile.Excluded, pay, e.order)
		case mended && d == e.repairOn && d == e.day+1: // farther off the booking is not seen, and the two commands match
			find(reconcile.CrossDay, pay, e.order)
		}
	case paidTwice:
		if of && !mended {
			find(reconcile.PaidTwice, pay, e.again)
		}
	case crossDay:
		if of && a == d+1 || d == e.day+1 {
			find(reconcile.CrossDay, pay, e.order)
		}
	case slowRefund:
		switch {
		case of && a <= e.repairOn:
			find(reconcile.RefundInTransit, back, e.refund)
		// WeChat's bill has it on the day on which it took it up, Alipay's on which the money arrived.
		case d == e.repairOn && e.way == "alipay":
			find(reconcile.CrossDay, back, e.refund)
		}
	}
	return all
}

// truths are all that a night over day d must find, but for what is matched.
func (h *hospital) truths(d, a int, how reconcile.Detail) (all []truth) {
	for past := 1; past <= d; past++ {
		for _, e := range h.days[past].events {
			all = append(all, e.truths(d, a, how)...)
		}
	}
	if h.days[d].weather == twice && a == d+1 {
		for _, e := range h.days[d].events {
			all = append(all, truth{reconcile.Repeated, pay, e.order})
			if e.refund != "" {
				all = append(all, truth{reconcile.Repeated, back, e.refund})
			}
		}
	}
	return all
}

// compare holds what was found against the truth. It returns a text that a person
// can read, "" when they are the same.
func (h *hospital) compare(want []truth, found []reconcile.Finding) string {
	left := map[truth]int{}
	for _, t := range want {
		left[t]++
	}
	var wrong []string
	for _, f := range found {
		t := truth{f.Class, f.Type, f.Number}
		if left[t] > 0 {
			left[t]--
			continue
		}
		wrong = append(wrong, fmt.Sprintf("  found, not planned: %s (%s; it is %s)%s", t, f.Cause, h.of(t.number), entries(f)))
	}
	var missing []truth
	for t, n := range left {
		for range n {
			missing = append(missing, t)
		}
	}
	slices.SortFunc(missing, func(a, b truth) int { return cmp.Compare(a.String(), b.String()) })
	for _, t := range missing {
		wrong = append(wrong, "  planned, not found: "+t.String()+" ("+h.of(t.number)+")")
	}
	return strings.Join(wrong, "\n")
}

// entries tells whose they are, short.
func entries(f reconcile.Finding) string {
	var b strings.Builder
	for _, p := range reconcile.Parties {
		for _, e := range f.Entries(p) {
			fmt.Fprintf(&b, "\n      %-7s %s number=%q order=%q channel_no=%q his_no=%q %d fen %s at %s told=%s", p, e.Type, e.Number, e.OrderID, e.ChannelNo, e.HisNo,
				e.Amount, e.State, e.At.Format("01-02 15:04:05"), e.Told)
			for flag, set := range map[string]bool{"reversal": e.Reversal, "neighbour": e.Neighbour, "no_his": e.NoHIS, "no_channel": e.NoChannel} {
				if set {
					b.WriteString(" " + flag)
				}
			}
		}
	}
	return b.String()
}

// of is what the plan has about a number.
func (h *hospital) of(number string) string {
	for _, d := range h.days {
		for _, e := range d.events {
			for _, n := range []string{e.order, e.refund, e.again, e.message, e.channelNo, e.wrongNo, e.windowNo()} {
				if n != "" && n == number {
					return fmt.Sprintf("%s of day %d, to be mended on day %d (%t)", e.kind, e.day, e.repairOn, e.mended)
				}
			}
		}
	}
	return "not in the plan"
}
