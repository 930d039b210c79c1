package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Over https the cookie is one that no neighbour can plant, and what a program sends is
// left alone.
func TestBrowsers(t *testing.T) {
	var got *http.Request
	answer, status := `{"token": "cs_secret", "session": "s1", "ends_at": "`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`, 200
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("Content-Length", "5000")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	})
	ask := func(method, path string, headers ...string) *httptest.ResponseRecorder {
		got = nil
		r := httptest.NewRequest(method, path, strings.NewReader("{}"))
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		Browsers{Secure: true}.Around(api).ServeHTTP(w, r)
		return w
	}
	const ours = Header + ": 1"
	w := ask("POST", "/clinic/v1/sessions/second-factor", ours)
	c, err := http.ParseSetCookie(w.Header().Get("Set-Cookie"))
	if err != nil || c.Name != "__Host-hishub_console" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.MaxAge < 3500 || c.Value != "cs_secret" {
		t.Errorf("%v %+v", err, c)
	}
	if strings.Contains(w.Body.String(), "cs_") || !strings.Contains(w.Body.String(), `"s1"`) || w.Header().Get("Content-Length") == "5000" {
		t.Errorf("%s %v", w.Body, w.Header())
	}
	if w := ask("POST", "/clinic/v1/sessions/second-factor"); w.Header().Get("Set-Cookie") != "" || !strings.Contains(w.Body.String(), "cs_secret") {
		t.Error("a program's answer was changed")
	}
	answer, status = `{"title": "no"}`, 401
	if w := ask("POST", "/clinic/v1/sessions/second-factor", ours); w.Code != 401 || w.Header().Get("Set-Cookie") != "" || w.Body.String() != answer {
		t.Errorf("refused: %d %v %s", w.Code, w.Header(), w.Body)
	}
	answer, status = `{}`, 200
	ask("GET", "/v1/hospitals", "Cookie: __Host-hishub_console=cs_a")
	if got.Header.Get("Authorization") != "Bearer cs_a" || got.Header.Get("Cookie") != "" {
		t.Errorf("the API got %v", got.Header)
	}
	ask("GET", "/v1/hospitals", "Cookie: __Host-hishub_console=cs_a", "Authorization: Bearer hk_b")
	if got.Header.Get("Authorization") != "Bearer hk_b" {
		t.Error("a key gave way to a cookie")
	}
	for _, path := range []string{"/his/dongshan/notify", "/pages/hospitals", "/metrics"} {
		if ask("POST", path, "Cookie: __Host-hishub_console=cs_a", ours); got.Header.Get("Authorization") != "" {
			t.Errorf("%s got the session", path)
		}
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		if w := ask(method, "/v1/messages/1/retry", "Cookie: __Host-hishub_console=cs_a"); w.Code != 403 || got != nil {
			t.Errorf("%s without the header: %d", method, w.Code)
		}
	}
}
