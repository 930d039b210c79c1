package wechatpay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"hishub/connectors/bill"
	"hishub/core"
)

// rules are what a bill must keep to.
type rules struct {
	day, merchant string
	sub           string // only its rows count, if set
}

// Columns of a row, in the order of columns.
const (
	at = iota
	merchant
	subMerchant
	transaction
	order
	state
	currency
	settled
	ordered
	refundID
	refundNo
	refunded
	rechargeBack
	refundState
	attached
	fee
	refundAsked
)

// columns by the names of today's form, with 27, and of the old one, with 24. The
// price of an order is 订单金额; the old form calls it 总金额, and does not know what was
// settled of it. What was asked back is 申请退款金额; the old form has 退款金额 only.
var columns = []bill.Column{
	at:           bill.Need("交易时间"),
	merchant:     bill.Need("商户号"),
	subMerchant:  bill.Need("特约商户号", "子商户号"),
	transaction:  bill.Need("微信订单号"),
	order:        bill.Need("商户订单号"),
	state:        bill.Need("交易状态"),
	currency:     bill.Need("货币种类"),
	settled:      bill.May("应结订单金额"),
	ordered:      bill.Need("订单金额", "总金额"),
	refundID:     bill.Need("微信退款单号"),
	refundNo:     bill.Need("商户退款单号"),
	refunded:     bill.Need("退款金额"),
	rechargeBack: bill.May("充值券退款金额", "代金券或立减优惠退款金额"),
	refundState:  bill.Need("退款状态"),
	attached:     bill.May("商户数据包"),
	fee:          bill.Need("手续费"),
	refundAsked:  bill.May("申请退款金额"),
}

// summaryMark is the first name in the line that heads the summary.
const summaryMark = "总交易单数"

// sums are the columns that the summary adds up, by its names.
var sums = []struct {
	column int
	total  bill.Column
}{
	{settled, bill.May("应结订单总金额")},
	{refunded, bill.May("退款总金额", "总退款金额")},
	{rechargeBack, bill.May("充值券退款总金额", "总代金券或立减优惠退款金额")},
	{fee, bill.May("手续费总金额")},
	{ordered, bill.May("订单总金额", "总交易额")},
	{refundAsked, bill.May("申请退款总金额")},
}

const cure = "fetch the bill again; if it stays so, ask WeChat"

// reading is one pass over a bill.
type reading struct {
	rules
	file   *bill.File
	table  *bill.Table
	emit   func(core.BillEntry) error
	rows   int
	added  []bill.Checked // of sums, over all rows of the account
	totals core.BillTotals
}

// readBill reads the text of a bill to its end. Errors: *core.BillFault; emit's
// own; what the reader said.
func readBill(r io.Reader, name string, rules rules, emit func(core.BillEntry) error) (core.BillTotals, error) {
	b := &reading{rules: rules, file: bill.NewFile(name, r), emit: emit, added: make([]bill.Checked, len(sums))}
	err := b.read()
	return b.totals, err
}

func (b *reading) read() error {
	header, err := b.next()
	if err != nil {
		return err
	}
	if b.table, err = bill.NewTable(b.file, header, bill.Ticked, columns); err != nil {
		return err
	}
	for {
		line, err := b.next()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte(summaryMark)) {
			return b.summary(line)
		}
		if err := b.line(line); err != nil {
			return err
		}
	}
}

// next gives a line that must be there: a bill ends with its summary.
func (b *reading) next() ([]byte, error) {
	line, err := b.file.Next()
	if errors.Is(err, io.EOF) {
		return nil, &core.BillFault{File: b.file.Name(), Line: b.file.Line() + 1, What: "the bill ends without its summary", Cure: "it is cut off: " + cure}
	}
	return line, err
}

// line reads one payment or refund.
func (b *reading) line(line []byte) error {
	row, err := b.table.Row(line)
	if err != nil {
		return err
	}
	b.rows++
	for i, s := range sums {
		b.added[i].Add(amount(row, s.column))
	}
	e := b.entry(row)
	if row.Err() != nil {
		return row.Err()
	}
	if b.sub != "" && !row.Is(subMerchant, b.sub) {
		return nil
	}
	e.Line = b.file.Line()
	if e.Type == core.EntryRefund {
		b.totals.Refunds++
		b.totals.RefundAmount += e.Amount
	} else {
		b.totals.Payments++
		b.totals.PaymentAmount += e.Amount
	}
	b.totals.Fee += e.Fee
	return b.emit(e)
}

// amount of a cell in fen, of the fee in 1/1000 fen.
func amount(row *bill.Row, column int) int64 {
	if column == fee {
		return int64(row.Fee(column))
	}
	return int64(row.Yuan(column))
}

func (b *reading) entry(row *bill.Row) core.BillEntry {
	e := core.BillEntry{Fee: row.Fee(fee)}
	e.Channel = "wechat"
	e.At = row.Time(at, bill.TimeLayout, bill.Zone)
	e.Bill = row.Text(attached)
	if !row.Is(merchant, b.merchant) {
		row.Refuse(merchant, "is another account than the folder's")
	}
	if !row.Is(currency, "CNY") {
		row.Refuse(currency, "is not CNY")
	}
	switch row.Text(state) {
	case "SUCCESS":
		b.payment(row, &e)
	case "REFUND":
		b.refund(row, &e)
	case "REVOKED":
		// A payment by code that was taken back at once. Where money moved, the row is
		// that of the refund.
		if none(row.Text(refundID)) {
			row.Refuse(state, "is REVOKED, but no refund is there")
		}
		b.refund(row, &e)
	default:
		row.Refuse(state, "is not SUCCESS, REFUND or REVOKED")
	}
	if e.Amount <= 0 {
		row.Refuse(b.amountOf(e.Type), "is not above 0")
	}
	return e
}

// amountOf names the column that an entry's amount came from.
func (b *reading) amountOf(t core.EntryType) int {
	switch {
	case t == core.EntryPayment:
		return ordered
	case b.table.Has(refundAsked):
		return refundAsked
	}
	return refunded
}

func (b *reading) payment(row *bill.Row, e *core.BillEntry) {
	e.Type, e.State = core.EntryPayment, core.EntryDone
	e.Number, e.ChannelNo, e.Amount = row.Needed(order), row.Needed(transaction), row.Yuan(ordered)
	if !e.At.IsZero() && e.At.Format("2006-01-02") != b.day {
		row.Refuse(at, "is not of the bill's day")
	}
	if row.Yuan(refunded) != 0 || row.Yuan(refundAsked) != 0 {
		row.Refuse(refunded, "is not 0 in the row of a payment")
	}
}

// refund: the row repeats the number of the payment, which is not paid again by it.
func (b *reading) refund(row *bill.Row, e *core.BillEntry) {
	e.Type = core.EntryRefund
	e.OrderID, e.ChannelNo, e.Amount = row.Needed(order), row.Needed(refundID), row.Yuan(b.amountOf(core.EntryRefund))
	if number := row.Text(refundNo); !none(number) { // a refund by hand on WeChat's pages has none
		e.Number = number
	}
	switch row.Text(refundState) {
	case "SUCCESS":
		e.State = core.EntryDone
	case "PROCESSING", "CHANGE": // CHANGE: the card does not take it; it waits for a person
		e.State = core.EntryProcessing
	case "CLOSED", "FAIL":
		e.State = core.EntryFailed
	default:
		row.Refuse(refundState, "is not SUCCESS, PROCESSING, CHANGE or CLOSED")
	}
}

// none: WeChat writes 0 where there is no number.
func none(number string) bool { return number == "" || number == "0" }

// summary holds the last two lines against the rows, and sees that nothing follows.
func (b *reading) summary(head []byte) error {
	wanted := []bill.Column{bill.Need(summaryMark)}
	for _, s := range sums {
		// Whatever the rows have must be summed up, or a damaged amount would go unnoticed.
		total := s.total
		total.Needed = b.table.Has(s.column)
		wanted = append(wanted, total)
	}
	table, err := bill.NewTable(b.file, head, bill.Ticked, wanted)
	if err != nil {
		return err
	}
	line, err := b.next()
	if err != nil {
		return err
	}
	row, err := table.Row(line)
	if err != nil {
		return err
	}
	if n := row.Count(0); row.Err() == nil && n != b.rows {
		return b.file.Fault("the summary counts "+strconv.Itoa(n)+" rows, but there are "+strconv.Itoa(b.rows), cure)
	}
	for i, s := range sums {
		if !b.table.Has(s.column) {
			continue
		}
		var total int64
		if s.column == fee {
			total = int64(row.Fee(i + 1))
		} else {
			total = int64(row.Yuan(i + 1))
		}
		if row.Err() == nil && !b.added[i].Is(total) {
			return b.file.Fault(fmt.Sprintf("%s is not the sum of %s", table.Name(i+1), b.table.Name(s.column)), cure)
		}
	}
	if row.Err() != nil {
		return row.Err()
	}
	return b.end()
}

// end lets empty lines be all that follows the summary.
func (b *reading) end() error {
	for {
		line, err := b.file.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return b.file.Fault("something follows the summary", cure)
		}
	}
}
