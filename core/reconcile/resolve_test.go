package reconcile_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/reconcile"
)

// bare has no number of any kind.
func bare(e *reconcile.Entry) { e.Number, e.ChannelNo, e.HisNo = "", "", "" }

// TestResolve shows by which number an entry finds its group: each line is
// "class number".
func TestResolve(t *testing.T) {
	two := func(changes ...change) []reconcile.Entry {
		return entry(append([]change{number("PAY-20260105-2"), channelNo("4200000000002"), hisNo("H2")}, changes...)...)
	}
	first := func(changes ...change) []reconcile.Entry {
		return entry(append([]change{number("PAY-20260105-1"), channelNo("4200000000001"), hisNo("H1")}, changes...)...)
	}
	back := func(changes ...change) []reconcile.Entry {
		return entry(append([]change{refund, number("REF-20260105-1"), of("PAY-20260105-1"), channelNo("5000000000001")}, changes...)...)
	}
	backTwo := func(changes ...change) []reconcile.Entry {
		return back(append([]change{number("REF-20260105-2"), channelNo("5000000000002")}, changes...)...)
	}
	ofPayment := channelNo("4200000000001")
	for _, c := range []struct {
		name             string
		channel, us, his []reconcile.Entry
		want             []string
	}{
		{"by the channel's number, ours", first(), first(), first(bare, ofPayment), []string{"matched PAY-20260105-1"}},
		{"by the channel's number, the channel's", first(), first(channelNo("")), first(bare, ofPayment), []string{"matched PAY-20260105-1"}},
		{"by the HIS's number", first(), first(), first(bare, hisNo("H1")), []string{"matched PAY-20260105-1"}},
		{"the channel's line by the channel's number", first(number("")), first(), first(), []string{"matched PAY-20260105-1"}},
		{"the channel's line by another number", first(number("T-1")), first(), first(number("T-1"), channelNo("")), []string{"matched PAY-20260105-1"}},
		{"by the end of our number", first(), first(), first(bare, number("260105-1")), []string{"matched PAY-20260105-1"}},
		{"by the beginning of the channel's number", first(), first(), first(bare, channelNo("420000000000")), []string{"matched PAY-20260105-1"}},
		{"cut in the bill as well", first(bare, number("20260105-1")), first(), first(bare, number("260105-1")), []string{"matched PAY-20260105-1"}},
		{"too short to be a cut number", first(), first(), first(bare, number("60105-1")), []string{"without_money 60105-1", "missing_at_his PAY-20260105-1"}},
		{"of what only the channel knows", first(), nil, first(bare, ofPayment), []string{"missing_here PAY-20260105-1"}},
		{"cut, of what only the channel knows", first(), nil, first(bare, number("260105-1")), []string{"missing_here PAY-20260105-1"}},
		{"a neighbour's number", first(neighbour), first(neighbour), first(bare, ofPayment), []string{"cross_day PAY-20260105-1"}},
		{
			"the beginning of two", cat(first(), two()), cat(first(), two()), cat(first(bare, number("PAY-20260105")), two()),
			[]string{"ambiguous PAY-20260105", "missing_at_his PAY-20260105-1", "matched PAY-20260105-2"},
		},
		{
			"the channel's number is of two", cat(first(), two()), cat(first(), two(ofPayment)), first(bare, ofPayment),
			[]string{"ambiguous 4200000000001", "missing_at_his PAY-20260105-1", "missing_at_his PAY-20260105-2"},
		},
		{
			"its numbers point to two", cat(first(), two()), cat(first(), two()), cat(first(channelNo("4200000000002")), two()),
			[]string{"missing_at_his PAY-20260105-1", "ambiguous PAY-20260105-1", "matched PAY-20260105-2"},
		},
		{"its channel's number is nobody's", first(), first(), first(channelNo("77")), []string{"matched PAY-20260105-1"}},
		{
			"its channel's number is of a payment that we do not know", cat(first(), two()), first(), first(channelNo("4200000000002")),
			[]string{"matched PAY-20260105-1", "missing_here PAY-20260105-2"},
		},
		{
			"its channel's number is cut and by chance another's", cat(first(), two(channelNo("00000001"))), cat(first(), two(channelNo("00000001"))),
			cat(first(channelNo("00000001")), two(channelNo(""))), []string{"matched PAY-20260105-1", "matched PAY-20260105-2"},
		},
		{"its channel's number is cut", first(), first(), first(channelNo("00000001")), []string{"matched PAY-20260105-1"}},
		{"nothing fits", nil, nil, first(number("")), []string{"without_money 4200000000001"}},
		{"nothing fits, and little is there", nil, nil, first(bare, hisNo("H9")), []string{"without_money H9"}},
		{"no number at all", nil, nil, cat(first(bare, row(7)), first(bare, row(7)), first(bare, row(8))), []string{"without_money row 7 of his on 2026-01-05", "without_money row 7 of his on 2026-01-05", "without_money row 8 of his on 2026-01-05"}},
		{"no number and no time", nil, nil, first(bare, row(7), func(e *reconcile.Entry) { e.At = time.Time{} }), []string{"without_money row 7 of his on 2026-01-05"}},
		{"row 7 is no meeting place", first(bare, row(7)), nil, first(bare, row(7)), []string{"missing_here row 7 of channel on 2026-01-05", "without_money row 7 of his on 2026-01-05"}},
		{"a reversal by the channel's number", nil, nil, cat(first(), first(reversal, of(""))), []string{"excluded PAY-20260105-1"}},
		{"a booking and its reversal without our number", nil, nil, cat(first(number("")), first(reversal, of(""), hisNo("H8"))), []string{"excluded 4200000000001"}},
		{"a reversal of two bookings", nil, nil, cat(first(), two(ofPayment), first(reversal, of(""))), []string{"ambiguous 4200000000001", "without_money PAY-20260105-1", "without_money PAY-20260105-2"}},
		{
			"a reversal by the number of our command", nil, back(noChannel, told(delivery.Delivered)),
			cat(first(), back(func(e *reconcile.Entry) { e.Reversal, e.OrderID = true, "" })), []string{"excluded PAY-20260105-1"},
		},
		// Refunds.
		{"refund by its own channel's number", back(), back(), back(bare, channelNo("5000000000001")), []string{"matched REF-20260105-1"}},
		{
			"refund by the payment's channel number", cat(first(), back()), cat(first(), back()), cat(first(), back(bare, ofPayment, of(""))),
			[]string{"matched PAY-20260105-1", "matched REF-20260105-1"},
		},
		{
			"refund by the payment's channel number and amount", cat(first(), back(), backTwo(amount(300))), cat(first(), back(), backTwo(amount(300))),
			cat(first(), back(bare, ofPayment, of(""), row(1)), back(bare, ofPayment, of(""), amount(300), row(2))),
			[]string{"matched PAY-20260105-1", "matched REF-20260105-1", "matched REF-20260105-2"},
		},
		{
			"two refunds of one payment are alike", cat(first(), back(), backTwo()), cat(first(), back(), backTwo()),
			cat(first(), back(bare, ofPayment, of(""))),
			[]string{"matched PAY-20260105-1", "ambiguous 4200000000001", "missing_at_his REF-20260105-1", "missing_at_his REF-20260105-2"},
		},
		{
			"a window refund of the same payment", cat(first(), back()), cat(first(), back()),
			cat(first(), back(), back(bare, ofPayment, of(""), amount(250))),
			[]string{"matched PAY-20260105-1", "missing_here 4200000000001", "matched REF-20260105-1"},
		},
		{
			"a window refund beside two of one payment of another day", cat(back(ofPayment), backTwo(ofPayment, amount(300))), cat(back(ofPayment), backTwo(ofPayment, amount(300))),
			cat(back(bare, ofPayment, of("")), backTwo(bare, ofPayment, of(""), amount(300)), back(bare, ofPayment, of(""), amount(250))),
			[]string{"missing_here 4200000000001", "matched REF-20260105-1", "matched REF-20260105-2"},
		},
		{
			"two window refunds of one payment are two", first(), first(),
			cat(first(), back(bare, ofPayment, of(""), amount(250)), back(bare, ofPayment, of(""), amount(350))),
			[]string{"matched PAY-20260105-1", "missing_here 4200000000001", "missing_here 4200000000001"},
		},
		{"refund by the payment and amount", back(), back(), back(bare, hisNo("H5")), []string{"matched REF-20260105-1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, chunk := range []int{0, 1} {
				r := rules()
				r.Chunk, r.Spill = chunk, t.TempDir()
				var got []string
				for _, f := range compare(t, books(c.channel, c.us, c.his), r) {
					got = append(got, string(f.Class)+" "+f.Number)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("found %q, want %q", got, c.want)
				}
			}
		})
	}
}

// texts from small sets, so that numbers meet, repeat and are cut.
func drawEntry(t *rapid.T, p reconcile.Party, n int) reconcile.Entry {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	i := rapid.IntRange(1, 6).Draw(t, "which")
	e := reconcile.Entry{Row: int64(n + 1)}
	e.Type = core.EntryPayment
	ours, channels := fmt.Sprintf("PAY-20260105-%d", i), fmt.Sprintf("42000000000%d%d", i, i)
	if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
		e.Type = core.EntryRefund
		e.OrderID = pick("order", "", ours, ours)
		ours, channels = fmt.Sprintf("REF-20260105-%d", i), pick("channel's", channels, fmt.Sprintf("50000000000%d%d", i, i))
	}
	e.Number, e.ChannelNo, e.HisNo = ours, channels, fmt.Sprintf("H%d", i)
	if p != reconcile.Ours {
		switch pick("carries", "all", "all", "channel's", "HIS's", "tail", "head", "channel's tail", "other", "none") {
		case "channel's":
			e.Number, e.HisNo = "", ""
		case "HIS's":
			e.Number, e.ChannelNo = "", ""
		case "tail":
			e.Number, e.ChannelNo = ours[4:], ""
		case "head":
			e.Number, e.ChannelNo = ours[:12], ""
		case "channel's tail":
			e.Number, e.ChannelNo = "", channels[4:]
		case "other":
			e.ChannelNo = fmt.Sprintf("42000000000%d%d", 7-i, 7-i)
		case "none":
			e.Number, e.ChannelNo, e.HisNo = "", "", ""
		}
	} else {
		e.Told = delivery.State(pick("told", "", "queued", "delivered", "parked", "cancelled"))
		e.NoHIS = rapid.IntRange(0, 9).Draw(t, "no HIS") == 0
		e.NoChannel = rapid.IntRange(0, 5).Draw(t, "no channel") == 0
		if rapid.IntRange(0, 4).Draw(t, "no channel's number") == 0 {
			e.ChannelNo = ""
		}
	}
	e.Channel = core.Channel(pick("way", "wechat", "wechat", "cash", ""))
	e.State = core.EntryState(pick("state", "", "", "done", "processing", "failed"))
	e.Amount = core.Fen(rapid.SampledFrom([]int{0, 1, 100, 1000, 1000, 1000}).Draw(t, "amount"))
	e.Bill = pick("bill", "", "RX1", "RX1,RX2", "RX2 , RX3")
	e.Reversal = rapid.IntRange(0, 7).Draw(t, "reversal") == 0
	e.Neighbour = rapid.IntRange(0, 3).Draw(t, "neighbour") == 0
	e.At = from.Add(time.Duration(rapid.IntRange(0, 1439).Draw(t, "minute")) * time.Minute)
	return e
}

func drawBooks(t *rapid.T) map[reconcile.Party][]reconcile.Entry {
	b := map[reconcile.Party][]reconcile.Entry{}
	for _, p := range reconcile.Parties {
		for n := range rapid.IntRange(0, 14).Draw(t, "entries") {
			e := drawEntry(t, p, n)
			b[p] = append(b[p], e)
			if rapid.IntRange(0, 9).Draw(t, "again") == 0 {
				b[p] = append(b[p], e) // a page that came twice
			}
		}
	}
	return b
}

func asBooks(b map[reconcile.Party][]reconcile.Entry) reconcile.Books {
	return books(b[reconcile.Channel], b[reconcile.Ours], b[reconcile.HIS])
}

func text(v any) string {
	s, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(s)
}

// TestCompareIsPure: no order, page size or split shows in the report, and each
// entry of the day is in it once.
func TestCompareIsPure(t *testing.T) {
	folder := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBooks(t)
		r := rules()
		if rapid.Bool().Draw(t, "tomorrow unknown") {
			r.NextKnown = nil
		}
		if rapid.Bool().Draw(t, "rule") {
			r.Excluded = func(_ string, e core.LedgerEntry) (bool, error) { return e.Bill == "RX1", nil }
		}
		r.Spill = folder
		want := compare(t, asBooks(b), r)
		everyEntryOnce(t, b, want)
		inOrder(t, want)
		shuffled := map[reconcile.Party][]reconcile.Entry{}
		seed := rapid.Uint64().Draw(t, "seed")
		for _, chunk := range []int{1, 3, 7, 1000} {
			random := rand.New(rand.NewPCG(seed, uint64(chunk))) //nolint:gosec // a shuffle
			for _, p := range reconcile.Parties {
				shuffled[p] = slices.Clone(b[p])
				random.Shuffle(len(b[p]), func(i, j int) { shuffled[p][i], shuffled[p][j] = shuffled[p][j], shuffled[p][i] })
			}
			r.Chunk = chunk
			if got := compare(t, asBooks(shuffled), r); text(got) != text(want) {
				t.Fatalf("in blocks of %d, shuffled:\n%s\nnot\n%s", chunk, text(got), text(want))
			}
		}
	})
}

func everyEntryOnce(t teller, b map[reconcile.Party][]reconcile.Entry, found []reconcile.Finding) {
	for _, p := range reconcile.Parties {
		count := map[string]int{}
		for _, e := range b[p] {
			if !e.Neighbour {
				count[text(e)]++
			}
		}
		for _, f := range found {
			for _, e := range f.Entries(p) {
				if !e.Neighbour {
					count[text(e)]--
				}
			}
		}
		for e, n := range count {
			if n != 0 {
				t.Fatalf("%s: %d findings too few have %s", p, n, e)
			}
		}
	}
}

func inOrder(t teller, found []reconcile.Finding) {
	if !slices.IsSortedFunc(found, func(a, b reconcile.Finding) int {
		return slices.Compare([]string{string(a.Type), a.Number}, []string{string(b.Type), b.Number})
	}) {
		t.Fatalf("not in order: %s", text(found))
	}
}
