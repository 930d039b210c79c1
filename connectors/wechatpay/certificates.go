package wechatpay

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	sdk "github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"
)

// fetched are the platform's certificates, asked for when an answer is signed by
// one that we have not seen: the first time, and after the platform has changed
// its key. They come encrypted with the merchant's api_v3_key, by which we know
// that they are the platform's.
//
// The SDK has such a thing, too, but it asks in the constructor, in the
// background, and always at WeChat's own address.
type fetched struct {
	client *sdk.Client
	base   string
	v3     string

	// turn holds one token: who has it may fetch. Others wait for it no longer than
	// their own call may take.
	turn chan struct{}

	mu    sync.Mutex
	known map[string]*x509.Certificate
	asked time.Time
}

func newFetched(client *sdk.Client, base, v3 string) *fetched {
	return &fetched{client: client, base: base, v3: v3, turn: make(chan struct{}, 1)}
}

// pause between two times of asking: an answer with a made-up serial must not
// make us ask for each of them.
const pause = time.Minute

// Get implements core.CertificateGetter of the SDK.
func (f *fetched) Get(ctx context.Context, serial string) (*x509.Certificate, bool) {
	if c, _ := f.look(serial); c != nil {
		return c, true
	}
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	defer func() { <-f.turn }()
	c, fresh := f.look(serial) // who had the turn before may have fetched it
	if c != nil || fresh {
		return c, c != nil
	}
	certificates, ok := f.fetch(ctx)
	if !ok {
		return nil, false // the next answer may try again
	}
	f.mu.Lock()
	f.asked, f.known = time.Now(), certificates
	f.mu.Unlock()
	c, _ = f.look(serial)
	return c, c != nil
}

// look gives a known certificate, and reports whether all are as of just now.
func (f *fetched) look(serial string) (c *x509.Certificate, fresh bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known[serial], time.Since(f.asked) < pause
}

func (f *fetched) fetch(ctx context.Context) (map[string]*x509.Certificate, bool) {
	result, err := f.client.Get(ctx, f.base+"/v3/certificates")
	if err != nil {
		return nil, false
	}
	var answer struct {
		Data []struct {
			Encrypted struct {
				Nonce      string `json:"nonce"`
				Associated string `json:"associated_data"`
				Text       string `json:"ciphertext"`
			} `json:"encrypt_certificate"`
		} `json:"data"`
	}
	body, err := restored(result.Response)
	if err != nil || json.Unmarshal(body, &answer) != nil {
		return nil, false
	}
	all := map[string]*x509.Certificate{}
	for _, d := range answer.Data {
		if len(d.Encrypted.Nonce) != 12 { // another length makes the cipher panic
			return nil, false
		}
		text, err := utils.DecryptAES256GCM(f.v3, d.Encrypted.Associated, d.Encrypted.Nonce, d.Encrypted.Text)
		if err != nil {
			return nil, false
		}
		c, err := utils.LoadCertificate(text)
		if err != nil {
			return nil, false
		}
		if _, isRSA := c.PublicKey.(*rsa.PublicKey); !isRSA {
			return nil, false
		}
		all[utils.GetCertificateSerialNumber(*c)] = c
	}
	return all, true
}

// GetAll implements core.CertificateGetter of the SDK.
func (f *fetched) GetAll(context.Context) map[string]*x509.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.known)
}

// GetNewestSerial implements core.CertificateGetter of the SDK; "" while none is known.
func (f *fetched) GetNewestSerial(context.Context) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return sdk.NewCertificateMapWithList(slices.Collect(maps.Values(f.known))).GetNewestSerial(context.Background())
}
