package functions

import (
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"strings"

	"github.com/emmansun/gmsm/sm2"
)

func signatures() []Function {
	sign := define("rsa_sign", `rsa_sign(data, key, "sha256") bytes: PKCS#1 v1.5 over sha256, sha1 or md5`, func(in *arguments) (any, error) {
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

	return []Function{sign, verify,
		define("sm2_sign", "sm2_sign(data, key) bytes: GB/T 32918.2 over SM3 with the standard's user id, ASN.1", func(in *arguments) (any, error) {
			key, err := sm2Private(in.text(1))
			if err != nil {
				return nil, err
			}
			return key.Sign(rand.Reader, in.data(0), sm2.DefaultSM2SignerOpts)
		}, new(func(Data, string) []byte)),

		define("sm2_verify", "sm2_verify(data, signature, cert) true or false: whether the signature (bytes, ASN.1) is the key's; none is false", func(in *arguments) (any, error) {
			key, err := sm2Public(in.text(2))
			if err != nil {
				return nil, err
			}
			signature, ok := in.signature(1)
			return ok && sm2.VerifyASN1WithSM2(key, nil, in.data(0), signature), nil
		}, new(func(Data, []byte, string) bool)),
	}
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
	case "sha1":
		sum := sha1.Sum(data)
		return crypto.SHA1, sum[:], nil
	case "md5":
		sum := md5.Sum(data)
		return crypto.MD5, sum[:], nil
	}
	return 0, nil, errors.New("knows the digests sha256, sha1 and md5")
}

func knownHash(isName bool, text string) error {
	if !isName {
		return nil
	}
	_, _, err := hashed(nil, text)
	return err
}
