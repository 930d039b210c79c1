package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
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

	"github.com/jackc/pgx/v5"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/postgres"
	"hishub/mapping"
	shipped "hishub/mapping/hospitals"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/pay"
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
	w.clinicModules.pay.Accounts = w.channel
	w.orders.Subjects[order.Drugs] = drugs{}
	for _, name := range []string{"dongshan", "xihu"} {
		sub, err := fs.Sub(shipped.FS, name)
		ok(t, err)
		w.open(sub)
	}
	w.opened["xihu"].Listeners["notice"].Rate = 10000
	w.open(plainSOAP)
	w.log = &bytes.Buffer{}
	log := slog.New(slog.NewTextHandler(&locked{w: io.MultiWriter(w.log, t.Output())}, nil))
	desk := &inbound.Desk{Store: w.store, Log: log, Patience: 20 * time.Second, Deciders: map[core.Kind]inbound.Decider{core.RefundApply: windowRefunds(w.clinicModules.pay, w.store)}}
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
	pay.Channel
	mu     sync.Mutex
	paid   map[string]core.Fen
	calls  int
	before func(n int) error // of the n-th call; may block
}

// errChannelRefuses is what before gives where the channel says no.
var errChannelRefuses = errors.New("closed account")

// Account implements pay.Accounts.
func (c *channel) Account(context.Context, string, core.Channel) (pay.Channel, error) { return c, nil }

func (c *channel) Pay(context.Context, pay.Charge) pay.Prepaid {
	return pay.Prepaid{State: pay.Waiting, Client: map[string]string{"code_url": "weixin://test"}}
}

func (c *channel) QueryRefund(_ context.Context, g pay.Giving) pay.Given {
	c.mu.Lock()
	defer c.mu.Unlock()
	if amount, ok := c.paid[g.No]; ok {
		return pay.Given{State: pay.Returned, ChannelNo: "CH" + g.No, Amount: amount, At: time.Now()}
	}
	return pay.Given{State: pay.Absent}
}

func (c *channel) Refund(_ context.Context, g pay.Giving) pay.Given {
	c.mu.Lock()
	c.calls++
	n, before := c.calls, c.before
	c.mu.Unlock()
	if before != nil {
		switch err := before(n); {
		case errors.Is(err, errChannelRefuses):
			return pay.Given{State: pay.Denied, Words: err.Error()}
		case err != nil:
			return pay.Given{State: pay.Doubtful, Words: err.Error()}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paid[g.No] = g.Amount
	return pay.Given{State: pay.Returned, ChannelNo: "CH" + g.No, Amount: g.Amount, At: time.Now()}
}

func (c *channel) moved() (n int, sum core.Fen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.paid {
		sum += a
	}
	return len(c.paid), sum
}

// drugs are what orders pay for: the HIS is told as it is of real ones.
type drugs struct{}

func (drugs) Price(_ context.Context, o order.Order) ([]order.Line, error) { return o.Lines, nil }

func (drugs) Paid(ctx context.Context, _ pgx.Tx, outbox core.Outbox, o order.Order, p order.Payment) error {
	_, err := outbox.Enqueue(ctx, o.Hospital, core.Message{Kind: core.PaymentSettle, Body: &core.Payment{OrderID: o.No, VisitNo: "V" + o.No, PatientNo: "0000024772", PatientName: "张三测试",
		Amount: p.Amount, Channel: p.Channel, ChannelNo: p.ChannelNo, PaidAt: p.At, Bills: []string{o.Subject}}})
	return err
}

func (drugs) Closed(context.Context, pgx.Tx, core.Outbox, order.Order) error { return nil }

func (drugs) Refunded(context.Context, pgx.Tx, core.Outbox, order.Order, order.Refund) error {
	return nil
}

func (drugs) Returned(ctx context.Context, _ pgx.Tx, outbox core.Outbox, o order.Order, r order.Refund, b order.Back) error {
	_, err := outbox.Enqueue(ctx, o.Hospital, core.Message{Kind: core.RefundCreate, Body: &core.Refund{RefundNo: r.No, OrderID: o.No, VisitNo: "V" + o.No, PatientNo: "0000024772",
		Amount: r.Amount, Paid: b.Payment.Amount, Channel: b.Payment.Channel, ChannelNo: b.Payment.ChannelNo, ChannelRefundNo: b.ChannelRefundNo, Reason: r.Reason, RefundedAt: b.At}})
	return err
}

// payer of all orders.
var payer = clinic.Person{Account: 7}

// created is an order of that number to be paid, of one line, 21.50 yuan.
func (w *window) created(hospital, no string) {
	w.Helper()
	lines, err := json.Marshal([]order.Line{{LineNo: "1", Name: "阿莫西林胶囊", Amount: 2150}})
	ok(w, err)
	sealed, err := w.store.Vault().Seal(lines, "order lines", no)
	ok(w, err)
	_, err = w.database.Exec(w.ctx, `insert into clinic_order.orders (no, hospital, kind, subject, account, patient, state, amount, lines, expires_at)
		values ($1, $2, 'drugs', $3, $4, 'PT1', 'created', 2150, $5, clock_timestamp() + interval '1 hour')`, no, hospital, "RX"+no, payer.Account, sealed)
	ok(w, err)
}

// pay pays such an order.
func (w *window) pay(hospital, no string) {
	w.Helper()
	w.created(hospital, no)
	money := w.clinicModules.pay
	a, err := money.Pay(w.ctx, payer, no, pay.Wish{Channel: "wechat", Way: pay.Native, Version: 1})
	ok(w, err)
	_, err = money.Said(w.ctx, a, pay.Money{State: pay.Paid, ChannelNo: "wx" + hospital + no, Amount: 2150, At: time.Now().Truncate(time.Second)})
	ok(w, err)
}

func (w *window) charge(no string) order.Order {
	w.Helper()
	o, err := w.orders.Get(w.ctx, no)
	ok(w, err)
	return o
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
