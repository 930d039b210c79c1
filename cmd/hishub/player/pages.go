package player

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"slices"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

//go:embed page.html
var pageFile embed.FS

var page = template.Must(template.ParseFS(pageFile, "page.html"))

// desk is the player at its control port.
type desk struct{ *Player }

// Books gives the journal; what a folder keeps has no shape of its own, GET /booked
// has it.
func (d desk) Books(context.Context) (books.Export, error) {
	var out books.Export
	for _, x := range d.Exchanges() {
		effect := string(x.Outcome)
		out.Journal = append(out.Journal, books.Entry{At: x.At, Operation: x.Name, Key: x.Key, Effect: effect, Fault: x.Fault})
	}
	return out, nil
}

// Edit is refused: what is booked came by the folder, and nothing else does.
func (d desk) Edit(context.Context, books.Edit) error {
	return errors.New("the books of a played folder cannot be edited; play faults instead")
}

func (d desk) Faults(context.Context) ([]fault.Rule, error)      { return d.script.Rules(), nil }
func (d desk) AddFaults(_ context.Context, r []fault.Rule) error { return d.script.Add(r...) }
func (d desk) ClearFaults(context.Context) error                 { d.script.Clear(); return nil }

// pages are what the control port has beside the fakes' own.
func (p *Player) pages() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /{$}": func(w http.ResponseWriter, _ *http.Request) {
			all := p.Exchanges()
			slices.Reverse(all)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
			_ = page.Execute(w, map[string]any{"Name": p.folder.Dialect.Name, "Exchanges": all, "Env": p.vars, "Rules": p.script.Rules()})
		},
		"GET /exchanges": func(w http.ResponseWriter, _ *http.Request) { asJSON(w, p.Exchanges()) },
		"GET /booked": func(w http.ResponseWriter, _ *http.Request) {
			p.mu.Lock()
			out := make([]entry, 0, len(p.books.entries))
			for _, e := range p.books.entries {
				out = append(out, *e)
			}
			data, err := json.Marshal(out)
			p.mu.Unlock()
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = w.Write(data)
		},
	}
}

func asJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v)
}
