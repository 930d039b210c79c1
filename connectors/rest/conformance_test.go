package rest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"hishub/connectors/connectortest"
	"hishub/core"
)

func open(t testing.TB, options map[string]any) *Connector {
	t.Helper()
	c, err := Open(core.ConnectorSpec{Options: options})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Connector)
}

func TestConformance(t *testing.T) {
	for _, method := range []string{"POST", "GET"} {
		t.Run(method, func(t *testing.T) {
			var acted atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				acted.Add(1)
				b, _ := io.ReadAll(q.Body)
				if string(b) == "huge" {
					io.WriteString(w, strings.Repeat("x", 50<<20))
				}
				w.Write(b)
			}))
			defer server.Close()
			request := func(text string) core.Request {
				return core.Request{
					Operation: method + " /api/process?key=s3cret-key", Query: []core.Field{{Name: "token", Value: "s3cret-token"}},
					// net/http would send such a request twice.
					Headers: []core.Field{{Name: "Idempotency-Key", Value: "k"}, {Name: "token", Value: "s3cret-header"}},
					Body:    text,
				}
			}
			connectortest.Run(t, connectortest.Peer{
				Address: server.Listener.Addr().String(),
				Open: func(t *testing.T, address string) core.Connector {
					return open(t, map[string]any{"base": "http://u:s3cret-pass@" + address + "/his/", "max_answer": "1MiB"})
				},
				Request: request,
				Text:    func(r core.Response) string { s, _ := r.Body.(string); return s },
				Huge:    request("huge"),
				Acted:   func() int { return int(acted.Load()) },
				Secrets: []string{"s3cret"},
			})
		})
	}
}
