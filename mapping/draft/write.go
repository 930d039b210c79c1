package draft

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"hishub/core"
)

// write makes the files. Operations come first: they say which constants, tables
// and envelopes the hospital needs.
func (p *plan) write(ctx context.Context) {
	byFile := map[string][]entry{}
	for _, t := range core.Catalogue {
		if ctx.Err() != nil {
			return
		}
		for _, e := range p.entrances {
			for _, o := range e.offers {
				if o.kind == t.Kind && p.drafted[t.Kind] == o {
					byFile[fileOf(t)] = append(byFile[fileOf(t)], p.operation(o, t))
				}
			}
		}
		for _, e := range p.entrances {
			for _, o := range e.offers {
				if o.kind == t.Kind && p.drafted[t.Kind] != o {
					also := p.also(o, t)
					also.above = fmt.Sprintf("%s also looks like %s (%s):", o.Call, t.Kind, o.why)
					byFile[fileOf(t)] = append(byFile[fileOf(t)], also)
				}
			}
		}
	}
	for file, all := range byFile {
		p.files[file] = []byte(separated(all))
	}
	p.writeOffered(ctx)
	p.writeCodes()
	p.files["hospital.yaml"] = []byte(p.hospital())
	p.files["env.sample"] = []byte("# An example: never a real address, never a real secret.\n" + strings.Join(p.env, "\n") + "\n")
}

// fileOf is the file of a transaction: one for each noun, one for all dictionaries.
func fileOf(t core.Transaction) string {
	switch t.Noun {
	case "department", "doctor", "schedule", "drug", "stock", "icd", "system":
		return "dictionary.yaml"
	}
	return t.Noun + ".yaml"
}

// separated puts blank lines between entries.
func separated(all []entry) string {
	var b strings.Builder
	for i, e := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		page(&b, []entry{e}, 0, -1)
	}
	return b.String()
}

// operation writes a transaction that was recognised.
func (p *plan) operation(o *Offer, t core.Transaction) entry {
	s := p.speak(t.Kind)
	out := entry{key: string(t.Kind), note: join("guess by "+o.why, o.Words)}
	if o.why == "" {
		out.note = o.Words
	}
	if o.envelope != "" || o.entrance.name != "default" {
		name := o.envelope
		if name == "" {
			name = o.entrance.name
		}
		out.under = append(out.under, entry{key: "envelope", value: name})
	}
	if o.Path != "" {
		out.under = append(out.under, entry{key: "call", value: cellOf(o.Path), note: "guess; " + o.Place})
	} else if o.Call == "" {
		s.open++
		out.under = append(out.under, entry{key: "call", value: open, note: "as POST /path"})
	} else {
		out.under = append(out.under, entry{key: "call", value: literal(o.Call, false), note: o.Place})
	}
	if o.Sample == nil {
		for _, name := range o.entrance.withs {
			s.open++
			o.with = append(o.with, entry{key: yamlKey(name), value: open})
		}
	}
	if len(o.with) > 0 {
		out.under = append(out.under, entry{key: "with", under: o.with})
	}
	if h := s.document(o.Headers); len(h) > 0 {
		out.under = append(out.under, entry{key: "headers", under: h})
	}
	if q := s.document(o.Query); len(q) > 0 {
		out.under = append(out.under, entry{key: "query", under: q})
	}
	switch {
	case o.Table != nil:
		out.under = append(out.under, entry{key: "send", under: s.insert(o)})
	case o.entrance.lone != "" && o.Sample == nil:
		s.open++
		out.under = append(out.under, entry{key: "send", value: open, note: "the document inside " + o.entrance.lone + ", which the WSDL does not tell: give --sample " + o.Name + ".request.xml"})
	case o.Sample != nil && o.Sample.format == "hl7v2":
		out.under = append(out.under, entry{key: "send", under: s.hl7(o.Send)})
	case o.Sends && len(o.Send) > 0:
		out.under = append(out.under, entry{key: "send", under: s.document(o.Send)})
	case !o.Sends:
		s.open++
		out.under = append(out.under, entry{key: "send", value: open, note: "nothing tells what it takes: give --sample " + o.Name + ".request.…"})
	}
	fields, from := o.Answer, "answer"
	for _, r := range o.Replies { // what is usual first
		if r.variant == "" {
			fields = merged(fields, r.inner)
		}
	}
	for _, r := range o.Replies {
		if empty.MatchString(r.variant) {
			s.without = append(s.without, r)
		} else if r.variant != "" {
			fields = merged(fields, r.inner)
		}
	}
	if o.Table != nil && o.Table.ask {
		from = "first(list(answer))"
	}
	if t.Mode == core.Question {
		out.under = append(out.under, s.noData(o)...)
	} else {
		out.under = append(out.under, s.already(o)...)
	}
	if r := s.returns(t.Kind, fields, from); len(r) > 0 {
		out.under = append(out.under, entry{key: "returns", under: r})
	}
	if t.Mode == core.Write {
		out.under = append(out.under, p.inquiry(t))
	}
	p.guesses = append(p.guesses, Guess{Kind: t.Kind, Call: o.Call, Why: o.why, Places: s.places, Open: s.open, Cases: p.cases(o, t, s)})
	return out
}

// merged are the fields of several answers: each name once, the first that has it.
func merged(a, b []Field) []Field {
	out := slices.Clone(a)
	for _, f := range b {
		i := slices.IndexFunc(out, func(g Field) bool { return g.Name == f.Name })
		switch {
		case i < 0:
			out = append(out, f)
		case out[i].Seen && out[i].Sample == "" || out[i].leaf() && !f.leaf():
			out[i] = f
		default:
			out[i].List = out[i].List || f.List
			out[i].Children = merged(out[i].Children, f.Children)
		}
	}
	return out
}

// already is the rule for what was done before, where a sample shows it by a code of
// its own.
func (s *speaker) already(o *Offer) []entry {
	for _, r := range o.Replies {
		at, ok := codeOf(r.inner, "answer")
		if !ok || !already.MatchString(r.variant) || badNames.MatchString(r.variant) || slices.Contains(o.entrance.fine, at.Sample) {
			continue
		}
		rule := entry{key: "already", value: conditionOf(isOneOf(at.at, []string{at.Sample})), note: "guess: " + r.file}
		if slices.Contains(o.entrance.refused, at.Sample) {
			rule.value, rule.note = open, "the code is that of a refusal, too ("+r.file+"); by its words, as answer.message contains \"…\""
			if said, ok := wordsOf(r.inner, "answer"); ok && said.at != at.at && said.Sample != "" && !s.saidOtherwise(o, r, said) {
				rule.value, rule.note = conditionOf(said.at+" == "+text(said.Sample)), "guess by the words of "+r.file+", as the code is that of a refusal, too; TODO verify that they never differ"
			} else {
				s.open++
			}
		}
		return []entry{{key: "outcome", under: []entry{rule}}}
	}
	return nil
}

// saidOtherwise reports whether a refusal was said in the same words.
func (s *speaker) saidOtherwise(o *Offer, but *seen, said place) bool {
	return slices.ContainsFunc(o.Replies, func(r *seen) bool {
		other, ok := wordsOf(r.inner, "answer")
		return r != but && ok && other.at == said.at && other.Sample == said.Sample
	})
}

// noData is the rule for an answer that has nothing, where a sample shows one. A
// question for a state takes it as an answer.
func (s *speaker) noData(o *Offer) []entry {
	for _, r := range o.Replies {
		at, ok := codeOf(r.inner, "answer")
		if !ok || !empty.MatchString(r.variant) {
			continue
		}
		rule := entry{key: "no_data", value: conditionOf(isOneOf(at.at, []string{at.Sample})), note: "guess: " + r.file}
		if !answerHasList(o.kind) {
			codes := appendNew(slices.Clone(o.entrance.fine), at.Sample)
			if s.absent = isOneOf(at.at, []string{at.Sample}); slices.Contains(o.entrance.fine, at.Sample) {
				s.absent = "" // its state says it
				return nil
			}
			rule = entry{key: "ok", value: conditionOf(isOneOf(at.at, codes)), note: rule.note}
		} else if slices.Contains(o.entrance.fine, at.Sample) {
			rule.value, rule.note = open, "the code says ok here, too ("+r.file+"); as "+conditionOf(isOneOf(at.at, []string{at.Sample}))+" and answer.X == nil"
		}
		return []entry{{key: "outcome", under: []entry{rule}}}
	}
	if strings.HasSuffix(string(o.kind), ".status") && len(o.Replies) == 0 && o.entrance.kind != "db" {
		return []entry{{key: "outcome", off: true, under: []entry{{key: "ok", value: open, note: "where \"not there\" has a code of its own, it is an answer, too: answer.code in [\"0\", \"100\"], in quotes"}}}}
	}
	return nil
}

func answerHasList(kind core.Kind) bool {
	return len(only(answerOf(kind), isMany)) > 0
}

// inquiry is how a write gets out of doubt.
func (p *plan) inquiry(t core.Transaction) entry {
	if ask := core.Kind(t.Noun + ".status"); p.drafted[ask] != nil {
		if _, known := core.Lookup(ask); known {
			return entry{key: "inquire", value: string(ask)}
		}
	}
	return entry{key: "repeat_safe", value: "true", off: true, note: "only if the HIS refuses a second one by our number; else a lost answer needs inquire, or a person"}
}

// also writes an offer that another was preferred to, as a comment. What its cells
// would need is not taken into the folder.
func (p *plan) also(o *Offer, t core.Transaction) entry {
	aside := *p
	aside.codes, aside.files = map[string]*codes{}, map[string][]byte{}
	out := aside.operation(o, t)
	out.off = true
	return out
}

// hl7 writes the segments of a message.
func (s *speaker) hl7(segments []Field) []entry {
	var out []entry
	for _, segment := range segments {
		var under []entry
		for _, f := range segment.Children {
			if e, ok := hl7Field(segment.Name, f.Name, f); ok {
				under = append(under, e)
				continue
			}
			if segment.Name == "MSH" {
				under = append(under, literals(f))
				continue
			}
			under = append(under, s.fields([]Field{f}, s.noun, s.among, "")...)
		}
		e := entry{key: keyOf(segment.Name), under: under}
		if segment.List {
			e.note = "it repeats: write a list, - {$each: …}"
			e.under = []entry{{item: true, under: under}}
		}
		out = append(out, e)
	}
	return out
}

// literals writes a field as it stands in the sample.
func literals(f Field) entry {
	e := entry{key: keyOf(f.Name)}
	if f.leaf() {
		e.value = literal(f.Sample, f.Bare)
		return e
	}
	for _, c := range f.Children {
		e.under = append(e.under, literals(c))
	}
	return e
}

// skeleton is an offer that no transaction was recognised in, as a comment.
func (p *plan) skeleton(o *Offer) entry {
	out := entry{key: "noun.verb", off: true, note: o.Words}
	out.under = append(out.under, entry{key: "call", value: literal(o.Call, false), note: join(o.Place, o.Refused)})
	if len(o.Query) > 0 {
		out.under = append(out.under, entry{key: "query", under: blank(o.Query, 0)})
	}
	if len(o.Send) > 0 {
		out.under = append(out.under, entry{key: "send", under: blank(o.Send, 0)})
	}
	if len(o.Answer) > 0 {
		out.above = "answers: " + outline(o.Answer, 0)
	}
	return out
}

func blank(fields []Field, depth int) []entry {
	var out []entry
	for i, f := range fields {
		if i == 60 || depth > 4 {
			return append(out, entry{key: "more", value: fmt.Sprint(len(fields) - i)})
		}
		e := entry{key: keyOf(f.Name), note: typeNote(f, "")}
		if f.leaf() {
			e.value = open
		} else if e.under = blank(f.Children, depth+1); f.List {
			e.under = []entry{{item: true, under: e.under}}
		}
		out = append(out, e)
	}
	return out
}

func outline(fields []Field, depth int) string {
	var names []string
	for _, f := range fields {
		n := f.Name
		if !f.leaf() && depth < 3 {
			n += " {" + outline(f.Children, depth+1) + "}"
		}
		names = append(names, n)
	}
	return strings.Join(names, ", ")
}

// offeredBytes bounds one file of what was not recognised.
const offeredBytes = 60 << 10

// writeOffered writes what was not recognised, as comments to copy from.
func (p *plan) writeOffered(ctx context.Context) {
	begin := "# What the hospital offers and no transaction was recognised in. To use one, copy it into the file of its noun,\n# without the #, under the name of the transaction (see the table of operations in docs/hospital-folder.md).\n\n"
	b := bytes.NewBufferString(begin)
	number := 0
	flush := func() {
		if b.Len() == len(begin) {
			return
		}
		name := "offered.yaml"
		if number++; number > 1 {
			name = fmt.Sprintf("offered-%d.yaml", number)
		}
		p.files[name] = bytes.Clone(b.Bytes())
		b.Reset()
		b.WriteString(begin)
	}
	for _, e := range p.entrances {
		for _, o := range e.offers {
			if ctx.Err() != nil {
				return
			}
			if o.kind != "" || o.Login || o.unwanted {
				continue
			}
			b.WriteString(separated([]entry{p.skeleton(o)}) + "\n")
			if b.Len() > offeredBytes {
				flush()
			}
		}
	}
	flush()
}

// writeCodes drafts the tables with all our values.
func (p *plan) writeCodes() {
	for name, t := range p.codes {
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		_ = w.Write([]string{"ours", "theirs"})
		for _, v := range t.values {
			_ = w.Write([]string{v, t.theirs[v]})
		}
		w.Flush()
		p.files["codes/"+name+".csv"] = b.Bytes()
	}
}
