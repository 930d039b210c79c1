package db

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"hishub/core"
)

// rows is a result as text, with the database's own spelling; nil is NULL.
type rows struct {
	columns []string
	values  [][]*string
	// affected is the number of rows that a statement touched, if it was counted.
	affected int64
	counted  bool
	// earlier are the results with columns that the same statement brought before.
	earlier []rows
	// cursors are the rows that columns of the only row stand for, by their places.
	cursors map[int]rows
}

func (r rows) list() core.List {
	l := make(core.List, len(r.values))
	for i := range r.values {
		l[i] = row(r.columns, r.values[i])
	}
	return l
}

func row(names []string, values []*string) core.Tree {
	t := make(core.Tree, len(names))
	for i, name := range names {
		t[i].Name = name
		if values[i] != nil {
			t[i].Value = *values[i]
		}
	}
	return t
}

// marshal writes rows or parameters as JSON, the form in which they are
// recorded: a list of objects, or one object.
func marshal(v core.Value) []byte {
	var b bytes.Buffer
	switch v := v.(type) {
	case core.List:
		b.WriteByte('[')
		for i := range v {
			if i > 0 {
				b.WriteString(",\n ")
			}
			b.Write(marshal(v[i]))
		}
		b.WriteByte(']')
	case core.Tree:
		b.WriteByte('{')
		for i, f := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeJSON(&b, f.Name)
			b.WriteString(": ")
			b.Write(marshal(f.Value))
		}
		b.WriteByte('}')
	default:
		writeJSON(&b, v)
	}
	return b.Bytes()
}

func writeJSON(b *bytes.Buffer, v any) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if e.Encode(v) == nil {
		b.Truncate(b.Len() - 1) // the line feed
	}
}

// unmarshal reads what marshal writes; numbers and booleans keep their spelling
// as text.
func unmarshal(data []byte) (core.Value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decode(d, 0, 2)
	if err != nil {
		return nil, fmt.Errorf("not JSON rows: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON rows")
	}
	return v, nil
}

// decode takes rows of columns; among out parameters, an object, rows may stand one
// deeper. What is below deepest is text.
func decode(d *json.Decoder, depth, deepest int) (core.Value, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case nil:
		return nil, nil
	case json.Delim:
		if depth == deepest {
			return nil, errors.New("a column holds text or null")
		}
		if token == '[' {
			if depth == 1 {
				deepest = 3
			}
			l := core.List{}
			for d.More() {
				v, err := decode(d, depth+1, deepest)
				if err != nil {
					return nil, err
				}
				l = append(l, v)
			}
			_, err := d.Token()
			return l, err
		}
		t := core.Tree{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(d, depth+1, deepest)
			if err != nil {
				return nil, err
			}
			t = append(t, core.Field{Name: fmt.Sprint(name), Value: v})
		}
		_, err := d.Token()
		return t, err
	}
	return fmt.Sprint(token), nil
}
