package delivery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hishub/core"
)

var t0 = time.Date(2026, 1, 5, 14, 0, 0, 0, time.UTC)

func fen(n int64) *core.Fen { f := core.Fen(n); return &f }

func payment() *Delivery {
	return &Delivery{ID: 1, Hospital: "h", Kind: core.PaymentSettle, Body: &core.Payment{OrderID: "IH1", Amount: 4619}, Progress: Progress{Phase: Send}}
}

func prescription() *Delivery {
	return &Delivery{ID: 1, Hospital: "h", Kind: core.PrescriptionCreate, Body: &core.Prescription{No: "RX1", Amount: 4619}, Progress: Progress{Phase: Send}}
}

// operation of n steps; what it can do is given in words.
func operation(n int, can ...string) *core.Operation {
	op := &core.Operation{SettleAfter: time.Minute}
	for i := range n {
		s := core.Step{Call: core.Call{Name: fmt.Sprintf("s%d", i+1)}}
		for _, c := range can {
			switch c {
			case "inquire":
				s.Inquire = &core.Inquiry{Every: 20 * time.Second, For: 2 * time.Hour}
			case "repeat":
				s.RepeatSafe = true
			case "undo":
				if i < n-1 {
					s.Undo = &core.Step{Call: core.Call{Name: "undo"}, RepeatSafe: true}
				}
			case "expires":
				s.Expires = 15 * time.Minute
			}
		}
		op.Steps = append(op.Steps, s)
	}
	return op
}

var still = Policy{MaxFailures: 3, MaxBusy: 3, MaxInquiries: 3, Base: time.Second, Cap: time.Minute, Jitter: func(d time.Duration) time.Duration { return d }}

func outcome(o core.Outcome) core.Verdict { return core.Verdict{Outcome: o} }
func status(s core.Status) core.Verdict {
	return core.Verdict{Outcome: core.OutcomeOK, Answer: &s}
}

// TestPolicy is the table of docs/design.md, a row a case.
func TestPolicy(t *testing.T) {
	receipt := func(o core.Outcome, r core.Receipt) core.Verdict { return core.Verdict{Outcome: o, Answer: &r} }
	with := func(d *Delivery, f func(*Delivery)) *Delivery { f(d); return d }
	asking := func(d *Delivery) *Delivery {
		d.Phase, d.LastByte = Inquire, t0.Add(-30*time.Second)
		return d
	}
	settled := func(d *Delivery) *Delivery { d.LastByte = t0.Add(-61 * time.Second); return d }
	second := func(d *Delivery) *Delivery { d.Step, d.Finished = 1, []Finished{{0, t0}}; return d }

	inPart := func(d *Delivery) *Delivery { d.Why = WhyInPart; return d }
	ofAmount := func(v core.Verdict, n int64) core.Verdict { v.Answer = &core.Receipt{Amount: fen(n)}; return v }

	cases := []struct {
		name string
		d    *Delivery
		op   *core.Operation
		v    core.Verdict
		want string // state phase[step] class after
	}{
		{"receipt", payment(), operation(1), outcome(core.OutcomeOK), "delivered"},
		{"receipt of the first of two steps", payment(), operation(2), outcome(core.OutcomeOK), "sending send[1]"},
		{"receipt of the last of two steps", second(payment()), operation(2), outcome(core.OutcomeOK), "delivered"},

		{"receipt of another amount", payment(), operation(1), receipt(core.OutcomeOK, core.Receipt{Amount: fen(100)}), "parked in_doubt"},
		{"receipt of another number, can be asked", payment(), operation(1, "inquire"), receipt(core.OutcomeOK, core.Receipt{Number: "ZZZ"}), "sending inquire[0] in_doubt"},

		{"already, same", payment(), operation(1), receipt(core.OutcomeAlready, core.Receipt{Number: "IH1", Amount: fen(4619)}), "delivered"},
		{"already, other amount", payment(), operation(1), receipt(core.OutcomeAlready, core.Receipt{Amount: fen(4620)}), "parked rejected"},
		{"already, other number", payment(), operation(1), receipt(core.OutcomeAlready, core.Receipt{Number: "IH2", Amount: fen(4619)}), "parked rejected"},
		{"already, money, nothing to compare", payment(), operation(1), outcome(core.OutcomeAlready), "parked in_doubt"},
		{"already, no money, nothing to compare", prescription(), operation(1), outcome(core.OutcomeAlready), "delivered"},
		{"already, can be asked", payment(), operation(1, "inquire"), outcome(core.OutcomeAlready), "sending inquire[0] in_doubt"},
		{"already of another amount, can be asked", payment(), operation(1, "inquire"), receipt(core.OutcomeAlready, core.Receipt{Amount: fen(1)}), "parked rejected"},
		{"already, asked: done, for nobody knows what", with(asking(payment()), func(d *Delivery) { d.Why = WhyAlready }), operation(1, "inquire"), status(core.Status{State: core.StateDone}), "parked in_doubt"},
		{"already, asked: done", with(asking(payment()), func(d *Delivery) { d.Why = WhyAlready }), operation(1, "inquire"), status(core.Status{State: core.StateDone, Receipt: core.Receipt{Amount: fen(4619)}}), "delivered"},
		{"already, asked: other amount", with(asking(payment()), func(d *Delivery) { d.Why = WhyAlready }), operation(1, "inquire"), status(core.Status{State: core.StateDone, Receipt: core.Receipt{Amount: fen(1)}}), "parked rejected"},
		{"already, asked: absent", with(settled(asking(payment())), func(d *Delivery) { d.Why = WhyAlready }), operation(1, "inquire"), status(core.Status{State: core.StateAbsent}), "parked in_doubt"},

		{"unavailable", payment(), operation(1), outcome(core.OutcomeUnavailable), "queued send[0] unavailable 1s"},
		{"unavailable, third time", with(payment(), func(d *Delivery) { d.Failures = 2 }), operation(1), outcome(core.OutcomeUnavailable), "queued send[0] unavailable 4s"},
		{"unavailable, budget spent", with(payment(), func(d *Delivery) { d.Failures = 3 }), operation(1), outcome(core.OutcomeUnavailable), "parked unavailable"},
		{"busy", payment(), operation(1), outcome(core.OutcomeBusy), "queued send[0] unavailable 250ms"},
		{"busy when the outages are spent", with(payment(), func(d *Delivery) { d.Failures = 3 }), operation(1), outcome(core.OutcomeBusy), "queued send[0] unavailable 250ms"},
		{"busy for the third time", with(payment(), func(d *Delivery) { d.Busy = 2 }), operation(1), outcome(core.OutcomeBusy), "queued send[0] unavailable 1s"},
		{"busy too often", with(payment(), func(d *Delivery) { d.Busy = 3 }), operation(1), outcome(core.OutcomeBusy), "parked unavailable"},

		{"in doubt, can be asked", payment(), operation(1, "inquire"), outcome(core.OutcomeInDoubt), "sending inquire[0] in_doubt"},
		{"in doubt, harmless to repeat", payment(), operation(1, "repeat"), outcome(core.OutcomeInDoubt), "queued send[0] in_doubt 1s"},
		{"in doubt, neither", payment(), operation(1), outcome(core.OutcomeInDoubt), "parked in_doubt"},
		{"an outcome nobody knows", payment(), operation(1), outcome("?"), "parked in_doubt"},

		{"asked: done", asking(payment()), operation(1, "inquire"), status(core.Status{State: core.StateDone}), "delivered"},
		{"asked: done, other amount", asking(payment()), operation(1, "inquire"), status(core.Status{State: core.StateDone, Receipt: core.Receipt{Amount: fen(1)}}), "parked rejected"},
		{"asked: at the first of two steps", asking(payment()), operation(2, "inquire"), status(core.Status{State: core.StateDone, At: "s1"}), "sending send[1]"},
		{"asked about the second: only at the first, settled", settled(asking(second(payment()))), operation(2, "inquire"), status(core.Status{State: core.StateDone, At: "s1"}), "queued send[1] unavailable 1s"},
		{"asked: at a step that is not there", asking(payment()), operation(1, "inquire"), status(core.Status{State: core.StateDone, At: "s9"}), "parked in_doubt"},
		{"asked: absent, too early to believe", asking(payment()), operation(1, "inquire"), status(core.Status{State: core.StateAbsent}), "queued inquire[0] in_doubt 1s"},
		{"asked: no data, too early to believe", asking(payment()), operation(1, "inquire"), outcome(core.OutcomeNoData), "queued inquire[0] in_doubt 1s"},
		{"asked: absent, settled", settled(asking(payment())), operation(1, "inquire"), status(core.Status{State: core.StateAbsent}), "queued send[0] unavailable 1s"},
		{"asked: running", asking(payment()), operation(1, "inquire"), status(core.Status{State: core.StateRunning}), "queued inquire[0] in_doubt 20s"},
		{"asked: refused", asking(payment()), operation(1, "inquire"), status(core.Status{State: core.StateRefused}), "parked rejected"},
		{"asked: unknown", asking(payment()), operation(1, "inquire"), status(core.Status{State: core.StateUnknown}), "queued inquire[0] in_doubt 1s"},
		{"asked: no answer", asking(payment()), operation(1, "inquire"), outcome(core.OutcomeInDoubt), "queued inquire[0] in_doubt 1s"},
		{"asked: no answer, budget spent", with(asking(payment()), func(d *Delivery) { d.Inquiries = 3 }), operation(1, "inquire"), outcome(core.OutcomeUnavailable), "parked in_doubt"},
		{"asked: the inquiry cannot be said", asking(payment()), operation(1, "inquire"), outcome(core.OutcomeInvalid), "parked invalid"},
		{"asked: absent, cancel wanted", with(settled(asking(payment())), func(d *Delivery) { d.CancelWanted = true }), operation(1, "inquire"), status(core.Status{State: core.StateAbsent}), "cancelled"},
		{"asked: done, cancel wanted too late", with(asking(payment()), func(d *Delivery) { d.CancelWanted = true }), operation(1, "inquire"), status(core.Status{State: core.StateDone}), "delivered"},

		{"running, can be asked", payment(), operation(1, "inquire"), outcome(core.OutcomeRunning), "queued inquire[0] in_doubt 20s"},
		{"running, cannot be asked", payment(), operation(1), outcome(core.OutcomeRunning), "parked in_doubt"},
		{"running for too long", with(asking(payment()), func(d *Delivery) { d.Running = t0.Add(-3 * time.Hour) }), operation(1, "inquire"), status(core.Status{State: core.StateRunning}), "parked in_doubt"},

		{"rejected", payment(), operation(1), outcome(core.OutcomeRejected), "parked rejected"},
		{"rejected after an undoable step", second(payment()), operation(2, "undo"), outcome(core.OutcomeRejected), "sending undo[0]"},
		{"rejected after a step that cannot be undone", second(payment()), operation(2), outcome(core.OutcomeRejected), "parked rejected"},
		{"refund now", payment(), operation(1), outcome(core.OutcomeRefundNow), "cancelled rejected refund"},
		{"invalid", payment(), operation(1), outcome(core.OutcomeInvalid), "parked invalid"},

		{"undo done after a refusal", with(second(payment()), func(d *Delivery) { d.Phase, d.Step, d.Why, d.Reason = Undo, 0, WhyRefused, "refused" }), operation(2, "undo"), outcome(core.OutcomeOK), "parked rejected"},
		{"undo done after a cancel", with(second(payment()), func(d *Delivery) { d.Phase, d.Step, d.Why, d.Reason = Undo, 0, WhyCancelled, "cancelled" }), operation(2, "undo"), outcome(core.OutcomeOK), "cancelled"},
		{"undo done after expiry", with(second(payment()), func(d *Delivery) { d.Phase, d.Step, d.Why = Undo, 0, WhyExpired }), operation(2, "undo"), outcome(core.OutcomeOK), "sending send[0]"},
		{"undo in doubt, harmless to repeat", with(second(payment()), func(d *Delivery) { d.Phase, d.Step, d.Why = Undo, 0, WhyRefused }), operation(2, "undo"), outcome(core.OutcomeInDoubt), "queued undo[0] in_doubt 1s"},
		{"undo refused", with(second(payment()), func(d *Delivery) { d.Phase, d.Step, d.Why = Undo, 0, WhyRefused }), operation(2, "undo"), outcome(core.OutcomeRejected), "parked rejected"},

		{"parts, all done", payment(), operation(1), inParts(core.OutcomeOK, core.OutcomeOK), "delivered"},
		{"parts, all done, of another amount", payment(), operation(1), ofAmount(inParts(core.OutcomeOK, core.OutcomeOK), 100), "parked in_doubt"},
		{"parts, all refused", payment(), operation(1), inParts(core.OutcomeRejected, core.OutcomeRejected), "parked rejected"},
		{"parts, all refused after an undoable step", second(payment()), operation(2, "undo"), inParts(core.OutcomeRejected), "sending undo[0]"},
		{"parts, some refused", payment(), operation(1), ofAmount(inParts(core.OutcomeOK, core.OutcomeRejected), 100), "parked rejected"},
		{"parts, some refused after an undoable step", second(payment()), operation(2, "undo"), inParts(core.OutcomeOK, core.OutcomeRejected), "parked rejected"},
		{"parts, one in doubt, can be asked", payment(), operation(1, "inquire"), inParts(core.OutcomeOK, core.OutcomeInDoubt), "sending inquire[0] in_doubt"},
		{"parts, one in doubt, cannot be asked", payment(), operation(1), inParts(core.OutcomeRejected, core.OutcomeInDoubt), "parked in_doubt"},
		{"parts, some refused, asked: the rest", inPart(asking(payment())), operation(1, "inquire"), status(core.Status{State: core.StateDone, Receipt: core.Receipt{Amount: fen(100)}}), "parked rejected"},
		{"parts, some refused, asked: all of it now", inPart(asking(payment())), operation(1, "inquire"), status(core.Status{State: core.StateDone, Receipt: core.Receipt{Amount: fen(4619)}}), "delivered"},
		{"parts, some refused, asked: done, but what of it", inPart(asking(payment())), operation(1, "inquire"), status(core.Status{State: core.StateDone}), "parked rejected"},
		{"parts, some refused, asked: absent", settled(inPart(asking(payment()))), operation(1, "inquire"), status(core.Status{State: core.StateAbsent}), "parked in_doubt"},

		{"busy after a try in doubt, cancel wanted", with(payment(), func(d *Delivery) { d.CancelWanted, d.LastByte = true, t0 }), operation(1, "repeat"), outcome(core.OutcomeBusy), "queued send[0] unavailable 250ms"},
		{"rejected after a try in doubt", with(payment(), func(d *Delivery) { d.LastByte = t0 }), operation(1, "repeat"), outcome(core.OutcomeRejected), "parked in_doubt"},
		{"rejected, cancel wanted", with(payment(), func(d *Delivery) { d.CancelWanted = true }), operation(1), outcome(core.OutcomeRejected), "cancelled"},
		{"unavailable, cancel wanted", with(payment(), func(d *Delivery) { d.CancelWanted = true }), operation(1), outcome(core.OutcomeUnavailable), "cancelled"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := still.After(c.d, c.op, &Attempt{Exchange: core.Exchange{Verdict: c.v}, Now: t0})
			if got := describe(n); got != c.want {
				t.Errorf("got  %q (%s)\nwant %q", got, n.Because, c.want)
			}
			if n.Because == "" {
				t.Error("no reason given")
			}
		})
	}
}

// inParts is an answer with a verdict per line: P1, P2 and so on.
func inParts(each ...core.Outcome) core.Verdict {
	v := outcome(core.OutcomeOK)
	for i, o := range each {
		v.Parts = append(v.Parts, core.Part{Key: fmt.Sprintf("P%d", i+1), Outcome: o, Words: fmt.Sprintf("words %d", i+1)})
	}
	return v
}

// What the HIS took in part is not to be superseded or sent again as a whole.
func TestTakenInPart(t *testing.T) {
	v := inParts(core.OutcomeRejected, core.OutcomeOK, core.OutcomeRejected)
	v.Captured, v.Answer = map[string]string{"his_no": "S1"}, &core.Receipt{HisNo: "S1", Amount: fen(100)}
	for _, can := range []string{"inquire", "neither"} {
		n := still.After(payment(), operation(1, can), &Attempt{Exchange: core.Exchange{Verdict: v}, Now: t0})
		if n.State != Parked || !n.Sent() || len(n.Finished) != 0 {
			t.Errorf("%s: %s, sent %v, finished %v", can, n.State, n.Sent(), n.Finished)
		}
		if n.Because != "the HIS took 1 of 3 parts; refused: P1, P3" || n.Words != "words 1; words 3" {
			t.Errorf("%s: %q, words %q", can, n.Because, n.Words)
		}
		if n.Receipt == nil || n.Receipt.HisNo != "S1" || *n.Receipt.Amount != 100 || n.Captured["his_no"] != "S1" {
			t.Errorf("%s: kept %+v and %v", can, n.Receipt, n.Captured)
		}
		if (n.Phase == Inquire) != (can == "inquire") || n.Why != WhyInPart {
			t.Errorf("%s: goes on with %s", can, n.Phase)
		}
	}
}

func TestPolicyBefore(t *testing.T) {
	cases := []struct {
		name string
		d    func(*Delivery)
		op   *core.Operation
		want string
	}{
		{"nothing special", func(*Delivery) {}, operation(1), ""},
		{"interrupted, can be asked", func(d *Delivery) { d.Interrupted = true }, operation(1, "inquire"), "sending inquire[0] in_doubt"},
		{"unanswered since an earlier claim, can be asked", func(d *Delivery) { d.Unanswered, d.LastByte = true, t0 }, operation(1, "inquire"), "sending inquire[0] in_doubt"},
		{"interrupted, neither", func(d *Delivery) { d.Interrupted = true }, operation(1), "parked in_doubt"},
		{"interrupted while asking", func(d *Delivery) { d.Interrupted, d.Phase = true, Inquire }, operation(1, "inquire"), ""},
		{"interrupted while undoing", func(d *Delivery) {
			d.Interrupted, d.Phase, d.Finished, d.Why = true, Undo, []Finished{{0, t0}}, WhyRefused
		}, operation(2, "undo"), "queued undo[0] in_doubt 1s"},
		{"taken in part, can be asked", func(d *Delivery) { d.Why, d.Phase, d.LastByte = WhyInPart, Inquire, t0 }, operation(1, "inquire"), ""},
		{"taken in part, cannot be asked", func(d *Delivery) { d.Why, d.LastByte = WhyInPart, t0 }, operation(1, "repeat"), "parked rejected"},
		{"cancel wanted, nothing sent", func(d *Delivery) { d.CancelWanted = true }, operation(1), "cancelled"},
		{"cancel wanted, a step to undo", func(d *Delivery) { d.CancelWanted, d.Step, d.Finished = true, 1, []Finished{{0, t0}} }, operation(2, "undo"), "sending undo[0]"},
		{"cancel wanted, may have happened", func(d *Delivery) { d.CancelWanted, d.LastByte = true, t0 }, operation(1, "repeat"), ""},
		{"a capture expired, undo", func(d *Delivery) { d.Step, d.Finished = 1, []Finished{{0, t0.Add(-time.Hour)}} }, operation(2, "undo", "expires"), "sending undo[0]"},
		{"a capture expired, no undo", func(d *Delivery) { d.Step, d.Finished = 1, []Finished{{0, t0.Add(-time.Hour)}} }, operation(2, "expires"), "sending send[0]"},
		{"a capture is still good", func(d *Delivery) { d.Step, d.Finished = 1, []Finished{{0, t0.Add(-time.Minute)}} }, operation(2, "expires"), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := payment()
			c.d(d)
			n, ok := still.Before(d, c.op, t0)
			got := ""
			if !ok {
				got = describe(n)
			}
			if got != c.want {
				t.Errorf("got  %q (%s)\nwant %q", got, n.Because, c.want)
			}
		})
	}
}

func describe(n Next) string {
	s := []string{string(n.State)}
	if n.State == Queued || n.State == Sending {
		s = append(s, fmt.Sprintf("%s[%d]", n.Phase, n.Step))
	}
	if n.Class != "" {
		s = append(s, string(n.Class))
	}
	if n.After > 0 {
		s = append(s, n.After.String())
	}
	if n.RefundNow {
		s = append(s, "refund")
	}
	return strings.Join(s, " ")
}

// TestPolicyAgainstAnyHIS walks a payment through a HIS that fails in every way,
// and asks what the promise is: exactly once where the HIS answers inquiry
// truthfully (after settle_after) or refuses repeats, at most once elsewhere.
func TestPolicyAgainstAnyHIS(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.IntRange(1, 3).Draw(t, "steps")
		can := rapid.SampledFrom([]string{"inquire", "repeat", "neither"}).Draw(t, "can")
		op := operation(steps, can)
		p := still
		p.MaxFailures, p.MaxBusy, p.MaxInquiries = 1000, 1000, 1000
		d := payment()
		now := t0
		booked := make([]int, steps) // how often each step took effect
		late := map[int]time.Time{}  // a step that takes effect some time after the cut
		arrive := func() {
			for i, at := range late {
				if !at.After(now) {
					delete(late, i)
					if can != "repeat" || booked[i] == 0 {
						booked[i]++
					}
				}
			}
		}
		var n Next
		for exchange := 0; ; exchange++ {
			if exchange > 3000 {
				t.Fatal("goes on for ever")
			}
			arrive()
			var v core.Verdict
			fault := "none"
			if exchange < 40 { // the HIS recovers in the end
				fault = rapid.SampledFrom([]string{"none", "down", "before", "after", "later", "busy"}).Draw(t, "fault")
			}
			switch {
			case fault == "down":
				v = outcome(core.OutcomeUnavailable)
			case d.Phase == Inquire && fault != "none":
				v = outcome(core.OutcomeInDoubt)
			case d.Phase == Inquire:
				s := core.Status{State: core.StateAbsent}
				for i := range booked {
					if booked[i] > 0 {
						s.State, s.At = core.StateDone, op.Steps[i].Name
					}
				}
				v = status(s)
			case fault == "busy":
				v = outcome(core.OutcomeBusy)
			case fault == "before":
				v = outcome(core.OutcomeInDoubt)
			case fault == "later": // within settle_after
				late[d.Step] = now.Add(50 * time.Second)
				v = outcome(core.OutcomeInDoubt)
			default:
				if can != "repeat" || booked[d.Step] == 0 {
					booked[d.Step]++
				}
				v = outcome(core.OutcomeOK)
				if fault == "after" {
					v = outcome(core.OutcomeInDoubt)
				}
			}
			n = p.After(d, op, &Attempt{Exchange: core.Exchange{Verdict: v}, Now: now})
			d.Progress = n.Progress
			now = now.Add(n.After + 10*time.Millisecond)
			if n.State != Queued && n.State != Sending {
				break
			}
		}
		now = now.Add(time.Hour)
		arrive()
		for i, times := range booked {
			if times > 1 {
				t.Fatalf("step %d took effect %d times (%s)", i+1, times, can)
			}
			if n.State == Delivered && times != 1 {
				t.Fatalf("delivered, but step %d took effect %d times (%s)", i+1, times, can)
			}
		}
		if n.State == Parked && can != "neither" {
			t.Fatalf("parked although the HIS can be asked or repeats are harmless: %s", n.Because)
		}
	})
}
