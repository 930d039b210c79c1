package formats_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/mapping/formats"
)

type (
	tree = core.Tree
	list = core.List
	opts = map[string]any
)

// doc is a tree of names and values in turn.
func doc(namesAndValues ...any) tree {
	t := tree{}
	for i := 0; i < len(namesAndValues); i += 2 {
		t = append(t, core.Field{Name: namesAndValues[i].(string), Value: namesAndValues[i+1]})
	}
	return t
}

func mustNew(t rapid.TB, name string, options opts) formats.Format {
	t.Helper()
	f, err := formats.New(name, options)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

type writeCase struct {
	about   string
	options opts
	value   core.Value
	want    string
}

func testWrite(t *testing.T, format string, cases []writeCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.about, func(t *testing.T) {
			got, err := mustNew(t, format, c.options).Write(c.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

type readCase struct {
	about   string
	options opts
	text    string
	want    core.Value
}

func testRead(t *testing.T, format string, cases []readCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.about, func(t *testing.T) {
			got, err := mustNew(t, format, c.options).Read(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// secret stands in every document that must fail, and in no error.
const secret = "张三测试"

type errorCase struct {
	about   string
	options opts
	value   core.Value // to be written, or
	text    string     // to be read
	want    string
}

func testErrors(t *testing.T, format string, cases []errorCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.about, func(t *testing.T) {
			f := mustNew(t, format, c.options)
			var err error
			if c.value != nil {
				_, err = f.Write(c.value)
			} else {
				_, err = f.Read(c.text)
			}
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if strings.Contains(err.Error(), secret) {
				t.Error("the error quotes a value")
			}
			if at := (*formats.Error)(nil); !errors.As(err, &at) {
				t.Errorf("a %T, want *formats.Error", err)
			}
		})
	}
}

func TestNew(t *testing.T) {
	for _, c := range []struct {
		about, format string
		options       opts
		want          string
	}{
		{"format", "xlm", nil, `unknown format "xlm"; there are xml, json, form, pairs, delimited, fixed, hl7v2`},
		{"unknown option", "form", opts{"sorted": true}, `format form: option "sorted" does not exist; there are sort, drop_empty, charset, nil_as, nulls, lenient`},
		{"unknown word", "xml", opts{"empty": "both"}, `format xml: option "empty" is pair or self`},
		{"number for a word", "xml", opts{"empty": uint64(1)}, `format xml: option "empty" is pair or self, not a number (quote it if you mean the text)`},
		{"number for text", "json", opts{"nil_as": uint64(0)}, `format json: option "nil_as" is text, not a number (quote it if you mean the text)`},
		{"text for a flag", "xml", opts{"cdata": "yes"}, `format xml: option "cdata" is true or false, not text`},
		{"text for a list", "xml", opts{"nulls": "NULL"}, `format xml: option "nulls" is a list of texts, not text`},
		{"number in a list", "xml", opts{"nulls": []any{"NULL", 0}}, `format xml: option "nulls" is a list of texts, item 2 is a number (quote it if you mean the text)`},
		{"list for a map", "delimited", opts{"replace": []any{}}, `format delimited: option "replace" is a map from text to text, not a list`},
		{"nothing in a map", "delimited", opts{"replace": opts{"|": nil}}, `format delimited: option "replace" is a map from text to text, "|" is given nothing`},
		{"empty replacement", "delimited", opts{"replace": opts{"": "x"}}, `format delimited: option "replace" cannot replace an empty text`},
		{"no separator", "delimited", opts{"sep": ""}, `format delimited: option "sep" is at least one character`},
		{"separators", "delimited", opts{"sep": "|", "row": "||"}, `format delimited: option "row" and sep must not hold one another`},
		{"NUL", "delimited", opts{"sep": "\x00"}, `format delimited: option "sep" holds a NUL character`},
		{"invalid UTF-8", "delimited", opts{"replace": opts{"a": "\xff"}}, `format delimited: option "replace" is not valid UTF-8`},
		{"columns", "delimited", opts{"columns": []any{"a", "a"}}, `format delimited: option "columns" names "a" twice`},
		{"all at once", "form", opts{"b": 1, "a": 1, "sort": 1},
			`format form: option "a" does not exist; there are sort, drop_empty, charset, nil_as, nulls, lenient
format form: option "b" does not exist; there are sort, drop_empty, charset, nil_as, nulls, lenient
format form: option "sort" is true or false, not a number (quote it if you mean the text)`},
	} {
		t.Run(c.about, func(t *testing.T) {
			_, err := formats.New(c.format, c.options)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Every option that is listed is accepted with its own default.
func TestAll(t *testing.T) {
	for _, kind := range formats.All {
		given := opts{}
		for _, o := range kind.Options {
			if o.About == "" || o.Type == "" {
				t.Errorf("%s %s: nothing about it", kind.Name, o.Name)
			}
			if o.Default != nil {
				given[o.Name] = o.Default
			}
		}
		if _, err := formats.New(kind.Name, given); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryReaderRefuses(t *testing.T) {
	for _, kind := range formats.All {
		for _, lenient := range []bool{false, true} {
			f := mustNew(t, kind.Name, opts{"lenient": lenient})
			for about, text := range map[string]string{
				"invalid UTF-8": "<a>测试\xff</a>",
				"half a letter": "{\"a\": \"\xe6\xb5\"}",
				"NUL":           "a=1\x00",
				"too large":     strings.Repeat(" ", formats.MaxText+1),
			} {
				if _, err := f.Read(text); err == nil {
					t.Errorf("%s takes a text with %s", kind.Name, about)
				}
			}
			_, err := f.Read("测试\n测\xff")
			if want := "read " + kind.Name + ": 2:2: the text is not valid UTF-8"; err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	}
}

func TestEveryWriterRefuses(t *testing.T) {
	for _, kind := range formats.All {
		f := mustNew(t, kind.Name, nil)
		for about, v := range map[string]core.Value{
			"invalid UTF-8": "\xff", "NUL": "a\x00b", "NUL in CDATA": core.CData("\x00"), "NUL in raw": core.Raw("\x00"),
			"number": 12, "map": map[string]any{}, "slice": []any{},
		} {
			if _, err := f.Write(doc("a", v)); err == nil {
				t.Errorf("%s writes a %s", kind.Name, about)
			} else if !strings.Contains(err.Error(), "write "+kind.Name+": a: ") {
				t.Errorf("no path in %v", err)
			}
		}
	}
}
