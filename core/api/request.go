package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"hishub/core/postgres"
)

// request is what is known of a request beside its content.
type request struct {
	id     string
	log    *slog.Logger
	caller Caller
	// account of the clinic that is signed in; 0 is none.
	account int64
	// origin is the same for the audit.
	origin *postgres.Origin
}

// SignedIn says that a request is a person's of the clinic, for its log line and the
// audit.
func SignedIn(ctx context.Context, account int64, who, role string) {
	if rq := requestOf(ctx); rq != nil {
		rq.account = account
		rq.origin.Who, rq.origin.Role = who, role
	}
}

// is says whose request it is, once that is known.
func (rq *request) is(c Caller) {
	rq.caller, rq.account = c, c.Account
	rq.origin.Who, rq.origin.Role = rq.who(), c.roles()
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	rq, _ := ctx.Value(requestKey{}).(*request)
	return rq
}

// who is the caller in the record of a decision.
func (rq *request) who() string {
	if rq.caller.Account != 0 {
		return fmt.Sprintf("%s (account %d)", rq.caller.Name, rq.caller.Account)
	}
	return fmt.Sprintf("%s (key %d)", rq.caller.Name, rq.caller.Key)
}

// around is what all requests share: a number, one log line, safe headers, and
// problems instead of net/http's plain texts.
func (a *api) around(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rq := &request{id: rand.Text()[:16]}
		rq.log = a.Log.With("request", rq.id)
		rq.origin = &postgres.Origin{Request: rq.id}
		r = r.WithContext(postgres.WithOrigin(context.WithValue(r.Context(), requestKey{}, rq), rq.origin))
		out := &answer{ResponseWriter: w}
		h := out.Header()
		h.Set("X-Request-Id", rq.id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

		defer func() {
			if p := recover(); p != nil {
				incident := rand.Text()[:12]
				rq.log.Error("request failed", "incident", incident, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
				if out.status == 0 {
					failed := problem("internal", "")
					failed.Incident = incident
					writeProblem(out, failed)
				}
			}
			// The pattern and not the path: what a caller puts into a path may be anything.
			level := slog.LevelInfo
			if r.Pattern == "GET /healthz" || r.Pattern == "GET /readyz" || r.Pattern == "GET /metrics" {
				level = slog.LevelDebug
			}
			attributes := []any{"route", r.Pattern, "method", methodName(r.Method), "status", out.status, "bytes", out.bytes,
				"ms", time.Since(began).Milliseconds(), "key", rq.caller.Name}
			if rq.account != 0 {
				attributes = append(attributes, "account", rq.account)
			}
			rq.log.Log(r.Context(), level, "request", attributes...)
		}()
		if !readable(r) {
			writeProblem(out, byStatus(http.StatusBadRequest, "the address or a header holds bytes that are no text"))
			return
		}
		if a.ClientCert && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0) {
			writeProblem(out, problem("forbidden", "show a client certificate that this hub believes, beside the key"))
			return
		}
		if handler, pattern := mux.Handler(r); pattern == "" {
			nowhere(out, r, handler)
			return
		}
		mux.ServeHTTP(out, r)
	})
}

// readable reports whether what the address and the headers say is text: bytes
// that are none, and NUL, are in no number or name that we know.
func readable(r *http.Request) bool {
	text := func(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
	if !text(r.URL.Path) {
		return false
	}
	if query, err := url.QueryUnescape(r.URL.RawQuery); err != nil || !text(query) {
		return false
	}
	for _, values := range r.Header {
		if !text(strings.Join(values, "")) {
			return false
		}
	}
	return true
}

func methodName(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// nowhere answers what no route takes: 404, or 405 with the header Allow.
func nowhere(w http.ResponseWriter, r *http.Request, standard http.Handler) {
	said := &answer{ResponseWriter: silent{w.Header()}}
	standard.ServeHTTP(said, r)
	w.Header().Del("Content-Length")
	writeProblem(w, byStatus(said.status, ""))
}

type silent struct{ header http.Header }

func (s silent) Header() http.Header         { return s.header }
func (s silent) Write(b []byte) (int, error) { return len(b), nil }
func (s silent) WriteHeader(int)             {}

// answer remembers what was answered.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func writeProblem(w http.ResponseWriter, p *Problem) {
	for name, values := range p.headers {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// admit lets a request through to an operation: a valid key, its rate, the
// role's right, the hospital in its scope, and a body that is JSON.
func (a *api) admit(right Right) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		ctx := hc.Context()
		rq := requestOf(ctx)
		if p := a.refusal(ctx, rq, right, hc); p != nil {
			for name, values := range p.headers {
				hc.SetHeader(name, values[0])
			}
			hc.SetHeader("Content-Type", p.ContentType(""))
			hc.SetStatus(p.Status)
			_ = format.Marshal(hc.BodyWriter(), p)
			return
		}
		next(hc)
	}
}

func (a *api) refusal(ctx context.Context, rq *request, right Right, hc huma.Context) *Problem {
	caller, err := a.callers.caller(ctx, bearer(hc.Header("Authorization")))
	if errors.Is(err, ErrUnknownCaller) {
		p := problem("unauthenticated", "")
		p.headers = http.Header{"WWW-Authenticate": {`Bearer realm="hishub"`}}
		return p
	}
	if err != nil {
		return problemOf(ctx, rq.log, err)
	}
	rq.is(caller.about(right))
	if p := a.tooMany(ctx, rq); p != nil {
		return p
	}
	if !caller.May(right) {
		return lacks(caller, right)
	}
	if hospital := hc.Param("hospital"); hospital != "" && !caller.MayAt(right, hospital) {
		if caller.Sees(hospital) {
			return lacks(caller, right)
		}
		return problem("not-found", "")
	}
	if hc.Operation().RequestBody != nil && !isJSON(hc.Header("Content-Type")) {
		return problem("media-type", "send `Content-Type: application/json`")
	}
	return nil
}

// lacks is the problem of a caller who may not.
func lacks(c Caller, right Right) *Problem {
	roles := c.roles()
	if roles == "" {
		roles = "none"
	}
	return problem("forbidden", fmt.Sprintf("the role %s lacks the right %q", roles, right))
}

func (a *api) tooMany(ctx context.Context, rq *request) *Problem {
	if a.Limits == nil {
		return nil
	}
	ok, after, err := a.Limits.Allow(ctx, fmt.Sprintf("api:%d", rq.caller.number()), a.Rate, a.Burst)
	if err != nil {
		return problemOf(ctx, rq.log, err)
	}
	if !ok {
		return problem("rate", "").after(after)
	}
	return nil
}

func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func isJSON(contentType string) bool {
	media, parameters, err := mime.ParseMediaType(contentType)
	charset := parameters["charset"]
	return err == nil && media == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8"))
}
