package pay_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/pay"
)

// told sends what became of telling the HIS, twice: events come again.
func (w *world) told(e core.Event) {
	w.t.Helper()
	e.Hospital = "h1"
	for range 2 {
		w.ok(pgx.BeginFunc(context.Background(), w.c.Database, func(tx pgx.Tx) error { return w.pay.Take(context.Background(), tx, e) }))
	}
}

func (w *world) attempt(orderNo string) pay.Attempt {
	w.t.Helper()
	all, err := w.pay.OfOrder(context.Background(), orderNo)
	w.ok(err)
	return all[0]
}

// What the HIS says of a registration's money is followed. When it refuses for good, the
// appointment gives itself up and its money back; where it does not, as after check-in, the
// payment waits for finance, which gives it back.
func TestWhatTheHISSaysOfARegistrationsMoney(t *testing.T) {
	w := open(t)
	ctx := context.Background()
	o := w.paid()
	w.told(core.Event{Type: core.EventParked, Kind: core.AppointmentPay, Key: o.No, Reason: "号源不存在"})
	if a := w.attempt(o.No); a.Told != pay.Stuck || a.Problem != "号源不存在" {
		t.Errorf("parked: %+v", a)
	}
	w.told(core.Event{Type: core.EventDelivered, Kind: core.AppointmentPay, Key: o.No, Receipt: &core.Receipt{HisNo: "MZ1"}})
	if a := w.attempt(o.No); a.Told != pay.HasIt || a.Problem != "" {
		t.Errorf("delivered: %+v", a)
	}
	// The window may name it by the HIS's number from now on.
	if d, err := w.pay.WindowRefund(ctx, "h1", &core.WindowRefund{HisRefundNo: "T1", HisNo: "MZ1", Amount: 255}); err != nil || d.State != core.ResultDone {
		t.Errorf("%+v, %v", d, err)
	}
	w.told(core.Event{Type: core.EventRefundNow, Kind: core.AppointmentPay, Key: o.No}) // late: it has it
	if a := w.attempt(o.No); a.Told != pay.HasIt {
		t.Errorf("late: %+v", a)
	}

	o = w.paid()
	w.told(core.Event{Type: core.EventRefundNow, Kind: core.AppointmentPay, Key: o.No, Reason: "未取号"})
	w.settle(o.No)
	if now := w.get(o.No); now.State != order.Paid || w.attempt(o.No).Told != pay.GoBack {
		t.Errorf("the appointment's to give back: %+v", now)
	}
	waits := func() int {
		u, err := w.pay.Undecided(ctx, "h1", 10)
		w.ok(err)
		return len(u.Attempts)
	}
	if waits() != 1 {
		t.Error("finance does not see money that the HIS refused and nobody gave back")
	}
	if _, err := w.pay.Resolve(ctx, person(21), "h1", "wechat", w.attempt(o.No).No, pay.SendBack, "医院拒绝"); err != nil {
		t.Fatal(err)
	}
	w.settle(o.No)
	if now := w.get(o.No); now.State != order.Refunded || w.goods.back[o.No] != 0 || waits() != 0 {
		t.Errorf("%s, the HIS was told of %s, %d wait", now.State, w.goods.back[o.No], waits())
	}
	if bad := w.conserved(o.No); bad != "" {
		t.Error(bad)
	}
	w.balanced()
}

// An appointment that is taken back tells the HIS of the refund by its own message.
func TestWhatTheHISSaysOfACancelledAppointment(t *testing.T) {
	w := open(t)
	o := w.paid()
	w.ok(in0(w, func(tx pgx.Tx, outbox core.Outbox) error {
		return w.pay.GiveBack(context.Background(), tx, outbox, o, "测试")
	}))
	w.settle(o.No)
	w.told(core.Event{Type: core.EventDelivered, Kind: core.AppointmentCancel, Key: o.No})
	all, err := w.pay.RefundsOf(context.Background(), o.No)
	if err != nil || len(all) != 1 || all[0].State != pay.Arrived || all[0].Told != pay.HasIt {
		t.Errorf("%+v, %v", all, err)
	}
}

// A night's repairs: money that only the channel's bill has is asked about and taken, once;
// what the HIS does not have goes back, once.
func TestWhatANightFound(t *testing.T) {
	w := open(t)
	ctx := context.Background()
	o := w.order()
	a, err := w.pay.Pay(ctx, payer, o.No, native)
	w.ok(err)
	found := pay.Found{Channel: "wechat", Number: a.No, Amount: 1255}
	if _, known, err := w.pay.Heard(ctx, "h1", found); !known || err == nil {
		t.Errorf("nobody paid: %v, %v", known, err)
	}
	w.fault("notice_lost", "", a.No, 1)
	trade, err := w.channel.PayTrade("wechat", a.No, 0)
	w.ok(err)
	found.ChannelNo = trade.ChannelNo
	for range 2 {
		got, known, err := w.pay.Heard(ctx, "h1", found)
		if err != nil || !known || got.State != pay.Succeeded || w.get(o.No).State != order.Paid || w.goods.paid[o.No] != 1255 {
			t.Errorf("%+v, %v, %v", got, known, err)
		}
	}
	for _, other := range []pay.Found{{Channel: "wechat", Number: "IH1"}, {Channel: "alipay", Number: a.No}, {Channel: "wechat", Number: a.No, ChannelNo: "4200999"}} {
		if _, known, err := w.pay.Heard(ctx, "h1", other); known || err != nil {
			t.Errorf("%+v: %v, %v", other, known, err)
		}
		if known, err := w.pay.Return(ctx, "h1", other); known || err != nil {
			t.Errorf("%+v: %v, %v", other, known, err)
		}
	}
	if known, err := w.pay.Return(ctx, "h2", found); known || err != nil {
		t.Errorf("another hospital's: %v, %v", known, err)
	}
	for range 2 {
		if known, err := w.pay.Return(ctx, "h1", found); !known || err != nil {
			t.Errorf("%v, %v", known, err)
		}
		w.settle(o.No)
	}
	if now := w.get(o.No); now.State != order.Refunded || w.goods.back[o.No] != 0 {
		t.Errorf("%s, the HIS was told of %s", now.State, w.goods.back[o.No])
	}
	// A part went back before: people said yes to another amount.
	o = w.paid()
	_, err = w.pay.Request(ctx, payer, "", o.No, pay.Back{Amount: 5, Reason: "测试"})
	w.ok(err)
	if _, err := w.pay.Return(ctx, "h1", pay.Found{Channel: "wechat", Number: o.No, Amount: 1255}); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("more than is left: %v", err)
	}
	if bad := w.conserved(o.No); bad != "" {
		t.Error(bad)
	}
	w.balanced()
}
