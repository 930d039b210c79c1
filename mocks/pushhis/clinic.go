package pushhis

import (
	"strconv"
	"time"

	"hishub/mocks/books"
)

// lockLife is how long a place is held.
const lockLife = 15 * time.Minute

// registration gives a refusal the word that the hospital has for it.
func registration(a answer) answer {
	switch a.message {
	case "已停诊":
		a.result = "stopClinic"
	case "号源已满", "号源已被占用":
		a.result = "fullNumber"
	case "无此排班":
		a.result = "noSchedule"
	}
	return a
}

func place(req *request) (no int, ok bool) {
	text := req.text("sortNo")
	if text == "" {
		return 0, true
	}
	no, err := strconv.Atoi(text)
	return no, err == nil && no > 0
}

func (h *HIS) lockNumber(req *request) answer {
	no, ok := place(req)
	if !ok {
		return refuse("参数错误: sortNo")
	}
	r := h.books.LockPlace(books.Appointment{Order: req.text("tradeNo"), PatientNo: req.text("patientId"), Session: req.text("scheduleId"), Place: no}, lockLife)
	a := registration(booked(r, "锁号成功", "lockId", ""))
	if held, ok := h.books.AppointmentOf(req.text("tradeNo")); ok && r.HisNo != "" {
		a.more += fields("sortNo", strconv.Itoa(held.Place), "expireTime", held.Until.In(books.Zone).Format(books.TimeLayout))
	}
	return a
}

func (h *HIS) unlockNumber(req *request) answer {
	return takenBack(h.books.ReleasePlace(req.text("tradeNo")), "解锁成功", "已解锁")
}

func (h *HIS) register(req *request) answer {
	no, ok := place(req)
	fee, err := books.ParseYuan(req.text("registerFee"))
	if err != nil || !ok {
		return refuse("参数错误: registerFee, sortNo")
	}
	r := h.books.Book(books.Appointment{
		Order: req.text("tradeNo"), LockNo: req.text("lockId"), PatientNo: req.text("patientId"), Session: req.text("scheduleId"), Place: no, FeeFen: fee,
	})
	a := registration(booked(r, "挂号成功", "hisRegisterId", "registerFee"))
	if held, ok := h.books.AppointmentOf(req.text("tradeNo")); ok && r.HisNo != "" {
		a.more += fields("queueNo", strconv.Itoa(held.Place))
	}
	return a
}

// payRegister: whatever is wrong with the registration will not get better, so
// the money goes back. A session that was stopped meanwhile is such a thing.
func (h *HIS) payRegister(req *request) answer {
	fee, err := books.ParseYuan(req.text("payFee"))
	if err != nil {
		return refuse("参数错误: payFee")
	}
	order := req.text("tradeNo")
	if held, ok := h.books.AppointmentOf(order); ok && held.State == books.Booked {
		if s, _ := h.books.SessionOf(held.Session); s.Stopped {
			return refuse("已停诊").refund()
		}
	}
	r := h.books.PayAppointment(books.Settlement{
		Order: order, Channel: req.text("payType"), ChannelNo: req.text("payNo"), Operator: operator, AmountFen: fee, PaidAt: req.text("payedTime"),
	})
	a := booked(r, "支付成功", "hisPayId", "payFee")
	if r.Effect == books.Refused {
		return a.refund()
	}
	return a
}

func (h *HIS) cancelRegister(req *request) answer {
	held, ok := h.books.AppointmentOf(req.text("tradeNo"))
	if ok && held.State == books.Paid {
		return refuse("已支付，请退号")
	}
	return takenBack(h.books.CancelAppointment(books.Refund{Order: req.text("tradeNo")}), "取消成功", "已取消")
}

func (h *HIS) backRegister(req *request) answer {
	fee, err := books.ParseYuan(req.text("refundFee"))
	if err != nil {
		return refuse("参数错误: refundFee")
	}
	r := h.books.CancelAppointment(books.Refund{
		No: req.text("refundNo"), Order: req.text("tradeNo"), Operator: operator, AmountFen: fee, RefundedAt: req.text("refundTime"),
	})
	if r.Effect == books.Already && h.options.Repeats == books.Same {
		r.Effect = books.Repeated
		if r.AmountFen != fee {
			r.Effect = books.Conflict
		}
	}
	return booked(r, "退号成功", "hisRefundId", "refundFee")
}

var registerStates = map[string]string{books.Booked: "1", books.Paid: "2", books.Cancelled: "3", books.Locked: "9", books.Released: "0"}

var registerWords = map[string]string{"0": "无记录", "1": "已挂号", "2": "已支付", "3": "已取消", "4": "已退号", "9": "已锁号"}

func (h *HIS) queryState(req *request) answer {
	held, ok := h.books.AppointmentOf(req.text("tradeNo"))
	if !ok {
		return told("无记录", fields("registerState", "0"))
	}
	state := registerStates[held.State]
	if state == "3" && held.RefundNo != "" {
		state = "4"
	}
	return told(registerWords[state], fields("registerState", state, "tradeNo", held.Order, "hisRegisterId", held.HisNo, "queueNo", strconv.Itoa(held.Place), "registerFee", books.Yuan(held.FeeFen)))
}

func (h *HIS) findQueue(req *request) answer {
	places := h.books.Queue(req.text("patientId"), time.Now().In(books.Zone).Format(time.DateOnly))
	return told("成功", content(places, func(p books.QueuePlace) string {
		return fields("queueNo", strconv.Itoa(p.Number), "waitNum", strconv.Itoa(p.Ahead), "currentNo", strconv.Itoa(p.Number-p.Ahead),
			"departmentCode", p.Session.DepartmentCode, "departmentName", department(p.Session.DepartmentCode), "room", "3诊室")
	}))
}

func department(code string) string {
	for _, d := range books.Departments {
		if d.Code == code {
			return d.Name
		}
	}
	return ""
}

// lines of a prescription or an order.
func lines(items []element) ([]books.Line, answer, bool) {
	out := make([]books.Line, 0, len(items))
	for i := range items {
		item := &items[i]
		if name := lacking(item, "itemCode", "itemName", "count", "price", "fee"); name != "" {
			return nil, refuse("参数缺失: data/" + name), false
		}
		fee, err := books.ParseYuan(item.value("fee"))
		if err != nil {
			return nil, refuse("参数错误: data/fee"), false
		}
		out = append(out, books.Line{No: i + 1, Code: item.value("itemCode"), Name: item.value("itemName"), Spec: item.value("spec"),
			Unit: item.value("unit"), Qty: item.value("count"), Price: item.value("price"), AmountFen: fee})
	}
	return out, answer{}, true
}

func (h *HIS) saveRecipe(req *request) answer {
	d := req.document
	sum, err := books.ParseYuan(d.value("recipeFee"))
	if err != nil {
		return refuse("参数错误: recipeFee")
	}
	all, wrong, ok := lines(d.rows("recipeDetail"))
	if !ok {
		return wrong
	}
	return booked(h.books.Save(books.Prescription{
		No: d.value("recipeNo"), VisitNo: d.value("clinicNo"), PatientID: d.value("patientId"), PatientName: d.value("realName"), AmountFen: sum, Lines: all,
	}), "保存成功", "prescriptionNo", "recipeFee")
}

func (h *HIS) revokeRecipe(req *request) answer {
	return takenBack(h.books.Void(req.text("recipeNo"), req.text("reason")), "作废成功", "已作废")
}

var recipeStates = map[string]string{books.Saved: "1", books.Settled: "2", books.Voided: "9",
	books.Dispensed: "3", books.Performed: "3", books.Returned: "4"}

func (h *HIS) queryRecipe(req *request) answer {
	p, ok := h.books.Prescription(req.text("recipeNo"))
	if !ok {
		return told("无记录", fields("recipeState", "0"))
	}
	return told("成功", fields("recipeState", recipeStates[p.State], "recipeNo", p.No, "prescriptionNo", p.HisNo, "recipeFee", books.Yuan(p.AmountFen)))
}

func (h *HIS) recipeDelivery(req *request) answer {
	r := h.books.Dispense(books.Dispense{Prescription: req.text("recipeNo"), State: req.text("deliveryState"), Carrier: req.text("company"), TrackingNo: req.text("expressNo")})
	return booked(r, "成功", "prescriptionNo", "")
}

func (h *HIS) saveApply(req *request) answer {
	d := req.document
	sum, err := books.ParseYuan(d.value("applyFee"))
	if err != nil {
		return refuse("参数错误: applyFee")
	}
	all, wrong, ok := lines(d.rows("applyDetail"))
	if !ok {
		return wrong
	}
	return booked(h.books.SaveOrder(books.Order{
		No: d.value("applyNo"), VisitNo: d.value("clinicNo"), PatientNo: d.value("patientId"), Category: d.value("applyType"), AmountFen: sum, Lines: all,
	}), "保存成功", "hisApplyNo", "applyFee")
}

func (h *HIS) revokeApply(req *request) answer {
	return takenBack(h.books.CancelOrder(req.text("applyNo")), "作废成功", "已作废")
}

func (h *HIS) queryApply(req *request) answer {
	o, ok := h.books.OrderOf(req.text("applyNo"))
	if !ok {
		return told("无记录", fields("applyState", "0"))
	}
	return told("成功", fields("applyState", recipeStates[o.State], "applyNo", o.No, "hisApplyNo", o.HisNo, "applyFee", books.Yuan(o.AmountFen)))
}
