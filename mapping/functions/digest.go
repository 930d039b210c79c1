package functions

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"

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
	}
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
