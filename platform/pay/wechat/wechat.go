// Package wechat pays by WeChat Pay's API v3, through one merchant's account. Requests are
// signed, and answers and notices verified, by the official SDK.
//
// Source of all names: pay.weixin.qq.com/doc/v3 (JSAPI, Native and H5 prepay, query by
// out_trade_no, close, refund, query by out_refund_no, payment and refund notices).
package wechat

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
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"hishub/core"
	"hishub/platform/pay"
)

// Gateway is where WeChat Pay listens.
const Gateway = "https://api.mch.weixin.qq.com"

// Options of an account. Keys are PEM text.
type Options struct {
	Base     string // Gateway if empty
	App      string // app_id: of the mini program or page that asks for payments
	Merchant string // mchid
	Serial   string // of the merchant's certificate
	Key      string // its private key
	// What WeChat Pay signs with: its public key and the id of that, or its certificates.
	PublicKey, PublicKeyID, PlatformCertificate string
	APIV3Key                                    string // notices are encrypted with it
	// Timeout of one question; 10 s if 0.
	Timeout time.Duration
}

// Channel is one account.
type Channel struct {
	base, app, merchant string
	timeout             time.Duration
	client              *sdk.Client
	validator           auth.Validator
	notices             *notify.Handler
}

var _ pay.Channel = (*Channel)(nil)

// Open reads the options and touches no network. Errors are core.Problems.
func Open(o Options) (*Channel, error) {
	c := &Channel{base: strings.TrimSuffix(o.Base, "/"), app: o.App, merchant: o.Merchant, timeout: o.Timeout}
	if c.base == "" {
		c.base = Gateway
	}
	if c.timeout <= 0 {
		c.timeout = 10 * time.Second
	}
	var ps core.Problems
	need := func(field, value, why string) {
		if value == "" {
			ps = append(ps, core.Problem{Field: field, What: "missing: " + why})
		}
	}
	need("app_id", o.App, "payments are asked for in its name")
	need("merchant", o.Merchant, "the account")
	need("serial", o.Serial, "of the merchant's certificate")
	if u, err := url.Parse(c.base); err != nil || u.Host == "" || u.Path != "" {
		ps = append(ps, core.Problem{Field: "base", What: "not an address like " + Gateway + ", without a path"})
	}
	key, err := utils.LoadPrivateKey(o.Key)
	if err != nil {
		ps = append(ps, core.Problem{Field: "key", What: "holds no RSA private key in PEM form (PKCS #8)"})
	}
	verifier, err := platform(o)
	if err != nil {
		ps = append(ps, err.(core.Problems)...)
	}
	if len(o.APIV3Key) != 32 {
		ps = append(ps, core.Problem{Field: "api_v3_key", What: "not 32 characters long; notices of payments are encrypted with it"})
	}
	if ps != nil {
		return nil, ps
	}
	c.validator = validators.NewWechatPayResponseValidator(verifier)
	c.client, err = sdk.NewClient(context.Background(), option.WithMerchantCredential(o.Merchant, o.Serial, key), option.WithVerifier(verifier),
		option.WithHTTPClient(&http.Client{Transport: bounded{http.DefaultTransport}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}))
	if err != nil {
		return nil, core.Problems{{Field: "key", What: "the SDK does not take it"}}
	}
	if c.notices, err = notify.NewRSANotifyHandler(o.APIV3Key, verifier); err != nil {
		return nil, core.Problems{{Field: "api_v3_key", What: "the SDK does not take it"}}
	}
	return c, nil
}

// platform is what WeChat Pay's answers are known by.
func platform(o Options) (auth.Verifier, error) {
	var key *rsa.PublicKey
	var err error
	if o.PublicKey != "" {
		if key, err = utils.LoadPublicKey(o.PublicKey); err != nil || o.PublicKeyID == "" {
			return nil, core.Problems{{Field: "public_key", What: "holds no RSA public key in PEM form, or public_key_id is missing"}}
		}
	}
	var certificates []*x509.Certificate
	for text := []byte(o.PlatformCertificate); ; {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, core.Problems{{Field: "platform_certificate", What: "holds no certificate in PEM form"}}
		}
		if _, isRSA := c.PublicKey.(*rsa.PublicKey); !isRSA { // the SDK takes it for granted
			return nil, core.Problems{{Field: "platform_certificate", What: "is not of an RSA key"}}
		}
		certificates, text = append(certificates, c), rest
	}
	known := sdk.NewCertificateMapWithList(certificates)
	switch {
	case key != nil && certificates != nil: // while an account moves from certificates to the key
		return verifiers.NewSHA256WithRSACombinedVerifier(known, o.PublicKeyID, *key), nil
	case key != nil:
		return verifiers.NewSHA256WithRSAPubkeyVerifier(o.PublicKeyID, *key), nil
	case certificates != nil:
		return verifiers.NewSHA256WithRSAVerifier(known), nil
	}
	return nil, core.Problems{{Field: "public_key", What: "missing: without public_key and public_key_id, or platform_certificate, a notice may be anybody's"}}
}
