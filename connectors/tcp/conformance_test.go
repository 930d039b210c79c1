package tcp

import (
	"bufio"
	"net"
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

// framingOf is the framing that those options say.
func framingOf(t testing.TB, options map[string]any) *Framing {
	t.Helper()
	c := open(t, with(options, map[string]any{"address": "127.0.0.1:1"}))
	c.Close()
	return c.framing
}

func with(options, more map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{options, more} {
		for name, v := range m {
			out[name] = v
		}
	}
	return out
}

// counted is framing: {length: {...}} with any of its names.
func counted(l map[string]any) map[string]any { return map[string]any{"length": l} }

// dialects are the framings that the suite runs in.
var dialects = map[string]map[string]any{
	"mllp":             {"framing": "mllp"},
	"bytes of GB18030": {"framing": counted(map[string]any{"digits": 8}), "charset": "GB18030"},
	"characters with themselves": {"charset": "GB18030", "concurrency": 4,
		"framing": map[string]any{"prefix": "HQ", "suffix": "\r\n", "length": map[string]any{"digits": 6, "counts": "chars", "includes_itself": true}}},
	"four little bytes": {"framing": counted(map[string]any{"base": "binary", "bytes": 4, "order": "little"}), "concurrency": 24},
	"an end":            {"framing": map[string]any{"prefix": "\x02", "end": "\x03"}},
	"not kept":          {"framing": map[string]any{"end": "\x00"}, "keep": false, "concurrency": 24},
}

func TestConformance(t *testing.T) {
	for name, options := range dialects {
		t.Run(name, func(t *testing.T) {
			var acted atomic.Int64
			framing := framingOf(t, options)
			address := serve(t, func(c net.Conn) {
				r := bufio.NewReader(c)
				for {
					f, err := framing.read(r, 1<<20)
					if err != nil {
						return
					}
					acted.Add(1)
					text, _ := framing.charset.Decode(f.content())
					if text == "huge" {
						text = strings.Repeat("x", 50<<20)
						if framing.length != nil && framing.length.size < 8 && framing.length.base == "decimal" {
							text = strings.Repeat("x", 900_000) // more than six digits cannot be said
							text = strings.ReplaceAll(text, "x", "张")
						}
					}
					b, err := framing.Write(text)
					if err != nil {
						t.Error(err)
					}
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			})
			request := func(text string) core.Request { return core.Request{Operation: "echo", Body: text} }
			connectortest.Run(t, connectortest.Peer{
				Address: address,
				Open: func(t *testing.T, address string) core.Connector {
					return open(t, with(options, map[string]any{"address": address, "max_answer": "1MiB"}))
				},
				Request: request,
				Text:    func(r core.Response) string { s, _ := r.Body.(string); return s },
				Huge:    request("huge"),
				Acted:   func() int { return int(acted.Load()) },
			})
		})
	}
}

// serve runs a HIS that does that with each connection, until the test ends.
func serve(t *testing.T, each func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				each(c)
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return l.Addr().String()
}
