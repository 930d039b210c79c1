package books

import (
	"fmt"
	"slices"
	"time"
)

// Edit changes the books behind everybody's back, so that the night has
// something to find. It names one thing and says one thing about it. Every fake
// hospital understands the same edits, as far as it has what they are about.
type Edit struct {
	// A booking, by the caller's number (a refund also by the HIS's), and what
	// becomes of it: Remove, AmountFen, Date, Operator, Duplicate, Reverse.
	Settlement string `json:"settlement,omitempty"`
	Refund     string `json:"refund,omitempty"`
	// A prescription or an order for tests, by the caller's number, and its State.
	Prescription string `json:"prescription,omitempty"`
	Order        string `json:"order,omitempty"`
	// Add is a settlement that nobody told; with registration it may be free.
	Add *Settlement `json:"add,omitempty"`
	// AddReversed is one that was taken back at once: two rows.
	AddReversed *Settlement `json:"add_reversed,omitempty"`
	// AddRefund was given at the window. Without a number it has only the HIS's own;
	// the operator is that of the settlement where none is given.
	AddRefund *Refund `json:"add_refund,omitempty"`
	// Twice: from now on details of the ledger list every row twice, or no longer.
	Twice *bool `json:"twice,omitempty"`
	// Clock stops the hospital's clock at a time (TimeLayout); "" lets it go again.
	Clock *string `json:"clock,omitempty"`

	Remove    bool   `json:"remove,omitempty"`
	AmountFen *int64 `json:"amount_fen,omitempty"`
	// Date (TimeLayout) is both the caller's time and the hospital's.
	Date     string `json:"date,omitempty"`
	Operator string `json:"operator,omitempty"`
	// Duplicate books it a second time, under another number of the HIS.
	Duplicate bool `json:"duplicate,omitempty"`
	// Reverse takes a settlement back without money moving.
	Reverse bool `json:"reverse,omitempty"`
	// State of a prescription: saved, settled, voided, dispensed, returned; of an
	// order: saved, settled, voided, performed.
	State string `json:"state,omitempty"`
}

var (
	prescriptionStates = []string{Saved, Settled, Voided, Dispensed, Returned}
	orderStates        = []string{Saved, Settled, Voided, Performed}
)

// Check refuses an edit that says nothing or too much.
func (e Edit) Check() error {
	booking := e.Settlement != "" || e.Refund != ""
	advice := e.Prescription != "" || e.Order != ""
	verbs := count(e.Remove, e.AmountFen != nil, e.Date != "", e.Operator != "", e.Duplicate, e.Reverse)
	switch {
	case count(e.Settlement != "", e.Refund != "", e.Prescription != "", e.Order != "", e.Add != nil, e.AddReversed != nil, e.AddRefund != nil, e.Twice != nil, e.Clock != nil) != 1:
		return fmt.Errorf("edit: name one of settlement, refund, prescription, order, add, add_reversed, add_refund, twice, clock")
	case e.Add != nil && (e.Add.Order == "" || e.Add.AmountFen <= 0 && !e.Add.Registration || e.Add.AmountFen < 0):
		return fmt.Errorf("edit: add needs order and amount_fen; only a registration may be free")
	case e.AddReversed != nil && (e.AddReversed.Order == "" || e.AddReversed.AmountFen <= 0):
		return fmt.Errorf("edit: add_reversed needs order and amount_fen")
	case e.AddRefund != nil && (e.AddRefund.Order == "" || e.AddRefund.AmountFen <= 0):
		return fmt.Errorf("edit: add_refund needs order, of the settlement, and amount_fen")
	case booking && verbs != 1:
		return fmt.Errorf("edit: say one of remove, amount_fen, date, operator, duplicate, reverse")
	case !booking && verbs != 0:
		return fmt.Errorf("edit: remove, amount_fen, date, operator, duplicate and reverse are about a settlement or a refund")
	case e.Reverse && e.Settlement == "":
		return fmt.Errorf("edit: only a settlement is reversed")
	case advice != (e.State != ""):
		return fmt.Errorf("edit: say the state of a prescription or an order, and of nothing else")
	case e.Prescription != "" && !slices.Contains(prescriptionStates, e.State):
		return fmt.Errorf("edit: a prescription is none of %v", prescriptionStates)
	case e.Order != "" && !slices.Contains(orderStates, e.State):
		return fmt.Errorf("edit: an order is none of %v", orderStates)
	}
	for _, t := range []string{e.Date, e.clock(), e.added()} {
		if _, err := time.Parse(TimeLayout, t); t != "" && err != nil {
			return fmt.Errorf("edit: write times as %s", TimeLayout)
		}
	}
	return nil
}

func (e Edit) clock() string {
	if e.Clock == nil {
		return ""
	}
	return *e.Clock
}

// added is when what is added was, where the edit says so.
func (e Edit) added() string {
	switch {
	case e.Add != nil:
		return e.Add.PaidAt
	case e.AddReversed != nil:
		return e.AddReversed.PaidAt
	case e.AddRefund != nil:
		return e.AddRefund.RefundedAt
	}
	return ""
}

func count(are ...bool) (n int) {
	for _, is := range are {
		if is {
			n++
		}
	}
	return n
}

// At reads a time of an edit, which Check has seen.
func At(t string) time.Time {
	at, _ := time.ParseInLocation(TimeLayout, t, Zone)
	return at
}

// Edit applies e, or says what is not there.
func (b *Books) Edit(e Edit) error {
	if err := e.Check(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case e.Twice != nil:
		b.twice = *e.Twice
	case e.Clock != nil:
		b.clock = time.Time{}
		if *e.Clock != "" {
			b.clock = At(*e.Clock)
		}
	case e.Add != nil:
		b.add(*e.Add)
	case e.AddReversed != nil:
		b.reverse(b.add(*e.AddReversed))
	case e.AddRefund != nil:
		return b.addRefund(*e.AddRefund)
	case e.Settlement != "":
		return b.editSettlement(e)
	case e.Refund != "":
		return b.editRefund(e)
	case e.Prescription != "":
		p := b.rx[e.Prescription]
		if p == nil {
			return fmt.Errorf("edit: no prescription %s", e.Prescription)
		}
		p.State = e.State
		if e.State == Voided {
			b.voids = append(b.voids, Void{No: p.No, Reason: "院内作废", At: b.now()})
		}
	case e.Order != "":
		o := b.order(e.Order)
		if o == nil {
			return fmt.Errorf("edit: no order %s", e.Order)
		}
		o.State = e.State
	}
	return nil
}

// add books what was paid at a time, by both clocks.
func (b *Books) add(s Settlement) *Settlement {
	b.settle(&s)
	s.At = At(s.PaidAt)
	return &s
}

func (b *Books) reverse(s *Settlement) {
	r := &Refund{Order: s.Order, HisNo: b.number("C"), ChannelNo: s.ChannelNo, Operator: s.Operator, AmountFen: s.AmountFen, RefundedAt: s.PaidAt, At: s.At, Reversal: true}
	s.RefundedFen = s.AmountFen
	b.refunds = append(b.refunds, r)
}

func (b *Books) addRefund(r Refund) error {
	paid := b.orders[r.Order]
	if paid == nil {
		return fmt.Errorf("edit: no settlement %s", r.Order)
	}
	if r.HisNo == "" {
		r.HisNo = b.number("W")
	}
	if r.Operator == "" {
		r.Operator = paid.Operator
	}
	if r.RefundedAt == "" {
		r.RefundedAt = b.now().Format(TimeLayout)
	}
	r.ChannelNo, r.At = paid.ChannelNo, At(r.RefundedAt)
	paid.RefundedFen += r.AmountFen
	b.refunds = append(b.refunds, &r)
	if r.No != "" && b.backs[r.No] == nil {
		b.backs[r.No] = &r
	}
	return nil
}

func (b *Books) editSettlement(e Edit) error {
	s := b.orders[e.Settlement]
	switch {
	case s == nil:
		return fmt.Errorf("edit: no settlement %s", e.Settlement)
	case e.Remove:
		b.settlements = slices.DeleteFunc(b.settlements, func(x *Settlement) bool { return x.Order == e.Settlement })
		delete(b.orders, e.Settlement)
	case e.AmountFen != nil:
		s.AmountFen = *e.AmountFen
	case e.Date != "":
		s.PaidAt, s.At = e.Date, At(e.Date)
	case e.Operator != "":
		s.Operator = e.Operator
	case e.Duplicate:
		again := *s
		again.HisNo, again.RefundedFen = b.number("S"), 0
		b.settlements = append(b.settlements, &again)
	case e.Reverse:
		b.reverse(s)
	}
	return nil
}

func (b *Books) editRefund(e Edit) error {
	r := first(b.refunds, func(x *Refund) bool { return x.No == e.Refund || x.HisNo == e.Refund })
	switch {
	case r == nil:
		return fmt.Errorf("edit: no refund %s", e.Refund)
	case e.Remove:
		b.refunds = slices.DeleteFunc(b.refunds, func(x *Refund) bool { return x == r || r.No != "" && x.No == r.No })
		delete(b.backs, r.No)
	case e.AmountFen != nil:
		r.AmountFen = *e.AmountFen
	case e.Date != "":
		r.RefundedAt, r.At = e.Date, At(e.Date)
	case e.Operator != "":
		r.Operator = e.Operator
	case e.Duplicate:
		again := *r
		again.HisNo = b.number("T")
		b.refunds = append(b.refunds, &again)
	}
	return nil
}
