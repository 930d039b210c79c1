package paychannel

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Zone is the channels' clock: a bill's day is 00:00:00 to 24:00:00 of it.
var Zone = time.FixedZone("CST", 8*60*60)

// Names of the channels whose money the books keep apart.
const (
	WeChat = "wechat"
	Alipay = "alipay"
	Bank   = "bank"
)

// States of a refund.
const (
	Done       = "done"
	Processing = "processing"
	Closed     = "closed"   // given up: the money stayed where it was
	Abnormal   = "abnormal" // the payer's card does not take it; a person must act
)

// Payment is money that somebody paid.
type Payment struct {
	Channel string `json:"channel"` // WeChat when empty
	// Number is the merchant's (out_trade_no), unique within its channel.
	Number string `json:"number"`
	// ChannelNo is the channel's (transaction_id); made when empty.
	ChannelNo string `json:"channel_no"`
	// AmountFen is the price of the order; CouponFen the part of it that a coupon
	// paid which the merchant does not get.
	AmountFen int64     `json:"amount_fen"`
	CouponFen int64     `json:"coupon_fen,omitempty"`
	PaidAt    time.Time `json:"paid_at"` // now when empty
	// Attach is what the merchant wants to find in the bill again, Subject what the payer saw.
	Attach  string `json:"attach,omitempty"`
	Subject string `json:"subject,omitempty"`
	// SubMerchant is whose money it is when one account serves several.
	SubMerchant string `json:"sub_merchant,omitempty"`
	// FeeMillifen is what the channel takes for it, in 1/1000 fen; reckoned by the rate.
	FeeMillifen int64 `json:"fee_millifen"`
	RefundedFen int64 `json:"refunded_fen"`
}

// Refund is money that went back, or is on its way.
type Refund struct {
	Channel string `json:"channel"`
	// Number is the merchant's (out_refund_no), unique within its channel.
	Number    string `json:"number"`
	ChannelNo string `json:"channel_no"`
	// Payment is the merchant's number of the payment.
	Payment    string    `json:"payment"`
	AmountFen  int64     `json:"amount_fen"`
	AcceptedAt time.Time `json:"accepted_at"`
	State      string    `json:"state"` // Done when empty
	SuccessAt  time.Time `json:"success_at,omitzero"`
	Reason     string    `json:"reason,omitempty"`
	// FeeMillifen is what the channel gives back of its fee, in 1/1000 fen, positive.
	FeeMillifen int64 `json:"fee_millifen"`
	// Billed is the state that the bill shows. A bill is a snapshot: it never learns
	// what became of the refund later.
	Billed string `json:"billed,omitempty"`
}

// Line is what one line of a bill is about: a payment, or a refund together with
// its payment.
type Line struct {
	Payment Payment
	Refund  *Refund // nil: the line is the payment itself
}

// At is the time by which the line belongs to a day: of a payment its success, of
// a refund its acceptance.
func (l Line) At() time.Time {
	if l.Refund != nil {
		return l.Refund.AcceptedAt
	}
	return l.Payment.PaidAt
}

// Note is one request that the channel read.
type Note struct {
	Operation string    `json:"operation"`
	Key       string    `json:"key"`
	Effect    string    `json:"effect"`
	Fault     string    `json:"fault,omitempty"`
	At        time.Time `json:"at"` // by the wall clock, not by the books' one
}

// Export is a copy of the books.
type Export struct {
	Payments []Payment `json:"payments"`
	Refunds  []Refund  `json:"refunds"`
	Journal  []Note    `json:"journal"`
}

// Why the books refuse.
var (
	ErrNoPayment   = errors.New("no such payment")
	ErrNoRefund    = errors.New("no such refund")
	ErrOtherRefund = errors.New("that refund number is in the books with another payment or amount")
	ErrTooMuch     = errors.New("more than is left of the payment")
	ErrTaken       = errors.New("that payment number is in the books already")
)

// Books of all channels; safe for concurrent use.
type Books struct {
	mu       sync.Mutex
	rate     int64 // of the fee, in 1/10000
	now      func() time.Time
	payments map[key]*Payment
	refunds  map[key]*Refund
	order    []key // payments, as they came
	trades   map[key]*Trade
	asked    []key // trades, as they came
	given    []key // refunds, as they came
	journal  []Note
	serial   int64
}

type key struct{ channel, number string }

// NewBooks opens empty books. rate is the channel's fee in 1/10000 (60 is 0.6 %).
func NewBooks(rate int64) *Books {
	return &Books{rate: rate, now: time.Now, payments: map[key]*Payment{}, trades: map[key]*Trade{}, refunds: map[key]*Refund{}}
}

// SetClock replaces the clock that dates what comes without a time; nil is the
// wall clock. Signatures are never dated by it.
func (b *Books) SetClock(now func() time.Time) {
	if now == nil {
		now = time.Now
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = now
}

// Now by the books' clock, in Zone.
func (b *Books) Now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now().In(Zone)
}

// fee of an amount in fen, in 1/1000 fen: rounded half up to a whole fen, as the channels do.
func (b *Books) fee(fen int64) int64 { return (fen*b.rate + 5000) / 10000 * 1000 }

// Pay books a payment. Errors: ErrTaken; a text about what is missing.
func (b *Books) Pay(p Payment) (Payment, error) {
	p.Channel = cmp.Or(p.Channel, WeChat)
	if p.Number == "" || p.AmountFen <= 0 || p.CouponFen < 0 || p.CouponFen >= p.AmountFen {
		return p, fmt.Errorf("a payment needs number and amount_fen above 0 and above coupon_fen")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := key{p.Channel, p.Number}
	if b.payments[k] != nil {
		return p, ErrTaken
	}
	if p.PaidAt.IsZero() {
		p.PaidAt = b.now()
	}
	p.PaidAt = p.PaidAt.In(Zone).Truncate(time.Second)
	if p.ChannelNo == "" {
		p.ChannelNo = b.next(p.Channel, "42000000", p.PaidAt)
	}
	p.FeeMillifen = b.fee(p.AmountFen - p.CouponFen)
	p.RefundedFen = 0
	b.payments[k] = &p
	b.order = append(b.order, k)
	return p, nil
}

// next makes a number of the channel's own, 28 digits.
func (b *Books) next(channel, front string, at time.Time) string {
	b.serial++
	if channel != WeChat {
		front = "" // Alipay's begin with the day
	}
	return fmt.Sprintf("%s%s%0*d", front, at.In(Zone).Format("20060102"), 20-len(front), b.serial)
}

// Refund books a refund. The same number again with the same payment and amount
// gives the first one (again is true). Errors: ErrNoPayment, ErrOtherRefund, ErrTooMuch.
func (b *Books) Refund(r Refund) (booked Refund, again bool, err error) {
	r.Channel = cmp.Or(r.Channel, WeChat)
	r.State = cmp.Or(r.State, Done)
	if r.Number == "" || r.AmountFen <= 0 || !slices.Contains([]string{Done, Processing, Closed, Abnormal}, r.State) {
		return r, false, fmt.Errorf("a refund needs number, amount_fen above 0 and a state: done, processing, closed or abnormal")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := key{r.Channel, r.Number}
	if held := b.refunds[k]; held != nil {
		if held.Payment != r.Payment || held.AmountFen != r.AmountFen {
			return *held, false, ErrOtherRefund
		}
		return *held, true, nil
	}
	p := b.payments[key{r.Channel, r.Payment}]
	switch {
	case p == nil:
		return r, false, ErrNoPayment
	case r.AmountFen > p.AmountFen-p.RefundedFen:
		return r, false, ErrTooMuch
	}
	if r.AcceptedAt.IsZero() {
		r.AcceptedAt = b.now()
	}
	r.AcceptedAt = r.AcceptedAt.In(Zone).Truncate(time.Second)
	if r.ChannelNo == "" {
		r.ChannelNo = b.next(r.Channel, "50300000", r.AcceptedAt)
	}
	if r.State == Done && r.SuccessAt.IsZero() {
		r.SuccessAt = r.AcceptedAt
	}
	r.FeeMillifen = b.fee(r.AmountFen)
	r.Billed = ""
	b.refunds[k] = &r
	b.given = append(b.given, k)
	if r.State != Closed {
		p.RefundedFen += r.AmountFen
	}
	return r, false, nil
}

// Settle moves a refund to another state, as time does. Error: ErrNoRefund.
func (b *Books) Settle(channel, number, state string, at time.Time) (Refund, error) {
	if !slices.Contains([]string{Done, Processing, Closed, Abnormal}, state) {
		return Refund{}, fmt.Errorf("state must be done, processing, closed or abnormal")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.refunds[key{cmp.Or(channel, WeChat), number}]
	if r == nil {
		return Refund{}, ErrNoRefund
	}
	p := b.payments[key{r.Channel, r.Payment}]
	if r.State == Closed && state != Closed {
		if r.AmountFen > p.AmountFen-p.RefundedFen {
			return *r, ErrTooMuch
		}
		p.RefundedFen += r.AmountFen
	}
	if r.State != Closed && state == Closed {
		p.RefundedFen -= r.AmountFen
	}
	r.State, r.SuccessAt = state, time.Time{}
	if state == Done {
		if at.IsZero() {
			at = b.now()
		}
		r.SuccessAt = at.In(Zone).Truncate(time.Second)
	}
	return *r, nil
}

// Payment finds one by the merchant's number.
func (b *Books) Payment(channel, number string) (Payment, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.payments[key{channel, number}]; p != nil {
		return *p, true
	}
	return Payment{}, false
}

// PaymentByChannelNo finds one by the channel's number.
func (b *Books) PaymentByChannelNo(channel, number string) (Payment, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.order {
		if p := b.payments[k]; k.channel == channel && p.ChannelNo == number {
			return *p, true
		}
	}
	return Payment{}, false
}

// FindRefund finds one by the merchant's number.
func (b *Books) FindRefund(channel, number string) (Refund, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.refunds[key{channel, number}]; r != nil {
		return *r, true
	}
	return Refund{}, false
}

// Bill is what a channel's bill of a day (yyyy-MM-dd in Zone) lists, by time. The
// states of its refunds are frozen the first time.
func (b *Books) Bill(channel, day string) ([]Line, error) {
	from, err := time.ParseInLocation(time.DateOnly, day, Zone)
	if err != nil {
		return nil, fmt.Errorf("day must be like 2026-01-05")
	}
	to := from.AddDate(0, 0, 1)
	within := func(t time.Time) bool { return !t.Before(from) && t.Before(to) }
	b.mu.Lock()
	defer b.mu.Unlock()
	var lines []Line
	for _, k := range b.order {
		if p := b.payments[k]; k.channel == channel && within(p.PaidAt) {
			lines = append(lines, Line{Payment: *p})
		}
	}
	for _, k := range b.given {
		if r := b.refunds[k]; k.channel == channel && within(r.AcceptedAt) {
			r.Billed = cmp.Or(r.Billed, r.State)
			copied := *r
			lines = append(lines, Line{Payment: *b.payments[key{channel, r.Payment}], Refund: &copied})
		}
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return a.At().Compare(b.At()) })
	return lines, nil
}

// Note writes the journal.
func (b *Books) Note(operation, key, effect, fault string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.journal = append(b.journal, Note{operation, key, effect, fault, time.Now()})
}

// Export copies everything.
func (b *Books) Export() Export {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := Export{Payments: []Payment{}, Refunds: []Refund{}, Journal: slices.Clone(b.journal)}
	for _, k := range b.order {
		e.Payments = append(e.Payments, *b.payments[k])
	}
	for _, k := range b.given {
		e.Refunds = append(e.Refunds, *b.refunds[k])
	}
	if e.Journal == nil {
		e.Journal = []Note{}
	}
	return e
}
