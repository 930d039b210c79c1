package sealedhis

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

// preSettlement is the first of the two steps of a payment.
type preSettlement struct {
	no, order string
	bills     []string
	fen       int64
	until     time.Time
	taken     bool // taken back
}

func (p *preSettlement) live() bool { return p != nil && !p.taken && time.Now().Before(p.until) }

// begun are the pre-settlements. The lock is held over a whole step, so that a
// confirm and a taking back cannot cross.
type begun struct {
	sync.Mutex
	byNo, byOrder map[string]*preSettlement // of an order the newest
}

func (p *preSettlement) result() fields {
	return fields{"jsid": p.no, "ddh": p.order, "zje": inFen(p.fen), "yxq": p.until.In(books.Zone).Format(books.TimeLayout)}
}

// begin pre-settles: nothing is booked, and the same order again finds what is open.
func (h *HIS) begin(in *input, _ fault.Kind) answer {
	if name := missing("ddh", in.Ddh, "jzlsh", in.Jzlsh, "brid", in.Brid, "djh", strings.Join(in.Djh, "")); name != "" {
		return lacking(name)
	}
	sum, ok := fen(in.Zje)
	if !ok || sum == 0 {
		return refuse("参数错误: zje")
	}
	h.begun.Lock()
	defer h.begun.Unlock()
	if s, ok := h.books.Settlement(in.Ddh); ok && h.options.Repeats != books.Double {
		return answer{words: "[1005]单据已存在，请勿重复提交", effect: string(books.Already), result: settlement(s)}
	}
	p := h.begun.byOrder[in.Ddh]
	switch {
	case p.live() && p.fen != sum:
		return refuse("[1004]重复提交内容不一致")
	case p.live():
		return answer{result: p.result(), effect: string(books.Already)}
	case h.books.Voided(in.Djh):
		return refuse("处方已作废")
	}
	p = &preSettlement{no: h.books.Number("J"), order: in.Ddh, bills: in.Djh, fen: sum, until: time.Now().Add(h.options.PreLife)}
	h.begun.byNo[p.no], h.begun.byOrder[p.order] = p, p
	return answer{result: p.result(), effect: "begun"}
}

func settlement(s books.Settlement) fields {
	return fields{"ddh": s.Order, "jsid": s.HisNo, "fph": "FP" + s.HisNo, "zje": inFen(s.AmountFen), "ytje": inFen(s.RefundedFen)}
}

// confirm books what was begun.
func (h *HIS) confirm(in *input, kind fault.Kind) answer {
	if name := missing("ddh", in.Ddh, "jsid", in.Jsid, "zffs", in.Zffs, "zflsh", in.Zflsh, "zfsj", in.Zfsj); name != "" {
		return lacking(name)
	}
	sum, ok := fen(in.Zje)
	if !ok {
		return refuse("参数错误: zje")
	}
	h.begun.Lock()
	defer h.begun.Unlock()
	p := h.begun.byNo[in.Jsid]
	if _, settled := h.books.Settlement(in.Ddh); !settled || h.options.Repeats == books.Double {
		switch { // only a first settlement needs a good first step; a repeat is judged by the books
		case p == nil || p.order != in.Ddh:
			return refuse("预结算不存在")
		case p.taken:
			return refuse("预结算已撤销")
		case !p.live():
			return refuse("预结算已过期")
		case p.fen != sum:
			return refuse("金额与预结算不符")
		}
	}
	s := books.Settlement{Order: in.Ddh, HisNo: in.Jsid, Channel: in.Zffs, ChannelNo: in.Zflsh, Operator: in.operator, AmountFen: sum, PaidAt: in.Zfsj}
	if p != nil {
		s.Bills = p.bills
	}
	r := h.books.Settle(s)
	held, _ := h.books.Settlement(in.Ddh)
	return booked(r, kind, settlement(held))
}

// takeBack undoes a first step; twice is harmless, after the second it is refused.
func (h *HIS) takeBack(in *input, _ fault.Kind) answer {
	if in.Jsid == "" {
		return lacking("jsid")
	}
	h.begun.Lock()
	defer h.begun.Unlock()
	p := h.begun.byNo[in.Jsid]
	if p == nil || p.taken {
		return answer{result: fields{"jsid": in.Jsid}, effect: string(books.Already)}
	}
	if _, settled := h.books.Settlement(p.order); settled {
		return refuse("已结算，不能撤销")
	}
	p.taken = true
	return answer{result: fields{"jsid": in.Jsid}, effect: "undone"}
}

// payment tells where an order is: 0 none, 1 settled, 2 pre-settled.
func (h *HIS) payment(in *input, _ fault.Kind) answer {
	if in.Ddh == "" {
		return lacking("ddh")
	}
	h.begun.Lock()
	defer h.begun.Unlock()
	out := fields{"jszt": "0"}
	if s, ok := h.books.Settlement(in.Ddh); ok {
		out = settlement(s)
		out["jszt"] = "1"
	} else if p := h.begun.byOrder[in.Ddh]; p.live() {
		out = p.result()
		out["jszt"] = "2"
	}
	return told(out)
}

func (h *HIS) refund(in *input, kind fault.Kind) answer {
	if name := missing("tkdh", in.Tkdh, "ddh", in.Ddh, "tksj", in.Tksj); name != "" {
		return lacking(name)
	}
	sum, ok := fen(in.Tkje)
	if !ok {
		return refuse("参数错误: tkje")
	}
	r := h.books.Refund(books.Refund{No: in.Tkdh, Order: in.Ddh, Operator: in.operator, AmountFen: sum, RefundedAt: in.Tksj, Reversal: in.Czbz == "1"}, in.Jsid)
	return booked(r, kind, fields{"tkdh": in.Tkdh, "histkh": r.HisNo, "tkje": inFen(r.AmountFen)})
}

func (h *HIS) refundState(in *input, _ fault.Kind) answer {
	if in.Tkdh == "" {
		return lacking("tkdh")
	}
	r, ok := h.books.RefundOf(in.Tkdh)
	if !ok {
		return told(fields{"tkzt": "0"})
	}
	return told(fields{"tkzt": "1", "tkdh": r.No, "histkh": r.HisNo, "tkje": inFen(r.AmountFen)})
}

// unpaid lists bills; the lines of each travel as a text. Without any there is no list.
func (h *HIS) unpaid(in *input, _ fault.Kind) answer {
	if in.Jzlsh == "" && in.Brid == "" {
		return lacking("jzlsh")
	}
	var bills []fields
	for _, p := range h.books.Unpaid(in.Jzlsh, in.Brid) {
		var lines []fields
		for _, l := range p.Lines {
			lines = append(lines, fields{"ypbm": l.Code, "ypmc": l.Name, "sl": l.Qty, "dj": l.Price, "je": inFen(l.AmountFen)})
		}
		bills = append(bills, fields{"djh": p.HisNo, "cfbh": p.No, "lbmc": "药费", "zje": inFen(p.AmountFen), "mx": string(compact(lines))})
	}
	if bills == nil {
		return told(fields{})
	}
	return told(map[string]any{"fylb": bills})
}

func (h *HIS) ledgerTotal(in *input, _ fault.Kind) answer {
	if len(in.Rq) != len("2026-01-05") {
		return lacking("rq")
	}
	t := h.books.LedgerTotals(books.Asked{Day: in.Rq})
	return told(fields{"sfbs": strconv.Itoa(t.Payments), "sfje": inFen(t.PaymentFen), "tfbs": strconv.Itoa(t.Refunds), "tfje": inFen(t.RefundsFen)})
}

// ledgerDetail gives pages of at most 500. Times of refunds are written otherwise
// than those of payments: so it is with the insurance's interfaces.
func (h *HIS) ledgerDetail(in *input, _ fault.Kind) answer {
	page, err := strconv.Atoi(in.Ym)
	size, wrong := strconv.Atoi(in.Mys)
	if len(in.Rq) != len("2026-01-05") || err != nil || wrong != nil || page < 1 || size < 1 || size > 500 {
		return refuse("参数错误: rq, ym 或 mys")
	}
	all := h.books.Ledger(books.Asked{Day: in.Rq})
	from, to := min((page-1)*size, len(all)), min(page*size, len(all))
	rows := []fields{}
	for _, row := range all[from:to] {
		m := fields{"lx": "1", "ddh": row.Order, "tkdh": row.RefundNo, "jsid": row.HisNo, "zflsh": row.ChannelNo, "zffs": row.Channel, "czy": row.Operator,
			"je": inFen(row.AmountFen), "sj": row.Time, "czbz": "0", "djh": strings.Join(row.Bills, ",")}
		if row.Refund {
			m["lx"], m["sj"] = "2", strings.NewReplacer("-", "", ":", "", " ", "").Replace(row.Time)
		}
		if row.Reversal {
			m["czbz"] = "1"
		}
		rows = append(rows, m)
	}
	return told(fields{"zs": strconv.Itoa(len(all)), "mxlb": string(compact(rows))})
}
