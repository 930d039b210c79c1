package alert

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Mistake is one thing that is wrong with an alerts file.
type Mistake struct {
	File         string
	Line, Column int // from 1
	What, Cure   string
}

func (m Mistake) String() string {
	s := fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.What)
	if m.Cure != "" {
		s += "; " + m.Cure
	}
	return s
}

// Mistakes is everything that is wrong with it.
type Mistakes []Mistake

func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// maxFile bounds an alerts file, in bytes.
const maxFile = 256 << 10

// reader reads YAML and keeps what is wrong, each with its place.
type reader struct {
	file  string
	env   func(name string) (string, bool)
	found Mistakes
}

func (r *reader) wrong(n ast.Node, cure, what string, args ...any) {
	m := Mistake{File: r.file, Line: 1, Column: 1, What: fmt.Sprintf(what, args...), Cure: cure}
	if n != nil {
		if t := n.GetToken(); t != nil && t.Position != nil {
			m.Line, m.Column = max(1, t.Position.Line), max(1, t.Position.Column)
		}
	}
	r.found = append(r.found, m)
}

// document is the one document of the file; nil when it is none.
func (r *reader) document(text []byte) (body ast.Node) {
	defer func() {
		// The parser is known to trip over some broken texts.
		if recover() != nil {
			body = nil
			r.wrong(nil, "", "cannot be read as YAML")
		}
	}()
	if len(text) > maxFile {
		r.wrong(nil, "", "the file is larger than %d KiB", maxFile>>10)
		return nil
	}
	for i, line := range strings.Split(string(text), "\n") {
		if len(line)-len(strings.TrimLeft(line, " ")) > 100 || strings.Count(line, "[")+strings.Count(line, "{") > 100 || strings.Count(line, "- ") > 100 {
			r.found = append(r.found, Mistake{File: r.file, Line: i + 1, Column: 1, What: "is nested too deeply"})
			return nil
		}
	}
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		m := Mistake{File: r.file, Line: 1, Column: 1, What: "not YAML: " + syntax.GetMessage()}
		if t := syntax.GetToken(); t != nil && t.Position != nil {
			m.Line, m.Column = max(1, t.Position.Line), max(1, t.Position.Column)
		}
		r.found = append(r.found, m)
		return nil
	case err != nil:
		r.wrong(nil, "", "cannot be read as YAML")
		return nil
	}
	for _, d := range file.Docs {
		if d.Body != nil && body != nil {
			r.wrong(d.Body, "one file is one document", "a second document")
		} else if d.Body != nil {
			body = d.Body
		}
	}
	return body
}

// fields are the entries of a map by key. allowed are the keys that there are; nil are any.
func (r *reader) fields(n ast.Node, what string, allowed []string) (keys []string, all map[string]ast.Node, places map[string]ast.Node) {
	all, places = map[string]ast.Node{}, map[string]ast.Node{}
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	case nil, *ast.NullNode:
	default:
		r.wrong(n, "write keys with values", "%s is a map", what)
	}
	for _, p := range pairs {
		key, ok := p.Key.(ast.ScalarNode)
		if !ok {
			r.wrong(p, "", "a key is plain text")
			continue
		}
		name := key.GetToken().Value
		switch {
		case all[name] != nil:
			r.wrong(p.Key, "keep one of them", "%q is here a second time", name)
			continue
		case allowed != nil && !slices.Contains(allowed, name):
			r.wrong(p.Key, "there are "+strings.Join(allowed, ", "), "%s has no %q", what, name)
			continue
		}
		keys = append(keys, name)
		places[name] = p.Key
		if all[name] = p.Value; p.Value == nil {
			all[name] = &ast.NullNode{}
		}
	}
	return keys, all, places
}

// text of a scalar, "" of none. ${NAME} in it is the environment's.
func (r *reader) text(n ast.Node, what string) string {
	raw, ok := r.raw(n, what)
	if !ok {
		return ""
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(raw, "${")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			r.wrong(n, "write ${NAME}", "a variable is not closed")
			return ""
		}
		value, set := r.env(name)
		if !set {
			r.wrong(n, "set it, or give --env FILE", "the variable %s is not set", name)
		}
		out.WriteString(value)
		raw = after
	}
}

func (r *reader) raw(n ast.Node, what string) (string, bool) {
	switch s := n.(type) {
	case nil, *ast.NullNode:
		return "", false
	case *ast.StringNode:
		return s.Value, true
	case *ast.LiteralNode:
		if s.Value != nil {
			return strings.TrimSpace(s.Value.Value), true
		}
		return "", false
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return s.GetToken().Value, true
	}
	r.wrong(n, "", "%s is text", what)
	return "", false
}

// secret is a text that must not stand here in clear.
func (r *reader) secret(n ast.Node, what string) string {
	raw, ok := r.raw(n, what)
	if !ok {
		return ""
	}
	if !strings.HasPrefix(raw, "${") || strings.Index(raw, "}") != len(raw)-1 {
		r.wrong(n, "write \"${NAME}\" and set the variable NAME", "%s stands here in clear", what)
		return ""
	}
	name := raw[2 : len(raw)-1]
	value, set := r.env(name)
	switch {
	case !set:
		r.wrong(n, "set it, or give --env FILE", "the variable %s is not set", name)
	case value == "":
		r.wrong(n, "give it its value", "the variable %s is empty", name)
	}
	return value
}

// list of texts; one alone may stand without brackets.
func (r *reader) list(n ast.Node, what string) (all []string, places []ast.Node) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		if t := r.text(n, what); t != "" {
			return []string{t}, []ast.Node{n}
		}
		return nil, nil
	}
	for _, v := range s.Values {
		if t := r.text(v, "each of "+what); t != "" {
			all, places = append(all, t), append(places, v)
		}
	}
	if len(all) == 0 {
		r.wrong(n, "leave it out for all", "%s is empty", what)
	}
	return all, places
}

// duration of a text like 90s, 10m, 2h, 30d; otherwise where there is none.
func (r *reader) duration(n ast.Node, what string, otherwise, least, most time.Duration) time.Duration {
	raw, ok := r.raw(n, what)
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(raw)
	if days, isDays := strings.CutSuffix(raw, "d"); isDays {
		var number int
		if number, err = strconv.Atoi(days); err == nil {
			d = time.Duration(min(number, 10_000)) * 24 * time.Hour
		}
	}
	if err != nil || d < least || d > most {
		r.wrong(n, fmt.Sprintf("from %s to %s, like 90s, 10m, 2h or 30d", spell(least), spell(most)), "%s is not such a time", what)
		return otherwise
	}
	return d
}

func spell(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", days)
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		text = strings.Replace(text, zero, zero[:1], 1)
	}
	return text
}

func (r *reader) count(n ast.Node, what string, otherwise, most int) int {
	raw, ok := r.raw(n, what)
	if !ok {
		return otherwise
	}
	number, err := strconv.Atoi(raw)
	if err != nil || number < 1 || number > most {
		r.wrong(n, fmt.Sprintf("from 1 to %d", most), "%s is not such a number", what)
		return otherwise
	}
	return number
}

// share of a text like 20%.
func (r *reader) share(n ast.Node, what string, otherwise float64) float64 {
	raw, ok := r.raw(n, what)
	if !ok {
		return otherwise
	}
	number, percent := strings.CutSuffix(raw, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !percent || err != nil || !(f >= 1 && f <= 100) {
		r.wrong(n, "from 1% to 100%", "%s is not such a share", what)
		return otherwise
	}
	return f / 100
}

func (r *reader) oneOf(n ast.Node, what, otherwise string, allowed []string) string {
	raw, ok := r.raw(n, what)
	if !ok {
		return otherwise
	}
	if !slices.Contains(allowed, raw) {
		r.wrong(n, "there are "+strings.Join(allowed, ", "), "%s is not %q", what, raw)
		return otherwise
	}
	return raw
}
