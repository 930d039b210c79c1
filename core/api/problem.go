package api

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgconn"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/reconcile"
)

// Problem is every answer that is not what was asked for (RFC 9457,
// application/problem+json). It never holds a submitted value and never the
// text of an internal error.
type Problem struct {
	Type   string `json:"type" format:"uri-reference" doc:"what kind of problem it is; the only thing to branch on besides the status" example:"/problems/validation"`
	Title  string `json:"title" doc:"the kind in words"`
	Status int    `json:"status" doc:"the HTTP status"`
	Detail string `json:"detail,omitempty" doc:"what happened this time, and what to do"`
	// Errors are all that is wrong with the request, one entry a field.
	Errors []core.Problem `json:"errors,omitempty" doc:"everything that is wrong with the request, by field"`
	// Message is the message that the problem is about.
	Message int64 `json:"message,omitempty" doc:"the message that holds the key, or that is in the way"`
	// Differs names the fields of a conflict.
	Differs []string `json:"differs,omitempty" doc:"fields that differ from what was submitted before"`
	// Changed is what is not as the caller saw it.
	Changed *core.AmountChange `json:"changed,omitempty" doc:"what is not as it was seen: show it, and ask again with what is seen then"`
	// Words of the HIS, as far as the caller may see them.
	Words string `json:"words,omitempty" doc:"the HIS's own words"`
	// Class of a fault at the HIS.
	Class core.Class `json:"class,omitempty" enum:"unavailable,in_doubt,rejected,invalid" doc:"what the failure means"`
	// Incident finds the log line of an internal error.
	Incident string `json:"incident,omitempty" doc:"tell it to the operator: the log line of this error carries it"`

	headers http.Header
	cause   error
}

func (p *Problem) Error() string  { return p.Title }
func (p *Problem) Unwrap() error  { return p.cause }
func (p *Problem) GetStatus() int { return p.Status }
func (p *Problem) after(d time.Duration) *Problem {
	p.headers = http.Header{"Retry-After": {strconv.Itoa(int(max(1, (d+time.Second-1)/time.Second)))}}
	return p
}

// GetHeaders implements huma.HeadersError. What it returns may be added to.
func (p *Problem) GetHeaders() http.Header {
	if p.headers == nil {
		p.headers = http.Header{}
	}
	return p.headers
}

// ContentType implements huma.ContentTypeFilter.
func (*Problem) ContentType(string) string { return "application/problem+json" }

// problemTypes are the kinds of problems, as /docs explains them.
var problemTypes = []struct {
	name   string
	status int
	title  string
	doc    string
}{
	{"malformed", 400, "the request cannot be read", "The body is no JSON, or a parameter cannot be read."},
	{"unauthenticated", 401, "no valid API key or session", "Send `Authorization: Bearer hk_…` with an API key, or `Bearer cs_…` with the token of a person's session where the operation says so. It is missing, unknown, revoked or over. A sign-in that is refused says no more than this."},
	{"forbidden", 403, "the role may not do this", "Another role can; see the operation's description."},
	{"four-eyes", 403, "a second person must do this", "A correction that moves money, or a repair from the hospital's limit on, is approved by another key than the one that proposed it."},
	{"not-found", 404, "no such thing", "It does not exist, or it belongs to a hospital outside the key's scope."},
	{"cannot", 404, "the HIS has no such transaction", "The hospital's dialect does not know this kind of message or question."},
	{"method", 405, "no such method here", "See the header `Allow`."},
	{"conflict", 409, "the business key was used for other content", "`message` holds it and `differs` names the fields. A correction is a supersede."},
	{"idempotency", 409, "the Idempotency-Key was used for another request", "`differs` names the fields as far as they are known. Use a new key for a new request."},
	{"in-progress", 409, "the same request is still at work", "Another request with this Idempotency-Key has not ended, or another run of this night."},
	{"state", 409, "not possible in its present state", "`detail` says which state it is in."},
	{"too-large", 413, "the request is too large", "A body has at most 256 KiB."},
	{"media-type", 415, "the body is not application/json", ""},
	{"validation", 422, "the request does not hold", "`errors` lists everything that is wrong with it, by field."},
	{"rule", 422, "forbidden by a rule", "`detail` names the rule of the law or the house."},
	{"rate", 429, "too many requests", "Wait for `Retry-After` seconds."},
	{"internal", 500, "something went wrong here", "Tell the operator the `incident`. A message that was being submitted may be submitted again: its key de-duplicates it."},
	{"his-refused", 502, "the HIS refused to answer", "`words` are the HIS's own, for those who may see them."},
	{"his-invalid", 502, "the question cannot be said in the HIS's dialect", "The hospital's folder must be mended."},
	{"his-unavailable", 503, "the HIS does not answer", "Asking again is harmless. Outside of the hospital's hours the title is *the hospital is closed*; `detail` and `Retry-After` say until when."},
	{"unavailable", 503, "not now", "The database, or another thing that `detail` names, is away. Nothing was accepted that was not answered with 202."},
}

func problem(name, detail string) *Problem {
	for _, t := range problemTypes {
		if t.name == name {
			return &Problem{Type: "/problems/" + name, Title: t.title, Status: t.status, Detail: detail}
		}
	}
	panic("no problem is called " + name)
}

// byStatus is the problem of errors that arise before an operation is reached, or in
// another module's. The conflicts and absences that only our own operations can tell
// apart are not meant.
func byStatus(status int, detail string) *Problem {
	switch status {
	case http.StatusConflict:
		return problem("state", detail)
	case http.StatusServiceUnavailable:
		return problem("unavailable", detail)
	}
	for _, t := range problemTypes {
		if t.status == status {
			return problem(t.name, detail)
		}
	}
	return &Problem{Type: "about:blank", Title: strings.ToLower(http.StatusText(status)), Status: status}
}

// fromHuma replaces huma's own error model, which echoes the values that it
// refused and the text of internal errors.
func fromHuma(status int, message string, errs ...error) huma.StatusError {
	switch {
	case status == http.StatusBadRequest && len(nulsIn(errs)) > 0:
		return invalid(nulsIn(errs))
	case status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge || status == http.StatusUnsupportedMediaType:
		return byStatus(status, "")
	case status == http.StatusRequestTimeout:
		return problem("malformed", "the body came too slowly")
	case status == http.StatusUnprocessableEntity && len(errs) == 0:
		return problem("rule", message)
	case slices.Contains(saidByOperations, status):
		return byStatus(status, message).with(errs)
	case status != http.StatusUnprocessableEntity:
		return byStatus(status, "")
	}
	return invalid(problemsOf(errs))
}

// with adds what an operation says beside its words.
func (p *Problem) with(errs []error) *Problem {
	for _, err := range errs {
		if c, ok := err.(interface{ Changed() core.AmountChange }); ok {
			changed := c.Changed()
			p.Changed = &changed
		}
	}
	return p
}

// saidByOperations are statuses that huma itself never answers: the words are an operation's own.
var saidByOperations = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable}

func invalid(ps core.Problems) *Problem {
	p := problem("validation", "")
	p.Errors = ps
	return p
}

// problemsOf gives one problem a field. What the message itself says of a field
// comes before what its schema says, because it says what would be right.
func problemsOf(errs []error) core.Problems {
	var ps core.Problems
	at := map[string]int{}
	for _, err := range errs {
		var p core.Problem
		switch err := err.(type) {
		case *fieldError:
			p = core.Problem(*err)
			if i, seen := at[p.Field]; seen {
				if i >= 0 {
					ps[i] = p
					at[p.Field] = -1 // later ones of the same field say less
				}
				continue
			}
		case interface{ Problem() core.Problem }:
			ps = append(ps, err.Problem()) // a module's own words; several may be about one place
			continue
		case *huma.ErrorDetail:
			p = fromSchema(err)
			if _, seen := at[p.Field]; seen {
				continue
			}
		default:
			p = core.Problem{What: "cannot be read"}
		}
		at[p.Field] = len(ps)
		ps = append(ps, p)
	}
	return ps
}

// fieldError is a problem that the content itself named.
type fieldError core.Problem

func (e *fieldError) Error() string { return e.What }

// fromSchema turns huma's words about a place into ours. The names of unknown
// fields are the submitter's and may be anything; only what looks like a field is
// said again.
func fromSchema(d *huma.ErrorDetail) core.Problem {
	field := strings.TrimPrefix(strings.TrimPrefix(d.Location, "body"), ".")
	what := d.Message
	if name, ok := strings.CutPrefix(what, "expected required property "); ok {
		name, _, _ = strings.Cut(name, " ")
		return core.Problem{Field: join(field, name), What: "missing"}
	}
	switch {
	case what == "unexpected property":
		what = "no such field"
		if i := strings.LastIndexByte(field, '.'); !plainName.MatchString(field[i+1:]) {
			field, what = field[:max(i, 0)], "holds a field that does not exist"
		}
	case what == "unknown query parameter":
		what = "no such parameter"
		if !plainName.MatchString(strings.TrimPrefix(field, "query.")) {
			field = "query"
		}
	case strings.HasPrefix(what, "required ") && strings.HasSuffix(what, " parameter is missing"):
		what = "missing"
	case what == "expected string to be RFC 3339 date-time":
		what = "not a time with its zone like 2026-01-05T08:00:00+08:00"
	case strings.HasPrefix(what, "expected value to be one of "):
		what = "not one of " + strings.Trim(strings.TrimPrefix(what, "expected value to be one of "), `"`)
	case what == "" || !plainWords.MatchString(what):
		what = "not of the right form"
	}
	return core.Problem{Field: field, What: what}
}

var (
	plainName = regexp.MustCompile(`^[a-z][a-z_]{0,39}$`)
	// plainWords are huma's fixed texts with numbers of the schema in them.
	plainWords = regexp.MustCompile(`^(expected (boolean|number|integer|string|array|object|length|array length|number|array items|object with)[a-z0-9<>=. +-]*|invalid [a-z]+)$`)
)

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// problemOf finds the answer to an error of the domain. Whatever it does not
// know is internal: logged under a number that the caller gets.
func problemOf(ctx context.Context, log *slog.Logger, err error) *Problem {
	var p *Problem
	var conflict *core.Conflict
	var wrong core.Problems
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &wrong):
		return invalid(wrong)
	case errors.As(err, &conflict):
		p := problem("conflict", "a correction is a supersede")
		p.Message, p.Differs = conflict.ID, conflict.Fields
		return p
	case errors.Is(err, core.ErrCannot):
		return problem("cannot", "")
	case errors.Is(err, core.ErrUnknownHospital), errors.Is(err, postgres.ErrNotFound):
		return problem("not-found", "")
	case refused(err) != nil:
		return refused(err)
	case unmended(err) != nil:
		return unmended(err)
	case unreplayed(err) != nil:
		return unreplayed(err)
	case errors.Is(err, postgres.ErrCursor):
		return invalid(core.Problems{{Field: "query.cursor", What: "not a cursor that this list gave"}})
	case errors.Is(err, reconcile.ErrNightRunning):
		return problem("in-progress", "a run of this day is still going on")
	}
	incident := rand.Text()[:12]
	level, p := slog.LevelError, problem("internal", "")
	if away(err) || errors.Is(err, context.DeadlineExceeded) {
		p = problem("unavailable", "").after(5 * time.Second)
	} else if errors.Is(err, context.Canceled) {
		level, p = slog.LevelInfo, problem("unavailable", "")
	}
	p.Incident = incident
	log.Log(ctx, level, "request failed", "incident", incident, "error", err)
	return p
}

// away reports whether the database could not be reached, as against an answer
// of it that nobody expected.
func away(err error) bool {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		class := refused.Code[:2]
		return class == "08" || class == "53" || class == "57" // connection, resources, shutdown
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, postgres.ErrClosed)
}
