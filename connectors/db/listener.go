package db

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// Listen makes a listener of rows that the HIS leaves in a table: take asks for
// those that are not answered, done marks one. The error is core.Problems.
func Listen(spec core.ListenerSpec) (core.Listening, error) {
	s := option.New(spec.Options)
	l := core.Listening{Using: s.Text("using", "default"), Every: s.Duration("every", 10*time.Second), Timeout: s.Duration("timeout", 5*time.Second), Concurrency: 1}
	take, done := s.Needed("take"), s.Needed("done")
	for _, name := range []string{"allow", "client", "charset", "unencodable", "max_request", "rate", "concurrency"} {
		s.Refuse(name, "leave it out: the rows are fetched by us")
	}
	if l.Every < time.Second {
		s.Problem("every", "less than a second")
	}
	if spec.Using == nil || spec.Using.Kind != "db" {
		s.Problem("using", "not a connector of kind db")
		return l, s.Err()
	}
	opened, err := Open(*spec.Using)
	if err != nil {
		s.Problem("using", "a connector with mistakes of its own")
		return l, s.Err()
	}
	defer opened.Close()
	t := &listener{engine: opened.(*Connector).engine, take: core.Request{Operation: take}, done: done}
	if len(spec.Calls) == 1 {
		t.call = spec.Calls[0]
	}
	if take != "" {
		t.check(s, take)
		if !bounded.MatchString(take) {
			l.Doubts = append(l.Doubts, core.Problem{Field: "take", What: "takes all rows at once, and none when they are more than max_answer; end it with a limit (top, fetch first, rownum)"})
		}
	}
	if done != "" {
		t.checkMark(s, done)
	}
	l.Wire = t
	return l, s.Err()
}

// check: a look must change nothing, because it is repeated as often as we like.
func (t *listener) check(s *option.Set, take string) {
	if !slices.Contains([]string{"select", "with"}, firstWord(take)) {
		s.Problem("take", "not a select")
		return
	}
	if _, err := t.engine.plan(t.take); err != nil {
		s.Problem("take", err.Error())
	}
}

// bounded tells a select that says how many rows it takes at most.
var bounded = regexp.MustCompile(`(?i)\b(limit|top|fetch\s+(first|next)|rownum)\b`)

// checkMark: several processes may mark one row, so marking twice must be as good
// as once.
func (t *listener) checkMark(s *option.Set, done string) {
	if _, isProcedure, _ := parseProcedure(done); isProcedure {
		return
	}
	if !slices.Contains([]string{"update", "delete"}, firstWord(done)) {
		s.Problem("done", "neither an update, a delete nor a procedure: a row may be marked twice")
		return
	}
	if _, err := t.engine.parseNames(done); err != nil {
		s.Problem("done", err.Error())
	}
}

// listener implements core.Table.
type listener struct {
	engine engine
	take   core.Request
	done   string
	// call is the only operation's; with several the envelope says which by read.call.
	call string
}

// Take implements core.Table.
func (t *listener) Take() core.Request { return t.take }

// Rows implements core.Table.
func (t *listener) Rows(r core.Response, err error) ([]core.Incoming, error) {
	if errors.Is(err, wire.ErrTooLarge) {
		return nil, fmt.Errorf("take rows: %w: take fewer, take needs a limit (top, fetch first, rownum)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("take rows: %w", err)
	}
	if r.Error != "" {
		return nil, fmt.Errorf("take rows: the database says %s", r.Error)
	}
	list, ok := r.Body.(core.List)
	if !ok {
		return nil, errors.New("take rows: no rows came")
	}
	rows := make([]core.Incoming, len(list))
	for i := range list {
		rows[i] = core.Incoming{Body: marshal(list[i])}
	}
	return rows, nil
}

// Read implements core.Wire.
func (t *listener) Read(q core.Incoming) (core.Arrival, error) {
	v, err := unmarshal(q.Body)
	if err != nil {
		return core.Arrival{}, fmt.Errorf("read a row: %w", err)
	}
	row, ok := v.(core.Tree)
	if !ok {
		return core.Arrival{}, errors.New("read a row: not one JSON object of columns")
	}
	return core.Arrival{Call: t.call, Body: row}, nil
}

// Mark implements core.Table.
func (t *listener) Mark(r core.Reply) (core.Request, error) {
	q := core.Request{Operation: t.done, Body: r.Body}
	if len(r.Headers) > 0 {
		return q, errors.New("mark a row: a database takes no headers")
	}
	if _, err := t.engine.plan(q); err != nil {
		return q, fmt.Errorf("mark a row: %w", err)
	}
	return q, nil
}

// Touched implements core.Table. A procedure tells nothing.
func (t *listener) Touched(r core.Response) (rows int64, counted bool) {
	body, _ := r.Body.(core.Tree)
	if !counting(t.done) || len(body) != 1 {
		return 0, false
	}
	text, _ := core.Text(body.Get("rows"))
	rows, err := strconv.ParseInt(text, 10, 64)
	return rows, err == nil
}

// Write implements core.Wire: the statement as it is shown.
func (t *listener) Write(_ core.Arrival, r core.Reply) (core.Outgoing, error) {
	q, err := t.Mark(r)
	if err != nil {
		return core.Outgoing{}, err
	}
	s, err := t.engine.plan(q)
	if err != nil {
		return core.Outgoing{}, fmt.Errorf("mark a row: %w", err)
	}
	return core.Outgoing{Body: s.text()}, nil
}

// Refuse implements core.Wire: a row that is not understood is left as it is.
func (t *listener) Refuse(int, string) core.Outgoing { return core.Outgoing{} }

// Description implements core.Wire: there is none.
func (t *listener) Description(string) []byte { return nil }

var _ core.Table = (*listener)(nil)
