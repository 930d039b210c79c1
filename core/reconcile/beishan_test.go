package reconcile

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

var shanghai = time.FixedZone("UTC+8", 8*60*60)

// beishan is one hospital with its ledger, its HIS, its channel and a clock.
type beishan struct {
	*testing.T
	store  *memory
	runner *Runner
	place  Place
	clock  time.Time
	wechat *account
	his    *fakeHIS
	// books guards what the channel and the HIS have, where the schedule runs beside the test.
	books *sync.Mutex
}

const theHospital = "beishan"

func newBeishan(t *testing.T, clock string) *beishan {
	books := new(sync.Mutex)
	h := &beishan{T: t, store: newMemory(), clock: at(clock), books: books,
		wechat: &account{books: books, lines: map[string][]core.BillEntry{}, err: map[string]error{}},
		his:    &fakeHIS{books: books, answers: map[core.Kind]func(core.Body) (any, error){}}}
	now := func() time.Time { return h.clock }
	h.store.now = now
	rules := core.DefaultNight()
	rules.States = false
	h.place = Place{Zone: shanghai, NightRules: rules, Bills: map[core.Channel]core.Biller{"wechat": h.wechat},
		Can: func(k core.Kind) bool { _, ok := h.his.answers[k]; return ok }}
	h.runner = &Runner{Store: h.store, Asker: h.his, Now: now,
		Place: func(context.Context, string) (Place, error) { return h.place, nil }}
	return h
}

// at reads a time of the hospital, "01-05 09:30:00" of 2026.
func at(text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04:05", "2026-"+text, shanghai)
	if err != nil {
		panic(err)
	}
	return t
}

// pay makes a payment of ours that the HIS was told of.
func (h *beishan) pay(number, when string, amount core.Fen) Entry {
	e := Entry{Told: delivery.Delivered, Business: Outpatient, LedgerEntry: core.LedgerEntry{
		Type: core.EntryPayment, Number: number, ChannelNo: "W" + number, Channel: "wechat", Amount: amount, At: at(when)}}
	e.Message = h.store.message(theHospital, core.PaymentSettle, &core.Payment{OrderID: number, VisitNo: "V1", PatientNo: "P1",
		Bills: []string{"B" + number}, Amount: amount, Channel: "wechat", ChannelNo: e.ChannelNo, PaidAt: e.At}, delivery.Delivered)
	h.store.ours[theHospital] = append(h.store.ours[theHospital], e)
	return e
}

// billed puts a payment into the channel's bill of a day, booked into the HIS's ledger.
func (h *beishan) billed(day string, e Entry) {
	h.books.Lock()
	defer h.books.Unlock()
	h.wechat.lines[day] = append(h.wechat.lines[day], core.BillEntry{LedgerEntry: e.LedgerEntry, Fee: 10, Line: len(h.wechat.lines[day]) + 1})
}

func (h *beishan) booked(e Entry) {
	b := e.LedgerEntry
	b.HisNo, b.Operator = "H"+b.Number, "OP1"
	h.books.Lock()
	defer h.books.Unlock()
	h.his.ledger = append(h.his.ledger, b)
}

// all puts it into everybody's books.
func (h *beishan) all(day string, e Entry) { h.billed(day, e); h.booked(e) }

// noBill says why there is no bill of a day; nil: there is one again.
func (h *beishan) noBill(day string, err error) {
	h.books.Lock()
	defer h.books.Unlock()
	h.wechat.err[day] = err
}

func (h *beishan) run(day string) Night {
	h.Helper()
	n, err := h.runner.Run(context.Background(), Ask{Hospital: theHospital, Day: day, Who: "test"})
	if err != nil && n.ID == 0 {
		h.Fatalf("run %s: %v", day, err)
	}
	return n
}

func (h *beishan) done(day string) Night {
	h.Helper()
	n := h.run(day)
	if n.State != NightDone {
		h.Fatalf("the night of %s is %s: %s", day, n.State, n.Problem)
	}
	return n
}

func (h *beishan) findings(n Night) []string {
	h.Helper()
	fs, err := h.store.Findings(context.Background(), n.ID)
	if err != nil {
		h.Fatal(err)
	}
	all := []string{}
	for _, f := range fs {
		all = append(all, string(f.Class)+" "+f.Number)
	}
	return all
}

// asksDetail and asksTotals give the HIS these questions.
func (h *beishan) asksDetail() { h.his.answers[core.LedgerDetail] = h.his.detail }
func (h *beishan) asksTotals() { h.his.answers[core.LedgerTotal] = h.his.total }

// account is a payment channel's account.
type account struct {
	books *sync.Mutex
	lines map[string][]core.BillEntry
	err   map[string]error
	// wrong makes the bill say that there is one payment more.
	wrong bool
}

func (b *account) Bill(_ context.Context, day string, emit func(core.BillEntry) error) (core.BillTotals, error) {
	b.books.Lock()
	defer b.books.Unlock()
	if err := b.err[day]; err != nil {
		return core.BillTotals{}, err
	}
	var t core.BillTotals
	for _, l := range b.lines[day] {
		if l.Type == core.EntryRefund {
			t.Refunds++
			t.RefundAmount += l.Amount
		} else {
			t.Payments++
			t.PaymentAmount += l.Amount
		}
		t.Fee += l.Fee
		if err := emit(l); err != nil {
			return t, err
		}
	}
	if b.wrong {
		t.Payments++
	}
	if len(b.lines[day]) == 0 {
		return t, core.ErrNoBill
	}
	t.Digest = "00"
	return t, nil
}

// fakeHIS answers from its ledger, by our payment time.
type fakeHIS struct {
	books   *sync.Mutex
	mu      sync.Mutex
	ledger  []core.LedgerEntry
	answers map[core.Kind]func(core.Body) (any, error)
	asked   []core.Kind
}

func (f *fakeHIS) Question(_ context.Context, _ string, kind core.Kind, q core.Body) (any, error) {
	f.mu.Lock()
	f.asked = append(f.asked, kind)
	answer := f.answers[kind]
	f.mu.Unlock()
	if answer == nil {
		return nil, core.ErrCannot
	}
	return answer(q)
}

func (f *fakeHIS) detail(b core.Body) (any, error) {
	q := b.(*core.LedgerQuery)
	f.books.Lock()
	defer f.books.Unlock()
	out := &core.Ledger{}
	for _, e := range f.ledger {
		if !e.At.Before(q.From) && e.At.Before(q.To) && (q.Operator == "" || q.Operator == e.Operator) && (q.Channel == "" || q.Channel == e.Channel) {
			out.Entries = append(out.Entries, e)
		}
	}
	return out, nil
}

func (f *fakeHIS) total(b core.Body) (any, error) {
	l, err := f.detail(b)
	if err != nil {
		return nil, err
	}
	payments, out := 0, &core.LedgerTotals{Refunds: "0"}
	for _, e := range l.(*core.Ledger).Entries {
		payments++
		out.PaymentAmount += e.Amount
	}
	out.Payments = fmt.Sprint(payments)
	return out, nil
}

func (f *fakeHIS) took() (all []core.Kind) {
	all, f.asked = f.asked, nil
	return all
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}
