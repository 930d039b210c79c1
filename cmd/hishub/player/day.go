package player

import (
	"strconv"
	"time"

	"hishub/core"
	"hishub/mapping"
)

// moves are the writes that move money, and the field that says when.
var moves = map[core.Kind]struct {
	typ core.EntryType
	at  string
}{
	core.PaymentSettle:     {core.EntryPayment, "payment.paid_at"},
	core.AppointmentPay:    {core.EntryPayment, "appointment.paid_at"},
	core.RefundCreate:      {core.EntryRefund, "refund.refunded_at"},
	core.AppointmentCancel: {core.EntryRefund, "appointment.cancelled_at"},
}

// values are what the player knows better than the recorded answer: what time it is,
// and what was booked on a day.
func (p *Player) values(h *mapping.Heard) map[string]any {
	switch h.Kind {
	case core.SystemTimeAsk:
		return map[string]any{"time": time.Now()}
	case core.LedgerTotal:
		return p.totals(h)
	}
	return nil
}

// totals are the sums of the day that is asked for, by the times that we sent or, where
// none came, by when it was booked; nil where the books cannot tell.
func (p *Player) totals(h *mapping.Heard) map[string]any {
	from, to, ok := p.asked(h)
	if !ok {
		return nil
	}
	sums, counts := map[core.EntryType]core.Fen{}, map[core.EntryType]int{}
	for _, e := range p.moved(h, from, to) {
		if e.Receipt.Amount == nil {
			return nil
		}
		sums[moves[e.Kind].typ] += *e.Receipt.Amount
		counts[moves[e.Kind].typ]++
	}
	return map[string]any{
		"payments": strconv.Itoa(counts[core.EntryPayment]), "payment_amount": sums[core.EntryPayment],
		"refunds": strconv.Itoa(counts[core.EntryRefund]), "refund_amount": sums[core.EntryRefund],
	}
}

// moved are the entries of a stretch of time that moved money.
func (p *Player) moved(h *mapping.Heard, from, to time.Time) []*entry {
	var found []*entry
	for _, e := range p.books.entries {
		move, moved := moves[e.Kind]
		at := e.when(move.at)
		way, came := e.Fields[e.noun+".channel"]
		switch {
		case !moved || !e.Whole || at.Before(from) || !at.Before(to):
		case came && h.Fields["ledger.channel"] != "" && way != h.Fields["ledger.channel"]:
		case e.Receipt.Amount != nil && *e.Receipt.Amount == 0: // an appointment that nobody paid
		default:
			found = append(found, e)
		}
	}
	return found
}

// rows are the entries of the day that is asked for; nil where there are none.
func (p *Player) rows(h *mapping.Heard) []map[string]any {
	from, to, ok := p.asked(h)
	if h.Kind != core.LedgerDetail || !ok {
		return nil
	}
	var out []map[string]any
	for _, e := range p.moved(h, from, to) {
		if e.Receipt.Amount == nil {
			return nil
		}
		move := moves[e.Kind]
		row := map[string]any{"type": string(move.typ), "amount": *e.Receipt.Amount, "at": e.when(move.at).Truncate(time.Second)}
		number, channelNo := e.Fields[e.noun+".order_id"], e.Fields[e.noun+".channel_no"]
		if move.typ == core.EntryRefund {
			row["order_id"] = number
			number, channelNo = e.Fields[e.noun+".refund_no"], e.Fields[e.noun+".channel_refund_no"]
		}
		for name, v := range map[string]string{"number": number, "his_no": e.Receipt.HisNo, "channel_no": channelNo, "channel": e.Fields[e.noun+".channel"]} {
			if v != "" {
				row[name] = v
			}
		}
		out = append(out, row)
	}
	return out
}

// asked is the stretch of time that a question about the ledger is about.
func (p *Player) asked(h *mapping.Heard) (from, to time.Time, ok bool) {
	if day, err := time.ParseInLocation(time.DateOnly, h.Fields["ledger.day"], p.folder.Dialect.Zone); err == nil {
		return day, day.AddDate(0, 0, 1), true
	}
	from, err1 := time.Parse(time.RFC3339, h.Fields["ledger.from"])
	to, err2 := time.Parse(time.RFC3339, h.Fields["ledger.to"])
	return from, to, err1 == nil && err2 == nil
}

// when is the time that came in a field, or else that of the booking.
func (e *entry) when(field string) time.Time {
	if at, err := time.Parse(time.RFC3339, e.Fields[field]); err == nil {
		return at
	}
	return e.At
}
