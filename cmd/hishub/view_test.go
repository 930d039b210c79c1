package main

import (
	"strings"
	"testing"
)

func TestViewInItsCharset(t *testing.T) {
	gb, utf := view{charset: charsetNamed("GB18030")}, view{}
	for _, c := range []struct {
		name  string
		v     view
		bytes string
		text  string
	}{
		{"framing shows", utf, "\x0bMSH|^~\\&|张三\rPID|1\r\x1c\r", "\\x0bMSH|^~\\&|张三\\r\nPID|1\\r\n\\x1c\\r\n"},
		{"lines of windows", utf, "a\r\nb\tc", "a\nb\tc"},
		{"no guess: UTF-8 read as GB18030", gb, "张三", "寮犱笁"},
		{"GB18030", gb, "\xd5\xc5\x95\x34\xb2\x35", "张𠮷"},
		{"half a character", gb, "ok \xd5", `ok \xd5`},
		{"no text", utf, "\x89PNG\xff", `\x89PNG\xff`},
		{"nothing", utf, "", ""},
	} {
		if got := c.v.text([]byte(c.bytes)); got != c.text {
			t.Errorf("%s: %q, want %q", c.name, got, c.text)
		}
	}
}

// A character stands once, at its first byte, also where a line ends inside of it.
func TestHexView(t *testing.T) {
	v := view{charset: charsetNamed("GB18030"), secrets: []string{"hunter2", "abc"}}
	got := v.hex([]byte("0123456789abcde\xd5\xc5\x95\x34\xb2\x35x\xff\nhunter2"))
	want := "" +
		"00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 d5  |0123456789abcde张|\n" +
		"00000010  c5 95 34 b2 35 78 ff 0a  2a 2a 2a 2a 2a 2a 2a     | 𠮷  x..*******|\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if text := v.text([]byte("key=hunter2&a=abc")); text != "key=***&a=abc" {
		t.Errorf("%q", text)
	}
	utf := view{}
	if got := utf.hex([]byte("张三")); !strings.HasSuffix(got, " |张 三 |\n") {
		t.Errorf("%q", got)
	}
}

func FuzzView(f *testing.F) {
	f.Add([]byte("\x0b张三\x1c\r"), true)
	f.Add([]byte("\xd5\xc5\x95\x34\xb2"), false)
	f.Fuzz(func(t *testing.T, b []byte, gb bool) {
		v := view{secrets: []string{"secret"}}
		if gb {
			v.charset = charsetNamed("GB18030")
		}
		if lines := strings.Count(v.hex(b), "\n"); lines != (len(b)+15)/16 {
			t.Errorf("%d lines for %d bytes", lines, len(b))
		}
		if text := v.text(b); strings.ContainsAny(text, "\x00\x0b\x1b\r") {
			t.Errorf("control bytes reach the terminal: %q", text)
		}
	})
}
