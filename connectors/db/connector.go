// Package db carries requests to a database: rows of interface tables in one
// transaction, procedures, statements with :names.
//
// Values go and come as text with the database's own spelling: decimals keep
// their scale, timestamps are "2026-01-05 14:56:01" (with a fraction or zone if
// the column has one), bytes are lower hex digits, NULL is nil. Only FLOAT and
// DOUBLE of MySQL are respelled, as the shortest decimal that means the same,
// and its ZEROFILL integers lose their zeros (cast them to char).
//
// PostgreSQL, MySQL and MariaDB are tested against real servers. For SQL Server
// and Oracle none can be had where the tests run: what their drivers are asked
// for, in which order, and what follows from their errors is tested against
// recorded drivers; the drivers themselves, and what those servers make of the
// statements, are not. Try a folder against the hospital's test system first.
//
// Oracle keeps no trailing zeros, so a NUMBER has those of its column's scale;
// its empty text is NULL. SQL Server puts ? for what the code page of a varchar
// column lacks; names belong in nvarchar columns.
//
// Interface tables must be transactional; rows that MyISAM took cannot be
// rolled back.
package db

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// Connector is one database entrance.
type Connector struct {
	engine  engine
	options wire.Options
	blanks  blanks
	pool    *pool
	// generators are the keys of which the database said that it makes them.
	generators sync.Map
}

// Open reads the options; it touches no network. Errors are core.Problems.
func Open(spec core.ConnectorSpec) (core.Connector, error) {
	s := option.New(spec.Options)
	driver := s.Needed("driver")
	open, ok := drivers[driver]
	if driver != "" && !ok {
		s.Problem("driver", "not one of "+strings.Join(slices.Sorted(maps.Keys(drivers)), ", "))
	}
	dsn := s.Needed("dsn")
	schema := s.Text("schema", "")
	for _, name := range []string{"charset", "unencodable"} {
		s.Refuse(name, "leave it out: the connection speaks UTF-8 and the database converts")
	}
	options := wire.ReadOptions(s, spec)
	if schema != "" && !identifier.MatchString(schema) {
		s.Problem("schema", "not a name of letters, digits, _ and $")
	}
	c := &Connector{options: options, blanks: readBlanks(s)}
	if ok && dsn != "" {
		c.engine = open(s, dsn, schema, options)
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	c.pool = newPool(options.Concurrency, c.engine.connect)
	return c, nil
}

// Close implements core.Connector.
func (c *Connector) Close() error {
	c.pool.close()
	return nil
}

// Call implements core.Connector. A taken unique key comes back as the error
// "duplicate", an exception that the HIS's own code raised as "fault", a select or
// statement of a transaction that met another number of rows than it must as
// "unmatched", each with code and message. A statement that changes rows is
// answered with their number, {rows: 1}.
func (c *Connector) Call(ctx context.Context, q core.Request) (core.Response, error) {
	s, err := c.engine.plan(q)
	if err != nil {
		return core.Response{}, wire.Invalid("db "+operationName(q.Operation), err)
	}
	op := "db " + s.name
	sent := s.text()
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	on, err := c.pool.get(ctx)
	if err != nil {
		return core.Response{Sent: sent}, &core.Fault{Class: core.Unavailable, Op: op, Err: unconnected(err)}
	}
	r, healthy, err := c.run(ctx, on, s)
	open := on.inTransaction()
	if open && err == nil && r.Error == "" {
		r, err = core.Response{}, &core.Fault{Class: core.InDoubt, Err: leftOpen}
	}
	if healthy && !open && !s.strange {
		c.pool.put(on)
	} else {
		c.pool.drop(on)
	}
	r.Sent = sent
	if r.Error == "" {
		r.Body = c.blanks.of(r.Body)
	}
	if err != nil {
		var f *core.Fault
		if errors.As(err, &f) {
			f.Op = op
		}
		return r, err
	}
	return r, nil
}

func operationName(operation string) string {
	if p, ok, _ := parseProcedure(operation); ok {
		return p.name
	}
	return firstWord(operation)
}

func unconnected(err error) error {
	var r *refusal
	if errors.As(err, &r) {
		return fmt.Errorf("log in: %w", r)
	}
	if errors.Is(err, errClosed) {
		return errClosed
	}
	return fmt.Errorf("connect: %w", wire.Plain(err))
}

// run sends a script. healthy tells whether the connection can be used again.
func (c *Connector) run(ctx context.Context, on session, s *script) (core.Response, bool, error) {
	if s.transaction {
		return c.insert(ctx, on, s)
	}
	if s.fetches != nil {
		return c.fetched(ctx, on, s)
	}
	var last rows
	var earlier []rows // results of the statements before, in their order
	acted := false
	for i, st := range s.statements {
		got, err := c.step(ctx, on, st, i == 0)
		if err != nil {
			return c.failed(on, s, err, acted)
		}
		acted = acted || !st.harmless
		if last.columns != nil {
			earlier = append(append(earlier, last.earlier...), last)
		}
		last = got
	}
	if s.strange {
		if err := c.settle(ctx, on); err != nil {
			return core.Response{}, false, err
		}
	}
	last.earlier = append(earlier, last.earlier...)
	return s.answer(last), true, nil
}

// insert is all or nothing, so nothing is in doubt before COMMIT left.
func (c *Connector) insert(ctx context.Context, on session, s *script) (core.Response, bool, error) {
	if err := c.sure(ctx, on, s); err != nil {
		return c.undone(ctx, on, err)
	}
	var keys keys
	for i, st := range append([]statement{{sql: "begin"}}, s.statements...) {
		got, err := c.step(ctx, on, keys.into(st), i == 0)
		if err == nil {
			err = keys.take(st, got)
		}
		if err != nil {
			return c.undone(ctx, on, err)
		}
	}
	if _, err := c.step(ctx, on, statement{sql: "commit"}, false); err != nil {
		return c.failed(on, s, err, false)
	}
	body := keys.body()
	return core.Response{Body: body, Received: marshal(body)}, true, nil
}

func (c *Connector) step(ctx context.Context, on session, st statement, first bool) (rows, error) {
	on.conn().Begin(first, c.options.MaxAnswer)
	return on.run(ctx, st)
}

// undone: something failed before COMMIT was sent. The server rolls back, at
// our word or because the connection ends.
func (c *Connector) undone(ctx context.Context, on session, err error) (core.Response, bool, error) {
	refused := c.engine.judged(err)
	if refused == nil || refused.meaning == severed {
		return core.Response{}, false, &core.Fault{Class: core.Unavailable, Err: reason(refused, err)}
	}
	_, rollback := c.step(ctx, on, statement{sql: "rollback"}, false)
	healthy := rollback == nil
	if a, ok := refused.answer(); ok {
		return a, healthy, nil
	}
	class := core.Unavailable
	if refused.meaning == unfit {
		class = core.Invalid
	}
	return core.Response{}, healthy, &core.Fault{Class: class, Err: refused}
}

// failed: the statement that takes effect by itself failed, or COMMIT did.
// acted is true when an earlier statement of the same call went through.
func (c *Connector) failed(on session, s *script, err error, acted bool) (core.Response, bool, error) {
	refused := c.engine.judged(err)
	if refused == nil || refused.meaning == severed {
		class := core.InDoubt
		if !on.conn().Bar() && !acted {
			class = core.Unavailable
		}
		return core.Response{}, false, &core.Fault{Class: class, Err: reason(refused, err)}
	}
	if a, ok := refused.answer(); ok {
		return a, true, nil
	}
	class := core.InDoubt
	switch {
	case acted, s.procedure && c.engine.piecemeal && !refused.unstarted:
	case refused.meaning == unfit:
		class = core.Invalid
	case refused.meaning == later:
		class = core.Unavailable
	}
	return core.Response{}, !s.transaction, &core.Fault{Class: class, Err: refused}
}

func reason(refused *refusal, err error) error {
	if refused != nil {
		return refused
	}
	return wire.Plain(err)
}

// Describe implements core.Describer: a statement needs its :names, a procedure
// its in parameters. Whether the database has them is known only by asking it.
func (c *Connector) Describe(operation string) (core.Shape, error) {
	operation = strings.TrimSpace(operation)
	if operation == opInsert {
		return core.Shape{Operation: opInsert}, nil
	}
	p, ok, err := parseProcedure(operation)
	if err != nil {
		return core.Shape{}, err
	}
	if ok {
		shape := core.Shape{Operation: p.name}
		for _, x := range p.parameters {
			if x.in {
				shape.Parameters = append(shape.Parameters, core.Parameter{Name: x.name, Type: x.typ, Required: true})
			}
			if x.out {
				shape.Results = append(shape.Results, core.Parameter{Name: x.name, Type: x.typ})
			}
		}
		return shape, nil
	}
	n, err := c.engine.parseNames(operation)
	if err != nil {
		return core.Shape{}, err
	}
	shape := core.Shape{Operation: firstWord(operation)}
	for i, name := range n.names {
		if !slices.Contains(n.names[:i], name) {
			shape.Parameters = append(shape.Parameters, core.Parameter{Name: name, Required: true})
		}
	}
	return shape, nil
}

// answer makes a response of the last statement's rows: a list of them, or the out
// parameters, a cursor among them as its rows. A procedure may bring both, or several
// results: then they are called rows, rows2 and so on, beside the out parameters.
func (s *script) answer(last rows) core.Response {
	var r core.Response
	isOut := len(s.outs) > 0 && len(last.values) == 1 && len(last.columns) == len(s.outs)
	switch {
	case last.counted:
		r.Body = core.Tree{{Name: "rows", Value: strconv.FormatInt(last.affected, 10)}}
	case isOut:
		outs := row(s.outs, last.values[0])
		for i, c := range last.cursors {
			outs[i].Value = c.list()
		}
		r.Body = append(outs, byPlace(last.earlier)...)
	case s.procedure && len(last.earlier) > 0:
		results := last.earlier
		if last.columns != nil {
			results = append(results, last)
		}
		r.Body = byPlace(results)
	default:
		r.Body = last.list()
	}
	r.Received = marshal(r.Body)
	return r
}

func byPlace(results []rows) core.Tree {
	var t core.Tree
	for i, r := range results {
		name := "rows"
		if i > 0 {
			name += strconv.Itoa(i + 1)
		}
		t = append(t, core.Field{Name: name, Value: r.list()})
	}
	return t
}

// Write implements core.Offline.
func (c *Connector) Write(q core.Request) ([]byte, error) {
	s, err := c.engine.plan(q)
	if err != nil {
		return nil, wire.Invalid("db "+operationName(q.Operation), err)
	}
	return s.text(), nil
}

// Read implements core.Offline. The recorded answer is JSON: a list of row
// objects, an object of out parameters, or {"error": "duplicate"} and
// {"error": "fault"} with code and message.
func (c *Connector) Read(q core.Request, answer []byte) (core.Response, error) {
	v, err := unmarshal(answer)
	if err != nil {
		return core.Response{Received: answer}, wire.InDoubt("db "+operationName(q.Operation), err)
	}
	r := core.Response{Body: v, Received: answer}
	if t, ok := v.(core.Tree); ok && len(t) > 0 && t[0].Name == "error" {
		r.Error, _ = core.Text(t[0].Value)
		r.Body = t[1:]
		return r, nil
	}
	r.Body = c.blanks.of(r.Body)
	return r, nil
}
