package functions_test

import (
	"bytes"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"pgregory.net/rapid"

	"hishub/core"
)

func tree(pairs ...any) core.Tree {
	var t core.Tree
	for i := 0; i < len(pairs); i += 2 {
		t = append(t, core.Field{Name: pairs[i].(string), Value: pairs[i+1]})
	}
	return t
}

// What f wrote, from_f reads.
func TestEverythingWrittenIsRead(t *testing.T) {
	data := rapid.SliceOfN(rapid.Byte(), 0, 100)
	for _, name := range []string{"base64", "base64url", "hex", "gzip"} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			want := data.Draw(t, "data")
			if got := call(t, "from_"+name, call(t, name, want)); !bytes.Equal(got.([]byte), want) {
				t.Fatalf("%x comes back as %x", want, got)
			}
		}))
	}
	for _, name := range []string{"gb18030", "url"} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			want := strings.Map(func(r rune) rune {
				if unicode.Is(unicode.Co, r) {
					return -1 // refused, see TestPrivateUseIsRefused
				}
				return r
			}, rapid.String().Draw(t, "text"))
			if got := call(t, "from_"+name, call(t, name, want)); got != want {
				t.Fatalf("%q comes back as %q", want, got)
			}
		}))
	}
	for name, sizes := range map[string][]int{
		"aes_ecb": {16, 24, 32}, "aes_cbc": {16, 24, 32}, "des_ecb": {8}, "des3_ecb": {16, 24}, "sm4_ecb": {16}, "sm4_cbc": {16},
	} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			want := data.Draw(t, "data")
			size := rapid.SampledFrom(sizes).Draw(t, "size")
			args := []any{rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "key")}
			if strings.HasSuffix(name, "cbc") {
				args = append(args, rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "iv"))
			}
			sealed := call(t, name, append([]any{want}, args...)...)
			if got := call(t, "from_"+name, append([]any{sealed}, args...)...); !bytes.Equal(got.([]byte), want) {
				t.Fatalf("%x comes back as %x", want, got)
			}
		}))
	}
	for _, name := range []string{"yuan", "fen"} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			want := core.Fen(rapid.Int64().Draw(t, "fen"))
			if got := call(t, "from_"+name, call(t, name, want)); got != want {
				t.Fatalf("%d comes back as %d", want, got)
			}
		}))
	}
	t.Run("time", rapid.MakeCheck(func(t *rapid.T) {
		want := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "second"), rapid.Int64Range(0, 999).Draw(t, "ms")*1e6)
		layout := rapid.SampledFrom([]string{
			"yyyy-MM-dd HH:mm:ss.SSS", "yyyyMMddHHmmssSSS", "yyyy-MM-ddTHH:mm:ss.SSSXXX", "yyyy年M月d日H时m分s.SSS秒", "dd/MM/yyyy 'at' HH:mm:ss,SSSSSSSSS XX",
		}).Draw(t, "layout")
		if got := call(t, "from_time", call(t, "time", want, layout), layout); !got.(time.Time).Equal(want) {
			t.Fatalf("%s by %s comes back as %s", want, layout, got)
		}
	}))
}

// x/text writes U+E000 as bytes that are U+F014: another character in a name.
func TestPrivateUseIsRefused(t *testing.T) {
	for r := rune(0xe000); r <= 0xf8ff; r++ {
		b, err := all["gb18030"].Call(string(r))
		if err == nil && call(t, "from_gb18030", b) != string(r) {
			t.Fatalf("%U becomes another character", r)
		}
	}
	if _, err := all["gb18030"].Call("\ue000"); err == nil {
		t.Error("U+E000 is encoded")
	}
}

func TestEveryFromOfNilIsNil(t *testing.T) {
	n := 0
	for name, f := range all {
		if !strings.HasPrefix(name, "from_") {
			continue
		}
		n++
		if got, err := f.Call(nil, "", ""); got != nil || err != nil {
			t.Errorf("%s(nil) = %v, %v", name, got, err)
		}
		if writer := strings.TrimPrefix(name, "from_"); all[writer].Call == nil {
			t.Errorf("%s reads what no %s writes", name, writer)
		}
	}
	if n < 17 {
		t.Errorf("only %d functions read", n)
	}
}

// Against math/big, which knows nothing of scales.
func TestDecimalsAreExact(t *testing.T) {
	text := rapid.StringMatching(`-?[0-9]{1,12}(\.[0-9]{1,6})?`)
	t.Run("mul", rapid.MakeCheck(func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		got := call(t, "mul", a, b).(string)
		if rat(got).Cmp(new(big.Rat).Mul(rat(a), rat(b))) != 0 || scale(got) != scale(a)+scale(b) {
			t.Fatalf("%s x %s = %s", a, b, got)
		}
	}))
	t.Run("sum", rapid.MakeCheck(func(t *rapid.T) {
		list, want, most := []any{}, new(big.Rat), 0
		for _, s := range rapid.SliceOf(text).Draw(t, "list") {
			list, want, most = append(list, s), want.Add(want, rat(s)), max(most, scale(s))
		}
		if got := call(t, "sum", list).(string); rat(got).Cmp(want) != 0 || scale(got) != most {
			t.Fatalf("%v = %s", list, got)
		}
	}))
	t.Run("round", rapid.MakeCheck(func(t *rapid.T) {
		a, n := text.Draw(t, "a"), rapid.IntRange(0, 8).Draw(t, "n")
		got := call(t, "round", a, n).(string)
		off := new(big.Rat).Sub(rat(got), rat(a))
		half := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Mul(big.NewInt(2), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)))
		switch distance := new(big.Rat).Abs(off).Cmp(half); {
		case scale(got) != n, distance > 0:
			t.Fatalf("round(%s, %d) = %s", a, n, got)
		case distance == 0 && off.Sign() != rat(a).Sign():
			t.Fatalf("round(%s, %d) = %s is not away from zero", a, n, got)
		}
	}))
}

func rat(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic(s)
	}
	return r
}

func scale(s string) int {
	_, fraction, _ := strings.Cut(s, ".")
	return len(fraction)
}

func TestCutNeverSplitsACharacter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, n := rapid.String().Draw(t, "text"), rapid.IntRange(0, 40).Draw(t, "n")
		for _, charset := range []string{"GB18030", "UTF-8"} {
			size := func(s string) int {
				if charset == "UTF-8" {
					return len(s)
				}
				b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(s))
				if err != nil {
					t.Fatal(err)
				}
				return len(b)
			}
			got := call(t, "cut", text, n, charset).(string)
			if !strings.HasPrefix(text, got) || !utf8.ValidString(got) || size(got) > n {
				t.Fatalf("cut(%q, %d, %s) = %q", text, n, charset, got)
			}
			if next, width := utf8.DecodeRuneInString(text[len(got):]); width > 0 && size(got+string(next)) <= n {
				t.Fatalf("cut(%q, %d, %s) = %q leaves room for one more", text, n, charset, got)
			}
		}
	})
}

// A cell, what the HIS answered, and what comes out.
func TestWhatCellsGive(t *testing.T) {
	rows := core.List{tree("no", "B", "fee", "1.5"), tree("no", "A", "fee", "2"), tree("no", "B", "fee", "0.25")}
	packed := call(t, "gzip", bytes.Repeat([]byte{0}, 8<<20+1))
	for _, c := range []struct {
		cell   string
		answer any
		want   any // an error: what it says
	}{
		{"yuan(from_yuan(answer.it))", ".5", "0.50"},
		{"yuan(from_yuan(answer.it))", "-12.300", "-12.30"},
		{"yuan(from_yuan(answer.it))", "0.005", fmt.Errorf("from_yuan: amount has a part of a fen")},
		{"yuan(from_yuan(answer.it))", "1,024.00", fmt.Errorf("from_yuan: takes decimal text")},
		{"yuan(from_yuan(answer.it))", nil, fmt.Errorf("yuan: takes money, but there is none")},
		{"yuan(from_yuan(answer.it) + payment.amount)", nil, fmt.Errorf("money +: takes money")},
		{"yuan(from_fen(answer.it))", "1205.00", "12.05"},
		{"yuan(from_fen(answer.it))", "1205.5", fmt.Errorf("part of a fen")},
		{"yuan(total(answer.it))", []any{}, "0.00"},
		{"yuan(total(answer.it))", rows, fmt.Errorf("total: takes a list of money")},
		{"yuan(from_fen(answer.it) + from_fen(\"1\"))", "9223372036854775807", fmt.Errorf("too large")},
		{"yuan(neg(from_fen(answer.it)))", "-9223372036854775808", fmt.Errorf("too large")},

		{"round(answer.it, 2)", "2.345", "2.35"},
		{"round(answer.it, 2)", "-2.345", "-2.35"},
		{"round(answer.it, 0)", "0.5", "1"},
		{"round(mul(answer.it, \"1.7917\"), 2)", "12", "21.50"},
		{"round(answer.it, 2)", "1e3", fmt.Errorf("round: takes decimal text")},
		{"round(answer.it, 2)", nil, fmt.Errorf("round: takes decimal text, but it is empty")},
		{"mul(n, answer.it)", "0.50", "1.50"},
		{"sum(map(answer.it, get(#, \"fee\")))", rows, fmt.Errorf("unknown name get")},
		{"trim_zeros(answer.it)", "100.00", "100"},
		{"trim_zeros(answer.it)", "-0.0", "0"},
		{"number(answer.it)", "007.50", core.Token("7.50")},
		{"number(answer.it)", "true", fmt.Errorf("number: takes decimal text")},
		{"number(yuan(payment.amount))", nil, core.Token("21.50")},
		{`same(answer.it, "21.5", "0.01")`, "21.51", true},
		{`same(answer.it, "21.5", "0.01")`, "21.511", false},
		{`same(answer.it, "21.5", "0.01")`, nil, fmt.Errorf("same: takes decimal text")},

		{`time(payment.paid_at, "yyyyMMddHHmmssSSS")`, nil, "20260105145601007"},
		{`time(payment.paid_at, "yyyy-MM-ddTHH:mm:ss.SSSXXX")`, nil, "2026-01-05T14:56:01.007+08:00"},
		{`time(payment.paid_at, "yy年M月d日 H:m:s 'o''clock' XX X S")`, nil, "26年1月5日 14:56:1 o'clock +0800 +08 0"},
		{`time(add(payment.paid_at, "72h"), "yyyy-MM-dd")`, nil, "2026-01-08"},
		{`time(add(payment.paid_at, "-15h"), "yyyy-MM-dd")`, nil, "2026-01-04"},
		{`time(from_time(answer.it, "yyyy-MM-dd HH:mm:ss", "yyyyMMdd"), "yyyy/MM/dd HH:mm")`, "20260105", "2026/01/05 00:00"},
		{`time(from_time(answer.it, "yyyy-MM-ddTHH:mm:ssXXX"), "yyyy-MM-dd HH:mm")`, "2026-01-05T23:00:00Z", "2026-01-06 07:00"},
		{`time(from_time(answer.it, "yyyy-M-d H:m"), "yyyy-MM-dd HH:mm")`, "2026-1-15 9:05", "2026-01-15 09:05"},
		{`time(from_time(answer.it, "yyyy-MM-dd HH"), "yyyy")`, "2026-02-03 24", fmt.Errorf("fits no layout")},
		{`time(from_time(answer.it, "yyyy-MM-dd HH:mm"), "yyyy")`, "2026-02-03 00:60", fmt.Errorf("fits no layout")},
		{`time(from_time(answer.it, "yyyy-MM-dd"), "yyyy")`, "2026-02-30", fmt.Errorf("from_time: the text fits no layout")},
		{`time(from_time(answer.it, "yyyy-MM-dd"), "yyyy")`, "2026-01-05 ", fmt.Errorf("fits no layout")},
		{`time(from_time(answer.it, "yyyy-MM-dd"), "yyyy")`, nil, fmt.Errorf("time: takes a time, but there is none")},
		{`payment.paid_at < from_time(answer.it, "yyyy-MM-dd")`, "2026-01-06", true},
		{`time(payment.paid_at, "unix_ms")`, nil, "1767596161007"},
		{`time(payment.paid_at, "unix")`, nil, "1767596161"},
		{`time(payment.paid_at, "'/Date('unix_ms+0800)/")`, nil, "/Date(1767596161007+0800)/"},
		{`time(from_time(answer.it, "yyyy-MM-dd", "unix_ms"), "yyyy-MM-ddTHH:mm:ss.SSSXXX")`, "1767596161007", "2026-01-05T14:56:01.007+08:00"},
		{`time(from_time(answer.it, "unix"), "yyyy-MM-ddTHH:mm:ss")`, "-1", "1970-01-01T07:59:59"},
		{`time(from_time(answer.it, "'/Date('unix_ms)/"), "yyyy-MM-dd")`, "/Date(1767596161007)/", "2026-01-05"},
		{`time(from_time(answer.it, "unix"), "yyyy")`, "1767596161007", fmt.Errorf("fits no layout")},
		{`time(from_time(answer.it, "unix_ms"), "yyyy")`, "1767596161.5", fmt.Errorf("fits no layout")},
		{`time(from_time(answer.it, "unix"), "yyyy")`, "", fmt.Errorf("fits no layout")},
		{`yuan(total(map([answer.it], from_yuan(#))))`, nil, fmt.Errorf("total: an amount in the list is missing")},
		{`age(answer.it, payment.paid_at)`, "1990-01-05", 36},
		{`age(answer.it, payment.paid_at)`, "1990-01-06", 35},
		{`age(answer.it, payment.paid_at)`, "2027-01-06", fmt.Errorf("later than the time")},
		{`age(answer.it, payment.paid_at)`, "19900105", fmt.Errorf("age: takes a birth like")},

		{"text(n) + text(true) + text(answer.it)", nil, "3true"},
		{"text(payment.channel)", nil, "wechat"},
		{"upper(answer.it)", core.CData("abc"), "ABC"},
		{"upper(answer.it)", tree(".unit", "mg", core.TextName, "abc"), "ABC"},
		{"upper(answer.it)", tree("child", "abc"), fmt.Errorf("upper: takes text, not a tree with children")},
		{"upper(answer.it)", rows, fmt.Errorf("upper: takes text, not a list")},
		{"trim(answer.it)", "　 测试一\n", "测试一"},
		{`pad(answer.it, 6, "0")`, "123", "000123"},
		{`pad(answer.it, 2, "0")`, "123", "123"},
		{"left(answer.it, 2) + right(answer.it, 1)", "张三测试", "张三试"},
		{"slice(answer.it, 1) + slice(answer.it, 0, 1)", "张三测试", "三测试张"},
		{"slice(answer.it, 1, 9) + slice(answer.it, 7) + slice(answer.it, 3, 2)", "张三", "三"},
		{"slice(answer.it, 0 - 1)", "张三", fmt.Errorf("slice: takes a number")},
		{"hex(bytes(answer.it, slice(from_hex(answer.it), 1), slice(from_hex(answer.it), 0, 1)))", "0afe", "30616665" + "fe" + "0a"},
		{"left(answer.it, 9)", "张三", "张三"},
		{`cut(answer.it, 5, "GB18030")`, "张三测试", "张三"},
		{`cut(answer.it, 5, "UTF-8")`, "张三测试", "张"},
		{`cut(answer.it, 9, "GBK")`, "a😀", fmt.Errorf("cut: the text has a character that GBK lacks")},
		{`join(split(answer.it, "^"), ",")`, "A^^B", "A,,B"},
		{`len(split(answer.it, "^"))`, nil, 0},
		{`join(payment.bills, ",")`, nil, "B1,B2"},
		{`join(answer.it, ",")`, "one", "one"},
		{`replace(answer.it, "-", "")`, "1990-01-05", "19900105"},
		{"mask(answer.it)", "999999199001010016", "999***********0016"},
		{"mask(answer.it)", "张三测试", "张***"},
		{"mask(answer.it)", "三", "*"},

		{`join(map(group(answer.it, "no"), text(len(list(#)))), ",")`, rows, "1,1"},
		{`join(keys(answer.it), ",")`, tree(".v", "1", "b", "1", "a", nil, "b", "2"), "b,a"},
		{"root(answer.it)", tree(".xmlns", "urn", "Response", "x"), "x"},
		{"root(answer.it)", tree("a", "1", "b", "2"), fmt.Errorf("root: takes a tree with one root, not with 2")},
		{`without(answer.it, "sign")`, tree("b", "1", "sign", "2", "a", nil), tree("b", "1", "a", nil)},
		{`wrap("POOR_IN200901UV", answer.it)`, tree("a", "1"), tree("POOR_IN200901UV", tree("a", "1"))},
		{`wrap("Drug" + text(n), answer.it)`, "a^1", tree("Drug3", "a^1")},
		{`wrap("a", 3 > 2)`, nil, fmt.Errorf("takes a tree, not true or false")},
		{`wrap("", answer.it)`, tree("a", "1"), fmt.Errorf("wrap: wants a name for the child")},
		{"query(answer.it)", tree("a", core.List{"1", "2"}, "b", "x y"), "a=1&a=2&b=x y"},
		{"query(answer.it)", tree("a", tree("b", "1")), fmt.Errorf(`query: child "a": takes text, not a tree`)},
		{"url(answer.it)", "a b&张*~", "a%20b%26%E5%BC%A0%2A~"},
		{"from_url(answer.it)", "a+b%2", fmt.Errorf("from_url: the text is not percent-escaped")},

		{"text(from_base64(answer.it))", "YWJj\r\nZA==", "abcd"},
		{"text(from_base64(answer.it))", "YWJjZA", "abcd"},
		{"from_base64(answer.it)", "*", fmt.Errorf("from_base64: the text is not base64")},
		{"hex(gb18030(answer.it))", "测试", "b2e2cad4"},
		{"from_gb18030(from_hex(answer.it))", "b2e2cad4", "测试"},
		{"from_gb18030(from_hex(answer.it))", "b2e2ff", fmt.Errorf("from_gb18030: the bytes are not GB18030")},
		{"from_gb18030(from_hex(answer.it))", "81848431a437a437", fmt.Errorf("from_gb18030: the bytes are not GB18030")},
		{"text(from_hex(answer.it))", "b2e2", fmt.Errorf("text: the bytes are not UTF-8 text")},
		{"from_gzip(answer.it)", packed, fmt.Errorf("from_gzip: unpacks to more than")},
		{"from_gzip(answer.it)", []byte("text"), fmt.Errorf("from_gzip: the bytes are not gzip")},
	} {
		got, err := try(c.cell, c.answer)
		if says, isError := c.want.(error); isError {
			if err == nil || !strings.Contains(err.Error(), says.Error()) {
				t.Errorf("%s: error %v, want %q", c.cell, err, says)
			}
		} else if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s = %v, %v; want %v", c.cell, got, err, c.want)
		}
	}
}

func TestGroupsKeepTheirOrder(t *testing.T) {
	a, b, c := tree("no", "B", "fee", "1"), tree("no", "A", "fee", "2"), tree("no", "B", "fee", "3")
	got := run(t, `group(answer.it, "no")`, core.List{a, b, c})
	want := []any{
		tree("key", "B", "items", core.List{a, c}),
		tree("key", "A", "items", core.List{b}),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("group = %v", got)
	}
	if got := run(t, `len(group(payment.lines, "qty"))`, nil); got != 2 {
		t.Errorf("%v groups of canonical lines", got)
	}
}
