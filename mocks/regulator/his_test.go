package regulator

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"hishub/mocks/fault"
)

func start(t *testing.T, o Options) *Platform {
	t.Helper()
	p, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func say(t *testing.T, p *Platform, name, body, key string) string {
	t.Helper()
	r, _ := http.NewRequest(http.MethodPost, p.URL()+"/api/v1/upload/"+name, strings.NewReader(body))
	r.Header.Set("appId", "ih1000001")
	r.Header.Set("nonce", "n1")
	r.Header.Set("timestamp", "20260105100000")
	signer := *p
	signer.options.Key = key
	r.Header.Set("sign", signer.sign(r.Header, []byte(body)))
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	answer, _ := io.ReadAll(w.Body)
	return strings.TrimSpace(string(answer))
}

const full = `{"recipeID":"RX1","organID":"1","doctorNo":"1","doctorName":"测试医生","doctorCertID":"1","doctorSign":"x","auditDoctorNo":"7","auditDoctor":"测试药师","auditDoctorSign":"y","patientName":"张三","bussID":"C1","consultStartDate":"2026-01-05 14:10:00","mainDieaseDescribe":"咳嗽","allergyFlag":"0","icdCode":"J06.900","datein":"2026-01-05 14:30:00","endDate":"2026-01-08 14:30:00","updateTime":"2026-01-05 14:36:00","totalFee":46.19,"orderList":[{"drcode":"Y1","drname":"测试药品","dosageTotal":"2"}]}`

// Of two rows of one upload one is stored and one refused; both only when asked about.
func TestRowsAreCheckedLater(t *testing.T) {
	p := start(t, Options{})
	lacking := strings.Replace(strings.Replace(full, `"RX1"`, `"RX2"`, 1), `"doctorSign":"x"`, `"doctorSign":""`, 1)
	early := strings.Replace(strings.Replace(full, `"RX1"`, `"RX3"`, 1), `14:36:00`, `14:20:00`, 1)
	taken := say(t, p, "uploadRecipeIndicators", "["+full+","+lacking+","+early+"]", "jianguan-test")
	var u struct{ MsgCode, UploadID string }
	if json.Unmarshal([]byte(taken), &u) != nil || u.MsgCode != "202" || u.UploadID == "" || len(p.Books().Prescriptions) != 0 {
		t.Fatalf("taken: %s", taken)
	}
	ask := func(no string) string {
		return say(t, p, "queryUpload", `{"uploadId":"`+u.UploadID+`","recipeID":"`+no+`"}`, "jianguan-test")
	}
	for _, c := range []struct{ no, says string }{
		{"RX1", `"state":"1"`}, {"RX1", `"state":"2"`}, {"RX2", `"msg":"doctorSign 不能为空"`}, {"RX2", `"state":"3"`}, {"RX3", "审方时间早于开方时间"},
	} {
		if got := ask(c.no); !strings.Contains(got, c.says) {
			t.Errorf("%s: no %s in %s", c.no, c.says, got)
		}
	}
	if got := say(t, p, "queryUpload", `{"recipeID":"RX9"}`, "jianguan-test"); !strings.Contains(got, `"state":"0"`) {
		t.Errorf("nobody: %s", got)
	}
	// The same row again is taken again and stored once.
	if got := say(t, p, "uploadRecipeIndicators", "["+full+"]", "jianguan-test"); !strings.Contains(got, `"202"`) {
		t.Errorf("again: %s", got)
	}
	if len(p.Books().Prescriptions) != 1 {
		t.Errorf("stored %+v", p.Books().Prescriptions)
	}
}

func TestRowsOfTheirOwn(t *testing.T) {
	p := start(t, Options{Checks: -1})
	if got := say(t, p, "uploadRecipeIndicators", "["+full+"]", "jianguan-test"); !strings.Contains(got, `"code":"0"`) {
		t.Fatalf("at once: %s", got)
	}
	for _, c := range []struct{ name, body, key, says string }{
		{"uploadRecipeCancel", `[{"recipeID":"RX9","cancelFlag":"1","cancelReason":"x"},{"recipeID":"RX1","cancelFlag":"1","cancelReason":"开错药"}]`, "jianguan-test", `{"code":"1","msg":"处方不存在","recipeID":"RX9"},{"code":"0","msg":"","recipeID":"RX1"}`},
		{"uploadRecipeVerificationIndicators", `[{"recipeID":"RX1","bussID":"RX1-ship","deliveryType":"1","verificationTime":"2026-01-05 18:00:00"}]`, "jianguan-test", "处方已作废"},
		{"uploadRecipeCancel", `[{"recipeID":"RX1"}]`, "another", "签名错误"},
		{"uploadRecipeCancel", `{}`, "jianguan-test", "数据格式错误"},
		{"uploadNothing", `[{}]`, "jianguan-test", "接口不存在"},
	} {
		if got := say(t, p, c.name, c.body, c.key); !strings.Contains(got, c.says) {
			t.Errorf("%s: no %s in %s", c.name, c.says, got)
		}
	}
	if err := p.Script().Add(fault.Rule{Fault: fault.Busy, Operation: "uploadRecipeCancel", Key: "RX1", Times: 1}); err != nil {
		t.Fatal(err)
	}
	if got := say(t, p, "uploadRecipeCancel", `[{"recipeID":"RX1"}]`, "jianguan-test"); !strings.Contains(got, `"503"`) {
		t.Errorf("busy: %s", got)
	}
}
