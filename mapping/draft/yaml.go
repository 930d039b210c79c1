package draft

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// entry is a key of a drafted document with what stands under it.
type entry struct {
	key   string // as YAML writes it
	value string // a scalar as YAML writes it; with under, nothing
	note  string // a comment at the end of the line
	above string // a comment before it
	under []entry
	item  bool // it begins an item of a list; its key stands in the first of under
	off   bool // it stands there as a comment
}

// page renders entries.
//
// A comment begins where the first of its entries stands, so that it becomes what it
// says when the signs are taken away: off is that column, -1 is no comment.
func page(b *strings.Builder, all []entry, indent int, off int) {
	for _, e := range all {
		e.render(b, indent, e.column(indent, off), "")
	}
}

func (e entry) column(indent, off int) int {
	if off < 0 && e.off {
		return indent
	}
	return off
}

func (e entry) render(b *strings.Builder, indent int, off int, dash string) {
	begin := func() {
		at := max(0, indent-len(dash))
		if off >= 0 {
			off := min(off, at)
			b.WriteString(strings.Repeat(" ", off) + "# " + strings.Repeat(" ", at-off) + dash)
		} else {
			b.WriteString(strings.Repeat(" ", at) + dash)
		}
	}
	if e.above != "" && dash == "" {
		for _, line := range strings.Split(e.above, "\n") {
			b.WriteString(strings.Repeat(" ", indent) + "# " + remark(line) + "\n")
		}
	}
	if e.item {
		for i, u := range e.under {
			d := ""
			if i == 0 {
				d = "- "
			}
			u.render(b, indent+2, u.column(indent+2, off), d)
		}
		return
	}
	begin()
	b.WriteString(e.key + ":")
	switch {
	case e.value != "":
		b.WriteString(" " + e.value)
	case len(e.under) == 0 || off < 0 && everyOff(e.under):
		b.WriteString(" {}")
	}
	if e.note != "" {
		b.WriteString(" # " + remark(e.note))
	}
	b.WriteString("\n")
	page(b, e.under, indent+2, off)
}

func everyOff(all []entry) bool {
	for _, e := range all {
		if !e.off {
			return false
		}
	}
	return true
}

// remark keeps foreign words to one readable line.
func remark(text string) string {
	text = strings.ToValidUTF8(text, "?")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if brackets(text) > 12 { // the loader takes many for deep nesting, in comments too
		text = strings.NewReplacer("{", "(", "[", "(", "}", ")", "]", ")").Replace(text)
	}
	if rs := []rune(text); len(rs) > 160 {
		text = string(rs[:160]) + "…"
	}
	return text
}

var (
	plainKey  = regexp.MustCompile(`^[\pL_][\pL\pN_]*([-.][\pL\pN_]+)*$`)
	plainCell = regexp.MustCompile(`^[\pL\pN_/][\pL\pN_ ./,()+*;-]*$`)
	bareWord  = regexp.MustCompile(`^(true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?)$`)
	// notText are plain scalars that YAML or the grammar take for something else.
	notText = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|null|nan|todo|y|n|[.+-]?[0-9].*|.*\s|.* #.*|.*: .*|[\pL_][\pL\pN_]*\.[\pL_].*)$`)
)

// keyOf writes a wire name as a key of a document.
func keyOf(name string) string {
	switch {
	case strings.HasPrefix(name, "$"):
		name = "$" + name
	}
	return yamlKey(name)
}

func yamlKey(name string) string {
	if strings.HasPrefix(name, ".") && plainKey.MatchString(name[1:]) || plainKey.MatchString(name) && !notText.MatchString(name) || strings.HasPrefix(name, "$") && plainKey.MatchString(strings.TrimLeft(name, "$")) {
		return name
	}
	if digits.MatchString(name) {
		return name
	}
	return quoted(name)
}

var digits = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)

func brackets(text string) int { return strings.Count(text, "{") + strings.Count(text, "[") }

// literal writes a text as a cell that is this text and nothing else. What is too
// long for that is an open point.
func literal(text string, bare bool) string {
	switch {
	case brackets(text) > 50 || len(text) > 2000:
		return open
	case text == "" && bare:
		return "null"
	case bare && bareWord.MatchString(text):
		return text
	case plainCell.MatchString(text) && !notText.MatchString(text) && strings.TrimSpace(text) == text:
		return text
	}
	return quoted(text)
}

func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(text, "?") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff':
			h := strconv.FormatInt(int64(r), 16)
			b.WriteString(`\u` + strings.Repeat("0", 4-len(h)) + h)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// cellOf writes an expression as a cell.
func cellOf(expression string) string {
	if strings.Contains(expression, ": ") || strings.Contains(expression, " #") || strings.HasSuffix(expression, ":") || strings.ContainsAny(expression, "{\n") {
		return "'= " + strings.ReplaceAll(strings.ReplaceAll(expression, "\n", " "), "'", "''") + "'"
	}
	return "= " + expression
}

// conditionOf writes an expression where no "=" belongs.
func conditionOf(expression string) string {
	if strings.Contains(expression, ": ") || strings.Contains(expression, " #") || strings.ContainsAny(expression[:1], `"'[{`) {
		return "'" + strings.ReplaceAll(expression, "'", "''") + "'"
	}
	return expression
}

// text writes a text inside an expression.
func text(s string) string { return strconv.Quote(s) }

const open = "TODO"

var identifier = regexp.MustCompile(`^[\pL_][\pL\pN_]*$`)

// step goes from a tree to a child.
func step(from, name string) string {
	name = strings.TrimPrefix(name, ".")
	if identifier.MatchString(name) && !reserved[name] {
		return from + "." + name
	}
	return from + "[" + text(name) + "]"
}

// reserved are words of the expressions, which cannot follow a dot.
var reserved = map[string]bool{"in": true, "not": true, "and": true, "or": true, "let": true, "if": true, "else": true, "nil": true, "true": true, "false": true, "matches": true, "contains": true, "startsWith": true, "endsWith": true}
