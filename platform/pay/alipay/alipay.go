// Package alipay pays by Alipay's gateway, through one account. Requests are signed, and
// answers and notices verified, by smartwalle's SDK.
//
// Source of all names: opendocs.alipay.com (alipay.trade.precreate, create, wap.pay, query,
// close, refund, fastpay.refund.query, asynchronous notices).
package alipay

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/smartwalle/alipay/v3"
	"github.com/smartwalle/nsign"

	"hishub/core"
	"hishub/platform/pay"
)

// Gateway is where Alipay listens.
const Gateway = "https://openapi.alipay.com/gateway.do"

// zone of Alipay's clock; its texts carry none.
var zone = time.FixedZone("CST", 8*60*60)

const timeLayout = "2006-01-02 15:04:05"

// Options of an account. Keys are PEM, or the bare base64 that Alipay's own tool writes.
type Options struct {
	Base      string // Gateway if empty
	App       string // app_id
	Key       string // the application's private key
	PublicKey string // Alipay's own (支付宝公钥), not the application's
	Store     string // of which payments are (store_id); "" names none
	// Timeout of one question; 10 s if 0.
	Timeout time.Duration
}

// Channel is one account.
type Channel struct {
	app     string
	store   string
	timeout time.Duration
	client  *sdk.Client
}

var _ pay.Channel = (*Channel)(nil)

// Open reads the options and touches no network. Errors are core.Problems.
func Open(o Options) (*Channel, error) {
	if o.Base == "" {
		o.Base = Gateway
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	var ps core.Problems
	if u, err := url.Parse(o.Base); err != nil || u.Host == "" || u.RawQuery != "" {
		ps = append(ps, core.Problem{Field: "base", What: "not an address like " + Gateway + ", without a query"})
	}
	if o.App == "" {
		ps = append(ps, core.Problem{Field: "app_id", What: "missing"})
	}
	private, err := privateKey(o.Key)
	if err != nil {
		ps = append(ps, core.Problem{Field: "key", What: err.Error()})
	}
	public, err := publicKey(o.PublicKey)
	if err != nil {
		ps = append(ps, core.Problem{Field: "public_key", What: err.Error()})
	}
	if ps != nil {
		return nil, ps
	}
	signer := nsign.New(nsign.WithMethod(nsign.NewRSAMethod(crypto.SHA256, private, nil)), nsign.WithEncoder(sdk.Encoder{}))
	verifier := nsign.New(nsign.WithMethod(nsign.NewRSAMethod(crypto.SHA256, nil, public)), nsign.WithEncoder(sdk.Encoder{}))
	// Always the "sandbox" one, with our address in it: the "production" one asks the gateway
	// for a certificate that an answer names, and trusts what comes without verifying it.
	client, err := sdk.NewWithSigner(o.App, signer, false, sdk.WithSandboxGateway(o.Base), sdk.WithVerifier("alipay", verifier), sdk.WithTimeLocation(zone),
		sdk.WithHTTPClient(&http.Client{Transport: bounded{http.DefaultTransport}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}))
	if err != nil {
		return nil, core.Problems{{Field: "key", What: "the SDK does not take it"}}
	}
	return &Channel{o.App, o.Store, o.Timeout, client}, nil
}

func der(text string) []byte {
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return block.Bytes
	}
	b, _ := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	return b
}

func privateKey(text string) (*rsa.PrivateKey, error) {
	b := der(text)
	if k, err := x509.ParsePKCS1PrivateKey(b); err == nil {
		return k, nil
	}
	k, err := x509.ParsePKCS8PrivateKey(b)
	if private, ok := k.(*rsa.PrivateKey); err == nil && ok {
		return private, nil
	}
	return nil, errors.New("not an RSA private key in PKCS#1 or PKCS#8")
}

func publicKey(text string) (*rsa.PublicKey, error) {
	k, err := x509.ParsePKIXPublicKey(der(text))
	if public, ok := k.(*rsa.PublicKey); err == nil && ok {
		return public, nil
	}
	return nil, errors.New("not an RSA public key; it is Alipay's own (支付宝公钥), not the one of the application")
}

// mostAnswer is how long an answer may be.
const mostAnswer = 1 << 20

// bounded reads answers up to mostAnswer, which the SDK does not.
type bounded struct{ way http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(q *http.Request) (*http.Response, error) {
	r, err := b.way.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, mostAnswer+1))
	if err == nil && len(body) > mostAnswer {
		err = errors.New("the answer is too long")
	}
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r, nil
}

// ask carries one exchange; answer points to a struct with an sdk.Error in it. doubt says
// why nothing of the answer can be believed; without one, Alipay has signed what it holds, a
// refusal among it.
func (c *Channel) ask(ctx context.Context, param sdk.Param, answer any) (doubt string) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := c.client.Request(ctx, param, answer)
	var unsigned *sdk.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &unsigned) && unsigned != nil: // the gateway refuses to look at it, and signs nothing
		return fmt.Sprintf("the gateway answered without a signature: %s %s", plain(string(unsigned.Code)), plain(unsigned.SubCode))
	case ctx.Err() != nil:
		return "Alipay did not answer in time"
	case errors.Is(err, rsa.ErrVerification), errors.Is(err, sdk.ErrAliPublicKeyNotFound):
		return "an answer is not signed by Alipay's key"
	}
	return "Alipay was not reached, or its answer is none" // the SDK's words repeat parts of it
}

// unsure reports whether Alipay itself does not know what became of a request.
func unsure(e sdk.Error) bool {
	sub := strings.ToLower(e.SubCode)
	return e.Code == "20000" || strings.HasSuffix(sub, "system_error") || strings.HasPrefix(sub, "aop.") || strings.HasSuffix(sub, "unknow_error") || strings.HasSuffix(sub, "unknow-error") // their spelling
}

// plain is a code of Alipay's as far as it looks like one.
func plain(code string) string {
	if len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	}) {
		return "(not a code)"
	}
	return code
}
