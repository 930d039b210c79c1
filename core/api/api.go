// Package api is the hub's HTTP API with its OpenAPI document, the webhooks, and
// the plain pages that show the same things to people.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/core/replay"
	"hishub/core/shadow"
)

// Options for New. Store, Questions, Nights, Place and Log are required.
type Options struct {
	Version   string
	Store     Store
	Questions Questions
	Nights    Nights
	// Repairs carries out what is approved; nil when this process carries out none.
	Repairs Repairs
	// Place is what a night must know of a hospital; the reports take its zone and
	// its day's bounds. core.ErrUnknownHospital when there is no such hospital.
	Place func(ctx context.Context, hospital string) (reconcile.Place, error)
	// Folder is a hospital's active folder; nil: what it maps is not known.
	Folder func(ctx context.Context, hospital string) (*core.Dialect, error)
	// Repeats is what the folder of a hospital says of telling a transaction again; nil:
	// it is not known here, and no replay is previewed.
	Repeats replay.Rules
	// Shadow says up to limit messages of a hospital with its newest folder, too; nil
	// compares nothing.
	Shadow func(ctx context.Context, of shadow.Store, hospital string, limit int) (*shadow.Report, error)
	// Background ends when this process does. Runs that are asked for go on in it
	// after their request; context.Background() if nil.
	Background context.Context
	// Head says when and how much a hospital may be called, by its folder's revision,
	// without its operations; nil: it is not known here.
	Head func(ctx context.Context, hospital string, revision int) (*core.Dialect, error)
	// Process is this one's name among those that work hospitals; "" works none.
	Process string
	// Lights are what this process's dispatcher knows of its hospitals; nil when it
	// delivers nothing.
	Lights func() map[string]delivery.Light
	// Seen is what this process knows of the hospitals that it works; nil knows nothing.
	Seen func() map[string]Seen
	// Pulse is what all processes counted in the minutes (since 1970) from first to last,
	// of some hospitals together, nil for all; see PulseTook. nil counts nothing.
	Pulse func(ctx context.Context, hospitals []string, first, last int64) ([]map[string]int64, error)
	// Mine reports whether the clinic here took the payment that a HIS's window gives
	// back, and so decides about it; nil: there is no clinic.
	Mine func(ctx context.Context, hospital string, r *core.WindowRefund) (bool, error)
	// Limits bounds the requests of a key; nil does not.
	Limits Limits
	// Rate and Burst are the requests per second of one key; 0 means 1000 and 2000.
	Rate, Burst int
	// Ready are the things this process depends on, for /readyz.
	Ready []Dependency
	// Metrics serves /metrics; nil serves none.
	Metrics http.Handler
	Log     *slog.Logger
	// Follow gathers all that is known of a number, in all hospitals; nil follows nothing.
	Follow func(ctx context.Context, id string) (Trace, error)
	// Apart leaves out what is the hub's: only what More and People register is served, with
	// its document and health. Where the hub's addresses are is said to who asks for one.
	Apart bool
	// More registers the operations of other modules, each with {hospital} in its
	// path; they are for callers who may submit. May be nil.
	More func(huma.API)
	// People registers operations under the tag Clinic that people call with the token
	// of a session; they admit their callers themselves (SignedIn). May be nil.
	People func(huma.API)
	// Person is who a session's token belongs to, with the roles that the person has
	// here; ErrUnknownCaller for one of no session. nil: only keys are callers.
	Person func(ctx context.Context, token string) (Caller, error)
	// ClientCert demands a verified client certificate of every request but those of health.
	ClientCert bool
	// Secure marks the pages' cookie as one for https only.
	Secure bool

	// Stopping is closed when the process is about to end: who waits for something to
	// come is answered. nil: it never is.
	Stopping <-chan struct{}

	// patience with a run, runPatience if 0; tests have less.
	patience time.Duration
	// now is time.Now if nil; tests stand still.
	now func() time.Time
}

// Questions asks a HIS at once (*delivery.Questions).
type Questions interface {
	Fresh(ctx context.Context, hospital string, kind core.Kind, body core.Body) (answer json.RawMessage, asOf time.Time, err error)
	// Question asks now, whatever was answered before.
	Question(ctx context.Context, hospital string, kind core.Kind, body core.Body) (answer any, err error)
}

// Nights runs the comparison of a day (*reconcile.Runner).
type Nights interface {
	Run(ctx context.Context, a reconcile.Ask) (reconcile.Night, error)
}

// Limits bounds how often a key may ask, over all processes (*redis.Limits).
type Limits interface {
	Allow(ctx context.Context, key string, perSecond, burst int) (ok bool, retryAfter time.Duration, err error)
}

// Store is everything that is kept (*postgres.Store).
type Store interface {
	Outbox
	Requests
	Ledger
	Arrivals
	Desk
	Replays
	Wards
	Worklist
	core.Feed
	Hooks
	NightBooks
	CaseBooks
	Receipts
	Keys
	Trail
}

var _ Store = (*postgres.Store)(nil)

// Dependency is something that this process needs.
type Dependency struct {
	Name string
	// Degraded: the process works without it, only less well.
	Degraded bool
	Check    func(context.Context) error
}

// api is the one instance that all operations hang on.
type api struct {
	Options
	huma    huma.API
	callers *callers
	runs    *runs
	lamps   *lamps
}

// New makes the handler of everything: API, document, pages, health.
func New(o Options) http.Handler {
	if o.Rate == 0 {
		o.Rate, o.Burst = 1000, 2000
	}
	if o.Lights == nil {
		o.Lights = func() map[string]delivery.Light { return nil }
	}
	mux := http.NewServeMux()
	a := &api{Options: o, callers: &callers{keys: o.Store, person: o.Person, log: o.Log}, runs: newRuns(o)}
	a.huma = newHuma(mux, o.Version)
	if !a.Apart {
		a.operations()
	}
	if a.More != nil {
		more := huma.NewGroup(a.huma)
		more.UseMiddleware(a.admit(maySubmit))
		a.More(more)
	}

	described := a.huma.OpenAPI()
	if a.Person != nil || a.People != nil {
		described.Components.SecuritySchemes["session"] = &huma.SecurityScheme{Type: "http", Scheme: "bearer", Description: "the token of a person's session, `cs_…`, given by a sign-in"}
	}
	if a.Person != nil {
		described.Security = append(described.Security, map[string][]string{"session": {}})
	}
	if a.People != nil {
		described.Tags = append(slices.Clone(tags), &huma.Tag{Name: "Clinic", Description: "What patients and staff do, signed in with a session of their own. A hospital that is none of the caller's does not exist for him."})
		a.People(a.huma)
	}

	a.health(mux)
	document(mux, a.huma.OpenAPI())
	if a.Apart {
		mux.HandleFunc("/", elsewhere)
	} else {
		a.pages(mux)
	}
	return a.around(mux)
}

// operations registers all that is the hub's.
func (a *api) operations() {
	a.messages()
	a.submissions()
	a.questions()
	a.decisions()
	a.traces()
	a.replays()
	a.hospitals()
	a.revisions()
	a.incidents()
	a.overview()
	a.live()
	a.unmapped()
	a.events()
	a.inbound()
	a.nights()
	a.cases()
	a.reports()
	a.settlements()
	a.webhooks()
	a.keys()
	a.audit()
	a.unmask()
}

// elsewhere answers for the hub's addresses in a process that is the clinic's alone.
func elsewhere(w http.ResponseWriter, _ *http.Request) {
	writeProblem(w, problem("not-found", "this process serves modules of the clinic only; the hub's addresses are served by hishub serve"))
}

var once sync.Once

func newHuma(mux *http.ServeMux, version string) huma.API {
	once.Do(func() { // huma has them as variables of the package
		huma.NewError = fromHuma
		huma.NewErrorWithContext = func(hc huma.Context, status int, message string, errs ...error) huma.StatusError {
			if status == http.StatusInternalServerError && len(errs) > 0 {
				return problemOf(hc.Context(), requestOf(hc.Context()).log, errors.Join(errs...))
			}
			return fromHuma(status, message, errs...)
		}
		huma.DefaultArrayNullable = false
	})
	return humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "hishub", Version: version,
				Description: "Tell a hospital's HIS what happened in the clinic, ask it questions, and see what became of each message. Money is in fen (1/100 yuan), times carry their zone, identifiers are text.",
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"key": {Type: "http", Scheme: "bearer", Description: "an API key, `hk_…`, made with `hishub key new`"},
				},
			},
			Security: []map[string][]string{{"key": {}}},
			Tags:     tags,
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	})
}

// format reads and writes JSON. Its errors name places and never quote.
var format = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(v)
	},
	Unmarshal: func(data []byte, v any) error {
		if itself, ok := v.(interface{ read([]byte) error }); ok {
			return itself.read(data)
		}
		if err := json.Unmarshal(data, v); err != nil {
			return errors.New("not of the right form")
		}
		if len(nuls(data)) > 0 {
			return errors.New(holdsNUL) // fromHuma says where
		}
		return nil
	},
}

var tags = []*huma.Tag{
	{Name: "Messages", Description: "What a HIS must be told. Accepted is never lost; `202` is sent only after it is durable. The business key de-duplicates for ever."},
	{Name: "Questions", Description: "Asked at once, without the queue. They change nothing at the HIS."},
	{Name: "Decisions", Description: "What a person does about a message."},
	{Name: "Replays", Description: "Many messages told again, from a list that is frozen when it is made: slowly, in the order of their lanes, each once."},
	{Name: "Hospitals"},
	{Name: "Events", Description: "What became of messages: a feed to read, or webhooks that are called."},
	{Name: "Inbound", Description: "What HIS told us and asked of us at `/his/{hospital}/{listener}`, each once."},
	{Name: "Nights", Description: "The channels' bills, our ledger and the HIS's, day by day, with finance's reports."},
	{Name: "Cases", Description: "What people do about differences. A repair that is approved is carried out once, and a later run must find the difference gone."},
	{Name: "Keys"},
	{Name: "Audit", Description: "What people did and looked at, in one chain of digests."},
}

// schemaName keeps types of the same name in two packages apart.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[core.Problem]() {
		return "FieldProblem"
	}
	if t == reflect.TypeFor[reconcile.Entry]() {
		return "NightEntry"
	}
	if t == reflect.TypeFor[reconcile.Params]() {
		return "RepairParams"
	}
	switch t.PkgPath() {
	case "hishub/core/shadow":
		return "Shadow" + huma.DefaultSchemaNamer(t, hint)
	case "hishub/core/replay":
		return "ReplayOf" + huma.DefaultSchemaNamer(t, hint)
	}
	// A module of the clinic knows nothing of its neighbours' names, nor of the hub's.
	if module, ok := strings.CutPrefix(t.PkgPath(), "hishub/platform/"); ok && module != "clinic" && t.Name() != "" {
		return "Clinic" + strings.ToUpper(module[:1]) + module[1:] + huma.DefaultSchemaNamer(t, hint)
	}
	return huma.DefaultSchemaNamer(t, hint)
}

// operation is one entry of the API.
type operation struct {
	id, method, path string
	right            Right
	tag, title, doc  string
	// status of success, 200 if 0; errors are the statuses that only it has.
	status int
	errors []int
	// later says when it answers 202 with the same content as a success; "" is never.
	later string
	// itself: the body's type reads and checks its JSON itself.
	itself bool
	// files are the media types of an answer that is no JSON object.
	files []string
}

// maxBody bounds a request's body, bodyTime how long it may take to come.
const (
	maxBody  = 256 << 10
	bodyTime = 10 * time.Second
)

// register adds an operation: who may call it, what it takes and gives, and
// every status that it can answer.
func register[I, O any](a *api, o operation, f func(context.Context, *request, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.title, Description: o.doc, Tags: []string{o.tag},
		DefaultStatus: o.status, Errors: append(o.errors, 401, 403, 422, 429, 500, 503),
		MaxBodyBytes: maxBody + 1, BodyReadTimeout: bodyTime, Extensions: map[string]any{"x-right": o.right, "x-roles": rolesWith(o.right)},
		Middlewares: huma.Middlewares{a.admit(o.right)},
	}
	op.SkipValidateBody = o.itself
	op.Responses = map[string]*huma.Response{}
	if len(o.files) > 0 {
		content := map[string]*huma.MediaType{}
		for _, t := range o.files {
			content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
		}
		op.Responses["200"] = &huma.Response{Description: "the file", Content: content}
	}
	if strings.Contains(o.path, "{") {
		op.Errors = append(op.Errors, 404)
	}
	if _, body := reflect.TypeFor[I]().FieldByName("Body"); body {
		op.Errors = append(op.Errors, 400, 413, 415)
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		rq := requestOf(ctx)
		out, err := f(ctx, rq, in)
		if err != nil {
			return nil, problemOf(ctx, rq.log, err)
		}
		return out, nil
	})
	if o.later != "" {
		op.Responses["202"] = &huma.Response{Description: o.later, Content: op.Responses["200"].Content}
	}
}

func rolesWith(r Right) (roles []string) {
	for _, role := range Role("").Values() {
		if slices.Contains(policy[Role(role)], r) {
			roles = append(roles, role)
		}
	}
	return roles
}
