package db

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"hishub/connectors/option"
	"hishub/core"
)

// script is what one call sends.
type script struct {
	// name for errors and people: "insert", the procedure's name, "select".
	name       string
	statements []statement
	// lines show the script in the words of the folder: :names and identifiers as
	// written there, whatever the database makes of them. A case serves for all.
	lines []line
	// transaction: all or nothing; else the one statement commits itself.
	transaction bool
	// outs are the names under which the columns of the last row come back.
	outs []string
	// procedure is true when a refusal may come from inside, after it acted.
	procedure bool
	// strange: it may leave its session other than it found it, with settings or a role
	// of its own, so that no other call may have it.
	strange bool
	// fetches are the places among outs of cursors that are to be fetched by name.
	fetches []int
	// function is the call of a function of the same name, for when it is one.
	function *statement
	// found counts the selects whose values columns take.
	found int
}

// statement is SQL with its parameters as text; nil is NULL.
type statement struct {
	sql  string
	args []*string
	// kinds are beside args where a database binds some in another way.
	kinds []kind
	// takes are the args whose values earlier statements of the script generated.
	takes []taken
	// gives are the keys that the rows of the statement bring.
	gives []generated
	// finds: what it gives was found, not made, and may be NULL.
	finds bool
	// wanted, if set, is how many rows it must bring or touch.
	wanted *wanted
	// counts: the number of rows that it touched is asked for.
	counts bool
	// harmless: it changes nothing that lasts.
	harmless bool
}

// taken is an arg that gets a generated key.
type taken struct {
	arg int
	key generated
}

// line is a statement as it is shown, with the values of its names.
type line struct {
	sql    string
	values core.Tree
}

func (l line) String() string {
	text := strings.Join(strings.Fields(l.sql), " ")
	if len(l.values) == 0 {
		return text
	}
	return text + " -- " + string(marshal(l.values))
}

const opInsert = "insert"

// plan turns a request into what is to be sent.
func (e engine) plan(q core.Request) (*script, error) {
	if len(q.Headers) > 0 || len(q.Query) > 0 {
		return nil, errors.New("a database takes neither headers nor a query")
	}
	operation := strings.TrimSpace(q.Operation)
	if operation == opInsert {
		return e.planInsert(q.Body)
	}
	var given core.Tree
	switch body := q.Body.(type) {
	case nil:
	case core.Tree:
		given = body
	default:
		return nil, errors.New("parameters are given by name; write send: {name: ...}")
	}
	if p, ok, err := parseProcedure(operation); err != nil {
		return nil, err
	} else if ok {
		return e.planProcedure(p, given)
	}
	n, err := e.parseNames(operation)
	if err != nil {
		return nil, err
	}
	args, err := arguments(n.names, given)
	if err != nil {
		return nil, err
	}
	return &script{
		name: firstWord(operation), statements: []statement{{sql: n.sql, args: args, counts: counting(n.sql)}},
		lines: []line{{n.written, shown(n.names, args)}}, strange: !isPlain(n.sql),
	}, nil
}

// shown pairs names with values, each name once.
func shown(names []string, args []*string) core.Tree {
	t := make(core.Tree, 0, len(names))
	for i, name := range names {
		if t.Has(name) {
			continue
		}
		f := core.Field{Name: name}
		if args[i] != nil {
			f.Value = *args[i]
		}
		t = append(t, f)
	}
	return t
}

var word = regexp.MustCompile(`^\w*`)

func firstWord(s string) string { return strings.ToLower(word.FindString(strings.TrimSpace(s))) }

// arguments picks the texts of names; every name and every value is needed.
func arguments(names []string, given core.Tree) ([]*string, error) {
	values, err := chosen(names, given)
	if err != nil {
		return nil, err
	}
	args := make([]*string, len(names))
	for i, v := range values {
		if args[i], err = leaf(v); err != nil {
			return nil, fmt.Errorf("parameter %s %w", names[i], err)
		}
	}
	return args, nil
}

func chosen(names []string, given core.Tree) ([]core.Value, error) {
	for i := range given {
		if !slices.Contains(names, given[i].Name) {
			what := "there is no parameter " + given[i].Name
			if near := option.Near(given[i].Name, names); len(near) > 0 {
				what += "; did you mean " + near[0] + "?"
			}
			return nil, errors.New(what)
		}
	}
	values := make([]core.Value, len(names))
	for i, name := range names {
		at := slices.IndexFunc(given, func(f core.Field) bool { return f.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("parameter %s has no value; write it, empty for NULL", name)
		}
		values[i] = given[at].Value
	}
	return values, nil
}

func leaf(v core.Value) (*string, error) {
	if v == nil {
		return nil, nil
	}
	text, ok := core.Text(v)
	if _, tree := v.(core.Tree); !ok || tree {
		return nil, errors.New("is a document, not a text; encode it with $xml or $json")
	}
	if strings.ContainsRune(text, 0) {
		return nil, errors.New("holds a NUL character, which no database takes")
	}
	return &text, nil
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*$`)

// quoteName checks and quotes a name with up to three parts.
func (e engine) quoteName(name string) (string, error) {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		if !identifier.MatchString(p) || len(parts) > 3 {
			return "", fmt.Errorf("%q is not a name of letters, digits, _ and $, with its schema before a dot", name)
		}
		parts[i] = e.quote(p)
	}
	return strings.Join(parts, "."), nil
}

// planInsert writes the rows of all tables in their order, and the statements that
// stand in the place of rows, in one transaction.
func (e engine) planInsert(body core.Value) (*script, error) {
	tables, ok := body.(core.Tree)
	if !ok || len(tables) == 0 {
		return nil, errors.New("insert takes tables with their rows; write send: {TABLE: {COLUMN: ...}}")
	}
	s := &script{name: opInsert, transaction: true}
	wanted, err := wantedKeys(tables)
	if err != nil {
		return nil, err
	}
	for _, table := range tables {
		rows := rowsOf(table.Value)
		for from := 0; from < len(rows); {
			if row, ok := rows[from].(core.Tree); ok && has(row, statementName) {
				if err := e.statement(s, table.Name, row); err != nil {
					return nil, err
				}
				from++
				continue
			}
			n, err := e.insert(s, table.Name, rows[from:], wanted)
			if err != nil {
				return nil, err
			}
			from += n
		}
	}
	if len(s.statements) == 0 {
		return nil, errors.New("there is no row to insert")
	}
	return s, nil
}

// insert takes the first row and those behind it that have the same columns.
func (e engine) insert(s *script, table string, rows core.List, wanted []generated) (int, error) {
	name, err := e.quoteName(table)
	if err != nil {
		return 0, fmt.Errorf("table %w", err)
	}
	first, ok := made(table, rows[0])
	if !ok || len(first) == 0 {
		return 0, fmt.Errorf("a row of %s is not columns with values", table)
	}
	names := make([]string, len(first))
	columns := make([]string, len(first))
	for i, f := range first {
		if !identifier.MatchString(f.Name) {
			return 0, fmt.Errorf("column %q of %s is not a name of letters, digits, _ and $", f.Name, table)
		}
		names[i], columns[i] = f.Name, e.quote(f.Name)
	}
	keys := keysOf(table, wanted)
	most := e.rowsAtOnce
	if keys != nil || looksUp(first) {
		most = 1 // each row has a key of its own, and is there before the next one looks
	}
	st := statement{gives: keys}
	var b strings.Builder
	b.WriteString("insert into " + name + " (" + strings.Join(columns, ", ") + ") values ")
	n := 0
	for ; n < len(rows) && n < most && (n == 0 || len(st.args)+len(first) <= e.valuesAtOnce); n++ {
		row, ok := made(table, rows[n])
		if !ok || !sameNames(first, row) || n > 0 && looksUp(row) {
			break
		}
		if n > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('(')
		var given, marks []string
		var values []*string
		for i, f := range row {
			if i > 0 {
				b.WriteString(", ")
			}
			if has(f.Value, sqlName) {
				sql, mark, err := e.expression(s, &st, table+"."+f.Name, f.Value)
				if err != nil {
					return 0, fmt.Errorf("column %s of %s %w", f.Name, table, err)
				}
				b.WriteString(sql)
				marks = append(marks, mark)
				continue
			}
			from, err := e.valueOf(s, table+"."+f.Name, f.Value)
			if err != nil {
				return 0, fmt.Errorf("column %s of %s %w", f.Name, table, err)
			}
			st.args = append(st.args, from.text)
			b.WriteString(e.placeholder(len(st.args)))
			if from.kept {
				st.takes = append(st.takes, taken{len(st.args) - 1, from.key})
				marks = append(marks, ":"+from.key.String())
				continue
			}
			marks, given, values = append(marks, ":"+f.Name), append(given, f.Name), append(values, from.text)
		}
		b.WriteByte(')')
		show := "insert into " + table + " (" + strings.Join(names, ", ") + ") values (" + strings.Join(marks, ", ") + ")"
		s.lines = append(s.lines, line{show, shown(given, values)})
	}
	st.sql = b.String()
	if keys != nil {
		with, err := e.returning(st)
		if err != nil {
			return 0, err
		}
		s.statements = append(s.statements, with...)
		return n, nil
	}
	s.statements = append(s.statements, st)
	return n, nil
}

func sameNames(a, b core.Tree) bool {
	return slices.EqualFunc(a, b, func(x, y core.Field) bool { return x.Name == y.Name })
}

// text shows the statements, one a line, each with its values as JSON.
func (s *script) text() []byte {
	var b bytes.Buffer
	if s.transaction {
		b.WriteString("begin\n")
	}
	for _, l := range s.lines {
		b.WriteString(l.String() + "\n")
	}
	if s.transaction {
		b.WriteString("commit\n")
	}
	return b.Bytes()
}
