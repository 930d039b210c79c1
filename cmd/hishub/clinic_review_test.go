package main

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"time"

	"hishub/core"
	shipped "hishub/mapping/hospitals"
	"hishub/platform/prescription"
)

// What a regulator asks of a prescription is told as it was signed and reviewed.
func TestTheReviewIsTold(t *testing.T) {
	p := newPractice(t)
	rx := written("RX1", "V1", 1)
	rx.DepartmentCode = "0900"
	rx.Writing = &core.Writing{DoctorIDNo: "999999198506070028", Signature: "ZG9jdG9y"}
	rx.Review = &core.Review{PharmacistName: "测试医生自己", ReviewedAt: rx.WrittenAt} // not the doctor's to say
	rx.Consultation = &core.Consultation{No: "C1", StartedAt: rx.WrittenAt.Add(-time.Hour), Complaint: "咽痛咳嗽3天，复诊"}
	_, err := p.prescriptions.Sign(p.ctx, "h1", rx)
	ok(t, err)
	if r := p.rxIs("RX1", prescription.InReview); r.Content.Review != nil || !r.ReviewedAt.IsZero() {
		t.Errorf("reviewed by its doctor: %+v", r)
	}

	before := time.Now()
	verdict := prescription.Verdict{Pharmacist: "P001", PharmacistIDNo: "999999198001010018", Signature: "cGhhcm1hY2lzdA==", Approve: true}
	review := func() error { _, err := p.prescriptions.Review(p.ctx, "h1", "RX1", verdict); return err }
	problems(t, review(), "pharmacist_name")
	verdict.PharmacistName, verdict.Signature = "测试药师", "no base64"
	problems(t, review(), "review.signature")
	p.rxIs("RX1", prescription.InReview)
	verdict.Signature = "cGhhcm1hY2lzdA=="
	ok(t, review())
	after := time.Now()
	if r := p.rxIs("RX1", prescription.Approved); r.ReviewedAt.Before(before) || r.ReviewedAt.After(after) {
		t.Errorf("reviewed at %v", r.ReviewedAt)
	}
	var row []byte
	ok(t, p.database.QueryRow(p.ctx, `select r::text::bytea || review from prescription.prescription r where no = 'RX1'`).Scan(&row))
	if bytes.Contains(row, []byte("测试药师")) || bytes.Contains(row, []byte("999999198001010018")) {
		t.Error("the pharmacist stands in the open")
	}

	_, err = p.payments.Pay(p.ctx, "h1", paid("IH1", "RX1"))
	ok(t, err)
	ds, err := p.store.Claim(p.ctx, "p", "h1", 1, time.Minute, time.Minute)
	ok(t, err)
	told := ds[0].Body.(*core.Prescription)
	if r := told.Review; r == nil || r.PharmacistName != "测试药师" || r.PharmacistIDNo != "999999198001010018" || r.Signature != verdict.Signature || r.ReviewedAt.Before(before) || r.ReviewedAt.After(after) {
		t.Errorf("told of the review %+v", r)
	}
	if told.PharmacistCode != "P001" || told.Writing == nil || *told.Writing != *rx.Writing || told.Consultation == nil {
		t.Errorf("told of %q, %+v, %+v", told.PharmacistCode, told.Writing, told.Consultation)
	}

	body, err := toRegulator(t, told)
	ok(t, err)
	for _, field := range []string{
		`"auditDoctorNo":"P001"`, `"auditDoctor":"测试药师"`, `"auditDoctorCertID":"999999198001010018"`, `"auditDoctorSign":"cGhhcm1hY2lzdA=="`,
		`"doctorCertID":"999999198506070028"`, `"doctorSign":"ZG9jdG9y"`, `"bussID":"C1"`,
	} {
		if !strings.Contains(body, field) {
			t.Errorf("the regulator does not hear %s:\n%s", field, body)
		}
	}
}

// A pharmacist without a name is told by code only; the regulator is not told
// half of it.
func TestANamelessReviewIsNoReview(t *testing.T) {
	p := newPractice(t)
	p.approved("V1", "RX1")
	_, err := p.payments.Pay(p.ctx, "h1", paid("IH1", "RX1"))
	ok(t, err)
	ds, err := p.store.Claim(p.ctx, "p", "h1", 1, time.Minute, time.Minute)
	ok(t, err)
	told := ds[0].Body.(*core.Prescription)
	if told.PharmacistCode != "P001" || told.Review != nil {
		t.Errorf("told of %q, %+v", told.PharmacistCode, told.Review)
	}
	told.DepartmentCode = "0900"
	if body, err := toRegulator(t, told); err == nil {
		t.Errorf("the regulator was told %s", body)
	}
}

// A review goes with the revision that it was of, in the database, too.
func TestAReviewIsOfOneRevision(t *testing.T) {
	p := newPractice(t)
	_, err := p.prescriptions.Sign(p.ctx, "h1", written("RX1", "V1", 1))
	ok(t, err)
	_, err = p.prescriptions.Review(p.ctx, "h1", "RX1", prescription.Verdict{Pharmacist: "P001", PharmacistName: "测试药师", Reason: "剂量过大"})
	ok(t, err)
	var review []byte
	ok(t, p.database.QueryRow(p.ctx, `select review from prescription.prescription where no = 'RX1'`).Scan(&review))
	_, err = p.prescriptions.Sign(p.ctx, "h1", written("RX1", "V1", 2))
	ok(t, err)
	if rx := p.rxIs("RX1", prescription.InReview); rx.Content.Review != nil || !rx.ReviewedAt.IsZero() {
		t.Errorf("the next revision: %+v", rx)
	}
	_, err = p.database.Exec(p.ctx, `update prescription.prescription set review = $1 where no = 'RX1'`, review)
	ok(t, err)
	if _, err := p.prescriptions.Get(p.ctx, "h1", "RX1"); err == nil {
		t.Error("a review of another revision is believed")
	}
}

// toRegulator writes a prescription as the province wants it.
func toRegulator(t *testing.T, rx *core.Prescription) (string, error) {
	t.Helper()
	files, err := fs.Sub(shipped.FS, "jianguan")
	ok(t, err)
	folder, err := loadSample(files)
	ok(t, err)
	out, err := folder.Dialect.Operations[core.PrescriptionCreate].Steps[0].Mapper.Encode(core.Input{Body: rx, Kind: core.PrescriptionCreate,
		Stamp: core.Stamp{ID: "00000000000000000000000000000001", Time: time.Now(), At: time.Now()}})
	text, _ := out.Body.(string)
	return text, err
}
