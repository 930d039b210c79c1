package api

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/postgres"
)

// A platform that has its money elsewhere decides what a hospital's window gives back; the
// HIS gets its answer while it waits, or when it asks again.
func TestPlatformDecidesAboutAWindowRefund(t *testing.T) {
	clinics := ""
	w := newWorld(t, func(o *Options) {
		o.Mine = func(_ context.Context, _ string, r *core.WindowRefund) (bool, error) {
			return r.OrderID == clinics, nil
		}
	})
	desk := &inbound.Desk{Store: w.store, Log: slog.New(slog.DiscardHandler)}
	asks := func(no, order string, within time.Duration) inbound.Taken {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return desk.Take(ctx, inbound.Fact{Hospital: "dongshan", Kind: core.RefundApply, Waits: within > time.Second,
			Body: &core.WindowRefund{HisRefundNo: no, OrderID: order, Amount: 2150, Reason: "退药"}})
	}
	w.submit("dongshan", core.PaymentSettle, payment("A1"))
	if told, err := w.store.TellsOf(t.Context(), "dongshan", &core.WindowRefund{OrderID: "A1"}); err != nil || !told {
		t.Errorf("the hub does not know what it was handed: %v", err)
	}
	if told, err := w.store.TellsOf(t.Context(), "dongshan", &core.WindowRefund{OrderID: "A9"}); err != nil || told {
		t.Errorf("the hub knows what nobody handed in: %v", err)
	}

	platform := w.key(Submitter, "dongshan")
	decision := func(id int64) string { return fmt.Sprintf("/v1/inbound/%d/decision", id) }
	done := map[string]any{"decision": "done", "refund_no": "R1", "note": "given back at the channel"}

	open := asks("TF1", "A1", 100*time.Millisecond)
	if open.State != core.ResultUnknown {
		t.Fatalf("before anybody decided, the HIS got %+v", open)
	}
	for name, c := range map[string]struct {
		key    string
		body   map[string]any
		status int
	}{
		"finance":                       {w.key(Finance, "dongshan"), done, 403},
		"another hospital's":            {w.key(Submitter, "xihu"), done, 404},
		"done without a number":         {platform, map[string]any{"decision": "done"}, 422},
		"refused without words":         {platform, map[string]any{"decision": "refused"}, 422},
		"neither":                       {platform, map[string]any{"decision": "unknown", "refund_no": "R1"}, 422},
		"refused with a number":         {platform, map[string]any{"decision": "refused", "words": "不可退", "refund_no": "R1"}, 422},
		"done with words to the window": {platform, map[string]any{"decision": "done", "words": "不可退", "refund_no": "R1"}, 422},
	} {
		if a := w.do(c.key, "POST", decision(open.ID), c.body); a.status != c.status {
			t.Errorf("%s: HTTP %d %s", name, a.status, a.text)
		}
	}
	clinics = "A1"
	if a := w.do(platform, "POST", decision(open.ID), done); a.status != 409 {
		t.Errorf("of a payment of the clinic's: HTTP %d %s", a.status, a.text)
	}
	clinics = ""
	for range 2 { // the same again is the same
		var now Inbound
		w.do(platform, "POST", decision(open.ID), done).into(t, &now)
		if now.State != "done" || now.Receipt == nil || now.Receipt.Number != "R1" || *now.Receipt.Amount != 2150 {
			t.Errorf("decided: %+v", now)
		}
	}
	if a := w.do(platform, "POST", decision(open.ID), map[string]any{"decision": "refused", "words": "不可退"}); a.status != 409 {
		t.Errorf("decided another way: HTTP %d %s", a.status, a.text)
	}
	if again := asks("TF1", "A1", time.Minute); again.State != core.ResultDone || again.Answer.(*core.Receipt).Number != "R1" {
		t.Errorf("asked again, the HIS got %+v", again)
	}

	// Now the HIS waits, and so does its repeat.
	answers := make(chan inbound.Taken, 2)
	for range 2 {
		go func() { answers <- asks("TF2", "A1", time.Minute) }()
	}
	waiting := w.arrived("dongshan", "TF2")
	w.do(platform, "POST", decision(waiting), map[string]any{"decision": "refused", "words": "药品已发出"}).into(t, &Inbound{})
	for range 2 {
		if a := <-answers; a.State != core.ResultRefused || a.Message != "药品已发出" {
			t.Errorf("who waited got %+v", a)
		}
	}

	// Once booked, once recorded; a notice is nobody's to decide.
	rows, err := w.store.AuditEntries(t.Context(), postgres.AuditFilter{Verb: "decide-inbound"}, 10)
	must(t, err)
	if len(rows) != 2 || rows[1].Purpose != "given back at the channel" {
		t.Errorf("the audit has %+v", rows)
	}
	booked, err := w.store.Booked(t.Context(), "dongshan", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	must(t, err)
	refunds := 0
	for _, e := range booked {
		if e.Type == core.EntryRefund && e.Number == "R1" && e.Amount == 2150 {
			refunds++
		}
	}
	if refunds != 1 {
		t.Errorf("the ledger has the refund %d times: %+v", refunds, booked)
	}
	stop := desk.Take(t.Context(), inbound.Fact{Hospital: "dongshan", Kind: core.ClinicStopped, Body: &core.ClinicStop{StopNo: "S1", DepartmentCode: "D01", Date: "2026-01-06"}})
	if a := w.do(platform, "POST", decision(stop.ID), done); a.status != 409 {
		t.Errorf("a notice is decided: HTTP %d %s", a.status, a.text)
	}
}

// arrived waits for a refund that a window asks.
func (w *world) arrived(hospital, no string) int64 {
	w.Helper()
	for {
		found, err := w.store.Look(w.Context(), hospital, core.RefundApply, no)
		must(w.T, err)
		if found.ID != 0 {
			return found.ID
		}
		time.Sleep(10 * time.Millisecond)
	}
}
