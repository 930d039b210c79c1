// Package postbox is a fake mail server: SMTP with STARTTLS and AUTH PLAIN, which keeps
// the letters that it was handed.
package postbox

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// Options of a start.
type Options struct {
	Listen string
	// Clear offers no STARTTLS.
	Clear bool
	// User and Password must be shown before a letter is taken; "" asks for none.
	User, Password string
}

// Letter is one that was handed over.
type Letter struct {
	From    string
	To      []string
	Private bool // over TLS
	// Text is the whole letter, head and body, as it came.
	Text string
}

// Postbox is the running fake.
type Postbox struct {
	o        Options
	listener net.Listener
	tls      *tls.Config
	// Authority is the certificate that it shows, as PEM.
	Authority []byte

	mu      sync.Mutex
	letters []Letter
	faults  []Fault
}

// Fault strikes the next conversations.
type Fault struct {
	// Refuse answers 451 to the command that begins so (MAIL, RCPT, DATA).
	Refuse string
	// Drop takes the letter and closes the connection without an answer.
	Drop bool
}

// Start opens it.
func Start(_ context.Context, o Options) (*Postbox, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	p := &Postbox{o: o}
	if err := p.certify(); err != nil {
		return nil, err
	}
	var err error
	if p.listener, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := p.listener.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	return p, nil
}

func (p *Postbox) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	p.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	p.Authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return nil
}

// Addr is host:port.
func (p *Postbox) Addr() string { return p.listener.Addr().String() }

// Close takes no more.
func (p *Postbox) Close() error { return p.listener.Close() }

// Letters are those taken so far.
func (p *Postbox) Letters() []Letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Letter{}, p.letters...)
}

// Strike adds a fault for one conversation.
func (p *Postbox) Strike(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, f)
}

func (p *Postbox) fault() (f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.faults) > 0 {
		f, p.faults = p.faults[0], p.faults[1:]
	}
	return f
}

// conversation is one connection.
type conversation struct {
	net.Conn
	lines  *textproto.Reader
	letter Letter
	user   bool
}

func (c *conversation) use(conn net.Conn) {
	c.Conn, c.lines = conn, textproto.NewReader(bufio.NewReader(conn))
}

func (c *conversation) say(format string, args ...any) { fmt.Fprintf(c, format+"\r\n", args...) }

func (p *Postbox) serve(conn net.Conn) {
	c, f := &conversation{}, p.fault()
	c.use(conn)
	defer func() { c.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c.say("220 postbox ESMTP")
	for {
		line, err := c.lines.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if f.Refuse != "" && verb == f.Refuse {
			c.say("451 not now")
			continue
		}
		switch verb {
		case "EHLO", "HELO":
			c.say("250-postbox")
			if !p.o.Clear && !c.letter.Private {
				c.say("250-STARTTLS")
			}
			c.say("250 AUTH PLAIN")
		case "STARTTLS":
			c.say("220 go ahead")
			private := tls.Server(c.Conn, p.tls)
			if private.Handshake() != nil {
				return
			}
			c.use(private)
			c.letter.Private = true
		case "AUTH":
			given, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if c.user = string(given) == "\x00"+p.o.User+"\x00"+p.o.Password; !c.user {
				c.say("535 no")
				continue
			}
			c.say("235 welcome")
		case "MAIL":
			if p.o.User != "" && !c.user {
				c.say("530 who are you?")
				continue
			}
			c.letter.From, c.letter.To = address(rest), nil
			c.say("250 ok")
		case "RCPT":
			c.letter.To = append(c.letter.To, address(rest))
			c.say("250 ok")
		case "DATA":
			if c.letter.From == "" || len(c.letter.To) == 0 {
				c.say("503 from whom to whom?")
				continue
			}
			c.say("354 go on")
			text, err := io.ReadAll(c.lines.DotReader())
			if err != nil {
				return
			}
			c.letter.Text = string(text)
			p.mu.Lock()
			p.letters = append(p.letters, c.letter)
			p.mu.Unlock()
			if f.Drop {
				return
			}
			c.say("250 taken")
		case "QUIT":
			c.say("221 bye")
			return
		case "RSET", "NOOP":
			c.say("250 ok")
		default:
			c.say("502 what?")
		}
	}
}

// address of "FROM:<a@b>" and the like.
func address(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}
