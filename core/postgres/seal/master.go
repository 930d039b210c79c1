package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Master is the key that seals the data keys.
type Master struct {
	// ID names the key; it is derived from it and tells nothing about it.
	ID  string
	key *extended
}

const masterPrefix = "hishub-key-1:"

// LoadOrCreateKey reads the master key from a file that only its owner may
// read (0600, one line). With create, a missing file is made with a new key.
func LoadOrCreateKey(path string, create bool) (*Master, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		return createKey(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the key file %s is missing: without it nothing sealed in the database can be read; "+
			"put back the copy that was kept apart from the database", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the key file %s can be read by others (mode %04o): chmod 0600 it", path, info.Mode().Perm())
	}
	var key [32]byte
	digits, ok := strings.CutPrefix(strings.TrimSpace(string(text)), masterPrefix)
	if n, err := hex.Decode(key[:], []byte(strings.TrimSpace(digits))); !ok || len(strings.TrimSpace(digits)) != 64 || n != 32 || err != nil {
		return nil, fmt.Errorf("the key file %s does not hold a key (%s and 64 hex digits)", path, masterPrefix)
	}
	return newMaster(key), nil
}

func newMaster(key [32]byte) *Master {
	sum := sha256.Sum256(append([]byte("hishub master key id:"), key[:]...))
	return &Master{ID: hex.EncodeToString(sum[:6]), key: newExtended(key)}
}

// createKey writes the file under another name and links it into place, so that
// a key that was used is whole on the disk and two starts agree on one.
func createKey(path string) (*Master, error) {
	key := NewKey()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	draft, err := os.CreateTemp(filepath.Dir(path), ".key-")
	if err != nil {
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	defer os.Remove(draft.Name())
	_, err = draft.WriteString(masterPrefix + hex.EncodeToString(key[:]) + "\n")
	if err = errors.Join(err, draft.Chmod(0o600), draft.Sync(), draft.Close()); err != nil {
		return nil, fmt.Errorf("write the key file: %w", err)
	}
	switch err := os.Link(draft.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return LoadOrCreateKey(path, false)
	case err != nil:
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("keep the key file: %w", err)
	}
	return newMaster(key), nil
}

// syncFolder keeps a new name through a crash, where the file system has that
// and the folder may be read.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// NewKey is a fresh random key.
func NewKey() (key [32]byte) {
	rand.Read(key[:])
	return key
}

// Wrap seals a data key.
func (m *Master) Wrap(key [32]byte, purpose string) []byte {
	nonce := make([]byte, nonceSize, nonceSize+len(key)+tagSize)
	rand.Read(nonce)
	return m.key.seal(nonce, nonce, key[:], []byte("data key:"+purpose))
}

// Unwrap is the reverse of Wrap.
func (m *Master) Unwrap(wrapped []byte, purpose string) (key [32]byte, err error) {
	if len(wrapped) < nonceSize {
		return key, errors.New("open a data key: too short")
	}
	plain, err := m.key.open(wrapped[:nonceSize], wrapped[nonceSize:], []byte("data key:"+purpose))
	if err != nil || len(plain) != len(key) {
		return key, errors.New("open a data key: it was sealed with another master key, or changed")
	}
	copy(key[:], plain)
	return key, nil
}
