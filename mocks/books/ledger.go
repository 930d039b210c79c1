package books

// Row of the ledger.
type Row struct {
	Refund bool
	// Reversal: the row takes a booking back, no money moved.
	Reversal bool
	// Registration of a visit, which may be free.
	Registration                            bool
	Order, RefundNo, ChannelNo, HisNo, Time string
	Channel, Operator                       string
	Bills                                   []string
	AmountFen                               int64
}

// Asked says which rows of the ledger; empty is all but for the day.
type Asked struct {
	Day               string // yyyy-MM-dd
	Operator, Channel string
	// Clock dates the rows by the hospital's own clock, not by the caller's times.
	Clock bool
}

// Ledger lists the settlements and refunds of a day.
func (b *Books) Ledger(q Asked) []Row {
	b.mu.Lock()
	defer b.mu.Unlock()
	rows := b.ledger(q)
	if !b.twice {
		return rows
	}
	var doubled []Row
	for _, row := range rows {
		doubled = append(doubled, row, row)
	}
	return doubled
}

// LedgerOnce is what totals are made of: each row once, whatever Ledger lists.
func (b *Books) LedgerOnce(q Asked) []Row {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger(q)
}

func (b *Books) ledger(q Asked) []Row {
	var rows []Row
	for _, s := range b.settlements {
		row := Row{Registration: s.Registration, Order: s.Order, ChannelNo: s.ChannelNo, HisNo: s.HisNo, Time: s.PaidAt, Channel: s.Channel, Operator: s.Operator,
			Bills: s.Bills, AmountFen: s.AmountFen}
		if q.Clock {
			row.Time = s.At.In(Zone).Format(TimeLayout)
		}
		rows = append(rows, row)
	}
	for _, r := range b.refunds {
		row := Row{Refund: true, Reversal: r.Reversal, Order: r.Order, RefundNo: r.No, ChannelNo: r.ChannelNo, HisNo: r.HisNo, Time: r.RefundedAt, Operator: r.Operator, AmountFen: r.AmountFen}
		if paid := b.orders[r.Order]; paid != nil {
			row.Channel = paid.Channel
		}
		if q.Clock {
			row.Time = r.At.In(Zone).Format(TimeLayout)
		}
		rows = append(rows, row)
	}
	var asked []Row
	for _, row := range rows {
		if Day(row.Time) == q.Day && (q.Operator == "" || row.Operator == q.Operator) && (q.Channel == "" || row.Channel == q.Channel) {
			asked = append(asked, row)
		}
	}
	return asked
}

// Totals of a ledger: counts and sums in fen. Reversals count among the refunds.
type Totals struct {
	Payments, Refunds      int
	PaymentFen, RefundsFen int64
}

// LedgerTotals sums a day up, each row once.
func (b *Books) LedgerTotals(q Asked) Totals {
	return Total(b.LedgerOnce(q))
}

// Total sums rows up.
func Total(rows []Row) Totals {
	var t Totals
	for _, row := range rows {
		if row.Refund {
			t.Refunds++
			t.RefundsFen += row.AmountFen
		} else {
			t.Payments++
			t.PaymentFen += row.AmountFen
		}
	}
	return t
}
