package reconcile

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/core/delivery"
)

var noon = time.Date(2026, 1, 5, 4, 0, 0, 0, time.UTC)

func our(number string, amount core.Fen, s delivery.State) Entry {
	return Entry{Type: core.EntryPayment, Number: number, ChannelNo: "wx" + number, HisNo: "H" + number, Amount: amount, At: noon, State: s}
}

func their(number string, amount core.Fen) Entry {
	return Entry{Type: core.EntryPayment, Number: number, Amount: amount, At: noon}
}

func TestCompareClasses(t *testing.T) {
	ambiguous1, ambiguous2 := our("A1", 1, delivery.Delivered), our("A2", 1, delivery.Delivered)
	ambiguous1.ChannelNo, ambiguous2.ChannelNo = "same", "same"
	cases := []struct {
		name         string
		ours, theirs []Entry
		want         map[Class]int
	}{
		{"alike", []Entry{our("1", 100, delivery.Delivered)}, []Entry{their("1", 100)}, map[Class]int{Matched: 1}},
		{"only the channel's number", []Entry{our("1", 100, delivery.Delivered)}, []Entry{{Type: core.EntryPayment, ChannelNo: "wx1", Amount: 100}}, map[Class]int{Matched: 1}},
		{"only the HIS's number", []Entry{our("1", 100, delivery.Delivered)}, []Entry{{Type: core.EntryPayment, HisNo: "H1", Amount: 100}}, map[Class]int{Matched: 1}},
		{"missing at the HIS", []Entry{our("1", 100, delivery.Delivered)}, nil, map[Class]int{MissingAtHIS: 1}},
		{"parked and missing", []Entry{our("1", 100, delivery.Parked)}, nil, map[Class]int{MissingAtHIS: 1}},
		{"not told yet", []Entry{our("1", 100, delivery.Queued)}, nil, map[Class]int{InTransit: 1}},
		{"cancelled", []Entry{our("1", 100, delivery.Cancelled)}, nil, map[Class]int{Excluded: 1}},
		{"cancelled, but booked", []Entry{our("1", 100, delivery.Cancelled)}, []Entry{their("1", 100)}, map[Class]int{StateDiffers: 1}},
		{"parked, but booked", []Entry{our("1", 100, delivery.Parked)}, []Entry{their("1", 100)}, map[Class]int{StateDiffers: 1}},
		{"missing here", nil, []Entry{their("9", 100)}, map[Class]int{MissingHere: 1}},
		{"yuan for fen", []Entry{our("1", 100, delivery.Delivered)}, []Entry{their("1", 10000)}, map[Class]int{AmountDiffers: 1}},
		{"booked twice", []Entry{our("1", 100, delivery.Delivered)}, []Entry{their("1", 100), their("1", 100)}, map[Class]int{Repeated: 1}},
		{"zero yuan", nil, []Entry{their("9", 0)}, map[Class]int{Excluded: 1}},
		{"reversal", nil, []Entry{{Type: core.EntryPayment, Number: "9", Amount: 5, Reversal: true}}, map[Class]int{Excluded: 1}},
		{"ambiguous", []Entry{ambiguous1, ambiguous2}, []Entry{{Type: core.EntryPayment, ChannelNo: "same", Amount: 1}}, map[Class]int{Ambiguous: 1, MissingAtHIS: 2}},
		{"a refund is not its payment", []Entry{our("1", 100, delivery.Delivered)}, []Entry{{Type: core.EntryRefund, Number: "1", Amount: 100}}, map[Class]int{MissingAtHIS: 1, MissingHere: 1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := map[Class]int{}
			for _, f := range Compare(c.ours, c.theirs, nil) {
				got[f.Class]++
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestCompareIsPure: any shuffle gives the same findings, and every entry of
// either side is in exactly one of them.
func TestCompareIsPure(t *testing.T) {
	entry := func(ours bool) *rapid.Generator[Entry] {
		return rapid.Custom(func(t *rapid.T) Entry {
			number := rapid.SampledFrom([]string{"1", "2", "3", "4", ""}).Draw(t, "number")
			e := Entry{
				Type:      rapid.SampledFrom([]core.EntryType{core.EntryPayment, core.EntryRefund}).Draw(t, "type"),
				Number:    number,
				HisNo:     rapid.SampledFrom([]string{"", "h1", "h2"}).Draw(t, "his"),
				ChannelNo: rapid.SampledFrom([]string{"", "c1", "c2", "c3"}).Draw(t, "channel"),
				Amount:    core.Fen(rapid.IntRange(0, 2).Draw(t, "amount")),
			}
			if ours {
				e.Number = rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "ours")
				e.State = rapid.SampledFrom([]delivery.State{delivery.Queued, delivery.Delivered, delivery.Parked, delivery.Cancelled}).Draw(t, "state")
				e.Message = int64(rapid.IntRange(1, 3).Draw(t, "message"))
			} else {
				e.Reversal = rapid.Bool().Draw(t, "reversal")
			}
			return e
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		ours := rapid.SliceOfN(entry(true), 0, 8).Draw(t, "ours")
		theirs := rapid.SliceOfN(entry(false), 0, 8).Draw(t, "theirs")
		want := Compare(ours, theirs, nil)
		nOurs, nTheirs := 0, 0
		for _, f := range want {
			nOurs += len(f.Ours)
			nTheirs += len(f.Theirs)
			if !slices.Contains(Classes, f.Class) {
				t.Fatalf("class %q", f.Class)
			}
		}
		if nOurs != len(ours) || nTheirs != len(theirs) {
			t.Fatalf("%d of %d and %d of %d entries are in findings", nOurs, len(ours), nTheirs, len(theirs))
		}
		seed := rapid.Uint64().Draw(t, "shuffle")
		for _, s := range [][]Entry{ours, theirs} {
			rand.New(rand.NewPCG(seed, 1)).Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
		}
		if got := Compare(ours, theirs, nil); !reflect.DeepEqual(got, want) {
			t.Fatalf("another order, other findings:\n%s", cmp.Diff(want, got))
		}
	})
}

func TestChanges(t *testing.T) {
	a := Finding{Class: MissingAtHIS, Type: core.EntryPayment, Number: "1"}
	b := Finding{Class: MissingHere, Type: core.EntryPayment, Number: "2"}
	got := Changes([]Finding{a}, []Finding{b})
	if len(got) != 2 || !got[0].Gone || got[0].Number != "1" || got[1].Gone || got[1].Number != "2" {
		t.Errorf("%+v", got)
	}
	if got := Changes([]Finding{a, b}, []Finding{b, a}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
