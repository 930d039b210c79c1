package db

import (
	"slices"
	"strings"

	"hishub/connectors/option"
	"hishub/core"
)

// blanks are what a HIS writes where it has nothing, and around what it has.
type blanks struct {
	// nulls are the texts that mean NULL.
	nulls []string
	// trim takes away blanks at the ends of texts, as CHAR(n) columns add them.
	trim bool
}

func readBlanks(s *option.Set) blanks {
	b := blanks{trim: s.Bool("trim", false)}
	switch written := s.Value("nulls").(type) {
	case nil:
	case []any:
		for _, v := range written {
			text, ok := v.(string)
			if !ok {
				s.Problem("nulls", `holds something that is no text; write it in quotes, as "NULL"`)
			}
			b.nulls = append(b.nulls, text)
		}
	default:
		s.Problem("nulls", `not a list of texts, as ["", "NULL", "0001-01-01"]`)
	}
	return b
}

// of cleans rows or parameters; the record of what was received keeps them as
// they came.
func (b blanks) of(v core.Value) core.Value {
	if len(b.nulls) == 0 && !b.trim {
		return v
	}
	switch v := v.(type) {
	case core.List:
		for i := range v {
			v[i] = b.of(v[i])
		}
		return v
	case core.Tree:
		for i := range v {
			v[i].Value = b.of(v[i].Value)
		}
		return v
	case string:
		if b.trim {
			v = strings.Trim(v, " \u3000")
		}
		if slices.Contains(b.nulls, v) {
			return nil
		}
		return v
	}
	return v
}
