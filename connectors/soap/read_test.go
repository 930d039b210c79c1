package soap

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/core"
)

func enveloped(body string) string {
	return `<?xml version="1.0"?>` + "\n" + `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Header/> <S:Body>` + body + `</S:Body></S:Envelope>`
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		unwrap bool
		want   core.Value
		error  string
	}{
		"a lone text is the body":  {enveloped(`<ns2:DoResponse xmlns:ns2="u"><return>&lt;a&gt;1&#x4E2D;&#65;</return></ns2:DoResponse>`), true, "<a>1中A", ""},
		"CDATA":                    {enveloped(`<R><r><![CDATA[<a>]]>b<![CDATA[&c]]></r></R>`), true, "<a>b&c", ""},
		"not unwrapped":            {enveloped(`<R><r>1</r></R>`), false, tree{{Name: "r", Value: "1"}}, ""},
		"a document":               {enveloped("<R>\n <r><code>0</code>\n<row a='1'>x</row><row/><!-- c --><row xsi:nil='true'/></r>\n</R>"), true, tree{{Name: "r", Value: tree{{Name: "code", Value: "0"}, {Name: "row", Value: core.List{tree{{Name: ".a", Value: "1"}, {Name: "$text", Value: "x"}}, nil, nil}}}}}, ""},
		"two results":              {enveloped(`<R><a>1</a><b>2</b></R>`), true, tree{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}, ""},
		"attributes are no result": {enveloped(`<R s:encodingStyle="x"><r xsi:type="xsd:string">1</r></R>`), true, "1", ""},
		"nothing":                  {enveloped(`<R/>`), true, nil, ""},
		"an empty text":            {enveloped(`<R><r></r></R>`), true, nil, ""},
		"a byte order mark":        {"\uFEFF" + enveloped(`<R><r>1</r></R>`), true, "1", ""},
		"a fault": {enveloped(`<S:Fault><faultcode>S:Server</faultcode><faultstring>库存不足</faultstring><detail><e>9</e></detail></S:Fault>`), true,
			tree{{Name: "faultcode", Value: "S:Server"}, {Name: "faultstring", Value: "库存不足"}, {Name: "detail", Value: tree{{Name: "e", Value: "9"}}}}, "fault"},
		"a fault with its HTTP status": {"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/xml\r\n\r\n" + enveloped(`<S:Fault><faultcode>c</faultcode></S:Fault>`), true, tree{{Name: "faultcode", Value: "c"}}, "fault"},
	} {
		t.Run(name, func(t *testing.T) {
			o := open(t, map[string]any{"endpoint": "http://h/", "namespace": "n", "unwrap": c.unwrap}).(core.Offline)
			r, err := o.Read(core.Request{Operation: "Do"}, []byte(c.answer))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, r.Body); diff != "" || r.Error != c.error {
				t.Errorf("error %q\n%s", r.Error, diff)
			}
			if strings.HasPrefix(c.answer, "HTTP/") && (r.Status != "500" || r.Headers.Get("content-type") != "text/xml") {
				t.Errorf("status %s, headers %v", r.Status, r.Headers)
			}
		})
	}
}

func TestUnreadableAnswersAreInDoubt(t *testing.T) {
	whole := enveloped(`<R><r a="1">张三测试 &lt;</r></R>`)
	answers := map[string]string{
		"HTML":            "HTTP/1.1 503 Busy\n\n<html><body>busy</body></html>",
		"nothing":         "",
		"text":            "OK",
		"no body":         "<Envelope/>",
		"empty body":      enveloped(""),
		"entity bomb":     `<!DOCTYPE a [<!ENTITY b "c">]>` + whole,
		"unknown entity":  enveloped("<R>&b;</R>"),
		"too deep":        enveloped(strings.Repeat("<a>", 200) + strings.Repeat("</a>", 200)),
		"crossing":        enveloped("<R><a></R></a>"),
		"two documents":   whole + whole,
		"not the charset": enveloped("<R><r>\xd5\xc5</r></R>"),
	}
	for i := 1; i < len(whole); i += 7 {
		answers[fmt.Sprintf("cut at %d", i)] = whole[:i]
	}
	o := open(t, map[string]any{"endpoint": "http://h/", "namespace": "n"}).(core.Offline)
	for name, answer := range answers {
		_, err := o.Read(core.Request{Operation: "Do"}, []byte(answer))
		if core.ClassOf(err) != core.InDoubt || err == nil || strings.Contains(err.Error(), "张三") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCharset(t *testing.T) {
	c := open(t, map[string]any{"endpoint": "http://h/", "namespace": "n", "charset": "GB18030"}).(core.Offline)
	sent, err := c.Write(core.Request{Operation: "Do", Body: tree{{Name: "p", Value: "张三测试"}}})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := simplifiedchinese.GB18030.NewDecoder().String(string(sent))
	if !strings.Contains(text, "<p>张三测试</p>") || !strings.Contains(text, `charset=GB18030`) || !strings.Contains(text, `encoding="GB18030"`) {
		t.Error(text)
	}
	// A prolog lies now and then; the option says what the bytes are.
	answer, _ := simplifiedchinese.GB18030.NewEncoder().String(`<?xml version="1.0" encoding="utf-8"?><Envelope><Body><R><r>李四测试</r></R></Body></Envelope>`)
	r, err := c.Read(core.Request{Operation: "Do"}, []byte(answer))
	if err != nil || r.Body != "李四测试" {
		t.Error(r.Body, err)
	}
}

func TestManyChildrenCostLittle(t *testing.T) {
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, "<a%d/>\n<row>1</row>", i)
	}
	_, content, err := readEnvelope(enveloped("<R>" + b.String() + "</R>"))
	if err != nil {
		t.Fatal(err)
	}
	if rows := content.(tree).Get("row").(core.List); len(rows) != 200_000 {
		t.Error(len(rows))
	}
}

func FuzzReadEnvelope(f *testing.F) {
	f.Add(enveloped(`<R a='1'><r>&lt;x&#65;</r><r><![CDATA[y]]></r><!-- c --><?p?></R>`))
	f.Add(enveloped(`<S:Fault><faultcode>c</faultcode></S:Fault>`))
	f.Add("<Envelope><Body>&")
	f.Fuzz(func(t *testing.T, s string) {
		name, content, err := readEnvelope(s)
		if err != nil {
			return
		}
		if name == "" {
			t.Error("an element without a name")
		}
		check(t, content, 0)
	})
}

// check holds what is promised of a tree that was read.
func check(t *testing.T, v core.Value, depth int) {
	if depth > 2*maxDepth {
		t.Fatal("too deep")
	}
	switch v := v.(type) {
	case nil:
	case string:
		if v == "" {
			t.Error("an empty text is nil")
		}
	case core.List:
		for _, x := range v {
			check(t, x, depth+1)
		}
	case tree:
		seen := map[string]bool{}
		for _, f := range v {
			if seen[f.Name] && !strings.HasPrefix(f.Name, ".") {
				t.Errorf("%s is there twice", f.Name)
			}
			seen[f.Name] = true
			check(t, f.Value, depth+1)
		}
	default:
		t.Errorf("a %T in a tree that was read", v)
	}
}
