package asmxhis

import (
	"encoding/xml"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/mocks/fault"
)

const namespace = "http://tempuri.org/"

// version of SOAP; a service of this kind speaks both at one address.
type version struct{ envelope, media string }

var (
	soap11 = version{"http://schemas.xmlsoap.org/soap/envelope/", "text/xml"}
	soap12 = version{"http://www.w3.org/2003/05/soap-envelope", "application/soap+xml"}
)

// versionOf reads the Content-Type, and the action wherever that version has it.
func versionOf(h http.Header) (v version, action string, ok bool) {
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if c := params["charset"]; err != nil || c != "" && !strings.EqualFold(c, "utf-8") {
		return v, "", false
	}
	switch media {
	case soap11.media:
		return soap11, strings.Trim(h.Get("SOAPAction"), `"`), true
	case soap12.media:
		return soap12, params["action"], true
	}
	return v, "", false
}

// element of a document; attributes are dropped.
type element struct {
	XMLName xml.Name
	Text    string    `xml:",chardata"`
	Kids    []element `xml:",any"`
}

func (e *element) child(name string) *element {
	if e == nil {
		return nil
	}
	for i := range e.Kids {
		if e.Kids[i].XMLName.Local == name {
			return &e.Kids[i]
		}
	}
	return nil
}

// value is the trimmed text of a child, "" when there is none.
func (e *element) value(name string) string {
	if c := e.child(name); c != nil {
		return strings.TrimSpace(c.Text)
	}
	return ""
}

func parse(text string) (*element, bool) {
	var e element
	return &e, xml.Unmarshal([]byte(text), &e) == nil
}

// request is one call with its parameters.
type request struct {
	operation string
	params    params
	broken    string // no call of ours: answered with a Fault
}

// params of a call by name. One that is not there is "".
type params map[string]string

func read(body []byte, v version, action string) *request {
	e, ok := parse(string(body))
	if !ok || !utf8.Valid(body) {
		return &request{broken: "the request is not well-formed UTF-8 XML"}
	}
	inner := e.child("Body")
	if e.XMLName != (xml.Name{Space: v.envelope, Local: "Envelope"}) || inner == nil || len(inner.Kids) != 1 {
		return &request{broken: "not a SOAP envelope of its content type with one method"}
	}
	method := &inner.Kids[0]
	r := &request{params: params{}}
	op, ok := operations[method.XMLName.Local]
	if !ok || method.XMLName.Space != namespace {
		r.broken = "no such method"
		return r
	}
	r.operation = method.XMLName.Local
	if action != namespace+r.operation && (action != "" || v == soap11) {
		r.broken = "服务器未能识别 HTTP 头 SOAPAction 的值"
		return r
	}
	// The order is that of the WSDL, and unknown parameters are dropped without a
	// word, which is how a parameter in the wrong place comes to be empty.
	next := 0
	for _, name := range op.params {
		for i := next; i < len(method.Kids); i++ {
			if k := &method.Kids[i]; k.XMLName == (xml.Name{Space: namespace, Local: name}) {
				r.params[name], next = strings.TrimSpace(k.Text), i+1
				break
			}
		}
	}
	return r
}

// answer wraps a reply into the result of a method.
func (v version) answer(operation string, r reply) fault.Answer {
	var d document
	d.WriteString(`<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="` + v.envelope +
		`" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soap:Body><` +
		operation + `Response xmlns="` + namespace + `">`)
	d.put(operation+"Result", r.document(operation))
	d.WriteString(`</` + operation + `Response></soap:Body></soap:Envelope>`)
	return fault.Answer{Type: v.media + "; charset=utf-8", Body: []byte(d.String())}
}

func (v version) fault(client bool, words string) fault.Answer {
	var d document
	d.WriteString(`<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="` + v.envelope + `"><soap:Body><soap:Fault>`)
	if v == soap12 {
		code := "soap:Receiver"
		if client {
			code = "soap:Sender"
		}
		d.WriteString(`<soap:Code><soap:Value>` + code + `</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang="zh">`)
		d.text(words)
		d.WriteString(`</soap:Text></soap:Reason>`)
	} else {
		code := "soap:Server"
		if client {
			code = "soap:Client"
		}
		d.put("faultcode", code)
		d.put("faultstring", words)
	}
	d.WriteString(`</soap:Fault></soap:Body></soap:Envelope>`)
	return fault.Answer{Status: http.StatusInternalServerError, Type: v.media + "; charset=utf-8", Body: []byte(d.String())}
}

// recode turns an answer into the charset it does not claim.
func recode(b []byte) []byte {
	out, err := simplifiedchinese.GB18030.NewEncoder().Bytes(b)
	if err != nil {
		return b
	}
	return out
}

// document is written front to back; put escapes.
type document struct{ strings.Builder }

var escaper = strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;")

func (d *document) text(s string) { _, _ = escaper.WriteString(d, s) }

func (d *document) put(name, text string) {
	d.WriteString("<" + name + ">")
	d.text(text)
	d.WriteString("</" + name + ">")
}

// row writes an element with fields: name, text, name, text …
func (d *document) row(name string, fields ...string) {
	d.WriteString("<" + name + ">")
	for i := 0; i < len(fields); i += 2 {
		d.put(fields[i], fields[i+1])
	}
	d.WriteString("</" + name + ">")
}
