package soap

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"

	"hishub/core"
)

// small is a WSDL of one operation, Do, whose wrapper holds what is given.
func small(schema, inside string) string {
	return `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
<types><x:schema targetNamespace="urn:t" elementFormDefault="qualified">` + schema + `
<x:element name="Do"><x:complexType>` + inside + `</x:complexType></x:element></x:schema></types>
<message name="In"><part name="p" element="t:Do"/></message>
<portType name="P"><operation name="Do"><input message="t:In"/><output message="t:In"/></operation></portType>
<binding name="B" type="t:P"><s:binding transport="http://schemas.xmlsoap.org/soap/http"/><operation name="Do"><s:operation soapAction="do"/><input><s:body use="literal"/></input><output><s:body use="literal"/></output></operation></binding>
</definitions>`
}

func opened(files map[string]string) (core.Connector, error) {
	folder := fstest.MapFS{}
	for name, text := range files {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Open(core.ConnectorSpec{Options: map[string]any{"endpoint": "http://h/", "wsdl": "w.wsdl"}, Files: folder})
}

func TestImports(t *testing.T) {
	use := `<x:sequence><x:element name="a" type="o:A" xmlns:o="urn:o"/></x:sequence>`
	other := `<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:o"><complexType name="A"><sequence><element name="b" type="string"/></sequence></complexType></schema>`
	importing := func(location string) string {
		return small(`<x:import namespace="urn:o" schemaLocation="`+location+`"/>`, use)
	}
	for name, x := range map[string]struct {
		files map[string]string
		want  string // "" can be called
	}{
		"beside":                    {map[string]string{"w.wsdl": importing("o.xsd"), "o.xsd": other}, ""},
		"in a folder":               {map[string]string{"w.wsdl": importing("xsd/o.xsd"), "xsd/o.xsd": other}, ""},
		"of the web, in the folder": {map[string]string{"w.wsdl": importing("https://his/x/o.xsd"), "deep/er/o.xsd": other}, ""},
		"of the web, by number":     {map[string]string{"w.wsdl": importing("http://his/S.svc?xsd=xsd0"), "xsd0.xsd": other}, ""},
		"outside, but here":         {map[string]string{"w.wsdl": importing("../../o.xsd"), "o.xsd": other}, ""},
		"a Windows path":            {map[string]string{"w.wsdl": importing(`C:\his\o.xsd`), "o.xsd": other}, ""},
		"itself":                    {map[string]string{"w.wsdl": small(`<x:include schemaLocation="w.wsdl"/>`, `<x:sequence/>`)}, ""},
		"missing":                   {map[string]string{"w.wsdl": importing("o.xsd")}, `w.wsdl:2:73: no readable file "o.xsd" in the hospital folder; put it beside w.wsdl`},
		"of the web":                {map[string]string{"w.wsdl": importing("http://his/x/o.xsd")}, `w.wsdl:2:73 imports from the network (http://his/x/o.xsd), which is never read; save that file in the hospital folder as "o.xsd"`},
		"of the web by number":      {map[string]string{"w.wsdl": importing("http://his/S.svc?xsd=xsd0")}, `save that file in the hospital folder as "xsd0.xsd"`},
		"a service of the web":      {map[string]string{"w.wsdl": strings.Replace(importing("o.xsd"), "<types>", `<import namespace="urn:q" location="http://his/S.asmx?wsdl"/><types>`, 1), "o.xsd": other}, `save that file in the hospital folder as "S.asmx.wsdl"`},
		"a file address":            {map[string]string{"w.wsdl": importing("file:///etc/passwd")}, "never read"},
		"two of the name":           {map[string]string{"w.wsdl": importing("http://his/o.xsd"), "a/o.xsd": other, "b/o.xsd": other}, "could be a/o.xsd or b/o.xsd; keep one of them"},
		"a page":                    {map[string]string{"w.wsdl": importing("o.xsd"), "o.xsd": "<!DOCTYPE html><html><head><meta></head></html>"}, "o.xsd:1:41: not XML"},
		"neither":                   {map[string]string{"w.wsdl": importing("o.xsd"), "o.xsd": "<xml/>"}, "imports o.xsd, which is neither a schema nor a WSDL 1.1: its root is xml"},
		"no namespace for the type": {map[string]string{"w.wsdl": small("", use)}, "the type {urn:o}A that is declared nowhere (w.wsdl:3:49)"},
		"of another kind of schema": {map[string]string{"w.wsdl": strings.ReplaceAll(small("", `<x:sequence/>`), "2001/XMLSchema", "1999/XMLSchema")}, "a schema of http://www.w3.org/1999/XMLSchema is not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := opened(x.files)
			if err == nil {
				_, err = c.(core.Offline).Write(core.Request{Operation: "Do", Body: tree{{Name: "a", Value: tree{{Name: "b", Value: "1"}}}}[:strings.Count(x.files["w.wsdl"], `name="a"`)]})
			}
			if x.want == "" && err != nil {
				t.Error(err)
			}
			if x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
				t.Errorf("got %v\nmust say %s", err, x.want)
			}
		})
	}
	_, err := opened(map[string]string{"w.wsdl": small(`<x:import namespace="urn:o" schemaLocation="o.xsd"/><x:import namespace="urn:q" schemaLocation="http://h/q.xsd"/>`, use)})
	if ps := problems(t, err); len(ps) != 2 || ps[0].Field != "wsdl" {
		t.Errorf("all that is missing must be told at once: %v", ps)
	}
}

func TestFilesThatAreNoWSDL(t *testing.T) {
	whole := small("", `<x:sequence/>`)
	units := utf16.Encode([]rune("\uFEFF" + strings.Replace(whole, "<def", `<?xml version="1.0" encoding="utf-16"?><def`, 1)))
	wide := make([]byte, 0, 2*len(units))
	for _, u := range units {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for name, x := range map[string]struct{ file, want string }{
		"UTF-16":              {string(wide), ""},
		"a byte order mark":   {"\uFEFF" + whole, ""},
		"a document type":     {"<!DOCTYPE definitions [<!ENTITY a 'b'>]>" + whole, ""},
		"an entity":           {"<!DOCTYPE definitions [<!ENTITY a 'b'>]>" + strings.Replace(whole, `"do"`, `"&a;"`, 1), "not XML: invalid character entity &a;"},
		"empty":               {"", "the file is empty"},
		"HTML":                {"<html><body><p>log in</body></html>", "it is a page for browsers, save what the address with ?wsdl answers"},
		"XHTML":               {"<html xmlns='http://www.w3.org/1999/xhtml'></html>", "w.wsdl:1:1 is no WSDL 1.1: its root is html; it is a page for browsers"},
		"JSON":                {`{"openapi": "3.0"}`, "it is JSON"},
		"PDF":                 {"%PDF-1.4\x00\x01", "it is a PDF"},
		"an archive":          {"PK\x03\x04\x14\x00", "it is an archive"},
		"WSDL 2.0":            {`<description xmlns="http://www.w3.org/ns/wsdl"/>`, "is WSDL 2.0, which is not supported; ask for the WSDL 1.1"},
		"a schema":            {`<schema xmlns="http://www.w3.org/2001/XMLSchema"/>`, "is no WSDL 1.1 but a schema"},
		"an answer":           {enveloped("<a/>"), "is no WSDL 1.1: its root is Envelope"},
		"cut":                 {whole[:len(whole)-30], "w.wsdl:"},
		"deep":                {"<a>" + strings.Repeat("<b>", 300), "nested deeper than 100"},
		"a charset of no one": {`<?xml version="1.0" encoding="x-none"?>` + whole, "not XML"},
		"too large":           {whole + strings.Repeat(" ", maxDocument), "is larger than 8 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := opened(map[string]string{"w.wsdl": x.file})
			if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
				t.Errorf("got %v\nmust say %s", err, x.want)
			}
		})
	}
}

// What holds itself, or grows without end, is refused in no time.
func TestSchemasWithoutEnd(t *testing.T) {
	var groups, types, unions strings.Builder
	for i := range 60 {
		n, m := string(rune('A'+i)), string(rune('A'+i+1))
		groups.WriteString(`<x:group name="G` + n + `"><x:sequence><x:group ref="t:G` + m + `"/><x:group ref="t:G` + m + `"/></x:sequence></x:group>`)
		types.WriteString(`<x:complexType name="T` + n + `"><x:complexContent><x:extension base="t:T` + m + `"><x:sequence><x:element name="e` + n + `" type="t:T` + n + `"/></x:sequence></x:extension></x:complexContent></x:complexType>`)
		unions.WriteString(`<x:simpleType name="U` + n + `"><x:union memberTypes="t:U` + m + ` t:U` + m + `"><x:simpleType><x:restriction base="t:U` + m + `"/></x:simpleType></x:union></x:simpleType>`)
	}
	for name, x := range map[string]struct{ schema, inside, want string }{
		"a group in itself":       {`<x:group name="G"><x:sequence><x:group ref="t:G"/></x:sequence></x:group>`, `<x:sequence><x:group ref="t:G"/></x:sequence>`, "a group that holds itself"},
		"attributes in itself":    {`<x:attributeGroup name="G"><x:attributeGroup ref="t:G"/></x:attributeGroup>`, `<x:attributeGroup ref="t:G"/>`, "an attributeGroup that holds itself"},
		"groups without end":      {groups.String(), `<x:sequence><x:group ref="t:GA"/></x:sequence>`, "(w.wsdl:"},
		"a type of itself":        {`<x:complexType name="T"><x:complexContent><x:extension base="t:T"/></x:complexContent></x:complexType>`, `<x:complexContent><x:extension base="t:T"/></x:complexContent>`, "a type that is made from itself"},
		"a simple type of itself": {`<x:simpleType name="T"><x:restriction base="t:T"/></x:simpleType>`, `<x:simpleContent><x:extension base="t:T"/></x:simpleContent>`, "a simple type that is made from itself"},
		"types upon types":        {types.String(), `<x:complexContent><x:extension base="t:TA"/></x:complexContent>`, "declared nowhere"},
		"unions of unions":        {unions.String(), `<x:simpleContent><x:extension base="t:UA"/></x:simpleContent>`, "declared nowhere"},
		"a head of itself":        {`<x:element name="h" substitutionGroup="t:h"/>`, `<x:sequence><x:element ref="t:h" minOccurs="0"/></x:sequence>`, ""},
		"two declarations":        {`<x:element name="h" type="x:int"/><x:element name="h" type="x:string"/>`, `<x:sequence><x:element ref="t:h"/></x:sequence>`, "h, which is declared in two ways (w.wsdl:2:73 and w.wsdl:2:107)"},
		"an occurrence":           {"", `<x:sequence><x:element name="a" maxOccurs="many"/></x:sequence>`, "an occurrence that is no number (w.wsdl:3:49)"},
		"a reference to nothing":  {"", `<x:sequence><x:element ref="t:nix"/></x:sequence>`, "the element {urn:t}nix that is declared nowhere (w.wsdl:3:49)"},
		"a group of nothing":      {"", `<x:group ref="t:nix"/>`, "the group nix that is declared nowhere (w.wsdl:3:37)"},
		"a typing error":          {"", `<x:sequence><x:element name="a" type="x:strnig"/></x:sequence>`, "the type {http://www.w3.org/2001/XMLSchema}strnig that is declared nowhere"},
		"types by condition":      {"", `<x:sequence><x:element name="a" type="x:string"><x:alternative test="@b" type="x:int"/></x:element></x:sequence>`, "xs:alternative (w.wsdl:3:"},
		"a construct of nobody":   {"", `<x:openContent/>`, "xs:openContent (w.wsdl:3:37)"},
		"a name that is none":     {"", `<x:sequence><x:element name="a b" fixed="1"/></x:sequence>`, "an element whose name is none, a b (w.wsdl:3:49)"},
		"an attribute of no name": {"", `<x:attribute name="&quot;>" use="required" fixed="1"/>`, "an attribute whose name is none"},
		"an array of no type":     {`<x:complexType name="A"><x:complexContent><x:restriction base="e:Array" xmlns:e="http://schemas.xmlsoap.org/soap/encoding/"><x:attribute ref="e:arrayType" xmlns:w="http://schemas.xmlsoap.org/wsdl/" w:arrayType="x:int[]&quot;[]"/></x:restriction></x:complexContent></x:complexType>`, `<x:sequence><x:element name="a" type="t:A"/></x:sequence>`, "that is none"},
		"notations and keys":      {`<x:notation name="n" public="p"/><x:annotation><x:documentation>d</x:documentation></x:annotation>`, `<x:sequence/>`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			c, err := opened(map[string]string{"w.wsdl": small(x.schema, x.inside)})
			if err == nil {
				_, err = c.(core.Describer).Describe("Do")
			}
			if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
				t.Errorf("got %v\nmust say %s", err, x.want)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// What a folder need not use may be anything; what it uses is told at its place.
func TestWhatIsNotSupportedInsideIsDescribed(t *testing.T) {
	c, err := opened(map[string]string{"w.wsdl": small("", `<x:sequence><x:element name="a" minOccurs="0"><x:complexType><x:sequence><x:element name="b" type="t:nix"/></x:sequence></x:complexType></x:element></x:sequence>`)})
	if err != nil {
		t.Fatal(err)
	}
	shape, err := c.(core.Describer).Describe("Do")
	if err != nil || shape.Parameters[0].Unknown != "" || !strings.HasPrefix(shape.Parameters[0].Children[0].Unknown, "the type {urn:t}nix that is declared nowhere (w.wsdl:3:") {
		t.Errorf("%+v %v", shape, err)
	}
	if _, err := c.(core.Offline).Write(core.Request{Operation: "Do"}); err != nil {
		t.Error(err)
	}
}

// spied is a folder that fails the test where somebody asks for more than it has.
type spied struct {
	fs.FS
	t *testing.T
}

func (s spied) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		s.t.Errorf("asked for %q", name)
	}
	return s.FS.Open(name)
}

func FuzzWSDL(f *testing.F) {
	for _, name := range []string{"clinic.wsdl", "rpc.wsdl", "lab/lab.wsdl", "lab/abstract.wsdl", "lab/xsd/order.xsd", "lab/xsd/person.xsd"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "Do", "a")
	}
	f.Add([]byte(small(`<x:group name="G"><x:choice maxOccurs="3"><x:element name="a"/><x:any/></x:choice></x:group>`, `<x:sequence><x:group ref="t:G"/><x:element name="b" type="x:anyType"/></x:sequence>`)), "Do", "b")
	rest := os.DirFS("testdata/lab")
	f.Fuzz(func(t *testing.T, wsdl []byte, operation, child string) {
		folder := fstest.MapFS{"w.wsdl": {Data: wsdl}}
		for _, name := range []string{"abstract.wsdl", "xsd/order.xsd", "xsd/person.xsd", "xsd/common.xsd", "xsd/old.xsd"} {
			b, _ := fs.ReadFile(rest, name)
			folder[name] = &fstest.MapFile{Data: b}
		}
		for _, v := range []version{soap11, soap12} {
			c, err := readContract(spied{folder, t}, "w.wsdl", v, "")
			if err != nil {
				if err.Error() == "" {
					t.Error("an error without words")
				}
				continue
			}
			for name := range c.operations {
				o, err := c.find(name)
				if err != nil {
					continue
				}
				o.shape()
				for _, body := range []core.Value{nil, child, tree{f1(child, "1"), f1("."+child, "2"), f1("a", list(nil, "x", tree{})), f1("b", tree{f1(child, nil)})}} {
					w := writer{}
					w.begin(v, "UTF-8", "")
					if w.call(name, o, o.input, body) == nil {
						w.end()
						if _, err := openEnvelope(string(w.b)); err != nil {
							t.Errorf("what was written cannot be read: %v\n%s", err, w.b)
						}
					}
				}
			}
		}
		_, _ = operation, child
	})
}

func f1(name string, v core.Value) core.Field { return core.Field{Name: name, Value: v} }

func FuzzAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\nContent-Type: multipart/related; boundary=b\n\n--b\r\nContent-ID: <a>\r\n\r\n" + enveloped(`<R><a href="cid:x"/></R>`) + "\r\n--b\r\nContent-ID: <x>\r\n\r\ny\r\n--b--\r\n")
	f.Add(enveloped(`<R><a href="#1"/><b ref="1"/></R><m id="1" root="0"><c type="x">1</c><d href="#1"/></m>`))
	f.Add(enveloped(`<Word>a</Word><Number>1</Number>`))
	connectors := []core.Offline{
		open(f, map[string]any{"endpoint": "http://h/", "namespace": "n"}).(core.Offline),
		from(f, "", "rpc.wsdl", map[string]any{"port": "Encoded"}).(core.Offline),
		from(f, "lab", "lab.wsdl", nil).(core.Offline),
	}
	f.Fuzz(func(t *testing.T, answer string) {
		for _, c := range connectors {
			for _, operation := range []string{"Add", "Pair", "Tell"} {
				r, err := c.Read(core.Request{Operation: operation}, []byte(answer))
				if err != nil && core.ClassOf(err) != core.InDoubt {
					t.Errorf("an answer that cannot be read is %v", err)
				}
				if err == nil {
					bounds(t, r.Body, 0)
				}
			}
		}
	})
}

func bounds(t *testing.T, v core.Value, depth int) {
	if depth > 3*maxDepth {
		t.Fatal("too deep")
	}
	switch v := v.(type) {
	case core.List:
		for _, x := range v {
			bounds(t, x, depth+1)
		}
	case tree:
		for _, x := range v {
			bounds(t, x.Value, depth+1)
		}
	}
}
