// Package sms is a fake gateway for short messages: it takes them, shows them on a
// page, and gives the last one of a phone.
package sms

import (
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"net"
	"net/http"
	"sync"
	"time"
)

// Message that was taken.
type Message struct {
	Phone string    `json:"phone"`
	Text  string    `json:"text"`
	At    time.Time `json:"at"`
}

// Options of the gateway; the zero value works, on a free port.
type Options struct {
	Listen string // "127.0.0.1:0"
	// Keep so many messages, 1000 if 0.
	Keep int
}

// Gateway that runs.
type Gateway struct {
	options  Options
	listener net.Listener
	server   *http.Server
	serving  sync.WaitGroup

	mu   sync.Mutex
	all  []Message
	down bool
}

// Start opens the gateway.
func Start(ctx context.Context, o Options) (*Gateway, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Keep == 0 {
		o.Keep = 1000
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, err
	}
	g := &Gateway{options: o, listener: listener}
	g.server = &http.Server{Handler: g.handler(), ReadHeaderTimeout: 10 * time.Second}
	g.serving.Go(func() { _ = g.server.Serve(listener) })
	return g, nil
}

// URL of the gateway, without a slash at its end.
func (g *Gateway) URL() string { return "http://" + g.listener.Addr().String() }

// Close ends it.
func (g *Gateway) Close() error {
	err := g.server.Close()
	g.serving.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Down makes it refuse messages, until it is told false.
func (g *Gateway) Down(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
}

// Messages that were taken, oldest first.
func (g *Gateway) Messages() []Message {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Message(nil), g.all...)
}

// Last message to a phone.
func (g *Gateway) Last(phone string) (Message, bool) {
	all := g.Messages()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Phone == phone {
			return all[i], true
		}
	}
	return Message{}, false
}

func (g *Gateway) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /send", g.send)
	mux.HandleFunc("GET /messages/{phone}/last", g.last)
	mux.HandleFunc("GET /messages", func(w http.ResponseWriter, _ *http.Request) { answer(w, g.Messages()) })
	mux.HandleFunc("GET /{$}", g.page)
	return mux
}

func (g *Gateway) send(w http.ResponseWriter, r *http.Request) {
	var m Message
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10)).Decode(&m) != nil || m.Phone == "" || m.Text == "" {
		http.Error(w, `{"error":"send {\"phone\":…,\"text\":…}"}`, http.StatusBadRequest)
		return
	}
	m.At = time.Now()
	g.mu.Lock()
	down := g.down
	if !down {
		g.all = append(g.all, m)
		if len(g.all) > g.options.Keep {
			g.all = g.all[len(g.all)-g.options.Keep:]
		}
	}
	g.mu.Unlock()
	if down {
		http.Error(w, `{"error":"down"}`, http.StatusServiceUnavailable)
		return
	}
	answer(w, map[string]bool{"sent": true})
}

func (g *Gateway) last(w http.ResponseWriter, r *http.Request) {
	m, ok := g.Last(r.PathValue("phone"))
	if !ok {
		http.Error(w, `{"error":"nothing was sent there"}`, http.StatusNotFound)
		return
	}
	answer(w, m)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

var page = template.Must(template.New("").Parse(`<!doctype html><html lang="zh"><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>SMS</title>
<style>body{font:16px sans-serif;max-width:40em;margin:2em auto}p{border-bottom:1px solid #ccc;padding:.5em}b{float:right;font-weight:normal;color:#666}</style>
<h1>短信</h1>{{range .}}<p>{{.Phone}} <b>{{.At.Format "15:04:05"}}</b><br>{{.Text}}</p>{{else}}<p>还没有短信。</p>{{end}}</html>`))

func (g *Gateway) page(w http.ResponseWriter, _ *http.Request) {
	all := g.Messages()
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, all)
}
