package seal

import (
	"crypto/aes"
	"crypto/cipher"
)

const (
	nonceSize = 24
	tagSize   = 16
)

// extended is XAES-256-GCM (https://c2sp.org/XAES-256-GCM): AES-256-GCM under a
// key derived from the first half of a 192-bit nonce. Plain AES-GCM with random
// nonces must change its key after 2^32 values, which a busy hub reaches in weeks.
type extended struct {
	block cipher.Block
	k1    [16]byte
}

func newExtended(key [32]byte) *extended {
	x := &extended{block: block(key[:])}
	x.block.Encrypt(x.k1[:], x.k1[:])
	msb := byte(0)
	for i := len(x.k1) - 1; i >= 0; i-- {
		x.k1[i], msb = x.k1[i]<<1|msb, x.k1[i]>>7
	}
	x.k1[15] ^= msb * 0b10000111
	return x
}

func (x *extended) derive(nonce []byte) cipher.AEAD {
	var key [32]byte
	for i := range 2 {
		half := key[16*i : 16*i+16]
		half[1], half[2] = byte(i+1), 'X'
		copy(half[4:], nonce[:12])
		for j := range half {
			half[j] ^= x.k1[j]
		}
		x.block.Encrypt(half, half)
	}
	gcm, err := cipher.NewGCM(block(key[:]))
	if err != nil {
		panic(err) // AES has the one block size that GCM takes
	}
	return gcm
}

func (x *extended) seal(to, nonce, plain, bound []byte) []byte {
	return x.derive(nonce).Seal(to, nonce[12:], plain, bound)
}

func (x *extended) open(nonce, sealed, bound []byte) ([]byte, error) {
	return x.derive(nonce).Open(nil, nonce[12:], sealed, bound)
}

func block(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // 32 bytes are always a key
	}
	return b
}
