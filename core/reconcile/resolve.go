package reconcile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"hishub/core"
)

// Entries whose number is exactly one of ours need no more than the merge. What
// is left over is resolved here: its other numbers are looked up among the
// numbers of ours (and, for the HIS, of the channel's, once those are resolved).
// A look-up is a join of two sorted lists, of the names that are asked for and of
// the names that are known, so that a day of any size takes the same memory. A
// filter of fixed size keeps names out of the second list that nobody asks for.
//
// A name is a byte for its kind, one for the type, and the text.
const (
	nameNumber  = 'n' // our number, where it leads elsewhere than to itself
	nameChannel = 'c' // the channel's number
	nameHIS     = 'h' // the HIS's
	nameOrder   = 'o' // of a refund: the payment's number, and the amount
	namePayment = 'x' // of a refund: the channel's number, and the amount
	bookedAs    = 'b' // the channel's number of a booking of the HIS, for what takes it back
	bookedUnder = 'B' // the HIS's own number of it
	numberHead  = 'P' // the beginning of our number
	numberTail  = 'S' // the end of it
	channelHead = 'q' // the beginning of the channel's number
	channelTail = 't' // the end of it
)

// Questions about one left-over entry; the first that has an answer decides.
const (
	byNumber = iota
	byChannel
	byHIS
	byBooking
	byPayment // answers say which payments a refund may be of
	byAmount
	byCut
	questions
)

// A cut number is no shorter than shortest, or it fits everything; longer than
// longest is no number.
const (
	shortest = 8
	longest  = 255
)

// left is an entry whose number alone does not say where it belongs.
type left struct {
	mark
	rules *Rules
	// doubt: its number is exactly one of ours, but the channel's number is not.
	doubt bool
	// orders are, in the second round, the payments that a refund may be of; many
	// is true if its channel's number fits several refunds: it is their payment's then.
	orders []string
	many   bool
	Entry
	record []byte
}

// answer is where a name leads. Strong: to an entry of ours.
type answer struct {
	key  string
	weak bool
}

// answers to each question, two at most: one decides and two are too many.
type answers [questions][]answer

// outcome of one entry.
type outcome struct {
	again bool // ask the second round
	mark  mark // plain, several, crossed, nameless
	key   string
	// unknown: it leads to none of ours.
	unknown bool
}

// index calls emit for every name of the books that the filter lets through.
type index func(r round, emit func(name []byte, key []byte, weak bool) error) error

// round is one look-up of everything that is left.
type round struct {
	rules  *Rules
	second bool
	filter *filter
}

// resolve gives each left-over entry its key and puts it into out.
func (c *comparison) resolve(p Party, lefts *sorter, known index, out func(key []byte, l *left, o outcome) error) error {
	if err := lefts.seal(); err != nil {
		return err
	}
	if lefts.n == 0 {
		return nil
	}
	again := c.desk.sorter()
	defer again.close()
	var key []byte
	err := c.lookUp(p, lefts, false, known, func(l *left, a *answers) error {
		o := l.decide(p, a)
		if o.again {
			for _, k := range a[byPayment] {
				l.orders = append(l.orders, k.key[1:])
			}
			l.many = len(a[byChannel]) > 1
			return c.leave(again, l)
		}
		key = append(key[:0], o.key...)
		return out(key, l, o)
	})
	lefts.close()
	if err != nil {
		return err
	}
	if err := again.seal(); err != nil {
		return err
	}
	if again.n == 0 {
		return nil
	}
	return c.lookUp(p, again, true, known, func(l *left, a *answers) error {
		o := l.decideAgain(p, a)
		key = append(key[:0], o.key...)
		return out(key, l, o)
	})
}

// decide after the first round.
func (l *left) decide(p Party, a *answers) outcome {
	if l.doubt {
		own := string(appendHome(nil, p, &l.Entry))
		for _, k := range a[byChannel] {
			switch {
			case k.weak || k.key == own:
			case p == Channel && k.key == own[:1]+l.ChannelNo:
				// One order was paid twice: the second payment has a record of ours, under
				// the channel's number, since it was paid back.
				return outcome{key: k.key}
			default:
				return outcome{mark: crossed, key: own}
			}
		}
		return outcome{key: own}
	}
	order := []int{byNumber, byChannel, byHIS, byBooking}
	byOwnRefund := l.Type == core.EntryRefund && !l.Reversal
	if byOwnRefund && (len(a[byPayment]) > 0 || len(a[byChannel]) > 1) {
		order = []int{byNumber, byHIS} // its channel's number is that of the payment: the amount must help
	}
	for _, q := range order {
		if o, ok := l.pick(a[q]); ok {
			return o
		}
	}
	if l.asksAgain(p, a) {
		return outcome{again: true}
	}
	return l.unresolved(p)
}

func (l *left) asksAgain(p Party, a *answers) bool {
	_, number := home(p, &l.Entry)
	return cuttable(number) || cuttable(l.ChannelNo) ||
		!l.Reversal && l.Type == core.EntryRefund && (l.OrderID != "" || len(a[byPayment]) > 0 || len(a[byChannel]) > 1)
}

// decideAgain after the second round.
func (l *left) decideAgain(p Party, a *answers) outcome {
	if o, ok := l.pick(a[byAmount]); ok {
		return o
	}
	if o, ok := l.pick(a[byCut]); ok {
		return o
	}
	return l.unresolved(p)
}

func (l *left) pick(a []answer) (outcome, bool) {
	switch len(a) {
	case 0:
		return outcome{}, false
	case 1:
		return outcome{key: a[0].key}, true
	}
	return l.is(several), true
}

// is leaves the entry a finding of its own, under what it has for a number.
func (l *left) is(m mark) outcome {
	p := l.party()
	t, _ := home(p, &l.Entry)
	return outcome{mark: m, key: string(t) + l.rules.shown(p, &l.Entry)}
}

// shown is what people see in the place of our number. What has no number at all
// is named by its place in whose books of which day: a case of one day must not
// be that of another.
func (r *Rules) shown(p Party, e *Entry) string {
	t, number := home(p, e)
	first := e.ChannelNo
	if p == HIS && t == keyRefund {
		first = cmp.Or(e.HisNo, first) // the channel's number is that of the payment, as a rule
	}
	if n := cmp.Or(number, first, e.HisNo); n != "" {
		return n
	}
	at := e.At
	if at.IsZero() {
		at = r.To.Add(-1) // the business day, whenever it ends
	}
	return "row " + strconv.FormatInt(e.Row, 10) + " of " + string(p) + " on " + at.In(r.From.Location()).Format(time.DateOnly)
}

// unresolved keeps what it has for a key.
func (l *left) unresolved(p Party) outcome {
	t, number := home(p, &l.Entry)
	key := string(t) + l.rules.shown(p, &l.Entry)
	switch {
	case number != "":
	case l.ChannelNo == "" && l.HisNo == "":
		return outcome{mark: nameless, key: key}
	case t == keyRefund:
		// Several refunds may carry the number of their one payment.
		key += "\x00" + l.HisNo + "\x00" + l.Amount.String()
	}
	return outcome{key: key, unknown: true}
}

// ask calls f with each name to look up, and the question that it answers.
func (l *left) ask(p Party, second bool, f func(question int, name []byte) error) error {
	var err error
	var room [96]byte
	say := func(question int, kind, typ byte, text string, amount bool) {
		if text == "" || err != nil {
			return
		}
		n := append(append(room[:0], kind, typ), text...)
		if amount {
			n = appendAmount(n, l.Amount)
		}
		err = f(question, n)
	}
	t, number := home(p, &l.Entry)
	refund := l.Type == core.EntryRefund && !l.Reversal
	switch {
	case l.doubt:
		say(byChannel, nameChannel, t, l.ChannelNo, false)
	case !second:
		say(byNumber, nameNumber, t, number, false)
		if l.Reversal {
			say(byNumber, nameNumber, keyRefund, l.Number, false) // the number of our command to take it back
		}
		say(byChannel, nameChannel, t, l.ChannelNo, false)
		if refund {
			say(byPayment, nameChannel, keyPayment, l.ChannelNo, false)
		}
		say(byHIS, nameHIS, t, l.HisNo, false)
		if l.Reversal && p == HIS {
			say(byBooking, bookedAs, t, l.ChannelNo, false)
			say(byBooking, bookedUnder, t, l.HisNo, false)
		}
	default:
		if refund {
			for _, o := range l.orders {
				say(byAmount, nameOrder, keyRefund, o, true)
			}
			say(byAmount, nameOrder, keyRefund, l.OrderID, true)
			if len(l.orders) > 0 || l.many {
				say(byAmount, namePayment, keyRefund, l.ChannelNo, true)
			}
		}
		if cuttable(number) {
			say(byCut, numberHead, t, number, false)
			say(byCut, numberTail, t, number, false)
		}
		if cuttable(l.ChannelNo) {
			say(byCut, channelHead, t, l.ChannelNo, false)
			say(byCut, channelTail, t, l.ChannelNo, false)
		}
	}
	return err
}

func cuttable(s string) bool { return len(s) >= shortest && len(s) <= longest }

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

// cutForm: one is the beginning or the end of the other.
func cutForm(a, b []byte) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) >= shortest && (bytes.HasPrefix(b, a) || bytes.HasSuffix(b, a))
}

// eachBill calls f with each bill of a list.
func eachBill(list string, f func(bill string) error) error {
	for b := range strings.SplitSeq(list, ",") {
		if b = strings.TrimSpace(b); b != "" {
			if err := f(b); err != nil {
				return err
			}
		}
	}
	return nil
}
