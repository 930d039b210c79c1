package formats

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hishub/core"
)

// OptionType is what an option takes in YAML.
type OptionType string

const (
	TypeText  OptionType = "text"
	TypeFlag  OptionType = "true or false"
	TypeTexts OptionType = "a list of texts"
	TypePairs OptionType = "a map from text to text"
	// TypeColumns is a layout, TypeRecords several of them by name. The order of
	// columns counts, so that these maps come as core.Tree.
	TypeColumns OptionType = "a map from column to width, or to {width, align, pad}"
	TypeRecords OptionType = "a map from the text of the first column to columns"
)

// Option is one option of a format.
type Option struct {
	Name    string
	Type    OptionType
	Values  []string // the accepted words of a text; empty: any
	Default any      // string or bool; nil where not giving it is a case of its own
	About   string   // one line for the reference and the editor's schema
}

// OptionError says which option is wrong and what it accepts.
type OptionError struct {
	Format, Option, Reason string
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("format %s: option %q %s", e.Format, e.Option, e.Reason)
}

// Options of every reader and every writer.
var (
	nullsOption   = Option{Name: "nulls", Type: TypeTexts, About: "texts that mean nil when read"}
	lenientOption = Option{Name: "lenient", Type: TypeFlag, Default: false, About: "read what is nearly this format"}
	nilAsOption   = Option{Name: "nil_as", Type: TypeText, About: "the text written for nil"}
)

// settings are options that were checked: string, bool, []string,
// map[string]string, []column, map[string][]column.
type settings map[string]any

func (s settings) text(name string) string             { t, _ := s[name].(string); return t }
func (s settings) flag(name string) bool               { b, _ := s[name].(bool); return b }
func (s settings) texts(name string) []string          { l, _ := s[name].([]string); return l }
func (s settings) pairs(name string) map[string]string { m, _ := s[name].(map[string]string); return m }
func (s settings) columns(name string) []column        { c, _ := s[name].([]column); return c }
func (s settings) records(name string) map[string][]column {
	r, _ := s[name].(map[string][]column)
	return r
}
func (s settings) given(name string) (string, bool) { t, ok := s[name].(string); return t, ok }

func (k Kind) check(options map[string]any) (settings, error) {
	checked := settings{}
	for _, o := range k.Options {
		if o.Default != nil {
			checked[o.Name] = o.Default
		}
	}
	var mistakes []error
	for _, name := range slices.Sorted(maps.Keys(options)) {
		i := slices.IndexFunc(k.Options, func(o Option) bool { return o.Name == name })
		if i < 0 {
			mistakes = append(mistakes, &OptionError{k.Name, name, "does not exist; there are " + k.optionNames()})
			continue
		}
		value, reason := k.Options[i].accept(options[name])
		if reason != "" {
			mistakes = append(mistakes, &OptionError{k.Name, name, reason})
			continue
		}
		checked[name] = value
	}
	return checked, errors.Join(mistakes...)
}

func (k Kind) optionNames() string {
	names := make([]string, len(k.Options))
	for i, o := range k.Options {
		names[i] = o.Name
	}
	return strings.Join(names, ", ")
}

// accept turns what YAML gave into the option's own type, or says why not.
func (o Option) accept(v any) (value any, reason string) {
	switch o.Type {
	case TypeText:
		text, ok := v.(string)
		if !ok {
			break
		}
		if err := sound(text); err != nil {
			return nil, err.Reason
		}
		if len(o.Values) > 0 && !slices.Contains(o.Values, text) {
			return nil, "is " + strings.Join(o.Values, " or ")
		}
		return text, ""
	case TypeFlag:
		if flag, ok := v.(bool); ok {
			return flag, ""
		}
	case TypeTexts:
		items, ok := v.([]any)
		if !ok {
			break
		}
		texts := make([]string, len(items))
		for i, item := range items {
			if texts[i], ok = item.(string); !ok {
				return nil, fmt.Sprintf("is %s, item %d is %s", o.Type, i+1, yamlName(item))
			}
			if err := sound(texts[i]); err != nil {
				return nil, err.Reason
			}
		}
		return texts, ""
	case TypePairs:
		items, ok := fieldsOf(v)
		if !ok {
			break
		}
		pairs := make(map[string]string, len(items))
		for _, f := range items {
			key, item := f.Name, f.Value
			text, ok := item.(string)
			if !ok {
				return nil, fmt.Sprintf("is %s, %q is given %s", o.Type, key, yamlName(item))
			}
			if err := sound(key + text); err != nil {
				return nil, err.Reason
			}
			pairs[key] = text
		}
		return pairs, ""
	case TypeColumns:
		if items, ok := v.(core.Tree); ok {
			columns, reason := readColumns(items)
			return columns, reason
		}
	case TypeRecords:
		items, ok := v.(core.Tree)
		if !ok {
			break
		}
		records := make(map[string][]column, len(items))
		for _, f := range items {
			columns, ok := f.Value.(core.Tree)
			if !ok {
				return nil, fmt.Sprintf("is %s, %q is given %s", o.Type, f.Name, yamlName(f.Value))
			}
			var reason string
			if records[f.Name], reason = readColumns(columns); reason != "" {
				return nil, fmt.Sprintf("%q %s", f.Name, reason)
			}
		}
		return records, ""
	}
	wanted := string(o.Type)
	if len(o.Values) > 0 {
		wanted = strings.Join(o.Values, " or ")
	}
	return nil, fmt.Sprintf("is %s, not %s", wanted, yamlName(v))
}

// fieldsOf are the fields of a map, whichever way it comes.
func fieldsOf(v any) (core.Tree, bool) {
	switch v := v.(type) {
	case core.Tree:
		return v, true
	case map[string]any:
		out := core.Tree{}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, core.Field{Name: name, Value: v[name]})
		}
		return out, true
	}
	return nil, false
}

// yamlName names the YAML type of a wrong value. A bare number or true where
// text is wanted is the common mistake, so the cure is part of its name.
func yamlName(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case string:
		return "text"
	case bool:
		return "true or false (quote it if you mean the word)"
	case []any:
		return "a list"
	case map[string]any, core.Tree:
		return "a map"
	}
	return "a number (quote it if you mean the text)"
}
