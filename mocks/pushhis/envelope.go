package pushhis

import (
	"bytes"
	"encoding/xml"
	"mime"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/mocks/fault"
)

const (
	namespace   = "http://lianhu.example/ws"
	parameter   = "requestXml"
	contentType = "text/xml; charset=UTF-8"
)

// element of an XML document: its local name, its own text and its children.
type element struct {
	XMLName xml.Name
	Text    string    `xml:",chardata"`
	Kids    []element `xml:",any"`
}

func parseXML(text []byte) (*element, error) {
	var root element
	if err := xml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	return &root, nil
}

// child steps down by local names.
func (e *element) child(names ...string) *element {
	for _, name := range names {
		if e == nil {
			return nil
		}
		i := 0
		for ; i < len(e.Kids) && e.Kids[i].XMLName.Local != name; i++ {
		}
		if i == len(e.Kids) {
			return nil
		}
		e = &e.Kids[i]
	}
	return e
}

// value is the trimmed text of a child, "" when there is none.
func (e *element) value(name string) string {
	if c := e.child(name); c != nil {
		return strings.TrimSpace(c.Text)
	}
	return ""
}

// rows are the data elements of a child.
func (e *element) rows(name string) []element {
	c := e.child(name)
	if c == nil {
		return nil
	}
	return c.Kids
}

// request is one call: the method and the document in its parameter.
type request struct {
	operation  string
	document   *element
	broken     string // no SOAP request of ours: answered with a Fault
	unreadable string // a SOAP request whose document is wrong: answered with error
}

func (r *request) text(name string) string { return r.document.value(name) }

func read(body []byte, content string) *request {
	if media, _, err := mime.ParseMediaType(content); err != nil || media != "text/xml" {
		return &request{broken: "not SOAP 1.1"}
	}
	envelope, err := parseXML(body)
	if err != nil {
		return &request{broken: "envelope: not well-formed"}
	}
	soapBody := envelope.child("Body")
	if envelope.XMLName.Local != "Envelope" || soapBody == nil || len(soapBody.Kids) != 1 {
		return &request{broken: "not a SOAP envelope with one method"}
	}
	method := &soapBody.Kids[0]
	r := &request{operation: method.XMLName.Local}
	if _, ok := operations[r.operation]; !ok || method.XMLName.Space != namespace {
		r.operation, r.broken = "", "no such method"
		return r
	}
	param := method.child(parameter)
	if param == nil || len(param.Kids) > 0 || param.XMLName.Space != "" {
		r.broken = parameter + " must be one string, without a namespace"
		return r
	}
	r.document, err = parseXML([]byte(param.Text))
	if err != nil || r.document.XMLName.Local != "request" {
		r.unreadable = "报文格式错误"
	}
	return r
}

// answer of an operation: the word, the text for people, and what follows them.
type answer struct {
	result, message string
	more            string // elements
	effect          string // for the journal
}

// wire wraps the answer of a method.
func (a answer) wire(operation string) fault.Answer {
	var inner document
	inner.open("response")
	inner.put("result", a.result)
	inner.put("message", a.message)
	inner.WriteString(a.more)
	inner.close("response")
	return fault.Answer{Type: contentType, Body: wrapped(namespace, operation+"Response", "return", inner.String())}
}

// wrapped is a SOAP envelope around one method with one string.
func wrapped(namespace, method, param, text string) []byte {
	var d document
	d.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` +
		`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><ws:` +
		method + ` xmlns:ws="` + namespace + `">`)
	d.put(param, text)
	d.WriteString(`</ws:` + method + `></soap:Body></soap:Envelope>`)
	return d.Bytes()
}

func soapFault(code, words string) fault.Answer {
	var d document
	d.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` +
		`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault>`)
	d.put("faultcode", code)
	d.put("faultstring", words)
	d.WriteString(`</soap:Fault></soap:Body></soap:Envelope>`)
	return fault.Answer{Status: 500, Type: contentType, Body: d.Bytes()}
}

// recode writes an answer in the charset it does not claim.
func recode(b []byte) []byte {
	out, err := simplifiedchinese.GB18030.NewEncoder().Bytes(b)
	if err != nil {
		return b
	}
	return out
}

// document is written front to back; put escapes.
type document struct{ bytes.Buffer }

var escaper = strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;")

func (d *document) put(name, text string) {
	d.open(name)
	_, _ = escaper.WriteString(d, text)
	d.close(name)
}

func (d *document) open(name string)  { d.WriteString("<" + name + ">") }
func (d *document) close(name string) { d.WriteString("</" + name + ">") }

// fields writes name, text, name, text …
func fields(pairs ...string) string {
	var d document
	for i := 0; i < len(pairs); i += 2 {
		d.put(pairs[i], pairs[i+1])
	}
	return d.String()
}

// content is how lists come: content/data*.
func content[T any](rows []T, fields func(T) string) string {
	return listed("content", rows, fields)
}

func listed[T any](name string, rows []T, fields func(T) string) string {
	var d document
	d.open(name)
	for _, row := range rows {
		d.open("data")
		d.WriteString(fields(row))
		d.close("data")
	}
	d.close(name)
	return d.String()
}
