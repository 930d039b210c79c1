package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Browsers are people who use the API from the console. Their session's token lives in
// a cookie that no script can read; before a request reaches the API it becomes the
// header that everybody else sends.
//
// A page of somebody else's cannot use the cookie: it is SameSite=Strict, a request that
// changes something must carry the header Hishub-Console, which such a page may not set
// without our leave (it would take a preflight that is never answered), and what the
// browser itself says of a request's origin must not speak against it.
type Browsers struct {
	// Secure marks the cookie as one for https only.
	Secure bool
}

// Header that the console sends with every request.
const Header = "Hishub-Console"

// Opens are the operations that answer with a session's token. For the console it goes
// into the cookie, and is not in the answer.
var Opens = []string{
	"POST /clinic/v1/sessions/second-factor", "POST /clinic/v1/sessions/second-factor/confirm",
	"POST /clinic/v1/session/step-up", "POST /clinic/v1/account/password",
}

// closes are the operations after which there is no session.
var closes = []string{"DELETE /clinic/v1/session", "DELETE /clinic/v1/sessions"}

func (b Browsers) cookie() string {
	if b.Secure {
		return "__Host-hishub_console"
	}
	return "hishub_console"
}

// Around puts the cookie in place of the header for next, the whole API.
func (b Browsers) Around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v1/") && !strings.HasPrefix(r.URL.Path, "/clinic/v1/") || r.Header.Get("Authorization") != "" {
			next.ServeHTTP(w, r)
			return
		}
		console := r.Header.Get(Header) != ""
		if c, err := r.Cookie(b.cookie()); err == nil && c.Value != "" {
			if !genuine(r) {
				refuse(w)
				return
			}
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "Bearer "+c.Value)
			r.Header.Del("Cookie")
		}
		switch op := r.Method + " " + r.URL.Path; {
		case console && among(Opens, op):
			if !genuine(r) {
				refuse(w)
				return
			}
			b.opening(w, r, next)
		case console && among(closes, op):
			said := &held{header: http.Header{}}
			next.ServeHTTP(said, r)
			if said.status < 300 {
				said.header.Add("Set-Cookie", b.over().String())
			}
			said.give(w)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func among(all []string, op string) bool {
	for _, o := range all {
		if o == op {
			return true
		}
	}
	return false
}

// genuine reports whether a request comes from a page of ours, as far as it matters.
func genuine(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		site := r.Header.Get("Sec-Fetch-Site")
		return site != "cross-site" && site != "same-site"
	}
	return r.Header.Get(Header) != "" && http.NewCrossOriginProtection().Check(r) == nil
}

func refuse(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusForbidden)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "/problems/forbidden", "title": "the role may not do this", "status": http.StatusForbidden,
		"detail": "a browser's session is good for requests of the console alone; programs send the header Authorization",
	})
}

// opening moves the token of an answer into the cookie.
func (b Browsers) opening(w http.ResponseWriter, r *http.Request, next http.Handler) {
	said := &held{header: http.Header{}}
	next.ServeHTTP(said, r)
	var answer map[string]json.RawMessage
	var opened struct {
		Token string    `json:"token"`
		Ends  time.Time `json:"ends_at"`
	}
	if said.status < 300 && json.Unmarshal(said.body.Bytes(), &answer) == nil && json.Unmarshal(said.body.Bytes(), &opened) == nil && opened.Token != "" {
		delete(answer, "token")
		text, err := json.Marshal(answer)
		if err != nil {
			panic(err) // it was JSON a moment ago
		}
		said.body = *bytes.NewBuffer(text)
		said.header.Del("Content-Length")
		said.header.Add("Set-Cookie", (&http.Cookie{
			Name: b.cookie(), Value: opened.Token, Path: "/", MaxAge: max(1, int(time.Until(opened.Ends).Seconds())),
			HttpOnly: true, Secure: b.Secure, SameSite: http.SameSiteStrictMode,
		}).String())
	}
	said.give(w)
}

func (b Browsers) over() *http.Cookie {
	return &http.Cookie{Name: b.cookie(), Path: "/", MaxAge: -1, HttpOnly: true, Secure: b.Secure, SameSite: http.SameSiteStrictMode}
}

// held is a small answer that is looked at before it is given.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header { return h.header }
func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}
func (h *held) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(p)
}

func (h *held) give(w http.ResponseWriter) {
	for name, values := range h.header {
		w.Header()[name] = values
	}
	w.WriteHeader(max(h.status, http.StatusOK))
	_, _ = w.Write(h.body.Bytes())
}
