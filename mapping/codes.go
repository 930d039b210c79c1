package mapping

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"hishub/core"
	"hishub/mapping/codes"
	"hishub/mapping/functions"
)

// codeTable is codes/<name>.csv in a folder.
type codeTable struct {
	*codes.Table
	name string
	file string
	zone *time.Location
	used bool
	// usedBack are the cells that use the table with from_code.
	usedBack []pos
	needs    []need
	// words are the values of ours that its cells can take or give, where they are fixed.
	words   []string
	lookups map[lookupKey]*lookup
}

// need is an enumeration that the table must map completely.
type need struct {
	of     string // the field, as it was written
	values []string
}

// lookup is one direction of a table, as a cell uses it.
type lookup struct {
	*codes.Lookup
	zone *time.Location
}

type lookupKey struct {
	back   bool
	column string
}

// code is code(...) and from_code(...): it maps a code; nil stays nil, an empty
// code is as unmapped as any other. text is what the message calls it.
//
// What we say is looked up by when the message was accepted, so that it stays the
// same at every attempt, over midnight too. What the HIS says in an answer is in the codes that
// it has when it answers, so that is looked up by the attempt.
func (r *run) code(l *lookup, v, text any) (any, error) {
	if v == nil {
		return nil, nil
	}
	code, err := functions.Text(v)
	if err != nil {
		return nil, fmt.Errorf("code table %q: %w", l.Table(), err)
	}
	day := codes.Day(0)
	if l.Dated() {
		at := r.in.Stamp.Time
		if r.answered && l.Direction() == core.CodeIn {
			at = r.in.Stamp.At
		}
		day = codes.DayOf(at.In(l.zone))
	}
	out, defaulted, err := l.Find(code, day)
	name, _ := text.(string)
	var unmapped *core.UnmappedCode
	switch {
	case errors.As(err, &unmapped):
		unmapped.Text = name
		return nil, err
	case err != nil:
		return nil, err
	case !defaulted:
		return out, nil
	}
	r.codes = core.AddCodes(r.codes, core.CodeUse{Table: l.Table(), Direction: l.Direction(), Code: code, Text: name, Defaulted: true})
	return out, nil
}

func (t *codeTable) lookup(back bool, column string) *lookup {
	key := lookupKey{back, column}
	if l := t.lookups[key]; l != nil {
		return l
	}
	l := &lookup{zone: t.zone}
	if back {
		l.Lookup = t.Back()
	} else {
		l.Lookup = t.Table.Lookup(column)
	}
	t.lookups[key] = l
	return l
}

// Find implements core.CodeTable.
func (t *codeTable) Find(d core.CodeDirection, code string, at time.Time) (string, bool, error) {
	return t.lookups[lookupKey{d == core.CodeIn, codes.Theirs}].Find(code, codes.DayOf(at.In(t.zone)))
}

// Near implements core.CodeTable.
func (t *codeTable) Near(d core.CodeDirection, code string) string { return t.Table.Near(d, code) }

func (t *codeTable) mustMap(e core.Enumeration, field string) {
	t.closed(e)
	n := need{field, e.Values()}
	if !slices.ContainsFunc(t.needs, func(o need) bool { return o.of == n.of }) {
		t.needs = append(t.needs, n)
	}
}

// readCodes reads all tables of the folder.
func readCodes(folder fs.FS, zone *time.Location, found *findings) map[string]*codeTable {
	tables := map[string]*codeTable{}
	files, _ := fs.Glob(folder, "codes/*")
	for _, file := range files {
		if hidden(file) {
			continue
		}
		if path.Ext(file) != ".csv" {
			found.warn(pos{file, 1, 1}, "name it codes/<table>.csv, or bring it in with hishub codes import", "not a code table")
			continue
		}
		data, err := readRegular(folder, file)
		if err != nil {
			found.mistake(pos{file, 1, 1}, "", "cannot be read: %v", errors.Unwrap(err))
			continue
		}
		name := strings.TrimSuffix(path.Base(file), ".csv")
		table, wrong := codes.Read(name, data)
		for _, p := range wrong {
			found.mistake(pos{file, p.Line, p.Column}, p.Cure, "%s", p.What)
		}
		if table != nil {
			t := &codeTable{Table: table, name: name, file: file, zone: zone, lookups: map[lookupKey]*lookup{}}
			t.lookup(false, codes.Theirs)
			tables[name] = t
		}
	}
	return tables
}

// checkCodes reports what can only be said once all cells are compiled.
func checkCodes(tables map[string]*codeTable, found *findings) {
	for _, t := range tables {
		if len(t.usedBack) > 0 {
			at := slices.MinFunc(t.usedBack, func(a, b pos) int { return strings.Compare(a.String(), b.String()) })
			t.Ambiguous(func(first, second *codes.Row) {
				found.mistake(pos{t.file, second.Line, 1}, "give each of them a code of its own, or all but one the direction out",
					"%q stands for two of ours, here and in line %d; from_code(%q) is used at %s:%d", second.Values[1], first.Line, t.name, at.file, at.line)
			})
		}
		today := codes.DayOf(time.Now().In(t.zone))
		for _, n := range t.needs {
			for _, v := range n.values {
				gap, ok := t.Gap(v, today)
				switch {
				case !ok || slices.Contains(t.Open, v):
				case gap.Never:
					found.mistake(pos{t.file, 1, 1}, fmt.Sprintf("add a line %s,<their code>, or %[1]s with %s", v, codes.CureUnknown), "%q, a value of %s, is not in the table", v, n.of)
				case gap.Until == 0:
					found.mistake(pos{t.file, 1, 1}, "let a row of it have no until", "%q, a value of %s, is in no row from %s on", v, n.of, gap.From)
				default:
					found.mistake(pos{t.file, 1, 1}, "close the gap between its rows", "%q, a value of %s, is in no row from %s until %s", v, n.of, gap.From, gap.Until)
				}
			}
		}
	}
}

// checkValues reports lines whose own side is not a value of the enumeration that
// from_code gives.
func (t *codeTable) checkValues(e core.Enumeration, field string, found *findings) {
	t.closed(e)
	for _, r := range t.Rows {
		if r.In && !slices.Contains(e.Values(), r.Ours) {
			found.mistake(pos{t.file, r.Line, 1}, "it is one of "+strings.Join(e.Values(), ", "), "%q is not a value of %s", r.Ours, field)
		}
	}
}

func (t *codeTable) closed(e core.Enumeration) {
	for _, v := range e.Values() {
		if !slices.Contains(t.words, v) {
			t.words = append(t.words, v)
		}
	}
}

// ClosedSets gives, by table, the values of ours that the folder's cells use it for,
// where those are fixed: what a proposal can choose from. Mistakes do no harm, as an
// incomplete table is one.
func ClosedSets(folder fs.FS, o Options) map[string][]string {
	if o.Env == nil {
		o.Env = func(string) (string, bool) { return "", false }
	}
	l := &loader{findings: &findings{}, files: folder, options: o, zone: time.UTC}
	l.load()
	sets := map[string][]string{}
	for name, t := range l.codes {
		sets[name] = t.words
	}
	return sets
}

func joined(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	return strings.Join(names, ", ")
}
