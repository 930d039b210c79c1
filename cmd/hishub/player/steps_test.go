package player

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hishub/core"
)

// threeSteps is a folder whose question has no word for a step, and whose last step
// is only there for some.
func threeSteps() fstest.MapFS {
	return fstest.MapFS{
		"hospital.yaml": {Data: []byte(`grammar: 1
hospital: sanbu
name: 三步测试医院
connectors: {default: {rest: {base: "${SANBU_URL}"}}}
envelopes:
  default:
    write: {send: {$json: {$group: = body}}}
    read: {answer: = from_json(body)}
    outcome: {ok: answer.code == "0", already: answer.code == "2", rejected: answer.code == "1", message: = answer.words}
`)},
		"payment.yaml": {Data: []byte(`payment.settle:
  inquire: payment.status
  steps:
    - {name: hold, call: POST /hold, send: {order: = payment.order_id, channel: = payment.channel}, undo: {call: POST /release, send: {order: = payment.order_id}, repeat_safe: true}}
    - {name: book, call: POST /book, send: {order: = payment.order_id, channel: = payment.channel, sum: = fen(payment.amount)}, undo: {call: POST /unbook, send: {order: = payment.order_id}, repeat_safe: true}}
    - {name: report, call: POST /report, when: payment.channel == "insurance", send: {order: = payment.order_id, sum: = fen(payment.amount)}, undo: {call: POST /unreport, send: {order: = payment.order_id}, repeat_safe: true}}
payment.status:
  call: POST /ask
  send: {order: = payment.order_id}
  returns: {state: '= if answer.state == "1" {"done"} else {"absent"}'}
`)},
	}
}

// counter asks one hospital about one payment, step by step.
type counter struct {
	t  *testing.T
	p  *Player
	h  *core.Hospital
	in core.Input
}

func atCounter(t *testing.T, folder fstest.MapFS, pay *core.Payment) *counter {
	t.Helper()
	p, h := played(t, folder)
	return &counter{t, p, h, core.Input{Body: pay, Kind: core.PaymentSettle, Captured: map[string]string{}, Stamp: h.Stamp(pay.Key(), time.Now(), 1)}}
}

func (c *counter) step(name string) *core.Step {
	c.t.Helper()
	steps := c.h.Operations[core.PaymentSettle].Steps
	i := slices.IndexFunc(steps, func(s core.Step) bool { return strings.TrimPrefix(s.Name, "payment.settle ") == name })
	if i < 0 {
		c.t.Fatalf("there is no step %s", name)
	}
	return &steps[i]
}

func (c *counter) say(call *core.Call, want core.Outcome) core.Exchange {
	c.t.Helper()
	c.in.Stamp = c.h.Stamp(c.in.Body.Key(), time.Now(), c.in.Stamp.Number+1) // another attempt
	x := c.h.Ask(c.t.Context(), call, c.in, nil)
	if x.Verdict.Outcome != want {
		log := c.p.Exchanges()
		c.t.Fatalf("%s is %s (%v), want %s: %+v", x.Call, x.Verdict.Outcome, x.Verdict.Err, want, log[len(log)-1])
	}
	return x
}

func (c *counter) do(name string) {
	c.t.Helper()
	x := c.say(&c.step(name).Call, core.OutcomeOK)
	maps.Copy(c.in.Captured, x.Verdict.Captured)
}

func (c *counter) undo(name string, want core.Outcome) {
	c.t.Helper()
	c.say(&c.step(name).Undo.Call, want)
}

// holds asks what became of it: "absent", "done", "done at pre".
func (c *counter) holds(want string) {
	c.t.Helper()
	steps := c.h.Operations[core.PaymentSettle].Steps
	x := c.say(&steps[len(steps)-1].Inquire.Call, core.OutcomeOK)
	s, ok := x.Verdict.Answer.(*core.Status)
	if !ok {
		c.t.Fatalf("%s is no state: %+v", x.Call, x.Verdict)
	}
	got := string(s.State)
	if s.At != "" {
		got += " at " + s.At
	}
	if got != want {
		log := c.p.Exchanges()
		c.t.Fatalf("it holds %q, want %q; %+v", got, want, log[len(log)-1])
	}
}

// A payment of several steps is done when the last of them is, and not before.
func TestWhatIsHalfDoneIsNotDone(t *testing.T) {
	for _, name := range []string{"dongshan", "yongan"} {
		folder := copied(t, folders(t)[name])
		bare := fstest.MapFS{}
		for file, f := range folder {
			if !strings.HasPrefix(file, "cases/") {
				bare[file] = f
			}
		}
		for form, folder := range map[string]fstest.MapFS{"with cases": folder, "without cases": bare} {
			t.Run(name+" "+form, func(t *testing.T) {
				c := atCounter(t, folder, aPayment())
				c.holds("absent")
				c.do("pre")
				c.holds("done at pre")
				c.undo("pre", core.OutcomeOK)
				c.holds("absent")
				c.undo("pre", core.OutcomeOK) // the answer was lost
				c.do("pre")
				c.do("confirm")
				c.holds("done")
				c.undo("pre", core.OutcomeRejected)
				c.holds("done")
			})
		}
	}
}

// A folder whose question has no word for a step says that it is not there.
func TestStepsThatHaveNoWord(t *testing.T) {
	t.Run("the last does not apply", func(t *testing.T) {
		c := atCounter(t, threeSteps(), aPayment())
		c.do("hold")
		c.holds("absent")
		c.do("book")
		c.holds("done")
		c.undo("book", core.OutcomeOK)
		c.holds("absent")
		c.undo("hold", core.OutcomeOK)
		if left := bookedOf(t, c.p); len(left) != 0 {
			t.Errorf("everything was taken back, and the books say %+v", left)
		}
	})
	t.Run("the last applies", func(t *testing.T) {
		pay := aPayment()
		pay.Channel = "insurance"
		c := atCounter(t, threeSteps(), pay)
		c.do("hold")
		c.do("book")
		c.holds("absent")
		c.do("report")
		c.holds("done")
		c.undo("report", core.OutcomeOK)
		c.undo("report", core.OutcomeOK)
		c.holds("absent")
		c.undo("hold", core.OutcomeRejected)
		if left := bookedOf(t, c.p); len(left) != 1 || !slices.Equal(left[0].Steps, []string{"hold", "book"}) || left[0].Whole {
			t.Errorf("two steps stand, and the books say %+v", left)
		}
	})
}

// A folder may name the last step, too.
func TestTheLastStepIsNamed(t *testing.T) {
	folder := threeSteps()
	text := string(folder["payment.yaml"].Data)
	folder["payment.yaml"].Data = []byte(strings.Replace(text, `{"absent"}'}`, `{"absent"}', at: = answer.step}`, 1))
	c := atCounter(t, folder, aPayment())
	c.holds("absent")
	c.do("hold")
	c.holds("done at hold")
	c.do("book")
	c.holds("done")
}

// A place that is held is no appointment.
func TestAPlaceThatIsHeldIsNotBooked(t *testing.T) {
	for _, name := range []string{"beicheng", "lianhu"} {
		t.Run(name, func(t *testing.T) {
			folder := copied(t, folders(t)[name])
			p, h := played(t, folder)
			ask := func(call *core.Call, body core.Body, kind core.Kind) core.Exchange {
				x := h.Ask(t.Context(), call, core.Input{Body: body, Kind: kind, Captured: map[string]string{}, Stamp: h.Stamp(body.Key(), time.Now(), 1)}, nil)
				if x.Verdict.Outcome != core.OutcomeOK {
					t.Fatalf("%s is %s (%v): %+v", x.Call, x.Verdict.Outcome, x.Verdict.Err, p.Exchanges())
				}
				return x
			}
			all := messages(t, folder, h.Dialect)
			of := func(kind core.Kind) core.Body {
				i := slices.IndexFunc(all, func(m message) bool { return m.kind == kind && m.want == "ok" })
				if i < 0 {
					t.Fatalf("there is no case of %s", kind)
				}
				return all[i].body
			}
			lock, book := of(core.AppointmentLock).(*core.SlotLock), of(core.AppointmentBook).(*core.Appointment)
			lock.OrderID = book.OrderID
			op := h.Operations[core.AppointmentBook].Steps[0]
			for _, c := range []struct {
				call *core.Call
				body core.Body
				kind core.Kind
				want core.State
			}{
				{&h.Operations[core.AppointmentLock].Steps[0].Call, lock, core.AppointmentLock, core.StateAbsent},
				{&op.Call, book, core.AppointmentBook, core.StateDone},
			} {
				ask(c.call, c.body, c.kind)
				x := ask(&op.Inquire.Call, book, core.AppointmentBook)
				if s, ok := x.Verdict.Answer.(*core.Status); !ok || s.State != c.want {
					shown, _ := json.Marshal(x.Verdict.Answer)
					t.Errorf("after %s it is %s, want %s", c.kind, shown, c.want)
				}
			}
		})
	}
}
