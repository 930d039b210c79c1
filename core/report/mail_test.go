package report

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

// post is a tiny mail server for one conversation.
type post struct {
	net.Listener
	cert   tls.Certificate
	roots  *x509.CertPool
	offers bool // STARTTLS
	refuse string
	got    chan letter
}

type letter struct {
	private  bool
	auth     string
	from     string
	to       []string
	text     string
	commands []string
}

func newPost(t *testing.T, offers bool) *post {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _ := x509.ParseCertificate(der)
	p := &post{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots: x509.NewCertPool(), offers: offers, got: make(chan letter, 1)}
	p.roots.AddCert(parsed)
	if p.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	go p.serve()
	return p
}

func (p *post) mailer() Mailer {
	return Mailer{
		Address: p.Addr().String(), User: "hub", Password: "s3cret-of-the-test", From: "对账 <hub@clinic.example>", To: []string{"财务 <finance@hospital.example>", "it@hospital.example"},
		TLS: &tls.Config{RootCAs: p.roots}, Timeout: 20 * time.Second,
	}
}

func (p *post) serve() {
	conn, err := p.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	var l letter
	defer func() { p.got <- l }()
	r := textproto.NewReader(bufio.NewReader(conn))
	say := func(s string) { fmt.Fprintf(conn, "%s\r\n", s) }
	say("220 post.example ESMTP")
	for {
		command, err := r.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(command, " ")
		l.commands = append(l.commands, verb)
		switch {
		case p.refuse != "" && strings.HasPrefix(command, p.refuse):
			say("550 no: " + rest)
		case verb == "EHLO":
			say("250-post.example")
			if p.offers && !l.private {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case verb == "STARTTLS":
			say("220 go ahead")
			private := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{p.cert}})
			if private.Handshake() != nil {
				return
			}
			conn, l.private = private, true
			r = textproto.NewReader(bufio.NewReader(conn))
			say = func(s string) { fmt.Fprintf(conn, "%s\r\n", s) }
		case verb == "AUTH":
			l.auth = rest
			say("235 welcome")
		case verb == "MAIL":
			l.from = rest
			say("250 ok")
		case verb == "RCPT":
			l.to = append(l.to, rest)
			say("250 ok")
		case verb == "DATA":
			say("354 go")
			text, err := io.ReadAll(r.DotReader())
			if err != nil {
				return
			}
			l.text = string(text)
			say("250 kept")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("502 what?")
		}
	}
}

func TestMail(t *testing.T) {
	p := newPost(t, true)
	day := theDay()
	letter, err := day.Letter()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.mailer().Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	got := <-p.got
	auth, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(got.auth, "PLAIN "))
	if !got.private || string(auth) != "\x00hub\x00s3cret-of-the-test" || !strings.Contains(got.from, "<hub@clinic.example>") || len(got.to) != 2 {
		t.Errorf("%+v", got.commands)
	}
	m, err := mail.ReadMessage(strings.NewReader(got.text))
	if err != nil {
		t.Fatal(err)
	}
	subject, _ := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if subject != "东山测试医院 2026-01-05 对账：2 笔差异 2 differences" || m.Header.Get("Message-ID") == "" {
		t.Errorf("%q", subject)
	}
	if to, err := m.Header.AddressList("To"); err != nil || len(to) != 2 || to[0].Name != "财务" {
		t.Errorf("%v %v", to, err)
	}
	_, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	whole := multipart.NewReader(m.Body, parameters["boundary"])
	first, err := whole.NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	_, parameters, _ = mime.ParseMediaType(first.Header.Get("Content-Type"))
	ways := multipart.NewReader(first, parameters["boundary"])
	for _, want := range []string{"2 笔差异", "重复支付"} {
		part, err := ways.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("a part lacks %s: %v", want, err)
		}
	}
	for _, want := range []string{".html", ".xlsx"} {
		part, err := whole.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		if part.FileName() != "reconciliation-dongshan-2026-01-05"+want {
			t.Errorf("attached %q", part.FileName())
		}
		content, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
		if err != nil {
			t.Fatal(err)
		}
		if want == ".xlsx" {
			f, err := excelize.OpenReader(bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			if r, err := f.GetRows("差异 differences"); err != nil || len(r) != 4 {
				t.Errorf("%v %v", r, err)
			}
		}
	}
	if _, err := whole.NextRawPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

func TestMailIsNotSent(t *testing.T) {
	for name, c := range map[string]struct {
		offers bool
		refuse string
		change func(*Mailer)
		want   string
	}{
		"no STARTTLS offered":   {false, "", func(*Mailer) {}, "does not offer STARTTLS"},
		"unknown certificate":   {true, "", func(m *Mailer) { m.TLS = nil }, "certificate"},
		"password refused":      {true, "AUTH", func(*Mailer) {}, "refused the user or the password"},
		"receiver refused":      {true, "RCPT TO:<it@", func(*Mailer) {}, "receiver 2 of 2"},
		"password in the clear": {false, "", func(m *Mailer) { m.Security = Clear }, "not sent in the clear"},
		"no receiver":           {true, "", func(m *Mailer) { m.To = nil }, "no receiver"},
		"a head in an address":  {true, "", func(m *Mailer) { m.To = []string{"a@b.example\r\nBcc: x@y.example"} }, "receiver 1"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t, c.offers)
			p.refuse = c.refuse
			m := p.mailer()
			c.change(&m)
			err := m.Send(t.Context(), Mail{Subject: "x", Text: "y"})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v", err)
			}
			if strings.Contains(err.Error(), m.Password) || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte(m.Password))) || strings.Contains(err.Error(), "Bcc") {
				t.Errorf("the error tells: %v", err)
			}
			p.Close()
			select {
			case got := <-p.got:
				if got.text != "" || !got.private && got.auth != "" {
					t.Error("a letter, or the password in the clear, was sent")
				}
			case <-t.Context().Done():
			default:
			}
		})
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := newPost(t, true).mailer().Send(stopped, Mail{}); err == nil {
		t.Error("sent after it was stopped")
	}
}

func TestAHeadCannotBeSlippedIn(t *testing.T) {
	from, to, err := (Mailer{From: "a@b.example", To: []string{"c@d.example"}}).addresses()
	if err != nil {
		t.Fatal(err)
	}
	text, err := Mailer{}.compose(Mail{Subject: "night\r\nBcc: x@y.example", Text: "t"}, from, to, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil || m.Header.Get("Bcc") != "" {
		t.Errorf("%v %v", m, err)
	}
}
