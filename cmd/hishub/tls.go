package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"hishub/core"
)

// tlsFiles make the API and the hospitals' endpoints speak https by themselves.
type tlsFiles struct {
	TLSCert      string `name:"tls-cert" help:"Certificate (PEM, with its chain) to serve https with." type:"existingfile" placeholder:"FILE" env:"HISHUB_TLS_CERT"`
	TLSKey       string `name:"tls-key" help:"Its private key (PEM)." type:"existingfile" placeholder:"FILE" env:"HISHUB_TLS_KEY"`
	TLSClientCA  string `name:"tls-client-ca" help:"Authorities (PEM) whose client certificates are believed; listeners with 'client' need it." type:"existingfile" placeholder:"FILE" env:"HISHUB_TLS_CLIENT_CA"`
	TLSAPIClient bool   `name:"tls-api-client" help:"Who uses the API or the pages must show a certificate of --tls-client-ca beside the key. HIS are not asked by it." env:"HISHUB_TLS_API_CLIENT"`
}

// config is nil without a certificate. A client certificate is asked for and
// checked if given: who must have one is each listener's to say.
func (f tlsFiles) config() (*tls.Config, error) {
	switch {
	case f.TLSAPIClient && f.TLSClientCA == "":
		return nil, core.Problems{{Field: "--tls-api-client", What: "takes --tls-client-ca: whose certificates are believed"}}
	case f.TLSCert == "" && f.TLSKey == "" && f.TLSClientCA == "":
		return nil, nil
	case f.TLSCert == "" || f.TLSKey == "":
		return nil, core.Problems{{Field: "--tls-cert", What: "https takes both --tls-cert and --tls-key"}}
	}
	pair, err := tls.LoadX509KeyPair(f.TLSCert, f.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("read the certificate and its key: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if f.TLSClientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(f.TLSClientCA)
	if err != nil {
		return nil, err
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, core.Problems{{Field: "--tls-client-ca", What: "holds no certificate in PEM"}}
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven
	return c, nil
}
