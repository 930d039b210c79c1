package fhirhis

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// pages are the results of searches that are longer than a page, by their number.
type pages struct {
	mu      sync.Mutex
	results map[string][]resource
}

func (p *pages) keep(found []resource) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := newID()
	p.results[id] = found
	return id
}

func (p *pages) of(id string) ([]resource, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.results[id]
	return found, ok
}

// search is GET /fhir/{type}.
func (h *HIS) search(w http.ResponseWriter, r *http.Request) {
	kind, q := r.PathValue("type"), r.URL.Query()
	h.play(w, r, kind+".search", q.Encode(), func(fault.Kind) reply {
		find, ok := searches[kind]
		if !ok {
			return issue(http.StatusNotFound, "not-supported", "不支持的资源类型")
		}
		if h.options.Inquiry == "none" && (q.Has("identifier") || q.Has("requisition")) && kind != "Patient" {
			return issue(http.StatusForbidden, "forbidden", "未开通")
		}
		found, words := find(h, q)
		if words != "" {
			return issue(http.StatusBadRequest, "invalid", words)
		}
		size, err := strconv.Atoi(q.Get("_count"))
		if err != nil || size < 1 || size > h.options.PageSize {
			size = h.options.PageSize
		}
		if len(found) <= size {
			return h.searchset(r, found, len(found), "", 0, size)
		}
		return h.searchset(r, found[:size], len(found), h.pages.keep(found), size, size)
	})
}

// page is GET /fhir?_getpages=…: what a link to the next page leads to.
func (h *HIS) page(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	h.play(w, r, "page", q.Get("_getpagesoffset"), func(fault.Kind) reply {
		found, ok := h.pages.of(q.Get("_getpages"))
		offset, err := strconv.Atoi(q.Get("_getpagesoffset"))
		size, wrong := strconv.Atoi(q.Get("_count"))
		if !ok || err != nil || wrong != nil || offset < 0 || offset > len(found) || size < 1 {
			return issue(http.StatusGone, "not-found", "分页结果已失效")
		}
		end := min(offset+size, len(found))
		next := ""
		if end < len(found) {
			next = q.Get("_getpages")
		}
		return h.searchset(r, found[offset:end], len(found), next, end, size)
	})
}

// searchset is a page; its link to the next one is an address, as FHIR wants it.
func (h *HIS) searchset(r *http.Request, found []resource, total int, next string, offset, size int) reply {
	base := h.options.Links
	if base == "" {
		base = "http://" + r.Host
	}
	links := []resource{{"relation": "self", "url": base + r.URL.RequestURI()}}
	if next != "" {
		links = append(links, resource{"relation": "next", "url": fmt.Sprintf("%s/fhir?_getpages=%s&_getpagesoffset=%d&_count=%d", base, next, offset, size)})
	}
	out := resource{"resourceType": "Bundle", "type": "searchset", "total": total, "link": links}
	var entries []resource
	for _, f := range found {
		entries = append(entries, resource{"fullUrl": fmt.Sprintf("%s/fhir/%s/%s", base, f["resourceType"], f["id"]), "resource": f, "search": resource{"mode": "match"}})
	}
	if entries != nil {
		out["entry"] = entries
	}
	return reply{http.StatusOK, out, "asked"}
}

// searches by type of resource; words say what is wrong with the parameters.
var searches = map[string]func(*HIS, url.Values) (found []resource, words string){
	"MedicationRequest": func(h *HIS, q url.Values) ([]resource, string) {
		no, ok := strings.CutPrefix(q.Get("identifier"), rxSystem+"|")
		if !ok {
			return nil, "缺少 identifier"
		}
		p, _ := h.books.Prescription(no)
		return medications(p), ""
	},
	"ServiceRequest": func(h *HIS, q url.Values) ([]resource, string) {
		no, ok := strings.CutPrefix(q.Get("requisition"), orderSystem+"|")
		if !ok {
			return nil, "缺少 requisition"
		}
		o, _ := h.books.OrderOf(no)
		return services(o), ""
	},
	"PaymentNotice": (*HIS).notices,
	"Invoice":       (*HIS).invoices,
	"Patient": func(h *HIS, q url.Values) ([]resource, string) {
		system, value, _ := strings.Cut(q.Get("identifier"), "|")
		if !strings.HasPrefix(system, "urn:id:") {
			return nil, "缺少 identifier"
		}
		var found []resource
		for _, p := range h.books.FindPatients("", q.Get("name"), value) {
			found = append(found, patient(p))
		}
		return found, ""
	},
	"Organization": func(*HIS, url.Values) ([]resource, string) {
		var found []resource
		for _, d := range books.Departments {
			o := resource{"resourceType": "Organization", "id": d.Code, "identifier": []resource{{"value": d.Code}}, "name": d.Name, "active": !d.Closed}
			if d.Parent != "" {
				o["partOf"] = resource{"identifier": resource{"value": d.Parent}}
			}
			found = append(found, o)
		}
		return found, ""
	},
}

// notices by their number, or by when they were created: ge and lt, both given.
func (h *HIS) notices(q url.Values) ([]resource, string) {
	if system, value, ok := strings.Cut(q.Get("identifier"), "|"); ok {
		if s, ok := h.books.Settlement(value); ok && system == paySystem {
			return []resource{payment(s)}, ""
		}
		if r, ok := h.books.RefundOf(value); ok && system == backSystem {
			return []resource{back(r)}, ""
		}
		return nil, ""
	}
	var from, to time.Time
	for _, bound := range q["created"] {
		at, err := time.Parse(time.RFC3339, strings.TrimLeft(bound, "gelt"))
		switch {
		case err != nil:
			return nil, "created 格式错误"
		case strings.HasPrefix(bound, "ge"):
			from = at
		case strings.HasPrefix(bound, "lt"):
			to = at
		}
	}
	if from.IsZero() || to.IsZero() || to.Sub(from) > 32*24*time.Hour {
		return nil, "缺少 created"
	}
	var found []resource
	for day := from.In(books.Zone).AddDate(0, 0, -1); day.Before(to.Add(24 * time.Hour)); day = day.AddDate(0, 0, 1) {
		for _, row := range h.books.Ledger(books.Asked{Day: day.Format(time.DateOnly)}) {
			if at := books.At(row.Time); !at.Before(from) && at.Before(to) {
				found = append(found, notice(row))
			}
		}
	}
	return found, ""
}

// invoices are the bills of a visit that are not paid.
func (h *HIS) invoices(q url.Values) ([]resource, string) {
	visit, ok := strings.CutPrefix(q.Get("account:identifier"), visitSystem+"|")
	who, named := strings.CutPrefix(q.Get("subject:identifier"), patientSystem+"|")
	if !ok || !named || q.Get("status") != "issued" {
		return nil, "只支持按就诊和患者查询未结算账单"
	}
	var found []resource
	for _, p := range h.books.Unpaid(visit, who) {
		found = append(found, invoice(p.HisNo, resource{"system": rxSystem, "value": p.No}, p.Lines, p.AmountFen))
	}
	for _, o := range h.books.UnpaidOrders(visit, who) {
		found = append(found, invoice(o.HisNo, resource{"system": orderSystem, "value": o.No}, o.Lines, o.AmountFen))
	}
	return found, ""
}

func invoice(no string, ours resource, lines []books.Line, fen int64) resource {
	var items []resource
	for _, l := range lines {
		items = append(items, resource{"sequence": l.No, "chargeItemCodeableConcept": resource{"coding": []resource{{"code": l.Code, "display": l.Name}}},
			"priceComponent": []resource{{"type": "base", "factor": json.Number(l.Qty), "amount": money(l.AmountFen)}}})
	}
	return resource{"resourceType": "Invoice", "id": no, "status": "issued", "identifier": []resource{{"system": billSystem, "value": no}, ours}, "lineItem": items, "totalGross": money(fen)}
}
