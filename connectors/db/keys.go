package db

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

// generatedName is the attribute by which a column takes a key that the database
// made for a row before: {order_id: {.generated: orders.order_id}}.
const generatedName = ".generated"

// generated is a key that the database makes when a row of a table is inserted.
// Without a table it is what a select finds.
type generated struct{ table, column string }

func (g generated) String() string {
	if g.table == "" {
		return g.column
	}
	return g.table + "." + g.column
}

// keyOf reads the value of a column; ok is false when it is a value of its own.
func keyOf(v core.Value) (g generated, ok bool, err error) {
	t, isTree := v.(core.Tree)
	if !isTree || !slices.ContainsFunc(t, func(f core.Field) bool { return f.Name == generatedName }) {
		return g, false, nil
	}
	text, isText := core.Text(t.Get(generatedName))
	at := strings.LastIndexByte(text, '.')
	if len(t) != 1 || !isText || at <= 0 || !identifier.MatchString(text[at+1:]) {
		return g, true, errors.New("is not a generated key; write {.generated: TABLE.COLUMN}")
	}
	return generated{text[:at], text[at+1:]}, true, nil
}

func rowsOf(v core.Value) core.List {
	if rows, ok := v.(core.List); ok {
		return rows
	}
	return core.List{v}
}

// wantedKeys are the generated keys that any row takes, each once.
func wantedKeys(tables core.Tree) (wanted []generated, err error) {
	for _, table := range tables {
		for _, row := range rowsOf(table.Value) {
			columns, _ := row.(core.Tree)
			for _, f := range columns {
				if wanted, err = keysIn(f.Value, wanted); err != nil {
					return nil, fmt.Errorf("column %s of %s %w", f.Name, table.Name, err)
				}
			}
		}
	}
	return wanted, nil
}

// keysIn adds the keys that a value takes, itself or in the :names of its select.
func keysIn(v core.Value, wanted []generated) ([]generated, error) {
	g, ok, err := keyOf(v)
	switch {
	case err != nil:
		return nil, err
	case ok && !slices.Contains(wanted, g):
		return append(wanted, g), nil
	case ok || !isSelect(v) && !has(v, sqlName):
		return wanted, nil
	}
	for _, f := range v.(core.Tree) {
		if wanted, err = keysIn(f.Value, wanted); err != nil {
			return nil, err
		}
	}
	return wanted, nil
}

// made leaves out of a row the keys that the database makes for this very row:
// orders: {order_id: {.generated: orders.order_id}} asks for it in the answer.
func made(table string, v core.Value) (row core.Tree, ok bool) {
	row, ok = v.(core.Tree)
	own := func(f core.Field) bool {
		g, isKey, _ := keyOf(f.Value)
		return isKey && g == generated{table, f.Name}
	}
	if slices.ContainsFunc(row, own) {
		row = slices.DeleteFunc(slices.Clone(row), own)
	}
	return row, ok
}

func keysOf(table string, wanted []generated) (keys []generated) {
	for _, g := range wanted {
		if g.table == table {
			keys = append(keys, g)
		}
	}
	return keys
}

// generates reports whether a statement of the script brings that key.
func (s *script) generates(g generated) bool {
	return slices.ContainsFunc(s.statements, func(st statement) bool { return slices.Contains(st.gives, g) })
}

func columnsOfKeys(keys []generated, quote func(string) string) string {
	names := make([]string, len(keys))
	for i, g := range keys {
		names[i] = quote(g.column)
	}
	return strings.Join(names, ", ")
}

// keys are the ones that were generated so far, the newest of each.
type keys struct {
	order  []generated
	values map[generated]*string
}

// into puts keys where the statement takes them.
func (k *keys) into(st statement) statement {
	if len(st.takes) == 0 {
		return st
	}
	st.args = slices.Clone(st.args)
	for _, t := range st.takes {
		st.args[t.arg] = k.values[t.key]
	}
	return st
}

// take keeps what a statement generated or found.
func (k *keys) take(st statement, got rows) error {
	if err := st.wanted.met(got); err != nil {
		return err
	}
	if len(st.gives) == 0 {
		return nil
	}
	if st.finds && len(got.columns) != 1 {
		return &refusal{meaning: unfit, code: st.wanted.place, public: "its select must bring one column"}
	}
	if len(got.values) != 1 || len(got.values[0]) != len(st.gives) {
		return &refusal{meaning: unfit, code: "no key", public: "the database gave no key for " + st.gives[0].String()}
	}
	if k.values == nil {
		k.values = map[generated]*string{}
	}
	for i, g := range st.gives {
		value := got.values[0][i]
		if st.finds {
			k.values[g] = value
			continue
		}
		if value == nil || *value == "" || *value == "0" {
			return &refusal{meaning: unfit, code: "no key", public: "the database generates no " + g.String()}
		}
		if _, known := k.values[g]; !known {
			k.order = append(k.order, g)
		}
		k.values[g] = value
	}
	return nil
}

// body is the answer to an insert: the newest generated keys as table → column,
// or no rows where none was wanted.
func (k *keys) body() core.Value {
	if len(k.order) == 0 {
		return core.List{}
	}
	var t core.Tree
	for _, g := range k.order {
		field := core.Field{Name: g.column, Value: *k.values[g]}
		if at := slices.IndexFunc(t, func(f core.Field) bool { return f.Name == g.table }); at >= 0 {
			t[at].Value = append(t[at].Value.(core.Tree), field)
			continue
		}
		t = append(t, core.Field{Name: g.table, Value: core.Tree{field}})
	}
	return t
}
