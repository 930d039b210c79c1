package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/redis"
	"hishub/mapping"
	"hishub/mocks/asmxhis"
	"hishub/mocks/books"
	"hishub/mocks/dbhis"
	"hishub/mocks/prochis"
	"hishub/mocks/pushhis"
	"hishub/mocks/resthis"
	"hishub/mocks/sealedhis"
	"hishub/mocks/servers"
	"hishub/mocks/soaphis"
)

// controlled is a fake HIS with its control port, and the environment of its folder.
type controlled struct {
	his interface {
		ControlURL() string
		Close() error
	}
	env map[string]string
	// ways of paying as this HIS calls WeChat and Alipay.
	wechat, alipay string
	// operator is our account.
	operator string
}

func everyHIS(t *testing.T) map[string]controlled {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	soap, err := soaphis.Start(ctx, soaphis.Options{})
	must(err)
	rest, err := resthis.Start(ctx, resthis.Options{})
	must(err)
	asmx, err := asmxhis.Start(ctx, asmxhis.Options{})
	must(err)
	push, err := pushhis.Start(ctx, pushhis.Options{})
	must(err)
	sealed, err := sealedhis.Start(ctx, sealedhis.Options{})
	must(err)
	db, err := dbhis.Start(ctx, dbhis.Options{Driver: "postgres", DSN: servers.Postgres(t)})
	must(err)
	maria, err := dbhis.Start(ctx, dbhis.Options{Driver: "mysql", DSN: servers.MariaDB(t)})
	must(err)
	proc, err := prochis.Start(ctx, prochis.Options{DSN: servers.Postgres(t)})
	must(err)
	all := map[string]controlled{
		"dongshan":      {soap, map[string]string{"DONGSHAN_URL": soap.URL()}, "WECHAT", "ALIPAY", "net07"},
		"xihu":          {rest, map[string]string{"XIHU_URL": rest.URL(), "XIHU_USER": "inet_hub", "XIHU_PASSWORD": "xihu-test", "XIHU_NOTICE_KEY": "k"}, "1", "2", "net07"},
		"beicheng":      {asmx, map[string]string{"BEICHENG_URL": asmx.URL()}, "WX", "ZFB", "net07"},
		"lianhu":        {push, map[string]string{"LIANHU_URL": push.URL(), "LIANHU_KEY": "lianhu-test"}, "weChat", "aliPay", "wk01"},
		"yongan":        {sealed, map[string]string{"YONGAN_URL": sealed.URL(), "YONGAN_SEAL_KEY": "00112233445566778899aabbccddeeff", "YONGAN_SIGN_KEY": "yongan-test"}, "01", "02", "net07"},
		"nanyuan":       {db, map[string]string{"NANYUAN_DRIVER": "postgres", "NANYUAN_DSN": db.DSN()}, "WX", "ZFB", "net07"},
		"nanyuan/maria": {maria, map[string]string{"NANYUAN_DRIVER": "mysql", "NANYUAN_DSN": maria.DSN()}, "WX", "ZFB", "net07"},
		"jiangwan":      {proc, map[string]string{"JIANGWAN_DSN": proc.DSN(), "JIANGWAN_LEDGER_DSN": proc.DSN()}, "微信", "支付宝", "net07"},
	}
	t.Cleanup(func() {
		for _, c := range all {
			_ = c.his.Close()
		}
	})
	return all
}

// Every shipped hospital says alike what its HIS's books hold.
func TestLedgersOfEveryHospital(t *testing.T) {
	const day = "2026-01-05"
	zone := time.FixedZone("CST", 8*3600)
	for name, c := range everyHIS(t) {
		t.Run(name, func(t *testing.T) {
			files := os.DirFS(filepath.Join("..", "..", "mapping", "hospitals", strings.Split(name, "/")[0]))
			f, err := mapping.Load(files, mapping.Options{Env: func(n string) (string, bool) { v, ok := c.env[n]; return v, ok }, Open: connectors.Open, OpenChannel: connectors.OpenChannel, Listen: connectors.Listen})
			if err != nil {
				t.Fatal(err)
			}
			open := map[string]core.Connector{}
			for n, spec := range f.Dialect.Connectors {
				if open[n], err = connectors.Open(spec); err != nil {
					t.Fatal(err)
				}
			}
			client := redis.Embedded()
			defer client.Close()
			h := core.NewHospital(f.Dialect, 1, open, redis.NewSessions(client), nil)
			defer h.Close()
			edit := func(e books.Edit) {
				t.Helper()
				b, _ := json.Marshal(e)
				r, err := http.Post(c.his.ControlURL()+"/books/edit", "application/json", strings.NewReader(string(b)))
				if err != nil {
					t.Fatal(err)
				}
				defer r.Body.Close()
				if r.StatusCode != 200 {
					t.Fatalf("%s: HTTP %d", b, r.StatusCode)
				}
			}
			q := &core.LedgerQuery{Day: day, From: time.Date(2026, 1, 5, 0, 0, 0, 0, zone), To: time.Date(2026, 1, 6, 0, 0, 0, 0, zone)}
			ask := func(kind core.Kind, body core.Body) any {
				t.Helper()
				x := h.Ask(context.Background(), &f.Dialect.Operations[kind].Steps[0].Call, core.Input{Body: body, Stamp: h.Stamp(body.Key(), time.Now(), 1)}, nil)
				if x.Verdict.Answer == nil {
					t.Fatalf("%s: %s %v", kind, x.Verdict.Outcome, x.Verdict.Err)
				}
				return x.Verdict.Answer
			}
			long := "PLATFORM-IH20260105000001"
			for _, s := range []books.Settlement{
				{Order: long, HisNo: "S1", Channel: c.wechat, ChannelNo: "42", Bills: []string{"RX1", "RX2"}, AmountFen: 4619},
				{Order: "IH2", HisNo: "S2", Channel: c.alipay, ChannelNo: "20", AmountFen: 300},
				{Order: "G3", HisNo: "S3", Channel: c.wechat, Registration: true},
			} {
				s.Operator, s.PaidAt = c.operator, day+" 23:59:58"
				edit(books.Edit{Add: &s})
			}
			edit(books.Edit{AddReversed: &books.Settlement{Order: "IH4", HisNo: "S4", Channel: c.wechat, ChannelNo: "44", Operator: c.operator, AmountFen: 7, PaidAt: day + " 08:00:00"}})
			edit(books.Edit{AddRefund: &books.Refund{Order: "IH2", HisNo: "W5", AmountFen: 100, RefundedAt: day + " 10:00:00"}})
			edit(books.Edit{AddRefund: &books.Refund{No: "IHR6", Order: long, HisNo: "T6", AmountFen: 19, RefundedAt: day + " 00:00:00"}})

			order := func(no string) string {
				if name == "jiangwan" && len(no) > 20 {
					return no[len(no)-20:]
				}
				return no
			}
			ours := func(no string) string {
				if strings.HasPrefix(name, "nanyuan") {
					return ""
				}
				return order(no)
			}
			reversed := ""
			want := map[string]string{
				"S1": fmt.Sprintf("payment %s/ 42 wechat %s 4619 23:59:58 false RX1,RX2", ours(long), c.operator),
				"S2": fmt.Sprintf("payment %s/ 20 alipay %s 300 23:59:58 false ", ours("IH2"), c.operator),
				"S3": fmt.Sprintf("payment %s/  wechat %s 0 23:59:58 false ", ours("G3"), c.operator),
				"S4": fmt.Sprintf("payment %s/ 44 wechat %s 7 08:00:00 false ", ours("IH4"), c.operator),
				"C":  fmt.Sprintf("refund /%s 44 wechat %s 7 08:00:00 true ", ours("IH4"), c.operator),
				"W5": fmt.Sprintf("refund /%s 20 alipay %s 100 10:00:00 false ", order("IH2"), c.operator),
				"T6": fmt.Sprintf("refund IHR6/%s 42 wechat %s 19 00:00:00 false ", order(long), c.operator),
			}
			entries := ask(core.LedgerDetail, q).(*core.Ledger).Entries
			for _, e := range entries {
				key := e.HisNo
				if strings.HasPrefix(key, "C") {
					key = "C"
					reversed = e.HisNo
				}
				got := fmt.Sprintf("%s %s/%s %s %s %s %d %s %t %s", e.Type, e.Number, e.OrderID, e.ChannelNo, e.Channel, e.Operator, e.Amount, e.At.In(zone).Format("15:04:05"), e.Reversal, e.Bill)
				if got != want[key] {
					t.Errorf("%s is\n%q, want\n%q", e.HisNo, got, want[key])
				}
			}
			if len(entries) != len(want) || reversed == "" {
				t.Errorf("%d entries", len(entries))
			}
			totals := core.LedgerTotals{Payments: "4", PaymentAmount: 4926, Refunds: "3", RefundAmount: 126}
			if got := ask(core.LedgerTotal, q).(*core.LedgerTotals); *got != totals {
				t.Errorf("totals %+v", got)
			}
			yes := true
			edit(books.Edit{Twice: &yes})
			if n := len(ask(core.LedgerDetail, q).(*core.Ledger).Entries); n != 2*len(want) {
				t.Errorf("%d entries after twice", n)
			}
			if got := ask(core.LedgerTotal, q).(*core.LedgerTotals); *got != totals {
				t.Errorf("totals after twice %+v", got)
			}
			if h.Operations[core.InsuranceLedger] != nil {
				edit(books.Edit{Add: &books.Settlement{Order: "IH9", HisNo: "S9", Channel: map[string]string{"jiangwan": "医保", "beicheng": "YB"}[name], ChannelNo: "YB9", Operator: "C001", AmountFen: 5, PaidAt: day + " 09:00:00"}})
				l := ask(core.InsuranceLedger, q).(*core.Ledger).Entries
				if len(l) == 0 || l[0].ChannelNo != "YB9" || l[0].Channel != "insurance" || l[0].Amount != 5 {
					t.Errorf("insurance %+v", l)
				}
			}
		})
	}
}
