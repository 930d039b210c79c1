package api

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"hishub/core"
	"hishub/core/reconcile"
)

func TestQuestions(t *testing.T) {
	w := newWorld(t)
	key, path := w.key(Submitter, "dongshan"), "/v1/hospitals/dongshan/questions/"
	ask := func(kind core.Kind) answerOfAPI { return w.do(key, "POST", path+string(kind), bodyFor(string(kind))) }

	w.his.say(func(core.Body) core.Verdict {
		return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Bills{Bills: []core.Bill{{BillNo: "B1", Amount: 1200}}}}
	})
	var bills struct {
		Answer core.Bills
		AsOf   string `json:"as_of"`
	}
	a := ask(core.BillUnpaid)
	a.into(t, &bills)
	if a.status != 200 || len(bills.Answer.Bills) != 1 || bills.Answer.Bills[0].Amount != 1200 || bills.AsOf == "" {
		t.Errorf("%d %s", a.status, a.text)
	}
	w.his.say(func(core.Body) core.Verdict { return core.Verdict{Outcome: core.OutcomeNoData} })
	if a := ask(core.BillUnpaid); a.status != 200 || !strings.Contains(a.text, `"bills":[]`) {
		t.Errorf("nothing to pay: %d %s", a.status, a.text)
	}
	if p := ask(core.RefundStatus).problem(t); p.Status != 404 || p.Type != "/problems/cannot" {
		t.Errorf("%+v", p)
	}

	for name, c := range map[string]struct {
		says    core.Verdict
		status  int
		problem string
	}{
		"refused":     {core.Verdict{Outcome: core.OutcomeRejected, Words: "病人不存在"}, http.StatusBadGateway, "his-refused"},
		"unavailable": {core.Verdict{Outcome: core.OutcomeUnavailable, Err: errors.New("dial 10.0.0.1: refused")}, 503, "his-unavailable"},
		"in doubt":    {core.Verdict{Outcome: core.OutcomeInDoubt, Err: errors.New("10.0.0.1 cut")}, 503, "his-unavailable"},
		"invalid":     {core.Verdict{Outcome: core.OutcomeInvalid, Err: errors.New("code 10.0.0.1 not mapped")}, http.StatusBadGateway, "his-invalid"},
	} {
		w.his.say(func(core.Body) core.Verdict { return c.says })
		a := ask(core.PaymentStatus)
		p := a.problem(t)
		if p.Status != c.status || p.Type != "/problems/"+c.problem || strings.Contains(a.text, "10.0.0.1") || p.Words != "" {
			t.Errorf("%s: %s", name, a.text)
		}
		if c.status == 503 && a.header.Get("Retry-After") == "" {
			t.Errorf("%s: without Retry-After", name)
		}
	}
	w.his.say(func(core.Body) core.Verdict {
		return core.Verdict{Outcome: core.OutcomeRejected, Words: "病人不存在"}
	})
	if p := w.do(w.key(Operator, ""), "POST", path+"payment.status", bodyFor("payment.status")).problem(t); p.Words != "病人不存在" {
		t.Errorf("an operator does not see the HIS's words: %+v", p)
	}
	w.his.say(func(core.Body) core.Verdict {
		return core.Verdict{Outcome: core.OutcomeRejected, Words: "卡号有误", ShowPatient: true}
	})
	if p := ask(core.PaymentStatus).problem(t); p.Words != "卡号有误" {
		t.Errorf("words that even the patient may see: %+v", p)
	}
}

func TestNights(t *testing.T) {
	w := newWorld(t)
	key, path := w.key(Operator, "dongshan"), "/v1/hospitals/dongshan/nights"
	w.submit("dongshan", core.PaymentSettle, payment("A1"))
	theirs := []core.LedgerEntry{{Type: core.EntryPayment, Number: "A1", Amount: 1200}, {Type: core.EntryPayment, Number: "X9", Amount: 5}}
	w.his.say(func(b core.Body) core.Verdict {
		if _, ok := b.(*core.LedgerQuery); ok {
			return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Ledger{Entries: theirs}}
		}
		return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Receipt{}}
	})
	w.dispatch()
	w.await(w.submit("dongshan", core.PaymentSettle, payment("A2")), core.EventDelivered)

	var first, second NightDetail
	a := w.do(key, "POST", path+"/2026-01-05", map[string]any{})
	a.into(t, &first)
	if a.status != 200 || first.Run != 1 || first.Differences != 2 || len(first.Changes) != 0 { // A2 is missing there, X9 here
		t.Fatalf("%d %s; log %s", a.status, a.text, w.log.text())
	}
	theirs = append(theirs, core.LedgerEntry{Type: core.EntryPayment, Number: "A2", Amount: 1200})
	w.do(key, "POST", path+"/2026-01-05", map[string]any{}).into(t, &second)
	if second.Run != 2 || second.Differences != 1 || len(second.Changes) != 1 || !second.Changes[0].Gone || second.Changes[0].Number != "A2" {
		t.Errorf("%+v", second)
	}
	var seen NightDetail
	w.do(key, "GET", path+"/2026-01-05", nil).into(t, &seen)
	if seen.Run != 2 || len(seen.Findings) != 1 || seen.Findings[0].Number != "X9" || len(seen.Changes) != 1 {
		t.Errorf("%+v", seen)
	}
	w.do(key, "GET", path+"/2026-01-05?run=1", nil).into(t, &seen)
	if seen.Run != 1 || len(seen.Findings) != 2 {
		t.Errorf("%+v", seen)
	}
	var list struct{ Nights []any }
	w.do(key, "GET", path, nil).into(t, &list)
	if len(list.Nights) != 2 {
		t.Errorf("%d nights", len(list.Nights))
	}
	if a := w.do(key, "GET", path+"/2026-01-06", nil); a.status != 404 {
		t.Errorf("%d for a night that was not", a.status)
	}
	w.his.say(func(core.Body) core.Verdict { return core.Verdict{Outcome: core.OutcomeUnavailable} })
	w.do(key, "POST", path+"/2026-01-05", map[string]any{}).into(t, &seen)
	if seen.State != reconcile.NightWaiting || seen.Problem == "" || seen.Differences != 0 {
		t.Errorf("the HIS is away, and its night %+v", seen.Night)
	}
}
