// Package soaphis is the fake hospital 东山: SOAP 1.1 with an XML document inside
// a string, GB18030 on the wire, and settling in three steps.
package soaphis

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
	Strict  bool          // PreSettle refuses bills it does not know and sums that are not theirs
	// InvoiceLife is how long a pre-settlement is good for; 15 minutes.
	InvoiceLife time.Duration
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
	if o.InvoiceLife == 0 {
		o.InvoiceLife = 15 * time.Minute
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

// HIS is the running hospital.
type HIS struct {
	*control.Site
	options  Options
	books    *books.Books
	invoices *invoices
	script   *fault.Script
}

// Start opens the hospital and its control port. It runs until Close; the
// context only bounds the start.
func Start(_ context.Context, options Options) (*HIS, error) {
	options, err := options.filled()
	if err != nil {
		return nil, fmt.Errorf("soaphis: %w", err)
	}
	h := &HIS{
		options:  options,
		books:    books.New(options.Repeats),
		invoices: newInvoices(),
		script:   fault.NewScript(options.Seed, fault.HTTPKinds),
	}
	door, err := fault.OpenDoor(options.Listen, http.HandlerFunc(h.serve), h.script)
	if err != nil {
		return nil, fmt.Errorf("soaphis: %w", err)
	}
	h.Site, err = control.Join(door, options.Control, h.books, h.script, nil)
	if err != nil {
		return nil, fmt.Errorf("soaphis: %w", err)
	}
	return h, nil
}

// URL of the service; its WSDL is at URL + "?wsdl".
func (h *HIS) URL() string { return "http://" + h.Addr() + "/his" }

func (h *HIS) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/his":
		http.NotFound(w, r)
	case r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		_, _ = w.Write([]byte(strings.Replace(wsdl, "http://127.0.0.1/his", h.URL(), 1)))
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	default:
		h.call(w, r)
	}
}

// call answers one SOAP request.
func (h *HIS) call(w http.ResponseWriter, r *http.Request) {
	charset, ok := charsetOf(r.Header.Get("Content-Type"))
	if !ok {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	body, err := fault.ReadBody(w, r)
	if err != nil {
		return // the caller broke off; nothing was understood
	}
	req := read(body, charset, r.Header.Get("SOAPAction"))
	if req.broken != "" {
		h.books.Note(req.operation, "", "refused: "+req.broken, "")
		a := charset.fault("soap:Client", req.broken)
		w.Header().Set("Content-Type", a.Type)
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
		return
	}
	op := operations[req.operation]
	key := req.key(op)
	if key == "" {
		key = h.invoices.order(req.text("InvoiceNoStr"))
	}
	note := func(effect string, kind fault.Kind) { h.books.Note(req.operation, key, effect, string(kind)) }
	h.script.Play(w, r, fault.Exchange{
		Operation: req.operation, Key: key, Latency: h.options.Latency,
		Act: func(kind fault.Kind) fault.Answer {
			a := h.act(op, req, kind)
			note(a.effect, kind)
			return charset.answer(req.operation, a.document())
		},
		Busy:   func() fault.Answer { return charset.answer(req.operation, coded("-99", "系统繁忙").document()) },
		Reject: func() fault.Answer { return charset.answer(req.operation, coded("-1", fault.RejectWords).document()) },
		Crash:  func() fault.Answer { return charset.fault("soap:Server", "服务器内部错误") },
		Recode: charset.recode,
		Idle:   fault.Idle(note),
	})
}

// act does the work of one operation.
func (h *HIS) act(op operation, req *request, kind fault.Kind) answer {
	switch {
	case req.unreadable != "":
		return refuse(req.unreadable)
	case req.text("TradeCode") != op.tradeCode:
		return refuse("交易代码与方法不符: TradeCode")
	case op.inquiry && h.options.Inquiry == "none":
		return refuse("未开通此交易")
	}
	a := op.act(h, req)
	if kind == fault.DuplicateAnswer && a.effect == string(books.Done) && op.already != "" {
		a.code, a.words = op.already, op.alreadyWords
	}
	return a
}
