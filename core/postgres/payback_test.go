package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/reconcile"
)

// closing is one day with a channel's bill and a HIS's ledger that a test writes,
// over the real store.
type closing struct {
	*ledger
	bill    []core.BillEntry
	his     []core.LedgerEntry
	runner  reconcile.Runner
	repairs reconcile.Repairs
}

func newClosing(t *testing.T) *closing {
	c := &closing{ledger: newLedger(t)}
	rules := core.DefaultNight()
	rules.FullEvery, rules.States, rules.FourEyesFrom = 1, false, 1_000_000
	place := reconcile.Place{
		Zone: dawn.Location(), NightRules: rules, Bills: map[core.Channel]core.Biller{"wechat": c},
		Can: func(k core.Kind) bool { return k == core.LedgerDetail },
	}
	where := func(context.Context, string) (reconcile.Place, error) { return place, nil }
	now := func() time.Time { return dawn.AddDate(0, 0, 60) }
	c.runner = reconcile.Runner{Store: c.Store, Asker: c, Place: where, Now: now}
	c.repairs = reconcile.Repairs{Store: c.Store, Place: where}
	return c
}

// Bill implements core.Biller.
func (c *closing) Bill(_ context.Context, day string, emit func(core.BillEntry) error) (t core.BillTotals, err error) {
	if day != night {
		return t, core.ErrNoBill
	}
	for _, e := range c.bill {
		t.Payments++
		t.PaymentAmount += e.Amount
		if err := emit(e); err != nil {
			return t, err
		}
	}
	return t, nil
}

// Question implements reconcile.Asker.
func (c *closing) Question(_ context.Context, _ string, _ core.Kind, q core.Body) (any, error) {
	if q.(*core.LedgerQuery).Day != night {
		return &core.Ledger{}, nil
	}
	return &core.Ledger{Entries: c.his}, nil
}

// took is a line of the channel's bill.
func (c *closing) took(number, channelNo string) {
	c.bill = append(c.bill, core.BillEntry{LedgerEntry: core.LedgerEntry{
		Type: core.EntryPayment, Number: number, ChannelNo: channelNo, Channel: "wechat", Amount: 1200, At: dawn.Add(time.Hour),
	}})
}

// found runs the day and gives the classes that are differences.
func (c *closing) found() (classes []reconcile.Class) {
	c.tb.Helper()
	n, err := c.runner.Run(c.ctx, reconcile.Ask{Hospital: "h1", Day: night, Who: "test"})
	c.must(err)
	if n.State != reconcile.NightDone {
		c.tb.Fatalf("%s: %s", n.State, n.Problem)
	}
	for class := range n.Counts {
		if class.Difference() {
			classes = append(classes, class)
		}
	}
	return classes
}

// only is the one case that is live.
func (c *closing) only() reconcile.Case {
	c.tb.Helper()
	all := c.live()
	if len(all) != 1 {
		c.tb.Fatalf("%d live cases: %+v", len(all), all)
	}
	return all[0]
}

// mend proposes and approves.
func (c *closing) mend(id int64, a reconcile.Action) (reconcile.Repair, error) {
	c.tb.Helper()
	r, err := c.Propose(c.ctx, id, a, reconcile.Params{}, "alice", "")
	c.must(err)
	return c.repairs.Approve(c.ctx, r.ID, "bob", "")
}

func (c *closing) settled(order string) int64 {
	id := c.enqueue(paid(order, dawn.Add(time.Hour)))
	c.settleAs(id, delivery.Delivered, receipt("H1"))
	c.his = append(c.his, core.LedgerEntry{Type: core.EntryPayment, Number: order, HisNo: "H1", Amount: 1200})
	return id
}

// A payment that nobody knew of is recorded as soon as it is to go back. When the
// channel then gives nothing back, the patient's money is still there, and the
// case must be, too.
func TestWhatTheChannelDidNotPayBackStaysACase(t *testing.T) {
	for name, arrange := range map[string]func(*closing){
		"nobody knew of it":        func(c *closing) { c.took("A2", "wxA2") },
		"another order paid twice": func(c *closing) { c.settled("A1"); c.took("A1", "wxA1"); c.took("A2", "wxA2") },
		"one order paid twice":     func(c *closing) { c.settled("A1"); c.took("A1", "wxA1"); c.took("A1", "wxAgain") },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClosing(t)
			arrange(c)
			c.found()
			of := c.only()
			r, err := c.mend(of.ID, reconcile.PayBack)
			c.must(err)
			c.settleAs(r.Message, delivery.Cancelled, func(n *delivery.Next) { n.Because = "the channel refused" })
			c.must(c.Follow(c.ctx, "h1"))
			if d := c.found(); len(d) != 0 {
				t.Errorf("found %v", d)
			}
			if got := c.caseOf(of.ID); got.State != reconcile.CaseOpen || got.Repair.State != reconcile.RepairFailed {
				t.Fatalf("nobody looks after it: %s, repair %s", got.State, got.Repair.State)
			}

			// Said again it is the same refund, about which the channel is asked first.
			r, err = c.mend(of.ID, reconcile.PayBack)
			c.must(err)
			d := c.one(r.Message)
			if r.State != reconcile.RepairSent || !d.Unanswered || d.LastByte.IsZero() {
				t.Fatalf("again: %+v, begins with %+v", r, d.Progress)
			}
			n := next(d, delivery.Delivered)
			n.Receipt = &core.Receipt{HisNo: "wxback"}
			c.settle(d, n)
			c.must(c.Follow(c.ctx, "h1"))
			if refunds := count[int](c.ledger, `select count(distinct key) from hub.message where kind = 'channel.refund'`); refunds != 1 {
				t.Errorf("%d refunds", refunds)
			}
			if d := c.found(); len(d) != 0 || c.caseOf(of.ID).State != reconcile.CaseResolved {
				t.Errorf("paid back: found %v, case %s", d, c.caseOf(of.ID).State)
			}
		})
	}
}

// A payment that the HIS has and only we lacked is in order once it is recorded.
func TestARecordOfWhatTheHISHasIsClean(t *testing.T) {
	c := newClosing(t)
	c.took("A2", "wxA2")
	c.his = []core.LedgerEntry{{Type: core.EntryPayment, Number: "A2", HisNo: "H2", Amount: 1200}}
	c.found()
	of := c.only()
	_, err := c.mend(of.ID, reconcile.Record)
	c.must(err)
	c.must(c.Follow(c.ctx, "h1"))
	if d := c.found(); len(d) != 0 || c.caseOf(of.ID).State != reconcile.CaseResolved {
		t.Errorf("found %v, case %s", d, c.caseOf(of.ID).State)
	}
}

// A payment that the HIS has, and whose money went back, is a difference.
func TestPaidBackAndStillAtTheHIS(t *testing.T) {
	c := newClosing(t)
	c.took("A2", "wxA2")
	c.his = []core.LedgerEntry{{Type: core.EntryPayment, Number: "A2", HisNo: "H2", Amount: 1200}}
	c.found()
	r, err := c.mend(c.only().ID, reconcile.PayBack)
	c.must(err)
	c.settleAs(r.Message, delivery.Delivered, receipt("wxback"))
	c.must(c.Follow(c.ctx, "h1"))
	if d := c.found(); len(d) != 1 || d[0] != reconcile.StateDiffers {
		t.Errorf("found %v", d)
	}
}

// Money does not go back while a message may still tell the HIS that it was paid.
func TestNothingGoesBackThatTheHISMayYetBeTold(t *testing.T) {
	c := newClosing(t)
	id := c.enqueue(paid("A1", dawn.Add(time.Hour)))
	c.park(id, core.Unavailable, nil)
	c.took("A1", "wxA1")
	c.found()
	of := c.only()
	var ps core.Problems
	r, err := c.mend(of.ID, reconcile.PayBack)
	if !errors.As(err, &ps) || r.State != reconcile.RepairFailed || !strings.Contains(r.Problem, "cancel it first") {
		t.Fatalf("%+v %v", r, err)
	}
	if done, err := c.Cancel(c.ctx, id, "carol", ""); err != nil || !done {
		t.Fatal(done, err)
	}
	if r, err = c.mend(of.ID, reconcile.PayBack); err != nil || r.State != reconcile.RepairSent {
		t.Errorf("after it was cancelled: %+v %v", r, err)
	}
}

// A parked command of a repair that failed goes out when somebody releases it: no
// other repair may be carried out beside it.
func TestOneRepairAtATimeMayTakeEffect(t *testing.T) {
	c := newClosing(t)
	id := c.enqueue(paid("A1", dawn.Add(time.Hour)))
	c.settleAs(id, delivery.Delivered, receipt("H1")) // and the HIS lost it
	c.took("A1", "wxA1")
	c.found()
	of := c.only()
	r, err := c.mend(of.ID, reconcile.PayBack)
	c.must(err)
	back := r.Message
	c.park(back, core.Unavailable, nil)
	c.must(c.Follow(c.ctx, "h1"))
	for _, a := range []reconcile.Action{reconcile.Resend, reconcile.WriteOff} {
		r, err := c.mend(of.ID, a)
		if err == nil || r.State != reconcile.RepairFailed || !strings.Contains(r.Problem, "earlier repair") {
			t.Errorf("%s: %+v %v", a, r, err)
		}
	}
	if r, err := c.mend(of.ID, reconcile.PayBack); err != nil || r.Message != back {
		t.Errorf("the same again: %+v %v", r, err)
	}
	c.park(back, core.Unavailable, nil)
	c.must(c.Follow(c.ctx, "h1"))
	if _, err := c.Cancel(c.ctx, back, "carol", ""); err != nil {
		t.Fatal(err)
	}
	c.settleAs(back, delivery.Cancelled, nil)
	if r, err := c.mend(of.ID, reconcile.Resend); err != nil || r.State != reconcile.RepairSent {
		t.Errorf("after it was cancelled: %+v %v", r, err)
	}
}

// People said yes to an amount and a class, not to whatever a later run finds.
func TestNothingIsCarriedOutThatNobodyApproved(t *testing.T) {
	for name, later := range map[string]reconcile.Finding{
		"another amount": lost("A1", 100_000),
		"another class":  of(reconcile.AmountDiffers, lost("A1", 5)),
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t)
			c, r := l.approved(lost("A1", 5), reconcile.PayBack)
			l.run(night, later)
			got, err := l.CarryOut(l.ctx, r.ID, func(context.Context, reconcile.Case, reconcile.Repair, reconcile.Carrier) (int64, error) {
				t.Error("it was carried out")
				return 0, nil
			})
			if err == nil || got.State != reconcile.RepairFailed || l.caseOf(c.ID).State != reconcile.CaseOpen {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

// A case that runs of two days found is gone when neither finds it any more.
func TestFoundByTwoDays(t *testing.T) {
	const later = "2026-01-09"
	l := newLedger(t)
	c := l.opened(lost("A1", 5))
	l.run(later, lost("A1", 5))
	l.run(night)
	if s := l.caseOf(c.ID).State; s != reconcile.CaseOpen {
		t.Errorf("the other day has it still, and it is %s", s)
	}
	l.run(later)
	l.run(night)
	if s := l.caseOf(c.ID).State; s != reconcile.CaseResolved {
		t.Errorf("no day has it, and it is %s", s)
	}
}
