package fhirhis

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

func money(fen int64) resource {
	return resource{"value": json.Number(books.Yuan(fen)), "currency": "CNY"}
}

// when is an instant of FHIR as the books write it.
func when(instant string) string {
	t, err := time.Parse(time.RFC3339, instant)
	if err != nil {
		return ""
	}
	return t.In(books.Zone).Format(books.TimeLayout)
}

func instant(t string) string { return books.At(t).Format(time.RFC3339) }

// settle books a PaymentNotice; what it pays is in the PaymentReconciliation to
// which it refers.
func (h *HIS) settle(t transaction, kind fault.Kind) reply {
	notice := at(t.mine[0], "resource")
	order, once := conditional(t.mine[0], paySystem)
	var paid any
	for _, e := range t.entries {
		if text(e, "fullUrl") == text(notice, "payment", "reference") {
			paid = at(e, "resource")
		}
	}
	fen, err := books.ParseYuan(text(notice, "amount", "value"))
	if !once || order != text(notice, "identifier", "0", "value") || paid == nil || err != nil || text(paid, "paymentAmount", "value") != text(notice, "amount", "value") {
		return refuse("PaymentNotice 与 PaymentReconciliation 不符")
	}
	var bills []string
	for _, d := range list(paid, "detail") {
		no, ok := strings.CutPrefix(text(d, "request", "reference"), "Invoice?identifier="+billSystem+"|")
		if !ok || !h.bill(no) {
			return nobody(text(d, "request", "reference"))
		}
		bills = append(bills, no)
	}
	r := h.books.Settle(books.Settlement{Order: order, Channel: channelOf(text(paid, "paymentIdentifier", "system")), ChannelNo: text(paid, "paymentIdentifier", "value"),
		Bills: bills, AmountFen: fen, PaidAt: when(text(notice, "created"))})
	held, _ := h.books.Settlement(order)
	return t.respond(r, kind, []resource{payment(held)})
}

func (h *HIS) bill(no string) bool {
	_, rx := h.books.Prescription(no)
	_, order := h.books.OrderOf(no)
	return rx || order
}

func channelOf(system string) string { return strings.TrimPrefix(system, "urn:channel:") }

func payment(s books.Settlement) resource {
	return notice(books.Row{Order: s.Order, HisNo: s.HisNo, Channel: s.Channel, ChannelNo: s.ChannelNo, AmountFen: s.AmountFen, Time: s.PaidAt})
}

// notice is a PaymentNotice of a row of the ledger.
func notice(row books.Row) resource {
	out := resource{
		"resourceType": "PaymentNotice", "id": row.HisNo, "status": "active", "created": instant(row.Time), "amount": money(row.AmountFen),
		"identifier": []resource{{"system": paySystem, "value": row.Order}},
		"payment":    resource{"identifier": resource{"system": "urn:channel:" + row.Channel, "value": row.ChannelNo}},
		"recipient":  resource{"identifier": resource{"value": "xingguang"}},
	}
	if row.Refund {
		out["identifier"] = []resource{{"system": backSystem, "value": row.RefundNo}}
		if row.RefundNo == "" { // given back at the window
			out["identifier"] = []resource{}
		}
		out["amount"] = money(-row.AmountFen)
		out["request"] = resource{"identifier": resource{"system": paySystem, "value": row.Order}}
	}
	if row.Reversal {
		out["status"] = "entered-in-error"
	}
	return out
}

// refund books a PaymentNotice whose amount is negative.
func (h *HIS) refund(t transaction, kind fault.Kind) reply {
	r := at(t.mine[0], "resource")
	no, once := conditional(t.mine[0], backSystem)
	order, paid := strings.CutPrefix(text(r, "request", "reference"), "PaymentNotice?identifier="+paySystem+"|")
	fen, err := books.ParseYuan(strings.TrimPrefix(text(r, "amount", "value"), "-"))
	if !once || !paid || err != nil {
		return refuse("退款的 PaymentNotice 不完整")
	}
	result := h.books.Refund(books.Refund{No: no, Order: order, AmountFen: fen, RefundedAt: when(text(r, "created")), Reversal: text(r, "status") == "entered-in-error"}, "")
	held, _ := h.books.RefundOf(no)
	return t.respond(result, kind, []resource{back(held)})
}

func back(r books.Refund) resource {
	return notice(books.Row{Refund: true, Reversal: r.Reversal, Order: r.Order, RefundNo: r.No, HisNo: r.HisNo, ChannelNo: r.ChannelNo, AmountFen: r.AmountFen, Time: r.RefundedAt})
}

// createPatient is a conditional create by itself.
func (h *HIS) createPatient(w http.ResponseWriter, r *http.Request) {
	body, err := fault.ReadBody(w, r)
	if err != nil {
		return
	}
	p, ok := read(body)
	person, once := strings.CutPrefix(r.Header.Get("If-None-Exist"), "identifier="+personSystem+"|")
	h.play(w, r, "Patient.create", person, func(kind fault.Kind) reply {
		if !ok || !once || text(p, "resourceType") != "Patient" || text(p, "name", "0", "text") == "" || text(p, "birthDate") == "" {
			return refuse("Patient 不完整")
		}
		id := at(p, "identifier", "value="+documentOf(p))
		result := h.books.Register(books.Patient{PersonID: person, Name: text(p, "name", "0", "text"), Sex: text(p, "gender"), BirthDate: text(p, "birthDate"),
			IDType: strings.TrimPrefix(text(id, "system"), "urn:id:"), IDNo: text(id, "value"), Phone: text(p, "telecom", "0", "value"),
			Guardian: text(p, "contact", "0", "extension", "url=urn:id:guardian", "valueString")})
		switch result.Effect {
		case books.Refused:
			return refuse(result.Words)
		case books.Already, books.Repeated, books.Conflict:
			held, _ := h.books.Patient(result.HisNo)
			return reply{http.StatusOK, patient(held), result.Journal()}
		}
		held, _ := h.books.Patient(result.HisNo)
		return reply{http.StatusCreated, patient(held), result.Journal()}
	})
}

func documentOf(p resource) string {
	for _, i := range list(p, "identifier") {
		if strings.HasPrefix(text(i, "system"), "urn:id:") {
			return text(i, "value")
		}
	}
	return ""
}

func patient(p books.Patient) resource {
	gender := p.Sex
	if p == (books.Patient{}) || p.PersonID == books.Known.PersonID {
		gender = "male"
	}
	return resource{
		"resourceType": "Patient", "id": p.PatientNo, "active": true, "gender": gender, "birthDate": p.BirthDate,
		"identifier": []resource{{"system": personSystem, "value": p.PersonID}, {"system": patientSystem, "value": p.PatientNo}, {"system": "urn:id:" + p.IDType, "value": p.IDNo}},
		"name":       []resource{{"text": p.Name}}, "telecom": []resource{{"system": "phone", "value": p.Phone}},
	}
}
