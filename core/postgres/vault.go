package postgres

import "context"

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
