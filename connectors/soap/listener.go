package soap

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"hishub/connectors/charset"
	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// listener is core.Wire over SOAP 1.1: document/literal wrapped, or as the
// hospital's own WSDL says. A call is the method; what it takes and gives are named parameters, or one text where there
// is one of them.
type listener struct {
	charset   *charset.Charset
	namespace string
	unwrap    bool
	// Without a WSDL of the hospital's own, every method takes these texts and
	// gives this one.
	parameters []string
	result     string
	calls      []string

	contract *contract // of the hospital's own WSDL
	wsdl     []byte
}

// Listen makes a listener of its options, as core.Problems if they are wrong.
func Listen(spec core.ListenerSpec) (core.Listening, error) {
	s := option.New(spec.Options)
	out, text := wire.ReadListening(s)
	l := &listener{charset: text, calls: spec.Calls}
	l.namespace = s.Text("namespace", "")
	l.unwrap = s.Bool("unwrap", true)
	l.result = s.Text("result", "return")
	l.parameters = readNames(s, "parameters", "request")
	if !isName(l.result) {
		s.Problem("result", "not a name that XML allows")
	}
	file := s.Text("wsdl", "")
	if file == "" {
		if l.namespace == "" {
			s.Problem("namespace", "missing; it is needed where there is no wsdl")
		}
		for _, call := range spec.Calls {
			if !isName(call) {
				s.Problem("namespace", fmt.Sprintf("the call %q is not a name that XML allows", call))
			}
		}
	} else {
		l.own(s, spec, file)
	}
	out.Wire = l
	return out, s.Err()
}

func readNames(s *option.Set, name, otherwise string) []string {
	names := []string{otherwise}
	switch v := s.Value(name).(type) {
	case nil:
	case string:
		names = []string{v}
	case []any:
		names = nil
		for _, e := range v {
			text, _ := e.(string)
			names = append(names, text)
		}
	default:
		names = nil
	}
	if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return !isName(n) }) {
		s.Problem(name, "not a list of names that XML allows")
	}
	return names
}

// own reads the WSDL that the hospital's programmers were given.
func (l *listener) own(s *option.Set, spec core.ListenerSpec, file string) {
	for _, name := range []string{"namespace", "parameters", "result"} {
		if _, ok := spec.Options[name]; ok {
			s.Problem(name, "leave it out: the wsdl decides")
		}
	}
	if spec.Files == nil {
		s.Problem("wsdl", "names a file, but there is no folder")
		return
	}
	c, err := readContract(spec.Files, file, soap11, "")
	if err != nil {
		wrong(s, err)
		return
	}
	for _, call := range spec.Calls {
		if o, err := c.find(call); err != nil {
			s.Problem("wsdl", err.Error())
		} else if o.output == nil {
			s.Problem("wsdl", "operation "+call+" gives no answer that is known")
		}
	}
	l.contract = c
	l.wsdl, _ = fs.ReadFile(spec.Files, file)
}

// Read implements core.Wire.
func (l *listener) Read(q core.Incoming) (core.Arrival, error) {
	a := core.Arrival{Headers: q.Headers, Query: q.Query}
	if q.Method != http.MethodPost || q.Path != "/" {
		return a, errors.New("read a request: a SOAP call is a POST to the listener's own address")
	}
	text, err := l.charset.Decode(q.Body)
	if err != nil {
		return a, fmt.Errorf("read a request: %w", err)
	}
	e, err := openEnvelope(text)
	if err != nil {
		return a, fmt.Errorf("read a request: %w", err)
	}
	// Its blocks stand before what HTTP brought, where nobody can put one of that name.
	if len(e.header) > 0 {
		a.Headers = append(core.Tree{{Name: "soap_header", Value: e.header}}, a.Headers...)
	}
	name, _, err := e.first()
	if err != nil {
		return a, fmt.Errorf("read a request: %w", err)
	}
	a.Call = name
	o := l.called(name)
	if o != nil {
		a.Call = o.name
	}
	_, content, err := e.call(o)
	if err != nil {
		return a, fmt.Errorf("read a request: %w", err)
	}
	a.Body = content
	if t, ok := content.(core.Tree); ok {
		children := slices.DeleteFunc(t, func(f core.Field) bool { return strings.HasPrefix(f.Name, ".") })
		a.Body = children
		if l.unwrap && len(children) == 1 {
			if text, ok := core.Text(children[0].Value); ok {
				a.Body = orNil(text)
			}
		}
	}
	return a, nil
}

// called is the operation whose request has that element in its body.
func (l *listener) called(name string) *operation {
	if l.contract == nil {
		return nil
	}
	for _, call := range slices.Sorted(maps.Keys(l.contract.operations)) {
		o := l.contract.operations[call]
		if o.input == nil {
			continue
		}
		if alone, ok := o.input.alone(); o.input.name == name || ok && alone == name {
			return o
		}
	}
	return nil
}

// Write implements core.Wire.
func (l *listener) Write(a core.Arrival, r core.Reply) (core.Outgoing, error) {
	w := writer{style: style{namespace: l.namespace, qualified: true}}
	var wrapper *element
	var called *operation
	result := l.result
	if l.contract != nil {
		o, err := l.contract.find(a.Call)
		if err != nil {
			return core.Outgoing{}, fmt.Errorf("write a reply: %w", err)
		}
		called, wrapper = o, o.output
		if named := o.output.typ.all; len(named) == 1 {
			result = named[0].name
		}
	}
	body := r.Body
	switch body.(type) {
	case core.Tree, nil:
	default:
		body = core.Tree{{Name: result, Value: body}}
	}
	w.begin(soap11, l.charset.Name(), "")
	if err := w.call(a.Call+"Response", called, wrapper, body); err != nil {
		return core.Outgoing{}, fmt.Errorf("write a reply: %w", err)
	}
	w.end()
	bytes, err := l.charset.Encode(nil, string(w.b))
	if err != nil {
		return core.Outgoing{}, fmt.Errorf("write a reply: %w", err)
	}
	headers := append([]core.Field{{Name: "Content-Type", Value: "text/xml; charset=" + l.charset.Name()}}, r.Headers...)
	return core.Outgoing{Status: 200, Headers: headers, Body: bytes}, nil
}

// Refuse implements core.Wire: a fault of the caller's, or ours from 500 on.
func (l *listener) Refuse(status int, words string) core.Outgoing {
	code := "Client"
	if status >= 500 {
		code = "Server"
	}
	w := writer{}
	w.begin(soap11, l.charset.Name(), "")
	w.add("<", envelopePrefix, ":Fault><faultcode>", envelopePrefix, ":", code, "</faultcode><faultstring>")
	w.escape(words, false)
	w.add("</faultstring></", envelopePrefix, ":Fault>")
	w.end()
	body, err := l.charset.Encode(nil, string(w.b))
	if err != nil {
		body = nil
	}
	return core.Outgoing{Status: status, Headers: []core.Field{{Name: "Content-Type", Value: "text/xml; charset=" + l.charset.Name()}}, Body: body}
}

var address = regexp.MustCompile(`(<(?:[\w.-]+:)?address\s[^>]*?location=)(?:"[^"]*"|'[^']*')`)

// Description implements core.Wire: the hospital's own WSDL with our address, or
// one that is made of the calls.
func (l *listener) Description(at string) []byte {
	w := writer{}
	w.attribute(at)
	at = string(w.b)
	if l.wsdl != nil {
		return address.ReplaceAllFunc(l.wsdl, func(found []byte) []byte {
			return append(address.FindSubmatch(found)[1], []byte(`"`+at+`"`)...)
		})
	}
	w = writer{}
	namespace := func() { w.attribute(l.namespace) }
	w.add(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:tns="`)
	namespace()
	w.add(`" targetNamespace="`)
	namespace()
	w.add(`">` + "\n" + ` <wsdl:types><xs:schema elementFormDefault="qualified" targetNamespace="`)
	namespace()
	w.add(`">` + "\n")
	wrapper := func(name string, parts ...string) {
		w.add(`  <xs:element name="`, name, `"><xs:complexType><xs:sequence>`)
		for _, p := range parts {
			w.add(`<xs:element name="`, p, `" type="xs:string" minOccurs="0"/>`)
		}
		w.add(`</xs:sequence></xs:complexType></xs:element>` + "\n")
	}
	for _, c := range l.calls {
		wrapper(c, l.parameters...)
		wrapper(c+"Response", l.result)
	}
	w.add(" </xs:schema></wsdl:types>\n")
	for _, c := range l.calls {
		w.add(` <wsdl:message name="`, c, `In"><wsdl:part name="parameters" element="tns:`, c, `"/></wsdl:message>`+"\n")
		w.add(` <wsdl:message name="`, c, `Out"><wsdl:part name="parameters" element="tns:`, c, `Response"/></wsdl:message>`+"\n")
	}
	w.add(` <wsdl:portType name="Hub">` + "\n")
	for _, c := range l.calls {
		w.add(`  <wsdl:operation name="`, c, `"><wsdl:input message="tns:`, c, `In"/><wsdl:output message="tns:`, c, `Out"/></wsdl:operation>`+"\n")
	}
	w.add(" </wsdl:portType>\n" + ` <wsdl:binding name="HubSoap" type="tns:Hub"><soap:binding transport="http://schemas.xmlsoap.org/soap/http" style="document"/>` + "\n")
	for _, c := range l.calls {
		w.add(`  <wsdl:operation name="`, c, `"><soap:operation soapAction="`)
		w.attribute(strings.TrimSuffix(l.namespace, "/") + "/" + c)
		w.add(`"/><wsdl:input><soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation>` + "\n")
	}
	w.add(` </wsdl:binding>`+"\n"+` <wsdl:service name="Hub"><wsdl:port name="HubSoap" binding="tns:HubSoap"><soap:address location="`, at, `"/></wsdl:port></wsdl:service>`+"\n</wsdl:definitions>\n")
	return w.b
}
