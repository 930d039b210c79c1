package reconcile

import (
	"bytes"
	"cmp"
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
