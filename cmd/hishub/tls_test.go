package main

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
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign(name, nil)
	return a
}

func (a *authority) sign(name string, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: by == nil, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// files writes a certificate of the authority and its key.
func (a *authority) files(name string) (certFile, keyFile string) {
	cert, key := a.sign(name, a)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".crt", "CERTIFICATE", cert.Raw), a.write(name+".key", "EC PRIVATE KEY", der)
}

func (a *authority) write(name, kind string, der []byte) string {
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

func TestTLS(t *testing.T) {
	ours, strangers := newAuthority(t, "ours"), newAuthority(t, "strangers")
	cert, key := ours.files("hub")
	f := tlsFiles{TLSCert: cert, TLSKey: key, TLSClientCA: ours.write("ca.crt", "CERTIFICATE", ours.cert.Raw)}
	c, err := f.config()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.VerifiedChains) > 0 {
			_, _ = io.WriteString(w, r.TLS.VerifiedChains[0][0].Subject.CommonName)
		}
	}))
	server.TLS = c
	server.StartTLS()
	defer server.Close()
	ask := func(certs ...tls.Certificate) (string, error) {
		roots := x509.NewCertPool()
		roots.AddCert(ours.cert)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certs}}
		defer transport.CloseIdleConnections()
		answer, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(server.URL)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		name, err := io.ReadAll(answer.Body)
		return string(name), err
	}
	of := func(a *authority, name string) tls.Certificate {
		pair, err := tls.LoadX509KeyPair(a.files(name))
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	if name, err := ask(); err != nil || name != "" {
		t.Errorf("without a certificate: %q, %v", name, err)
	}
	if name, err := ask(of(ours, "his-dongshan")); err != nil || name != "his-dongshan" {
		t.Errorf("with one of our authority: %q, %v", name, err)
	}
	stranger := of(strangers, "his-dongshan")
	stranger.Leaf, _ = x509.ParseCertificate(stranger.Certificate[0])
	if name, err := ask(stranger); err == nil && name != "" {
		t.Errorf("a stranger is believed as %q", name)
	}

	for name, bad := range map[string]tlsFiles{
		"clients of nobody": {TLSCert: cert, TLSKey: key, TLSAPIClient: true},
		"no key":            {TLSCert: cert},
		"no certificate":    {TLSClientCA: f.TLSClientCA},
		"key for another":   {TLSCert: cert, TLSKey: func() string { _, k := ours.files("other"); return k }()},
		"CA is no PEM":      {TLSCert: cert, TLSKey: key, TLSClientCA: func() string { p := filepath.Join(t.TempDir(), "x"); _ = os.WriteFile(p, []byte("x"), 0o600); return p }()},
	} {
		if _, err := bad.config(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if c, err := (tlsFiles{}).config(); c != nil || err != nil {
		t.Error("https without files")
	}
}
