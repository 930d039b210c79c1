package dbhis

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"hishub/mocks/books"
	"hishub/mocks/servers"
)

func TestMain(m *testing.M) {
	_ = mysql.SetLogger(&mysql.NopLogger{}) // cut connections are what is tested here
	os.Exit(servers.Main(m))
}

func TestAPrescriptionIsSettledAndRefunded(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		c := start(t, o)
		if err := c.save(t.Context(), "RX1", "46.19"); err != nil {
			t.Fatal(err)
		}
		no := c.wantVerdict("zjk_cf_main", "RX1", "2", "")
		c.wantTexts("select cfh, his_no, xh, ypdm, dj, je, zfbz from zjk_bill where jzh = 'V1' order by xh",
			"RX1|"+no+"|1|YP1|12.3450|24.69|0", "RX1|"+no+"|2|YP2|1.7917|21.50|0")
		c.wantTexts("select ddh from v_zjk_jf where ddh = 'IH1'")
		s := c.wantSettled("IH1", "RX1,RX9", "46.19", 0, "结算成功")
		c.wantTexts("select distinct zfbz from zjk_bill where cfh = 'RX1'", "1")
		c.wantTexts("select sjh, zt, je, jylsh, zfsj from v_zjk_jf where ddh = 'IH1'", s.receipt+"|1|46.19|42IH1|2026-01-05 23:59:58")

		_ = c.void("RX1")
		c.wantVerdict("zjk_cf_zf", "RX1", "9", "处方已收费，不能作废")
		_ = c.refund("IHR1", "IH1", "46.20")
		c.wantVerdict("zjk_tf", "IHR1", "9", "退款金额超过已收金额")
		_ = c.refund("IHR1", "IH1", "40.00") // the refused row freed its number
		back := c.wantVerdict("zjk_tf", "IHR1", "2", "")
		_ = c.refund("IHR2", "IH1", "6.20")
		c.wantVerdict("zjk_tf", "IHR2", "9", "退款金额超过已收金额")
		_ = c.refund("IHR3", "IH9", "1.00")
		c.wantVerdict("zjk_tf", "IHR3", "9", "未找到收费记录")

		c.wantTexts("select rq, lx, ddh, tfdh, jylsh, sjh, je, sj, czy from v_zjk_ledger order by lx",
			"2026-01-05|1|||42IH1|"+s.receipt+"|46.19|2026-01-05 23:59:58|net07",
			"2026-01-06|2|IH1|IHR1|42IH1|"+back+"|40.00|2026-01-06 00:00:01|net07")
		b := c.books()
		if len(b.Prescriptions) != 1 || b.Prescriptions[0].PatientName != "䶮测试" || b.Prescriptions[0].State != books.Settled ||
			b.Prescriptions[0].AmountFen != 4619 || len(b.Prescriptions[0].Lines) != 2 || b.Prescriptions[0].Lines[1].AmountFen != 2150 {
			t.Errorf("prescriptions: %+v", b.Prescriptions)
		}
		if len(b.Settlements) != 1 || b.Settlements[0].AmountFen != 4619 || b.Settlements[0].RefundedFen != 4000 || b.Settlements[0].PaidAt != "2026-01-05 23:59:58" {
			t.Errorf("settlements: %+v", b.Settlements)
		}
		if len(b.Refunds) != 1 || b.Refunds[0].AmountFen != 4000 || len(b.Voids) != 0 {
			t.Errorf("refunds: %+v, voids: %+v", b.Refunds, b.Voids)
		}
	})
}

func TestARefusedPrescriptionFreesItsNumber(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		c := start(t, o)
		_ = c.save(t.Context(), "RX1", "46.20")
		c.wantVerdict("zjk_cf_main", "RX1", "9", "明细金额与总额不符")
		if err := c.save(t.Context(), "RX1", "46.19"); err != nil {
			t.Fatal(err)
		}
		c.wantVerdict("zjk_cf_main", "RX1", "2", "")
		if err := c.save(t.Context(), "RX1", "46.19"); err == nil {
			t.Error("an accepted number was taken twice")
		}
		_ = c.exec("insert into zjk_cf_main (yljgdm, cfh, patid, xm, xb, zje) values ('NY0001', 'RX2', 'P', '测试一', '2', 1)")
		c.wantVerdict("zjk_cf_main", "RX2", "9", "处方无明细")
		_ = c.void("RX1")
		c.wantVerdict("zjk_cf_zf", "RX1", "2", "")
		if err := c.void("RX1"); err == nil {
			t.Error("voided twice")
		}
		_ = c.void("RX3")
		c.wantVerdict("zjk_cf_zf", "RX3", "9", "处方不存在")
		c.wantSettled("IH1", "RX1", "46.19", -1, "处方已作废")
		c.wantSettled("IH2", "RX2", "0", -1, "金额错误")
		c.wantTexts("select distinct zfbz from zjk_bill where cfh = 'RX1'", "9")
		if b := c.books(); len(b.Prescriptions) != 1 || b.Prescriptions[0].State != books.Voided || len(b.Voids) != 1 || len(b.Settlements) != 0 {
			t.Errorf("books: %+v", b)
		}
	})
}

func TestRepeatsAreTreatedAsTheOptionSays(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		for _, x := range []struct {
			repeats         books.Repeats
			again, conflict int
			rows, rx        int
		}{{books.Refuse, 2, 2, 1, 1}, {books.Same, 0, -1, 1, 1}, {books.Double, 0, 0, 3, 2}} {
			t.Run(string(x.repeats), func(t *testing.T) {
				o := o
				o.Repeats = x.repeats
				if o.Driver == "mysql" {
					o.DSN = servers.MariaDB(t)
				} else {
					o.DSN = servers.Postgres(t)
				}
				c := start(t, o)
				_ = c.save(t.Context(), "RX1", "46.19")
				if err := c.save(t.Context(), "RX1", "46.19"); (err == nil) != (x.repeats == books.Double) {
					t.Errorf("second insert: %v", err)
				}
				c.wantVerdict("zjk_cf_main", "RX1", "2", "")
				first, _ := c.settle(t.Context(), "IH1", "RX1", "46.19")
				again, err := c.settle(t.Context(), "IH1", "RX1", "46.19")
				if err != nil || again.code != x.again || again.booked != "46.19" || (again.receipt == first.receipt) != (x.repeats != books.Double) {
					t.Errorf("again: %+v %v after %+v", again, err, first)
				}
				if s, err := c.settle(t.Context(), "IH1", "RX1", "46.20"); err != nil || s.code != x.conflict {
					t.Errorf("conflict: %+v %v", s, err)
				}
				if b := c.books(); len(b.Settlements) != x.rows || len(b.Prescriptions) != x.rx {
					t.Errorf("%d settlements, %d prescriptions", len(b.Settlements), len(b.Prescriptions))
				}
			})
		}
	})
}

func TestManySettleOneOrderOnce(t *testing.T) {
	const callers, orders = 8, 25
	both(t, func(t *testing.T, o Options) {
		c := start(t, o)
		c.db.SetMaxIdleConns(callers)
		for n := range orders { // after the first order all connections are open, and the calls meet
			order := fmt.Sprint("IH", n)
			var all sync.WaitGroup
			results := make([]settled, callers)
			errs := make([]error, callers)
			for i := range results {
				all.Go(func() { results[i], errs[i] = c.settle(t.Context(), order, "RX1", "46.19") })
			}
			all.Wait()
			first := 0
			for i, s := range results {
				if errs[i] != nil || s.receipt == "" || s.booked != "46.19" {
					t.Errorf("%+v %v", s, errs[i])
				}
				if s.code == 0 {
					first++
				}
			}
			if first != 1 {
				t.Errorf("%s: %d callers were told that they settled it", order, first)
			}
		}
		if n := len(c.books().Settlements); n != orders {
			t.Errorf("%d settlements booked, want %d", n, orders)
		}
	})
}

func TestWithoutInquiry(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		o.Inquiry = "none"
		c := start(t, o)
		if err := c.exec("select ddh from v_zjk_jf"); err == nil {
			t.Error("v_zjk_jf is there")
		}
	})
}

func TestEditsAndRestart(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		c := start(t, o)
		for _, order := range []string{"IH1", "IH2"} {
			c.wantSettled(order, "", "1.00", 0, "结算成功")
		}
		amount := int64(101)
		for _, e := range []books.Edit{{Settlement: "IH1", Remove: true}, {Settlement: "IH2", AmountFen: &amount},
			{Add: &books.Settlement{Order: "X1", AmountFen: 7, PaidAt: "2026-01-05 10:00:00"}}} {
			if err := c.his.Edit(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.his.Edit(t.Context(), books.Edit{Settlement: "IH1", Remove: true}); err == nil {
			t.Error("removed twice")
		}
		again := start(t, o) // on the same tables
		again.wantTexts("select ddh, je from v_zjk_jf order by ddh", "IH2|1.01", "X1|0.07")
		again.wantTexts("select sjh, je from v_zjk_ledger where rq = '2026-01-05' and sjh like 'S-%' order by sjh", "S-X1|0.07")
	})
}

func TestTheLedgerSaysWhatARowIs(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		c := start(t, o)
		at, stands, twice, amount := "2026-01-05 23:59:58", "2026-01-06 00:00:07", true, int64(31)
		edit := func(edits ...books.Edit) {
			t.Helper()
			for _, e := range edits {
				if err := c.his.Edit(t.Context(), e); err != nil {
					t.Fatalf("%+v: %v", e, err)
				}
			}
		}
		edit(
			books.Edit{Add: &books.Settlement{Order: "IH1", HisNo: "S1", Channel: "WX", ChannelNo: "42", Operator: "net07", Bills: []string{"RX1", "RX2"}, AmountFen: 100, PaidAt: at}},
			books.Edit{Add: &books.Settlement{Order: "G1", HisNo: "S2", Channel: "WX", Operator: "net07", Registration: true, PaidAt: at}},
			books.Edit{AddReversed: &books.Settlement{Order: "IH2", HisNo: "S3", Channel: "ZFB", Operator: "net08", AmountFen: 10, PaidAt: at}},
			books.Edit{AddRefund: &books.Refund{Order: "IH1", HisNo: "W1", AmountFen: 30, RefundedAt: at}},
			books.Edit{AddRefund: &books.Refund{Order: "IH1", HisNo: "W2", AmountFen: 20, RefundedAt: at}},
		)
		const rows = "select lx, tfdh, jylsh, je, czy, zfqd, cz, cfhs from v_zjk_ledger where rq = '2026-01-05' order by lx, sjh"
		c.wantTexts(rows, "1||42|1.00|net07|WX|0|RX1,RX2", "1|||0.00|net07|WX|0|", "1|||0.10|net08|ZFB|0|",
			"2|||0.10|net08|ZFB|1|", "2||42|0.30|net07|WX|0|", "2||42|0.20|net07|WX|0|")
		const totals = "select czy, sum(jfbs), sum(jfje), sum(tfbs), sum(tfje) from v_zjk_ledger_hz where rq = '2026-01-05' group by czy order by czy"
		c.wantTexts(totals, "net07|2|1.00|2|0.50", "net08|1|0.10|1|0.10")
		edit(books.Edit{Twice: &twice})
		c.wantTexts("select count(*) from v_zjk_ledger", "12")
		c.wantTexts(totals, "net07|2|1.00|2|0.50", "net08|1|0.10|1|0.10")
		twice = false
		edit(books.Edit{Twice: &twice}, books.Edit{Refund: "W1", AmountFen: &amount}, books.Edit{Refund: "W2", Remove: true}, books.Edit{Refund: "W1", Duplicate: true},
			books.Edit{Settlement: "IH1", Duplicate: true}, books.Edit{Settlement: "IH2", Operator: "net07"}, books.Edit{Settlement: "G1", Date: "2026-01-06 08:00:00"})
		c.wantTexts(totals, "net07|3|2.10|2|0.62", "net08|0|0.00|1|0.10")
		b := c.books()
		if len(b.Settlements) != 4 || !b.Settlements[1].Registration || len(b.Refunds) != 3 || !b.Refunds[0].Reversal {
			t.Errorf("books %+v %+v", b.Settlements, b.Refunds)
		}
		// The clock stands for the procedure and for the poller.
		edit(books.Edit{Clock: &stands}, books.Edit{Settlement: "IH1", Reverse: true})
		c.wantSettled("IH9", "", "1.00", 0, "结算成功")
		if s := c.books().Settlements; s[len(s)-1].At.Format("2006-01-02 15:04:05") != stands {
			t.Errorf("booked at %s", s[len(s)-1].At)
		}
		goes := ""
		edit(books.Edit{Clock: &goes})
		if err := c.his.Edit(t.Context(), books.Edit{Order: "AP1", State: books.Performed}); err == nil {
			t.Error("an order came to be in a hospital that takes none")
		}
	})
}

func TestWhatBecomesOfAPrescriptionInTheHospital(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		c := start(t, o)
		if err := c.save(t.Context(), "RX1", "46.19"); err != nil {
			t.Fatal(err)
		}
		c.wantVerdict("zjk_cf_main", "RX1", "2", "")
		for _, state := range []struct{ ours, theirs string }{{books.Dispensed, "1"}, {books.Returned, "9"}, {books.Saved, "0"}, {books.Dispensed, "1"}} {
			if err := c.his.Edit(t.Context(), books.Edit{Prescription: "RX1", State: state.ours}); err != nil {
				t.Fatal(err)
			}
			c.wantTexts("select fyzt from zjk_cf_main where cfh = 'RX1'", state.theirs)
			if got := c.books().Prescriptions[0].State; got != state.ours {
				t.Errorf("the books say %s", got)
			}
		}
		_ = c.void("RX1")
		c.wantVerdict("zjk_cf_zf", "RX1", "9", "处方已收费，不能作废")
		if err := c.his.Edit(t.Context(), books.Edit{Prescription: "RX1", State: books.Voided}); err != nil {
			t.Fatal(err)
		}
		if b := c.books(); b.Prescriptions[0].State != books.Voided || len(b.Voids) != 1 {
			t.Errorf("books %+v %+v", b.Prescriptions, b.Voids)
		}
	})
}
