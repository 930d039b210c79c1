package player

import (
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
