package wire

import (
	"bufio"
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
	o := ReadOptions(s, files)
	o.ReadCharset(s)
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
	for name, c := range map[string]struct {
		drop string
		want string
	}{
		"unknown authority": {"ca", "unknown authority; name it as tls.ca"},
		"another name":      {"server_name", "for another name; see tls.server_name"},
	} {
		t.Run(name, func(t *testing.T) {
			part := map[string]any{}
			for k, v := range whole {
				if k != c.drop {
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
	c, err := Dial(t.Context(), time.Second, "tcp", l.Addr().String())
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
