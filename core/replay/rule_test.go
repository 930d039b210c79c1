package replay

import (
	"strings"
	"testing"

	"hishub/core"
	"hishub/core/delivery"
)

func TestWhatMayBeToldAgain(t *testing.T) {
	op := func(steps ...core.Step) Repeats { return RepeatsOf(&core.Operation{Steps: steps}) }
	asks, safe, nothing := core.Step{Inquire: &core.Inquiry{}}, core.Step{RepeatSafe: true}, core.Step{}
	parked := Subject{Kind: core.PaymentSettle, State: delivery.Parked, Class: core.InDoubt, Phase: delivery.Send}
	with := func(s Subject, f func(*Subject)) Subject { f(&s); return s }
	doubt := with(parked, func(s *Subject) { s.Doubt = true })
	delivered := Subject{Kind: core.PaymentSettle, State: delivery.Delivered, Told: true, Revision: 3}
	undo := with(doubt, func(s *Subject) { s.Phase = delivery.Undo })
	for _, c := range []struct {
		name string
		Subject
		With
		Repeats
		why string // "" may
	}{
		{"never sent", with(parked, func(s *Subject) { s.Class = core.Invalid }), Fitting, op(nothing), ""},
		{"in doubt, the HIS is asked", doubt, Fitting, op(asks), ""},
		{"in doubt, repeats are harmless", doubt, Fitting, op(safe), ""},
		{"in doubt, neither", doubt, Fitting, op(nothing), "cannot be asked"},
		{"in doubt at a second step that is neither", with(doubt, func(s *Subject) { s.Step = 1 }), Fitting, op(asks, nothing), "cannot be asked"},
		{"in doubt at a second step that the folder lost", with(doubt, func(s *Subject) { s.Step = 1 }), Fitting, op(asks), "cannot be asked"},
		{"in doubt and asking", with(doubt, func(s *Subject) { s.Phase = delivery.Inquire }), Fitting, op(asks), ""},
		{"an undo in doubt", undo, Fitting, op(core.Step{Inquire: &core.Inquiry{}, Undo: &core.Step{}}), "taken back"},
		{"an undo in doubt that is harmless", undo, Fitting, op(core.Step{Undo: &core.Step{RepeatSafe: true}}), ""},
		{"an undo that was refused", with(undo, func(s *Subject) { s.Class = core.Rejected }), Fitting, op(core.Step{Undo: &core.Step{}}), ""},
		{"begun, and the newest is wanted", with(doubt, func(s *Subject) { s.Finished = true }), Newest, op(asks), "another revision"},
		{"delivered, the HIS is asked", delivered, Fitting, op(asks), ""},
		{"delivered, harmless to repeat", delivered, Fitting, op(safe, safe), ""},
		{"delivered, its second step is not", delivered, Fitting, op(safe, asks), "book it twice"},
		{"delivered, asked at its first step", delivered, Fitting, op(asks, nothing), ""},
		{"delivered, neither", delivered, Fitting, op(nothing), "telling of money again could book it twice"},
		{"delivered, no money, neither", with(delivered, func(s *Subject) { s.Kind = core.PrescriptionCreate }), Fitting, op(nothing), "book it twice"},
		{"cancelled before it was told", Subject{Kind: core.PaymentSettle, State: delivery.Cancelled}, Fitting, op(nothing), ""},
		{"cancelled, told", Subject{Kind: core.PaymentSettle, State: delivery.Cancelled, Told: true}, Fitting, op(nothing), "book it twice"},
		{"the money goes back", Subject{Kind: core.PaymentSettle, State: delivery.Cancelled, RefundNow: true}, Fitting, op(asks), "money goes back"},
		{"content gone", with(delivered, func(s *Subject) { s.Gone = true }), Fitting, op(asks), "retention"},
		{"no such transaction", delivered, Fitting, RepeatsOf(nil), "no such transaction"},
		{"of no catalogue", with(delivered, func(s *Subject) { s.Kind = "x.y" }), Fitting, op(asks), "record"},
	} {
		if got := c.Refusal(c.With, c.Repeats); c.why == "" && got != "" || !strings.Contains(got, c.why) {
			t.Errorf("%s: %q, want %q", c.name, got, c.why)
		}
	}
}

func TestWhichRevisionSaysItAgain(t *testing.T) {
	never := Subject{State: delivery.Parked, Revision: 3}
	begun := Subject{State: delivery.Parked, Revision: 3, Doubt: true}
	for _, c := range []struct {
		With
		Subject
		want int
	}{{Fitting, never, 0}, {Fitting, begun, 3}, {Original, never, 3}, {Original, begun, 3}, {Newest, never, 0}, {Newest, begun, 0},
		{Fitting, Subject{State: delivery.Delivered, Told: true, Revision: 2}, 2}, {Newest, Subject{State: delivery.Delivered, Told: true, Revision: 2}, 0}} {
		if got := c.With.Revision(c.Subject); got != c.want {
			t.Errorf("%q of %+v: revision %d, want %d", c.With, c.Subject, got, c.want)
		}
	}
}

func TestPlansThatDoNotHold(t *testing.T) {
	good := Plan{Filter: Filter{State: delivery.Parked}, Rate: 5, Concurrency: 1, StopAfter: 1}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*Plan){
		"filter.state": func(p *Plan) { p.Filter.State = delivery.Queued },
		"filter.kind":  func(p *Plan) { p.Filter.Kind = core.PrescriptionStatus },
		"filter.class": func(p *Plan) { p.Filter.State, p.Filter.Class = delivery.Delivered, core.Invalid },
		"filter.code":  func(p *Plan) { p.Filter.Code = "x" },
		"filter.keys":  func(p *Plan) { p.Filter.Keys = []string{"a\x00"} },
		"with":         func(p *Plan) { p.With = "older" },
		"rate":         func(p *Plan) { p.Rate = 0 },
		"concurrency":  func(p *Plan) { p.Concurrency = 0 },
		"stop_after":   func(p *Plan) { p.StopAfter = -1 },
	} {
		p := good
		spoil(&p)
		err := p.Check()
		ps, _ := err.(core.Problems)
		if len(ps) != 1 || ps[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
