// Package asmxhis is the fake hospital 北城: an ASP.NET .asmx service with many
// typed operations, whose every result is a string that holds XML.
package asmxhis

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"strings"
	"time"

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
	Repeats books.Repeats // books.Refuse
	Inquiry string        // "truthful", or "none": the status questions are not there
	// LockLife is how long a locked place is held; 15 minutes.
	LockLife time.Duration
	// From is the first day of the schedule, which has seven; today if zero.
	From time.Time
}

func (o Options) filled() (Options, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Control == "" {
		o.Control = "127.0.0.1:0"
	}
	if o.Repeats == "" {
		o.Repeats = books.Refuse
	}
	if o.Inquiry == "" {
		o.Inquiry = "truthful"
	}
	if o.LockLife == 0 {
		o.LockLife = 15 * time.Minute
	}
	if o.From.IsZero() {
		o.From = time.Now()
	}
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

const path = "/NetService.asmx"

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
		return nil, fmt.Errorf("asmxhis: %w", err)
	}
	h := &HIS{
		options: options,
		books:   books.New(options.Repeats),
		script:  fault.NewScript(options.Seed, fault.HTTPKinds),
	}
	h.books.Admit(books.Known)
	h.books.Schedule(books.DaySessions(options.From, 7)...)
	door, err := fault.OpenDoor(options.Listen, http.HandlerFunc(h.serve), h.script)
	if err != nil {
		return nil, fmt.Errorf("asmxhis: %w", err)
	}
	h.Site, err = control.Join(door, options.Control, h.books, h.script, nil)
	if err != nil {
		return nil, fmt.Errorf("asmxhis: %w", err)
	}
	return h, nil
}

// URL of the service; its WSDL is at URL + "?wsdl".
func (h *HIS) URL() string { return "http://" + h.Addr() + path }

// StopSession lets a clinic session not take place.
func (h *HIS) StopSession(no string) bool { return h.books.StopSession(no) }

func (h *HIS) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != path:
		http.NotFound(w, r)
	case r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		_, _ = w.Write([]byte(strings.ReplaceAll(wsdl, "http://127.0.0.1"+path, h.URL())))
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	default:
		h.call(w, r)
	}
}

// call answers one SOAP request.
func (h *HIS) call(w http.ResponseWriter, r *http.Request) {
	v, action, ok := versionOf(r.Header)
	if !ok {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	body, err := fault.ReadBody(w, r)
	if err != nil {
		return // the caller broke off; nothing was understood
	}
	req := read(body, v, action)
	if req.broken != "" {
		h.books.Note(req.operation, "", "refused: "+req.broken, "")
		a := v.fault(true, req.broken)
		w.Header().Set("Content-Type", a.Type)
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
		return
	}
	op := operations[req.operation]
	key := req.params[op.key]
	note := func(effect string, kind fault.Kind) { h.books.Note(req.operation, key, effect, string(kind)) }
	h.script.Play(w, r, fault.Exchange{
		Operation: req.operation, Key: key, Latency: h.options.Latency,
		Act: func(kind fault.Kind) fault.Answer {
			a := h.act(op, req, kind)
			note(a.effect, kind)
			return v.answer(req.operation, a)
		},
		Busy: func() fault.Answer {
			return v.answer(req.operation, reply{code: "-9", words: "系统繁忙，请稍后再试"})
		},
		Reject: func() fault.Answer { return v.answer(req.operation, refuse(fault.RejectWords)) },
		Crash: func() fault.Answer {
			return v.fault(false, "服务器无法处理请求。 ---> 未将对象引用设置到对象的实例。")
		},
		Recode: recode,
		Idle:   fault.Idle(note),
	})
}

// act does the work of one operation.
func (h *HIS) act(op operation, req *request, kind fault.Kind) reply {
	if op.inquiry && h.options.Inquiry == "none" {
		return refuse("未开通此接口")
	}
	for _, name := range op.needs {
		if req.params[name] == "" {
			return refuse("参数不能为空: " + name)
		}
	}
	a := op.act(h, req.params)
	if kind == fault.DuplicateAnswer && a.effect == string(books.Done) && op.already != "" {
		a.code, a.words = "-1", op.already
	}
	return a
}
