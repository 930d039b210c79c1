package db

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// syntax is what the statements of one database look like, as far as finding
// :names in them needs it.
type syntax struct {
	backslash bool // \' does not end a string
	hash      bool // # begins a comment
	dollar    bool // $tag$ quotes, E'' strings, nested comments
	// placeholder writes the n-th parameter, from 1. numbered means that a name
	// that occurs again needs no second one.
	placeholder func(n int) string
	numbered    bool
	// question: the driver counts every ?, also those in strings and comments.
	question bool
	bracket  bool // [name] quotes, nested comments
	// alternate: q'[...]' quotes.
	alternate bool
	quote     func(identifier string) string
	// rowsAtOnce and valuesAtOnce bound one insert statement.
	rowsAtOnce, valuesAtOnce int
}

// named is a statement whose :names were found.
type named struct {
	sql string
	// written is the statement as the folder has it.
	written string
	// names of the parameters, in the order in which they are passed.
	names []string
}

// parseNames replaces the :names of a statement by placeholders. Strings,
// quoted identifiers, comments, ::casts and := are passed over.
func (x *syntax) parseNames(statement string) (named, error) {
	return x.parseNamesAfter(0, statement)
}

// parseNamesAfter parses a part of a statement that has so many parameters before.
func (x *syntax) parseNamesAfter(before int, statement string) (named, error) {
	s := strings.TrimRight(strings.TrimSpace(statement), "; \t\r\n")
	if s == "" {
		return named{}, errors.New("the statement is empty")
	}
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return named{}, errors.New("the statement is not text")
	}
	n := named{written: s}
	var b strings.Builder
	numbers := map[string]int{}
	for i := 0; i < len(s); {
		end, err := x.passed(s, i)
		if err != nil {
			return named{}, err
		}
		if end > i {
			b.WriteString(s[i:end])
			i = end
			continue
		}
		name := ""
		if s[i] == ':' {
			name = nameAt(s[i+1:])
		}
		switch {
		case s[i] == ';':
			return named{}, errors.New("one call is one statement; there is more behind the semicolon")
		case s[i] == '?' && x.question:
			return named{}, errors.New("a ? cannot stand in a statement; write parameters as :name")
		case name == "":
			b.WriteByte(s[i])
			i++
			continue
		}
		i += 1 + len(name)
		number, again := numbers[name]
		if !again || !x.numbered {
			n.names = append(n.names, name)
			number = before + len(n.names)
			numbers[name] = number
		}
		b.WriteString(x.placeholder(number))
	}
	n.sql = b.String()
	if x.question && strings.Count(n.sql, "?") != len(n.names) {
		return named{}, errors.New("a ? cannot stand in a statement, not even in a string; pass it as :name")
	}
	return n, nil
}

// passed gives the end of what begins at i and holds no names; i if it is none.
func (x *syntax) passed(s string, i int) (int, error) {
	rest := s[i:]
	switch c := s[i]; {
	case c == '\'' && x.alternate && i > 0 && (s[i-1] == 'q' || s[i-1] == 'Q') && (i == 1 || !wordByte(s[i-2]) || (s[i-2]|0x20) == 'n'):
		return alternateQuoted(s, i)
	case c == '\'':
		return x.quoted(s, i, x.backslash || x.dollar && escapeString(s, i))
	case c == '"':
		return x.quoted(s, i, x.backslash)
	case c == '`' && !x.dollar:
		return x.quoted(s, i, false)
	case c == '[' && x.bracket:
		return x.quoted(s, i, false)
	case c == '#' && x.hash, strings.HasPrefix(rest, "--"):
		if n := strings.IndexByte(rest, '\n'); n >= 0 {
			return i + n + 1, nil
		}
		return len(s), nil
	case strings.HasPrefix(rest, "/*"):
		return x.comment(s, i)
	case strings.HasPrefix(rest, "::"), strings.HasPrefix(rest, ":="):
		return i + 2, nil
	case c == '$' && x.dollar && (i == 0 || !wordByte(s[i-1])):
		return dollarQuoted(s, i)
	}
	return i, nil
}

func (x *syntax) quoted(s string, i int, backslash bool) (int, error) {
	quote := s[i]
	if quote == '[' {
		quote = ']'
	}
	for j := i + 1; j < len(s); j++ {
		switch {
		case s[j] == '\\' && backslash:
			j++
		case s[j] == quote && j+1 < len(s) && s[j+1] == quote:
			j++
		case s[j] == quote:
			return j + 1, nil
		}
	}
	return 0, fmt.Errorf("a quote %c is not closed", quote)
}

// escapeString tells an E'...' from a string that follows a word ending in e.
func escapeString(s string, i int) bool {
	return i > 0 && (s[i-1] == 'E' || s[i-1] == 'e') && (i == 1 || !wordByte(s[i-2]))
}

func (x *syntax) comment(s string, i int) (int, error) {
	depth := 0
	for j := i; j < len(s); {
		switch {
		case strings.HasPrefix(s[j:], "/*") && (depth == 0 || x.dollar || x.bracket):
			depth++
			j += 2
		case strings.HasPrefix(s[j:], "*/"):
			depth--
			j += 2
			if depth == 0 {
				return j, nil
			}
		default:
			j++
		}
	}
	return 0, errors.New("a comment is not closed")
}

// dollarQuoted passes $tag$...$tag$; a lone $ or a $1 is no quote.
func dollarQuoted(s string, i int) (int, error) {
	n := strings.IndexByte(s[i+1:], '$')
	if n < 0 {
		return i, nil
	}
	tag := s[i : i+n+2]
	for j, r := range tag[1 : len(tag)-1] {
		if r != '_' && !unicode.IsLetter(r) && (j == 0 || !unicode.IsDigit(r)) {
			return i, nil
		}
	}
	end := strings.Index(s[i+len(tag):], tag)
	if end < 0 {
		return 0, errors.New("a dollar quote is not closed")
	}
	return i + len(tag) + end + len(tag), nil
}

// alternateQuoted passes the '[...]' of Oracle's q'[...]'.
func alternateQuoted(s string, i int) (int, error) {
	if i+1 < len(s) {
		end := s[i+1 : i+2]
		if pair := strings.Index("[](){}<>", end); pair >= 0 && pair%2 == 0 {
			end = "[](){}<>"[pair+1 : pair+2]
		}
		if n := strings.Index(s[i+2:], end+"'"); n >= 0 {
			return i + 2 + n + 2, nil
		}
	}
	return 0, errors.New("a q quote is not closed")
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf
}

// nameAt is the parameter name at the start of s, "" if there is none.
func nameAt(s string) string {
	for i, r := range s {
		if r == '_' || unicode.IsLetter(r) || i > 0 && unicode.IsDigit(r) {
			continue
		}
		return s[:i]
	}
	return s
}
