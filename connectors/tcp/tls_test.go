package tcp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"hishub/core"
)

// pair is a certificate that signs itself, and its key.
type pair struct{ cert, key string }

func newPair(t *testing.T, name string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})),
	}
}

func (p pair) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(p.cert))
	return pool
}

func TestTLS(t *testing.T) {
	server, client, stranger := newPair(t, "his.example"), newPair(t, "hub.example"), newPair(t, "other.example")
	own, err := tls.X509KeyPair([]byte(server.cert), []byte(server.key))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: client.pool()}
	h, plain := opened(t, eight, echo)
	address := serve(t, func(c net.Conn) {
		secured := tls.Server(c, config)
		defer secured.Close()
		if secured.Handshake() != nil {
			io.Copy(io.Discard, c) // else what is unread takes the alert with it
			return
		}
		// What the HIS behind it says.
		to, err := net.Dial("tcp", plain.lines.address)
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		go func() {
			b := make([]byte, 4096)
			for {
				n, err := secured.Read(b)
				if err != nil {
					to.Close()
					return
				}
				to.Write(b[:n])
			}
		}()
		b := make([]byte, 4096)
		for {
			n, err := to.Read(b)
			if err != nil {
				return
			}
			secured.Write(b[:n])
		}
	})
	with := func(ca, as pair, name string) *Connector {
		c := open(t, with(eight, map[string]any{"address": address, "tls": map[string]any{"ca": ca.cert, "cert": as.cert, "key": as.key, "server_name": name}}))
		t.Cleanup(func() { c.Close() })
		return c
	}
	c := with(server, client, "his.example")
	works(t, c, "张三测试")
	works(t, c, "again")
	if h.accepted.Load() != 1 {
		t.Errorf("%d connections, must be 1", h.accepted.Load())
	}
	fails(t, with(server, stranger, "his.example"), ask("x"), core.Unavailable, "tls: certificate required")
	fails(t, with(stranger, client, "his.example"), ask("x"), core.Unavailable, "unknown authority; name it as tls.ca")
	fails(t, with(server, client, ""), ask("x"), core.Unavailable, "for another name; see tls.server_name")
	if h.acted.Load() != 2 {
		t.Errorf("the HIS acted %d times, must be 2", h.acted.Load())
	}
}
