// Package wechatpay speaks with WeChat Pay's API v3 about one merchant's account:
// the trade bill of a day, and money that goes back. Requests are signed and
// answers verified by the official SDK.
//
// Source of all names: pay.weixin.qq.com/doc/v3 (tradebill and its format,
// refund, query by out_refund_no).
package wechatpay

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/validators"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	sdkoption "github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// Gateway is where WeChat Pay listens.
const Gateway = "https://api.mch.weixin.qq.com"

// Connector is one merchant's account. It implements core.Biller, too.
type Connector struct {
	way      *wire.Transport
	base     string
	merchant string
	// sub narrows everything to one merchant under a service provider's account.
	sub       string
	validator auth.Validator
	client    *sdk.Client // signs, and verifies answers
	download  *sdk.Client // signs only: a bill carries no signature, but a checksum in an answer that does

	billTimeout time.Duration
	maxBill     int64
}

// Open reads the options; it touches no network. Errors are core.Problems.
//
//	base                  https://api.mch.weixin.qq.com
//	merchant              the account (mchid)
//	serial                of the merchant's certificate
//	key                   its private key: a PEM file of the folder, or the PEM text
//	public_key            WeChat Pay's public key (PEM), with public_key_id
//	platform_certificate  or the platform's certificates (PEM, one or more)
//	api_v3_key            or the key by which those certificates can be fetched
//	sub_merchant          only the rows and refunds of this sub_mchid
//	payments              true: the clinic's patients pay by it, too; needs app_id and api_v3_key
//	app_id                in whose name they pay
//	bill_type             ALL; there is no other
//	bill_timeout          10m, for the download; timeout is that of everything else
//	max_bill              1GiB, unpacked
//
// and timeout, max_answer, concurrency, proxy and tls as every connector has them.
func Open(spec core.ConnectorSpec) (core.Connector, error) {
	s := option.New(spec.Options)
	c := &Connector{base: readBase(s), merchant: s.Needed("merchant"), sub: s.Text("sub_merchant", "")}
	serial := s.Needed("serial")
	key := readKey(s, spec)
	known := readPlatform(s, spec)
	readPayments(s)
	s.OneOf("bill_type", "ALL") // a day of payments without its refunds, or the reverse, compares to nothing
	c.billTimeout = s.Duration("bill_timeout", 10*time.Minute)
	c.maxBill = s.Size("max_bill", 1<<30)
	options := wire.ReadOptions(s, spec)
	options.ReadProxy(s)
	if err := s.Err(); err != nil {
		return nil, err
	}
	c.way = wire.NewTransport(options)

	whole := &http.Client{Transport: wholeAnswers{c.way}, CheckRedirect: stay}
	signed := sdkoption.WithMerchantCredential(c.merchant, serial, key)
	var err error
	if c.download, err = sdk.NewClient(context.Background(), signed, sdkoption.WithoutValidator(),
		sdkoption.WithHTTPClient(&http.Client{Transport: c.way, CheckRedirect: stay})); err != nil {
		return nil, core.Problems{{Field: "key", What: "the SDK does not take it"}}
	}
	verifier := known.verifier()
	if verifier == nil {
		fetching, err := sdk.NewClient(context.Background(), signed, sdkoption.WithoutValidator(), sdkoption.WithHTTPClient(whole))
		if err != nil {
			return nil, core.Problems{{Field: "key", What: "the SDK does not take it"}}
		}
		verifier = verifiers.NewSHA256WithRSAVerifier(newFetched(fetching, c.base, known.v3))
	}
	c.validator = validators.NewWechatPayResponseValidator(verifier)
	if c.client, err = sdk.NewClient(context.Background(), signed, sdkoption.WithVerifier(verifier), sdkoption.WithHTTPClient(whole)); err != nil {
		return nil, core.Problems{{Field: "key", What: "the SDK does not take it"}}
	}
	return c, nil
}

// readPayments checks what the clinic makes payments with; nothing of it is used here.
func readPayments(s *option.Set) {
	app := s.Text("app_id", "")
	switch pays := s.Bool("payments", false); {
	case !pays && app != "":
		s.Problem("app_id", "says in whose name patients pay, and they do not: write payments: true, or leave it out")
	case pays && app == "":
		s.Problem("app_id", "missing: patients pay in its name")
	case pays && s.Text("api_v3_key", "") == "":
		s.Problem("api_v3_key", "missing: notices of payments are encrypted with it")
	case pays && s.Value("public_key") == nil && s.Value("platform_certificate") == nil:
		s.Problem("public_key", "missing: notices of payments are verified with it, or with platform_certificate")
	case pays && s.Text("sub_merchant", "") != "":
		s.Problem("sub_merchant", "is a service provider's, by whose account no payments are taken yet")
	}
}

// stay: the signature is for one address, so a redirect leads nowhere.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// readBase refuses a path: WeChat verifies the signature of the path that we sign.
func readBase(s *option.Set) string {
	text := strings.TrimSuffix(s.Text("base", Gateway), "/")
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		s.Problem("base", "not an address like "+Gateway+", without a path")
	}
	return text
}

func readKey(s *option.Set, spec core.ConnectorSpec) *rsa.PrivateKey {
	if s.Needed("key") == "" {
		return nil
	}
	text := s.File("key", spec.Files)
	if text == nil {
		return nil // said already
	}
	key, err := utils.LoadPrivateKey(string(text))
	if err != nil {
		s.Problem("key", "holds no RSA private key in PEM form (PKCS #8), like the merchant platform's apiclient_key.pem")
		return nil
	}
	return key
}

// platform is what we know WeChat Pay's answers by.
type platform struct {
	key          *rsa.PublicKey
	keyID        string
	certificates []*x509.Certificate
	v3           string
}

func readPlatform(s *option.Set, spec core.ConnectorSpec) platform {
	var p platform
	p.keyID = s.Text("public_key_id", "")
	if text := s.File("public_key", spec.Files); text != nil {
		var err error
		if p.key, err = utils.LoadPublicKey(string(text)); err != nil {
			s.Problem("public_key", "holds no RSA public key in PEM form, like the merchant platform's pub_key.pem")
		}
	}
	if (s.Value("public_key") == nil) != (p.keyID == "") {
		s.Problem("public_key", "public_key and public_key_id belong together")
	}
	if text := s.File("platform_certificate", spec.Files); text != nil {
		if p.certificates = readCertificates(text); p.certificates == nil {
			s.Problem("platform_certificate", "holds no certificate with an RSA key in PEM form")
		}
	}
	p.v3 = s.Text("api_v3_key", "")
	if n := len(p.v3); n != 0 && n != 32 {
		s.Problem("api_v3_key", "not 32 characters long")
	}
	if s.Value("public_key") == nil && s.Value("platform_certificate") == nil && p.v3 == "" {
		s.Problem("public_key", "missing: without public_key and public_key_id (or platform_certificate, or api_v3_key) an answer may be anybody's")
	}
	return p
}

func readCertificates(text []byte) []*x509.Certificate {
	var all []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return all
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil
		}
		if _, ok := c.PublicKey.(*rsa.PublicKey); !ok {
			return nil // the SDK takes it for granted
		}
		all, text = append(all, c), rest
	}
}

// verifier is nil when the certificates have to be fetched.
func (p platform) verifier() auth.Verifier {
	certificates := sdk.NewCertificateMapWithList(p.certificates)
	switch {
	case p.key != nil && p.certificates != nil: // while an account moves from certificates to the key
		return verifiers.NewSHA256WithRSACombinedVerifier(certificates, p.keyID, *p.key)
	case p.key != nil:
		return verifiers.NewSHA256WithRSAPubkeyVerifier(p.keyID, *p.key)
	case p.certificates != nil:
		return verifiers.NewSHA256WithRSAVerifier(certificates)
	}
	return nil
}

// Close implements core.Connector.
func (c *Connector) Close() error { return c.way.Close() }
