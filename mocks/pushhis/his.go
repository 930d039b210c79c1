// Package pushhis is the fake hospital 莲湖: SOAP 1.1 with a request document in
// one string and an answer document in another, money that goes back at once
// when a payment is refused, and a HIS that calls the platform too.
package pushhis

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
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
	Repeats books.Repeats // books.Same
	Inquiry string        // "truthful", or "none": the status questions are not there
	// PayTime is how long a payment is worked on. Meanwhile payStatus says so, and a
	// repeat is not answered before the first one is.
	PayTime time.Duration

	// Hub is where the platform listens, "http://host:port/his/lianhu/platform";
	// "" until SetHub or a push names it.
	Hub string
	// Key signs what is sent there; "lianhu-test".
	Key string
	// Again is how long an UNKNOWN rests before the same request is sent again, at
	// most Tries times in all; 5 s, 6.
	Again time.Duration
	Tries int
}

func (o Options) filled() (Options, error) {
	o.Listen = cmp.Or(o.Listen, "127.0.0.1:0")
	o.Control = cmp.Or(o.Control, "127.0.0.1:0")
	o.Repeats = cmp.Or(o.Repeats, books.Same)
	o.Inquiry = cmp.Or(o.Inquiry, "truthful")
	o.Key = cmp.Or(o.Key, "lianhu-test")
	o.Again = cmp.Or(o.Again, 5*time.Second)
	o.Tries = cmp.Or(o.Tries, 6)
	if err := o.Repeats.Check(); err != nil {
		return o, err
	}
	if o.Inquiry != "truthful" && o.Inquiry != "none" {
		return o, fmt.Errorf("inquiry %q: want truthful or none", o.Inquiry)
	}
	return o, nil
}

// HIS is the running hospital.
type HIS struct {
	*control.Site
	options Options
	books   *books.Books
	works   *works
	script  *fault.Script
	pushes  *pushes
}

// Start opens the hospital and its control port. It runs until Close; the
// context only bounds the start.
func Start(_ context.Context, options Options) (*HIS, error) {
	options, err := options.filled()
	if err != nil {
		return nil, fmt.Errorf("pushhis: %w", err)
	}
	h := &HIS{
		options: options,
		books:   books.New(options.Repeats),
		works:   newWorks(),
		script:  fault.NewScript(options.Seed, fault.HTTPKinds),
	}
	h.books.Admit(books.Known)
	today := time.Now()
	h.books.Schedule(books.DaySessions(today, 7)...)
	for day := range 7 {
		h.books.Schedule(evening(today.AddDate(0, 0, day)))
	}
	h.pushes = newPushes(h)
	door, err := fault.OpenDoor(options.Listen, http.HandlerFunc(h.serve), h.script)
	if err != nil {
		return nil, fmt.Errorf("pushhis: %w", err)
	}
	h.Site, err = control.Join(door, options.Control, h.books, h.script, map[string]http.HandlerFunc{"POST /push": h.pushes.serve})
	if err != nil {
		return nil, fmt.Errorf("pushhis: %w", err)
	}
	return h, nil
}

// URL of the service; its WSDL is at URL + "?wsdl".
func (h *HIS) URL() string { return "http://" + h.Addr() + "/services/LianhuService" }

// Options it runs with, those that were empty filled in.
func (h *HIS) Options() Options { return h.options }

// Close cuts what is in flight, in both directions.
func (h *HIS) Close() error {
	h.pushes.close()
	return h.Site.Close()
}

func (h *HIS) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/services/LianhuService":
		http.NotFound(w, r)
	case r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		_, _ = w.Write(WSDL(h.URL()))
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	default:
		h.call(w, r)
	}
}

// call answers one SOAP request.
func (h *HIS) call(w http.ResponseWriter, r *http.Request) {
	body, err := fault.ReadBody(w, r)
	if err != nil {
		return // the caller broke off; nothing was understood
	}
	req := read(body, r.Header.Get("Content-Type"))
	if req.broken != "" {
		h.books.Note(req.operation, "", "refused: "+req.broken, "")
		a := soapFault("soap:Client", req.broken)
		w.Header().Set("Content-Type", a.Type)
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
		return
	}
	op := operations[req.operation]
	key := req.text(op.key)
	note := func(effect string, kind fault.Kind) { h.books.Note(req.operation, key, effect, string(kind)) }
	h.script.Play(w, r, fault.Exchange{
		Operation: req.operation, Key: key, Latency: h.options.Latency,
		Act: func(kind fault.Kind) fault.Answer {
			a := h.act(op, req, kind)
			note(a.effect, kind)
			return a.wire(req.operation)
		},
		Busy:   func() fault.Answer { return answer{result: "busy", message: "系统繁忙"}.wire(req.operation) },
		Reject: func() fault.Answer { return refuse(fault.RejectWords).wire(req.operation) },
		Crash:  func() fault.Answer { return soapFault("soap:Server", "服务器内部错误") },
		Recode: recode,
		Idle:   fault.Idle(note),
	})
}

// act does the work of one operation.
func (h *HIS) act(op operation, req *request, kind fault.Kind) answer {
	switch {
	case req.unreadable != "":
		return refuse(req.unreadable)
	case op.inquiry && h.options.Inquiry == "none":
		return refuse("未开通此接口")
	}
	if name := lacking(req.document, op.needs...); name != "" {
		return refuse("参数缺失: " + name)
	}
	if op.slow {
		defer h.works.begin(req.text(op.key))()
		if !h.script.Wait(h.options.PayTime) {
			return refuse("服务已停止")
		}
	}
	a := op.act(h, req)
	if kind == fault.DuplicateAnswer && a.effect == string(books.Done) {
		a.result, a.message = repeated, repeatedWords
	}
	return a
}
