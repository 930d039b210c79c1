package functions

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm4"
)

// errNotOpened is all that is said of a cipher text: which check failed is
// nobody's business.
var errNotOpened = errors.New("the bytes do not open with this key")

// ciphers are the HIS's choice, ECB and DES included. Block ciphers pad as
// PKCS#7. rsa and sm2 are random by nature: no golden file can hold them.
func ciphers() []Function {
	return slices.Concat(
		block("aes", aesBlock, "16, 24 or 32", true),
		block("des", des.NewCipher, "8", false),
		block("des3", des3Block, "16 or 24", false),
		block("sm4", sm4.NewCipher, "16", true),
		[]Function{
			define("rsa", "rsa(data, cert) bytes: PKCS#1 v1.5, longer data in as many blocks as it takes", func(in *arguments) (any, error) {
				key, err := rsaPublic(in.text(1))
				if err != nil {
					return nil, err
				}
				return inBlocks(in.data(0), key.Size()-11, func(b []byte) ([]byte, error) {
					return rsa.EncryptPKCS1v15(rand.Reader, key, b)
				})
			}, new(func(Data, string) []byte)),

			reader("from_rsa", "from_rsa(bytes, key) bytes: opens what rsa sealed; nil gives nil", func(in *arguments) (any, error) {
				key, err := rsaPrivate(in.text(1))
				if err != nil {
					return nil, err
				}
				b := in.bytes(0)
				if len(b) == 0 || len(b)%key.Size() != 0 {
					return nil, errNotOpened
				}
				return inBlocks(b, key.Size(), func(b []byte) ([]byte, error) {
					out, err := rsa.DecryptPKCS1v15(nil, key, b)
					if err != nil {
						return nil, errNotOpened
					}
					return out, nil
				})
			}, new(func([]byte, string) []byte)),

			define("sm2", "sm2(data, cert) bytes: GB/T 32918.4, C1C3C2 with an uncompressed point", func(in *arguments) (any, error) {
				key, err := sm2Public(in.text(1))
				if err != nil {
					return nil, err
				}
				b := in.data(0)
				if len(b) == 0 {
					return nil, errors.New("there is nothing to seal")
				}
				return sm2.Encrypt(rand.Reader, key, b, nil)
			}, new(func(Data, string) []byte)),

			reader("from_sm2", "from_sm2(bytes, key) bytes: opens C1C3C2 or ASN.1; nil gives nil", func(in *arguments) (any, error) {
				key, err := sm2Private(in.text(1))
				if err != nil {
					return nil, err
				}
				out, err := sm2.Decrypt(key, in.bytes(0))
				if err != nil {
					return nil, errNotOpened
				}
				return out, nil
			}, new(func([]byte, string) []byte)),
		},
	)
}

type newBlock func(key []byte) (cipher.Block, error)

// block is a block cipher in the modes the grammar has.
func block(name string, algorithm newBlock, sizes string, cbc bool) []Function {
	open := func(key []byte) (cipher.Block, error) {
		b, err := algorithm(key)
		if err != nil {
			return nil, fmt.Errorf("the key has %d bytes, not %s", len(key), sizes)
		}
		return b, nil
	}
	ecb := name + "_ecb"
	functions := []Function{
		define(ecb, ecb+"(data, key) bytes: PKCS#7, a key of "+sizes+" bytes", func(in *arguments) (any, error) {
			b, err := open(in.data(1))
			if err != nil {
				return nil, err
			}
			out := padded(in.data(0), b.BlockSize())
			for i := 0; i < len(out); i += b.BlockSize() {
				b.Encrypt(out[i:], out[i:])
			}
			return out, nil
		}, new(func(Data, Data) []byte)),

		reader("from_"+ecb, "from_"+ecb+"(bytes, key) bytes: opens what "+ecb+" sealed; nil gives nil", func(in *arguments) (any, error) {
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
			return unpad(out, b.BlockSize())
		}, new(func([]byte, Data) []byte)),
	}
	if !cbc {
		return functions
	}

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
	chained := name + "_cbc"
	return append(functions,
		define(chained, chained+"(data, key, iv) bytes: PKCS#7, a key of "+sizes+" bytes, an iv of 16", func(in *arguments) (any, error) {
			b, iv, err := with(in)
			if err != nil {
				return nil, err
			}
			out := padded(in.data(0), b.BlockSize())
			cipher.NewCBCEncrypter(b, iv).CryptBlocks(out, out)
			return out, nil
		}, new(func(Data, Data, Data) []byte)),

		reader("from_"+chained, "from_"+chained+"(bytes, key, iv) bytes: opens what "+chained+" sealed; nil gives nil", func(in *arguments) (any, error) {
			b, iv, err := with(in)
			if err != nil {
				return nil, err
			}
			out := bytes.Clone(in.bytes(0))
			if len(out)%b.BlockSize() != 0 {
				return nil, errNotOpened
			}
			cipher.NewCBCDecrypter(b, iv).CryptBlocks(out, out)
			return unpad(out, b.BlockSize())
		}, new(func([]byte, Data, Data) []byte)),
	)
}

func aesBlock(key []byte) (cipher.Block, error) { return aes.NewCipher(key) }

// des3Block takes two keys as well, the third is then the first again.
func des3Block(key []byte) (cipher.Block, error) {
	if len(key) == 16 {
		key = append(bytes.Clone(key), key[:8]...)
	}
	return des.NewTripleDESCipher(key)
}

// padded is a copy with PKCS#7.
func padded(b []byte, size int) []byte {
	n := size - len(b)%size
	out := make([]byte, 0, len(b)+n)
	return append(append(out, b...), bytes.Repeat([]byte{byte(n)}, n)...)
}

func unpad(b []byte, size int) ([]byte, error) {
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
