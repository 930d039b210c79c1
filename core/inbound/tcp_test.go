package inbound

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hishub/core"
)

// lines is core.Stream: a request and an answer are a line each.
type lines struct{}

func (lines) Next(r *bufio.Reader, most int64) ([]byte, error) {
	var b []byte
	for {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF && len(b) > 0:
			return b, io.ErrUnexpectedEOF
		case err != nil:
			return b, err
		case c == '\n':
			return b, nil
		case int64(len(b)) == most:
			return b, errors.New("the request is larger than max_request")
		}
		b = append(b, c)
	}
}

func (lines) Read(q core.Incoming) (core.Arrival, error) {
	return core.Arrival{Body: string(q.Body)}, nil
}

func (lines) Write(_ core.Arrival, r core.Reply) (core.Outgoing, error) {
	text, _ := core.Text(r.Body)
	return core.Outgoing{Status: 200, Body: []byte(text + "\n")}, nil
}

func (lines) Refuse(status int, _ string) core.Outgoing { return core.Outgoing{Status: status} }
func (lines) Description(string) []byte                 { return nil }

// refunds is a core.Door: a line is the number of a window refund.
type refunds struct{}

func (refunds) Open(a core.Arrival, _ core.Stamp) core.Opened {
	number := a.Body.(string)
	if number == "?" || number == "!" {
		return core.Opened{Arrival: a, Err: errors.New("no operation is called like this")}
	}
	return core.Opened{Arrival: a, Kind: core.RefundApply, Body: &core.WindowRefund{HisRefundNo: number, OrderID: "O1", Amount: 1}}
}

func (refunds) Reply(o core.Opened, r core.Resolution, _ core.Stamp) (core.Reply, error) {
	if o.Kind == "" && o.Arrival.Body != "!" {
		return core.Reply{}, errors.New("nothing was recognised")
	}
	return core.Reply{Body: o.Arrival.Body.(string) + " " + string(r.State)}, nil
}

// books is a Store that keeps nothing but what was said.
type books struct {
	Store
	mu   sync.Mutex
	said []string
}

func (b *books) Arrive(context.Context, Fact, []byte, *core.Resolution) (Stored, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, "")
	return Stored{ID: int64(len(b.said)), Number: 1, Open: true}, nil
}

func (b *books) Decide(_ context.Context, _ int64, _ Fact, r core.Resolution) (core.Resolution, error) {
	return r, nil
}

func (b *books) Said(_ context.Context, id int64, _ int, request, answer []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said[id-1] = string(request) + "|" + string(answer)
	return nil
}

// called is a hospital whose HIS calls a port of ours.
type called struct {
	*testing.T
	listener *core.Listener
	hospital atomic.Pointer[core.Hospital]
	server   *Server
	ports    *Ports
	books    *books
	address  string
	decide   func(number string)
	log      bytes.Buffer
	served   chan string
}

func newCalled(t *testing.T, change func(*core.Listening)) *called {
	t.Helper()
	c := &called{T: t, books: &books{}, served: make(chan string, 1000)}
	c.listener = &core.Listener{Name: "notice", Kind: "tcp", Door: refunds{}, Listening: core.Listening{
		Wire: lines{}, Address: "port", Timeout: 10 * time.Second, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Concurrency: 8, Rate: 1e6, MaxRequest: 100,
	}}
	if change != nil {
		change(&c.listener.Listening)
	}
	c.hospital.Store(hospitalOf(c.listener))
	desk := &Desk{Store: c.books, Log: slog.New(slog.DiscardHandler), Deciders: map[core.Kind]Decider{
		core.RefundApply: func(_ context.Context, _ string, b core.Body) (core.Resolution, error) {
			if c.decide != nil {
				c.decide(b.Key())
			}
			return core.Resolution{State: core.ResultDone}, nil
		},
	}}
	c.server = &Server{Desk: desk, Log: slog.New(slog.NewTextHandler(&locked{w: &c.log}, nil)),
		Hospital: func(_ context.Context, id string) (*core.Hospital, error) {
			if id != "east" {
				return nil, core.ErrUnknownHospital
			}
			return c.hospital.Load(), nil
		},
		Served: func(_ string, _ core.Kind, result string) {
			c.served <- result
		}}
	c.ports = &Ports{Server: c.server, Listen: func(string, string) (net.Listener, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			c.address = l.Addr().String()
		}
		return l, err
	}}
	c.ports.Set([]Port{c.port()})
	t.Cleanup(func() { c.ports.Close(context.Background()) })
	return c
}

func hospitalOf(l *core.Listener) *core.Hospital {
	return core.NewHospital(&core.Dialect{Hospital: "east", Zone: time.UTC, Listeners: map[string]*core.Listener{"notice": l}}, 1, nil, nil, nil)
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func (c *called) port() Port { return Port{Address: "port", Hospital: "east", Listener: "notice"} }

// phone is a connection of the HIS.
type phone struct {
	*testing.T
	net.Conn
	*bufio.Reader
}

func (c *called) dial() *phone {
	c.Helper()
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { conn.Close() })
	return &phone{c.T, conn, bufio.NewReader(conn)}
}

func (p *phone) say(text string) {
	p.Helper()
	if _, err := io.WriteString(p.Conn, text); err != nil {
		p.Error(err)
	}
}

func (p *phone) hear(want string) {
	p.Helper()
	p.SetReadDeadline(time.Now().Add(time.Minute))
	if got, err := p.ReadString('\n'); err != nil || got != want+"\n" {
		p.Errorf("heard %q, %v; want %q", got, err, want)
	}
}

// ended wants that we closed the connection without a word.
func (p *phone) ended() {
	p.Helper()
	p.SetReadDeadline(time.Now().Add(time.Minute))
	var timeout net.Error
	if b, err := p.ReadByte(); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		p.Errorf("heard %q, %v; want the end", b, err)
	}
}

// results are what so many requests came to.
func (c *called) results(n int) []string {
	c.Helper()
	var got []string
	for range n {
		select {
		case r := <-c.served:
			got = append(got, r)
		case <-time.After(time.Minute):
			c.Error("a request was not counted")
		}
	}
	if len(c.served) > 0 {
		c.Errorf("%d more were counted", len(c.served))
	}
	return got
}

func TestAnswersComeInOrder(t *testing.T) {
	c := newCalled(t, nil)
	first := make(chan struct{})
	c.decide = func(number string) {
		if number == "R1" {
			<-first
		}
	}
	p := c.dial()
	p.say("R1\nR2\nR")
	p.say("3\n")
	other := c.dial()
	other.say("R4\n")
	other.hear("R4 done") // a slow one holds its own connection only
	close(first)
	p.hear("R1 done")
	p.hear("R2 done")
	p.hear("R3 done")
	c.books.mu.Lock()
	defer c.books.mu.Unlock()
	if !slices.Contains(c.books.said, "R3|R3 done\n") {
		t.Errorf("kept %q", c.books.said)
	}
}

func TestWhoMayNotCallHearsNothing(t *testing.T) {
	c := newCalled(t, func(l *core.Listening) { l.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	c.dial().ended()
	if got := c.results(1); !slices.Equal(got, []string{"stranger"}) {
		t.Error(got)
	}
}

// Who calls is told by the common name of its certificate.
func TestAPortWithCertificates(t *testing.T) {
	own, his, other := certificate(t, "hub.example"), certificate(t, "his.example"), certificate(t, "other.example")
	known := x509.NewCertPool()
	for _, c := range []tls.Certificate{his, other} {
		known.AddCert(c.Leaf)
	}
	c := newCalled(t, func(l *core.Listening) {
		l.Allow, l.Client = nil, "his.example"
		l.TLS = &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: known, ClientAuth: tls.VerifyClientCertIfGiven}
	})
	roots := x509.NewCertPool()
	roots.AddCert(own.Leaf)
	call := func(with ...tls.Certificate) *phone {
		secured := tls.Client(c.dial().Conn, &tls.Config{RootCAs: roots, ServerName: "hub.example", Certificates: with})
		if err := secured.Handshake(); err != nil {
			t.Fatal(err)
		}
		return &phone{t, secured, bufio.NewReader(secured)}
	}
	p := call(his)
	p.say("R1\nR2\n")
	p.hear("R1 done")
	p.hear("R2 done")
	call(other).ended()
	call().ended()
	plain := c.dial()
	plain.say("R3, and no TLS\n")
	if b, err := io.ReadAll(plain.Conn); strings.Contains(string(b), "done") {
		t.Errorf("heard %q, %v", b, err)
	}
	if got := c.results(5); !slices.Equal(got, []string{"done", "done", "stranger", "stranger", "stranger"}) {
		t.Error(got)
	}
}

func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestWhatCannotBeReadEndsTheConnection(t *testing.T) {
	for name, x := range map[string]struct {
		say    string
		result string
	}{
		"too large":      {strings.Repeat("x", 101), "broken"},
		"half":           {"R1", "broken"}, // and nothing more until the time is over
		"not recognised": {"?\n", "unrecognised"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCalled(t, func(l *core.Listening) { l.Timeout = 200 * time.Millisecond })
			p := c.dial()
			p.say(x.say)
			p.ended()
			if got := c.results(1); !slices.Equal(got, []string{x.result}) {
				t.Error(got)
			}
			c.dial().Close() // says nothing and counts for nothing
			c.ports.Close(t.Context())
			if log := c.log.String(); strings.Contains(log, "xxx") || strings.Contains(log, "R1") {
				t.Errorf("the log shows what came: %s", log)
			}
		})
	}
}

func TestMoreConnectionsThanAreServedAreClosed(t *testing.T) {
	c := newCalled(t, func(l *core.Listening) { l.Concurrency = 2 })
	a, b := c.dial(), c.dial()
	a.say("R1\n")
	a.hear("R1 done")
	b.say("R2\n")
	b.hear("R2 done")
	third := c.dial()
	third.ended()
	if got := c.results(3); !slices.Equal(got, []string{"done", "done", "busy"}) {
		t.Error(got)
	}
	a.say("R3\n")
	a.hear("R3 done")
}

func TestABurstIsSlowedDown(t *testing.T) {
	c := newCalled(t, func(l *core.Listening) { l.Rate = 100 })
	p := c.dial()
	began := time.Now()
	const n = 130
	for i := range n {
		p.say(fmt.Sprintf("R%d\n", i))
	}
	for i := range n {
		p.hear(fmt.Sprintf("R%d done", i))
	}
	if took := time.Since(began); took < 250*time.Millisecond {
		t.Errorf("%d requests at 100 per second took %v", n, took)
	}
}

func TestPortsFollowTheFolder(t *testing.T) {
	c := newCalled(t, nil)
	p := c.dial()
	p.say("R1\n")
	p.hear("R1 done")
	c.ports.Set([]Port{c.port()}) // nothing changed
	p.say("R2\n")
	p.hear("R2 done")

	// A new revision takes over on open connections.
	changed := *c.listener
	changed.MaxRequest = 3
	c.hospital.Store(hospitalOf(&changed))
	p.say("R333\n")
	p.ended()

	c.hospital.Store(hospitalOf(c.listener))
	p = c.dial()
	p.say("R4\n")
	p.hear("R4 done")
	c.ports.Set(nil)
	p.ended()
	if conn, err := net.Dial("tcp", c.address); err == nil {
		conn.Close()
		t.Error("a listener that is gone still listens")
	}

	opened := c.ports.Listen
	c.ports.Listen = func(string, string) (net.Listener, error) { return nil, errors.New("address already in use") }
	for range 3 {
		c.ports.Set([]Port{c.port()})
	}
	c.ports.Listen = opened
	for range 3 {
		c.ports.Set([]Port{c.port(), {Address: "port", Hospital: "west", Listener: "x"}})
	}
	p = c.dial()
	p.say("R5\n")
	p.hear("R5 done")
	c.ports.Close(t.Context())
	for _, once := range []string{"address already in use", "east/notice has the address already"} {
		if n := strings.Count(c.log.String(), once); n != 1 {
			t.Errorf("%q is in the log %d times", once, n)
		}
	}
}

func TestClosingAnswersWhatIsUnderWay(t *testing.T) {
	c := newCalled(t, nil)
	deciding, decide := make(chan struct{}), make(chan struct{})
	c.decide = func(string) {
		close(deciding)
		<-decide
	}
	busy, idle := c.dial(), c.dial()
	busy.say("R1\nR2\n")
	<-deciding
	closed := make(chan struct{})
	go func() {
		c.ports.Close(context.Background())
		close(closed)
	}()
	idle.ended()
	close(decide)
	busy.hear("R1 done")
	busy.ended()
	<-closed
	if got := c.results(1); !slices.Equal(got, []string{"done"}) {
		t.Error(got)
	}
}

func TestAPortIsNotServedOverHTTP(t *testing.T) {
	c := newCalled(t, nil)
	w := httptest.NewRecorder()
	c.server.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/his/east/notice", strings.NewReader("R1")))
	if w.Code != http.StatusNotFound {
		t.Errorf("answered %d", w.Code)
	}
}

// A dialect that has words for what it does not know says them, and the
// connection goes on.
func TestWhatIsNotRecognisedMayBeAnswered(t *testing.T) {
	c := newCalled(t, nil)
	p := c.dial()
	p.say("!\n")
	p.hear("! invalid")
	p.say("R1\n")
	p.hear("R1 done")
	if got := c.results(2); !slices.Equal(got, []string{"unrecognised", "done"}) {
		t.Error(got)
	}
}
