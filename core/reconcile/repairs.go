package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"hishub/core"
)

// Platform makes records that the platform lacks. It is nil where the platform
// is elsewhere; the hub's own ledger is what is mended then.
type Platform interface {
	// Record makes the platform's record of a payment that only the channel knows,
	// which tells the HIS. Again it does nothing new. done is false when the platform
	// cannot, because what was paid is not known to it.
	Record(ctx context.Context, hospital string, e Entry, p Params) (message int64, done bool, err error)
	// PayBack pays back and records a refund that only the HIS's window has, or a payment
	// of the platform's own, which is the finding's one entry of the channel then; done is
	// false when it is none of its business. Again it does nothing new.
	PayBack(ctx context.Context, hospital string, f Finding, p Params) (message int64, done bool, err error)
}

// Repairs decides and carries out repairs.
type Repairs struct {
	Store    Store
	Place    func(ctx context.Context, hospital string) (Place, error)
	Platform Platform
	Log      *slog.Logger
}

// policy is who approves what no person needs to see.
const policy = "policy"

// Automatic reports whether a finding's proposed repair may be carried out
// without a person: only where no money can be wrong, which is a prescription or
// order that was taken back here, is untouched there, and is to be taken back
// there too. (Reversal marks that its message is the one that takes it back.)
func Automatic(f Finding) bool {
	return (f.Type == EntryPrescription || f.Type == EntryOrder) &&
		f.Class == StateDiffers && f.Proposed() == Resend &&
		len(f.Ours) > 0 && f.Ours[0].Reversal && f.Ours[0].Message != 0
}

// Approve is a person's yes to a repair; when that is enough it is carried out
// at once. Errors: ErrSecondPerson, ErrNotOpen, the store's ErrNotFound,
// core.Problems when the repair lacks something.
func (r *Repairs) Approve(ctx context.Context, repair int64, who, note string) (Repair, error) {
	hospital, err := r.Store.RepairHospital(ctx, repair)
	if err != nil {
		return Repair{}, err
	}
	place, err := r.Place(ctx, hospital)
	if err != nil {
		return Repair{}, err
	}
	approved, err := r.Store.Approve(ctx, repair, who, note, place.FourEyesFrom)
	if err != nil || approved.State != RepairApproved {
		return approved, err
	}
	carried, err := r.carryOut(ctx, approved)
	if err != nil && carried.ID == 0 {
		return approved, err
	}
	return carried, err
}

// Sweep carries out what was approved and is not carried out yet, and follows
// what is on its way.
func (r *Repairs) Sweep(ctx context.Context, hospital string) error {
	errs := []error{r.approveByPolicy(ctx, hospital)}
	waiting, err := r.Store.ToCarryOut(ctx, hospital)
	errs = append(errs, err)
	for _, one := range waiting {
		if _, err := r.carryOut(ctx, one); err != nil {
			if !final(err) {
				errs = append(errs, fmt.Errorf("repair %d: %w", one.ID, err))
			} else if r.Log != nil {
				r.Log.Warn("repair failed", "hospital", hospital, "repair", one.ID, "action", one.Action, "error", err)
			}
		}
	}
	return errors.Join(append(errs, r.Store.Follow(ctx, hospital))...)
}

// final: the store has made the repair a failed one.
func final(err error) bool {
	var problems core.Problems
	var conflict *core.Conflict
	return errors.As(err, &problems) || errors.As(err, &conflict) || errors.Is(err, core.ErrCannot)
}

func (r *Repairs) approveByPolicy(ctx context.Context, hospital string) error {
	q := CaseQuery{Hospitals: []string{hospital}, State: CaseOpen, Class: StateDiffers, Limit: 200}
	for {
		cases, err := r.Store.Cases(ctx, q)
		if err != nil {
			return err
		}
		for _, c := range cases {
			if q.Before == 0 || c.ID < q.Before {
				q.Before = c.ID
			}
			one := c.Repair
			if one == nil || one.State != RepairProposed || one.ProposedBy != policy || one.Action != Resend || !Automatic(c.Finding) {
				continue
			}
			// No money, no second person.
			if _, err := r.Store.Approve(ctx, one.ID, policy, "no money can be wrong", math.MaxInt64); err != nil && !errors.Is(err, ErrNotOpen) {
				return fmt.Errorf("approve repair %d by policy: %w", one.ID, err)
			}
		}
		if len(cases) < q.Limit {
			return nil
		}
	}
}

// carryOut does it once: what it enqueues has the case's own numbers and times
// of the approval, so that a repetition is the same message.
func (r *Repairs) carryOut(ctx context.Context, one Repair) (Repair, error) {
	return r.Store.CarryOut(ctx, one.ID, func(ctx context.Context, c Case, one Repair, do Carrier) (int64, error) {
		a := act{Repairs: r, c: c, f: &c.Finding, r: one, do: do}
		switch one.Action {
		case Resend:
			return a.resend(ctx)
		case Reverse:
			return a.reverse(ctx)
		case PayBack:
			return a.payBack(ctx)
		case Record:
			return a.record(ctx)
		case WriteOff:
			return 0, nil
		}
		return 0, lacks("action", "not one that can be carried out")
	})
}

// act is one repair that is being carried out.
type act struct {
	*Repairs
	c  Case
	f  *Finding
	r  Repair
	do Carrier
}

func lacks(field, what string) error { return core.Problems{{Field: field, What: what}} }

// number is one that belongs to the case, and to which of its bookings it is
// about, and never changes.
func (a *act) number(prefix, booking string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s", a.c.Hospital, a.c.ID, booking))
	return prefix + hex.EncodeToString(sum[:10])
}

// at is when the repair was approved: a repetition tells the same time.
func (a *act) at() time.Time {
	if a.r.ApprovedAt.IsZero() {
		return a.r.ProposedAt
	}
	return a.r.ApprovedAt
}

// reason for the channel and the HIS, in bounds of both.
func (a *act) reason() string { return fmt.Sprintf("reconciliation case %d of %s", a.c.ID, a.c.Day) }

// enqueue hands a command in. One that an earlier repair of the case handed in is
// not made anew but goes out again, and whoever may have it is asked first.
func (a *act) enqueue(ctx context.Context, kind core.Kind, b core.Body) (int64, error) {
	if t, ok := b.(interface{ Total() core.Fen }); ok && (kind == core.PayBack || kind == core.RefundCreate) && t.Total() > a.r.Amount {
		return 0, a.tooMuch(t.Total())
	}
	accepted, err := a.do.Enqueue(ctx, a.c.Hospital, core.Message{Kind: kind, Body: b})
	var before *core.Conflict
	if errors.As(err, &before) && onlyApprovedLater(before.Fields) {
		return a.do.Resend(ctx, before.ID, a.r.ApprovedBy, a.r.Note)
	}
	return accepted.ID, err
}

// tooMuch: people said yes to less.
func (a *act) tooMuch(amount core.Fen) error {
	return lacks("amount", fmt.Sprintf("%d fen would go back, and %d fen were approved; pay it back at the channel, or reverse it at the HIS, and record that", amount, a.r.Amount))
}

// onlyApprovedLater: two commands differ in nothing but when they were approved.
func onlyApprovedLater(fields []string) bool {
	return len(fields) == 1 && (fields[0] == "asked_at" || fields[0] == "refunded_at")
}

// resend tells the HIS again.
func (a *act) resend(ctx context.Context) (int64, error) {
	if len(a.f.Ours) == 0 || a.f.Ours[0].Message == 0 {
		return 0, lacks("action", "we never told the HIS of it, so that there is nothing to tell again; record it, or pay it back")
	}
	return a.do.Resend(ctx, a.f.Ours[0].Message, a.r.ApprovedBy, a.r.Note)
}

// reverse takes a booking of the HIS back of which no money moved.
func (a *act) reverse(ctx context.Context) (int64, error) {
	booked, err := a.booked()
	if err != nil {
		return 0, err
	}
	who := a.whose(ctx)
	if who.patientNo == "" {
		return 0, lacks("patient_no", "missing: we know nothing of whose booking it is; propose the repair again with it")
	}
	return a.enqueue(ctx, core.RefundCreate, &core.Refund{
		RefundNo: a.number("RV", booked.HisNo), OrderID: or(booked.Number, a.f.Number),
		VisitNo: who.visitNo, PatientNo: who.patientNo, HisNo: booked.HisNo,
		Amount: booked.Amount, Paid: booked.Amount,
		Channel: or(booked.Channel, "cash"), ChannelNo: or(booked.ChannelNo, "-"), ChannelRefundNo: "-",
		Reason: a.reason(), RefundedAt: a.at(), Reversal: true,
	})
}

// booked is the HIS's booking that is to be taken back.
func (a *act) booked() (Entry, error) {
	ours, his := a.f.Ours, a.f.HIS
	if a.f.Type != core.EntryPayment {
		return Entry{}, lacks("action", "only the booking of a payment can be reversed")
	}
	if a.f.Class == Repeated {
		if len(his) < 2 {
			return Entry{}, lacks("action", "the HIS has it once only: there is nothing of it to reverse")
		}
		last := his[len(his)-1]
		if last.HisNo == "" || last.HisNo == his[0].HisNo {
			return Entry{}, lacks("action", "the HIS gave one booking more than once: its number is the same, so that there is nothing to reverse")
		}
		return last, nil
	}
	switch {
	case len(his) > 0:
		e := his[0]
		if len(ours) > 0 {
			e.Number = or(ours[0].Number, e.Number)
			e.Channel, e.ChannelNo = or(e.Channel, ours[0].Channel), or(e.ChannelNo, ours[0].ChannelNo)
		}
		return e, nil
	// A night by totals names no row of the HIS; what we delivered is there.
	case len(ours) > 0 && ours[0].Told == told:
		return ours[0], nil
	}
	return Entry{}, lacks("action", "the HIS has no booking of it that could be reversed; write it off")
}

// patient is whose money it is.
type patient struct{ visitNo, patientNo string }

// whose says whose entry it is: by the repair's own words, else by the message
// that told of it.
func (a *act) whose(ctx context.Context) patient {
	p := patient{a.r.Params.VisitNo, a.r.Params.PatientNo}
	switch b := a.body(ctx).(type) {
	case *core.Payment:
		p.visitNo, p.patientNo = or(p.visitNo, b.VisitNo), or(p.patientNo, b.PatientNo)
	case *core.Refund:
		p.visitNo, p.patientNo = or(p.visitNo, b.VisitNo), or(p.patientNo, b.PatientNo)
	case *core.AppointmentPayment:
		p.patientNo = or(p.patientNo, b.PatientNo)
	case *core.AppointmentCancelling:
		p.patientNo = or(p.patientNo, b.PatientNo)
	}
	return p
}

// body of the message that told of our entry. Nil when there is none to be read:
// the HIS told us of it, or its body is past its retention; then what is needed
// must come from elsewhere.
func (a *act) body(ctx context.Context) core.Body {
	if len(a.f.Ours) == 0 || a.f.Ours[0].Message == 0 {
		return nil
	}
	b, err := a.do.Body(ctx, a.f.Ours[0].Message)
	if err != nil {
		return nil
	}
	return b
}

// record makes the record that we lack.
func (a *act) record(ctx context.Context) (int64, error) {
	if len(a.f.Ours) > 0 {
		return 0, lacks("action", "we have a record of it already")
	}
	if len(a.f.Channel) == 0 {
		return 0, lacks("action", "the channel has no money of it; what only the HIS has is reversed, or paid back")
	}
	e := a.f.Channel[0]
	if e.Type == core.EntryRefund {
		order := or(a.r.Params.OrderID, e.OrderID)
		if order == "" {
			return 0, lacks("order_id", "missing: of which payment did the money go back? propose the repair again with it")
		}
		return a.enqueue(ctx, core.RecordMoney, a.ledgerRecord(e, order))
	}
	if a.Platform != nil {
		message, done, err := a.Platform.Record(ctx, a.c.Hospital, e, a.r.Params)
		if err != nil || done {
			return message, err
		}
	}
	if len(a.f.HIS) > 0 {
		// The HIS has it: only our own books lack it.
		return a.enqueue(ctx, core.RecordMoney, a.ledgerRecord(e, ""))
	}
	return a.settle(ctx, e)
}

func (a *act) ledgerRecord(e Entry, order string) *core.LedgerRecord {
	return &core.LedgerRecord{
		Type: e.Type, Number: or(e.Number, a.f.Number), OrderID: order, Amount: e.Amount,
		Channel: e.Channel, ChannelNo: or(e.ChannelNo, "-"), At: e.At, Reason: a.reason() + ": recorded from the channel's bill",
	}
}

// settle tells the HIS of a payment that only the channel knows.
func (a *act) settle(ctx context.Context, e Entry) (int64, error) {
	p := a.r.Params
	bill := or(p.Bill, e.Bill)
	var missing core.Problems
	for _, field := range []struct{ name, value string }{{"visit_no", p.VisitNo}, {"patient_no", p.PatientNo}, {"bill", bill}} {
		if field.value == "" {
			missing = append(missing, core.Problem{Field: field.name, What: "missing: what was paid is not known here; propose the repair again with it, or pay it back"})
		}
	}
	if len(missing) > 0 {
		return 0, missing
	}
	return a.enqueue(ctx, core.PaymentSettle, &core.Payment{
		OrderID: or(e.Number, a.f.Number), VisitNo: p.VisitNo, PatientNo: p.PatientNo, Bills: bills(bill),
		Amount: e.Amount, Channel: e.Channel, ChannelNo: e.ChannelNo, PaidAt: e.At,
	})
}

// bills are the numbers in a text that joins them by commas.
func bills(text string) (all []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// or is the first that says something.
func or[T ~string](values ...T) T {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
