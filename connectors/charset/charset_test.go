package charset

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTextSurvives(t *testing.T) {
	for _, name := range []string{"UTF-8", "GB18030", "gb18030"} {
		c, err := New(name, "refuse")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"", "abc", "张三测试", "䶮𠮷·", "€", "\uFFFD"} {
			b, err := c.Encode([]byte("x"), s)
			if err != nil {
				t.Fatalf("%s: encode %q: %v", name, s, err)
			}
			if got, err := c.Decode(b[1:]); err != nil || got != s {
				t.Errorf("%s: %q came back as %q, %v", name, s, got, err)
			}
		}
	}
}

func TestBytesAreThoseOfTheStandard(t *testing.T) {
	c, _ := New("GB18030", "refuse")
	if b, _ := c.Encode(nil, "张"); string(b) != "\xd5\xc5" {
		t.Errorf("张 is % x in GB18030", b)
	}
	if b, _ := c.Encode(nil, "𠮷"); string(b) != "\x95\x33\xba\x36" && len(b) != 4 {
		t.Errorf("𠮷 is % x in GB18030, must have four bytes", b)
	}
}

func TestInvalidBytesAreRefused(t *testing.T) {
	for name, bytes := range map[string]string{"UTF-8": "\xd5\xc5\xc8\xfd", "GB18030": "<\xd5><", "GBK": "a\xff\xff"} {
		c, _ := New(name, "refuse")
		if got, err := c.Decode([]byte(bytes)); err == nil {
			t.Errorf("%s took % x for %q", name, bytes, got)
		}
	}
}

func TestGBKIsStrictInWritingOnly(t *testing.T) {
	c, _ := New("GBK", "refuse")
	if _, err := c.Encode(nil, "张𠮷"); err == nil || !strings.Contains(err.Error(), "U+20BB7") || strings.Contains(err.Error(), "𠮷") {
		t.Errorf("encode: %v", err)
	}
	c, _ = New("GBK", "?")
	if b, err := c.Encode(nil, "张𠮷三"); err != nil || string(b) != "\xd5\xc5?\xc8\xfd" {
		t.Errorf("% x %v", b, err)
	}
	four, _ := New("GB18030", "refuse")
	b, _ := four.Encode(nil, "𠮷")
	if got, err := c.Decode(b); err != nil || got != "𠮷" {
		t.Errorf("GB18030 behind the name GBK: %q %v", got, err)
	}
}

func TestNames(t *testing.T) {
	if _, err := New("latin1", "refuse"); err == nil || err.Error() != "not one of UTF-8, GB18030, GBK" {
		t.Error(err)
	}
	if _, err := New("GBK", "𠮷"); err == nil {
		t.Error("a replacement that cannot be written was taken")
	}
}

// What cannot be read whole is read as far as it can, for whoever must be answered.
func TestLegible(t *testing.T) {
	four, _ := New("GB18030", "refuse")
	for _, c := range []struct {
		charset *Charset
		bytes   string
		want    string
	}{
		{four, "MSH|\xb2\xe2\xff\xff|1", "MSH|测\ufffd\ufffd|1"},
		{four, "MSH|1", "MSH|1"},
		{nil, "MSH|测\xff|1", "MSH|测\ufffd|1"},
	} {
		if got := c.charset.Legible([]byte(c.bytes)); got != c.want {
			t.Errorf("%s: %q is %q", c.charset.Name(), c.bytes, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("GB18030", []byte("\xd5\xc5"))
	f.Add("GBK", []byte("\x81\x30\x81\x30"))
	f.Add("UTF-8", []byte("\xff"))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		c, err := New(name, "refuse")
		if err != nil {
			return
		}
		s, err := c.Decode(b)
		if err != nil {
			return
		}
		if !utf8.ValidString(s) {
			t.Fatalf("decoded % x into invalid UTF-8", b)
		}
		if c.write == nil && s != string(b) {
			t.Fatalf("UTF-8 changed % x", b)
		}
	})
}
