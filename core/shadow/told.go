package shadow

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// message says a message again, attempt by attempt.
func (w *work) message(old *Side, m Message) error {
	operation := old.Operations[m.Kind]
	if operation == nil {
		w.report.Lost++ // only the ledger or a channel was told
		return nil
	}
	attempts := m.Attempts
	if len(attempts) == 0 {
		// Not begun, or past its retention: its first step can be said all the same.
		attempts = []Attempt{{Number: 1, At: m.Accepted.Add(time.Second), Phase: delivery.Send, Step: operation.Steps[0].Name}}
	}
	captured := [2]map[string]string{{}, {}}
	for _, a := range attempts {
		if err := w.attempt(old, m, a, &captured); err != nil {
			return fmt.Errorf("attempt %d: %w", a.Number, err)
		}
	}
	return nil
}

// callOf finds the exchange of an attempt in a dialect: its step by name, or the
// only one.
func callOf(d *core.Dialect, kind core.Kind, a Attempt) (*core.Call, string) {
	operation := d.Operations[kind]
	if operation == nil {
		return nil, "there is no " + string(kind)
	}
	i := slices.IndexFunc(operation.Steps, func(s core.Step) bool { return s.Name == a.Step })
	if i < 0 && len(operation.Steps) == 1 {
		i = 0
	}
	if i < 0 {
		return nil, "there is no step " + a.Step
	}
	s := &operation.Steps[i]
	switch {
	case a.Phase == delivery.Inquire && s.Inquire == nil:
		return nil, "there is no inquiry: in doubt will need a person"
	case a.Phase == delivery.Inquire:
		return &s.Inquire.Call, ""
	case a.Phase == delivery.Undo && s.Undo == nil:
		return nil, "there is no undo"
	case a.Phase == delivery.Undo:
		return &s.Undo.Call, ""
	}
	return &s.Call, ""
}

// said is what one side makes of an attempt.
type said struct {
	request core.Request
	offline core.Offline
	wire    []byte
	err     error // why it cannot be sent
}

func (w *work) attempt(old *Side, m Message, a Attempt, captured *[2]map[string]string) error {
	oldCall, _ := callOf(old.Dialect, m.Kind, a)
	if oldCall == nil {
		w.report.Lost++
		return nil
	}
	newCall, why := callOf(w.New.Dialect, m.Kind, a)
	name := a.Step
	if a.Phase != delivery.Send {
		name += " " + string(a.Phase)
	}
	d := Difference{Message: m.ID, Kind: m.Kind, Call: name}
	if newCall == nil {
		d.What, d.Place, d.New = Gone, why, why
		w.count([]Difference{d})
		return nil
	}
	in := core.Input{Body: m.Body, Kind: m.Kind, Stamp: core.Stamp{
		Key: m.Body.Key(), Time: m.Accepted, At: a.At.Add(-a.Took), ID: standIn(m.ID, a.Number), Serial: m.ID, Number: a.Number,
	}}
	ins := [2]core.Input{in, in}
	for i, s := range [2]*Side{old, w.New} {
		call := [2]*core.Call{oldCall, newCall}[i]
		ins[i].Captured, ins[i].Session = captured[i], s.Session(s.Sessions[call.Session])
	}
	verdict, head, read := w.judgedAsThen(old, oldCall, &ins[0], a)
	ins[1].Stamp = ins[0].Stamp

	before, err := say(old, oldCall, ins[0])
	if err != nil {
		return err
	}
	after, err := say(w.New, newCall, ins[1])
	if err != nil {
		return err
	}
	var ds []Difference
	mask := func(b []byte) string { return w.hidden(old, m.Body, w.Text(b)) }
	switch {
	case before.err != nil && after.err != nil:
	case after.err != nil:
		d.What, d.Place, d.Old, d.New = Invalid, after.err.Error(), "it could be sent", w.hidden(old, m.Body, after.err.Error())
		d.Place = d.New
		ds = append(ds, d)
	case before.err != nil:
		d.What, d.Old, d.New = Valid, w.hidden(old, m.Body, before.err.Error()), "it can be sent"
		d.Place = d.Old
		ds = append(ds, d)
	case !bytes.Equal(before.wire, after.wire):
		if again, err := say(old, oldCall, ins[0]); err == nil && !bytes.Equal(again.wire, before.wire) {
			w.report.Random++
			break
		}
		ds = append(ds, differing(d, Bytes, w.Text(before.wire), w.Text(after.wire), mask(before.wire), mask(after.wire)))
	}
	if read && before.err == nil && after.err == nil {
		v := judge(newCall, ins[1], after, head, a.Answer)
		ds = append(ds, w.verdicts(d, old, m.Body, verdict, v)...)
		keep(captured[0], verdict)
		keep(captured[1], v)
	} else if len(a.Answer) > 0 && !read {
		w.report.Unread++
	}
	w.count(ds)
	return nil
}

func keep(captured map[string]string, v core.Verdict) {
	switch v.Outcome {
	case core.OutcomeOK, core.OutcomeAlready, core.OutcomeRunning:
		maps.Copy(captured, v.Captured)
	}
}

func say(s *Side, call *core.Call, in core.Input) (out said, err error) {
	out.request, out.err = call.Mapper.Encode(in)
	if out.err != nil {
		return out, nil //nolint:nilerr // that it cannot be sent is an answer
	}
	if out.offline, err = s.Offline(call.Connector); err != nil {
		return out, err
	}
	out.wire, out.err = out.offline.Write(out.request)
	return out, nil
}

// heads are what may have stood before an answer over HTTP: the ledger keeps bodies.
var heads = []string{"", "HTTP/1.1 500 Internal Server Error\n\n", "HTTP/1.1 400 Bad Request\n\n", "HTTP/1.1 404 Not Found\n\n", "HTTP/1.1 409 Conflict\n\n", "HTTP/1.1 422 Unprocessable Entity\n\n", "HTTP/1.1 201 Created\n\n"}

// judgedAsThen finds what the ledger does not keep, the attempt's id and the status
// of the answer: those with which the old folder judges the answer as it did then.
// It sets the id in the input.
func (w *work) judgedAsThen(old *Side, call *core.Call, in *core.Input, a Attempt) (v core.Verdict, head string, ok bool) {
	if len(a.Answer) == 0 {
		return v, "", false
	}
	standIn := in.Stamp.ID
	for _, id := range append([]string{standIn}, identifiers(a.Request, a.Answer)...) {
		in.Stamp.ID = id
		s, err := say(old, call, *in)
		if err != nil || s.err != nil {
			break
		}
		for _, head := range heads {
			v := judge(call, *in, s, head, a.Answer)
			if v.Outcome == a.Outcome && v.Rule == a.Rule {
				return v, head, true
			}
		}
	}
	in.Stamp.ID = standIn
	return core.Verdict{}, "", false
}

func judge(call *core.Call, in core.Input, s said, head string, answer []byte) core.Verdict {
	r, err := s.offline.Read(s.request, append([]byte(head), answer...))
	if err != nil {
		return core.Verdict{Outcome: core.Outcome(core.ClassOf(err)), Err: err}
	}
	return call.Mapper.Decode(in, r)
}

var hexRun = regexp.MustCompile(`[0-9A-Fa-f]{16,32}`)

// identifiers are what the attempt's id may have been, as far as the bytes tell: a
// HIS often gives it back.
func identifiers(texts ...[]byte) (all []string) {
	for _, text := range texts {
		for _, run := range hexRun.FindAll(text, -1) {
			id := strings.ToLower(string(run))
			id += strings.Repeat("0", 32-len(id))
			if len(all) < 100 && !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	return all
}

// standIn is an id that is the same every time.
func standIn(message int64, attempt int) string {
	h := fnv.New128a()
	fmt.Fprint(h, message, " ", attempt)
	return hex.EncodeToString(h.Sum(nil))
}

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
