package bench

import (
	"encoding/xml"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/connectors"
	"hishub/core"
	"hishub/mapping"
	"hishub/mapping/hospitals"
)

// Encoding is what it takes to say the prescription in a hospital's dialect, in
// microseconds, beside encoding/xml with structs that were written by hand for it.
type Encoding struct {
	// Document is the XML document alone, Envelope with SOAP around it in GB18030.
	Document Against `json:"document"`
	Envelope Against `json:"envelope"`
	// Bytes of the whole.
	Bytes int `json:"bytes"`
}

// Against is a time of ours beside that of the yardstick, in microseconds.
type Against struct {
	Ours      float64 `json:"ours_us"`
	Yardstick float64 `json:"yardstick_us"`
}

// Ratio is how many times the yardstick's time we take.
func (a Against) Ratio() float64 { return a.Ours / a.Yardstick }

// The document of 东山医院 (mapping/hospitals/dongshan), as one would write it
// without hishub.
type (
	request struct {
		TradeCode, HospitalID, UserCode, RecipeNo, Adm, PatientID, PatientName, Sex, BirthDate, IDCardNo string
		DeptCode, DoctorCode, DoctorName, RecipeTime                                                     string
		Diagnoses                                                                                        struct{ Diag []diagnosis }
		OrderSum                                                                                         string
		RecipeItems                                                                                      struct{ Item []line }
	}
	diagnosis struct{ Code, Name string }
	line      struct {
		ItemCode, ItemName, Spec, Qty, Unit, Price, Amount, DoseQty, DoseUnit, Freq, Usage string
		Days                                                                               int
	}
	soapRequest struct {
		XMLName xml.Name `xml:"soap:Envelope"`
		Soap    string   `xml:"xmlns:soap,attr"`
		Body    struct {
			Method struct {
				Namespace string `xml:"xmlns,attr"`
				Parameter struct {
					Text string `xml:",cdata"`
				} `xml:"xmlParam"`
			} `xml:"SavePrescription"`
		} `xml:"soap:Body"`
	}
)

var (
	sexes       = map[string]string{"male": "1", "female": "2", "other": "9", "unknown": "0"}
	frequencies = map[string]string{"tid": "TID"}
	routes      = map[string]string{"oral": "1"}
)

func handwritten(p *core.Prescription, zone *time.Location) ([]byte, error) {
	r := request{
		TradeCode: "5101", HospitalID: "DS0001", UserCode: "net07", RecipeNo: p.No, Adm: p.VisitNo, PatientID: p.PatientNo, PatientName: p.PatientName,
		Sex: sexes[string(p.Sex)], BirthDate: p.BirthDate, IDCardNo: p.IDNo, DeptCode: p.DepartmentCode, DoctorCode: p.DoctorCode, DoctorName: p.DoctorName,
		RecipeTime: p.WrittenAt.In(zone).Format(time.DateTime), OrderSum: p.Amount.String(),
	}
	for _, d := range p.Diagnoses {
		r.Diagnoses.Diag = append(r.Diagnoses.Diag, diagnosis{d.Code, d.Name})
	}
	for _, i := range p.Items {
		r.RecipeItems.Item = append(r.RecipeItems.Item, line{i.Code, i.Name, i.Spec, i.Qty, i.Unit, i.UnitPrice, i.Amount.String(),
			i.Dose, i.DoseUnit, frequencies[i.Frequency], routes[i.Route], i.Days})
	}
	return xml.Marshal(struct {
		XMLName xml.Name `xml:"Request"`
		request
	}{request: r})
}

func handwrittenEnvelope(p *core.Prescription, zone *time.Location) ([]byte, error) {
	document, err := handwritten(p, zone)
	if err != nil {
		return nil, err
	}
	e := soapRequest{Soap: "http://schemas.xmlsoap.org/soap/envelope/"}
	e.Body.Method.Namespace = "http://dongshan.example/his"
	e.Body.Method.Parameter.Text = string(document)
	text, err := xml.Marshal(e)
	if err != nil {
		return nil, err
	}
	head := `<?xml version="1.0" encoding="GB18030"?>`
	return simplifiedchinese.GB18030.NewEncoder().Bytes(append([]byte(head), text...))
}

// encoding measures in turns, so that whatever else the machine does hits both alike.
func encoding(span time.Duration) (e Encoding, err error) {
	folder, err := fs.Sub(hospitals.FS, "dongshan")
	if err != nil {
		return e, err
	}
	f, err := mapping.Load(folder, mapping.Options{Env: func(string) (string, bool) { return "http://127.0.0.1:1/his", true }, Open: connectors.Open, OpenChannel: connectors.OpenChannel, Listen: connectors.Listen})
	if err != nil {
		return e, err
	}
	call := f.Dialect.Operations[core.PrescriptionCreate].Steps[0].Call
	connector, err := connectors.Open(f.Dialect.Connectors[call.Connector])
	if err != nil {
		return e, err
	}
	defer connector.Close()
	offline, ok := connector.(core.Offline)
	if !ok {
		return e, fmt.Errorf("connector %s cannot write without sending", call.Connector)
	}
	p := prescription(1)
	in := core.Input{Body: p, Kind: core.PrescriptionCreate, Stamp: core.Stamp{Key: p.No, Time: p.WrittenAt, At: p.WrittenAt, ID: "1", Number: 1}}
	encode := func() ([]byte, error) {
		q, err := call.Mapper.Encode(in)
		if err != nil {
			return nil, err
		}
		t, _ := q.Body.(core.Tree)
		text, _ := core.Text(t.Get("xmlParam"))
		return []byte(text), nil
	}
	write := func() ([]byte, error) {
		q, err := call.Mapper.Encode(in)
		if err != nil {
			return nil, err
		}
		return offline.Write(q)
	}
	byHand := func() ([]byte, error) { return handwritten(p, f.Dialect.Zone) }
	byHandWhole := func() ([]byte, error) { return handwrittenEnvelope(p, f.Dialect.Zone) }

	ours, err := encode()
	if err != nil {
		return e, err
	}
	yardstick, err := byHand()
	if err != nil {
		return e, err
	}
	if string(ours) != string(yardstick) {
		return e, fmt.Errorf("the mapping and the structs do not write the same document:\n%s\n%s", ours, yardstick)
	}
	whole, err := byHandWhole()
	if err != nil {
		return e, err
	}
	e.Bytes = len(whole)
	if e.Document, err = inTurns(encode, byHand, span); err != nil {
		return e, err
	}
	e.Envelope, err = inTurns(write, byHandWhole, span)
	return e, err
}

// inTurns gives the median time of both.
func inTurns(ours, yardstick func() ([]byte, error), span time.Duration) (Against, error) {
	const turn = 50
	var took [2][]float64
	for end := time.Now().Add(span); time.Now().Before(end); {
		for i, f := range []func() ([]byte, error){ours, yardstick} {
			began := time.Now()
			for range turn {
				if _, err := f(); err != nil {
					return Against{}, err
				}
			}
			took[i] = append(took[i], float64(time.Since(began).Nanoseconds())/1000/turn)
		}
	}
	median := func(all []float64) float64 { slices.Sort(all); return all[len(all)/2] }
	return Against{Ours: median(took[0]), Yardstick: median(took[1])}, nil
}

func (e Encoding) String() string {
	one := func(a Against) string {
		return strconv.FormatFloat(a.Ours, 'f', 1, 64) + " us, " + strconv.FormatFloat(a.Ratio(), 'f', 2, 64) + " times encoding/xml with handwritten structs"
	}
	return fmt.Sprintf("document %s; with SOAP and GB18030 %s", one(e.Document), one(e.Envelope))
}
