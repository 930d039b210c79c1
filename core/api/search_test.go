package api

import (
	"net/http"
	"strings"
	"testing"

	"hishub/core"
)

func (w *world) search(key string, body map[string]any) (keys string) {
	w.Helper()
	var list struct{ Messages []Message }
	a := w.do(key, "POST", "/v1/messages:search", body)
	if a.status != http.StatusOK {
		w.Fatalf("%v: %d %s", body, a.status, a.text)
	}
	a.into(w, &list)
	for _, m := range list.Messages {
		keys += m.Hospital[:1] + m.Key + " "
	}
	return strings.TrimSpace(keys)
}

func TestSearch(t *testing.T) {
	w := newWorld(t)
	for _, h := range []string{"dongshan", "xihu"} {
		w.submit(h, core.PrescriptionCreate, prescription("R1"))
		w.submit(h, core.PaymentSettle, payment("A1"))
	}
	operator, submitter, all := w.key(Operator, "dongshan"), w.key(Submitter, "dongshan"), w.key(Admin, "")
	paid := payment("A1")
	for _, c := range []struct {
		who  string
		body map[string]any
		want string
	}{
		{operator, map[string]any{}, "dA1 dR1"},
		{operator, map[string]any{"number": paid.ChannelNo}, "dA1"},
		{operator, map[string]any{"number": " R1 "}, "dR1"},
		{all, map[string]any{"number": paid.Bills[0], "kind": "payment.settle"}, "xA1 dA1"},
		{all, map[string]any{"number": "R1", "hospital": "xihu"}, "xR1"},
		{submitter, map[string]any{"number": "none"}, ""},
		{submitter, map[string]any{"state": "queued", "since": "2026-01-05T00:00:00+08:00", "limit": 1}, "dA1"},
		{operator, map[string]any{"patient": prescription("R1").IDNo, "purpose": "complaint 17"}, "dR1"},
		{all, map[string]any{"patient": strings.ToLower(paid.PatientNo), "purpose": "complaint 17", "kind": "payment.settle"}, "xA1 dA1"},
		{all, map[string]any{"patient": "none", "purpose": "complaint 17"}, ""},
	} {
		if got := w.search(c.who, c.body); got != c.want {
			t.Errorf("%v: %q, want %q", c.body, got, c.want)
		}
	}
	// A GET takes the same, but for the patient, who must not stand in an address.
	var list struct{ Messages []Message }
	w.do(operator, "GET", "/v1/messages?number="+paid.ChannelNo, nil).into(t, &list)
	if len(list.Messages) != 1 || list.Messages[0].Key != "A1" {
		t.Errorf("%+v", list)
	}
	if a := w.do(operator, "GET", "/v1/messages?patient=P1", nil); a.status != http.StatusUnprocessableEntity && a.status != http.StatusBadRequest {
		t.Errorf("a patient in an address: %d %s", a.status, a.text)
	}
	for _, c := range []struct {
		who    string
		body   map[string]any
		status int
	}{
		{submitter, map[string]any{"patient": "P1", "purpose": "curious"}, 403},
		{w.key(Finance, "dongshan"), map[string]any{"patient": "P1", "purpose": "curious"}, 403},
		{w.key(Auditor, ""), map[string]any{"patient": "P1", "purpose": "curious"}, 403},
		{operator, map[string]any{"patient": "P1"}, 422},
		{operator, map[string]any{"hospital": "xihu"}, 404},
		{operator, map[string]any{"cursor": "x"}, 422},
		{operator, map[string]any{"state": "lost"}, 422},
	} {
		if a := w.do(c.who, "POST", "/v1/messages:search", c.body); a.status != c.status || strings.Contains(a.text, "P1") {
			t.Errorf("%v: %d %s", c.body, a.status, a.text)
		}
	}
	// Three looked for patients, and nothing of what they typed is anywhere.
	a := w.do(all, "GET", "/v1/audit?verb=search+patient", nil)
	if n := strings.Count(a.text, `"search patient"`); n != 3 || strings.Contains(a.text, prescription("R1").IDNo) || !strings.Contains(a.text, "complaint 17") {
		t.Errorf("%d in the audit: %s", n, a.text)
	}
	if log := w.log.text(); strings.Contains(log, prescription("R1").IDNo) {
		t.Error("the patient stands in the log")
	}
}

func TestTrace(t *testing.T) {
	w := newWorld(t)
	w.his.say(func(b core.Body) core.Verdict {
		return core.Verdict{Outcome: core.OutcomeOK, Words: "病人张三测试 13800138000 已收费", Answer: &core.Receipt{HisNo: "H" + b.Key()}}
	})
	w.dispatch()
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	w.await(id, core.EventDelivered)
	var trace MessageTrace
	a := w.do(w.key(Operator, "dongshan"), "GET", messages(id)+"/trace", nil)
	a.into(t, &trace)
	if trace.Key != "A1" || len(trace.History) != 1 || len(trace.Events) != 1 || trace.Events[0].Type != core.EventDelivered ||
		trace.Entry == nil || trace.Entry.ChannelNo != payment("A1").ChannelNo || !trace.Entry.Told || trace.Cases == nil || trace.Links == nil {
		t.Errorf("%s", a.text)
	}
	if strings.Contains(a.text, "13800138000") {
		t.Error("a telephone stands in a trace")
	}
	if a := w.do(w.key(Submitter, "dongshan"), "GET", messages(id)+"/trace", nil); a.status != 200 || strings.Contains(a.text, "已收费") {
		t.Errorf("a submitter reads the HIS's words: %s", a.text)
	}
	if a := w.do(w.key(Operator, "xihu"), "GET", messages(id)+"/trace", nil); a.status != 404 {
		t.Errorf("another hospital's: %d", a.status)
	}
}
