package shadow

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
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

// CallOf finds the exchange of an attempt in a dialect: its step by name, or the
// only one. Without one it says why there is none.
func CallOf(d *core.Dialect, kind core.Kind, a Attempt) (*core.Step, *core.Call, string) {
	operation := d.Operations[kind]
	if operation == nil {
		return nil, nil, "there is no " + string(kind)
	}
	i := slices.IndexFunc(operation.Steps, func(s core.Step) bool { return s.Name == a.Step })
	if i < 0 && len(operation.Steps) == 1 {
		i = 0
	}
	if i < 0 {
		return nil, nil, "there is no step " + a.Step
	}
	s := &operation.Steps[i]
	switch {
	case a.Phase == delivery.Inquire && s.Inquire == nil:
		return s, nil, "there is no inquiry: in doubt will need a person"
	case a.Phase == delivery.Inquire:
		return s, &s.Inquire.Call, ""
	case a.Phase == delivery.Undo && s.Undo == nil:
		return s, nil, "there is no undo"
	case a.Phase == delivery.Undo:
		return s, &s.Undo.Call, ""
	}
	return s, &s.Call, ""
}

// said is what one side makes of an attempt.
type said struct {
	request core.Request
	offline core.Offline
	wire    []byte
	err     error // why it cannot be sent
}

func (w *work) attempt(old *Side, m Message, a Attempt, captured *[2]map[string]string) error {
	_, call, _ := CallOf(old.Dialect, m.Kind, a)
	if call == nil {
		w.report.Lost++
		return nil
	}
	in := core.Input{Body: m.Body, Kind: m.Kind, Captured: captured[0], Session: old.Session(old.Sessions[call.Session])}
	verdict, head, read := judgedAsThen(old, call, &in, m, a)
	before, err := say(old, call, in)
	if err != nil {
		return err
	}
	then := then{call: call, in: in, said: before, head: head}
	if read {
		then.verdict = &verdict
	} else if len(a.Answer) > 0 {
		w.report.Unread++
	}
	v, err := w.now(old, m, a, then, captured[1])
	if err != nil {
		return err
	}
	// Only now: a step does not see what it captures itself.
	if !read {
		recall(captured, m, a)
		return nil
	}
	Keep(captured[0], verdict)
	if v != nil {
		Keep(captured[1], *v)
	}
	return nil
}

// then is an attempt with the folder that it was made with; the verdict is nil when
// the answer cannot be judged as it was.
type then struct {
	call    *core.Call
	in      core.Input
	said    said
	head    string
	verdict *core.Verdict
}

// now makes the same attempt with the new folder and counts what differs. It gives
// what the new folder makes of the answer; nil when that cannot be known.
func (w *work) now(old *Side, m Message, a Attempt, then then, captured map[string]string) (*core.Verdict, error) {
	d := Difference{Message: m.ID, Kind: m.Kind, Call: a.Step}
	if a.Phase != delivery.Send {
		d.Call += " " + string(a.Phase)
	}
	_, call, why := CallOf(w.New.Dialect, m.Kind, a)
	if call == nil {
		d.What, d.Place, d.New = Gone, why, why
		w.count([]Difference{d})
		return nil, nil
	}
	in := then.in
	in.Captured, in.Session = captured, w.New.Session(w.New.Sessions[call.Session])
	before := then.said
	after, err := say(w.New, call, in)
	if err != nil {
		return nil, err
	}
	var ds []Difference
	mask := func(b []byte) string { return w.hidden(old, m.Body, w.Text(b)) }
	switch {
	case before.err != nil && after.err != nil:
		x := d
		x.What, x.New = Still, w.hidden(old, m.Body, after.err.Error())
		x.Place = x.New
		w.stuck = true
		w.group(x, &w.report.Still)
	case after.err != nil:
		x := d
		x.What, x.Old, x.New = Invalid, "it could be sent", w.hidden(old, m.Body, after.err.Error())
		x.Place = x.New
		ds = append(ds, x)
	case before.err != nil:
		x := d
		x.What, x.Old, x.New = Valid, w.hidden(old, m.Body, before.err.Error()), "it can be sent"
		x.Place = x.Old
		ds = append(ds, x)
	case !bytes.Equal(before.wire, after.wire):
		if again, err := say(old, then.call, then.in); err == nil && !bytes.Equal(again.wire, before.wire) {
			w.report.Random++
			break
		}
		ds = append(ds, differing(d, Bytes, w.Text(before.wire), w.Text(after.wire), mask(before.wire), mask(after.wire)))
	}
	var v *core.Verdict
	if then.verdict != nil && after.err == nil {
		judged := judge(call, in, after, then.head, a.Answer)
		v = &judged
		ds = append(ds, w.verdicts(d, old, m.Body, *then.verdict, judged)...)
	}
	w.count(ds)
	return v, nil
}

// keeps are the outcomes whose captured values later steps see, as delivery has it.
func keeps(o core.Outcome) bool {
	return o == core.OutcomeOK || o == core.OutcomeAlready || o == core.OutcomeRunning
}

// Keep carries over what an attempt captured.
func Keep(captured map[string]string, v core.Verdict) {
	if keeps(v.Outcome) {
		maps.Copy(captured, v.Captured)
	}
}

// recall gives both folders what the ledger still holds of an answer that cannot be
// judged again. Where it can be, both take what they make of it: then what differs is
// the folders and nothing else.
func recall(captured *[2]map[string]string, m Message, a Attempt) {
	if !keeps(a.Outcome) {
		return
	}
	for name, value := range m.Captured {
		for _, side := range captured {
			if _, there := side[name]; !there {
				side[name] = value
			}
		}
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

func judge(call *core.Call, in core.Input, s said, head string, answer []byte) core.Verdict {
	r, err := s.offline.Read(s.request, append([]byte(head), answer...))
	if err != nil {
		return core.Verdict{Outcome: core.Outcome(core.ClassOf(err)), Err: err}
	}
	return call.Mapper.Decode(in, r)
}
