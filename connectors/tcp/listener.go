package tcp

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// Listen makes a listener of its options, as core.Problems if they are wrong.
func Listen(spec core.ListenerSpec) (core.Listening, error) {
	s := option.New(spec.Options)
	l, text := wire.ReadListening(s)
	l.Address = readAddress(s)
	authority := false
	if t := s.Map("tls"); t != nil {
		l.TLS = readTLS(t, spec.Files)
		authority = l.TLS.ClientCAs != nil
	}
	if l.Client != "" && !authority {
		s.Problem("client", "there is no certificate without tls: {cert, key, ca}, ca being who signed the caller's")
	}
	l.Wire = &listener{framing: ReadFraming(s, text)}
	return l, s.Err()
}

// readTLS reads how the HIS knows us, and who signs the certificates of HIS.
func readTLS(s *option.Set, files fs.FS) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	cert, key := s.File("cert", files), s.File("key", files)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		s.Problem("cert", "does not form a pair with key, or one of them is missing or not in PEM form")
	}
	c.Certificates = []tls.Certificate{pair}
	if pem := s.File("ca", files); pem != nil {
		c.ClientCAs = x509.NewCertPool()
		c.ClientAuth = tls.VerifyClientCertIfGiven
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			s.Problem("ca", "holds no certificate in PEM form")
		}
	}
	return c
}

// listener is core.Stream over a bare connection.
type listener struct{ framing *Framing }

// Next implements core.Stream.
func (l *listener) Next(r *bufio.Reader, most int64) ([]byte, error) {
	f, err := l.framing.read(r, most)
	if errors.Is(err, wire.ErrTooLarge) {
		err = errors.New("the request is larger than max_request")
	}
	return f.raw, err
}

// Read implements core.Wire: a whole frame, or the text that was in it. What is
// called is known of HL7 v2 only; other folders say it by read.call.
func (l *listener) Read(q core.Incoming) (core.Arrival, error) {
	content, err := l.framing.unframe(q.Body)
	if err != nil {
		return core.Arrival{}, fmt.Errorf("read a request: %w", err)
	}
	text, err := l.framing.charset.Decode(content)
	if err != nil {
		return core.Arrival{Body: l.framing.charset.Legible(content)}, fmt.Errorf("read a request: %w", err)
	}
	a := core.Arrival{Call: messageType(text)}
	if text != "" {
		a.Body = text
	}
	return a, nil
}

// messageType is MSH-9 of HL7 v2, message and event: "ADT^A04"; "" in other texts.
func messageType(text string) string {
	line, _, _ := strings.Cut(text, "\r")
	line, _, _ = strings.Cut(line, "\n")
	if len(line) < 5 || !strings.HasPrefix(line, "MSH") {
		return ""
	}
	fields := strings.Split(line, line[3:4])
	if len(fields) < 9 {
		return ""
	}
	parts := strings.Split(fields[8], line[4:5])
	return strings.Join(parts[:min(2, len(parts))], "^")
}

// Write implements core.Wire: a text, or several in a list, each in a frame of
// its own. An empty list says nothing.
func (l *listener) Write(_ core.Arrival, r core.Reply) (core.Outgoing, error) {
	if len(r.Headers) > 0 {
		return core.Outgoing{}, errors.New("write a reply: a connection has no headers; put them into the text")
	}
	texts, several := r.Body.(core.List)
	if !several {
		texts = core.List{r.Body}
	}
	out := core.Outgoing{Status: 200}
	for _, v := range texts {
		text, ok := core.Text(v)
		if _, tree := v.(core.Tree); !ok || tree {
			return core.Outgoing{}, errors.New("write a reply: it is no text; write $xml or another format in the envelope's send")
		}
		frame, err := l.framing.Write(text)
		if err != nil {
			return core.Outgoing{}, fmt.Errorf("write a reply: %w", err)
		}
		out.Body = append(out.Body, frame...)
	}
	return out, nil
}

// Refuse implements core.Wire: there are no words that every HIS understands, so
// the connection ends.
func (l *listener) Refuse(status int, _ string) core.Outgoing { return core.Outgoing{Status: status} }

// Description implements core.Wire: there is none.
func (l *listener) Description(string) []byte { return nil }
