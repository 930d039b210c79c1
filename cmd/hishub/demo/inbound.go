package demo

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/core"
	"hishub/core/api"
	"hishub/mocks/books"
	"hishub/mocks/shipped"
)

// noticed is what 西湖 is answered.
type noticed struct {
	Success int
	Msgtext string
	Dateset struct{ HisRefundNo, RefundNo string }
}

// notice calls the hub as 西湖 does: JSON, signed in the headers. forge changes
// the body after it was signed.
func (t *tale) notice(ctx context.Context, code, body string, forge func(string) string) (n noticed, err error) {
	at := time.Now().In(books.Zone).Format("20060102150405")
	sign := fmt.Sprintf("%x", md5.Sum([]byte("clienttype=third&code="+code+"&customid=xihu_his&msgid="+at+"&param="+body+"&reqtime="+at+"&key="+shipped.XihuNoticeKey)))
	if forge != nil {
		body = forge(body)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.client.base+"/his/xihu/notice", strings.NewReader(body))
	if err != nil {
		return n, err
	}
	for name, value := range map[string]string{"clienttype": "third", "code": code, "customid": "xihu_his", "msgid": at, "reqtime": at, "sign": sign} {
		r.Header.Set(name, value)
	}
	status, text, err := t.asHIS(r)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("HTTP %d: %s", status, text)
	}
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	return n, err
}

func (t *tale) asHIS(r *http.Request) (status int, text []byte, err error) {
	a, err := t.client.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer a.Body.Close()
	text, err = io.ReadAll(a.Body)
	return a.StatusCode, text, err
}

// windowRefund: a cashier of 西湖 gives a patient money back.
func (t *tale) windowRefund(ctx context.Context) error {
	pay := t.told["xihu"]
	body := noticeOf("TF0001", pay)
	first, err := t.refundNotice(ctx, "TF0001", pay)
	if err != nil {
		return err
	}
	back, err := t.platform.gaveBack("xihu", pay.OrderID)
	if err != nil {
		return err
	}
	if first.Success != 1 || first.Dateset.RefundNo == "" || back != pay.Amount {
		return fmt.Errorf("the HIS was answered %+v, the platform gave %s back", first, back)
	}
	t.held("西湖 asks for %s yuan of %s back: the platform heard of it, gave it back and said so; the HIS, which waited, has our refund %s", pay.Amount, pay.OrderID, first.Dateset.RefundNo)
	again, err := t.notice(ctx, "NT001", body, nil)
	if err != nil {
		return err
	}
	if now, err := t.platform.gaveBack("xihu", pay.OrderID); err != nil || again != first || now != back {
		return fmt.Errorf("the repeat was answered %+v", again)
	}
	forged, err := t.notice(ctx, "NT001", body, func(s string) string { return strings.Replace(s, "TF0001", "TF0002", 1) })
	if err != nil {
		return err
	}
	var kept struct{ Inbound []api.Inbound }
	if err := t.client.get(ctx, "/v1/inbound?hospital=xihu&kind=refund.apply&key=TF0001", &kept); err != nil {
		return err
	}
	if forged.Success != 1003 || len(kept.Inbound) != 1 || kept.Inbound[0].Times != 2 {
		return fmt.Errorf("forged, it was answered %+v; kept is %+v", forged, kept)
	}
	t.held("the same again: the same answer, and no money moves; forged: refused (%d %s), and nothing is kept", forged.Success, forged.Msgtext)
	return nil
}

// stoppedClinic: a doctor of 东山 does not come tomorrow.
func (t *tale) stoppedClinic(ctx context.Context, _ *core.Prescription) (string, error) {
	day := time.Now().In(books.Zone).AddDate(0, 0, 1).Format(time.DateOnly)
	envelope := `<?xml version="1.0" encoding="GB18030"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>` +
		`<StopClinic xmlns="http://dongshan.example/hub"><xmlParam><![CDATA[<Request><ScheduleNo>PB0007</ScheduleNo><DeptCode>D01</DeptCode><DoctorCode>0007</DoctorCode>` +
		`<ServiceDate>` + day + `</ServiceDate><TimeFlag>1</TimeFlag><Reason>外出会诊</Reason></Request>]]></xmlParam></StopClinic></soap:Body></soap:Envelope>`
	content, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(envelope))
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.client.base+"/his/dongshan/inbound", bytes.NewReader(content))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "text/xml; charset=GB18030")
	status, text, err := t.asHIS(r)
	if err != nil {
		return "", err
	}
	if !bytes.Contains(text, []byte("<ResultCode>0</ResultCode>")) {
		return "", fmt.Errorf("the HIS was answered HTTP %d %s", status, text)
	}
	event, err := t.client.event(ctx, "dongshan", core.EventArrived(core.ClinicStopped))
	if err != nil {
		return "", err
	}
	var found api.InboundDetail
	if err := t.client.get(ctx, fmt.Sprintf("/v1/inbound/%d", event.Inbound), &found); err != nil {
		return "", err
	}
	var stop core.ClinicStop
	if err := json.Unmarshal(found.Content, &stop); err != nil {
		return "", err
	}
	if stop.Date != day || stop.Period != "morning" || stop.DoctorCode != "0007" {
		return "", fmt.Errorf("the event tells of %+v", stop)
	}
	return fmt.Sprintf("doctor %s stops tomorrow %s (event %s)", stop.DoctorCode, stop.Period, event.Type), nil
}
