package mapping

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"hishub/core"
)

// Wish is what an answer shall mean.
type Wish struct {
	Outcome core.Outcome
	// State of a question about a write, and the step that it has reached.
	State core.State
	At    string
	// Stage of what was taken back, in place of a state.
	Stage core.Stage
	// Receipt and Captured are what the HIS holds; what is empty stays as it was
	// recorded.
	Receipt  core.Receipt
	Captured map[string]string
	// Fresh makes a number of the HIS's own of the recorded one, the same for the
	// same; nil leaves them. Of "" it makes one where none was recorded.
	Fresh func(recorded string) string
	// Values of fields that the folder returns, by their names, in place of the
	// recorded ones: "payment_amount".
	Values map[string]any
	// Rows are the records of an answer that is a list, each as Values; nil leaves the
	// recorded ones.
	Rows []map[string]any
	// Words of a refusal.
	Words string
	// LastPage: no further page follows.
	LastPage bool
}

// Said is an answer, decoded from the connector's charset.
type Said struct {
	Response core.Response
	// Recorded is the answer that it was made of, "" and nil where there was none.
	Case     string
	Recorded []byte
	Before   core.Response
	Verdict  core.Verdict
	// Trouble is what could not be done, in words.
	Trouble []string
}

// ErrUnsaid is a wish that the folder's rules cannot be made to read.
var ErrUnsaid = errors.New("no answer could be found that the folder reads so")

// Say words an answer that the folder reads as the wish: a recorded one with the
// values of this request put in, or the smallest that its rules take.
func (mi *Mirror) Say(h *Heard, wish Wish) (said *Said, err error) {
	defer func() {
		if p := recover(); p != nil {
			said, err = nil, fmt.Errorf("%w: %v", ErrUnsaid, p)
		}
	}()
	var trouble []string
	for _, c := range mi.suited(h, wish) {
		said, why := mi.fromCase(h, c, wish)
		if said != nil {
			said.Trouble = append(trouble, said.Trouble...)
			return said, nil
		}
		if len(trouble) < 5 {
			trouble = append(trouble, "case "+c.name+": "+why)
		}
	}
	said, why := mi.made(h, wish)
	if said == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnsaid, strings.Join(append(trouble, why), "; "))
	}
	said.Trouble = trouble
	return said, nil
}

// suited are the recorded answers that mean the wish, the nearest first.
func (mi *Mirror) suited(h *Heard, wish Wish) []*recordedCase {
	var out []*recordedCase
	for _, c := range mi.cases {
		switch {
		case c.call != h.Call || c.outcome != wish.Outcome || wish.LastPage && c.next:
		case wish.State != "" && (c.status == nil || c.status.State != wish.State || wish.At != c.status.At && wish.At != ""):
		case wish.Stage != "" && (c.status == nil || c.status.Stage != wish.Stage):
		case wish.Outcome == core.OutcomeOK && c.partly:
		default:
			out = append(out, c)
		}
	}
	near := func(c *recordedCase) int {
		n := 0
		for path, v := range flat(h.voice.mapper.noun, c.in.Body) {
			if h.Fields[path] == v {
				n += 10
			}
		}
		if c.status != nil && (c.status.Stage == "voided" && wish.Stage == "" || c.status.At != wish.At) {
			n -= 1000
		}
		if c.in.Page == nil {
			n++
		}
		return n
	}
	slices.SortStableFunc(out, func(a, b *recordedCase) int { return near(b) - near(a) })
	return out
}

// Has reports whether a recorded answer to the request means the outcome.
func (mi *Mirror) Has(h *Heard, outcome core.Outcome) bool {
	return len(mi.suited(h, Wish{Outcome: outcome})) > 0
}

// flat is a body as text by path.
func flat(noun string, body any) map[string]string {
	out := map[string]string{}
	data, err := json.Marshal(body)
	if err != nil {
		return out
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v any
	if d.Decode(&v) == nil {
		flatten(noun, v, out)
	}
	return out
}

func flatten(path string, v any, out map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			flatten(path+"."+name, child, out)
		}
	case []any:
		for i, child := range v {
			flatten(fmt.Sprintf("%s[%d]", path, i), child, out)
		}
	case nil:
	default:
		out[path] = fmt.Sprint(v)
	}
}

func (mi *Mirror) fromCase(h *Heard, c *recordedCase, wish Wish) (*Said, string) {
	offline, ok := mi.connectors[h.Call.Connector].(core.Offline)
	if !ok {
		return nil, "the connector cannot read a recorded answer"
	}
	q, err := c.call.Mapper.Encode(c.in)
	if err != nil {
		return nil, "its message cannot be written"
	}
	r, err := offline.Read(q, c.answer)
	if err != nil {
		return nil, err.Error()
	}
	out := &Said{Case: c.name, Recorded: c.answer, Before: r}
	w := mi.word(h.voice.mapper, h.Input, r)
	w.seal(c)
	w.echo(h, c)
	w.number(wish, c, &out.Trouble)
	if wish.Rows != nil {
		before := w.response
		if err := w.rows(wish); err != nil {
			w.backTo(before)
			out.Trouble = append(out.Trouble, "the list stays as it was: "+err.Error())
		}
	}
	w.verify()
	if out.Verdict = w.judge(); meets(out.Verdict, wish) {
		out.Response = w.response
		return out, ""
	}
	changed := out.Verdict
	// As it was recorded, but for what proves that it answers this request.
	w = mi.word(h.voice.mapper, h.Input, r)
	w.seal(c)
	w.verify()
	if out.Verdict = w.judge(); meets(out.Verdict, wish) {
		out.Response = w.response
		out.Trouble = append(out.Trouble, "with the values of this request it is "+describe(changed)+"; it is answered as it was recorded")
		return out, ""
	}
	return nil, "read for this request it is " + describe(out.Verdict)
}

func describe(v core.Verdict) string {
	if v.Err != nil {
		return fmt.Sprintf("%s (%v)", v.Outcome, v.Err)
	}
	return string(v.Outcome)
}

// meets reports whether an answer means the wish.
func meets(v core.Verdict, wish Wish) bool {
	if v.Outcome != wish.Outcome || v.Err != nil {
		return false
	}
	if wish.LastPage && v.Next != nil {
		return false
	}
	if wish.State != "" || wish.Stage != "" {
		s, ok := v.Answer.(*core.Status)
		// Done as far as a step and done are not the same; how far what is absent came says nothing.
		asFar := ok && (s.At == wish.At || wish.At == "" && (wish.State == core.StateAbsent || wish.State == ""))
		return asFar && (s.State == wish.State || wish.State == "") && (s.Stage == wish.Stage || wish.Stage == "")
	}
	for _, p := range v.Parts {
		if p.Outcome != wish.Outcome {
			return false
		}
	}
	return true
}

func (w *wording) judge() core.Verdict { return w.m.Decode(w.in, w.response) }

// echo puts the values of this request where those of the case's message stand.
func (w *wording) echo(h *Heard, c *recordedCase) {
	of := map[string]string{}
	add := func(was, is string) {
		if len(was) < 4 || is == "" || was == is {
			return
		}
		if before, twice := of[was]; twice && before != is {
			of[was] = was // it stood for two things; nobody can say which
			return
		}
		of[was] = is
	}
	for path, was := range flat(h.voice.mapper.noun, c.in.Body) {
		if !h.Weak[path] {
			add(was, h.Fields[path])
		}
	}
	for name, was := range c.in.Captured {
		add(was, h.Fields["captured."+name])
	}
	add(c.in.Stamp.ID, h.Fields["attempt.id"])
	if len(of) == 0 {
		return
	}
	slot := w.answerSlot()
	now, err := w.r.slot(slot)
	if err != nil || now == nil {
		return
	}
	before := w.response
	if err := w.putSlot(slot, replacedIn(now, of)); err != nil {
		w.backTo(before)
	}
}

// answerSlot is the tree that the rules see.
func (w *wording) answerSlot() int {
	for i := len(w.m.unit.slots) - 1; i >= 0; i-- {
		if w.m.unit.slots[i].name == "answer" {
			return i
		}
	}
	return w.m.came
}

func replacedIn(v any, of map[string]string) core.Value {
	switch v := v.(type) {
	case core.Tree:
		out := make(core.Tree, len(v))
		for i, f := range v {
			out[i] = core.Field{Name: f.Name, Value: replacedIn(f.Value, of)}
		}
		return out
	case core.List:
		out := make(core.List, len(v))
		for i := range v {
			out[i] = replacedIn(v[i], of)
		}
		return out
	case string:
		if is, ok := of[v]; ok {
			return is
		}
	}
	return v
}

// number puts in what the HIS holds: its own numbers, and the amount.
func (w *wording) number(wish Wish, c *recordedCase, trouble *[]string) {
	said := map[string]bool{} // values of the message are no numbers of the HIS's own
	recorded := map[string]string{}
	if c != nil {
		for _, v := range flat("", c.in.Body) {
			said[v] = true
		}
		maps.Copy(recorded, flat("receipt", c.result))
	}
	change := func(what, was string, is any, put func(any) error) {
		if is == "" && wish.Fresh != nil && !said[was] && (was != "" || c == nil) {
			is = wish.Fresh(was)
		}
		if is == "" || is == nil || c != nil && was == "" {
			return
		}
		before := w.response
		if err := put(is); err != nil {
			w.backTo(before)
			*trouble = append(*trouble, what+" stays as it was: "+err.Error())
		}
	}
	for _, k := range w.m.captures {
		was := ""
		if c != nil {
			was = c.captured[k.name]
		}
		change("captured "+k.name, was, wish.Captured[k.name], func(v any) error { return w.putTemplate(k.value, v) })
	}
	t, ok := w.m.answer.(typedAnswer)
	record, isRecord := t.build.(recordBuilder)
	if !ok || !isRecord {
		return
	}
	for _, f := range record {
		leaf, ok := f.of.(*leafBuilder)
		if !ok {
			continue
		}
		is, given := wish.Values[leaf.name]
		switch leaf.name {
		case "his_no":
			is = wish.Receipt.HisNo
		case "invoice_no":
			is = wish.Receipt.InvoiceNo
		case "invoice_url":
			is = cmp.Or(wish.Receipt.InvoiceURL, recorded["receipt.invoice_url"])
		case "card_no":
			is = wish.Receipt.CardNo
		case "queue_no":
			is = cmp.Or(wish.Receipt.QueueNo, recorded["receipt.queue_no"])
		case "number":
			is = wish.Receipt.Number
			if is == "" {
				continue // ours, not the HIS's
			}
		case "amount":
			if wish.Receipt.Amount == nil {
				continue
			}
			is = *wish.Receipt.Amount
		default:
			if !given {
				continue
			}
		}
		change(leaf.name, recorded["receipt."+leaf.name], is, func(v any) error { return w.putLeaf(leaf, v) })
	}
}

func (w *wording) putLeaf(leaf *leafBuilder, v any) error {
	if leaf.raw != nil {
		return w.within(leaf.raw, func(n ast.Node) error { return w.put(n, v) })
	}
	return w.putTemplate(leaf.value, v)
}

// verify makes the answer prove itself, as far as that can be computed.
func (w *wording) verify() {
	for _, rule := range w.m.rules {
		if rule.name != "verify" {
			continue
		}
		before := w.response
		if err := w.within(rule.when, func(n ast.Node) error { return w.hold(n, true) }); err != nil {
			w.backTo(before)
		}
	}
}
