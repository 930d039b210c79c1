package player

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/core"
	"hishub/mapping"
	"hishub/mocks/fault"
)

// outgoing is an answer as it goes.
type outgoing struct {
	status  int // of HTTP; 0 is a bare connection
	headers []core.Field
	body    []byte
	end     bool // no words: the connection ends
}

// recorded is the answer as a connector reads one from a file.
func (o outgoing) recorded() []byte {
	if o.status == 0 {
		return o.body
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", o.status, http.StatusText(o.status))
	for _, h := range o.headers {
		text, _ := core.Text(h.Value)
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, text)
	}
	b.WriteString("\r\n")
	b.Write(o.body)
	return b.Bytes()
}

// serveHTTP hears what came over HTTP.
func (p *Player) serveHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-p.ready:
	case <-p.done:
		return
	}
	body, err := fault.ReadBody(w, r)
	if err != nil {
		http.Error(w, "the request cannot be read", http.StatusBadRequest)
		return
	}
	near := p.entrancesAt(r.URL.Path)
	if r.Method == http.MethodGet && strings.EqualFold(r.URL.RawQuery, "wsdl") {
		for _, e := range near {
			if d := e.description(); d != nil {
				w.Header().Set("Content-Type", "text/xml")
				_, _ = w.Write(d)
				return
			}
		}
	}
	x := p.begin("", r.Method+" "+r.URL.Path)
	h, e := p.hearHTTP(near, r, body, &x)
	if h == nil {
		p.record(x)
		out := outgoing{status: 500, body: []byte("the player does not know this request\n")}
		if e != nil {
			refusal := e.wire.Refuse(500, "the player does not know this request")
			out.headers, out.body = refusal.Headers, refusal.Body
		}
		sendHTTP(w, out)
		return
	}
	p.heard(&x, e, h)
	p.script.Play(w, r, fault.Exchange{
		Operation: p.ruleFor(h, x.Call), Key: h.Identity(), Latency: p.options.Latency,
		Act: func(k fault.Kind) fault.Answer {
			x := x
			x.Fault = string(k)
			out := p.answer(e, h, k, &x)
			p.told(&x, e, out)
			if k == fault.CutThenCommitLater || k == fault.CommitThenHang || k == fault.CutAfterCommit {
				return fault.Answer{}
			}
			return given(w, out)
		},
		Busy: func() fault.Answer {
			x := x
			x.Fault = string(fault.Busy)
			out := p.answer(e, h, fault.Busy, &x)
			p.told(&x, e, out)
			return given(w, out)
		},
		Reject: func() fault.Answer {
			x := x
			x.Fault = string(fault.Reject)
			out := p.answer(e, h, fault.Reject, &x)
			p.told(&x, e, out)
			return given(w, out)
		},
		Crash: func() fault.Answer {
			refusal := e.wire.Refuse(500, "internal error")
			return given(w, outgoing{status: 500, headers: refusal.Headers, body: refusal.Body})
		},
		Recode: e.recoded,
		Idle: func(k fault.Kind) {
			x := x
			if k == fault.Busy || k == fault.Reject {
				return // the answer is written down
			}
			x.Fault = string(k)
			p.record(x)
		},
	})
}

// given hands the headers over; fault.Play writes the rest.
func given(w http.ResponseWriter, out outgoing) fault.Answer {
	a := fault.Answer{Status: out.status, Body: out.body}
	for _, h := range out.headers {
		text, _ := core.Text(h.Value)
		if strings.EqualFold(h.Name, "Content-Type") {
			a.Type = text
			continue
		}
		w.Header().Set(h.Name, text)
	}
	return a
}

func sendHTTP(w http.ResponseWriter, out outgoing) {
	a := given(w, out)
	w.Header().Set("Content-Type", a.Type)
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// recoded is an answer in the other of the two charsets that HIS confuse.
func (e *entrance) recoded(body []byte) []byte {
	text, err := e.text.Decode(body)
	if err != nil {
		return body
	}
	if e.text.Name() == "UTF-8" {
		if b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(text)); err == nil {
			return b
		}
	}
	return []byte(text)
}

// entrancesAt are the connectors whose address a path belongs to, the longest first.
func (p *Player) entrancesAt(path string) []*entrance {
	var out []*entrance
	for _, e := range p.entrance {
		if e.kind == "tcp" {
			continue
		}
		if e.path == "" || path == e.path || strings.HasPrefix(path, e.path+"/") {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b *entrance) int { return len(b.path) - len(a.path) })
	return out
}

func (e *entrance) description() []byte {
	if e.kind != "soap" || e.wire == nil {
		return nil
	}
	return e.wire.Description(e.address)
}

// hearHTTP recognises a request; the entrance is the nearest where it is not.
func (p *Player) hearHTTP(near []*entrance, r *http.Request, body []byte, x *Exchange) (*mapping.Heard, *entrance) {
	var nearest *entrance
	var why []string
	for _, e := range near {
		if nearest == nil {
			nearest = e
		}
		if text, err := e.text.Decode(body); err == nil {
			x.Request = p.redacted(text)
		} else {
			x.Request = p.redacted(e.text.Legible(body))
		}
		ways := e.requests(r, body)
		if len(ways) == 0 {
			continue
		}
		p.mu.Lock()
		var h *mapping.Heard
		err := mapping.ErrUnheard
		if p.mirror != nil {
			h, err = p.mirror.Hear(e.name, ways...)
		}
		p.mu.Unlock()
		if err == nil {
			x.Call = h.Transport()
			return h, e
		}
		why = append(why, e.name+": "+err.Error())
	}
	if len(near) == 0 {
		why = append(why, "no connector of the folder has an address with this path")
	}
	if len(why) == 0 {
		why = append(why, "what came is no request of the connector's transport")
	}
	x.Trouble = append(x.Trouble, slices.Compact(why)...)
	return nil, nearest
}

// requests are the ways to read what came, the likeliest first.
func (e *entrance) requests(r *http.Request, body []byte) []core.Request {
	headers := core.Flatten(lowered(r.Header))
	if e.kind == "soap" {
		a, err := e.wire.Read(core.Incoming{Method: r.Method, Path: "/", Headers: headers, Body: body})
		if err != nil {
			return nil
		}
		return []core.Request{{Operation: a.Call, Headers: headers, Query: core.Flatten(r.URL.Query()), Body: a.Body}}
	}
	call := r.Method + " " + strings.TrimPrefix(r.URL.EscapedPath(), e.path)
	if path := strings.TrimPrefix(r.URL.Path, e.path); path != "" {
		call = r.Method + " " + path
	}
	q := core.Request{Operation: call, Headers: headers, Query: e.decoded(r.URL.RawQuery)}
	var out []core.Request
	if form, ok := e.form(r.Header.Get("Content-Type"), body); ok {
		f := q
		f.Body = form
		out = append(out, f)
	}
	text, err := e.text.Decode(body)
	if err != nil {
		return out
	}
	if text != "" {
		q.Body = text
	}
	out = append(out, q)
	if r.URL.RawQuery != "" { // a folder may write its query into the path
		q.Operation += "?" + r.URL.RawQuery
		q.Query = nil
		out = append(out, q)
	}
	return out
}

func lowered(h http.Header) map[string][]string {
	out := map[string][]string{}
	for name, values := range h {
		out[strings.ToLower(name)] = values
	}
	return out
}

// form reads the fields of a form in the HIS's charset.
func (e *entrance) form(contentType string, body []byte) (core.Tree, bool) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return nil, false
	case kind == "application/x-www-form-urlencoded":
		return e.decoded(string(body)), true
	case kind != "multipart/form-data":
		return nil, false
	}
	var out core.Tree
	parts := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return out, true
		}
		if err != nil {
			return nil, false
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, false
		}
		text, err := e.text.Decode(content)
		if err != nil {
			text = e.text.Legible(content)
		}
		f := core.Field{Name: part.FormName(), Value: text}
		if part.FileName() != "" {
			f.Value = core.Tree{{Name: ".filename", Value: part.FileName()}, {Name: ".type", Value: part.Header.Get("Content-Type")}, {Name: core.TextName, Value: text}}
		}
		out = gathered(out, f)
	}
}

// gathered puts repeated names into one list, as readers of documents do.
func gathered(t core.Tree, f core.Field) core.Tree {
	for i := range t {
		if t[i].Name == f.Name {
			if list, ok := t[i].Value.(core.List); ok {
				t[i].Value = append(list, f.Value)
			} else {
				t[i].Value = core.List{t[i].Value, f.Value}
			}
			return t
		}
	}
	return append(t, f)
}

// decoded reads a=1&b=2, whose escapes are bytes of the HIS's charset.
func (e *entrance) decoded(query string) core.Tree {
	var out core.Tree
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		out = gathered(out, core.Field{Name: e.unescaped(name), Value: e.unescaped(value)})
	}
	return out
}

func (e *entrance) unescaped(s string) string {
	raw, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	if text, err := e.text.Decode([]byte(raw)); err == nil {
		return text
	}
	return raw
}

// dropped are headers of a recorded answer that belong to its own transport.
var dropped = []string{"content-length", "transfer-encoding", "content-encoding", "connection", "date", "keep-alive"}

// render puts an answer on the wire.
func (p *Player) render(e *entrance, h *mapping.Heard, said *mapping.Said) (outgoing, error) {
	if e.kind == "tcp" {
		return e.renderFrame(said)
	}
	out := outgoing{status: 200}
	if n, err := strconv.Atoi(said.Response.Status); err == nil && n >= 100 && n < 600 {
		out.status = n
	}
	for _, f := range said.Response.Headers {
		if !slices.Contains(dropped, f.Name) {
			if _, ok := f.Value.(string); ok {
				out.headers = append(out.headers, f)
			}
		}
	}
	var err error
	if e.kind == "soap" {
		out.body, err = e.envelope(h, said)
		out.headers = withType(out.headers, envelopeType(out.body, e.text.Name()))
		return out, err
	}
	if text, ok := core.Text(said.Response.Body); ok {
		out.body, err = e.text.Encode(nil, text)
	} else {
		err = fmt.Errorf("the answer is a document where the transport carries text")
	}
	kind := "application/json; charset="
	if strings.HasPrefix(strings.TrimSpace(string(out.body)), "<") {
		kind = "text/xml; charset="
	}
	out.headers = withType(out.headers, kind+strings.ToLower(e.text.Name()))
	return out, err
}

func withType(headers []core.Field, kind string) []core.Field {
	for _, h := range headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			return headers
		}
	}
	return append(headers, core.Field{Name: "Content-Type", Value: kind})
}
