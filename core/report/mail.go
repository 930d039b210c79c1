package report

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"hishub/core/reconcile"
)

// Mail is one letter.
type Mail struct {
	// ID makes a letter that is sent again the same one to a mail server; "" is one of
	// its own each time.
	ID      string
	Subject string
	Text    string
	HTML    []byte
	Files   []File
}

// File is attached to a letter.
type File struct {
	Name, Type string
	Content    []byte
}

// Media types of the files.
const (
	TypeXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	TypeHTML = "text/html; charset=utf-8"
	TypeZIP  = "application/zip"
	TypeJSON = "application/json"
)

// Letter is the mail of a day: its page to read, and its page and workbook attached.
func (d Day) Letter() (Mail, error) {
	doc := d.Document()
	var page, workbook bytes.Buffer
	if err := errors.Join(HTML(&page, doc), XLSX(&workbook, doc)); err != nil {
		return Mail{}, err
	}
	standing := standingText(d)
	return Mail{
		Subject: doc.Name + " " + d.Day + " 对账：" + standing, Text: doc.Title() + "\n" + standing + "\n\n详见附件。The report is attached.\n", HTML: page.Bytes(),
		Files: []File{{doc.FileName() + ".html", TypeHTML, page.Bytes()}, {doc.FileName() + ".xlsx", TypeXLSX, workbook.Bytes()}},
	}, nil
}

// standingText sums the day up in a subject line.
func standingText(d Day) string {
	switch d.Night.State {
	case reconcile.NightDone:
		if n := d.Differences(); n > 0 {
			return fmt.Sprintf("%d 笔差异 %d differences", n, n)
		}
		return "无差异 no differences"
	case "":
		return "未对账 no run"
	}
	return stateOf(d.Night).String()
}

// Security is how a connection to a mail server is kept private.
type Security string

const (
	// StartTLS begins in the clear and must become private before anything is
	// said; a server that does not offer it gets no mail.
	StartTLS Security = "starttls"
	// TLS is private from the first byte, as on port 465.
	TLS Security = "tls"
	// Clear is for a relay on the same machine or network; a password is not sent over it.
	Clear Security = "clear"
)

// Mailer hands letters to a mail server.
type Mailer struct {
	// Address is host:port.
	Address  string
	Security Security // StartTLS if empty
	// User and Password; none where User is empty.
	User, Password string
	// From and To as in a letter's head, "hishub <hub@clinic.example>".
	From string
	To   []string
	// Timeout of the whole exchange; 1 minute if 0.
	Timeout time.Duration
	// TLS may name own roots; its server name is the address's host when empty.
	TLS *tls.Config
}

// Send hands one letter over, for all its receivers or for none. An error after
// the letter was sent and before it was acknowledged leaves open whether it
// arrives; sending it again may make a second one, and harms nothing.
func (m Mailer) Send(ctx context.Context, l Mail) error {
	if err := m.send(ctx, l); err != nil {
		return fmt.Errorf("send mail by %s: %w", m.Address, err)
	}
	return nil
}

func (m Mailer) send(ctx context.Context, l Mail) error {
	from, to, err := m.addresses()
	if err != nil {
		return err
	}
	letter, err := m.compose(l, from, to, time.Now())
	if err != nil {
		return err
	}
	timeout := m.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	ctx, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	c, err := m.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if m.User != "" {
		if m.Security == Clear {
			return errors.New("a password is not sent in the clear; use starttls or tls")
		}
		host, _, _ := net.SplitHostPort(m.Address)
		if err := c.Auth(smtp.PlainAuth("", m.User, m.Password, host)); err != nil {
			return errors.New("the server refused the user or the password") // its words may repeat them
		}
	}
	if err := c.Mail(from.Address); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	for i, a := range to {
		if err := c.Rcpt(a.Address); err != nil {
			return fmt.Errorf("receiver %d of %d: %w", i+1, len(to), err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(letter); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // it has the letter
	return nil
}

func (m Mailer) addresses() (from *mail.Address, to []*mail.Address, err error) {
	if from, err = mail.ParseAddress(m.From); err != nil {
		return nil, nil, errors.New("the sender is no mail address like hishub <hub@clinic.example>")
	}
	for i, a := range m.To {
		one, err := mail.ParseAddress(a)
		if err != nil {
			return nil, nil, fmt.Errorf("receiver %d is no mail address like finance@hospital.example", i+1)
		}
		to = append(to, one)
	}
	if len(to) == 0 {
		return nil, nil, errors.New("there is no receiver")
	}
	return from, to, nil
}

func (m Mailer) connect(ctx context.Context) (*smtp.Client, error) {
	host, _, err := net.SplitHostPort(m.Address)
	if err != nil {
		return nil, errors.New("the address is not host:port")
	}
	private := &tls.Config{}
	if m.TLS != nil {
		private = m.TLS.Clone()
	}
	if private.ServerName == "" {
		private.ServerName = host
	}
	var conn net.Conn
	switch m.Security {
	case TLS:
		conn, err = (&tls.Dialer{Config: private}).DialContext(ctx, "tcp", m.Address)
	case StartTLS, "", Clear:
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", m.Address)
	default:
		return nil, errors.New("security is starttls, tls or clear")
	}
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			conn.Close()
			return nil, err
		}
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if m.Security == StartTLS || m.Security == "" {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			c.Close()
			return nil, errors.New("the server does not offer STARTTLS; use tls, or clear within one machine")
		}
		if err := c.StartTLS(private); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// compose writes the letter as RFC 5322 and MIME have it.
func (m Mailer) compose(l Mail, from *mail.Address, to []*mail.Address, now time.Time) ([]byte, error) {
	var out bytes.Buffer
	var receivers []string
	for _, a := range to {
		receivers = append(receivers, a.String())
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	whole := multipart.NewWriter(&out)
	for _, h := range [][2]string{
		{"From", from.String()}, {"To", strings.Join(receivers, ", ")}, {"Subject", mime.BEncoding.Encode("utf-8", l.Subject)},
		{"Date", now.Format(time.RFC1123Z)}, {"Message-ID", "<" + cmp.Or(l.ID, rand.Text()) + "@" + domain + ">"}, {"MIME-Version", "1.0"},
		{"Auto-Submitted", "auto-generated"}, {"Content-Type", "multipart/mixed; boundary=" + whole.Boundary()},
	} {
		fmt.Fprintf(&out, "%s: %s\r\n", h[0], h[1])
	}
	out.WriteString("\r\n")

	var inner bytes.Buffer
	ways := multipart.NewWriter(&inner)
	if err := readable(ways, "text/plain; charset=utf-8", []byte(l.Text)); err != nil {
		return nil, err
	}
	if len(l.HTML) > 0 {
		if err := readable(ways, TypeHTML, l.HTML); err != nil {
			return nil, err
		}
	}
	if err := ways.Close(); err != nil {
		return nil, err
	}
	part, err := whole.CreatePart(textproto.MIMEHeader{"Content-Type": {"multipart/alternative; boundary=" + ways.Boundary()}})
	if err != nil {
		return nil, err
	}
	if _, err := part.Write(inner.Bytes()); err != nil {
		return nil, err
	}
	for _, f := range l.Files {
		part, err := whole.CreatePart(textproto.MIMEHeader{
			"Content-Type": {f.Type}, "Content-Transfer-Encoding": {"base64"},
			"Content-Disposition": {mime.FormatMediaType("attachment", map[string]string{"filename": f.Name})},
		})
		if err != nil {
			return nil, err
		}
		if err := folded(part, f.Content); err != nil {
			return nil, err
		}
	}
	if err := whole.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func readable(w *multipart.Writer, contentType string, content []byte) error {
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {contentType}, "Content-Transfer-Encoding": {"quoted-printable"}})
	if err != nil {
		return err
	}
	q := quotedprintable.NewWriter(part)
	if _, err := q.Write(content); err != nil {
		return err
	}
	return q.Close()
}

// folded writes base64 in lines of 76 characters.
func folded(w io.Writer, content []byte) error {
	text := base64.StdEncoding.EncodeToString(content)
	for len(text) > 0 {
		n := min(76, len(text))
		if _, err := io.WriteString(w, text[:n]+"\r\n"); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}
