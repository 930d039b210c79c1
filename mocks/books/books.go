// Package books keeps what a fake hospital accepted: prescriptions, settlements,
// refunds, voids, and a journal of every request it read. Tests and demos judge
// by these books whether something was lost or done twice.
package books

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Zone is the hospital's time zone; its documents carry times without one.
var Zone = time.FixedZone("CST", 8*60*60)

// TimeLayout is how the hospitals write a time, in Zone.
const TimeLayout = "2006-01-02 15:04:05"

// States of a prescription.
const (
	Saved   = "saved"
	Settled = "settled"
	Voided  = "voided"
	// Dispensed: the drugs were handed out; Returned: and taken back.
	Dispensed = "dispensed"
	Returned  = "returned"
	// Performed: of an order, the tests were done.
	Performed = "performed"
)

// Repeats says how a business key that is in the books already is treated.
type Repeats string

const (
	Refuse Repeats = "refuse" // the "already" code of the dialect, with what is held
	Same   Repeats = "same"   // the first answer again; another amount is a conflict
	Double Repeats = "double" // booked again, so that a delivery sent twice shows
)

// Prescription is one that was accepted.
type Prescription struct {
	No          string    `json:"no"` // the caller's number
	HisNo       string    `json:"his_no"`
	VisitNo     string    `json:"visit_no"`
	PatientID   string    `json:"patient_id"`
	PatientName string    `json:"patient_name"`
	AmountFen   int64     `json:"amount_fen"`
	Lines       []Line    `json:"lines"`
	State       string    `json:"state"`
	At          time.Time `json:"at"`
}

// Line of a prescription. Qty and Price (yuan) keep the spelling they came in.
type Line struct {
	No        int    `json:"no"`
	Code      string `json:"code"`
	Name      string `json:"name"`
	Spec      string `json:"spec,omitempty"`
	Unit      string `json:"unit,omitempty"`
	Qty       string `json:"qty"`
	Price     string `json:"price"`
	AmountFen int64  `json:"amount_fen"`
}

// Settlement is money booked for one of the caller's orders.
type Settlement struct {
	Order       string    `json:"order"`
	HisNo       string    `json:"his_no"` // receipt or invoice
	Channel     string    `json:"channel"`
	ChannelNo   string    `json:"channel_no"`
	Operator    string    `json:"operator"`
	Bills       []string  `json:"bills"`
	AmountFen   int64     `json:"amount_fen"`
	RefundedFen int64     `json:"refunded_fen"`
	PaidAt      string    `json:"paid_at"` // the caller's pay time, TimeLayout
	At          time.Time `json:"at"`      // by the hospital's own clock
	// Registration of a visit; free ones are booked with an amount of 0.
	Registration bool `json:"registration,omitempty"`
}

// Refund is money given back out of a settlement.
type Refund struct {
	No         string `json:"no"` // the caller's number; "" of what was given back at the window
	Order      string `json:"order"`
	HisNo      string `json:"his_no"`
	ChannelNo  string `json:"channel_no"`
	Operator   string `json:"operator"`
	AmountFen  int64  `json:"amount_fen"`
	RefundedAt string `json:"refunded_at"`
	// Lines that went back, where the caller named them.
	Lines []RefundLine `json:"lines,omitempty"`
	At    time.Time    `json:"at"`
	// Reversal: the booking is taken back, no money moved.
	Reversal bool `json:"reversal,omitempty"`
}

// Void is a prescription taken back.
type Void struct {
	No     string    `json:"no"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Entry of the journal: one request that was read, and what it did.
type Entry struct {
	At        time.Time `json:"at"`
	Operation string    `json:"operation"`
	Key       string    `json:"key"`
	Effect    string    `json:"effect"`
	Fault     string    `json:"fault,omitempty"`
}

// Export is a copy of the books.
type Export struct {
	Prescriptions []Prescription `json:"prescriptions"`
	Settlements   []Settlement   `json:"settlements"`
	Refunds       []Refund       `json:"refunds"`
	Voids         []Void         `json:"voids"`
	Journal       []Entry        `json:"journal"`
	ClinicExport
}

// Effect of a request on the books.
type Effect string

const (
	Done     Effect = "done"
	Again    Effect = "again"    // booked a second time
	Already  Effect = "already"  // there, nothing booked; to be answered with the "already" code
	Repeated Effect = "repeated" // there, nothing booked; to be answered like the first time
	Conflict Effect = "conflict" // there with another amount
	Refused  Effect = "refused"
)

// Result of a request: the effect and what the books hold now.
type Result struct {
	Effect    Effect
	HisNo     string
	AmountFen int64
	Words     string // why it was refused
}

// Journal is how the result is written in the journal.
func (r Result) Journal() string {
	switch r.Effect {
	case Refused:
		return "refused: " + r.Words
	case Conflict:
		return "refused: 重复提交内容不一致"
	case Repeated:
		return string(Already)
	}
	return string(r.Effect)
}

// Books in memory; safe for concurrent use.
type Books struct {
	repeats Repeats

	mu            sync.Mutex
	serial        int
	prescriptions []*Prescription
	settlements   []*Settlement
	refunds       []*Refund
	voids         []Void
	journal       []Entry

	rx     map[string]*Prescription // by the caller's number and by the HIS's; the first one if there are two
	orders map[string]*Settlement
	backs  map[string]*Refund

	clinic clinic

	clock time.Time // where the hospital's clock stands; zero: it goes
	twice bool      // details of the ledger list every row twice
}

// New opens empty books.
func New(repeats Repeats) *Books {
	return &Books{
		repeats: repeats,
		rx:      map[string]*Prescription{}, orders: map[string]*Settlement{}, backs: map[string]*Refund{},
	}
}

// Number makes the next number of the HIS: the letter and a serial.
func (b *Books) Number(letter string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.number(letter)
}

func (b *Books) number(letter string) string {
	b.serial++
	return fmt.Sprintf("%s%07d", letter, b.serial)
}

// repeated decides about a key that is in the books.
func (b *Books) repeated(hisNo string, held, asked int64) Result {
	r := Result{Effect: Already, HisNo: hisNo, AmountFen: held}
	if b.repeats == Same {
		r.Effect = Repeated
		if held != asked {
			r.Effect = Conflict
		}
	}
	return r
}

// Save books a prescription. It is refused when its lines do not add up.
func (b *Books) Save(p Prescription) Result {
	var sum int64
	for _, line := range p.Lines {
		sum += line.AmountFen
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	effect := Done
	if held := b.rx[p.No]; held != nil {
		if b.repeats != Double {
			return b.repeated(held.HisNo, held.AmountFen, p.AmountFen)
		}
		effect = Again
	}
	if len(p.Lines) == 0 {
		return Result{Effect: Refused, Words: "处方无明细"}
	}
	if sum != p.AmountFen {
		return Result{Effect: Refused, Words: "明细金额与总额不符"}
	}
	p.HisNo, p.State, p.At = b.number("R"), Saved, b.now()
	b.prescriptions = append(b.prescriptions, &p)
	b.rx[p.HisNo] = &p
	if effect == Done {
		b.rx[p.No] = &p
	}
	return Result{Effect: effect, HisNo: p.HisNo, AmountFen: p.AmountFen}
}

// Void takes a prescription back. Voiding twice is Already and harmless.
func (b *Books) Void(no, reason string) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.rx[no]
	switch {
	case held == nil:
		return Result{Effect: Refused, Words: "处方不存在"}
	case held.State == Voided:
		return Result{Effect: Already, HisNo: held.HisNo, AmountFen: held.AmountFen}
	case held.State != Saved:
		return Result{Effect: Refused, Words: "处方已收费，不能作废"}
	}
	held.State = Voided
	b.voids = append(b.voids, Void{No: held.No, Reason: reason, At: b.now()})
	return Result{Effect: Done, HisNo: held.HisNo, AmountFen: held.AmountFen}
}

// Settle books money. HisNo is made when it is empty; PaidAt is now when empty.
func (b *Books) Settle(s Settlement) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	effect := Done
	if held := b.orders[s.Order]; held != nil {
		if b.repeats != Double {
			return b.repeated(held.HisNo, held.AmountFen, s.AmountFen)
		}
		effect = Again
	}
	if s.AmountFen <= 0 {
		return Result{Effect: Refused, Words: "金额错误"}
	}
	if b.voided(s.Bills) {
		return Result{Effect: Refused, Words: "处方已作废"}
	}
	b.settle(&s)
	return Result{Effect: effect, HisNo: s.HisNo, AmountFen: s.AmountFen}
}

func (b *Books) settle(s *Settlement) {
	if s.HisNo == "" {
		s.HisNo = b.number("S")
	}
	s.At = b.now()
	if s.PaidAt == "" {
		s.PaidAt = s.At.Format(TimeLayout)
	}
	b.settlements = append(b.settlements, s)
	if b.orders[s.Order] == nil {
		b.orders[s.Order] = s
	}
	for _, bill := range s.Bills {
		if p := b.rx[bill]; p != nil && p.State == Saved {
			p.State = Settled
		}
	}
	b.settleOrders(s.Bills)
}

// Voided reports whether one of the bills is a voided prescription.
func (b *Books) Voided(bills []string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.voided(bills)
}

func (b *Books) voided(bills []string) bool {
	for _, bill := range bills {
		if p := b.rx[bill]; p != nil && p.State == Voided {
			return true
		}
	}
	return b.cancelledOrder(bills)
}

// Refund gives money back; never more than is left of the settlement. HisNo is
// made when it is empty.
func (b *Books) Refund(r Refund, receipt string) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refund(r, receipt)
}

func (b *Books) refund(r Refund, receipt string) Result {
	effect := Done
	if held := b.backs[r.No]; held != nil {
		if b.repeats != Double {
			return b.repeated(held.HisNo, held.AmountFen, r.AmountFen)
		}
		effect = Again
	}
	paid := b.orders[r.Order]
	switch {
	case paid == nil || receipt != "" && receipt != paid.HisNo:
		return Result{Effect: Refused, Words: "未找到收费记录"}
	case r.AmountFen <= 0:
		return Result{Effect: Refused, Words: "金额错误"}
	case paid.RefundedFen+r.AmountFen > paid.AmountFen:
		return Result{Effect: Refused, Words: "退款金额超过已收金额"}
	}
	paid.RefundedFen += r.AmountFen
	if r.HisNo == "" {
		r.HisNo = b.number("T")
	}
	r.ChannelNo, r.At = paid.ChannelNo, b.now()
	if r.RefundedAt == "" {
		r.RefundedAt = r.At.Format(TimeLayout)
	}
	b.refunds = append(b.refunds, &r)
	if effect == Done {
		b.backs[r.No] = &r
	}
	return Result{Effect: effect, HisNo: r.HisNo, AmountFen: r.AmountFen}
}

// Note writes one line of the journal.
func (b *Books) Note(operation, key, effect, fault string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.journal = append(b.journal, Entry{At: b.now(), Operation: operation, Key: key, Effect: effect, Fault: fault})
}

// now is the hospital's clock, which control can stop.
func (b *Books) now() time.Time {
	if !b.clock.IsZero() {
		return b.clock
	}
	return time.Now().In(Zone)
}

// Day is the date part of a time in TimeLayout.
func Day(t string) string {
	day, _, _ := strings.Cut(t, " ")
	return day
}

// Check refuses a word that is none of the three.
func (r Repeats) Check() error {
	if r != Refuse && r != Same && r != Double {
		return fmt.Errorf("repeats %q: want refuse, same or double", string(r))
	}
	return nil
}
