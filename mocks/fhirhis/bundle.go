package fhirhis

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// The names by which this server and the platform number things.
const (
	rxSystem      = "https://hishub.example/rx"
	orderSystem   = "https://hishub.example/order"
	paySystem     = "https://hishub.example/pay"
	backSystem    = "https://hishub.example/pay-back"
	personSystem  = "https://hishub.example/person"
	patientSystem = "urn:his:xingguang:patient"
	visitSystem   = "urn:his:xingguang:visit"
	billSystem    = "urn:his:xingguang:bill"
	priceURL      = "https://xingguang.example/fhir/StructureDefinition/price"
)

// transaction is a Bundle, sorted by what it is about.
type transaction struct {
	operation, key string
	entries        []any
	kind           string // the type of the resources that matter
	mine           []any  // their entries
	// whole: the caller wants the resources back.
	whole bool
}

// readTransaction names what a Bundle wants; words say why it cannot be read.
func readTransaction(body []byte, prefer string) (t transaction, words string) {
	b, ok := read(body)
	if !ok || text(b, "resourceType") != "Bundle" || text(b, "type") != "transaction" {
		return transaction{operation: "transaction"}, "不是事务 Bundle"
	}
	t.operation, t.entries, t.whole = "transaction", list(b, "entry"), prefer == "return=representation"
	for _, e := range t.entries {
		kind := text(e, "resource", "resourceType")
		if kind == "Parameters" {
			kind, _, _ = strings.Cut(text(e, "request", "url"), "/")
		}
		if kind == "MedicationRequest" || kind == "ServiceRequest" || kind == "PaymentNotice" {
			t.kind, t.mine = kind, append(t.mine, e)
		}
	}
	if len(t.mine) == 0 {
		return t, "事务中没有可处理的资源"
	}
	first := t.mine[0]
	switch verb := text(first, "request", "method"); {
	case verb == "PATCH":
		t.operation, t.key = t.kind+".patch", text(first, "request", "url")
	case t.kind == "PaymentNotice" && strings.HasPrefix(text(first, "resource", "amount", "value"), "-"):
		t.operation, t.key = "PaymentNotice.refund", text(first, "resource", "identifier", "0", "value")
	default:
		t.operation = t.kind + ".create"
		t.key = cmp.Or(text(first, "resource", "groupIdentifier", "value"), text(first, "resource", "requisition", "value"), text(first, "resource", "identifier", "0", "value"))
	}
	return t, ""
}

// bundle is POST /fhir: all of it is done, or nothing.
func (h *HIS) bundle(w http.ResponseWriter, r *http.Request) {
	body, err := fault.ReadBody(w, r)
	if err != nil {
		return // the caller broke off; nothing was understood
	}
	t, words := readTransaction(body, r.Header.Get("Prefer"))
	if id, patched := strings.CutSuffix(t.operation, ".patch"); patched {
		t.key = h.ours(id, t.key)
	}
	h.play(w, r, t.operation, t.key, func(kind fault.Kind) reply {
		switch {
		case words != "":
			return issue(http.StatusBadRequest, "structure", words)
		case t.operation == "MedicationRequest.create":
			return h.savePrescription(t, kind)
		case t.operation == "MedicationRequest.patch":
			return h.voidPrescription(t)
		case t.operation == "ServiceRequest.create":
			return h.saveOrder(t, kind)
		case t.operation == "ServiceRequest.patch":
			return h.cancelOrder(t)
		case t.operation == "PaymentNotice.create":
			return h.settle(t, kind)
		default:
			return h.refund(t, kind)
		}
	})
}

// ours is the platform's number behind "MedicationRequest/R0000001-2".
func (h *HIS) ours(kind, url string) string {
	no := numberOf(url)
	if p, ok := h.books.Prescription(no); ok && kind == "MedicationRequest" {
		return p.No
	}
	if o, ok := h.books.OrderOf(no); ok {
		return o.No
	}
	return no
}

// numberOf leaves off the type and the line.
func numberOf(url string) string {
	_, id, _ := strings.Cut(url, "/")
	no, _, _ := strings.Cut(id, "-")
	return no
}

// respond answers a transaction entry by entry; resources are those of t.mine.
func (t transaction) respond(r books.Result, kind fault.Kind, resources []resource) reply {
	switch r.Effect {
	case books.Refused:
		return refuse(r.Words)
	case books.Conflict:
		return issue(http.StatusConflict, "duplicate", "重复提交内容不一致")
	}
	status := "201 Created"
	if r.Effect == books.Already || r.Effect == books.Repeated || kind == fault.DuplicateAnswer || strings.HasSuffix(t.operation, ".patch") {
		status = "200 OK"
	}
	var entries []resource
	for _, e := range t.entries {
		response := resource{"status": status, "etag": `W/"1"`, "lastModified": time.Now().In(books.Zone).Format(time.RFC3339)}
		out := resource{"response": response}
		for i, mine := range t.mine {
			if at(mine, "fullUrl") == at(e, "fullUrl") && i < len(resources) {
				response["location"] = text(resources[i], "resourceType") + "/" + text(resources[i], "id") + "/_history/1"
				if t.whole {
					out["resource"] = resources[i]
				}
			}
		}
		entries = append(entries, out)
	}
	return reply{http.StatusOK, resource{"resourceType": "Bundle", "type": "transaction-response", "entry": entries}, r.Journal()}
}

// conditional reads "identifier=system|value" of an entry; a create without it is not this server's way.
func conditional(e any, system string) (value string, ok bool) {
	return strings.CutPrefix(text(e, "request", "ifNoneExist"), "identifier="+system+"|")
}

// named is the patient of a conditional reference, which must be exactly one.
func (h *HIS) named(reference string) (books.Patient, bool) {
	no, ok := strings.CutPrefix(reference, "Patient?identifier="+patientSystem+"|")
	if !ok {
		return books.Patient{}, false
	}
	return h.books.Patient(no)
}

func nobody(reference string) reply {
	return issue(http.StatusPreconditionFailed, "not-found", "条件引用无法匹配: "+reference)
}

// linesOf reads what both kinds of requests have.
func linesOf(t transaction, system string) (lines []books.Line, sum int64, words string) {
	for i, e := range t.mine {
		r := at(e, "resource")
		value, ok := conditional(e, system+"-item")
		if !ok || value != text(r, "identifier", "0", "value") {
			return nil, 0, "缺少 ifNoneExist"
		}
		fen, err := books.ParseYuan(text(r, "extension", "url="+priceURL, "valueMoney", "value"))
		if err != nil {
			return nil, 0, "缺少价格扩展"
		}
		what := cmp.Or(text(r, "medicationCodeableConcept", "coding", "0", "code"), text(r, "code", "coding", "0", "code"))
		name := cmp.Or(text(r, "medicationCodeableConcept", "coding", "0", "display"), text(r, "code", "coding", "0", "display"))
		if what == "" || name == "" {
			return nil, 0, "缺少编码"
		}
		sum += fen
		lines = append(lines, books.Line{No: i + 1, Code: what, Name: name, Unit: text(r, "dispenseRequest", "quantity", "unit"),
			Qty: cmp.Or(text(r, "dispenseRequest", "quantity", "value"), "1"), AmountFen: fen})
	}
	return lines, sum, ""
}

func (h *HIS) savePrescription(t transaction, kind fault.Kind) reply {
	first := at(t.mine[0], "resource")
	who := text(first, "subject", "reference")
	patient, ok := h.named(who)
	if !ok {
		return nobody(who)
	}
	visit := ""
	for _, e := range t.entries { // the Encounter is an entry of its own, to which the lines refer
		if v, ok := conditional(e, visitSystem); ok && text(e, "fullUrl") == text(first, "encounter", "reference") {
			visit = v
		}
	}
	if visit == "" {
		return nobody(text(first, "encounter", "reference"))
	}
	lines, sum, words := linesOf(t, rxSystem)
	if words != "" {
		return refuse(words)
	}
	no := text(first, "groupIdentifier", "value")
	r := h.books.Save(books.Prescription{No: no, VisitNo: visit, PatientID: patient.PatientNo, PatientName: patient.Name, AmountFen: sum, Lines: lines})
	held, _ := h.books.Prescription(no)
	return t.respond(r, kind, medications(held))
}

var medicationStatus = map[string]string{books.Saved: "active", books.Settled: "active", books.Dispensed: "completed", books.Returned: "stopped", books.Voided: "cancelled"}

func medications(p books.Prescription) (all []resource) {
	for _, l := range p.Lines {
		all = append(all, resource{
			"resourceType": "MedicationRequest", "id": p.HisNo + "-" + strconv.Itoa(l.No), "status": medicationStatus[p.State], "intent": "order",
			"identifier":                []resource{{"system": rxSystem + "-item", "value": p.No + "-" + strconv.Itoa(l.No)}, {"system": rxSystem, "value": p.No}, {"system": billSystem, "value": p.HisNo}},
			"groupIdentifier":           resource{"system": rxSystem, "value": p.No},
			"medicationCodeableConcept": resource{"coding": []resource{{"code": l.Code, "display": l.Name}}},
			"extension":                 []resource{{"url": priceURL, "valueMoney": money(l.AmountFen)}},
		})
	}
	return all
}

// patched checks that a PATCH names every line of a number, and gives that number.
func patched(t transaction, lines int, status string) string {
	if len(t.mine) != lines {
		return "必须一次处理全部明细"
	}
	for _, e := range t.mine {
		if numberOf(text(e, "request", "url")) != numberOf(text(t.mine[0], "request", "url")) {
			return "一次只能处理一张单据"
		}
		part := at(e, "resource", "parameter", "name=operation", "part")
		if text(part, "name=type", "valueCode") != "replace" || text(part, "name=path", "valueString") != t.kind+".status" || text(part, "name=value", "valueCode") != status {
			return "不支持的修改"
		}
	}
	return ""
}

func (h *HIS) voidPrescription(t transaction) reply {
	no := numberOf(text(t.mine[0], "request", "url"))
	held, _ := h.books.Prescription(no)
	if words := patched(t, len(held.Lines), "cancelled"); words != "" {
		return refuse(words)
	}
	reason := ""
	for _, p := range list(t.mine[0], "resource", "parameter") {
		reason = cmp.Or(reason, text(p, "part", "name=value", "valueCodeableConcept", "text"))
	}
	r := h.books.Void(no, reason)
	held, _ = h.books.Prescription(no)
	return t.respond(r, "", medications(held))
}

func (h *HIS) saveOrder(t transaction, kind fault.Kind) reply {
	first := at(t.mine[0], "resource")
	who := text(first, "subject", "reference")
	patient, ok := h.named(who)
	if !ok {
		return nobody(who)
	}
	lines, sum, words := linesOf(t, orderSystem)
	if words != "" {
		return refuse(words)
	}
	no := text(first, "requisition", "value")
	r := h.books.SaveOrder(books.Order{No: no, VisitNo: text(first, "encounter", "identifier", "value"), PatientNo: patient.PatientNo,
		Category: text(first, "category", "0", "coding", "0", "code"), AmountFen: sum, Lines: lines})
	held, _ := h.books.OrderOf(no)
	return t.respond(r, kind, services(held))
}

var serviceStatus = map[string]string{books.Saved: "active", books.Settled: "active", books.Performed: "completed", books.Voided: "revoked"}

func services(o books.Order) (all []resource) {
	for _, l := range o.Lines {
		all = append(all, resource{
			"resourceType": "ServiceRequest", "id": o.HisNo + "-" + strconv.Itoa(l.No), "status": serviceStatus[o.State], "intent": "order",
			"identifier":  []resource{{"system": orderSystem + "-item", "value": o.No + "-" + strconv.Itoa(l.No)}, {"system": billSystem, "value": o.HisNo}},
			"requisition": resource{"system": orderSystem, "value": o.No},
			"code":        resource{"coding": []resource{{"code": l.Code, "display": l.Name}}},
			"extension":   []resource{{"url": priceURL, "valueMoney": money(l.AmountFen)}},
		})
	}
	return all
}

func (h *HIS) cancelOrder(t transaction) reply {
	no := numberOf(text(t.mine[0], "request", "url"))
	held, _ := h.books.OrderOf(no)
	if words := patched(t, len(held.Lines), "revoked"); words != "" {
		return refuse(words)
	}
	r := h.books.CancelOrder(no)
	held, _ = h.books.OrderOf(no)
	return t.respond(r, "", services(held))
}
