package formats_test

import (
	"encoding/json"
	"encoding/xml"
	"strconv"
	"testing"

	"hishub/core"
)

// A prescription with five lines, as a tree and as the struct a program for one
// hospital would have. What the tree may cost is measured against the struct:
// writing at most twice as much, reading no more.
type prescription struct {
	XMLName   xml.Name `xml:"Request" json:"-"`
	TradeCode string
	No        string
	Patient   string
	IDNo      string
	Doctor    string
	Diagnosis string
	SignedAt  string
	Items     []prescriptionItem `xml:"Items>Item"`
}

type prescriptionItem struct {
	No, Code, Name, Spec, Dose, DoseUnit, Frequency, Days, Quantity, Unit, Price, Amount, Note string
}

func samplePrescription() (p prescription, v tree) {
	p = prescription{TradeCode: "5001", No: "RX20260105000001", Patient: "张三测试", IDNo: "999999199001010016",
		Doctor: "测试医生", Diagnosis: "急性上呼吸道感染", SignedAt: "2026-01-05 14:30:00"}
	var items list
	for i := range 5 {
		it := prescriptionItem{strconv.Itoa(i + 1), "Y00000003803", "阿莫西林胶囊", "0.25g*24粒/盒", "0.5", "g", "TID", "7", "2", "盒", "12.3450", "24.69", ""}
		p.Items = append(p.Items, it)
		items = append(items, doc("No", it.No, "Code", it.Code, "Name", it.Name, "Spec", it.Spec, "Dose", it.Dose, "DoseUnit", it.DoseUnit,
			"Frequency", it.Frequency, "Days", it.Days, "Quantity", it.Quantity, "Unit", it.Unit, "Price", it.Price, "Amount", it.Amount, "Note", nil))
	}
	v = doc("TradeCode", p.TradeCode, "No", p.No, "Patient", p.Patient, "IDNo", p.IDNo, "Doctor", p.Doctor,
		"Diagnosis", p.Diagnosis, "SignedAt", p.SignedAt, "Items", doc("Item", items))
	return p, v
}

// The benchmarks compare the same bytes.
func TestSamplePrescription(t *testing.T) {
	p, v := samplePrescription()
	want, err := xml.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := mustNew(t, "xml", nil).Write(doc("Request", v))
	if err != nil || got != string(want) {
		t.Errorf("got %s (%v)\nwant %s", got, err, want)
	}
}

func BenchmarkXMLWrite(b *testing.B) {
	p, v := samplePrescription()
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := xml.Marshal(p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tree", func(b *testing.B) {
		f, v := mustNew(b, "xml", nil), doc("Request", v)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Write(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkXMLRead(b *testing.B) {
	p, _ := samplePrescription()
	text, _ := xml.Marshal(p)
	b.Run("struct", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			var p prescription
			if err := xml.Unmarshal(text, &p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tree", func(b *testing.B) { benchmarkRead(b, "xml", string(text)) })
}

func BenchmarkJSONWrite(b *testing.B) {
	p, v := samplePrescription()
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tree", func(b *testing.B) {
		f := mustNew(b, "json", nil)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Write(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkJSONRead(b *testing.B) {
	p, _ := samplePrescription()
	text, _ := json.Marshal(p)
	b.Run("struct", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			var p prescription
			if err := json.Unmarshal(text, &p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tree", func(b *testing.B) { benchmarkRead(b, "json", string(text)) })
}

func benchmarkRead(b *testing.B, format, text string) {
	f := mustNew(b, format, nil)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var v core.Value
	for b.Loop() {
		var err error
		if v, err = f.Read(text); err != nil {
			b.Fatal(err)
		}
	}
	_ = v
}
