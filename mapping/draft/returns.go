package draft

import (
	"slices"
	"strings"

	"hishub/core"
)

// place is a leaf or branch of an answer, with the expression that reaches it.
type place struct {
	Field
	at     string
	inList bool
}

// placesOf lists what is in an answer below an expression. What is in a list
// cannot be named from outside, so its own places are left out.
func placesOf(fields []Field, from string, depth int) []place {
	var out []place
	if depth > 8 {
		return nil
	}
	for _, f := range fields {
		at := step(from, f.Name)
		if f.Name == "" { // the answer is a list itself
			at = from
		}
		out = append(out, place{Field: f, at: at})
		if f.List {
			continue
		}
		for _, n := range f.Nested {
			at = "from_" + n + "(" + at + ")"
		}
		out = append(out, placesOf(f.Children, at, depth+1)...)
	}
	return out
}

// returns writes the canonical answer of a question or write out of what the HIS
// is known to answer, whose root is the expression from.
func (s *speaker) returns(kind core.Kind, fields []Field, from string) []entry {
	t, _ := core.Lookup(kind)
	canons := answerOf(kind)
	places := placesOf(fields, from, 0)
	var out []entry
	for _, c := range canons {
		switch {
		case c.is == isMany:
			out = append(out, s.many(kind, c, places)...)
			continue
		case c.is == isRecord || c.name == "at":
			continue
		}
		if p, ok := find(c, s.eligible(c, places)); ok {
			out = append(out, s.read(kind, c, p.at, p.Field))
			continue
		}
		if c.required {
			s.open++
			out = append(out, entry{key: c.name, value: open, note: s.wanted(c)})
		}
	}
	if t.Mode == core.Write && len(out) == 0 {
		return nil
	}
	return out
}

// eligible leaves out what the samples tell not to be it: number is ours, his_no is
// not.
func (s *speaker) eligible(c canon, places []place) []place {
	if c.name != "number" && c.name != "his_no" || len(s.among) == 0 {
		return places
	}
	own, known := s.found[s.among[0].name]
	if !known || own.text == "" {
		return places
	}
	return slices.DeleteFunc(slices.Clone(places), func(p place) bool {
		return p.Seen && (p.Sample == own.text) != (c.name == "number")
	})
}

func (s *speaker) wanted(c canon) string {
	if c.name == "state" {
		return `as = from_code("` + s.noun + `_state", answer.X), or = if answer.X == "1" {"done"} else {"absent"} in quotes`
	}
	return ""
}

// find finds the place that looks most like a field of ours.
func find(c canon, places []place) (place, bool) {
	best, found := 59, place{}
	for _, p := range places {
		if p.List || !p.leaf() || p.inList {
			continue
		}
		list := fieldWords[c.name]
		if c.name == "message" {
			list = strings.Join(wordsWords, " ")
		}
		score := resemblance(p.Field, c.name, list)
		if c.name == "state" && oneOf(p.Name, words("result status code success flag ret")) && strings.Count(p.at, ".") < 2 {
			score = 0 // that is whether the question was understood
		}
		if score > best {
			best, found = score, p
		}
	}
	return found, found.at != ""
}

// read writes a field of ours out of a place of theirs.
func (s *speaker) read(kind core.Kind, c canon, at string, f Field) entry {
	s.places++
	note := "guess"
	expression := at
	switch c.is {
	case isMoney:
		unit, sure := unitOf(f)
		expression = "from_" + unit + "(" + at + ")"
		if !sure {
			note = "guess; TODO verify that it is in " + unit
		}
	case isTime:
		layout := layoutOf(f)
		if layout == "" {
			layout, note = "yyyy-MM-dd HH:mm:ss", "guess; TODO verify the form"
		}
		expression = "from_time(" + at + ", " + text(layout) + ")"
	case isDay:
		if layout := layoutOf(f); layout != "" && layout != "yyyy-MM-dd" {
			expression = "time(from_time(" + at + ", " + text(layout) + `), "yyyy-MM-dd")`
		}
	case isCode:
		table := c
		if c.name == "state" || c.name == "type" || c.name == "stage" {
			table.name = s.noun + "_" + c.name
		}
		if c.name == "state" {
			// Most HIS's have no word for the other two.
			table.values = []string{"done", "absent", "refused"}
		}
		name := s.codeTable(table, f.Sample)
		if t := s.codes[name]; c.name == "state" && f.Sample != "" && t.theirs["done"] == "" {
			t.theirs["done"] = f.Sample
			note = "guess; codes/" + name + ".csv takes the sample's for done"
		}
		for _, r := range s.without {
			for _, p := range placesOf(r.inner, "answer", 0) {
				if t := s.codes[name]; c.name == "state" && p.at == at && p.Sample != "" && p.Sample != t.theirs["done"] {
					t.theirs["absent"] = p.Sample
				}
			}
		}
		expression = "from_code(" + text(name) + ", " + at + ")"
		if c.name == "state" && s.absent != "" {
			expression = "if " + s.absent + ` {"absent"} else {` + expression + "}"
		}
	case isTruth:
		s.open++
		s.places--
		return entry{key: c.name, value: open, note: "as = " + at + ` == "1"` + sampled(f)}
	case isTexts:
		expression = "list(" + at + ")"
	}
	return entry{key: c.name, value: cellOf(expression), note: join(note, typeNote(f, ""))}
}

func sampled(f Field) string {
	if f.Seen {
		return "; the sample has " + masked(f.Sample)
	}
	return ""
}

// many writes a list of an answer.
func (s *speaker) many(kind core.Kind, c canon, places []place) []entry {
	var lists []place
	for _, p := range places {
		if len(p.Children) > 0 && len(p.Nested) == 0 {
			lists = append(lists, p)
		}
	}
	best, score := place{}, 1
	for _, p := range lists {
		n := 0
		for _, child := range p.Children {
			if _, ok := likely(child, c.fields); ok {
				n += 2
			}
		}
		if p.List {
			n += 3
		}
		// Of two that are one in the other, the inner one has the rows.
		if n > score || n == score && len(p.at) > len(best.at) && n > 1 {
			best, score = p, n
		}
	}
	if best.at == "" {
		if !c.required {
			return nil
		}
		s.open++
		return []entry{{key: c.name, value: open, note: "as a list: - {$each: row in list(answer.X), ...}"}}
	}
	if e, ok := s.grouped(kind, c, best); ok {
		return []entry{e}
	}
	row := rowNames[c.name]
	if row == "" {
		row = "row"
	}
	under := []entry{{key: "$each", value: row + " in list(" + best.at + ")"}}
	inside := placesOf(best.Children, row, 0)
	ours := "" // the place of our own number, which is not the HIS's
	for _, f := range c.fields {
		if f.is == isMany {
			if e := s.many(kind, f, inside); e != nil {
				under = append(under, e...)
			}
			continue
		}
		among := inside
		if f.name == "his_no" && ours != "" {
			among = slices.DeleteFunc(slices.Clone(inside), func(p place) bool { return p.at == ours })
		}
		if p, ok := find(f, among); ok {
			if f.name == "number" {
				ours = p.at
			}
			under = append(under, s.read(kind, f, p.at, p.Field))
		} else if f.required {
			s.open++
			under = append(under, entry{key: f.name, value: open})
		}
	}
	return []entry{{key: c.name, note: "guess", under: []entry{{item: true, under: under}}}}
}

var rowNames = map[string]string{"bills": "b", "lines": "line", "departments": "d", "doctors": "d"}

// grouped writes bills of which the HIS gives the lines, one row each.
func (s *speaker) grouped(kind core.Kind, c canon, rows place) (entry, bool) {
	i := slices.IndexFunc(c.fields, func(f canon) bool { return f.name == "lines" })
	if c.name != "bills" || i < 0 {
		return entry{}, false
	}
	inside := placesOf(rows.Children, "line", 0)
	for _, p := range inside {
		if !p.leaf() {
			return entry{}, false // the lines stand in the bill
		}
	}
	bill, ok := find(canon{name: "bill_no"}, inside)
	amount, ok2 := find(canon{name: "amount"}, inside)
	_, named := find(canon{name: "code"}, inside)
	if !ok || !ok2 || !named {
		return entry{}, false
	}
	unit, _ := unitOf(amount.Field)
	s.places += 2
	lines := []entry{{key: "$each", value: "line in g.items"}}
	for _, f := range c.fields[i].fields {
		if p, ok := find(f, inside); ok {
			lines = append(lines, s.read(kind, f, p.at, p.Field))
		} else if f.required {
			s.open++
			lines = append(lines, entry{key: f.name, value: open})
		}
	}
	under := []entry{
		{key: "$each", value: "g in group(list(" + rows.at + "), " + text(strings.TrimPrefix(bill.Name, ".")) + ")", note: "one row for each line"},
		{key: "bill_no", value: "= g.key"},
		{key: "amount", value: "= total(map(g.items, from_" + unit + "(" + strings.Replace(amount.at, "line", "", 1) + ")))", note: "TODO verify that it is in " + unit},
		{key: "lines", under: []entry{{item: true, under: lines}}},
	}
	return entry{key: "bills", note: "guess", under: []entry{{item: true, under: under}}}, true
}
