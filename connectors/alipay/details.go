package alipay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"time"

	"hishub/connectors/bill"
	"hishub/core"
)

// Columns of 业务明细, by the names of their header.
const (
	tradeNo = iota
	orderNo
	business
	product
	doneAt
	storeNo
	ordered
	received
	discount
	redPacket
	requestNo
	service
	remark
)

var detailColumns = []bill.Column{
	bill.Need("支付宝交易号"), bill.Need("商户订单号"), bill.Need("业务类型"), bill.May("商品名称"), bill.Need("完成时间"), bill.May("门店编号"),
	bill.Need("订单金额（元）", "订单金额(元)"), bill.Need("商家实收（元）", "商家实收(元)"), bill.May("商家优惠（元）", "商家优惠(元)"),
	bill.May("商家红包消费金额（元）", "商家红包消费金额(元)"),
	bill.Need("退款批次号/请求号", "退款批次号"), bill.Need("服务费（元）", "服务费(元)"), bill.May("备注"),
}

// tally counts one sort of rows; money is signed as the bill writes it.
type tally struct {
	rows                                 int
	ordered, received, discount, service bill.Checked
}

func (t *tally) add(ordered, received, discount core.Fen, service core.Millifen) {
	t.rows++
	t.ordered.Add(int64(ordered))
	t.received.Add(int64(received))
	t.discount.Add(int64(discount))
	t.service.Add(int64(service))
}

// details is 业务明细 on its way through.
type details struct {
	account, store string
	date           time.Time
	emit           func(core.BillEntry) error
	// trades, refunds and all are of every store, as the bill sums them up.
	trades, refunds, all tally
	// kept is what was emitted.
	kept core.BillTotals
}

var (
	account = regexp.MustCompile(`账号：\[\s*(\d+)\s*\]`)
	period  = regexp.MustCompile(`起始日期：\[\s*(\d{4}年\d\d月\d\d日 \d\d:\d\d:\d\d)\s*\].*终止日期：\[\s*(\d{4}年\d\d月\d\d日 \d\d:\d\d:\d\d)\s*\]`)
	traded  = regexp.MustCompile(`^#交易合计：(\d{1,9})笔，商家实收共(-?[\d.]{1,20})元，商家优惠共(-?[\d.]{1,20})元`)
	gave    = regexp.MustCompile(`^#退款合计：(\d{1,9})笔，商家实收退款共(-?[\d.]{1,20})元，商家优惠退款共(-?[\d.]{1,20})元`)
)

// read reads the whole file: preamble, header, rows, mark of the end, sums.
func (d *details) read(ctx context.Context, f *bill.File) error {
	line, err := d.preamble(f)
	if err != nil {
		return err
	}
	table, err := newTable(f, line)
	if err != nil {
		return err
	}
	for {
		line, err := next(f)
		if err != nil {
			return err
		}
		if line[0] == '#' {
			if !bytes.Contains(line, []byte("业务明细列表结束")) {
				return f.Fault("a line of remarks among the rows", fetchAgain)
			}
			return d.sums(f)
		}
		if f.Line()%1024 == 0 && ctx.Err() != nil {
			return &core.Fault{Class: core.Unavailable, Op: "alipay bill", Err: ctx.Err()}
		}
		row, err := table.Row(line)
		if err == nil {
			err = d.row(f, row)
		}
		if err != nil {
			return err
		}
	}
}

// next line that is not empty. The bill must not end here.
func next(f *bill.File) ([]byte, error) {
	for {
		line, err := f.Next()
		if errors.Is(err, io.EOF) {
			return nil, f.Fault("the bill ends here, without its mark of the end and its sums; it is cut", fetchAgain)
		}
		if err != nil || len(line) > 0 {
			return line, err
		}
	}
}

// preamble reads what the bill says of itself and gives the line behind it, the header.
func (d *details) preamble(f *bill.File) ([]byte, error) {
	dated := false
	for {
		line, err := next(f)
		switch {
		case err != nil:
			return nil, err
		case line[0] != '#' && !dated:
			return nil, f.Fault("the bill does not say of which day it is", fetchAgain)
		case line[0] != '#':
			return line, nil
		}
		if m := account.FindSubmatch(line); m != nil && d.account != "" && !accountIs(string(m[1]), d.account) {
			return nil, f.Fault("it is the bill of another account than option account", "correct the option, or app_id and key")
		}
		if m := period.FindSubmatch(line); m != nil {
			const layout = "2006年01月02日 15:04:05"
			from, err1 := time.ParseInLocation(layout, string(m[1]), bill.Zone)
			to, err2 := time.ParseInLocation(layout, string(m[2]), bill.Zone)
			if err1 != nil || err2 != nil || !from.Equal(d.date) || !to.Equal(d.date.AddDate(0, 0, 1)) {
				return nil, f.Fault("it is the bill of another day than the one asked for", fetchAgain)
			}
			dated = true
		}
	}
}

// accountIs: the bill writes the account's number with 0156 behind it (the currency).
func accountIs(written, account string) bool {
	return written == account || written == account+"0156"
}

// newTable reads the header. Nothing in the bill is quoted, so that a comma in a
// product's name makes a row too long; but texts end with a tab, which tells
// where the name ends.
func newTable(f *bill.File, header []byte) (*bill.Table, error) {
	width, name := 0, -1
	split := func(line []byte, cells [][]byte) ([][]byte, error) {
		from := len(cells)
		cells, err := bill.On(',')(line, cells)
		row := cells[from:]
		more := len(row) - width
		if err != nil || width == 0 || name < 0 || more <= 0 || name+more >= len(row) || !bytes.HasSuffix(row[name+more], []byte("\t")) {
			return cells, err
		}
		start := 0
		for _, c := range row[:name] {
			start += len(c) + 1
		}
		end := start + more
		for _, c := range row[name : name+more+1] {
			end += len(c)
		}
		row[name] = line[start:end]
		return append(cells[:from+name+1], row[name+more+1:]...), nil
	}
	names, err := split(header, nil)
	if err != nil {
		return nil, err
	}
	for i, n := range names {
		if string(bill.Clean(n)) == detailColumns[product].Names[0] {
			name = i
		}
	}
	width = len(names)
	return bill.NewTable(f, header, split, detailColumns)
}

// mostMoney in a row, fen: far more than any bill holds; sums of such rows fit.
const mostMoney = 1e12

func (d *details) row(f *bill.File, row *bill.Row) error {
	e := core.BillEntry{Line: f.Line()}
	e.Channel, e.State = "alipay", core.EntryDone
	amount, got, off, service := row.Yuan(ordered), row.Yuan(received), row.Yuan(discount), row.Fee(service)
	e.ChannelNo, e.Bill = row.Needed(tradeNo), row.Text(remark)
	e.At = row.Time(doneAt, bill.TimeLayout, bill.Zone)
	// Negative is what Alipay takes.
	e.Fee = -service
	refunded := false
	switch kind := row.Text(business); kind {
	case "交易":
		e.Type, e.Number, e.Amount = core.EntryPayment, row.Needed(orderNo), amount
		if amount < 0 || got < 0 {
			row.Refuse(ordered, "is below zero for a payment")
		}
	case "退款":
		refunded = true
		e.Type, e.Number, e.OrderID, e.Amount = core.EntryRefund, row.Text(requestNo), row.Needed(orderNo), -amount
		if e.Number != "" { // a refund by hand on Alipay's pages may have none
			e.ChannelNo = refundNumber(e.ChannelNo, e.Number)
		}
		if amount > 0 || got > 0 {
			row.Refuse(ordered, "is above zero for a refund")
		}
	default:
		row.Refuse(business, "holds a word that is not known: neither 交易 nor 退款")
	}
	// What was ordered and what came differ by what the merchant gave away. There
	// is no sum of what was ordered, so this is what guards it.
	if gap := amount - got; gap != 0 && gap != off && gap != off+row.Yuan(redPacket) {
		row.Refuse(ordered, "and what was received differ by more than the merchant's discounts")
	}
	if most := core.Fen(mostMoney); amount > most || amount < -most || service > mostMoney*1000 || service < -mostMoney*1000 {
		row.Refuse(ordered, "or 服务费 is more money than there is")
	}
	if e.At.Before(d.date) || !e.At.Before(d.date.AddDate(0, 0, 1)) {
		row.Refuse(doneAt, "is of another day than the bill")
	}
	if err := row.Err(); err != nil {
		return err
	}
	sort := &d.trades
	if refunded {
		sort = &d.refunds
	}
	sort.add(amount, got, off, service)
	d.all.add(amount, got, off, service)
	if d.store != "" && row.Text(storeNo) != d.store {
		return nil
	}
	if refunded {
		d.kept.Refunds++
		d.kept.RefundAmount += e.Amount
	} else {
		d.kept.Payments++
		d.kept.PaymentAmount += e.Amount
	}
	d.kept.Fee += e.Fee
	return d.emit(e)
}

// sums compares the two lines behind the mark of the end with the rows.
func (d *details) sums(f *bill.File) error {
	for _, s := range []struct {
		line *regexp.Regexp
		of   *tally
	}{{traded, &d.trades}, {gave, &d.refunds}} {
		line, err := next(f)
		if err != nil {
			return err
		}
		m := s.line.FindSubmatch(line)
		if m == nil {
			return f.Fault("it is not the line with the sums of trades (#交易合计) and, behind it, of refunds (#退款合计)", fetchAgain)
		}
		if n, err := strconv.Atoi(string(m[1])); err != nil || n != s.of.rows {
			return f.Fault(fmt.Sprintf("its count is not the %d of the rows", s.of.rows), "rows are missing or too many: "+fetchAgain)
		}
		got, err1 := bill.Yuan(m[2])
		off, err2 := bill.Yuan(m[3])
		if err1 != nil || err2 != nil || !s.of.received.Is(int64(got)) || !s.of.discount.Is(int64(off)) {
			return f.Fault("its sums are not those of the rows", fetchAgain)
		}
	}
	for {
		line, err := f.Next() // when it was made; says nothing of money
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(line) > 0 && line[0] != '#' {
			return f.Fault("there are rows behind the end of the bill", fetchAgain)
		}
	}
}

// Columns of 业务明细(汇总).
const (
	sumStore = iota
	sumName
	sumTrades
	sumRefunds
	sumOrdered
	sumReceived
	sumService
)

var summaryColumns = []bill.Column{
	bill.Need("门店编号"), bill.May("门店名称"), bill.Need("交易订单总笔数"), bill.Need("退款订单总笔数"),
	bill.Need("订单金额（元）", "订单金额(元)"), bill.Need("商家实收（元）", "商家实收(元)"), bill.Need("服务费（元）", "服务费(元)"),
}

// compare reads the sums by store. The row 合计 must be what the trades come to,
// and so must the stores together.
func (d *details) compare(f *bill.File) error {
	line, err := d.preamble(f)
	if err != nil {
		return err
	}
	table, err := bill.NewTable(f, line, bill.On(','), summaryColumns)
	if err != nil {
		return err
	}
	var trades, refunds int
	total := false
	for {
		line, err := next(f)
		if err != nil {
			return err
		}
		if line[0] == '#' {
			break
		}
		row, err := table.Row(line)
		if err != nil {
			return err
		}
		isTotal := row.Is(sumStore, "合计") || row.Is(sumName, "合计")
		n, m, fee := row.Count(sumTrades), row.Count(sumRefunds), row.Fee(sumService)
		ordered, received := row.Yuan(sumOrdered), row.Yuan(sumReceived)
		if err := row.Err(); err != nil {
			return err
		}
		if !isTotal {
			trades, refunds = trades+n, refunds+m
			continue
		}
		total = true
		switch {
		case n != d.trades.rows || m != d.refunds.rows:
			return f.Fault("its counts are not those of the trades", fetchAgain)
		case !d.all.service.Is(int64(fee)):
			return f.Fault("its 服务费 is not the sum of the trades'", fetchAgain)
		// Forms differ in whether refunds are taken off.
		case !d.all.ordered.Is(int64(ordered)) && !d.trades.ordered.Is(int64(ordered)),
			!d.all.received.Is(int64(received)) && !d.trades.received.Is(int64(received)):
			return f.Fault("its sums are not those of the trades", fetchAgain)
		}
	}
	// A merchant without stores may have the row 合计 alone.
	if (trades != d.trades.rows || refunds != d.refunds.rows) && !(total && trades+refunds == 0) {
		return f.Whole("the stores' counts together are not those of the trades", fetchAgain)
	}
	for {
		if _, err := f.Next(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
