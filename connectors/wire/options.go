package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"time"

	"hishub/connectors/charset"
	"hishub/connectors/option"
	"hishub/core"
)

// Options are those that every connector has.
type Options struct {
	// Timeout of one exchange, from the first dial to the last byte of the answer.
	Timeout time.Duration
	// TLS is nil when the folder says nothing: the system's authorities are trusted.
	TLS *tls.Config
	// MaxAnswer is the most bytes of an answer.
	MaxAnswer int64
	// Concurrency is the most connections at once; 0 is no bound.
	Concurrency int
	Charset     *charset.Charset
	// Proxy is nil for a direct way; the environment has no say in it.
	Proxy *url.URL
	// Dialler is nil for the network's own.
	Dialler func(ctx context.Context, network, address string) (net.Conn, error)
	// Certificate is core.ConnectorSpec's; nil tells nobody.
	Certificate func(ours bool, expires time.Time)
}

// ReadOptions reads timeout, tls, max_answer and concurrency.
func ReadOptions(s *option.Set, spec core.ConnectorSpec) Options {
	s.Refuse("rate", "is kept for the whole hospital: write limits: {rate: 20/s} beside connectors")
	o := Options{
		Timeout:     s.Duration("timeout", 30*time.Second),
		MaxAnswer:   s.Size("max_answer", 8<<20),
		Concurrency: s.Count("concurrency"),
		Dialler:     spec.Dial,
		Certificate: spec.Certificate,
	}
	if t := s.Map("tls"); t != nil {
		o.TLS = o.watched(readTLS(t, spec.Files))
	}
	return o
}

// watched tells of the certificates that c has and meets.
func (o Options) watched(c *tls.Config) *tls.Config {
	if o.Certificate == nil {
		return c
	}
	for _, pair := range c.Certificates {
		if pair.Leaf != nil {
			o.Certificate(true, pair.Leaf.NotAfter)
		}
	}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) > 0 {
			o.Certificate(false, s.PeerCertificates[0].NotAfter)
		}
		return nil // it is verified already
	}
	return c
}

// ReadHTTP reads what connectors over HTTP have besides: proxy, charset and
// unencodable.
func (o *Options) ReadHTTP(s *option.Set) {
	o.ReadProxy(s)
	o.ReadCharset(s)
}

// ReadCharset reads charset and unencodable.
func (o *Options) ReadCharset(s *option.Set) {
	name := s.Text("charset", "UTF-8")
	unencodable := s.Text("unencodable", "refuse")
	if _, err := charset.New(name, "refuse"); err != nil {
		s.Problem("charset", err.Error())
		return
	}
	c, err := charset.New(name, unencodable)
	if err != nil {
		s.Problem("unencodable", err.Error())
	}
	o.Charset = c
}

// ReadProxy reads proxy alone, for those whose charset nobody chooses.
func (o *Options) ReadProxy(s *option.Set) {
	if text := s.Text("proxy", ""); text != "" {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			// It may hold credentials, so it is not repeated.
			s.Problem("proxy", "not an address like http://host:port")
		}
		o.Proxy = u
	}
}

func readTLS(s *option.Set, files fs.FS) *tls.Config {
	for _, name := range []string{"insecure", "insecure_skip_verify", "skip_verify"} {
		s.Refuse(name, "is not offered: a HIS that is not verified may be anybody; name its certificate as tls.ca")
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.Text("server_name", "")}
	if pem := s.File("ca", files); pem != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			s.Problem("ca", "holds no certificate in PEM form")
		}
	}
	cert, key := s.File("cert", files), s.File("key", files)
	switch {
	case cert == nil && key == nil:
	case cert == nil:
		s.Problem("cert", "missing beside key")
	case key == nil:
		s.Problem("key", "missing beside cert")
	default:
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			s.Problem("cert", "does not form a pair with key, or one of them is not in PEM form")
			break
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}
