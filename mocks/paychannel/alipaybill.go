package paychannel

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/mocks/books"
)

// alipayLines are what a day's bill lists: payments by when they were paid, refunds
// by when the money went back. One that has not gone back is in no bill.
func (s *Server) alipayLines(day string) []Line {
	from, err := time.ParseInLocation(time.DateOnly, day, Zone)
	if err != nil {
		return nil
	}
	to := from.AddDate(0, 0, 1)
	within := func(t time.Time) bool { return !t.Before(from) && t.Before(to) }
	all := s.books.Export()
	payments := map[string]Payment{}
	var lines []Line
	for _, p := range all.Payments {
		if p.Channel != Alipay {
			continue
		}
		payments[p.Number] = p
		if within(p.PaidAt) {
			lines = append(lines, Line{Payment: p})
		}
	}
	for _, r := range all.Refunds {
		if r.Channel == Alipay && r.State == Done && within(r.SuccessAt) {
			lines = append(lines, Line{Payment: payments[r.Payment], Refund: &r})
		}
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return alipayAt(a).Compare(alipayAt(b)) })
	return lines
}

func alipayAt(l Line) time.Time {
	if l.Refund != nil {
		return l.Refund.SuccessAt
	}
	return l.Payment.PaidAt
}

// alipayOrdered and the others are signed: what went back is negative.
func alipayOrdered(l Line) int64 {
	if l.Refund != nil {
		return -l.Refund.AmountFen
	}
	return l.Payment.AmountFen
}

func alipayDiscount(l Line) int64 {
	if l.Refund != nil {
		return 0
	}
	return l.Payment.CouponFen
}

func alipayReceived(l Line) int64 { return alipayOrdered(l) - alipayDiscount(l) }

// alipayFee is negative when Alipay takes it. Fees are whole fen here.
func alipayFee(l Line) int64 { return -fee(l) / 1000 }

type alipayColumn struct {
	name string
	cell func(Line) string
}

// padded texts end with a tab, so that spreadsheets do not take them for numbers.
func padded(of func(Line) string) func(Line) string {
	return func(l Line) string { return of(l) + "\t" }
}

var alipayColumns = []alipayColumn{
	{"支付宝交易号", padded(func(l Line) string { return l.Payment.ChannelNo })},
	{"商户订单号", padded(func(l Line) string { return l.Payment.Number })},
	{"业务类型", func(l Line) string {
		if l.Refund != nil {
			return "退款"
		}
		return "交易"
	}},
	{"商品名称", padded(func(l Line) string { return l.Payment.Subject })},
	{"创建时间", func(l Line) string { return l.Payment.PaidAt.In(Zone).Format(books.TimeLayout) }},
	{"完成时间", func(l Line) string { return alipayAt(l).In(Zone).Format(books.TimeLayout) }},
	{"门店编号", func(l Line) string { return l.Payment.SubMerchant }},
	{"门店名称", text("")}, {"操作员", text("")}, {"终端号", text("")},
	{"对方账户", text("*三(138****8000)")},
	{"订单金额（元）", yuan(alipayOrdered)},
	{"商家实收（元）", yuan(alipayReceived)},
	{"支付宝红包（元）", text("0.00")}, {"集分宝（元）", text("0.00")}, {"支付宝优惠（元）", text("0.00")},
	{"商家优惠（元）", yuan(alipayDiscount)},
	{"券核销金额（元）", text("0.00")}, {"券名称", text("")}, {"商家红包消费金额（元）", text("0.00")}, {"卡消费金额（元）", text("0.00")},
	{"退款批次号/请求号", refundText("", func(r Refund) string { return r.Number + "\t" })},
	{"服务费（元）", yuan(alipayFee)},
	{"分润（元）", text("0.00")},
	{"备注", func(l Line) string { return l.Payment.Attach }},
}

// packAlipayBill makes the archive with its two files, names and content in GB18030.
func (s *Server) packAlipayBill(day string, lines []Line) ([]byte, error) {
	rows, summed := lines, lines
	if len(lines) > 0 && s.strikes(BillDroppedRow, day) {
		rows, summed = lines[1:], lines[1:]
	}
	if s.strikes(BillDoubledRows, day) {
		summed = slices.Concat(summed, summed)
		rows = summed
	}
	if len(rows) > 0 && s.strikes(BillLostRow, day) {
		rows = rows[1:]
	}
	front := s.alipay.Account + "0156_" + strings.ReplaceAll(day, "-", "")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range []struct{ name, content string }{
		{front + "_业务明细.csv", s.writeAlipayDetails(day, rows, summed)},
		{front + "_业务明细(汇总).csv", s.writeAlipaySummary(day, summed)},
	} {
		name, err := simplifiedchinese.GB18030.NewEncoder().String(f.name)
		if err != nil {
			return nil, err
		}
		content, err := simplifiedchinese.GB18030.NewEncoder().String(f.content)
		if err != nil {
			return nil, err
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, NonUTF8: true, Method: zip.Deflate})
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, content); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (s *Server) alipayPreamble(b *strings.Builder, day, title string) {
	from, _ := time.ParseInLocation(time.DateOnly, day, Zone)
	const layout = "2006年01月02日 15:04:05"
	fmt.Fprintf(b, "#支付宝%s查询\r\n#账号：[%s0156]\r\n#起始日期：[%s]   终止日期：[%s]\r\n", title, s.alipay.Account, from.Format(layout), from.AddDate(0, 0, 1).Format(layout))
	fmt.Fprintf(b, "#-----------------------------------------%s列表----------------------------------------\r\n", title)
}

func (s *Server) writeAlipayDetails(day string, rows, summed []Line) string {
	columns := slices.Clone(alipayColumns)
	if s.strikes(BillMixedColumns, day) {
		slices.Reverse(columns)
	}
	if s.strikes(BillExtraColumn, day) {
		columns = slices.Insert(columns, 4, alipayColumn{"数字人民币（元）", text("0.00")})
	}
	var b strings.Builder
	s.alipayPreamble(&b, day, "业务明细")
	line := func(cell func(alipayColumn) string) {
		for i, c := range columns {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.NewReplacer("\r", " ", "\n", " ").Replace(cell(c)))
		}
		b.WriteString("\r\n")
	}
	line(func(c alipayColumn) string { return c.name })
	wrong := s.strikes(BillWrongChecksum, day)
	for i, l := range rows {
		line(func(c alipayColumn) string {
			cell := c.cell(l)
			if wrong && i == 0 && c.name == "商家实收（元）" {
				digits := []byte(cell)
				spoil(digits)
				return string(digits)
			}
			return cell
		})
	}
	if s.strikes(BillTruncated, day) {
		whole := strings.TrimRight(b.String(), "\r\n")
		return whole[:len(whole)-40]
	}
	b.WriteString("#-----------------------------------------业务明细列表结束------------------------------------\r\n")
	if !s.strikes(BillWithoutSum, day) {
		sum := func(refunds bool, of func(Line) int64) (n int, fen int64) {
			for _, l := range summed {
				if (l.Refund != nil) == refunds {
					n, fen = n+1, fen+of(l)
				}
			}
			return n, fen
		}
		n, got := sum(false, alipayReceived)
		_, off := sum(false, alipayDiscount)
		fmt.Fprintf(&b, "#交易合计：%d笔，商家实收共%s元，商家优惠共%s元\r\n", n, books.Yuan(got), books.Yuan(off))
		n, got = sum(true, alipayReceived)
		fmt.Fprintf(&b, "#退款合计：%d笔，商家实收退款共%s元，商家优惠退款共0.00元\r\n", n, books.Yuan(got))
	}
	fmt.Fprintf(&b, "#导出时间：[%s]\r\n", s.books.Now().Format("2006年01月02日 15:04:05"))
	return b.String()
}

// writeAlipaySummary writes the sums by store, and of all.
func (s *Server) writeAlipaySummary(day string, lines []Line) string {
	var b strings.Builder
	s.alipayPreamble(&b, day, "业务汇总")
	b.WriteString("门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）\r\n")
	var stores []string
	by := map[string][]Line{}
	for _, l := range lines {
		if by[l.Payment.SubMerchant] == nil {
			stores = append(stores, l.Payment.SubMerchant)
		}
		by[l.Payment.SubMerchant] = append(by[l.Payment.SubMerchant], l)
	}
	row := func(store string, lines []Line) {
		trades, refunds := 0, 0
		var ordered, received, discount, taken int64
		for _, l := range lines {
			if l.Refund != nil {
				refunds++
			} else {
				trades++
			}
			ordered, received, discount, taken = ordered+alipayOrdered(l), received+alipayReceived(l), discount+alipayDiscount(l), taken+alipayFee(l)
		}
		b.WriteString(strings.Join([]string{
			store, "", strconv.Itoa(trades), strconv.Itoa(refunds), books.Yuan(ordered), books.Yuan(received),
			"0.00", books.Yuan(discount), "0.00", books.Yuan(taken), "0.00", books.Yuan(received + taken),
		}, ",") + "\r\n")
	}
	for _, store := range stores {
		row(store, by[store])
	}
	row("合计", lines)
	b.WriteString("#-----------------------------------------业务汇总列表结束------------------------------------\r\n")
	fmt.Fprintf(&b, "#导出时间：[%s]\r\n", s.books.Now().Format("2006年01月02日 15:04:05"))
	return b.String()
}
