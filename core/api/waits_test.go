package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// shutDialect is outside its working hours now, whenever that is.
func shutDialect() *core.Dialect {
	at := time.Now().In(time.UTC)
	start := (at.Hour()*60 + at.Minute() + 120) % (24 * 60)
	every := [7]bool{true, true, true, true, true, true, true}
	return &core.Dialect{Zone: time.UTC, Open: []core.Hours{{Days: every, Window: core.Window{Start: start, End: (start + 60) % (24 * 60)}}}}
}

func TestQueuedMessagesSayWhyTheyWait(t *testing.T) {
	dialect := &core.Dialect{Zone: time.UTC}
	lights := map[string]delivery.Light{"dongshan": {Breaker: "open", Broken: time.Now().Add(-time.Minute), Probe: time.Now().Add(time.Hour)}}
	w := newWorld(t, func(o *Options) {
		o.Process = "p1"
		o.Folder = func(context.Context, string) (*core.Dialect, error) { return dialect, nil }
		o.Lights = func() map[string]delivery.Light { return lights }
	})
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	key := w.key(Operator, "dongshan")
	path := fmt.Sprintf("/v1/messages/%d", id)
	expect := func(step string, kind delivery.WaitKind, text string) {
		t.Helper()
		var list struct{ Messages []Message }
		w.do(key, "GET", "/v1/messages?state=queued", nil).into(t, &list)
		var one, trace Message
		w.do(key, "GET", path, nil).into(t, &one)
		w.do(key, "GET", path+"/trace", nil).into(t, &trace)
		if len(list.Messages) != 1 {
			t.Fatalf("%s: %d messages in the list", step, len(list.Messages))
		}
		for where, m := range map[string]Message{"list": list.Messages[0], "message": one, "trace": trace} {
			if m.Waits == nil || m.Waits.Kind != kind || !strings.Contains(m.Waits.Text, text) {
				t.Errorf("%s, %s: %+v, want %s, %q", step, where, m.Waits, kind, text)
			}
		}
	}
	expect("no hub", delivery.WaitUnowned, "no process")
	own := func(process string) {
		t.Helper()
		_, err := w.store.Own(t.Context(), process, time.Hour)
		must(t, err)
	}
	own("p1")
	expect("its own process", delivery.WaitBreaker, "does not answer since")
	must(t, w.store.Pause(t.Context(), "dongshan", "ops", "they move"))
	expect("paused", delivery.WaitPaused, "by ops: they move")
	must(t, w.store.Resume(t.Context(), "dongshan", "ops", ""))
	lights = nil
	expect("a process that does not know", delivery.WaitTurn, "(p1): ask that process")

	dialect = shutDialect()
	expect("closed", delivery.WaitClosed, "the hospital is closed until ")
	var retried Message
	w.do(key, "POST", path+"/retry", map[string]any{}).into(t, &retried)
	if retried.Waits == nil || retried.Waits.Kind != delivery.WaitClosed || retried.Waits.Until == nil {
		t.Errorf("a retry outside the hours answers %+v", retried.Waits)
	}
	b := w.browser()
	b.signIn(key)
	_, page := b.open(fmt.Sprintf("/pages/messages/%d", id))
	if !strings.Contains(page, "Waits: the hospital is closed until") {
		t.Error("the page does not say why it waits")
	}
}

func TestAHospitalOutsideItsHoursIsGrey(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Head = func(_ context.Context, id string, _ int) (*core.Dialect, error) {
			if id == "xihu" {
				return &core.Dialect{Zone: time.UTC, Maintenance: []core.Window{{Start: 0, End: 24 * 60}}}, nil
			}
			return shutDialect(), nil
		}
		o.Lights = func() map[string]delivery.Light {
			return map[string]delivery.Light{"dongshan": {Breaker: "open"}}
		}
	})
	var list struct{ Hospitals []Hospital }
	w.do(w.key(Submitter, ""), "GET", "/v1/hospitals", nil).into(t, &list)
	d, x := list.Hospitals[0], list.Hospitals[1]
	if d.Light != "closed" || d.Rests == nil || d.Rests.Kind != "closed" || d.Rests.Until == nil || time.Until(*d.Rests.Until) > 2*time.Hour {
		t.Errorf("outside its hours: %s %+v", d.Light, d.Rests)
	}
	if x.Light != "closed" || x.Rests == nil || x.Rests.Kind != "maintenance" {
		t.Errorf("in maintenance: %s %+v", x.Light, x.Rests)
	}
	b := w.browser()
	b.signIn(w.key(Operator, ""))
	_, page := b.open("/pages/hospitals")
	if !strings.Contains(page, "light-closed") || !strings.Contains(page, "the hospital is closed until") || !strings.Contains(page, "the hospital is in maintenance") {
		t.Error("the page does not say that they are closed")
	}
}

func TestAQuestionOutsideTheHoursSaysClosed(t *testing.T) {
	w := newWorld(t)
	w.his.shut = shutDialect().Open
	a := w.do(w.key(Submitter, ""), "POST", "/v1/hospitals/dongshan/questions/payment.status", bodyFor("payment.status"))
	p := a.problem(t)
	if p.Type != "/problems/his-unavailable" || p.Title != "the hospital is closed" || !strings.Contains(p.Detail, "closed until") || a.header.Get("Retry-After") == "" {
		t.Errorf("%s", a.text)
	}
}
