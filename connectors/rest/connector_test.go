package rest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/core"
)

func field(name string, v core.Value) core.Field { return core.Field{Name: name, Value: v} }

func TestWrite(t *testing.T) {
	for name, c := range map[string]struct {
		options map[string]any
		q       core.Request
		want    string
	}{
		"signed headers": {
			map[string]any{"base": "http://h.example/his/"},
			core.Request{Operation: "POST /api/process", Headers: []core.Field{field("sign", "f75d"), field("msgid", "0001")}, Body: `{"rxNo":"RX1"}`},
			"POST /his/api/process HTTP/1.1\nContent-Type: application/json; charset=utf-8\nmsgid: 0001\nsign: f75d\n\n{\"rxNo\":\"RX1\"}",
		},
		"query in its order": {
			map[string]any{"base": "http://h.example"},
			core.Request{Operation: "GET /bills?v=2", Query: []core.Field{field("z", "1 2"), field("a", core.List{"x&y", "三"})}},
			"GET /bills?v=2&z=1%202&a=x%26y&a=%E4%B8%89 HTTP/1.1\n\n",
		},
		"another content type": {
			map[string]any{"base": "http://h.example", "content_type": "application/xml"},
			core.Request{Operation: "PUT /rx/RX%2F1", Body: core.Raw("<a/>")},
			"PUT /rx/RX%2F1 HTTP/1.1\nContent-Type: application/xml\n\n<a/>",
		},
		"the folder's own content type": {
			map[string]any{"base": "http://h.example"},
			core.Request{Operation: "POST /x", Headers: []core.Field{field("content-type", "text/plain")}, Body: "a"},
			"POST /x HTTP/1.1\nContent-Type: text/plain\n\na",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := open(t, c.options).Write(c.q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInvalid(t *testing.T) {
	c := open(t, map[string]any{"base": "http://h.example", "charset": "GBK"})
	for name, x := range map[string]struct {
		q    core.Request
		want string
	}{
		"no method":     {core.Request{Operation: "/x"}, "a method and a path"},
		"no path":       {core.Request{Operation: "POST x"}, "a method and a path"},
		"a document":    {core.Request{Operation: "POST /x", Body: core.Tree{field("a", "b")}}, "write send: {$json: ...}"},
		"line break":    {core.Request{Operation: "POST /x", Headers: []core.Field{field("a", "b\r\nc: d")}}, "a line break"},
		"own header":    {core.Request{Operation: "POST /x", Headers: []core.Field{field("Content-Length", "1")}}, "the transport's own"},
		"header name":   {core.Request{Operation: "POST /x", Headers: []core.Field{field("a b", "1")}}, "not one that HTTP allows"},
		"charset":       {core.Request{Operation: "POST /x", Body: "𠮷"}, "U+20BB7"},
		"body of HEAD":  {core.Request{Operation: "HEAD /x", Body: "a"}, "has no body"},
		"another host":  {core.Request{Operation: "GET //evil.example/x"}, "not one that a URL can have"},
		"not all of it": {core.Request{Operation: "GET /%zz"}, "not one that a URL can have"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Call(t.Context(), x.q)
			if core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v\nmust be invalid and say %q", err, x.want)
			}
		})
	}
}

func TestAnAnswerThatSaysNoIsNoError(t *testing.T) {
	var got *http.Request
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		got, body = q, string(b)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(503)
		b, _ = simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(`系统忙`))
		w.Write(b)
	}))
	defer server.Close()
	c := open(t, map[string]any{"base": server.URL, "charset": "GB18030"})
	defer c.Close()
	r, err := c.Call(t.Context(), core.Request{Operation: "DELETE /x", Headers: []core.Field{field("msgid", "1")}, Body: "三"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != "503" || r.Body != "系统忙" || r.Headers.Get("retry-after") != "7" || string(r.Sent) != "\xc8\xfd" || len(r.Received) != 6 {
		t.Errorf("%+v", r)
	}
	if body != "\xc8\xfd" || got.Method != "DELETE" || got.ContentLength != 2 {
		t.Errorf("%s with body % x", got.Method, body)
	}
	var names []string
	for name := range got.Header {
		names = append(names, name)
	}
	for _, n := range names {
		switch n {
		case "Msgid", "Accept", "User-Agent", "Content-Length", "Content-Type":
		default:
			t.Errorf("header %s was sent, which neither the folder nor we wrote", n)
		}
	}
}

func TestRedirects(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/here":
			http.Redirect(w, q, "/there", http.StatusTemporaryRedirect)
		case "/out":
			http.Redirect(w, q, other.URL, http.StatusTemporaryRedirect)
		default:
			io.Copy(w, q.Body)
		}
	}))
	defer server.Close()
	for _, c := range []struct {
		path   string
		follow bool
		status string
	}{{"/here", false, "307"}, {"/here", true, "200"}, {"/out", true, "307"}} {
		x := open(t, map[string]any{"base": server.URL, "follow": c.follow})
		r, err := x.Call(t.Context(), core.Request{Operation: "POST " + c.path, Body: "a"})
		if err != nil || r.Status != c.status {
			t.Errorf("%+v: status %s, %v", c, r.Status, err)
		}
		x.Close()
	}
	if elsewhere.Load() > 0 {
		t.Error("the token went to another host")
	}
}

func TestReadRecorded(t *testing.T) {
	c := open(t, map[string]any{"base": "http://h.example"})
	r, err := c.Read(core.Request{}, []byte("HTTP/1.1 401 Unauthorized\nX-Code: 1002\n\n{\"a\":1}\n"))
	if err != nil || r.Status != "401" || r.Headers.Get("x-code") != "1002" || r.Body != "{\"a\":1}\n" {
		t.Errorf("%+v %v", r, err)
	}
	r, err = c.Read(core.Request{}, []byte("{}"))
	if err != nil || r.Status != "200" || r.Body != "{}" {
		t.Errorf("%+v %v", r, err)
	}
	if _, err = c.Read(core.Request{}, []byte("\xd5\xc5")); core.ClassOf(err) != core.InDoubt {
		t.Error(err)
	}
}
