package functions

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// layout is a compiled time layout. Layouts are Java's, because that is what
// the documents of HISes write. Go's own are not used underneath: in them any
// literal digit means something.
type layout []element

// element is a field (a letter and how often it stands) or literal text.
type element struct {
	letter  byte
	width   int
	literal string
}

// fields are the letters and the widths each may have.
var fields = map[byte][]int{
	'y': {4, 2}, 'M': {2, 1}, 'd': {2, 1},
	'H': {2, 1}, 'm': {2, 1}, 's': {2, 1},
	'S': {1, 2, 3, 4, 5, 6, 7, 8, 9},
	'X': {3, 2, 1},
}

// clocks are fields by their whole word: what stands there counts since 1970
// in UTC. The letter of their element is 'u', the width the digits of fraction.
var clocks = []struct {
	word  string
	width int
}{{"unix_ms", 3}, {"unix", 0}}

func clock(text string) (word string, width int) {
	for _, c := range clocks {
		if strings.HasPrefix(text, c.word) {
			return c.word, c.width
		}
	}
	return "", 0
}

// parseLayout reads letters as fields and everything else as it stands. An
// ASCII letter that is no field must be quoted, except the T between date and
// time; quotes are single, two of them are one.
func parseLayout(text string) (layout, error) {
	var l layout
	literal := func(s string) {
		if n := len(l); n > 0 && l[n-1].letter == 0 {
			l[n-1].literal += s
		} else {
			l = append(l, element{literal: s})
		}
	}
	for i := 0; i < len(text); {
		c := text[i]
		word, width := clock(text[i:])
		switch {
		case word != "":
			l = append(l, element{letter: 'u', width: width})
			i += len(word)
		case c == '\'':
			quoted, size, ok := unquote(text[i:])
			if !ok {
				return nil, errors.New("layout has a quote that does not end")
			}
			literal(quoted)
			i += size
		case fields[c] != nil:
			width := 1
			for i+width < len(text) && text[i+width] == c {
				width++
			}
			if !slices.Contains(fields[c], width) {
				return nil, fmt.Errorf("layout has %d times %q, which is no field", width, c)
			}
			l = append(l, element{letter: c, width: width})
			i += width
		case c != 'T' && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'):
			return nil, fmt.Errorf("layout has the letter %q, which is no field (yyyy MM dd HH mm ss SSS XXX unix unix_ms); quote it if you mean the letter", c)
		default:
			literal(text[i : i+1])
			i++
		}
	}
	if len(l) == 0 {
		return nil, errors.New("layout is empty")
	}
	return l, nil
}

// unquote reads what is between quotes, in which two quotes are one; two quotes
// with nothing between them are one as well.
func unquote(text string) (quoted string, size int, ok bool) {
	if strings.HasPrefix(text, "''") {
		return "'", 2, true
	}
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			continue
		}
		if i+1 == len(text) || text[i+1] != '\'' {
			return strings.ReplaceAll(text[1:i], "''", "'"), i + 1, true
		}
		i++
	}
	return "", 0, false
}

// readable refuses a layout that leaves the day open.
func (l layout) readable() error {
	if slices.ContainsFunc(l, func(e element) bool { return e.letter == 'u' }) {
		return nil
	}
	for _, letter := range []byte("yMd") {
		if !slices.ContainsFunc(l, func(e element) bool { return e.letter == letter }) {
			return errors.New("layout has no year, month and day to read")
		}
	}
	return nil
}

func (l layout) format(t time.Time) string {
	var b []byte
	for _, e := range l {
		switch e.letter {
		case 0:
			b = append(b, e.literal...)
		case 'y':
			if e.width == 2 {
				b = digits(b, t.Year()%100, 2)
			} else {
				b = digits(b, t.Year(), 4)
			}
		case 'M':
			b = digits(b, int(t.Month()), e.width)
		case 'd':
			b = digits(b, t.Day(), e.width)
		case 'H':
			b = digits(b, t.Hour(), e.width)
		case 'm':
			b = digits(b, t.Minute(), e.width)
		case 's':
			b = digits(b, t.Second(), e.width)
		case 'S':
			b = append(b, fmt.Sprintf("%09d", t.Nanosecond())[:e.width]...)
		case 'X':
			b = t.AppendFormat(b, [4]string{1: "Z07", 2: "Z0700", 3: "Z07:00"}[e.width])
		case 'u':
			n := t.Unix()
			if e.width == 3 {
				n = t.UnixMilli()
			}
			b = strconv.AppendInt(b, n, 10)
		}
	}
	return string(b)
}

func digits(b []byte, n, width int) []byte {
	s := strconv.Itoa(n)
	for range width - len(s) {
		b = append(b, '0')
	}
	return append(b, s...)
}

// parse reads a text that the layout fits from end to end. Without an offset
// the zone counts. A field of one letter takes one or two digits.
func (l layout) parse(text string, zone *time.Location) (time.Time, bool) {
	year, month, day := 0, 1, 1
	var hour, minute, second, nanosecond int
	var since *time.Time // 1970, where the layout counts so
	rest, ok := text, true
	number := func(least, most int) (n int) {
		i := 0
		for i < most && i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
			n = n*10 + int(rest[i]-'0')
			i++
		}
		ok = ok && i >= least
		rest = rest[i:]
		return n
	}
	short := func(width int) int { return number(width, 2) }
	for _, e := range l {
		switch e.letter {
		case 0:
			var found bool
			rest, found = strings.CutPrefix(rest, e.literal)
			ok = ok && found
		case 'y':
			year = number(e.width, e.width)
			if e.width == 2 {
				year += 2000
			}
		case 'M':
			month = short(e.width)
		case 'd':
			day = short(e.width)
		case 'H':
			hour = short(e.width)
		case 'm':
			minute = short(e.width)
		case 's':
			second = short(e.width)
		case 'S':
			nanosecond = number(e.width, e.width)
			for range 9 - e.width {
				nanosecond *= 10
			}
		case 'X':
			var at *time.Location
			if at, rest = offset(rest, e.width); at == nil {
				return time.Time{}, false
			}
			zone = at
		case 'u':
			var t time.Time
			t, rest, ok = counted(rest, e.width)
			since = &t
		}
		if !ok {
			return time.Time{}, false
		}
	}
	if since != nil {
		t := since.In(zone)
		return t, rest == "" && t.Year() >= 1 && t.Year() <= 9999
	}
	if rest != "" || year < 1 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanosecond, zone)
	if t.Day() != day || t.Month() != time.Month(month) { // 30 February
		return time.Time{}, false
	}
	return t, true
}

// counted reads seconds or milliseconds since 1970, also before it.
func counted(text string, width int) (time.Time, string, bool) {
	i := 0
	if strings.HasPrefix(text, "-") {
		i++
	}
	for i < len(text) && text[i] >= '0' && text[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(text[:i], 10, 64)
	if err != nil {
		return time.Time{}, text, false
	}
	if width == 3 {
		return time.UnixMilli(n), text[i:], true
	}
	return time.Unix(n, 0), text[i:], true
}

// offset reads Z, +08, +0800 or +08:00, by width.
func offset(text string, width int) (*time.Location, string) {
	if rest, ok := strings.CutPrefix(text, "Z"); ok {
		return time.UTC, rest
	}
	size := [4]int{1: 3, 2: 5, 3: 6}[width]
	if len(text) < size {
		return nil, text
	}
	t, err := time.Parse([4]string{1: "-07", 2: "-0700", 3: "-07:00"}[width], text[:size])
	if err != nil {
		return nil, text
	}
	_, seconds := t.Zone()
	return time.FixedZone("", seconds), text[size:]
}
