package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/core"
	"hishub/core/delivery"
)

func (w *world) detail(key string, id int64) (d MessageDetail) {
	w.Helper()
	a := w.do(key, "GET", messages(id), nil)
	if a.status != 200 {
		w.Fatalf("%d %s", a.status, a.text)
	}
	a.into(w, &d)
	return d
}

func TestOneMessageFromSubmissionToReceipt(t *testing.T) {
	w := newWorld(t)
	id := w.submit("dongshan", core.PrescriptionCreate, prescription("R1"))
	if d := w.detail(w.key(Submitter, "dongshan"), id); d.State != delivery.Queued || d.Due == nil || len(d.History) != 0 {
		t.Errorf("before: %+v", d)
	}
	w.dispatch()
	if e := w.await(id, core.EventDelivered); e.Receipt == nil || e.Receipt.HisNo != "HIS-R1" {
		t.Errorf("%+v", e)
	}
	d := w.detail(w.key(Submitter, "dongshan"), id)
	if d.State != delivery.Delivered || d.Receipt.HisNo != "HIS-R1" || len(d.History) != 1 || d.History[0].Outcome != core.OutcomeOK || d.DecidedAt == nil {
		t.Errorf("after: %+v", d)
	}
	if a := w.do(w.key(Submitter, "xihu"), "GET", messages(id), nil); a.status != 404 {
		t.Errorf("another hospital's key sees it: %d", a.status)
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.submit("dongshan", core.PaymentSettle, payment(fmt.Sprint("A", i)))
		w.submit("xihu", core.PaymentSettle, payment(fmt.Sprint("A", i)))
	}
	key := w.key(Submitter, "dongshan")
	var seen []string
	for next, pages := "", 0; pages == 0 || next != ""; pages++ {
		var list struct {
			Messages []Message
			Next     string
		}
		w.do(key, "GET", "/v1/messages?limit=2&cursor="+next, nil).into(t, &list)
		for _, m := range list.Messages {
			seen = append(seen, m.Hospital+m.Key)
		}
		next = list.Next
	}
	if got := strings.Join(seen, " "); got != "dongshanA4 dongshanA3 dongshanA2 dongshanA1 dongshanA0" {
		t.Errorf("%s", got)
	}
	for query, want := range map[string]int{"key=A1": 1, "state=queued": 5, "state=parked": 0, "kind=prescription.create": 0, "lane=V1": 5, "since=2100-01-01T00:00:00Z": 0, "until=2100-01-01T00:00:00Z": 5, "his_no=none": 0, "class=invalid": 0} {
		var list struct{ Messages []Message }
		w.do(key, "GET", "/v1/messages?"+query, nil).into(t, &list)
		if len(list.Messages) != want {
			t.Errorf("%s: %d messages, want %d", query, len(list.Messages), want)
		}
	}
}

func TestExchangeIsMasked(t *testing.T) {
	w := newWorld(t)
	w.his.wire = func(b core.Body) ([]byte, []byte) {
		p := b.(*core.Prescription)
		request := fmt.Sprintf("<n>%s</n><id>%s</id><tel>13800138000</tel><j>\\u5f20\\u4e09\\u6d4b\\u8bd5</j><no>%s</no>", p.PatientName, p.IDNo, p.No)
		answer, _ := simplifiedchinese.GB18030.NewEncoder().String("成功 " + p.PatientName)
		return []byte(request), []byte(answer)
	}
	w.dispatch()
	id := w.submit("dongshan", core.PrescriptionCreate, prescription("R1"))
	w.await(id, core.EventDelivered)
	path := messages(id) + "/attempts/1/exchange"

	var list struct{ Exchanges []Exchange }
	a := w.do(w.key(Operator, "dongshan"), "GET", path, nil)
	a.into(t, &list)
	x := list.Exchanges[0]
	if want := `<n>张***</n><id>999999********0016</id><tel>138****8000</tel><j>张***</j><no>R1</no>`; x.Request.Text != want {
		t.Errorf("request\n%s\nwant\n%s", x.Request.Text, want)
	}
	if x.Response.Text != "成功 张***" || x.Response.Charset != "gb18030" || !x.Masked {
		t.Errorf("%+v", x.Response)
	}
	if body := string(x.Body); strings.Contains(body, "三测试") || strings.Contains(body, "19900101") || strings.Contains(body, "13800138000") || strings.Contains(body, "01-01\"") || !strings.Contains(body, `"no":"R1"`) {
		t.Errorf("body %s", body)
	}

	if p := w.do(w.key(Submitter, "dongshan"), "GET", path, nil, "Hishub-Purpose: curious").problem(t); p.Status != 403 {
		t.Errorf("a submitter unmasks: %+v", p)
	}
	w.do(w.key(Operator, "dongshan"), "GET", path, nil, "Hishub-Purpose: complaint 17").into(t, &list)
	if x := list.Exchanges[0]; x.Masked || !strings.Contains(x.Request.Text, "999999199001010016") || !strings.Contains(string(x.Body), "张三测试") || !strings.Contains(x.Response.Text, "张三测试") {
		t.Errorf("with a purpose: %+v", x)
	}
	decisions := w.detail(w.key(Operator, "dongshan"), id).Decisions
	if len(decisions) != 1 || decisions[0].Verb != "unmask" || decisions[0].Note != "complaint 17" || !strings.HasPrefix(decisions[0].Who, "operator dongshan") {
		t.Errorf("recorded: %+v", decisions)
	}
	if a := w.do(w.key(Operator, "dongshan"), "GET", messages(id)+"/attempts/7/exchange", nil); a.status != 404 {
		t.Errorf("an attempt that is not: %d", a.status)
	}
}

func TestMaskKnowsShapes(t *testing.T) {
	for in, want := range map[string]string{
		"99999919900101001X":                 "999999********001X",
		"999999900101001":                    "999999*****1001",
		"13800138000":                        "138****8000",
		"order 4200001234202601051234567890": "order 4200001234202601051234567890",
		"12345678901":                        "12345678901",
		strings.Repeat("QUJD", 20) + "=":     "[81 characters of base64]",
		"身份证999999199001010016。":             "身份证999999********0016。",
	} {
		if got := maskFor(nil).text(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestDecisions(t *testing.T) {
	w := newWorld(t)
	refuse := true
	w.his.say(func(b core.Body) core.Verdict {
		if refuse {
			return core.Verdict{Outcome: core.OutcomeRejected, Words: "病人张三测试 13800138000 不存在"}
		}
		return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Receipt{HisNo: "H" + b.Key()}}
	})
	w.dispatch()
	operator, submitter := w.key(Operator, "dongshan"), w.key(Submitter, "dongshan")
	id := w.submit("dongshan", core.PrescriptionCreate, prescription("R1"))
	if e := w.await(id, core.EventParked); e.Class != core.Rejected || !strings.Contains(e.Words, "不存在") {
		t.Errorf("%+v", e)
	}
	// The words are for staff; the submitter gets class and reason.
	if d := w.detail(operator, id); !strings.Contains(d.Words, "138****8000 不存在") || d.State != delivery.Parked {
		t.Errorf("operator: %+v", d.Message)
	}
	if d := w.detail(submitter, id); d.Words != "" || d.History[0].Words != "" || d.Reason == "" || d.Class != core.Rejected {
		t.Errorf("submitter: %+v", d)
	}
	if p := w.do(operator, "POST", messages(id)+"/retry", nil).problem(t); p.Status != 409 || p.Type != "/problems/state" || !strings.Contains(p.Detail, "released") {
		t.Errorf("retry of a parked one: %+v", p)
	}
	for _, body := range []any{map[string]any{"decision": "burn", "note": "x"}, map[string]any{"decision": "again"}, map[string]any{"decision": "again", "note": ""}} {
		if a := w.do(operator, "POST", messages(id)+"/release", body); a.status != 422 {
			t.Errorf("release with %v: %d", body, a.status)
		}
	}

	// A correction, first a wrong one.
	wrong := with(prescription("R1"), map[string]any{"sex": "x", "amount": 1})
	if p := w.do(operator, "POST", messages(id)+"/supersede", map[string]any{"correction": wrong, "note": "typo"}).problem(t); p.Status != 422 || len(p.Errors) != 2 || !strings.HasPrefix(p.Errors[0].Field, "correction.") {
		t.Errorf("%+v", p)
	}
	refuse = false
	corrected := prescription("R1")
	corrected.PatientNo = "P2"
	a := w.do(operator, "POST", messages(id)+"/supersede", map[string]any{"correction": corrected, "note": "typo"})
	var s Superseding
	a.into(t, &s)
	if a.status != http.StatusAccepted || s.ID == 0 || a.header.Get("Location") != messages(s.ID) {
		t.Fatalf("%d %s", a.status, a.text)
	}
	w.await(s.ID, core.EventDelivered)
	if d := w.detail(operator, id); d.SupersededBy != s.ID || len(d.Decisions) != 1 || d.Decisions[0].Note != "typo" {
		t.Errorf("%+v", d)
	}
}

func TestMoneyTakesFourEyes(t *testing.T) {
	w := newWorld(t)
	w.his.say(func(core.Body) core.Verdict { return core.Verdict{Outcome: core.OutcomeRejected, Words: "no"} })
	w.dispatch()
	one, other := w.key(Operator, "dongshan"), w.key(Operator, "")
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	w.await(id, core.EventParked)
	corrected := payment("A1")
	corrected.Amount = 1300
	a := w.do(one, "POST", messages(id)+"/supersede", map[string]any{"correction": corrected, "note": "the till was wrong"})
	var s Superseding
	a.into(t, &s)
	if a.status != 202 || s.Proposal == 0 || s.ID != 0 {
		t.Fatalf("%d %s", a.status, a.text)
	}
	var p ProposalDetail
	w.do(other, "GET", s.Address, nil).into(t, &p)
	if len(p.Fields) != 1 || p.Fields[0] != "amount" || !strings.Contains(string(p.Correction), "1300") || strings.Contains(string(p.Correction), "三测试") {
		t.Errorf("%+v %s", p, p.Correction)
	}
	note := map[string]any{"note": "checked"}
	if p := w.do(one, "POST", s.Address+"/approve", note).problem(t); p.Type != "/problems/four-eyes" || p.Status != 403 {
		t.Errorf("approved by the same: %+v", p)
	}
	if a := w.do(w.key(Operator, "xihu"), "POST", s.Address+"/approve", note); a.status != 404 {
		t.Errorf("approved from another hospital: %d", a.status)
	}
	a = w.do(other, "POST", s.Address+"/approve", note)
	if a.status != 202 {
		t.Fatalf("%d %s", a.status, a.text)
	}
	if a := w.do(other, "POST", s.Address+"/reject", note); a.status != 404 {
		t.Errorf("rejected after it was approved: %d", a.status)
	}
}

func TestCancelReleasePauseResume(t *testing.T) {
	w := newWorld(t)
	operator := w.key(Operator, "dongshan")
	note := map[string]any{"note": "a test"}
	if a := w.do(operator, "POST", "/v1/hospitals/dongshan/pause", note); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.text)
	}
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	var list struct{ Hospitals []Hospital }
	w.do(operator, "GET", "/v1/hospitals", nil).into(t, &list)
	if h := list.Hospitals[0]; len(list.Hospitals) != 1 || h.Light != "paused" || h.Queued != 1 || h.Oldest == nil || h.PausedWhy != "a test" {
		t.Errorf("%+v", list.Hospitals)
	}
	a := w.do(operator, "POST", messages(id)+"/cancel", note)
	var m Message
	a.into(t, &m)
	if a.status != 200 || m.State != delivery.Cancelled {
		t.Errorf("%d %s", a.status, a.text)
	}
	if p := w.do(operator, "POST", messages(id)+"/cancel", note).problem(t); p.Type != "/problems/state" {
		t.Errorf("cancelled twice: %+v", p)
	}
	must(t, w.store.Resume(t.Context(), "dongshan", "test", ""))
	w.his.say(func(core.Body) core.Verdict {
		return core.Verdict{Outcome: core.OutcomeInvalid, Err: errors.New("code not mapped")}
	})
	w.dispatch()
	id = w.submit("dongshan", core.PaymentSettle, payment("A2"))
	w.await(id, core.EventParked)
	w.his.say(nil)
	if a := w.do(operator, "POST", messages(id)+"/release", map[string]any{"decision": "again", "note": "a test"}); a.status != 200 {
		t.Errorf("%d %s", a.status, a.text)
	}
	w.await(id, core.EventDelivered)
}

func TestLights(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Lights = func() map[string]delivery.Light {
			return map[string]delivery.Light{"dongshan": {Breaker: "open", LastSuccess: noon}, "xihu": {Breaker: "closed"}}
		}
	})
	var list struct{ Hospitals []Hospital }
	w.do(w.key(Submitter, ""), "GET", "/v1/hospitals", nil).into(t, &list)
	if h := list.Hospitals; len(h) != 2 || h[0].Light != "red" || !h[0].LastSuccess.Equal(noon) || h[1].Light != "green" {
		t.Errorf("%+v", h)
	}
}

func TestEventsAreScopedAndWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.dispatch()
	foreign := w.submit("xihu", core.PaymentSettle, payment("A1"))
	w.await(foreign, core.EventDelivered)
	key := w.key(Submitter, "dongshan")
	var list struct {
		Events []core.Event
		Next   string
	}
	w.do(key, "GET", "/v1/events", nil).into(t, &list)
	if len(list.Events) != 0 || list.Next == "" {
		t.Errorf("%+v", list)
	}
	began := time.Now()
	got := make(chan answerOfAPI, 1)
	go func() { got <- w.do(key, "GET", "/v1/events?wait=20&after="+list.Next, nil) }()
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	(<-got).into(t, &list)
	if len(list.Events) != 1 || list.Events[0].Message != id || time.Since(began) > 15*time.Second {
		t.Errorf("%+v after %s", list, time.Since(began))
	}
	// From the cursor of an event on there is nothing more.
	w.do(key, "GET", "/v1/events?after="+list.Events[0].Cursor, nil).into(t, &list)
	if len(list.Events) != 0 {
		t.Errorf("%+v", list)
	}
}
