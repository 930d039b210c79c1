package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"hishub/core"
	"hishub/mapping/formats"
	"hishub/mapping/functions"
)

// run is one Encode or Decode at work: what came in, and what was computed so
// far. Runs are pooled; nothing in them outlives the call.
type run struct {
	in       core.Input
	response core.Response
	arrival  core.Arrival
	// env holds the message and the items of lists that are being repeated.
	env   map[string]any
	slots []slotState
	// One machine for each depth: a let is computed while another expression waits.
	machines []*vm.VM
	depth    int
	unit     *unit
	// answered: the HIS has answered, and its answer is being read.
	answered bool
	// codes are those for which the default of a table stood in so far.
	codes []core.CodeUse
	// forgave is what lenient formats forgave so far.
	forgave []string
	// ear, if set, is told what was computed.
	ear *ear
	// before: secrets have the values that they had before they changed.
	before bool
}

type slotState struct {
	done  bool
	value any
	err   error
}

// slot is the value of a name, computed when it is first used.
func (r *run) slot(i int) (any, error) {
	s := &r.slots[i]
	if !s.done {
		// A name sees only names before it, so this ends.
		v, err := r.unit.slots[i].eval(r)
		*s = slotState{true, v, err}
	}
	return s.value, s.err
}

// read is from_<format>, which keeps in mind what it forgave.
func (r *run) read(name string, f textFormat, v any) (core.Value, error) {
	if v == nil {
		return nil, nil
	}
	text, err := functions.Text(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	out, forgiven, err := f.ReadForgiving(text)
	for _, what := range forgiven {
		what = name + ": " + what
		if len(r.forgave) < formats.MaxForgiven && !slices.Contains(r.forgave, what) {
			r.forgave = append(r.forgave, what)
		}
	}
	return out, err
}

func (r *run) set(i int, v any) { r.slots[i] = slotState{done: true, value: v} }

// cellError is a cell that failed, and where it stands.
type cellError struct {
	at  pos
	err error
}

func (e *cellError) Error() string { return e.at.String() + ": " + e.err.Error() }
func (e *cellError) Unwrap() error { return e.err }

func failedAt(at pos, err error) error {
	var inner *cellError
	if errors.As(err, &inner) {
		return inner // the cause stands there
	}
	return &cellError{at, err}
}

// value runs the expression.
func (p *program) value(r *run) (any, error) {
	if p.fixed {
		return p.text, nil
	}
	if r.depth == len(r.machines) {
		r.machines = append(r.machines, new(vm.VM))
	}
	m := r.machines[r.depth]
	r.depth++
	v, err := m.Run(p.run, r.env)
	r.depth--
	if err != nil {
		return nil, failedAt(p.at, reason(err))
	}
	return v, nil
}

// holds runs a condition.
func (p *program) holds(r *run) (bool, error) {
	v, err := p.value(r)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, &cellError{p.at, errors.New("the condition is neither true nor false")}
	}
	return b, nil
}

// reason takes the expression's own snippet off an error, and puts what the
// machine says of Go types into words.
func reason(err error) error {
	var f *file.Error
	if !errors.As(err, &f) {
		return err
	}
	if f.Prev != nil && !strings.HasPrefix(f.Prev.Error(), "interface conversion") {
		return f.Prev
	}
	switch {
	case strings.Contains(f.Message, "interface conversion") || strings.Contains(f.Message, "invalid operation"):
		return errors.New("a value is missing or of another kind than the expression needs")
	case strings.Contains(f.Message, "out of range"):
		return errors.New("the list is shorter than that")
	}
	return errors.New(typeNames.Replace(f.Message))
}
