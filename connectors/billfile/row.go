package billfile

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"hishub/connectors/bill"
	"hishub/core"
)

// row reads a row of the table.
func (r *reading) row(line []byte) error {
	row, err := r.table.Row(line)
	if err != nil {
		return err
	}
	r.rows++
	what, err := r.kind(row)
	if err != nil || what == ignored {
		return err
	}
	e := r.entry(row, what)
	if err := row.Err(); err != nil {
		return err
	}
	if e.Number == "" && e.OrderID == "" && e.ChannelNo == "" && e.HisNo == "" {
		return r.Fault("the row has no number of any kind", askAgain)
	}
	if !r.anyDay && (e.At.Before(r.day) || !e.At.Before(r.day.AddDate(0, 0, 1))) {
		return r.Fault("the row is of another day than the file", askAgain+"; write days: any if such rows belong there")
	}
	r.add(&e)
	return r.emit(e)
}

func (r *reading) kind(row *bill.Row) (kind, error) {
	if len(r.types) == 0 {
		return payment, nil
	}
	k, known := r.types[row.Text(r.at["type"])]
	if !known {
		return k, r.Fault("column "+r.table.Name(r.at["type"])+" holds a code that option types does not know",
			"find out from the channel what it means and add it, as ignore if no money moves")
	}
	return k, nil
}

// entry reads the cells; what is wrong stays in the row.
func (r *reading) entry(row *bill.Row, what kind) core.BillEntry {
	e := core.BillEntry{Line: r.Line()}
	e.Type, e.State, e.Channel = core.EntryPayment, core.EntryDone, r.channel
	amount := r.money(row, r.at["amount"])
	if what == refund || amount < 0 {
		// A reversal is a row below zero in some files, whatever its type says.
		e.Type = core.EntryRefund
	}
	if e.Amount = amount; amount < 0 {
		e.Amount = -amount
	}
	text := func(field string) string {
		if at, ok := r.column(field, e.Type); ok {
			return row.Text(at)
		}
		return ""
	}
	e.Number, e.OrderID, e.ChannelNo, e.HisNo = text("number"), text("order_id"), text("channel_no"), text("his_no")
	e.Bill, e.Operator = text("bill"), text("operator")
	if at, ok := r.column("fee", e.Type); ok && row.Text(at) != "" {
		if r.fen {
			e.Fee = core.Millifen(r.money(row, at)) * 1000
		} else {
			e.Fee = row.Fee(at)
		}
		if e.Fee > mostMoney*1000 || e.Fee < -mostMoney*1000 {
			row.Refuse(at, "is more money than there is")
		}
	}
	at, _ := r.column("at", e.Type)
	when := strings.TrimSpace(text("date") + " " + text("at"))
	var err error
	if e.At, err = r.time(when); err != nil {
		if _, both := r.column("at", e.Type); !both {
			at, _ = r.column("date", e.Type)
		}
		row.Refuse(at, "is not written like option times")
	}
	return e
}

// column of a field in a row of that sort.
func (r *reading) column(field string, sort core.EntryType) (int, bool) {
	if at, other := r.back[field]; other && sort == core.EntryRefund {
		return at, at >= 0
	}
	at, ok := r.at[field]
	return at, ok && at >= 0
}

// mostMoney in a row, fen: far more than any bill holds; sums of such rows fit.
const mostMoney = 1e12

func (r *reading) money(row *bill.Row, at int) core.Fen {
	var n core.Fen
	if r.fen {
		var err error
		if n, err = readFen(row.Text(at)); err != nil {
			row.Refuse(at, "is not an amount in fen: "+err.Error())
		}
	} else {
		n = row.Yuan(at)
	}
	if n > mostMoney || n < -mostMoney {
		row.Refuse(at, "is more money than there is")
		return 0
	}
	return n
}

func readFen(text string) (core.Fen, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n == math.MinInt64 {
		return 0, errors.New("not a whole number")
	}
	return core.Fen(n), nil
}

func (r *reading) time(text string) (t time.Time, err error) {
	for _, layout := range r.layouts {
		if t, err = time.ParseInLocation(layout, text, bill.Zone); err == nil {
			return t, nil
		}
	}
	return t, err
}

func (r *reading) add(e *core.BillEntry) {
	if e.Type == core.EntryRefund {
		r.Refunds++
		r.RefundAmount += e.Amount
	} else {
		r.Payments++
		r.PaymentAmount += e.Amount
	}
	r.Fee += e.Fee
}

// check compares what a line says of the whole file with its rows.
func (r *reading) check(said map[string]string, line int) error {
	fault := func(what, cure string) error {
		return &core.BillFault{File: r.Name(), Line: line, What: what, Cure: cure}
	}
	// In a fixed order, so that a bill is refused with the same words each time.
	for _, name := range append([]string{"date"}, sums...) {
		text, there := said[name]
		if !there {
			continue
		}
		switch name {
		case "date":
			if !r.sameDay("20060102", text) {
				return fault("it is of another day than the one asked for", askAgain)
			}
		case "count", "payments", "refunds":
			n, err := strconv.Atoi(text)
			if have := r.counted(name); err != nil || n != have {
				return fault(fmt.Sprintf("%s is not the %d of the rows", name, have), "rows are missing or too many: "+askAgain)
			}
		case "fee":
			n, err := core.ParseMillifen(text)
			if r.fen {
				var fen core.Fen
				fen, err = readFen(text)
				n = core.Millifen(fen) * 1000
			}
			if err != nil || n != r.Fee {
				return fault("fee is not the sum of the rows' fees", askAgain)
			}
		default:
			n, err := core.ParseYuan(text)
			if r.fen {
				n, err = readFen(text)
			}
			have := r.summed(name)
			if err != nil || n != have && !(name == "refund_amount" && n == -have) {
				return fault(fmt.Sprintf("%s is not the %s yuan to which the rows come", name, have), askAgain+"; see option sums, too")
			}
		}
	}
	for name, text := range said {
		if layout, err := timeLayout(name); err == nil && !r.sameDay(layout, text) {
			return fault("it is of another day than the one asked for", askAgain)
		}
	}
	return nil
}

func (r *reading) sameDay(layout, text string) bool {
	t, err := time.ParseInLocation(layout, text, bill.Zone)
	return err == nil && t.Format(time.DateOnly) == r.day.Format(time.DateOnly)
}

func (r *reading) counted(name string) int {
	switch {
	case name == "payments":
		return r.Payments
	case name == "refunds":
		return r.Refunds
	case r.countAll:
		return r.rows
	}
	return r.Payments + r.Refunds
}

func (r *reading) summed(name string) core.Fen {
	switch {
	case name == "payment_amount":
		return r.PaymentAmount
	case name == "refund_amount":
		return r.RefundAmount
	case r.unsigned:
		return r.PaymentAmount + r.RefundAmount
	}
	return r.PaymentAmount - r.RefundAmount
}

// fits tells quickly that a line is another one: rows are many.
func (t template) fits(line []byte) bool {
	return bytes.HasPrefix(line, []byte(t[0].literal))
}
