package postgres

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/reconcile"
)

const night = "2026-01-05"

var dawn = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

func streamOf(entries ...reconcile.Entry) reconcile.Stream {
	return func(yield func(reconcile.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func broken(after []reconcile.Entry, err error) reconcile.Stream {
	return func(yield func(reconcile.Entry, error) bool) {
		for _, e := range after {
			if !yield(e, nil) {
				return
			}
		}
		yield(reconcile.Entry{}, err)
	}
}

func bill(source string) reconcile.Statement {
	return reconcile.Statement{Hospital: "h1", Day: night, Party: reconcile.Channel, Source: source}
}

// hostile entries: each field that a foreign party fills holds what COPY could trip over.
func sampleEntries() []reconcile.Entry {
	return []reconcile.Entry{
		{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "A\t1\\N", HisNo: "H\n1", ChannelNo: `\.`, Channel: "wechat", Operator: "net\r07", Amount: 1200, At: dawn.Add(time.Hour), Bill: "B1,B2"}, Fee: -720, Row: 7},
		{LedgerEntry: core.LedgerEntry{Type: core.EntryRefund, Number: "F1", OrderID: "A1", ChannelNo: "wxF1", Channel: "wechat", Amount: 200, State: core.EntryProcessing, Reversal: true}, Fee: 120},
		{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: `\N`, Amount: 0}},
		{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "张三 \xff\x00", Amount: 5}},
	}
}

func TestStatements(t *testing.T) {
	l := newLedger(t)
	entries := sampleEntries()
	first, err := l.SaveStatement(l.ctx, bill("wechat"), streamOf(entries...))
	l.must(err)
	if first.ID == 0 || first.Entries != 4 || first.Amount != 1005 || first.Fee != -600 || len(first.Digest) != 64 || first.Taken.IsZero() {
		t.Errorf("kept %+v", first)
	}
	got, err := collect(l.StatementEntries(l.ctx, first.ID))
	l.must(err)
	slices.SortFunc(got, func(a, b reconcile.Entry) int { return int(a.Row - b.Row) })
	want := sampleEntries()
	want[1].Row, want[2].Row, want[3].Row = 2, 3, 4
	want[3].Number = "张三 \uFFFD"
	want = append(want[1:], want[0])
	if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("read back: %s", diff)
	}

	// In any order it is the same.
	rand.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	again, err := l.SaveStatement(l.ctx, bill("wechat"), streamOf(entries...))
	if err != nil || again.ID != first.ID || !again.Taken.Equal(first.Taken) {
		t.Errorf("the same again: %+v %v", again, err)
	}
	if n := count[int](l, `select count(*) from hub.statement_entry`); n != 4 {
		t.Errorf("%d entries", n)
	}
	// How often an entry is there counts.
	twice, err := l.SaveStatement(l.ctx, bill("wechat"), streamOf(append(entries, entries[0])...))
	if err != nil || twice.ID == first.ID {
		t.Errorf("with one twice: %+v %v", twice, err)
	}
	// As before, but no longer the newest.
	if third, err := l.SaveStatement(l.ctx, bill("wechat"), streamOf(entries...)); err != nil || third.ID == first.ID || third.Digest != first.Digest {
		t.Errorf("as it was: %+v %v", third, err)
	}
	other, err := l.SaveStatement(l.ctx, bill("alipay"), streamOf(entries...))
	if err != nil || other.ID == first.ID {
		t.Errorf("of another source: %+v %v", other, err)
	}
	empty, err := l.SaveStatement(l.ctx, reconcile.Statement{Hospital: "h1", Day: night, Party: reconcile.HIS, Source: "ledger.detail"}, streamOf())
	l.must(err)
	all, err := l.Statements(l.ctx, "h1", night)
	if err != nil || len(all) != 3 || all[0].ID != other.ID || all[1].Entries != 4 || all[1].ID <= twice.ID || all[2].ID != empty.ID || all[2].Day != night {
		t.Errorf("newest of each: %+v %v", all, err)
	}
	if both, err := collect(l.StatementEntries(l.ctx, other.ID, empty.ID)); err != nil || len(both) != 4 {
		t.Errorf("of two: %d %v", len(both), err)
	}
	for range l.StatementEntries(l.ctx, other.ID) {
		break
	}
	l.must(l.calm.Ping(l.ctx))
}

func TestStatementsAreWholeOrNotAtAll(t *testing.T) {
	l := newLedger(t)
	cut := errors.New("the line broke")
	if _, err := l.SaveStatement(l.ctx, bill("wechat"), broken(sampleEntries(), cut)); !errors.Is(err, cut) {
		t.Errorf("a broken stream: %v", err)
	}
	if n := count[int](l, `select (select count(*) from hub.statement) + (select count(*) from hub.statement_entry)`); n != 0 {
		t.Errorf("%d rows were kept", n)
	}
	bad := bill("wechat")
	for _, day := range []string{"", "2026-02-30", "1900-01-01", "9999-01-01"} {
		bad.Day = day
		var problems core.Problems
		if _, err := l.SaveStatement(l.ctx, bad, streamOf()); !errors.As(err, &problems) {
			t.Errorf("day %q: %v", day, err)
		}
	}
	if _, err := collect(l.StatementEntries(l.ctx, 99)); !errors.Is(err, ErrNotFound) {
		t.Errorf("of no statement: %v", err)
	}
	// Entries that are gone must not look like an empty day.
	st, err := l.SaveStatement(l.ctx, bill("wechat"), streamOf(sampleEntries()...))
	l.must(err)
	l.exec(`delete from hub.statement_entry where line = 7`)
	if _, err := collect(l.StatementEntries(l.ctx, st.ID)); !errors.Is(err, ErrNotFound) {
		t.Errorf("with one lost: %v", err)
	}
	dropped, err := l.Maintain(l.ctx, time.Now(), Retention{Statements: time.Hour})
	if err != nil || !slices.Contains(dropped, "statement_entry_2026_01") {
		t.Errorf("dropped %v: %v", dropped, err)
	}
	if all, err := l.Statements(l.ctx, "h1", night); err != nil || len(all) != 0 {
		t.Errorf("after its retention: %+v %v", all, err)
	}
	if again, err := l.SaveStatement(l.ctx, bill("wechat"), streamOf(sampleEntries()...)); err != nil || again.ID == st.ID {
		t.Errorf("taken again: %+v %v", again, err)
	}
}

// A day of any size goes in and out in the same memory.
func TestStatementsStream(t *testing.T) {
	l := newLedger(t)
	const many = 200_000
	most := uint64(0)
	watch := func(i int) {
		if i%20_000 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	watch(0)
	before := most
	st, err := l.SaveStatement(l.ctx, bill("wechat"), func(yield func(reconcile.Entry, error) bool) {
		for i := range many {
			watch(i)
			n := fmt.Sprintf("IH20260105%08d", i)
			if !yield(reconcile.Entry{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: n, ChannelNo: "4200" + n, Channel: "wechat", Amount: 1200, At: dawn}, Fee: 720}, nil) {
				return
			}
		}
	})
	l.must(err)
	got, amount := 0, core.Fen(0)
	for e, err := range l.StatementEntries(l.ctx, st.ID) {
		l.must(err)
		watch(got)
		got++
		amount += e.Amount
	}
	if got != many || amount != st.Amount || amount != 1200*many {
		t.Errorf("%d entries of %s", got, amount)
	}
	// Held at once, the entries would be 70 MB.
	if grew := int64(most) - int64(before); grew > 16<<20 {
		t.Errorf("the heap grew by %d MB", grew>>20)
	}
}

func TestPushedLedgerIsAStatement(t *testing.T) {
	l := newLedger(t)
	done := &core.Resolution{State: core.ResultDone}
	push := func(content string, numbers ...string) inbound.Stored {
		t.Helper()
		body := &core.LedgerPush{Day: night}
		for _, n := range numbers {
			body.Entries = append(body.Entries, core.LedgerEntry{Type: core.EntryPayment, Number: n, HisNo: "H" + n, Amount: 1200})
		}
		out, err := l.Arrive(l.ctx, inbound.Fact{Hospital: "h1", Zone: time.UTC, Kind: core.LedgerPushed, Body: body}, []byte(content), done)
		l.must(err)
		return out
	}
	newest := func() []reconcile.Entry {
		t.Helper()
		all, err := l.Statements(l.ctx, "h1", night)
		if err != nil || len(all) != 1 || all[0].Party != reconcile.HIS || all[0].Source != "ledger.push" {
			t.Fatalf("statements: %+v %v", all, err)
		}
		entries, err := collect(l.StatementEntries(l.ctx, all[0].ID))
		l.must(err)
		return entries
	}
	a := push("one", "A1")
	if a.Other || a.State != core.ResultDone || len(newest()) != 1 {
		t.Errorf("the first: %+v", a)
	}
	if a := push("one", "A1"); a.Other || a.Number != 2 {
		t.Errorf("the same: %+v", a)
	}
	if a := push("two", "A1", "A2"); a.Other || a.Number != 3 {
		t.Errorf("another: %+v", a)
	}
	if n := len(newest()); n != 2 {
		t.Errorf("%d entries after the second", n)
	}
	in, body, err := l.InboundByID(l.ctx, a.ID)
	if err != nil || in.Conflicts != 0 || len(body.(*core.LedgerPush).Entries) != 2 {
		t.Errorf("kept: %+v %v", in, err)
	}
	if n := count[int](l, `select count(*) from hub.statement`); n != 2 {
		t.Errorf("%d statements", n)
	}
	if types, _ := l.events(""); len(types) != 2 || !strings.HasPrefix(types[1], "inbound.ledger.push") {
		t.Errorf("events: %v", types)
	}
}

// A process that is killed while it takes somebody's books leaves no file of them.
func TestBooksOnTheirWayLeaveNoFile(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	rows := 0
	sp, err := spoolOf(night, func(yield func(reconcile.Entry, error) bool) {
		for rows < 2000 && yield(reconcile.Entry{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "A1", Amount: 1}}, nil) {
			rows++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.close()
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 0 || sp.Entries != 2000 {
		t.Errorf("%d entries, left behind: %v %v", sp.Entries, left, err)
	}
}
