package inbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"hishub/core"
)

// Server is where HIS call us: /his/{hospital}/{listener}. Nothing of what it
// refuses is kept but a count and a log line without values.
type Server struct {
	// Hospital finds a hospital's active revision; core.ErrUnknownHospital.
	Hospital func(ctx context.Context, id string) (*core.Hospital, error)
	Desk     *Desk
	Log      *slog.Logger
	// Served counts what was answered: a kind or "", and a result or why it was
	// refused. May be nil.
	Served func(hospital string, kind core.Kind, result string)
	// Codes is told of codes that the hospital's tables do not have, or have only by a
	// default; nil: nobody is told. It must not block.
	Codes func(hospital string, uses []core.CodeUse)

	mu    sync.Mutex
	gates map[string]*gate
}

// Handler serves everything below /his/.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/his/{hospital}/{listener}", s.serve)
	mux.HandleFunc("/his/{hospital}/{listener}/{rest...}", s.serve)
	return mux
}

// call is one request on its way.
type call struct {
	hospital *core.Hospital
	listener *core.Listener
	began    time.Time
	kind     core.Kind
	result   string      // a ResultState, or why it was refused
	reply    *core.Reply // what the dialect answers; nil if it cannot
	// repeats: the same bytes were answered so before, and that exchange is kept. nil:
	// every exchange is.
	repeats func(core.ResultState) bool
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	c := &call{began: time.Now()}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	var err error
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("serve a HIS", "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			http.Error(w, "internal error", http.StatusInternalServerError)
		}
	}()
	c.hospital, err = s.Hospital(r.Context(), r.PathValue("hospital"))
	if err != nil {
		status := http.StatusServiceUnavailable
		if errors.Is(err, core.ErrUnknownHospital) {
			status = http.StatusNotFound
		} else {
			s.Log.Error("open hospital", "error", err)
		}
		http.Error(w, "not here", status)
		return
	}
	c.listener = c.hospital.Listeners[r.PathValue("listener")]
	if !c.listener.OverHTTP() {
		http.Error(w, "not here", http.StatusNotFound)
		return
	}
	out := s.answer(c, w, r)
	for _, h := range out.Headers {
		if text, ok := core.Text(h.Value); ok {
			w.Header().Set(h.Name, text)
		}
	}
	w.WriteHeader(out.Status)
	_, _ = w.Write(out.Body)
	if c.result == "" {
		return // a description
	}
	s.count(c, out)
}

func (s *Server) count(c *call, out core.Outgoing) {
	if s.Served != nil {
		s.Served(c.hospital.ID(), c.kind, c.result)
	}
	s.Log.Info("inbound", "hospital", c.hospital.ID(), "listener", c.listener.Name, "kind", c.kind, "result", c.result, "status", out.Status, "ms", time.Since(c.began).Milliseconds())
}

// answer is the way of one request.
func (s *Server) answer(c *call, w http.ResponseWriter, r *http.Request) core.Outgoing {
	l := c.listener
	if !admitted(l, r) {
		return c.refuse("stranger", http.StatusForbidden, "this caller is not known")
	}
	if r.Method == http.MethodGet && hasWSDL(r) {
		if text := l.Wire.Description(addressOf(r)); text != nil {
			return core.Outgoing{Status: http.StatusOK, Headers: []core.Field{{Name: "Content-Type", Value: "text/xml; charset=utf-8"}}, Body: text}
		}
	}
	g := s.gate(c)
	switch leave, why := g.enter(l, c.began); why {
	case "rate":
		return c.refuse("rate", http.StatusTooManyRequests, "too many requests")
	case "busy":
		return c.refuse("busy", http.StatusServiceUnavailable, "too many requests at once")
	default:
		defer leave()
	}
	body, err := readBody(w, r, l)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return c.refuse("too_large", http.StatusRequestEntityTooLarge, "the request is too large")
		}
		return c.refuse("broken", http.StatusBadRequest, "the request did not come whole")
	}
	return s.hear(r.Context(), c, incoming(r, body))
}

func (c *call) refuse(why string, status int, words string) core.Outgoing {
	c.result = why
	return c.listener.Wire.Refuse(status, words)
}

// decline answers what is no message of this dialect: in its words where the
// folder has some, else in those of the transport.
func (c *call) decline(o core.Opened, stamp core.Stamp, why string, status int, words string) core.Outgoing {
	reply, err := c.listener.Door.Reply(o, core.Resolution{State: core.ResultInvalid, Message: wordsInvalid}, stamp)
	if err == nil {
		var out core.Outgoing
		if out, err = c.listener.Wire.Write(o.Arrival, reply); err == nil {
			c.result, c.reply = why, &reply
			return out
		}
	}
	return c.refuse(why, status, words)
}

// hear is the way of a request that came whole, however it came.
func (s *Server) hear(ctx context.Context, c *call, q core.Incoming) core.Outgoing {
	l := c.listener
	stamp := c.hospital.Stamp("", c.began, 1)
	arrival, err := l.Wire.Read(q)
	if err != nil {
		s.Log.Warn("inbound: not readable", "hospital", c.hospital.ID(), "listener", l.Name, "error", err)
		return c.decline(core.Opened{Arrival: arrival, Err: err}, stamp, "unreadable", http.StatusBadRequest, "the request cannot be read")
	}
	opened := l.Door.Open(arrival, stamp)
	c.kind = opened.Kind
	if opened.Kind == "" {
		s.Log.Warn("inbound: not recognised", "hospital", c.hospital.ID(), "listener", l.Name, "error", opened.Err)
		return c.decline(opened, stamp, "unrecognised", http.StatusForbidden, "nothing is called like this, or the request cannot be trusted")
	}
	taken := Taken{Resolution: core.Resolution{State: core.ResultInvalid, Message: wordsInvalid}}
	if opened.Body == nil {
		s.Log.Warn("inbound: invalid", "hospital", c.hospital.ID(), "listener", l.Name, "kind", opened.Kind, "error", opened.Err)
	} else {
		taken = s.take(ctx, c, opened)
	}
	c.result = string(taken.State)
	reply, err := l.Door.Reply(opened, taken.Resolution, stamp)
	s.tellCodes(c.hospital.ID(), opened, reply, err)
	var out core.Outgoing
	if err == nil {
		c.reply = &reply
		out, err = l.Wire.Write(arrival, reply)
	}
	if err != nil {
		s.Log.Error("inbound: the answer cannot be said", "hospital", c.hospital.ID(), "listener", l.Name, "kind", opened.Kind, "error", err)
		out = l.Wire.Refuse(http.StatusInternalServerError, "the answer cannot be said")
		if opened.Body == nil {
			out = l.Wire.Refuse(http.StatusForbidden, "the request cannot be trusted")
		}
	}
	if taken.ID != 0 && (c.repeats == nil || !c.repeats(taken.State)) {
		keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		s.Desk.Said(keep, taken, c.hospital.Redact(q.Body), c.hospital.Redact(out.Body))
	}
	return out
}

// tellCodes tells of the codes of what came in and of the reply to it.
func (s *Server) tellCodes(hospital string, o core.Opened, r core.Reply, err error) {
	uses := core.AddCodes(o.Codes, r.Codes...)
	var code *core.UnmappedCode
	for _, err := range []error{o.Err, err} {
		if errors.As(err, &code) {
			uses = core.AddCodes(uses, code.Use())
		}
	}
	if s.Codes != nil && len(uses) > 0 {
		s.Codes(hospital, uses)
	}
}

// margin is how long before the HIS gives up it has our answer.
const margin = 300 * time.Millisecond

func (s *Server) take(ctx context.Context, c *call, o core.Opened) Taken {
	// A HIS that hangs up has not taken anything back.
	ctx = context.WithoutCancel(ctx)
	wait := max(c.listener.Timeout-margin, c.listener.Timeout/2)
	ctx, cancel := context.WithDeadline(ctx, c.began.Add(wait))
	defer cancel()
	return s.Desk.Take(ctx, Fact{Hospital: c.hospital.ID(), Zone: c.hospital.Zone, Kind: o.Kind, Body: o.Body, Waits: c.repeats == nil})
}

func admitted(l *core.Listener, r *http.Request) bool { return knows(l, r.RemoteAddr, r.TLS) }

// knows reports whether whoever calls from there may.
func knows(l *core.Listener, remote string, secured *tls.ConnectionState) bool {
	if l.Client != "" {
		if secured == nil || len(secured.VerifiedChains) == 0 || secured.VerifiedChains[0][0].Subject.CommonName != l.Client {
			return false
		}
	}
	if l.Allow == nil {
		return l.Signed || l.Client != ""
	}
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, p := range l.Allow {
		if p.Contains(from.Addr().Unmap()) {
			return true
		}
	}
	return false
}

func hasWSDL(r *http.Request) bool { return strings.EqualFold(r.URL.RawQuery, "wsdl") }

// addressOf is the listener's address as the caller knows it.
func addressOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host + r.URL.EscapedPath()
}

func readBody(w http.ResponseWriter, r *http.Request, l *core.Listener) ([]byte, error) {
	// Not every server that this runs in can; the server's own bound holds then.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(l.Timeout))
	return io.ReadAll(http.MaxBytesReader(w, r.Body, l.MaxRequest))
}

func incoming(r *http.Request, body []byte) core.Incoming {
	headers := make(map[string][]string, len(r.Header))
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = values
	}
	return core.Incoming{
		Method: r.Method, Path: "/" + r.PathValue("rest"), Query: core.Flatten(r.URL.Query()), Headers: core.Flatten(headers), Body: body,
	}
}

// gate bounds what one listener is asked at once and per second.
type gate struct {
	mu     sync.Mutex
	inside int
	tokens float64
	filled time.Time
}

func (s *Server) gate(c *call) *gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gates == nil {
		s.gates = map[string]*gate{}
	}
	key := c.hospital.ID() + "/" + c.listener.Name
	g := s.gates[key]
	if g == nil {
		g = &gate{tokens: c.listener.Rate, filled: c.began}
		s.gates[key] = g
	}
	return g
}

// enter lets one in, or says why not: "rate" or "busy". A second's worth may
// come at once.
func (g *gate) enter(l *core.Listener, now time.Time) (leave func(), why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if since := now.Sub(g.filled); since > 0 {
		g.tokens = min(l.Rate, g.tokens+since.Seconds()*l.Rate)
		g.filled = now
	}
	switch {
	case g.inside >= l.Concurrency:
		return nil, "busy"
	case g.tokens < 1:
		return nil, "rate"
	}
	g.tokens--
	g.inside++
	return func() {
		g.mu.Lock()
		g.inside--
		g.mu.Unlock()
	}, ""
}
