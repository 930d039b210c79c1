package tcp

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hishub/connectors/wire"
)

// The bytes as a vendor's document shows them. 张三 has 4 bytes in GBK, 6 in
// UTF-8; 𠮷 has 4 bytes in GB18030 and is two characters to Java and C#.
func TestWrite(t *testing.T) {
	gb := func(f any) map[string]any { return map[string]any{"framing": f, "charset": "GB18030"} }
	utf := func(f any) map[string]any { return map[string]any{"framing": f} }
	for name, c := range map[string]struct {
		options map[string]any
		text    string
		want    string // in hex where it is no text
	}{
		"mllp":                        {gb("mllp"), "MSH|张\r", "0b4d53487cd5c50d1c0d"},
		"bytes":                       {gb(counted(map[string]any{"digits": 6})), "张三", "303030303034d5c5c8fd"},
		"bytes of UTF-8":              {utf(counted(map[string]any{"digits": 6})), "张三", "000006张三"},
		"characters":                  {utf(counted(map[string]any{"digits": 4, "counts": "chars"})), "张𠮷|", "0003张𠮷|"},
		"characters of GB18030":       {gb(counted(map[string]any{"digits": 4, "counts": "chars"})), "𠮷a", "303030329534b23561"},
		"as Java counts":              {utf(counted(map[string]any{"digits": 4, "counts": "utf16"})), "张𠮷|", "0004张𠮷|"},
		"with itself":                 {utf(counted(map[string]any{"digits": 6, "includes_itself": true})), "abc", "000009abc"},
		"with something else":         {utf(counted(map[string]any{"digits": 6, "plus": 3})), "abc", "000006abc"},
		"nothing":                     {utf(counted(map[string]any{"digits": 4})), "", "0000"},
		"spaces before":               {utf(counted(map[string]any{"digits": 4, "pad": "spaces_before"})), "ab", "   2ab"},
		"spaces after":                {utf(counted(map[string]any{"digits": 4, "pad": "spaces_after"})), "ab", "2   ab"},
		"hex":                         {utf(counted(map[string]any{"digits": 4, "base": "hex"})), strings.Repeat("x", 171), "00AB" + strings.Repeat("x", 171)},
		"big":                         {gb(counted(map[string]any{"bytes": 4, "base": "binary"})), "张三", "00000004d5c5c8fd"},
		"little":                      {gb(counted(map[string]any{"bytes": 2, "base": "binary", "order": "little"})), "张三", "0400d5c5c8fd"},
		"eight bytes with themselves": {gb(counted(map[string]any{"bytes": 8, "base": "binary", "includes_itself": true})), "a", "000000000000000961"},
		"a code stands before":        {utf(counted(map[string]any{"digits": 4, "at": 4})), "Q001abc", "Q0010003abc"},
		"and counts":                  {utf(counted(map[string]any{"digits": 4, "at": 4, "plus": 4})), "Q001abc", "Q0010007abc"},
		"characters after a code":     {utf(counted(map[string]any{"digits": 4, "at": 4, "counts": "chars"})), "Q001张三", "Q0010002张三"},
		"prefix and suffix":           {utf(map[string]any{"prefix": "HQ#", "suffix": "\r\n", "length": map[string]any{"digits": 2}}), "ab", "HQ#02ab\r\n"},
		"an end":                      {utf(map[string]any{"end": "\x03"}), "ab", "ab\x03"},
		"a beginning and an end":      {utf(map[string]any{"prefix": "\x02", "end": "\x03"}), "ab", "\x02ab\x03"},
		"an end that is a part":       {utf(map[string]any{"end": "</R>", "end_in_text": true}), "<R>a</R>", "<R>a</R>"},
		"half a character is no end":  {gb(map[string]any{"end": "@@"}), "\u4e02", "81404040"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := framingOf(t, c.options).Write(c.text)
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if b, err := hex.DecodeString(c.want); err == nil && len(b) > 1 && c.options["charset"] != nil {
				want = string(b)
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCannotBeFramed(t *testing.T) {
	for name, c := range map[string]struct {
		options    map[string]any
		text, want string
	}{
		"too long":            {map[string]any{"framing": counted(map[string]any{"digits": 2})}, strings.Repeat("x", 100), "100 bytes, more than a length of 2 digits can say"},
		"too long with it":    {map[string]any{"framing": counted(map[string]any{"digits": 2, "includes_itself": true})}, strings.Repeat("x", 98), "98 bytes, more than a length of 2 digits"},
		"too many characters": {map[string]any{"framing": counted(map[string]any{"digits": 1, "counts": "chars"})}, strings.Repeat("张", 10), "10 characters, more than a length of 1 digits"},
		"too long for a byte": {map[string]any{"framing": counted(map[string]any{"bytes": 1, "base": "binary"})}, strings.Repeat("x", 256), "256 bytes, more than a length of 1 bytes"},
		"shorter than at":     {map[string]any{"framing": counted(map[string]any{"digits": 4, "at": 4})}, "Q1", "behind 4 bytes of the text, which has 2"},
		"frame in a frame":    {map[string]any{"framing": "mllp"}, "MSH|\x0b", "byte 4 of the text is 0x0B"},
		"end in a frame":      {map[string]any{"framing": "mllp"}, "MSH\x1c|", "byte 3 of the text is 0x1C"},
		"its own end":         {map[string]any{"framing": map[string]any{"end": "##"}}, "a##b", "holds its own end"},
		"its end too early":   {map[string]any{"framing": map[string]any{"end": "@@"}}, "a@", "holds its own end"},
		"without its end":     {map[string]any{"framing": map[string]any{"end": "</R>", "end_in_text": true}}, "<R>", "does not end as framing.end says"},
		"twice its end":       {map[string]any{"framing": map[string]any{"end": "</R>", "end_in_text": true}}, "<R></R></R>", "holds its own end"},
		"the charset":         {map[string]any{"framing": "mllp", "charset": "GBK"}, "𠮷", "U+20BB7"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := framingOf(t, c.options).Write(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, %v\nmust say %q", b, err, c.want)
			}
		})
	}
}

func TestBrokenFrames(t *testing.T) {
	const unexpected = "unexpected EOF"
	chars := map[string]any{"framing": counted(map[string]any{"digits": 4, "counts": "chars"}), "charset": "GB18030"}
	for name, c := range map[string]struct {
		options   map[string]any
		raw, want string
	}{
		"nothing":                 {map[string]any{"framing": "mllp"}, "", "EOF"},
		"outside":                 {map[string]any{"framing": "mllp"}, "MSH|\x1c\r", "before 0x0B"},
		"half":                    {map[string]any{"framing": "mllp"}, "\x0bMSH|", unexpected},
		"begins again":            {map[string]any{"framing": "mllp"}, "\x0bMSH|\x0bMSH|\x1c\r", "in the midst"},
		"goes on":                 {map[string]any{"framing": "mllp"}, "\x0bMSH|\x1c\n", "not followed by 0x0D"},
		"no number":               {map[string]any{"framing": counted(map[string]any{"digits": 4})}, "<xml>", "no number"},
		"a sign":                  {map[string]any{"framing": counted(map[string]any{"digits": 4})}, "-002ab", "no number"},
		"blank":                   {map[string]any{"framing": counted(map[string]any{"digits": 4})}, "    ab", "no number"},
		"half a number":           {map[string]any{"framing": counted(map[string]any{"digits": 4})}, "00", unexpected},
		"half a text":             {map[string]any{"framing": counted(map[string]any{"digits": 4})}, "0004ab", unexpected},
		"less than itself":        {map[string]any{"framing": counted(map[string]any{"digits": 4, "includes_itself": true})}, "0003", "cannot be true"},
		"over the bound":          {map[string]any{"framing": counted(map[string]any{"digits": 8})}, "99999999", "larger than max_answer"},
		"far over it":             {map[string]any{"framing": counted(map[string]any{"base": "binary", "bytes": 8})}, "\xff\xff\xff\xff\xff\xff\xff\xff", "cannot be true"},
		"no suffix":               {map[string]any{"framing": map[string]any{"suffix": "\r\n", "length": map[string]any{"digits": 2}}}, "02abc\n", "is the length right"},
		"no prefix":               {map[string]any{"framing": map[string]any{"prefix": "HQ", "length": map[string]any{"digits": 2}}}, "HX02ab", "framing.prefix"},
		"no prefix of an end":     {map[string]any{"framing": map[string]any{"prefix": "\x02", "end": "\x03"}}, "ab\x03", "framing.prefix"},
		"no end":                  {map[string]any{"framing": map[string]any{"end": "\x03"}}, "ab", unexpected},
		"a long text":             {map[string]any{"framing": map[string]any{"end": "\x03"}}, strings.Repeat("x", 2000) + "\x03", "larger than max_answer"},
		"a long mllp":             {map[string]any{"framing": "mllp"}, "\x0b" + strings.Repeat("x", 20000), "larger than max_answer"},
		"half a character":        {chars, "0002\xd5\xc5\xc8", unexpected},
		"not the charset":         {chars, "0009ab\xff\xff\xff\xff\xff\xff\xff", "not in the charset"},
		"more bytes than max":     {chars, "0999" + strings.Repeat("\xd5\xc5", 999), "larger than max_answer"},
		"ends within a character": {map[string]any{"framing": counted(map[string]any{"digits": 4, "counts": "utf16"})}, "0002a𠮷", "within a character"},
		"bytes before the end":    {map[string]any{"framing": map[string]any{"end": "@@"}, "charset": "GB18030"}, "\xff\xff\xff\xff\xff\xff@@", "not in the charset"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := framingOf(t, c.options).read(bufio.NewReader(strings.NewReader(c.raw)), 1000)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("read %q, %v\nmust say %q", f.raw, err, c.want)
			}
			if !strings.HasPrefix(c.raw, string(f.raw)) {
				t.Errorf("shows %q as what came", f.raw)
			}
		})
	}
}

// What was written is read, however the network cuts it, and nothing of what
// follows.
func TestReadsWhatItWrites(t *testing.T) {
	framings := map[string]map[string]any{}
	for name, options := range dialects {
		framings[name] = options
	}
	for name, f := range map[string]any{
		"utf16":    counted(map[string]any{"digits": 6, "counts": "utf16"}),
		"chars":    counted(map[string]any{"digits": 6, "counts": "chars", "plus": 9}),
		"at":       map[string]any{"prefix": "张", "suffix": "#", "length": map[string]any{"bytes": 4, "base": "binary", "at": 3}},
		"hex":      counted(map[string]any{"digits": 8, "base": "hex", "pad": "spaces_before"}),
		"at signs": map[string]any{"end": "@@"},
		"letters":  map[string]any{"end": "aAb"},
	} {
		framings[name+" of UTF-8"] = map[string]any{"framing": f}
		framings[name+" of GB18030"] = map[string]any{"framing": f, "charset": "GB18030"}
	}
	// Letters whose second byte in GBK is @, A or a digit, and rare ones.
	text := rapid.StringOfN(rapid.SampledFrom([]rune("aAb@|<张三\u4e02\u4e04䶮𠮷·é\u0080\ufffd\r\n")), 3, 300, -1)
	for name, options := range framings {
		f := framingOf(t, options)
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			texts := rapid.SliceOfN(text, 1, 4).Draw(t, "texts")
			var all bytes.Buffer
			var sent [][]byte
			var kept []string
			for _, s := range texts {
				b, err := f.Write("abc" + s)
				if err != nil {
					continue // the text holds its end
				}
				all.Write(b)
				kept, sent = append(kept, "abc"+s), append(sent, b)
			}
			r := io.Reader(&all)
			switch rapid.IntRange(0, 2).Draw(t, "cut") {
			case 0:
				r = iotest.OneByteReader(r)
			case 1:
				r = iotest.HalfReader(r)
			}
			in := bufio.NewReaderSize(r, rapid.SampledFrom([]int{16, 17, 4096}).Draw(t, "buffer"))
			for i, want := range kept {
				x, err := f.read(in, 1<<20)
				if err != nil {
					t.Fatalf("%q: %v", sent[i], err)
				}
				got, err := f.charset.Decode(x.content())
				if err != nil || got != want {
					t.Fatalf("wrote %q\nread  %q, %v", want, got, err)
				}
				if !x.open && !bytes.Equal(x.raw, sent[i]) {
					t.Fatalf("wrote % x\nread  % x", sent[i], x.raw)
				}
				one, err := f.unframe(sent[i])
				if err != nil || string(one) != string(x.content()) {
					t.Fatalf("a recorded frame gives %q, %v", one, err)
				}
			}
			if x, err := f.read(in, 1<<20); err != io.EOF {
				t.Fatalf("then came %q, %v", x.raw, err)
			}
		}))
	}
}

func FuzzRead(f *testing.F) {
	for _, options := range dialects {
		b, err := framingOf(f, options).Write("MSH|^~\\&|张三测试𠮷")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, b...))
	}
	f.Add([]byte("\r\x0b\x1c\x1c"))
	f.Add([]byte("0004\x81\x30\x81\x30"))
	f.Add([]byte("\x81@@\x81@@@@"))
	var framings []*Framing
	for _, options := range dialects {
		framings = append(framings, framingOf(f, options))
	}
	for _, x := range []any{counted(map[string]any{"digits": 4, "counts": "utf16"}), counted(map[string]any{"bytes": 8, "base": "binary", "at": 2}), map[string]any{"end": "@@"}} {
		framings = append(framings, framingOf(f, map[string]any{"framing": x, "charset": "GB18030"}))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		const most = 4096
		for _, framing := range framings {
			in := bufio.NewReaderSize(bytes.NewReader(raw), 16)
			left := raw
			for {
				x, err := framing.read(in, most)
				if !bytes.HasPrefix(bytes.TrimPrefix(left, []byte("\r")), x.raw) && !bytes.HasPrefix(left, x.raw) {
					t.Fatalf("raw % x is not what came", x.raw)
				}
				if int64(len(x.raw)) > 4*most+64 {
					t.Fatalf("read %d bytes over the bound", len(x.raw))
				}
				if err != nil {
					var b broken
					if !errors.As(err, &b) && err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, wire.ErrTooLarge) {
						t.Fatal(err)
					}
					break
				}
				if len(x.raw) == 0 {
					t.Fatal("a frame of nothing")
				}
				left = left[bytes.Index(left, x.raw)+len(x.raw):]
				if text, err := framing.charset.Decode(x.content()); err == nil && !x.open {
					if b, err := framing.Write(text); err == nil {
						again, err := framing.unframe(b)
						if decoded, _ := framing.charset.Decode(again); err != nil || decoded != text {
							t.Fatalf("%q was written and read as %q, %v", text, decoded, err)
						}
					}
				}
			}
		}
	})
}
