package alipay

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hishub/core"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
)

func collect(t *testing.T, c *Connector, day string) ([]core.BillEntry, core.BillTotals, error) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	var entries []core.BillEntry
	totals, err := c.Bill(context.Background(), day, func(e core.BillEntry) error {
		entries = append(entries, e)
		return nil
	})
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "hishub-alipay-*"))
	if len(left) > 0 {
		t.Errorf("files are left behind: %v", left)
	}
	return entries, totals, err
}

func TestBillOfTheGateway(t *testing.T) {
	s, c := start(t)
	if _, err := refund(c, "IHR1", 1000); err != nil {
		t.Fatal(err)
	}
	entries, totals, err := collect(t, c, day)
	if err != nil {
		t.Fatal(err)
	}
	want := core.BillTotals{Payments: 2, PaymentAmount: 12469, Refunds: 1, RefundAmount: 1000, Fee: 66000, Digest: totals.Digest}
	if len(entries) != 3 || totals != want || len(totals.Digest) != 64 {
		t.Errorf("%d entries, %+v", len(entries), totals)
	}
	if e := entries[1]; e.Type != core.EntryRefund || e.Number != "IHR1" || e.OrderID != "IH20260105000101" || e.ChannelNo != "2026010522001400000000000001-IHR1" || e.Fee != -6000 {
		t.Errorf("%+v", e)
	}
	o := options(s.AlipayURL())
	o["store"] = "1002"
	if entries, _, err := collect(t, open(t, o), day); err != nil || len(entries) != 1 || entries[0].Number != "IH20260105000102" {
		t.Errorf("%v %v", entries, err)
	}
	o = options(s.AlipayURL())
	o["account"] = "2088000000000099"
	_, _, err = collect(t, open(t, o), day)
	refused(t, err, "alipay bill 2026-01-05/业务明细.csv:2", "account")
}

// A day without trade and a bill that is not made yet have the same words.
func TestNoBill(t *testing.T) {
	_, c := start(t)
	for name, w := range map[string]struct {
		now, day string
		want     error
	}{
		"before ten":       {"09:59:59", "2026-01-06", core.ErrBillNotReady},
		"at ten":           {"10:00:00", "2026-01-06", core.ErrNoBill},
		"a day with trade": {"10:00:00", day, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c.now = func() time.Time { return at(w.now).AddDate(0, 0, 2) }
			if _, _, err := collect(t, c, w.day); !errors.Is(err, w.want) {
				t.Error(err)
			}
		})
	}
	_, _, err := collect(t, c, "5.1.2026")
	fails(t, err, core.Invalid, "not a date")
}

func TestFaultyBills(t *testing.T) {
	const detail, summary = "alipay bill 2026-01-05/业务明细.csv", "alipay bill 2026-01-05/业务明细(汇总).csv"
	for kind, want := range map[fault.Kind]struct{ place, why string }{
		paychannel.BillTruncated:     {detail + ":7", ""},
		paychannel.BillWrongChecksum: {detail + ":6", "订单金额"},
		paychannel.BillWithoutSum:    {detail + ":9", "sums"},
		paychannel.BillLostRow:       {detail + ":8", "count"},
		paychannel.BillMixedColumns:  {},
		paychannel.BillExtraColumn:   {},
		paychannel.BillDoubledRows:   {}, // is for Compare to find
		paychannel.BillDroppedRow:    {},
	} {
		t.Run(string(kind), func(t *testing.T) {
			s, c := start(t)
			play(t, s, fault.Rule{Fault: kind})
			_, _, err := collect(t, c, day)
			if want.place == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, want.place, want.why)
		})
	}
	for kind, want := range map[fault.Kind]error{paychannel.BillLate: core.ErrBillNotReady, paychannel.BillNone: core.ErrNoBill} {
		s, c := start(t)
		play(t, s, fault.Rule{Fault: kind})
		if _, _, err := collect(t, c, day); !errors.Is(err, want) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// An address lives for 30 seconds; when it is over another one is asked for.
func TestExpiredAddress(t *testing.T) {
	s, c := start(t)
	play(t, s, fault.Rule{Fault: paychannel.BillExpired, Times: 2})
	if entries, _, err := collect(t, c, day); err != nil || len(entries) != 2 {
		t.Errorf("%v %v", entries, err)
	}
	play(t, s, fault.Rule{Fault: paychannel.BillExpired})
	_, _, err := collect(t, c, day)
	fails(t, err, core.Unavailable, "gives no bill")
	asked := 0
	for _, n := range s.Books().Export().Journal {
		if n.Operation == "alipay bill" {
			asked++
		}
	}
	if asked != 6 {
		t.Errorf("an address was asked for %d times", asked)
	}
}

func TestBrokenDownload(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Truncated, fault.CutAfterCommit} {
		s, c := start(t)
		play(t, s, fault.Rule{Fault: kind, Operation: "bill.download"})
		_, _, err := collect(t, c, day)
		var f *core.Fault
		if !errors.As(err, &f) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	s, c := start(t)
	c.maxBill = 100
	_, _, err := collect(t, c, day)
	refused(t, err, "alipay bill 2026-01-05", "larger than 100 bytes")
	c.maxBill = 1 << 20
	if _, err := c.Bill(context.Background(), day, func(core.BillEntry) error { return io.ErrShortWrite }); !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
	_ = s
}
