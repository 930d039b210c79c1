package seal

import (
	"crypto/cipher"
	"crypto/hmac"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
)

// national is SM4-GCM (GB/T 32907) made as extended is: under a key derived from the
// first half of a 192-bit nonce, here by HMAC-SM3, so that random nonces never run out.
type national struct{ key [32]byte }

func (n *national) derive(nonce []byte) cipher.AEAD {
	mac := hmac.New(sm3.New, n.key[:])
	mac.Write([]byte("hishub sm4-gcm"))
	mac.Write(nonce[:12])
	b, err := sm4.NewCipher(mac.Sum(nil)[:sm4.BlockSize])
	if err != nil {
		panic(err) // 16 bytes are always a key
	}
	gcm, err := cipher.NewGCM(b)
	if err != nil {
		panic(err) // SM4 has the one block size that GCM takes
	}
	return gcm
}

func (n *national) seal(to, nonce, plain, bound []byte) []byte {
	return n.derive(nonce).Seal(to, nonce[12:], plain, bound)
}

func (n *national) open(nonce, sealed, bound []byte) ([]byte, error) {
	return n.derive(nonce).Open(nil, nonce[12:], sealed, bound)
}
