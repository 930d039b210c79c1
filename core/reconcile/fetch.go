package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"hishub/core"
)

// Sources of books that are no payment channel's bill.
const (
	sourceDetail    = string(core.LedgerDetail)
	sourcePush      = string(core.LedgerPushed)
	sourceInsurance = string(core.InsuranceLedger)
)

// notYet is why a run waits: somebody's books are not there yet.
type notYet struct {
	what string
	err  error
}

func (n *notYet) Error() string {
	if n.err == nil {
		return "waits for " + n.what
	}
	return "waits for " + n.what + ": " + n.err.Error()
}

func (n *notYet) Unwrap() error { return n.err }

// book is a statement as one night reads it.
type book struct {
	Statement
	// neighbour: of another day. far: of a day so far off that only money going back
	// can still belong to ours.
	neighbour, far bool
}

// books are those that a run compares.
type books struct {
	channel, his []book
	// before: the HIS's books of the day before are there, or were as ours.
	before bool
	// billed are the channels with bills, sources where they come from.
	billed  map[core.Channel]bool
	sources map[string]bool
	// totals of the HIS, when they were enough.
	totals []Line
}

// take gets everybody's books of the night into the store.
func (r *run) take(ctx context.Context) error {
	if err := r.takeBills(ctx); err != nil {
		return err
	}
	if err := r.takeInsurance(ctx); err != nil {
		return err
	}
	if err := r.takeHIS(ctx); err != nil {
		return err
	}
	if err := r.findNeighbours(ctx); err != nil {
		return err
	}
	return r.lookBefore(ctx)
}

// takeBills takes the bill of each channel. A channel's day ends at midnight:
// where the hospital's ends earlier, its day has parts of two bills.
func (r *run) takeBills(ctx context.Context) error {
	days := []string{r.night.Day}
	if r.place.Cut > 0 {
		days = []string{r.day(-1), r.night.Day}
	}
	channels := make([]core.Channel, 0, len(r.place.Bills))
	for c := range r.place.Bills {
		channels = append(channels, c)
	}
	slices.Sort(channels)
	for _, c := range channels {
		for _, day := range days {
			if err := r.step(ctx, "the bill of "+string(c)); err != nil {
				return err
			}
			s, err := r.takeBill(ctx, c, day)
			if err != nil {
				return err
			}
			r.books.channel = append(r.books.channel, book{Statement: s})
		}
		r.books.billed[c], r.books.sources[string(c)] = true, true
	}
	return nil
}

// takeBill streams a bill into the store.
func (r *run) takeBill(ctx context.Context, c core.Channel, day string) (Statement, error) {
	var failed error
	s, err := r.Store.SaveStatement(ctx, r.statement(Channel, string(c), day), func(yield func(Entry, error) bool) {
		if failed = r.readBill(ctx, c, day, yield); failed != nil && !errors.Is(failed, errEnough) {
			yield(Entry{}, failed)
		}
	})
	if err == nil {
		return s, nil
	}
	// The store's own words around a bill's fault help nobody.
	if failed != nil && !errors.Is(failed, errEnough) {
		err = failed
	}
	what := fmt.Sprintf("the bill of %s for %s", c, day)
	if errors.Is(err, core.ErrBillNotReady) || unanswered(err) {
		return Statement{}, &notYet{what, err}
	}
	return Statement{}, fmt.Errorf("take %s: %w", what, err)
}

// errEnough: whoever reads the stream wants no more.
var errEnough = errors.New("the reader stopped")

func (r *run) readBill(ctx context.Context, c core.Channel, day string, yield func(Entry, error) bool) error {
	var sum core.BillTotals
	lines := int64(0)
	away := onWay{account: r.place.Bills[c]}
	said, err := r.place.Bills[c].Bill(ctx, day, func(b core.BillEntry) error {
		lines++
		e := Entry{LedgerEntry: b.LedgerEntry, Fee: b.Fee, Row: int64(b.Line)}
		if e.Row == 0 {
			e.Row = lines
		}
		if e.Channel == "" {
			e.Channel = c
		}
		if e.Type == core.EntryRefund {
			sum.Refunds++
			sum.RefundAmount += e.Amount
		} else {
			sum.Payments++
			sum.PaymentAmount += e.Amount
		}
		sum.Fee += e.Fee
		r.done.Add(1)
		if !away.takes(e) && !yield(e, nil) {
			return errEnough
		}
		return nil
	})
	file := fmt.Sprintf("%s bill of %s", c, day)
	switch {
	case errors.Is(err, core.ErrNoBill) && lines == 0:
		return r.noBill(ctx, c, day, file)
	case err != nil:
		return err
	}
	said.Digest = ""
	if said != sum {
		return &core.BillFault{
			File: file,
			What: fmt.Sprintf("its lines come to %s, it says %s", totalsText(sum), totalsText(said)),
			Cure: "take it again; if it stays so, ask the channel",
		}
	}
	return away.each(ctx, yield)
}

func totalsText(t core.BillTotals) string {
	return fmt.Sprintf("%d payments of %s yuan, %d refunds of %s yuan, fees of %s yuan", t.Payments, t.PaymentAmount, t.Refunds, t.RefundAmount, t.Fee)
}

// noBill decides what it means that a channel has no bill: nothing, when we have
// nothing either. Anything else is an alarm and never zero.
func (r *run) noBill(ctx context.Context, c core.Channel, day, file string) error {
	from, err := time.ParseInLocation(time.DateOnly, day, r.place.Zone)
	if err != nil {
		return err
	}
	var payments, refunds int
	var paid, back core.Fen
	// What lies so near midnight that the channel may date it otherwise proves nothing.
	for e, err := range r.Store.Ours(ctx, r.night.Hospital, from.Add(r.place.Margin), from.AddDate(0, 0, 1).Add(-r.place.Margin)) {
		switch {
		case err != nil:
			return fmt.Errorf("read our ledger: %w", err)
		case e.Channel != c || e.NoChannel || e.Amount == 0 || e.State == core.EntryFailed:
		case e.Type == core.EntryPayment:
			payments++
			paid += e.Amount
		// Money that goes back may be on its way for days, and in a later bill.
		case e.State != core.EntryProcessing && r.now.Sub(e.At) >= r.place.RefundTransit:
			refunds++
			back += e.Amount
		}
	}
	if payments+refunds == 0 {
		return nil
	}
	return &core.BillFault{
		File: file,
		What: fmt.Sprintf("the channel says that there is none, and we hold %d payments of %s yuan and %d refunds of %s yuan of that day", payments, paid, refunds, back),
		Cure: "check that the account in the hospital's folder is the one that patients pay to, and ask the channel",
	}
}

// takeInsurance asks the HIS for what the insurance settled, where no channel of its own gives a bill.
func (r *run) takeInsurance(ctx context.Context) error {
	const insurance = core.Channel("insurance")
	if r.books.billed[insurance] || !r.place.Can(core.InsuranceLedger) {
		return nil
	}
	if err := r.step(ctx, "the ledger of the insurance"); err != nil {
		return err
	}
	answer, err := r.question(ctx, core.InsuranceLedger, r.query("", insurance))
	if err != nil {
		return err
	}
	var es []Entry
	if es, err = entriesOf(core.InsuranceLedger, answer, es, "", insurance); err != nil {
		return err
	}
	s, err := r.Store.SaveStatement(ctx, r.statement(Channel, sourceInsurance, r.night.Day), streamOf(es))
	if err != nil {
		return fmt.Errorf("keep the ledger of the insurance: %w", err)
	}
	r.books.channel = append(r.books.channel, book{Statement: s})
	r.books.billed[insurance], r.books.sources[sourceInsurance] = true, true
	return nil
}

// resting reports whether the HIS is not to be asked such a question now.
func (p Place) resting(kind core.Kind, now time.Time) bool {
	return p.Rests != nil && p.Rests(kind, now)
}

// unanswered: a question changes nothing, so that it may be asked again whether
// or not it arrived.
func unanswered(err error) bool {
	var f *core.Fault
	return errors.As(err, &f) && (f.Class == core.Unavailable || f.Class == core.InDoubt)
}

// entriesOf adds the entries of an answer to es.
func entriesOf(kind core.Kind, answer any, es []Entry, operator string, c core.Channel) ([]Entry, error) {
	ledger, ok := answer.(*core.Ledger)
	if !ok {
		return nil, fmt.Errorf("ask the HIS for %s: the answer is no ledger", kind)
	}
	for _, e := range ledger.Entries {
		if e.Operator == "" {
			e.Operator = operator
		}
		if e.Channel == "" {
			e.Channel = c
		}
		es = append(es, Entry{LedgerEntry: e, Row: int64(len(es) + 1)})
	}
	return es, nil
}

func streamOf(es []Entry) Stream {
	return func(yield func(Entry, error) bool) {
		for _, e := range es {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (r *run) statement(p Party, source, day string) Statement {
	return Statement{Hospital: r.night.Hospital, Day: day, Party: p, Source: source, Taken: r.clock()}
}
