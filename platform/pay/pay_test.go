package pay_test

import (
	"errors"
	"testing"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/pay"
)

func TestAnOrderIsPaidAndGivenBack(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	o := w.order()
	a, err := w.pay.Pay(ctx, payer, o.No, native)
	if err != nil || a.State != pay.Sent || a.No != o.No || a.Client["code_url"] == "" {
		t.Fatalf("%+v, %v", a, err)
	}
	again, err := w.pay.Pay(ctx, payer, o.No, native)
	if err != nil || again.No != a.No || again.Client["code_url"] != a.Client["code_url"] {
		t.Fatalf("the same again: %+v, %v", again, err)
	}
	if _, err := w.channel.PayTrade("wechat", a.No, 0); err != nil {
		t.Fatal(err)
	}
	if o = w.get(o.No); o.State != order.Paid || o.Channel != "wechat" {
		t.Fatalf("told by the channel: %+v", o)
	}
	if _, err := w.pay.Pay(ctx, payer, o.No, native); !errors.Is(err, clinic.ErrState) {
		t.Errorf("paid a second time: %v", err)
	}
	r, err := w.pay.Request(ctx, payer, "", o.No, pay.Back{Lines: []int{1}, Reason: "不需要了"})
	if err != nil || r.State != pay.Arrived || r.Amount != 250 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = w.pay.Request(ctx, payer, "", o.No, pay.Back{Reason: "全部不需要了"}); err != nil || r.State != pay.Arrived || r.Amount != 1005 {
		t.Fatalf("%+v, %v", r, err)
	}
	if o = w.get(o.No); o.State != order.Refunded {
		t.Errorf("%+v", o)
	}
	if bad := w.conserved(o.No); bad != "" {
		t.Error(bad)
	}
	// The channel says once more that it gave back what it has.
	if r, err = w.pay.GivenSaid(ctx, r.No, pay.Given{State: pay.Returned, ChannelNo: r.ChannelRefundNo, Amount: r.Amount, At: *r.ReturnedAt}); err != nil || r.State != pay.Arrived {
		t.Errorf("said again: %+v, %v", r, err)
	}
	if w.goods.back[o.No] != 1255 {
		t.Errorf("the subject was told of %s", w.goods.back[o.No])
	}
	w.balanced()
}

func TestAnotherPriceIsShownFirst(t *testing.T) {
	w := open(t)
	o := w.order()
	w.goods.price = 1300
	var changed *order.PriceChanged
	if _, err := w.pay.Pay(t.Context(), payer, o.No, native); !errors.As(err, &changed) || changed.Is != 1300 {
		t.Fatalf("%v", err)
	}
	wish := native
	wish.Version = 2
	if a, err := w.pay.Pay(t.Context(), payer, o.No, wish); err != nil || a.Amount != 1300 {
		t.Errorf("%+v, %v", a, err)
	}
	stranger := clinic.Person{Account: 8}
	if _, err := w.pay.Pay(t.Context(), stranger, o.No, wish); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("somebody else: %v", err)
	}
	var ps core.Problems
	wish.Channel = "alipay"
	if _, err := w.pay.Pay(t.Context(), payer, o.No, wish); !errors.As(err, &ps) {
		t.Errorf("a channel without an account: %v", err)
	}
}

func TestANoticeThatNobodySignedChangesNothing(t *testing.T) {
	w := open(t)
	o := w.order()
	a, err := w.pay.Pay(t.Context(), payer, o.No, native)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := w.channel.Forge("wechat", a.No); err != nil || status != 500 {
		t.Errorf("a forged notice was answered %d, %v", status, err)
	}
	if o = w.get(o.No); o.State != order.Paying {
		t.Errorf("it is %s", o.State)
	}
}
