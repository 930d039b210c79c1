package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"sync"
	"time"

	"hishub/core/postgres"
)

const (
	cookieName = "hishub"
	// visitLasts is how long a person stays signed in.
	visitLasts = 12 * time.Hour
	maxVisits  = 10_000
)

// visits are the people signed in at this process. The cookie holds a random
// number, never the key; here only the number's hash is kept.
type visits struct {
	callers *callers
	mu      sync.Mutex
	open    map[string]visit
}

type visit struct {
	caller Caller
	prefix string
	csrf   string
	until  time.Time
}

func visitID(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return string(sum[:])
}

func (v *visits) begin(c Caller, prefix string) (cookie string) {
	cookie = rand.Text() + rand.Text()
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	for id, o := range v.open {
		if now.After(o.until) || len(v.open) >= maxVisits {
			delete(v.open, id)
		}
	}
	v.open[visitID(cookie)] = visit{caller: c, prefix: prefix, csrf: rand.Text(), until: now.Add(visitLasts)}
	return cookie
}

func (v *visits) end(cookie string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.open, visitID(cookie))
}

// of finds the visit of a request; it ends with the key that it began with.
func (v *visits) of(r *http.Request) (visit, bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return visit{}, false
	}
	v.mu.Lock()
	o, ok := v.open[visitID(cookie.Value)]
	v.mu.Unlock()
	if !ok || time.Now().After(o.until) {
		return visit{}, false
	}
	if _, err := v.callers.find(r.Context(), o.prefix); err != nil {
		return visit{}, false
	}
	return o, true
}

// genuine reports whether a form was sent from a page of this visit.
func (v visit) genuine(r *http.Request) bool {
	return http.NewCrossOriginProtection().Check(r) == nil &&
		subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(v.csrf)) == 1
}

func (a *api) login(w http.ResponseWriter, r *http.Request, v *visits) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		render(w, r, http.StatusForbidden, "login", "This form came from elsewhere.")
		return
	}
	key := r.PostFormValue("key")
	caller, err := a.callers.caller(r.Context(), key)
	switch {
	case errors.Is(err, ErrUnknownCaller):
		render(w, r, http.StatusUnauthorized, "login", "This key is unknown or revoked.")
		return
	case err != nil:
		p := problemOf(r.Context(), requestOf(r.Context()).log, err)
		render(w, r, p.Status, "login", "Not now: "+p.Title+". Incident "+p.Incident+".")
		return
	}
	rq := requestOf(r.Context())
	rq.is(caller)
	if err := a.Store.Audit(r.Context(), postgres.Act{Who: rq.who(), Verb: "login"}); err != nil {
		p := problemOf(r.Context(), rq.log, err)
		render(w, r, p.Status, "login", "Not now: "+p.Title+". Incident "+p.Incident+".")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: v.begin(caller, prefixOf(key)), Path: "/", MaxAge: int(visitLasts.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: a.Secure,
	})
	http.Redirect(w, r, "/pages/hospitals", http.StatusSeeOther)
}
