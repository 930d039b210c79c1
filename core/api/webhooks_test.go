package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hishub/core"
)

// ear is a platform's side of a webhook.
type ear struct {
	*httptest.Server
	heard chan call
}

type call struct {
	signature, event, body string
	e                      core.Event
}

// listen answers the n-th call with a status.
func listen(t *testing.T, answer func(n int) int) *ear {
	e := &ear{heard: make(chan call, 100)}
	n := 0
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c := call{signature: r.Header.Get("Hishub-Signature"), event: r.Header.Get("Hishub-Event"), body: string(body)}
		_ = json.Unmarshal(body, &c.e)
		n++
		status := answer(n)
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		e.heard <- c
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *ear) next(t *testing.T) call {
	t.Helper()
	select {
	case c := <-e.heard:
		return c
	case <-time.After(20 * time.Second):
		t.Fatal("the webhook was not called")
		return call{}
	}
}

// tellers run several processes' senders until the test ends.
func (w *world) tellers(n int) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	for range n {
		s := &Webhooks{Store: w.store, Log: slog.New(slog.NewJSONHandler(w.log, nil)), Look: 40 * time.Millisecond}
		go func() { _ = s.Run(ctx); done <- struct{}{} }()
	}
	w.Cleanup(func() {
		stop()
		for range n {
			<-done
		}
	})
}

func (w *world) hook(body map[string]any) (made NewWebhookAnswer) {
	w.Helper()
	a := w.do(w.key(Admin, ""), "POST", "/v1/webhooks", body)
	if a.status != http.StatusCreated {
		w.Fatalf("%d %s", a.status, a.text)
	}
	a.into(w, &made)
	return made
}

func TestWebhooksAreCalledOnceInOrderAndSigned(t *testing.T) {
	w := newWorld(t)
	e := listen(t, func(int) int { return 204 })
	w.dispatch()
	w.await(w.submit("dongshan", core.PaymentSettle, payment("A0")), core.EventDelivered) // before the webhook: not told
	made := w.hook(map[string]any{"url": e.URL + "/hook", "hospitals": []string{"dongshan"}, "types": []string{"message.delivered"}})
	w.tellers(3)
	var ids []int64
	for i := range 5 {
		w.submit("xihu", core.PaymentSettle, payment(fmt.Sprint("A", i)))
		ids = append(ids, w.submit("dongshan", core.PaymentSettle, payment(fmt.Sprint("B", i))))
	}
	for _, id := range ids { // one lane, so they were delivered in this order
		c := e.next(t)
		if c.e.Message != id || c.event != "message.delivered" || c.e.Hospital != "dongshan" {
			t.Fatalf("told of %+v, want message %d", c.e, id)
		}
		var unix int64
		if _, err := fmt.Sscanf(c.signature, "t=%d,v1=", &unix); err != nil || c.signature != core.Signature([]byte(made.Secret), time.Unix(unix, 0), []byte(c.body)) {
			t.Errorf("signature %q", c.signature)
		}
	}
	select {
	case c := <-e.heard:
		t.Errorf("told once more: %+v", c.e)
	case <-time.After(300 * time.Millisecond):
	}
	list := w.do(w.key(Admin, ""), "GET", "/v1/webhooks", nil)
	if strings.Contains(list.text, made.Secret) || !strings.Contains(list.text, e.URL) {
		t.Error("the list shows the secret, or lacks the webhook")
	}
}

func TestAWebhookThatFailsIsToldAgainLater(t *testing.T) {
	w := newWorld(t)
	e := listen(t, func(n int) int {
		switch n {
		case 1:
			return 500
		case 2:
			return http.StatusFound // is not followed
		}
		return 200
	})
	w.dispatch()
	address := strings.Replace(e.URL, "http://", "http://user:s3cretpass@", 1) + "/hook?token=t0ken"
	made := w.hook(map[string]any{"url": address})
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	w.await(id, core.EventDelivered)
	w.tellers(1)
	for range 3 {
		if c := e.next(t); c.e.Message != id {
			t.Errorf("%+v", c.e)
		}
	}
	for _, secret := range []string{"s3cretpass", "t0ken", made.Secret} {
		if strings.Contains(w.log.text(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(w.log.text(), "answered 500") || !strings.Contains(w.log.text(), "answered 302") {
		t.Errorf("the log does not say why: %s", w.log.text())
	}
	if list := w.do(w.key(Admin, ""), "GET", "/v1/webhooks", nil); strings.Contains(list.text, "s3cretpass") {
		t.Error("the list shows the password")
	}
}

func TestAWebhookIsDisabledAfterThreeDays(t *testing.T) {
	n := 0
	for waited(n) < patience {
		n++
	}
	if n < 80 || n > 90 || backoff(0) != time.Second || backoff(100) != time.Hour {
		t.Errorf("%d failures make three days", n)
	}
	w := newWorld(t)
	e := listen(t, func(int) int { return 500 })
	made := w.hook(map[string]any{"url": e.URL, "after": ""})
	for range n {
		must(t, w.store.WebhookFailed(t.Context(), made.ID, 0))
	}
	w.dispatch()
	w.await(w.submit("dongshan", core.PaymentSettle, payment("A1")), core.EventDelivered)
	w.tellers(1)
	e.next(t)
	admin := w.key(Admin, "")
	var list struct{ Webhooks []Webhook }
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		w.do(admin, "GET", "/v1/webhooks", nil).into(t, &list)
		if list.Webhooks[0].DisabledAt != nil {
			break
		}
	}
	if h := list.Webhooks[0]; h.DisabledAt == nil || !strings.Contains(h.DisabledWhy, "answered 500") {
		t.Fatalf("%+v", h)
	}
	if a := w.do(admin, "POST", fmt.Sprintf("/v1/webhooks/%d/enable", made.ID), nil); a.status != http.StatusNoContent {
		t.Errorf("%d", a.status)
	}
	e.next(t)
	if a := w.do(admin, "DELETE", fmt.Sprintf("/v1/webhooks/%d", made.ID), nil); a.status != http.StatusNoContent {
		t.Errorf("%d", a.status)
	}
	for _, bad := range []map[string]any{{"url": "ftp://host/x"}, {"url": "nothing"}, {"url": e.URL, "types": []string{"message.lost"}}, {"url": e.URL, "after": "x"}, {"url": e.URL, "hospitals": []string{"nowhere"}}} {
		if a := w.do(admin, "POST", "/v1/webhooks", bad); a.status != 422 {
			t.Errorf("%v: %d %s", bad, a.status, a.text)
		}
	}
}
