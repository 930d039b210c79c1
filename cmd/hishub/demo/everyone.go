package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"hishub/core"
	"hishub/mocks/books"
	"hishub/mocks/paychannel"
)

// everyone takes the same prescription at every party that is shipped, its payment,
// the money back and another prescription that is voided; and every party that can
// tells us something. The judge of each is its own books.
func (t *tale) everyone(ctx context.Context) error {
	t.shared = fullPrescription(t.next())
	voided := fullPrescription(t.next())
	lines := make([]string, len(parties))
	var all errgroup.Group
	for i, p := range parties {
		pay := paymentOf(t.shared)
		pay.OrderID = fmt.Sprintf("IH%08d", t.next()) // the channel has one account for all
		pay.ChannelNo = "42000000" + pay.OrderID[2:]
		all.Go(func() (err error) {
			v := &round{tale: t, party: p, rx: t.shared, voided: voided, pay: pay}
			if err = v.run(ctx); err != nil {
				return fmt.Errorf("%s: %w", p.id, err)
			}
			lines[i] = strings.Join(v.done, ", ")
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	for i, p := range parties {
		t.held("%-9s %s: %s; its books agree", p.id, p.speaks, lines[i])
	}
	return nil
}

// round is what one party is told, and tells.
type round struct {
	*tale
	party
	rx, voided *core.Prescription
	pay        *core.Payment

	done []string // so far, in words
}

func (r *round) did(format string, args ...any) {
	r.done = append(r.done, fmt.Sprintf(format, args...))
}

func (r *round) run(ctx context.Context) error {
	steps := []func(context.Context) error{r.begin, r.pays, r.voids, r.tellsUs, r.giveBack, r.agree}
	if r.moneyless {
		steps = []func(context.Context) error{r.begin, r.hears, r.voids, r.agree}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// begin hands in the prescription that nobody will pay.
func (r *round) begin(ctx context.Context) error {
	_, err := r.client.submit(ctx, r.id, core.PrescriptionCreate, r.voided)
	return err
}

// hears is the prescription alone.
func (r *round) hears(ctx context.Context) error {
	if _, err := r.client.submit(ctx, r.id, core.PrescriptionCreate, r.rx); err != nil {
		return err
	}
	r.did("prescription %s", r.rx.No)
	return r.delivered(ctx, r.id, core.PrescriptionCreate, r.rx.No)
}

// pays is the prescription and its payment.
func (r *round) pays(ctx context.Context) error {
	if err := r.visit(ctx, r.id, r.rx, r.pay); err != nil {
		return err
	}
	if err := r.delivered(ctx, r.id, core.PrescriptionCreate, r.rx.No); err != nil {
		return err
	}
	r.did("prescription %s, payment %s %s", r.rx.No, r.pay.OrderID, r.pay.Amount)
	return r.delivered(ctx, r.id, core.PaymentSettle, r.pay.OrderID)
}

// giveBack is the cashier's at the window, of which the platform decides, or ours: the
// channel paid it back, and the HIS is told.
func (r *round) giveBack(ctx context.Context) error {
	if r.window != nil {
		err := r.window(r.tale, ctx, windowNo(r.pay.OrderID), r.pay)
		back, failed := r.platform.gaveBack(r.id, r.pay.OrderID)
		if err := errors.Join(failed, err); err != nil {
			return err
		}
		if back != r.pay.Amount {
			return fmt.Errorf("the platform gave %s of payment %s back", back, r.pay.OrderID)
		}
		r.did("window refund")
		return nil
	}
	back, _, err := r.channel.Books().Refund(paychannel.Refund{Number: "TK" + r.pay.OrderID[2:], Payment: r.pay.OrderID, AmountFen: int64(r.pay.Amount)})
	if err != nil {
		return err
	}
	settled, err := r.client.find(ctx, r.id, core.PaymentSettle, r.pay.OrderID)
	if err != nil {
		return err
	}
	_, err = r.client.submit(ctx, r.id, core.RefundCreate, &core.Refund{RefundNo: back.Number, OrderID: r.pay.OrderID, VisitNo: r.pay.VisitNo, PatientNo: r.pay.PatientNo,
		HisNo: settled.Receipt.HisNo, Amount: r.pay.Amount, Paid: r.pay.Amount, Channel: r.pay.Channel, ChannelNo: r.pay.ChannelNo, ChannelRefundNo: back.ChannelNo,
		Reason: "药品缺货", RefundedAt: back.AcceptedAt})
	if err != nil {
		return err
	}
	r.did("refund %s", back.Number)
	return r.delivered(ctx, r.id, core.RefundCreate, back.Number)
}

// voids takes the other prescription back.
func (r *round) voids(ctx context.Context) error {
	if err := r.delivered(ctx, r.id, core.PrescriptionCreate, r.voided.No); err != nil {
		return err
	}
	saved, err := r.client.find(ctx, r.id, core.PrescriptionCreate, r.voided.No)
	if err != nil {
		return err
	}
	_, err = r.client.submit(ctx, r.id, core.PrescriptionVoid, &core.PrescriptionVoiding{No: r.voided.No, VisitNo: r.voided.VisitNo,
		PatientNo: r.voided.PatientNo, HisNo: saved.Receipt.HisNo, Reason: "开错药", OperatorCode: r.voided.DoctorCode, VoidedAt: time.Now()})
	if err != nil {
		return err
	}
	r.did("another voided")
	return r.delivered(ctx, r.id, core.PrescriptionVoid, r.voided.No)
}

// tellsUs is what it says of its own accord.
func (r *round) tellsUs(ctx context.Context) error {
	if r.tells == nil {
		return nil
	}
	news, err := r.tells(r.tale, ctx, r.rx)
	if err == nil {
		r.did("%s", news)
	}
	return err
}

// agree looks into the party's own books: everything once, with the same amount.
func (r *round) agree(ctx context.Context) error {
	b, err := r.his[r.id].books(ctx)
	if err != nil {
		return err
	}
	want := []string{"prescription " + r.rx.No + " " + r.rx.Amount.String(), "prescription " + r.voided.No + " " + r.voided.Amount.String(), "void " + r.voided.No}
	if !r.moneyless {
		want = append(want, "settlement "+r.pay.OrderID+" "+r.pay.Amount.String(), "refund of "+r.pay.OrderID+" "+r.pay.Amount.String())
	}
	booked := map[string]int{}
	for _, p := range b.Prescriptions {
		booked["prescription "+p.No+" "+core.Fen(p.AmountFen).String()]++
	}
	for _, v := range b.Voids {
		booked["void "+v.No]++
	}
	for _, s := range b.Settlements {
		booked["settlement "+s.Order+" "+core.Fen(s.AmountFen).String()]++
	}
	for _, back := range b.Refunds {
		booked["refund of "+back.Order+" "+core.Fen(back.AmountFen).String()]++
	}
	for _, w := range want {
		if booked[w] != 1 {
			return fmt.Errorf("its books have the %s %d times; they have %v", w, booked[w], booked)
		}
	}
	if len(booked) != len(want) {
		return fmt.Errorf("its books have more than the %v: %v", want, booked)
	}
	return nil
}

// fullPrescription has all that any party asks for. Its patient is one whom every HIS has.
func fullPrescription(n int) *core.Prescription {
	now := time.Now().Truncate(time.Second)
	p := prescriptionOf(n, 0)
	p.PatientNo, p.PatientName, p.Sex, p.DepartmentCode, p.DoctorCode, p.DoctorName, p.PharmacistCode = books.Known.PatientNo, books.Known.Name, "male", "0102", "00731", "李四测试", "00815"
	p.Items = []core.Item{
		{Code: "001207", Name: "阿莫西林胶囊", Spec: "0.25g*24粒", Qty: "12", Unit: "盒", UnitPrice: "1.7917", Amount: 2150, Dose: "0.5", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 3},
		{Code: "003311", Name: "维生素C片", Spec: "100mg*100片", Qty: "2", Unit: "盒", UnitPrice: "12.3450", Amount: 2469, Dose: "1", DoseUnit: "片", Frequency: "tid", Route: "oral", Days: 3},
	}
	p.Amount = 4619
	p.Writing = &core.Writing{DoctorIDNo: "999999198506070028", Signature: "ZG9jdG9y"}
	p.Review = &core.Review{PharmacistName: "赵六测试", PharmacistIDNo: "999999198001010018", ReviewedAt: now, Signature: "cGhhcm1hY2lzdA=="}
	p.Consultation = &core.Consultation{No: "C" + p.No, StartedAt: now.Add(-20 * time.Minute), Complaint: "咽痛咳嗽3天", Allergies: "青霉素"}
	return p
}
