package reconcile

import (
	"bytes"
	"time"

	"hishub/core"
)

// newBills finds payments that the channel took and we know nothing of, for a
// bill that another payment of ours had already paid: the patient paid twice.
type newBills struct {
	*comparison
	asked  *sorter // bill -> key and record of the unknown payment
	filter *filter
}

// mostPayments of ours for one bill that are looked at; a bill is paid by one, or a few.
const mostPayments = 16

func (c *comparison) newBills() *newBills {
	return &newBills{c, c.desk.sorter(), newFilter(c.channelLeft.n)}
}

// ask about the bills of an unknown payment.
func (b *newBills) ask(key, record []byte, e *Entry) error {
	if e.Type != core.EntryPayment || e.Reversal || e.State == core.EntryFailed {
		return nil
	}
	rest := appendText(nil, string(key))
	rest = append(rest, record...)
	return eachBill(e.Bill, func(bill string) error {
		b.filter.add([]byte(bill))
		return b.asked.add([]byte(bill), rest)
	})
}

// paid gives, in the order of the channel's resolved entries, those that were
// paid again: key, then record and our key of the payment that counts. nil if none.
func (b *newBills) paid() (*sorter, error) {
	defer b.asked.close()
	if b.asked.n == 0 {
		return nil, nil
	}
	if err := b.asked.seal(); err != nil {
		return nil, err
	}
	paid, pairs := b.desk.sorter(), b.desk.sorter()
	defer paid.close()
	defer pairs.close()
	if err := b.ourBills(paid); err != nil {
		return nil, err
	}
	if err := b.pair(paid, pairs); err != nil {
		return nil, err
	}
	return b.withMoney(pairs)
}

// ourBills puts the bills of our payments that somebody asked about into paid.
func (b *newBills) ourBills(paid *sorter) error {
	at, err := b.ours.open()
	if err != nil {
		return err
	}
	for at.live {
		if err := b.tick(); err != nil {
			return err
		}
		if at.key[0] == keyPayment {
			_, e := readEntry(string(at.rest), time.UTC)
			err := eachBill(e.Bill, func(bill string) error {
				if takesBack(Ours, &e) || !b.filter.has([]byte(bill)) {
					return nil
				}
				return paid.add([]byte(bill), at.key)
			})
			if err != nil {
				return err
			}
		}
		if err := at.next(); err != nil {
			return err
		}
	}
	return paid.seal()
}

// pair joins unknown payments and ours by bill: our key -> the unknown one.
func (b *newBills) pair(paid, pairs *sorter) error {
	q, err := b.asked.open()
	if err != nil {
		return err
	}
	p, err := paid.open()
	if err != nil {
		return err
	}
	var bill []byte
	for q.live {
		bill = append(bill[:0], q.key...)
		for p.live && bytes.Compare(p.key, bill) < 0 {
			if err := p.next(); err != nil {
				return err
			}
		}
		var ours []string
		for p.is(bill) {
			if len(ours) < mostPayments && (len(ours) == 0 || ours[len(ours)-1] != string(p.rest)) {
				ours = append(ours, string(p.rest))
			}
			if err := p.next(); err != nil {
				return err
			}
		}
		for q.is(bill) {
			if err := b.tick(); err != nil {
				return err
			}
			for _, k := range ours {
				if err := pairs.add([]byte(k), q.rest); err != nil {
					return err
				}
			}
			if err := q.next(); err != nil {
				return err
			}
		}
	}
	return pairs.seal()
}

// withMoney keeps the pairs whose payment of ours has its own money at the channel.
func (b *newBills) withMoney(pairs *sorter) (*sorter, error) {
	out := b.desk.sorter()
	q, err := pairs.open()
	if err != nil {
		return nil, err
	}
	var books [2]*cursor
	for i, s := range []*sorter{b.channel, b.channelResolved} {
		if books[i], err = s.open(); err != nil {
			return nil, err
		}
	}
	var key, rest []byte
	for q.live {
		key = append(key[:0], q.key...)
		money := false
		for _, at := range books {
			for at.live && bytes.Compare(at.key, key) <= 0 {
				if bytes.Equal(at.key, key) {
					m, e := readEntry(string(at.rest), time.UTC)
					money = money || !m.own() && !e.Reversal && e.State != core.EntryFailed
				}
				if err := at.next(); err != nil {
					return nil, err
				}
			}
		}
		for q.is(key) {
			if err := b.tick(); err != nil {
				return nil, err
			}
			if money {
				t := text{string(q.rest)}
				again := t.text()
				rest = appendText(append(rest[:0], t.s...), string(key))
				if err := out.add([]byte(again), rest); err != nil {
					return nil, err
				}
			}
			if err := q.next(); err != nil {
				return nil, err
			}
		}
	}
	return out, out.seal()
}

// paidFor gives our key of the payment for which the entry at from was paid
// again. again moves along with from.
func paidFor(again, from *cursor) (string, error) {
	for again.live {
		c := bytes.Compare(again.key, from.key)
		if c == 0 {
			if bytes.HasPrefix(again.rest, from.rest) {
				t := text{string(again.rest[len(from.rest):])}
				return t.text(), nil
			}
			c = bytes.Compare(again.rest, from.rest)
		}
		if c > 0 {
			return "", nil
		}
		if err := again.next(); err != nil {
			return "", err
		}
	}
	return "", nil
}
