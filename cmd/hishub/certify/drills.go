package certify

import (
	"fmt"
	"sync"

	"hishub/connectors/proxy"
	"hishub/core"
	"hishub/core/delivery"
)

// drill is one way in which the line fails.
type drill struct {
	check string
	mode  proxy.Mode
	// through: the HIS gets the request whole.
	through bool
	// ahead: the line fails before the message sets out, so that connections that
	// are open are gone, too.
	ahead bool
}

var allDrills = []drill{
	{"D.down", proxy.Down, false, true},
	{"D.cut", proxy.CutBefore, false, false},
	{"D.swallowed", proxy.CutAfter, true, false},
	{"D.late", proxy.Hang, true, false},
	{"D.garbage", proxy.Garbled, true, false},
	{"D.truncated", proxy.Truncated, true, false},
	{"D.blackhole", proxy.BlackHole, false, false},
}

// drills is chapter D: each write when the line fails, at each of its steps.
func (r *run) drills() {
	r.countBefore()
	for _, kind := range r.kinds() {
		op := r.hospital.Operations[kind]
		for _, d := range allDrills {
			for i := range op.Steps {
				if i < len(op.Steps)-1 && d.check != "D.swallowed" && d.check != "D.cut" {
					continue // where nothing but the place differs, two are enough
				}
				about := string(kind)
				if len(op.Steps) > 1 {
					about = fmt.Sprintf("%s/%s", kind, stepName(op, i))
				}
				r.item(d.check, about, func(it *Item) { r.fails(it, kind, i, d) })
			}
		}
	}
}

func stepName(op *core.Operation, i int) string {
	name := op.Steps[i].Name
	if prefix := string(op.Kind) + " "; len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):]
	}
	return name
}

// afterwards is what was seen right after the line failed.
type afterwards struct {
	mu      sync.Mutex
	struck  bool
	spoilt  bool // the line kept something back, or cut it
	outcome core.Outcome
	status  *core.Status
	asked   *core.Exchange
}

// fails carries out one drill: the line fails once, at the first sending of one
// step, and is good again before the policy goes on.
func (r *run) fails(it *Item, kind core.Kind, at int, d drill) {
	op := r.hospital.Operations[kind]
	step := &op.Steps[at]
	body := r.begin(it, kind)
	if body == nil {
		return
	}
	r.warm(kind, body, step)
	var after afterwards
	var m *message
	ready := make(chan struct{})
	arm := func() {
		if r.transaction(kind, body, step) && d.mode != proxy.Down {
			// Nothing is in doubt before COMMIT left; that is what must get lost.
			r.line.at("commit", d.mode)
			return
		}
		r.drill(it, d.mode)
	}
	armed := false
	r.line.forget()
	if d.ahead && at == 0 {
		armed = true
		arm()
	}
	m = r.ledger.accept(kind, body, watch{
		sent: func(step int, phase delivery.Phase) {
			if step == at && phase == delivery.Send && !armed {
				armed = true
				arm()
			}
		},
		settled: func(a attempt) {
			<-ready
			after.mu.Lock()
			defer after.mu.Unlock()
			if after.struck || a.Phase != delivery.Send || a.Step != step.Name {
				return
			}
			after.struck, after.spoilt = true, d.mode == proxy.Down || r.line.struck()
			r.drill(it, proxy.Through)
			r.line.release()
			after.outcome = a.Exchange.Verdict.Outcome
			if step.Inquire != nil {
				status, x := r.inquire(kind, body, step, m.Captured)
				after.status, after.asked = status, &x
			}
		},
	})
	close(ready)
	r.wait(m)
	r.drill(it, proxy.Through)
	r.seeAll(it, m)
	after.mu.Lock()
	defer after.mu.Unlock()
	if after.asked != nil {
		r.see(it, text{"故障恢复后立即单独查询", "asked separately, right after the line was good again"}, *after.asked, body, "")
	}
	r.judge(it, m, at, d, &after)
}

// warm leaves an open connection: the drill is about a request, not about a
// handshake or a login.
func (r *run) warm(kind core.Kind, body core.Body, step *core.Step) {
	if step.Inquire != nil {
		r.inquire(kind, body, step, nil)
		return
	}
	for _, t := range core.Catalogue {
		if op := r.hospital.Operations[t.Kind]; op != nil && t.Mode == core.Question && op.Steps[0].Connector == step.Connector {
			if q, ok := t.Body().(*core.DictionaryQuery); ok {
				r.ask(t.Kind, q)
				return
			}
		}
	}
}

// transaction: the step is rows of interface tables, which count from COMMIT on.
func (r *run) transaction(kind core.Kind, body core.Body, step *core.Step) bool {
	if r.hospital.Connectors[step.Connector].Kind != "db" {
		return false
	}
	q, err := step.Mapper.Encode(core.Input{Body: body, Kind: kind, Stamp: r.hospital.Stamp(body.Key(), r.now, 1)})
	return err == nil && q.Operation == "insert"
}

// judge compares what came of a drill with what must.
func (r *run) judge(it *Item, m *message, at int, d drill, after *afterwards) {
	op := r.hospital.Operations[m.Kind]
	step := &op.Steps[at]
	if !after.struck && len(m.sends(at, op)) == 0 && m.last.State == delivery.Delivered {
		it.notApplicable("该步骤不适用于这笔报文", "the step does not apply to this message")
		return
	}
	if !after.struck {
		it.fail("演练没有进行：%s", "the drill did not come to pass: %s", ended(m))
		return
	}
	if !after.spoilt {
		it.notTried("数据库连接是加密的，代理无法找到提交的时刻", "the database's connection is encrypted, so the proxy cannot find the moment of COMMIT")
		return
	}
	want := core.OutcomeInDoubt
	if d.mode == proxy.Down {
		want = core.OutcomeUnavailable
	}
	// A database's transaction that breaks before COMMIT is whole leaves no doubt.
	unsure := want == core.OutcomeInDoubt && !d.through && after.outcome == core.OutcomeUnavailable
	if after.outcome != want && !unsure {
		it.fail("第一次发送的结论是 %s，应为 %s", "the first sending came to %s, which must be %s", after.outcome, want)
	}
	if step.Inquire != nil {
		r.judgeInquiry(it, op, at, d, after)
	}
	sends := len(m.sends(at, op))
	doubtful := want == core.OutcomeInDoubt && after.outcome == core.OutcomeInDoubt
	switch {
	case m.last.State == delivery.Delivered && d.through && step.Inquire != nil && sends > 1:
		it.fail("HIS 已受理，却又发送了 %d 次", "the HIS had it, and it was sent %d times", sends)
	case m.last.State == delivery.Delivered:
	case doubtful && step.Inquire == nil && !step.RepeatSafe && m.last.State == delivery.Parked && m.last.Class == core.InDoubt:
		it.say("该交易既不能查询也不能重发，按规定停下等人处理", "it can neither be asked about nor repeated, so it waits for a person, as it must")
	default:
		it.fail("最终没有受理：%s", "it was not taken in the end: %s", ended(m))
	}
	if m.last.State == delivery.Delivered && it.Result == Pass {
		r.once(it, m)
	}
}

// judgeInquiry: what the HIS says right after the failure must be the truth.
func (r *run) judgeInquiry(it *Item, op *core.Operation, at int, d drill, after *afterwards) {
	s := after.status
	switch {
	case s == nil:
		it.fail("故障恢复后查询没有得到答复", "asked after the failure, the HIS did not answer")
	case d.through && s.State != core.StateDone && s.State != core.StateRunning:
		it.fail("HIS 收到了请求，查询却答“%s”", "the HIS had the request, and says %s", s.State)
	case !d.through && s.State == core.StateDone && reachedBefore(op, at, s.At):
		// it has the steps before this one
	case !d.through && s.State != core.StateAbsent:
		it.fail("HIS 没有收到请求，查询却答“%s”", "the HIS did not have the request, and says %s", s.State)
	}
}

// reachedBefore: the HIS is at a step before this one.
func reachedBefore(op *core.Operation, at int, name string) bool {
	for i := range at {
		if op.Steps[i].Name == name || stepName(op, i) == name {
			return true
		}
	}
	return false
}

// once: in the end the HIS holds it, with our amount and one number.
func (r *run) once(it *Item, m *message) {
	op := r.hospital.Operations[m.Kind]
	last := &op.Steps[len(op.Steps)-1]
	if last.Inquire == nil {
		if last.RepeatSafe {
			it.say("不能查询，按配置可以重发；是否重复请看对账一章", "it cannot be asked about and may be repeated, says the folder; whether there are two, the ledger tells")
		}
		return
	}
	r.expectDone(it, m, last)
}
