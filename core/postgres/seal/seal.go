// Package seal encrypts what is at rest: bodies, exchange bytes, the HIS's words.
//
// Everything is sealed with a data key; the data keys are sealed with a master
// key that lives in a file apart from the database. A sealed value names its
// data key, so keys can be rotated without touching what is stored.
package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// MaxPlain bounds what Open gives back, in bytes, whatever a sealed value claims.
const MaxPlain = 64 << 20

// Cipher that a data key seals with.
type Cipher string

// The ciphers. Each is used with a key derived for every value, see extended and national.
const (
	AES Cipher = "aes" // AES-256-GCM
	SM4 Cipher = "sm4" // SM4-GCM
)

// A sealed value: format, data key, nonce, ciphertext with its tag. The format says
// the cipher, too, so that no process can open with the wrong one.
const (
	formatPlain  = 1
	formatZstd   = 2
	formatSM4    = 2 // added to those
	headerSize   = 1 + 4
	compressFrom = 200 // shorter texts don't get smaller
)

// UnknownKey is returned by Open when the ring lacks the value's data key:
// another process may have made it meanwhile.
type UnknownKey struct{ ID uint32 }

func (u *UnknownKey) Error() string { return fmt.Sprintf("data key %d is not known", u.ID) }

// Ring holds the data keys. It is safe for parallel use.
type Ring struct {
	mu      sync.RWMutex
	keys    map[uint32]dataKey
	current uint32
	digest  [32]byte
}

type dataKey struct {
	aes   *extended
	sm4   *national
	seals Cipher
}

// Add makes a data key known; the newest (highest id) seals, with its cipher.
func (r *Ring) Add(id uint32, key [32]byte, with Cipher) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		r.keys = map[uint32]dataKey{}
	}
	r.keys[id] = dataKey{newExtended(key), &national{key}, with}
	r.current = max(r.current, id)
}

// SetDigestKey sets the key of Digest, which is never rotated: digests of
// years ago must stay comparable.
func (r *Ring) SetDigestKey(key [32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.digest = key
}

// Digest is a keyed hash (HMAC-SHA-256), so that nobody who reads the database
// can try out contents.
func (r *Ring) Digest(plain []byte) []byte {
	r.mu.RLock()
	key := r.digest
	r.mu.RUnlock()
	mac := hmac.New(sha256.New, key[:])
	mac.Write(plain)
	return mac.Sum(nil)
}

// Seal compresses and encrypts. context says what the value is and whose; Open
// must be given the same, so that a value moved to another row does not open.
// Nothing (nil) seals to nothing.
func (r *Ring) Seal(plain []byte, context ...string) []byte {
	if plain == nil {
		return nil
	}
	r.mu.RLock()
	id := r.current
	c, ok := r.keys[id]
	r.mu.RUnlock()
	if !ok {
		panic("seal: no data key was added")
	}
	format := byte(formatPlain)
	if len(plain) >= compressFrom {
		if small := encoder.EncodeAll(plain, make([]byte, 0, len(plain))); len(small) < len(plain) {
			plain, format = small, formatZstd
		}
	}
	if c.seals == SM4 {
		format += formatSM4
	}
	out := make([]byte, headerSize+nonceSize, headerSize+nonceSize+len(plain)+tagSize)
	out[0] = format
	binary.BigEndian.PutUint32(out[1:], id)
	nonce := out[headerSize : headerSize+nonceSize]
	rand.Read(nonce)
	bound := bind(out[:headerSize], context)
	if c.seals == SM4 {
		return c.sm4.seal(out, nonce, plain, bound)
	}
	return c.aes.seal(out, nonce, plain, bound)
}

// Open is the reverse of Seal. Errors: *UnknownKey; anything else means that
// the value was changed, or sealed in another context.
func (r *Ring) Open(sealed []byte, context ...string) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	if len(sealed) < headerSize+nonceSize+tagSize {
		return nil, errors.New("open a sealed value: too short")
	}
	header, rest := sealed[:headerSize], sealed[headerSize:]
	id := binary.BigEndian.Uint32(header[1:])
	r.mu.RLock()
	c, ok := r.keys[id]
	r.mu.RUnlock()
	if !ok {
		return nil, &UnknownKey{id}
	}
	open, format := c.aes.open, header[0]
	if format > formatSM4 {
		open, format = c.sm4.open, format-formatSM4
	}
	plain, err := open(rest[:nonceSize], rest[nonceSize:], bind(header, context))
	if err != nil {
		return nil, errors.New("open a sealed value: it was changed, or belongs elsewhere")
	}
	switch format {
	case formatPlain:
		return plain, nil
	case formatZstd:
		if plain, err = decoder.DecodeAll(plain, nil); err != nil {
			return nil, fmt.Errorf("open a sealed value: decompress: %w", err)
		}
		return plain, nil
	}
	return nil, fmt.Errorf("open a sealed value: format %d is not known", header[0])
}

// bind joins header and context unambiguously: "ab","c" is not "a","bc".
func bind(header []byte, context []string) []byte {
	out := append([]byte(nil), header...)
	for _, part := range context {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return out
}

var (
	encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<17))
	decoder, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxPlain), zstd.WithDecoderConcurrency(0))
)
