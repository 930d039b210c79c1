package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/core"
)

// watching is a reader of the stream.
type watching struct {
	*world
	lines *bufio.Scanner
	close func()
}

func (w *world) watch(key string) (*watching, int) {
	w.Helper()
	ctx, stop := context.WithCancel(w.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+"/v1/live", nil)
	must(w.T, err)
	r.Header.Set("Authorization", "Bearer "+key)
	a, err := http.DefaultClient.Do(r)
	must(w.T, err)
	w.Cleanup(func() { stop(); a.Body.Close() })
	return &watching{w, bufio.NewScanner(a.Body), stop}, a.StatusCode
}

// next waits for news.
func (w *watching) next() (n LiveNews) {
	w.Helper()
	for w.lines.Scan() {
		if text, ok := strings.CutPrefix(w.lines.Text(), "data: "); ok {
			must(w.T, json.Unmarshal([]byte(text), &n))
			return n
		}
	}
	w.Fatalf("the stream ended: %v", w.lines.Err())
	return n
}

func ids(n LiveNews) (all []string) {
	for _, h := range n.Hospitals {
		all = append(all, h.ID)
	}
	slices.Sort(all)
	return all
}

// Whoever watches hears of all his hospitals first, then of what changes, and of no
// other's; the hub looks once for all.
func TestLive(t *testing.T) {
	off := 90 * time.Second
	w := newWorld(t, func(o *Options) {
		o.Seen = func() map[string]Seen {
			return map[string]Seen{"dongshan": {Exchanges: 10, Failed: 1, Unmapped: 2, ClockOff: off, ClockAsked: noon, LastFailure: noon}}
		}
	})
	mine, _ := w.watch(w.key(Operator, "dongshan"))
	first := mine.next()
	if !first.All || fmt.Sprint(ids(first)) != "[dongshan]" || len(first.Gone) != 0 {
		t.Fatalf("first: %+v", first)
	}
	h := first.Hospitals[0]
	if !h.Known || h.Exchanges != 10 || h.Failed != 1 || h.Unmapped != 2 || h.ClockOffMs == nil || *h.ClockOffMs != 90_000 || h.Light != "green" {
		t.Errorf("%+v", h)
	}
	all, _ := w.watch(w.person(Grant{Auditor, nil}))
	if n := all.next(); fmt.Sprint(ids(n)) != "[dongshan xihu]" {
		t.Errorf("who sees all: %+v", n)
	}

	w.submit("xihu", core.PaymentSettle, payment("A1"))
	if n := all.next(); n.All || fmt.Sprint(ids(n)) != "[xihu]" || n.Hospitals[0].Queued != 1 || n.Hospitals[0].Known {
		t.Errorf("after a message: %+v", n)
	}
	must(t, w.store.Pause(t.Context(), "dongshan", "test", "a test"))
	if n := mine.next(); n.All || fmt.Sprint(ids(n)) != "[dongshan]" || n.Hospitals[0].Light != "paused" {
		t.Errorf("after a pause: %+v", n)
	}
	if _, status := w.watch("hk_none"); status != 401 {
		t.Errorf("nobody: %d", status)
	}
}

// Streams end with the process, and there is an end to how many there are.
func TestLiveIsBounded(t *testing.T) {
	stopping := make(chan struct{})
	w := newWorld(t, func(o *Options) { o.Stopping = stopping })
	reader, _ := w.watch(w.key(Admin, ""))
	reader.next()
	close(stopping)
	for reader.lines.Scan() {
	}

	l := &lamps{ctx: t.Context(), every: time.Hour, look: func(context.Context) ([]LiveHospital, error) { return nil, nil }}
	for range liveMost {
		if l.watch() == nil {
			t.Fatal("refused early")
		}
	}
	if l.watch() != nil {
		t.Error("one too many")
	}
}

// What happened is added up by step, for the hospitals that the caller sees.
func TestOverview(t *testing.T) {
	var asked [][]string
	w := newWorld(t, func(o *Options) {
		o.Pulse = func(_ context.Context, hospitals []string, first, last int64) ([]map[string]int64, error) {
			asked = append(asked, hospitals)
			out := make([]map[string]int64, last-first+1)
			for i := range out {
				out[i] = map[string]int64{PulseDelivered: 2, PulseExchanges: 20, PulseFailed: 1, PulseTook(7 * time.Millisecond): 18, PulseTook(900 * time.Millisecond): 2}
			}
			return out, nil
		}
	})
	var o Overview
	w.do(w.key(Admin, ""), "GET", "/v1/overview?minutes=600", nil).into(t, &o)
	p := o.Points[1]
	if o.Step != 5 || len(o.Points) < 120 || p.Delivered != 10 || p.Exchanges != 100 || p.Failed != 5 || *p.P50 != 10 || *p.P95 != 1000 || p.At.Unix()%300 != 0 {
		t.Errorf("step %d, %d points, %+v", o.Step, len(o.Points), p)
	}
	w.do(w.key(Operator, "xihu"), "GET", "/v1/overview", nil).into(t, &o)
	w.do(w.person(Grant{Operator, []string{"xihu"}}, Grant{Finance, []string{"dongshan"}}), "GET", "/v1/overview", nil).into(t, &o)
	if fmt.Sprint(asked) != "[[] [xihu] [xihu dongshan]]" || asked[0] != nil {
		t.Errorf("asked for %v", asked)
	}
	for path, want := range map[string]int{"?hospital=dongshan": 404, "?minutes=600": 422, "?minutes=5": 422, "?hospital=xihu": 200} {
		if a := w.do(w.key(Operator, "xihu"), "GET", "/v1/overview"+path, nil); a.status != want {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
	}
	var none Overview
	before := len(asked)
	w.do(w.person(Grant{Operator, []string{}}), "GET", "/v1/overview", nil).into(t, &none)
	if len(asked) != before || none.Points[0].Exchanges != 0 {
		t.Error("who sees no hospital was shown something")
	}
}
