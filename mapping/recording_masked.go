package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"hishub/core"
)

// cardField is the catalogue's name of a patient's card: it names a person, though
// people who look at a message may see it.
const cardField = "card_no"

// learn finds out what names people, and what does not.
func (r *recorder) learn(all []Exchanged) {
	r.learnBody("", all[0].In.Body)
	for _, x := range all {
		if x.Verdict.Answer != nil {
			r.learnBody("answer.", x.Verdict.Answer)
		}
		for _, name := range sortedNames(x.In.Session) {
			if value := x.In.Session[name]; len(value) >= core.ShortestSecret {
				r.made.add("", "session", value)
			}
		}
		for _, values := range []map[string]string{x.In.Captured, x.Verdict.Captured} {
			for _, name := range sortedNames(values) {
				r.learnOther("captured."+name, name, values[name])
			}
		}
	}
}

func (r *recorder) learnBody(prefix string, body any) {
	core.Personal(body, func(name, kind string, field reflect.Value) { r.made.add(prefix+name, kind, field.String()) })
	everyText(reflect.ValueOf(body), "", func(name string, field reflect.Value) { r.learnOther(prefix+name, name, field.String()) })
}

// learnOther keeps a number of business; a card's is masked, unless it is so short
// that it stands in half of all texts.
func (r *recorder) learnOther(at, name, value string) {
	if name == cardField && len(value) >= 4 {
		r.made.add(at, "number", value)
		return
	}
	r.made.keep[value] = true
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// everyText visits the texts of a body that are not marked as personal, with the
// JSON name of their field.
func everyText(v reflect.Value, name string, visit func(string, reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			everyText(v.Elem(), name, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			everyText(v.Index(i), name, visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("personal") == "" {
				everyText(v.Field(i), jsonName(f), visit)
			}
		}
	case reflect.String:
		visit(name, v)
	}
}

func (r *recorder) maskBody(body core.Body) (core.Body, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	masked := reflect.New(reflect.TypeOf(body).Elem())
	if err := json.Unmarshal(text, masked.Interface()); err != nil {
		return nil, err
	}
	core.Personal(masked.Interface(), func(_, kind string, field reflect.Value) { field.SetString(r.made.add("", kind, field.String())) })
	// A number of business may hold a person's, as a patient number that is the identity card's.
	everyText(masked, "", func(_ string, field reflect.Value) { field.SetString(r.masks.Replace(field.String())) })
	out := masked.Interface().(core.Body)
	if err := out.Validate(); err != nil {
		return nil, fmt.Errorf("the message with made-up people is not valid: %w", err)
	}
	return out, nil
}

func (r *recorder) message(body core.Body) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(body)
	r.files["message.json"] = b.Bytes()
	return err
}

func (r *recorder) texts(values map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range values {
		out[k] = r.masks.Replace(v)
	}
	return out
}
