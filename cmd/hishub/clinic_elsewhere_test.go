package main

import (
	"testing"
	"time"

	"hishub/core"
	"hishub/core/inbound"
)

// Of a payment that a platform handed in by the hub's API, the platform decides; of the
// clinic's own, the clinic; of what nobody knows, nobody needs to.
func TestAWindowsRefundOfAnotherProgramsPayment(t *testing.T) {
	w := newWindow(t)
	w.opened["xihu"].Listeners["notice"].Timeout = time.Second
	w.pay("xihu", "IH1")
	_, err := w.store.Enqueue(w.ctx, "xihu", core.Message{Kind: core.PaymentSettle, Body: &core.Payment{OrderID: "PX1", VisitNo: "V1", PatientNo: "0000024772", PatientName: "张三测试",
		Bills: []string{"B1"}, Amount: 2150, Channel: "wechat", ChannelNo: "wxPX1", PaidAt: time.Now()}})
	ok(t, err)

	if _, own, _ := w.notice("NT001", refundOf("TF1", "IH1", "1.50"), nil); own.Success != 1 {
		t.Errorf("of the clinic's own payment: %+v", own)
	}
	if _, none, _ := w.notice("NT001", refundOf("TF2", "PX9", "1.50"), nil); none.Success != 2001 {
		t.Errorf("of a payment that nobody knows: %+v", none)
	}
	if _, open, _ := w.notice("NT001", refundOf("TF3", "PX1", "1.50"), nil); open.Success == 1 || open.Success == 2001 {
		t.Errorf("of the platform's, before it decided: %+v", open)
	}
	facts, err := w.store.ListInbound(w.ctx, inboundOf("xihu", core.RefundApply, "TF3"))
	ok(t, err)
	if len(facts) != 1 || facts[0].State != "open" {
		t.Fatalf("kept is %+v", facts)
	}
	body := &core.WindowRefund{HisRefundNo: "TF3", OrderID: "PX1", Amount: 150}
	if mine, err := w.clinicModules.pay.Takes(w.ctx, "xihu", body); err != nil || mine {
		t.Errorf("the clinic takes the platform's payment for its own: %v", err)
	}
	amount := core.Fen(150)
	_, first, err := w.store.DecideAs(w.ctx, facts[0].ID, inbound.Fact{Hospital: "xihu", Kind: core.RefundApply, Body: body},
		core.Resolution{State: core.ResultDone, Answer: &core.Receipt{Number: "PR1", Amount: &amount}}, "the platform", "")
	ok(t, err)
	if _, done, _ := w.notice("NT001", refundOf("TF3", "PX1", "1.50"), nil); !first || done.Success != 1 || done.Dateset.RefundNo != "PR1" {
		t.Errorf("asked again, the HIS got %+v", done)
	}
	if n, sum := w.channel.moved(); n != 1 || sum != 150 {
		t.Errorf("the clinic's channel moved %d refunds of %d fen", n, sum)
	}
}
