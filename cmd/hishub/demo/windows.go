package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"hishub/core"
	"hishub/mocks/books"
)

// Each HIS tells in its own dialect; whoever works there is played by the control
// port of its fake.

// windowNo is a cashier's number of what was given back for an order.
func windowNo(order string) string { return "TF" + strings.TrimPrefix(order, "IH") }

func atWindow(no string) bool { return strings.HasPrefix(no, "TF") }

// push has a fake HIS tell the hub something. what it says of our answer must have
// a part.
func (t *tale) push(ctx context.Context, hospital string, what map[string]any, part string) error {
	var told json.RawMessage
	if err := t.his[hospital].post(ctx, "/push", what, &told); err != nil {
		return err
	}
	if !bytes.Contains(told, []byte(part)) {
		return fmt.Errorf("the HIS was answered %s", told)
	}
	return nil
}

func (t *tale) hepingsWindow(ctx context.Context, no string, p *core.Payment) error {
	return t.push(ctx, "heping", map[string]any{"kind": "refundApply", "hub": t.mllp, "fields": map[string]string{
		"hisRefundNo": no, "orderNo": p.OrderID, "channelNo": p.ChannelNo, "amount": p.Amount.String(), "reason": "窗口退费",
	}}, `"code":"AA"`)
}

func (t *tale) lianhusWindow(ctx context.Context, no string, p *core.Payment) error {
	return t.push(ctx, "lianhu", map[string]any{"kind": "refundApply", "hub": t.client.base + "/his/lianhu/platform",
		"hisId": no, "tradeNo": p.OrderID, "refundAmount": p.Amount.String(), "reason": "窗口退费"}, `"result":"SUCCESS"`)
}

func (t *tale) yongansWindow(ctx context.Context, no string, p *core.Payment) error {
	return t.push(ctx, "yongan", map[string]any{"hub": t.client.base + "/his/yongan/notice",
		"histkh": no, "ddh": p.OrderID, "tkje": fmt.Sprint(int64(p.Amount)), "tkyy": "窗口退费"}, `"code":"0"`)
}

// nanyuansWindow leaves a row in the table that the hub looks into. The HIS books
// it when the hub has marked it.
func (t *tale) nanyuansWindow(ctx context.Context, no string, p *core.Payment) error {
	his := t.his["nanyuan"]
	if err := his.post(ctx, "/notices", map[string]any{"kind": "refund", "no": no, "order": p.OrderID, "amount_fen": p.Amount, "reason": "窗口退费"}, nil); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; {
		var rows []struct {
			No, State, Words string
			Booked           bool
		}
		if err := his.get(ctx, "/notices", &rows); err != nil {
			return err
		}
		for _, row := range rows {
			switch {
			case row.No != no:
			case row.Booked:
				return nil
			case row.State != "" && row.State != "done" || time.Now().After(deadline):
				return fmt.Errorf("the row %s is marked %q %s", no, row.State, row.Words)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// xihusWindow: the cashier books it, then the HIS asks us to pay.
func (t *tale) xihusWindow(ctx context.Context, no string, p *core.Payment) error {
	said, err := t.refundNotice(ctx, no, p)
	if err == nil && (said.Success != 1 || said.Dateset.RefundNo == "") {
		err = fmt.Errorf("the HIS was answered %+v", said)
	}
	return err
}

// refundNotice books a refund at 西湖's window and has the HIS ask for it.
func (t *tale) refundNotice(ctx context.Context, no string, p *core.Payment) (noticed, error) {
	booked := books.Refund{Order: p.OrderID, HisNo: no, AmountFen: int64(p.Amount), RefundedAt: time.Now().In(books.Zone).Format(books.TimeLayout)}
	if err := t.his["xihu"].post(ctx, "/books/edit", map[string]any{"add_refund": booked}, nil); err != nil {
		return noticed{}, err
	}
	return t.notice(ctx, "NT001", noticeOf(no, p), nil)
}

func noticeOf(no string, p *core.Payment) string {
	return fmt.Sprintf(`{"hisRefundNo":"%s","orderNo":"%s","refundFee":"%s","reason":"窗口退费","operCode":"0077"}`, no, p.OrderID, p.Amount)
}

// handedOut: 星光's pharmacy hands a prescription's drugs out.
func (t *tale) handedOut(ctx context.Context, rx *core.Prescription) (string, error) {
	if err := t.push(ctx, "xingguang", map[string]any{"no": rx.No, "hub": t.client.base + "/his/xingguang/notice"}, `"code":"informational"`); err != nil {
		return "", err
	}
	event, err := t.client.event(ctx, "xingguang", core.EventArrived(core.DrugsDispensed))
	if err != nil {
		return "", err
	}
	return "drugs handed out (event " + string(event.Type) + ")", nil
}
