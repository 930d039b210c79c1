package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"hishub/core"
)

// heard puts what was found into words.
func (h *hearing) heard(v *voice, q core.Request) *Heard {
	out := &Heard{
		Kind: v.kind, Mode: v.mode, Step: v.step, Undo: v.undo, Session: v.session, Call: v.call,
		Input: h.r.in, Fields: map[string]string{}, Weak: map[string]bool{}, voice: v, request: q,
	}
	if out.Input.Stamp.At.IsZero() { // it is not sent, but it is about now
		out.Input.Stamp.At = time.Now()
	}
	if out.Input.Stamp.Time.IsZero() {
		out.Input.Stamp.Time = time.Now()
	}
	for path, value := range h.values {
		if _, isLength := value.(int); isLength && !strings.HasPrefix(path, "attempt.") {
			if f, ok := h.place(path); ok && f.Kind() == reflect.Slice {
				continue
			}
		}
		out.Fields[path] = spelled(value)
		if h.weak[path] {
			out.Weak[path] = true
		}
	}
	out.Page = out.Fields["page"]
	delete(out.Fields, "page")
	for i, s := range h.m.unit.slots {
		if s.name == "page" && s.of != nil {
			first, err := h.r.slot(i)
			text, _ := core.Text(first)
			out.FirstPage = err == nil && text == out.Page
		}
	}
	if h.r.in.Body != nil {
		out.Key = h.key()
		if out.Input.Stamp.Key == "" {
			out.Input.Stamp.Key = out.Key
		}
	}
	out.Last = !v.undo && !slices.ContainsFunc(v.later, func(s core.Step) bool { return applies(s, out.Input) })
	out.Verified = slices.Compact(h.right)
	h.judgeLost(out)
	return out
}

// applies reports whether a step is a part of the transaction; one that cannot tell is.
func applies(s core.Step, in core.Input) bool {
	if s.When == nil {
		return true
	}
	yes, err := s.When(in)
	return yes || err != nil
}

// judgeLost computes forward what could not be read.
func (h *hearing) judgeLost(out *Heard) {
	for _, l := range h.lost {
		h.tree, h.alias, h.local = l.tree, l.alias, l.local
		h.forget()
		at := l.tree.at.String()
		text, known := h.textOf(l.node)
		want, isText := core.Text(l.want)
		switch {
		case !known || !isText || l.want == nil:
			if !slices.Contains(out.Unread, at) {
				out.Unread = append(out.Unread, at)
			}
		case text == want:
			out.Verified = append(out.Verified, at)
		default:
			out.Forged = append(out.Forged, at)
		}
	}
}

// key is the business key, if all that it is made of was recovered.
func (h *hearing) key() string {
	body := h.r.in.Body
	key := body.Key()
	if key == "" {
		return ""
	}
	// A field that did not come must make no difference.
	v := reflect.ValueOf(h.r.env[h.m.noun]).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		path := h.m.noun + "." + jsonName(v.Type().Field(i))
		if _, came := h.values[path]; came || f.Kind() != reflect.String {
			continue
		}
		before := f.String()
		f.SetString(before + "?")
		changed := body.Key() != key
		f.SetString(before)
		if changed {
			return ""
		}
	}
	return key
}

// Identity is the key under which books keep the request: the business key, or
// what came without what differs at every attempt.
func (h *Heard) Identity() string {
	if h.Key != "" {
		return h.Key
	}
	var names []string
	for name := range h.Fields {
		if !strings.HasPrefix(name, "attempt.") && !strings.HasPrefix(name, "session.") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	sum := sha256.New()
	for _, name := range names {
		fmt.Fprintf(sum, "%q=%q\n", name, h.Fields[name])
	}
	return "#" + hex.EncodeToString(sum.Sum(nil)[:8])
}
