package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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

// takeHIS takes the HIS's ledger: what it sent by itself, else its totals where
// they will do, else each entry.
func (r *run) takeHIS(ctx context.Context) error {
	n := r.night
	kept, err := r.Store.Statements(ctx, n.Hospital, n.Day)
	if err != nil {
		return fmt.Errorf("look for what the HIS sent: %w", err)
	}
	if i := slices.IndexFunc(kept, func(s Statement) bool { return s.Party == HIS && s.Source == sourcePush }); i >= 0 {
		n.Detail, n.Why = Full, "the HIS sent its ledger by itself"
		r.books.his = append(r.books.his, book{Statement: kept[i]})
		return nil
	}
	total, detail := r.place.Can(core.LedgerTotal), r.place.Can(core.LedgerDetail)
	switch {
	case !total && !detail && r.place.Can(core.LedgerPushed):
		return &notYet{"the ledger that the HIS sends by itself", nil}
	case !total && !detail:
		n.Why = "the HIS gives no ledger"
		return nil
	}
	why := "the HIS gives no totals"
	if total {
		if why, err = r.needsDetail(ctx); err != nil {
			return err
		}
		if why == "" || !detail {
			differ, err := r.takeTotals(ctx)
			switch {
			case err != nil:
				return err
			case differ == "":
				n.Detail, n.Why = Totals, "the HIS's totals agree with ours"
				return nil
			case !detail:
				return fmt.Errorf("the HIS's totals differ and it gives no entries: %s", differ)
			}
			why = "the totals differ: " + differ
		}
	}
	n.Detail, n.Why = Full, why
	s, err := r.takeDetail(ctx, r.query("", ""))
	if err != nil {
		return err
	}
	r.books.his = append(r.books.his, book{Statement: s})
	return r.takeNext(ctx)
}

// needsDetail says why totals will not do tonight; "" when they will.
func (r *run) needsDetail(ctx context.Context) (string, error) {
	n := r.night
	switch {
	case r.ask.Full:
		return "asked for in full", nil
	case r.place.HISClock:
		return "the HIS dates by its own clock, so that its totals are of another day than ours", nil
	case r.place.FullEvery <= 1:
		return "every night is in full", nil
	}
	// The day before counts too: what it holds as in transit may be in the books of this day.
	_, unsettled, err := r.Store.Days(ctx, n.Hospital, r.day(-1), n.Day)
	if err != nil {
		return "", fmt.Errorf("look for unsettled findings: %w", err)
	}
	if len(unsettled) > 0 {
		return "there are findings of " + unsettled[0] + " that are not settled", nil
	}
	byTotals, err := r.nightsByTotals(ctx)
	if err != nil {
		return "", err
	}
	if byTotals+1 >= r.place.FullEvery {
		return fmt.Sprintf("%d nights by totals have gone by since the last in full", byTotals), nil
	}
	return "", nil
}

// nightsByTotals counts the days that were compared by totals since the last in full.
func (r *run) nightsByTotals(ctx context.Context) (int, error) {
	// A day has a run for each time that it waited, so that some more are read.
	nights, err := r.Store.Nights(ctx, r.night.Hospital, "", 50*r.place.FullEvery)
	if err != nil {
		return 0, fmt.Errorf("look for the last night in full: %w", err)
	}
	days := map[string]bool{}
	for _, n := range nights {
		if n.State != NightDone || n.Day == r.night.Day {
			continue
		}
		if n.Detail == Full {
			break
		}
		if n.Detail == Totals {
			days[n.Day] = true
		}
	}
	return len(days), nil
}

// tally is what one side says of a day.
type tally struct {
	payments, refunds int64
	paid, back        core.Fen
}

func (t tally) String() string {
	return fmt.Sprintf("%d payments of %s yuan and %d refunds of %s yuan", t.payments, t.paid, t.refunds, t.back)
}

// takeTotals compares the HIS's totals with ours; differ says in what, "" when
// nothing is left to ask for.
func (r *run) takeTotals(ctx context.Context) (differ string, err error) {
	if err := r.step(ctx, "the totals of the HIS"); err != nil {
		return "", err
	}
	var ours, theirs tally
	untold := 0
	for e, err := range r.Store.Ours(ctx, r.night.Hospital, r.from, r.to) {
		switch {
		case err != nil:
			return "", fmt.Errorf("read our ledger: %w", err)
		case e.NoHIS:
		case e.Told != told:
			untold++
		case e.Type == core.EntryRefund:
			ours.refunds++
			ours.back += e.Amount
		default:
			ours.payments++
			ours.paid += e.Amount
		}
	}
	counted := true
	var lines []Line
	err = r.accounts(func(operator string, c core.Channel) error {
		answer, err := r.question(ctx, core.LedgerTotal, r.query(operator, c))
		if err != nil {
			return err
		}
		t, ok := answer.(*core.LedgerTotals)
		if !ok {
			return errors.New("ask the HIS for its totals: the answer is no totals")
		}
		payments, err1 := count(t.Payments, &counted)
		refunds, err2 := count(t.Refunds, &counted)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		theirs.payments += payments
		theirs.refunds += refunds
		theirs.paid += t.PaymentAmount
		theirs.back += t.RefundAmount
		line := Line{Party: HIS, Channel: c, Operator: operator, Type: core.EntryPayment, Count: payments, Amount: t.PaymentAmount}
		lines = append(lines, line)
		line.Type, line.Count, line.Amount = core.EntryRefund, refunds, t.RefundAmount
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		return "", err
	}
	if !counted {
		theirs.payments, theirs.refunds = ours.payments, ours.refunds
	}
	switch {
	case ours != theirs:
		return fmt.Sprintf("the HIS has %s, we have %s", theirs, ours), nil
	case untold > 0:
		// Equal totals say nothing of what the HIS was not told yet.
		return fmt.Sprintf("%d of ours are not told yet", untold), nil
	}
	r.books.totals = lines
	return "", nil
}

// count reads a HIS's count; one that it does not give is not compared.
func count(text string, counted *bool) (int64, error) {
	if text == "" {
		*counted = false
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("ask the HIS for its totals: a count is no whole number; repair the mapping of ledger.total")
	}
	return n, nil
}

// takeDetail asks for each entry of a day, by account and channel where the HIS
// wants that.
func (r *run) takeDetail(ctx context.Context, q core.LedgerQuery) (Statement, error) {
	if err := r.step(ctx, "the ledger of the HIS"); err != nil {
		return Statement{}, err
	}
	var es []Entry
	err := r.accounts(func(operator string, c core.Channel) error {
		q.Operator, q.Channel = operator, c
		answer, err := r.question(ctx, core.LedgerDetail, q)
		if err != nil {
			return err
		}
		es, err = entriesOf(core.LedgerDetail, answer, es, operator, c)
		r.done.Store(int64(len(es)))
		return err
	})
	if err != nil {
		return Statement{}, err
	}
	s, err := r.Store.SaveStatement(ctx, r.statement(HIS, sourceDetail, q.Day), streamOf(es))
	if err != nil {
		return Statement{}, fmt.Errorf("keep the HIS's ledger: %w", err)
	}
	return s, nil
}

// takeNext takes the HIS's entries of the day after, too, when that day was
// settled by totals: what is held over midnight here may be there.
func (r *run) takeNext(ctx context.Context) error {
	next := r.day(1)
	from, to, err := r.place.Day(next, r.place.Zone)
	if err != nil || to.After(r.now) {
		return err
	}
	kept, err := r.Store.Statements(ctx, r.night.Hospital, next)
	if err != nil || slices.ContainsFunc(kept, func(s Statement) bool { return s.Party == HIS }) {
		return err
	}
	nights, err := r.Store.Nights(ctx, r.night.Hospital, next, 1)
	if err != nil || len(nights) == 0 || nights[0].State != NightDone || nights[0].Detail != Totals {
		return err
	}
	_, err = r.takeDetail(ctx, core.LedgerQuery{Day: next, From: from, To: to})
	return err
}

// accounts calls ask for each account of ours at the HIS and each way of paying
// that the HIS gives its ledger by, or once for all.
func (r *run) accounts(ask func(operator string, c core.Channel) error) error {
	operators, channels := r.place.Operators, r.place.Channels
	if len(operators) == 0 {
		operators = []string{""}
	}
	if len(channels) == 0 {
		channels = []core.Channel{""}
	}
	for _, o := range operators {
		for _, c := range channels {
			if err := ask(o, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) query(operator string, c core.Channel) core.LedgerQuery {
	return core.LedgerQuery{Day: r.night.Day, From: r.from, To: r.to, Operator: operator, Channel: c}
}

// question asks the HIS, unless it is to be left alone now.
func (r *run) question(ctx context.Context, kind core.Kind, q core.LedgerQuery) (any, error) {
	if r.place.resting(r.clock()) {
		return nil, &notYet{"the end of the HIS's maintenance window", nil}
	}
	answer, err := r.Asker.Question(ctx, r.night.Hospital, kind, &q)
	switch {
	case err == nil:
		return answer, nil
	case unanswered(err):
		return nil, &notYet{"the HIS's answer to " + string(kind), err}
	}
	return nil, fmt.Errorf("ask the HIS for %s: %w", kind, err)
}

// resting reports whether the HIS is in a maintenance window.
func (p Place) resting(now time.Time) bool {
	return slices.ContainsFunc(p.Maintenance, func(w core.Window) bool { return w.Contains(now.In(p.Zone)) })
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
