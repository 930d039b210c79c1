package clinic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// People finds who a session's token belongs to.
type People interface {
	// Person returns ErrSignedOut for a token of no session.
	Person(ctx context.Context, token string) (Person, error)
}

// Trail keeps what people did and looked at, for ever.
type Trail interface {
	Keep(ctx context.Context, a Act) error
}

// Act is what a person did, or looked at.
type Act struct {
	Person   Person
	Verb     string // the operation's id
	Hospital string // "" is none
	Subject  string // as "prescription RX1"
	// Patients whose data it showed or changed, by our own number.
	Patients []string
	// Note is why, in the person's words.
	Note string
	// Data of the act that names no patient; may be nil.
	Data map[string]any
}

// ErrSignedOut: nobody, or nobody any more, is signed in with that token.
var ErrSignedOut = errors.New("not signed in")

// API is where the modules' operations are registered: every one of them says who may
// call it and whether it shows what is a patient's, and none can forget to.
type API struct {
	Huma   huma.API
	People People
	Trail  Trail
	// Allow bounds how often one account, or one address of nobody, may ask; nil does not.
	Allow func(ctx context.Context, who string) (ok bool, retryAfter time.Duration, err error)
	// Known is told who makes a request, for its log line; may be nil.
	Known func(ctx context.Context, p Person)
	// Proxies are those whose X-Forwarded-For is believed.
	Proxies []Proxy
}

// Endpoint is one entry of the clinic's API.
type Endpoint struct {
	ID, Method, Path string
	Title, Doc       string
	Right            Right
	// Shows marks what answers with a patient's data, or changes it: the operation says
	// whose by About, and each success is kept in the audit.
	Shows bool
	// Status of success, 200 if 0.
	Status int
	// MaxBody in bytes, 256 KiB if 0.
	MaxBody int64
	// BodyTime is how long a body may take to come, 10 s if 0.
	BodyTime time.Duration
	// Types of what is answered, where its bytes are no JSON.
	Types []string
}

// Prefix of every path of the clinic's API.
const Prefix = "/clinic/v1"

type visitKey struct{}

// visit is one request on its way through an endpoint.
type visit struct {
	person   Person
	address  string // of who asks
	mu       sync.Mutex
	hospital string
	subject  string
	patients []string
	note     string
}

// About says which record a request is about and whose it is, for the audit. An
// endpoint that shows patient data and names nothing fails.
func About(ctx context.Context, subject string, patients ...string) {
	v, _ := ctx.Value(visitKey{}).(*visit)
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.subject = subject
	for _, p := range patients {
		if p != "" {
			v.patients = append(v.patients, p)
		}
	}
}

// At says at which hospital the record is, for the audit, where the path does not.
func At(ctx context.Context, hospital string) {
	if v, _ := ctx.Value(visitKey{}).(*visit); v != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.hospital = hospital
	}
}

// Because says why a person looks, in his words, for the audit.
func Because(ctx context.Context, note string) {
	if v, _ := ctx.Value(visitKey{}).(*visit); v != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.note = note
	}
}

// hospitalOf is the hospital of an input: those with a Hospital in their path embed it.
type hospitalOf interface{ hospital() string }

func (h Hospital) hospital() string { return h.Hospital }

// Register adds an endpoint. f is called with who asks, once that person has the
// right at the hospital in the path; a hospital that is none of his is answered as one
// that does not exist.
func Register[I, O any](a *API, e Endpoint, f func(context.Context, Person, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: e.ID, Method: e.Method, Path: Prefix + e.Path, Summary: e.Title, Description: e.Doc, Tags: []string{"Clinic"},
		DefaultStatus: e.Status, MaxBodyBytes: e.MaxBody, BodyReadTimeout: e.BodyTime,
		Errors:      []int{400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503},
		Extensions:  map[string]any{"x-right": string(e.Right), "x-roles": names(RolesWith(e.Right)), "x-shows-patient": e.Shows},
		Security:    []map[string][]string{{"session": {}}},
		Middlewares: huma.Middlewares{a.admit(e.Right)},
	}
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = 256 << 10
	}
	if op.BodyReadTimeout == 0 {
		op.BodyReadTimeout = 10 * time.Second
	}
	for _, t := range e.Types {
		if op.Responses == nil {
			op.Responses = map[string]*huma.Response{"200": {Content: map[string]*huma.MediaType{}}}
		}
		op.Responses["200"].Content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	if e.Right == Anyone {
		op.Security = []map[string][]string{}
		op.Extensions["x-right"] = "anyone"
	}
	huma.Register(a.Huma, op, func(ctx context.Context, in *I) (*O, error) {
		v := ctx.Value(visitKey{}).(*visit)
		out, err := f(ctx, v.person, in)
		if err != nil {
			return nil, Answer(err)
		}
		if !e.Shows {
			return out, nil
		}
		v.mu.Lock()
		act := Act{Person: v.person, Verb: e.ID, Hospital: v.hospital, Subject: v.subject, Patients: v.patients, Note: v.note}
		v.mu.Unlock()
		if h, ok := any(in).(hospitalOf); ok {
			act.Hospital = h.hospital()
		}
		if act.Subject == "" {
			return nil, fmt.Errorf("%s shows patient data and does not say whose", e.ID)
		}
		if err := a.Trail.Keep(ctx, act); err != nil {
			return nil, fmt.Errorf("keep in the audit: %w", err) // what is not kept is not shown
		}
		return out, nil
	})
}

// admit lets a request through to an endpoint.
func (a *API) admit(right Right) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		v := &visit{address: a.client(hc)}
		if err := a.refusal(hc, v, right); err != nil {
			_ = huma.WriteErr(a.Huma, hc, err.status, err.detail)
			return
		}
		next(huma.WithValue(hc, visitKey{}, v))
	}
}

// client is where a request comes from.
func (a *API) client(hc huma.Context) string {
	var forwarded []string
	if len(a.Proxies) > 0 {
		hc.EachHeader(func(name, value string) {
			if strings.EqualFold(name, "X-Forwarded-For") {
				forwarded = append(forwarded, value)
			}
		})
	}
	return clientOf(a.Proxies, hc.RemoteAddr(), forwarded)
}

type refused struct {
	status int
	detail string
}

func (a *API) refusal(hc huma.Context, v *visit, right Right) *refused {
	ctx := hc.Context()
	who := "nobody " + v.address
	if token := Bearer(hc.Header("Authorization")); token != "" {
		p, err := a.People.Person(ctx, token)
		switch {
		case err == nil:
			v.person, who = p, "account "+strconv.FormatInt(p.Account, 10)
			if a.Known != nil {
				a.Known(ctx, p)
			}
		case !errors.Is(err, ErrSignedOut):
			return &refused{http.StatusServiceUnavailable, "who is signed in cannot be looked up now"}
		case right != Anyone:
			hc.SetHeader("WWW-Authenticate", `Bearer realm="clinic"`)
			return &refused{http.StatusUnauthorized, ""}
		}
	} else if right != Anyone {
		hc.SetHeader("WWW-Authenticate", `Bearer realm="clinic"`)
		return &refused{http.StatusUnauthorized, ""}
	}
	if a.Allow != nil {
		ok, after, err := a.Allow(ctx, who)
		if err != nil {
			return &refused{http.StatusServiceUnavailable, ""}
		}
		if !ok {
			hc.SetHeader("Retry-After", strconv.Itoa(int(max(1, (after+time.Second-1)/time.Second))))
			return &refused{http.StatusTooManyRequests, ""}
		}
	}
	hospital := hc.Param("hospital")
	if right != Anyone && hospital != "" && !v.person.Sees(hospital) {
		return &refused{http.StatusNotFound, ""}
	}
	if !v.person.May(right, hospital) {
		return &refused{http.StatusForbidden, fmt.Sprintf("none of your roles has the right %q here", right)}
	}
	return nil
}

// Bearer is the token of an Authorization header, "" if there is none.
func Bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// From is embedded by an input that must know where its request comes from.
type From struct{ remote string }

// Resolve implements huma.Resolver.
func (f *From) Resolve(hc huma.Context) []error {
	f.remote = hc.Context().Value(visitKey{}).(*visit).address
	return nil
}

// Address of who asks, without a port: behind trusted proxies that of the client.
func (f *From) Address() string { return f.remote }

func names(roles []Role) []string {
	out := []string{}
	for _, r := range roles {
		out = append(out, string(r))
	}
	return out
}

// address without its port.
func address(remote string) string {
	if i := strings.LastIndexByte(remote, ':'); i > 0 {
		return remote[:i]
	}
	return remote
}
