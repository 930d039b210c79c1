package connectors

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hishub/core"
)

func TestListenersNameWhatIsWrongWithTheirOptions(t *testing.T) {
	for name, c := range map[string]struct {
		kind    string
		options map[string]any
		want    string
	}{
		"no network":       {"rest", map[string]any{"allow": []any{"10.1.0.0/33"}}, `allow: not a list of addresses`},
		"nobody":           {"rest", map[string]any{"allow": []any{}}, `allow: not a list of addresses`},
		"too patient":      {"rest", map[string]any{"timeout": "2m"}, `timeout: longer than a minute`},
		"too large":        {"rest", map[string]any{"max_request": "5MiB"}, `max_request: more than 4MiB`},
		"charset":          {"rest", map[string]any{"charset": "BIG5"}, `charset: not one of UTF-8, GB18030, GBK`},
		"misspelt":         {"rest", map[string]any{"alow": "10.1.1.1"}, `alow: no such option; did you mean allow?`},
		"no namespace":     {"soap", map[string]any{}, `namespace: missing`},
		"no name":          {"soap", map[string]any{"namespace": "urn:x", "parameters": []any{"a b"}}, `parameters: not a list of names`},
		"two descriptions": {"soap", map[string]any{"wsdl": "x.wsdl", "namespace": "urn:x"}, `namespace: leave it out: the wsdl decides`},
		"kind":             {"smoke", nil, `kind: not one of soap, rest, tcp`},
	} {
		_, err := Listen(core.ListenerSpec{Kind: c.kind, Options: c.options, Files: fstest.MapFS{}, Calls: []string{"Apply"}})
		var ps core.Problems
		if !errors.As(err, &ps) || !strings.HasPrefix(ps[0].Field+": "+ps[0].What, c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	l, err := Listen(core.ListenerSpec{Kind: "rest", Options: map[string]any{"allow": "10.1.2.3, fd00::/8"}})
	if err != nil || len(l.Allow) != 2 || l.Timeout != 5*time.Second || l.Concurrency != 32 || l.MaxRequest != 256<<10 {
		t.Errorf("got %+v, %v", l, err)
	}
}

// The WSDL that is made of the calls serves as the hospital's own, too.
func TestASOAPListenerWithAWSDLOfItsOwn(t *testing.T) {
	made, err := Listen(core.ListenerSpec{Kind: "soap", Calls: []string{"Apply", "Query"}, Options: map[string]any{"namespace": "urn:hub?a=1&b=2", "parameters": []any{"user", "doc"}}})
	if err != nil {
		t.Fatal(err)
	}
	wsdl := made.Wire.Description("http://hub/his/x/y")
	spec := core.ListenerSpec{Kind: "soap", Calls: []string{"Apply"}, Files: fstest.MapFS{"own.wsdl": {Data: wsdl}}, Options: map[string]any{"wsdl": "own.wsdl", "charset": "GB18030"}}
	own, err := Listen(spec)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(own.Wire.Description("https://elsewhere/his/x/y")); !strings.Contains(text, `location="https://elsewhere/his/x/y"`) || strings.Contains(text, "http://hub/") {
		t.Errorf("published with another address: %s", text)
	}
	q := core.Incoming{Method: "POST", Path: "/", Body: []byte(`<Envelope><Body><m:Apply xmlns:m="whatever"><doc>d</doc><user>u</user></m:Apply></Body></Envelope>`)}
	a, err := own.Wire.Read(q)
	if err != nil || a.Call != "Apply" {
		t.Fatalf("read %+v, %v", a, err)
	}
	if tree, _ := a.Body.(core.Tree); tree.Get("user") != "u" || tree.Get("doc") != "d" {
		t.Errorf("read %v", a.Body)
	}
	out, err := own.Wire.Write(a, core.Reply{Body: "好"})
	if err != nil || !strings.Contains(string(out.Body), "<return>\xba\xc3</return></ApplyResponse>") {
		t.Errorf("wrote %s, %v", out.Body, err)
	}
	if _, err := own.Wire.Write(a, core.Reply{Body: core.Tree{{Name: "retrun", Value: "x"}}}); err == nil {
		t.Error("a result that the WSDL does not have was written")
	}
	spec.Calls = []string{"Aply"}
	if _, err := Listen(spec); err == nil || !strings.Contains(err.Error(), "did you mean Apply?") {
		t.Errorf("got %v", err)
	}
	for name, q := range map[string]core.Incoming{
		"GET":       {Method: "GET", Path: "/", Body: q.Body},
		"below":     {Method: "POST", Path: "/x", Body: q.Body},
		"an entity": {Method: "POST", Path: "/", Body: []byte(`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Envelope><Body><Apply>&e;</Apply></Body></Envelope>`)},
		"deep":      {Method: "POST", Path: "/", Body: []byte(strings.Repeat("<a>", 10000))},
		"empty":     {Method: "POST", Path: "/"},
	} {
		if _, err := own.Wire.Read(q); err == nil {
			t.Errorf("%s: was read", name)
		}
	}
}
