package sealedhis

import (
	"encoding/json"
	"strconv"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// input holds the fields of every transaction, by their initials in pinyin;
// amounts are fen in text.
type input struct {
	operator string

	Ptbh, Xm, Xb, Csrq, Zjlx, Zjh, Sjh, Jhrzjh string // a person

	Cfbh, Jzlsh, Brid, Brxm, Ksbm, Ysbm, Zfyy string // a prescription
	Cfmx                                      string // its lines, JSON in text

	Ddh, Zje, Jsid, Zffs, Zflsh, Zfsj string // a settlement
	Djh                               []string

	Tkdh, Tkje, Tksj, Czbz string // a refund

	Rq, Ym, Mys string // the ledger
}

type line struct {
	Xh   json.Number `json:"xh"`
	Ypbm string      `json:"ypbm"`
	Ypmc string      `json:"ypmc"`
	Gg   string      `json:"gg"`
	Sl   string      `json:"sl"`
	Dw   string      `json:"dw"`
	Dj   string      `json:"dj"`
	Je   string      `json:"je"`
}

// work of one transaction.
type work struct {
	key     func(*input) string
	inquiry bool // a status question, which the option Inquiry switches off
	act     func(*HIS, *input, fault.Kind) answer
}

var works = map[string]work{
	"1101": {key: func(in *input) string { return in.Ptbh }, act: (*HIS).register},
	"1201": {key: func(*input) string { return "" }, act: (*HIS).departments},
	"2201": {key: byRx, act: (*HIS).savePrescription},
	"2202": {key: byRx, act: (*HIS).voidPrescription},
	"2203": {key: byRx, inquiry: true, act: (*HIS).prescription},
	"2301": {key: byOrder, act: (*HIS).begin},
	"2302": {key: byOrder, act: (*HIS).confirm},
	"2303": {key: func(in *input) string { return in.Jsid }, act: (*HIS).takeBack},
	"2304": {key: byOrder, inquiry: true, act: (*HIS).payment},
	"2401": {key: byRefund, act: (*HIS).refund},
	"2402": {key: byRefund, inquiry: true, act: (*HIS).refundState},
	"2501": {key: func(in *input) string { return in.Jzlsh }, act: (*HIS).unpaid},
	"3201": {key: byDay, act: (*HIS).ledgerTotal},
	"3202": {key: byDay, act: (*HIS).ledgerDetail},
}

func byRx(in *input) string     { return in.Cfbh }
func byOrder(in *input) string  { return in.Ddh }
func byRefund(in *input) string { return in.Tkdh }
func byDay(in *input) string    { return in.Rq }

// missing names the first empty field of name, value, name, value …
func missing(pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return pairs[i]
		}
	}
	return ""
}

// fen reads digits; a point is an error, this hospital counts in fen.
func fen(text string) (int64, bool) {
	n, err := strconv.ParseUint(text, 10, 50)
	return int64(n), err == nil
}

func inFen(n int64) string { return strconv.FormatInt(n, 10) }

type fields = map[string]string

func (h *HIS) register(in *input, kind fault.Kind) answer {
	if name := missing("ptbh", in.Ptbh, "xm", in.Xm, "csrq", in.Csrq, "zjlx", in.Zjlx); name != "" {
		return lacking(name)
	}
	r := h.books.Register(books.Patient{PersonID: in.Ptbh, Name: in.Xm, Sex: in.Xb, BirthDate: in.Csrq, IDType: in.Zjlx, IDNo: in.Zjh, Phone: in.Sjh, Guardian: in.Jhrzjh})
	p, _ := h.books.Patient(r.HisNo)
	return booked(r, kind, fields{"brid": r.HisNo, "kh": p.CardNo})
}

// departments travel as a text in the result.
func (h *HIS) departments(*input, fault.Kind) answer {
	var list []fields
	for _, d := range books.Departments {
		closed := "0"
		if d.Closed {
			closed = "1"
		}
		list = append(list, fields{"ksbm": d.Code, "ksmc": d.Name, "sjks": d.Parent, "tybz": closed})
	}
	return told(fields{"kslb": string(compact(list))})
}

func (h *HIS) savePrescription(in *input, kind fault.Kind) answer {
	if name := missing("cfbh", in.Cfbh, "jzlsh", in.Jzlsh, "brid", in.Brid, "brxm", in.Brxm, "ksbm", in.Ksbm, "ysbm", in.Ysbm); name != "" {
		return lacking(name)
	}
	total, ok := fen(in.Zje)
	var lines []line
	if !ok || json.Unmarshal([]byte(in.Cfmx), &lines) != nil {
		return refuse("参数错误: zje 或 cfmx")
	}
	p := books.Prescription{No: in.Cfbh, VisitNo: in.Jzlsh, PatientID: in.Brid, PatientName: in.Brxm, AmountFen: total}
	for i, l := range lines {
		amount, ok := fen(l.Je)
		if !ok || missing("ypbm", l.Ypbm, "ypmc", l.Ypmc, "sl", l.Sl, "dj", l.Dj) != "" {
			return refuse("参数错误: cfmx")
		}
		p.Lines = append(p.Lines, books.Line{No: i + 1, Code: l.Ypbm, Name: l.Ypmc, Spec: l.Gg, Unit: l.Dw, Qty: l.Sl, Price: l.Dj, AmountFen: amount})
	}
	r := h.books.Save(p)
	return booked(r, kind, fields{"cfbh": in.Cfbh, "hiscfh": r.HisNo, "zje": inFen(r.AmountFen)})
}

func (h *HIS) voidPrescription(in *input, kind fault.Kind) answer {
	if name := missing("cfbh", in.Cfbh, "zfyy", in.Zfyy); name != "" {
		return lacking(name)
	}
	r := h.books.Void(in.Cfbh, in.Zfyy)
	return booked(r, kind, fields{"cfbh": in.Cfbh, "hiscfh": r.HisNo})
}

var prescriptionStates = fields{books.Saved: "1", books.Settled: "2", books.Dispensed: "3", books.Returned: "4", books.Voided: "9"}

func (h *HIS) prescription(in *input, _ fault.Kind) answer {
	if in.Cfbh == "" {
		return lacking("cfbh")
	}
	p, ok := h.books.Prescription(in.Cfbh)
	if !ok {
		return told(fields{"cfzt": "0"})
	}
	return told(fields{"cfzt": prescriptionStates[p.State], "cfbh": p.No, "hiscfh": p.HisNo, "zje": inFen(p.AmountFen)})
}
