package pushhis

import (
	"strconv"
	"strings"
	"time"

	"hishub/mocks/books"
)

func (h *HIS) netTest(*request) answer {
	return told("通信正常", fields("hisTime", time.Now().In(books.Zone).Format(books.TimeLayout)))
}

func (h *HIS) findAllDepartments(*request) answer {
	return told("成功", content(books.Departments, func(d books.Department) string {
		return fields("departmentCode", d.Code, "departmentName", d.Name, "parentCode", d.Parent, "status", valid(d.Closed))
	}))
}

func valid(closed bool) string {
	if closed {
		return "void"
	}
	return "valid"
}

func (h *HIS) findAllDoctors(req *request) answer {
	return told("成功", content(kept(books.Doctors, func(d books.Doctor) bool {
		return fits(req, "departmentCode", d.DepartmentCode)
	}), func(d books.Doctor) string {
		return fields("doctorCode", d.Code, "doctorName", d.Name, "departmentCode", d.DepartmentCode, "doctorTitle", d.Title, "status", "valid")
	}))
}

// fits reports whether a field of the request is empty or that.
func fits(req *request, field, value string) bool {
	want := req.text(field)
	return want == "" || want == value
}

func kept[T any](rows []T, fits func(T) bool) []T {
	var out []T
	for _, row := range rows {
		if fits(row) {
			out = append(out, row)
		}
	}
	return out
}

var timeFlags = map[string]string{"morning": "1", "afternoon": "2", "evening": "3", "day": "4"}

// findSchedules: a session without a limit has -1 left.
func (h *HIS) findSchedules(req *request) answer {
	sessions, remaining := h.books.Sessions(req.text("beginDate"), req.text("endDate"), req.text("departmentCode"), req.text("doctorCode"))
	var rows []string
	for i, s := range sessions {
		left, status := strconv.Itoa(remaining[i]), "normal"
		if s.Places >= unbounded {
			left = "-1"
		}
		if s.Stopped {
			status = "stop"
		}
		rows = append(rows, fields("scheduleId", s.No, "departmentCode", s.DepartmentCode, "doctorCode", s.DoctorCode, "clinicDate", s.Date,
			"timeFlag", timeFlags[s.Period], "beginTime", s.Start, "endTime", s.End, "leftNum", left,
			"registerFee", books.Yuan(s.FeeFen), "status", status))
	}
	return told("成功", content(rows, func(row string) string { return row }))
}

// unbounded: a session with so many places has no limit.
const unbounded = 1000

// evening is a session of the internet clinic without a limit.
func evening(day time.Time) books.Session {
	return books.Session{No: "PB" + day.In(books.Zone).Format("20060102") + "E", DepartmentCode: "0900", DoctorCode: "00731",
		Date: day.In(books.Zone).Format(time.DateOnly), Period: "evening", Start: "18:00", End: "21:00", Places: unbounded, FeeFen: 1500}
}

func (h *HIS) findAllDrugs(req *request) answer {
	rows, wrong, ok := page(req, books.Drugs)
	if !ok {
		return wrong
	}
	return told("成功", fields("totalCount", strconv.Itoa(len(books.Drugs)))+content(rows, func(d books.Drug) string {
		return fields("drugCode", d.Code, "drugName", d.Name, "spec", d.Spec, "dosageForm", d.Form, "packUnit", d.Unit, "doseUnit", d.DoseUnit,
			"doseOfPack", d.DosePerUnit, "price", d.Price, "pharmacyCode", d.Pharmacy, "medicareCode", d.InsuranceCode, "status", valid(d.Closed))
	}))
}

func (h *HIS) findDrugStock(req *request) answer {
	return told("成功", content(kept(books.Drugs, func(d books.Drug) bool {
		return fits(req, "drugCode", d.Code) && fits(req, "pharmacyCode", d.Pharmacy)
	}), func(d books.Drug) string {
		return fields("drugCode", d.Code, "pharmacyCode", d.Pharmacy, "stockNum", strconv.Itoa(d.Stock), "packUnit", d.Unit)
	}))
}

func (h *HIS) findDiagnosisDict(req *request) answer {
	rows, wrong, ok := page(req, books.Terms)
	if !ok {
		return wrong
	}
	return told("成功", fields("totalCount", strconv.Itoa(len(books.Terms)))+content(rows, func(t books.Term) string {
		return fields("icdCode", t.Code, "icdName", t.Name, "status", "valid")
	}))
}

func (h *HIS) createACard(req *request) answer {
	d := req.document
	p := books.Patient{
		PersonID: d.value("personId"), Name: d.value("realName"), Sex: d.value("sex"), BirthDate: d.value("birthday"),
		IDType: d.value("idType"), IDNo: d.value("idCard"), Phone: d.value("mobile"), Guardian: d.value("guardianIdCard"),
	}
	if !strings.Contains("男女未知其他", p.Sex) {
		return refuse("参数错误: sex")
	}
	a := booked(h.books.Register(p), "建档成功", "patientId", "")
	if a.result == "success" || a.result == repeated {
		for _, held := range h.books.FindPatients(p.PersonID, p.Name, p.IDNo) {
			a.more = fields("patientId", held.PatientNo, "patientCard", held.CardNo)
		}
	}
	return a
}

func (h *HIS) findPatient(req *request) answer {
	found := h.books.FindPatients("", req.text("realName"), req.text("idCard"))
	return told("成功", content(found, func(p books.Patient) string {
		return fields("patientId", p.PatientNo, "patientCard", p.CardNo, "realName", p.Name, "sex", p.Sex,
			"birthday", p.BirthDate, "mobile", p.Phone, "lastVisitTime", p.At.Format(books.TimeLayout))
	}))
}

var reportTypes = map[string]string{books.LabReport: "检验", books.MicrobiologyReport: "微生物", books.ExamReport: "检查"}

func (h *HIS) findReports(req *request) answer {
	found := books.ReportsOf(req.text("patientId"), req.text("clinicNo"), req.text("beginDate"), req.text("endDate"))
	return told("成功", content(found, reportHead))
}

func reportHead(r books.Report) string {
	at, state := "", "0"
	if r.Ready {
		at, state = r.At.Format(books.TimeLayout), "1"
	}
	return fields("reportId", r.No, "reportTitle", r.Title, "reportType", reportTypes[r.Kind], "reportTime", at, "reportState", state)
}

func (h *HIS) findReportDetail(req *request) answer {
	for _, r := range books.Reports {
		if r.No != req.text("reportId") || !fits(req, "patientId", r.PatientNo) {
			continue
		}
		if !r.Ready {
			return refuse("报告未出")
		}
		return told("成功", reportHead(r)+fields("examSee", r.Findings, "examResult", r.Conclusion)+listed("items", r.Results, func(m books.Measured) string {
			return fields("itemCode", m.Code, "itemName", m.Name, "resultValue", m.Value, "unit", m.Unit, "referenceRange", m.Range,
				"abnormalFlag", m.Flag, "bacteriaName", m.Organism)
		}))
	}
	return refuse("报告不存在")
}
