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
				g.put([]placed{e}, verdict{class: Excluded, cause: ByRule})
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

// ByRule is the cause of what a rule of the folder leaves out.
const ByRule = "a rule of the hospital's folder leaves it out"

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
