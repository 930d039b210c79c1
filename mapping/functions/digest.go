package functions

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/emmansun/gmsm/sm3"
)

// digests are what the HIS asks for, MD5 and SHA-1 included: hishub does not
// choose them and trusts nothing to them but a HIS's own rule of signing.
func digests() []Function {
	return []Function{
		digest("md5", md5.New),
		digest("sha1", sha1.New),
		digest("sha256", sha256.New),
		digest("sha512", sha512.New),
		digest("sm3", sm3.New),
		keyed("hmac_md5", md5.New),
		keyed("hmac_sha1", sha1.New),
		keyed("hmac_sha256", sha256.New),
		keyed("hmac_sha512", sha512.New),
		keyed("hmac_sm3", sm3.New),

		define("uuid", `uuid(text) text: the UUID that belongs to a name, version 5 in the namespace of URLs; uuid(text, namespace) in another, which is a UUID`, func(in *arguments) (any, error) {
			namespace := urlNamespace
			if len(in.values) > 1 {
				namespace = in.text(1)
			}
			return nameUUID(namespace, in.text(0))
		}, new(func(string) string), new(func(string, string) string)),
	}
}

// urlNamespace is the namespace of names that are URLs (RFC 9562, 6.6).
const urlNamespace = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"

// nameUUID is a UUID of version 5 (RFC 9562, 5.5): the same name has the same one for ever.
func nameUUID(namespace, name string) (string, error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(namespace, "-", ""))
	if err != nil || len(raw) != 16 {
		return "", errors.New("the namespace is no UUID")
	}
	sum := sha1.Sum(append(raw, name...))
	u := sum[:16]
	u[6], u[8] = u[6]&0x0f|0x50, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]), nil
}

func digest(name string, algorithm func() hash.Hash) Function {
	return define(name, name+"(data) text: the digest in lower hex", func(in *arguments) (any, error) {
		h := algorithm()
		h.Write(in.data(0))
		return hex.EncodeToString(h.Sum(nil)), nil
	}, new(func(Data) string))
}

func keyed(name string, algorithm func() hash.Hash) Function {
	return define(name, name+"(data, key) text: the keyed digest in lower hex; an empty key is an error", func(in *arguments) (any, error) {
		key := in.data(1)
		if len(key) == 0 {
			return nil, errors.New("the key is empty")
		}
		h := hmac.New(algorithm, key)
		h.Write(in.data(0))
		return hex.EncodeToString(h.Sum(nil)), nil
	}, new(func(Data, Data) string))
}
