package reconcile

import (
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// decide is the truth table of design.md section 5.
func (g *group) decide(c, p, h *side) verdict {
	for _, s := range []struct {
		*side
		whose string
	}{{c, "the channel's bill"}, {p, "our ledger"}, {h, "the HIS's ledger"}} {
		if len(s.counts) > 1 {
			return verdict{class: Repeated, cause: s.whose + " has the same more than once"}
		}
	}
	switch {
	case !c.there() && !p.there() && !h.there():
		return g.nothingStands(c, p, h)
	case !g.takesPart[Ours]:
		return g.withoutUs(c, h)
	case !p.there() && !c.there() && len(p.waiting) > 0:
		return verdict{class: InTransit, cause: "no money moved, and we have not yet told the HIS to take its booking back"}
	case !p.there() && !p.takenBack:
		return g.unknownHere(c, h)
	case !p.there():
		return g.takenBackHere(c, h)
	case p.first().State == core.EntryFailed:
		return g.failedHere(c, h)
	case keyType(g.key) == core.EntryRefund:
		return g.refund(c, p, h)
	}
	return g.payment(c, p, h)
}

// nothingStands: everything failed or was taken back.
func (g *group) nothingStands(c, p, h *side) verdict {
	switch {
	case h.takenBack && (p.takenBack || len(p.backs) > 0):
		return verdict{class: Excluded, cause: "the HIS took the booking back by our command; no money moved"}
	case h.takenBack:
		return verdict{class: Excluded, cause: "the HIS took its own booking back; neither the channel nor we have it"}
	case p.takenBack:
		return verdict{class: Excluded, cause: "we took it back; neither the channel nor the HIS has it"}
	case c.takenBack:
		return verdict{class: Excluded, cause: "the channel took it back; nobody else has it"}
	case c.failed || h.failed:
		return verdict{class: Excluded, cause: "it failed; no money moved and nobody booked it"}
	case len(p.waiting) > 0:
		return verdict{class: InTransit, cause: "we have not yet told the HIS to take a booking back"}
	case len(p.backs) > 0 && len(h.backs) > 0 && sum(p.backs) != sum(h.backs):
		return verdict{
			class: AmountDiffers, amount: apart(sum(p.backs), sum(h.backs)),
			cause: "the HIS took another amount back than we told it to",
		}
	case len(p.backs) > 0 && len(h.backs) > 0:
		return verdict{class: Matched, cause: "the HIS took a booking of another day back, as we told it"}
	case len(p.backs) > 0 || len(p.all) > 0:
		return verdict{class: Excluded, cause: "our command to take a booking of another day back; no money moved"}
	case len(h.backs) > 0:
		return verdict{class: MissingHere, missing: []Party{Ours}, cause: "the HIS took a booking of another day back, and we know nothing of it"}
	}
	return verdict{class: MissingHere, missing: []Party{Ours}, cause: "the channel took a payment of another day back, and we know nothing of it"}
}

// withoutUs compares the channel's books with the HIS's, when ours take no part.
func (g *group) withoutUs(c, h *side) verdict {
	switch {
	case !c.there() && g.billed(h.first().Channel):
		return verdict{class: WithoutMoney, missing: []Party{Channel}, cause: "the HIS booked it, and the channel has no money for it"}
	case c.there() && h.there() && c.amount != h.amount:
		return amounts(c, nil, h)
	case !h.there() && g.takesPart[HIS]:
		return verdict{class: MissingAtHIS, missing: []Party{HIS}, cause: "the channel has the money, and the HIS has no booking"}
	}
	return verdict{class: Matched}
}

func (g *group) unknownHere(c, h *side) verdict {
	refund := keyType(g.key) == core.EntryRefund
	v := verdict{class: MissingHere, missing: []Party{Ours}}
	switch {
	case refund && c.there() && h.there():
		v.cause = "the channel and the HIS have this refund, and we know nothing of it"
	case refund && c.there():
		v.cause = "the channel paid money back, and neither we nor the HIS know of it"
	case refund:
		v.cause = "the HIS refunded it, at its window perhaps, and we know nothing of it"
	case c.there() && h.there():
		v.cause = "the channel has the money and the HIS booked it, and we know nothing of it; the channel's notice was probably lost"
	case c.there() && h.takenBack:
		v.cause = "the channel has the money, the HIS booked it and took it back, and we know nothing of it"
	case c.there():
		v.cause = "the channel has the money, and we know nothing of it; its notice was probably lost"
	case g.billed(h.first().Channel):
		v.class, v.missing = WithoutMoney, []Party{Channel, Ours}
		v.cause = "the HIS booked it, and neither the channel nor we know of it"
		if c.failed {
			v.cause = "the HIS booked it, and the payment failed at the channel"
		}
	default:
		v.cause = "booked at the HIS, and we know nothing of it"
	}
	return v
}

// takenBackHere: we took it back, others still have it.
func (g *group) takenBackHere(c, h *side) verdict {
	switch {
	case c.there():
		return verdict{class: MissingAtHIS, cause: "we had the HIS take it back, and the channel still has the money"}
	default:
		return verdict{class: StateDiffers, cause: "we took it back, and the HIS still has a booking of " + h.amount.String() + " yuan"}
	}
}

// failedHere: our books say that no money moved.
func (g *group) failedHere(c, h *side) verdict {
	switch {
	case c.there():
		return verdict{class: StateDiffers, cause: "it failed for us, and the channel moved the money"}
	case h.there() && g.billed(h.first().Channel):
		return verdict{class: WithoutMoney, missing: []Party{Channel}, cause: "it failed for us, the HIS booked it, and the channel has no money for it"}
	case h.there():
		return verdict{class: StateDiffers, cause: "it failed for us, and the HIS booked it"}
	}
	return verdict{class: Excluded, cause: "it failed; no money moved and nobody booked it"}
}

func (g *group) payment(c, p, h *side) verdict {
	e := p.first()
	switch {
	case !c.there() && !h.there() && e.Told == delivery.Cancelled:
		return verdict{class: Excluded, cause: "it was cancelled before it took effect; neither the channel nor the HIS has it"}
	case !c.there() && len(p.waiting) > 0:
		return verdict{class: InTransit, cause: "no money moved, and we have not yet told the HIS to take its booking back"}
	case !c.there() && g.moneyExpected(e, c, h):
		v := verdict{class: WithoutMoney, missing: []Party{Channel}, cause: "we booked it, and the channel has no money for it"}
		switch {
		case c.failed:
			v.missing, v.cause = nil, "we booked it, and the payment failed at the channel"
		case c.takenBack:
			v.missing, v.cause = nil, "we booked it, and the channel took it back"
		case h.there():
			v.cause = "the HIS and we booked it, and the channel has no money for it"
		}
		return v
	case unequal(c, p, h):
		return amounts(c, p, h)
	case c.there() && e.NoChannel:
		return verdict{class: StateDiffers, cause: "no money moved for us, and the channel has taken it"}
	}
	return g.atHIS(e, h)
}

func (g *group) refund(c, p, h *side) verdict {
	e := p.first()
	expected := g.moneyExpected(e, c, h)
	young := g.young(e.At, g.rules.RefundTransit)
	arrived := c.there() && c.first().State != core.EntryProcessing
	switch {
	case !c.there() && !c.failed && !h.there() && e.Told == delivery.Cancelled:
		return verdict{class: Excluded, cause: "it was cancelled before it took effect; neither the channel nor the HIS has it"}
	case !c.there() && !c.failed && expected && !young:
		return verdict{class: WithoutMoney, missing: []Party{Channel}, cause: "we booked this refund, and the channel has not paid it back in the time that it may take"}
	case unequal(c, p, h):
		return amounts(c, p, h)
	case !c.there() && c.failed && expected:
		return verdict{class: StateDiffers, cause: "we booked this refund, and it failed at the channel; the patient has no money"}
	case !c.there() && expected:
		return verdict{class: RefundInTransit, cause: "the channel has not paid it back yet, within the time that it may take"}
	case c.there() && e.NoChannel:
		return verdict{class: StateDiffers, cause: "no money moved for us, and the channel has paid it back"}
	case c.there() && !arrived && young:
		return verdict{class: RefundInTransit, cause: "the channel is still paying it back, within the time that it may take"}
	case c.there() && !arrived:
		return verdict{class: StateDiffers, cause: "the channel is still paying it back, for longer than it may take"}
	}
	return g.atHIS(e, h)
}

// atHIS: the money is in order; what of the HIS?
func (g *group) atHIS(e *Entry, h *side) verdict {
	waiting := e.Told == delivery.Queued || e.Told == delivery.Sending
	if h.there() {
		switch {
		// Of a refund it may have told us; and a record of ours alone says nothing of it.
		case e.NoHIS && e.Type == core.EntryPayment && e.Told != "":
			return verdict{class: StateDiffers, cause: "the HIS need not have it, and has it"}
		case e.Told == delivery.Parked:
			return verdict{class: StateDiffers, cause: "the HIS has it, and our message that tells it is parked"}
		case e.Told == delivery.Cancelled:
			return verdict{class: StateDiffers, cause: "the HIS has it, and our message that tells it was cancelled"}
		case waiting:
			return verdict{class: InTransit, cause: "the HIS has it already; our message that tells it is not done yet"}
		}
		return verdict{class: Matched}
	}
	v := verdict{class: MissingAtHIS, missing: []Party{HIS}}
	switch {
	case e.NoHIS || !g.takesPart[HIS]:
		return verdict{class: Matched}
	case h.takenBack:
		v.missing, v.cause = nil, "the HIS booked it and took it back, and the money is still there"
		if e.Type == core.EntryRefund {
			v.cause = "the HIS booked this refund and took that back, and the money was paid back"
		}
	case waiting && g.young(e.At, g.rules.PaymentTransit):
		return verdict{class: InTransit, cause: "the HIS has not been told yet"}
	case waiting:
		v.cause = "the HIS has not been told yet, for longer than that may take"
	case e.Told == delivery.Parked:
		v.cause = "the money moved, and our message that tells the HIS is parked"
	case e.Told == delivery.Cancelled:
		v.cause = "the money moved, and our message that tells the HIS was cancelled"
	case e.Told == delivery.Delivered:
		v.cause = "the HIS said that it has it, and its ledger has not"
	default:
		v.cause = "the money moved, and the HIS has no booking"
	}
	return v
}

// billed reports whether money of that way of paying must be in a bill; if
// nobody says which way, any bill will do.
func (g *group) billed(c core.Channel) bool {
	if !g.takesPart[Channel] {
		return false
	}
	if c != "" {
		return g.rules.Billed[c]
	}
	for _, b := range g.rules.Billed {
		if b {
			return true
		}
	}
	return false
}

// moneyExpected reports whether the channel must have what we have.
func (g *group) moneyExpected(e *Entry, c, h *side) bool {
	if !g.takesPart[Channel] || e.NoChannel {
		return false
	}
	way := e.Channel
	for _, s := range []*side{c, h} {
		if way == "" && len(s.all) > 0 {
			way = s.all[0].Channel
		}
	}
	return g.rules.Billed[way]
}

func (g *group) young(at time.Time, limit time.Duration) bool {
	return !at.IsZero() && g.rules.Now.Sub(at) < limit
}

// unequal reports whether those who have it have different amounts.
func unequal(sides ...*side) bool {
	least, most := bounds(sides...)
	return least != most
}

func bounds(sides ...*side) (least, most core.Fen) {
	seen := false
	for _, s := range sides {
		if s == nil || !s.there() {
			continue
		}
		if !seen {
			least, most, seen = s.amount, s.amount, true
		}
		least, most = min(least, s.amount), max(most, s.amount)
	}
	return least, most
}

func apart(a, b core.Fen) core.Fen { return max(a, b) - min(a, b) }

// amounts names what probably made the amounts differ.
func amounts(c, p, h *side) verdict {
	least, most := bounds(c, p, h)
	v := verdict{class: AmountDiffers, amount: most - least}
	switch {
	case most == 100*least && least > 0:
		v.cause = "one amount is a hundred times the other; somebody took yuan for fen"
	case most-least == 1:
		v.cause = "the amounts differ by one fen; somebody rounded otherwise"
	case h.there() && len(h.backs) > 0:
		v.cause = "the HIS took a part of its booking back"
	case c != nil && c.there() && p != nil && c.amount == p.amount:
		v.cause = "the HIS booked another amount than the channel and we have"
	case c != nil && c.there() && h.there() && c.amount == h.amount:
		v.cause = "we booked another amount than the channel and the HIS have"
	case p != nil && h.there() && p.amount == h.amount:
		v.cause = "the channel moved another amount than the HIS and we booked"
	default:
		v.cause = "the amounts differ"
	}
	return v
}
