package soap

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"hishub/connectors/connectortest"
	"hishub/core"
)

// echo is a SOAP server of one operation: it gives its parameter back.
func echo(acted *atomic.Int64) http.Handler {
	text := regexp.MustCompile(`<text>(.*)</text>`)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		m := text.FindSubmatch(b)
		if m == nil {
			http.Error(w, "no text", http.StatusInternalServerError)
			return
		}
		acted.Add(1)
		w.Header().Set("Content-Type", "text/xml; charset=UTF-8")
		result := string(m[1])
		if result == "huge" {
			result = strings.Repeat("x", 50<<20)
		}
		fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><EchoResponse xmlns="urn:t"><EchoResult>%s</EchoResult></EchoResponse></s:Body></s:Envelope>`, result)
	})
}

func TestConformance(t *testing.T) {
	for _, version := range []string{"1.1", "1.2"} {
		t.Run(version, func(t *testing.T) { conformance(t, version) })
	}
}

func conformance(t *testing.T, version string) {
	var acted atomic.Int64
	server := httptest.NewServer(echo(&acted))
	defer server.Close()
	request := func(text string) core.Request {
		return core.Request{Operation: "Echo", Body: core.Tree{{Name: "text", Value: text}}}
	}
	connectortest.Run(t, connectortest.Peer{
		Address: server.Listener.Addr().(*net.TCPAddr).String(),
		Open: func(t *testing.T, address string) core.Connector {
			return open(t, map[string]any{
				"endpoint": "http://u:s3cret-pass@" + address + "/his?key=s3cret-key", "namespace": "urn:t", "version": version, "max_answer": "1MiB",
			})
		},
		Request: request,
		Text:    func(r core.Response) string { s, _ := r.Body.(string); return s },
		Huge:    request("huge"),
		Acted:   func() int { return int(acted.Load()) },
		Secrets: []string{"s3cret"},
	})
}

func open(t testing.TB, options map[string]any) core.Connector {
	t.Helper()
	c, err := Open(core.ConnectorSpec{Options: options})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
