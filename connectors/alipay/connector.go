// Package alipay speaks with Alipay's gateway about one account: the bill of a
// day, and money that goes back.
//
// Source of all names: opendocs.alipay.com, alipay.data.dataservice.bill.downloadurl.query,
// alipay.trade.refund and alipay.trade.fastpay.refund.query.
package alipay

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/smartwalle/alipay/v3"
	"github.com/smartwalle/nsign"

	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// Connector is one account at Alipay. It implements core.Biller, too.
type Connector struct {
	way      *wire.Transport
	base     string
	appID    string
	signer   nsign.Signer
	verifier sdk.Verifier

	// account and store narrow the bill: it must be that account's, and only rows
	// of that store count. Both may be empty.
	account, store string
	// ready is how long after the end of a day its bill is made; before, "there
	// is no bill" only says that it is not made yet.
	ready    time.Duration
	maxBill  int64
	patience time.Duration // with the download of a bill
	now      func() time.Time
}

// Gateway is where Alipay listens.
const Gateway = "https://openapi.alipay.com/gateway.do"

// zone of Alipay's clock; its texts carry none.
var zone = time.FixedZone("CST", 8*60*60)

// Open reads the options; it touches no network. Errors are core.Problems. With payments the
// clinic's patients pay by the account, too, which nothing here has a part in.
func Open(spec core.ConnectorSpec) (core.Connector, error) {
	s := option.New(spec.Options)
	c := &Connector{now: time.Now, base: s.Text("base", Gateway)}
	if u, err := url.Parse(c.base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		s.Problem("base", "not an address like "+Gateway+", without a query")
	}
	c.appID = s.Needed("app_id")
	private := readKey(s, spec, "key", readPrivate)
	public := readKey(s, spec, "public_key", readPublic)
	s.Bool("payments", false)
	c.account, c.store = s.Text("account", ""), s.Text("store", "")
	c.ready = readClock(s, "ready", 10*time.Hour)
	c.patience = s.Duration("bill_timeout", 10*time.Minute)
	c.maxBill = s.Size("max_bill", 1<<30)
	options := wire.ReadOptions(s, spec)
	options.ReadProxy(s)
	if err := s.Err(); err != nil {
		return nil, err
	}
	c.way = wire.NewTransport(options)
	c.signer = nsign.New(nsign.WithMethod(nsign.NewRSAMethod(crypto.SHA256, private, nil)), nsign.WithEncoder(sdk.Encoder{}))
	c.verifier = nsign.New(nsign.WithMethod(nsign.NewRSAMethod(crypto.SHA256, nil, public)), nsign.WithEncoder(sdk.Encoder{}))
	return c, nil
}

// readClock reads a time of day, "10:00", as what has passed since midnight.
func readClock(s *option.Set, name string, otherwise time.Duration) time.Duration {
	text := s.Text(name, "")
	if text == "" {
		return otherwise
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		s.Problem(name, `not a time of day like "10:00"`)
		return otherwise
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

// readKey reads a key that must be there: a file of the folder, or its text.
func readKey[K any](s *option.Set, spec core.ConnectorSpec, name string, read func([]byte) (*K, error)) *K {
	text := s.File(name, spec.Files)
	switch v := spec.Options[name]; {
	case v == nil:
		s.Problem(name, "missing")
	case v == "":
		s.Problem(name, "empty (is the environment variable set?)")
	case text != nil:
		k, err := read(text)
		if err != nil {
			s.Problem(name, err.Error())
		}
		return k
	}
	return nil
}

// der finds the key in PEM, or in the bare base64 that Alipay's own tool writes.
func der(text []byte) ([]byte, error) {
	if block, _ := pem.Decode(text); block != nil {
		return block.Bytes, nil
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil || len(b) == 0 {
		return nil, errors.New("no key in PEM form")
	}
	return b, nil
}

func readPrivate(text []byte) (*rsa.PrivateKey, error) {
	b, err := der(text)
	if err != nil {
		return nil, err
	}
	if k, err := x509.ParsePKCS1PrivateKey(b); err == nil {
		return k, nil
	}
	k, err := x509.ParsePKCS8PrivateKey(b)
	if private, ok := k.(*rsa.PrivateKey); err == nil && ok {
		return private, nil
	}
	return nil, errors.New("not an RSA private key in PKCS#1 or PKCS#8")
}

func readPublic(text []byte) (*rsa.PublicKey, error) {
	b, err := der(text)
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKIXPublicKey(b)
	if public, ok := k.(*rsa.PublicKey); err == nil && ok {
		return public, nil
	}
	return nil, errors.New("not an RSA public key; it is Alipay's own (支付宝公钥), not the one of the application")
}

// Close implements core.Connector.
func (c *Connector) Close() error { return c.way.Close() }

// keyName stands for Alipay's key in the SDK.
const keyName = "alipay"

// client makes a client of the SDK for one exchange, which it records.
//
// It is always the "sandbox" one, with our address in it. The "production" one
// does something else than its name says: for an answer that names a certificate
// that it has not seen it asks the gateway for that certificate, and trusts what
// comes without verifying it. Whoever can answer could then sign, too.
func (c *Connector) client(way http.RoundTripper) (*sdk.Client, error) {
	return sdk.NewWithSigner(c.appID, c.signer, false,
		sdk.WithSandboxGateway(c.base), sdk.WithVerifier(keyName, c.verifier), sdk.WithTimeLocation(zone),
		sdk.WithHTTPClient(&http.Client{Transport: way, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}))
}

// ask carries one exchange. answer points to a struct with an sdk.Error in it;
// when ask returns no error, Alipay has signed what it holds, a refusal among it.
func (c *Connector) ask(ctx context.Context, param sdk.Param, answer any) (core.Response, error) {
	op := "alipay " + param.APIName()
	record := &recording{way: c.way}
	client, err := c.client(record)
	if err != nil {
		return core.Response{}, wire.Invalid(op, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.way.Timeout)
	defer cancel()
	err = client.Request(ctx, param, answer)
	r := core.Response{Sent: record.sent, Received: record.received, Status: record.status, Headers: record.headers}
	var way *wire.Error
	switch unsigned, ok := unsignedRefusal(err); {
	case err == nil:
		return r, nil
	case ok:
		return r, refusedAtTheDoor(op, unsigned)
	case errors.As(err, &way):
		return r, wire.Fault(op, err)
	case errors.Is(err, rsa.ErrVerification), errors.Is(err, sdk.ErrAliPublicKeyNotFound):
		return r, wire.InDoubt(op, errors.New("the answer is not signed by Alipay's key; is option public_key the one that Alipay shows for this application?"))
	}
	// The SDK's other errors repeat parts of the answer.
	return r, wire.InDoubt(op, fmt.Errorf("the answer (HTTP %s) is not what the gateway writes", r.Status))
}

// unsignedRefusal: the SDK gives an answer without a signature as an error,
// whatever its code says.
func unsignedRefusal(err error) (sdk.Error, bool) {
	var e *sdk.Error
	if errors.As(err, &e) && e != nil {
		return *e, true
	}
	return sdk.Error{}, false
}

// refusedAtTheDoor judges an answer that Alipay did not sign. The gateway signs
// what it says of a trade; without a signature come only its refusals to look at
// the request at all, which somebody must mend.
func refusedAtTheDoor(op string, e sdk.Error) error {
	code := string(e.Code)
	said := fmt.Errorf("the gateway refused it with %s %s", plain(code), plain(e.SubCode))
	switch code {
	case "20001", "40001", "40002", "40003", "40006":
		return wire.Invalid(op, fmt.Errorf("%w; check app_id, key and the application's permissions", said))
	case "40005": // called too often: not looked at
		return &core.Fault{Class: core.Unavailable, Op: op, Err: said}
	}
	return wire.InDoubt(op, fmt.Errorf("an answer without a signature: %s %s", plain(code), plain(e.SubCode)))
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

// unsure reports whether Alipay itself does not know what became of a request.
func unsure(e sdk.Error) bool {
	sub := strings.ToLower(e.SubCode)
	return e.Code == "20000" || strings.HasSuffix(sub, "system_error") || strings.HasPrefix(sub, "aop.") ||
		strings.HasSuffix(sub, "unknow_error") || strings.HasSuffix(sub, "unknow-error") // their spelling
}
