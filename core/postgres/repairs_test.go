package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/reconcile"
)

// opened is a case of this finding with what the policy proposes.
func (l *ledger) opened(f reconcile.Finding) reconcile.Case {
	l.tb.Helper()
	l.run(night, f)
	for _, c := range l.live() {
		if c.Number == f.Number {
			return c
		}
	}
	l.tb.Fatalf("no case of %s", f.Number)
	return reconcile.Case{}
}

func (l *ledger) caseOf(id int64) reconcile.Case {
	l.tb.Helper()
	c, _, err := l.Case(l.ctx, id)
	l.must(err)
	return c
}

func nothing(context.Context, reconcile.Case, reconcile.Repair, reconcile.Carrier) (int64, error) {
	return 0, nil
}

func TestFourEyesOnARepair(t *testing.T) {
	const from = 1000
	type yes struct {
		who  string
		want error
	}
	rx := reconcile.Finding{Class: reconcile.StateDiffers, Type: reconcile.EntryPrescription, Number: "A1"}
	for name, c := range map[string]struct {
		finding reconcile.Finding
		by      string // "" leaves what the policy proposed
		says    []yes
		state   reconcile.RepairState
	}{
		"a small amount takes one":                    {lost("A1", 999), "", []yes{{"alice", nil}}, reconcile.RepairApproved},
		"who proposed a small amount may approve it":  {lost("A1", 999), "alice", []yes{{"alice", nil}}, reconcile.RepairApproved},
		"the policy proposed: two people":             {lost("A1", 1000), "", []yes{{"alice", nil}, {"bob", nil}}, reconcile.RepairApproved},
		"one of two is not enough":                    {lost("A1", 1000), "", []yes{{"alice", nil}}, reconcile.RepairProposed},
		"the same twice":                              {lost("A1", 1000), "", []yes{{"alice", nil}, {"alice", reconcile.ErrSecondPerson}}, reconcile.RepairProposed},
		"two keys of one person":                      {lost("A1", 1000), "", []yes{{"alice (key 1)", nil}, {"alice (key 2)", reconcile.ErrSecondPerson}, {"bob (key 1)", nil}}, reconcile.RepairApproved},
		"one person written otherwise":                {lost("A1", 1000), "Alice  Wu (key 1)", []yes{{" alice wu", reconcile.ErrSecondPerson}}, reconcile.RepairProposed},
		"a person's proposal is the first yes":        {lost("A1", 1000), "alice", []yes{{"alice", reconcile.ErrSecondPerson}, {"bob", nil}}, reconcile.RepairApproved},
		"a third has nothing to say":                  {lost("A1", 1000), "alice", []yes{{"bob", nil}, {"carol", reconcile.ErrNotOpen}}, reconcile.RepairApproved},
		"the policy moves no money":                   {lost("A1", 5), "", []yes{{"policy", reconcile.ErrSecondPerson}}, reconcile.RepairProposed},
		"the policy tells of a prescription again":    {rx, "", []yes{{"policy", nil}}, reconcile.RepairApproved},
		"a prescription takes one, whatever the from": {rx, "alice", []yes{{"alice", nil}}, reconcile.RepairApproved},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t)
			of := l.opened(c.finding)
			r := *of.Repair
			if c.by != "" {
				var err error
				r, err = l.Propose(l.ctx, of.ID, reconcile.Resend, reconcile.Params{}, c.by, "")
				l.must(err)
			}
			for _, y := range c.says {
				if _, err := l.Approve(l.ctx, r.ID, y.who, "", from); !errors.Is(err, y.want) {
					t.Errorf("%s says yes: %v, want %v", y.who, err, y.want)
				}
			}
			got := l.caseOf(of.ID)
			if got.Repair.State != c.state {
				t.Errorf("it is %s", got.Repair.State)
			}
			want := reconcile.CaseOpen
			if c.state == reconcile.RepairApproved {
				want = reconcile.CaseRepairing
			}
			if got.State != want || (got.Repair.ApprovedAt.IsZero() == (c.state == reconcile.RepairApproved)) {
				t.Errorf("case %+v, repair %+v", got, got.Repair)
			}
		})
	}
}

// The folder's rule is loosened between two: what the first yes needed is needed
// still, and nobody's yes takes the place of another's.
func TestFourEyesOnARepairWhoseRuleChanges(t *testing.T) {
	l := newLedger(t)
	r := *l.opened(lost("A1", 1200)).Repair
	first, err := l.Approve(l.ctx, r.ID, "alice", "", 1000)
	if err != nil || first.State != reconcile.RepairProposed || first.People != 2 {
		t.Fatalf("the first: %+v %v", first, err)
	}
	if _, err := l.Approve(l.ctx, r.ID, "alice", "", 1_000_000); !errors.Is(err, reconcile.ErrSecondPerson) {
		t.Errorf("the first alone: %v", err)
	}
	second, err := l.Approve(l.ctx, r.ID, "bob", "", 1_000_000)
	if err != nil || second.State != reconcile.RepairApproved || second.ApprovedBy != "alice" || second.SecondBy != "bob" || second.People != 2 {
		t.Errorf("the second: %+v %v", second, err)
	}
}

func TestProposals(t *testing.T) {
	l := newLedger(t)
	c := l.opened(lost("A1", 1200))
	var problems core.Problems
	if _, err := l.Propose(l.ctx, c.ID, reconcile.Reverse, reconcile.Params{}, "alice", ""); !errors.As(err, &problems) {
		t.Errorf("an action that the class does not allow: %v", err)
	}
	r, err := l.Propose(l.ctx, c.ID, reconcile.PayBack, reconcile.Params{OrderID: "A1"}, "alice", "she asked for it")
	l.must(err)
	if r.Amount != 1200 || r.Params.OrderID != "A1" || r.ProposedBy != "alice" || r.Note == "" || r.State != reconcile.RepairProposed {
		t.Errorf("proposed %+v", r)
	}
	if _, err := l.Propose(l.ctx, c.ID, reconcile.WriteOff, reconcile.Params{}, "bob", ""); !errors.Is(err, reconcile.ErrNotOpen) {
		t.Errorf("over another person's: %v", err)
	}
	own, err := l.Propose(l.ctx, c.ID, reconcile.WriteOff, reconcile.Params{}, "alice (key 2)", "")
	l.must(err)
	if _, err := l.Approve(l.ctx, r.ID, "bob", "", 0); !errors.Is(err, reconcile.ErrNotOpen) {
		t.Errorf("one that was replaced was approved: %v", err)
	}
	no, err := l.Reject(l.ctx, own.ID, "bob", "look again")
	if err != nil || no.State != reconcile.RepairRejected || no.Problem != "look again" {
		t.Errorf("rejected: %+v %v", no, err)
	}
	if _, err := l.Reject(l.ctx, own.ID, "bob", ""); !errors.Is(err, reconcile.ErrNotOpen) {
		t.Errorf("rejected twice: %v", err)
	}
	if v := l.verbs(c.ID); v != "opened proposed proposed proposed rejected" {
		t.Errorf("trail: %s", v)
	}
	// The policy's own was never decided, so the next run proposes it again; once a
	// person said no it does not.
	again := l.opened(lost("A1", 1200))
	if again.Repair.ProposedBy != "policy" || again.Repair.State != reconcile.RepairProposed {
		t.Fatalf("the next run: %+v", again.Repair)
	}
	_, err = l.Reject(l.ctx, again.Repair.ID, "bob", "")
	l.must(err)
	if c := l.opened(lost("A1", 1200)); c.Repair.ID != again.Repair.ID {
		t.Errorf("proposed although a person said no: %+v", c.Repair)
	}
	for _, f := range []func() error{
		func() error { _, err := l.Approve(l.ctx, 99, "bob", "", 0); return err },
		func() error { _, err := l.Reject(l.ctx, 99, "bob", ""); return err },
		func() error { _, err := l.CarryOut(l.ctx, 99, nothing); return err },
		func() error {
			_, err := l.Propose(l.ctx, 99, reconcile.WriteOff, reconcile.Params{}, "bob", "")
			return err
		},
		func() error { return l.Note(l.ctx, 99, "bob", "") },
	} {
		if err := f(); !errors.Is(err, ErrNotFound) {
			t.Errorf("of nothing: %v", err)
		}
	}
}

// approved is a case whose repair has all its yeses.
func (l *ledger) approved(f reconcile.Finding, a reconcile.Action) (reconcile.Case, reconcile.Repair) {
	l.tb.Helper()
	c := l.opened(f)
	r, err := l.Propose(l.ctx, c.ID, a, reconcile.Params{}, "alice", "")
	l.must(err)
	r, err = l.Approve(l.ctx, r.ID, "bob", "", 0)
	l.must(err)
	if r.State != reconcile.RepairApproved {
		l.tb.Fatalf("it is %s", r.State)
	}
	return c, r
}

// What f accepts and that the repair was carried out are one: nothing of it stays
// when f breaks off, and by however many it is done, it is done once.
func TestRepairIsCarriedOutOnce(t *testing.T) {
	var woken atomic.Int64
	l := newLedger(t, func(o *Options) { o.Woken = func(string) { woken.Add(1) } })
	c, r := l.approved(lost("A1", 1200), reconcile.PayBack)
	if all, err := l.ToCarryOut(l.ctx, "h1"); err != nil || len(all) != 1 || all[0].ID != r.ID {
		t.Errorf("to carry out: %+v %v", all, err)
	}
	pay := func(ctx context.Context, c reconcile.Case, r reconcile.Repair, do reconcile.Carrier) (int64, error) {
		a, err := do.Enqueue(ctx, c.Hospital, payBack("F1", c.Number, r.Amount, dawn))
		return a.ID, err
	}
	died := errors.New("the process died here")
	_, err := l.CarryOut(l.ctx, r.ID, func(ctx context.Context, c reconcile.Case, r reconcile.Repair, do reconcile.Carrier) (int64, error) {
		if _, err := pay(ctx, c, r, do); err != nil {
			return 0, err
		}
		return 0, died
	})
	if !errors.Is(err, died) || woken.Load() != 0 {
		t.Errorf("broken off: %v", err)
	}
	if n := count[int](l, `select count(*) from hub.message`); n != 0 || l.caseOf(c.ID).Repair.State != reconcile.RepairApproved {
		t.Errorf("%d messages, repair %+v", n, l.caseOf(c.ID).Repair)
	}
	l.none()

	var carried, late atomic.Int64
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			switch _, err := l.CarryOut(l.ctx, r.ID, pay); {
			case err == nil:
				carried.Add(1)
			case errors.Is(err, reconcile.ErrNotOpen):
				late.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if carried.Load() != 1 || late.Load() != 5 || woken.Load() != 1 {
		t.Errorf("carried out %d times, refused %d, woken %d", carried.Load(), late.Load(), woken.Load())
	}
	got := l.caseOf(c.ID)
	if got.Repair.State != reconcile.RepairSent || got.Repair.Message == 0 || got.State != reconcile.CaseRepairing {
		t.Errorf("sent: %+v %+v", got, got.Repair)
	}
	l.must(l.Follow(l.ctx, "h1"))
	if s := l.caseOf(c.ID).Repair.State; s != reconcile.RepairSent {
		t.Errorf("before it is delivered: %s", s)
	}
	l.settleAs(got.Repair.Message, delivery.Delivered, receipt("50001"))
	l.must(l.Follow(l.ctx, "h1"))
	if got := l.caseOf(c.ID); got.Repair.State != reconcile.RepairDone || got.State != reconcile.CaseRepairing {
		t.Errorf("delivered: %+v %+v", got, got.Repair)
	}
	if v := l.verbs(c.ID); v != "opened proposed proposed approved executed executed" {
		t.Errorf("trail: %s", v)
	}
	// A later run that finds it still opens it again, and one that does not resolves it.
	l.run(night, lost("A1", 1200))
	if got := l.caseOf(c.ID); got.State != reconcile.CaseOpen || got.Repair.State == reconcile.RepairApproved {
		t.Errorf("found again: %+v", got)
	}
	l.run(night)
	if got := l.caseOf(c.ID); got.State != reconcile.CaseResolved {
		t.Errorf("not found: %+v", got)
	}
}

// While a repair is on its way a run that finds it still changes nothing.
func TestFoundWhileUnderRepair(t *testing.T) {
	l := newLedger(t)
	c, r := l.approved(lost("A1", 1200), reconcile.Resend)
	l.run(night, lost("A1", 1200))
	if got := l.caseOf(c.ID); got.State != reconcile.CaseRepairing || got.Repair.ID != r.ID {
		t.Errorf("approved: %+v", got)
	}
	// A run that began before the repair was done says nothing about it.
	n, err := l.BeginNight(l.ctx, reconcile.Ask{Hospital: "h1", Day: night, Who: "schedule"}, time.Minute)
	l.must(err)
	l.must(l.Found(l.ctx, n.ID, []reconcile.Finding{lost("A1", 1200)}))
	_, err = l.CarryOut(l.ctx, r.ID, nothing)
	l.must(err)
	n.State, n.Detail = reconcile.NightDone, reconcile.Full
	_, err = l.EndNight(l.ctx, n)
	l.must(err)
	if got := l.caseOf(c.ID); got.State != reconcile.CaseRepairing {
		t.Errorf("done while the run went on: %+v", got)
	}
	l.run(night, lost("A1", 1200))
	if got := l.caseOf(c.ID); got.State != reconcile.CaseOpen {
		t.Errorf("found after it was done: %+v", got)
	}
	// The approved repair of a case that is gone is not carried out any more.
	c2, r2 := l.approved(lost("A2", 5), reconcile.Resend)
	l.run(night)
	if _, err := l.CarryOut(l.ctx, r2.ID, nothing); !errors.Is(err, reconcile.ErrNotOpen) || l.caseOf(c2.ID).State != reconcile.CaseResolved {
		t.Errorf("carried out after it was gone: %v", err)
	}
}

func TestRepairsThatFail(t *testing.T) {
	l := newLedger(t)
	l.enqueue(payBack("F1", "A1", 700, dawn))
	for name, f := range map[string]func(context.Context, reconcile.Carrier) error{
		"problems": func(context.Context, reconcile.Carrier) error {
			return core.Problems{{Field: "visit_no", What: "missing"}}
		},
		"conflict": func(ctx context.Context, do reconcile.Carrier) error {
			if _, err := do.Enqueue(ctx, "h1", paid("A7", dawn)); err != nil { // must not stay
				return err
			}
			_, err := do.Enqueue(ctx, "h1", payBack("F1", "A1", 1200, dawn))
			return err
		},
		"cannot": func(context.Context, reconcile.Carrier) error { return core.ErrCannot },
	} {
		c, r := l.approved(lost("of "+name, 1200), reconcile.PayBack)
		got, err := l.CarryOut(l.ctx, r.ID, func(ctx context.Context, _ reconcile.Case, _ reconcile.Repair, do reconcile.Carrier) (int64, error) {
			return 0, f(ctx, do)
		})
		if err == nil || got.State != reconcile.RepairFailed || got.Problem == "" || l.caseOf(c.ID).State != reconcile.CaseOpen {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	if n := count[int](l, `select count(*) from hub.message`); n != 1 {
		t.Errorf("%d messages", n)
	}

	// A message that is parked or cancelled is a repair that failed, with the reason.
	for _, s := range []delivery.State{delivery.Parked, delivery.Cancelled} {
		c, r := l.approved(lost("to "+string(s), 1200), reconcile.PayBack)
		r, err := l.CarryOut(l.ctx, r.ID, func(ctx context.Context, _ reconcile.Case, _ reconcile.Repair, do reconcile.Carrier) (int64, error) {
			a, err := do.Enqueue(ctx, "h1", payBack("F "+string(s), string(s), 700, dawn))
			return a.ID, err
		})
		l.must(err)
		l.settleAs(r.Message, s, func(n *delivery.Next) { n.Because, n.Words = "not enough money", "余额不足 张三测试" })
		l.must(l.Follow(l.ctx, ""))
		got := l.caseOf(c.ID)
		if got.Repair.State != reconcile.RepairFailed || got.State != reconcile.CaseOpen || !strings.HasSuffix(got.Repair.Problem, "not enough money") {
			t.Errorf("%s: %+v", s, got.Repair)
		}
	}
	// The policy tries again what failed.
	c := l.opened(lost("of cannot", 1200))
	if c.Repair.State != reconcile.RepairProposed {
		t.Errorf("after it failed: %+v", c.Repair)
	}
}

func TestWriteOff(t *testing.T) {
	l := newLedger(t)
	c, r := l.approved(lost("A1", 1200), reconcile.WriteOff)
	got, err := l.CarryOut(l.ctx, r.ID, nothing)
	if err != nil || got.State != reconcile.RepairDone || l.caseOf(c.ID).State != reconcile.CaseWrittenOff || l.caseOf(c.ID).EndedAt.IsZero() {
		t.Errorf("written off: %+v %v", got, err)
	}
	// Later runs of the day find it still; that is no new case, unless it is another finding.
	l.run(night, lost("A1", 1200))
	if all := l.live(); len(all) != 0 {
		t.Errorf("found again: %+v", all)
	}
	l.run(night, lost("A1", 1300))
	if all := l.live(); len(all) != 1 || all[0].ID == c.ID {
		t.Errorf("another amount: %+v", all)
	}
}

// again resends by a repair and gives the message that goes out.
func (l *ledger) again(message int64) (int64, error) {
	l.tb.Helper()
	l.exec(`delete from hub.case`)
	_, r := l.approved(lost("A1", 1200), reconcile.Resend)
	r, err := l.CarryOut(l.ctx, r.ID, func(ctx context.Context, _ reconcile.Case, _ reconcile.Repair, do reconcile.Carrier) (int64, error) {
		if body, err := do.Body(ctx, message); err != nil || body.Key() != "A1" {
			l.tb.Errorf("its body: %v %v", body, err)
		}
		return do.Resend(ctx, message, "bob", "the HIS lost it")
	})
	return r.Message, err
}

func TestResendOfADeliveredOneAsksFirst(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(paid("A1", dawn))
	l.settleAs(id, delivery.Delivered, receipt("H1"))
	sent := count[time.Time](l, `select max(at) from hub.attempt where message = $1`, id)
	fresh, err := l.again(id)
	l.must(err)
	if fresh == id || fresh == 0 {
		t.Fatalf("message %d goes out", fresh)
	}
	old, _, err := l.Message(l.ctx, id)
	l.must(err)
	if old.State != delivery.Delivered || old.SupersededBy != fresh || old.Receipt == nil {
		t.Errorf("the old one: %+v", old)
	}
	d := *l.one(fresh)
	if !d.Unanswered || d.Phase != delivery.Send || !d.LastByte.Equal(sent) || d.Body.(*core.Payment).Amount != 1200 {
		t.Errorf("it begins with %+v, last sent %s", d.Progress, sent)
	}
	op := &core.Operation{Steps: []core.Step{{Call: core.Call{Name: "pay"}, Inquire: &core.Inquiry{}}}}
	if n, on := delivery.DefaultPolicy.Before(&d, op, time.Now()); on || n.Phase != delivery.Inquire {
		t.Errorf("its first act: %+v", n)
	}
	ours := l.oursOf()
	if len(ours) != 1 || ours[0].Message != fresh || ours[0].Number != "A1" {
		t.Errorf("ours: %+v", ours)
	}
	// The key still means the same message.
	if a, err := l.Enqueue(l.ctx, "h1", paid("A1", dawn)); err != nil || !a.Duplicate || a.ID != fresh {
		t.Errorf("enqueued again: %+v %v", a, err)
	}
	l.settle(&d, next(&d, delivery.Delivered))
	l.must(l.Follow(l.ctx, "h1"))
	if all := l.live(); len(all) != 1 || all[0].Repair.State != reconcile.RepairDone {
		t.Errorf("followed: %+v", all)
	}
	// Named by its old number, the one in its place goes out.
	third, err := l.again(id)
	if err != nil || third == fresh || third == id {
		t.Errorf("a third time: %d %v", third, err)
	}
}

func TestResendOfOthers(t *testing.T) {
	for name, c := range map[string]struct {
		make  func(*ledger, int64)
		same  bool // the message itself goes out
		asks  bool
		fails bool
	}{
		"refused and parked: nothing is there": {func(l *ledger, id int64) { l.park(id, core.Rejected, nil) }, true, false, false},
		"in doubt, and nobody can be asked":    {func(l *ledger, id int64) { l.park(id, core.InDoubt, inDoubt) }, true, true, false},
		"in doubt, and was being asked about":  {func(l *ledger, id int64) { l.park(id, core.InDoubt, asking) }, true, false, false}, // its phase asks
		"queued: it goes out by itself":        {func(*ledger, int64) {}, true, false, false},
		"cancelled after it was sent":          {func(l *ledger, id int64) { l.settleAs(id, delivery.Cancelled, nil) }, false, true, false},
		"cancelled before":                     {func(l *ledger, id int64) { _, err := l.Cancel(l.ctx, id, "bob", ""); l.must(err) }, false, false, false},
		"the money goes back": {func(l *ledger, id int64) {
			l.settleAs(id, delivery.Cancelled, func(n *delivery.Next) { n.RefundNow = true })
		}, false, false, true},
		"past the retention of attempts": {func(l *ledger, id int64) { l.settleAs(id, delivery.Delivered, nil); l.exec(`delete from hub.attempt`) }, false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t)
			id := l.enqueue(paid("A1", dawn))
			c.make(l, id)
			goes, err := l.again(id)
			if c.fails {
				if err == nil {
					t.Errorf("message %d goes out", goes)
				}
				return
			}
			l.must(err)
			if (goes == id) != c.same {
				t.Errorf("message %d goes out of %d", goes, id)
			}
			d := l.one(goes)
			if d.Unanswered != c.asks {
				t.Errorf("it begins with %+v", d.Progress)
			}
		})
	}
}
