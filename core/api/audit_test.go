package api

import (
	"fmt"
	"strings"
	"testing"

	"hishub/core"
	"hishub/core/postgres"
)

// What the audit lists, for whom, and that each entry says who, in which role, from
// which request.
func TestAuditOverTheAPI(t *testing.T) {
	w := newWorld(t)
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	operator := w.key(Operator, "dongshan")
	act := w.do(operator, "POST", fmt.Sprintf("/v1/messages/%d/cancel", id), map[string]any{"note": "the patient left"})
	w.do(w.key(Admin, ""), "POST", "/v1/hospitals/xihu/pause", map[string]any{"note": "their server moves"})
	w.do(w.key(Admin, ""), "POST", "/v1/hospitals/nowhere/pause", map[string]any{"note": "nothing"})
	login := w.do("", "POST", "/pages/login", "key="+operator, "Content-Type: application/x-www-form-urlencoded")
	if login.status != 303 {
		t.Fatalf("login: %d", login.status)
	}
	var list struct {
		Entries []AuditEntry
		Head    *AuditHead
		Next    int64
	}
	read := func(key, query string) {
		t.Helper()
		list.Entries, list.Head, list.Next = nil, nil, 0
		a := w.do(key, "GET", "/v1/audit"+query, nil)
		if a.status != 200 {
			t.Fatalf("%s: %d %s", query, a.status, a.text)
		}
		a.into(t, &list)
	}
	all := w.key(Auditor, "")
	read(all, "?verb=cancel")
	if len(list.Entries) != 1 || list.Head == nil {
		t.Fatalf("%+v", list)
	}
	if e := list.Entries[0]; !strings.HasPrefix(e.Actor, "operator dongshan (key ") || e.Role != "operator" || e.Hospital != "dongshan" ||
		e.Subject != fmt.Sprint("message ", id) || e.Purpose != "the patient left" || e.Request == "" || e.Request != act.header.Get("X-Request-Id") {
		t.Errorf("%+v", e)
	}
	read(all, "?verb=login")
	if len(list.Entries) != 1 || list.Entries[0].Role != "operator" || strings.Contains(fmt.Sprint(list.Entries), operator) {
		t.Errorf("%+v", list)
	}
	read(all, "?verb=pause")
	if len(list.Entries) != 1 || list.Entries[0].Hospital != "xihu" {
		t.Errorf("%+v", list)
	}
	read(w.key(Auditor, "dongshan"), "")
	for _, e := range list.Entries {
		if e.Hospital != "dongshan" {
			t.Errorf("an auditor of dongshan sees %+v", e)
		}
	}
	if len(list.Entries) != 2 || list.Head != nil { // apply, cancel
		t.Errorf("%+v", list)
	}
	if a := w.do(w.key(Auditor, "dongshan"), "GET", "/v1/audit?hospital=xihu", nil); a.status != 404 {
		t.Errorf("%d", a.status)
	}
	read(all, "?limit=2")
	first, second := list.Entries[0].Number, list.Entries[1].Number
	read(all, fmt.Sprintf("?limit=2&before=%d", list.Next))
	if first != second+1 || list.Entries[0].Number != second-1 {
		t.Errorf("pages: %d %d %d", first, second, list.Entries[0].Number)
	}
	r, err := w.store.VerifyAudit(t.Context())
	if err != nil || r.Faults != nil {
		t.Errorf("%+v %v", r, err)
	}
}

// Nobody sees a patient without a record of it.
func TestUnmaskIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.his.wire = func(core.Body) ([]byte, []byte) { return []byte("<name>张三测试</name>"), []byte("<ok>") }
	w.dispatch()
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	w.await(id, core.EventDelivered)
	path := fmt.Sprintf("/v1/messages/%d/unmask", id)
	why := map[string]any{"purpose": "complaint 17"}
	for _, c := range []struct {
		key  string
		body any
		want int
	}{{w.key(Submitter, ""), why, 403}, {w.key(Finance, ""), why, 403}, {w.key(Auditor, ""), why, 403}, {w.key(Operator, "xihu"), why, 404},
		{w.key(Operator, ""), map[string]any{"purpose": ""}, 422}, {w.key(Operator, ""), map[string]any{"purpose": " "}, 422}, {w.key(Operator, ""), map[string]any{}, 422}} {
		if a := w.do(c.key, "POST", path, c.body); a.status != c.want || strings.Contains(a.text, "张三") {
			t.Errorf("%v: %d, want %d: %s", c.body, a.status, c.want, a.text)
		}
	}
	looks := func() []postgres.AuditEntry {
		t.Helper()
		all, err := w.store.AuditEntries(t.Context(), postgres.AuditFilter{Verb: "unmask"}, 10)
		must(t, err)
		return all
	}
	if n := len(looks()); n != 0 {
		t.Errorf("%d looks recorded that were refused", n)
	}
	a := w.do(w.key(Operator, "dongshan"), "POST", path, why)
	var got Unmasked
	a.into(t, &got)
	if a.status != 200 || !strings.Contains(string(got.Body), "张三测试") || len(got.Exchanges) != 1 || got.Exchanges[0].Request.Text != "<name>张三测试</name>" || got.Exchanges[0].Masked {
		t.Errorf("%d %s", a.status, a.text)
	}
	all := looks()
	if len(all) != 1 || all[0].Purpose != "complaint 17" || all[0].Subject != fmt.Sprint("message ", id) || all[0].Hospital != "dongshan" || all[0].Role != "operator" {
		t.Fatalf("%+v", all)
	}
	if strings.Contains(w.log.text(), "张三") || strings.Contains(fmt.Sprint(all), "张三") {
		t.Error("the patient is in the log or the audit")
	}
}
