// Package v3his is the fake hospital 青山: HL7 V3 over SOAP 1.2, one entrance
// HIPMessageServer(action, message) for all, as the interconnection evaluation
// of Chinese hospitals (互联互通) describes it.
package v3his

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/mocks/books"
	"hishub/mocks/control"
	"hishub/mocks/fault"
)

// Options of the hospital; the zero value is its original behaviour on free ports.
type Options struct {
	Listen  string        // "127.0.0.1:0"
	Control string        // "127.0.0.1:0"
	Latency time.Duration // how long each request takes to be served
	Seed    uint64
	Repeats books.Repeats // books.Same
	Inquiry string        // "truthful", or "none": the status questions are not there
}

func (o Options) filled() (Options, error) {
	o.Listen = cmp.Or(o.Listen, "127.0.0.1:0")
	o.Control = cmp.Or(o.Control, "127.0.0.1:0")
	o.Repeats = cmp.Or(o.Repeats, books.Same)
	o.Inquiry = cmp.Or(o.Inquiry, "truthful")
	if err := o.Repeats.Check(); err != nil {
		return o, err
	}
	if o.Inquiry != "truthful" && o.Inquiry != "none" {
		return o, fmt.Errorf("inquiry %q: want truthful or none", o.Inquiry)
	}
	return o, nil
}

//go:embed his.wsdl
var wsdl string

const path = "/HIPMessageService"

// HIS is the running hospital.
type HIS struct {
	*control.Site
	options Options
	books   *books.Books
	script  *fault.Script
}

// Start opens the hospital and its control port. It runs until Close; the
// context only bounds the start.
func Start(_ context.Context, options Options) (*HIS, error) {
	options, err := options.filled()
	if err != nil {
		return nil, fmt.Errorf("v3his: %w", err)
	}
	h := &HIS{options: options, books: books.New(options.Repeats), script: fault.NewScript(options.Seed, fault.HTTPKinds)}
	h.books.Admit(books.Known)
	door, err := fault.OpenDoor(options.Listen, http.HandlerFunc(h.serve), h.script)
	if err != nil {
		return nil, fmt.Errorf("v3his: %w", err)
	}
	h.Site, err = control.Join(door, options.Control, h.books, h.script, nil)
	if err != nil {
		return nil, fmt.Errorf("v3his: %w", err)
	}
	return h, nil
}

// URL of the service; its WSDL is at URL + "?wsdl".
func (h *HIS) URL() string { return "http://" + h.Addr() + path }

func (h *HIS) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != path:
		http.NotFound(w, r)
	case r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		_, _ = w.Write([]byte(strings.ReplaceAll(wsdl, "http://127.0.0.1"+path, h.URL())))
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/soap+xml"):
		w.WriteHeader(http.StatusUnsupportedMediaType)
	default:
		h.call(w, r)
	}
}

const soap12 = "http://www.w3.org/2003/05/soap-envelope"

// message is a request that was understood as far as that.
type message struct {
	action string
	id     string // of the message, which the answer names
	// root is the interaction.
	root *element
}

// act is the control act.
func (m *message) act() *element { return m.root.at("controlActProcess") }

// asked is a parameter of a question.
func (m *message) asked(name string) *element {
	return m.act().at("queryByParameter", "parameterList", name, "value")
}

// read opens the envelope and the message in it.
func read(body []byte) (*message, string) {
	envelope, err := parse(string(body))
	if err != nil || envelope.name != "Envelope" || envelope.space != soap12 {
		return nil, "不是SOAP 1.2报文"
	}
	in := envelope.at("Body", "HIPMessageServer")
	if in == nil || in.at("action") == nil || in.at("message") == nil {
		return nil, "缺少action或message"
	}
	m := &message{action: strings.TrimSpace(in.at("action").text)}
	if m.root, err = parse(in.at("message").text); err != nil {
		return m, "message不是XML"
	}
	m.id = m.root.at("id").attr("extension")
	op := actions[m.action]
	switch {
	case op == nil:
		return m, "不支持的action"
	case m.id == "" || m.root.at("creationTime") == nil || m.root.at("receiver", "device") == nil || m.root.at("sender", "device") == nil:
		return m, "消息头不完整"
	case m.root.name != op.interaction || m.root.at("interactionId").attr("extension") != op.interaction:
		return m, "交互类型与action不符"
	case m.act() == nil:
		return m, "缺少controlActProcess"
	}
	return m, ""
}

func (h *HIS) call(w http.ResponseWriter, r *http.Request) {
	body, err := fault.ReadBody(w, r)
	if err != nil {
		return // the caller broke off; nothing was understood
	}
	m, wrong := read(body)
	if m == nil || m.root == nil {
		action := ""
		if m != nil {
			action = m.action
		}
		h.books.Note(action, "", "refused: "+wrong, "")
		a := crash("Sender", wrong)
		w.Header().Set("Content-Type", a.Type)
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
		return
	}
	if wrong != "" {
		h.books.Note(m.action, "", "refused: "+wrong, "")
		a := answer(h.acknowledge(m, refuse(wrong)))
		w.Header().Set("Content-Type", a.Type)
		_, _ = w.Write(a.Body)
		return
	}
	op := actions[m.action]
	key := op.key(m)
	note := func(effect string, kind fault.Kind) { h.books.Note(m.action, key, effect, string(kind)) }
	h.script.Play(w, r, fault.Exchange{
		Operation: m.action, Key: key, Latency: h.options.Latency,
		Act: func(kind fault.Kind) fault.Answer {
			a := op.act(h, m)
			if op.inquiry && h.options.Inquiry == "none" {
				a = refuse("未开通此服务")
			}
			if kind == fault.DuplicateAnswer && a.effect == string(books.Done) {
				a.words = "重复提交"
			}
			note(a.effect, kind)
			return answer(h.acknowledge(m, a))
		},
		Busy: func() fault.Answer {
			return answer(h.acknowledge(m, reply{code: "AR", words: "系统繁忙，请稍后再试"}))
		},
		Reject: func() fault.Answer { return answer(h.acknowledge(m, refuse(fault.RejectWords))) },
		Crash:  func() fault.Answer { return crash("Receiver", "服务器内部错误") },
		Recode: func(body []byte) []byte {
			b, err := simplifiedchinese.GB18030.NewEncoder().Bytes(body)
			if err != nil {
				return body
			}
			return b
		},
		Idle: fault.Idle(note),
	})
}

const contentType = "application/soap+xml; charset=utf-8"

func envelope(inner string) []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="` + soap12 + `"><soap:Body>` + inner + `</soap:Body></soap:Envelope>`)
}

// answer puts a document into the payload, escaped.
func answer(text string) fault.Answer {
	var inner strings.Builder
	_ = xml.EscapeText(&inner, []byte(text))
	return fault.Answer{Type: contentType, Body: envelope(`<HIPMessageServerResponse xmlns="urn:hl7-org:v3"><payload>` + inner.String() + `</payload></HIPMessageServerResponse>`)}
}

func crash(code, words string) fault.Answer {
	return fault.Answer{Status: http.StatusInternalServerError, Type: contentType,
		Body: envelope(`<soap:Fault><soap:Code><soap:Value>soap:` + code + `</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang="zh">` + words + `</soap:Text></soap:Reason></soap:Fault>`)}
}
