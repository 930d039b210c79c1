package paychannel

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1" //nolint:gosec // WeChat's checksum of a bill is SHA1; it is no signature
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hishub/mocks/books"
)

const wechatApp = "wx0000000000000001"

// mostBills is how many bills can be downloaded at once; an older URL is no longer good.
const mostBills = 64

type preparedBill struct {
	token, day, sha1 string
	file             []byte
	packed           bool
}

// wechatColumn is one column of the bill: its name in the form of today and in
// the old one ("" is not in it), what a row has there, and, for those that the
// summary adds up, their name in it.
type wechatColumn struct {
	name, old string
	cell      func(Line) string
	sum       func(Line) int64 // in fen, or in 1/1000 fen for the fee
	total     string           // in the summary of today
	oldTotal  string
}

func yuan(of func(Line) int64) func(Line) string {
	return func(l Line) string { return books.Yuan(of(l)) }
}

func text(of string) func(Line) string { return func(Line) string { return of } }

// onlyPayment and onlyRefund give nothing for the other sort of line. A refund's
// line repeats what its payment was, but not the money of it.
func onlyPayment(of func(Line) int64) func(Line) int64 {
	return func(l Line) int64 {
		if l.Refund != nil {
			return 0
		}
		return of(l)
	}
}

func onlyRefund(of func(Refund) int64) func(Line) int64 {
	return func(l Line) int64 {
		if l.Refund == nil {
			return 0
		}
		return of(*l.Refund)
	}
}

func refundText(none string, of func(Refund) string) func(Line) string {
	return func(l Line) string {
		if l.Refund == nil {
			return none
		}
		return of(*l.Refund)
	}
}

func fee(l Line) int64 {
	if l.Refund != nil {
		return -l.Refund.FeeMillifen
	}
	return l.Payment.FeeMillifen
}

var (
	settled  = onlyPayment(func(l Line) int64 { return l.Payment.AmountFen - l.Payment.CouponFen })
	ordered  = onlyPayment(func(l Line) int64 { return l.Payment.AmountFen })
	coupon   = onlyPayment(func(l Line) int64 { return l.Payment.CouponFen })
	nothing  = func(Line) int64 { return 0 }
	givenOut = onlyRefund(func(r Refund) int64 { return r.AmountFen })
)

// wechatColumns are those of the form of today, 27. The old form has the first 24
// with other names for some, and the order's amount where today the settled one is.
//
// Source: pay.weixin.qq.com/doc/v3, format of the trade bill.
func wechatColumns(merchant string) []wechatColumn {
	return []wechatColumn{
		{name: "交易时间", old: "交易时间", cell: func(l Line) string { return l.At().In(Zone).Format(books.TimeLayout) }},
		{name: "公众账号ID", old: "公众账号ID", cell: text(wechatApp)},
		{name: "商户号", old: "商户号", cell: text(merchant)},
		{name: "特约商户号", old: "子商户号", cell: func(l Line) string {
			if l.Payment.SubMerchant == "" {
				return "0"
			}
			return l.Payment.SubMerchant
		}},
		{name: "设备号", old: "设备号", cell: text("")},
		{name: "微信订单号", old: "微信订单号", cell: func(l Line) string { return l.Payment.ChannelNo }},
		{name: "商户订单号", old: "商户订单号", cell: func(l Line) string { return l.Payment.Number }},
		{name: "用户标识", old: "用户标识", cell: text("oTEST000001")},
		{name: "交易类型", old: "交易类型", cell: text("JSAPI")},
		{name: "交易状态", old: "交易状态", cell: refundText("SUCCESS", func(Refund) string { return "REFUND" })},
		{name: "付款银行", old: "付款银行", cell: text("OTHERS")},
		{name: "货币种类", old: "货币种类", cell: text("CNY")},
		{name: "应结订单金额", cell: yuan(settled), sum: settled, total: "应结订单总金额"},
		{old: "总金额", cell: yuan(ordered), sum: ordered, oldTotal: "总交易额"},
		{name: "代金券金额", old: "代金券或立减优惠金额", cell: yuan(coupon)},
		{name: "微信退款单号", old: "微信退款单号", cell: refundText("0", func(r Refund) string { return r.ChannelNo })},
		{name: "商户退款单号", old: "商户退款单号", cell: refundText("0", func(r Refund) string { return r.Number })},
		{name: "退款金额", old: "退款金额", cell: yuan(givenOut), sum: givenOut, total: "退款总金额", oldTotal: "总退款金额"},
		{name: "充值券退款金额", old: "代金券或立减优惠退款金额", cell: yuan(nothing), sum: nothing, total: "充值券退款总金额", oldTotal: "总代金券或立减优惠退款金额"},
		{name: "退款类型", old: "退款类型", cell: refundText("", func(Refund) string { return "ORIGINAL" })},
		{name: "退款状态", old: "退款状态", cell: refundText("", func(r Refund) string {
			return map[string]string{Done: "SUCCESS", Processing: "PROCESSING", Closed: "CLOSED", Abnormal: "CHANGE"}[r.Billed]
		})},
		{name: "商品名称", old: "商品名称", cell: func(l Line) string { return l.Payment.Subject }},
		{name: "商户数据包", old: "商户数据包", cell: func(l Line) string { return l.Payment.Attach }},
		{name: "手续费", old: "手续费", cell: func(l Line) string { return millifen(fee(l)) }, sum: fee, total: "手续费总金额", oldTotal: "手续费总金额"},
		{name: "费率", old: "费率", cell: text("0.60%")},
		{name: "订单金额", cell: yuan(ordered), sum: ordered, total: "订单总金额"},
		{name: "申请退款金额", cell: yuan(givenOut), sum: givenOut, total: "申请退款总金额"},
		{name: "费率备注", cell: text("")},
	}
}

// millifen writes 1/1000 fen as yuan with five decimals.
func millifen(m int64) string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	return fmt.Sprintf("%s%d.%05d", sign, m/100_000, m%100_000)
}

// prepareWeChatBill writes the bill, with whatever faults strike it, and keeps it
// for the download.
func (s *Server) prepareWeChatBill(day string, lines []Line, packed bool) (preparedBill, error) {
	content := s.writeWeChatBill(day, lines)
	sum := sha1.Sum(content) //nolint:gosec // as above
	bill := preparedBill{token: newToken(), day: day, sha1: hex.EncodeToString(sum[:]), file: content, packed: packed}
	if s.strikes(BillWrongChecksum, day) {
		spoil(content)
	}
	if s.strikes(BillOtherHash, day) {
		other := sha1.Sum([]byte(bill.sha1)) //nolint:gosec // as above
		bill.sha1 = hex.EncodeToString(other[:])
	}
	if packed {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(content); err != nil {
			return bill, err
		}
		if err := z.Close(); err != nil {
			return bill, err
		}
		bill.file = b.Bytes()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bills = append(s.bills, bill)
	if over := len(s.bills) - mostBills; over > 0 {
		s.bills = slices.Delete(s.bills, 0, over)
	}
	return bill, nil
}

// spoil changes the last digit of the file.
func spoil(content []byte) {
	for i := len(content) - 1; i >= 0; i-- {
		if content[i] >= '0' && content[i] <= '9' {
			content[i] = '0' + (content[i]-'0'+1)%10
			return
		}
	}
}

func (s *Server) writeWeChatBill(day string, lines []Line) []byte {
	old := s.strikes(BillOldForm, day)
	var columns []wechatColumn
	for _, c := range wechatColumns(s.options.Merchant) {
		if old {
			c.name, c.total = c.old, c.oldTotal
		}
		if c.name != "" {
			columns = append(columns, c)
		}
	}
	summed := slices.Clone(columns) // the summary keeps its order
	if s.strikes(BillMixedColumns, day) {
		slices.Reverse(columns)
	}
	if s.strikes(BillExtraColumn, day) {
		columns = slices.Insert(columns, 4, wechatColumn{name: "门店编号", cell: text("07")})
	}
	if len(lines) > 0 && s.strikes(BillDroppedRow, day) {
		lines = lines[1:]
	}
	if s.strikes(BillDoubledRows, day) {
		doubled := make([]Line, 0, 2*len(lines))
		for _, l := range lines {
			doubled = append(doubled, l, l)
		}
		lines = doubled
	}
	rows := lines
	if len(lines) > 0 && s.strikes(BillLostRow, day) {
		rows = lines[1:]
	}
	var b bytes.Buffer
	b.WriteString("\ufeff")
	writeRow(&b, columns, func(c wechatColumn) string { return c.name }, "")
	for _, l := range rows {
		writeRow(&b, columns, func(c wechatColumn) string { return c.cell(l) }, "`")
	}
	if s.strikes(BillTruncated, day) {
		whole := bytes.TrimRight(b.Bytes(), "\r\n")
		return slices.Clone(whole[:len(whole)-12])
	}
	if !s.strikes(BillWithoutSum, day) {
		writeSummary(&b, summed, lines)
	}
	return b.Bytes()
}

var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

func writeRow(b *bytes.Buffer, columns []wechatColumn, cell func(wechatColumn) string, mark string) {
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(mark)
		b.WriteString(oneLine.Replace(cell(c)))
	}
	b.WriteString("\r\n")
}

// writeSummary puts the two lines at the end: how many, and the sums. A sum of
// today's form stands in another order than its column.
func writeSummary(b *bytes.Buffer, columns []wechatColumn, lines []Line) {
	names, values := []string{"总交易单数"}, []string{strconv.Itoa(len(lines))}
	for _, c := range columns {
		if c.total == "" {
			continue
		}
		var sum int64
		for _, l := range lines {
			sum += c.sum(l)
		}
		value := books.Yuan(sum)
		if c.total == "手续费总金额" {
			value = millifen(sum)
		}
		names, values = append(names, c.total), append(values, value)
	}
	b.WriteString(strings.Join(names, ",") + "\r\n`" + strings.Join(values, ",`") + "\r\n")
}
