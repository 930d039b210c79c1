package reconcile_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/reconcile"
	"hishub/core/reconcile/reconciletest"
)

var (
	from = reconciletest.Day
	to   = from.AddDate(0, 0, 1)
	noon = from.Add(12 * time.Hour)
)

// rules of a night that knows everybody's books of the day after.
func rules() reconcile.Rules { return reconciletest.Shape{}.Rules() }

func stream(entries []reconcile.Entry) reconcile.Stream {
	return func(yield func(reconcile.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// books that all take part.
func books(c, p, h []reconcile.Entry) reconcile.Books {
	return reconcile.Books{Channel: stream(c), Ours: stream(p), HIS: stream(h)}
}

// teller is what *testing.T and *rapid.T have in common.
type teller interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func compare(t teller, b reconcile.Books, r reconcile.Rules) (all []reconcile.Finding) {
	t.Helper()
	err := reconcile.Compare(context.Background(), b, r, func(f reconcile.Finding) error {
		all = append(all, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// entry starts as a payment of 10.00 yuan at noon that everybody has; changes follow.
func entry(changes ...func(*reconcile.Entry)) []reconcile.Entry {
	e := reconcile.Entry{LedgerEntry: core.LedgerEntry{
		Type: core.EntryPayment, Number: "PAY-1", ChannelNo: "42000001", Channel: "wechat", Amount: 1000, At: noon,
	}}
	for _, change := range changes {
		change(&e)
	}
	return []reconcile.Entry{e}
}

type change = func(*reconcile.Entry)

func told(s delivery.State) change   { return func(e *reconcile.Entry) { e.Told = s } }
func amount(a core.Fen) change       { return func(e *reconcile.Entry) { e.Amount = a } }
func at(t time.Time) change          { return func(e *reconcile.Entry) { e.At = t } }
func state(s core.EntryState) change { return func(e *reconcile.Entry) { e.State = s } }
func number(n string) change         { return func(e *reconcile.Entry) { e.Number = n } }
func channelNo(n string) change      { return func(e *reconcile.Entry) { e.ChannelNo = n } }
func hisNo(n string) change          { return func(e *reconcile.Entry) { e.HisNo = n } }
func of(order string) change         { return func(e *reconcile.Entry) { e.OrderID = order } }
func way(c core.Channel) change      { return func(e *reconcile.Entry) { e.Channel = c } }
func bill(b string) change           { return func(e *reconcile.Entry) { e.Bill = b } }
func neighbour(e *reconcile.Entry)   { e.Neighbour = true }
func noHIS(e *reconcile.Entry)       { e.NoHIS = true }
func noChannel(e *reconcile.Entry)   { e.NoChannel = true }
func reversal(e *reconcile.Entry)    { e.Reversal = true; e.OrderID = "PAY-1"; e.Number = "" }
func refund(e *reconcile.Entry) {
	e.Type, e.Number, e.OrderID, e.ChannelNo = core.EntryRefund, "REF-1", "PAY-1", "50000001"
}

func row(n int64) change { return func(e *reconcile.Entry) { e.Row = n } }

func cat(parts ...[]reconcile.Entry) []reconcile.Entry { return slices.Concat(parts...) }

// one is what a case of one group must come to: class, amount, and what the cause says.
type one struct {
	class  reconcile.Class
	amount core.Fen
	cause  string
}

func TestTruthTable(t *testing.T) {
	late, old := to.Add(-5*time.Minute), from.AddDate(0, 0, -10)
	unknownNext := func(r *reconcile.Rules) { r.NextKnown = nil }
	firstDay := func(r *reconcile.Rules) { r.BeforeUnknown = map[reconcile.Party]bool{reconcile.HIS: true} }
	soon := func(r *reconcile.Rules) { r.Now = noon.Add(time.Hour) }
	monthLater := func(r *reconcile.Rules) { r.Now = noon.AddDate(0, 1, 0) }
	byRule := func(r *reconcile.Rules) {
		r.Excluded = func(party string, e core.LedgerEntry) (bool, error) { return party == "his", nil }
	}
	takeBack := entry(refund, noChannel, told(delivery.Delivered))
	for _, c := range []struct {
		name             string
		channel, us, his []reconcile.Entry
		rules            func(*reconcile.Rules)
		want             []one
	}{
		// Payments.
		{"all alike", entry(), entry(), entry(), nil, []one{{reconcile.Matched, 1000, ""}}},
		{"not at the HIS", entry(), entry(told(delivery.Delivered)), nil, nil, []one{{reconcile.MissingAtHIS, 1000, "its ledger has not"}}},
		{"not at the HIS, parked", entry(), entry(told(delivery.Parked)), nil, nil, []one{{reconcile.MissingAtHIS, 1000, "parked"}}},
		{"not at the HIS, cancelled", entry(), entry(told(delivery.Cancelled)), nil, nil, []one{{reconcile.MissingAtHIS, 1000, "cancelled"}}},
		{"queued", entry(), entry(told(delivery.Queued)), nil, soon, []one{{reconcile.InTransit, 1000, "not been told"}}},
		{"queued too long", entry(), entry(told(delivery.Queued)), nil, nil, []one{{reconcile.MissingAtHIS, 1000, "longer"}}},
		{"HIS need not have it", entry(), entry(noHIS), nil, nil, []one{{reconcile.Matched, 1000, ""}}},
		{"HIS need not, and has", entry(), entry(noHIS, told(delivery.Cancelled)), entry(), nil, []one{{reconcile.StateDiffers, 1000, "need not"}}},
		{"a record of ours, and the HIS has it", entry(), entry(noHIS, told("")), entry(), nil, []one{{reconcile.Matched, 1000, ""}}},
		{"cancelled before it took effect", nil, entry(told(delivery.Cancelled)), nil, nil, []one{{reconcile.Excluded, 1000, "before it took effect"}}},
		{"we do not know it", entry(), nil, nil, nil, []one{{reconcile.MissingHere, 1000, "notice"}}},
		{"we do not know it, the HIS does", entry(), nil, entry(amount(900)), nil, []one{{reconcile.MissingHere, 1000, "HIS booked it"}}},
		{"no money", nil, entry(), entry(), nil, []one{{reconcile.WithoutMoney, 1000, "HIS and we"}}},
		{"no money, ours only", nil, entry(), nil, nil, []one{{reconcile.WithoutMoney, 1000, "we booked"}}},
		{"no money, HIS only", nil, nil, entry(), nil, []one{{reconcile.WithoutMoney, 1000, "neither"}}},
		{"no money, HIS only, no way named", nil, nil, entry(way("")), nil, []one{{reconcile.WithoutMoney, 1000, "neither"}}},
		{"failed at the channel", entry(state(core.EntryFailed)), entry(), entry(), nil, []one{{reconcile.WithoutMoney, 1000, "failed"}}},
		{"failed, nobody else", entry(state(core.EntryFailed)), nil, nil, nil, []one{{reconcile.Excluded, 1000, "failed"}}},
		{"cash is in no bill", nil, entry(way("cash")), entry(way("cash")), nil, []one{{reconcile.Matched, 1000, ""}}},
		{"cash, not at the HIS", nil, entry(way("cash")), nil, nil, []one{{reconcile.MissingAtHIS, 1000, ""}}},
		{"cash, queued", nil, entry(way("cash"), told(delivery.Sending)), nil, soon, []one{{reconcile.InTransit, 1000, ""}}},
		{"cash, HIS only", nil, nil, entry(way("cash")), nil, []one{{reconcile.MissingHere, 1000, "booked at the HIS"}}},
		{"no money moved", nil, entry(noChannel), entry(), nil, []one{{reconcile.Matched, 1000, ""}}},
		{"no money moved, and it did", entry(), entry(noChannel), entry(), nil, []one{{reconcile.StateDiffers, 1000, "has taken it"}}},
		{"parked, and the HIS has it", entry(), entry(told(delivery.Parked)), entry(), nil, []one{{reconcile.StateDiffers, 1000, "parked"}}},
		{"cancelled, and the HIS has it", entry(), entry(told(delivery.Cancelled)), entry(), nil, []one{{reconcile.StateDiffers, 1000, "cancelled"}}},
		{"queued, and the HIS has it", entry(), entry(told(delivery.Queued)), entry(), nil, []one{{reconcile.InTransit, 1000, "already"}}},
		{"failed for us, money moved", entry(), entry(state(core.EntryFailed)), nil, nil, []one{{reconcile.StateDiffers, 1000, "failed for us"}}},
		{"yuan for fen", entry(), entry(), entry(amount(10)), nil, []one{{reconcile.AmountDiffers, 990, "hundred"}}},
		{"rounded", entry(), entry(amount(1001)), entry(amount(1001)), nil, []one{{reconcile.AmountDiffers, 1, "rounded"}}},
		{"another amount at the HIS", entry(), entry(), entry(amount(700)), nil, []one{{reconcile.AmountDiffers, 300, "HIS booked another"}}},
		{"another amount, not at the HIS", entry(), entry(amount(700)), nil, nil, []one{{reconcile.AmountDiffers, 300, ""}}},
		{"zero yuan", nil, entry(amount(0)), entry(amount(0)), nil, []one{{reconcile.Excluded, 0, "zero yuan"}}},
		{"zero yuan, HIS only", nil, nil, entry(amount(0)), nil, []one{{reconcile.Excluded, 0, "zero yuan"}}},
		// Reversals.
		{"reversed at the HIS", nil, nil, cat(entry(), entry(reversal)), nil, []one{{reconcile.Excluded, 1000, "own booking back"}}},
		{"reversed in parts", nil, nil, cat(entry(), entry(reversal, amount(400)), entry(reversal, amount(600))), nil, []one{{reconcile.Excluded, 1000, "own booking back"}}},
		{"reversed, and we have it", entry(), entry(), cat(entry(), entry(reversal)), nil, []one{{reconcile.MissingAtHIS, 1000, "took it back"}}},
		{"reversed, and the channel has it", entry(), nil, cat(entry(), entry(reversal)), nil, []one{{reconcile.MissingHere, 1000, "took it back"}}},
		{"reversed and booked again", entry(), entry(), cat(entry(row(1)), entry(reversal), entry(row(2))), nil, []one{{reconcile.Matched, 1000, ""}}},
		{"reversed in part", entry(), entry(), cat(entry(), entry(reversal, amount(300))), nil, []one{{reconcile.AmountDiffers, 300, "part"}}},
		{"reversal of another day", nil, nil, entry(reversal), nil, []one{{reconcile.MissingHere, 1000, "another day"}}},
		{"reversed by our command", nil, takeBack, cat(entry(), entry(refund)), nil, []one{{reconcile.Excluded, 1000, "by our command"}}},
		{"reversed by our command, no row of it", nil, takeBack, entry(), nil, []one{{reconcile.Excluded, 1000, "by our command"}}},
		{"reversed by our command, all had it but the channel", nil, cat(entry(), takeBack), cat(entry(), entry(refund)), nil, []one{{reconcile.Excluded, 1000, "by our command"}}},
		{"our command waits", nil, entry(refund, noChannel, told(delivery.Queued)), entry(), nil, []one{{reconcile.InTransit, 1000, "not yet told"}}},
		{"our command is parked", nil, entry(refund, noChannel, told(delivery.Parked)), entry(), nil, []one{{reconcile.WithoutMoney, 1000, "neither"}}},
		{"our command took back what has money", entry(), cat(entry(), takeBack), cat(entry(), entry(refund)), nil, []one{{reconcile.MissingAtHIS, 1000, "still has the money"}}},
		{"our command, the payment is of another day", nil, takeBack, entry(refund), nil, []one{{reconcile.Matched, 1000, "as we told it"}}},
		// Twice.
		{
			"paid twice under one number", cat(entry(), entry(channelNo("42000002"), at(noon.Add(time.Minute)))), entry(), entry(), nil,
			[]one{{reconcile.Matched, 1000, ""}, {reconcile.PaidTwice, 1000, "one order"}},
		},
		{
			"paid twice for one bill", cat(entry(bill("RX1,RX2")), entry(number("PAY-2"), channelNo("42000002"), bill("RX2"), amount(700))), entry(bill("RX2, RX9")), entry(), nil,
			[]one{{reconcile.Matched, 1000, ""}, {reconcile.PaidTwice, 700, "a bill that another"}},
		},
		{
			"the other payment of the bill has no money", entry(number("PAY-2"), channelNo("42000002"), bill("RX2")), entry(bill("RX2")), nil, nil,
			[]one{{reconcile.WithoutMoney, 1000, ""}, {reconcile.MissingHere, 1000, ""}},
		},
		{"the same row twice in the bill", cat(entry(), entry()), entry(), entry(), nil, []one{{reconcile.Repeated, 1000, "bill"}}},
		{"twice at the HIS", entry(), entry(), cat(entry(row(1), hisNo("A")), entry(row(2), hisNo("B"))), nil, []one{{reconcile.Repeated, 1000, "HIS"}}},
		// Refunds.
		{"refund alike", entry(refund), entry(refund), entry(refund), nil, []one{{reconcile.Matched, 1000, ""}}},
		{"refund on its way", nil, entry(refund), entry(refund), nil, []one{{reconcile.RefundInTransit, 1000, "not paid it back yet"}}},
		{"refund that the HIS told us of", entry(refund), entry(refund, noHIS), entry(refund), nil, []one{{reconcile.Matched, 1000, ""}}},
		{"refund processing", entry(refund, state(core.EntryProcessing)), entry(refund), entry(refund), nil, []one{{reconcile.RefundInTransit, 1000, "still"}}},
		{"refund processing too long", entry(refund, state(core.EntryProcessing)), entry(refund), entry(refund), monthLater, []one{{reconcile.StateDiffers, 1000, "longer"}}},
		{"refund never came", nil, entry(refund), entry(refund), monthLater, []one{{reconcile.WithoutMoney, 1000, "time"}}},
		{"refund failed", entry(refund, state(core.EntryFailed)), entry(refund), entry(refund), nil, []one{{reconcile.StateDiffers, 1000, "failed"}}},
		{"refund failed, then done", cat(entry(refund, state(core.EntryFailed)), entry(refund, row(2))), entry(refund), entry(refund), nil, []one{{reconcile.Matched, 1000, ""}}},
		{"window refund", nil, nil, entry(refund), nil, []one{{reconcile.MissingHere, 1000, "window"}}},
		{"refund of the channel only", entry(refund), nil, nil, nil, []one{{reconcile.MissingHere, 1000, "neither"}}},
		{"refund unknown to us only", entry(refund), nil, entry(refund), nil, []one{{reconcile.MissingHere, 1000, "and the HIS"}}},
		{"refund not at the HIS", entry(refund), entry(refund), nil, nil, []one{{reconcile.MissingAtHIS, 1000, ""}}},
		{"refund queued", entry(refund), entry(refund, told(delivery.Queued)), nil, soon, []one{{reconcile.InTransit, 1000, ""}}},
		{"refund of another amount", entry(refund), entry(refund), entry(refund, amount(1)), nil, []one{{reconcile.AmountDiffers, 999, ""}}},
		{"refund cancelled", nil, entry(refund, told(delivery.Cancelled)), nil, nil, []one{{reconcile.Excluded, 1000, "before"}}},
		{"refund in cash", nil, entry(refund, way("cash")), entry(refund, way("cash")), nil, []one{{reconcile.Matched, 1000, ""}}},
		// Days.
		{"all of another day", entry(neighbour), entry(neighbour), entry(neighbour), nil, nil},
		{"HIS dates it tomorrow", entry(at(late)), entry(at(late)), entry(neighbour, at(to)), nil, []one{{reconcile.Matched, 1000, ""}}},
		{"the HIS's of today, ours of yesterday", entry(neighbour), entry(neighbour), entry(), nil, []one{{reconcile.CrossDay, 1000, "another day"}}},
		{"near the end, tomorrow unknown", entry(at(late)), entry(at(late)), nil, unknownNext, []one{{reconcile.CrossDay, 1000, "near the end"}}},
		{"near the end, tomorrow known", entry(at(late)), entry(at(late)), nil, nil, []one{{reconcile.MissingAtHIS, 1000, ""}}},
		{"not near the end", entry(), entry(), nil, unknownNext, []one{{reconcile.MissingAtHIS, 1000, ""}}},
		{"near the start", entry(at(from)), entry(at(from)), nil, unknownNext, []one{{reconcile.MissingAtHIS, 1000, ""}}},
		{"near the start of the first day", entry(at(from)), entry(at(from)), nil, firstDay, []one{{reconcile.CrossDay, 1000, "near the end"}}},
		{"near the end, channel unknown", nil, entry(at(late)), entry(at(late)), unknownNext, []one{{reconcile.CrossDay, 1000, "near the end"}}},
		{"near the end, amounts", entry(at(late)), entry(at(late)), entry(amount(1), at(late)), unknownNext, []one{{reconcile.AmountDiffers, 999, ""}}},
		// Rules.
		{"left out by rule", entry(), entry(noHIS), entry(), byRule, []one{{reconcile.Matched, 1000, ""}, {reconcile.Excluded, 1000, "rule"}}},
		{"old and queued", entry(at(old)), entry(at(old), told(delivery.Queued)), nil, nil, []one{{reconcile.MissingAtHIS, 1000, "longer"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rules()
			if c.rules != nil {
				c.rules(&r)
			}
			check(t, compare(t, books(c.channel, c.us, c.his), r), c.want)
		})
	}
}

func check(t *testing.T, got []reconcile.Finding, want []one) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("found %+v, want %+v", got, want)
	}
	for i, f := range got {
		if f.Class != want[i].class || f.Amount != want[i].amount || !strings.Contains(f.Cause, want[i].cause) {
			t.Errorf("finding %d is %s of %d fen, %q; want %s of %d, %q", i, f.Class, f.Amount, f.Cause, want[i].class, want[i].amount, want[i].cause)
		}
	}
}

// TestPartiesThatTakeNoPart: their silence is no difference.
func TestPartiesThatTakeNoPart(t *testing.T) {
	s := func(changes ...change) reconcile.Stream { return stream(entry(changes...)) }
	for _, c := range []struct {
		name  string
		books reconcile.Books
		want  []one
	}{
		{"no HIS", reconcile.Books{Channel: s(), Ours: s(told(delivery.Queued))}, []one{{reconcile.Matched, 1000, ""}}},
		{"no bills", reconcile.Books{Ours: s(), HIS: s()}, []one{{reconcile.Matched, 1000, ""}}},
		{"no bills, HIS only", reconcile.Books{Ours: stream(nil), HIS: s()}, []one{{reconcile.MissingHere, 1000, "booked at the HIS"}}},
		{"not us", reconcile.Books{Channel: s(), HIS: s()}, []one{{reconcile.Matched, 1000, ""}}},
		{"not us, no booking", reconcile.Books{Channel: s(), HIS: stream(nil)}, []one{{reconcile.MissingAtHIS, 1000, ""}}},
		{"not us, no money", reconcile.Books{Channel: stream(nil), HIS: s()}, []one{{reconcile.WithoutMoney, 1000, ""}}},
		{"not us, other amount", reconcile.Books{Channel: s(), HIS: s(amount(999))}, []one{{reconcile.AmountDiffers, 1, ""}}},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, compare(t, c.books, rules()), c.want) })
	}
}

func TestPaidTwiceNamesThePaymentThatCounts(t *testing.T) {
	got := compare(t, books(
		cat(entry(bill("RX2")), entry(number("PAY-2"), channelNo("42000002"), bill("RX2")), entry(channelNo("42000003"), at(noon.Add(-time.Hour)))),
		entry(bill("RX2")), entry()), rules())
	if len(got) != 3 || got[1].Of != "PAY-1" || got[1].Channel[0].ChannelNo != "42000003" || got[2].Of != "PAY-1" || got[2].Number != "PAY-2" {
		t.Errorf("found %+v", got)
	}
}

func TestErrorsComeBack(t *testing.T) {
	broken := errors.New("the line broke")
	failing := func(yield func(reconcile.Entry, error) bool) { yield(reconcile.Entry{}, broken) }
	keep := func(reconcile.Finding) error { return nil }
	ctx := context.Background()
	if err := reconcile.Compare(ctx, reconcile.Books{Ours: failing}, rules(), keep); !errors.Is(err, broken) {
		t.Errorf("a broken stream gives %v", err)
	}
	if err := reconcile.Compare(ctx, books(entry(), entry(), entry()), rules(), func(reconcile.Finding) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a broken report gives %v", err)
	}
	r := rules()
	r.Excluded = func(string, core.LedgerEntry) (bool, error) { return false, broken }
	if err := reconcile.Compare(ctx, books(entry(), nil, nil), r, keep); !errors.Is(err, broken) {
		t.Errorf("a broken rule gives %v", err)
	}
	if err := reconcile.Compare(ctx, books(entry(func(e *reconcile.Entry) { e.Type = "gift" }), nil, nil), rules(), keep); err == nil {
		t.Error("a gift was compared")
	}
	r = rules()
	r.Chunk, r.Spill = 1, t.TempDir()+"/no such folder"
	if err := reconcile.Compare(ctx, books(entry(), nil, nil), r, keep); err == nil {
		t.Error("nowhere to spill, and no error")
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	s := reconciletest.Shape{Payments: 10_000}
	if err := reconcile.Compare(ctx, s.Books(), s.Rules(), keep); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled comparison gives %v", err)
	}
}

// TestSpillLeavesNoName: a process that is killed in the middle leaves no file.
func TestSpillLeavesNoName(t *testing.T) {
	s := reconciletest.Shape{Payments: 500, Every: 10, Numbering: reconciletest.ChannelNumber}
	r := s.Rules()
	r.Chunk, r.Spill = 16, t.TempDir()
	n := 0
	err := reconcile.Compare(context.Background(), s.Books(), r, func(reconcile.Finding) error {
		n++
		names, err := os.ReadDir(r.Spill)
		if len(names) > 0 {
			t.Fatalf("there is %s", names[0].Name())
		}
		return err
	})
	if err != nil || n != 510 {
		t.Errorf("%d findings, %v", n, err)
	}
}
