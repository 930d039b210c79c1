package api

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/replay"
	"hishub/core/shadow"
)

// canAsk is of HIS that can be asked about everything.
func canAsk(context.Context, string, core.Kind, int) (replay.Repeats, error) {
	return replay.RepeatsOf(&core.Operation{Steps: []core.Step{{Inquire: &core.Inquiry{}}}}), nil
}

// replaying is a world whose hospitals refuse everything until healed, with a worker.
func replaying(t *testing.T) (w *world, heal func()) {
	w = newWorld(t, func(o *Options) {
		o.Repeats = canAsk
		o.Shadow = func(ctx context.Context, of shadow.Store, hospital string, limit int) (*shadow.Report, error) {
			r := &shadow.Report{Hospital: hospital, Groups: []*shadow.Group{}}
			next, stop := iter.Pull2(of.Told(ctx, shadow.Query{Hospital: hospital, Limit: limit, Until: time.Now()}))
			defer stop()
			for {
				m, err, more := next()
				if !more || err != nil {
					return r, err
				}
				if m.Body.Key() != "" {
					r.Messages++
				}
			}
		}
	})
	w.his.say(func(core.Body) core.Verdict { return core.Verdict{Outcome: core.OutcomeRejected, Words: "not today"} })
	w.dispatch()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	worker := &replay.Worker{Process: "p1", Store: w.store, Rules: canAsk, Log: slog.New(slog.DiscardHandler), Look: 10 * time.Millisecond, Follow: 10 * time.Millisecond}
	go func() { defer close(done); worker.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return w, func() { w.his.say(nil) }
}

// ends waits until a replay has this state.
func (w *world) ends(id int64, state replay.State) (r Replay) {
	w.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		w.do(w.key(Admin, ""), "GET", replayAddress(id), nil).into(w, &r)
		if r.State == state {
			return r
		}
	}
	w.Fatalf("replay %d is %s %+v, not %s", id, r.State, r.Total, state)
	return r
}

func TestReplayOverTheAPI(t *testing.T) {
	w, heal := replaying(t)
	operator := w.key(Operator, "dongshan")
	var ids []int64
	for i := range 3 {
		id := w.submit("dongshan", core.PrescriptionCreate, prescription(fmt.Sprint("RX", i)))
		w.await(id, core.EventParked)
		ids = append(ids, id)
	}
	other := w.submit("xihu", core.PrescriptionCreate, prescription("RX9"))
	w.await(other, core.EventParked)
	ask := map[string]any{"filter": map[string]any{"class": "rejected"}, // parked, where nothing else is said
		"rate": 100, "note": "the pharmacy has it now"}

	var look ReplayPreview
	a := w.do(operator, "POST", "/v1/replays:preview", map[string]any{"filter": ask["filter"], "compare": 2})
	a.into(t, &look)
	if a.status != 200 || look.Count != 3 || look.May != 3 || look.Money || len(look.Groups) != 1 || look.Groups[0].Hospital != "dongshan" || look.Oldest == nil {
		t.Errorf("preview %d %s", a.status, a.text)
	}
	if len(look.Differs) != 1 || look.Differs[0].Messages != 2 {
		t.Errorf("compared %s", a.text)
	}
	if strings.Contains(a.text, "张三") {
		t.Error("a preview names a patient")
	}
	ask["expect"] = 2
	if a := w.do(operator, "POST", "/v1/replays", ask); a.status != 409 || a.problem(t).Type != "/problems/state" {
		t.Errorf("%d %s with another number than was seen", a.status, a.text)
	}
	ask["expect"] = 3
	heal()
	var made Replay
	a = w.do(operator, "POST", "/v1/replays", ask)
	a.into(t, &made)
	if a.status != http.StatusAccepted || a.header.Get("Location") != made.Address || made.Total.Items != 3 || made.Note == "" || !strings.Contains(made.CreatedBy, "operator dongshan (key ") {
		t.Fatalf("%d %s", a.status, a.text)
	}
	done := w.ends(made.ID, replay.Done)
	if done.Total != (replay.Tally{Items: 3, Delivered: 3}) || len(done.Parts) != 1 || done.EndedAt == nil {
		t.Errorf("in the end %+v", done)
	}
	var page struct {
		Items []ReplayItem
		Next  int64
	}
	w.do(operator, "GET", made.Address+"/items?limit=2", nil).into(t, &page)
	if len(page.Items) != 2 || page.Next != ids[1] || page.Items[0].Message != ids[0] || page.Items[0].Outcome != replay.Delivered || page.Items[0].Key != "RX0" {
		t.Errorf("items %+v", page)
	}
	page.Items = nil
	w.do(operator, "GET", fmt.Sprintf("%s/items?outcome=delivered&after=%d", made.Address, page.Next), nil).into(t, &page)
	if len(page.Items) != 1 || page.Items[0].Message != ids[2] {
		t.Errorf("the next page %+v", page)
	}
	if a := w.do(operator, "POST", made.Address+"/pause", map[string]any{"note": "x"}); a.status != 409 {
		t.Errorf("paused what is done: %d", a.status)
	}
	// Another hospital's does not exist.
	if a := w.do(operator, "POST", "/v1/replays", map[string]any{"filter": map[string]any{"hospitals": []string{"xihu"}, "state": "parked"}, "note": "x"}); a.status != 404 {
		t.Errorf("another hospital: %d", a.status)
	}
	stranger := w.key(Operator, "xihu")
	for _, path := range []string{made.Address, made.Address + "/items"} {
		if a := w.do(stranger, "GET", path, nil); a.status != 404 {
			t.Errorf("%s for a stranger: %d", path, a.status)
		}
	}
	if a := w.do(stranger, "POST", made.Address+"/cancel", map[string]any{"note": "x"}); a.status != 404 {
		t.Errorf("cancelled by a stranger: %d", a.status)
	}
	var list struct{ Replays []Replay }
	w.do(stranger, "GET", "/v1/replays", nil).into(t, &list)
	if len(list.Replays) != 0 {
		t.Errorf("listed for a stranger: %+v", list)
	}
	w.do(operator, "GET", "/v1/replays?open=false", nil).into(t, &list)
	if len(list.Replays) != 1 || list.Replays[0].ID != made.ID {
		t.Errorf("listed %+v", list)
	}
	for name, body := range map[string]any{
		"nothing fits": map[string]any{"filter": map[string]any{"state": "parked", "keys": []string{"none"}}, "note": "x"},
		"no state":     map[string]any{"filter": map[string]any{}, "note": "x"},
		"no note":      map[string]any{"filter": map[string]any{"state": "parked"}},
		"a bad kind":   map[string]any{"filter": map[string]any{"state": "parked", "kind": "prescription.status"}, "note": "x"},
	} {
		if a := w.do(operator, "POST", "/v1/replays", body); a.status != 422 {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
}

func TestAReplayOfMoneyTakesTwo(t *testing.T) {
	w, heal := replaying(t)
	heal()
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	w.await(id, core.EventDelivered)
	note := map[string]any{"note": "their database was restored"}
	var made Replay
	w.do(w.key(Operator, ""), "POST", "/v1/replays", map[string]any{"filter": map[string]any{"state": "delivered"}, "note": "restored"}).into(t, &made)
	if made.State != replay.Proposed || !made.Money {
		t.Fatalf("%+v", made)
	}
	if a := w.do(w.key(Operator, ""), "POST", made.Address+"/approve", note); a.status != 403 || a.problem(t).Type != "/problems/four-eyes" {
		t.Errorf("approved by who made it: %d %s", a.status, a.text)
	}
	if a := w.do(w.key(Finance, ""), "POST", made.Address+"/approve", note); a.status != 403 {
		t.Errorf("approved by finance, who does not decide about messages: %d", a.status)
	}
	w.his.say(func(core.Body) core.Verdict {
		t.Error("sent without being asked about: the folders of this world have no inquiry")
		return core.Verdict{Outcome: core.OutcomeOK}
	})
	if a := w.do(w.key(Admin, ""), "POST", made.Address+"/approve", note); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.text)
	}
	if r := w.ends(made.ID, replay.Done); r.Total != (replay.Tally{Items: 1, Parked: 1}) || r.ApprovedBy == "" {
		t.Errorf("in the end %+v", r)
	}
}
