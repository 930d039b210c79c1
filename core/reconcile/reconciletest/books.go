// Package reconciletest makes days of books whose truth is known, for tests and
// benchmarks of the comparison. Every entry is computed from its place, so that a
// day of millions takes no memory.
package reconciletest

import (
	"fmt"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/reconcile"
)

// Zone of the made-up hospital.
var Zone = time.FixedZone("CST", 8*3600)

// Day that is made.
var Day = time.Date(2026, 1, 5, 0, 0, 0, 0, Zone)

// Numbering is what the HIS's rows carry.
type Numbering int

const (
	OurNumber     Numbering = iota // our order number
	ChannelNumber                  // the channel's number and nothing else
	CutNumber                      // all but the first two characters of ours
)

// Shape of a day.
type Shape struct {
	// Payments that all three have, but for those that differ.
	Payments int
	// Every says that each so-manieth payment differs, by turns in the ways of
	// Planted; 0 is none.
	Every     int
	Numbering Numbering
	// Salt makes days differ.
	Salt int
}

// Planted are the differences that a shape has, by turns.
var Planted = []reconcile.Class{
	reconcile.MissingAtHIS, reconcile.MissingHere, reconcile.WithoutMoney, reconcile.AmountDiffers, reconcile.PaidTwice,
}

// Difference is the class of the i-th payment.
func (s Shape) Difference(i int) reconcile.Class {
	if s.Every > 0 && i%s.Every == s.Every-1 {
		return Planted[i/s.Every%len(Planted)]
	}
	return reconcile.Matched
}

// Expected counts findings by class.
func (s Shape) Expected() map[reconcile.Class]int {
	n := map[reconcile.Class]int{}
	for i := range s.Payments {
		c := s.Difference(i)
		n[c]++
		if c == reconcile.PaidTwice {
			n[reconcile.Matched]++ // the one that counts
		}
	}
	return n
}

// Rules that fit the day.
func (s Shape) Rules() reconcile.Rules {
	r := reconcile.Rules{
		From: Day, To: Day.AddDate(0, 0, 1), Now: Day.AddDate(0, 0, 2),
		Billed:     map[core.Channel]bool{"wechat": true},
		NextKnown:  map[reconcile.Party]bool{reconcile.Channel: true, reconcile.Ours: true, reconcile.HIS: true},
		NightRules: core.DefaultNight(),
	}
	return r
}

// Books of the day. The streams give the entries in different orders.
func (s Shape) Books() reconcile.Books {
	return reconcile.Books{
		Channel: s.stream(reconcile.Channel, 7), Ours: s.stream(reconcile.Ours, 0), HIS: s.stream(reconcile.HIS, 3),
	}
}

// place is a permutation of the day's payments, so that books are in no order.
func (s Shape) place(i int) uint32 {
	x := uint32(i+s.Salt) * 2654435761 //nolint:gosec // any value will do
	x ^= x >> 15
	return x * 2246822519
}

func (s Shape) stream(p reconcile.Party, turn int) reconcile.Stream {
	return func(yield func(reconcile.Entry, error) bool) {
		row := int64(0)
		for k := range s.Payments {
			i := (k + turn*s.Payments/11) % s.Payments
			e, there := s.entry(p, i)
			if !there {
				continue
			}
			row++
			e.Row = row
			if !yield(e, nil) {
				return
			}
			if p == reconcile.Channel && s.Difference(i) == reconcile.PaidTwice {
				row++
				e.Row, e.Number, e.ChannelNo = row, e.Number+"B", "49"+e.ChannelNo[2:]
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// entry is the i-th payment in a party's books.
func (s Shape) entry(p reconcile.Party, i int) (e reconcile.Entry, there bool) {
	at := s.place(i)
	c := s.Difference(i)
	e.Type = core.EntryPayment
	e.Number = fmt.Sprintf("P20260105%010d", at)
	e.ChannelNo = fmt.Sprintf("4200002026010500%012d", at^0x5bd1e995)
	e.Channel = "wechat"
	e.Amount = core.Fen(100 + at%50_000)
	e.At = Day.Add(time.Hour + time.Duration(i)*79200*time.Second/time.Duration(max(s.Payments, 1)))
	e.Bill = fmt.Sprintf("RX%08d", i)
	switch p {
	case reconcile.Channel:
		e.State = core.EntryDone
		e.Fee = core.Millifen(e.Amount) * 6
		if c == reconcile.WithoutMoney {
			return e, false
		}
	case reconcile.Ours:
		e.Business, e.Message, e.Told = reconcile.Outpatient, int64(i+1), delivery.Delivered
		if c == reconcile.MissingHere {
			return e, false
		}
	case reconcile.HIS:
		e.HisNo, e.Operator = fmt.Sprintf("SF%09d", i), "HUB01"
		e.At = e.At.Add(3 * time.Second).Truncate(time.Second)
		switch s.Numbering {
		case OurNumber:
			e.ChannelNo = ""
		case ChannelNumber:
			e.Number, e.Bill = "", ""
		case CutNumber:
			e.Number, e.ChannelNo, e.Bill = e.Number[2:], "", ""
		}
		if c == reconcile.MissingAtHIS || c == reconcile.MissingHere {
			return e, false
		}
		if c == reconcile.AmountDiffers {
			e.Amount++
		}
	}
	return e, true
}
