package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"hishub/connectors/charset"
	"hishub/core"
)

// view shows bytes of one entrance of a HIS to people, read in its own charset.
type view struct {
	charset *charset.Charset // nil: UTF-8
	secrets []string         // masked
}

// longest is how many bytes the longest character of any charset takes.
const longest = 8

// next reads one character; n is how many bytes it takes. What is none is "" and one byte.
func (v view) next(b []byte) (char string, n int) {
	for n := 1; n <= min(longest, len(b)); n++ {
		text, err := v.charset.Decode(b[:n])
		if err == nil && text != "" {
			return text, n
		}
	}
	return "", 1
}

// text reads bytes as text. Control bytes and what is no text in the charset
// stand as \x0b; a lone carriage return, which ends a line of HL7, ends one here.
func (v view) text(b []byte) string {
	b = v.masked(b, false)
	whole, err := v.charset.Decode(b)
	var out strings.Builder
	if err == nil {
		spell(&out, whole)
		return out.String()
	}
	for len(b) > 0 {
		char, n := v.next(b)
		if char == "" {
			fmt.Fprintf(&out, `\x%02x`, b[0])
		} else {
			spell(&out, char)
		}
		b = b[n:]
	}
	return out.String()
}

func spell(out *strings.Builder, text string) {
	for i, r := range text {
		switch {
		case r == '\n', r == '\t':
			out.WriteRune(r)
		case r == '\r' && strings.HasPrefix(text[i+1:], "\n"):
		case r == '\r':
			out.WriteString("\\r\n")
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(out, `\x%02x`, r)
		case !unicode.IsPrint(r) && !unicode.IsSpace(r):
			fmt.Fprintf(out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
	}
}

// hex shows bytes sixteen to a line: where they stand, what they are, and the
// characters that they spell, each at its first byte.
func (v view) hex(b []byte) string {
	b = v.masked(b, true)
	cells := make([]string, len(b))
	for i := 0; i < len(b); {
		char, n := v.next(b[i:])
		cells[i] = "."
		if r, _ := utf8.DecodeRuneInString(char); char != "" && unicode.IsPrint(r) {
			cells[i] = char
		}
		// Beside the character stands nothing for its further bytes, so that the
		// column keeps its width: a Chinese character is two wide.
		if left := n - width(cells[i]); left > 0 {
			cells[i] += strings.Repeat(" ", left)
		}
		i += n
	}
	var out strings.Builder
	for at := 0; at < len(b); at += 16 {
		end := min(at+16, len(b))
		fmt.Fprintf(&out, "%08x ", at)
		for i := at; i < at+16; i++ {
			if i%8 == 0 {
				out.WriteByte(' ')
			}
			if i < end {
				fmt.Fprintf(&out, "%02x ", b[i])
			} else {
				out.WriteString("   ")
			}
		}
		// What a line begins with may belong to a character of the line before.
		lead := at
		for lead < end && cells[lead] == "" {
			lead++
		}
		out.WriteString(" |" + strings.Repeat(" ", lead-at) + strings.Join(cells[lead:end], "") + "|\n")
	}
	return out.String()
}

// masked hides secrets: by three stars, or star by byte where offsets must stay true.
func (v view) masked(b []byte, inPlace bool) []byte {
	for _, secret := range v.secrets {
		if len(secret) < core.ShortestSecret {
			continue
		}
		spelled, err := v.charset.Encode(nil, secret)
		if err != nil {
			spelled = []byte(secret)
		}
		stars := "***"
		if inPlace {
			stars = strings.Repeat("*", len(spelled))
		}
		b = bytes.ReplaceAll(b, spelled, []byte(stars))
	}
	return b
}

// maskText hides secrets in what is text already.
func (v view) maskText(s string) string {
	for _, secret := range v.secrets {
		if len(secret) >= core.ShortestSecret {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	return s
}

func width(s string) int {
	n := 0
	for _, r := range s {
		if r >= 0x1100 && (unicode.Is(unicode.Han, r) || unicode.In(r, unicode.Hangul, unicode.Hiragana, unicode.Katakana) || r >= 0x3000 && r <= 0x303f || r >= 0xff00 && r <= 0xff60) {
			n += 2
		} else {
			n++
		}
	}
	return n
}
