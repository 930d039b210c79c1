package postgres

import (
	"context"
	"fmt"
)

// Vault seals what another module keeps in this database with the hub's keys.
type Vault struct{ s *Store }

// Vault of this ledger.
func (s *Store) Vault() Vault { return Vault{s} }

// Seal makes plain unreadable; it opens only for the same purpose and number.
func (v Vault) Seal(plain []byte, purpose, number string) ([]byte, error) {
	return v.s.keys.Seal(plain, "module", purpose, number), nil
}

// Open reads what Seal made.
func (v Vault) Open(sealed []byte, purpose, number string) ([]byte, error) {
	return v.s.open(context.Background(), sealed, "module", purpose, number)
}

// Index is a digest of text under the key that is never rotated, so that what was
// sealed years ago is found by it.
func (v Vault) Index(text, purpose string) []byte {
	return v.s.keys.Digest(fmt.Appendf(nil, "index %d:%s %s", len(purpose), purpose, text))
}
