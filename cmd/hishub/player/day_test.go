package player

import (
	"maps"
	"testing"
	"time"

	"hishub/core"
)

// The clock of a HIS at play is ours, in whatever layout the folder reads it.
func TestTheClockIsOfNow(t *testing.T) {
	for _, name := range []string{"beicheng", "lianhu"} {
		t.Run(name, func(t *testing.T) {
			p, h := played(t, copied(t, folders(t)[name]))
			in := core.Input{Body: &core.DictionaryQuery{}, Kind: core.SystemTimeAsk, Stamp: h.Stamp("", time.Now(), 1)}
			x := h.Ask(t.Context(), &h.Operations[core.SystemTimeAsk].Steps[0].Call, in, nil)
			told, ok := x.Verdict.Answer.(*core.SystemTime)
			if !ok || time.Since(told.Time).Abs() > time.Minute {
				t.Errorf("it is %+v, %+v; %+v", told, x.Verdict, p.Exchanges())
			}
		})
	}
}

// The totals of a day are those of what was booked on it.
func TestTheTotalsAreOfTheBooks(t *testing.T) {
	for _, name := range []string{"dongshan", "xihu", "beicheng", "lianhu", "yongan"} {
		t.Run(name, func(t *testing.T) {
			pay := aPayment()
			c := atCounter(t, copied(t, folders(t)[name]), pay)
			total := func(day string, want core.LedgerTotals) {
				t.Helper()
				from, _ := time.ParseInLocation(time.DateOnly, day, c.h.Zone)
				in := core.Input{Body: &core.LedgerQuery{Day: day, From: from, To: from.AddDate(0, 0, 1)}, Kind: core.LedgerTotal, Stamp: c.h.Stamp(day, time.Now(), 1)}
				x := c.h.Ask(t.Context(), &c.h.Operations[core.LedgerTotal].Steps[0].Call, in, nil)
				got, ok := x.Verdict.Answer.(*core.LedgerTotals)
				if !ok || *got != want {
					t.Errorf("of %s it tells %+v, want %+v; %+v", day, got, want, x.Verdict)
				}
			}
			day, none := pay.PaidAt.In(c.h.Zone).Format(time.DateOnly), core.LedgerTotals{Payments: "0", Refunds: "0"}
			total(day, none)
			steps := c.h.Operations[core.PaymentSettle].Steps
			for i := range steps {
				total(day, none) // what is half done is not booked
				x := c.say(&steps[i].Call, core.OutcomeOK)
				for k, v := range x.Verdict.Captured {
					c.in.Captured[k] = v
				}
			}
			one := core.LedgerTotals{Payments: "1", PaymentAmount: pay.Amount, Refunds: "0"}
			total(day, one)
			total("2026-01-04", none)
			back := &core.Refund{RefundNo: "IHR20260105000001", OrderID: pay.OrderID, VisitNo: pay.VisitNo, PatientNo: pay.PatientNo, HisNo: "J0000002", Amount: 1200,
				Paid: pay.Amount, Channel: pay.Channel, ChannelNo: pay.ChannelNo, ChannelRefundNo: "5000000001", Reason: "测试退费", RefundedAt: pay.PaidAt.Add(time.Hour)}
			in := core.Input{Body: back, Kind: core.RefundCreate, Captured: map[string]string{}, Stamp: c.h.Stamp(back.Key(), time.Now(), 1)}
			x := c.h.Ask(t.Context(), &c.h.Operations[core.RefundCreate].Steps[0].Call, in, nil)
			if x.Verdict.Outcome != core.OutcomeOK {
				t.Fatalf("the refund: %+v", x.Verdict)
			}
			one.Refunds, one.RefundAmount = "1", back.Amount
			total(day, one)
		})
	}
}

// The rows of a day are one for each payment and refund of the books.
func TestTheRowsAreOfTheBooks(t *testing.T) {
	for _, name := range []string{"dongshan", "xihu", "beicheng", "yongan"} {
		t.Run(name, func(t *testing.T) {
			pay := aPayment()
			c := atCounter(t, copied(t, folders(t)[name]), pay)
			for i := range c.h.Operations[core.PaymentSettle].Steps {
				x := c.say(&c.h.Operations[core.PaymentSettle].Steps[i].Call, core.OutcomeOK)
				maps.Copy(c.in.Captured, x.Verdict.Captured)
			}
			back := &core.Refund{RefundNo: "IHR20260105000001", OrderID: pay.OrderID, VisitNo: pay.VisitNo, PatientNo: pay.PatientNo, HisNo: "J0000002", Amount: 1200,
				Paid: pay.Amount, Channel: pay.Channel, ChannelNo: pay.ChannelNo, ChannelRefundNo: "5000000001", Reason: "测试退费", RefundedAt: pay.PaidAt.Add(time.Hour)}
			refund := core.Input{Body: back, Kind: core.RefundCreate, Captured: map[string]string{}, Stamp: c.h.Stamp(back.Key(), time.Now(), 1)}
			if x := c.h.Ask(t.Context(), &c.h.Operations[core.RefundCreate].Steps[0].Call, refund, nil); x.Verdict.Outcome != core.OutcomeOK {
				t.Fatalf("the refund: %+v", x.Verdict)
			}
			from := time.Date(2026, 1, 5, 0, 0, 0, 0, c.h.Zone)
			first := "1"
			in := core.Input{Body: &core.LedgerQuery{Day: "2026-01-05", From: from, To: from.AddDate(0, 0, 1)}, Kind: core.LedgerDetail, Stamp: c.h.Stamp("2026-01-05", time.Now(), 1), Page: &first}
			x := c.h.Ask(t.Context(), &c.h.Operations[core.LedgerDetail].Steps[0].Call, in, nil)
			got, ok := x.Verdict.Answer.(*core.Ledger)
			if !ok || len(got.Entries) != 2 {
				t.Fatalf("the ledger is %+v, %+v; %+v", got, x.Verdict, c.p.Exchanges())
			}
			for i, want := range []core.LedgerEntry{
				{Type: core.EntryPayment, Number: pay.OrderID, Amount: pay.Amount, At: pay.PaidAt},
				{Type: core.EntryRefund, Number: back.RefundNo, OrderID: pay.OrderID, Amount: back.Amount, At: back.RefundedAt},
			} {
				e := got.Entries[i]
				if e.Type != want.Type || e.Number != want.Number || e.OrderID != want.OrderID || e.Amount != want.Amount || !e.At.Equal(want.At) || e.Reversal {
					t.Errorf("row %d is %+v, want %+v", i, e, want)
				}
			}
		})
	}
}
