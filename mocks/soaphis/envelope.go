package soaphis

import (
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/mocks/fault"
)

const namespace = "http://dongshan.example/his"

// charset of a request, and of the answer to it.
type charset string

const (
	gb18030 charset = "GB18030"
	utf8set charset = "UTF-8"
)

// charsetOf reads a Content-Type; without a charset it is the hospital's own.
func charsetOf(contentType string) (charset, bool) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "text/xml" {
		return "", false
	}
	switch strings.ToUpper(params["charset"]) {
	case "", "GB18030", "GBK", "GB2312":
		return gb18030, true
	case "UTF-8", "UTF8":
		return utf8set, true
	}
	return "", false
}

func (c charset) decode(b []byte) (string, bool) {
	if ascii(b) {
		return string(b), true
	}
	if c == utf8set {
		return string(b), utf8.Valid(b)
	}
	decoded, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	text := string(decoded)
	// The decoder writes U+FFFD for what is no character, without an error.
	return text, err == nil && !strings.ContainsRune(text, utf8.RuneError)
}

func (c charset) encode(s string) []byte {
	if c == utf8set {
		return []byte(s)
	}
	b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(s))
	if err != nil {
		return []byte(s)
	}
	return b
}

// recode turns an answer into the charset it does not claim.
func (c charset) recode(b []byte) []byte {
	text, _ := c.decode(b)
	if c == utf8set {
		return gb18030.encode(text)
	}
	return []byte(text)
}

func ascii(b []byte) bool {
	for _, x := range b {
		if x >= 0x80 {
			return false
		}
	}
	return true
}

// request is one call: the method and the document in its parameter.
type request struct {
	operation  string
	document   *element
	broken     string // no SOAP request of ours: answered with a Fault
	unreadable string // a SOAP request whose document is wrong: answered with -1
}

func (r *request) text(name string) string { return r.document.value(name) }

// key is our number in the request.
func (r *request) key(op operation) string {
	d := r.document
	for _, name := range op.key[:len(op.key)-1] {
		d = d.child(name)
	}
	return d.value(op.key[len(op.key)-1])
}

func read(body []byte, c charset, action string) *request {
	text, clean := c.decode(body)
	envelope, err := parseXML(text)
	if err != nil {
		return &request{broken: "envelope: " + err.Error()}
	}
	soapBody := envelope.child("Body")
	if envelope.name != "Envelope" || soapBody == nil || len(soapBody.kids) != 1 {
		return &request{broken: "not a SOAP envelope with one method"}
	}
	method := &soapBody.kids[0]
	r := &request{operation: method.name}
	if _, ok := operations[method.name]; !ok {
		r.operation, r.broken = "", "no such method"
		return r
	}
	if action = strings.Trim(action, `"`); action != "" && action != namespace+"/"+method.name {
		r.broken = "SOAPAction is not that of the method"
		return r
	}
	param := method.child("xmlParam")
	if param == nil || len(param.kids) > 0 {
		r.broken = "xmlParam must be one string"
		return r
	}
	r.document, err = parseXML(param.text)
	switch {
	case !clean:
		r.unreadable = "报文字符集错误"
	case err != nil:
		r.unreadable = "报文格式错误"
	case r.document.name != "Request":
		r.unreadable = "报文格式错误: Request"
	}
	return r
}

func (c charset) contentType() string { return "text/xml; charset=" + string(c) }

// answer wraps a document into the answer of a method.
func (c charset) answer(operation, inner string) fault.Answer {
	var d document
	d.Grow(len(inner) + len(inner)/4 + 512)
	d.WriteString(`<?xml version="1.0" encoding="` + string(c) + `"?>` +
		`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><` +
		operation + `Response xmlns="` + namespace + `">`)
	d.put(operation+"Result", inner)
	d.WriteString(`</` + operation + `Response></soap:Body></soap:Envelope>`)
	return fault.Answer{Type: c.contentType(), Body: c.encode(d.String())}
}

func (c charset) fault(code, words string) fault.Answer {
	var d document
	d.WriteString(`<?xml version="1.0" encoding="` + string(c) + `"?>` +
		`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault>`)
	d.put("faultcode", code)
	d.put("faultstring", words)
	d.WriteString(`</soap:Fault></soap:Body></soap:Envelope>`)
	return fault.Answer{Status: 500, Type: c.contentType(), Body: c.encode(d.String())}
}
