package soap

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

func written(t *testing.T, c core.Connector, q core.Request) (head, body string) {
	t.Helper()
	b, err := c.(core.Offline).Write(q)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ = strings.Cut(string(b), "\n\n")
	return head, body
}

// between is what stands between two marks.
func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestConstructsOfSchemas(t *testing.T) {
	c := clinic(t, map[string]any{"header": map[string]any{"Auth": map[string]any{"key": "k", "user": "u"}, "Trace": "1"}})
	line := core.List{tree{{Name: "qty", Value: "2"}, {Name: "code", Value: "A"}}}
	for name, x := range map[string]struct {
		q    core.Request
		want string
	}{
		"a branch of a choice": {core.Request{Operation: "Choose", Body: tree{{Name: "d", Value: "2"}, {Name: "c", Value: "1"}}},
			`<Choose xmlns="urn:clinic"><c>1</c><d>2</d></Choose>`},
		"extension, group, attributes, anything": {core.Request{Operation: "Bill", Body: tree{
			{Name: "Extra", Value: tree{{Name: ".xmlns", Value: "urn:x"}, {Name: ".a", Value: "1"}, {Name: "b", Value: "2"}}},
			{Name: "plain", Value: "p"},
			{Name: "user", Value: "u"}, {Name: "lab", Value: "L1"}, {Name: "drug", Value: core.List{"D1", "D2"}}, {Name: "lab", Value: "L2"},
			{Name: ".id", Value: "7"}, {Name: "sum", Value: tree{{Name: ".unit", Value: "yuan"}, {Name: core.TextName, Value: "1.00"}}}, {Name: "no", Value: "0001"}}},
			`<Bill xmlns="urn:clinic" id="7"><no>0001</no><sum unit="yuan">1.00</sum><lab>L1</lab><drug>D1</drug><drug>D2</drug><lab>L2</lab><user>u</user>` +
				`<Extra xmlns="urn:x" a="1"><b>2</b></Extra><plain xmlns="">p</plain></Bill>`},
		"rpc/literal": {core.Request{Operation: "Add", Body: tree{{Name: "lines", Value: tree{{Name: "line", Value: line}}}, {Name: "no", Value: "1"}}},
			`<m:Add xmlns:m="urn:rpc"><no>1</no><lines><line><code>A</code><qty xmlns="urn:clinic:types">2</qty></line></lines></m:Add>`},
	} {
		t.Run(name, func(t *testing.T) {
			_, body := written(t, c, x.q)
			if diff := cmp.Diff(x.want, between(body, "<soap:Body>", "</soap:Body>")); diff != "" {
				t.Error(diff)
			}
			want := `<Trace>1</Trace>`
			if x.q.Operation == "Bill" {
				want = `<Auth xmlns="urn:clinic"><user>u</user><key>k</key></Auth><Trace>1</Trace>`
			}
			if diff := cmp.Diff(want, between(body, "<soap:Header>", "</soap:Header>")); diff != "" {
				t.Error(diff)
			}
		})
	}
	shape, err := c.(core.Describer).Describe("Add")
	if err != nil || len(shape.Parameters) != 2 || shape.Parameters[0].Name != "no" || shape.Results[0].Name != "return" {
		t.Errorf("%+v %v", shape, err)
	}
	shape, err = c.(core.Describer).Describe("Bill")
	if err != nil || shape.Parameters != nil {
		t.Errorf("where anything may stand, no name is wrong: %+v %v", shape, err)
	}
	shape, err = c.(core.Describer).Describe("Choose")
	if err != nil || len(shape.Parameters) != 4 || shape.Parameters[0].Required {
		t.Errorf("%+v %v", shape, err)
	}
}

func TestVersion12(t *testing.T) {
	c := clinic(t, map[string]any{"version": "1.2"})
	q := core.Request{Operation: "SaveFee", Body: tree{{Name: "totCost", Value: "1.00"}, {Name: "clinicCode", Value: "1"}}}
	head, body := written(t, c, q)
	want := "POST /his?key=*** HTTP/1.1\nContent-Type: application/soap+xml; charset=UTF-8; action=\"twelve\""
	if diff := cmp.Diff(want, head); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(body, `<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body><SaveFee xmlns="urn:clinic">`) {
		t.Error(body)
	}
	if _, err := c.(core.Describer).Describe("List"); err == nil {
		t.Error("an operation of the SOAP 1.1 binding was found in that of 1.2")
	}
	for name, x := range map[string]struct {
		answer string
		want   core.Value
		error  string
	}{
		"1.2": {`<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><R><r>1</r></R></e:Body></e:Envelope>`, "1", ""},
		"1.1": {enveloped(`<R><r>1</r></R>`), "1", ""},
		"a fault of 1.2": {`<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><e:Fault><e:Code><e:Value>e:Receiver</e:Value><e:Subcode><e:Value>x:Busy</e:Value></e:Subcode></e:Code>` +
			`<e:Reason><e:Text xml:lang="zh">库存不足</e:Text><e:Text xml:lang="en">out of stock</e:Text></e:Reason><e:Detail><a>9</a></e:Detail></e:Fault></e:Body></e:Envelope>`,
			tree{{Name: "faultcode", Value: "e:Receiver"}, {Name: "faultstring", Value: "库存不足"}, {Name: "subcode", Value: "x:Busy"}, {Name: "detail", Value: tree{{Name: "a", Value: "9"}}}}, "fault"},
		"a fault of 1.1": {enveloped(`<S:Fault><faultcode>S:Server</faultcode><faultstring>no</faultstring></S:Fault>`),
			tree{{Name: "faultcode", Value: "S:Server"}, {Name: "faultstring", Value: "no"}}, "fault"},
	} {
		r, err := c.(core.Offline).Read(q, []byte(x.answer))
		if diff := cmp.Diff(x.want, r.Body); err != nil || diff != "" || r.Error != x.error {
			t.Error(name, err, r.Error, diff)
		}
	}
}

func TestActions(t *testing.T) {
	for _, x := range []struct {
		version string
		action  any
		want    string
	}{
		{"1.1", "quoted", "Content-Type: text/xml; charset=UTF-8\nSOAPAction: \"urn:his/Do\""},
		{"1.1", "unquoted", "Content-Type: text/xml; charset=UTF-8\nSOAPAction: urn:his/Do"},
		{"1.1", "none", "Content-Type: text/xml; charset=UTF-8"},
		{"1.1", "", "Content-Type: text/xml; charset=UTF-8\nSOAPAction: \"\""},
		{"1.1", "urn:one", "Content-Type: text/xml; charset=UTF-8\nSOAPAction: \"urn:one\""},
		{"1.2", "none", "Content-Type: application/soap+xml; charset=UTF-8"},
	} {
		c := open(t, map[string]any{"endpoint": "http://h/his", "namespace": "urn:his", "version": x.version, "action": x.action})
		head, _ := written(t, c, core.Request{Operation: "Do"})
		if diff := cmp.Diff("POST /his HTTP/1.1\n"+x.want, head); diff != "" {
			t.Error(x, diff)
		}
	}
}

func TestPorts(t *testing.T) {
	for port, want := range map[string]string{"Other": `"other"`, "ClinicOther": `"other"`, "Main": `"l"`} {
		head, _ := written(t, clinic(t, map[string]any{"port": port}), core.Request{Operation: "List"})
		if !strings.HasSuffix(head, "SOAPAction: "+want) {
			t.Errorf("%s: %s", port, head)
		}
	}
	_, err := clinic(t, nil).(core.Offline).Write(core.Request{Operation: "List"})
	if err == nil || !strings.Contains(err.Error(), "is bound in several ways; write port: with one of ClinicOther, ClinicSoap") {
		t.Error(err)
	}
	_, err = Open(core.ConnectorSpec{Options: map[string]any{"endpoint": "http://h/", "wsdl": "clinic.wsdl", "port": "Mian"}, Files: clinicFiles})
	var ps core.Problems
	if !errors.As(err, &ps) || ps[0].Field != "port" || !strings.Contains(ps[0].What, "did you mean Main?") {
		t.Error(err)
	}
}

// The digest is computed as the profile says (OASIS UsernameToken 1.0, 3.1), and
// neither it nor a password is shown anywhere.
func TestUsernameToken(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		got = string(b)
		io.WriteString(w, enveloped(`<R><r>1</r></R>`))
	}))
	defer server.Close()
	q := core.Request{Operation: "Do", Body: tree{{Name: "p", Value: "1"}}}
	for _, kind := range []string{"text", "digest"} {
		c := open(t, map[string]any{"endpoint": server.URL, "namespace": "urn:his", "security": map[string]any{
			"timestamp": "5m", "username_token": map[string]any{"user": "hub&co", "password": "s3<ret", "type": kind},
		}})
		seen := map[string]bool{}
		for range 2 {
			r, err := c.Call(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			header := between(got, "<soap:Header>", "</soap:Header>")
			if !strings.Contains(header, "<wsse:Username>hub&amp;co</wsse:Username>") || !strings.Contains(header, `soap:mustUnderstand="1"`) {
				t.Error(header)
			}
			created, err := time.Parse(time.RFC3339, between(header, "<wsu:Created>", "</wsu:Created>"))
			expires, _ := time.Parse(time.RFC3339, between(header, "<wsu:Expires>", "</wsu:Expires>"))
			if err != nil || time.Since(created) > time.Minute || expires.Sub(created) != 5*time.Minute {
				t.Error(created, expires, err)
			}
			password := regexp.MustCompile(`<wsse:Password Type="[^"]*#Password(\w+)">(.*?)</wsse:Password>`).FindStringSubmatch(header)
			if kind == "text" {
				if password[1] != "Text" || password[2] != "s3&lt;ret" {
					t.Error(password)
				}
			} else {
				nonce, err := base64.StdEncoding.DecodeString(between(between(header, "<wsse:Nonce", "</wsse:Nonce>"), ">", "<"))
				token := between(header, "</wsse:Nonce>", "</wsse:UsernameToken>")
				sum := sha1.Sum(append(nonce, between(token, "<wsu:Created>", "</wsu:Created>")+"s3<ret"...))
				if err != nil || len(nonce) != 16 || password[1] != "Digest" || password[2] != base64.StdEncoding.EncodeToString(sum[:]) {
					t.Error(password, err)
				}
				if seen[password[2]] {
					t.Error("a nonce was used twice")
				}
				seen[password[2]] = true
			}
			if strings.Contains(string(r.Sent), password[2]) || !strings.Contains(string(r.Sent), maskedPassword) {
				t.Errorf("the exchange log shows %s", r.Sent)
			}
		}
		_, body := written(t, c, q)
		_, again := written(t, c, q)
		if body != again || strings.Contains(body, "s3") || !strings.Contains(body, "2026-01-05T02:00:00.000Z") {
			t.Errorf("a case would show %s", body)
		}
		c.Close()
	}
	for field, security := range map[string]map[string]any{
		"security":                         {},
		"security.username_token.password": {"username_token": map[string]any{"user": "u"}},
		"security.username_token.type":     {"username_token": map[string]any{"user": "u", "password": "p", "type": "plain"}},
		"security.timestamp":               {"timestamp": "soon"},
	} {
		_, err := Open(core.ConnectorSpec{Options: map[string]any{"endpoint": "http://h/", "namespace": "n", "security": security}})
		var ps core.Problems
		if !errors.As(err, &ps) || ps[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
