package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"hishub/core"
)

// quickOne is a type that is read by quick, and a whole one of it.
type quickOne struct {
	*reading
	whole core.Body
}

// quickOnes, with their schemas as the API has them.
func quickOnes() map[string]quickOne {
	newHuma(http.NewServeMux(), "")
	return map[string]quickOne{
		"prescription": {readingOf[core.Prescription](), aPrescription()},
		"payment": {readingOf[core.Payment](), &core.Payment{OrderID: "IH1", VisitNo: "V1", PatientNo: "1", Bills: []string{"B1", "B2"}, Amount: 1250,
			Channel: "wechat", ChannelNo: "W1", PaidAt: time.Date(2026, 1, 5, 9, 0, 0, 0, time.FixedZone("", 8*3600))}},
		"refund": {readingOf[core.Refund](), &core.Refund{RefundNo: "R1", OrderID: "IH1", PatientNo: "1", Amount: 5, Paid: 10, Channel: "alipay", ChannelNo: "W1",
			ChannelRefundNo: "W2", Reason: "测试", RefundedAt: time.Date(2026, 1, 5, 9, 0, 0, 5e6, time.UTC), Reversal: true, Lines: []core.RefundLine{{BillNo: "B1", LineNo: "1", Amount: 5}}}},
	}
}

func aPrescription() *core.Prescription {
	at := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	return &core.Prescription{No: "RX1", VisitNo: "V1", PatientNo: "0001", PatientName: "测试甲", Sex: "female", BirthDate: "1990-01-01", DepartmentCode: "D01",
		DoctorCode: "0007", PharmacistCode: "P1", Category: "western", Diagnoses: []core.Diagnosis{{Code: "J02.900", Name: "急性咽炎"}}, Amount: 2150,
		Items:     []core.Item{{Code: "YP1", Name: "维生素C", Qty: "12", Unit: "瓶", UnitPrice: "1.7917", Amount: 2150, Dose: "2", DoseUnit: "片", Frequency: "tid", Route: "oral", Days: 3}},
		WrittenAt: at, ValidUntil: at.Add(time.Hour)}
}

func TestQuickReadsWhatPlatformsSend(t *testing.T) {
	ones := quickOnes()
	for name, q := range ones {
		text, err := json.Marshal(q.whole)
		if err != nil {
			t.Fatal(err)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, text, "", "\t"); err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{text, indented.Bytes()} {
			if !q.quick.read(text, fresh(q.whole).Elem()) {
				t.Errorf("a %s was not read in one pass: %s", name, text)
			}
			sameAsSlow(t, ones, name, text)
		}
	}
}

// TestQuickGivesUp: what it must leave to the long way, one for each of its checks.
func TestQuickGivesUp(t *testing.T) {
	q := quickOnes()["payment"]
	whole, _ := json.Marshal(q.whole) // it has no value that cannot be written
	for what, change := range map[string][2]string{
		"a name that is not known": {`"order_id"`, `"orderid"`},
		"another case":             {`"order_id"`, `"Order_ID"`},
		"a name twice":             {`"visit_no":"V1"`, `"visit_no":"V1","visit_no":"V2"`},
		"a required one is gone":   {`"visit_no":"V1",`, ``},
		"not in the enumeration":   {`"wechat"`, `"shells"`},
		"an escape":                {`"V1"`, `"\u0056"`},
		"a null":                   {`"V1"`, `null`},
		"a fraction":               {`1250`, `1250.0`},
		"an exponent":              {`1250`, `1e3`},
		"a zero before":            {`1250`, `01250`},
		"too many digits":          {`1250`, `1234567890123456`},
		"a number for a text":      {`"V1"`, `1`},
		"a text that is too long":  {`"V1"`, `"` + string(bytes.Repeat([]byte("长"), 65)) + `"`},
		"too few":                  {`["B1","B2"]`, `[]`},
		"no time":                  {`2026-01-05T`, `2026-13-05T`},
		"a comma too many":         {`"B2"]`, `"B2",]`},
		"something behind":         {`+08:00"}`, `+08:00"}x`},
		"no UTF-8":                 {`"V1"`, "\"\xff\""},
		"a control character":      {`"V1"`, "\"\x01\""},
	} {
		text := bytes.Replace(whole, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(text, whole) {
			t.Fatalf("%s: %s is not in %s", what, change[0], whole)
		}
		if q.quick.read(text, fresh(q.whole).Elem()) {
			t.Errorf("%s was taken: %s", what, text)
		}
	}
}

// TestQuickKnowsTheCatalogue: a type with something that it does not know would be
// read the long way, for ever and unnoticed.
func TestQuickKnowsTheCatalogue(t *testing.T) {
	newHuma(http.NewServeMux(), "")
	for name, q := range map[string]*reading{
		"PatientRegister": readingOf[core.Patient](), "AppointmentBook": readingOf[core.Appointment](), "AppointmentPay": readingOf[core.AppointmentPayment](),
		"PrescriptionCreate": readingOf[core.Prescription](), "PrescriptionVoid": readingOf[core.PrescriptionVoiding](), "DispenseReport": readingOf[core.Dispense](),
		"OrderCreate": readingOf[core.Order](), "PaymentSettle": readingOf[core.Payment](), "RefundCreate": readingOf[core.Refund](), "InvoiceIssue": readingOf[core.Invoice](),
	} {
		if q.quick == nil {
			t.Errorf("%s is not read in one pass", name)
		}
	}
}

// FuzzQuick: what is taken in one pass is what the long way takes, with the same content.
func FuzzQuick(f *testing.F) {
	ones := quickOnes()
	for name, q := range ones {
		text, err := json.Marshal(q.whole)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name, text)
	}
	f.Fuzz(func(t *testing.T, name string, text []byte) { sameAsSlow(t, ones, name, text) })
}

func sameAsSlow(t *testing.T, ones map[string]quickOne, name string, text []byte) {
	q, ok := ones[name]
	if !ok {
		return
	}
	got := fresh(q.whole)
	if !q.quick.read(text, got.Elem()) {
		return
	}
	var parsed any
	if err := json.Unmarshal(text, &parsed); err != nil {
		t.Fatalf("taken, but no JSON: %v: %q", err, text)
	}
	found := &huma.ValidateResult{}
	huma.Validate(q.registry, q.schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, parsed, found)
	if len(found.Errors) > 0 {
		t.Fatalf("taken, but %v: %q", found.Errors, text)
	}
	want := fresh(q.whole)
	if err := json.Unmarshal(text, want.Interface()); err != nil {
		t.Fatalf("taken, but %v: %q", err, text)
	}
	if !reflect.DeepEqual(got.Interface(), want.Interface()) {
		t.Fatalf("read as %+v, but it is %+v: %q", got.Elem(), want.Elem(), text)
	}
}

func fresh(b core.Body) reflect.Value { return reflect.New(reflect.TypeOf(b).Elem()) }

func BenchmarkQuick(b *testing.B) {
	q := quickOnes()["prescription"]
	text, err := json.Marshal(q.whole)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !q.quick.read(text, fresh(q.whole).Elem()) {
			b.Fatal("not read")
		}
	}
}
