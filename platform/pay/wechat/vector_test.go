package wechat

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"

	"hishub/platform/pay"
)

// A notice as WeChat Pay's own SDK publishes it for tests: signed with its certificate, and
// sealed with an APIv3 key (core/notify/notify_test.go of wechatpay-go v0.2.20). It is
// about an agreement, and so about no payment.
const (
	publishedKey       = "testMchAPIv3Key0"
	publishedMerchant  = "1234567890"
	publishedAt        = 1624523846
	publishedSerial    = "D7CE59D1F522D701"
	publishedNonce     = "EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz"
	publishedSignature = "tJHIiIS9eB2hAYstmAmbbD3ZE5LiIm/Ug5tuL4fC0YOFRWIHV39UFIZXC0e9Wl6lBu6sKvkqDkzpqzBsVHyXFlbYZTOQrVdG4b6LfTnK4mikv9++ixJMd3vTf2yCqvBkh98zs3Ds5zsYQakzbcwhmw" +
		"4fMJs4nPLws28H0UW9FjDR//rxELLwXvV1VEA1IBLX70xptjL8hrfUjEE8kkry6yNJTHZRU8CAc7qHli2Ng1V1qb9ARbK8A3ThmFmPQvRGrapI/jS2laKKgYUmfdEdkNO6B2Cke5e8VTxY406ArAmQ" +
		"90GAihDwIcb16TQMnzCMBoutnwZKNiKRACrFmtxw2Q=="
	publishedBody        = `{"id":"3119dfba-e649-5eec-ab1e-3412bc4d2e17","create_time":"2021-06-24T16:37:26+08:00","resource_type":"encrypt-resource","event_type":"PAYSCORE.USER_OPEN_SERVICE","summary":"签约成功","resource":{"original_type":"payscore","algorithm":"AEAD_AES_256_GCM","ciphertext":"YDS3lKPaC4Y52Gf3uhft5qUBlIa8b428AWTtTauHQfQrRw+X1WpiuHIDy0vo1Vd6VEq67aVyqPdDYMkRVSDaZL3iZttevRMOoPKMifozg6XPWjIZumks/GpT48lI4NizyeaqLBokNebthah3o1H76qSlO9NkDjp9bzmKLEYYH9TEklFUpsvPqOTOcgSLgh21YJXYR7dEBXFgRLiNIKRgO5JdXh1hccRUAlyVWxE54PXpnQ==","associated_data":"payscore","nonce":"Kj7QIyUiYx1q"}}`
	publishedCertificate = `-----BEGIN CERTIFICATE-----
MIIDVzCCAj+gAwIBAgIJANfOWdH1ItcBMA0GCSqGSIb3DQEBCwUAMEIxCzAJBgNV
BAYTAlhYMRUwEwYDVQQHDAxEZWZhdWx0IENpdHkxHDAaBgNVBAoME0RlZmF1bHQg
Q29tcGFueSBMdGQwHhcNMjEwNDI3MDg1NTIzWhcNMzEwNDI1MDg1NTIzWjBCMQsw
CQYDVQQGEwJYWDEVMBMGA1UEBwwMRGVmYXVsdCBDaXR5MRwwGgYDVQQKDBNEZWZh
dWx0IENvbXBhbnkgTHRkMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA
2VCTd91fnUn73Xy9DLvt/V62TVxRTEEstVdeRaZ3B3leO0pldE806mXO4RwdHXag
HQ4vGeZN0yqm++rDsGK+U3AH7kejyD2pXshNP9Cq5YwbptiLGtjcquw4HNxJQUOm
DeJf2vg6byms9RUipiq4SzbJKqJFlUpbuIPDpSpWz10PYmyCNeDGUUK65E5h2B83
4uxl1zNLYQCrkdBzb8oUxwYeP5a2DNxmjL5lsJML7DGr5znsevnoqGRwTm9fxCGf
y8wus7hwKz6clt3Whmmda7UAdb1c08hEQFVRbF14AR73xbnd8N0obCWJPCbzMCtk
aSef4FdEEgEXJiw0VAJT8wIDAQABo1AwTjAdBgNVHQ4EFgQUT1c7nd/SUO76HSoZ
umNUJv1R5PwwHwYDVR0jBBgwFoAUT1c7nd/SUO76HSoZumNUJv1R5PwwDAYDVR0T
BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEAfTjxKRQMzNB/U6ZoCUS+BSNfa2Oh
0plMN6ZuzwiVVZwg1jywvv5yv04koS7Pd4i9E4gt9ZBUQXlpq+A3oOCEEHNRR6b2
kyazGRM7s0OP5X21WrbpSmKmU6K7hkfx30yYs08LVs/Q8DIhvaj1FCFeJzUCzYn/
fHMq4tsbKO0dKAeydPM/nrUZBmaYQVKMVOORGLFjFKVO7JV6Kq/R86ouhjEPgJOe
2xulNBUcjicqtZlBdEh/PWCYP2SpGVDclKm8jeo175T3EVAkdKzzmfpxtMmnMlmq
cTJOU9TxuGvNASMtjj7pYIerTx+xgZDXEVBWFW9PjJ0TV06tCRsgSHItgg==
-----END CERTIFICATE-----`
)

// TestThePublishedNotice: what WeChat Pay publishes as signed and sealed is verified and
// opened as it says; one byte of it changed is forged.
func TestThePublishedNotice(t *testing.T) {
	verifier, err := platform(Options{PlatformCertificate: publishedCertificate})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := notify.NewRSANotifyHandler(publishedKey, verifier)
	if err != nil {
		t.Fatal(err)
	}
	wrongKey, err := notify.NewRSANotifyHandler(strings.ToUpper(publishedKey), verifier)
	if err != nil {
		t.Fatal(err)
	}
	notice := func(c *Channel, body string) error {
		header := http.Header{}
		for name, value := range map[string]string{"Wechatpay-Nonce": publishedNonce, "Wechatpay-Timestamp": "1624523846", "Wechatpay-Serial": publishedSerial, "Wechatpay-Signature": publishedSignature} {
			header.Set(name, value)
		}
		_, err := c.Callback(t.Context(), header, []byte(body))
		return err
	}
	synctest.Test(t, func(t *testing.T) { // a notice is believed for five minutes
		time.Sleep(time.Until(time.Unix(publishedAt, 0)))
		for name, of := range map[string]struct {
			channel *Channel
			body    string
			want    string
		}{
			"as it is":         {&Channel{merchant: publishedMerchant, notices: handler}, publishedBody, "a notice is about no payment"},
			"another merchant": {&Channel{merchant: "1900000001", notices: handler}, publishedBody, "a notice is for another merchant"},
			"another key":      {&Channel{merchant: publishedMerchant, notices: wrongKey}, publishedBody, "a notice cannot be read with api_v3_key"},
			"changed":          {&Channel{merchant: publishedMerchant, notices: handler}, strings.Replace(publishedBody, "payscore", "payScore", 1), pay.ErrForged.Error()},
		} {
			if err := notice(of.channel, of.body); err == nil || err.Error() != of.want {
				t.Errorf("%s: %v, not %q", name, err, of.want)
			}
		}
		time.Sleep(time.Hour)
		if err := notice(&Channel{merchant: publishedMerchant, notices: handler}, publishedBody); !errors.Is(err, pay.ErrForged) {
			t.Errorf("an hour later: %v", err)
		}
	})
}
