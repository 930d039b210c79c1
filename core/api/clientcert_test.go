package api

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
)

// With ClientCert everybody shows a certificate beside the key; health does not.
func TestTheAPIDemandsACertificate(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.ClientCert = true })
	key := w.key(Admin, "")
	handler := New(w.options)
	verified := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{}}}
	for _, c := range []struct {
		path string
		over *tls.ConnectionState
		want int
	}{
		{"/v1/hospitals", nil, 403}, {"/v1/hospitals", &tls.ConnectionState{}, 403}, {"/v1/hospitals", verified, 200},
		{"/pages/login", nil, 403}, {"/openapi.json", nil, 403}, {"/nothing", nil, 403}, {"/healthz", nil, 200}, {"/readyz", nil, 200},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.path, nil)
		r.TLS = c.over
		r.Header.Set("Authorization", "Bearer "+key)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		if answer.Code != c.want {
			t.Errorf("%s over %v: %d, want %d", c.path, c.over != nil, answer.Code, c.want)
		}
	}
}
