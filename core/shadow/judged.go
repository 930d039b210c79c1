package shadow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hishub/core"
)

// verdicts compares what two folders make of one answer.
func (w *work) verdicts(d Difference, old *Side, body core.Body, a, b core.Verdict) (ds []Difference) {
	add := func(what What, place, before, after string) {
		if before == after {
			return
		}
		x := d
		x.What, x.Place = what, place
		ds = append(ds, differing(x, what, before, after, w.hidden(old, body, before), w.hidden(old, body, after)))
		ds[len(ds)-1].Place = place
	}
	if a.Outcome != b.Outcome {
		by := func(v core.Verdict) string {
			switch {
			case v.Err != nil:
				return fmt.Sprintf("%s: %v", v.Outcome, v.Err)
			case v.Rule != "":
				return fmt.Sprintf("%s by the rule %s", v.Outcome, v.Rule)
			}
			return string(v.Outcome)
		}
		add(Outcome, fmt.Sprintf("%s becomes %s", a.Outcome, b.Outcome), by(a), by(b))
		return ds // the rest follows from it
	}
	names := map[string]bool{}
	for _, v := range []core.Verdict{a, b} {
		for name := range v.Captured {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		add(Captured, name, a.Captured[name], b.Captured[name])
	}
	add(Words, "the HIS's words", a.Words, b.Words)
	add(Words, "whether the patient sees them", fmt.Sprint(a.ShowPatient), fmt.Sprint(b.ShowPatient))
	for _, f := range fields(a.Answer, b.Answer) {
		add(Returns, f.name, f.old, f.new)
	}
	for _, f := range fields(a.Parts, b.Parts) {
		add(Returns, "parts"+f.name, f.old, f.new)
	}
	return ds
}

type field struct{ name, old, new string }

// fields are the leaves of two JSON documents that differ, the positions of lists
// left out of their names.
func fields(a, b any) []field {
	flat := func(v any) map[string]string {
		out := map[string]string{}
		text, err := json.Marshal(v)
		if err != nil {
			return out
		}
		var plain any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if d.Decode(&plain) == nil {
			flatten(plain, "", out)
		}
		return out
	}
	x, y := flat(a), flat(b)
	var all []field
	for _, name := range slices.Sorted(maps.Keys(x)) {
		if x[name] != y[name] {
			all = append(all, field{name, x[name], y[name]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(y)) {
		if _, both := x[name]; !both {
			all = append(all, field{name, "", y[name]})
		}
	}
	return all
}

func flatten(v any, at string, out map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			flatten(inner, strings.TrimPrefix(at+"."+name, "."), out)
		}
	case []any:
		for _, inner := range v {
			flatten(inner, at+"[]", out)
		}
	case nil:
	default:
		out[at] += fmt.Sprintf("%v\n", v)
	}
}

// hidden masks a text: the secrets of both folders, and who the message is about.
func (w *work) hidden(old *Side, body core.Body, text string) string {
	text = string(w.New.Redact(old.Redact([]byte(text))))
	return w.Mask(text, body)
}
