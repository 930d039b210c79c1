package mapping

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"hishub/core"
	"hishub/mapping/functions"
)

// codeTable is codes/<name>.csv: columns ours and theirs, and any more.
type codeTable struct {
	name    string
	file    string
	columns []string
	rows    []codeRow
	used    bool
	// usedBack are the cells that use the table with from_code.
	usedBack []pos
	needs    []need
	lookups  map[lookupKey]*lookup
}

type codeRow struct {
	pos
	values []string
}

// need is an enumeration that the table must map completely.
type need struct {
	of     string // the field, as it was written
	values []string
}

// UnmappedCode is the error of a code that a table does not have. Codes are not
// personal, so it may be named.
type UnmappedCode struct {
	Table  string
	Column string // the column that was searched: ours or theirs
	Code   string
}

func (e *UnmappedCode) Error() string {
	return fmt.Sprintf("code table %q has no %s %q", e.Table, e.Column, e.Code)
}

// lookup is one direction of a table.
type lookup struct {
	table, column string
	values        map[string]string
}

type lookupKey struct {
	back   bool
	column string
}

// find maps a code; nil stays nil, an empty code is as unmapped as any other.
func (l *lookup) find(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	code, err := functions.Text(v)
	if err != nil {
		return nil, fmt.Errorf("code table %q: %w", l.table, err)
	}
	if out, ok := l.values[code]; ok {
		return out, nil
	}
	return nil, &UnmappedCode{Table: l.table, Column: l.column, Code: code}
}

func (t *codeTable) lookup(back bool, column string) *lookup {
	key := lookupKey{back, column}
	if l := t.lookups[key]; l != nil {
		return l
	}
	from, to := "ours", column
	if back {
		from, to = "theirs", "ours"
	}
	l := &lookup{table: t.name, column: from, values: map[string]string{}}
	i, j := slices.Index(t.columns, from), slices.Index(t.columns, to)
	for _, r := range t.rows {
		l.values[r.values[i]] = r.values[j]
	}
	t.lookups[key] = l
	return l
}

func (t *codeTable) mustMap(e core.Enumeration, field string) {
	n := need{field, e.Values()}
	if !slices.ContainsFunc(t.needs, func(o need) bool { return o.of == n.of }) {
		t.needs = append(t.needs, n)
	}
}

// readCodes reads all tables of the folder.
func readCodes(folder fs.FS, found *findings) map[string]*codeTable {
	tables := map[string]*codeTable{}
	files, _ := fs.Glob(folder, "codes/*")
	for _, file := range files {
		if hidden(file) {
			continue
		}
		if path.Ext(file) != ".csv" {
			found.warn(pos{file, 1, 1}, "name it codes/<table>.csv", "not a code table")
			continue
		}
		data, err := readRegular(folder, file)
		if err != nil {
			found.mistake(pos{file, 1, 1}, "", "cannot be read: %v", errors.Unwrap(err))
			continue
		}
		name := strings.TrimSuffix(path.Base(file), ".csv")
		if t := readCodeTable(name, file, data, found); t != nil {
			tables[name] = t
		}
	}
	return tables
}

func readCodeTable(name, file string, data []byte, found *findings) *codeTable {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	r.FieldsPerRecord = -1
	t := &codeTable{name: name, file: file, lookups: map[lookupKey]*lookup{}}
	ours := map[string]int{}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			found.mistake(pos{file, parse.Line, parse.Column}, "", "not CSV: %v", parse.Err)
			return nil
		}
		line, column := r.FieldPos(0)
		at := pos{file, line, column}
		if t.columns == nil {
			if len(record) < 2 || record[0] != "ours" || record[1] != "theirs" {
				found.mistake(at, "write ours,theirs and any more columns", "the first line names the columns")
				return nil
			}
			t.columns = record
			continue
		}
		switch {
		case len(record) != len(t.columns):
			found.mistake(at, "", "the line has %d columns, the first has %d", len(record), len(t.columns))
		case record[0] == "" || record[1] == "":
			found.mistake(at, "write both, or leave the line out", "a code is empty")
		case ours[record[0]] > 0:
			found.mistake(at, "keep one of them", "%q is here a second time, the first is in line %d", record[0], ours[record[0]])
		default:
			ours[record[0]] = line
			t.rows = append(t.rows, codeRow{at, record})
		}
	}
	if t.columns == nil {
		found.mistake(pos{file, 1, 1}, "write ours,theirs and a line for each code", "the table is empty")
		return nil
	}
	return t
}

// checkCodes reports what can only be said once all cells are compiled.
func checkCodes(tables map[string]*codeTable, found *findings) {
	for _, t := range tables {
		theirs := map[string]codeRow{}
		for _, r := range t.rows {
			if _, twice := theirs[r.values[1]]; twice && len(t.usedBack) > 0 {
				at := slices.MinFunc(t.usedBack, func(a, b pos) int { return strings.Compare(a.String(), b.String()) })
				found.mistake(r.pos, "give each of them a code of its own", "%q stands for two of ours; from_code(%q) is used at %s:%d", r.values[1], t.name, at.file, at.line)
			}
			theirs[r.values[1]] = r
		}
		for _, n := range t.needs {
			for _, v := range n.values {
				if !slices.ContainsFunc(t.rows, func(r codeRow) bool { return r.values[0] == v }) {
					found.mistake(pos{t.file, 1, 1}, fmt.Sprintf("add a line %s,<their code>", v), "%q, a value of %s, is not in the table", v, n.of)
				}
			}
		}
	}
}

// checkValues reports lines whose own side is not a value of the enumeration that
// from_code gives.
func (t *codeTable) checkValues(e core.Enumeration, field string, found *findings) {
	for _, r := range t.rows {
		if !slices.Contains(e.Values(), r.values[0]) {
			found.mistake(r.pos, "it is one of "+strings.Join(e.Values(), ", "), "%q is not a value of %s", r.values[0], field)
		}
	}
}

func joined(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	return strings.Join(names, ", ")
}
