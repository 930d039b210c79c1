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
	"slices"
	"strings"
	"syscall"
)

// Master is the key that seals the data keys, and those that did so before it.
type Master struct {
	// ID names the newest key, which seals. It is derived from the key and tells
	// nothing about it.
	ID   string
	keys []masterKey // newest first
}

type masterKey struct {
	id     string
	secret [32]byte
	cipher *extended
}

const masterPrefix = "hishub-key-1:"

// LoadOrCreateKey reads the master key from a file that only its owner may
// read (0600): one key a line, the newest first. With create, a missing file is made
// with a new key.
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
	var keys [][32]byte
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		var key [32]byte
		digits, ok := strings.CutPrefix(line, masterPrefix)
		digits = strings.TrimSpace(digits)
		if n, err := hex.Decode(key[:], []byte(digits)); !ok || len(digits) != 64 || n != 32 || err != nil {
			return nil, fmt.Errorf("the key file %s does not hold a key (%s and 64 hex digits a line, the newest first)", path, masterPrefix)
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, fmt.Errorf("the key file %s does not hold a key (%s and 64 hex digits a line, the newest first)", path, masterPrefix)
	}
	return newMaster(keys...), nil
}

func newMaster(keys ...[32]byte) *Master {
	m := &Master{}
	for _, key := range keys {
		sum := sha256.Sum256(append([]byte("hishub master key id:"), key[:]...))
		m.keys = append(m.keys, masterKey{hex.EncodeToString(sum[:6]), key, newExtended(key)})
	}
	m.ID = m.keys[0].id
	return m
}

// IDs names all of them, newest first.
func (m *Master) IDs() (ids []string) {
	for _, k := range m.keys {
		ids = append(ids, k.id)
	}
	return ids
}

// Before is the ring with newer's newest key put before its own keys.
func (m *Master) Before(newer *Master) *Master {
	first := newer.keys[0]
	rest := slices.DeleteFunc(slices.Clone(m.keys), func(k masterKey) bool { return k.id == first.id })
	return &Master{ID: first.id, keys: append([]masterKey{first}, rest...)}
}

// Alone is the newest key without those before it.
func (m *Master) Alone() *Master { return &Master{ID: m.ID, keys: m.keys[:1]} }

// NewMaster is a new key.
func NewMaster() *Master { return newMaster(NewKey()) }

// Save puts the keys in the place of a file's, whole or not at all. The new file is of
// the old one's owner.
func (m *Master) Save(path string) error {
	draft, err := m.draft(path)
	if err != nil {
		return err
	}
	defer os.Remove(draft)
	if info, err := os.Stat(path); err == nil {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
			if err := os.Chown(draft, int(owner.Uid), int(owner.Gid)); err != nil {
				return fmt.Errorf("write the key file: %w", err)
			}
		}
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("write the key file: %w", err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("keep the key file: %w", err)
	}
	return nil
}

// draft writes the keys beside a path, so that a key that was used is whole on the
// disk before the file has its name.
func (m *Master) draft(path string) (name string, err error) {
	draft, err := os.CreateTemp(filepath.Dir(path), ".key-")
	if err != nil {
		return "", fmt.Errorf("write the key file: %w", err)
	}
	for _, k := range m.keys {
		_, e := draft.WriteString(masterPrefix + hex.EncodeToString(k.secret[:]) + "\n")
		err = errors.Join(err, e)
	}
	if err = errors.Join(err, draft.Chmod(0o600), draft.Sync(), draft.Close()); err != nil {
		os.Remove(draft.Name())
		return "", fmt.Errorf("write the key file: %w", err)
	}
	return draft.Name(), nil
}

// createKey links a new file into place, so that two starts agree on one.
func createKey(path string) (*Master, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	m := NewMaster()
	draft, err := m.draft(path)
	if err != nil {
		return nil, err
	}
	defer os.Remove(draft)
	switch err := os.Link(draft, path); {
	case errors.Is(err, fs.ErrExist):
		return LoadOrCreateKey(path, false)
	case err != nil:
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("keep the key file: %w", err)
	}
	return m, nil
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

// Wrap seals a data key, with the newest.
func (m *Master) Wrap(key [32]byte, purpose string) []byte {
	nonce := make([]byte, nonceSize, nonceSize+len(key)+tagSize)
	rand.Read(nonce)
	return m.keys[0].cipher.seal(nonce, nonce, key[:], []byte("data key:"+purpose))
}

// Unwrap is the reverse of Wrap, with whichever key it was.
func (m *Master) Unwrap(wrapped []byte, purpose string) (key [32]byte, err error) {
	if len(wrapped) < nonceSize {
		return key, errors.New("open a data key: too short")
	}
	for _, k := range m.keys {
		plain, err := k.cipher.open(wrapped[:nonceSize], wrapped[nonceSize:], []byte("data key:"+purpose))
		if err == nil && len(plain) == len(key) {
			copy(key[:], plain)
			return key, nil
		}
	}
	return key, errors.New("open a data key: it was sealed with another master key, or changed")
}
