package soap

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hishub/core"
)

// A prescription of five lines is about 1.2 KB of XML inside a parameter.
func BenchmarkCall(b *testing.B) {
	answer := enveloped(`<SaveFeeResponse xmlns="urn:clinic"><SaveFeeResult>` + strings.Repeat("&lt;a&gt;0&lt;/a&gt;", 20) + `</SaveFeeResult></SaveFeeResponse>`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		io.Copy(io.Discard, q.Body)
		io.WriteString(w, answer)
	}))
	defer server.Close()
	c := clinic(b, map[string]any{"endpoint": server.URL + "/his"})
	defer c.Close()
	q := request()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Call(b.Context(), q); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func request() core.Request {
	return core.Request{Operation: "SaveFee", Body: tree{
		{Name: "totCost", Value: "46.19"}, {Name: "clinicCode", Value: core.CData(strings.Repeat("<Item><Code>YP001</Code></Item>", 40))},
	}}
}

func BenchmarkWrite(b *testing.B) {
	c := clinic(b, nil).(described)
	q := request()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.write(q, still); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	c := clinic(b, nil).(described)
	received := []byte(enveloped(`<SaveFeeResponse xmlns="urn:clinic"><SaveFeeResult>` + strings.Repeat("&lt;a&gt;0&lt;/a&gt;", 20) + `</SaveFeeResult></SaveFeeResponse>`))
	b.ReportAllocs()
	for b.Loop() {
		r := core.Response{Received: received, Status: "200"}
		if err := c.read(nil, &r); err != nil {
			b.Fatal(err)
		}
	}
}
