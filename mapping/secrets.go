package mapping

import (
	"fmt"

	"hishub/core"
)

// A secret is one environment variable, or two while it changes: what is written
// uses the value of now. What comes from the HIS is read with it too, and read
// once more with the values of before where that leaves it in doubt or forged: an
// answer to what was sent before the change, a notice of a HIS that changes later.

var secretTable = &table{"secret", []key{
	{name: "now", shape: text, required: true, doc: `"${ENV}": what is written with, and read with first`},
	{name: "before", shape: text, doc: `"${ENV}": the value until the last change, to read what was made with it; not set or empty: there is none`},
}}

var secretShape = shape{kind: inquireShape, table: secretTable}

func (l *loader) readSecrets(n *node) {
	for _, f := range n.fields {
		if !l.memberName(f.key) {
			continue
		}
		name, now, before := f.key.text, f.value, (*node)(nil)
		if now.kind == mapNode {
			keys := l.section(now, secretTable)
			now, before = keys["now"], keys["before"]
		}
		value := ""
		if now != nil && l.hidden(name, now) {
			value = l.expand(now)
			if _, set := l.options.Env(wholeVariable.FindStringSubmatch(now.text)[1]); set && value == "" {
				l.mistake(now.pos, "give it its value", "the secret %q is empty: anybody could sign with it", name)
			}
		}
		l.mask(value)
		earlier := ""
		if before != nil && l.hidden(name, before) {
			// Most of the time there is none, so it need not be set.
			earlier, _ = l.options.Env(wholeVariable.FindStringSubmatch(before.text)[1])
		}
		l.mask(earlier)
		if earlier == "" || earlier == value {
			l.secrets[name] = member{typ: textType, constant: value}
			continue
		}
		l.secrets[name] = member{typ: textType, eval: func(r *run) (any, error) {
			if r.before {
				return earlier, nil
			}
			return value, nil
		}}
	}
}

// hidden refuses a secret that stands in the folder.
func (l *loader) hidden(name string, n *node) bool {
	if wholeVariable.MatchString(n.text) {
		return true
	}
	l.mistake(n.pos, fmt.Sprintf(`write %s: "${NAME}" and set the variable NAME`, name), "the secret %q stands here in clear", name)
	return false
}

func (l *loader) mask(value string) {
	if value != "" {
		l.masked = append(l.masked, value)
	}
}

// readBefore is the note in the verdict of an exchange whose answer was read with
// the values of before: as long as it appears, the HIS still uses them.
const readBefore = "secrets: read with the values of before"

// Decode implements core.Mapper.
func (m *mapper) Decode(in core.Input, response core.Response) core.Verdict {
	return m.heard(in, response, nil)
}

// heard decodes and tells e how, if somebody listens.
func (m *mapper) heard(in core.Input, response core.Response, e *ear) core.Verdict {
	v := m.decode(in, response, false, e)
	if v.Err == nil || !m.unit.rotates {
		return v
	}
	var again *ear
	if e != nil {
		again = &ear{}
	}
	if earlier := m.decode(in, response, true, again); earlier.Err == nil {
		earlier.Forgave = append(earlier.Forgave, readBefore)
		if e != nil {
			*e = *again
		}
		return earlier
	}
	return v
}
