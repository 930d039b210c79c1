package core

import (
	"fmt"
	"time"
)

// LedgerQuery asks for everything that the HIS booked for us on one business
// day, by our payment time.
type LedgerQuery struct {
	// Day is yyyy-MM-dd in the hospital's zone; From (inclusive) and To (exclusive)
	// are its bounds.
	Day  string    `json:"day" maxLength:"10" example:"2026-01-05"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Channel and Operator narrow it to one way of paying, or to one account of ours
	// at the HIS; empty is all.
	Channel  Channel `json:"channel,omitempty"`
	Operator string  `json:"operator,omitempty" maxLength:"64"`
}

func (q *LedgerQuery) Key() string  { return q.Day }
func (q *LedgerQuery) Lane() string { return q.Day }

// Validate implements Body.
func (q *LedgerQuery) Validate() error {
	var c check
	c.date("day", q.Day)
	c.time("from", q.From)
	c.time("to", q.To)
	if q.Channel != "" {
		c.enum("channel", string(q.Channel), q.Channel)
	}
	c.optional("operator", q.Operator, maxID)
	if !q.From.Before(q.To) {
		c.problem("to", "not after from")
	}
	return c.OrNil()
}

// LedgerTotals is the canonical answer to ledger.total: counts as decimal text,
// sums in fen, both sums positive.
type LedgerTotals struct {
	Payments      string `json:"payments,omitempty"`
	PaymentAmount Fen    `json:"payment_amount"`
	Refunds       string `json:"refunds,omitempty"`
	RefundAmount  Fen    `json:"refund_amount"`
}

// Ledger is the canonical answer to ledger.detail and ledger.insurance.
type Ledger struct {
	Entries []LedgerEntry `json:"entries"`
}

// Append implements Paged.
func (l *Ledger) Append(next any) { l.Entries = append(l.Entries, next.(*Ledger).Entries...) }

// EntryType tells what a ledger's entry is about.
type EntryType string

const (
	EntryPayment EntryType = "payment"
	EntryRefund  EntryType = "refund"
)

// Values of EntryType.
func (EntryType) Values() []string { return []string{"payment", "refund"} }

// EntryState is how far the money of an entry has come.
type EntryState string

const (
	EntryDone       EntryState = "done"
	EntryProcessing EntryState = "processing" // a refund on its way
	EntryFailed     EntryState = "failed"     // no money moved
)

// Values of EntryState.
func (EntryState) Values() []string { return []string{"done", "processing", "failed"} }

// LedgerEntry is one payment or refund in somebody's books: the HIS's, a payment
// channel's or ours. Amount is positive for both types.
type LedgerEntry struct {
	Type EntryType `json:"type"`
	// Number is ours (order or refund number), as far as the books keep it. Some
	// keep a cut one.
	Number string `json:"number,omitempty"`
	// OrderID is, of a refund or a reversal, our number of the payment that it takes back.
	OrderID   string  `json:"order_id,omitempty"`
	HisNo     string  `json:"his_no,omitempty"`
	ChannelNo string  `json:"channel_no,omitempty"`
	Channel   Channel `json:"channel,omitempty"`
	// Operator is the HIS's account under which it was booked.
	Operator string `json:"operator,omitempty"`
	Amount   Fen    `json:"amount"`
	// State is done when empty.
	State EntryState `json:"state,omitempty"`
	At    time.Time  `json:"at,omitzero"`
	// Reversal marks a booking that takes another one back without money moving.
	Reversal bool `json:"reversal,omitempty"`
	// Bill says what was paid: numbers of bills or prescriptions, joined by commas.
	Bill string `json:"bill,omitempty"`
}

// BillEntry is one line of a payment channel's bill.
type BillEntry struct {
	LedgerEntry
	// Fee is what the channel charges for it; negative when it gives some back.
	Fee Millifen
	// Line in the bill, from 1.
	Line int
}

// Millifen is 1/1000 fen: channels reckon their fees in yuan with five decimals.
type Millifen int64

// Fen is the amount rounded half away from zero.
func (m Millifen) Fen() Fen {
	if m < 0 {
		return -(-m).Fen()
	}
	return Fen((m + 500) / 1000)
}

// String is the amount in yuan with five decimals, "0.28000".
func (m Millifen) String() string {
	sign, u := "", uint64(m)
	if m < 0 {
		sign, u = "-", -u
	}
	return fmt.Sprintf("%s%d.%05d", sign, u/100_000, u%100_000)
}

// ParseMillifen reads yuan with up to five decimals, also negative ones.
func ParseMillifen(s string) (Millifen, error) {
	r, err := parseDecimal(s)
	if err != nil {
		return 0, err
	}
	r.Mul(r, ratOf(100_000))
	if !r.IsInt() || !r.Num().IsInt64() {
		return 0, errFinerThanMillifen
	}
	return Millifen(r.Num().Int64()), nil
}

// LedgerRecord is a payment or refund that goes into our ledger although its HIS
// is not told: one that it refused for good, one that only the channel knew of.
type LedgerRecord struct {
	Type      EntryType `json:"type" enum:"payment,refund"`
	Number    string    `json:"number" doc:"our order or refund number; the business key together with the type" maxLength:"64"`
	OrderID   string    `json:"order_id,omitempty" doc:"of a refund: the payment that it takes back" maxLength:"64"`
	Amount    Fen       `json:"amount" doc:"fen, more than 0"`
	Channel   Channel   `json:"channel" enum:"wechat,alipay,unionpay,insurance,bank,cash"`
	ChannelNo string    `json:"channel_no" doc:"the channel's own number" maxLength:"64"`
	At        time.Time `json:"at" doc:"when the channel says that the money moved"`
	Reason    string    `json:"reason" doc:"why the HIS is not told" maxLength:"200"`
}

func (l *LedgerRecord) Key() string  { return string(l.Type) + " " + l.Number }
func (l *LedgerRecord) Lane() string { return l.Number }

// Validate implements Body.
func (l *LedgerRecord) Validate() error {
	var c check
	c.enum("type", string(l.Type), l.Type)
	c.id("number", l.Number)
	if l.Type == EntryRefund {
		c.id("order_id", l.OrderID)
	}
	c.positive("amount", l.Amount)
	c.enum("channel", string(l.Channel), l.Channel)
	c.id("channel_no", l.ChannelNo)
	c.time("at", l.At)
	c.text("reason", l.Reason, maxName)
	return c.OrNil()
}

// LedgerPush is a day of the HIS's ledger that it sends by itself. The same day
// again replaces what it sent before.
type LedgerPush struct {
	// Day is yyyy-MM-dd in the hospital's zone.
	Day     string        `json:"day" maxLength:"10"`
	Entries []LedgerEntry `json:"entries"`
}

func (l *LedgerPush) Key() string  { return l.Day }
func (l *LedgerPush) Lane() string { return l.Day }

// Validate implements Body.
func (l *LedgerPush) Validate() error {
	var c check
	c.date("day", l.Day)
	for i, e := range l.Entries {
		at := fmt.Sprintf("entries[%d].", i)
		c.enum(at+"type", string(e.Type), e.Type)
		if e.Amount < 0 {
			c.problem(at+"amount", "negative; refunds have a type of their own")
		}
		if e.Number == "" && e.ChannelNo == "" && e.HisNo == "" {
			c.problem(at+"number", "no number at all: give number, channel_no or his_no")
		}
	}
	return c.OrNil()
}
