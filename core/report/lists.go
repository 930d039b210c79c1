package report

import (
	"strings"
	"time"

	"hishub/core"
	"hishub/core/reconcile"
)

// onItsWay reports whether entries of the class wait for another day.
func onItsWay(c reconcile.Class) bool {
	return c == reconcile.InTransit || c == reconcile.RefundInTransit || c == reconcile.CrossDay
}

// entries are the columns of a finding that each list has.
var entries = []Column{
	{"day", "日期", Text}, {"class", "分类", Text}, {"type", "类型", Text}, {"number", "单号", Number},
	{"bill_amount", "账单金额", Money}, {"ours_amount", "平台金额", Money}, {"his_amount", "HIS金额", Money}, {"amount", "涉及金额", Money},
}

// numbers are the other parties' numbers of a finding.
var numbers = []Column{{"channel", "支付渠道", Text}, {"channel_no", "渠道流水号", Number}, {"his_no", "HIS单号", Number}}

func finding(day string, f reconcile.Finding) []any {
	row := []any{ID(day), classWord(f.Class), typeWord(f.Type), ID(f.Number)}
	for _, p := range reconcile.Parties {
		row = append(row, amountOf(f.Entries(p)))
	}
	return append(row, f.Amount)
}

func numbersOf(f reconcile.Finding) []any {
	var channel core.Channel
	var channelNo, hisNo string
	for _, p := range reconcile.Parties {
		for _, e := range f.Entries(p) {
			if channel == "" {
				channel = e.Channel
			}
			if channelNo == "" {
				channelNo = e.ChannelNo
			}
			if hisNo == "" {
				hisNo = e.HisNo
			}
		}
	}
	if channel == "" {
		return []any{nil, ID(channelNo), ID(hisNo)}
	}
	return []any{channelWord(channel), ID(channelNo), ID(hisNo)}
}

// amountOf all entries of a party; nil where it has none, which is not zero.
func amountOf(es []reconcile.Entry) any {
	if len(es) == 0 {
		return nil
	}
	var all core.Fen
	for _, e := range es {
		all += e.Amount
	}
	return all
}

// since is when the first of a finding's entries was booked.
func since(f reconcile.Finding) (first time.Time) {
	for _, p := range reconcile.Parties {
		for _, e := range f.Entries(p) {
			if !e.At.IsZero() && (first.IsZero() || e.At.Before(first)) {
				first = e.At
			}
		}
	}
	return first
}

type caseOf struct {
	kind   core.EntryType
	number string
}

// newest case of each number.
func newest(all []reconcile.Case) map[caseOf]reconcile.Case {
	found := map[caseOf]reconcile.Case{}
	for _, c := range all {
		if k := (caseOf{c.Type, c.Number}); found[k].ID < c.ID {
			found[k] = c
		}
	}
	return found
}

// decision is what people did about a case, the newest word first.
func decision(c reconcile.Case) []any {
	var action, state, by any
	if r := c.Repair; r != nil {
		action, state = wordOf(actions, string(r.Action)), wordOf(repairs, string(r.State))
		by = joined(r.ApprovedBy, r.SecondBy)
		if by == "" {
			by = r.ProposedBy
		}
	}
	return []any{wordOf(owners, c.Owner), wordOf(cases, string(c.State)), action, state, by, ID(countText(c.ID))}
}

var decisions = []Column{
	{"owner", "负责", Text}, {"case_state", "处理状态", Text}, {"repair", "处理方式", Text}, {"repair_state", "审批执行", Text}, {"by", "经手人", Text}, {"case", "案件号", Number},
}

// differences lists what somebody must look into.
func differences(days []Day) Table {
	t := Table{Name: "differences", Title: "差异"}
	t.Columns = append(t.Columns, entries...)
	t.Columns = append(t.Columns, Column{"age_days", "账龄天数", Count})
	t.Columns = append(t.Columns, decisions...)
	t.Columns = append(t.Columns, numbers...)
	t.Columns = append(t.Columns, Column{"cause", "原因", Long})
	var count int64
	var amount core.Fen
	for _, d := range days {
		if d.Night.State == "" || d.Night.State == reconcile.NightWaiting || d.Night.State == reconcile.NightFailed {
			t.Note = "未对账的日子不在此列。Days that were not compared are not in this list."
		}
		known := newest(d.Cases)
		for _, f := range d.Findings {
			if !f.Class.Difference() {
				continue
			}
			count++
			amount += f.Amount
			row := append(finding(d.Day, f), age(d.Day, d.Made, d.Zone))
			if c, ok := known[caseOf{f.Type, f.Number}]; ok {
				row = append(row, decision(c)...)
			} else {
				row = append(row, wordOf(owners, string(f.Class.Meaning().Owner)), nil, nil, nil, nil, nil)
			}
			row = append(row, numbersOf(f)...)
			t.add(append(row, f.Cause)...)
		}
	}
	t.totalOf("number", count, "amount", amount)
	return t
}

// totalOf adds a sum whose cells are blank but for the count and one amount; an
// empty list gets none.
func (t *Table) totalOf(countAt string, count int64, amountAt string, amount core.Fen) {
	if count == 0 {
		return
	}
	cells := make([]any, len(t.Columns))
	cells[0] = all
	cells[t.column(countAt)] = count
	cells[t.column(amountAt)] = amount
	t.total(cells...)
}

// open lists the cases that are still live, of these days and of earlier ones.
func open(days []Day) Table {
	t := Table{Name: "open-cases", Title: "未结案件", Columns: []Column{
		{"day", "日期", Text}, {"class", "分类", Text}, {"type", "类型", Text}, {"number", "单号", Number}, {"amount", "涉及金额", Money}, {"age_days", "账龄天数", Count},
	}}
	t.Columns = append(t.Columns, decisions...)
	seen := map[int64]bool{}
	var count int64
	var amount core.Fen
	for _, d := range days {
		for _, c := range d.Cases {
			if c.State == reconcile.CaseResolved || c.State == reconcile.CaseWrittenOff || seen[c.ID] {
				continue
			}
			seen[c.ID] = true
			count++
			amount += c.Amount
			row := []any{ID(c.Day), classWord(c.Class), typeWord(c.Type), ID(c.Number), c.Amount, age(c.Day, d.Made, d.Zone)}
			t.add(append(row, decision(c)...)...)
		}
	}
	t.totalOf("number", count, "amount", amount)
	return t
}

// transit lists what is on its way, or may count on a neighbour of its day.
func transit(days []Day) Table {
	t := Table{Name: "in-transit", Title: "在途"}
	t.Columns = append(t.Columns, entries...)
	t.Columns = append(t.Columns, Column{"since", "起始时间", Moment}, Column{"age_days", "在途天数", Count})
	t.Columns = append(t.Columns, numbers...)
	t.Columns = append(t.Columns, Column{"cause", "原因", Long})
	return listed(t, days, func(d Day, f reconcile.Finding) []any {
		if !onItsWay(f.Class) {
			return nil
		}
		row := append(finding(d.Day, f), d.shown(since(f)), age(d.Day, d.Made, d.Zone))
		return append(append(row, numbersOf(f)...), f.Cause)
	})
}

// excluded lists what a rule left out.
func excluded(days []Day) Table {
	t := Table{Name: "excluded", Title: "不计"}
	t.Columns = append(t.Columns, entries...)
	t.Columns = append(t.Columns, numbers...)
	t.Columns = append(t.Columns, Column{"cause", "原因", Long})
	return listed(t, days, func(d Day, f reconcile.Finding) []any {
		if f.Class != reconcile.Excluded {
			return nil
		}
		return append(append(finding(d.Day, f), numbersOf(f)...), f.Cause)
	})
}

func listed(t Table, days []Day, row func(Day, reconcile.Finding) []any) Table {
	var count int64
	var amount core.Fen
	for _, d := range days {
		for _, f := range d.Findings {
			if cells := row(d, f); cells != nil {
				t.add(cells...)
				count++
				amount += f.Amount
			}
		}
	}
	t.totalOf("number", count, "amount", amount)
	return t
}

// adjustments lists what was found on these days about days that were closed.
func adjustments(days []Day) Table {
	t := Table{Name: "adjustments", Title: "调整", Note: "已关账日期不再变动，事后发现的变化计入发现当日。A closed day never changes; what is found later is booked on the day on which it is found."}
	t.Columns = []Column{{"booked_on", "入账日期", Text}, {"change", "变化", Text}}
	t.Columns = append(t.Columns, entries...)
	t.Columns = append(t.Columns, Column{"run", "批次", Count}, Column{"found", "发现时间", Moment}, Column{"cause", "原因", Long})
	for _, d := range days {
		for _, a := range d.Adjustments {
			change := Word{"new", "新增"}
			if a.Gone {
				change = Word{"gone", "消除"}
			}
			row := append([]any{ID(d.Day), change}, finding(a.Day, a.Finding)...)
			t.add(append(row, int64(a.Run), d.shown(a.At), a.Cause)...)
		}
	}
	return t
}

// refunds lists when money that went back arrived.
func refunds(days []Day) Table {
	t := Table{Name: "refunds", Title: "退款到账", Columns: []Column{
		{"day", "日期", Text}, {"number", "退款单号", Number}, {"order", "原订单号", Number}, {"channel", "支付渠道", Text}, {"channel_no", "渠道流水号", Number}, {"amount", "金额", Money},
		{"asked", "申请时间", Moment}, {"state", "状态", Text}, {"arrived", "到账时间", Moment}, {"hours", "用时小时", Count},
	}}
	var count int64
	var amount core.Fen
	for _, d := range days {
		for _, r := range d.Refunds {
			var took any
			until := r.ArrivedAt
			if until.IsZero() && r.State == core.EntryProcessing {
				until = d.Made
			}
			if !r.AskedAt.IsZero() && until.After(r.AskedAt) {
				took = int64(until.Sub(r.AskedAt) / time.Hour)
			}
			t.add(ID(d.Day), ID(r.Number), ID(r.OrderID), channelWord(r.Channel), ID(r.ChannelNo), r.Amount, d.shown(r.AskedAt), wordOf(arrivals, string(r.State)), d.shown(r.ArrivedAt), took)
			count++
			amount += r.Amount
		}
	}
	t.totalOf("number", count, "amount", amount)
	return t
}

// books lists what was compared.
func books(days []Day) Table {
	t := Table{Name: "books", Title: "对账依据", Columns: []Column{
		{"day", "日期", Text}, {"party", "账套", Text}, {"source", "来源", Text}, {"taken", "获取时间", Moment}, {"entries", "笔数", Count}, {"amount", "净收金额", Money}, {"fee", "手续费", Money}, {"digest", "摘要", Number},
	}}
	for _, d := range days {
		for _, s := range d.Night.Statements {
			t.add(ID(d.Day), wordOf(parties, string(s.Party)), sourceWord(s.Source), d.shown(s.Taken), s.Entries, s.Amount, s.Fee.Fen(), ID(s.Digest))
		}
	}
	return t
}

// sourceWord of a statement: a channel, or a question of the catalogue.
func sourceWord(source string) any {
	if w := wordOf(channels, source); w.Chinese != "" && !strings.Contains(source, ".") {
		return w
	}
	return source
}
