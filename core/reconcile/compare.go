package reconcile

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"hishub/core"
)

// Books are the entries of all parties; a nil stream is a party that takes no part.
type Books struct{ Channel, Ours, HIS Stream }

// Rules of a comparison.
type Rules struct {
	// From (inclusive) and To (exclusive) bound the day.
	From, To time.Time
	// Now decides what is still on its way.
	Now time.Time
	// Billed tells whose bills are among the channel's entries; money of another
	// channel needs no line in a bill.
	Billed map[core.Channel]bool
	// NextKnown: that party's entries of the day after are there as neighbours, so
	// that nothing is held as CrossDay for its sake.
	NextKnown map[Party]bool
	// BeforeUnknown: that party's entries of the day before are not there (the first
	// day of all, as a rule), so that what is missing right after From is held too.
	BeforeUnknown map[Party]bool
	core.NightRules
	// Chunk is how many entries of a party are sorted in memory before they are
	// spilled to a file; 0 is 100,000. Spill is the folder for such files; "" is the system's.
	Chunk int
	Spill string
}

// Compare puts every entry of the day into a class and calls found for each
// finding, in the order of (type, number). Memory does not grow with the books,
// but for one group: all entries of one number are held together. The order of
// entries changes nothing. Times in findings are in the zone of Rules.From.
//
// Errors: those of the streams, of found and of Rules.Excluded; the context's;
// those of the spill files.
func Compare(ctx context.Context, books Books, rules Rules, found func(Finding) error) error {
	c := &comparison{ctx: ctx, rules: rules, found: found}
	c.takesPart = map[Party]bool{Channel: books.Channel != nil, Ours: books.Ours != nil, HIS: books.HIS != nil}
	c.desk = &desk{chunk: rules.Chunk, folder: rules.Spill}
	if c.desk.chunk <= 0 {
		c.desk.chunk = 100_000
	}
	defer c.desk.close()

	// Stage: everybody's books in the order of the numbers that they carry.
	c.apart = c.desk.sorter()
	for _, s := range []struct {
		Party
		Stream
		mark
	}{{Ours, books.Ours, ofOurs}, {Channel, books.Channel, ofChannel}, {HIS, books.HIS, ofHIS}} {
		if err := c.stage(s.Party, s.Stream, s.mark); err != nil {
			return err
		}
	}
	if err := c.apart.seal(); err != nil {
		return err
	}
	// Resolve: the channel's entries against ours, then the HIS's against both.
	if err := c.partExact(); err != nil {
		return err
	}
	if err := c.resolveChannel(); err != nil {
		return err
	}
	if err := c.resolveHIS(); err != nil {
		return err
	}
	// Merge by the resolved number and classify each group.
	return c.merge()
}

// comparison is one call of Compare.
type comparison struct {
	ctx       context.Context
	rules     Rules
	found     func(Finding) error
	takesPart map[Party]bool
	desk      *desk
	room      []byte
	ticks     int

	ours, channel, his *sorter // as they came
	apart              *sorter // what is a finding of its own from the start
	// What is left of a party, then the same with the key it resolves to.
	channelLeft, hisLeft         *sorter
	channelResolved, hisResolved *sorter
	// again says which of channelResolved was paid twice, and for which payment.
	again *sorter
}

// tick looks at the context now and then.
func (c *comparison) tick() error {
	c.ticks++
	if c.ticks%4096 == 0 {
		return c.ctx.Err()
	}
	return nil
}

func (c *comparison) stage(p Party, books Stream, m mark) error {
	s := c.desk.sorter()
	switch p {
	case Ours:
		c.ours = s
	case Channel:
		c.channel = s
	case HIS:
		c.his = s
	}
	if books == nil {
		return s.seal()
	}
	var key, record []byte
	for e, err := range books {
		if err == nil {
			err = c.tick()
		}
		if err != nil {
			return fmt.Errorf("read the books of %s: %w", p, err)
		}
		if e.Type != core.EntryPayment && e.Type != core.EntryRefund {
			return fmt.Errorf("read the books of %s: row %d is a %q; only a payment or a refund can be compared", p, e.Row, e.Type)
		}
		out := false
		if c.rules.Excluded != nil {
			if out, err = c.rules.Excluded(string(p), e.LedgerEntry); err != nil {
				return fmt.Errorf("rule for what is left out of the books of %s, row %d: %w", p, e.Row, err)
			}
		}
		key = appendHome(key[:0], p, &e)
		switch {
		case out:
			record = appendEntry(record[:0], m|byRule, &e)
			key = append(key[:1], c.rules.shown(p, &e)...)
			err = c.apart.add(key, record)
		case p == Ours && len(key) == 1: // ours always has a number; if not, nothing can meet it
			record = appendEntry(record[:0], m|nameless, &e)
			key = append(key[:1], c.rules.shown(p, &e)...)
			err = c.apart.add(key, record)
		default:
			record = appendEntry(record[:0], m, &e)
			err = s.add(key, record)
		}
		if err != nil {
			return err
		}
	}
	return s.seal()
}

// sameNumber is what ours holds of the channel's numbers under one key.
type sameNumber struct {
	key     []byte
	there   bool
	numbers [][]byte
}

// read takes all of our entries under the key; at stands on the first one, or
// on a later key if there is none.
func (n *sameNumber) read(key []byte, at *cursor, each func(record []byte) error) error {
	n.key = append(n.key[:0], key...)
	n.there = false
	count := 0
	for at.is(n.key) {
		n.there = true
		_, no := peek(at.rest)
		if count == len(n.numbers) {
			n.numbers = append(n.numbers, nil)
		}
		n.numbers[count] = append(n.numbers[count][:0], no...)
		count++
		if each != nil {
			if err := each(at.rest); err != nil {
				return err
			}
		}
		if err := at.next(); err != nil {
			return err
		}
	}
	n.numbers = n.numbers[:count]
	return nil
}

// settles reports whether an entry under the key needs no look-up. doubt: its
// number is ours, but the channel's number is not what we have.
func (n *sameNumber) settles(record []byte) (settled, doubt bool) {
	if !n.there {
		return false, false
	}
	reversal, no := peek(record)
	if reversal || len(no) == 0 {
		return true, false
	}
	for _, k := range n.numbers {
		if bytes.Equal(k, no) || cutForm(k, no) {
			return true, false
		}
	}
	return false, true
}

// partExact puts those entries of the others apart whose number does not settle
// where they belong.
func (c *comparison) partExact() error {
	c.channelLeft, c.hisLeft = c.desk.sorter(), c.desk.sorter()
	ours, err := c.ours.open()
	if err != nil {
		return err
	}
	channel, err := c.channel.open()
	if err != nil {
		return err
	}
	his, err := c.his.open()
	if err != nil {
		return err
	}
	var n sameNumber
	for channel.live || his.live {
		key := least(channel, his)
		for ours.live && bytes.Compare(ours.key, key) < 0 {
			if err := ours.next(); err != nil {
				return err
			}
		}
		if err := n.read(key, ours, nil); err != nil {
			return err
		}
		for _, side := range []struct {
			at *cursor
			to *sorter
		}{{channel, c.channelLeft}, {his, c.hisLeft}} {
			for side.at.is(n.key) {
				if err := c.tick(); err != nil {
					return err
				}
				if settled, doubt := n.settles(side.at.rest); !settled {
					if err := c.leave(side.to, &left{doubt: doubt, record: side.at.rest}); err != nil {
						return err
					}
				}
				if err := side.at.next(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// least is the first key on which any of the cursors stands, nil at the end of all.
func least(cursors ...*cursor) (key []byte) {
	for _, c := range cursors {
		if c.live && (key == nil || bytes.Compare(c.key, key) < 0) {
			key = c.key
		}
	}
	return key
}

// oursIndex is every name of ours.
func (c *comparison) oursIndex(r round, emit func(name, key []byte, weak bool) error) error {
	return c.asTheyCame(c.ours, Ours, r, emit)
}

func (c *comparison) asTheyCame(books *sorter, p Party, r round, emit func(name, key []byte, weak bool) error) error {
	at, err := books.open()
	if err != nil {
		return err
	}
	for at.live {
		if err := c.tick(); err != nil {
			return err
		}
		_, e := readEntry(string(at.rest), time.UTC)
		if err := r.names(p, &e, at.key, p != Ours, emit); err != nil {
			return err
		}
		if err := at.next(); err != nil {
			return err
		}
	}
	return nil
}

// bothIndex is every name of ours and of the channel's resolved entries, and of
// the HIS's bookings if it takes some of them back.
func (c *comparison) bothIndex(r round, emit func(name, key []byte, weak bool) error) error {
	if err := c.oursIndex(r, emit); err != nil {
		return err
	}
	if r.filter.bookings {
		if err := c.asTheyCame(c.his, HIS, r, emit); err != nil {
			return err
		}
	}
	ours, err := c.ours.open()
	if err != nil {
		return err
	}
	channel, err := c.channel.open()
	if err != nil {
		return err
	}
	resolved, err := c.channelResolved.open()
	if err != nil {
		return err
	}
	var n sameNumber
	for channel.live {
		for ours.live && bytes.Compare(ours.key, channel.key) < 0 {
			if err := ours.next(); err != nil {
				return err
			}
		}
		if err := n.read(channel.key, ours, nil); err != nil {
			return err
		}
		for channel.is(n.key) {
			if err := c.tick(); err != nil {
				return err
			}
			_, no := peek(channel.rest)
			// What ours has as well need not be said again.
			known := bytes.HasPrefix(n.key, []byte{keyPayment}) && len(n.numbers) > 0 && (len(no) == 0 || bytes.Equal(no, n.numbers[0]))
			if settled, _ := n.settles(channel.rest); settled && !known {
				_, e := readEntry(string(channel.rest), time.UTC)
				if err := r.names(Channel, &e, n.key, false, emit); err != nil {
					return err
				}
			}
			if err := channel.next(); err != nil {
				return err
			}
		}
	}
	known, err := c.ours.open()
	if err != nil {
		return err
	}
	for resolved.live {
		if err := c.tick(); err != nil {
			return err
		}
		for known.live && bytes.Compare(known.key, resolved.key) < 0 {
			if err := known.next(); err != nil {
				return err
			}
		}
		if m, e := readEntry(string(resolved.rest), time.UTC); !m.own() {
			if err := r.names(Channel, &e, resolved.key, !known.is(resolved.key), emit); err != nil {
				return err
			}
		}
		if err := resolved.next(); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) resolveChannel() error {
	c.channelResolved = c.desk.sorter()
	asked := c.newBills()
	var record []byte
	err := c.resolve(Channel, c.channelLeft, c.oursIndex, func(key []byte, l *left, o outcome) error {
		record = append(append(record[:0], l.record[0]|byte(o.mark)), l.record[1:]...)
		if o.unknown && o.mark == plain {
			if err := asked.ask(key, record, &l.Entry); err != nil {
				return err
			}
		}
		return c.channelResolved.add(key, record)
	})
	if err != nil {
		return err
	}
	if err := c.channelResolved.seal(); err != nil {
		return err
	}
	c.again, err = asked.paid()
	return err
}

func (c *comparison) resolveHIS() error {
	c.hisResolved = c.desk.sorter()
	var record []byte
	err := c.resolve(HIS, c.hisLeft, c.bothIndex, func(key []byte, l *left, o outcome) error {
		record = append(append(record[:0], l.record[0]|byte(o.mark)), l.record[1:]...)
		return c.hisResolved.add(key, record)
	})
	if err != nil {
		return err
	}
	return c.hisResolved.seal()
}

// placed is an entry in its group.
type placed struct {
	mark
	Entry
	record string
	// back: it takes the payment of its group back, and no money moved.
	back bool
	// of is the key of the payment for which this one was paid again, "" if for none.
	of string
}

// merge walks over all sorters at once and has each group classified.
func (c *comparison) merge() error {
	var at [7]*cursor
	for i, s := range []*sorter{c.ours, c.channel, c.his, c.channelResolved, c.hisResolved, c.apart, c.again} {
		var err error
		if at[i], err = s.open(); err != nil {
			return err
		}
	}
	ours, again := at[0], at[6]
	var n sameNumber
	var g group
	g.comparison = c
	add := func(record []byte, of string) {
		s := string(record)
		m, e := readEntry(s, c.rules.From.Location())
		back := e.Reversal || g.key[0] == keyPayment && e.Type == core.EntryRefund
		g.all = append(g.all, placed{m, e, s, back, of})
	}
	for {
		key := least(at[:6]...)
		if key == nil {
			return nil
		}
		g.reset(key)
		if err := n.read(key, ours, func(record []byte) error { add(record, ""); return nil }); err != nil {
			return err
		}
		for i, from := range at[1:6] {
			for from.is(n.key) {
				if err := c.tick(); err != nil {
					return err
				}
				settled, of := true, ""
				switch i {
				case 0, 1: // the rest of these two was resolved
					settled, _ = n.settles(from.rest)
				case 2:
					var err error
					if of, err = paidFor(again, from); err != nil {
						return err
					}
				}
				if settled {
					add(from.rest, of)
				}
				if err := from.next(); err != nil {
					return err
				}
			}
		}
		if err := g.classify(); err != nil {
			return err
		}
	}
}
