package formats_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
	"hishub/mapping/formats"
)

func TestJSONWrite(t *testing.T) {
	testWrite(t, "json", []writeCase{
		{"order and types", nil,
			doc("z", "1", "a", core.Token("12.50"), "b", core.Token("true"), "n", nil, "l", list{"1", core.Token("-0.5e+3"), nil, doc("c", "")}),
			`{"z":"1","a":12.50,"b":true,"n":null,"l":["1",-0.5e+3,null,{"c":""}]}`},
		{"empty", nil, doc("a", doc(), "b", list{}), `{"a":{},"b":[]}`},
		{"list of lists", nil, list{list{"1"}, list{}}, `[["1"],[]]`},
		{"text", nil, "张三测试", `"张三测试"`},
		{"nothing", nil, nil, `null`},
		{"escapes", nil, doc("a\"", "\"\\/\b\f\n\r\t\x01\x1f\x7f"), `{"a\"":"\"\\/\b\f\n\r\t\u0001\u001f` + "\x7f" + `"}`},
		{"nothing else is escaped", nil, doc("a", "<&>'\u2028䶮𠮷\ufffd"), "{\"a\":\"<&>'\u2028䶮𠮷\ufffd\"}"},
		{"names as they stand", nil, doc(".a", "1", "$text", "2", "", "3"), `{".a":"1","$text":"2","":"3"}`},
		{"CDATA and raw are text", nil, doc("a", core.CData("<"), "b", core.Raw("{}")), `{"a":"<","b":"{}"}`},
		{"nil as", opts{"nil_as": "NULL"}, list{nil, ""}, `["NULL",""]`},
		{"nil as nothing", opts{"nil_as": ""}, list{nil}, `[""]`},
	})
}

func TestJSONRead(t *testing.T) {
	lenient := opts{"lenient": true}
	testRead(t, "json", []readCase{
		{"wire spelling", nil, ` {"b":0,"a":"0","c":12.50,"d":true,"e":null,"f":-1E+5,"g":""} `,
			doc("b", "0", "a", "0", "c", "12.50", "d", "true", "e", nil, "f", "-1E+5", "g", "")},
		{"nested", nil, `[{"a":[]},{},[1,[2]],null]`, list{doc("a", list{}), doc(), list{"1", list{"2"}}, nil}},
		{"scalars", nil, "\n\"a\"\t", "a"},
		{"null", nil, "null", nil},
		{"escapes", nil, `"\"\\\/\b\f\n\r\t\u4dae\uD842\uDFB7'"`, "\"\\/\b\f\n\r\t䶮𠮷'"},
		{"nulls", opts{"nulls": []any{"NULL", "0"}}, `["NULL","0",0,"x"]`, list{nil, nil, nil, "x"}},

		{"lenient: what is JSON reads the same", lenient, "{\"a\":\n\"x：y，z\",\n\"b\"\n:\n1}", doc("a", "x：y，z", "b", "1")},
		{"lenient: full width, no quotes", lenient, "{姓名：张三测试，性别：男，年龄:30}", doc("姓名", "张三测试", "性别", "男", "年龄", "30")},
		{"lenient: lines without commas", lenient, "{\n  姓名：张三测试  \n  时间: 2026-01-05 10:00:00\r\n  备注：\n  明细：\n  [\n    {名称：阿莫西林 0.25g\n 数量：2}\n    {名称: \"a\" '数量': 3,}\n  ]\n}",
			doc("姓名", "张三测试", "时间", "2026-01-05 10:00:00", "备注", nil,
				"明细", list{doc("名称", "阿莫西林 0.25g", "数量", "2"), doc("名称", "a", "数量", "3")})},
		{"lenient: trailing commas", lenient, `{"a":[1,2,],"b":"",}`, doc("a", list{"1", "2"}, "b", "")},
		{"lenient: missing commas", lenient, `{"a":"1" "b":["x" "y"]` + "\n" + `"c":true}`, doc("a", "1", "b", list{"x", "y"}, "c", "true")},
		{"lenient: missing values", lenient, `{"a":,"b":}`, doc("a", nil, "b", nil)},
		{"lenient: single quotes", lenient, `{'a':'it\'s "x"'}`, doc("a", `it's "x"`)},
		{"lenient: full-width punctuation", lenient, "｛“姓名”：“张三测试”，\"a\"：［1，2］，”b“：“it's”｝", doc("姓名", "张三测试", "a", list{"1", "2"}, "b", "it's")},
		{"lenient: commas", lenient, "{,'a':1,,\n,'b':[,1,,2,],}", doc("a", "1", "b", list{"1", "2"})},
		{"lenient: comments", lenient, "/* x */ {a: 1 // one\n, // two\n b: http://x/y /* z */\n c: // none\n d: /* e */ \"//\"}// end",
			doc("a", "1", "b", "http://x/y", "c", nil, "d", "//")},
		{"lenient: line ends and escapes in text", lenient, "{\"a\":\"1\n2\t3\",'b':'C:\\dir\\'x'}", doc("a", "1\n2\t3", "b", `C:\dir'x`)},
		{"lenient: BOM", lenient, "\ufeff{\"a\":null}", doc("a", nil)},
		{"lenient: wide blanks", lenient, "{　a　：　1　}", doc("a", "1")},
		{"lenient: bare words", lenient, "{a:null,b:NULL,c:007}", doc("a", nil, "b", "NULL", "c", "007")},
	})
}

func TestJSONErrors(t *testing.T) {
	lenient := opts{"lenient": true}
	testErrors(t, "json", []errorCase{
		{about: "name twice", value: doc("a", list{doc("b", "1"), doc("b", "1", "c", secret, "b", "2")}), want: `write json: a[2]/b: is a name that stands twice`},
		{about: "bare word", value: doc("a", doc("b", core.Token(secret))), want: `write json: a/b: is a bare word that JSON does not know: it must be a number, true, false or null`},
		{about: "leading zero", value: list{list{core.Token("007")}}, want: `write json: [1][1]: is a bare word that JSON does not know: it must be a number, true, false or null`},
		{about: "NUL", value: doc("a", secret+"\x00"), want: `write json: a: holds a NUL character`},
		{about: "NUL in a name", value: doc("\x00", secret), want: "write json: \x00: holds a NUL character"},

		{about: "nothing", text: " \n", want: `read json: 2:1: the document is empty`},
		{about: "a page", text: "<html>" + secret, want: `read json: 1:1: a value must stand here: text in quotes, a number, true, false, null, an object or a list`},
		{about: "a page, lenient", options: lenient, text: "<html>" + secret, want: `read json: 1:1: a value must stand here: text in quotes, a number, true, false, null, an object or a list`},
		{about: "name twice read", text: `{"a":[1,{"b":"` + secret + `","b":2}]}`, want: `read json: 1:21: a[2]/b: is a name that stands twice`},
		{about: "name twice, lenient", options: lenient, text: "{a:" + secret + "\na:1}", want: `read json: 2:1: a: is a name that stands twice`},
		{about: "cut off in an object", text: `{"a":{"b":"` + secret + `",`, want: `read json: 1:18: a: the document ends inside an object`},
		{about: "cut off in a list", text: `{"a":[1,`, want: `read json: 1:9: a: the document ends inside a list`},
		{about: "cut off in a text", text: `{"a":"` + secret, want: `read json: 1:11: a: the document ends inside a text`},
		{about: "cut off in an escape", text: `{"a":"` + secret + `\`, want: `read json: 1:11: a: the document ends inside a text`},
		{about: "cut off, lenient", options: lenient, text: "{a:" + secret, want: `read json: 1:8: the document ends inside an object`},
		{about: "cut off in a list, lenient", options: lenient, text: "{a:[" + secret, want: `read json: 1:9: a: the document ends inside a list`},
		{about: "something follows", text: `{} {}`, want: `read json: 1:4: something follows the document`},
		{about: "something follows, lenient", options: lenient, text: `{a:1} ` + secret, want: `read json: 1:7: something follows the document`},
		{about: "trailing comma", text: `{"a":1,}`, want: `read json: 1:8: a name in quotes must stand here`},
		{about: "trailing comma in a list", text: `[1,]`, want: `read json: 1:4: [2]: a value must stand here: text in quotes, a number, true, false, null, an object or a list`},
		{about: "missing comma", text: `{"a":1 "b":2}`, want: `read json: 1:8: a comma or } must follow`},
		{about: "missing comma in a list", text: `[1 2]`, want: `read json: 1:4: a comma or ] must follow`},
		{about: "missing colon", text: `{"a" 1}`, want: `read json: 1:6: a colon must follow the name`},
		{about: "full width", text: `{"a"：1}`, want: `read json: 1:5: a colon must follow the name`},
		{about: "leading zero read", text: `{"a":007}`, want: `read json: 1:6: a: a value must stand here: text in quotes, a number, true, false, null, an object or a list`},
		{about: "BOM", text: "\ufeff{}", want: `read json: 1:1: a value must stand here: text in quotes, a number, true, false, null, an object or a list`},
		{about: "control character", text: "{\"a\":\"" + secret + "\n\"}", want: `read json: 1:11: a: a control character in text must be escaped`},
		{about: "unknown escape", text: `["\x"]`, want: `read json: 1:3: [1]: an escape that JSON does not know`},
		{about: "half a pair", text: `["\ud842x"]`, want: `read json: 1:3: [1]: half of a surrogate pair`},
		{about: "pair in disorder", text: `["\udfb7\ud842"]`, want: `read json: 1:3: [1]: half of a surrogate pair`},
		{about: "escaped NUL", text: `["\u0000"]`, want: `read json: 1:3: [1]: the text holds a NUL character`},
		{about: "signed escape", text: `["\u+123"]`, want: `read json: 1:3: [1]: an escape that JSON does not know`},
		{about: "value cut by a comma, lenient", options: lenient, text: "{a：1，" + secret + "}", want: `read json: 1:10: a colon must follow the name`},
	})
}

func TestJSONDepth(t *testing.T) {
	f := mustNew(t, "json", opts{"lenient": true})
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	v, err := f.Read(nested(formats.MaxDepth))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := f.Write(v); err != nil || text != nested(formats.MaxDepth) {
		t.Error(text, err)
	}
	if _, err := f.Read(nested(formats.MaxDepth + 1)); err == nil || !strings.HasSuffix(err.Error(), "nested deeper than 64") {
		t.Error(err)
	}
	if _, err := f.Read(strings.Repeat(`{"a":`, 1_000_000)); err == nil || !strings.HasSuffix(err.Error(), "nested deeper than 64") {
		t.Error(err)
	}
	if _, err := f.Write(list{v}); err == nil || !strings.HasSuffix(err.Error(), "is nested deeper than 64") {
		t.Error(err)
	}
}

func TestJSONHostile(t *testing.T) {
	const n = 200_000
	var names strings.Builder
	for i := range n {
		names.WriteString(`"` + strconv.Itoa(i) + `":1,`)
	}
	f := mustNew(t, "json", opts{"lenient": true})
	v, err := f.Read("{" + names.String() + "}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(v); err != nil {
		t.Error(err)
	}
	if _, err := f.Read("{" + names.String() + `"77":1}`); err == nil || !strings.HasSuffix(err.Error(), "77: is a name that stands twice") {
		t.Error(err)
	}
}

// What reads is JSON to others too, lenient changes nothing about it, and what
// was read and written again reads the same.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,true,null,"\u4dae\ud842\udfb7"],"b":{"c":-0.5e+3}}`, "{姓名：张三，'a'：[1，2，]\n性别：\n}", "\ufeff[]", `{"a":,"b":}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		strict, lenient := mustNew(t, "json", nil), mustNew(t, "json", opts{"lenient": true})
		v, err := lenient.Read(text)
		fuzzForgiving(t, "json", nil, text)
		if _, err := strict.Read(text); err == nil && !json.Valid([]byte(text)) {
			t.Fatal("read what is not JSON")
		}
		if err != nil {
			return
		}
		again, err := strict.Write(v)
		if err != nil {
			t.Fatal(err)
		}
		w, err := strict.Read(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, w); diff != "" {
			t.Error(diff)
		}
	})
}
