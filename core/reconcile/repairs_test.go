package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// finance is where people decide about cases of the one hospital.
type finance struct {
	*beishan
	repairs *Repairs
}

func newFinance(t *testing.T) *finance {
	h := newBeishan(t, "01-06 11:00:00")
	h.place.FourEyesFrom = 100_000
	return &finance{h, &Repairs{Store: h.store, Place: func(context.Context, string) (Place, error) { return h.place, nil }, Log: slog.New(slog.DiscardHandler)}}
}

// found makes a case of a finding, as a night does.
func (d *finance) found(f Finding) Case {
	d.Helper()
	ctx := context.Background()
	n, err := d.store.BeginNight(ctx, Ask{Hospital: theHospital, Day: "2026-01-05", Who: "test"}, time.Minute)
	if err == nil {
		err = d.store.Found(ctx, n.ID, []Finding{f})
	}
	if err == nil {
		n.State = NightDone
		_, err = d.store.EndNight(ctx, n)
	}
	if err != nil {
		d.Fatal(err)
	}
	cases, err := d.store.Cases(ctx, CaseQuery{Live: true, Number: f.Number, Limit: 1})
	if err != nil || len(cases) == 0 {
		d.Fatalf("no case of it: %v", err)
	}
	return cases[0]
}

// decide proposes an action, approves it and gives what came of it.
func (d *finance) decide(c Case, action Action, p Params) (Repair, error) {
	d.Helper()
	r, err := d.store.Propose(context.Background(), c.ID, action, p, "li", "checked")
	if err != nil {
		d.Fatal(err)
	}
	return d.repairs.Approve(context.Background(), r.ID, "wang", "yes")
}

// last is the newest message.
func (d *finance) last() memoryMessage { return d.store.messages[len(d.store.messages)-1] }

// paid is an entry of a channel.
func paid(number string, amount core.Fen) Entry {
	return Entry{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: number, ChannelNo: "W" + number, Channel: "wechat", Amount: amount, At: at("01-05 09:00:00")}}
}

func back(number, order string, amount core.Fen) Entry {
	e := paid(number, amount)
	e.Type, e.OrderID = core.EntryRefund, order
	return e
}

func his(e Entry, hisNo string) Entry {
	e.HisNo = hisNo
	return e
}

func TestEachRepairsMessage(t *testing.T) {
	type expected struct {
		kind core.Kind
		// body has this text in its JSON-like form.
		has []string
	}
	refundOfOurs := func(d *finance) Entry {
		e := back("RF1", "IH1", 500)
		e.ChannelNo = ""
		e.Told = delivery.Delivered
		e.Message = d.store.message(theHospital, core.RefundCreate, &core.Refund{RefundNo: "RF1", OrderID: "IH1", PatientNo: "P1",
			Amount: 500, Paid: 2150, Channel: "wechat", ChannelNo: "WIH1", ChannelRefundNo: "-", RefundedAt: e.At}, delivery.Delivered)
		return e
	}
	for name, c := range map[string]struct {
		finding func(d *finance) Finding
		action  Action
		params  Params
		want    expected
	}{
		"resend": {func(d *finance) Finding {
			return Finding{Class: MissingAtHIS, Type: core.EntryPayment, Number: "IH1", Amount: 2150, Ours: []Entry{d.pay("IH1", "01-05 09:00:00", 2150)}}
		}, Resend, Params{}, expected{core.PaymentSettle, []string{"IH1"}}},
		"reverse": {func(d *finance) Finding {
			e := d.pay("IH1", "01-05 09:00:00", 2150)
			return Finding{Class: WithoutMoney, Type: core.EntryPayment, Number: "IH1", Amount: 2150, Ours: []Entry{e}, HIS: []Entry{his(e, "H1")}}
		}, Reverse, Params{}, expected{core.RefundCreate, []string{"RefundNo:RV", "OrderID:IH1", "VisitNo:V1", "PatientNo:P1", "HisNo:H1", "Amount:21.50", "Channel:wechat", "ChannelNo:WIH1", "ChannelRefundNo:-", "Reversal:true"}}},
		"reverse what we never knew": {func(*finance) Finding {
			e := his(paid("IH1", 2150), "H1")
			e.Channel, e.ChannelNo = "", ""
			return Finding{Class: WithoutMoney, Type: core.EntryPayment, Number: "IH1", Amount: 2150, HIS: []Entry{e}}
		}, Reverse, Params{PatientNo: "P7", VisitNo: "V7"}, expected{core.RefundCreate, []string{"PatientNo:P7", "VisitNo:V7", "Channel:cash", "ChannelNo:-"}}},
		"reverse the second booking": {func(d *finance) Finding {
			e := d.pay("IH1", "01-05 09:00:00", 2150)
			return Finding{Class: Repeated, Type: core.EntryPayment, Number: "IH1", Amount: 2150, Ours: []Entry{e}, HIS: []Entry{his(e, "H1"), his(e, "H2")}}
		}, Reverse, Params{}, expected{core.RefundCreate, []string{"HisNo:H2"}}},
		"pay back the second payment": {func(*finance) Finding {
			return Finding{Class: PaidTwice, Type: core.EntryPayment, Number: "IH2", Amount: 2150, Of: "IH1", Channel: []Entry{paid("IH2", 2150)}}
		}, PayBack, Params{}, expected{core.PayBack, []string{"RefundNo:PB", "OrderID:IH2", "Amount:21.50", "Paid:21.50", "ChannelNo:WIH2"}}},
		"pay back what the HIS refused": {func(d *finance) Finding {
			e := d.pay("IH1", "01-05 09:00:00", 2150)
			return Finding{Class: MissingAtHIS, Type: core.EntryPayment, Number: "IH1", Amount: 2150, Ours: []Entry{e}, Channel: []Entry{e}}
		}, PayBack, Params{}, expected{core.PayBack, []string{"OrderID:IH1", "ChannelNo:WIH1"}}},
		"pay back where no bill speaks": {func(d *finance) Finding {
			return Finding{Class: MissingAtHIS, Type: core.EntryPayment, Number: "IH1", Amount: 2150, Ours: []Entry{d.pay("IH1", "01-05 09:00:00", 2150)}}
		}, PayBack, Params{}, expected{core.PayBack, []string{"OrderID:IH1", "ChannelNo:WIH1"}}},
		"pay out a window's refund": {func(d *finance) Finding {
			d.pay("IH1", "01-02 09:00:00", 2150)
			return Finding{Class: MissingHere, Type: core.EntryRefund, Number: "HR1", Amount: 500, HIS: []Entry{{LedgerEntry: core.LedgerEntry{
				Type: core.EntryRefund, HisNo: "HR1", OrderID: "IH1", Amount: 500, At: at("01-05 12:00:00")}}}}
		}, PayBack, Params{}, expected{core.PayBack, []string{"RefundNo:PB", "OrderID:IH1", "Amount:5.00", "Paid:21.50", "Channel:wechat", "ChannelNo:WIH1"}}},
		"pay out a window's refund of a payment that a person names": {func(d *finance) Finding {
			d.pay("IH1", "01-02 09:00:00", 2150)
			return Finding{Class: MissingHere, Type: core.EntryRefund, Number: "HR1", Amount: 500, HIS: []Entry{{LedgerEntry: core.LedgerEntry{
				Type: core.EntryRefund, Number: "HR1", Amount: 500, At: at("01-05 12:00:00")}}}}
		}, PayBack, Params{OrderID: "IH1"}, expected{core.PayBack, []string{"RefundNo:HR1", "OrderID:IH1"}}},
		"our refund that the channel lacks": {func(d *finance) Finding {
			return Finding{Class: WithoutMoney, Type: core.EntryRefund, Number: "RF1", Amount: 500, Ours: []Entry{refundOfOurs(d)}}
		}, PayBack, Params{}, expected{core.PayBack, []string{"RefundNo:RF1", "OrderID:IH1", "Amount:5.00", "Paid:21.50", "ChannelNo:WIH1"}}},
		"our refund that the HIS told us of": {func(d *finance) Finding {
			d.pay("IH1", "01-02 09:00:00", 2150)
			e := back("RF1", "IH1", 500)
			e.ChannelNo, e.Message = "", 4711 // no message of ours
			return Finding{Class: WithoutMoney, Type: core.EntryRefund, Number: "RF1", Amount: 500, Ours: []Entry{e}}
		}, PayBack, Params{}, expected{core.PayBack, []string{"RefundNo:RF1", "Paid:21.50", "ChannelNo:WIH1"}}},
		"record a payment": {func(*finance) Finding {
			return Finding{Class: MissingHere, Type: core.EntryPayment, Number: "IH1", Amount: 2150, Channel: []Entry{paid("IH1", 2150)}}
		}, Record, Params{VisitNo: "V1", PatientNo: "P1", Bill: "B1, B2"}, expected{core.PaymentSettle, []string{"OrderID:IH1", "VisitNo:V1", "PatientNo:P1", "Bills:[B1 B2]", "Amount:21.50", "ChannelNo:WIH1"}}},
		"record a payment that the HIS has": {func(*finance) Finding {
			return Finding{Class: MissingHere, Type: core.EntryPayment, Number: "IH1", Amount: 2150, Channel: []Entry{paid("IH1", 2150)}, HIS: []Entry{paid("IH1", 2150)}}
		}, Record, Params{}, expected{core.RecordMoney, []string{"Type:payment", "Number:IH1", "ChannelNo:WIH1"}}},
		"record a refund": {func(*finance) Finding {
			return Finding{Class: MissingHere, Type: core.EntryRefund, Number: "RF1", Amount: 500, Channel: []Entry{back("RF1", "IH1", 500)}}
		}, Record, Params{}, expected{core.RecordMoney, []string{"Type:refund", "Number:RF1", "OrderID:IH1", "Amount:5.00"}}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFinance(t)
			f := c.finding(d)
			r, err := d.decide(d.found(f), c.action, c.params)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "state", r.State, RepairSent)
			m := d.store.messages[r.Message-1]
			body := fmt.Sprintf("%+v", m.Body)
			same(t, "kind", m.Kind, c.want.kind)
			for _, has := range c.want.has {
				if !strings.Contains(body, has) {
					t.Errorf("the message lacks %s: %s", has, body)
				}
			}
			if c.action == Resend {
				same(t, "sent again", m.Again, 1)
				return
			}
			// A repetition, by whatever accident, is the same message.
			before := len(d.store.messages)
			d.clock = d.clock.Add(time.Hour)
			d.store.repairs[r.ID-1].State = RepairApproved
			again, err := d.repairs.carryOut(context.Background(), r)
			if err != nil || again.Message != r.Message || len(d.store.messages) != before {
				t.Errorf("carried out twice: message %d after %d, %d messages after %d, %v", again.Message, r.Message, len(d.store.messages), before, err)
			}
		})
	}
}

func TestWhatIsPaidBackUnknownIsRecordedToo(t *testing.T) {
	d := newFinance(t)
	c := d.found(Finding{Class: MissingHere, Type: core.EntryPayment, Number: "IH9", Amount: 2150, Channel: []Entry{paid("IH9", 2150)}})
	if _, err := d.decide(c, PayBack, Params{}); err != nil {
		t.Fatal(err)
	}
	if len(d.store.messages) != 2 {
		t.Fatalf("%d messages", len(d.store.messages))
	}
	record, ok := d.store.messages[0].Body.(*core.LedgerRecord)
	if !ok || record.Type != core.EntryPayment || record.Number != "IH9" || record.Amount != 2150 {
		t.Errorf("the record: %+v", d.store.messages[0])
	}
	same(t, "then", d.last().Kind, core.PayBack)
}

func TestARepairThatLacksSomethingSaysWhat(t *testing.T) {
	for name, c := range map[string]struct {
		finding Finding
		action  Action
		fields  string
	}{
		"nothing to tell again": {Finding{Class: MissingAtHIS, Type: core.EntryPayment, Number: "IH1", Channel: []Entry{paid("IH1", 1)}}, Resend, "action"},
		"whose booking":         {Finding{Class: WithoutMoney, Type: core.EntryPayment, Number: "IH1", HIS: []Entry{paid("IH1", 1)}}, Reverse, "patient_no"},
		"no booking":            {Finding{Class: WithoutMoney, Type: core.EntryPayment, Number: "IH1", Ours: []Entry{paid("IH1", 1)}}, Reverse, "action"},
		"one booking shown twice": {Finding{Class: Repeated, Type: core.EntryPayment, Number: "IH1", HIS: []Entry{his(paid("IH1", 1), "H1"), his(paid("IH1", 1), "H1")}},
			Reverse, "action"},
		"no money":        {Finding{Class: WithoutMoney, Type: core.EntryPayment, Number: "IH1", HIS: []Entry{paid("IH1", 1)}}, PayBack, "action"},
		"paid thrice":     {Finding{Class: PaidTwice, Type: core.EntryPayment, Number: "IH1", Channel: []Entry{paid("IH1", 1), paid("IH2", 1)}}, PayBack, "action"},
		"of what payment": {Finding{Class: MissingHere, Type: core.EntryRefund, Number: "HR1", HIS: []Entry{back("HR1", "", 1)}}, PayBack, "order_id"},
		"of none of ours": {Finding{Class: MissingHere, Type: core.EntryRefund, Number: "HR1", HIS: []Entry{back("HR1", "IH404", 1)}}, PayBack, "order_id"},
		"paid back already": {Finding{Class: MissingHere, Type: core.EntryRefund, Number: "RF1", Channel: []Entry{back("RF1", "IH1", 1)}},
			PayBack, "action"},
		"what was paid":         {Finding{Class: MissingHere, Type: core.EntryPayment, Number: "IH1", Channel: []Entry{paid("IH1", 1)}}, Record, "visit_no patient_no bill"},
		"a refund of which":     {Finding{Class: MissingHere, Type: core.EntryRefund, Number: "RF1", Channel: []Entry{back("RF1", "", 1)}}, Record, "order_id"},
		"no money in any books": {Finding{Class: MissingHere, Type: core.EntryPayment, Number: "IH1", HIS: []Entry{paid("IH1", 1)}}, Record, "action"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFinance(t)
			c.finding.Amount = 1
			r, err := d.decide(d.found(c.finding), c.action, Params{})
			var ps core.Problems
			if !errors.As(err, &ps) {
				t.Fatalf("%v", err)
			}
			var fields []string
			for _, p := range ps {
				fields = append(fields, p.Field)
			}
			same(t, "fields", strings.Join(fields, " "), c.fields)
			same(t, "state", r.State, RepairFailed)
			same(t, "messages", len(d.store.messages), 0)
		})
	}
}

func TestMoreGoesBackThanWasPaidIsRefused(t *testing.T) {
	d := newFinance(t)
	d.pay("IH1", "01-05 09:00:00", 100)
	c := d.found(Finding{Class: MissingHere, Type: core.EntryRefund, Number: "HR1", Amount: 500, HIS: []Entry{back("HR1", "IH1", 500)}})
	if _, err := d.decide(c, PayBack, Params{}); err == nil || !strings.Contains(err.Error(), "500 fen are to go back of a payment of 100 fen") {
		t.Error(err)
	}
}

func TestWrittenOffIsDoneAndStaysSo(t *testing.T) {
	d := newFinance(t)
	f := Finding{Class: AmountDiffers, Type: core.EntryPayment, Number: "IH1", Amount: 1}
	r, err := d.decide(d.found(f), WriteOff, Params{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "repair", r.State, RepairDone)
	c, _, _ := d.store.Case(context.Background(), 1)
	same(t, "case", c.State, CaseWrittenOff)
	same(t, "messages", len(d.store.messages), 0)
}

func TestALargeAmountTakesTwoPeople(t *testing.T) {
	ctx := context.Background()
	d := newFinance(t)
	c := d.found(Finding{Class: PaidTwice, Type: core.EntryPayment, Number: "IH2", Amount: 100_000, Of: "IH1", Channel: []Entry{paid("IH2", 100_000)}})
	proposed := c.Repair
	same(t, "proposed", []any{proposed.Action, proposed.ProposedBy}, []any{PayBack, policy})

	r, err := d.repairs.Approve(ctx, proposed.ID, "li", "")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "after one", []any{r.State, len(d.store.messages)}, []any{RepairProposed, 0})
	if _, err := d.repairs.Approve(ctx, proposed.ID, "li", ""); !errors.Is(err, ErrSecondPerson) {
		t.Errorf("the same again: %v", err)
	}
	r, err = d.repairs.Approve(ctx, proposed.ID, "wang", "")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "after two", []any{r.State, r.ApprovedBy, r.SecondBy}, []any{RepairSent, "li", "wang"})
	if _, err := d.repairs.Approve(ctx, proposed.ID, "zhao", ""); !errors.Is(err, ErrNotOpen) {
		t.Errorf("a third: %v", err)
	}
	if _, err := d.repairs.Approve(ctx, 99, "zhao", ""); !errors.Is(err, errNoSuch) {
		t.Errorf("no such repair: %v", err)
	}
}

// A first yes under a stricter rule needs its second, whatever the rule is then.
func TestARuleThatIsLoosenedBetweenTwoApprovals(t *testing.T) {
	ctx := context.Background()
	d := newFinance(t)
	d.place.FourEyesFrom = 1000
	c := d.found(Finding{Class: PaidTwice, Type: core.EntryPayment, Number: "IH2", Amount: 2150, Of: "IH1", Channel: []Entry{paid("IH2", 2150)}})
	if _, err := d.repairs.Approve(ctx, c.Repair.ID, "li", ""); err != nil {
		t.Fatal(err)
	}
	d.place.FourEyesFrom = 100_000
	if _, err := d.repairs.Approve(ctx, c.Repair.ID, "li", ""); !errors.Is(err, ErrSecondPerson) {
		t.Errorf("the same alone: %v", err)
	}
	r, err := d.repairs.Approve(ctx, c.Repair.ID, "wang", "")
	if err != nil || r.ApprovedBy != "li" || r.SecondBy != "wang" {
		t.Errorf("%+v %v", r, err)
	}
}

// listless cannot list cases: an approval must not need it.
type listless struct{ Store }

func (listless) Cases(context.Context, CaseQuery) ([]Case, error) {
	return nil, errors.New("walked over all cases")
}

func TestAnApprovalReadsOneRepair(t *testing.T) {
	d := newFinance(t)
	c := d.found(Finding{Class: PaidTwice, Type: core.EntryPayment, Number: "IH2", Amount: 2150, Of: "IH1", Channel: []Entry{paid("IH2", 2150)}})
	d.repairs.Store = listless{d.store}
	if r, err := d.repairs.Approve(context.Background(), c.Repair.ID, "li", ""); err != nil || r.State != RepairSent {
		t.Errorf("%+v %v", r, err)
	}
}

func TestOnlyWhereNoMoneyCanBeWrongIsItDoneByItself(t *testing.T) {
	ctx := context.Background()
	d := newFinance(t)
	h := d.beishan
	h.place.States, h.place.Bills = true, nil
	void := h.store.message(theHospital, core.PrescriptionVoid, &core.PrescriptionVoiding{No: "RX1", PatientNo: "P1"}, delivery.Delivered)
	create := h.store.message(theHospital, core.PrescriptionCreate, &core.PrescriptionVoiding{No: "RX2"}, delivery.Delivered)
	one := Prescribed{Type: EntryPrescription, Number: "RX1", VisitNo: "V1", PatientNo: "P1", Amount: 300_000, At: at("01-05 09:00:00"),
		Message: create, Told: string(delivery.Delivered), Void: void, VoidTold: string(delivery.Delivered), Stage: core.StageVoided}
	dispensed, fine, silent, order := one, one, one, one
	dispensed.Number, fine.Number, silent.Number = "RX2", "RX3", "RX4"
	order.Type, order.Number = EntryOrder, "LAB1" // of which this HIS cannot be asked
	h.store.records[theHospital] = []Prescribed{one, dispensed, fine, silent, order}
	h.his.answers[core.PrescriptionStatus] = func(b core.Body) (any, error) {
		q := b.(*core.PrescriptionQuery)
		if q.VisitNo != "V1" || q.PatientNo != "P1" || q.Amount != 300_000 {
			t.Errorf("asked without all that is known: %+v", q)
		}
		s := &core.Status{State: core.StateDone}
		switch q.No {
		case "RX1":
			s.Stage = core.StageActive
		case "RX2":
			s.Stage = core.StageDispensed
		case "RX3":
			s.Stage = core.StageVoided
		default:
			return nil, &core.Fault{Class: core.Unavailable, Op: "soap", Err: errors.New("closed")}
		}
		return s, nil
	}
	n := h.done("2026-01-05")
	same(t, "found", h.findings(n), []string{"in_transit RX4", "state_differs RX1", "state_differs RX2"})
	if !strings.Contains(n.Why, "of 4 prescriptions and orders the HIS did not answer about 1") {
		t.Errorf("why: %s", n.Why)
	}
	pay := h.pay("IH1", "01-05 09:00:00", 1)
	if Automatic(Finding{Class: MissingAtHIS, Type: core.EntryPayment, Ours: []Entry{pay}}) {
		t.Error("money by itself")
	}

	if err := d.repairs.Sweep(ctx, theHospital); err != nil {
		t.Fatal(err)
	}
	same(t, "the void is told again", h.store.messages[void-1].Again, 1)
	same(t, "the other is not", h.store.messages[create-1].Again, 0)
	cases, _ := h.store.Cases(ctx, CaseQuery{Live: true})
	for _, c := range cases {
		want := RepairProposed
		if c.Number == "RX1" {
			want = RepairSent
			same(t, "who", c.Repair.ApprovedBy, policy)
		}
		same(t, c.Number, c.Repair.State, want)
	}
}

// The whole way: a payment that the HIS lost is found, told again by a person's
// decision, and the next run of the day is clean.
func TestAfterTheRepairTheNextRunIsClean(t *testing.T) {
	ctx := context.Background()
	d := newFinance(t)
	d.asksDetail()
	e := d.pay("IH1", "01-05 09:00:00", 2150)
	d.billed("2026-01-05", e)
	d.billed("2026-01-05", Entry{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "IH404", ChannelNo: "W404", Channel: "wechat", Amount: 7, At: at("01-05 10:00:00")}})
	n := d.done("2026-01-05")
	same(t, "found", d.findings(n), []string{"missing_at_his IH1", "missing_here IH404"})

	cases, _ := d.store.Cases(ctx, CaseQuery{Live: true})
	for _, c := range cases {
		action := Resend
		if c.Number == "IH404" {
			action = PayBack
		}
		if _, err := d.decide(c, action, Params{}); err != nil {
			t.Fatal(err)
		}
	}
	// The HIS takes it, the channel pays back, and the ledger has both.
	d.clock = at("01-07 10:30:00")
	d.booked(e)
	for i, m := range d.store.messages {
		d.store.messages[i].State = delivery.Delivered
		switch b := m.Body.(type) {
		case *core.LedgerRecord:
			d.store.ours[theHospital] = append(d.store.ours[theHospital], Entry{NoHIS: true, Told: delivery.Delivered, LedgerEntry: core.LedgerEntry{
				Type: b.Type, Number: b.Number, ChannelNo: b.ChannelNo, Channel: b.Channel, Amount: b.Amount, At: b.At}})
		case *core.ChannelRefund:
			r := core.LedgerEntry{Type: core.EntryRefund, Number: b.RefundNo, OrderID: b.OrderID, Channel: b.Channel, Amount: b.Amount, At: b.AskedAt}
			d.store.ours[theHospital] = append(d.store.ours[theHospital], Entry{NoHIS: true, Told: delivery.Delivered, LedgerEntry: r})
			r.ChannelNo = "R404"
			d.billed("2026-01-06", Entry{LedgerEntry: r})
		}
	}
	same(t, "the next day", d.findings(d.done("2026-01-06")), []string{})
	same(t, "the day again", d.findings(d.done("2026-01-05")), []string{})
	cases, _ = d.store.Cases(ctx, CaseQuery{Live: true})
	same(t, "cases", len(cases), 0)
}

func TestTheSecondPaymentOfOneOrderIsRecordedApart(t *testing.T) {
	d := newFinance(t)
	e := paid("IH1", 2150)
	e.ChannelNo = "W2"
	c := d.found(Finding{Class: PaidTwice, Type: core.EntryPayment, Number: "IH1", Of: "IH1", Amount: 2150, Channel: []Entry{e}})
	if _, err := d.decide(c, PayBack, Params{}); err != nil {
		t.Fatal(err)
	}
	record, refund := d.store.messages[0].Body.(*core.LedgerRecord), d.last().Body.(*core.ChannelRefund)
	same(t, "numbers", []string{record.Number, refund.OrderID, refund.ChannelNo}, []string{"W2", "IH1", "W2"})
}
