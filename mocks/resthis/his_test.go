package resthis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

func start(t testing.TB, o Options) *HIS {
	t.Helper()
	h, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// answered is a reply as a caller reads it.
type answered struct {
	MsgID, RemsgID string
	Success        int
	MsgText        string
	Dateset        map[string]any
}

func auth(t testing.TB, h *HIS, body string) answered {
	t.Helper()
	w, err := http.Post(h.URL()+"/auth", jsonType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	var a answered
	if err := json.NewDecoder(w.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a
}

func token(t testing.TB, h *HIS) string {
	t.Helper()
	return auth(t, h, `{"user":"inet_hub","password":"xihu-test"}`).Dateset["accessToken"].(string)
}

func post(ctx context.Context, h *HIS, token, code, body string) (*http.Response, []byte, error) {
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, h.URL()+"/api/process", strings.NewReader(body))
	for name, value := range map[string]string{"Content-Type": jsonType, "msgid": "m1", "customid": "inet_hub", "clienttype": "third",
		"token": token, "reqtime": "20260105145601", "code": code} {
		r.Header.Set(name, value)
	}
	r.Header.Set("sign", sign(r.Header, []byte(body), ""))
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return &http.Response{}, nil, err
	}
	defer w.Body.Close()
	answer, err := io.ReadAll(w.Body)
	return w, answer, err
}

func ask(t testing.TB, h *HIS, token, code, body string) answered {
	t.Helper()
	w, raw, err := post(context.Background(), h, token, code, body)
	if err != nil || w.StatusCode != 200 {
		t.Fatalf("%s: %d %v", code, w.StatusCode, err)
	}
	var a answered
	if err := json.Unmarshal(raw, &a); err != nil || a.MsgID != "m1" || a.RemsgID == "" {
		t.Fatalf("%s: %v in %s", code, err, raw)
	}
	return a
}

func want(t testing.TB, a answered, success int, pairs ...string) {
	t.Helper()
	if a.Success != success {
		t.Errorf("success %d (%s), want %d", a.Success, a.MsgText, success)
	}
	for i := 0; i < len(pairs); i += 2 {
		if got := fmt.Sprint(a.Dateset[pairs[i]]); got != pairs[i+1] {
			t.Errorf("%s = %s, want %s", pairs[i], got, pairs[i+1])
		}
	}
}

func recipe(no, total string) string {
	return `{"rxNo":"` + no + `","visitNo":"V1","patientId":"0000000001","patientName":"䶮测试","sex":"1","deptCode":"D1","doctorCode":"Y1","totalFee":"` + total +
		`","items":[{"drugCode":"YP1","drugName":"阿莫西林胶囊","qty":"2","unit":"盒","price":"12.3450","amount":"24.69"},` +
		`{"drugCode":"YP2","drugName":"维生素C片","qty":"12","unit":"片","price":"1.7917","amount":"21.50"}]}`
}

func pay(order, total string) string {
	return `{"orderNo":"` + order + `","patientId":"0000000001","rxNos":["RX1"],"totalFee":"` + total +
		`","payWay":"1","tradeNo":"42` + order + `","payTime":"2026-01-05 23:59:58","operCode":"net07"}`
}

func back(no, fee string) string {
	return `{"refundNo":"` + no + `","orderNo":"IH1","refundFee":"` + fee + `","refundTime":"2026-01-06 00:00:01","operCode":"net07"}`
}

// The signature of the example in README.md, computed by another program.
func TestTheSignatureOfTheManual(t *testing.T) {
	h := http.Header{}
	for name, value := range map[string]string{"msgid": "0001", "customid": "inet_hub", "clienttype": "third", "token": "t0", "reqtime": "20260105145601", "code": "RX003"} {
		h.Set(name, value)
	}
	if got := sign(h, []byte(`{"rxNo":"RX1"}`), ""); got != "f75d8f485c1acfef71a397c8523ba9d3" {
		t.Error(got)
	}
}

func TestAPrescriptionIsSettledAndRefunded(t *testing.T) {
	h := start(t, Options{})
	k := token(t, h)
	rx := ask(t, h, k, "RX001", recipe("RX1", "46.19"))
	want(t, rx, 1, "rxNo", "RX1", "totalFee", "46.19")
	if bills := fmt.Sprint(ask(t, h, k, "BILL001", `{"visitNo":"V1"}`).Dateset["bills"]); !strings.Contains(bills, "阿莫西林胶囊") {
		t.Errorf("bills: %s", bills)
	}
	if a := ask(t, h, k, "PAY003", `{"orderNo":"IH1"}`); a.Success != 1 || a.Dateset != nil {
		t.Errorf("no payment yet: %+v", a)
	}
	want(t, ask(t, h, k, "PAY001", pay("IH1", "46.19")), 1, "totalFee", "46.19")
	want(t, ask(t, h, k, "PAY003", `{"orderNo":"IH1"}`), 1, "payState", "1", "refundFee", "0.00")
	want(t, ask(t, h, k, "RX003", `{"rxNo":"RX1"}`), 1, "rxState", "2", "hisRxNo", rx.Dateset["hisRxNo"].(string))
	want(t, ask(t, h, k, "RX002", `{"rxNo":"RX1"}`), 2001)
	want(t, ask(t, h, k, "RF001", back("IHR1", "46.20")), 2001)
	want(t, ask(t, h, k, "RF001", back("IHR1", "40.00")), 1, "refundFee", "40.00")
	want(t, ask(t, h, k, "RF003", `{"refundNo":"IHR1"}`), 1, "refundState", "1")
	want(t, ask(t, h, k, "PAY001", pay("IH2", "1.00")), 1)

	// The ledger goes by the hospital's clock, whatever time we told.
	if a := ask(t, h, k, "LED001", `{"date":"2026-01-06","pageNo":"1","pageSize":"9"}`); a.Success != 1 || a.Dateset != nil {
		t.Errorf("a day on which the hospital booked nothing: %+v", a)
	}
	for _, e := range []books.Edit{{Settlement: "IH1", Date: "2026-01-05 14:56:01"}, {Settlement: "IH2", Date: "2026-01-05 14:57:01"}, {Refund: "IHR1", Date: "2026-01-06 09:00:00"}} {
		if err := h.books.Edit(e); err != nil {
			t.Fatal(err)
		}
	}
	page := ask(t, h, k, "LED001", `{"date":"2026-01-05","pageNo":"2","pageSize":1}`)
	want(t, page, 1, "total", "2")
	row := page.Dateset["rows"].([]any)[0].(map[string]any)
	if row["orderNo"] != "IH2" || row["amount"] != "1.00" || row["tradeNo"] != "42IH2" || row["type"] != "1" {
		t.Errorf("row: %v", row)
	}
	want(t, ask(t, h, k, "LED001", `{"date":"2026-01-05","pageNo":"3","pageSize":"1"}`), 1, "rows", "[]")
	want(t, ask(t, h, k, "LED001", `{"date":"2026-01-06","pageNo":"1","pageSize":"9"}`), 1, "total", "1")
	if a := ask(t, h, k, "LED001", `{"date":"2026-01-07","pageNo":"1","pageSize":"9"}`); a.Success != 1 || a.Dateset != nil {
		t.Errorf("empty day: %+v", a)
	}
}

func TestRepeatsAreTreatedAsTheOptionSays(t *testing.T) {
	for _, c := range []struct {
		repeats         books.Repeats
		again, conflict int
		rows            int
	}{{books.Refuse, 1005, 1005, 1}, {books.Same, 1, 1004, 1}, {books.Double, 1, 1, 3}} {
		t.Run(string(c.repeats), func(t *testing.T) {
			h := start(t, Options{Repeats: c.repeats})
			k := token(t, h)
			ask(t, h, k, "RX001", recipe("RX1", "46.19"))
			want(t, ask(t, h, k, "RX001", recipe("RX1", "46.19")), c.again, "totalFee", "46.19")
			first := ask(t, h, k, "PAY001", pay("IH1", "46.19"))
			again := ask(t, h, k, "PAY001", pay("IH1", "46.19"))
			want(t, again, c.again, "totalFee", "46.19")
			if (again.Dateset["hisPayNo"] == first.Dateset["hisPayNo"]) != (c.repeats != books.Double) {
				t.Errorf("hisPayNo %v after %v", again.Dateset["hisPayNo"], first.Dateset["hisPayNo"])
			}
			want(t, ask(t, h, k, "PAY001", pay("IH1", "46.20")), c.conflict)
			if n := len(h.Books().Settlements); n != c.rows {
				t.Errorf("%d settlements, want %d", n, c.rows)
			}
		})
	}
}

func TestTokensExpireAndAreRenewed(t *testing.T) {
	h := start(t, Options{})
	login := auth(t, h, `{"user":"inet_hub","password":"xihu-test"}`)
	k := login.Dateset["accessToken"].(string)
	want(t, ask(t, h, k, "RX003", `{"rxNo":"RX1"}`), 1)
	r, _ := http.NewRequest(http.MethodDelete, h.ControlURL()+"/tokens", nil)
	if w, err := http.DefaultClient.Do(r); err != nil || w.StatusCode != 204 {
		t.Fatal(w, err)
	}
	want(t, ask(t, h, k, "RX001", recipe("RX1", "46.19")), 1002)
	renewed := auth(t, h, `{"refreshToken":"`+login.Dateset["refreshToken"].(string)+`"}`)
	want(t, ask(t, h, renewed.Dateset["accessToken"].(string), "RX003", `{"rxNo":"RX1"}`), 1)
	want(t, auth(t, h, `{"user":"inet_hub","password":"no"}`), 1001)
	want(t, auth(t, h, `{"refreshToken":"no"}`), 1001)
	if n := len(h.Books().Prescriptions); n != 0 {
		t.Errorf("%d prescriptions saved with a token that had expired", n)
	}
	short := start(t, Options{TokenLife: time.Nanosecond})
	want(t, ask(t, short, token(t, short), "RX003", `{"rxNo":"RX1"}`), 1002)
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	h := start(t, Options{Inquiry: "none"})
	k := token(t, h)
	want(t, ask(t, h, k, "PAY003", `{"orderNo":"IH1"}`), 2001)
	want(t, ask(t, h, k, "RX999", `{}`), 8888)
	want(t, ask(t, h, k, "RX001", `{"rxNo":1}`), 8888)
	want(t, ask(t, h, k, "RX001", recipe("RX1", "46.20")), 2001)
	r, _ := http.NewRequest(http.MethodPost, h.URL()+"/api/process", strings.NewReader(recipe("RX1", "46.19")))
	r.Header.Set("code", "RX001")
	r.Header.Set("token", k)
	r.Header.Set("sign", "00000000000000000000000000000000")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	var a answered
	_ = json.NewDecoder(w.Body).Decode(&a)
	want(t, a, 1003)
	if b := h.Books(); len(b.Prescriptions) != 0 {
		t.Errorf("books: %+v", b.Prescriptions)
	}
}

func TestTheControlPort(t *testing.T) {
	h := start(t, Options{})
	k := token(t, h)
	ask(t, h, k, "PAY001", pay("IH1", "46.19"))
	ask(t, h, k, "PAY001", pay("IH2", "1.00"))
	control := func(method, path, body string) (int, string) {
		r, _ := http.NewRequest(method, h.ControlURL()+path, strings.NewReader(body))
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		answer, _ := io.ReadAll(w.Body)
		return w.StatusCode, string(answer)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		holds              string
	}{
		{"GET", "/healthz", "", 200, "ok"},
		{"POST", "/books/edit", `{"settlement":"IH1","remove":true}`, 200, "ok"},
		{"POST", "/books/edit", `{"settlement":"IH1","remove":true}`, 400, "no settlement IH1"},
		{"POST", "/books/edit", `{"settlement":"IH2","amount_fen":101}`, 200, "ok"},
		{"POST", "/books/edit", `{"settlement":"IH2"}`, 400, "say one of"},
		{"POST", "/books/edit", `{"add":{"order":"X1","amount_fen":7,"paid_at":"2026-01-05 10:00:00"}}`, 200, "ok"},
		{"POST", "/faults", `{"fault":"busy","operation":"PAY001","delay":"2s"}`, 200, `"hits":0`},
		{"POST", "/faults", `[{"fault":"slow","delay":"1ms","times":1},{"fault":"down"}]`, 200, `"fault":"down"`},
		{"POST", "/faults", `{"fault":"nonsense"}`, 400, "not known"},
		{"POST", "/faults", `{"fault":"slow","dealy":"1s"}`, 400, "unknown field"},
		{"POST", "/faults", `{"fault":"down","operation":"PAY001"}`, 400, "no operation"},
		{"DELETE", "/faults", "", 200, "[]"},
		{"GET", "/faults", "", 200, "[]"},
	} {
		status, answer := control(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(answer, c.holds) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, answer)
		}
	}
	var b books.Export
	_, answer := control("GET", "/books", "")
	if err := json.Unmarshal([]byte(answer), &b); err != nil || len(b.Settlements) != 2 || b.Settlements[0].AmountFen != 101 || b.Settlements[1].Order != "X1" {
		t.Errorf("%v: %+v", err, b.Settlements)
	}
}

func TestEachFault(t *testing.T) {
	for _, c := range []struct {
		rule   fault.Rule
		seen   func(w *http.Response, body []byte, err error) bool
		booked int
		effect string // "": nothing was read
	}{
		{fault.Rule{Fault: fault.Down}, func(_ *http.Response, _ []byte, err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }, 0, ""},
		{fault.Rule{Fault: fault.Down, Times: 1}, cutOff, 0, ""},
		{fault.Rule{Fault: fault.Slow, Delay: fault.Delay(30 * time.Millisecond)}, success(1), 1, "done"},
		{fault.Rule{Fault: fault.Hang}, hung, 0, "none"},
		{fault.Rule{Fault: fault.CutBefore}, cutOff, 0, "none"},
		{fault.Rule{Fault: fault.CommitThenHang}, hung, 1, "done"},
		{fault.Rule{Fault: fault.CutAfterCommit}, cutOff, 1, "done"},
		{fault.Rule{Fault: fault.CutThenCommitLater, Delay: fault.Delay(10 * time.Millisecond)}, cutOff, 1, "done"},
		{fault.Rule{Fault: fault.HTTP500}, func(w *http.Response, body []byte, _ error) bool {
			return w.StatusCode == 500 && bytes.Contains(body, []byte("<html>"))
		}, 0, "none"},
		{fault.Rule{Fault: fault.SoapFault}, func(w *http.Response, body []byte, _ error) bool { return w.StatusCode == 500 && json.Valid(body) }, 0, "none"},
		{fault.Rule{Fault: fault.Garbled}, func(w *http.Response, body []byte, err error) bool {
			return err == nil && w.StatusCode == 200 && !json.Valid(body)
		}, 1, "done"},
		{fault.Rule{Fault: fault.Truncated}, func(w *http.Response, _ []byte, err error) bool {
			return w.StatusCode == 200 && errors.Is(err, io.ErrUnexpectedEOF)
		}, 1, "done"},
		{fault.Rule{Fault: fault.WrongCharset}, func(w *http.Response, body []byte, err error) bool {
			text, _ := simplifiedchinese.GB18030.NewDecoder().Bytes(body)
			return err == nil && w.Header.Get("Content-Type") == jsonType && !bytes.Contains(body, []byte("成功")) && bytes.Contains(text, []byte("成功"))
		}, 1, "done"},
		{fault.Rule{Fault: fault.Busy, Delay: fault.Delay(3 * time.Second)}, func(w *http.Response, body []byte, err error) bool {
			return success(9999)(w, body, err) && w.Header.Get("Retry-After") == "3"
		}, 0, "busy"},
		{fault.Rule{Fault: fault.Reject}, success(2001), 0, "refused: 药品库存不足"},
		{fault.Rule{Fault: fault.DuplicateAnswer}, success(1005), 1, "done"},
	} {
		t.Run(string(c.rule.Fault), func(t *testing.T) {
			h := start(t, Options{})
			k := token(t, h)
			if c.rule.Fault != fault.Down {
				c.rule.Operation, c.rule.Key = "PAY001", "IH"
			}
			if err := h.Script().Add(c.rule); err != nil {
				t.Fatal(err)
			}
			// Else a kept connection may be used before its end is noticed.
			http.DefaultClient.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if f := c.rule.Fault; f == fault.Hang || f == fault.CommitThenHang {
				go leaveOnceRead(h, "PAY001", cancel)
			}
			if w, body, err := post(ctx, h, k, "PAY001", pay("IH1", "46.19")); !c.seen(w, body, err) {
				t.Errorf("caller saw %d %q %v", w.StatusCode, body, err)
			}
			for c.rule.Fault == fault.CutThenCommitLater && len(h.Books().Settlements) == 0 && t.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			h.Script().Clear()
			var effects []string
			for _, e := range h.Books().Journal {
				if e.Operation == "PAY001" {
					effects = append(effects, e.Effect)
				}
			}
			if n := len(h.Books().Settlements); n != c.booked || strings.Join(effects, ",") != c.effect {
				t.Errorf("%d booked, want %d; journal %q, want %q", n, c.booked, effects, c.effect)
			}
			if a := ask(t, h, k, "PAY003", `{"orderNo":"IH1"}`); a.Success != 1 || (a.Dateset != nil) != (c.booked == 1) {
				t.Errorf("afterwards: %+v", a)
			}
		})
	}
}

// leaveOnceRead is a caller that loses patience some time after its request was read.
func leaveOnceRead(h *HIS, operation string, leave func()) {
	for !slices.ContainsFunc(h.Books().Journal, func(e books.Entry) bool { return e.Operation == operation }) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // an answer would be here by now
	leave()
}

func cutOff(_ *http.Response, _ []byte, err error) bool {
	return err != nil && !hung(nil, nil, err)
}

func hung(_ *http.Response, _ []byte, err error) bool {
	return errors.Is(err, context.Canceled)
}

func success(code int) func(*http.Response, []byte, error) bool {
	return func(w *http.Response, body []byte, err error) bool {
		var a answered
		return err == nil && w.StatusCode == 200 && json.Unmarshal(body, &a) == nil && a.Success == code
	}
}

func TestTheLedgerSaysWhatARowIs(t *testing.T) {
	h := start(t, Options{})
	k := token(t, h)
	at := "2026-01-05 23:59:58"
	for _, e := range []books.Edit{
		{Clock: &at}, {Add: &books.Settlement{Order: "IH1", Channel: "1", ChannelNo: "42", Operator: "net07", Bills: []string{"RX1", "RX2"}, AmountFen: 100}},
		{Add: &books.Settlement{Order: "IH2", Channel: "2", Operator: "net08", AmountFen: 10}},
		{Add: &books.Settlement{Order: "G1", Channel: "1", Operator: "net07", Registration: true}},
		{AddRefund: &books.Refund{Order: "IH1", AmountFen: 30}}, {Settlement: "IH2", Reverse: true},
	} {
		if err := h.books.Edit(e); err != nil {
			t.Fatal(err)
		}
	}
	rows := func(body string) string {
		var out []string
		list, _ := ask(t, h, k, "LED001", body).Dateset["rows"].([]any)
		for _, r := range list {
			row := r.(map[string]any)
			out = append(out, fmt.Sprintf("%v/%v/%v/%v/%v/%v/%v/%v", row["type"], row["orderNo"], row["refundNo"], row["amount"], row["payWay"], row["operCode"], row["isReverse"], row["rxNos"]))
		}
		return strings.Join(out, " ")
	}
	const first, second = "1/IH1//1.00/1/net07/0/RX1,RX2", "1/IH2//0.10/2/net08/0/"
	const free, window, reversal = "1/G1//0.00/1/net07/0/", "2/IH1//0.30/1/net07/0/", "2/IH2//0.10/2/net08/1/"
	for _, c := range []struct{ body, want string }{
		{`{"date":"2026-01-05","pageNo":"1","pageSize":"9"}`, strings.Join([]string{first, second, free, window, reversal}, " ")},
		{`{"date":"2026-01-05","pageNo":"1","pageSize":"9","operCode":"net08"}`, second + " " + reversal},
		{`{"date":"2026-01-05","pageNo":"1","pageSize":"9","payWay":"1","operCode":"net07"}`, strings.Join([]string{first, free, window}, " ")},
	} {
		if got := rows(c.body); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.body, got, c.want)
		}
	}
	want(t, ask(t, h, k, "LED002", `{"date":"2026-01-05"}`), 1, "payCount", "3", "payFee", "1.10", "refundCount", "2", "refundFee", "0.40")
	want(t, ask(t, h, k, "LED002", `{"date":"2026-01-06"}`), 1, "payCount", "0", "payFee", "0.00")
	twice := true
	if err := h.books.Edit(books.Edit{Twice: &twice}); err != nil {
		t.Fatal(err)
	}
	if got := rows(`{"date":"2026-01-05","pageNo":"1","pageSize":"2"}`); got != first+" "+first {
		t.Errorf("twice: %s", got)
	}
	want(t, ask(t, h, k, "LED002", `{"date":"2026-01-05"}`), 1, "payCount", "3")
}

func TestAPrescriptionIsDispensedInTheHospital(t *testing.T) {
	h := start(t, Options{})
	k := token(t, h)
	ask(t, h, k, "RX001", recipe("RX1", "46.19"))
	for state, theirs := range map[string]string{books.Dispensed: "3", books.Returned: "4", books.Voided: "9"} {
		if err := h.books.Edit(books.Edit{Prescription: "RX1", State: state}); err != nil {
			t.Fatal(err)
		}
		want(t, ask(t, h, k, "RX003", `{"rxNo":"RX1"}`), 1, "rxState", theirs)
	}
}
