package wire

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"hishub/connectors/option"
	"hishub/core"
)

func options(t *testing.T, values map[string]any, files fstest.MapFS) Options {
	t.Helper()
	s := option.New(values)
	o := ReadOptions(s, core.ConnectorSpec{Files: files})
	o.ReadHTTP(s)
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return o
}

func get(t *testing.T, w *Transport, url string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.RoundTrip(q)
	if err != nil {
		return "", err
	}
	b, err := w.Body(r)
	return string(b), err
}

// A server that answers once per connection and hangs up on the second request
// after it read it: http.Transport alone sends a GET again.
func TestARequestIsNeverSentTwice(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var requests atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for n := 0; ; n++ {
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					requests.Add(1)
					if n == 1 {
						return
					}
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}()
		}
	}()
	w := NewTransport(options(t, nil, nil))
	defer w.Close()
	url := "http://" + l.Addr().String() + "/"
	if b, err := get(t, w, url); err != nil || b != "ok" {
		t.Fatal(b, err)
	}
	_, err = get(t, w, url)
	if f := Fault("get", err); err == nil || f.Class != core.InDoubt {
		t.Errorf("got %v, must be in doubt", err)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("the server was asked %d times for 2 calls", n)
	}
}

func TestTLS(t *testing.T) {
	ca, caPEM, caKey := certificate(t, nil, nil, "test authority")
	_, serverPEM, serverKey := certificate(t, ca, caKey, "his.example")
	_, clientPEM, clientKey := certificate(t, ca, caKey, "hub")
	pair, err := tls.X509KeyPair(serverPEM, keyPEM(t, serverKey))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		io.WriteString(w, q.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()

	files := fstest.MapFS{"ca.pem": {Data: caPEM}, "hub.pem": {Data: clientPEM}}
	whole := map[string]any{"ca": "ca.pem", "cert": "hub.pem", "key": string(keyPEM(t, clientKey)), "server_name": "his.example"}
	w := NewTransport(options(t, map[string]any{"tls": whole}, files))
	defer w.Close()
	for range 3 {
		if b, err := get(t, w, server.URL); err != nil || b != "hub" {
			t.Fatal(b, err)
		}
	}
	t.Run("through a proxy", func(t *testing.T) { throughProxy(t, server.URL, whole, files) })
	for name, c := range map[string]struct {
		drop string
		want string
	}{
		"unknown authority": {"ca", "unknown authority; name it as tls.ca"},
		"another name":      {"server_name", "for another name; see tls.server_name"},
		"no certificate":    {"cert key", "certificate required"},
	} {
		t.Run(name, func(t *testing.T) {
			part := map[string]any{}
			for k, v := range whole {
				if !strings.Contains(c.drop, k) {
					part[k] = v
				}
			}
			w := NewTransport(options(t, map[string]any{"tls": part}, files))
			defer w.Close()
			_, err := get(t, w, server.URL)
			if f := Fault("get", err); err == nil || f.Class != core.Unavailable || !strings.Contains(f.Error(), c.want) {
				t.Errorf("got %v, must be unavailable and say %q", err, c.want)
			}
		})
	}
}

// throughProxy goes by CONNECT: the proxy sees neither the request nor the
// certificate, and the HIS both.
func throughProxy(t *testing.T, target string, tls map[string]any, files fstest.MapFS) {
	p := newProxy(t)
	w := NewTransport(options(t, map[string]any{"tls": tls, "proxy": "http://hub:s3cret@" + p.address}, files))
	defer w.Close()
	for range 2 {
		if b, err := get(t, w, target+"/?x=1"); err != nil || b != "hub" {
			t.Fatal(b, err)
		}
	}
	if got := strings.Join(p.seen(), ", "); got != "CONNECT "+strings.TrimPrefix(target, "https://") {
		t.Errorf("the proxy saw %s", got)
	}
	other := NewTransport(options(t, map[string]any{"tls": tls, "proxy": "http://hub:wr0ng@" + p.address}, files))
	defer other.Close()
	_, err := get(t, other, target)
	if f := Fault("get", err); err == nil || f.Class != core.Unavailable || !strings.Contains(f.Error(), "the proxy refused the way with HTTP 407") || strings.Contains(f.Error(), "wr0ng") {
		t.Errorf("got %v", err)
	}
}

func TestPlainProxy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		io.WriteString(w, q.Header.Get("Proxy-Authorization")+"|"+q.URL.RequestURI())
	}))
	defer server.Close()
	p := newProxy(t)
	w := NewTransport(options(t, map[string]any{"proxy": "http://hub:s3cret@" + p.address}, nil))
	defer w.Close()
	if b, err := get(t, w, server.URL+"/his?x=1"); err != nil || b != "|/his?x=1" {
		t.Error(b, err)
	}
	if got := strings.Join(p.seen(), ", "); got != "GET "+strings.TrimPrefix(server.URL, "http://") {
		t.Errorf("the proxy saw %s", got)
	}
	s := option.New(map[string]any{"proxy": "https://u:s3cret@host/path"})
	o := ReadOptions(s, core.ConnectorSpec{})
	o.ReadHTTP(s)
	if err := s.Err(); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
}

// proxy is one that lets hub:s3cret through.
type proxy struct {
	address string
	mu      sync.Mutex
	asked   []string
}

func (p *proxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func newProxy(t *testing.T) *proxy {
	p := &proxy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Proxy-Authorization") != "Basic aHViOnMzY3JldA==" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		p.mu.Lock()
		p.asked = append(p.asked, q.Method+" "+q.Host)
		p.mu.Unlock()
		if q.Method != http.MethodConnect {
			q.Header.Del("Proxy-Authorization")
			q.RequestURI = ""
			r, err := http.DefaultTransport.RoundTrip(q)
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer r.Body.Close()
			io.Copy(w, r.Body)
			return
		}
		out, err := net.Dial("tcp", q.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		in, read, err := http.NewResponseController(w).Hijack()
		if err != nil {
			out.Close()
			return
		}
		io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(out, read); out.Close() }()
		go func() { io.Copy(in, out); in.Close() }()
	}))
	t.Cleanup(server.Close)
	p.address = server.Listener.Addr().String()
	return p
}

func TestPackedAnswers(t *testing.T) {
	pack := func(text string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, text)
		z.Close()
		return b.Bytes()
	}
	answers := map[string][]byte{
		"/small": pack("张三测试"), "/bomb": pack(strings.Repeat("x", 30<<20)), "/cut": pack("张三测试")[:20], "/lie": []byte("张三测试"),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(answers[q.URL.Path])
	}))
	defer server.Close()
	w := NewTransport(options(t, map[string]any{"max_answer": "1MiB"}, nil))
	defer w.Close()
	for _, path := range []string{"/small", "/lie"} {
		if b, err := get(t, w, server.URL+path); err != nil || b != "张三测试" {
			t.Error(path, b, err)
		}
	}
	for path, want := range map[string]string{"/bomb": "larger than max_answer", "/cut": "cannot be unpacked"} {
		b, err := get(t, w, server.URL+path)
		if f := Fault("get", err); err == nil || f.Class != core.InDoubt || !strings.Contains(f.Error(), want) || len(b) > 1<<20 {
			t.Errorf("%s: %v, %d bytes", path, err, len(b))
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "-1": 0, "x": 0, "": 0, "999999": 0,
		"Mon, 05 Jan 2026 02:01:30 GMT": 90 * time.Second, "Mon, 05 Jan 2026 01:00:00 GMT": 0,
	} {
		h := http.Header{"Retry-After": {value}, "Date": {"Mon, 05 Jan 2026 02:00:00 GMT"}}
		if got := RetryAfter(h); got != want {
			t.Errorf("%q is %v, must be %v", value, got, want)
		}
		if got := Headers(h).Get("retry-after"); want == 90*time.Second && got != "90" {
			t.Errorf("the header is %v", got)
		}
	}
}

func TestNotFoundNamesAreUnavailable(t *testing.T) {
	w := NewTransport(options(t, nil, nil))
	defer w.Close()
	_, err := get(t, w, "http://no-such-host.invalid/?key=s3cret")
	f := Fault("get", err)
	if f.Class != core.Unavailable || strings.Contains(f.Error(), "s3cret") {
		t.Error(f)
	}
}

func TestAClosedConnectionIsSeenBeforeWriting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	c, err := Options{}.Dial(t.Context(), time.Second, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	other := <-accepted
	c.Begin(true, 0)
	if c.Gone() {
		t.Fatal("a living connection is taken for gone")
	}
	if _, err := c.Write([]byte("x")); err != nil || !c.Bar() {
		t.Fatalf("write: %v, or it does not count as left", err)
	}
	if _, err := io.ReadFull(other, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	other.Close()
	c.Begin(true, 0)
	if _, err := c.Write([]byte("x")); err == nil {
		t.Fatal("wrote on a connection that the other side had closed")
	}
	if c.Bar() {
		t.Error("nothing left, but it counts as left")
	}
	if _, err := c.Write([]byte("x")); err != errBarred {
		t.Errorf("a barred connection still writes: %v", err)
	}
}

func certificate(t *testing.T, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, name string) (*x509.Certificate, []byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key
}

func keyPEM(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}
