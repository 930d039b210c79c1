package soap

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

type tree = core.Tree

var clinicFiles = os.DirFS("testdata")

func clinic(t testing.TB, more map[string]any) core.Connector {
	t.Helper()
	options := map[string]any{"endpoint": "http://his.example/his?key=1", "wsdl": "clinic.wsdl"}
	for k, v := range more {
		options[k] = v
	}
	c, err := Open(core.ConnectorSpec{Options: options, Files: clinicFiles})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const saveFee = "POST /his?key=*** HTTP/1.1\nContent-Type: text/xml; charset=UTF-8\nSOAPAction: \"urn:clinic#SaveFee\"\n\n" +
	`<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>`

func TestParametersStandInTheOrderOfTheWSDL(t *testing.T) {
	lines := tree{{Name: "line", Value: core.List{
		tree{{Name: "qty", Value: core.Token("2")}, {Name: "code", Value: "A&B"}},
		tree{{Name: "code", Value: core.CData("x]]>y")}, {Name: "qty", Value: core.Raw("<b/>")}},
	}}}
	body := tree{{Name: "tag", Value: core.List{"1", nil}}, {Name: "lines", Value: lines}, {Name: "totCost", Value: "46.19"}, {Name: "clinicCode", Value: "0001\r"}}
	for name, c := range map[string]struct {
		options map[string]any
		want    string
	}{
		"default namespace": {nil, `<SaveFee xmlns="urn:clinic"><clinicCode>0001&#13;</clinicCode><totCost>46.19</totCost>` +
			`<lines><line xmlns=""><code>A&amp;B</code><qty xmlns="urn:clinic:types">2</qty></line>` +
			`<line xmlns=""><code><![CDATA[x]]]]><![CDATA[>y]]></code><qty xmlns="urn:clinic:types"><b/></qty></line></lines><tag>1</tag><tag></tag></SaveFee>`},
		"prefix": {map[string]any{"prefix": "t"}, `<t:SaveFee xmlns:t="urn:clinic"><t:clinicCode>0001&#13;</t:clinicCode><t:totCost>46.19</t:totCost>` +
			`<t:lines><line><code>A&amp;B</code><qty xmlns="urn:clinic:types">2</qty></line>` +
			`<line><code><![CDATA[x]]]]><![CDATA[>y]]></code><qty xmlns="urn:clinic:types"><b/></qty></line></t:lines><t:tag>1</t:tag><t:tag></t:tag></t:SaveFee>`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := clinic(t, c.options).(core.Offline).Write(core.Request{Operation: "SaveFee", Body: body})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(saveFee+c.want+`</soap:Body></soap:Envelope>`, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWithoutWSDL(t *testing.T) {
	body := tree{{Name: "xmlParam", Value: core.CData("<a/>")}, {Name: "list", Value: core.List{tree{{Name: ".id", Value: `"1"`}, {Name: core.TextName, Value: "x"}}, tree{{Name: "y", Value: "z"}}}}}
	for name, c := range map[string]struct {
		options map[string]any
		want    string
	}{
		"qualified":   {nil, `<Do xmlns="urn:his"><xmlParam><![CDATA[<a/>]]></xmlParam><list id="&quot;1&quot;">x</list><list><y>z</y></list></Do>`},
		"unqualified": {map[string]any{"qualified": false}, `<m:Do xmlns:m="urn:his"><xmlParam><![CDATA[<a/>]]></xmlParam><list id="&quot;1&quot;">x</list><list><y>z</y></list></m:Do>`},
		"prefix":      {map[string]any{"prefix": "web"}, `<web:Do xmlns:web="urn:his"><web:xmlParam><![CDATA[<a/>]]></web:xmlParam><web:list id="&quot;1&quot;">x</web:list><web:list><web:y>z</web:y></web:list></web:Do>`},
	} {
		t.Run(name, func(t *testing.T) {
			options := map[string]any{"endpoint": "http://his.example/his", "namespace": "urn:his", "action": "unquoted",
				"header": tree{{Name: "Key", Value: tree{{Name: ".xmlns", Value: "urn:k"}, {Name: core.TextName, Value: "1"}}}}}
			for k, v := range c.options {
				options[k] = v
			}
			got, err := open(t, options).(core.Offline).Write(core.Request{Operation: "Do", Body: body, Headers: []core.Field{{Name: "X-Hospital", Value: "1"}}})
			if err != nil {
				t.Fatal(err)
			}
			want := "POST /his HTTP/1.1\nContent-Type: text/xml; charset=UTF-8\nSOAPAction: urn:his/Do\nX-Hospital: 1\n\n" +
				`<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">` +
				`<soap:Header><Key xmlns="urn:k">1</Key></soap:Header><soap:Body>` + c.want + `</soap:Body></soap:Envelope>`
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatDoesNotFitTheWSDLIsInvalid(t *testing.T) {
	c := clinic(t, map[string]any{"charset": "GBK", "port": "Main"})
	fee := func(more ...core.Field) tree {
		return append(tree{{Name: "clinicCode", Value: "1"}, {Name: "totCost", Value: "1.00"}}, more...)
	}
	for name, x := range map[string]struct {
		operation string
		body      core.Value
		want      string
	}{
		"unknown operation":     {"SaveFees", nil, "no operation SaveFees; did you mean SaveFee?"},
		"unknown parameter":     {"SaveFee", fee(core.Field{Name: "recipNo", Value: "1"}), "no parameter recipNo; did you mean recipeNo?"},
		"missing parameter":     {"SaveFee", tree{{Name: "clinicCode", Value: "1"}}, "wants parameter totCost"},
		"missing inner":         {"SaveFee", fee(core.Field{Name: "lines", Value: tree{{Name: "line", Value: tree{{Name: "code", Value: "1"}}}}}), "lines.line: the WSDL wants parameter lines.line.qty"},
		"twice":                 {"SaveFee", fee(core.Field{Name: "recipeNo", Value: core.List{"1", "2"}}), "one recipeNo only"},
		"document in text":      {"SaveFee", fee(core.Field{Name: "recipeNo", Value: tree{{Name: "a", Value: "b"}}}), "text in recipeNo"},
		"text in document":      {"SaveFee", fee(core.Field{Name: "lines", Value: "x"}), "a document in lines"},
		"text as the body":      {"SaveFee", "x", "named parameters"},
		"control character":     {"SaveFee", fee(core.Field{Name: "recipeNo", Value: "a\x0bb"}), "recipeNo: holds a control character"},
		"two of a choice":       {"Choose", tree{{Name: "a", Value: "1"}, {Name: "d", Value: "1"}}, "allows one of a, b, (c, d) only"},
		"none of a choice":      {"Choose", tree{}, "wants one of a, b, (c, d)"},
		"half of a branch":      {"Choose", tree{{Name: "d", Value: "1"}}, "wants parameter c"},
		"text beside children":  {"Mixed", tree{{Name: "doc", Value: tree{{Name: "a", Value: "1"}, {Name: core.TextName, Value: "2"}}}}, "text beside a: their order cannot be told; write the whole content by $raw"},
		"missing attribute":     {"Bill", tree{{Name: "no", Value: "1"}}, "wants attribute id of Bill; write .id:"},
		"unknown attribute":     {"Bill", tree{{Name: ".id", Value: "1"}, {Name: ".vv", Value: "1"}}, "no attribute vv; did you mean v?"},
		"document in a sum":     {"Bill", tree{{Name: ".id", Value: "1"}, {Name: "no", Value: "1"}, {Name: "sum", Value: tree{{Name: "a", Value: "1"}}}}, "text with attributes in sum, not a"},
		"rpc without a part":    {"Add", tree{{Name: "no", Value: "1"}}, "wants parameter lines"},
		"not in the charset":    {"SaveFee", fee(core.Field{Name: "recipeNo", Value: "𠮷"}), "GBK has no character U+20BB7"},
		"nothing where all is":  {"List", tree{{Name: "a", Value: "1"}}, "no parameter a"},
		"recursion still works": {"Tree", tree{{Name: "node", Value: tree{{Name: "name", Value: "1"}, {Name: "node", Value: tree{{Name: "nam", Value: "2"}}}}}}, "no parameter node.node.nam; did you mean name?"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Call(t.Context(), core.Request{Operation: x.operation, Body: x.body})
			if core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v\nmust be invalid and say %q", err, x.want)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	c := clinic(t, nil).(core.Describer)
	got, err := c.Describe("SaveFee")
	if err != nil {
		t.Fatal(err)
	}
	want := core.Shape{
		Operation: "SaveFee",
		Parameters: []core.Parameter{
			{Name: "clinicCode", Type: "string", Required: true},
			{Name: "recipeNo", Type: "string"},
			{Name: "totCost", Type: "Yuan", Required: true},
			{Name: "lines", Type: "Lines", Children: []core.Parameter{
				{Name: "line", Type: "Line", Required: true, List: true, Children: []core.Parameter{
					{Name: "code", Type: "string", Required: true}, {Name: "qty", Type: "string", Required: true},
				}},
			}},
			{Name: "tag", Type: "string", List: true},
		},
		Results: []core.Parameter{{Name: "SaveFeeResult", Type: "string"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := c.Describe("SaveFe"); err == nil || !strings.Contains(err.Error(), "did you mean SaveFee?") {
		t.Error(err)
	}
	if _, err := c.Describe("Tree"); err != nil {
		t.Errorf("a type that holds itself: %v", err)
	}
	if _, err := clinic(t, map[string]any{"port": "Main"}).(core.Describer).Describe("List"); err != nil {
		t.Errorf("an answer of any shape must not matter: %v", err)
	}
	if _, ok := open(t, map[string]any{"endpoint": "http://h/", "namespace": "n"}).(core.Describer); ok {
		t.Error("a connector without a WSDL claims to describe")
	}
}

func TestBadWSDLs(t *testing.T) {
	whole, err := os.ReadFile("testdata/clinic.wsdl")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file string
		want string
	}{
		"no such file":    {"", `no readable file "types.xsd"`},
		"from the net":    {strings.Replace(string(whole), `"types.xsd"`, `"http://his/types.xsd"`, 1), "imports from the network"},
		"truncated":       {string(whole[:2000]), "not XML"},
		"something else":  {"<html></html>", "is no WSDL 1.1"},
		"only SOAP 1.2":   {strings.Replace(strings.ReplaceAll(string(whole), "<soap:binding", "<soap12:binding"), `"types.xsd"`, `""`, 1), "it has one of SOAP 1.2: write version: \"1.2\""},
		"outside of here": {strings.Replace(string(whole), `"types.xsd"`, `"../../../etc/passwd"`, 1), "no readable file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(core.ConnectorSpec{
				Options: map[string]any{"endpoint": "http://h/", "wsdl": "w.wsdl"},
				Files:   fstest.MapFS{"w.wsdl": {Data: []byte(cmpOr(c.file, string(whole)))}},
			})
			var ps core.Problems
			if !errors.As(err, &ps) || ps[0].Field != "wsdl" || !strings.Contains(ps[0].What, c.want) {
				t.Errorf("got %v, must say %q", err, c.want)
			}
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
