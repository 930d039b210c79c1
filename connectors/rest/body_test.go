package rest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

func TestFormOfADocument(t *testing.T) {
	q := core.Request{Operation: "POST /x", Body: core.Tree{field("code", "1&2"), field("xm", core.List{"张三测试", nil}), field("n", core.Token("12.50"))}}
	for charset, want := range map[string]string{
		"UTF-8":   "code=1%262&xm=%E5%BC%A0%E4%B8%89%E6%B5%8B%E8%AF%95&xm=&n=12.50",
		"GB18030": "code=1%262&xm=%D5%C5%C8%FD%B2%E2%CA%D4&xm=&n=12.50",
	} {
		c := open(t, map[string]any{"base": "http://h.example", "content_type": "application/x-www-form-urlencoded", "charset": charset})
		got, err := c.Write(q)
		want := "POST /x HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n\n" + want
		if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	// A header of the operation decides, where a HIS has both kinds.
	c := open(t, map[string]any{"base": "http://h.example"})
	q.Headers = []core.Field{field("content-type", "application/x-www-form-urlencoded; charset=utf-8")}
	got, err := c.Write(q)
	if err != nil || !strings.HasSuffix(string(got), "&n=12.50") {
		t.Error(string(got), err)
	}
}

// Go's own reader of forms reads what we write.
func TestMultipart(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r, err := q.MultipartReader()
		if err != nil {
			t.Error(err)
			return
		}
		got = nil
		for {
			p, err := r.NextRawPart()
			if err != nil {
				break
			}
			b, _ := io.ReadAll(p)
			got = append(got, fmt.Sprintf("%s|%s|%s|%q", p.FormName(), p.FileName(), p.Header.Get("Content-Type"), b))
		}
	}))
	defer server.Close()
	c := open(t, map[string]any{"base": server.URL, "content_type": "multipart/form-data"})
	defer c.Close()
	q := core.Request{Operation: "POST /upload", Body: core.Tree{
		field("no", "RX1"), field("empty", nil),
		field("report", core.Tree{field(".filename", "报告.pdf"), field(".type", "application/pdf"), field(".encoding", "base64"), field("$text", "AAH/DQo=")}),
		field("note", core.Tree{field(".filename", "n.txt"), field("$text", "张三测试")}),
		field("tag", core.List{"a", "b\r\n--c"}),
	}}
	r, err := c.Call(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		`no|||"RX1"`, `empty|||""`, `report|报告.pdf|application/pdf|"\x00\x01\xff\r\n"`, `note|n.txt|application/octet-stream|"张三测试"`,
		`tag|||"a"`, `tag|||"b\r\n--c"`,
	}, got); diff != "" {
		t.Error(diff)
	}
	// The boundary comes to the operation's own header, too.
	q.Headers = []core.Field{field("content-type", "multipart/form-data")}
	if _, err := c.Call(t.Context(), q); err != nil || len(got) != 6 {
		t.Error(got, err)
	}
	q.Headers = nil
	shown, err := c.Write(q)
	if err != nil || !strings.HasSuffix(string(shown), string(r.Sent)) {
		t.Error("a case does not show what is sent", err)
	}
	for name, x := range map[string]struct {
		v    core.Value
		want string
	}{
		"not base64":     {core.Tree{field(".encoding", "base64"), field("$text", "!")}, "field a is not base64"},
		"encoding":       {core.Tree{field(".encoding", "hex"), field("$text", "00")}, "not base64"},
		"a document":     {core.Tree{field("b", "c")}, "field a is a document"},
		"attribute":      {core.Tree{field(".name", "c"), field("$text", "x")}, "has .name; there are .filename"},
		"another header": {core.Tree{field(".type", "a\r\nb: c"), field("$text", "x")}, "cannot be sent"},
	} {
		_, err := c.Call(t.Context(), core.Request{Operation: "POST /x", Body: core.Tree{field("a", x.v)}})
		if core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestXML(t *testing.T) {
	c := open(t, map[string]any{"base": "http://h.example", "content_type": "text/xml; charset=GBK", "charset": "GB18030"})
	got, err := c.Write(core.Request{Operation: "POST /x", Body: `<?xml version="1.0" encoding="GBK"?><a>三</a>`})
	if want := "POST /x HTTP/1.1\nContent-Type: text/xml; charset=GBK\n\n<?xml version=\"1.0\" encoding=\"GBK\"?><a>\xc8\xfd</a>"; err != nil || string(got) != want {
		t.Errorf("%q %v", got, err)
	}
}
