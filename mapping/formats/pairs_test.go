package formats_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/mapping/formats"
)

func TestPairsWrite(t *testing.T) {
	testWrite(t, "pairs", []writeCase{
		{"in order", nil, doc("b", "1", "a", core.Token("007"), "c", nil, "姓名", "测试=x"), "b=1;a=007;c=;姓名=测试=x"},
		{"lines", opts{"sep": "\n", "equals": ": ", "trailing": true}, doc("k", "v", "l", list{"1", nil}), "k: v\nl: 1\nl: \n"},
		{"sorted, not empty", opts{"sort": true, "drop_empty": true, "sep": "&"}, doc("b", "1", "a", "", "B", "2"), "B=2&b=1"},
		{"replace", opts{"replace": opts{";": "；"}}, doc("a", "1;2"), "a=1；2"},
		{"escape", opts{"escape": `\`}, doc("a", `1;2\3`, "b", "="), `a=1\;2\\3;b==`},
		{"nothing", nil, nil, ""},
	})
}

func TestPairsRead(t *testing.T) {
	testRead(t, "pairs", []readCase{
		{"in order", nil, "b=1;a=;c=x=y;;b=2;", doc("b", list{"1", "2"}, "a", nil, "c", "x=y")},
		{"lines", opts{"sep": "\n", "equals": ":"}, "k:v\nt:10:00\n", doc("k", "v", "t", "10:00")},
		{"escape", opts{"escape": `\`}, `a=1\;2\\3;b=`, doc("a", `1;2\3`, "b", nil)},
		{"nulls", opts{"nulls": []any{"NULL"}}, "a=NULL", doc("a", nil)},
		{"nothing", nil, ";;", nil},
		{"blanks are kept", opts{"sep": "\n"}, "a = 1 ", doc("a ", " 1 ")},
		{"blanks are forgiven", opts{"lenient": true, "sep": "\n"}, "# a note\n Amount\t= 12 50 \n \nNo=　\n", doc("# a note", nil, "Amount", "12 50", "No", nil)},
		{"lenient", opts{"lenient": true, "sep": "\n", "escape": `\`}, "\ufeffa=1\r\nb\nc=\\x\r", doc("a", "1", "b", nil, "c", `\x`)},
	})
}

func TestPairsErrors(t *testing.T) {
	testErrors(t, "pairs", []errorCase{
		{about: "text", value: secret, want: "write pairs: wants a map"},
		{about: "separator", value: doc("a", list{"1", secret + ";"}), want: "write pairs: a[2]: holds a separator; give option replace what shall stand for it"},
		{about: "name", value: doc("a=b", secret), want: "write pairs: a=b: is a name that holds a separator"},
		{about: "no equals", text: "a=1;" + secret, want: "read pairs: 1:5: a pair without anything between name and value"},
		{about: "escape", options: opts{"escape": `\`}, text: `a=\` + secret, want: "read pairs: 1:1: a: an escape stands before what needs none"},
	})
	for about, options := range map[string]opts{
		"no sep": {"sep": ""}, "no equals": {"equals": ""}, "alike": {"sep": "==", "equals": "="}, "long escape": {"escape": "ab"}, "escape in sep": {"escape": ";"}, "escape in equals": {"escape": "="},
	} {
		if _, err := formats.New("pairs", options); err == nil {
			t.Errorf("%s is accepted", about)
		}
	}
}

func TestPairsRoundTrip(t *testing.T) {
	written := 0
	rapid.Check(t, func(t *rapid.T) {
		text := func() string {
			return rapid.StringOfN(rapid.SampledFrom([]rune(`a;=&\:测`)), 0, 4, -1).Draw(t, "text")
		}
		options := opts{
			"sep":      rapid.SampledFrom([]string{";", "&&", "a;", "测"}).Draw(t, "sep"),
			"equals":   rapid.SampledFrom([]string{"=", ":=", ": "}).Draw(t, "equals"),
			"trailing": rapid.Bool().Draw(t, "trailing"),
			"escape":   rapid.SampledFrom([]string{"", `\`}).Draw(t, "escape"),
		}
		v, want := tree{}, tree{}
		for range rapid.IntRange(1, 4).Draw(t, "pairs") {
			name, value := text(), text()
			if v.Has(name) {
				continue
			}
			v = append(v, core.Field{Name: name, Value: value})
			want = append(want, core.Field{Name: name, Value: nilIfEmpty(value)})
		}
		f := mustNew(t, "pairs", options)
		out, err := f.Write(v)
		if err != nil {
			return
		}
		written++
		got, err := f.Read(out)
		if err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if diff := cmp.Diff(core.Value(want), got); diff != "" {
			t.Fatalf("%q\n(-want +got)\n%s", out, diff)
		}
	})
	if written == 0 {
		t.Error("nothing was written")
	}
}

func FuzzPairs(f *testing.F) {
	f.Add("a=1;b=\\;2;;c\r\n", ";", "=", "\\")
	f.Add("k: v\r\nl: 2\n", "\n", ": ", "")
	f.Fuzz(func(t *testing.T, text, sep, equals, escape string) {
		options := opts{"sep": sep, "equals": equals, "escape": escape}
		if _, err := formats.New("pairs", options); err != nil {
			return
		}
		v := fuzzForgiving(t, "pairs", options, text)
		if v == nil {
			return
		}
		strict := mustNew(t, "pairs", options)
		again, err := strict.Write(v)
		if err != nil {
			return // what holds separators cannot be written
		}
		w, err := strict.Read(again)
		if err != nil || !cmp.Equal(v, w) {
			t.Errorf("%v: %q became %q: %s", err, text, again, cmp.Diff(v, w))
		}
	})
}

// What the lenient readers forgave is told with its place and without a value.
func TestForgiven(t *testing.T) {
	for _, c := range []struct {
		format, text string
		options      opts
		want         []string
	}{
		{"json", `{"a":"b"}`, nil, nil},
		{"json", "{姓名：“" + secret + "”，\n'a': [1 , , 2,] // x\n}", nil, []string{"1:2: a name without quotes", "1:4: full-width punctuation", "1:5: full-width quotes",
			"1:11: full-width punctuation", "2:1: single quotes", "2:11: a comma too many", "2:15: a comma before the end", "2:17: a comment"}},
		{"json", "[1]\n" + strings.Repeat(",", 50), nil, nil},
		{"xml", "\n<?xml version='1.0' encoding='GBK'?><a>1 < 2 & &nbsp;<B>x</b></a><c/>", nil, []string{"2:1: a prolog that is not at the very start", "2:42: a < that is text",
			"2:46: an & that is text", "2:48: an entity that is not declared", "2:58: an end tag that is spelled differently", "2:66: one more root element"}},
		{"hl7v2", "MSH|^~\\&|A\rNTE|" + secret + "\rx\rNTE|\\Q\\\r", nil, []string{"2:9: a line end in a field", "4:5: an escape that is not known or does not end, taken as it stands", "4:7: an escape that is not known or does not end, taken as it stands"}},
		{"form", "a=%zz&b=" + secret, nil, []string{"1:1: a % that escapes nothing"}},
		{"delimited", "1|2\r\n\n" + secret, opts{"columns": []any{"a", "b"}}, []string{"1:4: a CR before the end of the row", "2:1: an empty row", "3:1: a record of 1 values for 2 columns"}},
	} {
		options := opts{"lenient": true}
		for k, v := range c.options {
			options[k] = v
		}
		_, forgiven, err := mustNew(t, c.format, options).ReadForgiving(c.text)
		if c.want != nil && err != nil {
			t.Errorf("%s: %v", c.format, err)
		}
		if diff := cmp.Diff(c.want, forgiven); diff != "" {
			t.Errorf("%s %q (-want +got)\n%s", c.format, c.text, diff)
		}
		if c.want != nil {
			if _, err := mustNew(t, c.format, c.options).Read(c.text); err == nil && c.format != "delimited" {
				t.Errorf("%s: the strict reader takes it too", c.format)
			}
		}
	}
	_, forgiven, err := mustNew(t, "json", opts{"lenient": true}).ReadForgiving("[" + strings.Repeat("1,,", 100) + "]")
	if err != nil || len(forgiven) != formats.MaxForgiven || forgiven[19] != "and more" {
		t.Errorf("%v %v", forgiven, err)
	}
}
