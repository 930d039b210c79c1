package sealedhis

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

func start(t *testing.T, o Options) *HIS {
	t.Helper()
	h, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

const msgid = "YA33000100000000000000000000000001"

// ask says data in the hospital's envelope; change may spoil it before it goes.
func ask(t *testing.T, h *HIS, infno, data string, change func(fields)) (outer fields, result string) {
	t.Helper()
	f := fields{"infno": infno, "msgid": msgid, "opter": "net07", "input": h.seal.seal(compact(fields{"data": data}), msgid)}
	f["sign"] = h.seal.sign(f)
	if change != nil {
		change(f)
	}
	r, err := http.Post(h.URL()+"/gateway", jsonType, strings.NewReader(string(compact(f))))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	if outer, err = flat(body); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if outer["sign"] != h.seal.sign(outer) {
		t.Errorf("%s: the answer is not signed: %s", infno, body)
	}
	if outer["output"] != "" {
		plain, err := h.seal.unseal(outer["output"], outer["inf_refmsgid"])
		var inner struct{ Result string }
		if err != nil || json.Unmarshal(plain, &inner) != nil {
			t.Fatalf("%s: %v", infno, err)
		}
		result = inner.Result
	}
	return outer, result
}

const recipe = `{"cfbh":"RX1","jzlsh":"V1","brid":"0000024772","brxm":"张三测试","ksbm":"0102","ysbm":"00731","zje":"4619","cfmx":"[{\"xh\":1,\"ypbm\":\"Y1\",\"ypmc\":\"测试药品\",\"sl\":\"2\",\"dj\":\"23.0950\",\"je\":\"4619\"}]"}`

// The vectors were made with openssl enc -sm4-cbc and openssl dgst -sm3.
func TestTheSealIsThatOfOpenSSL(t *testing.T) {
	s := newSeal("00112233445566778899aabbccddeeff", "not-the-real-key")
	const id = "YA33000100000000000000000000000000000001"
	if got := s.seal([]byte(`{"data":"{}"}`), id); got != "Xw2Awvp9orOPh2elQbPofw==" {
		t.Errorf("sealed %s", got)
	}
	f := fields{"infno": "1201", "msgid": id, "infver": "V1.0", "opter": "net07", "inf_time": "20260105100001", "input": "Xw2Awvp9orOPh2elQbPofw=="}
	if got := s.sign(f); got != "54C035AB1F1B92A8C4281988D06B479D81C4E1807E5AE566C9765B5E7E50F98A" {
		t.Errorf("signed %s", got)
	}
}

func TestRepeatsAndWords(t *testing.T) {
	for repeats, want := range map[books.Repeats]string{books.Refuse: "-1 [1005]单据已存在，请勿重复提交", books.Same: "0 ", books.Double: "0 "} {
		h := start(t, Options{Repeats: repeats})
		ask(t, h, "2201", recipe, nil)
		a, result := ask(t, h, "2201", recipe, nil)
		if got := a["infcode"] + " " + a["err_msg"]; got != want || !strings.Contains(result, `"cfbh":"RX1"`) {
			t.Errorf("%s: %s %s", repeats, got, result)
		}
		if n := len(h.Books().Prescriptions); (n == 2) != (repeats == books.Double) {
			t.Errorf("%s: booked %d times", repeats, n)
		}
	}
	h := start(t, Options{Inquiry: "none"})
	for _, c := range []struct {
		infno, data string
		change      func(fields)
		words       string
	}{
		{"2201", recipe, func(f fields) { f["opter"] = "other" }, "验签失败"},
		{"2201", recipe, func(f fields) { f["input"] = "AAAA"; f["sign"] = h.seal.sign(f) }, "解密失败"},
		{"2201", `{"zje":46.19}`, nil, "报文格式错误"},
		{"2201", strings.Replace(recipe, `"4619"`, `"46.19"`, 1), nil, "参数错误: zje 或 cfmx"},
		{"2201", strings.Replace(recipe, `"4619"`, `"4620"`, 1), nil, "明细金额与总额不符"},
		{"2201", strings.Replace(recipe, `"V1"`, `""`, 1), nil, "参数缺失: jzlsh"},
		{"2203", `{"cfbh":"RX1"}`, nil, "未开通"},
		{"9999", `{}`, nil, "交易编号不存在"},
	} {
		a, _ := ask(t, h, c.infno, c.data, c.change)
		if a["infcode"] != "-1" || a["err_msg"] != c.words || a["inf_refmsgid"] != "" {
			t.Errorf("%s: %v, want %s", c.infno, a, c.words)
		}
	}
	if b := h.Books(); len(b.Prescriptions) != 0 {
		t.Errorf("booked %+v", b.Prescriptions)
	}
}

func TestTwoSteps(t *testing.T) {
	h := start(t, Options{})
	ask(t, h, "2201", recipe, nil)
	const begin = `{"ddh":"IH1","jzlsh":"V1","brid":"0000024772","djh":["RX1"],"zje":"4619"}`
	_, first := ask(t, h, "2301", begin, nil)
	_, again := ask(t, h, "2301", begin, nil)
	var begun struct{ Jsid string }
	_ = json.Unmarshal([]byte(first), &begun)
	if first != again || begun.Jsid == "" || len(h.Books().Settlements) != 0 {
		t.Errorf("%s, then %s", first, again)
	}
	if _, state := ask(t, h, "2304", `{"ddh":"IH1"}`, nil); !strings.Contains(state, `"jszt":"2"`) {
		t.Errorf("begun: %s", state)
	}
	for range 2 { // taking back twice is harmless
		if a, _ := ask(t, h, "2303", `{"jsid":"`+begun.Jsid+`"}`, nil); a["infcode"] != "0" {
			t.Errorf("taking back: %v", a)
		}
	}
	confirm := func(id string) fields {
		a, _ := ask(t, h, "2302", `{"ddh":"IH1","jsid":"`+id+`","zje":"4619","zffs":"01","zflsh":"42","zfsj":"2026-01-05 14:56:01"}`, nil)
		return a
	}
	if a := confirm(begun.Jsid); a["err_msg"] != "预结算已撤销" {
		t.Errorf("confirming what was taken back: %v", a)
	}
	_, second := ask(t, h, "2301", begin, nil)
	_ = json.Unmarshal([]byte(second), &begun)
	if a := confirm(begun.Jsid); a["infcode"] != "0" {
		t.Errorf("confirming: %v", a)
	}
	if a, _ := ask(t, h, "2303", `{"jsid":"`+begun.Jsid+`"}`, nil); a["err_msg"] != "已结算，不能撤销" {
		t.Errorf("taking back what is settled: %v", a)
	}
	if a := confirm(begun.Jsid); !strings.HasPrefix(a["err_msg"], "[1005]") || len(h.Books().Settlements) != 1 {
		t.Errorf("confirming again: %v", a)
	}
}

func TestFaultsStrike(t *testing.T) {
	h := start(t, Options{})
	for kind, words := range map[fault.Kind]string{fault.Busy: "[9999]系统繁忙，请稍后再试", fault.Reject: fault.RejectWords, fault.DuplicateAnswer: "[1005]单据已存在，请勿重复提交"} {
		if err := h.Script().Add(fault.Rule{Fault: kind, Operation: "2201", Key: "RX", Times: 1}); err != nil {
			t.Fatal(err)
		}
		if a, _ := ask(t, h, "2201", recipe, nil); a["err_msg"] != words {
			t.Errorf("%s: %v", kind, a)
		}
		_ = h.books.Edit(books.Edit{Prescription: "RX1", State: books.Voided})
	}
}

func FuzzOpen(f *testing.F) {
	s := newSeal("00112233445566778899aabbccddeeff", "k")
	for _, body := range []string{`{}`, `{"infno":"2201","msgid":"1234567890123456","input":"AAAA","sign":"x"}`, `[`, `{"infno":{}}`} {
		f.Add([]byte(body))
	}
	good := fields{"infno": "2201", "msgid": msgid, "input": s.seal(compact(fields{"data": recipe}), msgid)}
	good["sign"] = s.sign(good)
	f.Add(compact(good))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, words := s.open(body); words == "" {
			if outer, err := flat(body); err != nil || outer["sign"] != s.sign(outer) {
				t.Errorf("opened what is not signed: %q", body)
			}
		}
	})
}
