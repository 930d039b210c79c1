package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"hishub/core"
)

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
	if r.place.resting(kind, r.clock()) {
		return nil, &notYet{"the end of the HIS's maintenance window, or its working hours", nil}
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
