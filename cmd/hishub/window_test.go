package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/postgres"
	"hishub/mapping"
	shipped "hishub/mapping/hospitals"
	"hishub/platform/payment"
	"hishub/platform/prescription"
)

// window is the hub as HIS see it, with the clinic behind it on the real ledger.
type window struct {
	*practice
	url     string
	channel *channel
	served  *tally
	log     *bytes.Buffer
	opened  map[string]*core.Hospital
	server  *inbound.Server
}

func newWindow(t *testing.T) *window {
	t.Helper()
	w := &window{practice: newPractice(t), channel: &channel{paid: map[string]core.Fen{}}, served: &tally{}, opened: map[string]*core.Hospital{}}
	w.payments.Channel = w.channel
	for _, name := range []string{"dongshan", "xihu"} {
		sub, err := fs.Sub(shipped.FS, name)
		ok(t, err)
		w.open(sub)
	}
	w.opened["xihu"].Listeners["notice"].Rate = 10000
	w.open(plainSOAP)
	w.log = &bytes.Buffer{}
	log := slog.New(slog.NewTextHandler(&locked{w: io.MultiWriter(w.log, t.Output())}, nil))
	desk := &inbound.Desk{Store: w.store, Log: log, Patience: 20 * time.Second, Deciders: map[core.Kind]inbound.Decider{core.RefundApply: windowRefunds(w.payments)}}
	t.Cleanup(func() { desk.Close(context.Background()) })
	w.server = &inbound.Server{Desk: desk, Log: log, Served: w.served.add, Hospital: func(_ context.Context, id string) (*core.Hospital, error) {
		if h := w.opened[id]; h != nil {
			return h, nil
		}
		return nil, core.ErrUnknownHospital
	}}
	s := httptest.NewServer(w.server.Handler())
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

func (w *window) open(files fs.FS) {
	w.Helper()
	env := map[string]string{"DONGSHAN_URL": "http://127.0.0.1:1/his", "XIHU_URL": "http://127.0.0.1:1", "XIHU_USER": "u", "XIHU_PASSWORD": "p4ssw0rd", "XIHU_NOTICE_KEY": noticeKey}
	f, err := mapping.Load(files, mapping.Options{Open: connectors.Open, Listen: connectors.Listen, Env: func(n string) (string, bool) { v, ok := env[n]; return v, ok }})
	ok(w, err)
	_, err = w.store.Apply(w.ctx, f.Dialect.Hospital, f.Dialect.Name, []byte("archive"), "digest", "tester", "")
	ok(w, err)
	w.opened[f.Dialect.Hospital] = core.NewHospital(f.Dialect, 1, nil, nil, nil)
}

const noticeKey = "xihu-notice-test"

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.w.Write(b) }

type tally struct {
	mu  sync.Mutex
	all map[string]int
}

func (t *tally) add(hospital string, kind core.Kind, result string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[string]int{}
	}
	t.all[result]++
}

func (t *tally) of(result string) int { t.mu.Lock(); defer t.mu.Unlock(); return t.all[result] }

// channel is the payment channel: it moves money once per number.
type channel struct {
	mu     sync.Mutex
	paid   map[string]core.Fen
	calls  int
	before func(n int) error // of the n-th call; may block
}

func (c *channel) PayBack(_ context.Context, b payment.Back) (string, time.Time, error) {
	c.mu.Lock()
	c.calls++
	n, before := c.calls, c.before
	c.mu.Unlock()
	if before != nil {
		if err := before(n); err != nil {
			return "", time.Time{}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paid[b.Hospital+" "+b.RefundNo] = b.Amount
	return "CH" + b.RefundNo, time.Now(), nil
}

func (c *channel) moved() (n int, sum core.Fen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.paid {
		sum += a
	}
	return len(c.paid), sum
}

// pay pays an order of one line, 21.50 yuan.
func (w *window) pay(hospital, order string) {
	w.Helper()
	rx := "RX" + order
	_, err := w.prescriptions.Sign(w.ctx, hospital, written(rx, "V"+order, 1))
	ok(w, err)
	_, err = w.prescriptions.Review(w.ctx, hospital, rx, prescription.Verdict{Pharmacist: "P001", Approve: true})
	ok(w, err)
	_, err = w.payments.Pay(w.ctx, hospital, paid(order, rx))
	ok(w, err)
}

func (w *window) charge(hospital, order string) payment.Charge {
	w.Helper()
	p, err := w.payments.Get(w.ctx, hospital, order)
	ok(w, err)
	return p
}

// answered is what 西湖 gets.
type answered struct {
	Remsgid string
	Success int
	Msgtext string
	Dateset struct{ HisRefundNo, RefundNo, RefundState, RefundFee, NoticeNo string }
}

// notice calls as 西湖 does.
func (w *window) notice(code, body string, change func(*http.Request)) (int, answered, string) {
	w.Helper()
	head := map[string]string{"clienttype": "third", "code": code, "customid": "xihu_his", "msgid": "0017", "reqtime": "20260105145601"}
	signed := "clienttype=third&code=" + code + "&customid=xihu_his&msgid=0017&param=" + body + "&reqtime=20260105145601&key=" + noticeKey
	r, err := http.NewRequestWithContext(w.ctx, "POST", w.url+"/his/xihu/notice", strings.NewReader(body))
	ok(w, err)
	for name, value := range head {
		r.Header.Set(name, value)
	}
	r.Header.Set("sign", fmt.Sprintf("%x", md5.Sum([]byte(signed))))
	if change != nil {
		change(r)
	}
	a, err := http.DefaultClient.Do(r)
	ok(w, err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	ok(w, err)
	var out answered
	if a.StatusCode == 200 {
		ok(w, json.Unmarshal(text, &out))
	}
	return a.StatusCode, out, string(text)
}

func refundOf(no, order, sum string) string {
	return fmt.Sprintf(`{"hisRefundNo":"%s","orderNo":"%s","refundFee":"%s","reason":"缺药","operCode":"0077","refundTime":"%s"}`, no, order, sum, time.Now().In(time.FixedZone("", 8*60*60)).Format(time.DateTime))
}

func inboundOf(hospital string, kind core.Kind, key string) postgres.InboundFilter {
	return postgres.InboundFilter{Hospitals: []string{hospital}, Kind: kind, Key: key, Limit: 10}
}
