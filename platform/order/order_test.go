package order

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// thing is a subject that notes what it is told.
type thing struct {
	lines  []Line
	told   []string
	refuse error
}

func (b *thing) Price(context.Context, Order) ([]Line, error) { return b.lines, b.refuse }

func (b *thing) tell(what string) error {
	if b.refuse != nil {
		return b.refuse
	}
	b.told = append(b.told, what)
	return nil
}

func (b *thing) Paid(_ context.Context, _ pgx.Tx, _ core.Outbox, o Order, p Payment) error {
	return b.tell("paid " + o.Subject + " " + p.Amount.String())
}

func (b *thing) Closed(_ context.Context, _ pgx.Tx, _ core.Outbox, o Order) error {
	return b.tell("closed " + o.Subject)
}

func (b *thing) Refunded(_ context.Context, _ pgx.Tx, _ core.Outbox, o Order, r Refund) error {
	return b.tell("refunded " + o.Subject + " " + r.Amount.String())
}

func opened(t *testing.T) (*Service, *thing) {
	t.Helper()
	b := &thing{}
	s := &Service{Clinic: clinictest.New(t).Clinic, Subjects: map[Kind]Subject{Drugs: b}}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, b
}

func (b *thing) Returned(_ context.Context, _ pgx.Tx, _ core.Outbox, o Order, r Refund, k Back) error {
	return b.tell("returned " + o.Subject + " " + r.Amount.String() + " " + r.Reason + k.ChannelRefundNo)
}

var three = []Line{{Name: "甲", Amount: 1000}, {Name: "乙", Amount: 250}, {Name: "丙", Amount: 5}}

type tester interface {
	Helper()
	Fatal(...any)
}

func in[T any](t tester, s *Service, f func(tx pgx.Tx, outbox core.Outbox) (T, error)) (out T, err error) {
	t.Helper()
	err = s.Transact(context.Background(), "h1", func(tx pgx.Tx, outbox core.Outbox) error {
		out, err = f(tx, outbox)
		return err
	})
	return out, err
}

func created(t tester, s *Service, subject string, lines []Line) Order {
	t.Helper()
	o, err := in(t, s, func(tx pgx.Tx, outbox core.Outbox) (Order, error) {
		return s.Create(context.Background(), tx, outbox, New{Hospital: "h1", Subject: subject, Patient: "P1", Kind: Drugs, Account: 7, Lines: lines, Within: time.Hour})
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAnOrderFromPriceToRefund(t *testing.T) {
	s, b := opened(t)
	ctx := t.Context()
	o := created(t, s, "RX1", three)
	if o.State != Created || o.Amount != 1255 || o.Version != 1 || len(o.Lines) != 3 || o.Account != 7 {
		t.Fatalf("%+v", o)
	}
	if _, err := in(t, s, func(tx pgx.Tx, outbox core.Outbox) (Order, error) {
		return s.Create(ctx, tx, outbox, New{Hospital: "h1", Subject: "RX1", Patient: "P1", Kind: Drugs, Lines: three})
	}); !errors.Is(err, clinic.ErrState) {
		t.Errorf("a second order of the same thing: %v", err)
	}

	// The HIS has another price now: nobody pays one that he did not see.
	b.lines = []Line{{Name: "甲", Amount: 1100}, three[1], three[2]}
	var changed *PriceChanged
	o, err := s.Reprice(ctx, o.No, 1)
	if !errors.As(err, &changed) || changed.Was != 1255 || changed.Is != 1355 || o.Version != 2 || o.Amount != 1355 {
		t.Fatalf("%+v, %v", o, err)
	}
	begin := func(version int) (Order, error) {
		return in(t, s, func(tx pgx.Tx, _ core.Outbox) (Order, error) { return s.Begin(ctx, tx, o.No, version) })
	}
	if _, err := begin(1); !errors.Is(err, clinic.ErrState) {
		t.Errorf("paid at the old price: %v", err)
	}
	if _, err := s.Reprice(ctx, o.No, 2); err != nil {
		t.Fatal(err)
	}
	if o, err = begin(2); err != nil || o.State != Paying {
		t.Fatalf("%+v, %v", o, err)
	}
	if _, err := begin(2); !errors.Is(err, clinic.ErrState) {
		t.Errorf("paid twice at once: %v", err)
	}
	pay := func(amount core.Fen) (Order, error) {
		return in(t, s, func(tx pgx.Tx, outbox core.Outbox) (Order, error) {
			return s.MarkPaid(ctx, tx, outbox, o.No, Payment{Channel: "wechat", ChannelNo: "4200", Amount: amount, At: time.Now()})
		})
	}
	if _, err := pay(1255); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("another amount: %v", err)
	}
	if o, err = pay(1355); err != nil || o.State != Paid || o.PaidAt == nil || o.Channel != "wechat" {
		t.Fatalf("%+v, %v", o, err)
	}

	refund := func(no string, amount core.Fen, lines ...int) (Order, error) {
		return in(t, s, func(tx pgx.Tx, outbox core.Outbox) (Order, error) {
			return s.Refund(ctx, tx, outbox, o.No, Refund{No: no, Amount: amount, Lines: lines, Reason: "为什么"})
		})
	}
	var ps core.Problems
	for name, wrong := range map[string]func() (Order, error){
		"too much":       func() (Order, error) { return refund("R0", 1356) },
		"nothing":        func() (Order, error) { return refund("R0", 0) },
		"a line's price": func() (Order, error) { return refund("R0", 251, 1) },
		"no such line":   func() (Order, error) { return refund("R0", 5, 3) },
		"a line twice":   func() (Order, error) { return refund("R0", 500, 1, 1) },
	} {
		if _, err := wrong(); !errors.As(err, &ps) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if o, err = refund("R1", 250, 1); err != nil || o.State != Paid || o.Refunded != 250 {
		t.Fatalf("%+v, %v", o, err)
	}
	if o, err = refund("R1", 250, 1); err != nil || o.Refunded != 250 {
		t.Errorf("the same again: %+v, %v", o, err)
	}
	if _, err := refund("R1", 300); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("the same number for another amount: %v", err)
	}
	if _, err := refund("R2", 250, 1); !errors.As(err, &ps) {
		t.Errorf("the same line again: %v", err)
	}
	if o, err = refund("R3", 1105); err != nil || o.State != Refunded || o.Refunded != 1355 {
		t.Fatalf("%+v, %v", o, err)
	}
	for range 2 { // the channel says it twice
		if err := s.Transact(ctx, "h1", func(tx pgx.Tx, outbox core.Outbox) error {
			return s.Returned(ctx, tx, outbox, "R1", Back{ChannelRefundNo: "50300", At: time.Now()})
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, no := range []string{"R1", "R3"} { // what was paid back is not undone
		if err := s.Transact(ctx, "h1", func(tx pgx.Tx, _ core.Outbox) error { return s.Undo(ctx, tx, no) }); err != nil {
			t.Fatal(err)
		}
	}
	if o, err = s.Get(ctx, o.No); err != nil || o.State != Paid || o.Refunded != 250 {
		t.Errorf("the channel refused: %+v, %v", o, err)
	}
	if want := []string{"paid RX1 13.55", "refunded RX1 2.50", "refunded RX1 11.05", "returned RX1 2.50 为什么50300"}; !slices.Equal(b.told, want) {
		t.Errorf("told %q, want %q", b.told, want)
	}
}

// Lines that changed are shown again, whatever they add up to; what is the HIS's own of
// them is taken over without a word.
func TestRepriceLooksAtTheLines(t *testing.T) {
	s, b := opened(t)
	ctx := t.Context()
	was := []Line{{LineNo: "1", Code: "A", Name: "甲", Qty: "1", Amount: 500}, {LineNo: "2", Code: "B", Name: "乙", Qty: "1", Amount: 755}}
	o := created(t, s, "RX1", was)
	for name, c := range map[string]struct {
		lines   []Line
		changed bool
	}{
		"the same":               {was, false},
		"other numbers":          {[]Line{{LineNo: "11", Code: "A", Name: "甲", Qty: "1", Amount: 500}, {LineNo: "12", BillNo: "B9", Code: "B", Name: "乙", Qty: "1", Amount: 755}}, false},
		"another order":          {[]Line{was[1], was[0]}, false},
		"other drugs":            {[]Line{{LineNo: "1", Code: "C", Name: "丙", Qty: "1", Amount: 500}, was[1]}, true},
		"other amounts":          {[]Line{{LineNo: "1", Code: "A", Name: "甲", Qty: "1", Amount: 755}, {LineNo: "2", Code: "B", Name: "乙", Qty: "1", Amount: 500}}, true},
		"one of them twice":      {[]Line{{LineNo: "1", Code: "A", Name: "甲", Qty: "1", Amount: 500}, {LineNo: "2", Code: "A", Name: "甲", Qty: "1", Amount: 755}}, true},
		"another count of boxes": {[]Line{{LineNo: "1", Code: "A", Name: "甲", Qty: "2", Amount: 500}, was[1]}, true},
	} {
		b.lines = was
		before, err := s.Reprice(ctx, o.No, 0)
		if !errors.As(err, new(*PriceChanged)) { // version 0 was never seen
			t.Fatal(err)
		}
		b.lines = c.lines
		after, err := s.Reprice(ctx, o.No, before.Version)
		if changed := errors.As(err, new(*PriceChanged)); changed != c.changed || err != nil && !changed || (after.Version != before.Version) != c.changed {
			t.Errorf("%s: version %d after %d, %v", name, after.Version, before.Version, err)
		}
		if kept, err := s.Get(ctx, o.No); err != nil || !slices.Equal(kept.Lines, c.lines) {
			t.Errorf("%s: kept %+v, %v", name, kept.Lines, err)
		}
	}
}

func TestAnOrderOfNothingIsPaidAtOnce(t *testing.T) {
	s, b := opened(t)
	if o := created(t, s, "RX1", []Line{{Name: "义诊", Amount: 0}}); o.State != Paid || !slices.Equal(b.told, []string{"paid RX1 0.00"}) {
		t.Errorf("%+v, told %q", o, b.told)
	}
}

func TestExpireClosesWhatNobodyPays(t *testing.T) {
	s, b := opened(t)
	ctx := t.Context()
	late, paying, fresh := created(t, s, "RX1", three), created(t, s, "RX2", three), created(t, s, "RX3", three)
	if _, err := in(t, s, func(tx pgx.Tx, _ core.Outbox) (Order, error) { return s.Begin(ctx, tx, paying.No, 1) }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Database.Exec(ctx, `update clinic_order.orders set expires_at = clock_timestamp() where no <> $1`, fresh.No); err != nil {
		t.Fatal(err)
	}
	if _, err := in(t, s, func(tx pgx.Tx, _ core.Outbox) (Order, error) { return s.Begin(ctx, tx, late.No, 1) }); !errors.Is(err, clinic.ErrState) {
		t.Errorf("paid after its time: %v", err)
	}
	if n, err := s.Expire(ctx); n != 1 || err != nil {
		t.Fatalf("%d closed, %v", n, err)
	}
	for no, want := range map[string]State{late.No: Closed, paying.No: Paying, fresh.No: Created} {
		if o, err := s.Get(ctx, no); err != nil || o.State != want {
			t.Errorf("%s is %s, want %s; %v", o.Subject, o.State, want, err)
		}
	}
	if !slices.Equal(b.told, []string{"closed RX1"}) {
		t.Errorf("told %q", b.told)
	}
	// Money that comes after all is not taken into a closed order, which has one anew.
	_, err := in(t, s, func(tx pgx.Tx, outbox core.Outbox) (Order, error) {
		return s.MarkPaid(ctx, tx, outbox, late.No, Payment{Amount: 1255, At: time.Now()})
	})
	if !errors.Is(err, clinic.ErrState) {
		t.Errorf("paid after it was closed: %v", err)
	}
	created(t, s, "RX1", three)
}

func TestListIsOnesOwnInPages(t *testing.T) {
	s, _ := opened(t)
	var want []string
	for i := range 5 {
		want = append([]string{created(t, s, fmt.Sprintf("RX%d", i), three).No}, want...)
	}
	var got []string
	for before := ""; ; {
		page, err := s.List(t.Context(), 7, before, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, o := range page {
			got = append(got, o.No)
		}
		before = page[len(page)-1].No
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if other, err := s.List(t.Context(), 8, want[0], 10); err != nil || len(other) != 0 {
		t.Errorf("another account sees %d; %v", len(other), err)
	}
}

// TestRandomCommands: whatever comes in whatever order, the states keep to their table,
// no more goes back than was paid, and what was told agrees with what is kept.
func TestRandomCommands(t *testing.T) {
	s, b := opened(t)
	ctx := t.Context()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		b.told, b.lines, b.refuse = nil, three, nil
		o := created(t, s, fmt.Sprintf("RX%d", n), three)
		refunds := 0
		do := func(f func(tx pgx.Tx, outbox core.Outbox) (Order, error)) {
			before, err := s.Get(ctx, o.No)
			if err != nil {
				t.Fatal(err)
			}
			_, failed := in(t, s, f)
			after, err := s.Get(ctx, o.No)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case failed != nil && (after.State != before.State || after.Refunded != before.Refunded || after.Version != before.Version):
				t.Fatalf("%v, and yet %s became %s", failed, before.State, after.State)
			case after.State != before.State && !slices.Contains(States[before.State], after.State):
				t.Fatalf("%s became %s", before.State, after.State)
			case after.Refunded > after.Amount || (after.Refunded == after.Amount) != (after.State == Refunded):
				t.Fatalf("%s: %s of %s went back", after.State, after.Refunded, after.Amount)
			}
			o = after
		}
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(*rapid.T) {
				do(func(tx pgx.Tx, _ core.Outbox) (Order, error) { return s.Begin(ctx, tx, o.No, o.Version) })
			},
			"free": func(*rapid.T) {
				do(func(tx pgx.Tx, _ core.Outbox) (Order, error) { return s.Free(ctx, tx, o.No) })
			},
			"paid": func(*rapid.T) {
				do(func(tx pgx.Tx, outbox core.Outbox) (Order, error) {
					return s.MarkPaid(ctx, tx, outbox, o.No, Payment{Amount: o.Amount, At: time.Now()})
				})
			},
			"close": func(t *rapid.T) {
				from := rapid.Bool().Draw(t, "from paying")
				do(func(tx pgx.Tx, outbox core.Outbox) (Order, error) { return s.Close(ctx, tx, outbox, o.No, "why", from) })
			},
			"refund": func(t *rapid.T) {
				refunds++
				r := Refund{No: fmt.Sprintf("%s-%d", o.No, rapid.IntRange(1, refunds).Draw(t, "no")), Amount: core.Fen(rapid.IntRange(0, 1300).Draw(t, "amount"))}
				do(func(tx pgx.Tx, outbox core.Outbox) (Order, error) { return s.Refund(ctx, tx, outbox, o.No, r) })
			},
			"the subject refuses": func(t *rapid.T) { b.refuse = clinic.ErrRule },
			"the subject agrees":  func(t *rapid.T) { b.refuse = nil },
		})
		paid := slices.ContainsFunc(b.told, func(w string) bool { return w == "paid "+o.Subject+" 12.55" })
		if paid != (o.State == Paid || o.State == Refunded) {
			t.Fatalf("%s, told %q", o.State, b.told)
		}
	})
}
