package asmxhis

import (
	"strconv"
	"strings"
	"time"

	"hishub/mocks/books"
)

func (h *HIS) insertPatient(p params) reply {
	if s := p["sex"]; s != "男" && s != "女" && s != "未知" && s != "未说明" {
		return refuse("参数错误: sex")
	}
	if _, err := time.Parse("20060102", p["birthday"]); err != nil {
		return refuse("参数错误: birthday")
	}
	r := h.books.Register(books.Patient{
		PersonID: p["personId"], Name: p["name"], Sex: p["sex"], BirthDate: p["birthday"], IDType: p["idType"], IDNo: p["idNo"],
		Phone: p["phone"], Guardian: p["guardIdNo"],
	})
	held, _ := h.books.Patient(r.HisNo)
	return booked(r, "InsertPatientInfo", "该患者已存在", "PATIENTID", held.PatientNo, "CARD_NO", held.CardNo)
}

func (h *HIS) getPatients(p params) reply {
	var d document
	for _, x := range h.books.FindPatients(p["personId"], p["name"], p["idNo"]) {
		d.row("PatInfo", "PATIENTID", x.PatientNo, "CARD_NO", x.CardNo, "NAME", x.Name, "SEX", x.Sex,
			"BIRTHDAY", strings.ReplaceAll(x.BirthDate, "-", ""), "PHONE", orNull(x.Phone), "USE_DATE", slashed(x.At), "BLOOD", "NULL")
	}
	if d.Len() == 0 {
		return noData()
	}
	return told(&d)
}

func (h *HIS) regLock(p params) reply {
	place := 0
	if s := p["seqNo"]; s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return refuse("参数错误: seqNo")
		}
		place = n
	}
	r := h.books.LockPlace(books.Appointment{Order: p["orderNo"], PatientNo: p["patientId"], Session: p["schemaNo"], Place: place}, h.options.LockLife)
	held, _ := h.books.AppointmentOf(p["orderNo"])
	return booked(r, "RegLock", "该订单锁号已存在", "LOCK_NO", held.LockNo, "SEQ_NO", strconv.Itoa(held.Place), "EXPIRE_TIME", compact(held.Until))
}

func (h *HIS) regUnlock(p params) reply {
	r := h.books.ReleasePlace(p["orderNo"])
	return booked(r, "RegUnLock", "", "LOCK_NO", r.HisNo)
}

func (h *HIS) orderReg(p params) reply {
	fee, err := books.ParseYuan(p["regFee"])
	if err != nil {
		return refuse("参数错误: regFee")
	}
	r := h.books.Book(books.Appointment{Order: p["orderNo"], PatientNo: p["patientId"], Session: p["schemaNo"], LockNo: p["lockNo"], FeeFen: fee})
	held, _ := h.books.AppointmentOf(p["orderNo"])
	return booked(r, "OrderReg", "该订单挂号已存在", "REG_NO", held.HisNo, "SEE_NO", strconv.Itoa(held.Place), "REG_FEE", books.Yuan(held.FeeFen))
}

func (h *HIS) payReg(p params) reply {
	sum, err := books.ParseYuan(p["totCost"])
	if err != nil {
		return refuse("参数错误: totCost")
	}
	r := h.books.PayAppointment(books.Settlement{
		Order: p["orderNo"], Channel: p["payMode"], ChannelNo: p["transNo"], Operator: p["operCode"], AmountFen: sum, PaidAt: p["payTime"],
	})
	return booked(r, "PayReg", "该订单已收费,请勿重复收费", "INVOICENO", r.HisNo, "TOT_COST", books.Yuan(r.AmountFen))
}

func (h *HIS) cancelReg(p params) reply {
	back := books.Refund{No: p["refundNo"], Order: p["orderNo"], Operator: p["operCode"], RefundedAt: p["cancelTime"]}
	if s := p["totCost"]; s != "" {
		sum, err := books.ParseYuan(s)
		if err != nil {
			return refuse("参数错误: totCost")
		}
		back.AmountFen = sum
	}
	r := h.books.CancelAppointment(back)
	return booked(r, "CancelReg", "该订单已退号", "RETURN_NO", r.HisNo, "TOT_COST", books.Yuan(r.AmountFen))
}

var regStates = map[string]string{
	books.Locked: "已锁号", books.Released: "已释放", books.Booked: "已预约", books.Paid: "已缴费", books.Cancelled: "已退号",
}

func (h *HIS) getRegState(p params) reply {
	a, ok := h.books.AppointmentOf(p["orderNo"])
	if !ok {
		return noData()
	}
	paid, _ := h.books.Settlement(a.Order)
	var d document
	d.row("RegState", "ORDER_NO", a.Order, "REG_NO", orNull(a.HisNo), "SEE_NO", strconv.Itoa(a.Place), "STATE", regStates[a.State],
		"REG_FEE", books.Yuan(a.FeeFen), "INVOICENO", orNull(paid.HisNo), "OPER_DATE", slashed(a.At))
	return told(&d)
}

func (h *HIS) getQueue(p params) reply {
	var d document
	for _, q := range h.books.Queue(p["patientId"], time.Now().In(books.Zone).Format("2006-01-02")) {
		d.row("Queue", "SEE_NO", strconv.Itoa(q.Number), "AHEAD_NUM", strconv.Itoa(q.Ahead), "CALL_NO", strconv.Itoa(max(0, q.Number-q.Ahead-1)),
			"DEPT_CODE", q.Session.DepartmentCode, "DEPT_NAME", departmentName(q.Session.DepartmentCode), "ROOM", "3诊室")
	}
	if d.Len() == 0 {
		return noData()
	}
	return told(&d)
}

func departmentName(code string) string {
	for _, d := range books.Departments {
		if d.Code == code {
			return d.Name
		}
	}
	return ""
}
