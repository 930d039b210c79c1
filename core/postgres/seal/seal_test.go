package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The vectors of https://c2sp.org/XAES-256-GCM.
func TestXAES(t *testing.T) {
	for _, v := range []struct {
		key         byte
		bound, want string
	}{
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		x := newExtended([32]byte(bytes.Repeat([]byte{v.key}, 32)))
		got := x.seal(nil, []byte("ABCDEFGHIJKLMNOPQRSTUVWX"), []byte("XAES-256-GCM"), []byte(v.bound))
		if hex.EncodeToString(got) != v.want {
			t.Errorf("key %d: %x, want %s", v.key, got, v.want)
		}
	}
}

func ring(ids ...uint32) *Ring {
	r := &Ring{}
	for _, id := range ids {
		with := AES
		if id >= 100 {
			with = SM4
		}
		r.Add(id, [32]byte{byte(id)}, with)
	}
	return r
}

func TestSealOpensOnlyWhereItBelongs(t *testing.T) {
	for _, id := range []uint32{1, 100} {
		sealOpensOnlyWhereItBelongs(t, ring(id))
	}
}

func sealOpensOnlyWhereItBelongs(t *testing.T, r *Ring) {
	for _, plain := range []string{"", "short", strings.Repeat("长的内容 ", 1000)} {
		sealed := r.Seal([]byte(plain), "body", "h1", "7")
		got, err := r.Open(sealed, "body", "h1", "7")
		if err != nil || string(got) != plain {
			t.Fatalf("open: %v", err)
		}
		if len(plain) > 1000 && len(sealed) > len(plain)/10 {
			t.Errorf("%d bytes sealed to %d: not compressed", len(plain), len(sealed))
		}
		if _, err := r.Open(sealed, "body", "h1", "8"); err == nil {
			t.Error("opened in another row")
		}
		if _, err := r.Open(sealed, "body", "h", "17"); err == nil {
			t.Error("opened where the context reads the same only when joined")
		}
		for i := range sealed {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1
			if _, err := r.Open(bad, "body", "h1", "7"); err == nil {
				t.Fatalf("opened with byte %d changed", i)
			}
			if i > 60 {
				break
			}
		}
	}
	if got, err := r.Open(r.Seal(nil)); got != nil || err != nil {
		t.Error("nothing did not seal to nothing")
	}
}

func TestRotation(t *testing.T) {
	old := ring(1)
	before := old.Seal([]byte("before"))
	both := ring(1, 2)
	after := both.Seal([]byte("after"))
	if got, err := both.Open(before); err != nil || string(got) != "before" {
		t.Fatalf("a value of the old key: %v", err)
	}
	var unknown *UnknownKey
	if _, err := old.Open(after); !errors.As(err, &unknown) || unknown.ID != 2 {
		t.Fatalf("a value of a key that is not known yet: %v", err)
	}
}

func TestDecompressionIsBounded(t *testing.T) {
	r := ring(1)
	sealed := r.Seal(make([]byte, MaxPlain+1))
	if _, err := r.Open(sealed); err == nil {
		t.Fatal("opened more than MaxPlain")
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "key")
	if _, err := LoadOrCreateKey(path, false); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Fatalf("a missing file: %v", err)
	}
	made, err := LoadOrCreateKey(path, true)
	if err != nil {
		t.Fatal(err)
	}
	wrapped := made.Wrap([32]byte{7}, "seal")
	again, err := LoadOrCreateKey(path, true)
	if err != nil || again.ID != made.ID {
		t.Fatalf("load: %v", err)
	}
	if key, err := again.Unwrap(wrapped, "seal"); err != nil || key != [32]byte{7} {
		t.Fatalf("unwrap: %v", err)
	}
	if _, err := again.Unwrap(wrapped, "digest"); err == nil {
		t.Error("unwrapped for another purpose")
	}
	if _, err := newMaster(NewKey()).Unwrap(wrapped, "seal"); err == nil {
		t.Error("unwrapped by another master key")
	}
	os.Chmod(path, 0o644)
	if _, err := LoadOrCreateKey(path, false); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a file that others can read: %v", err)
	}
	os.Chmod(path, 0o600)
	os.WriteFile(path, []byte("hishub-key-1: abc"), 0o600)
	if _, err := LoadOrCreateKey(path, false); err == nil || strings.Contains(err.Error(), "abc") {
		t.Errorf("a broken file: %v", err)
	}
}
