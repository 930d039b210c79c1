package db

import (
	"fmt"
	"regexp"
	"strings"

	"hishub/core"
)

// procedure is a call like name(a, in b, out c, inout d).
type procedure struct {
	name       string
	written    string // as the folder has it
	parameters []parameter
}

type parameter struct {
	name    string
	in, out bool
	// typ is a type of the database, where a text will not do: an Oracle xmltype. A
	// cursor is one that brings rows.
	typ string
}

var (
	procedureShape = regexp.MustCompile(`^([A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)*)\s*\(([^()]*)\)$`)
	parameterShape = regexp.MustCompile(`(?i)^(?:(in|out|inout)\s+)?([A-Za-z_][\w$]*)(?:\s+([A-Za-z]\w*))?$`)
)

// parseProcedure tells a procedure from a statement.
func parseProcedure(operation string) (p procedure, ok bool, err error) {
	m := procedureShape.FindStringSubmatch(operation)
	if m == nil {
		return p, false, nil
	}
	switch strings.ToLower(m[1]) {
	case "select", "values", "with", "call":
		return p, false, nil
	}
	p.name, p.written = m[1], operation
	if strings.TrimSpace(m[2]) == "" {
		return p, true, nil
	}
	for _, part := range strings.Split(m[2], ",") {
		pm := parameterShape.FindStringSubmatch(strings.TrimSpace(part))
		if pm == nil || pm[1] == "" && isWay(pm[2]) {
			return p, true, fmt.Errorf("%q is not a parameter; write NAME(in, out result, inout both)", strings.TrimSpace(part))
		}
		way := strings.ToLower(pm[1])
		p.parameters = append(p.parameters, parameter{pm[2], way != "out", way == "out" || way == "inout", strings.ToLower(pm[3])})
	}
	return p, true, nil
}

// isWay tells a way without a name, "out", from a parameter.
func isWay(word string) bool {
	switch strings.ToLower(word) {
	case "in", "out", "inout":
		return true
	}
	return false
}

func (e engine) planProcedure(p procedure, given core.Tree) (*script, error) {
	name, err := e.quoteName(p.name)
	if err != nil {
		return nil, err
	}
	var ins, outs []string
	for _, x := range p.parameters {
		if x.in {
			ins = append(ins, x.name)
		}
		if x.out {
			outs = append(outs, x.name)
		}
	}
	args, err := arguments(ins, given)
	if err != nil {
		return nil, err
	}
	cursors, err := e.cursors(p.parameters)
	if err != nil {
		return nil, err
	}
	statements, err := e.call(name, p.parameters, args)
	if err != nil {
		return nil, err
	}
	s := &script{
		name: p.name, statements: statements, outs: outs, procedure: true, strange: true,
		lines: []line{{p.written, shown(ins, args)}},
	}
	if e.function != nil && cursors != nil {
		s.fetches, s.function = cursors, e.function(name, p.parameters, args)
	}
	return s, nil
}
