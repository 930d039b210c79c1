package draft

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"hishub/core"
	"hishub/mapping/formats"
)

// fieldsOf makes fields of what a format read.
func fieldsOf(v core.Value, depth int) []Field {
	t, ok := v.(core.Tree)
	if !ok {
		if l, isList := v.(core.List); isList {
			return union(l, depth)
		}
		return nil
	}
	var out []Field
	for _, f := range t {
		out = append(out, fieldOf(f.Name, f.Value, depth))
	}
	return out
}

func fieldOf(name string, v core.Value, depth int) Field {
	f := Field{Name: name}
	if depth > formats.MaxDepth {
		return f
	}
	switch v := v.(type) {
	case core.Tree:
		f.Children = fieldsOf(v, depth+1)
	case core.List:
		f.List = true
		f.Children = union(v, depth+1)
		for _, item := range v {
			f.Rows = append(f.Rows, fieldsOf(item, depth+1))
		}
		if len(f.Children) == 0 && len(v) > 0 {
			f.Sample, _ = core.Text(v[0])
			f.Seen = true
		}
	default:
		f.Sample, _ = core.Text(v)
		f.Seen = true
		f.nest(depth + 1)
	}
	return f
}

// union are the fields of all items of a list.
func union(l core.List, depth int) []Field {
	var out []Field
	at := map[string]bool{}
	for _, item := range l {
		for _, f := range fieldsOf(item, depth) {
			if !at[f.Name] {
				at[f.Name] = true
				out = append(out, f)
			}
		}
	}
	return out
}

// nest looks for a document inside a text.
func (f *Field) nest(depth int) {
	text := strings.TrimSpace(f.Sample)
	if depth > 8 || len(text) < 2 {
		return
	}
	switch {
	case text[0] == '<' && text[len(text)-1] == '>':
		if v, ok := read("xml", nil, text); ok {
			f.Nested, f.Children = []string{"xml"}, fieldsOf(v, depth)
		}
	case text[0] == '{' && text[len(text)-1] == '}', text[0] == '[' && text[len(text)-1] == ']':
		if fields, err := readJSON(text); err == nil && len(fields) > 0 {
			f.Nested, f.Children = []string{"json"}, fields
		}
	case len(text) >= 24:
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil || !utf8.Valid(data) {
			return
		}
		inner := Field{Sample: string(data)}
		if inner.nest(depth + 1); len(inner.Nested) > 0 {
			f.Nested, f.Children = append([]string{"base64"}, inner.Nested...), inner.Children
		}
	}
}

// readJSON reads JSON with its order, and tells numbers from texts.
func readJSON(text string) ([]Field, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	f, err := jsonValue(d, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	return f.Children, nil
}

func jsonValue(d *json.Decoder, name string, depth int) (Field, error) {
	f := Field{Name: name}
	if depth > formats.MaxDepth {
		return f, errors.New("nested too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return f, err
	}
	switch t := t.(type) {
	case json.Delim:
		seen := map[string]bool{}
		f.List = t == '['
		for d.More() {
			key := ""
			if t == '{' {
				k, err := d.Token()
				if err != nil {
					return f, err
				}
				key, _ = k.(string)
			}
			child, err := jsonValue(d, key, depth+1)
			if err != nil {
				return f, err
			}
			if t == '{' {
				f.Children = append(f.Children, child)
				continue
			}
			f.Rows = append(f.Rows, child.Children)
			for _, c := range child.Children {
				if !seen[c.Name] {
					seen[c.Name] = true
					f.Children = append(f.Children, c)
				}
			}
			if child.leaf() && child.Seen && !f.Seen {
				f.Sample, f.Seen, f.Bare = child.Sample, true, child.Bare
			}
		}
		_, err := d.Token()
		return f, err
	case string:
		f.Sample, f.Seen = t, true
		f.nest(depth + 1)
	case json.Number:
		f.Sample, f.Seen, f.Bare = t.String(), true, true
	case bool:
		f.Sample, f.Seen, f.Bare = strconv.FormatBool(t), true, true
	case nil:
		f.Seen, f.Bare = true, true
	}
	return f, nil
}
