package codes

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"hishub/core"
)

// folded is a text without what spellings differ in: width, case, blanks,
// brackets and the marks between words.
func folded(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || r == '%' || r == '+' || r == '.' {
			return unicode.ToLower(r)
		}
		return -1
	}, width.Fold.String(text))
}

// Near is the one code of the table that is the same but for its spelling; "" if
// there is none, or several.
func (t *Table) Near(d core.CodeDirection, code string) string {
	want, near := folded(code), ""
	for i := range t.Rows {
		k, begin, used := t.Rows[i].key(d)
		if !used || begin || k == code || folded(k) != want {
			continue
		}
		if near != "" && near != k {
			return ""
		}
		near = k
	}
	return near
}
