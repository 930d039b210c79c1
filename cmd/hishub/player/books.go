package player

import (
	"reflect"
	"strings"
	"time"

	"hishub/core"
	"hishub/mapping"
)

// entry is a write that was accepted.
type entry struct {
	Kind core.Kind `json:"kind"`
	// Key is the business key, or a digest of what came where its fields did not.
	Key    string            `json:"key"`
	Steps  []string          `json:"steps,omitempty"` // that are done, in their order
	Whole  bool              `json:"whole"`           // no step that applies is left
	Fields map[string]string `json:"fields"`
	// Receipt and Captured are what the answers gave.
	Receipt  core.Receipt      `json:"receipt"`
	Captured map[string]string `json:"captured,omitempty"`
	Times    int               `json:"times"` // how often the same was said
	At       time.Time         `json:"at"`    // of the first time
	noun     string
	weak     map[string]bool
}

// accepted are the books: what was accepted, the oldest first.
type accepted struct {
	entries []*entry
	number  int // of the HIS's own numbers
}

func nounOf(kind core.Kind) string {
	t, _ := core.Lookup(kind)
	return t.Noun
}

func (b *accepted) find(kind core.Kind, key string) *entry {
	for _, e := range b.entries {
		if e.Kind == kind && e.Key == key {
			return e
		}
	}
	return nil
}

// of finds the write that a request is a step or an undo of: by key, or by what an
// earlier step was answered.
func (b *accepted) of(h *mapping.Heard) *entry {
	if e := b.find(h.Kind, h.Identity()); e != nil {
		return e
	}
	if h.Key != "" {
		return nil
	}
	return b.match(h, func(e *entry) bool { return e.Kind == h.Kind })
}

// match finds the last entry of the same noun with which everything agrees that
// the request shows of it.
func (b *accepted) match(h *mapping.Heard, suits func(*entry) bool) *entry {
	noun := nounOf(h.Kind)
	for i := len(b.entries) - 1; i >= 0; i-- {
		e := b.entries[i]
		if e.noun == noun && suits(e) && e.agrees(h) {
			return e
		}
	}
	return nil
}

func (e *entry) agrees(h *mapping.Heard) bool {
	same := 0
	for path, v := range h.Fields {
		if v == "" || h.Weak[path] {
			continue
		}
		if name, ok := strings.CutPrefix(path, "captured."); ok {
			if have, ok := e.Captured[name]; ok {
				if have != v {
					return false
				}
				same++
			}
			continue
		}
		if !strings.HasPrefix(path, e.noun+".") || strings.HasSuffix(path, "_at") || strings.HasSuffix(path, ".at") {
			continue
		}
		have, ok := e.Fields[path]
		if !ok || e.weak[path] {
			continue
		}
		if have != v {
			return false
		}
		same++
	}
	return same > 0
}

// takesBack are the writes that undo another of their noun.
var takesBack = map[core.Kind]bool{core.PrescriptionVoid: true, core.OrderCancel: true}

// amountOf is the amount that a message carries, nil where it has none or it did
// not come.
func amountOf(h *mapping.Heard) *core.Fen {
	body := h.Input.Body
	if _, came := h.Fields[nounOf(h.Kind)+".amount"]; !came || body == nil {
		return nil
	}
	f := reflect.ValueOf(body).Elem().FieldByName("Amount")
	if m, ok := f.Interface().(core.Fen); f.IsValid() && ok {
		return &m
	}
	return nil
}

// keep books what was answered with done.
func (b *accepted) keep(h *mapping.Heard, v core.Verdict) *entry {
	e := b.of(h)
	if e == nil {
		e = &entry{Kind: h.Kind, Key: h.Identity(), Fields: map[string]string{}, Captured: map[string]string{}, noun: nounOf(h.Kind), weak: map[string]bool{}, At: time.Now()}
		b.entries = append(b.entries, e)
	}
	e.Times++
	for path, value := range h.Fields {
		if strings.HasPrefix(path, e.noun+".") {
			e.Fields[path] = value
			e.weak[path] = h.Weak[path]
		}
	}
	for name, value := range v.Captured {
		e.Captured[name] = value
	}
	if r, ok := v.Answer.(*core.Receipt); ok && r != nil {
		e.Receipt = *r
	}
	if e.Receipt.Amount == nil {
		e.Receipt.Amount = amountOf(h)
	}
	e.Whole = e.Whole || h.Last
	if h.Step != "" {
		e.Steps = append(e.Steps, h.Step)
	}
	return e
}

// endsWith reports whether a step is the last that was done, "" the only one.
func (e *entry) endsWith(step string) bool {
	if n := len(e.Steps); n > 0 {
		return e.Steps[n-1] == step
	}
	return step == ""
}

// undo takes back the last step that was done; what has none left was never there.
func (b *accepted) undo(e *entry) {
	if e.Whole = false; len(e.Steps) > 1 {
		e.Steps = e.Steps[:len(e.Steps)-1]
		return
	}
	b.drop(e)
}

func (b *accepted) drop(e *entry) {
	for i := range b.entries {
		if b.entries[i] == e {
			b.entries = append(b.entries[:i], b.entries[i+1:]...)
			return
		}
	}
}
