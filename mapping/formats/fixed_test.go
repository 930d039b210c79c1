package formats_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/mapping/formats"
)

// layout of a bill in GB18030: 2 bytes a Chinese character.
var layout = doc("no", 6, "name", doc("width", 8), "amount", doc("width", 8, "align", "right", "pad", "0"), "flag", doc("width", 2, "align", "right"))

func TestFixedWrite(t *testing.T) {
	bill := opts{"columns": layout}
	kinds := opts{"row": "\r\n", "records": doc("1", doc("kind", 1, "date", 8), "2", doc("kind", 1, "no", 4, "amount", doc("width", 6, "pad", 0)))}
	testWrite(t, "fixed", []writeCase{
		{"a record", bill, doc("no", "007", "name", "测试", "amount", "1205", "flag", "1"), "007   测试    00001205 1"},
		{"records, names in any order, nil", bill, list{doc("flag", nil, "amount", "-5", "no", "1"), doc("name", "a", "amount", nil)},
			"1             -0000005  \n      a                 "},
		{"full", bill, doc("no", "123456", "name", "测试测试", "amount", "12345678", "flag", "ab"), "123456测试测试12345678ab"},
		{"characters", opts{"columns": doc("a", 4, "b", 2), "counts": "chars"}, doc("a", "测试", "b", "x"), "测试  x "},
		{"UTF-8", opts{"columns": doc("a", 7, "b", 2), "charset": "UTF-8"}, doc("a", "测试", "b", "x"), "测试 x "},
		{"a stream", opts{"columns": doc("a", 3), "row": ""}, list{doc("a", "1"), doc("a", "22")}, "1  22 "},
		{"pad", opts{"columns": doc("a", doc("width", 4, "pad", "*"), "b", doc("width", 3, "align", "right", "pad", "#"))}, doc("a", "x", "b", "y"), "x***##y"},
		{"kinds", kinds, list{doc("kind", "1", "date", "20260105"), doc("kind", core.Token("2"), "no", "7", "amount", "50")}, "120260105\r\n27   000050"},
		{"nil as", opts{"columns": doc("a", 5), "nil_as": "NULL"}, doc("a", nil), "NULL "},
		{"nothing", bill, nil, ""},
	})
}

func TestFixedRead(t *testing.T) {
	bill := opts{"columns": layout}
	kinds := opts{"row": "", "records": doc("1", doc("kind", 1, "date", 8), "2", doc("kind", 1, "no", 4))}
	lenient := opts{"columns": layout, "lenient": true}
	testRead(t, "fixed", []readCase{
		{"a record", bill, "007   测试    00001205 1", doc("no", "007", "name", "测试", "amount", "1205", "flag", "1")},
		{"zero, blank, signs", opts{"columns": doc("n", doc("width", 5, "pad", "0"))}, "00000\n     \n-0012\n00.50\n+0000\n 0012\n0x1  ",
			list{doc("n", "0"), doc("n", nil), doc("n", "-12"), doc("n", "0.50"), doc("n", "+0"), doc("n", "12"), doc("n", "0x1")}},
		{"records with their end", opts{"columns": doc("a", 2)}, "1 \n  \n", list{doc("a", "1"), doc("a", nil)}},
		{"a stream", opts{"columns": doc("a", 3), "row": ""}, "1  22 ", list{doc("a", "1"), doc("a", "22")}},
		{"kinds in a stream", kinds, "1202601052  7 120260106", list{doc("kind", "1", "date", "20260105"), doc("kind", "2", "no", "  7"), doc("kind", "1", "date", "20260106")}},
		{"nulls", opts{"columns": doc("a", 5), "nulls": []any{"NULL"}}, "NULL ", doc("a", nil)},
		{"nothing", bill, "", nil},
		{"lenient", lenient, "\ufeff007   测试\r\n\r\n1\n1             00000001 2  \n",
			list{doc("no", "007", "name", "测试", "amount", nil, "flag", nil), doc("no", "1", "name", nil, "amount", nil, "flag", nil), doc("no", "1", "name", nil, "amount", "1", "flag", "2")}},
	})
}

func TestFixedErrors(t *testing.T) {
	bill := opts{"columns": layout}
	testErrors(t, "fixed", []errorCase{
		{about: "no layout", value: doc("a", secret), want: "write fixed: a: there is no layout; give option columns, as in formats: {bill: {fixed: {columns: {no: 12}}}}"},
		{about: "no layout to read", text: secret, want: "read fixed: 1:1: [1]: there is no layout; give option columns, as in formats: {bill: {fixed: {columns: {no: 12}}}}"},
		{about: "too wide", options: bill, value: list{doc("no", "1"), doc("name", secret+"x")}, want: "write fixed: [2]/name: is 9 wide, its column 8"},
		{about: "no column", options: bill, value: doc("no", "1", "nmae", secret), want: "write fixed: nmae: has no column in this layout"},
		{about: "twice", options: bill, value: doc("no", "1", "no", secret), want: "write fixed: no: is a column that is given twice"},
		{about: "tree", options: bill, value: doc("no", doc()), want: "write fixed: no: has children, but only text can stand here"},
		{about: "row", options: bill, value: doc("name", "测\n"), want: "write fixed: holds a row separator"},
		{about: "padding", options: opts{"columns": doc("a", doc("width", 9, "pad", "0", "align", "left"))}, value: doc("a", "10"), want: "write fixed: a: ends with the character that pads its column"},
		{about: "charset", options: opts{"columns": doc("a", 9), "charset": "Big5"}, value: doc("a", "䶮"), want: "write fixed: a: has a character that the charset lacks"},
		{about: "kind", options: opts{"records": doc("1", doc("kind", 1))}, value: doc("kind", "3"), want: "write fixed: kind: is not the first column of any of the records"},
		{about: "kind read", options: opts{"records": doc("1", doc("kind", 1, "x", 1))}, text: "1 \n3" + secret, want: "read fixed: 2:1: [2]/kind: is not the first column of any of the records"},
		{about: "short", options: bill, text: "007   测试    00001205 1\n007" + secret, want: "read fixed: 2:1: [2]/no: a character stands on the border of this column and the next; is what the width counts wrong?"},
		{about: "cut", options: bill, text: "007   测试   ", want: "read fixed: 1:7: [1]/name: the record ends inside this column of 8"},
		{about: "long", options: bill, text: "007   测试    00001205 1x", want: "read fixed: 1:23: [1]: the record goes on after its last column; is the width of a column wrong, or what it counts?"},
		{about: "long, lenient", options: opts{"columns": layout, "lenient": true}, text: "007   测试    00001205 1x", want: "read fixed: 1:23: [1]: the record goes on after its last column; is the width of a column wrong, or what it counts?"},
	})
}

func TestFixedOptions(t *testing.T) {
	for _, c := range []struct {
		about   string
		options opts
		want    string
	}{
		{"a plain map has no order", opts{"columns": opts{"a": 1}}, `format fixed: option "columns" is a map from column to width, or to {width, align, pad}, not a map`},
		{"no columns", opts{"columns": doc()}, `format fixed: option "columns" has 1 to 1000 columns`},
		{"twice", opts{"columns": doc("a", 1, "a", 2)}, `format fixed: option "columns" names "a" twice`},
		{"no width", opts{"columns": doc("a", doc("pad", "x"))}, `format fixed: option "columns" column "a" has no width`},
		{"width", opts{"columns": doc("a", 0)}, `format fixed: option "columns" column "a": width is a number from 1 to 1048576, align is left or right, pad is one ASCII character`},
		{"unknown", opts{"columns": doc("a", doc("width", 1, "fill", "0"))}, `format fixed: option "columns" column "a" has "fill"; there are width, align, pad`},
		{"charset", opts{"charset": "klingon"}, `format fixed: option "charset" is no charset that is known; write GB18030, UTF-8, Big5 …`},
		{"both", opts{"columns": doc("a", 1), "records": doc("1", doc("a", 1))}, `format fixed: option "records" and columns exclude one another`},
		{"first columns", opts{"records": doc("1", doc("a", 1), "2", doc("b", 1))}, `format fixed: option "records" have one first column in common, but "2" begins with another`},
		{"kind too wide", opts{"records": doc("12", doc("a", 1))}, `format fixed: option "records" "12" does not stand in the first column as it is`},
		{"records", opts{"records": doc("1", "x")}, `format fixed: option "records" is a map from the text of the first column to columns, "1" is given text`},
	} {
		t.Run(c.about, func(t *testing.T) {
			_, err := formats.New("fixed", c.options)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What fits reads as it was written, blanks at its padded side apart; what does
// not is refused, never cut.
func TestFixedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string {
			return rapid.StringOfN(rapid.SampledFrom([]rune("ab 0-.9测䶮𠮷#")), 0, 6, -1).Draw(t, label)
		}
		columns := doc("l", doc("width", rapid.IntRange(1, 12).Draw(t, "l")), "r", doc("width", rapid.IntRange(1, 12).Draw(t, "r"), "align", "right"),
			"p", doc("width", rapid.IntRange(1, 12).Draw(t, "p"), "pad", "#"))
		f := mustNew(t, "fixed", opts{"columns": columns, "row": rapid.SampledFrom([]string{"\n", "", "|"}).Draw(t, "row"), "counts": rapid.SampledFrom([]string{"bytes", "chars"}).Draw(t, "counts")})
		var v, want list
		for range rapid.IntRange(2, 3).Draw(t, "records") {
			l, r, p := text("l"), text("r"), text("p")
			v = append(v, doc("l", l, "r", r, "p", p))
			want = append(want, doc("l", nilIfEmpty(strings.TrimRight(l, " ")), "r", nilIfEmpty(strings.TrimLeft(r, " ")), "p", nilIfEmpty(p)))
		}
		written, err := f.Write(v)
		if err != nil {
			return
		}
		got, err := f.Read(written)
		if err != nil {
			t.Fatalf("%q: %v", written, err)
		}
		if diff := cmp.Diff(core.Value(want), got); diff != "" {
			t.Fatalf("%q\n(-want +got)\n%s", written, diff)
		}
	})
}

func FuzzFixed(f *testing.F) {
	f.Add("007   测试    00001205 1\n1", "\n", true)
	f.Add("1abc2defghi", "", false)
	f.Fuzz(func(t *testing.T, text, row string, chars bool) {
		options := opts{"row": row, "columns": doc("a", 3, "b", doc("width", 4, "pad", "0"), "c", doc("width", 2, "align", "right", "pad", "*"))}
		if chars {
			options["counts"] = "chars"
		}
		if _, err := formats.New("fixed", options); err != nil {
			return
		}
		v := fuzzForgiving(t, "fixed", options, text)
		if v == nil {
			return
		}
		strict := mustNew(t, "fixed", options)
		again, err := strict.Write(v)
		if err != nil {
			return // a value may hold what would be read as its padding
		}
		w, err := strict.Read(again)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := strict.Write(w); err != nil || twice != again {
			t.Errorf("%v: %q became %q", err, again, twice)
		}
	})
}
