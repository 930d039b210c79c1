package seal

import (
	"os"
	"path/filepath"
	"testing"
)

// A ring opens what its older keys wrapped, wraps with the newest, and is a file whose
// mode nobody else can read.
func TestMasterKeysOneAfterAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := LoadOrCreateKey(path, true)
	if err != nil {
		t.Fatal(err)
	}
	old := first.Wrap([32]byte{7}, "seal")
	both := first.Before(NewMaster())
	if err := both.Save(path); err != nil {
		t.Fatal(err)
	}
	read, err := LoadOrCreateKey(path, false)
	if err != nil || read.ID != both.ID || len(read.IDs()) != 2 || read.IDs()[1] != first.ID || read.ID == first.ID {
		t.Fatalf("%v %v", read, err)
	}
	if again := both.Before(both); len(again.IDs()) != 2 {
		t.Errorf("the same key twice: %v", again.IDs())
	}
	fresh := read.Wrap([32]byte{8}, "seal")
	for wrapped, want := range map[string]byte{string(old): 7, string(fresh): 8} {
		if key, err := read.Unwrap([]byte(wrapped), "seal"); err != nil || key != [32]byte{want} {
			t.Errorf("%d: %v", want, err)
		}
	}
	if _, err := read.Alone().Unwrap(old, "seal"); err == nil {
		t.Error("the newest key alone opens what the older one wrapped")
	}
	if _, err := first.Unwrap(fresh, "seal"); err == nil {
		t.Error("the older key opens what the newest wrapped")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); left != nil {
		t.Errorf("drafts are left: %v", left)
	}
	for _, text := range []string{"", "\n\n", "hishub-key-1:00\n", "hishub-key-1:" + string(make([]byte, 64))} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := LoadOrCreateKey(path, true); err == nil {
			t.Errorf("%q holds %v", text, m.IDs())
		}
	}
}

// What says its cipher opens wherever its key is known, and with no other cipher.
func TestAValueSaysItsCipher(t *testing.T) {
	aes, sm4 := &Ring{}, &Ring{}
	aes.Add(1, [32]byte{1}, AES)
	sm4.Add(1, [32]byte{1}, SM4)
	for _, r := range []*Ring{aes, sm4} {
		sealed := r.Seal([]byte("测试患者"), "body")
		for _, other := range []*Ring{aes, sm4} {
			if plain, err := other.Open(sealed, "body"); err != nil || string(plain) != "测试患者" {
				t.Errorf("%v", err)
			}
		}
		sealed[0] ^= 1 | 2 // 1 and 2 change places, or the cipher
		if _, err := aes.Open(sealed, "body"); err == nil {
			t.Error("opened with the other cipher")
		}
	}
	if a, b := sm4.Seal([]byte("x")), sm4.Seal([]byte("x")); string(a) == string(b) || a[0] == aes.Seal([]byte("x"))[0] {
		t.Error("the same twice, or with the other cipher")
	}
}
