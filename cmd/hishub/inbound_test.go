package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/pay"
)

func TestWindowRefundOnce(t *testing.T) {
	w := newWindow(t)
	w.pay("xihu", "IH1")
	status, first, _ := w.notice("NT001", refundOf("TF1", "IH1", "21.50"), nil)
	if status != 200 || first.Success != 1 || first.Dateset.RefundNo == "" || first.Dateset.HisRefundNo != "TF1" || first.Remsgid != "0017" {
		t.Fatalf("HTTP %d, %+v", status, first)
	}
	if p := w.charge("IH1"); p.State != order.Refunded || p.Refunded != 2150 {
		t.Errorf("the payment is %s, %d fen went back", p.State, p.Refunded)
	}
	time.Sleep(1100 * time.Millisecond) // so that its time of sending differs
	if _, again, _ := w.notice("NT001", refundOf("TF1", "IH1", "21.50"), nil); again.Success != 1 || again.Dateset != first.Dateset {
		t.Errorf("the repeat got %+v, the first %+v", again, first)
	}
	if _, other, _ := w.notice("NT001", refundOf("TF1", "IH1", "1.50"), nil); other.Success != 2001 || other.Msgtext == "" {
		t.Errorf("other content under the same number got %+v", other)
	}
	if _, more, _ := w.notice("NT001", refundOf("TF2", "IH1", "0.01"), nil); more.Success != 2001 || more.Msgtext != "可退金额不足" {
		t.Errorf("more than was paid got %+v", more)
	}
	if _, unknown, _ := w.notice("NT001", refundOf("TF3", "IH9", "1.00"), nil); unknown.Success != 2001 {
		t.Errorf("an unknown order got %+v", unknown)
	}
	if _, q, _ := w.notice("NT002", `{"hisRefundNo":"TF1"}`, nil); q.Dateset.RefundState != "2" || q.Dateset.RefundNo != first.Dateset.RefundNo || q.Dateset.RefundFee != "21.50" {
		t.Errorf("asked about, it got %+v", q)
	}
	for no, state := range map[string]string{"TF2": "3", "TF9": "0"} {
		if _, q, _ := w.notice("NT002", `{"hisRefundNo":"`+no+`"}`, nil); q.Dateset.RefundState != state {
			t.Errorf("asked about %s, it got %+v", no, q)
		}
	}
	if n, sum := w.channel.moved(); n != 1 || sum != 2150 {
		t.Errorf("%d refunds of %d fen moved", n, sum)
	}
	if n := w.count(`select count(*) from hub.message where kind = 'refund.create'`); n != 0 {
		t.Errorf("the HIS is told of %d refunds that it started itself", n)
	}

	// Kept once, with the exact bytes of every time, and told once.
	if n := w.count(`select count(*) from hub.exchange where message = (select id from hub.inbound where kind = 'refund.apply' and key = 'TF1')`); n != 3 {
		t.Errorf("%d exchanges are kept, 3 happened", n)
	}
	all, err := w.store.ListInbound(w.ctx, inboundOf("xihu", core.RefundApply, "TF1"))
	ok(t, err)
	if len(all) != 1 || all[0].State != "done" || all[0].Times != 3 || all[0].Conflicts != 1 || all[0].Receipt.Number != first.Dateset.RefundNo {
		t.Fatalf("kept is %+v", all)
	}
	x, err := w.store.Exchange(w.ctx, all[0].ID, 1)
	ok(t, err)
	if !bytes.Contains(x[0].Request, []byte(`"hisRefundNo":"TF1"`)) || !bytes.Contains(x[0].Response, []byte(first.Dateset.RefundNo)) {
		t.Error("the exact bytes were not kept")
	}
	if sealed := w.count(`select count(*) from hub.exchange where position('TF1'::bytea in request) > 0`); sealed != 0 {
		t.Error("the bytes stand in the open")
	}
	var events []string
	feed, _, err := w.store.Read(w.ctx, "", 100)
	ok(t, err)
	for _, e := range feed {
		if e.Key == "TF1" {
			events = append(events, fmt.Sprint(e.Type, " ", e.Result, " ", e.Inbound == all[0].ID, " ", e.Receipt != nil))
		}
	}
	if got := strings.Join(events, ", "); got != "inbound.refund.apply  true false, inbound.decided done true true" {
		t.Errorf("events: %s", got)
	}

	// A night has it as ours.
	found, entries := false, 0
	for e, err := range w.store.Ours(w.ctx, "xihu", time.Now().Add(-time.Hour), time.Now().Add(time.Hour)) {
		ok(t, err)
		entries++
		found = found || e.Type == core.EntryRefund && e.Number == first.Dateset.RefundNo && e.HisNo == "TF1" && e.Amount == 2150 && e.Told == "delivered"
	}
	if !found || entries != 2 {
		t.Errorf("our ledger has %d entries, with the refund: %v", entries, found)
	}
}

func TestWhatCannotBeTrusted(t *testing.T) {
	w := newWindow(t)
	w.pay("xihu", "IH1")
	good := refundOf("TF1", "IH1", "21.50")
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
		says   int
	}{
		"another amount": {func(r *http.Request) { r.Body = body(strings.Replace(good, "21.50", "20.50", 1)) }, 200, 1003},
		"no signature":   {func(r *http.Request) { r.Header.Del("sign") }, 200, 1003},
		"another code":   {func(r *http.Request) { r.Header.Set("code", "NT003") }, 200, 1003},
		"unknown code":   {func(r *http.Request) { r.Header.Set("code", "NT999") }, 403, 0},
		"no JSON":        {func(r *http.Request) { r.Body = body("{") }, 200, 1003},
		"no text":        {func(r *http.Request) { r.Body = body("\xff\xfe\x00") }, 400, 0},
		"too large":      {func(r *http.Request) { r.Body = body(strings.Repeat("x", 300<<10)) }, 413, 0},
		"large, chunked": {func(r *http.Request) { r.Body = body(strings.Repeat("x", 300<<10)); r.ContentLength = -1 }, 413, 0},
		"elsewhere":      {func(r *http.Request) { r.URL.Path = "/his/xihu/other" }, 404, 0},
		"nowhere":        {func(r *http.Request) { r.URL.Path = "/his/nobody/notice" }, 404, 0},
	} {
		status, got, text := w.notice("NT001", good, func(r *http.Request) {
			c.change(r)
			if r.Body != nil && r.ContentLength >= 0 {
				b, _ := io.ReadAll(r.Body)
				r.Body, r.ContentLength = body(string(b)), int64(len(b))
			}
		})
		if status != c.status || got.Success != c.says {
			t.Errorf("%s: HTTP %d, %s", name, status, text)
		}
	}
	if n := w.count(`select (select count(*) from hub.inbound) + (select count(*) from hub.exchange) + (select count(*) from hub.event where message = 0)`); n != 0 {
		t.Errorf("%d rows are kept of what cannot be trusted", n)
	}
	if w.served.all["invalid"] != 4 || w.served.all["too_large"] != 2 {
		t.Errorf("counted: %v", w.served.all)
	}
	for _, value := range []string{"20.50", "TF1", "缺药", "IH1"} {
		if strings.Contains(w.log.String(), value) {
			t.Errorf("the log holds %q", value)
		}
	}
	if n, _ := w.channel.moved(); n != 0 {
		t.Error("money moved")
	}
	// A stranger's address.
	w.opened["dongshan"].Listeners["inbound"].Allow = w.opened["dongshan"].Listeners["inbound"].Allow[2:]
	status, text := w.post("dongshan/inbound", eastern("RefundByHis", "<Request/>"))
	if status != 403 || !strings.Contains(text, "Fault>") {
		t.Errorf("a stranger got HTTP %d %s", status, text)
	}
}

func TestTheSameRefundAtOnce(t *testing.T) {
	w := newWindow(t)
	for round := range 5 {
		order, no := fmt.Sprint("IH", round), fmt.Sprint("TF", round)
		w.pay("xihu", order)
		text := refundOf(no, order, "21.50")
		var mu sync.Mutex
		numbers := map[string]int{}
		var calls []func() error
		for range 12 {
			calls = append(calls, func() error {
				_, a, raw := w.notice("NT001", text, nil)
				if a.Success != 1 {
					return errors.New(raw)
				}
				mu.Lock()
				numbers[a.Dateset.RefundNo]++
				mu.Unlock()
				return nil
			})
		}
		ok(t, atOnce(calls...)[0])
		if len(numbers) != 1 {
			t.Errorf("round %d: %v", round, numbers)
		}
	}
	if n, sum := w.channel.moved(); n != 5 || sum != 5*2150 {
		t.Errorf("%d refunds of %d fen moved", n, sum)
	}
	if n := w.count(`select count(*) from hub.event where type = 'inbound.refund.apply'`); n != 5 {
		t.Errorf("%d events of 5 refunds", n)
	}
}

// The window and the app give the same order back at the same moment.
func TestWindowAndAppAtOnce(t *testing.T) {
	w := newWindow(t)
	byApp, byWindow := 0, 0
	for round := range 25 {
		number, no := fmt.Sprint("IH", round), fmt.Sprint("TF", round)
		w.pay("xihu", number)
		var byPatient pay.Refund
		var atWindow answered
		errs := atOnce(
			func() (err error) {
				byPatient, err = w.clinicModules.pay.Request(w.ctx, payer, "", number, pay.Back{Amount: 2150, Reason: "测试"})
				return err
			},
			func() error {
				_, a, _ := w.notice("NT001", refundOf(no, number, "21.50"), nil)
				atWindow = a
				return nil
			})
		if atWindow.Success != 1 {
			t.Fatalf("round %d: the window got %+v", round, atWindow)
		}
		if o := w.charge(number); o.Refunded != 2150 || o.State != order.Refunded {
			t.Errorf("round %d: %s, %d fen went back", round, o.State, o.Refunded)
		}
		switch {
		case errs[1] == nil && atWindow.Dateset.RefundNo == byPatient.No:
			byApp++
		case errs[1] != nil && strings.HasPrefix(atWindow.Dateset.RefundNo, "W"):
			forbidden(t, errs[1], clinic.ErrState)
			byWindow++
		default:
			t.Errorf("round %d: app %v, window %+v", round, errs[1], atWindow)
		}
		// Whoever was first, the channel may still be at it.
		ok(t, w.clinicModules.pay.GiveAll(w.ctx))
		if n, sum := w.channel.moved(); n != round+1 || sum != core.Fen(round+1)*2150 {
			t.Errorf("round %d: %d refunds of %d fen moved", round, n, sum)
		}
	}
	t.Logf("the app was first %d times, the window %d times", byApp, byWindow)
	if n := w.count(`select count(*) from hub.ledger_entry where type = 'refund'`); n != 25 {
		t.Errorf("%d refunds in the ledger", n)
	}
}

// Two window refunds of parts, which together are more than was paid.
func TestNeverMoreThanWasPaid(t *testing.T) {
	w := newWindow(t)
	for round := range 10 {
		order := fmt.Sprint("IH", round)
		w.pay("xihu", order)
		var calls []func() error
		for part := range 4 {
			calls = append(calls, func() error {
				_, a, raw := w.notice("NT001", refundOf(fmt.Sprintf("TF%d-%d", round, part), order, "9.00"), nil)
				if a.Success != 1 && a.Success != 2001 {
					return errors.New(raw)
				}
				return nil
			})
		}
		ok(t, atOnce(calls...)[0])
		if p := w.charge(order); p.Refunded != 1800 {
			t.Errorf("round %d: %d fen went back", round, p.Refunded)
		}
	}
	if n, sum := w.channel.moved(); n != 20 || sum != 20*900 {
		t.Errorf("%d refunds of %d fen moved", n, sum)
	}
}

// A channel that takes longer than the HIS waits.
func TestNotDecidedInTime(t *testing.T) {
	w := newWindow(t)
	w.pay("plain", "IH1")
	free := make(chan struct{})
	w.channel.before = func(n int) error { <-free; return nil }
	began := time.Now()
	_, first := w.plain("Apply", "<no>T1</no><order>IH1</order><sum>21.50</sum>")
	if took := time.Since(began); !strings.Contains(first, "<state>unknown</state>") || took > 1200*time.Millisecond {
		t.Fatalf("after %s: %s", took, first)
	}
	if _, q := w.plain("Query", "<no>T1</no>"); !strings.Contains(q, "<became>running</became>") {
		t.Errorf("asked meanwhile: %s", q)
	}
	// Two at once fill the listener; the others are sent away.
	var mu sync.Mutex
	statuses := map[int]int{}
	again := func() error {
		status, _ := w.plain("Apply", "<no>T1</no><order>IH1</order><sum>21.50</sum>")
		mu.Lock()
		defer mu.Unlock()
		statuses[status]++
		return nil
	}
	atOnce(again, again, again, again)
	if statuses[200] != 2 || statuses[503] != 2 {
		t.Errorf("four at once got %v", statuses)
	}
	close(free)
	for deadline := time.Now().Add(10 * time.Second); ; {
		_, again := w.plain("Apply", "<no>T1</no><order>IH1</order><sum>21.50</sum>")
		if strings.Contains(again, "<state>done</state>") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %s", again)
		}
	}
	if n, sum := w.channel.moved(); n != 1 || sum != 2150 {
		t.Errorf("%d refunds of %d fen moved", n, sum)
	}
	if w.channel.calls != 1 {
		t.Errorf("the channel was asked %d times while one decision was under way", w.channel.calls)
	}
}

func TestTheChannelFails(t *testing.T) {
	w := newWindow(t)
	w.pay("plain", "IH1")
	w.pay("plain", "IH2")
	w.channel.before = func(n int) error {
		if n == 1 {
			return errors.New("no connection")
		}
		if n >= 3 {
			return errChannelRefuses
		}
		return nil
	}
	if _, a := w.plain("Apply", "<no>T1</no><order>IH1</order><sum>21.50</sum>"); !strings.Contains(a, "<state>unknown</state>") {
		t.Errorf("without the channel: %s", a)
	}
	if n, _ := w.channel.moved(); n != 0 || w.charge("IH1").Refunded != 2150 {
		t.Errorf("set aside are %d fen, %d refunds moved", w.charge("IH1").Refunded, n)
	}
	// The channel is asked what became of it before it is asked to pay again.
	for deadline := time.Now().Add(20 * time.Second); ; {
		_, a := w.plain("Apply", "<no>T1</no><order>IH1</order><sum>21.50</sum>")
		if strings.Contains(a, "<state>done</state>") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the repeat: %s", a)
		}
	}
	for range 2 {
		if _, a := w.plain("Apply", "<no>T2</no><order>IH2</order><sum>21.50</sum>"); !strings.Contains(a, "<state>refused</state><words>支付渠道拒绝退款</words>") {
			t.Errorf("refused by the channel: %s", a)
		}
	}
	if p := w.charge("IH2"); p.Refunded != 0 {
		t.Errorf("%d fen are still set aside", p.Refunded)
	}
	// A reversal of what nobody paid has nothing to give back.
	if _, a := w.plain("Apply", "<no>T3</no><order>IH99</order><sum>1.00</sum><reversal>1</reversal>"); !strings.Contains(a, "<state>done</state>") {
		t.Errorf("a reversal: %s", a)
	}
}
