package reconcile

import (
	"bytes"
	"encoding/binary"
	"slices"

	"hishub/core"
)

// index calls emit for every name of the books that the filter lets through.
type index func(r round, emit func(name []byte, key []byte, weak bool) error) error

// round is one look-up of everything that is left.
type round struct {
	rules  *Rules
	second bool
	filter *filter
}

func appendAmount(b []byte, amount core.Fen) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0), uint64(amount)) //nolint:gosec // only compared
}

// names calls emit with every name under which an entry of ours or of the
// channel is known and that the filter lets through.
func (r round) names(p Party, e *Entry, key []byte, weak bool, emit func(name, key []byte, weak bool) error) error {
	var err error
	var room [300]byte
	say := func(kind, typ byte, s string, amount bool) {
		if s == "" || err != nil {
			return
		}
		n := append(append(room[:0], kind, typ), s...)
		if amount {
			n = appendAmount(n, e.Amount)
		}
		if r.filter.has(n) {
			err = emit(n, key, weak)
		}
	}
	t := keyByte(e.Type)
	switch {
	case p == Ours:
	case e.Reversal:
		return nil
	case p == HIS && t == keyPayment && len(key) == 1:
		key = append([]byte{t}, r.rules.shown(p, e)...) // where it is unless it finds one of ours, and then what takes it back does so too
	case len(key) == 1:
		return nil // without a number it has no place yet
	}
	if p == HIS {
		say(bookedAs, t, e.ChannelNo, false)
		say(bookedUnder, t, e.HisNo, false)
		return err
	}
	if !r.second {
		if key[0] != t || string(key[1:]) != e.Number {
			say(nameNumber, t, e.Number, false)
		}
		say(nameChannel, t, e.ChannelNo, false)
		say(nameHIS, t, e.HisNo, false)
		return err
	}
	if t == keyRefund {
		say(nameOrder, t, e.OrderID, true)
		say(namePayment, t, e.ChannelNo, true)
	}
	for _, n := range r.filter.lengths {
		if n < len(e.Number) {
			say(numberHead, t, e.Number[:n], false)
			say(numberTail, t, e.Number[len(e.Number)-n:], false)
		}
		if n < len(e.ChannelNo) {
			say(channelHead, t, e.ChannelNo[:n], false)
			say(channelTail, t, e.ChannelNo[len(e.ChannelNo)-n:], false)
		}
	}
	return err
}

// leave puts an entry among those that are left, in the order of leaving.
func (c *comparison) leave(to *sorter, l *left) error {
	b := append(c.room[:0], flag(l.doubt, 1)|flag(l.many, 2), byte(len(l.orders)))
	for _, o := range l.orders {
		b = appendText(b, o)
	}
	b = append(b, l.record...)
	c.room = b
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], uint64(to.n)) //nolint:gosec // a count
	return to.add(id[:], b)
}

func (c *comparison) readLeft(rest []byte) *left {
	l := &left{rules: &c.rules, doubt: rest[0]&1 != 0, many: rest[0]&2 != 0}
	t := text{string(rest[2:])}
	for range rest[1] {
		l.orders = append(l.orders, t.text())
	}
	l.record = rest[len(rest)-len(t.s):]
	l.mark, l.Entry = readEntry(t.s, c.rules.From.Location())
	return l
}

// eachLeft calls f with each entry that is left, and where it stands.
func (c *comparison) eachLeft(lefts *sorter, f func(id []byte, l *left) error) error {
	at, err := lefts.open()
	if err != nil {
		return err
	}
	for at.live {
		if err := c.tick(); err != nil {
			return err
		}
		if err := f(at.key, c.readLeft(at.rest)); err != nil {
			return err
		}
		if err := at.next(); err != nil {
			return err
		}
	}
	return nil
}

// lookUp asks all that is left in one round and calls each with the answers, in
// the order of leaving.
func (c *comparison) lookUp(p Party, lefts *sorter, second bool, known index, each func(*left, *answers) error) error {
	r := round{rules: &c.rules, second: second, filter: newFilter(lefts.n)}
	asked, found := c.desk.sorter(), c.desk.sorter()
	defer asked.close()
	defer found.close()
	err := c.eachLeft(lefts, func(id []byte, l *left) error {
		return l.ask(p, second, func(question int, name []byte) error {
			r.filter.add(name)
			var by [9]byte
			copy(by[:], id)
			by[8] = byte(question)
			return asked.add(name, by[:])
		})
	})
	if err != nil {
		return err
	}
	r.filter.settle()
	if err := asked.seal(); err != nil {
		return err
	}
	if err := c.join(asked, found, r, known); err != nil {
		return err
	}
	asked.close()

	at, err := found.open()
	if err != nil {
		return err
	}
	return c.eachLeft(lefts, func(id []byte, l *left) error {
		var a answers
		for at.live && bytes.Equal(at.key[:8], id) {
			q, s := at.key[8], answer{string(at.rest[1:]), at.rest[0] != 0}
			// What leads to ours comes first, so that two of ours are never hidden.
			same := slices.ContainsFunc(a[q], func(k answer) bool { return k.key == s.key })
			if !same && len(a[q]) < 2 {
				a[q] = append(a[q], s)
			}
			if err := at.next(); err != nil {
				return err
			}
		}
		return each(l, &a)
	})
}

// join finds for each asked name where it leads, two places at most.
func (c *comparison) join(asked, found *sorter, r round, known index) error {
	names := c.desk.sorter()
	defer names.close()
	var rest []byte
	err := known(r, func(name, key []byte, weak bool) error {
		rest = append(append(rest[:0], flag(weak, 1)), key...)
		return names.add(name, rest)
	})
	if err != nil {
		return err
	}
	if err := names.seal(); err != nil {
		return err
	}
	q, err := asked.open()
	if err != nil {
		return err
	}
	n, err := names.open()
	if err != nil {
		return err
	}
	var places [2][]byte
	var name []byte
	for q.live {
		if err := c.tick(); err != nil {
			return err
		}
		for n.live && bytes.Compare(n.key, q.key) < 0 {
			if err := n.next(); err != nil {
				return err
			}
		}
		name = append(name[:0], q.key...)
		count := 0
		for n.is(name) {
			if count == 0 || count == 1 && !bytes.Equal(places[0][1:], n.rest[1:]) {
				places[count] = append(places[count][:0], n.rest...)
				count++
			}
			if err := n.next(); err != nil {
				return err
			}
		}
		for q.is(name) {
			for _, place := range places[:count] {
				if err := found.add(q.rest, place); err != nil {
					return err
				}
			}
			if err := q.next(); err != nil {
				return err
			}
		}
	}
	return found.seal()
}
