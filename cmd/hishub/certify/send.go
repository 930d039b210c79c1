package certify

import (
	"fmt"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// made is something that the HIS was told and took.
type made struct {
	kind    core.Kind
	body    core.Body
	receipt *core.Receipt
}

// send has a message delivered as production does, and waits for its end.
func (r *run) send(kind core.Kind, body core.Body, w watch) *message {
	m := r.ledger.accept(kind, body, w)
	r.wait(m)
	return m
}

// wait for a message's end, and remember what the HIS has of it.
func (r *run) wait(m *message) {
	r.await(m)
	r.note(m)
}

// await waits until it ends, or ends it.
func (r *run) await(m *message) {
	end := time.NewTimer(r.patience(m.Kind))
	defer end.Stop()
	select {
	case <-m.done:
	case <-end.C:
		r.ledger.giveUp(m)
	case <-r.ctx.Done():
		r.ledger.giveUp(m)
	}
}

// note remembers what the HIS has of it.
func (r *run) note(m *message) {
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	if m.last.State == delivery.Delivered {
		r.made = append(r.made, &made{kind: m.Kind, body: m.Body, receipt: m.last.Receipt})
	} else if m.last.Sent() {
		r.unclear = append(r.unclear, m)
	}
}

// patience is longer than any way that ends: a lost answer, the wait until the
// HIS's "absent" is believed, a second sending, and a verdict that comes later.
func (r *run) patience(kind core.Kind) time.Duration {
	op := r.hospital.Operations[kind]
	d := 30*time.Second + 2*op.SettleAfter
	for i := range op.Steps {
		d += 4 * r.hospital.Timeout(op.Steps[i].Connector)
		if q := op.Steps[i].Inquire; q != nil {
			d += 5 * q.Every
		}
	}
	return d
}

// needed is a message that another one needs; the error says why it is not there.
func (r *run) needed(kind core.Kind) (*made, error) {
	body, err := r.fresh(kind)
	if err != nil {
		return nil, err
	}
	m := r.send(kind, body, watch{})
	if m.last.State != delivery.Delivered {
		return nil, fmt.Errorf("%s %s: %s %s", kind, body.Key(), m.last.Because, m.last.Words)
	}
	return r.made[len(r.made)-1], nil
}

// ask asks a question outside any delivery.
func (r *run) ask(kind core.Kind, body core.Body) core.Exchange {
	return r.question(&r.hospital.Operations[kind].Steps[0].Call, core.Input{Body: body, Kind: kind})
}

// inquire asks what became of a step, as the policy would. The status is nil when
// the HIS did not answer.
func (r *run) inquire(kind core.Kind, body core.Body, step *core.Step, captured map[string]string) (*core.Status, core.Exchange) {
	x := r.question(&step.Inquire.Call, core.Input{Body: body, Kind: kind, Captured: captured})
	switch x.Verdict.Outcome {
	case core.OutcomeNoData:
		return &core.Status{State: core.StateAbsent}, x
	case core.OutcomeOK:
		s, _ := x.Verdict.Answer.(*core.Status)
		return s, x
	}
	return nil, x
}

// question asks up to three times, because a question that was not answered may
// simply be asked again, and the policy does.
func (r *run) question(call *core.Call, in core.Input) (x core.Exchange) {
	if err := r.closed(call); err != nil {
		return core.Exchange{Call: call.Name, Connector: call.Connector, Started: time.Now(), Ended: time.Now(), Verdict: core.Verdict{Outcome: core.OutcomeUnavailable, Err: err}}
	}
	for try := 1; try <= 3; try++ {
		in.Stamp = r.hospital.Stamp(in.Body.Key(), time.Now(), try)
		x = r.hospital.Ask(r.ctx, call, in, nil)
		switch x.Verdict.Outcome {
		case core.OutcomeUnavailable, core.OutcomeInDoubt, core.OutcomeBusy:
		default:
			return x
		}
	}
	return x
}

// see keeps an exchange as evidence.
func (r *run) see(it *Item, what text, x core.Exchange, about core.Body, because string) {
	v := x.Verdict
	e := Evidence{
		What: what.in(r.Lang), Sent: r.shown(x.Connector, x.Sent, about), Received: r.shown(x.Connector, x.Received, about),
		Outcome: v.Outcome, Rule: v.Rule, Words: maskText(v.Words, about), Because: because, At: x.Started.In(r.hospital.Zone), Took: x.Ended.Sub(x.Started),
	}
	if v.Err != nil && because == "" {
		e.Because = v.Err.Error()
	}
	it.Evidence = append(it.Evidence, e)
}

// seeAll keeps the whole way of a message.
func (r *run) seeAll(it *Item, m *message) {
	r.ledger.mu.Lock()
	attempts := m.attempts
	r.ledger.mu.Unlock()
	for _, a := range attempts {
		what := text{"发送", "sent"}
		switch a.Phase {
		case delivery.Inquire:
			what = text{"查询", "inquiry"}
		case delivery.Undo:
			what = text{"撤销", "undo"}
		}
		what = text{fmt.Sprintf("%s %s（第 %d 次交互）", what.zh, a.Exchange.Call, a.Number), fmt.Sprintf("%s %s (exchange %d)", what.en, a.Exchange.Call, a.Number)}
		r.see(it, what, a.Exchange, m.Body, a.next.Because)
	}
}

// ended says how a message ended that should not have ended so.
func ended(m *message) string {
	if m.last.State == "" || m.last.State == delivery.Queued || m.last.State == delivery.Sending {
		return "not ended: " + m.last.Because
	}
	words := ""
	if m.last.Words != "" {
		words = " (" + maskText(m.last.Words, m.Body) + ")"
	}
	return string(m.last.State) + ": " + m.last.Because + words
}
