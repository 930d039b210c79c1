package report

import (
	"cmp"
	"maps"
	"slices"

	"hishub/core"
	"hishub/core/reconcile"
)

// settlements holds what a channel owes, net of its fee, against what the bank
// received for that day.
func settlements(days []Day) Table {
	t := Table{Name: "settlements", Title: "到账核对", Note: "应到 = 支付 − 退款 − 手续费（按渠道账单）。Expected is payments less refunds less fee, by the channel's bill.", Columns: []Column{
		{"day", "日期", Text}, {"channel", "支付渠道", Text}, {"payments", "支付金额", Money}, {"refunds", "退款金额", Money}, {"fee", "手续费", Money},
		{"expected", "应到金额", Money}, {"received", "实到金额", Money}, {"difference", "差额", Money}, {"state", "状态", Text}, {"reference", "银行流水号", Number},
	}}
	type owed struct {
		pay, back, received core.Fen
		fee                 core.Millifen
		references          []string
	}
	var whole owed
	for _, d := range days {
		l := ledgerOf([]Day{d})
		by := map[core.Channel]*owed{}
		of := func(c core.Channel) *owed {
			if by[c] == nil {
				by[c] = new(owed)
			}
			return by[c]
		}
		for k, s := range l.sums {
			if !l.billed[k.channel] {
				continue
			}
			o := of(k.channel)
			if k.kind == core.EntryRefund {
				o.back += s[bill].amount
			} else {
				o.pay += s[bill].amount
			}
			o.fee += s[bill].fee
		}
		for _, s := range d.Settlements {
			o := of(s.Channel)
			o.received += s.Amount
			o.references = append(o.references, s.Reference)
		}
		for _, c := range slices.SortedFunc(maps.Keys(by), func(a, b core.Channel) int {
			return cmp.Or(cmp.Compare(rank(channels, string(a)), rank(channels, string(b))), cmp.Compare(a, b))
		}) {
			o := by[c]
			expected := o.pay - o.back - o.fee.Fen()
			state := Word{"differs", "不符"}
			switch {
			case expected == o.received:
				state = Word{"agrees", "相符"}
			case len(o.references) == 0:
				state = Word{"not_received", "未到账"}
			}
			t.add(ID(d.Day), channelWord(c), o.pay, o.back, o.fee.Fen(), expected, o.received, o.received-expected, state, ID(joined(o.references...)))
			whole.pay += o.pay
			whole.back += o.back
			whole.fee += o.fee
			whole.received += o.received
		}
	}
	if len(t.Rows) == 0 {
		return t
	}
	expected := whole.pay - whole.back - whole.fee.Fen()
	t.total(all, nil, whole.pay, whole.back, whole.fee.Fen(), expected, whole.received, whole.received-expected, nil, nil)
	return t
}

// operators is the day close of each of our accounts at the HIS.
func operators(days []Day) Table {
	t := Table{Name: "operators", Title: "操作员日结", Columns: []Column{
		{"operator", "操作员", Number}, {"channel", "支付渠道", Text}, {"business", "业务", Text},
		{"payments", "支付笔数", Count}, {"payment_amount", "支付金额", Money}, {"refunds", "退款笔数", Count}, {"refund_amount", "退款金额", Money}, {"net", "净收", Money},
	}}
	type account struct {
		operator string
		channel  core.Channel
		business reconcile.Business
	}
	type till struct{ pay, back sum }
	by, whole := map[account]*till{}, till{}
	person := map[string]*till{}
	put := func(t *till, l reconcile.Line) {
		s := sum{l.Count, l.Amount, l.Fee}
		if l.Type == core.EntryRefund {
			t.back.plus(s)
		} else {
			t.pay.plus(s)
		}
	}
	for _, d := range days {
		for _, l := range d.Night.Lines {
			if l.Party != reconcile.HIS || l.Type != core.EntryPayment && l.Type != core.EntryRefund {
				continue
			}
			k := account{l.Operator, l.Channel, l.Business}
			if by[k] == nil {
				by[k] = new(till)
			}
			if person[l.Operator] == nil {
				person[l.Operator] = new(till)
			}
			put(by[k], l)
			put(person[l.Operator], l)
			put(&whole, l)
		}
	}
	cells := func(t till) []any {
		return []any{t.pay.count, t.pay.amount, t.back.count, t.back.amount, t.pay.amount - t.back.amount}
	}
	keys := slices.SortedFunc(maps.Keys(by), func(a, b account) int {
		return cmp.Or(cmp.Compare(a.operator, b.operator), cmp.Compare(rank(channels, string(a.channel)), rank(channels, string(b.channel))), cmp.Compare(a.channel, b.channel),
			cmp.Compare(rank(businesses, string(a.business)), rank(businesses, string(b.business))))
	})
	for i, k := range keys {
		name := any(ID(k.operator))
		if k.operator == "" {
			name = unsplit
		}
		t.add(append([]any{name, channelWord(k.channel), businessWord(k.business)}, cells(*by[k])...)...)
		if last := i+1 == len(keys) || keys[i+1].operator != k.operator; last {
			t.total(append([]any{name, part, nil}, cells(*person[k.operator])...)...)
		}
	}
	if len(keys) == 0 {
		return t
	}
	t.total(append([]any{all, nil, nil}, cells(whole)...)...)
	return t
}
