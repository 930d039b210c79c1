package db

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"hishub/core"
)

// cursorType is the type of an out parameter that brings rows, as a SYS_REFCURSOR
// of Oracle and a refcursor of PostgreSQL do.
const cursorType = "cursor"

// cursors are the places among the outs of those that bring rows.
func (e engine) cursors(ps []parameter) ([]int, error) {
	var places []int
	n := 0
	for _, p := range ps {
		if p.typ == cursorType {
			switch {
			case !e.handsOut:
				return nil, fmt.Errorf("parameter %s: no cursor comes out of this database; what a procedure selects is answer.rows", p.name)
			case !p.out:
				return nil, fmt.Errorf("parameter %s: a cursor comes out; write out %s cursor", p.name, p.name)
			}
			places = append(places, n)
		}
		if p.out {
			n++
		}
	}
	return places, nil
}

// commitsItself is what PostgreSQL says of a COMMIT inside of our transaction.
const commitsItself = "SQLSTATE 2D000"

// isNoProcedure: PostgreSQL says so of CALL with the name of a function, of select
// with that of a procedure, and of both when it knows none with as many parameters.
func isNoProcedure(r *refusal) bool {
	return r != nil && (r.code == "SQLSTATE 42809" || r.code == "SQLSTATE 42883")
}

// fetched calls what opens cursors, and reads them in the same transaction, as
// PostgreSQL closes them at its end. Nothing is in doubt before COMMIT left.
func (c *Connector) fetched(ctx context.Context, on session, s *script) (core.Response, bool, error) {
	last, err := c.opening(ctx, on, s.statements[0], true)
	if err != nil && isNoProcedure(c.engine.judged(err)) {
		if _, rollback := c.step(ctx, on, statement{sql: "rollback"}, false); rollback != nil {
			return c.undone(ctx, on, rollback)
		}
		var again error
		if last, again = c.opening(ctx, on, *s.function, false); again == nil {
			err = nil
		} else if !isNoProcedure(c.engine.judged(again)) {
			err = again // a function, and it has something to say
		}
	}
	if err == nil {
		err = c.fetch(ctx, on, s, &last)
	}
	if err != nil {
		if r := c.engine.judged(err); r != nil && r.code == commitsItself {
			err = &refusal{meaning: unfit, code: r.code, public: "it commits by itself, which closes its cursors"}
		}
		return c.undone(ctx, on, err)
	}
	if _, err := c.step(ctx, on, statement{sql: "commit"}, false); err != nil {
		return c.failed(on, s, err, false)
	}
	return s.answer(last), true, nil
}

func (c *Connector) opening(ctx context.Context, on session, st statement, first bool) (rows, error) {
	if _, err := c.step(ctx, on, statement{sql: "begin"}, first); err != nil {
		return rows{}, err
	}
	return c.step(ctx, on, st, false)
}

// fetch reads each cursor by the name that came for it; what was not opened has no rows.
func (c *Connector) fetch(ctx context.Context, on session, s *script, last *rows) error {
	if len(last.values) != 1 || len(last.columns) != len(s.outs) {
		return &refusal{meaning: unfit, code: "other results than out parameters", public: fmt.Sprintf("%d rows of %d columns came, the call names %d out parameters", len(last.values), len(last.columns), len(s.outs))}
	}
	last.cursors = map[int]rows{}
	for _, at := range s.fetches {
		name := last.values[0][at]
		if name == nil {
			last.cursors[at] = rows{}
			continue
		}
		got, err := c.step(ctx, on, statement{sql: `fetch all from "` + strings.ReplaceAll(*name, `"`, `""`) + `"`}, false)
		if err != nil {
			return err
		}
		last.cursors[at] = got
	}
	return nil
}

// functionPostgres calls a function, which takes no out parameters and gives its
// outs as columns, or the only one as its value.
func functionPostgres(name string, ps []parameter, args []*string) *statement {
	var marks []string
	for _, p := range ps {
		if p.in {
			marks = append(marks, fmt.Sprintf("$%d", len(marks)+1))
		}
	}
	return &statement{sql: "select * from " + name + "(" + strings.Join(marks, ", ") + ")", args: args}
}

// notOpened are what Oracle says of a cursor that the procedure left alone, as one
// that found a mistake in what it was given does: ORA-01001, ORA-24338.
func notOpened(err error) bool {
	var r *refusal
	return errors.As(err, &r) && (r.code == "ORA-01001" || r.code == "ORA-24338")
}
