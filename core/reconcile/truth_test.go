package reconcile_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/reconcile"
)

// day is a made-up day with the truth about it.
type day struct {
	random *rand.Rand
	books  map[reconcile.Party][]reconcile.Entry
	truth  []string // class, type, number of each finding that is to be
	n      int
}

// next is a payment that all three have, in one of the ways in which HIS's keep numbers.
func (d *day) next() (c, p, h reconcile.Entry) {
	d.n++
	p = entry()[0]
	p.Number, p.ChannelNo = fmt.Sprintf("PAY%04d%010d", d.n, d.random.Uint64N(1e10)), fmt.Sprintf("4200%04d%016d", d.n, d.random.Uint64N(1e16))
	p.Amount = core.Fen(200 + 2*d.random.Int64N(50_000))
	p.At = from.Add(time.Hour + time.Duration(d.random.Int64N(int64(22*time.Hour))))
	p.Bill = fmt.Sprintf("RX%04d", d.n)
	p.Told = delivery.Delivered
	p.HisNo = fmt.Sprintf("SF%04d", d.n)
	c, h = p, p
	c.Told, h.Told, c.HisNo = "", "", ""
	return c, p, d.carried(h)
}

// back is a refund of a payment.
func (d *day) back(of reconcile.Entry) (c, p, h reconcile.Entry) {
	c, p, h = d.next()
	number, own := "REF"+p.Number[3:], "5030"+p.ChannelNo[4:]
	for _, e := range []*reconcile.Entry{&c, &p, &h} {
		e.Type, e.OrderID, e.Number, e.ChannelNo, e.Amount, e.Bill = core.EntryRefund, of.Number, number, own, of.Amount/2, ""
	}
	return c, p, h
}

func (d *day) carried(h reconcile.Entry) reconcile.Entry {
	switch d.random.IntN(5) {
	case 0:
		h.Number = ""
	case 1:
		h.ChannelNo = ""
	case 2:
		h.Number, h.ChannelNo = h.Number[3:], ""
	case 3:
		h.Number, h.ChannelNo = "", h.ChannelNo[:20]
	}
	return h
}

func (d *day) has(p reconcile.Party, entries ...reconcile.Entry) {
	d.books[p] = append(d.books[p], entries...)
}

func (d *day) want(c reconcile.Class, e reconcile.Entry) {
	d.truth = append(d.truth, fmt.Sprintf("%s %s %s", c, e.Type, e.Number))
}

// faults are all that can happen, each with its class.
var faults = []func(d *day){
	func(d *day) { // nothing
		c, p, h := d.next()
		d.has(reconcile.Channel, c)
		d.has(reconcile.Ours, p)
		d.has(reconcile.HIS, h)
		d.want(reconcile.Matched, p)
	},
	func(d *day) { // the HIS lost it
		c, p, _ := d.next()
		d.has(reconcile.Channel, c)
		d.has(reconcile.Ours, p)
		d.want(reconcile.MissingAtHIS, p)
	},
	func(d *day) { // the callback was lost
		c, _, _ := d.next()
		d.has(reconcile.Channel, c)
		d.want(reconcile.MissingHere, c)
	},
	func(d *day) { // the callback was lost, the HIS was told by hand
		c, _, h := d.next()
		d.has(reconcile.Channel, c)
		d.has(reconcile.HIS, h)
		d.want(reconcile.MissingHere, c)
	},
	func(d *day) { // the payment was closed after the HIS booked it
		_, p, h := d.next()
		d.has(reconcile.Ours, p)
		d.has(reconcile.HIS, h)
		d.want(reconcile.WithoutMoney, p)
	},
	func(d *day) { // booked by hand
		_, _, h := d.next()
		h.Number = fmt.Sprintf("HAND%06d", d.n)
		d.has(reconcile.HIS, h)
		d.want(reconcile.WithoutMoney, h)
	},
	func(d *day) { // yuan for fen, or rounded
		c, p, h := d.next()
		h.Amount = []core.Fen{h.Amount * 100, h.Amount + 1, h.Amount - 7}[d.random.IntN(3)]
		d.has(reconcile.Channel, c)
		d.has(reconcile.Ours, p)
		d.has(reconcile.HIS, h)
		d.want(reconcile.AmountDiffers, p)
	},
	func(d *day) { // paid twice, with another order
		c, p, h := d.next()
		again := c
		again.Number, again.ChannelNo = fmt.Sprintf("TWICE%06d", d.n), fmt.Sprintf("4300%018d", d.n)
		d.has(reconcile.Channel, c, again)
		d.has(reconcile.Ours, p)
		d.has(reconcile.HIS, h)
		d.want(reconcile.Matched, p)
		d.want(reconcile.PaidTwice, again)
	},
	func(d *day) { // paid twice, with the same order
		c, p, h := d.next()
		again := c
		again.ChannelNo, again.At = fmt.Sprintf("4300%018d", d.n), c.At.Add(time.Minute)
		d.has(reconcile.Channel, c, again)
		d.has(reconcile.Ours, p)
		d.has(reconcile.HIS, h)
		d.want(reconcile.Matched, p)
		d.want(reconcile.PaidTwice, p)
	},
	func(d *day) { // a page that came twice
		c, p, h := d.next()
		d.has(reconcile.Channel, c)
		d.has(reconcile.Ours, p)
		d.has(reconcile.HIS, h, h)
		d.want(reconcile.Repeated, p)
	},
	func(d *day) { // parked, and the HIS has it
		c, p, h := d.next()
		p.Told = delivery.Parked
		d.has(reconcile.Channel, c)
		d.has(reconcile.Ours, p)
		d.has(reconcile.HIS, h)
		d.want(reconcile.StateDiffers, p)
	},
	func(d *day) { // a window refund of a payment that all have
		c, p, h := d.next()
		_, _, back := d.back(p)
		back.Number, back.ChannelNo, back.HisNo = fmt.Sprintf("WIN%07d", d.n), p.ChannelNo, fmt.Sprintf("TF%04d", d.n)
		d.has(reconcile.Channel, c)
		d.has(reconcile.Ours, p)
		d.has(reconcile.HIS, h, back)
		d.want(reconcile.Matched, p)
		d.want(reconcile.MissingHere, back)
	},
	func(d *day) { // a refund that all have
		c, p, h := d.next()
		cb, pb, hb := d.back(p)
		d.has(reconcile.Channel, c, cb)
		d.has(reconcile.Ours, p, pb)
		d.has(reconcile.HIS, h, hb)
		d.want(reconcile.Matched, p)
		d.want(reconcile.Matched, pb)
	},
	func(d *day) { // a refund on its way
		_, pb, hb := d.back(entry()[0])
		d.has(reconcile.Ours, pb)
		d.has(reconcile.HIS, hb)
		d.want(reconcile.RefundInTransit, pb)
	},
	func(d *day) { // a refund that came back from the bank
		cb, pb, hb := d.back(entry()[0])
		cb.State = core.EntryFailed
		d.has(reconcile.Channel, cb)
		d.has(reconcile.Ours, pb)
		d.has(reconcile.HIS, hb)
		d.want(reconcile.StateDiffers, pb)
	},
	func(d *day) { // 23:59:58, and the HIS's clock is ahead
		c, p, h := d.next()
		c.At, p.At = to.Add(-2*time.Second), to.Add(-2*time.Second)
		h.At, h.Neighbour = to.Add(time.Second), true
		d.has(reconcile.Channel, c)
		d.has(reconcile.Ours, p)
		d.has(reconcile.HIS, h)
		d.want(reconcile.Matched, p)
	},
	func(d *day) { // yesterday 23:59:58
		c, p, h := d.next()
		c.At, p.At, c.Neighbour, p.Neighbour = from.Add(-2*time.Second), from.Add(-2*time.Second), true, true
		h.At = from.Add(time.Second)
		d.has(reconcile.Channel, c)
		d.has(reconcile.Ours, p)
		d.has(reconcile.HIS, h)
		d.want(reconcile.CrossDay, p)
	},
	func(d *day) { // a registration of zero yuan
		_, _, h := d.next()
		h.Number, h.ChannelNo, h.Amount = fmt.Sprintf("ZERO%06d", d.n), "", 0
		d.has(reconcile.HIS, h)
		d.want(reconcile.Excluded, h)
	},
	func(d *day) { // booked and taken back at the window
		_, _, h := d.next()
		h.Number, h.ChannelNo = fmt.Sprintf("GONE%06d", d.n), ""
		gone := h
		gone.Type, gone.Reversal, gone.OrderID, gone.Number = core.EntryRefund, true, h.Number, ""
		d.has(reconcile.HIS, h, gone)
		d.want(reconcile.Excluded, h)
	},
	func(d *day) { // reversed by our command
		_, p, h := d.next()
		h.Number = p.Number
		_, back, row := d.back(p)
		back.NoChannel, back.Amount, row.Amount = true, h.Amount, h.Amount
		d.has(reconcile.Ours, back)
		d.has(reconcile.HIS, h, row)
		d.want(reconcile.Excluded, p)
	},
	func(d *day) { // two orders whose numbers have the same end, and a HIS that keeps only that
		c, p, h := d.next()
		c2, p2, _ := d.next()
		end := fmt.Sprintf("%012d", d.n)
		h.Number, h.ChannelNo, h.HisNo = end, "", ""
		p.Number, p2.Number, c.Number, c2.Number = "A"+end, "B"+end, "A"+end, "B"+end
		d.has(reconcile.Channel, c, c2)
		d.has(reconcile.Ours, p, p2)
		d.has(reconcile.HIS, h)
		d.want(reconcile.MissingAtHIS, p)
		d.want(reconcile.MissingAtHIS, p2)
		d.want(reconcile.Ambiguous, h)
	},
}

// TestTruth plants each fault in days of many seeds: the report names each in its
// class and nothing else, and no money is lost or made.
func TestTruth(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			d := &day{random: rand.New(rand.NewPCG(seed, 0)), books: map[reconcile.Party][]reconcile.Entry{}} //nolint:gosec // a seeded day
			for i, fault := range faults {
				times := 1 + d.random.IntN(3)
				if i == 0 {
					times = 40
				}
				for range times {
					fault(d)
				}
			}
			for _, p := range reconcile.Parties {
				d.random.Shuffle(len(d.books[p]), func(i, j int) { d.books[p][i], d.books[p][j] = d.books[p][j], d.books[p][i] })
			}
			r := rules()
			r.Chunk, r.Spill = 16, t.TempDir()
			found := compare(t, asBooks(d.books), r)
			var got []string
			for _, f := range found {
				got = append(got, fmt.Sprintf("%s %s %s", f.Class, f.Type, f.Number))
			}
			slices.Sort(got)
			slices.Sort(d.truth)
			if !slices.Equal(got, d.truth) {
				for _, s := range got {
					if !slices.Contains(d.truth, s) {
						t.Errorf("invented: %s", s)
					}
				}
				for _, s := range d.truth {
					if !slices.Contains(got, s) {
						t.Errorf("not found: %s", s)
					}
				}
				t.Errorf("%d findings for %d planted", len(got), len(d.truth))
			}
			everyEntryOnce(t, d.books, found)
			conserved(t, d.books, found)
		})
	}
}

func signed(e reconcile.Entry) core.Fen {
	switch {
	case e.Neighbour:
		return 0
	case e.Type == core.EntryRefund || e.Reversal:
		return -e.Amount
	}
	return e.Amount
}

// conserved: what the findings hold of a party's money is what its books hold,
// and what is matched is the same for all three.
func conserved(t teller, b map[reconcile.Party][]reconcile.Entry, found []reconcile.Finding) {
	matched := map[reconcile.Party]core.Fen{}
	for _, p := range reconcile.Parties {
		var inBooks, inFindings core.Fen
		for _, e := range b[p] {
			inBooks += signed(e)
		}
		for _, f := range found {
			for _, e := range f.Entries(p) {
				inFindings += signed(e)
				if e.Neighbour = false; f.Class == reconcile.Matched {
					matched[p] += signed(e)
				}
			}
		}
		if inBooks != inFindings {
			t.Fatalf("%s: books of %s yuan, findings of %s", p, inBooks, inFindings)
		}
	}
	if matched[reconcile.Channel] != matched[reconcile.Ours] || matched[reconcile.Ours] != matched[reconcile.HIS] {
		t.Fatalf("matched sums differ: %v", matched)
	}
}

// oracle classifies entries with exact numbers the simple way: all in memory.
func oracle(b map[reconcile.Party][]reconcile.Entry) map[string]reconcile.Class {
	type key struct {
		t core.EntryType
		n string
	}
	groups := map[key]map[reconcile.Party][]reconcile.Entry{}
	for p, entries := range b {
		for _, e := range entries {
			k := key{e.Type, e.Number}
			if groups[k] == nil {
				groups[k] = map[reconcile.Party][]reconcile.Entry{}
			}
			groups[k][p] = append(groups[k][p], e)
		}
	}
	out := map[string]reconcile.Class{}
	for k, g := range groups {
		c, p, h := g[reconcile.Channel], g[reconcile.Ours], g[reconcile.HIS]
		class := reconcile.Matched
		equal := true
		for _, e := range slices.Concat(c, p, h) {
			equal = equal && e.Amount == slices.Concat(c, p, h)[0].Amount
		}
		switch {
		case len(c) > 1 || len(p) > 1 || len(h) > 1:
			class = reconcile.Repeated
		case len(p) == 0 && len(c) == 0 && k.t == core.EntryPayment:
			class = reconcile.WithoutMoney
		case len(p) == 0:
			class = reconcile.MissingHere
		case len(c) == 0 && k.t == core.EntryPayment:
			class = reconcile.WithoutMoney
		case !equal:
			class = reconcile.AmountDiffers
		case len(c) == 0:
			class = reconcile.RefundInTransit
		case len(h) == 0:
			class = reconcile.MissingAtHIS
		}
		out[string(k.t)+" "+k.n] = class
	}
	return out
}

func TestCompareAgreesWithTheSimpleWay(t *testing.T) {
	folder := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		b := map[reconcile.Party][]reconcile.Entry{}
		for _, p := range reconcile.Parties {
			for n := range rapid.IntRange(0, 40).Draw(t, "entries") {
				// Seven characters: too short to be a cut number of another.
				e := entry(number(fmt.Sprintf("N%06d", rapid.IntRange(1, 60).Draw(t, "number"))), channelNo(""), row(int64(n)),
					amount(core.Fen(100*rapid.IntRange(1, 2).Draw(t, "amount"))))[0]
				if rapid.IntRange(0, 4).Draw(t, "refund") == 0 {
					e.Type = core.EntryRefund
				}
				b[p] = append(b[p], e)
			}
		}
		r := rules()
		r.Chunk, r.Spill = rapid.SampledFrom([]int{2, 5, 1000}).Draw(t, "chunk"), folder
		got := map[string]reconcile.Class{}
		for _, f := range compare(t, asBooks(b), r) {
			got[string(f.Type)+" "+f.Number] = f.Class
		}
		if want := oracle(b); !maps.Equal(got, want) {
			t.Fatalf("found %v, the simple way %v", got, want)
		}
	})
}
