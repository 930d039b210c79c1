package main

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/payment"
	"hishub/platform/prescription"
)

func TestSigning(t *testing.T) {
	p := newPractice(t)
	sign := func(change func(*core.Prescription), lines int) error {
		rx := written("RX1", "V1", lines)
		change(&rx)
		_, err := p.prescriptions.Sign(p.ctx, "h1", rx)
		return err
	}
	nothing := func(*core.Prescription) {}
	forbidden(t, sign(nothing, 6), clinic.ErrRule) // six drugs
	forbidden(t, sign(func(rx *core.Prescription) { rx.ValidUntil = rx.WrittenAt.Add(72*time.Hour + time.Second) }, 1), clinic.ErrRule)
	forbidden(t, sign(func(rx *core.Prescription) {
		rx.WrittenAt = rx.WrittenAt.Add(-48 * time.Hour)
		rx.ValidUntil = rx.WrittenAt.Add(24 * time.Hour)
	}, 1), clinic.ErrRule)
	problems(t, sign(func(rx *core.Prescription) { rx.Amount++ }, 1), "amount")
	problems(t, sign(func(rx *core.Prescription) { rx.PatientNo = "" }, 1), "patient_no")
	if n := p.count(`select count(*) from prescription.prescription`); n != 0 {
		t.Fatalf("%d prescriptions were saved", n)
	}
	ok(t, sign(func(rx *core.Prescription) { rx.Category = "herbal"; rx.No = "RX6" }, 6))
	ok(t, sign(func(rx *core.Prescription) { rx.ValidUntil = rx.WrittenAt.Add(72 * time.Hour) }, 5))
	rx := p.rxIs("RX1", prescription.InReview)
	if rx.Revision != 1 || rx.Content.PharmacistCode != "" || len(rx.Content.Items) != 5 {
		t.Errorf("signed %+v", rx)
	}
	var row []byte
	ok(t, p.database.QueryRow(p.ctx, `select r::text::bytea || content from prescription.prescription r where no = 'RX1'`).Scan(&row))
	for _, secret := range []string{"张三测试", "999999199001010016", "阿莫西林"} {
		if bytes.Contains(row, []byte(secret)) {
			t.Errorf("%s stands in the open", secret)
		}
	}
}

// Two with one number at once: one is signed, and stays as it was signed.
func TestSigningTwiceAtOnce(t *testing.T) {
	p := newPractice(t)
	var all sync.WaitGroup
	var errs [4]error
	for i := range errs {
		all.Go(func() { _, errs[i] = p.prescriptions.Sign(p.ctx, "h1", written("RX1", "V1", 1+i)) })
	}
	all.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case !errors.Is(err, clinic.ErrState):
			t.Errorf("signed beside another: %v", err)
		}
	}
	if rx := p.rxIs("RX1", prescription.InReview); winner < 0 || len(rx.Content.Items) != 1+winner || rx.Revision != 1 {
		t.Errorf("%d won, revision %d with %d lines is there", winner, rx.Revision, len(rx.Content.Items))
	}
}

func TestReview(t *testing.T) {
	p := newPractice(t)
	_, err := p.prescriptions.Sign(p.ctx, "h1", written("RX1", "V1", 1))
	ok(t, err)
	review := func(who string, approve bool, reason string) error {
		_, err := p.prescriptions.Review(p.ctx, "h1", "RX1", prescription.Verdict{Pharmacist: who, Approve: approve, Reason: reason})
		return err
	}
	forbidden(t, review("0007", true, ""), clinic.ErrRule) // the author
	problems(t, review("", true, ""), "pharmacist")
	problems(t, review("P001", false, ""), "reason")
	_, err = p.payments.Pay(p.ctx, "h1", paid("IH1", "RX1"))
	forbidden(t, err, clinic.ErrState) // nobody reviewed it
	ok(t, review("P001", false, "剂量过大"))
	if rx := p.rxIs("RX1", prescription.Rejected); rx.Pharmacist != "P001" || rx.Reason != "剂量过大" {
		t.Errorf("rejected: %+v", rx)
	}
	forbidden(t, review("P001", true, ""), clinic.ErrState)
	_, err = p.payments.Pay(p.ctx, "h1", paid("IH1", "RX1"))
	forbidden(t, err, clinic.ErrState)

	other := written("RX1", "V1", 2)
	other.DoctorCode = "0008"
	_, err = p.prescriptions.Sign(p.ctx, "h1", other)
	forbidden(t, err, clinic.ErrRule)
	_, err = p.prescriptions.Sign(p.ctx, "h1", written("RX1", "V1", 2))
	ok(t, err)
	if rx := p.rxIs("RX1", prescription.InReview); rx.Revision != 2 || rx.Pharmacist != "" || rx.Reason != "" || len(rx.Content.Items) != 2 {
		t.Errorf("the next revision: %+v", rx)
	}
	ok(t, review("P002", true, ""))
	_, err = p.prescriptions.Sign(p.ctx, "h1", written("RX1", "V1", 3))
	forbidden(t, err, clinic.ErrState) // what was approved stays as it is
	forbidden(t, review("P001", false, "zu spät"), clinic.ErrState)
	forbidden(t, func() error {
		_, err := p.prescriptions.Review(p.ctx, "h1", "RX9", prescription.Verdict{Pharmacist: "P001", Approve: true})
		return err
	}(), clinic.ErrNotFound)

	word := paid("IH1", "RX1")
	word.Amount = 4300
	_, err = p.payments.Pay(p.ctx, "h1", word)
	ok(t, err)
	ds, err := p.store.Claim(p.ctx, "p", "h1", 1, time.Minute, time.Minute)
	ok(t, err)
	if rx := ds[0].Body.(*core.Prescription); rx.PharmacistCode != "P002" || rx.PatientName != "张三测试" {
		t.Errorf("told of pharmacist %q", rx.PharmacistCode)
	}
}

// It expires by the time at which the money came, not by that of the telling.
func TestExpired(t *testing.T) {
	p := newPractice(t)
	p.approved("V1", "RX1")
	late := paid("IH1", "RX1")
	late.PaidAt = late.PaidAt.Add(25 * time.Hour)
	_, err := p.payments.Pay(p.ctx, "h1", late)
	forbidden(t, err, clinic.ErrState)
	p.rxIs("RX1", prescription.Approved)

	end := time.Now().Add(500 * time.Millisecond)
	for no, approve := range map[string]bool{"RX2": true, "RX3": false} {
		short := written(no, "V1", 1)
		short.WrittenAt, short.ValidUntil = end.Add(-time.Hour), end
		_, err = p.prescriptions.Sign(p.ctx, "h1", short)
		ok(t, err)
		if approve {
			_, err = p.prescriptions.Review(p.ctx, "h1", no, prescription.Verdict{Pharmacist: "P001", Approve: true})
			ok(t, err)
		}
	}
	word := paid("IH2", "RX2")
	word.PaidAt = end.Add(-time.Second)
	time.Sleep(time.Until(end) + 2*time.Millisecond)
	p.rxIs("RX2", prescription.Expired)
	_, err = p.prescriptions.Review(p.ctx, "h1", "RX3", prescription.Verdict{Pharmacist: "P001", Approve: true})
	forbidden(t, err, clinic.ErrState)
	_, err = p.prescriptions.Void(p.ctx, "h1", "RX2", "0007", "测试")
	forbidden(t, err, clinic.ErrState)
	_, err = p.payments.Pay(p.ctx, "h1", word) // the channel was slow to say it
	ok(t, err)
	p.rxIs("RX2", prescription.Paid)
}

func TestTamperedContentIsDetected(t *testing.T) {
	p := newPractice(t)
	p.approved("V1", "RX1", "RX2")
	for name, sql := range map[string]string{
		"a sealed byte":            `set content = set_byte(content, length(content) / 2, get_byte(content, length(content) / 2) # 1)`,
		"the hash":                 `set content_hash = sha256('x')`,
		"another's content":        `set content = (select content from prescription.prescription where no = 'RX2'), content_hash = (select content_hash from prescription.prescription where no = 'RX2')`,
		"content in the clear":     `set content = '{"no":"RX1"}', content_hash = sha256('{"no":"RX1"}')`,
		"the sealed bytes are cut": `set content = substr(content, 1, 20)`,
	} {
		t.Run(name, func(t *testing.T) {
			var content, hash []byte
			ok(t, p.database.QueryRow(p.ctx, `select content, content_hash from prescription.prescription where no = 'RX1'`).Scan(&content, &hash))
			_, err := p.database.Exec(p.ctx, `update prescription.prescription `+sql+` where no = 'RX1'`)
			ok(t, err)
			if _, err := p.prescriptions.Get(p.ctx, "h1", "RX1"); err == nil {
				t.Error("it was read")
			}
			if _, err := p.payments.Pay(p.ctx, "h1", paid("IH1", "RX1")); err == nil {
				t.Error("it was paid")
			}
			if _, err := p.prescriptions.Void(p.ctx, "h1", "RX1", "0007", "测试"); err == nil {
				t.Error("it was voided")
			}
			_, err = p.database.Exec(p.ctx, `update prescription.prescription set content = $1, content_hash = $2 where no = 'RX1'`, content, hash)
			ok(t, err)
		})
	}
	p.toldIs()
	// Who wrote it and until when is part of what was signed.
	_, err := p.database.Exec(p.ctx, `update prescription.prescription set doctor = 'X', valid_until = valid_until + interval '9 days' where no = 'RX1'`)
	ok(t, err)
	late := paid("IH1", "RX1")
	late.PaidAt = late.PaidAt.Add(48 * time.Hour)
	_, err = p.payments.Pay(p.ctx, "h1", late)
	forbidden(t, err, clinic.ErrState)
	if rx := p.rxIs("RX1", prescription.Approved); rx.Doctor != "0007" {
		t.Errorf("written by %s", rx.Doctor)
	}
}

// One that was tampered with must not hold up the events of the others.
func TestTamperedContentAndTheInbox(t *testing.T) {
	p := newPractice(t)
	p.approved("V1", "RX1", "RX2")
	_, err := p.payments.Pay(p.ctx, "h1", paid("IH1", "RX1", "RX2"))
	ok(t, err)
	_, err = p.database.Exec(p.ctx, `update prescription.prescription set content_hash = sha256('x') where no = 'RX1'`)
	ok(t, err)
	p.ends(core.PrescriptionCreate, delivered("H1"))
	p.ends(core.PrescriptionCreate, delivered("H2"))
	p.rxIs("RX2", prescription.SentHIS)
	if n := p.count(`select count(*) from prescription.prescription where no = 'RX1' and state = 'sent_to_his'`); n != 1 {
		t.Error("the event of the other one was lost")
	}
}

func TestVoid(t *testing.T) {
	p := newPractice(t)
	void := func(no string) error {
		_, err := p.prescriptions.Void(p.ctx, "h1", no, "0007", "开错药")
		return err
	}
	p.approved("V1", "RX1")
	ok(t, void("RX1")) // before anybody was told: nobody is
	p.toldIs()
	forbidden(t, void("RX1"), clinic.ErrState)
	_, err := p.payments.Pay(p.ctx, "h1", paid("IH1", "RX1"))
	forbidden(t, err, clinic.ErrState)

	p.approved("V2", "RX2")
	_, err = p.payments.Pay(p.ctx, "h1", paid("IH2", "RX2"))
	ok(t, err)
	ok(t, void("RX2")) // while it is on its way: behind it, in its lane
	p.toldIs("prescription.create RX2 V2", "payment.settle IH2 V2", "prescription.void RX2 V2")
	p.ends(core.PrescriptionCreate, delivered("H2"))
	if rx := p.rxIs("RX2", prescription.Void); rx.HisNo != "H2" {
		t.Errorf("voided while told: the HIS has it as %q", rx.HisNo)
	}
	p.ends(core.PaymentSettle, delivered("S2"))
	p.ends(core.PrescriptionVoid, parked("the HIS has dispensed it"))
	if rx := p.rxIs("RX2", prescription.Void); rx.HisProblem != "the HIS has dispensed it" {
		t.Errorf("the HIS did not void it, and %q is told", rx.HisProblem)
	}

	p.approved("V3", "RX3")
	_, err = p.payments.Pay(p.ctx, "h1", paid("IH3", "RX3"))
	ok(t, err)
	p.ends(core.PrescriptionCreate, delivered("H3"))
	p.ends(core.PaymentSettle, delivered("S3"))
	ok(t, void("RX3")) // after it was told: with the HIS's number
	ds, err := p.store.Claim(p.ctx, "p", "h1", 1, time.Minute, time.Minute)
	ok(t, err)
	if v := ds[0].Body.(*core.PrescriptionVoiding); v.HisNo != "H3" || v.OperatorCode != "0007" || ds[0].Lane != "V3" {
		t.Errorf("told %+v in lane %s", v, ds[0].Lane)
	}
}

func TestRefunds(t *testing.T) {
	p := newPractice(t)
	p.approved("V1", "RX1")
	p.approved("V2", "RX2")
	for order, rx := range map[string]string{"IH1": "RX1", "IH2": "RX2"} {
		_, err := p.payments.Pay(p.ctx, "h1", paid(order, rx))
		ok(t, err)
	}
	refund := func(order string, g payment.Given) (payment.Charge, error) {
		return p.payments.Refund(p.ctx, "h1", order, g)
	}

	o, err := refund("IH1", given("RF1", 150))
	if err != nil || o.Refunded != 150 || o.State != payment.Telling {
		t.Errorf("a part: %+v %v", o, err)
	}
	o, err = refund("IH1", given("RF1", 150)) // the channel says it again
	if err != nil || o.Refunded != 150 {
		t.Errorf("the same again: %+v %v", o, err)
	}
	for name, again := range map[string]func() (payment.Charge, error){
		"another amount":         func() (payment.Charge, error) { return refund("IH1", given("RF1", 151)) },
		"another order":          func() (payment.Charge, error) { return refund("IH2", given("RF1", 150)) },
		"another number of ours": func() (payment.Charge, error) { g := given("RF1", 150); g.RefundNo = "RF1b"; return refund("IH1", g) },
		"another number of the channel": func() (payment.Charge, error) {
			g := given("RF1", 150)
			g.ChannelRefundNo = "wx9"
			return refund("IH1", g)
		},
	} {
		if _, err := again(); !errors.Is(err, clinic.ErrRule) {
			t.Errorf("the same refund with %s: %v", name, err)
		}
	}
	_, err = refund("IH1", given("RF2", 2001)) // of 2000 that are left
	problems(t, err, "amount")
	_, err = refund("IH1", given("RF2", -1))
	problems(t, err, "amount")
	_, err = refund("IH1", given("RF2", 0))
	problems(t, err, "amount")
	noReason := given("RF2", 1)
	noReason.Reason = ""
	_, err = refund("IH1", noReason)
	problems(t, err, "reason")
	_, err = refund("IH9", given("RF2", 1))
	forbidden(t, err, clinic.ErrNotFound)
	if o = p.orderIs("IH1", payment.Telling); o.Refunded != 150 {
		t.Errorf("%d fen went back", o.Refunded)
	}

	o, err = refund("IH1", given("RF2", 2000))
	if err != nil || o.State != payment.Refunded || o.Refunded != 2150 {
		t.Errorf("the rest: %+v %v", o, err)
	}
	_, err = refund("IH1", given("RF3", 1))
	problems(t, err, "amount")
	if _, err = refund("IH1", given("RF2", 2000)); err != nil {
		t.Errorf("the last one again: %v", err)
	}
	if n := p.count(`select count(*) from hub.message where kind = 'refund.create' and lane = 'V1'`); n != 2 {
		t.Errorf("told of %d refunds", n)
	}

	// Many at once never give back more than was paid.
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() { _, _ = refund("IH2", given("RX"+string(rune('a'+i)), 300)) })
	}
	all.Wait()
	if o = p.orderIs("IH2", payment.Telling); o.Refunded != 2100 {
		t.Errorf("%d of 2150 fen went back in parts of 300", o.Refunded)
	}
	if n := p.count(`select count(*) from hub.message where kind = 'refund.create' and lane = 'V2'`); n != 7 {
		t.Errorf("told of %d refunds", n)
	}
}
