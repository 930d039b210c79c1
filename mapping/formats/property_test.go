package formats_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/mapping/formats"
)

// Texts with what formats stumble over, and any others.
func anyText(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", " ", "]]>", "]]", "<a>&amp;</a>", `"'\`, "䶮𠮷", "\r\n\t", "|^&=+%", "<![CDATA[x]]>", "-->", "0", "true", "null", "张三测试，：", "\ufeff", "\ufffd"}),
		rapid.StringOf(rapid.SampledFrom([]rune("]>[<&;\"'\\/ \r\n\t#x1,:，：{}|^=+%䶮𠮷测\u2028"))),
		rapid.String(),
	).Draw(t, "text")
}

func xmlText(t *rapid.T) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, anyText(t))
}

func xmlLeaf(t *rapid.T) core.Value {
	text := xmlText(t)
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return core.CData(text)
	case 2:
		return core.Token(text)
	}
	return text
}

var xmlNames = rapid.SampledFrom([]string{"a", "b", "C", "ns:a", "姓名", "_1", "x.y-z"})

func xmlValue(t *rapid.T, depth int) core.Value {
	kind := rapid.IntRange(0, 3).Draw(t, "shape")
	switch {
	case depth == 0 || kind == 0:
		return xmlLeaf(t)
	case kind == 1:
		items := list{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			item := xmlValue(t, depth-1)
			if _, ok := item.(list); !ok {
				items = append(items, item)
			}
		}
		return items
	}
	v := tree{}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{".a", ".x:b", ".类型", ".xmlns:ns"}), 0, 3, rapid.ID).Draw(t, "attributes") {
		v = append(v, core.Field{Name: name, Value: xmlLeaf(t)})
	}
	if rapid.Bool().Draw(t, "leaf") {
		return append(v, core.Field{Name: core.TextName, Value: xmlLeaf(t)})
	}
	for range rapid.IntRange(0, 4).Draw(t, "children") {
		v = append(v, core.Field{Name: xmlNames.Draw(t, "name"), Value: xmlValue(t, depth-1)})
	}
	return v
}

// normal is how a written tree reads: the rules of the grammar, said again.
func normal(v core.Value) core.Value {
	t, ok := v.(tree)
	if !ok {
		text, _ := core.Text(v)
		return nilIfEmpty(text)
	}
	var out tree
	put := func(name string, v core.Value) {
		i := indexOf(out, name)
		if i < 0 {
			out = append(out, core.Field{Name: name, Value: v})
		} else if many, ok := out[i].Value.(list); ok {
			out[i].Value = append(many, v)
		} else {
			out[i].Value = list{out[i].Value, v}
		}
	}
	local := func(name string) string { return name[strings.LastIndex(name, ":")+1:] }
	var text core.Value
	children := false
	for _, f := range t { // attributes first
		if a, ok := strings.CutPrefix(f.Name, "."); ok && !strings.HasPrefix(a, "xmlns") {
			text, _ := core.Text(f.Value)
			put("."+local(a), text)
		}
	}
	for _, f := range t {
		switch items, many := f.Value.(list); {
		case strings.HasPrefix(f.Name, "."):
		case f.Name == core.TextName:
			text = normal(f.Value)
		case many:
			for _, item := range items {
				put(local(f.Name), normal(item))
				children = true
			}
		default:
			put(local(f.Name), normal(f.Value))
			children = true
		}
	}
	switch {
	case len(out) == 0:
		return text
	case text != nil && !children:
		put(core.TextName, text)
	}
	return out
}

func TestXMLRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		root := xmlValue(t, 4)
		if _, ok := root.(list); ok {
			root = nil
		}
		options := opts{
			"empty":  rapid.SampledFrom([]string{"pair", "self"}).Draw(t, "empty"),
			"cdata":  rapid.Bool().Draw(t, "cdata"),
			"indent": rapid.Bool().Draw(t, "indent"),
			"prolog": rapid.SampledFrom([]string{"", `<?xml version="1.0" encoding="GBK"?>`}).Draw(t, "prolog"),
		}
		text, err := mustNew(t, "xml", options).Write(doc("root", root))
		if err != nil {
			t.Fatal(err)
		}
		for _, lenient := range []bool{false, true} {
			got, err := mustNew(t, "xml", opts{"lenient": lenient}).Read(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(core.Value(doc("root", normal(root))), got); diff != "" {
				t.Fatalf("%s\n(-want +got)\n%s", text, diff)
			}
		}
	})
}

// Another parser takes what we write, and finds the same text in it.
func TestXMLForOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		element, attribute := xmlText(t), xmlText(t)
		section := strings.ReplaceAll(xmlText(t), "\r", "") // others turn CR into LF, and CDATA has no escapes
		text, err := mustNew(t, "xml", nil).Write(doc("r", doc(".a", attribute, "b", element, "c", core.CData(section))))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			A string `xml:"a,attr"`
			B string `xml:"b"`
			C string `xml:"c"`
		}
		d := xml.NewDecoder(strings.NewReader(text))
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Token(); err != io.EOF {
			t.Fatal(err)
		}
		if got.A != attribute || got.B != element || got.C != section {
			t.Fatalf("%q reads as %q, %q, %q", text, got.A, got.B, got.C)
		}
	})
}

func jsonValue(t *rapid.T, depth int) core.Value {
	text := func() string { return strings.ReplaceAll(anyText(t), "\x00", "") }
	kind := rapid.IntRange(0, 5).Draw(t, "shape")
	switch {
	case kind == 0:
		return nil
	case kind == 1:
		return core.Token(rapid.SampledFrom([]string{"0", "-1", "12.50", "1e9", "-0.5E-7", "true", "false"}).Draw(t, "token"))
	case depth == 0 || kind == 2:
		return text()
	case kind == 3:
		items := list{}
		for range rapid.IntRange(0, 4).Draw(t, "items") {
			items = append(items, jsonValue(t, depth-1))
		}
		return items
	}
	object := tree{}
	for range rapid.IntRange(0, 4).Draw(t, "children") {
		if name := text(); !object.Has(name) {
			object = append(object, core.Field{Name: name, Value: jsonValue(t, depth-1)})
		}
	}
	return object
}

func withoutTokens(v core.Value) core.Value {
	switch v := v.(type) {
	case core.Token:
		return string(v)
	case list:
		out := list{}
		for _, item := range v {
			out = append(out, withoutTokens(item))
		}
		return out
	case tree:
		out := tree{}
		for _, f := range v {
			out = append(out, core.Field{Name: f.Name, Value: withoutTokens(f.Value)})
		}
		return out
	}
	return v
}

func TestJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := jsonValue(t, 4)
		text, err := mustNew(t, "json", nil).Write(v)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("wrote what is not JSON: %s", text)
		}
		for _, lenient := range []bool{false, true} {
			got, err := mustNew(t, "json", opts{"lenient": lenient}).Read(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(withoutTokens(v), got); diff != "" {
				t.Fatalf("%s\n(-want +got)\n%s", text, diff)
			}
		}
	})
}

func TestFormRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func() string { return strings.ReplaceAll(anyText(t), "\x00", "") }
		v, want := tree{}, tree{}
		for range rapid.IntRange(1, 5).Draw(t, "pairs") {
			name := text()
			if v.Has(name) {
				continue
			}
			value := text()
			v = append(v, core.Field{Name: name, Value: value})
			want = append(want, core.Field{Name: name, Value: nilIfEmpty(value)})
		}
		written, err := mustNew(t, "form", nil).Write(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := mustNew(t, "form", nil).Read(written)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(core.Value(want), got); diff != "" {
			t.Fatalf("%s\n(-want +got)\n%s", written, diff)
		}
	})
}

// Whatever the separators and values are: either it reads as it was written, or
// it was refused.
func TestDelimitedRoundTrip(t *testing.T) {
	written := 0
	rapid.Check(t, func(t *rapid.T) {
		short := func() string {
			return rapid.StringOfN(rapid.SampledFrom([]rune("ab|\r\n测")), 0, 4, -1).Draw(t, "text")
		}
		options := opts{
			"sep":      rapid.SampledFrom([]string{"|", "||", "ab", "^", "aba", "测"}).Draw(t, "sep"),
			"row":      rapid.SampledFrom([]string{"\n", "\r\n", ";", "bb", "ba"}).Draw(t, "row"),
			"trailing": rapid.Bool().Draw(t, "trailing"),
			"columns":  []any{"x", "y"},
		}
		f, err := formats.New("delimited", options)
		if err != nil {
			return // separators that hold one another
		}
		var v, want list
		for range rapid.IntRange(2, 3).Draw(t, "records") {
			x, y := short(), short()
			v = append(v, doc("x", x, "y", y))
			want = append(want, doc("x", nilIfEmpty(x), "y", nilIfEmpty(y)))
		}
		text, err := f.Write(v)
		if err != nil {
			return
		}
		written++
		got, err := f.Read(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if diff := cmp.Diff(core.Value(want), got); diff != "" {
			t.Fatalf("%q\n(-want +got)\n%s", text, diff)
		}
	})
	if written == 0 {
		t.Errorf("only %d were written", written)
	}
}
