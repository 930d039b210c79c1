// Package console is the operators' web app: the bundle that `make web` builds from
// web/, and the session of a browser. It calls the same operations as everybody.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

// Prefix of every address of the console.
const Prefix = "/console/"

//go:embed all:dist
var dist embed.FS

// nonceHere stands in the page where the nonce of its answer goes.
const nonceHere = "__nonce__"

// page is the one HTML page; assets are the other files, whose names change with what
// is in them.
type bundle struct {
	files fs.FS
	once  sync.Once
	zips  map[string][]byte
}

// Handler serves the console at Prefix.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err)
	}
	return (&bundle{files: files}).handler()
}

func (b *bundle) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "only to be read", http.StatusMethodNotAllowed)
			return
		}
		name := strings.TrimPrefix(path.Clean(r.URL.Path), strings.TrimSuffix(Prefix, "/"))
		name = strings.TrimPrefix(name, "/")
		if strings.HasPrefix(name, "assets/") || name == "icon.svg" {
			b.asset(w, r, name)
			return
		}
		b.page(w) // whatever the address: the app knows its own
	})
}

// page allows scripts of our own files alone. Styles may also come from elements with
// the nonce: antd makes them as components appear.
func (b *bundle) page(w http.ResponseWriter) {
	text, err := fs.ReadFile(b.files, "index.html")
	if err != nil {
		http.Error(w, "the console was not built into this program: make web, then build again", http.StatusNotFound)
		return
	}
	nonce := rand.Text()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-"+nonce+"'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'")
	_, _ = w.Write(bytes.ReplaceAll(text, []byte(nonceHere), []byte(nonce)))
}

func (b *bundle) asset(w http.ResponseWriter, r *http.Request, name string) {
	text, err := fs.ReadFile(b.files, name)
	if err != nil {
		http.Error(w, "no such file; load the page again: there is a newer version", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	if name == "icon.svg" {
		h.Set("Cache-Control", "max-age=3600")
	}
	h.Set("Vary", "Accept-Encoding")
	if zip := b.zipped()[name]; zip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		text = zip
	}
	_, _ = w.Write(text)
}

// zipped are the files that are worth it, made once.
func (b *bundle) zipped() map[string][]byte {
	b.once.Do(func() {
		b.zips = map[string][]byte{}
		_ = fs.WalkDir(b.files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(b.files, name)
			if err != nil {
				return err
			}
			var out bytes.Buffer
			zip, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
			_, _ = zip.Write(text)
			_ = zip.Close()
			if out.Len() < len(text)*9/10 {
				b.zips[name] = out.Bytes()
			}
			return nil
		})
	})
	return b.zips
}
