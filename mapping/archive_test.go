package mapping

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A link out of the folder would take files of the machine into a revision.
func TestLinksLeaveNoFolder(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret.txt"), []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		link, to string
		leaves   bool
	}{
		"absolute":          {"cases/secret.txt", filepath.Join(outside, "secret.txt"), true},
		"upwards":           {"cases/secret.txt", "../../outside/secret.txt", true},
		"over a link":       {"cases/secret.txt", "../away", true},
		"in a circle":       {"cases/secret.txt", "secret.txt", true},
		"beside":            {"cases/secret.txt", "../hospital.yaml", false},
		"from the top":      {"secret.txt", "cases/own.txt", false},
		"up and down again": {"cases/secret.txt", "../cases/own.txt", false},
	} {
		dir := filepath.Join(t.TempDir(), "h")
		for _, err := range []error{
			os.MkdirAll(filepath.Join(dir, "cases"), 0o700),
			os.WriteFile(filepath.Join(dir, "hospital.yaml"), []byte("grammar: 1\n"), 0o600),
			os.WriteFile(filepath.Join(dir, "cases", "own.txt"), []byte("own"), 0o600),
			os.Symlink(c.to, filepath.Join(dir, filepath.FromSlash(c.link))),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if name == "over a link" {
			if err := os.Symlink(filepath.Join(outside, "secret.txt"), filepath.Join(dir, "away")); err != nil {
				t.Fatal(err)
			}
		}
		archive, _, err := Archive(os.DirFS(dir))
		switch {
		case !c.leaves && (err != nil || archive == nil):
			t.Errorf("%s: %v", name, err)
		case c.leaves && (err == nil || !strings.Contains(err.Error(), "is a link") || strings.Contains(err.Error(), outside)):
			t.Errorf("%s: %v", name, err)
		}
		if err := stays(os.DirFS(dir), c.link); (err != nil) != c.leaves {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A folder in the folder may be a link, too.
func TestALinkToAFolderElsewhere(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	for _, err := range []error{
		os.WriteFile(filepath.Join(outside, "pay.csv"), []byte("ours,theirs\n"), 0o600),
		os.Symlink(outside, filepath.Join(dir, "codes")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if data, err := readRegular(os.DirFS(dir), "codes/pay.csv"); err == nil || data != nil {
		t.Errorf("%q, %v", data, err)
	}
}
