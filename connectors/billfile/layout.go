package billfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// goFields are the fields of a time layout, written as in the mapping language,
// beside Go's; longer ones first.
var goFields = [][2]string{
	{"yyyy", "2006"}, {"MM", "01"}, {"dd", "02"}, {"HH", "15"}, {"mm", "04"}, {"ss", "05"}, {"SSS", "000"},
}

// timeLayout turns "yyyy-MM-dd HH:mm:ss" into Go's layout.
func timeLayout(text string) (string, error) {
	var out strings.Builder
	for rest := text; rest != ""; {
		i := slices.IndexFunc(goFields, func(f [2]string) bool { return strings.HasPrefix(rest, f[0]) })
		switch c := rest[0]; {
		case i >= 0:
			out.WriteString(goFields[i][1])
			rest = rest[len(goFields[i][0]):]
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z' && c != 'T', c == '_':
			// Each of them means something in a layout of Go's.
			return "", fmt.Errorf("has %q, which is no field; there are yyyy MM dd HH mm ss SSS", c)
		default:
			out.WriteByte(c)
			rest = rest[1:]
		}
	}
	if !strings.Contains(out.String(), "2006") {
		return "", errors.New("has no yyyy, so it names no day")
	}
	return out.String(), nil
}

// template is text with names in braces, "{date}|{count}|{amount}|".
type template []piece

// piece is literal text before a name; the last piece may have no name.
type piece struct{ literal, name string }

func readTemplate(text string) (template, error) {
	var t template
	for rest := text; rest != ""; {
		literal, after, found := strings.Cut(rest, "{")
		if strings.Contains(literal, "}") {
			return nil, errors.New("has a } without its {")
		}
		if !found {
			t = append(t, piece{literal: literal})
			break
		}
		name, next, closed := strings.Cut(after, "}")
		if !closed || name == "" {
			return nil, errors.New("has a { without a name and its }")
		}
		t = append(t, piece{literal, name})
		rest = next
	}
	return t, nil
}

// write gives the name of a day's file.
func (t template) write(day time.Time) string {
	var out strings.Builder
	for _, p := range t {
		out.WriteString(p.literal)
		if p.name != "" {
			layout, _ := timeLayout(p.name) // was read before, by checkName
			out.WriteString(day.Format(layout))
		}
	}
	return out.String()
}

// checkName: every name of a file's template is a date.
func (t template) checkName() error {
	dated := false
	for _, p := range t {
		if strings.ContainsAny(p.literal, `/\`) || p.literal == ".." {
			return errors.New("leads into another folder; name that in option folder")
		}
		if p.name != "" {
			if _, err := timeLayout(p.name); err != nil {
				return fmt.Errorf("{%s} %w", p.name, err)
			}
			dated = true
		}
	}
	if !dated {
		return errors.New("has no date like {yyyyMMdd}, so that every day would be the same file")
	}
	return nil
}

// sums are the names that a line about the whole file may have, beside dates
// and {*}, which is anything.
var sums = []string{"count", "payments", "refunds", "amount", "payment_amount", "refund_amount", "fee"}

// checkSums: a line about the whole file is read without guessing.
func (t template) checkSums() error {
	for i, p := range t {
		if i > 0 && p.literal == "" {
			return errors.New("has two names with nothing between them")
		}
		if p.name == "" || p.name == "*" || p.name == "date" || slices.Contains(sums, p.name) {
			continue
		}
		if _, err := timeLayout(p.name); err != nil {
			return fmt.Errorf("{%s} is none of %s, *, date or a date layout like {yyyyMMdd}", p.name, strings.Join(sums, ", "))
		}
	}
	return nil
}

// read takes a line apart; ok is false when it is not written like that. A value
// has no delimiter in it, so that a row is not taken for a sum.
func (t template) read(line, delimiter string) (values map[string]string, ok bool) {
	values = map[string]string{}
	for i, p := range t {
		if line, ok = strings.CutPrefix(line, p.literal); !ok {
			return nil, false
		}
		if p.name == "" {
			continue
		}
		value := line
		if i+1 < len(t) {
			end := strings.Index(line, t[i+1].literal)
			if end < 0 {
				return nil, false
			}
			value = line[:end]
		}
		if strings.Contains(value, delimiter) {
			return nil, false
		}
		line = line[len(value):]
		values[p.name] = strings.TrimSpace(value)
	}
	return values, line == ""
}
