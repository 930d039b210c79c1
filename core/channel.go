package core

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ChannelRefund asks a payment channel to pay money of a payment back. The HIS
// has no part in it.
type ChannelRefund struct {
	RefundNo  string    `json:"refund_no" doc:"our refund number; the business key, and the channel's out_refund_no" maxLength:"64"`
	OrderID   string    `json:"order_id" doc:"the payment, by our order number" maxLength:"64"`
	Amount    Fen       `json:"amount" doc:"fen, more than 0, at most what was paid"`
	Paid      Fen       `json:"paid" doc:"fen; what the payment was"`
	Channel   Channel   `json:"channel" enum:"wechat,alipay,unionpay,insurance,bank,cash"`
	ChannelNo string    `json:"channel_no" doc:"the channel's number of the payment" maxLength:"64"`
	Reason    string    `json:"reason" personal:"text" maxLength:"80"`
	AskedAt   time.Time `json:"asked_at"`
}

func (r *ChannelRefund) Key() string { return r.RefundNo }

// Lane is of its own: money that goes back does not wait for what the HIS has not understood.
func (r *ChannelRefund) Lane() string { return "channel/" + r.OrderID }

func (r *ChannelRefund) Total() Fen { return r.Amount }

// Validate implements Body.
func (r *ChannelRefund) Validate() error {
	var c check
	c.id("refund_no", r.RefundNo)
	c.id("order_id", r.OrderID)
	c.positive("amount", r.Amount)
	c.positive("paid", r.Paid)
	if r.Amount > r.Paid {
		c.problem("amount", fmt.Sprintf("%d fen is more than the %d fen that were paid", r.Amount, r.Paid))
	}
	c.enum("channel", string(r.Channel), r.Channel)
	c.id("channel_no", r.ChannelNo)
	c.text("reason", r.Reason, 80)
	c.time("asked_at", r.AskedAt)
	return c.OrNil()
}

// Operations that a payment channel's connector has. The Body of a request is a
// Tree of text: refund_no, order_id, channel_no, amount and paid (fen), reason.
// The Body of its response is a Tree of state (done, processing, failed, absent),
// channel_refund_no, amount (fen), at (RFC 3339) and, when refused, message.
const (
	ChannelOpRefund      = "refund"
	ChannelOpRefundQuery = "refund.query"
)

// Biller is a payment channel's account that gives a bill of each day. A
// connector of a channel implements it beside Connector.
type Biller interface {
	// Bill calls emit for each line of the bill of a day (yyyy-MM-dd by the
	// channel's clock), in the bill's order, and returns when the whole bill was
	// read, its checksum, counts and sums among it; an error means that what was
	// emitted must not be used. Errors: ErrNoBill; ErrBillNotReady; *BillFault when
	// the bill cannot be believed; a *Fault for all else.
	Bill(ctx context.Context, day string, emit func(BillEntry) error) (BillTotals, error)
}

// BillTotals is what a bill says of itself, and where it came from.
type BillTotals struct {
	Payments      int
	PaymentAmount Fen
	Refunds       int
	RefundAmount  Fen
	Fee           Millifen
	// Digest is the SHA-256 of the bill, hex: unpacked where packing it anew makes
	// other bytes of the same bill.
	Digest string
}

// Answers of a channel that has no bill.
var (
	// ErrNoBill: the channel says that nothing was paid or given back that day.
	ErrNoBill = errors.New("the channel has no bill of that day")
	// ErrBillNotReady: ask later.
	ErrBillNotReady = errors.New("the channel's bill of that day is not ready yet")
)

// BillFault is a bill that cannot be believed: it is damaged, or not what its
// account says.
type BillFault struct {
	// File names the bill, Line counts from 1; 0 is the bill as a whole.
	File string
	Line int
	// What is wrong, and Cure what to do. They hold no content of the line.
	What, Cure string
}

func (f *BillFault) Error() string {
	s := f.File
	if f.Line > 0 {
		s += fmt.Sprintf(":%d", f.Line)
	}
	s += ": " + f.What
	if f.Cure != "" {
		s += "; " + f.Cure
	}
	return s
}

// NightRules say how a hospital's days are compared; the folder's section reconcile.
type NightRules struct {
	// At is a cron expression of five fields in the hospital's zone; the day before is compared.
	At string
	// Cut is the minute of the day at which a business day ends: 0 is midnight, 1020
	// the cashiers' close at 17:00 (the day's last 7 hours count for the next one).
	Cut int
	// Operators are our accounts at the HIS, Channels the ways of paying, for HIS's
	// that give their ledger by them; empty asks once for all.
	Operators []string
	Channels  []Channel
	// HISClock: the HIS dates its ledger by its own clock, not by our payment time.
	HISClock bool
	// Margin around the cut within which both sides may date an entry differently.
	Margin time.Duration
	// PaymentTransit and RefundTransit: how long something on its way is no difference.
	PaymentTransit, RefundTransit time.Duration
	// FourEyesFrom is the amount from which a repair takes a second person.
	FourEyesFrom Fen
	// FullEvery: every so-manieth night asks for each entry also where totals agree; 1 is always.
	FullEvery int
	// States: prescriptions and orders are compared too, by asking about each.
	States bool
	// Excluded reports whether an entry is left out by a rule of the folder. May be nil.
	Excluded func(party string, e LedgerEntry) (bool, error)
}

// DefaultNight is what holds where a folder says nothing.
func DefaultNight() NightRules {
	return NightRules{
		At: "30 10 * * *", Margin: 10 * time.Minute, PaymentTransit: 24 * time.Hour, RefundTransit: 7 * 24 * time.Hour,
		FullEvery: 7, States: true,
	}
}

// Day gives the bounds of a business day.
func (r NightRules) Day(day string, zone *time.Location) (from, to time.Time, err error) {
	d, err := time.ParseInLocation(time.DateOnly, day, zone)
	if err != nil {
		return from, to, Problems{{Field: "day", What: "not a date like 2026-01-05"}}
	}
	if r.Cut > 0 {
		d = d.AddDate(0, 0, -1)
	}
	// By the clock on the wall, also where it is put forward or back that day.
	cut := func(day int) time.Time { return time.Date(d.Year(), d.Month(), day, 0, r.Cut, 0, 0, zone) }
	return cut(d.Day()), cut(d.Day() + 1), nil
}
