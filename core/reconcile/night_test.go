package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

func TestANightWithEverybodysBooksClosesItsDay(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	h.asksDetail()
	h.all("2026-01-05", h.pay("IH1", "01-05 09:00:00", 2150))
	h.billed("2026-01-05", h.pay("IH2", "01-05 12:00:00", 500))

	n := h.done("2026-01-05")
	same(t, "closed", n.Closed, true)
	same(t, "detail", n.Detail, Full)
	same(t, "findings", h.findings(n), []string{"missing_at_his IH2"})
	same(t, "counts", n.Counts, map[Class]int{Matched: 1, MissingAtHIS: 1})
	same(t, "amounts", n.Amounts, map[Class]core.Fen{Matched: 2150, MissingAtHIS: 500})
	same(t, "statements", len(n.Statements), 2)
	same(t, "lines", n.Lines, []Line{
		{Party: Channel, Channel: "wechat", Business: Outpatient, Type: core.EntryPayment, Count: 2, Amount: 2650, Fee: 20},
		{Party: Ours, Channel: "wechat", Business: Outpatient, Type: core.EntryPayment, Count: 2, Amount: 2650},
		{Party: HIS, Channel: "wechat", Business: Outpatient, Type: core.EntryPayment, Operator: "OP1", Count: 1, Amount: 2150},
	})
	cases, _ := h.store.Cases(context.Background(), CaseQuery{Live: true})
	same(t, "cases", len(cases), 1)
}

func TestANightWaitsForTheBillThatIsNotReady(t *testing.T) {
	h := newBeishan(t, "01-06 08:00:00")
	h.asksDetail()
	e := h.pay("IH1", "01-05 09:00:00", 2150)
	h.booked(e)
	h.wechat.err["2026-01-05"] = fmt.Errorf("download: %w", core.ErrBillNotReady)

	n := h.run("2026-01-05")
	same(t, "state", n.State, NightWaiting)
	if !strings.Contains(n.Problem, "the bill of wechat for 2026-01-05") {
		t.Errorf("the problem does not say what it waits for: %s", n.Problem)
	}
	h.clock = at("01-06 10:30:00")
	h.wechat.err = nil
	h.billed("2026-01-05", e)
	n = h.done("2026-01-05")
	same(t, "run", n.Run, 2)
	same(t, "closed", n.Closed, true)
}

func TestNoBillIsZeroOnlyWhereWeHaveNothing(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	h.done("2026-01-05")

	// A second before midnight the channel may date it on the next day: that proves nothing.
	h.pay("IH0", "01-05 23:59:58", 100)
	h.done("2026-01-05")

	h.pay("IH1", "01-05 09:00:00", 2150)
	n := h.run("2026-01-05")
	same(t, "state", n.State, NightFailed)
	if !strings.Contains(n.Problem, "we hold 1 payments of 21.50 yuan") {
		t.Errorf("the problem does not say what we hold: %s", n.Problem)
	}
	kept, _ := h.store.Statements(context.Background(), theHospital, "2026-01-05")
	same(t, "statements", len(kept), 1) // of the runs before
}

func TestABillThatIsNotWhatItSaysFailsTheNight(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	h.billed("2026-01-05", h.pay("IH1", "01-05 09:00:00", 2150))
	h.wechat.wrong = true
	n := h.run("2026-01-05")
	same(t, "state", n.State, NightFailed)
	if !strings.Contains(n.Problem, "wechat bill of 2026-01-05: its lines come to 1 payments of 21.50 yuan") {
		t.Error(n.Problem)
	}

	h.wechat.err["2026-01-05"] = &core.BillFault{File: "wechat.csv", Line: 17, What: "has no amount"}
	n, err := h.runner.Run(context.Background(), Ask{Hospital: theHospital, Day: "2026-01-05", Who: "test"})
	var fault *core.BillFault
	if !errors.As(err, &fault) || n.State != NightFailed || !strings.Contains(n.Problem, "wechat.csv:17: has no amount") {
		t.Errorf("%v; %s: %s", err, n.State, n.Problem)
	}
}

func TestWhatTheHISAnswersDecidesWhetherANightWaits(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		state   NightState
		problem string
	}{
		"unavailable": {&core.Fault{Class: core.Unavailable, Op: "soap Ledger", Err: errors.New("refused")}, NightWaiting, "waits for the HIS's answer to ledger.detail"},
		"in doubt":    {&core.Fault{Class: core.InDoubt, Op: "soap Ledger", Err: errors.New("cut")}, NightWaiting, "waits for the HIS's answer"},
		"invalid":     {&core.Fault{Class: core.Invalid, Op: "encode", Err: errors.New("no such name")}, NightFailed, "no such name"},
		"refused":     {&delivery.Refusal{}, NightFailed, "the HIS refused to answer"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newBeishan(t, "01-06 10:30:00")
			h.his.answers[core.LedgerDetail] = func(core.Body) (any, error) { return nil, c.err }
			n := h.run("2026-01-05")
			if n.State != c.state || !strings.Contains(n.Problem, c.problem) {
				t.Errorf("%s: %s", n.State, n.Problem)
			}
		})
	}
}

func TestTheHISIsLeftAloneInItsMaintenance(t *testing.T) {
	h := newBeishan(t, "01-06 00:10:00")
	h.asksDetail()
	dialect := core.Dialect{Zone: shanghai, Maintenance: []core.Window{{Start: 23*60 + 30, End: 30}}}
	h.place.Rests = dialect.Rests
	n := h.run("2026-01-05")
	same(t, "state", n.State, NightWaiting)
	same(t, "asked", len(h.his.took()), 0)
	h.clock = at("01-06 00:31:00")
	h.done("2026-01-05")
}

func TestALedgerThatTheHISSentIsUsed(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	h.asksDetail()
	e := h.pay("IH1", "01-05 09:00:00", 2150)
	h.billed("2026-01-05", e)
	_, err := h.store.SaveStatement(context.Background(), Statement{Hospital: theHospital, Day: "2026-01-05", Party: HIS, Source: "ledger.push"}, streamOf([]Entry{e}))
	if err != nil {
		t.Fatal(err)
	}
	n := h.done("2026-01-05")
	same(t, "asked", len(h.his.took()), 0)
	same(t, "counts", n.Counts, map[Class]int{Matched: 1})

	// One that is to come is waited for.
	h.his.answers = map[core.Kind]func(core.Body) (any, error){core.LedgerPushed: nil}
	h.clock = at("01-07 10:30:00")
	same(t, "state", h.run("2026-01-06").State, NightWaiting)
}

func TestTotalsFirst(t *testing.T) {
	totals, detail := []core.Kind{core.LedgerTotal}, []core.Kind{core.LedgerDetail}
	for name, c := range map[string]struct {
		arrange func(h *beishan)
		detail  Detail
		why     string
		asked   []core.Kind
	}{
		"equal":         {func(*beishan) {}, Totals, "agree", totals},
		"the HIS lacks": {func(h *beishan) { h.his.ledger = nil }, Full, "the totals differ: the HIS has 0 payments", slices.Concat(totals, detail)},
		"a lie in sums": {func(h *beishan) { h.his.ledger[0].Amount++ }, Full, "21.51 yuan", slices.Concat(totals, detail)},
		"untold": {func(h *beishan) {
			h.pay("IH2", "01-05 10:00:00", 1)
			h.store.ours[theHospital][1].Told = delivery.Parked
		}, Full, "1 of ours are not told", slices.Concat(totals, detail)},
		"not for HIS":    {func(h *beishan) { h.pay("IH2", "01-05 10:00:00", 1); h.store.ours[theHospital][1].NoHIS = true }, Totals, "agree", totals},
		"its own clock":  {func(h *beishan) { h.place.HISClock = true }, Full, "own clock", detail},
		"always in full": {func(h *beishan) { h.place.FullEvery = 1 }, Full, "every night", detail},
		"no totals":      {func(h *beishan) { delete(h.his.answers, core.LedgerTotal) }, Full, "gives no totals", detail},
		"only totals":    {func(h *beishan) { delete(h.his.answers, core.LedgerDetail) }, Totals, "agree", totals},
		"by account": {func(h *beishan) {
			h.place.Operators, h.place.Channels = []string{"OP1", "OP2"}, []core.Channel{"wechat"}
		},
			Totals, "agree", slices.Concat(totals, totals)},
	} {
		t.Run(name, func(t *testing.T) {
			h := newBeishan(t, "01-06 10:30:00")
			h.asksDetail()
			h.asksTotals()
			h.all("2026-01-05", h.pay("IH1", "01-05 09:00:00", 2150))
			c.arrange(h)
			n := h.done("2026-01-05")
			same(t, "detail", n.Detail, c.detail)
			same(t, "asked", h.his.took(), c.asked)
			if !strings.Contains(n.Why, c.why) {
				t.Errorf("why: %s", n.Why)
			}
			hisLines := slices.DeleteFunc(slices.Clone(n.Lines), func(l Line) bool { return l.Party != HIS })
			if n.Detail == Totals && (len(hisLines) == 0 || hisLines[0].Amount != 2150) {
				t.Errorf("the HIS's totals are not among the lines: %v", n.Lines)
			}
		})
	}
}

func TestEverySoManyNightsInFull(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	h.asksDetail()
	h.asksTotals()
	h.place.FullEvery = 3
	var got []Detail
	for d := range 7 {
		h.clock = at("01-06 10:30:00").AddDate(0, 0, d)
		got = append(got, h.done(h.clock.AddDate(0, 0, -1).Format(time.DateOnly)).Detail)
	}
	same(t, "nights", got, []Detail{Totals, Totals, Full, Totals, Totals, Full, Totals})

	// What a person asks for in full is, and counts.
	h.clock = h.clock.AddDate(0, 0, 1)
	n, err := h.runner.Run(context.Background(), Ask{Hospital: theHospital, Day: "2026-01-12", Who: "test", Full: true})
	if err != nil || n.Detail != Full {
		t.Errorf("asked for in full: %s, %v", n.Detail, err)
	}
}

func TestAnUnsettledDayIsRunInFull(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	h.asksDetail()
	h.asksTotals()
	e := h.pay("IH1", "01-05 09:00:00", 2150)
	h.billed("2026-01-05", e)
	n := h.done("2026-01-05")
	same(t, "findings", h.findings(n), []string{"missing_at_his IH1"})

	h.booked(e) // repaired: the totals agree, and yet it is looked at
	n = h.done("2026-01-05")
	same(t, "detail", n.Detail, Full)
	same(t, "findings", h.findings(n), []string{})
	cases, _ := h.store.Cases(context.Background(), CaseQuery{})
	same(t, "case", cases[0].State, CaseResolved)
}

func TestTheDayEndsAtTheCashiersClose(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	h.asksDetail()
	h.place.Cut = 17 * 60
	h.all("2026-01-04", h.pay("IH1", "01-04 16:30:00", 1)) // of the 4th
	h.all("2026-01-04", h.pay("IH2", "01-04 17:30:00", 2)) // of the 5th
	h.all("2026-01-05", h.pay("IH3", "01-05 16:30:00", 4)) // of the 5th
	h.all("2026-01-05", h.pay("IH4", "01-05 17:30:00", 8)) // of the 6th

	n := h.done("2026-01-05")
	same(t, "closed", n.Closed, true)
	same(t, "findings", h.findings(n), []string{})
	same(t, "counts", n.Counts, map[Class]int{Matched: 2})
	for _, l := range n.Lines {
		same(t, string(l.Party), l.Amount, 6)
	}
	// At half past five the business day of the 6th has begun, and the 5th has ended.
	same(t, "last day", h.place.LastDay(at("01-05 17:30:00")), "2026-01-05")
	same(t, "last day", h.place.LastDay(at("01-05 16:30:00")), "2026-01-04")
}

func TestAPaymentAtMidnightIsHeldAndThenFoundInTheNextBill(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	e := h.pay("IH1", "01-05 23:59:58", 2150)
	h.billed("2026-01-05", h.pay("IH0", "01-05 09:00:00", 1))
	n := h.done("2026-01-05")
	same(t, "findings", h.findings(n), []string{"cross_day IH1"})

	h.clock = at("01-07 10:30:00")
	e.At = at("01-06 00:00:01")
	h.billed("2026-01-06", e)
	n = h.done("2026-01-06")
	same(t, "missing here", n.Counts[MissingHere], 0)
	n = h.done("2026-01-05")
	same(t, "without money", n.Counts[WithoutMoney], 0)
	same(t, "closed", n.Closed, false)
}

func TestADayThatGoesOnIsComparedAndNotClosed(t *testing.T) {
	h := newBeishan(t, "01-05 12:00:00")
	h.place.Bills = nil
	h.asksDetail()
	h.pay("IH1", "01-05 09:00:00", 2150)
	n := h.done("2026-01-05")
	same(t, "closed", n.Closed, false)
	same(t, "differences", n.Differences(), 1)

	h.clock = at("01-06 10:30:00")
	same(t, "closed", h.done("2026-01-05").Closed, true)

	_, err := h.runner.Run(context.Background(), Ask{Hospital: theHospital, Day: "2026-01-07"})
	var ps core.Problems
	if !errors.As(err, &ps) || ps[0].Field != "day" {
		t.Errorf("a day that has not begun: %v", err)
	}
	_, err = h.runner.Run(context.Background(), Ask{Hospital: theHospital, Day: "5.1.2026"})
	if !errors.As(err, &ps) {
		t.Errorf("no day at all: %v", err)
	}
}

func TestAClosedDayNeverChangesAndTheRestIsAdjustments(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	h.asksDetail()
	e := h.pay("IH1", "01-05 09:00:00", 2150)
	h.all("2026-01-05", h.pay("IH2", "01-05 10:00:00", 100))
	h.billed("2026-01-05", e)
	closing := h.done("2026-01-05")
	closed, _ := h.store.Findings(context.Background(), closing.ID)

	h.clock = at("01-07 10:30:00")
	h.booked(e)
	h.billed("2026-01-06", h.pay("IH3", "01-06 09:00:00", 7))
	later := h.done("2026-01-05")
	same(t, "closed again", later.Closed, false)
	found, _ := h.store.Findings(context.Background(), later.ID)

	a := Adjustments(closing, closed, later, found, "2026-01-06")
	same(t, "day", []string{a.Day, a.BookedOn}, []string{"2026-01-05", "2026-01-06"})
	if len(a.Changes) != 1 || !a.Changes[0].Gone || a.Changes[0].Number != "IH1" {
		t.Errorf("changes: %+v", a.Changes)
	}
	same(t, "lines", a.Lines, []Line{{Party: HIS, Channel: "wechat", Business: Outpatient, Type: core.EntryPayment, Operator: "OP1", Count: 1, Amount: 2150}})

	nights, _ := h.store.Nights(context.Background(), theHospital, "2026-01-05", 9)
	same(t, "the closed night", fmt.Sprint(nights[1]), fmt.Sprint(closing))
	if again := Adjustments(closing, closed, closing, closed, "2026-01-06"); !again.Empty() {
		t.Errorf("a run against itself: %+v", again)
	}
}

func TestOneNightIsRunByOneOnly(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	asked, answer := make(chan struct{}), make(chan struct{})
	h.his.answers[core.LedgerDetail] = func(core.Body) (any, error) {
		close(asked)
		<-answer
		return &core.Ledger{}, nil
	}
	first := make(chan Night)
	go func() { first <- h.run("2026-01-05") }()
	<-asked
	if _, err := h.runner.Run(context.Background(), Ask{Hospital: theHospital, Day: "2026-01-05"}); !errors.Is(err, ErrNightRunning) {
		t.Errorf("the second: %v", err)
	}
	close(answer)
	same(t, "the first", (<-first).State, NightDone)
}

func TestARunThatLostItsLeaseEndsNothing(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	h.wechat.lines["2026-01-05"] = nil
	stalled := true
	h.his.answers[core.LedgerDetail] = func(core.Body) (any, error) {
		if !stalled {
			return &core.Ledger{}, nil
		}
		stalled = false
		h.clock = h.clock.Add(time.Hour) // its process stood still
		same(t, "the other", h.run("2026-01-05").State, NightDone)
		return &core.Ledger{}, nil
	}
	n, err := h.runner.Run(context.Background(), Ask{Hospital: theHospital, Day: "2026-01-05", Who: "slow"})
	if err == nil || !strings.Contains(err.Error(), "the run was lost") {
		t.Errorf("the slow one: %v", err)
	}
	nights, _ := h.store.Nights(context.Background(), theHospital, "2026-01-05", 9)
	same(t, "states", []NightState{nights[0].State, nights[1].State}, []NightState{NightDone, NightFailed})
	same(t, "the slow one", nights[1].ID, n.ID)
}

func TestARunWhoseCallerHasGoneIsEndedAndTriedAgain(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	ctx, cancel := context.WithCancel(context.Background())
	h.his.answers[core.LedgerDetail] = func(core.Body) (any, error) { cancel(); return nil, ctx.Err() }
	n, err := h.runner.Run(ctx, Ask{Hospital: theHospital, Day: "2026-01-05"})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	nights, _ := h.store.Nights(context.Background(), theHospital, "2026-01-05", 9)
	same(t, "state", nights[0].State, NightWaiting)
	same(t, "id", nights[0].ID, n.ID)
}

func TestInsuranceIsAskedOfTheHISWhereItGivesNoBill(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	e := h.pay("IH1", "01-05 09:00:00", 2150)
	h.store.ours[theHospital][0].Channel = "insurance"
	e.Channel = ""
	h.his.answers[core.InsuranceLedger] = func(core.Body) (any, error) {
		return &core.Ledger{Entries: []core.LedgerEntry{e.LedgerEntry}}, nil
	}
	n := h.done("2026-01-05")
	same(t, "counts", n.Counts, map[Class]int{Matched: 1})
	sources := map[string]bool{}
	for _, s := range n.Statements {
		sources[s.Source] = true
	}
	same(t, "sources", slices.Sorted(maps.Keys(sources)), []string{"ledger.insurance", "wechat"})
}

// A day that was run late finds the HIS's entries of the next day, which needed none of its own.
func TestANightTakesTheNextDaysEntriesWhenThatWasByTotals(t *testing.T) {
	h := newBeishan(t, "01-07 10:30:00")
	h.asksDetail()
	h.asksTotals()
	same(t, "next", h.done("2026-01-06").Detail, Totals)
	h.his.took()
	h.billed("2026-01-05", h.pay("IH1", "01-05 23:59:58", 2150))
	h.done("2026-01-05")
	same(t, "asked", h.his.took(), []core.Kind{core.LedgerTotal, core.LedgerDetail, core.LedgerDetail})
	kept, _ := h.store.Statements(context.Background(), theHospital, "2026-01-06")
	if !slices.ContainsFunc(kept, func(s Statement) bool { return s.Party == HIS }) {
		t.Error("the HIS's books of the next day are not there")
	}
}

// A refund that the channel takes up days late belongs to ours all the same, seen
// from either day.
func TestALateRefundIsFoundFromBothDays(t *testing.T) {
	h := newBeishan(t, "01-06 10:30:00")
	e := Entry{NoHIS: true, Told: delivery.Delivered, LedgerEntry: core.LedgerEntry{Type: core.EntryRefund, Number: "RF1", OrderID: "IH1",
		Channel: "wechat", Amount: 500, At: at("01-05 09:00:00")}}
	h.store.ours[theHospital] = []Entry{e}
	same(t, "held", h.findings(h.done("2026-01-05")), []string{"refund_in_transit RF1"})
	h.clock = at("01-13 10:30:00")
	n := h.run("2026-01-05") // in no bill for longer than it may take
	if n.State != NightFailed || !strings.Contains(n.Problem, "1 refunds of 5.00 yuan") {
		t.Errorf("%s: %s", n.State, n.Problem)
	}

	e.At = at("01-09 09:00:00")
	e.ChannelNo = "R1"
	h.billed("2026-01-09", e)
	h.clock = at("01-10 10:30:00")
	same(t, "the channel's day", h.findings(h.done("2026-01-09")), []string{"cross_day RF1"}) // it counts on ours
	same(t, "our day", h.findings(h.done("2026-01-05")), []string{})
}
