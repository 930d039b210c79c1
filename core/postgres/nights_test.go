package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/reconcile"
)

// lost is a payment that the HIS does not have.
func lost(number string, amount core.Fen) reconcile.Finding {
	e := reconcile.Entry{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: number, Amount: amount, At: dawn.Add(time.Hour)}, Message: 7, Told: delivery.Parked}
	return reconcile.Finding{Class: reconcile.MissingAtHIS, Type: core.EntryPayment, Number: number, Ours: []reconcile.Entry{e}, Amount: amount, Cause: "it was refused"}
}

func of(c reconcile.Class, f reconcile.Finding) reconcile.Finding {
	f.Class = c
	return f
}

// run is a whole run of a day that finds this.
func (l *ledger) run(day string, findings ...reconcile.Finding) reconcile.Night {
	l.tb.Helper()
	return l.runIn(reconcile.Full, day, findings...)
}

func (l *ledger) runIn(detail reconcile.Detail, day string, findings ...reconcile.Finding) reconcile.Night {
	l.tb.Helper()
	n, err := l.BeginNight(l.ctx, reconcile.Ask{Hospital: "h1", Day: day, Who: "schedule"}, time.Minute)
	l.must(err)
	n.Counts = map[reconcile.Class]int{}
	for _, f := range findings {
		n.Counts[f.Class]++
	}
	l.must(l.Found(l.ctx, n.ID, findings))
	n.State, n.Detail, n.Closed = reconcile.NightDone, detail, true
	n, err = l.EndNight(l.ctx, n)
	l.must(err)
	return n
}

func (l *ledger) live() []reconcile.Case {
	l.tb.Helper()
	all, err := l.Cases(l.ctx, reconcile.CaseQuery{Live: true})
	l.must(err)
	return all
}

// verbs are what happened to a case.
func (l *ledger) verbs(id int64) string {
	l.tb.Helper()
	_, trail, err := l.Case(l.ctx, id)
	l.must(err)
	var all []string
	for _, x := range trail {
		all = append(all, x.Verb)
	}
	return strings.Join(all, " ")
}

func TestNights(t *testing.T) {
	l := newLedger(t)
	n, err := l.BeginNight(l.ctx, reconcile.Ask{Hospital: "h1", Day: night, Who: "finance"}, time.Minute)
	l.must(err)
	if _, err := l.BeginNight(l.ctx, reconcile.Ask{Hospital: "h1", Day: night, Who: "finance"}, time.Minute); !errors.Is(err, reconcile.ErrNightRunning) {
		t.Errorf("two runs at once: %v", err)
	}
	if _, err := l.BeginNight(l.ctx, reconcile.Ask{Hospital: "h1", Day: "2026-01-06", Who: "finance", After: reconcile.None}, time.Minute); err != nil {
		t.Errorf("another day: %v", err)
	}
	l.must(l.Progress(l.ctx, n.ID, "compare", 5000, time.Minute))
	if nights, err := l.Nights(l.ctx, "h1", night, 1); err != nil || nights[0].Stage != "compare" || nights[0].Done != 5000 || nights[0].State != reconcile.NightRunning {
		t.Errorf("while it runs: %+v %v", nights, err)
	}
	finding := lost("A2", 1200)
	finding.HIS = []reconcile.Entry{{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "A", HisNo: `H\u0000` + "\x00\xff", Amount: 3}}}
	twice := reconcile.Finding{Class: reconcile.PaidTwice, Type: core.EntryPayment, Number: "A9", Of: "A2", Amount: 7}
	excluded := of(reconcile.Excluded, lost("A0", 0))
	l.must(l.Found(l.ctx, n.ID, []reconcile.Finding{twice, {Class: reconcile.Matched, Type: core.EntryPayment, Number: "A1"}}))
	l.must(l.Found(l.ctx, n.ID, []reconcile.Finding{finding, excluded}))
	n.State, n.Detail, n.Why, n.Closed = reconcile.NightDone, reconcile.Full, "the first night", true
	n.Counts = map[reconcile.Class]int{reconcile.Matched: 1, reconcile.MissingAtHIS: 1}
	n.Amounts = map[reconcile.Class]core.Fen{reconcile.MissingAtHIS: 1200}
	n.Lines = []reconcile.Line{{Party: reconcile.Ours, Channel: "wechat", Business: reconcile.Outpatient, Type: core.EntryPayment, Count: 2, Amount: 2400}}
	n.Statements = []reconcile.Statement{{ID: 3, Party: reconcile.Channel, Source: "wechat", Taken: dawn}}
	ended, err := l.EndNight(l.ctx, n)
	l.must(err)
	if !ended.Closed || ended.Ended.IsZero() {
		t.Errorf("ended %+v", ended)
	}
	if _, err := l.EndNight(l.ctx, n); err == nil {
		t.Error("ended twice")
	}
	if err := l.Found(l.ctx, n.ID, []reconcile.Finding{finding}); err == nil {
		t.Error("a run that ended found something")
	}
	if err := l.Progress(l.ctx, n.ID, "late", 1, time.Minute); err == nil {
		t.Error("a run that ended goes on")
	}
	nights, err := l.Nights(l.ctx, "h1", night, 10)
	l.must(err)
	ended.Stage, ended.Done = "compare", 5000
	if diff := cmp.Diff([]reconcile.Night{ended}, nights, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("read back: %s", diff)
	}
	finding.HIS[0].HisNo = `H\u0000` + "\uFFFD"
	got, err := l.Findings(l.ctx, n.ID)
	l.must(err)
	if diff := cmp.Diff([]reconcile.Finding{excluded, finding, twice}, got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("findings: %s", diff)
	}
	if _, err := l.Findings(l.ctx, 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("findings of no night: %v", err)
	}
	if again := l.run(night); again.Run != 2 || again.Closed {
		t.Errorf("the second run: %+v", again)
	}
}

// Two processes that want the same night both look before they run it.
func TestANightIsNotRunAfterAnotherThatItsAskerHasNotSeen(t *testing.T) {
	l := newLedger(t)
	ask := reconcile.Ask{Hospital: "h1", Day: night, Who: "schedule", After: reconcile.None}
	n, err := l.BeginNight(l.ctx, ask, time.Minute)
	l.must(err)
	n.State = reconcile.NightDone // between its look and its wish
	_, err = l.EndNight(l.ctx, n)
	l.must(err)
	if _, err := l.BeginNight(l.ctx, ask, time.Minute); !errors.Is(err, reconcile.ErrNightRunning) {
		t.Errorf("run again by one who has seen none: %v", err)
	}
	ask.After = n.Run
	if n, err = l.BeginNight(l.ctx, ask, time.Minute); err != nil || n.Run != 2 {
		t.Errorf("by one who has seen it: %+v %v", n, err)
	}
}

// A process that dies leaves its lease behind; the next run drops what it found.
func TestRunThatDied(t *testing.T) {
	l := newLedger(t)
	dead, err := l.BeginNight(l.ctx, reconcile.Ask{Hospital: "h1", Day: night, Who: "schedule"}, time.Minute)
	l.must(err)
	l.must(l.Found(l.ctx, dead.ID, []reconcile.Finding{lost("A1", 5)}))
	l.must(l.Progress(l.ctx, dead.ID, "compare", 1, -time.Millisecond))
	second, err := l.BeginNight(l.ctx, reconcile.Ask{Hospital: "h1", Day: night, Who: "schedule", After: reconcile.None}, time.Minute)
	if err != nil || second.Run != 2 {
		t.Fatalf("the second run: %+v %v", second, err)
	}
	if nights, _ := l.Nights(l.ctx, "h1", night, 2); nights[1].State != reconcile.NightFailed || nights[1].Problem == "" || nights[1].Ended.IsZero() {
		t.Errorf("the first: %+v", nights[1])
	}
	if f, err := l.Findings(l.ctx, dead.ID); err != nil || len(f) != 0 {
		t.Errorf("it found %v %v", f, err)
	}
	if err := l.Progress(l.ctx, dead.ID, "compare", 2, time.Minute); err == nil {
		t.Error("it was not told to stop")
	}
	dead.State = reconcile.NightDone
	if _, err := l.EndNight(l.ctx, dead); err == nil {
		t.Error("it ended as if nothing had been")
	}
}

// Only a run that had everybody's books closes a day and opens cases.
func TestWaitingAndFailedRunsChangeNothing(t *testing.T) {
	l := newLedger(t)
	for _, state := range []reconcile.NightState{reconcile.NightWaiting, reconcile.NightFailed} {
		n, err := l.BeginNight(l.ctx, reconcile.Ask{Hospital: "h1", Day: night, Who: "schedule"}, time.Minute)
		l.must(err)
		l.must(l.Found(l.ctx, n.ID, []reconcile.Finding{lost("A1", 5)}))
		n.State, n.Problem, n.Closed = state, "the bill is not there yet", true
		n, err = l.EndNight(l.ctx, n)
		if err != nil || n.Closed || len(l.live()) != 0 {
			t.Errorf("%s: %+v %v", state, n, err)
		}
	}
	if closed, unsettled, err := l.Days(l.ctx, "h1", "2026-01-01", "2026-01-31"); err != nil || len(closed)+len(unsettled) != 0 {
		t.Errorf("days %v %v %v", closed, unsettled, err)
	}
	// The day goes on still: cases are opened, and it stays open.
	n, err := l.BeginNight(l.ctx, reconcile.Ask{Hospital: "h1", Day: night, Who: "alice"}, time.Minute)
	l.must(err)
	l.must(l.Found(l.ctx, n.ID, []reconcile.Finding{lost("A1", 5)}))
	n.State, n.Detail = reconcile.NightDone, reconcile.Full
	if n, err = l.EndNight(l.ctx, n); err != nil || n.Closed || len(l.live()) != 1 {
		t.Errorf("while the day goes on: %+v %v", n, err)
	}
	if n := l.run(night); !n.Closed || n.Run != 4 || len(l.live()) != 0 {
		t.Errorf("the first after its end: %+v", n)
	}
}

func TestDays(t *testing.T) {
	l := newLedger(t)
	l.run("2026-01-05", lost("A1", 5))
	l.run("2026-01-06", of(reconcile.InTransit, lost("A2", 5)))
	l.run("2026-01-07")
	l.run("2026-01-08", of(reconcile.CrossDay, lost("A3", 5)))
	l.run("2026-01-08")
	l.run("2026-02-01", lost("A4", 5))
	closed, unsettled, err := l.Days(l.ctx, "h1", "2026-01-05", "2026-01-31")
	l.must(err)
	if want := []string{"2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08"}; !slices.Equal(closed, want) {
		t.Errorf("closed %v", closed)
	}
	if want := []string{"2026-01-05", "2026-01-06"}; !slices.Equal(unsettled, want) {
		t.Errorf("unsettled %v", unsettled)
	}
}

func TestCases(t *testing.T) {
	l := newLedger(t)
	rx := reconcile.Finding{Class: reconcile.StateDiffers, Type: reconcile.EntryPrescription, Number: "RX1", Amount: 900}
	rounding := reconcile.Finding{Class: reconcile.AmountDiffers, Type: core.EntryPayment, Number: "A3", Amount: 1}
	first := l.run(night, lost("A1", 1200), lost("A2", 5), rounding, rx, of(reconcile.Excluded, lost("A4", 0)))
	all := l.live()
	if len(all) != 4 {
		t.Fatalf("cases: %+v", all)
	}
	byNumber := map[string]reconcile.Case{}
	for _, c := range all {
		byNumber[c.Number] = c
	}
	a1 := byNumber["A1"]
	if a1.State != reconcile.CaseOpen || a1.Owner != string(reconcile.Operations) || a1.Night != first.ID || a1.Day != night || a1.Amount != 1200 || a1.Class != reconcile.MissingAtHIS {
		t.Errorf("A1: %+v", a1)
	}
	if diff := cmp.Diff(lost("A1", 1200), a1.Finding, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("its finding: %s", diff)
	}
	if r := a1.Repair; r == nil || r.Action != reconcile.Resend || r.Amount != 1200 || r.ProposedBy != "policy" || r.State != reconcile.RepairProposed {
		t.Errorf("its repair: %+v", r)
	}
	if r := byNumber["RX1"].Repair; r == nil || r.Amount != 0 {
		t.Errorf("a prescription's: %+v", r)
	}
	if byNumber["A3"].Repair != nil {
		t.Errorf("the policy decided about an amount: %+v", byNumber["A3"].Repair)
	}

	// Again: A1 as it was, A2 otherwise, A3 gone, RX1 as it was, A5 new, A6 on its way.
	l.must(l.Note(l.ctx, a1.ID, "alice", "asked the cashier"))
	l.must(l.Assign(l.ctx, a1.ID, "alice", "bob"))
	second := l.runIn(reconcile.Totals, night, lost("A1", 1200), of(reconcile.AmountDiffers, lost("A2", 4)), lost("A5", 5), rx)
	now := map[string]reconcile.Case{}
	for _, c := range l.live() {
		now[c.Number] = c
	}
	if len(now) != 4 || now["A1"].ID != a1.ID || now["A1"].Night != second.ID || now["A1"].Owner != "bob" || now["RX1"].ID == 0 {
		t.Errorf("after the second run: %+v", now)
	}
	if c := now["A2"]; c.ID != byNumber["A2"].ID || c.Class != reconcile.AmountDiffers || c.Amount != 4 || c.Owner != string(reconcile.Finance) || c.Repair.State != reconcile.RepairRejected {
		t.Errorf("A2: %+v %+v", c, c.Repair)
	}
	if v := l.verbs(a1.ID); v != "opened proposed noted assigned found" {
		t.Errorf("trail of A1: %s", v)
	}
	a3, _, err := l.Case(l.ctx, byNumber["A3"].ID)
	if err != nil || a3.State != reconcile.CaseResolved || a3.EndedAt.IsZero() || l.verbs(a3.ID) != "opened resolved" {
		t.Errorf("A3: %+v %v", a3, err)
	}
	if err := l.Assign(l.ctx, a3.ID, "alice", "bob"); !errors.Is(err, reconcile.ErrNotOpen) {
		t.Errorf("a case that ended was assigned: %v", err)
	}
	if _, err := l.Propose(l.ctx, a3.ID, reconcile.WriteOff, reconcile.Params{}, "alice", ""); !errors.Is(err, reconcile.ErrNotOpen) {
		t.Errorf("a case that ended is repaired: %v", err)
	}

	// A run without the HIS's books says nothing of what is missing there.
	l.runIn("", night)
	if all := l.live(); len(all) != 2 || all[0].Number != "A5" || all[1].Number != "A1" {
		t.Errorf("without the HIS: %+v", all)
	}
	// A full run that finds nothing ends them all, with what was proposed; what is on
	// its way is no end.
	l.run(night, of(reconcile.InTransit, lost("A5", 5)))
	if all := l.live(); len(all) != 1 || all[0].Number != "A5" {
		t.Errorf("live: %+v", all)
	}
	gone, _, err := l.Case(l.ctx, a1.ID)
	if err != nil || gone.State != reconcile.CaseResolved || gone.Repair.State != reconcile.RepairRejected {
		t.Errorf("A1: %+v %v", gone, err)
	}
	// Back again, also on another day: the same case, with a proposal as before.
	l.run("2026-01-06", lost("A1", 1200))
	back, _, err := l.Case(l.ctx, a1.ID)
	if err != nil || back.State != reconcile.CaseOpen || !back.EndedAt.IsZero() || back.Day != night || back.Repair.State != reconcile.RepairProposed {
		t.Errorf("back: %+v %v", back, err)
	}
	if v := l.verbs(a1.ID); v != "opened proposed noted assigned found resolved reopened proposed" {
		t.Errorf("trail: %s", v)
	}
	// A run of another day does not end it.
	l.run("2026-01-06")
	if c, _, _ := l.Case(l.ctx, a1.ID); c.State != reconcile.CaseOpen {
		t.Errorf("ended by another day: %+v", c)
	}
	for want, q := range map[int]reconcile.CaseQuery{
		5: {}, 2: {State: reconcile.CaseOpen}, 1: {Number: "A1"}, 0: {Hospitals: []string{"h2"}}, 4: {Before: 5, Hospitals: []string{"h1"}}, 3: {Day: night, Limit: 3},
	} {
		if all, err := l.Cases(l.ctx, q); err != nil || len(all) != want {
			t.Errorf("%+v: %d cases, want %d: %v", q, len(all), want, err)
		}
	}
	if _, _, err := l.Case(l.ctx, 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("no case: %v", err)
	}
}

// A HIS that was down makes as many cases as there were payments.
func TestManyCasesAtOnce(t *testing.T) {
	l := newLedger(t)
	var all []reconcile.Finding
	for i := range 5000 {
		all = append(all, lost(fmt.Sprint("A", i), 5))
	}
	// Two findings of one number are one case, of the class that comes first.
	all = append(all, reconcile.Finding{Class: reconcile.Repeated, Type: core.EntryPayment, Number: "A1"})
	for range 2 {
		l.run(night, all...)
	}
	if n := count[string](l, `select count(*) || ' ' || count(*) filter (where class = 'missing_at_his') || ' ' || (select count(*) from hub.repair) from hub.case`); n != "5000 5000 5000" {
		t.Errorf("cases: %s", n)
	}
	// What has no case of its own is said in the trail of the one that has.
	for number, want := range map[string]string{"A1": "run 1 of 2026-01-05; and 1 more of this number, run 2 of 2026-01-05; and 1 more of this number", "A2": "run 1 of 2026-01-05, run 2 of 2026-01-05"} {
		if got := count[string](l, `select string_agg(t.note, ', ' order by t.id) from hub.case_trail t join hub.case c on c.id = t.case_id where c.number = '`+number+`' and t.verb in ('opened', 'found')`); got != want {
			t.Errorf("trail of %s: %s", number, got)
		}
	}
	l.run(night)
	if len(l.live()) != 0 {
		t.Error("not all were resolved")
	}
	l.run(night, lost("A1", 5), lost("A1", 6), lost("A1", 7))
	if got := count[string](l, `select note from hub.case_trail where verb = 'reopened'`); got != "run 4 of 2026-01-05; and 2 more of this number" {
		t.Errorf("reopened: %s", got)
	}
}

// with is a run of the night whose books are those of the HIS and of these channels.
func (l *ledger) with(sources []string, findings ...reconcile.Finding) {
	l.tb.Helper()
	n, err := l.BeginNight(l.ctx, reconcile.Ask{Hospital: "h1", Day: night, Who: "schedule"}, time.Minute)
	l.must(err)
	l.must(l.Found(l.ctx, n.ID, findings))
	n.State, n.Detail, n.Closed = reconcile.NightDone, reconcile.Full, true
	n.Statements = []reconcile.Statement{{Party: reconcile.HIS, Source: "ledger.detail"}}
	for _, s := range sources {
		n.Statements = append(n.Statements, reconcile.Statement{Party: reconcile.Channel, Source: s})
	}
	_, err = l.EndNight(l.ctx, n)
	l.must(err)
}

// A channel that the folder has lost says nothing: what its bill showed stays open
// until its bill is there again.
func TestAChannelThatTookNoPartResolvesNothing(t *testing.T) {
	entry := func(number string, c core.Channel) []reconcile.Entry {
		return []reconcile.Entry{{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: number, Channel: c, Amount: 5, At: dawn}}}
	}
	finding := func(c reconcile.Class, number string, way core.Channel) reconcile.Finding {
		f := reconcile.Finding{Class: c, Type: core.EntryPayment, Number: number, Amount: 5}
		switch c {
		case reconcile.WithoutMoney:
			f.Ours = entry(number, way)
		default:
			f.Channel = entry(number, way)
		}
		return f
	}
	hisOnly := reconcile.Finding{Class: reconcile.WithoutMoney, Type: core.EntryPayment, Number: "W3", Amount: 5, HIS: entry("W3", "")}
	all := []reconcile.Finding{
		finding(reconcile.PaidTwice, "W1", "wechat"), finding(reconcile.MissingHere, "W2", "wechat"), hisOnly, finding(reconcile.WithoutMoney, "W4", "wechat"),
		finding(reconcile.MissingHere, "W5", "unionpay"), // in the bill of another name
		finding(reconcile.WithoutMoney, "A1", "alipay"), finding(reconcile.MissingHere, "A2", "alipay"),
		finding(reconcile.MissingHere, "I1", "insurance"), lost("L1", 5),
	}
	l := newLedger(t)
	live := func(when, want string) {
		t.Helper()
		var numbers []string
		for _, c := range l.live() {
			numbers = append(numbers, c.Number)
		}
		slices.Sort(numbers)
		if got := strings.Join(numbers, " "); got != want {
			t.Errorf("%s: live are %s, want %s", when, got, want)
		}
	}
	l.with([]string{"wechat", "alipay", "ledger.insurance"}, all...)
	live("found", "A1 A2 I1 L1 W1 W2 W3 W4 W5")
	l.with([]string{"alipay", "ledger.insurance"})
	live("without wechat", "W1 W2 W3 W4 W5")
	l.with(nil)
	live("without any", "W1 W2 W3 W4 W5")
	// A rule that leaves our booking out is people's word; one about another party is not.
	byRule := func(f reconcile.Finding, cause string) reconcile.Finding {
		f.Class, f.Cause = reconcile.Excluded, cause
		return f
	}
	l.with(nil, byRule(all[3], "it is of zero yuan"))
	live("excluded for another reason", "W1 W2 W3 W4 W5")
	other := finding(reconcile.PaidTwice, "W4", "wechat")
	twice := hisOnly
	twice.Number = "W1"
	l.with(nil, byRule(other, reconcile.ByRule), byRule(twice, reconcile.ByRule))
	live("a rule about another's entry", "W1 W2 W3 W4 W5")
	l.with(nil, byRule(all[3], reconcile.ByRule))
	live("our booking is left out by a rule", "W1 W2 W3 W5")
	l.with([]string{"wechat", "alipay"})
	live("wechat only is back", "W3 W5")
	l.with([]string{"wechat", "alipay", "insurance"})
	live("all are back", "")
}
