package console

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var seal = flag.Bool("seal", false, "write dist/source.sha256; make web does, after it built")

// derived are files of web/ that are no sources.
var derived = []string{"node_modules", "src/api/schema.d.ts"}

// sourceHash is over the names and contents of all that the bundle is built from.
func sourceHash(t *testing.T) string {
	t.Helper()
	all := sha256.New()
	files := 0
	err := filepath.WalkDir("web", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, "web"+string(filepath.Separator)))
		for _, skip := range derived {
			if name == skip {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
		}
		if d.IsDir() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		fmt.Fprintf(all, "%s %d\n", name, len(text))
		all.Write(text)
		return nil
	})
	if err != nil || files < 20 {
		t.Fatalf("%d sources: %v", files, err)
	}
	return hex.EncodeToString(all.Sum(nil))
}

// The committed bundle is of these sources.
func TestBundleIsOfItsSources(t *testing.T) {
	is := sourceHash(t)
	path := filepath.Join("dist", "source.sha256")
	if *seal {
		if err := os.WriteFile(path, []byte(is+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(was)) != is {
		t.Fatalf("platform/console/web changed after the bundle was built: make web, and commit platform/console/dist (%v)", err)
	}
}

func get(t *testing.T, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

// The page runs our own scripts alone, and every address of the app gives it.
func TestPage(t *testing.T) {
	var nonces []string
	for _, path := range []string{"/console/", "/console/messages/7", "/console/messages", "/console/nothing.png"} {
		w := get(t, path)
		policy := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy lacks %s: %s", path, want, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		found := regexp.MustCompile(`'nonce-([A-Z2-7]{20,})'`).FindStringSubmatch(policy)
		if found == nil || !strings.Contains(w.Body.String(), `content="`+found[1]+`"`) {
			t.Fatalf("%s: the page does not know the nonce of %s", path, policy)
		}
		nonces = append(nonces, found[1])
		if regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style| style=| on\w+=|https?://`).MatchString(w.Body.String()) {
			t.Errorf("%s has something inline, or of elsewhere:\n%s", path, w.Body)
		}
	}
	if nonces[0] == nonces[1] {
		t.Error("a nonce was used twice")
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/console/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

// What a page names is there, kept by browsers for good, and smaller on its way.
func TestAssets(t *testing.T) {
	page := get(t, "/console/").Body.String()
	all := regexp.MustCompile(`/console/(assets/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(all) < 2 {
		t.Fatalf("the page names %d files:\n%s", len(all), page)
	}
	for _, found := range all {
		path := "/console/" + found[1]
		plain, small := get(t, path), get(t, path, "Accept-Encoding: gzip")
		if plain.Code != 200 || !strings.Contains(plain.Header().Get("Cache-Control"), "immutable") || plain.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", path, plain.Code, plain.Header())
		}
		if strings.HasSuffix(path, ".js") && (small.Header().Get("Content-Encoding") != "gzip" || small.Body.Len() >= plain.Body.Len()) {
			t.Errorf("%s: %v, %d of %d bytes", path, small.Header(), small.Body.Len(), plain.Body.Len())
		}
	}
	for _, path := range []string{"/console/assets/none.js", "/console/assets/../../console.go", "/console/assets/"} {
		if w := get(t, path); w.Code == 200 && !strings.Contains(w.Body.String(), "<div id=\"root\">") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
