package db

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"hishub/core"
)

// What an insert may hold beside rows of values, all in its one transaction.
const (
	// selectName gives a column what a select finds:
	// {patient_id: {.select: select person_id from t where no = :no, no: P1}}.
	selectName = ".select"
	// sqlName gives a column what an expression of the database makes:
	// {uuid: {.sql: unhex(:u), u: 0A1B}}.
	sqlName = ".sql"
	// statementName stands in a row's place: {.statement: update t set n = :n, n: "1"}.
	statementName = ".statement"
	// rowsName says how many rows a statement touches: a number, or any.
	rowsName = ".rows"
)

// wanted is how many rows a statement must bring or touch.
type wanted struct {
	// place for people and rules: TABLE.COLUMN of a select, the table of a statement.
	place string
	// exactly so many; 0 is at least one.
	exactly int
}

// met refuses another number of rows as an answer that rules can judge.
func (w *wanted) met(got rows) error {
	n := int64(len(got.values))
	if got.counted {
		n = got.affected
	}
	if w == nil || n > 0 && (w.exactly == 0 || n == int64(w.exactly)) {
		return nil
	}
	return &refusal{meaning: unmatched, code: w.place, words: strconv.FormatInt(n, 10) + " rows"}
}

// source is where an arg comes from: a text, or a key that is known only when
// the statements before have run.
type source struct {
	text *string
	key  generated
	kept bool // by key
}

// valueOf reads what a column or a :name takes. A select becomes a statement of
// its own before the one that takes its value.
func (e engine) valueOf(s *script, place string, v core.Value) (source, error) {
	if key, isKey, err := keyOf(v); isKey || err != nil {
		if err == nil && !s.generates(key) {
			err = fmt.Errorf("takes the key %s, and no row of that table stands before it", key)
		}
		return source{key: key, kept: true}, err
	}
	if !isSelect(v) {
		text, err := leaf(v)
		return source{text: text}, err
	}
	st, shown, err := e.bound(s, place, selectName, v.(core.Tree), 0)
	if err == nil && !reading(st.sql) {
		err = errors.New("is not a select")
	}
	if err != nil {
		return source{}, fmt.Errorf("takes a select that cannot be used: %w", err)
	}
	s.found++
	key := generated{column: "found_" + strconv.Itoa(s.found)}
	shown.sql = key.column + ": " + shown.sql
	st.gives, st.finds, st.wanted = []generated{key}, true, &wanted{place: place, exactly: 1}
	s.statements, s.lines = append(s.statements, st), append(s.lines, shown)
	return source{key: key, kept: true}, nil
}

// statement writes what stands in the place of a row.
func (e engine) statement(s *script, table string, row core.Tree) error {
	rows := row.Get(rowsName)
	row = slices.DeleteFunc(slices.Clone(row), func(f core.Field) bool { return f.Name == rowsName })
	st, shown, err := e.bound(s, table, statementName, row, 0)
	if err != nil {
		return fmt.Errorf("the statement at %s: %w", table, err)
	}
	switch st.counts = counting(st.sql); {
	case !st.counts && !reading(st.sql) && !returns.MatchString(st.sql):
		if rows != nil {
			return fmt.Errorf("the statement at %s touches no rows; leave out %s", table, rowsName)
		}
	default:
		if st.wanted, err = wantedRows(table, rows); err != nil {
			return err
		}
	}
	s.statements, s.lines = append(s.statements, st), append(s.lines, shown)
	return nil
}

func wantedRows(table string, v core.Value) (*wanted, error) {
	if v == nil {
		return &wanted{place: table}, nil
	}
	text, _ := core.Text(v)
	if text == "any" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("%s at %s is not a number above 0 nor any", rowsName, table)
	}
	return &wanted{place: table, exactly: int(n)}, nil
}

// bound is the statement or expression under that name of t, with the other fields
// as its :names. So many parameters stand before it.
func (e engine) bound(s *script, place, under string, t core.Tree, before int) (st statement, shown line, err error) {
	text, ok := core.Text(t.Get(under))
	if !ok {
		return st, shown, fmt.Errorf("%s is not a statement", under)
	}
	n, err := e.parseNamesAfter(before, text)
	if err != nil {
		return st, shown, err
	}
	given := slices.DeleteFunc(slices.Clone(t), func(f core.Field) bool { return f.Name == under })
	values, err := chosen(n.names, given)
	if err != nil {
		return st, shown, err
	}
	st.sql, shown.sql = n.sql, n.written
	for i, v := range values {
		from, err := e.valueOf(s, place, v)
		if err != nil {
			return st, shown, fmt.Errorf("parameter %s %w", n.names[i], err)
		}
		value := from.text
		if from.kept {
			st.takes = append(st.takes, taken{i, from.key})
			name := ":" + from.key.String()
			value = &name
		}
		st.args = append(st.args, from.text)
		if !shown.values.Has(n.names[i]) {
			f := core.Field{Name: n.names[i]}
			if value != nil {
				f.Value = *value
			}
			shown.values = append(shown.values, f)
		}
	}
	return st, shown, nil
}

func has(v core.Value, name string) bool {
	t, ok := v.(core.Tree)
	return ok && slices.ContainsFunc(t, func(f core.Field) bool { return f.Name == name })
}

func isSelect(v core.Value) bool { return has(v, selectName) }

// looksUp: a column of the row takes what a select finds, or an expression.
func looksUp(row core.Tree) bool {
	return slices.ContainsFunc(row, func(f core.Field) bool { return isSelect(f.Value) || has(f.Value, sqlName) })
}

// expression adds what stands in a column's place to an insert: its SQL, and how
// it is shown.
func (e engine) expression(s *script, st *statement, place string, v core.Value) (sql, shown string, err error) {
	x, l, err := e.bound(s, place, sqlName, v.(core.Tree), len(st.args))
	if err != nil {
		return "", "", fmt.Errorf("takes an expression that cannot be used: %w", err)
	}
	for _, t := range x.takes {
		st.takes = append(st.takes, taken{len(st.args) + t.arg, t.key})
	}
	st.args = append(st.args, x.args...)
	shown = l.sql
	if len(l.values) > 0 {
		shown += " /* " + string(marshal(l.values)) + " */"
	}
	return x.sql, shown, nil
}

// returns tells statements that change rows and bring them, too.
var returns = regexp.MustCompile(`(?i)\breturning\b|\boutput\s+(inserted|deleted)\b`)

func reading(sql string) bool {
	return slices.Contains([]string{"select", "with"}, firstWord(sql))
}

// counting tells statements of which the database says how many rows they touched.
func counting(sql string) bool {
	return slices.Contains([]string{"update", "delete", "insert", "replace", "merge"}, firstWord(sql)) && !returns.MatchString(sql)
}
