package alert

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"hishub/core/incident"
)

// What is secret is in the address, a header and the body; whoever answers for it once
// cannot have it sent elsewhere, nor is a redirect taken for a letter that was told.
func TestSecretsFollowNoRedirect(t *testing.T) {
	var elsewhere, calls atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		_, _ = io.WriteString(w, `{"errcode":0}`)
	}))
	defer other.Close()
	status := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, other.URL+r.URL.RequestURI(), status)
	}))
	defer s.Close()
	v := view{language: "en", zone: time.UTC}
	for _, status = range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		for _, c := range []Channel{
			webhook{s.URL + "/x?token=top-secret", "s3cret", v}, weCom{s.URL, "top-secret", v}, dingTalk{s.URL, "top-secret", "s3cret", time.Now, v},
		} {
			calls.Store(0)
			if err := c.Send(t.Context(), letter(1, incident.Breaker)); err == nil {
				t.Errorf("%T: a letter that was answered %d counts as told", c, status)
			}
			if calls.Load() != 1 || elsewhere.Swap(0) != 0 {
				t.Errorf("%T: answered %d, it went on to another host", c, status)
			}
		}
	}
}
