package changes

import (
	"encoding/csv"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"

	"hishub/core"
)

// folder is the YAML of one state: hospital.yaml, and the operations of all other files.
type folder struct {
	hospital   map[string]any
	operations map[string]any
	text       string // all of it
}

func parse(files map[string][]byte) folder {
	f := folder{hospital: map[string]any{}, operations: map[string]any{}}
	for _, name := range names(files, nil) {
		if path.Ext(name) != ".yaml" || strings.Contains(name, "/") {
			continue
		}
		f.text += string(files[name]) + "\n"
		into := f.operations
		if name == "hospital.yaml" {
			into = f.hospital
		}
		var keys map[string]any
		// The loader has read it before; what fails here has no meaning to tell.
		if yaml.Unmarshal([]byte(strings.TrimPrefix(string(files[name]), "\ufeff")), &keys) == nil {
			for k, v := range keys {
				into[k] = v
			}
		}
	}
	return f
}

// meaning finds out what differences mean.
type meaning struct {
	*Changes
	old, new folder
}

func (m *meaning) note(about, format string, args ...any) {
	m.Notes = append(m.Notes, Note{About: about, What: fmt.Sprintf(format, args...)})
}

func (m *meaning) warn(about, format string, args ...any) {
	m.Notes = append(m.Notes, Note{Warning: true, About: about, What: fmt.Sprintf(format, args...)})
}

func (m *meaning) operations(old, new *core.Dialect) {
	for _, name := range names(m.old.operations, m.new.operations) {
		a, was := m.old.operations[name]
		b, is := m.new.operations[name]
		before, after := m.old.written(a), m.new.written(b)
		switch {
		case !was:
			m.note(name, "is new")
			m.rules(name, nil, after)
		case !is:
			m.warn(name, "is gone: it cannot be told any more, and messages of it that wait are parked")
		default:
			if !reflect.DeepEqual(before, after) {
				m.changed(name, a, b)
			}
			m.rules(name, before, after)
			if x, y := old.Operations[core.Kind(name)], new.Operations[core.Kind(name)]; x != nil && y != nil {
				m.coverage(name, x, y)
			}
		}
	}
}

// coverage is what can be done when something goes wrong.
func (m *meaning) coverage(name string, old, new *core.Operation) {
	if old.SettleAfter != new.SettleAfter {
		m.note(name, "absent is believed after %s, was after %s", new.SettleAfter, old.SettleAfter)
	}
	if !old.PassWhenParked && new.PassWhenParked {
		m.warn(name, "one that is parked no longer holds its lane: what follows may overtake it")
	}
	if old.AnyHour && !new.AnyHour {
		m.note(name, "it waits for the working hours now")
	}
	steps := map[string]*core.Step{}
	for i := range old.Steps {
		steps[old.Steps[i].Name] = &old.Steps[i]
	}
	if len(old.Steps) == 1 && len(new.Steps) == 1 {
		steps[new.Steps[0].Name] = &old.Steps[0]
	}
	for i := range new.Steps {
		b := &new.Steps[i]
		a := steps[b.Name]
		delete(steps, b.Name)
		if a == nil {
			m.note(name, "the step %s is new", b.Name)
			continue
		}
		switch {
		case a.Inquire != nil && b.Inquire == nil && !b.RepeatSafe:
			m.warn(name, "%s can no longer be inquired about: in doubt will need a person", b.Name)
		case a.Inquire != nil && b.Inquire == nil:
			m.warn(name, "%s can no longer be inquired about: in doubt it is sent again", b.Name)
		case a.Inquire == nil && b.Inquire != nil:
			m.note(name, "%s can be inquired about now", b.Name)
		}
		switch {
		case !a.RepeatSafe && b.RepeatSafe:
			m.warn(name, "%s is now sent again in doubt without asking: be sure that the HIS knows a repeat", b.Name)
		case a.RepeatSafe && !b.RepeatSafe && b.Inquire == nil:
			m.warn(name, "%s is no longer sent again in doubt, and cannot be inquired about: it will need a person", b.Name)
		case a.RepeatSafe && !b.RepeatSafe:
			m.note(name, "%s is no longer sent again in doubt without asking", b.Name)
		}
		switch {
		case a.Undo != nil && b.Undo == nil:
			m.warn(name, "%s can no longer be taken back", b.Name)
		case a.Undo == nil && b.Undo != nil:
			m.note(name, "%s can be taken back now", b.Name)
		}
	}
	for _, step := range names(steps, nil) {
		if len(old.Steps) > 1 || len(new.Steps) > 1 {
			m.note(name, "the step %s is gone", step)
		}
	}
}

// rules looks at the outcome rules below a part of the folder.
func (m *meaning) rules(about string, old, new any) {
	before, after := map[string]string{}, map[string]string{}
	rulesOf(old, "", before)
	rulesOf(new, "", after)
	for _, at := range names(before, after) {
		was, is := before[at], after[at]
		if was == is {
			continue
		}
		rule := at[strings.LastIndex(at, ".")+1:]
		switch {
		case rule == "verify" && (is == "" || is == "false"):
			m.warn(about, "answers are no longer verified (%s)", at)
		case is == "true" && rule == "rejected":
			m.warn(about, "every answer that no other rule takes is a refusal now (%s: true): also one that says nothing about whether it was done", at)
		case is == "true" && rule == "refund_now":
			m.warn(about, "every answer that no earlier rule takes gives the money back now (%s: true)", at)
		case is == "true" && (rule == "ok" || rule == "already"):
			m.warn(about, "every answer that no earlier rule takes counts as done now (%s: true)", at)
		case was == "":
			m.note(about, "the rule %s is new: %s", at, is)
		case is == "":
			m.note(about, "the rule %s is gone: %s", at, was)
		default:
			m.note(about, "the rule %s is %s, was %s", at, is, was)
		}
	}
}

// rulesOf finds outcome sections wherever they are; steps go by their names.
func rulesOf(v any, at string, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range names(v, nil) {
			inner := strings.TrimPrefix(at+"."+k, ".")
			if rules, ok := v[k].(map[string]any); ok && k == "outcome" {
				for name, rule := range rules {
					into[inner+"."+name] = fmt.Sprint(rule)
				}
				continue
			}
			rulesOf(v[k], inner, into)
		}
	case []any:
		for i, item := range v {
			name := fmt.Sprint(i + 1)
			if step, ok := item.(map[string]any); ok && step["name"] != nil {
				name = fmt.Sprint(step["name"])
			}
			rulesOf(item, at+"."+name, into)
		}
	}
}

// sections of hospital.yaml whose entries have names, and what one is called.
var sections = map[string]string{
	"constants": "constant", "secrets": "secret", "connectors": "connector", "envelopes": "envelope", "formats": "format",
	"fragments": "fragment", "sessions": "session", "listeners": "listener", "channels": "channel",
}

func (m *meaning) hospital() {
	for _, key := range names(m.old.hospital, m.new.hospital) {
		a, b := m.old.hospital[key], m.new.hospital[key]
		if key == "envelopes" || key == "sessions" {
			a, b = m.old.written(a), m.new.written(b)
		}
		if reflect.DeepEqual(a, b) {
			continue
		}
		noun := sections[key]
		if noun == "" {
			m.note(key, "is %s, was %s", brief(b), brief(a))
			continue
		}
		was, _ := a.(map[string]any)
		is, _ := b.(map[string]any)
		for _, name := range names(was, is) {
			x, y := was[name], is[name]
			about := noun + " " + name
			switch {
			case reflect.DeepEqual(x, y):
			case x == nil:
				m.note(about, "is new")
			case y == nil:
				m.note(about, "is gone")
			case key == "envelopes":
				m.note(about, "is changed, for all that uses it")
				m.rules(about, x, y)
			case key == "connectors" || key == "constants":
				m.options(about, x, y)
			default:
				m.note(about, "is changed")
			}
		}
	}
}

// options names those of a connector that differ.
func (m *meaning) options(about string, old, new any) {
	was, ok1 := old.(map[string]any)
	is, ok2 := new.(map[string]any)
	if !ok1 || !ok2 {
		m.note(about, "is %s, was %s", brief(new), brief(old))
		return
	}
	for _, name := range names(was, is) {
		if reflect.DeepEqual(was[name], is[name]) {
			continue
		}
		if _, deeper := is[name].(map[string]any); deeper && was[name] != nil {
			m.options(about, was[name], is[name])
			continue
		}
		m.note(about, "%s is %s, was %s", name, brief(is[name]), brief(was[name]))
	}
}

func brief(v any) string {
	if v == nil {
		return "not there"
	}
	text := []rune(masked(fmt.Sprint(v)))
	if len(text) > 80 {
		return string(text[:80]) + "…"
	}
	return string(text)
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

func (m *meaning) variables() {
	of := func(text string) map[string]bool {
		all := map[string]bool{}
		for _, v := range variable.FindAllStringSubmatch(text, -1) {
			all[v[1]] = true
		}
		return all
	}
	was, is := of(m.old.text), of(m.new.text)
	for _, name := range names(was, is) {
		switch {
		case !was[name]:
			m.warn("variable "+name, "is needed now: set it wherever hishub runs, before this is applied")
		case !is[name]:
			m.note("variable "+name, "is no longer needed")
		}
	}
}

// mostRows of one table are named one by one.
const mostRows = 20

func (m *meaning) codes(before, after map[string][]byte) {
	for _, name := range names(before, after) {
		if !strings.HasPrefix(name, "codes/") || path.Ext(name) != ".csv" || string(before[name]) == string(after[name]) {
			continue
		}
		was, is := rows(before[name]), rows(after[name])
		told := 0
		for _, code := range names(was, is) {
			a, had := was[code]
			b, has := is[code]
			if a == b && had == has {
				continue
			}
			if told++; told > mostRows {
				continue
			}
			switch {
			case !had:
				m.note(name, "%s is new: %s", code, b)
			case !has:
				m.warn(name, "%s is gone (was %s): a message with it is invalid now", code, a)
			default:
				m.note(name, "%s is %s, was %s", code, b, a)
			}
		}
		if told > mostRows {
			m.note(name, "%d more rows differ", told-mostRows)
		}
	}
}

// rows of a code table by their first column; a code that stands several times, for
// several stretches of time, has all its rows.
func rows(data []byte) map[string]string {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(data), "\ufeff")))
	r.FieldsPerRecord = -1
	all := map[string]string{}
	for first := true; ; first = false {
		record, err := r.Read()
		if err != nil {
			return all
		}
		if first || len(record) == 0 {
			continue
		}
		rest := strings.Join(record[1:], ",")
		if earlier, ok := all[record[0]]; ok {
			rest = earlier + " / " + rest
		}
		all[record[0]] = rest
	}
}
