package reconcile

import (
	"slices"

	"hishub/core"
	"hishub/core/delivery"
)

// Class is what an entry, or a group of them, comes to.
type Class string

const (
	// Matched (平账): every party that must have it has it, alike.
	Matched Class = "matched"
	// InTransit: we have not told the HIS yet, and it does not have it.
	InTransit Class = "in_transit"
	// RefundInTransit (退款在途): the channel has not paid it back yet, within the time that it may take.
	RefundInTransit Class = "refund_in_transit"
	// CrossDay (跨日): so near the day's end that another party may date it on the
	// next day, or an entry whose group counts on another day.
	CrossDay Class = "cross_day"
	// Excluded by rule: zero yuan, a reversed booking, cancelled before it took
	// effect, a rule of the folder.
	Excluded Class = "excluded"
	// MissingAtHIS (长款): the money is there, the HIS has no booking.
	MissingAtHIS Class = "missing_at_his"
	// MissingHere (漏单): the channel has it (for a refund: or the HIS), and we know nothing of it.
	MissingHere Class = "missing_here"
	// WithoutMoney (短款): booked at the HIS or by us, and the channel has no money for it.
	WithoutMoney Class = "without_money"
	// PaidTwice (重复支付): the channel took money again for what was paid.
	PaidTwice Class = "paid_twice"
	// AmountDiffers (金额不符).
	AmountDiffers Class = "amount_differs"
	// StateDiffers (状态不符): done for one, not done or taken back for another.
	StateDiffers Class = "state_differs"
	// Repeated: one party has the same more than once.
	Repeated Class = "repeated"
	// Ambiguous: an entry without our number fits more than one of ours, or its
	// numbers point to different ones.
	Ambiguous Class = "ambiguous"
)

// Owner is whose work a difference is by default.
type Owner string

const (
	Finance    Owner = "finance"
	Operations Owner = "operations"
	HospitalIT Owner = "hospital_it"
)

// Action is a repair.
type Action string

const (
	// Resend tells the HIS again of what we told before; it is asked first whether it has it.
	Resend Action = "resend"
	// Reverse takes a booking of the HIS back of which no money moved.
	Reverse Action = "reverse"
	// PayBack has the channel pay money back; what we knew nothing of is recorded with it.
	PayBack Action = "pay_back"
	// Record makes the record that the platform lacks, and so tells the HIS.
	Record Action = "record"
	// WriteOff leaves it as it is, with a reason.
	WriteOff Action = "write_off"
)

// Meaning of a class for people.
type Meaning struct {
	Class Class
	// Chinese is finance's own word.
	Chinese string
	// Difference: somebody must look into it.
	Difference bool
	Owner      Owner
	// Repairs that are allowed, the one that is proposed first.
	Repairs []Action
}

// Meanings is every class, in the order of reports.
var Meanings = []Meaning{
	{Matched, "平账", false, "", nil},
	{InTransit, "在途", false, "", nil},
	{RefundInTransit, "退款在途", false, "", nil},
	{CrossDay, "跨日", false, "", nil},
	{Excluded, "不计", false, "", nil},
	{MissingAtHIS, "长款", true, Operations, []Action{Resend, PayBack, WriteOff}},
	{MissingHere, "漏单", true, Finance, []Action{Record, PayBack, WriteOff}},
	{WithoutMoney, "短款", true, Finance, []Action{Reverse, PayBack, WriteOff}},
	{PaidTwice, "重复支付", true, Finance, []Action{PayBack, WriteOff}},
	{AmountDiffers, "金额不符", true, Finance, []Action{WriteOff}},
	{StateDiffers, "状态不符", true, Operations, []Action{Resend, Reverse, PayBack, WriteOff}},
	{Repeated, "重复", true, HospitalIT, []Action{Reverse, WriteOff}},
	{Ambiguous, "不明", true, HospitalIT, []Action{WriteOff}},
}

// Classes lists all, in the order of reports.
var Classes = func() (all []Class) {
	for _, m := range Meanings {
		all = append(all, m.Class)
	}
	return all
}()

// Meaning of the class.
func (c Class) Meaning() Meaning {
	i := slices.IndexFunc(Meanings, func(m Meaning) bool { return m.Class == c })
	if i < 0 {
		return Meaning{Class: c, Chinese: string(c), Difference: true, Owner: Finance, Repairs: []Action{WriteOff}}
	}
	return Meanings[i]
}

// Difference reports whether somebody must look into entries of the class.
func (c Class) Difference() bool { return c.Meaning().Difference }

// Proposed is the repair that the policy proposes for a finding; "" when a person must think first.
func (f *Finding) Proposed() Action {
	switch {
	case f.Class == WithoutMoney && f.Type == core.EntryRefund:
		return PayBack
	case f.Class == MissingHere && f.Type == core.EntryRefund && len(f.HIS) > 0 && len(f.Channel) == 0:
		return PayBack // the window gave it back, the patient has not got it
	case f.Class == MissingAtHIS && f.Type == core.EntryPayment && len(f.Ours) > 0 && f.Ours[0].Told == delivery.Cancelled:
		return PayBack // the HIS refused it for good, or somebody gave up telling it: there is nothing to tell again
	case f.Class == MissingHere && f.Type == core.EntryPayment && len(f.HIS) == 0 && (len(f.Channel) == 0 || f.Channel[0].Bill == ""):
		return "" // nobody says what was paid: a person must find out, or have it paid back
	case f.Class == AmountDiffers || f.Class == Ambiguous || f.Class == Repeated:
		return ""
	case f.Class.Difference() && len(f.Class.Meaning().Repairs) > 0:
		return f.Class.Meaning().Repairs[0]
	}
	return ""
}
