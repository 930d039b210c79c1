package asmxhis

import (
	"strconv"
	"time"

	"hishub/mocks/books"
)

// lines reads a parameter that holds XML: <Items><Item>…</Item></Items>.
func lines(text string) (out []books.Line, wrong string) {
	doc, ok := parse(text)
	if !ok || doc.XMLName.Local != "Items" {
		return nil, "参数错误: items"
	}
	for i := range doc.Kids {
		item := &doc.Kids[i]
		for _, name := range []string{"ITEM_CODE", "ITEM_NAME", "QTY", "UNIT_PRICE", "TOT_COST"} {
			if item.value(name) == "" {
				return nil, "参数不能为空: items/" + name
			}
		}
		sum, err := books.ParseYuan(item.value("TOT_COST"))
		if err != nil {
			return nil, "参数错误: items/TOT_COST"
		}
		out = append(out, books.Line{
			No: i + 1, Code: item.value("ITEM_CODE"), Name: item.value("ITEM_NAME"), Spec: item.value("SPECS"),
			Unit: item.value("PRICE_UNIT"), Qty: item.value("QTY"), Price: item.value("UNIT_PRICE"), AmountFen: sum,
		})
	}
	return out, ""
}

func (h *HIS) savePrescription(p params) reply {
	sum, err := books.ParseYuan(p["totCost"])
	if err != nil {
		return refuse("参数错误: totCost")
	}
	items, wrong := lines(p["items"])
	if wrong != "" {
		return refuse(wrong)
	}
	r := h.books.Save(books.Prescription{
		No: p["applyNo"], VisitNo: p["clinicCode"], PatientID: p["patientId"], PatientName: p["name"], AmountFen: sum, Lines: items,
	})
	return booked(r, "SavePrescription", "该处方已存在", "RECIPE_NO", r.HisNo, "TOT_COST", books.Yuan(r.AmountFen))
}

func (h *HIS) cancelPrescription(p params) reply {
	r := h.books.Void(p["applyNo"], p["reason"])
	return booked(r, "CancelPrescription", "", "RECIPE_NO", r.HisNo)
}

var paidStates = map[string]string{books.Saved: "未收费", books.Settled: "已收费", books.Voided: "已作废",
	books.Dispensed: "已发药", books.Returned: "已退药", books.Performed: "已执行"}

func (h *HIS) queryPrescription(p params) reply {
	rx, ok := h.books.Prescription(p["applyNo"])
	if !ok {
		return noData()
	}
	var d document
	d.row("PrescriptionInfo", "APPLY_NO", rx.No, "RECIPE_NO", rx.HisNo, "TOT_COST", books.Yuan(rx.AmountFen), "STATE", paidStates[rx.State],
		"MO_DATE", rx.At.In(books.Zone).Format(time.RFC3339))
	return told(&d)
}

func (h *HIS) saveDispense(p params) reply {
	switch p["state"] {
	case "已取药", "已发货", "已签收", "已退药":
	default:
		return refuse("参数错误: state")
	}
	r := h.books.Dispense(books.Dispense{Prescription: p["applyNo"], State: p["state"], Carrier: p["company"], TrackingNo: p["trackNo"]})
	return booked(r, "SaveDispense", "该状态已存在", "RECIPE_NO", r.HisNo)
}

func (h *HIS) addApply(p params) reply {
	if t := p["applyType"]; t != "检验" && t != "检查" {
		return refuse("参数错误: applyType")
	}
	sum, err := books.ParseYuan(p["totCost"])
	if err != nil {
		return refuse("参数错误: totCost")
	}
	items, wrong := lines(p["items"])
	if wrong != "" {
		return refuse(wrong)
	}
	r := h.books.SaveOrder(books.Order{
		No: p["applyNo"], VisitNo: p["clinicCode"], PatientNo: p["patientId"], Category: p["applyType"], AmountFen: sum, Lines: items,
	})
	return booked(r, "ExamAppInfoAdd", "该申请单已存在", "RECIPE_NO", r.HisNo, "TOT_COST", books.Yuan(r.AmountFen))
}

func (h *HIS) cancelApply(p params) reply {
	r := h.books.CancelOrder(p["applyNo"])
	return booked(r, "ExamAppInfoCancel", "", "RECIPE_NO", r.HisNo)
}

func (h *HIS) queryApply(p params) reply {
	o, ok := h.books.OrderOf(p["applyNo"])
	if !ok {
		return noData()
	}
	var d document
	d.row("ExamAppInfo", "APPLY_NO", o.No, "RECIPE_NO", o.HisNo, "TOT_COST", books.Yuan(o.AmountFen), "STATE", paidStates[o.State], "EXEC_DATE", noTime)
	return told(&d)
}

// getFeeList gives one FeeTable for every line of every bill; none is no table.
func (h *HIS) getFeeList(p params) reply {
	var d document
	fee := func(recipe, apply, class, at string, l books.Line) {
		d.row("FeeTable", "RECIPE_NO", recipe, "APPLY_NO", apply, "SEQNO", strconv.Itoa(l.No), "TRANS_TYPE", "1", "ITEM_CODE", l.Code, "ITEM_NAME", l.Name,
			"SPECS", orNull(l.Spec), "QTY", l.Qty, "UNIT_PRICE", l.Price, "TOT_COST", books.Yuan(l.AmountFen), "PRICE_UNIT", orNull(l.Unit),
			"ITEM_CLASS", class, "MO_DATE", at, "PAY_FLAG", "0", "INVOICENO", "NULL", "FEEDATE", noTime)
	}
	for _, rx := range h.books.Unpaid(p["clinicCode"], p["patientId"]) {
		for _, l := range rx.Lines {
			fee(rx.HisNo, rx.No, "西药费", dashed(rx.At), l)
		}
	}
	for _, o := range h.books.UnpaidOrders(p["clinicCode"], p["patientId"]) {
		for _, l := range o.Lines {
			fee(o.HisNo, "NULL", o.Category+"费", dashed(o.At), l)
		}
	}
	return told(&d)
}
