package core

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync/atomic"
	"time"
)

// Hospital is one HIS that can be asked: a dialect and open connectors. What
// every exchange shares lives here, once: sessions, pages, the order of encode,
// durable mark, send and decode, redaction.
type Hospital struct {
	*Dialect
	// Revision of the folder that this is.
	Revision   int
	connectors map[string]Connector
	sessions   SessionStore
	observe    func(Exchange)
	serial     *atomic.Int64
}

// SessionStore keeps login tokens for all processes. Losing them costs a new
// login, nothing else.
type SessionStore interface {
	// Get returns the values of a session; ok is false when there is none.
	Get(ctx context.Context, hospital, session string) (values map[string]string, ok bool, err error)
	// Put keeps them for ttl (at most; 0 means the store's own default).
	Put(ctx context.Context, hospital, session string, values map[string]string, ttl time.Duration) error
	// Lock waits until nobody else logs in to this session. The lock ends with
	// unlock, or by itself after a minute.
	Lock(ctx context.Context, hospital, session string) (unlock func(), err error)
}

// Exchange is the record of one exchange with a HIS.
type Exchange struct {
	Hospital  string
	Call      string
	Connector string
	Operation string
	Verdict   Verdict
	// Codes are those that its code tables do not have, or have only by a default: of
	// what was said and of what was answered.
	Codes []CodeUse
	// RetryAfter is how long the HIS asked us to wait; 0 if it did not say.
	RetryAfter time.Duration
	// Sent and Received are the exact bytes of the last request and answer with
	// the folder's secrets masked; Stamp is the one of that request, Head what stood
	// before that answer, see Response.Head.
	Sent, Received []byte
	Stamp          Stamp
	Head           string
	// Date is that answer's header of the name, "" where there is none: the HIS's clock.
	Date           string
	Started, Ended time.Time
	// Encoding, Encoded, Called and Answered are when the last request of it began to
	// be encoded, was, was given to the connector, and was answered; zero: not reached.
	Encoding, Encoded, Called, Answered time.Time
	// Left is true when bytes of the request may have left this process.
	Left bool
}

// NewHospital opens a hospital over connectors that it owns from now on. observe
// may be nil.
func NewHospital(d *Dialect, revision int, connectors map[string]Connector, sessions SessionStore, observe func(Exchange)) *Hospital {
	if observe == nil {
		observe = func(Exchange) {}
	}
	now := time.Now().In(d.Zone)
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, d.Zone)
	serial := new(atomic.Int64)
	serial.Store(now.Sub(midnight).Milliseconds())
	return &Hospital{Dialect: d, Revision: revision, connectors: connectors, sessions: sessions, observe: observe, serial: serial}
}

// Close closes all connectors.
func (h *Hospital) Close() error {
	var errs []error
	for _, c := range h.connectors {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Stamp makes the stamp of an attempt at a message.
func (h *Hospital) Stamp(key string, accepted time.Time, number int) Stamp {
	var id [16]byte
	rand.Read(id[:])
	return Stamp{
		Key: key, Time: accepted,
		ID: hex.EncodeToString(id[:]), At: time.Now(), Serial: h.serial.Add(1), Number: number,
	}
}

// Ask carries one exchange. before is called after the request was encoded and
// before its first byte leaves; when it fails, nothing is sent. It may be nil.
// Ask itself never fails: everything that can happen is an outcome.
func (h *Hospital) Ask(ctx context.Context, call *Call, in Input, before func(context.Context) error) Exchange {
	x := Exchange{Hospital: h.ID(), Call: call.Name, Connector: call.Connector, Started: time.Now()}
	h.ask(ctx, call, in, before, &x)
	if call.MaxPages > 0 && x.Verdict.Outcome == OutcomeOK {
		h.pages(ctx, call, in, &x)
	}
	x.Ended = time.Now()
	h.observe(x)
	return x
}

// Carry takes a request that no mapping makes over a connector: a listener's look
// at its table. Errors are those of Connector.Call.
func (h *Hospital) Carry(ctx context.Context, connector string, q Request) (Response, error) {
	c, ok := h.connectors[connector]
	if !ok {
		return Response{}, &Fault{Class: Invalid, Op: "carry", Err: errors.New("no connector named " + connector)}
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout(connector))
	defer cancel()
	return c.Call(ctx, q)
}

// Billers are the payment channels' accounts that give bills.
func (h *Hospital) Billers() map[Channel]Biller {
	all := map[Channel]Biller{}
	for c := range h.Channels {
		if b, ok := h.connectors[ChannelConnector(c)].(Biller); ok {
			all[c] = b
		}
	}
	return all
}

// Timeout of the connector of that name.
func (d *Dialect) Timeout(connector string) time.Duration {
	if t := d.Connectors[connector].Timeout; t > 0 {
		return t
	}
	return 30 * time.Second
}

// ID of the hospital.
func (h *Hospital) ID() string { return h.Dialect.Hospital }

// ask is one exchange in its session: a session that the HIS calls expired is
// renewed and the request repeated once; the HIS refused it unread, so nothing
// is in doubt.
func (h *Hospital) ask(ctx context.Context, call *Call, in Input, before func(context.Context) error, x *Exchange) {
	if call.Session == "" {
		h.exchange(ctx, call, in, before, x)
		if x.Verdict.Outcome == OutcomeExpired {
			x.Verdict = failed(Unavailable, "the HIS says expired, but the call needs no session")
		}
		return
	}
	stale := map[string]string(nil)
	for try := 0; ; try++ {
		values, err := h.session(ctx, call.Session, in, stale)
		if err != nil {
			// The business request never left, whatever became of the login.
			x.Verdict = Verdict{Outcome: OutcomeUnavailable, Err: fmt.Errorf(loggingIn+"%w", err)}
			return
		}
		in.Session = values
		h.exchange(ctx, call, in, before, x)
		if x.Verdict.Outcome != OutcomeExpired {
			return
		}
		if try == 1 {
			x.Verdict = failed(Unavailable, "the session expired again right after it was renewed")
			return
		}
		stale = values
		// The HIS may refuse a wire message id that it has seen.
		in.Stamp = h.anew(in.Stamp)
	}
}

// loggingIn begins the text of an exchange's error that is its login's.
const loggingIn = "log in: "

func (h *Hospital) exchange(ctx context.Context, call *Call, in Input, before func(context.Context) error, x *Exchange) {
	connector, ok := h.connectors[call.Connector]
	if !ok {
		x.Verdict = failed(Invalid, "no connector named "+call.Connector)
		return
	}
	x.Stamp, x.Head, x.Date = in.Stamp, "", ""
	x.Encoding, x.Called, x.Answered = time.Now(), time.Time{}, time.Time{}
	q, err := call.Mapper.Encode(in)
	x.Encoded = time.Now()
	x.Codes = AddCodes(x.Codes, q.Codes...)
	if err != nil {
		x.unmapped(err)
		x.Verdict = Verdict{Outcome: OutcomeInvalid, Err: err}
		return
	}
	x.Operation = q.Operation
	if before != nil {
		if err := before(ctx); err != nil {
			x.Verdict = Verdict{Outcome: OutcomeUnavailable, Err: err}
			return
		}
	}
	x.Left, x.Called = true, time.Now()
	ctx, cancel := context.WithTimeout(ctx, h.Timeout(call.Connector))
	defer cancel()
	r, err := connector.Call(ctx, q)
	x.Answered = time.Now()
	x.Sent, x.Received, x.Head = h.Redact(r.Sent), h.Redact(r.Received), r.Head()
	x.Date, _ = r.Headers.Get("date").(string)
	if err != nil {
		x.Verdict = Verdict{Outcome: Outcome(ClassOf(err)), Err: err}
		var f *Fault
		if errors.As(err, &f) {
			x.RetryAfter = min(f.RetryAfter, maxRetryAfter)
		}
		x.Left = ClassOf(err) == InDoubt
		return
	}
	x.RetryAfter = retryAfter(r)
	x.Verdict = call.Mapper.Decode(in, r)
	x.Codes = AddCodes(x.Codes, x.Verdict.Codes...)
	x.unmapped(x.Verdict.Err)
}

// unmapped notes the code for which something failed, if that is why.
func (x *Exchange) unmapped(err error) {
	var code *UnmappedCode
	if errors.As(err, &code) {
		x.Codes = AddCodes(x.Codes, code.Use())
	}
}

// anew is the stamp of a further request of the same exchange, at the same time by
// the same clock: a delivery's is PostgreSQL's, which this process's may differ from.
func (h *Hospital) anew(s Stamp) Stamp {
	at := s.At
	s = h.Stamp(s.Key, s.Time, s.Number)
	if !at.IsZero() {
		s.At = at
	}
	return s
}

// pages asks for the pages after the first and joins their answers.
func (h *Hospital) pages(ctx context.Context, call *Call, in Input, x *Exchange) {
	whole, ok := x.Verdict.Answer.(Paged)
	if !ok {
		return
	}
	seen := map[string]bool{}
	for n := 1; x.Verdict.Next != nil; n++ {
		mark := *x.Verdict.Next
		switch {
		case seen[mark]:
			x.Verdict = failed(InDoubt, "the HIS gave the same page mark twice")
			return
		case n >= call.MaxPages:
			x.Verdict = failed(InDoubt, fmt.Sprintf("more than %d pages", call.MaxPages))
			return
		}
		seen[mark] = true
		in.Page = &mark
		in.Stamp = h.Stamp(in.Stamp.Key, in.Stamp.Time, in.Stamp.Number)
		h.ask(ctx, call, in, nil, x)
		switch x.Verdict.Outcome {
		case OutcomeOK:
			whole.Append(x.Verdict.Answer)
		case OutcomeNoData:
			x.Verdict = Verdict{Outcome: OutcomeOK}
		default:
			return
		}
	}
	x.Verdict.Answer = whole
}

// session gives the values of a login: the stored ones unless they are stale or
// about to expire, else new ones. One process at a time logs in.
func (h *Hospital) session(ctx context.Context, name string, in Input, stale map[string]string) (map[string]string, error) {
	s, ok := h.Sessions[name]
	if !ok {
		return nil, fmt.Errorf("no session named %s", name)
	}
	good := func(values map[string]string, ok bool, err error) bool {
		return err == nil && ok && !maps.Equal(values, stale) && h.fresh(s, values, in)
	}
	values, ok, err := h.sessions.Get(ctx, h.ID(), name)
	if good(values, ok, err) {
		return values, nil
	}
	unlock, err := h.sessions.Lock(ctx, h.ID(), name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	values, ok, err = h.sessions.Get(ctx, h.ID(), name)
	if good(values, ok, err) {
		return values, nil // somebody else logged in meanwhile
	}
	if s.Refresh != nil && ok {
		if renewed, err := h.login(ctx, s, s.Refresh, in, values); err == nil {
			return renewed, nil
		}
	}
	return h.login(ctx, s, &s.Login, in, nil)
}

func (h *Hospital) fresh(s *Session, values map[string]string, in Input) bool {
	if s.Expires == nil {
		return true
	}
	in.Session = values
	until, err := s.Expires(in)
	// By the clock of the stamp: it is the same in all processes that share the session.
	return err == nil && (until.IsZero() || in.Stamp.At.Add(s.Early).Before(until))
}

func (h *Hospital) login(ctx context.Context, s *Session, call *Call, in Input, old map[string]string) (map[string]string, error) {
	in.Stamp = h.anew(in.Stamp)
	in.Session, in.Captured, in.Page = old, nil, nil
	x := Exchange{Hospital: h.ID(), Call: call.Name, Connector: call.Connector, Started: time.Now()}
	h.exchange(ctx, call, in, nil, &x)
	x.Ended, x.Sent, x.Received = time.Now(), nil, nil // a login is all secret
	h.observe(x)
	if x.Verdict.Outcome != OutcomeOK {
		return nil, &Fault{Class: Unavailable, Op: call.Name, Err: cmpErr(x.Verdict.Err, fmt.Errorf("the HIS answered %s", x.Verdict.Outcome))}
	}
	values := x.Verdict.Captured
	in.Session = values
	ttl := time.Duration(0)
	if s.Expires != nil {
		until, err := s.Expires(in)
		if err != nil {
			return nil, fmt.Errorf("session %s: expires: %w", s.Name, err)
		}
		if !until.IsZero() {
			// Kept past its end, because a refresh may still want the old values.
			ttl = until.Sub(in.Stamp.At) + time.Hour
		}
	}
	if err := h.sessions.Put(ctx, h.ID(), s.Name, values, ttl); err != nil {
		return values, nil // good for this call; the next one logs in again
	}
	return values, nil
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func failed(class Class, why string) Verdict {
	return Verdict{Outcome: Outcome(class), Err: errors.New(why)}
}

// maxRetryAfter bounds what a HIS may ask for: nobody lets a lane wait longer
// because of one header.
const maxRetryAfter = time.Hour

// retryAfter reads the Retry-After header in seconds; the date form is rare
// enough to be ignored.
func retryAfter(r Response) time.Duration {
	s, _ := r.Headers.Get("retry-after").(string)
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	return 0
}
