package main

import (
	"context"
	"strings"
	"testing"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/regulator"
)

// An upload is taken at once and has its verdict later, whether its number is known
// or was lost; what lacks something is refused in words.
func TestJianguanChecksLater(t *testing.T) {
	r := newRig(t, "jianguan")
	for i, fails := range []fault.Kind{"", fault.CutAfterCommit} {
		id := []string{"J1", "J2"}[i]
		if fails != "" {
			ok(t, r.his.Script().Add(fault.Rule{Fault: fails, Operation: "uploadRecipeIndicators", Key: id, Times: 1}))
		}
		n := r.deliver(t, core.PrescriptionCreate, prescriptionOf(id))
		if n.State != delivery.Delivered || n.Receipt == nil || n.Receipt.HisNo == "" || n.Captured["upload"] == "" {
			t.Fatalf("%s: %s, %s (%s) %+v", id, n.State, n.Because, n.Words, n.Receipt)
		}
		b := r.his.Books()
		asked := count(b.Journal, func(e books.Entry) bool { return e.Operation == "queryUpload" && e.Key == id })
		sent := count(b.Journal, func(e books.Entry) bool { return e.Operation == "uploadRecipeIndicators" && e.Key == id })
		if asked < 2 || sent != 1 {
			t.Errorf("%s: sent %d times, asked %d times", id, sent, asked)
		}
	}
	lacking := prescriptionOf("J3")
	lacking.Writing.Signature = ""
	if n := r.deliver(t, core.PrescriptionCreate, lacking); n.State != delivery.Parked || n.Words != "doctorSign 不能为空" {
		t.Errorf("without a signature: %s, %s (%s)", n.State, n.Because, n.Words)
	}
	unseen := prescriptionOf("J4")
	unseen.Review = nil
	if n := r.deliver(t, core.PrescriptionCreate, unseen); n.State != delivery.Parked || n.Class != core.Invalid {
		t.Errorf("without a review: %s %s, %s", n.State, n.Class, n.Because)
	}
	// The same again is taken again, and is there once.
	r.must(t, core.PrescriptionCreate, prescriptionOf("J1"))
	b := r.his.Books()
	if len(b.Prescriptions) != 2 || count(b.Journal, func(e books.Entry) bool { return e.Key == "J4" }) != 0 {
		t.Errorf("%d are stored, journal %+v", len(b.Prescriptions), b.Journal)
	}
}

// A row of its own verdict: what cannot be cancelled is refused, though the upload is good.
func TestJianguanJudgesRows(t *testing.T) {
	r := newRig(t, "jianguan")
	void := &core.PrescriptionVoiding{No: "J9", VisitNo: "VJ9", PatientNo: patientNo, Reason: "开错药", OperatorCode: "00731", VoidedAt: paidAt}
	if n := r.deliver(t, core.PrescriptionVoid, void); n.State != delivery.Parked || n.Class != core.Rejected || n.Words != "处方不存在" {
		t.Errorf("%s %s (%s)", n.State, n.Class, n.Words)
	}
	r.must(t, core.PrescriptionCreate, prescriptionOf("J9"))
	for range 2 { // again is harmless
		r.must(t, core.PrescriptionVoid, void)
	}
	if got := r.asked(t, core.PrescriptionStatus, &core.PrescriptionQuery{No: "J9"}); !strings.Contains(got, `"stage":"voided"`) {
		t.Errorf("it is %s", got)
	}
}

// What the folder does not map, this party cannot.
func TestJianguanTakesNothingElse(t *testing.T) {
	r := newRig(t, "jianguan")
	for _, kind := range core.Catalogue {
		mapped := r.Operations[kind.Kind] != nil
		if want := strings.HasPrefix(string(kind.Kind), "prescription.") && kind.Mode != core.Inbound; mapped != want {
			t.Errorf("%s: mapped %v", kind.Kind, mapped)
		}
	}
}

// A platform that gives its verdict at once is believed at once, row by row.
func TestJianguanAtOnce(t *testing.T) {
	p, err := regulator.Start(context.Background(), regulator.Options{Checks: -1})
	opened(t, p, err)
	r := rigOf(t, "jianguan", mockedHospitals["jianguan"], p, map[string]string{"JIANGUAN_URL": p.URL(), "JIANGUAN_KEY": "jianguan-test"})
	if got := r.must(t, core.PrescriptionCreate, prescriptionOf("J5")); got.HisNo == "" || *got.Amount != 4619 {
		t.Errorf("receipt %+v", got)
	}
	lacking := prescriptionOf("J6")
	lacking.Review.Signature = ""
	if n := r.deliver(t, core.PrescriptionCreate, lacking); n.State != delivery.Parked || n.Words != "auditDoctorSign 不能为空" {
		t.Errorf("%s (%s)", n.State, n.Words)
	}
}
