// Package functions is what an expression of a hospital folder can call: money,
// decimal text, time, text, lists, trees, digests, ciphers, signatures, bytes
// and query strings. Everything that writes f is read by from_f.
//
// What needs the folder (code, from_code, from_<format>) is bound by the
// compiler of the mapping, with the same Function type.
package functions

import (
	"fmt"
	"slices"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
)

// Function is one function of the expression language.
type Function struct {
	Name string
	// Call runs it. It trusts neither the number nor the types of its arguments,
	// since a leaf of a tree has no static type. Its errors name the function and
	// the form of what was wrong, never a value.
	Call func(args ...any) (any, error)
	// Types are its overloads, as new(func(core.Fen) string). The parameters are
	// read in the language's own terms:
	//
	//	string     text: any kind of string, or a tree that has text
	//	Decimal    decimal text or a whole number
	//	Data       text or bytes
	//	[]any      a list of anything; one or none count as a list
	//	core.Tree  a tree
	//	core.Fen, time.Time, int, bool, []byte   that and nothing else
	//	any        anything
	//
	// A leaf or branch of a tree that was read is accepted everywhere and
	// examined when the function runs.
	Types []any
	// Doc is one line: the call, then what it gives, units and errors.
	Doc string

	// element makes the result's type that of the list's elements.
	element bool
	// literal examines the i-th argument (from 0) where it is written as literal
	// text, so that a wrong layout is found when the folder is loaded.
	literal func(i int, text string) error
}

// Data is the type of a parameter that takes text or bytes.
type Data any

// Decimal is the type of a parameter that takes decimal text or a whole number.
type Decimal any

// For is every function, in the order of the grammar's table. The zone is the
// hospital's: times without an offset are read and written in it.
func For(zone *time.Location) []Function {
	return slices.Concat(
		money(),
		decimals(),
		times(zone),
		texts(),
		lists(),
		trees(),
		digests(),
		ciphers(),
		signatures(),
		bytesAsText(),
		queries(),
	)
}

// Option makes the function known to an expression.
func (f Function) Option() expr.Option {
	known := &builtin.Function{Name: f.Name, Func: f.Call, Validate: f.validate()}
	return func(c *conf.Config) { c.Functions[f.Name] = known }
}

// Options is the whole language but for the names that are visible in a cell:
// the functions, the few built-ins of expr that keep lists and text what they
// are, the arithmetic of money, and the rules no type can say.
func Options(zone *time.Location) []expr.Option {
	all := slices.Concat(For(zone), moneyOperators())
	options := []expr.Option{expr.DisableAllBuiltins()}
	for _, name := range builtins {
		options = append(options, expr.EnableBuiltin(name))
	}
	for _, f := range all {
		options = append(options, f.Option())
	}
	return append(options, ruled(all))
}

// define is a function whose errors begin with its name.
func define(name, doc string, call func(in *arguments) (any, error), types ...any) Function {
	return Function{
		Name: name, Doc: doc, Types: types,
		Call: func(values ...any) (any, error) {
			in := arguments{values: values}
			out, err := call(&in)
			if in.err != nil {
				err = in.err // the cause; what the call made of it is a consequence
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return out, nil
		},
	}
}

// reader is a function that gives nil for nil.
func reader(name, doc string, call func(in *arguments) (any, error), types ...any) Function {
	return define(name, doc, func(in *arguments) (any, error) {
		if len(in.values) > 0 && in.values[0] == nil {
			return nil, nil
		}
		return call(in)
	}, types...)
}
