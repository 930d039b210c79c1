package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
)

// routes is the code table of an active folder.
type routes map[string]string

func (r routes) Find(d core.CodeDirection, code string, _ time.Time) (string, bool, error) {
	if v, ok := r[code]; ok {
		return v, false, nil
	}
	if v, ok := r["*"]; ok {
		return v, true, nil
	}
	return "", false, &core.UnmappedCode{Table: "route", Direction: d, Code: code}
}

func (r routes) Near(core.CodeDirection, string) string { return "PO" }

func TestUnmappedCodesAreListedUntilTheFolderMapsThem(t *testing.T) {
	folder := &core.Dialect{Codes: map[string]core.CodeTable{"route": routes{"PO": "1"}}}
	w := newWorld(t, func(o *Options) {
		o.Folder = func(context.Context, string) (*core.Dialect, error) { return folder, nil }
		o.Questions.(*delivery.Questions).Codes = func(hospital string, uses []core.CodeUse) {
			o.Store.(*postgres.Store).NoteCodes(hospital, 0, uses...)
		}
	})
	operator := w.key(Operator, "dongshan")
	list := func(query string) []UnmappedCode {
		t.Helper()
		var got struct{ Codes []UnmappedCode }
		w.do(operator, "GET", "/v1/hospitals/dongshan/unmapped"+query, nil).into(t, &got)
		return got.Codes
	}
	if got := list(""); got == nil || len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}

	// An answer with a code that nobody knows, first to a question, then to a message.
	w.his.say(func(core.Body) core.Verdict {
		return core.Verdict{Outcome: core.OutcomeInDoubt, Err: fmt.Errorf("decode: %w", &core.UnmappedCode{Table: "route", Direction: core.CodeIn, Code: "po"})}
	})
	w.do(w.key(Submitter, "dongshan"), "POST", "/v1/hospitals/dongshan/questions/payment.status", bodyFor("payment.status"))
	if got := list(""); len(got) != 1 || got[0].Table != "route" || got[0].Code != "po" || got[0].Direction != core.CodeIn || got[0].Unmapped != 1 || got[0].Message != 0 ||
		got[0].State != core.CodeUnmapped || got[0].Suggestion != "PO" {
		t.Fatalf("after a question: %+v", got)
	}
	w.dispatch()
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if got := list(""); len(got) == 1 && got[0].Unmapped > 1 {
			if fmt.Sprint(got[0].Message) != fmt.Sprint(id) {
				t.Errorf("of message %v: %+v", id, got[0])
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the message's code is not counted: %+v", list(""))
		}
	}

	folder = &core.Dialect{Codes: map[string]core.CodeTable{"route": routes{"*": "9"}}}
	if got := list(""); len(got) != 1 || got[0].State != core.CodeDefaulted {
		t.Errorf("under a default: %+v", got)
	}
	folder = &core.Dialect{Codes: map[string]core.CodeTable{"route": routes{"po": "9"}}}
	if got := list(""); len(got) != 0 {
		t.Errorf("once it is mapped: %+v", got)
	}
	if got := list("?all=true"); len(got) != 1 || got[0].State != core.CodeMapped {
		t.Errorf("all of them: %+v", got)
	}
	folder = &core.Dialect{}
	if got := list("?all=true"); len(got) != 1 || got[0].State != core.CodeUnused || len(list("")) != 0 {
		t.Errorf("without the table: %+v", got)
	}

	folder = &core.Dialect{Codes: map[string]core.CodeTable{"route": routes{}}}
	dismiss := func(key, code string) int {
		return w.do(key, "POST", "/v1/hospitals/dongshan/unmapped/dismiss", map[string]any{"table": "route", "direction": "in", "code": code, "note": "their typing error"}).status
	}
	if got := [3]int{dismiss(operator, "nothing"), dismiss(w.key(Submitter, "dongshan"), "po"), dismiss(operator, "po")}; got != [3]int{http.StatusNotFound, http.StatusForbidden, http.StatusNoContent} {
		t.Errorf("dismissed: %v", got)
	}
	if got := list(""); len(got) != 0 {
		t.Errorf("after it was dismissed: %+v", got)
	}
	if got := list("?all=true"); len(got) != 1 || got[0].Dismissed == nil || got[0].Note != "their typing error" {
		t.Errorf("all with the dismissed: %+v", got)
	}
	if a := w.do(w.key(Operator, "xihu"), "GET", "/v1/hospitals/dongshan/unmapped", nil); a.status != http.StatusForbidden && a.status != http.StatusNotFound {
		t.Errorf("another hospital's key: %d", a.status)
	}
}

func TestTheFolderCannotBeOpened(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Folder = func(context.Context, string) (*core.Dialect, error) {
			return nil, &core.Fault{Class: core.Unavailable, Op: "open", Err: errors.New("no variable X")}
		}
	})
	if a := w.do(w.key(Operator, ""), "GET", "/v1/hospitals/dongshan/unmapped", nil); a.status < 500 {
		t.Errorf("%d %s", a.status, a.text)
	}
}
