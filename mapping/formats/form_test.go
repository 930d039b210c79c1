package formats_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

func TestFormWrite(t *testing.T) {
	pay := doc("tradeNo", "IH1", "name", "张三 &=+%/", "empty", nil, "amount", core.Token("12.50"), "bill", list{"1", "2"})
	testWrite(t, "form", []writeCase{
		{"as written", nil, pay, "tradeNo=IH1&name=%E5%BC%A0%E4%B8%89+%26%3D%2B%25%2F&empty=&amount=12.50&bill=1&bill=2"},
		{"sorted", opts{"sort": true}, pay, "amount=12.50&bill=1&bill=2&empty=&name=%E5%BC%A0%E4%B8%89+%26%3D%2B%25%2F&tradeNo=IH1"},
		{"sorted by byte", opts{"sort": true}, doc("b", "1", "a_b", "2", "aB", "3", "B", "4"), "B=4&aB=3&a_b=2&b=1"},
		{"drop empty", opts{"drop_empty": true}, doc("a", "", "b", nil, "c", list{nil, "1"}), "c=1"},
		{"nil as", opts{"nil_as": "null"}, doc("a", nil, "b", ""), "a=null&b="},
		{"nothing", nil, nil, ""},
		{"charset", opts{"charset": "GB18030"}, doc("姓名", "张䶮 &"), "%D0%D5%C3%FB=%D5%C5%FE%9F+%26"},
		{"names", nil, doc("a[]", "1", "", "2"), "a%5B%5D=1&=2"},
	})
}

func TestFormRead(t *testing.T) {
	testRead(t, "form", []readCase{
		{"order, escapes, repetition", nil, "b=%E5%BC%A0%E4%B8%89+%2B&a=1&b=2&c=&d&e=f=g;h",
			doc("b", list{"张三 +", "2"}, "a", "1", "c", nil, "d", nil, "e", "f=g;h")},
		{"nothing", nil, "", nil},
		{"nothing between", nil, "&a=1&&", doc("a", "1")},
		{"charset", opts{"charset": "GBK"}, "%D0%D5%C3%FB=%D5%C5+%26&b=三=1", doc("姓名", "张 &", "b", "三=1")},
		{"nulls", opts{"nulls": []any{"NULL"}}, "a=NULL&b=1", doc("a", nil, "b", "1")},
		{"name that means something in XML", nil, "$text=1&$text&.a=2", doc("$text", list{"1", nil}, ".a", "2")},
		{"lenient", opts{"lenient": true}, "\ufeffa=100%&b=%zz+%41%4", doc("a", "100%", "b", "%zz A%4")},
	})
}

func TestFormErrors(t *testing.T) {
	testErrors(t, "form", []errorCase{
		{about: "list", value: list{}, want: "write form: wants a map"},
		{about: "map inside", value: doc("a", list{"1", doc()}), want: "write form: a[2]: has children, but only text can stand here"},
		{about: "NUL", value: doc("a", secret+"\x00"), want: "write form: a: holds a NUL character"},
		{about: "bad escape", text: "b=" + secret + "&a=%4", want: "read form: 1:8: a: a % is not followed by two hexadecimal digits"},
		{about: "bad escape in a name", text: "%=1", want: "read form: 1:1: a % is not followed by two hexadecimal digits"},
		{about: "GBK behind the escapes", text: "a=%D5%C5", want: "read form: 1:1: a: is not valid UTF-8; where the HIS escapes GBK give option charset: GB18030"},
		{about: "half a character", options: opts{"charset": "GB18030"}, text: "b=1&a=" + secret + "%D5", want: "read form: 1:5: a: holds bytes that the charset lacks"},
		{about: "charset", options: opts{"charset": "windows-1252"}, value: doc("a", secret+"张"), want: "write form: a: has a character that the charset lacks"},
		{about: "NUL behind the escapes", options: opts{"lenient": true}, text: "a=%00%", want: "read form: 1:1: a: holds a NUL character"},
	})
}

func FuzzForm(f *testing.F) {
	f.Add("b=%E5%BC%A0+%2B&a=1&b=2&c=&d&e=f=g;h", false)
	f.Add("a=100%&%zz=%4", true)
	f.Fuzz(func(t *testing.T, text string, lenient bool) {
		fuzzForgiving(t, "form", nil, text)
		fuzzForgiving(t, "form", opts{"charset": "GB18030"}, text)
		format := mustNew(t, "form", opts{"lenient": lenient})
		v, err := format.Read(text)
		if err != nil {
			return
		}
		if !lenient && !strings.Contains(text, ";") { // which net/url refuses
			values, err := url.ParseQuery(text)
			if err != nil {
				t.Fatal(err)
			}
			for name, texts := range values {
				var want core.Value
				if items := (list)(nil); len(texts) > 1 {
					for _, s := range texts {
						items = append(items, nilIfEmpty(s))
					}
					want = items
				} else {
					want = nilIfEmpty(texts[0])
				}
				got := v.(tree)[indexOf(v.(tree), name)].Value
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatal(diff)
				}
			}
		}
		again, err := format.Write(v)
		if err != nil {
			t.Fatal(err)
		}
		if w, err := mustNew(t, "form", nil).Read(again); err != nil || !cmp.Equal(v, w) {
			t.Error(err, cmp.Diff(v, w))
		}
	})
}

func nilIfEmpty(s string) core.Value {
	if s == "" {
		return nil
	}
	return s
}

func indexOf(t tree, name string) int {
	for i := range t {
		if t[i].Name == name {
			return i
		}
	}
	return -1
}
