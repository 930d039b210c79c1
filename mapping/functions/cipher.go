package functions

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"slices"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm4"
)

// errNotOpened is all that is said of a cipher text: which check failed is
// nobody's business.
var errNotOpened = errors.New("the bytes do not open with this key")

// ciphers are the HIS's choice, ECB and DES included. Block ciphers pad as PKCS#7
// unless told otherwise. rsa and sm2 are random by nature: no golden file can hold
// them.
func ciphers() []Function {
	return slices.Concat(
		block("aes", aesBlock, "16, 24 or 32", true),
		block("des", des.NewCipher, "8", false),
		block("des3", des3Block, "16 or 24", false),
		block("sm4", sm4.NewCipher, "16", true),
		rsaCiphers(),
		sm2Ciphers(),
	)
}

func rsaCiphers() []Function {
	seal := define("rsa", `rsa(data, cert[, "oaep"]) bytes: PKCS#1 v1.5, or OAEP with SHA-1 ("oaep") or SHA-256 ("oaep_sha256"); longer data in as many blocks as it takes`, func(in *arguments) (any, error) {
		key, err := rsaPublic(in.text(1))
		if err != nil {
			return nil, err
		}
		oaep, err := oaepOf(in.optional(2, "pkcs1"))
		if err != nil {
			return nil, err
		}
		if oaep == nil {
			return inBlocks(in.data(0), key.Size()-11, func(b []byte) ([]byte, error) {
				return rsa.EncryptPKCS1v15(rand.Reader, key, b)
			})
		}
		return inBlocks(in.data(0), key.Size()-2*oaep().Size()-2, func(b []byte) ([]byte, error) {
			return rsa.EncryptOAEP(oaep(), rand.Reader, key, b, nil)
		})
	}, new(func(Data, string) []byte), new(func(Data, string, string) []byte))

	open := reader("from_rsa", `from_rsa(bytes, key[, "oaep"]) bytes: opens what rsa sealed; nil gives nil`, func(in *arguments) (any, error) {
		key, err := rsaPrivate(in.text(1))
		if err != nil {
			return nil, err
		}
		oaep, err := oaepOf(in.optional(2, "pkcs1"))
		if err != nil {
			return nil, err
		}
		b := in.bytes(0)
		if len(b) == 0 || len(b)%key.Size() != 0 {
			return nil, errNotOpened
		}
		return inBlocks(b, key.Size(), func(b []byte) ([]byte, error) {
			var out []byte
			var err error
			if oaep == nil {
				out, err = rsa.DecryptPKCS1v15(nil, key, b)
			} else {
				out, err = rsa.DecryptOAEP(oaep(), nil, key, b, nil)
			}
			if err != nil {
				return nil, errNotOpened
			}
			return out, nil
		})
	}, new(func([]byte, string) []byte), new(func([]byte, string, string) []byte))

	seal.literal = func(i int, text string) error { return knownBy(i == 2, text, oaepOf) }
	open.literal = seal.literal
	return []Function{seal, open}
}

// oaepOf is nil for PKCS#1 v1.5.
func oaepOf(name string) (func() hash.Hash, error) {
	switch name {
	case "pkcs1":
		return nil, nil
	case "oaep":
		return sha1.New, nil
	case "oaep_sha256":
		return sha256.New, nil
	}
	return nil, errors.New(`pads as "pkcs1", "oaep" or "oaep_sha256"`)
}

func sm2Ciphers() []Function {
	seal := define("sm2", `sm2(data, cert[, "c1c2c3"]) bytes: GB/T 32918.4, C1C3C2 with an uncompressed point (04…); "c1c2c3" is the order of 2010, "asn1" GM/T 0009`, func(in *arguments) (any, error) {
		key, err := sm2Public(in.text(1))
		if err != nil {
			return nil, err
		}
		order, err := sm2Order(in.optional(2, "c1c3c2"))
		if err != nil {
			return nil, err
		}
		b := in.data(0)
		if len(b) == 0 {
			return nil, errors.New("there is nothing to seal")
		}
		return sm2.Encrypt(rand.Reader, key, b, order)
	}, new(func(Data, string) []byte), new(func(Data, string, string) []byte))

	open := reader("from_sm2", `from_sm2(bytes, key[, "c1c2c3"]) bytes: opens C1C3C2 with or without the leading 04, or ASN.1, or the order that is said; nil gives nil`, func(in *arguments) (any, error) {
		key, err := sm2Private(in.text(1))
		if err != nil {
			return nil, err
		}
		order := in.optional(2, "c1c3c2")
		if _, err := sm2Order(order); err != nil {
			return nil, err
		}
		options := crypto.DecrypterOpts(sm2.NewPlainDecrypterOpts(sm2.C1C3C2))
		switch order {
		case "c1c2c3":
			options = sm2.NewPlainDecrypterOpts(sm2.C1C2C3)
		case "asn1":
			options = sm2.ASN1DecrypterOpts
		}
		b := in.bytes(0)
		for _, b := range [][]byte{b, append([]byte{4}, b...)} {
			if out, err := key.Decrypt(nil, b, options); err == nil {
				return out, nil
			}
			if len(in.values) == 2 {
				if out, err := sm2.Decrypt(key, b); err == nil {
					return out, nil
				}
			}
		}
		return nil, errNotOpened
	}, new(func([]byte, string) []byte), new(func([]byte, string, string) []byte))

	seal.literal = func(i int, text string) error { return knownBy(i == 2, text, sm2Order) }
	open.literal = seal.literal
	return []Function{seal, open}
}

func sm2Order(name string) (*sm2.EncrypterOpts, error) {
	switch name {
	case "c1c3c2":
		return sm2.NewPlainEncrypterOpts(sm2.MarshalUncompressed, sm2.C1C3C2), nil
	case "c1c2c3":
		return sm2.NewPlainEncrypterOpts(sm2.MarshalUncompressed, sm2.C1C2C3), nil
	case "asn1":
		return sm2.ASN1EncrypterOpts, nil
	}
	return nil, errors.New(`orders as "c1c3c2", "c1c2c3" or "asn1"`)
}

// knownBy refuses a literal that the function would.
func knownBy[T any](isName bool, text string, known func(string) (T, error)) error {
	if !isName {
		return nil
	}
	_, err := known(text)
	return err
}

// optional is the i-th argument, which need not be there.
func (in *arguments) optional(i int, otherwise string) string {
	if i >= len(in.values) {
		return otherwise
	}
	return in.text(i)
}

type newBlock func(key []byte) (cipher.Block, error)

// block is a block cipher in the modes that dialects use.
func block(name string, algorithm newBlock, sizes string, gcm bool) []Function {
	open := func(key []byte) (cipher.Block, error) {
		b, err := algorithm(key)
		if err != nil {
			return nil, fmt.Errorf("the key has %d bytes, not %s", len(key), sizes)
		}
		return b, nil
	}
	ecb := name + "_ecb"
	seal := define(ecb, ecb+`(data, key[, "zero"]) bytes: a key of `+sizes+` bytes; PKCS#7, or padded with "zero" bytes, or "none"`, func(in *arguments) (any, error) {
		b, err := open(in.data(1))
		if err != nil {
			return nil, err
		}
		out, err := padded(in.data(0), b.BlockSize(), in.optional(2, pkcs7))
		for i := 0; i < len(out); i += b.BlockSize() {
			b.Encrypt(out[i:], out[i:])
		}
		return out, err
	}, new(func(Data, Data) []byte), new(func(Data, Data, string) []byte))

	unseal := reader("from_"+ecb, "from_"+ecb+`(bytes, key[, "zero"]) bytes: opens what `+ecb+" sealed; nil gives nil", func(in *arguments) (any, error) {
		b, err := open(in.data(1))
		if err != nil {
			return nil, err
		}
		out := bytes.Clone(in.bytes(0))
		if len(out)%b.BlockSize() != 0 {
			return nil, errNotOpened
		}
		for i := 0; i < len(out); i += b.BlockSize() {
			b.Decrypt(out[i:], out[i:])
		}
		return unpad(out, b.BlockSize(), in.optional(2, pkcs7))
	}, new(func([]byte, Data) []byte), new(func([]byte, Data, string) []byte))

	with := func(in *arguments) (cipher.Block, []byte, error) {
		b, err := open(in.data(1))
		if err != nil {
			return nil, nil, err
		}
		iv := in.data(2)
		if len(iv) != b.BlockSize() {
			return nil, nil, fmt.Errorf("the iv has %d bytes, not %d", len(iv), b.BlockSize())
		}
		return b, iv, nil
	}
	cbc := name + "_cbc"
	chain := define(cbc, cbc+`(data, key, iv[, "zero"]) bytes: a key of `+sizes+` bytes, an iv of one block; PKCS#7, or padded with "zero" bytes, or "none"`, func(in *arguments) (any, error) {
		b, iv, err := with(in)
		if err != nil {
			return nil, err
		}
		out, err := padded(in.data(0), b.BlockSize(), in.optional(3, pkcs7))
		if err != nil {
			return nil, err
		}
		cipher.NewCBCEncrypter(b, iv).CryptBlocks(out, out)
		return out, nil
	}, new(func(Data, Data, Data) []byte), new(func(Data, Data, Data, string) []byte))

	unchain := reader("from_"+cbc, "from_"+cbc+`(bytes, key, iv[, "zero"]) bytes: opens what `+cbc+" sealed; nil gives nil", func(in *arguments) (any, error) {
		b, iv, err := with(in)
		if err != nil {
			return nil, err
		}
		out := bytes.Clone(in.bytes(0))
		if len(out)%b.BlockSize() != 0 {
			return nil, errNotOpened
		}
		cipher.NewCBCDecrypter(b, iv).CryptBlocks(out, out)
		return unpad(out, b.BlockSize(), in.optional(3, pkcs7))
	}, new(func([]byte, Data, Data) []byte), new(func([]byte, Data, Data, string) []byte))

	seal.literal = func(i int, text string) error { return knownPadding(i == 2, text) }
	unseal.literal = seal.literal
	chain.literal = func(i int, text string) error { return knownPadding(i == 3, text) }
	unchain.literal = chain.literal
	functions := []Function{seal, unseal, chain, unchain}
	if gcm {
		functions = append(functions, authenticated(name+"_gcm", open, sizes)...)
	}
	return functions
}

// authenticated is GCM as Java and OpenSSL's users write it: the tag of 16 bytes
// follows what was sealed.
func authenticated(name string, open newBlock, sizes string) []Function {
	with := func(in *arguments) (cipher.AEAD, []byte, []byte, error) {
		b, err := open(in.data(1))
		if err != nil {
			return nil, nil, nil, err
		}
		nonce, extra := in.data(2), []byte(nil)
		if len(in.values) > 3 {
			extra = in.data(3)
		}
		if len(nonce) == 0 {
			return nil, nil, nil, errors.New("the nonce is empty")
		}
		gcm, err := cipher.NewGCMWithNonceSize(b, len(nonce))
		return gcm, nonce, extra, err
	}
	return []Function{
		define(name, name+"(data, key, nonce[, extra]) bytes: a key of "+sizes+" bytes, a nonce (12 bytes, as a rule) that is used only once; extra is signed, not sealed; the tag of 16 bytes comes last", func(in *arguments) (any, error) {
			gcm, nonce, extra, err := with(in)
			if err != nil {
				return nil, err
			}
			return gcm.Seal([]byte{}, nonce, in.data(0), extra), nil
		}, new(func(Data, Data, Data) []byte), new(func(Data, Data, Data, Data) []byte)),

		reader("from_"+name, "from_"+name+"(bytes, key, nonce[, extra]) bytes: opens what "+name+" sealed; nil gives nil", func(in *arguments) (any, error) {
			gcm, nonce, extra, err := with(in)
			if err != nil {
				return nil, err
			}
			out, err := gcm.Open([]byte{}, nonce, in.bytes(0), extra)
			if err != nil {
				return nil, errNotOpened
			}
			return out, nil
		}, new(func([]byte, Data, Data) []byte), new(func([]byte, Data, Data, Data) []byte)),
	}
}

func aesBlock(key []byte) (cipher.Block, error) { return aes.NewCipher(key) }

// des3Block takes two keys as well, the third is then the first again.
func des3Block(key []byte) (cipher.Block, error) {
	if len(key) == 16 {
		key = append(bytes.Clone(key), key[:8]...)
	}
	return des.NewTripleDESCipher(key)
}

const pkcs7 = "pkcs7"

func knownPadding(isPadding bool, text string) error {
	if isPadding && text != pkcs7 && text != "zero" && text != "none" {
		return errors.New(`pads as "pkcs7", "zero" or "none"`)
	}
	return nil
}

// padded is a copy that fills its blocks.
func padded(b []byte, size int, padding string) ([]byte, error) {
	if err := knownPadding(true, padding); err != nil {
		return nil, err
	}
	n := size - len(b)%size
	if padding != pkcs7 && n == size {
		n = 0
	}
	fill := byte(n)
	switch {
	case padding == "zero":
		fill = 0
	case padding == "none" && n > 0:
		return nil, fmt.Errorf("the data has %d bytes, without padding it must be a multiple of %d", len(b), size)
	}
	out := make([]byte, 0, len(b)+n)
	return append(append(out, b...), bytes.Repeat([]byte{fill}, n)...), nil
}

// unpad takes off the padding. Zero bytes at the end of the data itself go with
// it: who pads with zeros has none there.
func unpad(b []byte, size int, padding string) ([]byte, error) {
	if err := knownPadding(true, padding); err != nil {
		return nil, err
	}
	switch padding {
	case "zero":
		return bytes.TrimRight(b, "\x00"), nil
	case "none":
		return b, nil
	}
	if len(b) == 0 {
		return nil, errNotOpened
	}
	n := int(b[len(b)-1])
	if n < 1 || n > size || n > len(b) || !bytes.Equal(b[len(b)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, errNotOpened
	}
	return b[:len(b)-n], nil
}

func inBlocks(b []byte, size int, each func([]byte) ([]byte, error)) ([]byte, error) {
	if size < 1 {
		return nil, errors.New("the key is too short")
	}
	out := []byte{}
	for {
		n := min(size, len(b))
		part, err := each(b[:n])
		if err != nil {
			return nil, err
		}
		if out, b = append(out, part...), b[n:]; len(b) == 0 {
			return out, nil
		}
	}
}
