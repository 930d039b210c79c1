package player

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hishub/core"
	"hishub/mapping"
	"hishub/mocks/fault"
)

// tokenLife is how long a login is good for.
const tokenLife = 2 * time.Hour

// answer does the work of a request as a fault would have it, and words the answer.
// The books follow, unless the request only asks.
func (p *Player) answer(e *entrance, h *mapping.Heard, kind fault.Kind, x *Exchange) outgoing {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mirror == nil {
		return p.refuse(e, "the player is closed", x)
	}
	switch kind {
	case fault.Busy:
		return p.first(e, h, x, mapping.Wish{Outcome: core.OutcomeBusy, Words: "系统繁忙"})
	case fault.Reject:
		return p.first(e, h, x, mapping.Wish{Outcome: core.OutcomeRejected, Words: fault.RejectWords})
	}
	t, _ := core.Lookup(h.Kind)
	switch {
	case h.Kind == "":
		return p.first(e, h, x, p.loginWish(h))
	case h.Mode == core.Question:
		if _, asks := t.Answer().(*core.Status); asks {
			return p.first(e, h, x, p.statusWishes(h)...)
		}
		return p.first(e, h, x, p.questionWishes(h)...)
	case h.Undo:
		return p.takeBack(e, h, x)
	}
	return p.write(e, h, kind, x)
}

// takeBack undoes a step. While one that came after it stands it is too late, and
// what is not there is taken back already.
func (p *Player) takeBack(e *entrance, h *mapping.Heard, x *Exchange) outgoing {
	before := p.books.of(h)
	if before != nil && slices.Contains(before.Steps, h.Step) && !before.endsWith(h.Step) {
		return p.first(e, h, x, mapping.Wish{Outcome: core.OutcomeRejected, Words: "已完成，不能撤销"})
	}
	out := p.first(e, h, x, mapping.Wish{Outcome: core.OutcomeOK})
	if before != nil && before.endsWith(h.Step) && x.Outcome == core.OutcomeOK {
		p.books.undo(before)
	}
	return out
}

// write accepts something, once.
func (p *Player) write(e *entrance, h *mapping.Heard, kind fault.Kind, x *Exchange) outgoing {
	amount := amountOf(h)
	before := p.books.of(h)
	done := before != nil && (h.Step == "" || slices.Contains(before.Steps, h.Step))
	if done || kind == fault.DuplicateAnswer {
		var wishes []mapping.Wish
		again := mapping.Wish{Outcome: core.OutcomeOK, Receipt: core.Receipt{Amount: amount}}
		if before != nil {
			again.Receipt, again.Captured = before.Receipt, before.Captured
			again.Receipt.Number = ""
			before.Times++
		}
		if p.options.Repeats != "same" && p.mirror.Has(h, core.OutcomeAlready) || kind == fault.DuplicateAnswer {
			already := again
			already.Outcome = core.OutcomeAlready
			wishes = append(wishes, already)
		}
		running := again
		running.Outcome = core.OutcomeRunning
		return p.first(e, h, x, append(wishes, again, running)...)
	}
	wish := mapping.Wish{Outcome: core.OutcomeOK, Receipt: core.Receipt{Amount: amount}, Fresh: p.fresh()}
	if before != nil { // a later step holds what an earlier one gave
		wish.Captured = before.Captured
	}
	running := wish
	running.Outcome = core.OutcomeRunning
	out := p.first(e, h, x, wish, running)
	if x.Outcome == core.OutcomeOK || x.Outcome == core.OutcomeRunning {
		p.books.keep(h, x.verdict)
	}
	return out
}

// fresh makes numbers of the HIS's own of the recorded ones: as long, the last
// digits counted.
func (p *Player) fresh() func(string) string {
	made := map[string]string{}
	return func(recorded string) string {
		if v, ok := made[recorded]; ok {
			return v
		}
		p.books.number++
		head := strings.TrimRight(recorded, "0123456789")
		digits := len(recorded) - len(head)
		var v string
		switch {
		case recorded == "":
			v = fmt.Sprintf("HIS%08d", p.books.number)
		case digits < 4: // too few to count with
			v = fmt.Sprintf("%s%0*d", head, 6, p.books.number)
		default:
			keep := digits - 4
			v = recorded[:len(head)+keep] + fmt.Sprintf("%04d", (tail(recorded)+p.books.number)%10000)
		}
		made[recorded] = v
		return v
	}
}

func tail(recorded string) int {
	n, _ := strconv.Atoi(recorded[len(recorded)-4:])
	return n
}

func (p *Player) loginWish(h *mapping.Heard) mapping.Wish {
	p.books.number++
	token := fmt.Sprintf("played%06d", p.books.number)
	return mapping.Wish{Outcome: core.OutcomeOK, Captured: p.mirror.Login(h.Session, token, time.Now().Add(tokenLife).Truncate(time.Second))}
}

// questionWishes: the recorded answer once, and after a first page the end.
func (p *Player) questionWishes(h *mapping.Heard) []mapping.Wish {
	if h.Page != "" && !h.FirstPage {
		return []mapping.Wish{{Outcome: core.OutcomeOK, LastPage: true}, {Outcome: core.OutcomeNoData}}
	}
	return []mapping.Wish{{Outcome: core.OutcomeOK, Values: p.values(h), Rows: p.rows(h)}, {Outcome: core.OutcomeNoData}}
}

// statusWishes answers by the books.
func (p *Player) statusWishes(h *mapping.Heard) []mapping.Wish {
	about := core.Kind(h.Fields["message.kind"])
	held := p.books.match(h, func(e *entry) bool {
		return !takesBack[e.Kind] && (e.Kind == about || about == "" && p.asks(e.Kind, h.Kind))
	})
	if about != "" && takesBack[about] {
		held = p.books.match(h, func(e *entry) bool { return e.Kind == about })
	}
	taken := p.books.match(h, func(e *entry) bool { return takesBack[e.Kind] })
	absent := mapping.Wish{Outcome: core.OutcomeOK, State: core.StateAbsent}
	if held == nil && taken == nil {
		return []mapping.Wish{absent, {Outcome: core.OutcomeNoData}}
	}
	if held == nil {
		held = taken
	}
	wish := mapping.Wish{Outcome: core.OutcomeOK, State: core.StateDone, Receipt: held.Receipt, Captured: held.Captured}
	wish.Receipt.Number = ""
	var wishes []mapping.Wish
	if taken != nil && about != held.Kind {
		voided := wish
		voided.State, voided.Stage = "", "voided"
		wishes = append(wishes, voided)
	}
	if held.Whole {
		wishes = append(wishes, wish)
	}
	if n := len(held.Steps); n > 0 { // a folder may say so of the last one, too
		for _, state := range []core.State{core.StateDone, core.StateRunning, core.StateAbsent} {
			reached := wish
			reached.State, reached.At = state, held.Steps[n-1]
			wishes = append(wishes, reached)
			if held.Whole {
				return wishes
			}
		}
	}
	if held.Whole {
		return wishes
	}
	return append(wishes, absent, mapping.Wish{Outcome: core.OutcomeNoData})
}

// asks reports whether a write without which nothing is done is what a question asks
// about, where the request does not say: a place that is only held is no appointment.
func (p *Player) asks(kind, question core.Kind) bool {
	writes := p.folder.Dialect.Operations
	about := func(o *core.Operation) bool {
		return o != nil && slices.ContainsFunc(o.Steps, func(s core.Step) bool { return s.Inquire != nil && s.Inquire.Kind == question })
	}
	if about(writes[kind]) {
		return true
	}
	for _, o := range writes {
		if about(o) && nounOf(o.Kind) == nounOf(kind) {
			return false
		}
	}
	return kind != core.AppointmentLock // nobody asks in doubt; a night does
}

// first words the first wish that the folder can be made to read.
func (p *Player) first(e *entrance, h *mapping.Heard, x *Exchange, wishes ...mapping.Wish) outgoing {
	var errs []error
	for _, w := range wishes {
		said, err := p.mirror.Say(h, w)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", meaning(w), err))
			continue
		}
		out, err := p.render(e, h, said)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", meaning(w), err))
			continue
		}
		x.Meant, x.Case = meaning(w), said.Case
		x.Trouble = append(x.Trouble, said.Trouble...)
		_, v := p.mirror.Check(h, out.recorded())
		x.verdict, x.Outcome, x.Words = v, v.Outcome, v.Words
		if v.Outcome != w.Outcome || v.Err != nil {
			x.Trouble = append(x.Trouble, fmt.Sprintf("we meant %s, your rules read %s%s", meaning(w), v.Outcome, because(v)))
		} else if s, ok := v.Answer.(*core.Status); ok && w.State != "" && s.State != w.State {
			x.Trouble = append(x.Trouble, fmt.Sprintf("we meant %s, your rules read %s", meaning(w), s.State))
		} else if ok && w.State == core.StateDone && s.At != w.At {
			x.Trouble = append(x.Trouble, fmt.Sprintf("we meant %s, your rules read step %q", meaning(w), s.At))
		}
		return out
	}
	return p.refuse(e, errors.Join(errs...).Error(), x)
}

func because(v core.Verdict) string {
	if v.Err == nil {
		return ""
	}
	return ": " + v.Err.Error()
}

func meaning(w mapping.Wish) string {
	text := string(w.Outcome)
	if w.State != "" {
		text += ", state " + string(w.State)
	}
	if w.At != "" {
		text += " at " + w.At
	}
	if w.Stage != "" {
		text += ", " + string(w.Stage)
	}
	return text
}

// refuse answers in the transport's way of an error.
func (p *Player) refuse(e *entrance, why string, x *Exchange) outgoing {
	x.Trouble = append(x.Trouble, "nothing could be answered: "+why)
	out := e.wire.Refuse(500, "the player has no answer for this request")
	return outgoing{status: 500, headers: out.Headers, body: out.Body, end: len(out.Body) == 0}
}
