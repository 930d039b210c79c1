package mapping

import (
	"encoding/xml"
	"testing"

	"hishub/core"
)

// The yardstick: encoding/xml with structs writes about the same document.
type request struct {
	XMLName xml.Name `xml:"Request"`
	Head    struct{ No, Name, Sex, SexName, Age string }
	Items   struct {
		Count int     `xml:"count,attr"`
		Item  []entry `xml:"Item"`
	}
}

type entry struct {
	No    int `xml:"no,attr"`
	Code  string
	Name  string
	Dose  dose
	Price string
	Cost  string
}

type dose struct {
	Unit string `xml:"unit,attr"`
	Text string `xml:",chardata"`
}

func fiveLines() *core.Prescription {
	p := prescription()
	for len(p.Items) < 5 {
		p.Items = append(p.Items, p.Items[0])
	}
	return p
}

func BenchmarkEncodingXML(b *testing.B) {
	p := fiveLines()
	b.ReportAllocs()
	for b.Loop() {
		var r request
		r.Head.No, r.Head.Name, r.Head.Sex, r.Head.SexName, r.Head.Age = p.No, p.PatientName, "2", "女", "36"
		r.Items.Count = len(p.Items)
		for i, item := range p.Items {
			r.Items.Item = append(r.Items.Item, entry{i + 1, item.Code, item.Name, dose{item.DoseUnit, item.Dose}, item.UnitPrice, item.Amount.String()})
		}
		if _, err := xml.Marshal(&r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	m := load(b, folder(b, "xihe")).Dialect.Operations[core.PrescriptionCreate].Steps[0].Mapper
	in := core.Input{Body: fiveLines(), Stamp: stamp}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Encode(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	m := load(b, folder(b, "xihe")).Dialect.Operations[core.PaymentSettle].Steps[0].Mapper
	in := core.Input{Body: payment(), Stamp: stamp}
	r := core.Response{Body: "<Response><ResultCode>0</ResultCode><InvoiceNo>1</InvoiceNo></Response>"}
	b.ReportAllocs()
	for b.Loop() {
		if v := m.Decode(in, r); v.Outcome != core.OutcomeOK {
			b.Fatal(v.Err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	files := folder(b, "xihe")
	for b.Loop() {
		load(b, files)
	}
}
