package db

import (
	"context"
	"errors"
	"fmt"

	"hishub/connectors/option"
	"hishub/connectors/wire"
)

// engine is one kind of database.
type engine struct {
	syntax
	// call writes the statements that call a procedure; the last one's row holds
	// the out parameters. args are the values of the in parameters in their order.
	call func(name string, ps []parameter, args []*string) ([]statement, error)
	// returning makes an insert of one row give the keys of st.gives, as the row of
	// its last statement.
	returning func(st statement) ([]statement, error)
	// generator asks whether a column is the one whose key returning tells: a row if
	// so. It is nil where returning names the column.
	generator func(g generated) statement
	// connect opens one connection. Its errors hold no credentials.
	connect func(ctx context.Context) (session, error)
	// handsOut: a procedure's out parameter may be a cursor.
	handsOut bool
	// function calls one instead of a procedure. It is set where cursors live as long
	// as their transaction, and are to be fetched by their names.
	function func(name string, ps []parameter, args []*string) *statement
	// settle commits what a procedure left open, and does nothing where it left
	// nothing; empty where a session tells, or where the driver commits each call.
	settle string
	// piecemeal: each statement inside a procedure commits by itself, so that a
	// procedure that failed may have acted.
	piecemeal bool
	// judge reads a database's own error; nil if err is none.
	judge func(err error) *refusal
}

// judged also knows what we refused ourselves.
func (e engine) judged(err error) *refusal {
	var own *refusal
	if errors.As(err, &own) {
		return own
	}
	return e.judge(err)
}

// drivers are the databases that an option can name.
var drivers = map[string]func(s *option.Set, dsn, schema string, o wire.Options) engine{
	"postgres":  postgres,
	"mysql":     mysqlEngine,
	"sqlserver": sqlserver,
	"oracle":    oracle,
}

// untyped refuses types of parameters, for a database that finds them by itself.
func untyped(ps []parameter) error {
	for _, p := range ps {
		if p.typ != "" && p.typ != cursorType {
			return fmt.Errorf("parameter %s: leave out its type; this database knows it", p.name)
		}
	}
	return nil
}
