package sms

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestGateway(t *testing.T) {
	g, err := Start(t.Context(), Options{Keep: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	send := func(body string) int {
		a, err := http.Post(g.URL()+"/send", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.StatusCode
	}
	get := func(path string) (int, string) {
		a, err := http.Get(g.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(text)
	}
	if status, _ := get("/messages/13800000001/last"); status != 404 {
		t.Errorf("a message before there was one: %d", status)
	}
	for _, text := range []string{"one", "two", "three <b>"} {
		if status := send(`{"phone":"13800000001","text":"` + text + `"}`); status != 200 {
			t.Errorf("%s: %d", text, status)
		}
	}
	for _, bad := range []string{"", "{}", `{"phone":"1"}`, "[]"} {
		if status := send(bad); status != 400 {
			t.Errorf("%q: %d", bad, status)
		}
	}
	var m Message
	if _, text := get("/messages/13800000001/last"); json.Unmarshal([]byte(text), &m) != nil || m.Text != "three <b>" {
		t.Errorf("the last one is %q", m.Text)
	}
	if _, text := get("/"); !strings.Contains(text, "three &lt;b&gt;") || strings.Contains(text, "one") {
		t.Errorf("the page: %s", text)
	}
	g.Down(true)
	if status := send(`{"phone":"13800000001","text":"four"}`); status != 503 || len(g.Messages()) != 2 {
		t.Errorf("down: %d, %d messages", status, len(g.Messages()))
	}
}
