package rx

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

// When a HIS is told of a prescription.
const (
	tellPaid     = "paid"
	tellApproved = "approved"
)

func (s *Service) tellAt(ctx context.Context, tx pgx.Tx, hospital string) (at string, err error) {
	err = tx.QueryRow(ctx, `select coalesce((select tell_at from rx.setting where hospital = $1), 'paid')`, hospital).Scan(&at)
	return at, err
}

// TellWhen sets when a hospital's HIS is told of prescriptions: "paid", or "approved"
// where the HIS makes the bill and has its own price.
func (s *Service) TellWhen(ctx context.Context, hospital, at string) error {
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return err
	}
	if at == tellApproved && !place.Can(core.BillUnpaid) {
		return fmt.Errorf("set when to tell: %w: the hospital's folder has no bill.unpaid, which then gives the price", clinic.ErrRule)
	}
	_, err = s.Database.Exec(ctx, `insert into rx.setting (hospital, tell_at) values ($1, $2) on conflict (hospital) do update set tell_at = excluded.tell_at`, hospital, at)
	return err
}

// price of items by the catalogue.
func (s *Service) price(ctx context.Context, hospital string, items []Item) ([]order.Line, error) {
	lines := make([]order.Line, len(items))
	for i, it := range items {
		d, err := s.Drugs.Drug(ctx, hospital, it.Code)
		if err != nil {
			return nil, err
		}
		if d.Closed || d.Price == "" {
			return nil, fmt.Errorf("%w: %s is not sold any more", clinic.ErrRule, d.Name)
		}
		amount, err := core.LineAmount(it.Qty, d.Price)
		if err != nil {
			return nil, fmt.Errorf("price %s: %w", it.Code, err)
		}
		lines[i] = order.Line{LineNo: fmt.Sprint(i + 1), Code: it.Code, Name: it.Name, Qty: it.Qty, UnitPrice: d.Price, Amount: amount}
	}
	return lines, nil
}

// Price implements order.Subject: the HIS's own bill where it makes one, else its price of
// each drug, now.
func (s *Service) Price(ctx context.Context, o order.Order) ([]order.Line, error) {
	rx, err := s.Get(ctx, o.Hospital, o.Subject)
	if err != nil {
		return nil, err
	}
	if rx.told {
		answer, err := s.Ask(ctx, o.Hospital, core.BillUnpaid, &core.BillQuery{VisitNo: rx.Content.VisitNo, PatientNo: rx.Content.PatientNo})
		if err != nil {
			return nil, err
		}
		return billed(answer.(*core.Bills), rx.No)
	}
	place, err := s.Place(ctx, o.Hospital)
	if err != nil {
		return nil, err
	}
	lines, err := s.price(ctx, o.Hospital, rx.Content.Items)
	if err != nil || !place.Can(core.DrugList) {
		return lines, err
	}
	for i := range lines {
		answer, err := s.Ask(ctx, o.Hospital, core.DrugList, &core.DictionaryQuery{Code: lines[i].Code})
		if err != nil {
			return nil, err
		}
		now, ok := drugOf(answer.(*core.Drugs), lines[i].Code)
		if !ok || now.Closed {
			return nil, fmt.Errorf("%w: %s is not sold any more", clinic.ErrRule, lines[i].Name)
		}
		if now.Price == "" {
			continue
		}
		if lines[i].Amount, err = core.LineAmount(lines[i].Qty, now.Price); err != nil {
			return nil, fmt.Errorf("price %s: %w", lines[i].Code, err)
		}
		lines[i].UnitPrice = now.Price
	}
	return lines, nil
}

func drugOf(all *core.Drugs, code string) (core.Drug, bool) {
	for _, d := range all.Drugs {
		if d.Code == code {
			return d, true
		}
	}
	return core.Drug{}, false
}

func billed(bills *core.Bills, no string) (lines []order.Line, err error) {
	for _, b := range bills.Bills {
		if b.PrescriptionNo != no {
			continue
		}
		if len(b.Lines) == 0 {
			lines = append(lines, order.Line{Name: b.Title, Amount: b.Amount, BillNo: b.BillNo})
		}
		var sum core.Fen
		for _, l := range b.Lines {
			lines = append(lines, order.Line{LineNo: l.LineNo, Code: l.Code, Name: l.Name, Qty: l.Qty, UnitPrice: l.UnitPrice, Amount: l.Amount, BillNo: b.BillNo})
			sum += l.Amount
		}
		if len(b.Lines) > 0 && sum != b.Amount {
			return nil, fmt.Errorf("%w: the hospital's bill of %s yuan has lines of %s; its desk must look", clinic.ErrRule, b.Amount, sum)
		}
	}
	if lines == nil {
		return nil, fmt.Errorf("%w: the hospital has no bill for this prescription yet", clinic.ErrState)
	}
	return lines, nil
}

// Paid implements order.Subject: the HIS is told of the prescription, unless it was, and
// of the money.
func (s *Service) Paid(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, p order.Payment) error {
	rx, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	if err != nil {
		return err
	}
	to := Paid
	if rx.HisNo != "" {
		to = SentHIS
	}
	if _, err := States.Move(rx.State, Paid); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `update rx.prescription set state = $2, updated_at = clock_timestamp() where no = $1`, rx.No, to); err != nil {
		return err
	}
	if !rx.told {
		if err := s.tell(ctx, tx, outbox, rx, o.Lines); err != nil {
			return err
		}
	}
	if err := s.Fulfilment.Start(ctx, tx, rx.Hospital, rx.No, rx.Patient, rx.account, *rx.ValidUntil); err != nil {
		return err
	}
	if p.Amount == 0 {
		return nil
	}
	bills := []string{}
	for _, l := range o.Lines {
		if l.BillNo != "" && (len(bills) == 0 || bills[len(bills)-1] != l.BillNo) {
			bills = append(bills, l.BillNo)
		}
	}
	if len(bills) == 0 {
		bills = []string{rx.No}
	}
	c := rx.Content
	_, err = outbox.Enqueue(ctx, o.Hospital, core.Message{Kind: core.PaymentSettle, Body: &core.Payment{
		OrderID: o.No, VisitNo: c.VisitNo, PatientNo: c.PatientNo, PatientName: c.PatientName, Amount: p.Amount, Channel: p.Channel, ChannelNo: p.ChannelNo, PaidAt: p.At, Bills: bills,
	}})
	return err
}

// tell the HIS of a prescription as it was signed and reviewed, at the prices of the order.
func (s *Service) tell(ctx context.Context, tx pgx.Tx, outbox core.Outbox, rx Rx, lines []order.Line) error {
	c := rx.Content
	var signature []byte
	if err := tx.QueryRow(ctx, `select signature from rx.revision where no = $1 and revision = $2`, rx.No, rx.Revision).Scan(&signature); err != nil {
		return err
	}
	code, reviewed, err := s.reviewOf(ctx, tx, rx.No, rx.Revision)
	if err != nil {
		return err
	}
	k, err := s.Consults.Get(ctx, rx.Hospital, rx.Consult)
	if err != nil {
		return err
	}
	author, err := s.idNoOf(ctx, tx, rx.author)
	if err != nil {
		return err
	}
	m := &core.Prescription{
		No: rx.No, VisitNo: c.VisitNo, PatientNo: c.PatientNo, PatientName: c.PatientName, Sex: c.Sex, BirthDate: c.BirthDate, IDNo: c.IDNo,
		DepartmentCode: c.DepartmentCode, DepartmentName: c.DepartmentName, DoctorCode: c.DoctorCode, DoctorName: c.DoctorName, PharmacistCode: code,
		Category: c.Category, Diagnoses: c.Diagnoses, WrittenAt: c.WrittenAt, ValidUntil: c.ValidUntil, Note: c.Note,
		Writing: &core.Writing{DoctorIDNo: author, Signature: base64.StdEncoding.EncodeToString(signature)}, Review: reviewed,
		Consultation: &core.Consultation{No: k.No, StartedAt: k.StartedAt, Complaint: k.Complaint, History: k.History, Allergies: k.Allergies},
	}
	if len(lines) != len(c.Items) {
		return fmt.Errorf("%w: the order of %s has %d lines for %d drugs", clinic.ErrRule, rx.No, len(lines), len(c.Items))
	}
	for i, it := range c.Items {
		m.Items = append(m.Items, core.Item{Code: it.Code, Name: it.Name, Spec: it.Spec, Qty: it.Qty, Unit: it.Unit, UnitPrice: lines[i].UnitPrice, Amount: lines[i].Amount,
			Dose: it.Dose, DoseUnit: it.DoseUnit, Frequency: it.Frequency, Route: it.Route, Days: it.Days, Note: it.Note})
		m.Amount += lines[i].Amount
	}
	if _, err := outbox.Enqueue(ctx, rx.Hospital, core.Message{Kind: core.PrescriptionCreate, Body: m}); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update rx.prescription set told_at = clock_timestamp() where no = $1`, rx.No)
	return err
}

// Closed implements order.Subject: nobody paid in time, so the prescription is over; a
// HIS that was told of it is told of that, too.
func (s *Service) Closed(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order) error {
	rx, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	if err != nil || rx.State != Approved {
		return err // voided, and the order closed for that
	}
	return s.end(ctx, tx, outbox, rx, Expired, "hub", "未在有效期内支付")
}

// Refunded implements order.Subject. What was handed out is not paid back here; when all
// goes back the prescription is void, at the HIS too.
func (s *Service) Refunded(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, r order.Refund) error {
	rx, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	if err != nil {
		return err
	}
	switch {
	case rx.State == Dispensed && !r.ByWindow:
		return fmt.Errorf("%w: the drugs were handed out; the hospital's pharmacy takes them back first", clinic.ErrRule)
	case r.ByPatient && !slices.Contains([]State{Paid, SentHIS, Returned}, rx.State):
		return fmt.Errorf("%w: the prescription is %s; the hospital decides", clinic.ErrRule, rx.State)
	case r.ByPatient && len(r.Lines) == 0 && o.Refunded+r.Amount < o.Amount:
		return fmt.Errorf("%w: drugs go back by whole lines; the hospital decides about a part", clinic.ErrRule)
	case o.Refunded+r.Amount < o.Amount, rx.State == Void, rx.State == Dispensed, rx.State == Returned:
		return nil
	}
	return s.end(ctx, tx, outbox, rx, Void, rx.Content.DoctorCode, r.Reason)
}

var _ order.Ender = (*Service)(nil)

// Ended implements order.Ender: a void prescription stays so, here and at the HIS.
func (s *Service) Ended(ctx context.Context, tx pgx.Tx, o order.Order) (bool, error) {
	rx, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	return rx.State == Void || rx.State == Expired, err
}

// Returned implements order.Subject: the HIS hears of the money that went back.
func (s *Service) Returned(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, r order.Refund, b order.Back) error {
	rx, err := s.lock(ctx, tx, o.Hospital, o.Subject)
	if err != nil {
		return err
	}
	reason := r.Reason
	if reason == "" {
		reason = "退款"
	}
	_, err = outbox.Enqueue(ctx, o.Hospital, core.Message{Kind: core.RefundCreate, Body: &core.Refund{
		RefundNo: r.No, OrderID: o.No, VisitNo: rx.Content.VisitNo, PatientNo: rx.Content.PatientNo, Amount: r.Amount, Paid: b.Payment.Amount,
		Channel: b.Payment.Channel, ChannelNo: b.Payment.ChannelNo, ChannelRefundNo: b.ChannelRefundNo, Reason: reason, RefundedAt: b.At,
	}})
	return err
}

// end makes a prescription void or expired; a HIS that was told of it hears that.
func (s *Service) end(ctx context.Context, tx pgx.Tx, outbox core.Outbox, rx Rx, to State, operator, reason string) error {
	why, err := s.Vault.Seal([]byte(reason), "prescription why", rx.No)
	if err != nil {
		return err
	}
	if err := s.move(ctx, tx, rx, to, `why = $3`, why); err != nil {
		return err
	}
	if err := s.Fulfilment.Stop(ctx, tx, rx.Hospital, rx.No); err != nil {
		return err
	}
	if to == Void && slices.Contains([]State{Approved, Paid, SentHIS}, rx.State) { // of others the patient never heard
		if err := s.notice(ctx, tx, rx, rx.account, "void"); err != nil {
			return err
		}
	}
	if !rx.told {
		return nil
	}
	if reason == "" {
		reason = "作废"
	}
	_, err = outbox.Enqueue(ctx, rx.Hospital, core.Message{Kind: core.PrescriptionVoid, Body: &core.PrescriptionVoiding{
		No: rx.No, VisitNo: rx.Content.VisitNo, PatientNo: rx.Content.PatientNo, HisNo: rx.HisNo, Reason: reason, OperatorCode: operator, VoidedAt: time.Now(),
	}})
	return err
}

// Void takes a prescription back, by its doctor, or by a pharmacist of the hospital. What
// was paid goes back; what was handed out is not void any more.
func (s *Service) Void(ctx context.Context, p clinic.Person, hospital, no, reason string) (Rx, error) {
	rx, err := s.Get(ctx, hospital, no)
	if err == nil && rx.author != p.Account && !p.May(clinic.Review, hospital) {
		err = clinic.ErrNotFound
	}
	if err != nil {
		return rx, fmt.Errorf("void prescription: %w", err)
	}
	operator := p.Code(clinic.Doctor, hospital)
	if operator == "" {
		operator = p.Code(clinic.Pharmacist, hospital)
	}
	err = s.Transact(ctx, hospital, func(tx pgx.Tx, outbox core.Outbox) error {
		// The order first: that is the order of locks.
		o, err := s.Orders.OfSubject(ctx, tx, hospital, order.Drugs, no)
		has := err == nil
		if err != nil && !errors.Is(err, clinic.ErrNotFound) {
			return err
		}
		if has {
			if o, err = s.Orders.Lock(ctx, tx, o.No); err != nil {
				return err
			}
		}
		now, err := s.lock(ctx, tx, hospital, no)
		if err != nil {
			return err
		}
		if err := s.end(ctx, tx, outbox, now, Void, operator, reason); err != nil {
			return err
		}
		switch {
		case has && o.State == order.Paid:
			return s.Payback.GiveBack(ctx, tx, outbox, o, reason)
		case has && o.State != order.Refunded:
			_, err = s.Orders.Close(ctx, tx, outbox, o.No, "the prescription is void", false)
		}
		return err
	})
	if err != nil {
		return rx, fmt.Errorf("void prescription: %w", err)
	}
	return s.Get(ctx, hospital, no)
}
