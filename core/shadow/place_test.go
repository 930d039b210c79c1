package shadow

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPlaces(t *testing.T) {
	for _, c := range []struct{ old, new, place string }{
		{"<R><No>1</No><Name>张三</Name></R>", "<R><No>1</No><Name>张</Name></R>", "Name"},
		{`<x><![CDATA[<R><Name>张三</Name></R>]]></x>`, `<x><![CDATA[<R><Name>李四</Name></R>]]></x>`, "Name"},
		{"<x>&lt;R&gt;&lt;Sex&gt;1&lt;/Sex&gt;</x>", "<x>&lt;R&gt;&lt;Sex&gt;2&lt;/Sex&gt;</x>", "Sex"},
		{`<R no="1"/>`, `<R no="2"/>`, "no"},
		{`{"a":1,"rx":{"no":"RX1"}}`, `{"a":1,"rx":{"no":"RX2"}}`, "no"},
		{`{"param":"{\"no\":\"RX1\"}"}`, `{"param":"{\"no\":\"RX2\"}"}`, "no"},
		{`{"fee":12.00}`, `{"fee":13.00}`, "fee"},
		{"a=1&sign=abc&b=2", "a=1&sign=abd&b=2", "sign"},
		{"POST /x HTTP/1.1\nmsgid: 12\n\n{}", "POST /x HTTP/1.1\nmsgid: 13\n\n{}", "msgid"},
		{"POST /x HTTP/1.1", "POST /y HTTP/1.1", "line 1"},
		{"<R><A>1</A></R>", "<R><A>1</A><B>2</B></R>", "after A"},
		{"same", "same and more", "line 1"},
	} {
		if got := placeOf(c.old, first(c.old, c.new)); got != c.place {
			t.Errorf("%s\n%s\nthe place is %q, want %q", c.old, c.new, got, c.place)
		}
	}
}

// What differs only where it is masked shows that it does, and not what.
func TestADifferenceInWhatIsMaskedIsNotShown(t *testing.T) {
	d := differing(Difference{}, Bytes, "<Name>张三</Name>", "<Name>张</Name>", "<Name>*</Name>", "<Name>*</Name>")
	if d.Place != "Name" || strings.Contains(d.Old+d.New, "张") || !strings.Contains(d.Old, "masked") || d.Old == d.New {
		t.Errorf("got %+v", d)
	}
}

func FuzzPlaces(f *testing.F) {
	f.Add("<a>1</a>", "<a>2</a>")
	f.Add(`{"a":"\u003c"}`, `{"a":"é"}`)
	f.Add("a=\xff", "a=\xfe\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		at := first(a, b)
		if at > len(a) || at > len(b) || a[:at] != b[:at] || (a != b) == (at == len(a) && at == len(b)) {
			t.Fatalf("%q and %q do not differ first at %d", a, b, at)
		}
		if placeOf(a, at) == "" {
			t.Fatal("no place")
		}
		if !utf8.ValidString(a) {
			return
		}
		if shown := around(a, at); strings.Contains(shown, "\n") || len([]rune(shown)) > 2*100+2 {
			t.Fatalf("shown as %q", shown)
		}
	})
}
