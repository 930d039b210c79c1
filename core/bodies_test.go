package core

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func validPrescription() *Prescription {
	return &Prescription{
		No: "RX0001", VisitNo: "V001", PatientNo: "0000024772", PatientName: "测试一", Sex: "male", BirthDate: "1990-01-01",
		DepartmentCode: "D01", DoctorCode: "007", PharmacistCode: "P1", Category: "western",
		Diagnoses: []Diagnosis{{"J06.900", "急性上呼吸道感染"}},
		Items: []Item{
			{Code: "A1", Name: "阿莫西林胶囊", Qty: "12", Unit: "盒", UnitPrice: "1.7917", Amount: 2150, Dose: "0.5", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 3},
			{Code: "A2", Name: "维生素C片", Qty: "2", Unit: "盒", UnitPrice: "12.3450", Amount: 2469, Dose: "1", DoseUnit: "片", Frequency: "tid", Route: "oral", Days: 3},
		},
		Amount: 4619, WrittenAt: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC), ValidUntil: time.Date(2026, 1, 8, 9, 0, 0, 0, time.UTC),
	}
}

func TestPrescriptionValidate(t *testing.T) {
	if err := validPrescription().Validate(); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, field, what string
		spoil             func(*Prescription)
	}{
		{"lines do not add up", "amount", "the lines add up to 4619 fen, the total says 4620 fen", func(p *Prescription) { p.Amount = 4620 }},
		{"a line is not qty x price", "items[0].amount", "qty x unit_price is 2150 fen, the line says 2151 fen", func(p *Prescription) { p.Items[0].Amount++; p.Amount++ }},
		{"five decimals", "items[0].unit_price", "more than 4 decimals", func(p *Prescription) { p.Items[0].UnitPrice = "1.79171" }},
		{"no patient", "patient_no", "missing", func(p *Prescription) { p.PatientNo = "" }},
		{"sex", "sex", "not one of male, female, other, unknown", func(p *Prescription) { p.Sex = "M" }},
		{"replacement character", "patient_name", "holds characters that no HIS can take", func(p *Prescription) { p.PatientName = "测\uFFFD" }},
		{"blanks", "no", "has blanks around it", func(p *Prescription) { p.No = " RX" }},
		{"no lines", "items", "has 0 entries, allowed are 1 to 100", func(p *Prescription) { p.Items = nil; p.Amount = 0 }},
		{"consultation without complaint", "consultation.complaint", "missing", func(p *Prescription) { p.Consultation = &Consultation{No: "C1", StartedAt: p.WrittenAt} }},
		{"review without time", "review.reviewed_at", "missing", func(p *Prescription) { p.Review = &Review{PharmacistName: "测试药师"} }},
		{"signature", "writing.signature", "not base64", func(p *Prescription) { p.Writing = &Writing{Signature: "<CA>"} }},
		{"expired before written", "valid_until", "before written_at", func(p *Prescription) { p.ValidUntil = p.WrittenAt.Add(-time.Hour) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := validPrescription()
			c.spoil(p)
			var ps Problems
			if !errors.As(p.Validate(), &ps) || len(ps) != 1 || ps[0] != (Problem{c.field, c.what}) {
				t.Errorf("got %+v", ps)
			}
		})
	}
	// All of them at once.
	p := validPrescription()
	for _, c := range cases[:2] {
		c.spoil(p)
	}
	p.PatientNo, p.Sex = "", "M"
	var ps Problems
	if !errors.As(p.Validate(), &ps) || len(ps) < 4 {
		t.Errorf("not all problems at once: %v", ps)
	}
}

func TestRefundIsAtMostWhatWasPaid(t *testing.T) {
	r := &Refund{RefundNo: "R1", OrderID: "IH1", PatientNo: "1", Amount: 101, Paid: 100, Channel: "wechat", ChannelNo: "c", ChannelRefundNo: "cr", Reason: "缺药", RefundedAt: time.Now()}
	if err := r.Validate(); err == nil || !strings.Contains(err.Error(), "101 fen is more than the 100 fen") {
		t.Error(err)
	}
}

func TestLanes(t *testing.T) {
	rx, pay := validPrescription(), &Payment{OrderID: "IH1", VisitNo: "V001"}
	if rx.Lane() != pay.Lane() {
		t.Error("a payment must queue behind the prescription of its visit")
	}
	pay.VisitNo = ""
	if pay.Lane() != "IH1" {
		t.Error("without a visit, the order is the lane")
	}
	refund := &Refund{RefundNo: "R1", OrderID: "IH1"}
	if refund.Lane() != pay.Lane() {
		t.Error("a refund must queue behind its payment")
	}
}

func TestDecodeBodyNamesFieldsNotValues(t *testing.T) {
	const secret = "999999199001010016"
	for _, c := range []struct{ data, field string }{
		{`{"no":"1","id_no":` + secret + `}`, "id_no"},
		{`{"no":"1","nmae":"` + secret + `"}`, "nmae"},
		{`{"no":"1","written_at":"` + secret + `"}`, ""},
		{`{"no":"` + secret, ""},
		{`{"no":"1"} {"no":"` + secret + `"}`, ""},
		{`{"no":"1"} }`, ""},
		{`{"no":"1","amount":` + secret + `.5}`, "amount"},
	} {
		_, err := DecodeBody(PrescriptionCreate, []byte(c.data))
		var ps Problems
		if !errors.As(err, &ps) || ps[0].Field != c.field {
			t.Errorf("%v", err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Error("the error holds the submitted value")
		}
	}
}

// TestCatalogue: every entry can be made, encoded and read back strictly.
func TestCatalogue(t *testing.T) {
	seen := map[Kind]bool{}
	for _, tr := range Catalogue {
		if seen[tr.Kind] {
			t.Errorf("%s twice", tr.Kind)
		}
		seen[tr.Kind] = true
		if noun, _, ok := strings.Cut(string(tr.Kind), "."); !ok || noun != tr.Noun {
			t.Errorf("%s: noun %s", tr.Kind, tr.Noun)
		}
		data, err := json.Marshal(tr.Body())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeBody(tr.Kind, data); err != nil {
			t.Errorf("%s: %v", tr.Kind, err)
		}
		if _, free := tr.Body().(*DictionaryQuery); tr.Body().Validate() == nil && !free {
			t.Errorf("%s: an empty one is valid", tr.Kind)
		}
	}
}
