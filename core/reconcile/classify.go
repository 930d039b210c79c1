package reconcile

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// group is all entries of one number.
type group struct {
	*comparison
	key      []byte
	all      []placed
	findings []Finding
}

func (g *group) reset(key []byte) {
	g.key = append(g.key[:0], key...)
	g.all, g.findings = g.all[:0], g.findings[:0]
}

// classify calls found for each finding of the group.
func (g *group) classify() error {
	slices.SortFunc(g.all, func(a, b placed) int { return strings.Compare(a.record, b.record) })
	together := g.all[:0:0]
	if !slices.ContainsFunc(g.all, func(e placed) bool { return e.own() }) {
		together = g.all
	} else {
		for _, e := range g.all {
			switch e.mark & ownMarks {
			case plain:
				together = append(together, e)
			case nameless:
				g.judge([]placed{e})
			case byRule:
				g.put([]placed{e}, verdict{class: Excluded, cause: "a rule of the hospital's folder leaves it out"})
			case several:
				g.put([]placed{e}, verdict{class: Ambiguous, cause: "its numbers fit more than one of ours, so nobody can say which it is"})
			case crossed:
				g.put([]placed{e}, verdict{class: Ambiguous, cause: "its number is that of one of ours and its channel's number that of another"})
			}
		}
	}
	if len(together) > 0 {
		g.judge(together)
	}
	slices.SortStableFunc(g.findings, func(a, b Finding) int {
		return cmp.Compare(slices.Index(Classes, a.Class), slices.Index(Classes, b.Class))
	})
	for _, f := range g.findings {
		if err := g.found(f); err != nil {
			return err
		}
	}
	return nil
}

// verdict is the class of a group, and why.
type verdict struct {
	class Class
	cause string
	// missing are the parties whose books of another day may still have it.
	missing []Party
	// amount in question if it is not that of the entry.
	amount core.Fen
	of     string
}

// side is what one party has of a group.
type side struct {
	all []placed
	// counts are its bookings that stand; what failed, and what was taken back, does not.
	counts []placed
	// backs took a booking back, waiting ones are ours that the HIS has not been told of.
	backs, waiting []placed
	failed         bool
	takenBack      bool
	amount         core.Fen
}

func (s *side) there() bool { return len(s.counts) > 0 }

// state of what counts, and when.
func (s *side) first() *Entry { return &s.counts[0].Entry }

// judge classifies entries that belong together.
func (g *group) judge(list []placed) {
	slices.SortStableFunc(list, func(a, b placed) int { return a.At.Compare(b.At) })
	list = g.paidAgain(list)
	if len(list) == 0 {
		return
	}
	if !slices.ContainsFunc(list, func(e placed) bool { return e.Amount != 0 }) {
		g.put(list, verdict{class: Excluded, cause: "it is of zero yuan; no money moves and no bill has it"})
		return
	}
	var c, p, h side
	for _, e := range list {
		switch e.party() {
		case Channel:
			c.all = append(c.all, e)
		case Ours:
			p.all = append(p.all, e)
		case HIS:
			h.all = append(h.all, e)
		}
	}
	c.settle(Channel)
	p.settle(Ours)
	h.settle(HIS)
	if len(h.backs) == 0 && len(p.backs) > 0 {
		h.backs = p.backs // the HIS said done, and shows no row of it
		h.takeBack()
		h.backs = nil
	} else {
		h.takeBack()
	}
	p.takeBack()
	c.takeBack()
	g.put(list, g.decide(&c, &p, &h))
}

// settle sorts a party's entries by whether they count.
func (s *side) settle(p Party) {
	var processing []placed
	for _, e := range s.all {
		switch {
		case e.back:
			switch {
			case p != Ours || e.Told == delivery.Delivered || e.Told == "":
				s.backs = append(s.backs, e)
			case e.Told == delivery.Queued || e.Told == delivery.Sending:
				s.waiting = append(s.waiting, e)
			}
		case e.State == core.EntryFailed && p != Ours:
			s.failed = true
		case e.State == core.EntryProcessing:
			processing = append(processing, e)
		default:
			s.counts = append(s.counts, e)
		}
	}
	if len(s.counts) == 0 {
		s.counts = processing // else it was on its way first and done then
	}
	s.amount = sum(s.counts)
}

// takeBack removes what was taken back: a booking for each reversal of its
// amount; all, if the reversals come to all.
func (s *side) takeBack() {
	if len(s.counts) == 0 || len(s.backs) == 0 {
		return
	}
	counts, backs := slices.Clone(s.counts), core.Fen(0)
	for _, b := range s.backs {
		if i := slices.IndexFunc(counts, func(e placed) bool { return e.Amount == b.Amount }); i >= 0 {
			counts = slices.Delete(counts, i, i+1)
		} else {
			backs += b.Amount
		}
	}
	s.amount = sum(counts) - backs
	if s.amount == 0 {
		counts = nil
	}
	s.counts, s.takenBack = counts, len(counts) == 0
}

func sum(entries []placed) (total core.Fen) {
	for _, e := range entries {
		total += e.Amount
	}
	return total
}

// paidAgain takes out what the channel took a second time, and gives the rest.
func (g *group) paidAgain(list []placed) []placed {
	if g.key[0] != keyPayment {
		return list
	}
	payment := func(e placed) bool {
		return e.party() == Channel && !e.back && e.State != core.EntryFailed
	}
	keep, ours := -1, ""
	for _, e := range list {
		if e.party() == Ours && !e.back && ours == "" {
			ours = e.ChannelNo
		}
	}
	for i, e := range list { // what ours names counts, else the earliest
		if payment(e) && e.ChannelNo != "" && (keep < 0 || ours != "" && e.ChannelNo == ours && list[keep].ChannelNo != ours) {
			keep = i
		}
	}
	if keep < 0 {
		return list
	}
	if of := list[keep].of; of != "" && ours == "" {
		if !slices.ContainsFunc(list, func(e placed) bool { return e.party() == Ours }) {
			g.put(list, verdict{
				class: PaidTwice, of: of[1:],
				cause: "the channel took money for a bill that another payment of ours had paid",
			})
			return nil
		}
	}
	first := list[keep].ChannelNo
	surplus := func(e placed) bool { return payment(e) && e.ChannelNo != "" && e.ChannelNo != first }
	if !slices.ContainsFunc(list, surplus) {
		return list
	}
	rest, again := list[:0:0], map[string][]placed{}
	var numbers []string
	for _, e := range list {
		if !surplus(e) {
			rest = append(rest, e)
			continue
		}
		if again[e.ChannelNo] == nil {
			numbers = append(numbers, e.ChannelNo)
		}
		again[e.ChannelNo] = append(again[e.ChannelNo], e)
	}
	for _, n := range numbers {
		g.put(again[n], verdict{class: PaidTwice, of: g.number(), cause: "the channel took money twice for one order of ours"})
	}
	return rest
}

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
		case e.NoHIS:
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

// number is what people see of the key.
func (g *group) number() string {
	s := string(g.key[1:])
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	return s
}

// put makes a finding, if anything of it is of the day.
func (g *group) put(list []placed, v verdict) {
	if !slices.ContainsFunc(list, func(e placed) bool { return !e.Neighbour }) {
		return
	}
	at, ofDay := settled(list)
	f := Finding{Class: v.class, Type: keyType(g.key), Number: g.number(), Cause: v.cause, Of: v.of, Amount: at.Amount}
	if v.class == AmountDiffers {
		f.Amount = v.amount
	}
	switch {
	case !ofDay:
		f.Class, f.Cause, f.Of, f.Amount = CrossDay, "it belongs to what counts on another day", "", at.Amount
	case v.class.Difference() && g.held(at.At, v.missing):
		f.Class, f.Cause = CrossDay, "it is so near the end of the day that the missing side may date it on another day"
	}
	entries := make([]Entry, 0, len(list))
	for _, p := range Parties {
		from := len(entries)
		for _, e := range list {
			if e.party() == p {
				entries = append(entries, e.Entry)
			}
		}
		if len(entries) == from {
			continue
		}
		part := entries[from:len(entries):len(entries)]
		switch p {
		case Channel:
			f.Channel = part
		case Ours:
			f.Ours = part
		case HIS:
			f.HIS = part
		}
	}
	g.findings = append(g.findings, f)
}

// settled gives the entry that says when the group counts, ours before the
// channel's before the HIS's, and whether that is of the day. What took another
// one back, or failed, says it only if there is nothing else.
func settled(list []placed) (at *Entry, ofDay bool) {
	for _, level := range []func(placed) bool{
		func(e placed) bool { return !e.back && e.State != core.EntryFailed },
		func(e placed) bool { return !e.back },
		func(placed) bool { return true },
	} {
		for _, p := range []Party{Ours, Channel, HIS} {
			for i := range list {
				if e := &list[i]; e.party() == p && level(*e) {
					if at == nil {
						at = &e.Entry
					}
					ofDay = ofDay || !e.Neighbour
				}
			}
			if at != nil {
				return at, ofDay
			}
		}
	}
	return nil, false
}

// held reports whether a difference must wait for the books of the day beside.
func (g *group) held(at time.Time, missing []Party) bool {
	if at.IsZero() {
		return false
	}
	near := func(edge time.Time) bool { return at.Sub(edge).Abs() < g.rules.Margin }
	for _, p := range missing {
		if near(g.rules.To) && !g.rules.NextKnown[p] || near(g.rules.From) && g.rules.BeforeUnknown[p] {
			return true
		}
	}
	return false
}
