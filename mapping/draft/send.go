package draft

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"hishub/core"
)

// speaker writes the documents of one operation.
type speaker struct {
	*plan
	noun  string
	among []canon
	// found are the values that a recorded message has for fields of ours, by
	// their path, for its case.
	found map[string]value
	// rows are those of each list of ours, for the same.
	rows map[string][]map[string]value
	// absent is the condition under which the HIS does not know what was asked about.
	absent string
	// without are the answers of a HIS that does not know it.
	without []*seen
	places  int // guesses, and
	open    int // open points
	each    int // lists that were opened, for names of their items
}

// value is what a recorded message says of a field of ours.
type value struct {
	text string
	of   canon
	fen  bool // the money is in fen
}

// speak writes a document for a transaction's message.
func (p *plan) speak(kind core.Kind) *speaker {
	t, _ := core.Lookup(kind)
	return &speaker{plan: p, noun: t.Noun, among: messageOf(kind), found: map[string]value{}, rows: map[string][]map[string]value{}}
}

// document writes fields in their order.
func (s *speaker) document(fields []Field) []entry { return s.fields(fields, s.noun, s.among, "") }

func (s *speaker) fields(fields []Field, from string, among []canon, path string) []entry {
	var out []entry
	taken := map[string]bool{}
	for _, f := range fields {
		out = append(out, s.field(f, from, among, path, taken)...)
	}
	return out
}

func (s *speaker) field(f Field, from string, among []canon, path string, taken map[string]bool) []entry {
	key := keyOf(f.Name)
	if strings.HasPrefix(f.Name, ".") && f.Seen && (strings.HasPrefix(f.Name, ".xmlns") || strings.HasPrefix(f.Name, ".xsi:")) {
		return []entry{{key: key, value: quoted(f.Sample)}}
	}
	if len(f.Nested) > 0 {
		return []entry{s.nested(key, f, s.fields(f.Children, from, among, path))}
	}
	if !f.leaf() {
		return s.branch(key, f, from, among, path)
	}
	if f.List {
		if c, ok := likely(f, among); ok && c.is == isTexts {
			return []entry{{key: key, note: "guess", under: []entry{{item: true, under: []entry{{key: "$each", value: "x in " + from + "." + c.name}, {key: "$value", value: "= x"}}}}}}
		}
		s.open++
		return []entry{{key: key, value: "[" + open + "]", note: typeNote(f, "a list")}}
	}
	if c, ok := likely(f, among); ok {
		if e, ok := s.cell(key, f, from+"."+c.name, c); ok {
			s.places++
			if f.Seen && !taken[c.name] {
				s.found[path+c.name] = value{f.Sample, c, strings.Contains(e.value, "fen(")}
			}
			taken[c.name] = true
			return []entry{e}
		}
	}
	if f.Seen && oneOf(f.Name, callWords) && f.Sample != "" && path == "" {
		return []entry{{key: key, value: literal(f.Sample, f.Bare), note: "as in the sample"}}
	}
	if e, ok := s.firstDiagnosis(key, f, among); ok {
		return []entry{e}
	}
	if e, ok := s.surrounding(key, f); ok {
		return []entry{e}
	}
	if strings.HasSuffix(path, "[].") && resemblance(f, "", lineNumberWords) >= 80 {
		s.places++
		return []entry{{key: key, value: "= n", note: join("guess: the number of the line", typeNote(f, ""))}}
	}
	e := s.unknown(key, f)
	for _, c := range only(among, isMany) {
		if resemblance(f, c.name, fieldWords[c.name]) >= 80 && e.value == open {
			e.note = join("a text that holds a list: give a sample, or write as {$xml: {Items: {Item: [{$each: x in "+from+"."+c.name+", Code: = x.code}]}}}", e.note)
		}
	}
	return []entry{e}
}

// branch writes what has children: a list of ours, or a mere wrapper.
func (s *speaker) branch(key string, f Field, from string, among []canon, path string) []entry {
	lists := only(among, isMany)
	// A wrapper of one repeated child is the list's, too: Items{Item[]}.
	target, inner := f, []Field{f}
	if len(f.Children) == 1 && !f.Children[0].leaf() && !f.List {
		target, inner = f.Children[0], []Field{f, f.Children[0]}
	}
	if c, ok := likelyList(f, target, lists); ok {
		s.places++
		s.each++
		item := []string{"item", "line", "part", "entry"}[min(3, s.each-1)]
		if c.name == "diagnoses" {
			item = "d"
		}
		under := append([]entry{{key: "$each", value: item + ", n in " + from + "." + c.name}}, s.fields(target.Children, item, c.fields, path+c.name+"[].")...)
		s.sampleRows(target, path+c.name, c.fields)
		list := []entry{{item: true, under: under}}
		if len(inner) == 2 {
			return []entry{{key: key, note: "guess", under: []entry{{key: keyOf(target.Name), under: list}}}}
		}
		return []entry{{key: key, note: "guess", under: list}}
	}
	if c, ok := likely(f, only(among, isRecord)); ok && c.is == isRecord {
		return []entry{{key: key, note: "guess", under: s.fields(f.Children, from+"."+c.name, c.fields, path+c.name+".")}}
	}
	under := s.fields(f.Children, from, among, path)
	if f.List {
		return []entry{{key: key, note: typeNote(f, "a list; TODO repeat it with $each where it should be"), under: []entry{{item: true, under: under}}}}
	}
	return []entry{{key: key, under: under}}
}

// sampleRows notes what the rows of a sample say, for its case.
func (s *speaker) sampleRows(f Field, path string, canons []canon) {
	if s.rows == nil {
		return
	}
	rows := f.Rows
	if len(rows) == 0 {
		rows = [][]Field{f.Children}
	}
	for _, row := range rows {
		of := map[string]value{}
		for _, child := range row {
			if c, ok := likely(child, canons); ok && child.leaf() && child.Seen {
				if _, twice := of[path+"[]."+c.name]; !twice {
					unit, _ := unitOf(child)
					of[path+"[]."+c.name] = value{child.Sample, c, unit == "fen" && c.is == isMoney}
				}
			}
		}
		if len(of) > 0 {
			s.rows[path] = append(s.rows[path], of)
		}
	}
}

// firstDiagnosis is for a HIS that has room for one only.
func (s *speaker) firstDiagnosis(key string, f Field, among []canon) (entry, bool) {
	if !slices.ContainsFunc(among, func(c canon) bool { return c.name == "diagnoses" && c.is == isMany }) {
		return entry{}, false
	}
	for _, d := range []struct{ part, words string }{
		{"code", "zddm zdbm icd icdcode icd10 diagcode diagnosiscode diseasecode 诊断代码 诊断编码"},
		{"name", "zdmc icdname diagname diagnosisname diseasename maindiag clindiag 诊断名称 诊断 临床诊断"},
	} {
		if resemblance(f, "", d.words) >= 80 {
			s.places++
			return entry{key: key, value: "= first(" + s.noun + ".diagnoses)." + d.part, note: join("guess; the first of several", typeNote(f, ""))}, true
		}
	}
	return entry{}, false
}

func only(all []canon, is canonType) []canon {
	return slices.DeleteFunc(slices.Clone(all), func(c canon) bool { return c.is != is })
}

// likelyList finds the list of ours that a HIS's list is, by its name or that of
// its wrapper, or because there is only one.
func likelyList(outer, inner Field, lists []canon) (canon, bool) {
	for _, f := range []Field{outer, inner} {
		if c, ok := likely(f, lists); ok {
			return c, true
		}
	}
	if !outer.List && !inner.List {
		return canon{}, false
	}
	// Else the one whose fields are most like its own.
	best, found := 1, canon{}
	for _, c := range lists {
		n := 0
		for _, child := range inner.Children {
			if _, ok := likely(child, c.fields); ok {
				n++
			}
		}
		if n > best {
			best, found = n, c
		}
	}
	return found, found.name != ""
}

// nested writes a document inside a text.
func (s *speaker) nested(key string, f Field, under []entry) entry {
	if len(under) == 0 {
		under = []entry{{key: "TODO_empty"}}
	}
	for i := len(f.Nested) - 1; i >= 0; i-- {
		if f.Nested[i] == "base64" {
			s.open++
			return entry{key: key, value: open, note: "base64 of a document: name it in let, as doc: {$" + f.Nested[len(f.Nested)-1] + ": {...}}, and write = base64(doc)"}
		}
		under = []entry{{key: "$" + f.Nested[i], under: under}}
	}
	if f.CData {
		under = []entry{{key: "$cdata", under: under}}
	}
	return entry{key: key, under: under}
}

// unknown writes what nobody guessed: what a sample has, or an open point.
func (s *speaker) unknown(key string, f Field) entry {
	if f.Seen && f.Sample == "" {
		return entry{key: key, note: "empty in the sample"}.empty()
	}
	s.open++
	note := typeNote(f, "")
	if f.Seen {
		note = join(note, "the sample has "+masked(f.Sample))
	}
	return entry{key: key, value: open, note: note}
}

func (e entry) empty() entry {
	e.value = `""`
	return e
}

// masked shows how a value is written, without what it says: a sample may be a
// patient's.
func masked(s string) string {
	rs := []rune(s)
	if len(rs) > 24 {
		return fmt.Sprintf("%d characters", len(rs))
	}
	for i := range rs {
		switch {
		case len(rs) > 2 && rs[i] >= '0' && rs[i] <= '9':
			rs[i] = '9'
		case rs[i] >= 0x80:
			rs[i] = '某'
		}
	}
	return text(string(rs))
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}

// typeNote is what the description says of a field.
func typeNote(f Field, more string) string {
	optional := ""
	if f.Optional {
		optional = "may be left out"
	}
	return join(more, f.Type, f.Words, optional)
}

// cell writes a field of ours into a place of theirs.
func (s *speaker) cell(key string, f Field, from string, c canon) (entry, bool) {
	note := "guess"
	bare := func(expression string) string {
		if f.Bare {
			return "number(" + expression + ")"
		}
		return expression
	}
	var expression string
	switch c.is {
	case isText:
		expression = from
		if f.Bare {
			expression = bare(from)
		}
		if c.name == "frequency" || c.name == "route" || c.name == "dose_unit" {
			note = `guess; if the HIS has codes of its own: = code("` + c.name + `", ` + from + `) and codes/` + c.name + `.csv`
		}
	case isDay:
		expression = from
		if layout := layoutOf(f); layout == "yyyyMMdd" {
			expression = "replace(" + from + `, "-", "")`
		} else if layout != "" && layout != "yyyy-MM-dd" {
			expression = "time(from_time(" + from + `, "yyyy-MM-dd"), ` + text(layout) + ")"
		} else if layout == "" {
			note = "guess; yyyy-MM-dd, TODO verify"
		}
	case isMoney:
		unit, sure := unitOf(f)
		expression = bare(unit + "(" + from + ")")
		if note = "guess; TODO verify that it is in " + unit; sure {
			note = "guess; in " + unit
		}
	case isTime:
		layout := layoutOf(f)
		if note = "guess; TODO verify the form"; layout != "" {
			note = "guess"
		} else {
			layout = "yyyy-MM-dd HH:mm:ss"
		}
		expression = "time(" + from + ", " + text(layout) + ")"
	case isCode:
		expression = bare("code(" + text(s.codeTable(c, f.Sample)) + ", " + from + ")")
	case isTruth:
		return entry{key: key, value: cellOf("if " + from + ` {"1"} else {"0"}`), note: join("guess", typeNote(f, ""))}, true
	case isNumber:
		expression = from
		if f.Bare {
			expression = "number(text(" + from + "))"
		}
	case isTexts:
		sep, sure := separatorOf(f.Sample)
		expression, note = "join("+from+", "+text(sep)+")", "guess; TODO verify the separator"
		if sure {
			note = "guess"
		}
	default:
		return entry{}, false
	}
	f.Optional = false // what is given needs no such remark
	return entry{key: key, value: cellOf(expression), note: join(note, typeNote(f, ""))}, true
}

// separatorOf finds what stands between several values of a sample.
func separatorOf(sample string) (sep string, sure bool) {
	for _, sep := range []string{",", "^", "|", ";", "，"} {
		if strings.Contains(sample, sep) {
			return sep, true
		}
	}
	return ",", false
}

// surrounding writes what does not come from the message.
func (s *speaker) surrounding(key string, f Field) (entry, bool) {
	for _, w := range surrounding {
		if resemblance(f, "", w.words) < 80 {
			continue
		}
		switch {
		case w.constant != "":
			return entry{key: key, value: "= const." + s.constant(w.constant, f), note: join("guess", typeNote(f, ""))}, true
		case w.cell == "time":
			layout := layoutOf(f)
			if layout == "" {
				layout = "yyyy-MM-dd HH:mm:ss"
			}
			return entry{key: key, value: "= time(attempt.time, " + text(layout) + ")", note: join("guess", typeNote(f, ""))}, true
		case w.cell == "secret":
			return entry{key: key, value: "= secret." + s.secret("password"), note: join("guess", typeNote(f, ""))}, true
		case w.cell == open:
			s.open++
			return entry{key: key, value: open, note: join("a token is session.token, a signature is let and functions", typeNote(f, ""))}, true
		default:
			return entry{key: key, value: w.cell, note: join("guess", typeNote(f, ""))}, true
		}
	}
	return entry{}, false
}

var layouts = []struct {
	form   *regexp.Regexp
	layout string
}{
	{regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`), "yyyy-MM-dd HH:mm:ss"},
	{regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`), "yyyy-MM-ddTHH:mm:ss"},
	{regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$`), "yyyy-MM-ddTHH:mm:ssXXX"},
	{regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d$`), "yyyy/MM/dd HH:mm:ss"},
	{regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d$`), "yyyy-MM-dd HH:mm"},
	{regexp.MustCompile(`^\d{14}$`), "yyyyMMddHHmmss"},
	{regexp.MustCompile(`^\d{17}$`), "yyyyMMddHHmmssSSS"},
	{regexp.MustCompile(`^(19|20)\d{6}$`), "yyyyMMdd"},
	{regexp.MustCompile(`^\d{4}-\d\d-\d\d$`), "yyyy-MM-dd"},
	{regexp.MustCompile(`^\d{4}/\d\d/\d\d$`), "yyyy/MM/dd"},
}

// layoutOf tells how a time is written, by its sample or its type; "" is unknown.
func layoutOf(f Field) string {
	for _, l := range layouts {
		if f.Seen && l.form.MatchString(f.Sample) {
			return l.layout
		}
	}
	switch strings.ToLower(f.Type) {
	case "datetime", "date-time":
		return "yyyy-MM-ddTHH:mm:ss"
	case "date":
		return "yyyy-MM-dd"
	case "char(8)", "varchar(8)", "varchar2(8)":
		return "yyyyMMdd"
	case "char(14)", "varchar(14)", "varchar2(14)":
		return "yyyyMMddHHmmss"
	case "timestamp":
		return "yyyy-MM-dd HH:mm:ss"
	}
	return ""
}

// unitOf tells yuan from fen, and whether that is more than a guess.
func unitOf(f Field) (unit string, sure bool) {
	said := strings.ToLower(f.Words) + " " + strings.ToLower(f.Name)
	switch {
	case strings.Contains(said, "单位分") || strings.Contains(said, "单位:分") || strings.Contains(said, "单位：分") || strings.Contains(said, "(分)") || strings.Contains(said, "（分）") || slices.Contains(cut(f.Name), "fen") || slices.Contains(cut(f.Name), "cents"):
		return "fen", true
	case strings.Contains(said, "元"):
		return "yuan", true
	case f.Seen && strings.Contains(f.Sample, "."):
		return "yuan", true
	case f.Seen && len(f.Sample) > 2:
		return "fen", false
	}
	switch t := strings.ToLower(f.Type); t {
	case "int", "integer", "long", "int32", "int64", "bigint":
		return "fen", false
	}
	return "yuan", false
}
