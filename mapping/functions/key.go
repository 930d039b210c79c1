package functions

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

// Keys come as PEM, as the base64 of one PEM block without its frame, which is
// how vendors send them by mail, or as the base64 of the PEM file. SM2 keys come as hex too: 64 digits, or a
// point of 130 that begins with 04.

var (
	errKey  = errors.New("the key is neither PEM nor base64 of a key")
	errCert = errors.New("the certificate is neither PEM nor base64 of a certificate or public key")
)

func rsaPrivate(text string) (*rsa.PrivateKey, error) {
	if key, ok := privateKey(text).(*rsa.PrivateKey); ok {
		return key, nil
	}
	return nil, notA("RSA", errKey)
}

func rsaPublic(text string) (*rsa.PublicKey, error) {
	if key, ok := publicKey(text).(*rsa.PublicKey); ok {
		return key, nil
	}
	return nil, notA("RSA", errCert)
}

func sm2Private(text string) (*sm2.PrivateKey, error) {
	if b, err := hex.DecodeString(strings.TrimSpace(text)); err == nil && len(b) == 32 {
		if key, err := sm2.NewPrivateKey(b); err == nil {
			return key, nil
		}
	}
	if key, ok := privateKey(text).(*sm2.PrivateKey); ok {
		return key, nil
	}
	return nil, notA("SM2", errKey)
}

func sm2Public(text string) (*ecdsa.PublicKey, error) {
	if b, err := hex.DecodeString(strings.TrimSpace(text)); err == nil && len(b) == 65 {
		if key, err := sm2.NewPublicKey(b); err == nil {
			return key, nil
		}
	}
	if key, ok := publicKey(text).(*ecdsa.PublicKey); ok && sm2.IsSM2PublicKey(key) {
		return key, nil
	}
	return nil, notA("SM2", errCert)
}

func notA(kind string, err error) error { return errors.New(err.Error() + " for " + kind) }

// privateKey is nil for what is none.
func privateKey(text string) any {
	der := unframed(text)
	if key, err := smx509.ParsePKCS8PrivateKey(der); err == nil {
		return key
	}
	if key, err := smx509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	if key, err := smx509.ParseSM2PrivateKey(der); err == nil {
		return key
	}
	return nil
}

// publicKey is nil for what is none. Who issued a certificate is not looked at:
// the hospital gave it for this folder.
func publicKey(text string) any {
	der := unframed(text)
	if key, err := smx509.ParsePKIXPublicKey(der); err == nil {
		return key
	}
	if cert, err := smx509.ParseCertificate(der); err == nil {
		return cert.PublicKey
	}
	if key, err := smx509.ParsePKCS1PublicKey(der); err == nil {
		return key
	}
	return nil
}

func unframed(text string) []byte {
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return block.Bytes
	}
	der, _ := base64.RawStdEncoding.DecodeString(unpadded(text))
	if block, _ := pem.Decode(der); block != nil { // the whole file as one line, as `base64 -w0 key.pem` makes it
		return block.Bytes
	}
	return der
}
