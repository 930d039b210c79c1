package asmxhis

import (
	"strconv"
	"strings"

	"hishub/mocks/books"
)

func (h *HIS) saveFee(p params) reply {
	sum, err := books.ParseYuan(p["totCost"])
	if err != nil {
		return refuse("参数错误: totCost")
	}
	r := h.books.Settle(books.Settlement{
		Order: p["orderNo"], Channel: p["payMode"], ChannelNo: p["transNo"], Operator: p["operCode"],
		Bills: strings.Split(p["recipeNo"], ","), AmountFen: sum, PaidAt: p["payTime"],
	})
	return booked(r, "SaveFee", "该处方已收费,请勿重复收费", "INVOICENO", r.HisNo, "TOT_COST", books.Yuan(r.AmountFen), "WINDOWNAME", "门诊西药房3号窗")
}

func (h *HIS) getReceiptStatus(p params) reply {
	s, ok := h.books.Settlement(p["orderNo"])
	if !ok {
		return noData()
	}
	var d document
	d.row("RecieptStatus", "ORDER_NO", s.Order, "INVOICENO", s.HisNo, "PAY_FLAG", "1", "TOT_COST", books.Yuan(s.AmountFen), "BACK_COST", books.Yuan(s.RefundedFen), "FEEDATE", s.PaidAt)
	return told(&d)
}

func (h *HIS) refundFee(p params) reply {
	sum, err := books.ParseYuan(p["totCost"])
	if err != nil {
		return refuse("参数错误: totCost")
	}
	back := books.Refund{No: p["refundNo"], Order: p["orderNo"], Operator: p["operCode"], AmountFen: sum, RefundedAt: p["refundTime"]}
	book := h.books.Refund
	if details := p["details"]; details != "" {
		doc, ok := parse(details)
		if !ok || doc.XMLName.Local != "Details" || len(doc.Kids) == 0 {
			return refuse("参数错误: details")
		}
		for i := range doc.Kids {
			line := &doc.Kids[i]
			fen, err := books.ParseYuan(line.value("TOT_COST"))
			if err != nil {
				return refuse("参数错误: details/TOT_COST")
			}
			back.Lines = append(back.Lines, books.RefundLine{Bill: line.value("RECIPE_NO"), No: line.value("SEQNO"), AmountFen: fen})
		}
		book = h.books.RefundLines
	}
	r := book(back, p["invoiceNo"])
	return booked(r, "RefundFee", "该退费已存在", "RETURN_NO", r.HisNo, "TOT_COST", books.Yuan(r.AmountFen))
}

func (h *HIS) queryRefund(p params) reply {
	r, ok := h.books.RefundOf(p["refundNo"])
	if !ok {
		return noData()
	}
	var d document
	d.row("RefundFee", "REFUND_NO", r.No, "RETURN_NO", r.HisNo, "STATE", "已退费", "TOT_COST", books.Yuan(r.AmountFen), "FEEDATE", r.RefundedAt)
	return told(&d)
}

func (h *HIS) issueInvoice(p params) reply {
	sum, err := books.ParseYuan(p["totCost"])
	if err != nil {
		return refuse("参数错误: totCost")
	}
	r := h.books.Issue(books.Invoice{Order: p["orderNo"], AmountFen: sum})
	held, _ := h.books.InvoiceOf(p["orderNo"])
	return booked(r, "IssueEInvoice", "该票据已存在", "EINVOICE_NO", held.No, "EINVOICE_URL", held.URL, "TOT_COST", books.Yuan(held.AmountFen))
}

// getLedgerTotal: what went back is negative here.
func (h *HIS) getLedgerTotal(p params) reply {
	t := h.books.LedgerTotals(books.Asked{Day: p["checkDate"], Operator: p["operCode"]})
	var d document
	d.row("CheckLedgerInfo", "PAY_COUNT", strconv.Itoa(t.Payments), "PAY_COST", books.Yuan(t.PaymentFen),
		"BACK_COUNT", strconv.Itoa(t.Refunds), "BACK_COST", books.Yuan(-t.RefundsFen))
	return told(&d)
}

func (h *HIS) getLedgerDetail(p params) reply {
	rows := h.books.Ledger(books.Asked{Day: p["checkDate"], Operator: p["operCode"]})
	if len(rows) == 0 {
		return noData()
	}
	var d document
	for _, row := range rows {
		kind, sum, reverse := "收费", row.AmountFen, "0"
		if row.Refund {
			kind, sum = "退费", -sum
		}
		if row.Reversal {
			reverse = "1"
		}
		d.row("LedgerDetail", "TRANS_KIND", kind, "ORDER_NO", row.Order, "REFUND_NO", orNull(row.RefundNo), "TRANS_NO", row.ChannelNo,
			"INVOICENO", row.HisNo, "TOT_COST", books.Yuan(sum), "OPER_DATE", row.Time, "OPER_CODE", row.Operator,
			"PAY_MODE", orNull(row.Channel), "IS_REVERSE", reverse, "RECIPE_NO", orNull(strings.Join(row.Bills, ",")))
	}
	return told(&d)
}

// getInsuranceLedger is what the medical insurance settled, as its front machine
// in the hospital knows it: TRANS_NO is the insurance's own number.
func (h *HIS) getInsuranceLedger(p params) reply {
	var d document
	rows := h.books.Ledger(books.Asked{Day: p["checkDate"], Channel: "YB"})
	settled := 0
	for _, row := range rows {
		kind := "结算"
		if row.Refund {
			kind = "撤销"
		}
		if !row.Reversal {
			settled++
			d.row("SiLedgerDetail", "SETL_KIND", kind, "SETL_ID", row.ChannelNo, "INVOICENO", row.HisNo, "TOT_COST", books.Yuan(row.AmountFen), "SETL_TIME", row.Time)
		}
	}
	if settled == 0 {
		return noData()
	}
	return told(&d)
}
