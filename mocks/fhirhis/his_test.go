package fhirhis

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

func start(t *testing.T, o Options) (*HIS, string) {
	t.Helper()
	h, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	r, err := http.PostForm(h.URL()+"/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"inet_hub"}, "client_secret": {"xingguang-test"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var login struct {
		Token string `json:"access_token"`
	}
	_ = json.NewDecoder(r.Body).Decode(&login)
	return h, login.Token
}

func say(t *testing.T, h *HIS, token, method, path, body string, headers ...string) (int, resource) {
	t.Helper()
	r, _ := http.NewRequest(method, h.URL()+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Prefer", "return=representation")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	all, _ := io.ReadAll(w.Body)
	out, _ := read(all)
	return w.StatusCode, out
}

const patientRef = "Patient?identifier=" + patientSystem + "|0000024772"

func rx(no, who string) string {
	return `{"resourceType":"Bundle","type":"transaction","entry":[
{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Encounter"},"request":{"method":"POST","url":"Encounter","ifNoneExist":"identifier=` + visitSystem + `|V1"}},
{"fullUrl":"urn:uuid:2","resource":{"resourceType":"MedicationRequest","identifier":[{"system":"` + rxSystem + `-item","value":"` + no + `-1"}],"groupIdentifier":{"value":"` + no + `"},
"medicationCodeableConcept":{"coding":[{"code":"Y1","display":"测试药品"}]},"subject":{"reference":"` + who + `"},"encounter":{"reference":"urn:uuid:1"},
"extension":[{"url":"` + priceURL + `","valueMoney":{"value":46.19}}]},"request":{"method":"POST","url":"MedicationRequest","ifNoneExist":"identifier=` + rxSystem + `-item|` + no + `-1"}}]}`
}

func words(out resource) string { return text(out, "issue", "severity=error", "details", "text") }

func TestConditionalCreates(t *testing.T) {
	for repeats, want := range map[books.Repeats]string{books.Refuse: "200 OK", books.Double: "201 Created"} {
		h, token := start(t, Options{Repeats: repeats})
		_, out := say(t, h, token, "POST", "/fhir", rx("RX1", patientRef))
		if got := text(list(out, "entry")[1], "response", "status"); got != "201 Created" || text(list(out, "entry")[1], "resource", "groupIdentifier", "value") != "RX1" {
			t.Errorf("created: %v", out)
		}
		_, out = say(t, h, token, "POST", "/fhir", rx("RX1", patientRef))
		if got := text(list(out, "entry")[1], "response", "status"); got != want {
			t.Errorf("%s, again: %s, want %s", repeats, got, want)
		}
		if n := len(h.Books().Prescriptions); (n == 2) != (repeats == books.Double) {
			t.Errorf("%s: booked %d times", repeats, n)
		}
	}
	h, token := start(t, Options{})
	for _, c := range []struct {
		token, method, path, body string
		status                    int
		words                     string
	}{
		{"", "POST", "/fhir", rx("RX1", patientRef), 401, "令牌无效或已过期"},
		{token, "POST", "/fhir", rx("RX1", "Patient?identifier="+patientSystem+"|9"), 412, "条件引用无法匹配"},
		{token, "POST", "/fhir", `{}`, 400, "不是事务 Bundle"},
		{token, "POST", "/fhir", strings.ReplaceAll(rx("RX1", patientRef), "ifNoneExist", "other"), 412, "条件引用无法匹配"},
		{token, "GET", "/fhir/Basic", "", 404, "不支持的资源类型"},
		{token, "GET", "/fhir/MedicationRequest", "", 400, "缺少 identifier"},
		{token, "GET", "/fhir?_getpages=x", "", 410, "分页结果已失效"},
	} {
		status, out := say(t, h, c.token, c.method, c.path, c.body)
		if status != c.status || !strings.HasPrefix(words(out), c.words) {
			t.Errorf("%s %s: %d %v, want %d %s", c.method, c.path, status, out, c.status, c.words)
		}
	}
	if b := h.Books(); len(b.Prescriptions) != 0 {
		t.Errorf("booked %+v", b.Prescriptions)
	}
}

func TestPagesFollowLinks(t *testing.T) {
	h, token := start(t, Options{PageSize: 4, Links: "http://other.example"})
	_, out := say(t, h, token, "GET", "/fhir/Organization?type=dept&_count=20", "")
	next := text(out, "link", "relation=next", "url")
	path, ok := strings.CutPrefix(next, "http://other.example")
	if !ok || len(list(out, "entry")) != 4 || text(out, "total") != "6" {
		t.Fatalf("the first page: %v", out)
	}
	_, out = say(t, h, token, "GET", path, "")
	if len(list(out, "entry")) != 2 || text(out, "link", "relation=next", "url") != "" {
		t.Errorf("the last page: %v", out)
	}
}

func TestTokensAndFaults(t *testing.T) {
	h, token := start(t, Options{})
	h.ExpireTokens()
	if status, _ := say(t, h, token, "GET", "/fhir/Organization", ""); status != 401 {
		t.Errorf("an expired token: %d", status)
	}
	for kind, want := range map[fault.Kind]int{fault.Busy: 429, fault.Reject: 422, fault.SoapFault: 500, fault.HTTP500: 500} {
		if err := h.Script().Add(fault.Rule{Fault: kind, Operation: "Organization.search", Times: 1}); err != nil {
			t.Fatal(err)
		}
		if status, _ := say(t, h, token, "GET", "/fhir/Organization", ""); status != want {
			t.Errorf("%s: %d, want %d", kind, status, want)
		}
	}
}
