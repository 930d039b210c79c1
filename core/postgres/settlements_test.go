package postgres

import (
	"database/sql"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/reconcile"
	"hishub/mocks/servers"
)

func TestSettlements(t *testing.T) {
	l := newLedger(t)
	s := reconcile.Settlement{Hospital: "h1", Channel: "wechat", Day: night, Amount: 9_000, Reference: "B1", Who: "finance"}
	l.must(l.SaveSettlement(l.ctx, s))
	was := l.settlements(night)[0]
	s.Amount, s.Who = 9_100, "chief"
	l.must(l.SaveSettlement(l.ctx, s))
	second := l.settlements(night)[0]
	s.Amount, s.Who = 9_200, "finance"
	l.must(l.SaveSettlement(l.ctx, s))
	s.Replaced = []reconcile.Replaced{{Day: night, Amount: 9_000, Who: "finance", At: was.At}, {Day: night, Amount: 9_100, Who: "chief", At: second.At}}
	again := s
	again.Who = "somebody"
	l.must(l.SaveSettlement(l.ctx, again)) // the same again changes nothing
	other := reconcile.Settlement{Hospital: "h1", Channel: "alipay", Day: "2026-01-07", Amount: 5, Reference: "B2", Who: "finance"}
	l.must(l.SaveSettlement(l.ctx, other))
	got := l.settlements("2026-01-06")
	if diff := cmp.Diff([]reconcile.Settlement{s}, got, cmpopts.IgnoreFields(s, "At"), cmp.Comparer(time.Time.Equal)); diff != "" || got[0].At.IsZero() {
		t.Errorf("settlements: %s", diff)
	}
	// Two banks may give one number: another channel's stands beside it.
	same := reconcile.Settlement{Hospital: "h1", Channel: "alipay", Day: night, Amount: 70, Reference: "B1", Who: "finance"}
	l.must(l.SaveSettlement(l.ctx, same))
	if diff := cmp.Diff([]reconcile.Settlement{same, s}, l.settlements("2026-01-06"), cmpopts.IgnoreFields(s, "At"), cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("with another channel's: %s", diff)
	}
	if all, err := l.Settlements(l.ctx, "h1", night, "2026-01-07"); err != nil || len(all) != 3 {
		t.Errorf("of both days: %+v %v", all, err)
	}
}

// settlements from the night to that day.
func (l *ledger) settlements(to string) []reconcile.Settlement {
	l.tb.Helper()
	all, err := l.Settlements(l.ctx, "h1", night, to)
	l.must(err)
	return all
}

func TestRefundsArrive(t *testing.T) {
	l := newLedger(t)
	for i, no := range []string{"F1", "F2", "F3", "F4"} {
		l.enqueue(refund(no, "A1", 100, dawn.Add(time.Duration(i)*time.Hour)))
	}
	reversal := refund("F5", "A1", 100, dawn.Add(5*time.Hour))
	reversal.Body.(*core.Refund).Reversal = true
	l.enqueue(reversal)
	never := l.enqueue(payBack("F6", "A1", 100, dawn.Add(6*time.Hour)))
	l.settleAs(never, delivery.Cancelled, nil)
	line := func(number, channelNo string, state core.EntryState, at time.Time) reconcile.Entry {
		return reconcile.Entry{LedgerEntry: core.LedgerEntry{Type: core.EntryRefund, Number: number, OrderID: "A1", ChannelNo: channelNo, Channel: "wechat", Amount: 100, State: state, At: at}}
	}
	arrived := dawn.Add(30 * time.Hour)
	// A bill that was taken again says otherwise than at first: the newest counts.
	_, err := l.SaveStatement(l.ctx, bill("wechat"), streamOf(line("F4", "", core.EntryDone, arrived)))
	l.must(err)
	_, err = l.SaveStatement(l.ctx, bill("wechat"), streamOf(line("F1", "wxF1", core.EntryProcessing, dawn), line("F3", "", core.EntryDone, dawn)))
	l.must(err)
	next := bill("wechat")
	next.Day = "2026-01-06"
	_, err = l.SaveStatement(l.ctx, next, streamOf(line("F1", "wxF1", "", arrived), line("", "wxF2", core.EntryDone, arrived),
		reconcile.Entry{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "F4", At: arrived}}))
	l.must(err)
	got, err := l.Refunds(l.ctx, "h1", dawn, dawn.AddDate(0, 0, 1))
	l.must(err)
	want := []reconcile.RefundLine{
		{Number: "F1", OrderID: "A1", Channel: "wechat", ChannelNo: "wxF1", Amount: 100, AskedAt: dawn, State: core.EntryDone, ArrivedAt: arrived},
		{Number: "F2", OrderID: "A1", Channel: "wechat", ChannelNo: "wxF2", Amount: 100, AskedAt: dawn.Add(time.Hour), State: core.EntryDone, ArrivedAt: arrived},
		{Number: "F3", OrderID: "A1", Channel: "wechat", ChannelNo: "wxF3", Amount: 100, AskedAt: dawn.Add(2 * time.Hour), State: core.EntryDone, ArrivedAt: dawn},
		{Number: "F4", OrderID: "A1", Channel: "wechat", ChannelNo: "wxF4", Amount: 100, AskedAt: dawn.Add(3 * time.Hour), State: core.EntryProcessing},
		{Number: "F6", OrderID: "A1", Channel: "wechat", Amount: 100, AskedAt: dawn.Add(6 * time.Hour), State: core.EntryFailed},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("refunds: %s", diff)
	}
	if all, err := l.Refunds(l.ctx, "h1", dawn.Add(time.Hour), dawn.Add(2*time.Hour)); err != nil || len(all) != 1 {
		t.Errorf("of an hour: %+v %v", all, err)
	}
}

// Nights from before the three parties are read as they were, and the way down
// gives them back.
func TestMigrationOfOldNights(t *testing.T) {
	url := servers.Postgres(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(q string) {
		t.Helper()
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	exec(`create schema hub`)
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	versions, err := database.NewStore(database.DialectPostgres, "hub.goose")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectCustom, db, files, goose.WithStore(versions))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	const totals = `{"payments": 2, "payment_amount": 2400, "refunds": 1, "refund_amount": 100}`
	exec(`insert into hub.night (hospital, day, run, state, ended, who, counts, ours, theirs) values
		('h1', '2026-01-05', 1, 'failed', now(), 'schedule', null, null, null),
		('h1', '2026-01-05', 2, 'done', now(), 'schedule', '{"matched": 1, "missing_at_his": 1}', '` + totals + `', '{"payments": 1, "payment_amount": 1200, "refunds": 0, "refund_amount": 0}'),
		('h1', '2026-01-05', 3, 'done', now(), 'finance', '{"matched": 2}', '` + totals + `', '` + totals + `'),
		('h1', '2026-01-06', 1, 'running', null, 'schedule', null, null, null)`)
	exec(`insert into hub.difference (night, class, type, number, ours, theirs) values
		(2, 'missing_at_his', 'payment', 'A2', '[{"type": "payment", "number": "A2", "amount": 1200, "at": "2026-01-05T01:00:00Z", "message": 7, "state": "parked"}]', 'null')`)

	l := openLedger(t, url)
	nights, err := l.Nights(l.ctx, "h1", night, 10)
	l.must(err)
	second := nights[1]
	if !second.Closed || nights[0].Closed || nights[2].Closed || second.Detail != reconcile.Full || second.Differences() != 1 || len(second.Lines) != 4 {
		t.Errorf("nights: %+v", nights)
	}
	if i := second.Lines[0]; i != (reconcile.Line{Party: reconcile.Ours, Business: reconcile.Outpatient, Type: core.EntryPayment, Count: 2, Amount: 2400}) {
		t.Errorf("line: %+v", i)
	}
	got, err := l.Findings(l.ctx, 2)
	l.must(err)
	if diff := cmp.Diff([]reconcile.Finding{lost("A2", 1200)}, got, cmp.Comparer(time.Time.Equal), cmpopts.IgnoreFields(reconcile.Finding{}, "Cause")); diff != "" {
		t.Errorf("finding: %s", diff)
	}
	if n := l.run("2026-01-06"); n.Run != 2 || !n.Closed {
		t.Errorf("after a run that the old program left behind: %+v", n)
	}
	_, err = l.SaveStatement(l.ctx, bill("wechat"), streamOf(sampleEntries()...))
	l.must(err)

	if _, err := p.DownTo(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	var ours, state string
	if err := db.QueryRow(`select n.ours::text, d.ours->0->>'state' from hub.night n join hub.difference d on d.night = n.id where n.id = 2`).Scan(&ours, &state); err != nil {
		t.Fatal(err)
	}
	if state != "parked" || ours != `{"refunds": 1, "payments": 2, "refund_amount": 100, "payment_amount": 2400}` {
		t.Errorf("given back: %s %s", ours, state)
	}
	if _, err := p.UpTo(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
}
