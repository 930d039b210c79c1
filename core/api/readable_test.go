package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestReadable(t *testing.T) {
	for target, want := range map[string]bool{
		"/v1/messages?key=RX1": true, "/v1/messages?key=%E4%B8%9C": true,
		"/v1/messages?key=%00": false, "/v1/messages?key=%ff": false, "/clinic/%00": false, "/clinic/%ff": false, "/v1/messages?key=%zz": false,
	} {
		if got := readable(httptest.NewRequest(http.MethodGet, target, nil)); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/messages", nil)
	r.Header.Set("Idempotency-Key", "\xfe\xff")
	if readable(r) {
		t.Error("a header that is no text")
	}
}
