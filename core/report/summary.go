package report

import (
	"cmp"
	"maps"
	"slices"

	"hishub/core"
	"hishub/core/reconcile"
)

// sum of entries. A fee is kept in 1/1000 fen and rounded once, where it is shown:
// a total can differ by a fen from what its rounded rows add up to.
type sum struct {
	count  int64
	amount core.Fen
	fee    core.Millifen
}

func (s *sum) plus(o sum) {
	s.count += o.count
	s.amount += o.amount
	s.fee += o.fee
}

// net is what the entries leave in the hospital's account.
func (s sum) net(t core.EntryType) core.Fen {
	if t == core.EntryRefund {
		return -s.amount - s.fee.Fen()
	}
	return s.amount - s.fee.Fen()
}

// threeWay are the sums of all parties.
type threeWay [3]sum // in the order of reconcile.Parties

const (
	bill = iota
	ours
	his
)

func place(p reconcile.Party) int { return slices.Index(reconcile.Parties, p) }

// group of entries that are summed.
type group struct {
	channel  core.Channel
	business reconcile.Business
	kind     core.EntryType
}

// ledger holds the sums of days, and how finely each party tells its own.
type ledger struct {
	sums map[group]*threeWay
	// billed channels give a bill. Money of others needs no line in one, so that a
	// difference would say nothing.
	billed map[core.Channel]bool
	// told: the HIS gave its books, or their totals.
	told bool
	// lumped: the party told a sum without the channel, or a channel's without what it was for.
	lumped      map[lump]bool
	lumpedWhole [3]map[core.EntryType]bool
}

type lump struct {
	party   int
	channel core.Channel
	kind    core.EntryType
}

func ledgerOf(days []Day) ledger {
	l := ledger{sums: map[group]*threeWay{}, billed: map[core.Channel]bool{}, lumped: map[lump]bool{}}
	for i := range l.lumpedWhole {
		l.lumpedWhole[i] = map[core.EntryType]bool{}
	}
	for _, d := range days {
		for _, s := range d.Night.Statements {
			switch s.Party {
			case reconcile.Channel:
				l.billed[core.Channel(s.Source)] = true
			case reconcile.HIS:
				l.told = true
			}
		}
		for _, line := range d.Night.Lines {
			l.add(line)
		}
	}
	return l
}

func (l *ledger) add(line reconcile.Line) {
	p := place(line.Party)
	if p < 0 || line.Type != core.EntryPayment && line.Type != core.EntryRefund {
		return
	}
	k := group{line.Channel, line.Business, line.Type}
	if l.sums[k] == nil {
		l.sums[k] = new(threeWay)
	}
	l.sums[k][p].plus(sum{line.Count, line.Amount, line.Fee})
	switch p {
	case bill:
		l.billed[line.Channel] = true
	case his:
		l.told = true
	}
	if line.Business == "" {
		l.lumped[lump{p, line.Channel, line.Type}] = true
	}
	if line.Channel == "" {
		l.lumpedWhole[p][line.Type] = true
	}
}

// groups in the order of reports.
func (l *ledger) groups() []group {
	return slices.SortedFunc(maps.Keys(l.sums), func(a, b group) int {
		return cmp.Or(
			cmp.Compare(rank(channels, string(a.channel)), rank(channels, string(b.channel))), cmp.Compare(a.channel, b.channel),
			cmp.Compare(rank(types, string(a.kind)), rank(types, string(b.kind))),
			cmp.Compare(rank(businesses, string(a.business)), rank(businesses, string(b.business))), cmp.Compare(a.business, b.business),
		)
	})
}

// of sums the groups that match.
func (l *ledger) of(match func(group) bool) (all threeWay) {
	for k, s := range l.sums {
		if match(k) {
			for p := range s {
				all[p].plus(s[p])
			}
		}
	}
	return all
}

// comparable reports whether a party's sum of the group and ours are about the
// same entries. split is false for the sum over all that money was for.
func (l *ledger) comparable(p int, k group, split bool) bool {
	switch {
	case p == bill && !l.billed[k.channel], p == his && !l.told, l.lumpedWhole[p][k.kind]:
		return false
	case split:
		return !l.lumped[lump{p, k.channel, k.kind}] && !l.lumped[lump{ours, k.channel, k.kind}]
	}
	return true
}

// gap is a party's count and amount less ours; empty cells where it would say nothing.
func gap(s threeWay, p int, comparable bool) []any {
	if !comparable {
		return []any{nil, nil}
	}
	return []any{s[p].count - s[ours].count, s[p].amount - s[ours].amount}
}

// summary is hospital x channel x type x what it was for.
func summary(days []Day) Table {
	t := Table{
		Name: "summary", Title: "汇总",
		Note: "净额 = 金额 − 手续费（退款为负）；手续费在合计时一次四舍五入。差额只在双方口径一致时给出。Differences are given only where both tell the same split.",
		Columns: []Column{
			{"hospital", "医院", Text}, {"channel", "支付渠道", Text}, {"business", "业务", Text}, {"type", "收退", Text},
			{"bill_count", "账单笔数", Count}, {"bill_amount", "账单金额", Money}, {"bill_fee", "手续费", Money}, {"bill_net", "净额", Money},
			{"ours_count", "平台笔数", Count}, {"ours_amount", "平台金额", Money}, {"ours_fee", "平台手续费", Money}, {"ours_net", "平台净额", Money},
			{"his_count", "HIS笔数", Count}, {"his_amount", "HIS金额", Money}, {"his_fee", "HIS手续费", Money}, {"his_net", "HIS净额", Money},
			{"bill_less_ours_count", "账单−平台笔数", Count}, {"bill_less_ours", "账单−平台金额", Money}, {"his_less_ours_count", "HIS−平台笔数", Count}, {"his_less_ours", "HIS−平台金额", Money},
		},
	}
	if len(days) == 0 {
		return t
	}
	l, hospital := ledgerOf(days), ID(days[0].Hospital)
	cells := func(channel, business any, kind core.EntryType, s threeWay, billed bool, gaps ...[]any) []any {
		row := []any{hospital, channel, business, typeWord(kind)}
		for p := range s {
			if p == bill && !billed || p == his && !l.told { // no books, which are not empty books
				row = append(row, nil, nil, nil, nil)
				continue
			}
			row = append(row, s[p].count, s[p].amount, s[p].fee.Fen(), s[p].net(kind))
		}
		return append(row, slices.Concat(gaps...)...)
	}
	groups := l.groups()
	for i, k := range groups {
		s := *l.sums[k]
		t.add(cells(channelWord(k.channel), businessWord(k.business), k.kind, s, l.billed[k.channel], gap(s, bill, l.comparable(bill, k, true)), gap(s, his, l.comparable(his, k, true)))...)
		last := i+1 == len(groups) || groups[i+1].channel != k.channel || groups[i+1].kind != k.kind
		if first := i == 0 || groups[i-1].channel != k.channel || groups[i-1].kind != k.kind; !last || first && k.business != "" {
			continue // the sum of one row is that row
		}
		s = l.of(func(g group) bool { return g.channel == k.channel && g.kind == k.kind })
		t.total(cells(channelWord(k.channel), part, k.kind, s, l.billed[k.channel], gap(s, bill, l.comparable(bill, k, false)), gap(s, his, l.comparable(his, k, false)))...)
	}
	if len(groups) == 0 {
		return t
	}
	for _, kind := range []core.EntryType{core.EntryPayment, core.EntryRefund} {
		s := l.of(func(g group) bool { return g.kind == kind })
		// A bill is held against what we have of its own channel only.
		billed := l.of(func(g group) bool { return g.kind == kind && l.billed[g.channel] })
		t.total(cells(all, nil, kind, s, len(l.billed) > 0, gap(billed, bill, len(l.billed) > 0), gap(s, his, l.told))...)
	}
	return t
}

// roll is a line for each day.
func roll(days []Day) Table {
	t := Table{
		Name: "days", Title: "逐日",
		Columns: []Column{
			{"day", "日期", Text}, {"state", "状态", Text},
			{"ours_payments", "平台支付笔数", Count}, {"ours_payment_amount", "平台支付金额", Money}, {"ours_refunds", "平台退款笔数", Count}, {"ours_refund_amount", "平台退款金额", Money},
			{"bill_payments", "账单支付笔数", Count}, {"bill_payment_amount", "账单支付金额", Money}, {"bill_refunds", "账单退款笔数", Count}, {"bill_refund_amount", "账单退款金额", Money},
			{"fee", "手续费", Money}, {"net", "账单净额", Money},
			{"his_payments", "HIS支付笔数", Count}, {"his_payment_amount", "HIS支付金额", Money}, {"his_refunds", "HIS退款笔数", Count}, {"his_refund_amount", "HIS退款金额", Money},
			{"differences", "差异笔数", Count}, {"difference_amount", "差异金额", Money}, {"in_transit", "在途笔数", Count}, {"adjustments", "调整笔数", Count},
		},
	}
	cells := func(day, state any, days []Day) []any {
		l := ledgerOf(days)
		pay := l.of(func(g group) bool { return g.kind == core.EntryPayment })
		back := l.of(func(g group) bool { return g.kind == core.EntryRefund })
		row := []any{day, state}
		for _, p := range []int{ours, bill, his} {
			row = append(row, pay[p].count, pay[p].amount, back[p].count, back[p].amount)
			if p == bill {
				fee := (pay[p].fee + back[p].fee).Fen()
				row = append(row, fee, pay[p].amount-back[p].amount-fee)
			}
		}
		var differ, way, late int64
		var amount core.Fen
		for _, d := range days {
			differ += int64(d.Differences())
			amount += d.questioned()
			late += int64(len(d.Adjustments))
			for _, f := range d.Findings {
				if onItsWay(f.Class) {
					way++
				}
			}
		}
		return append(row, differ, amount, way, late)
	}
	for _, d := range days {
		t.add(cells(ID(d.Day), stateOf(d.Night), []Day{d})...)
	}
	t.total(cells(all, nil, days)...)
	return t
}
