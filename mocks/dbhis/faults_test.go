package dbhis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

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
					ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
					defer cancel()
					if x.hangs {
						go func() { // a caller that loses patience some time after it was understood
							for !struck(t, c.his, x.rule.Fault, key) {
								time.Sleep(2 * time.Millisecond)
							}
							time.Sleep(100 * time.Millisecond) // an answer would be here by now
							cancel()
						}()
					}
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
					c.until("the fault is in the journal", func() bool { return struck(t, c.his, x.rule.Fault, key) })
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

func struck(t *testing.T, h *HIS, kind fault.Kind, key string) bool {
	b, err := h.Books(context.Background())
	if err != nil {
		t.Error(err)
		return true
	}
	return slices.ContainsFunc(b.Journal, func(e books.Entry) bool { return e.Fault == string(kind) && e.Key == key })
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
