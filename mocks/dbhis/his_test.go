package dbhis

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/servers"
)

func TestMain(m *testing.M) {
	_ = mysql.SetLogger(&mysql.NopLogger{}) // cut connections are what is tested here
	os.Exit(servers.Main(m))
}

// both runs a test on either database.
func both(t *testing.T, test func(t *testing.T, o Options)) {
	t.Run("postgres", func(t *testing.T) { test(t, Options{Driver: "postgres", DSN: servers.Postgres(t)}) })
	t.Run("mariadb", func(t *testing.T) { test(t, Options{Driver: "mysql", DSN: servers.MariaDB(t)}) })
}

// caller is what a hub does: it knows the proxy's DSN and the tables of the manual.
type caller struct {
	testing.TB
	his *HIS
	db  *sql.DB
}

func start(t *testing.T, o Options) caller {
	t.Helper()
	o.Poll = 5 * time.Millisecond
	h, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	driver := map[string]string{"postgres": "pgx", "mysql": "mysql"}[o.Driver]
	db, err := sql.Open(driver, h.DSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = db.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return caller{t, h, db}
}

func (c caller) books() books.Export {
	c.Helper()
	b, err := c.his.Books(context.Background())
	if err != nil {
		c.Fatal(err)
	}
	return b
}

func (c caller) add(r fault.Rule) {
	c.Helper()
	if err := c.his.AddFaults(context.Background(), []fault.Rule{r}); err != nil {
		c.Fatal(err)
	}
}

func (c caller) exec(query string, args ...any) error {
	_, err := c.db.Exec(c.his.bind(query), args...)
	return err
}

// save writes header and lines in one transaction. COMMIT is a statement of its own
// because sql.Tx.Commit of go-sql-driver waits for ever, whatever the context says.
func (c caller) save(ctx context.Context, no, total string) error {
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	exec := func(query string, args ...any) {
		if err == nil {
			_, err = conn.ExecContext(ctx, c.his.bind(query), args...)
		}
	}
	exec("start transaction")
	exec(`insert into zjk_cf_main (yljgdm, cfh, jzh, patid, xm, xb, csrq, ksdm, ysdm, zddm, zdmc, zje, kfsj)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, "NY0001", no, "V1", "0000000001", "䶮测试", "1", "19900101", "D1", "Y1", "J06.900", "急性上呼吸道感染", total, "2026-01-05 14:56:00")
	for i, line := range [][4]string{{"YP1", "2", "12.3450", "24.69"}, {"YP2", "12", "1.7917", "21.50"}} {
		exec(`insert into zjk_cf_detail (yljgdm, cfh, xh, ypdm, ypmc, sl, dw, dj, je) values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			"NY0001", no, i+1, line[0], "阿莫西林胶囊", line[1], "盒", line[2], line[3])
	}
	if err != nil {
		_, _ = conn.ExecContext(ctx, "rollback")
		return err
	}
	exec("commit")
	return err
}

func (c caller) void(no string) error {
	return c.exec("insert into zjk_cf_zf (yljgdm, cfh, zfyy) values (?, ?, ?)", "NY0001", no, "测试")
}

func (c caller) refund(no, order, sum string) error {
	return c.exec("insert into zjk_tf (yljgdm, tfdh, ddh, je, tfsj, czy) values (?, ?, ?, ?, ?, ?)", "NY0001", no, order, sum, "2026-01-06 00:00:01", "net07")
}

// verdict waits for the newest row of that number to be judged: czbz and the words or the number.
func (c caller) verdict(table, no string) (czbz, words, hisNo string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		var w, n sql.NullString
		err := c.db.QueryRowContext(ctx, c.his.bind("select czbz, cwxx, his_no from "+table+" where yljgdm = ? and "+keyOf(table)+" = ? order by id desc limit 1"), "NY0001", no).Scan(&czbz, &w, &n)
		if err != nil {
			c.Fatal(err)
		}
		if czbz == "2" || czbz == "9" {
			return czbz, w.String, n.String
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (c caller) wantVerdict(table, no, czbz, words string) string {
	c.Helper()
	gotCzbz, gotWords, hisNo := c.verdict(table, no)
	if gotCzbz != czbz || gotWords != words {
		c.Errorf("%s %s: czbz %s %s, want %s %s", table, no, gotCzbz, gotWords, czbz, words)
	}
	return hisNo
}

type settled struct {
	code           int
	words, receipt string
	booked         string
}

func (c caller) settle(ctx context.Context, order, bills, sum string) (settled, error) {
	args := []any{order, bills, sum, "WX", "42" + order, "2026-01-05 23:59:58", "net07"}
	var s settled
	var receipt, booked sql.NullString
	into := []any{&s.code, &s.words, &receipt, &booked}
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	if c.his.options.Driver == "postgres" {
		err = conn.QueryRowContext(ctx, "call zjk_jf_settle($1, $2, $3, $4, $5, $6, $7, null, null, null, null)", args...).Scan(into...)
	} else {
		if _, err = conn.ExecContext(ctx, "call zjk_jf_settle(?, ?, ?, ?, ?, ?, ?, @c, @m, @s, @y)", args...); err == nil {
			err = conn.QueryRowContext(ctx, "select @c, @m, @s, @y").Scan(into...)
		}
	}
	s.receipt, s.booked = receipt.String, booked.String
	return s, err
}

func (c caller) wantSettled(order, bills, sum string, code int, words string) settled {
	c.Helper()
	s, err := c.settle(context.Background(), order, bills, sum)
	if err != nil || s.code != code || s.words != words {
		c.Errorf("settle %s: %+v %v, want %d %s", order, s, err, code, words)
	}
	return s
}

func (c caller) texts(query string, args ...any) []string {
	c.Helper()
	rows, err := c.db.Query(c.his.bind(query), args...)
	if err != nil {
		c.Fatal(err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	var list []string
	for rows.Next() {
		cells := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			c.Fatal(err)
		}
		var words []string
		for _, cell := range cells {
			words = append(words, cell.String)
		}
		list = append(list, strings.Join(words, "|"))
	}
	return list
}

func (c caller) wantTexts(query string, want ...string) {
	c.Helper()
	if got := c.texts(query); !slices.Equal(got, want) {
		c.Errorf("%s:\n got %q\nwant %q", query, got, want)
	}
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
			"2026-01-05|1|IH1||42IH1|"+s.receipt+"|46.19|2026-01-05 23:59:58|net07",
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
	both(t, func(t *testing.T, o Options) {
		c := start(t, o)
		var all sync.WaitGroup
		results := make([]settled, 16)
		errs := make([]error, len(results))
		for i := range results {
			all.Go(func() { results[i], errs[i] = c.settle(t.Context(), "IH1", "RX1", "46.19") })
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
		if n := len(c.books().Settlements); first != 1 || n != 1 {
			t.Errorf("%d answered 0, %d booked", first, n)
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
		again.wantTexts("select ddh, je from v_zjk_ledger where rq = '2026-01-05' order by ddh", "IH2|1.01", "X1|0.07")
	})
}

func TestBusinessFaults(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		c := start(t, o)
		c.add(fault.Rule{Fault: fault.Reject, Operation: "zjk_jf_settle", Key: "IH1", Times: 1})
		c.add(fault.Rule{Fault: fault.Busy, Operation: "zjk_jf_settle", Key: "IH1", Times: 1})
		c.add(fault.Rule{Fault: fault.DuplicateAnswer, Operation: "zjk_jf_settle", Key: "IH1", Times: 1})
		c.wantSettled("IH2", "", "1.00", 0, "结算成功")
		c.wantSettled("IH1", "", "1.00", -1, "药品库存不足")
		c.wantSettled("IH1", "", "1.00", -99, "系统繁忙")
		if n := len(c.books().Settlements); n != 1 {
			t.Errorf("%d settlements", n)
		}
		if s := c.wantSettled("IH1", "", "1.00", 2, "订单已结算"); s.receipt == "" || s.booked != "1.00" {
			t.Errorf("%+v", s)
		}
		if n := len(c.books().Settlements); n != 2 {
			t.Errorf("%d settlements", n)
		}

		c.add(fault.Rule{Fault: fault.Reject, Operation: "zjk_cf_main", Times: 1})
		c.add(fault.Rule{Fault: fault.DuplicateAnswer, Operation: "zjk_cf_main", Times: 1})
		c.add(fault.Rule{Fault: fault.LateVerdict, Operation: "zjk_cf_main", Times: 1, Delay: fault.Delay(time.Hour)})
		_ = c.save(t.Context(), "RX1", "46.19")
		c.wantVerdict("zjk_cf_main", "RX1", "9", "药品库存不足")
		_ = c.save(t.Context(), "RX2", "46.19")
		if no := c.wantVerdict("zjk_cf_main", "RX2", "9", "重复提交"); no == "" {
			t.Error("a duplicate answer without number")
		}
		_ = c.save(t.Context(), "RX3", "46.19")
		c.until("RX3 is read", func() bool { return c.texts("select czbz from zjk_cf_main where cfh = 'RX3'")[0] == "1" })
		c.add(fault.Rule{Fault: fault.Busy, Operation: "zjk_cf_main"})
		_ = c.save(t.Context(), "RX4", "46.19")
		c.until("RX4 is busy", func() bool {
			j := c.books().Journal
			return j[len(j)-1].Key == "RX4" && j[len(j)-1].Effect == "busy"
		})
		c.wantTexts("select czbz from zjk_cf_main where cfh = 'RX4'", "0")
		if b := c.books(); len(b.Prescriptions) != 1 || b.Prescriptions[0].No != "RX2" {
			t.Errorf("prescriptions: %+v", b.Prescriptions)
		}
		if err := c.his.ClearFaults(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.wantVerdict("zjk_cf_main", "RX4", "2", "")
		if err := c.his.AddFaults(t.Context(), []fault.Rule{{Fault: fault.HTTP500}}); err == nil {
			t.Error("http_500 was taken")
		}
	})
}

func (c caller) until(what string, is func() bool) {
	c.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatal("not in time: ", what)
		}
	}
}

func TestNetworkFaults(t *testing.T) {
	const brief = fault.Delay(30 * time.Millisecond)
	both(t, func(t *testing.T, o Options) {
		c := start(t, o)
		works := map[string]func(context.Context, string) error{
			"zjk_jf_settle": func(ctx context.Context, key string) error { _, err := c.settle(ctx, key, "", "1.00"); return err },
			"zjk_cf_main":   func(ctx context.Context, key string) error { return c.save(ctx, key, "46.19") },
		}
		booked := func(key string) (n int) {
			b := c.books()
			for _, s := range b.Settlements {
				if s.Order == key {
					n++
				}
			}
			for _, p := range b.Prescriptions {
				if p.No == key {
					n++
				}
			}
			return n
		}
		for _, x := range []struct {
			rule    fault.Rule
			answers bool
			hangs   bool
			booked  int
		}{
			{fault.Rule{Fault: fault.Slow, Delay: brief}, true, false, 1},
			{fault.Rule{Fault: fault.Hang}, false, true, 0},
			{fault.Rule{Fault: fault.CutBefore}, false, false, 0},
			{fault.Rule{Fault: fault.CommitThenHang}, false, true, 1},
			{fault.Rule{Fault: fault.CutAfterCommit}, false, false, 1},
			{fault.Rule{Fault: fault.CutThenCommitLater, Delay: brief}, false, false, 1},
			{fault.Rule{Fault: fault.Garbled}, false, false, 1},
			{fault.Rule{Fault: fault.Truncated}, false, false, 1},
		} {
			for operation, work := range works {
				t.Run(string(x.rule.Fault)+" "+operation, func(t *testing.T) {
					c := caller{t, c.his, c.db}
					key := fmt.Sprintf("K%d", time.Now().UnixNano())
					for range 2 { // the second time a prepared statement is known
						if err := work(t.Context(), key+"x"+fmt.Sprint(time.Now().UnixNano())); err != nil {
							t.Fatal("untouched: ", err)
						}
					}
					rule := x.rule
					rule.Operation, rule.Key, rule.Times = operation, key, 1
					c.add(rule)
					ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
					defer cancel()
					err := work(ctx, key)
					if (err == nil) != x.answers {
						t.Errorf("caller got: %v", err)
					}
					if hung := ctx.Err() != nil; hung != x.hangs {
						t.Errorf("hung %v, want %v (%v)", hung, x.hangs, err)
					}
					if x.booked == 1 {
						c.until(fmt.Sprint("booked, after ", err), func() bool { return booked(key) == 1 })
					}
					c.until("the fault is in the journal", func() bool {
						return slices.ContainsFunc(c.books().Journal, func(e books.Entry) bool { return e.Fault == string(x.rule.Fault) && e.Key == key })
					})
					if n := booked(key); n != x.booked {
						t.Errorf("%d booked, want %d", n, x.booked)
					}
					if rules, err := c.his.Faults(t.Context()); err != nil || len(rules) != 0 {
						t.Errorf("rules left: %v %v", rules, err)
					}
				})
			}
		}
	})
}

func TestDown(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		c := start(t, o)
		c.wantSettled("IH1", "", "1.00", 0, "结算成功")
		c.add(fault.Rule{Fault: fault.Down})
		_, err := c.settle(t.Context(), "IH2", "", "1.00")
		if err == nil || !strings.Contains(err.Error(), "connection refused") && !errors.Is(err, context.DeadlineExceeded) {
			_, err = c.settle(t.Context(), "IH2", "", "1.00") // the first may have met its cut connection
			if err == nil || !strings.Contains(err.Error(), "refused") {
				t.Error("not refused: ", err)
			}
		}
		if n := len(c.books().Settlements); n != 1 { // the control side is not down
			t.Errorf("%d settlements", n)
		}
		if err := c.his.ClearFaults(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.wantSettled("IH2", "", "1.00", 0, "结算成功")
	})
}
