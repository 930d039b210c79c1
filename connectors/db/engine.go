package db

import (
	"context"

	"hishub/connectors/option"
	"hishub/connectors/wire"
)

// engine is one kind of database.
type engine struct {
	syntax
	// call writes the statements that call a procedure; the last one's row holds
	// the out parameters. args are the values of the in parameters in their order.
	call func(name string, ps []parameter, args []*string) []statement
	// connect opens one connection. Its errors hold no credentials.
	connect func(ctx context.Context) (session, error)
	// piecemeal: each statement inside a procedure commits by itself, so that a
	// procedure that failed may have acted.
	piecemeal bool
	// judge reads a database's own error; nil if err is none.
	judge func(err error) *refusal
}

// drivers are the databases that an option can name.
var drivers = map[string]func(s *option.Set, dsn, schema string, o wire.Options) engine{
	"postgres": postgres,
	"mysql":    mysqlEngine,
}
