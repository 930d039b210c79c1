package functions

import (
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"

	"github.com/emmansun/gmsm/sm2"
)

func signatures() []Function {
	sign := define("rsa_sign", `rsa_sign(data, key, "sha256") bytes: PKCS#1 v1.5 over sha256 (RSA2), sha1 (RSA), sha512 or md5`, func(in *arguments) (any, error) {
		key, err := rsaPrivate(in.text(1))
		if err != nil {
			return nil, err
		}
		algorithm, sum, err := hashed(in.data(0), in.text(2))
		if err != nil {
			return nil, err
		}
		return rsa.SignPKCS1v15(nil, key, algorithm, sum)
	}, new(func(Data, string, string) []byte))

	verify := define("rsa_verify", `rsa_verify(data, signature, cert, "sha256") true or false: whether the signature (bytes) is the key's; none is false`, func(in *arguments) (any, error) {
		key, err := rsaPublic(in.text(2))
		if err != nil {
			return nil, err
		}
		algorithm, sum, err := hashed(in.data(0), in.text(3))
		if err != nil {
			return nil, err
		}
		signature, ok := in.signature(1)
		return ok && rsa.VerifyPKCS1v15(key, algorithm, sum, signature) == nil, nil
	}, new(func(Data, []byte, string, string) bool))

	sign.literal = func(i int, text string) error { return knownHash(i == 2, text) }
	verify.literal = func(i int, text string) error { return knownHash(i == 3, text) }

	sm2Sign := define("sm2_sign", `sm2_sign(data, key[, "raw"[, id]]) bytes: GB/T 32918.2 over SM3, ASN.1, or r and s of 32 bytes each with "raw"; the user id is the standard's unless given`, func(in *arguments) (any, error) {
		key, err := sm2Private(in.text(1))
		if err != nil {
			return nil, err
		}
		raw, id, err := in.sm2Form(2)
		if err != nil {
			return nil, err
		}
		signature, err := key.Sign(rand.Reader, in.data(0), sm2.NewSM2SignerOption(true, id))
		if err != nil || !raw {
			return signature, err
		}
		return rawSignature(signature)
	}, new(func(Data, string) []byte), new(func(Data, string, string) []byte), new(func(Data, string, string, Data) []byte))

	sm2Verify := define("sm2_verify", `sm2_verify(data, signature, cert[, "raw"[, id]]) true or false: whether the signature (bytes, as sm2_sign gives it) is the key's; none is false`, func(in *arguments) (any, error) {
		key, err := sm2Public(in.text(2))
		if err != nil {
			return nil, err
		}
		raw, id, err := in.sm2Form(3)
		if err != nil {
			return nil, err
		}
		signature, ok := in.signature(1)
		if ok && raw {
			signature, ok = asn1Signature(signature)
		}
		return ok && sm2.VerifyASN1WithSM2(key, id, in.data(0), signature), nil
	}, new(func(Data, []byte, string) bool), new(func(Data, []byte, string, string) bool), new(func(Data, []byte, string, string, Data) bool))

	sm2Sign.literal = func(i int, text string) error { return knownForm(i == 2, text) }
	sm2Verify.literal = func(i int, text string) error { return knownForm(i == 3, text) }

	return []Function{sign, verify, sm2Sign, sm2Verify}
}

// sm2Form is how a signature is spelled, and over which user id (nil: the
// standard's 1234567812345678).
func (in *arguments) sm2Form(i int) (raw bool, id []byte, err error) {
	if len(in.values) > i {
		form := in.text(i)
		if err := knownForm(true, form); err != nil {
			return false, nil, err
		}
		raw = form == "raw"
	}
	if len(in.values) > i+1 {
		if id = in.data(i + 1); len(id) == 0 {
			return false, nil, errors.New("the user id is empty")
		}
	}
	return raw, id, nil
}

func knownForm(isForm bool, text string) error {
	if isForm && text != "raw" && text != "asn1" {
		return errors.New(`spells signatures "asn1" or "raw"`)
	}
	return nil
}

type ecSignature struct{ R, S *big.Int }

// rawSignature is r and s with 32 bytes each, as many SM2 libraries in Java and
// JavaScript give it.
func rawSignature(der []byte) ([]byte, error) {
	var s ecSignature
	if _, err := asn1.Unmarshal(der, &s); err != nil {
		return nil, errors.New("the signature is not ASN.1")
	}
	out := make([]byte, 64)
	s.R.FillBytes(out[:32])
	s.S.FillBytes(out[32:])
	return out, nil
}

func asn1Signature(raw []byte) ([]byte, bool) {
	if len(raw) != 64 {
		return nil, false
	}
	der, err := asn1.Marshal(ecSignature{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
	return der, err == nil
}

// signature is false where there is none: an answer without a signature is not
// verified, which is no error of the folder.
func (in *arguments) signature(i int) ([]byte, bool) {
	if in.at(i) == nil {
		return nil, false
	}
	return in.bytes(i), true
}

func hashed(data []byte, name string) (crypto.Hash, []byte, error) {
	switch strings.ToLower(name) {
	case "sha256":
		sum := sha256.Sum256(data)
		return crypto.SHA256, sum[:], nil
	case "sha512":
		sum := sha512.Sum512(data)
		return crypto.SHA512, sum[:], nil
	case "sha1":
		sum := sha1.Sum(data)
		return crypto.SHA1, sum[:], nil
	case "md5":
		sum := md5.Sum(data)
		return crypto.MD5, sum[:], nil
	}
	return 0, nil, errors.New("knows the digests sha256, sha1, sha512 and md5")
}

func knownHash(isName bool, text string) error {
	if !isName {
		return nil
	}
	_, _, err := hashed(nil, text)
	return err
}
