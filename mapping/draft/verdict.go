package draft

import (
	"regexp"
	"slices"
	"strings"
)

// openAnswer goes down to where an answer says whether it was done: the cell that
// reads it, and the fields that it then has.
func (s *seen) openAnswer(anyRoot bool) (cell string, fields []Field) {
	cell, fields = "body", s.fields
	format := s.format
	name := "from_" + format
	if s.lenient {
		name = "from_loose_" + format
	}
	if format != "" {
		cell = name + "(body)"
	}
	if s.soap != "" && len(fields) == 1 && (fields[0].leaf() || len(fields[0].Nested) > 0) {
		// The connector gives a lone text as body itself.
		if len(fields[0].Nested) == 0 {
			return "body", nil
		}
		for _, n := range fields[0].Nested {
			cell = "from_" + n + "(" + cell + ")"
			format = n
		}
		fields = fields[0].Children
	}
	for range 6 {
		if format == "xml" && len(fields) == 1 && !fields[0].leaf() {
			if anyRoot {
				cell = "root(" + cell + ")"
			} else {
				cell = step(cell, fields[0].Name)
			}
			fields = fields[0].Children
		}
		if _, ok := codeOf(fields, "answer"); ok {
			break
		}
		at := slices.IndexFunc(fields, func(f Field) bool { return len(f.Nested) > 0 && !f.List })
		if at < 0 {
			break
		}
		f := fields[at]
		cell, fields = step(cell, f.Name), f.Children
		for _, n := range f.Nested {
			cell, format = "from_"+n+"("+cell+")", n
		}
	}
	return cell, fields
}

// codeOf finds the field of an answer that says whether it was done.
func codeOf(fields []Field, from string) (place, bool) {
	best, found := len(codeWords), place{}
	for _, p := range placesOf(fields, from, 0) {
		if !p.leaf() || p.List || strings.Count(p.at, ".") > 3 || strings.Contains(p.at, "from_") {
			continue
		}
		if i := slices.Index(codeWords, plainName(p.Name)); i >= 0 && i < best {
			best, found = i, p
		}
	}
	return found, found.at != ""
}

func wordsOf(fields []Field, from string) (place, bool) {
	best, found := len(wordsWords), place{}
	for _, p := range placesOf(fields, from, 0) {
		if i := slices.Index(wordsWords, plainName(p.Name)); i >= 0 && i < best && p.leaf() && !p.List && !strings.Contains(p.at, "from_") {
			best, found = i, p
		}
	}
	return found, found.at != ""
}

var (
	badNames = regexp.MustCompile(`(?i)fail|err|refus|reject|wrong|deny|denied|expired|unknown|busy|malformed|timeout|失败|错误|拒绝`)
	already  = regexp.MustCompile(`(?i)already|dup|repeat|again|paid|重复|已`)
	empty    = regexp.MustCompile(`(?i)empty|none|nodata|no_data|absent|notfound|not_found|missing|无数据|不存在`)
	good     = words("0 1 00 000 0000 200 success succeed ok true t aa ca y yes 10000 成功")
)

// verdicts makes the outcome rules out of the answers that were recorded.
func (p *plan) verdicts(e *entrance) {
	var answers []*seen
	for _, s := range p.samples {
		if s.answer && s.entrance == e {
			answers = append(answers, s)
		}
	}
	if len(answers) == 0 {
		p.verdictsUnseen(e)
		return
	}
	if answers[0].format == "hl7v2" {
		e.answer = "from_hl7v2(body)"
		e.rules = []entry{
			{key: "verify", value: `answer.MSA["2"] == left(attempt.id, 20)`, note: "guess: MSA-2 repeats our MSH-10"},
			{key: "ok", value: `'answer.MSA["1"] in ["AA", "CA"]'`, note: "HL7 v2"},
			{key: "rejected", value: `'answer.MSA["1"] in ["AE", "AR", "CE", "CR"]'`, note: "HL7 v2; TODO is AE more than a refusal here?"},
			{key: "message", value: `= answer.MSA["3"]`, note: "guess"},
		}
		return
	}
	cells := map[string]int{}
	for _, s := range answers {
		c, _ := s.openAnswer(false)
		cells[c]++
	}
	anyRoot := len(cells) > 1
	count := map[string]int{}
	for _, s := range answers {
		c, _ := s.openAnswer(anyRoot)
		if count[c]++; count[c] > count[e.answer] {
			e.answer = c
		}
	}
	p.anyRoot = anyRoot
	var code, said place
	var fine, refused []string
	values := map[string]bool{}
	for _, s := range answers {
		c, fields := s.openAnswer(anyRoot)
		if s.lenient {
			p.format("loose_"+s.format, s.format, "{lenient: true}")
			p.note("%s is not quite %s; it is read by from_loose_%s, which forgives", s.file, s.format, s.format)
		}
		if c != e.answer {
			p.note("%s is read by another cell than most answers: %s", s.file, c)
			continue
		}
		s.inner = fields
		at, ok := codeOf(fields, "answer")
		if !ok || code.at != "" && at.at != code.at {
			continue
		}
		code = at
		if w, ok := wordsOf(fields, "answer"); ok && (said.at == "" || w.at != code.at) {
			said = w
		}
		if values[at.Sample+"/"+s.variant] {
			continue
		}
		values[at.Sample+"/"+s.variant] = true
		v := at.Sample
		switch {
		case empty.MatchString(s.variant):
			continue // what there is not, each question says for itself
		case already.MatchString(s.variant) && !slices.Contains(good, strings.ToLower(v)):
			continue // each operation says it for itself
		case badNames.MatchString(s.variant):
			refused = appendNew(refused, v)
		case slices.Contains(good, strings.ToLower(v)):
			fine = appendNew(fine, v)
		default:
			refused = appendNew(refused, v)
		}
	}
	refused = slices.DeleteFunc(refused, func(v string) bool { return slices.Contains(fine, v) })
	e.fine, e.refused = fine, refused
	switch {
	case code.at == "":
		e.rules = append(e.rules, entry{key: "ok", value: open, note: `no code was recognised in the samples; as answer.code == "0"`})
	case len(fine) == 0:
		e.rules = append(e.rules, entry{key: "ok", value: open, note: `as ` + code.at + ` == "0"; no sample looks like a success`})
	default:
		e.rules = append(e.rules, entry{key: "ok", value: conditionOf(isOneOf(code.at, fine)), note: "guess: as in the samples; TODO verify"})
	}
	if code.at != "" {
		if len(refused) > 0 {
			e.rules = append(e.rules, entry{key: "rejected", value: conditionOf(isOneOf(code.at, refused)), note: "guess: as in the samples; TODO verify: nothing may have happened at the HIS"})
		} else {
			e.rules = append(e.rules, entry{key: "rejected", value: code.at + ` == "TODO"`, note: "until this is written, a refusal is in doubt", off: true})
		}
	}
	if said.at != "" && said.at != code.at {
		e.rules = append(e.rules, entry{key: "message", value: cellOf(said.at), note: "guess"})
	}
}

func appendNew(list []string, v string) []string {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

func isOneOf(at string, values []string) string {
	if len(values) == 1 {
		return at + " == " + text(values[0])
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = text(v)
	}
	return at + " in [" + strings.Join(quoted, ", ") + "]"
}

// verdictsUnseen makes what can be made of descriptions alone.
func (p *plan) verdictsUnseen(e *entrance) {
	if len(e.rules) > 0 {
		return
	}
	texts := 0
	for _, o := range e.offers {
		if o.Refused == "" && !o.Answers {
			texts++
		}
	}
	if e.kind == "soap" && 2*texts > len(e.offers) && e.answer == "" {
		e.answer, e.ask = open, "what is inside of the texts that are answered: give --sample x.response.xml, or write as = from_xml(body).Response"
	}
	count := map[string]int{}
	best, said := "", ""
	for _, o := range e.offers {
		if o.kind == "" {
			continue
		}
		if at, ok := codeOf(o.Answer, "answer"); ok {
			if count[at.at]++; count[at.at] > count[best] {
				best = at.at
			}
		}
		if at, ok := wordsOf(o.Answer, "answer"); ok {
			if count[at.at]++; said == "" || count[at.at] > count[said] {
				said = at.at
			}
		}
	}
	note := `as answer.code == "0"`
	switch {
	case best != "":
		note = "as " + best + ` == "0"`
	case e.kind == "rest":
		note = `as wire.status == "200"`
	}
	e.rules = append(e.rules, entry{key: "ok", value: open, note: note})
	if best != "" {
		e.rules = append(e.rules, entry{key: "rejected", value: best + ` == "TODO"`, note: "until this is written, a refusal is in doubt", off: true})
	}
	if said != "" && said != best {
		e.rules = append(e.rules, entry{key: "message", value: cellOf(said), note: "guess"})
	}
}
