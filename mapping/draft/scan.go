package draft

import (
	"strings"
	"unicode"
)

// word is a token of SQL: a name, a text, a sign.
type word struct {
	text    string
	kind    wordKind
	line    int
	comment string // a "-- comment" that follows in the same line
}

type wordKind int

const (
	aName wordKind = iota // with or without quotes
	aText
	aSign
)

func (w word) is(s string) bool { return w.kind != aText && strings.EqualFold(w.text, s) }

// scanSQL cuts SQL into words. It knows the quotes and comments of MySQL, SQL
// Server, Oracle and PostgreSQL, and never fails: what it does not know is a sign.
func scanSQL(text string) []word {
	var out []word
	line := 1
	rs := []rune(text)
	for i := 0; i < len(rs); {
		r := rs[i]
		two := ""
		if i+1 < len(rs) {
			two = string(rs[i : i+2])
		}
		switch {
		case r == '\n':
			line++
			i++
		case unicode.IsSpace(r):
			i++
		case two == "--" || r == '#' && (i == 0 || rs[i-1] == '\n'):
			begin := i
			for i < len(rs) && rs[i] != '\n' {
				i++
			}
			if n := len(out); n > 0 && out[n-1].line == line {
				out[n-1].comment = strings.TrimSpace(strings.TrimLeft(string(rs[begin:i]), "-# "))
			}
		case two == "/*":
			for i += 2; i < len(rs) && !(rs[i] == '*' && i+1 < len(rs) && rs[i+1] == '/'); i++ {
				if rs[i] == '\n' {
					line++
				}
			}
			i += 2
		case r == '\'' || r == '"' || r == '`' || r == '[':
			end := r
			if r == '[' {
				end = ']'
			}
			w := word{line: line, kind: aName}
			if r == '\'' {
				w.kind = aText
			}
			var b strings.Builder
			for i++; i < len(rs); i++ {
				if rs[i] == '\n' {
					line++
				}
				if rs[i] == '\\' && r == '\'' && i+1 < len(rs) && (rs[i+1] == '\'' || rs[i+1] == '\\') {
					i++
				} else if rs[i] == end {
					if i+1 < len(rs) && rs[i+1] == end && end != ']' {
						i++
					} else {
						break
					}
				}
				b.WriteRune(rs[i])
			}
			i++
			w.text = b.String()
			out = append(out, w)
		case unicode.IsLetter(r) || r == '_' || r == '@':
			begin := i
			for i < len(rs) && (unicode.IsLetter(rs[i]) || unicode.IsDigit(rs[i]) || strings.ContainsRune("_$#@", rs[i])) {
				i++
			}
			if s := string(rs[begin:i]); i < len(rs) && rs[i] == '\'' && (s == "N" || s == "n" || s == "E") {
				continue // N'text'
			} else {
				out = append(out, word{text: s, kind: aName, line: line})
			}
		case unicode.IsDigit(r):
			begin := i
			for i < len(rs) && (unicode.IsDigit(rs[i]) || rs[i] == '.') {
				i++
			}
			out = append(out, word{text: string(rs[begin:i]), kind: aSign, line: line})
		default:
			out = append(out, word{text: string(r), kind: aSign, line: line})
			i++
		}
	}
	return out
}
