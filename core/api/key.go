package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// An API key is hk_<prefix>_<secret>. The prefix, 12 characters, finds it; the
// secret is 32 random bytes, of which only the SHA-256 is kept: what nobody can
// guess needs no slow hash.

var keyText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const prefixBytes, secretBytes = 7, 32

// NewKey makes a key: the text for its holder, and what is kept of it.
func NewKey() (text, prefix string, hash []byte) {
	random := make([]byte, prefixBytes+secretBytes)
	rand.Read(random)
	prefix = keyText.EncodeToString(random[:prefixBytes])
	text = "hk_" + prefix + "_" + keyText.EncodeToString(random[prefixBytes:])
	return text, prefix, hashOf(text)
}

func hashOf(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// prefixOf is "" for what cannot be a key.
func prefixOf(text string) string {
	prefix, secret, ok := strings.Cut(strings.TrimPrefix(text, "hk_"), "_")
	if !ok || !strings.HasPrefix(text, "hk_") ||
		len(prefix) != keyText.EncodedLen(prefixBytes) || len(secret) != keyText.EncodedLen(secretBytes) {
		return ""
	}
	return prefix
}
