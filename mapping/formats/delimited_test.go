package formats_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
	"hishub/mapping/formats"
)

func TestDelimitedWrite(t *testing.T) {
	testWrite(t, "delimited", []writeCase{
		{"a record", nil, doc("code", "0", "no", core.Token("007"), "name", nil, "last", "张三测试"), "0|007||张三测试"},
		{"records", nil, list{doc("a", "1", "b", "2"), doc("a", "3", "b", nil)}, "1|2\n3|"},
		{"trailing", opts{"trailing": true, "row": "\r\n"}, list{doc("a", "1", "b", "2"), doc("a", "3", "b", nil)}, "1|2|\r\n3||"},
		{"separators", opts{"sep": "^", "row": "||"}, list{doc("a", "1", "b", "2"), doc("a", "3")}, "1^2||3"},
		{"replace", opts{"replace": opts{"|": "｜", "\n": " ", "||": "‖"}}, doc("a", "1||2|3\n4", "b", "5"), "1‖2｜3 4|5"},
		{"nil as", opts{"nil_as": "-"}, doc("a", nil, "b", ""), "-|"},
		{"nothing", nil, nil, ""},
		{"quote", opts{"sep": ",", "quote": `"`}, list{doc("a", `5" x`, "b", `"y"`, "c", "1,2"), doc("a", "1\n2", "b", nil)}, `5" x,"""y""","1,2"` + "\n\"1\n2\","},
		{"quote all", opts{"sep": ",", "quote": `'`, "quote_all": true}, doc("a", "it's", "b", nil), `'it''s',''`},
		{"escape", opts{"escape": `\`, "sep": "||"}, doc("a", `a|b||c\d`, "b", "1\n2"), `a\|b\|\|c\\d||1\` + "\n2"},
		{"header", opts{"header": true}, list{doc("no", "1", "名", "a"), doc("no", "2", "名", nil)}, "no|名\n1|a\n2|"},
		{"nothing under a header", opts{"header": true}, list{}, ""},
	})
}

func TestDelimitedRead(t *testing.T) {
	columns := []any{"code", "name"}
	testRead(t, "delimited", []readCase{
		{"a record", nil, "0|成功||007", doc("1", "0", "2", "成功", "3", nil, "4", "007")},
		{"a record with its row end", nil, "0|1\n", doc("1", "0", "2", "1")},
		{"records", nil, "1|2\n3\n", list{doc("1", "1", "2", "2"), doc("1", "3")}},
		{"columns", opts{"columns": columns}, "1|2\n3|", list{doc("code", "1", "name", "2"), doc("code", "3", "name", nil)}},
		{"trailing", opts{"trailing": true, "columns": columns}, "1|2|\n3||\n", list{doc("code", "1", "name", "2"), doc("code", "3", "name", nil)}},
		{"nothing is trimmed", nil, " 1 |\t2\r", doc("1", " 1 ", "2", "\t2\r")},
		{"separators", opts{"sep": "||", "row": ";"}, "1|2||3;4", list{doc("1", "1|2", "2", "3"), doc("1", "4")}},
		{"nulls", opts{"nulls": []any{"NULL"}}, "NULL|1", doc("1", nil, "2", "1")},
		{"nothing", nil, "", nil},
		{"an empty row", nil, "1\n\n2", list{doc("1", "1"), doc("1", nil), doc("1", "2")}},
		{"quote", opts{"sep": ",", "quote": `"`}, "a,\"b,\"\"c\n\",\"\"\n\"\",5\"x", list{doc("1", "a", "2", "b,\"c\n", "3", nil), doc("1", nil, "2", `5"x`)}},
		{"quote, row CR LF", opts{"quote": `"`, "row": "\r\n"}, "\"a\"|b\r\nc|\"d\"\r\n", list{doc("1", "a", "2", "b"), doc("1", "c", "2", "d")}},
		{"escape", opts{"escape": `\`}, `a\|b|\\|c\` + "\nd\ne", list{doc("1", "a|b", "2", `\`, "3", "c\nd"), doc("1", "e")}},
		{"header", opts{"header": true}, "no|名\n1|a\n2|\n", list{doc("no", "1", "名", "a"), doc("no", "2", "名", nil)}},
		{"header alone", opts{"header": true}, "no|名", nil},
		{"lenient: quotes", opts{"lenient": true, "quote": `"`}, "\"a\"b|\"c\"\r\n\"d\"", list{doc("1", "ab", "2", "c"), doc("1", "d")}},
		{"lenient", opts{"lenient": true, "trailing": true, "columns": columns}, "\ufeff1|2|\r\n\r\n3\r\n4|5|6|\r\n",
			list{doc("code", "1", "name", "2"), doc("code", "3", "name", nil), doc("code", "4", "name", "5", "3", "6")}},
	})
}

func TestDelimitedErrors(t *testing.T) {
	const held = ": holds a separator; give option replace what shall stand for it"
	testErrors(t, "delimited", []errorCase{
		{about: "text", value: secret, want: "write delimited: wants a map or a list of maps"},
		{about: "list of texts", value: list{doc("a", "1"), secret}, want: "write delimited: [2]: wants a map"},
		{about: "map inside", value: list{doc("a", "1"), doc("a", doc())}, want: "write delimited: [2]/a: has children, but only text can stand here"},
		{about: "separator", value: doc("a", secret+"|"), want: "write delimited: a" + held},
		{about: "row", value: list{doc("a", "1"), doc("a", "1", "b", secret+"\n")}, want: "write delimited: [2]/b" + held},
		{about: "separator from replace", options: opts{"replace": opts{"/": "|"}}, value: doc("a", "/"), want: "write delimited: a" + held},
		{about: "half a separator", options: opts{"sep": "||"}, value: doc("a", secret+"|", "b", "2"), want: "write delimited: a" + held},
		{about: "row made by neighbours", options: opts{"sep": "ab", "row": "bc"}, value: doc("1", secret, "2", "c"), want: "write delimited: its values next to each other make a row separator"},
		{about: "open quotes", options: opts{"quote": `"`}, text: `a|"` + secret, want: "read delimited: 1:1: [1]/2: the quotes around a value do not end"},
		{about: "text after quotes", options: opts{"quote": `"`}, text: `"a"` + secret, want: "read delimited: 1:1: [1]/1: a separator must follow the quotes around a value"},
		{about: "escape", options: opts{"escape": `\`}, text: `a\` + secret, want: "read delimited: 1:1: [1]/1: an escape stands before what needs none"},
		{about: "header names", options: opts{"header": true}, text: "a|a\n" + secret, want: "read delimited: 1:1: [1]/2: the header has a name that is empty or stands twice"},
		{about: "header count", options: opts{"header": true}, text: "a|b\n" + secret, want: "read delimited: 2:1: [1]: the record has 1 values, there are 2 columns"},
		{about: "another header", options: opts{"header": true}, value: list{doc("a", "1"), doc("b", secret)}, want: "write delimited: [2]: has other names than the first record, whose names are the header"},
		{about: "too few", options: opts{"columns": []any{"a", "b"}}, text: "1|2\n" + secret, want: "read delimited: 2:1: [2]: the record has 1 values, there are 2 columns"},
		{about: "no trailing separator", options: opts{"trailing": true}, text: "1|\n" + secret + "|2", want: "read delimited: 2:1: [2]: the record does not end with a separator"},
	})
}

func FuzzDelimited(f *testing.F) {
	f.Add("1|2\n3|\n", "|", "\n", "", "", false)
	f.Add("1|2|\r\n\r\n3", "|", "\r\n", "", "", true)
	f.Add("aababa", "aa", "b", "", "", false)
	f.Add("\"a\"\"\",b\r\n\"\"x,", ",", "\n", "\"", "", false)
	f.Add("a\\|b|\\c", "|", "\n", "", "\\", true)
	f.Fuzz(func(t *testing.T, text, sep, row, quote, escape string, trailing bool) {
		options := opts{"sep": sep, "row": row, "quote": quote, "escape": escape, "trailing": trailing}
		if _, err := formats.New("delimited", options); err != nil {
			return
		}
		v := fuzzForgiving(t, "delimited", options, text)
		if v == nil {
			return
		}
		strict := mustNew(t, "delimited", options)
		again, err := strict.Write(v)
		if err != nil {
			return // a value that ends like a separator begins
		}
		// A single empty value at the end is no record when it is read again.
		w, err := strict.Read(again + row)
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(v, w) {
			t.Errorf("%q became %q: %s", text, again, cmp.Diff(v, w))
		}
	})
}
