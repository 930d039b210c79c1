package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"hishub/core"
	"hishub/core/reconcile"
)

// differing gives dongshan a night of 2026-01-05 with two payments of which its
// HIS knows nothing: A1 of 12.00, from which on it takes two people, and A2 of 3.00.
func (w *world) differing() (cases map[string]reconcile.Case) {
	w.Helper()
	w.his.say(func(b core.Body) core.Verdict {
		if _, ok := b.(*core.LedgerQuery); ok {
			return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Ledger{}}
		}
		return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Receipt{HisNo: "H1"}}
	})
	w.dispatch()
	small := payment("A2")
	small.Amount, small.VisitNo = 300, "V2"
	w.await(w.submit("dongshan", core.PaymentSettle, payment("A1")), core.EventDelivered)
	w.await(w.submit("dongshan", core.PaymentSettle, small), core.EventDelivered)
	var n NightDetail
	a := w.do(w.key(Finance, "dongshan"), "POST", "/v1/hospitals/dongshan/nights/2026-01-05", map[string]any{"full": true})
	a.into(w, &n)
	if a.status != 200 || n.Differences != 2 || !n.Closed {
		w.Fatalf("%d %s", a.status, a.text)
	}
	var list struct{ Cases []reconcile.Case }
	w.do(w.key(Operator, "dongshan"), "GET", "/v1/cases?live=true", nil).into(w, &list)
	cases = map[string]reconcile.Case{}
	for _, c := range list.Cases {
		cases[c.Number] = c
	}
	if len(cases) != 2 || cases["A1"].Class != reconcile.MissingAtHIS || cases["A1"].Amount != 1200 {
		w.Fatalf("%+v", list)
	}
	return cases
}

func TestCases(t *testing.T) {
	w := newWorld(t)
	cases := w.differing()
	operator, finance, admin := w.key(Operator, "dongshan"), w.key(Finance, "dongshan"), w.key(Admin, "")
	one := fmt.Sprintf("/v1/cases/%d", cases["A1"].ID)
	detail := func(a answerOfAPI) (d CaseDetail) {
		t.Helper()
		if a.status != 200 {
			t.Fatalf("%d %s", a.status, a.text)
		}
		a.into(t, &d)
		return d
	}

	// Who is of another hospital sees and does nothing.
	foreign := w.key(Finance, "xihu")
	for method, path := range map[string]string{"GET": one, "POST": one + "/notes"} {
		if a := w.do(foreign, method, path, map[string]any{"note": "x"}); a.status != 404 {
			t.Errorf("%s %s of another hospital: %d", method, path, a.status)
		}
	}
	if a := w.do(foreign, "GET", "/v1/cases", nil); a.status != 200 || strings.Contains(a.text, "A1") {
		t.Errorf("%s", a.text)
	}
	if a := w.do(foreign, "GET", "/v1/cases?hospital=dongshan", nil); a.status != 404 {
		t.Errorf("%d", a.status)
	}

	// Lists are narrowed and paged.
	var page struct {
		Cases []reconcile.Case
		Next  int64
	}
	seen := 0
	for before := ""; ; before = fmt.Sprintf("&before=%d", page.Next) {
		page.Next = 0
		w.do(operator, "GET", "/v1/cases?limit=1&class=missing_at_his&day=2026-01-05"+before, nil).into(t, &page)
		seen += len(page.Cases)
		if page.Next == 0 || len(page.Cases) != 1 {
			break
		}
	}
	if seen != 2 {
		t.Errorf("%d cases by pages of one", seen)
	}
	for query, want := range map[string]int{"number=A2": 1, "state=resolved": 0, "class=paid_twice": 0, "day=2026-01-06": 0, "hospital=dongshan": 2} {
		w.do(operator, "GET", "/v1/cases?"+query, nil).into(t, &page)
		if len(page.Cases) != want {
			t.Errorf("%s: %d cases", query, len(page.Cases))
		}
	}

	d := detail(w.do(operator, "POST", one+"/notes", map[string]any{"note": "asked the window"}))
	if last := d.Trail[len(d.Trail)-1]; last.Note != "asked the window" || last.Verb != "noted" || !strings.HasPrefix(last.Who, "operator dongshan") || d.Chinese != "长款" {
		t.Errorf("%+v", d)
	}
	if d := detail(w.do(operator, "POST", one+"/assign", map[string]any{"owner": "ann"})); d.Owner != "ann" {
		t.Errorf("%+v", d.Case)
	}

	// An operator proposes and does not approve; no action is taken that the class forbids.
	if p := w.do(operator, "POST", one+"/repairs", map[string]any{"action": "reverse", "note": "x"}).problem(t); p.Status != 422 || !strings.Contains(p.Errors[0].What, "write_off") {
		t.Errorf("%+v", p)
	}
	// An admin who proposed is not the second person; finance is.
	d = detail(w.do(admin, "POST", one+"/repairs", map[string]any{"action": "write_off", "note": "below what a search costs"}))
	if d.Repair == nil || d.Repair.Action != reconcile.WriteOff || d.Repair.State != reconcile.RepairProposed {
		t.Fatalf("%+v", d.Repair)
	}
	approve := fmt.Sprintf("%s/repairs/%d/approve", one, d.Repair.ID)
	yes := map[string]any{"note": "checked"}
	if p := w.do(operator, "POST", approve, yes).problem(t); p.Type != "/problems/forbidden" {
		t.Errorf("%+v", p)
	}
	if p := w.do(admin, "POST", approve, yes).problem(t); p.Status != 403 || p.Type != "/problems/four-eyes" {
		t.Errorf("%+v", p)
	}
	if p := w.do(finance, "POST", fmt.Sprintf("%s/repairs/%d/approve", one, d.Repair.ID+1000), yes).problem(t); p.Status != 404 {
		t.Errorf("%+v", p)
	}
	d = detail(w.do(finance, "POST", approve, yes))
	if d.State != reconcile.CaseWrittenOff || d.Repair.State != reconcile.RepairDone {
		t.Errorf("%+v", d.Case)
	}
	if p := w.do(finance, "POST", approve, yes).problem(t); p.Status != 409 || p.Type != "/problems/state" {
		t.Errorf("approved twice: %+v", p)
	}
	if p := w.do(operator, "POST", one+"/repairs", map[string]any{"action": "write_off", "note": "x"}).problem(t); p.Status != 409 {
		t.Errorf("proposed for a case that ended: %+v", p)
	}

	// What was rejected is not approved later.
	two := fmt.Sprintf("/v1/cases/%d", cases["A2"].ID)
	d = detail(w.do(operator, "POST", two+"/repairs", map[string]any{"action": "pay_back", "note": "the patient wants it"}))
	repair := fmt.Sprintf("%s/repairs/%d", two, d.Repair.ID)
	if d = detail(w.do(finance, "POST", repair+"/reject", map[string]any{"note": "he was treated"})); d.Repair.State != reconcile.RepairRejected {
		t.Errorf("%+v", d.Repair)
	}
	if p := w.do(finance, "POST", repair+"/approve", yes).problem(t); p.Status != 409 {
		t.Errorf("%+v", p)
	}
}

func TestPagesOfCases(t *testing.T) {
	w := newWorld(t)
	cases := w.differing()
	operator, finance := w.browser(), w.browser()
	csrf := operator.signIn(w.key(Operator, "dongshan"))
	one := fmt.Sprintf("/pages/cases/%d", cases["A1"].ID)

	must := func(status int, text string, want ...string) string {
		t.Helper()
		for _, s := range want {
			if status != 200 || !strings.Contains(text, s) {
				t.Errorf("%d, lacks %q: %s", status, s, text)
			}
		}
		if strings.Contains(text, "<script") || strings.Contains(text, "style=") || strings.Contains(text, "三测试") {
			t.Error("a script, a style, or a patient")
		}
		return text
	}
	see := func(b *browser, path string, want ...string) string {
		t.Helper()
		status, text := b.open(path)
		return must(status, text, want...)
	}
	post := func(b *browser, path string, form url.Values, want ...string) string {
		t.Helper()
		status, text := b.post(path, form)
		return must(status, text, want...)
	}
	see(operator, "/pages/nights", "closed", "/pages/reports/dongshan/2026-01-05.xlsx")
	see(operator, "/pages/nights/dongshan/2026-01-05", "2 to look into", "长款", fmt.Sprintf(`href="/pages/cases/%d"`, cases["A2"].ID), "2026-01-05.zip", "ledger.detail")
	see(operator, "/pages/cases", "A1", "A2", "12.00")
	if text := see(operator, "/pages/cases?number=A2&state=all"); strings.Contains(text, "<code>A1</code>") {
		t.Error("another number is found")
	}
	see(operator, "/pages/cases?state=resolved", "Nothing here")
	text := see(operator, one, "has nothing", "opened", "Propose a repair", "write_off", "wxA1")
	if strings.Contains(text, "/approve") {
		t.Error("an operator gets a button to approve")
	}
	post(operator, one+"/note", url.Values{"csrf": {csrf}, "note": {"asked <b>the window</b>"}}, "asked &lt;b&gt;the window&lt;/b&gt;")
	post(operator, one+"/assign", url.Values{"csrf": {csrf}, "owner": {"ann"}}, "<dd>ann</dd>")
	post(operator, one+"/propose", url.Values{"csrf": {csrf}, "action": {"write_off"}, "note": {"too small"}}, "proposed", "too small")
	if status, _ := operator.post(one+"/note", url.Values{"note": {"forged"}}); status != http.StatusForbidden {
		t.Errorf("a form of nobody's: %d", status)
	}

	var d CaseDetail
	w.do(w.key(Operator, "dongshan"), "GET", fmt.Sprintf("/v1/cases/%d", cases["A1"].ID), nil).into(t, &d)
	repair := fmt.Sprintf("%s/repairs/%d", one, d.Repair.ID)
	if status, _ := operator.post(repair+"/approve", url.Values{"csrf": {csrf}, "note": {"x"}}); status != http.StatusForbidden {
		t.Errorf("an operator approves: %d", status)
	}
	csrf = finance.signIn(w.key(Finance, "dongshan"))
	see(finance, one, "Approve")
	post(finance, repair+"/approve", url.Values{"csrf": {csrf}, "note": {"checked"}}, "written_off", "approved")

	foreign := w.browser()
	foreign.signIn(w.key(Finance, "xihu"))
	for _, path := range []string{one, "/pages/cases?hospital=dongshan", "/pages/nights/dongshan/2026-01-05", "/pages/reports/dongshan/2026-01-05.html"} {
		if status, _ := foreign.open(path); status != 404 {
			t.Errorf("%s of another hospital: %d", path, status)
		}
	}
	submitter := w.browser()
	submitter.signIn(w.key(Submitter, "dongshan"))
	for _, path := range []string{one, "/pages/cases", "/pages/reports/dongshan/2026-01-05.html"} {
		if status, _ := submitter.open(path); status != 403 {
			t.Errorf("%s for a submitter: %d", path, status)
		}
	}
	see(finance, "/pages/reports/dongshan/2026-01-05.html", "对账日报", "差异")
	if _, text := w.browser().open("/pages/reports/dongshan/2026-01-05.html"); strings.Contains(text, "对账日报") {
		t.Error("a report is open to all")
	}
}
