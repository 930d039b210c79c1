package paychannel

import (
	"cmp"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Keys of WeChat's dialect, as PEM text. The merchant signs requests, the
// platform answers. They are a fake channel's: they open nothing else.
type Keys struct {
	// Merchant is the account number, Serial that of its certificate.
	Merchant string `json:"merchant"`
	Serial   string `json:"serial"`
	// MerchantKey is its private key. The channel itself needs only the public part.
	MerchantKey       string `json:"merchant_key,omitempty"`
	MerchantPublicKey string `json:"merchant_public_key"`
	// PlatformKey is the channel's private key; the control port does not give it away.
	PlatformKey string `json:"-"`
	// Both ways by which a merchant may know the platform's key.
	PublicKey           string `json:"public_key"`
	PublicKeyID         string `json:"public_key_id"`
	PlatformCertificate string `json:"platform_certificate"`
	// APIV3Key, 32 characters, is what the platform encrypts its certificates with.
	APIV3Key string `json:"api_v3_key"`
}

// wechatKeys are Keys ready for use.
type wechatKeys struct {
	Keys
	merchant          *rsa.PublicKey
	platform          *rsa.PrivateKey
	certificateSerial string
}

// GenerateKeys makes keys for a merchant, so that a folder and a channel that is
// started later can share them.
func GenerateKeys(merchant string) (Keys, error) {
	k, err := Keys{}.filled(merchant)
	if err != nil {
		return Keys{}, err
	}
	return k.Keys, nil
}

func (k Keys) filled(merchant string) (*wechatKeys, error) {
	k.Merchant = cmp.Or(k.Merchant, merchant)
	k.Serial = cmp.Or(k.Serial, "5157F09EFDC096DE15EBE81A47057A7200000001")
	k.PublicKeyID = cmp.Or(k.PublicKeyID, "PUB_KEY_ID_0"+k.Merchant+"2026010500000000")
	k.APIV3Key = cmp.Or(k.APIV3Key, newToken())
	f := &wechatKeys{}
	var err error
	if k.MerchantKey == "" && k.MerchantPublicKey == "" {
		if k.MerchantKey, err = newKey(); err != nil {
			return nil, err
		}
	}
	if k.MerchantKey != "" {
		private, err := readKey(k.MerchantKey)
		if err != nil {
			return nil, fmt.Errorf("merchant: %w", err)
		}
		if k.MerchantPublicKey, err = publicPEM(&private.PublicKey); err != nil {
			return nil, err
		}
	}
	if f.merchant, err = readPublicKey(k.MerchantPublicKey); err != nil {
		return nil, fmt.Errorf("merchant: %w", err)
	}
	if k.PlatformKey == "" {
		if k.PlatformKey, err = newKey(); err != nil {
			return nil, err
		}
	}
	if f.platform, err = readKey(k.PlatformKey); err != nil {
		return nil, fmt.Errorf("platform: %w", err)
	}
	if k.PublicKey, err = publicPEM(&f.platform.PublicKey); err != nil {
		return nil, err
	}
	if k.PlatformCertificate, f.certificateSerial, err = certify(f.platform); err != nil {
		return nil, err
	}
	f.Keys = k
	return f, nil
}

func newKey() (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func readKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no private key in PEM form")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("no private key in PKCS #8 form")
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	return private, nil
}

func publicPEM(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

func readPublicKey(text string) (*rsa.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no public key in PEM form")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("no public key in PKIX form")
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	return public, nil
}

// certify makes the platform's certificate. Its serial follows from the key, so
// that a channel started again with the same key has the same one.
func certify(key *rsa.PrivateKey) (text, serial string, err error) {
	sum := sha256.Sum256(key.N.Bytes())
	number := new(big.Int).SetBytes(sum[:19])
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: "fake payment channel"},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(10, 0, 0),
	}, &x509.Certificate{SerialNumber: number, Subject: pkix.Name{CommonName: "fake payment channel"}}, &key.PublicKey, key)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), fmt.Sprintf("%X", number.Bytes()), nil
}

// sign makes the platform's signature of a text.
func (k *wechatKeys) sign(text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.platform, crypto.SHA256, sum[:])
	return base64.StdEncoding.EncodeToString(signature), err
}

// seal encrypts a text for the merchant, as the platform does with its certificates.
func (k *wechatKeys) seal(text string) (nonce, sealed string, err error) {
	return k.sealAs(text, sealedAs)
}

func (k *wechatKeys) sealAs(text, about string) (nonce, sealed string, err error) {
	block, err := aes.NewCipher([]byte(k.APIV3Key))
	if err != nil {
		return "", "", err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return "", "", err
	}
	nonce = newToken()[:gcm.NonceSize()]
	return nonce, base64.StdEncoding.EncodeToString(gcm.Seal(nil, []byte(nonce), []byte(text), []byte(about))), nil
}

const sealedAs = "certificate"

// authorized checks the header Authorization of a merchant's request.
func (k *wechatKeys) authorized(header, method, uri string, body []byte) error {
	scheme, rest, _ := strings.Cut(header, " ")
	if scheme != "WECHATPAY2-SHA256-RSA2048" {
		return errors.New("Authorization: 签名类型不正确")
	}
	part := map[string]string{}
	for _, p := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		part[name] = strings.Trim(value, `"`)
	}
	if part["mchid"] != k.Keys.Merchant || !strings.EqualFold(part["serial_no"], k.Serial) {
		return errors.New("Authorization: 商户号与证书序列号不匹配")
	}
	signature, err := base64.StdEncoding.DecodeString(part["signature"])
	if err != nil {
		return errors.New("Authorization: 签名不是 base64")
	}
	text := method + "\n" + uri + "\n" + part["timestamp"] + "\n" + part["nonce_str"] + "\n" + string(body) + "\n"
	sum := sha256.Sum256([]byte(text))
	if rsa.VerifyPKCS1v15(k.merchant, crypto.SHA256, sum[:], signature) != nil {
		return errors.New("错误的签名，验签失败")
	}
	return nil
}
