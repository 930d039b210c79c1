package asmxhis

import (
	"strconv"
	"time"

	"hishub/mocks/books"
)

var reportKinds = map[string]string{books.LabReport: "检验", books.MicrobiologyReport: "微生物", books.ExamReport: "检查"}

// getReportList says 1 with empty Data when there is none.
func (h *HIS) getReportList(p params) reply {
	var d document
	for _, r := range books.ReportsOf(p["patientId"], p["clinicCode"], p["beginDate"], p["endDate"]) {
		state, at := "已审核", slashed(r.At)
		if !r.Ready {
			state, at = "检验中", noTime
		}
		d.row("ReportList", "REPORT_NO", r.No, "REPORT_NAME", r.Title, "REPORT_TYPE", reportKinds[r.Kind], "STATE", state, "REPORT_TIME", at)
	}
	return told(&d)
}

// getReport has one of three shapes: lines of a laboratory, organisms with the
// drugs that were tried, or words.
func (h *HIS) getReport(p params) reply {
	for _, r := range books.Reports {
		if r.No != p["reportNo"] || r.PatientNo != p["patientId"] {
			continue
		}
		if !r.Ready {
			return refuse("报告未审核")
		}
		var d document
		d.row("ReportInfo", "REPORT_NO", r.No, "REPORT_NAME", r.Title, "REPORT_TYPE", reportKinds[r.Kind], "REPORT_TIME", compact(r.At))
		switch r.Kind {
		case books.LabReport:
			for _, m := range r.Results {
				d.row("LisResult", "ITEM_CODE", m.Code, "ITEM_NAME", m.Name, "RESULT", m.Value, "UNIT", m.Unit, "REF_RANGE", m.Range, "FLAG", orNull(m.Flag))
			}
		case books.MicrobiologyReport:
			organism := ""
			for _, m := range r.Results {
				if m.Organism != organism {
					if organism != "" {
						d.WriteString("</Bacteria>")
					}
					organism = m.Organism
					d.WriteString("<Bacteria>")
					d.put("BACT_NAME", organism)
				}
				d.row("Drug", "ANTI_CODE", m.Code, "ANTI_NAME", m.Name, "MIC", m.Value, "UNIT", m.Unit, "SENSITIVE", m.Flag)
			}
			d.WriteString("</Bacteria>")
		case books.ExamReport:
			d.row("PacsResult", "EXAM_SEE", r.Findings, "EXAM_RESULT", r.Conclusion)
		}
		return told(&d)
	}
	return noData()
}

func validity(closed bool) string {
	if closed {
		return "停用"
	}
	return "在用"
}

func (h *HIS) getDepartments(params) reply {
	var d document
	for _, x := range books.Departments {
		d.row("DeptInfo", "DEPT_CODE", x.Code, "DEPT_NAME", x.Name, "PARENT_CODE", orNull(x.Parent), "VALID_STATE", validity(x.Closed))
	}
	return told(&d)
}

// getDoctors has a doctor once, with all departments.
func (h *HIS) getDoctors(p params) reply {
	var d document
	seen := map[string]bool{}
	for _, x := range books.Doctors {
		if seen[x.Code] {
			continue
		}
		seen[x.Code] = true
		var in document
		here := p["deptCode"] == ""
		for _, y := range books.Doctors {
			if y.Code == x.Code {
				in.row("Dept", "DEPT_CODE", y.DepartmentCode, "LEVL_NAME", y.Title)
				here = here || y.DepartmentCode == p["deptCode"]
			}
		}
		if here {
			d.WriteString("<DocInfo>")
			d.put("EMPL_CODE", x.Code)
			d.put("EMPL_NAME", x.Name)
			d.WriteString("<Depts>" + in.String() + "</Depts>")
			d.put("VALID_STATE", validity(false))
			d.WriteString("</DocInfo>")
		}
	}
	if d.Len() == 0 {
		return noData()
	}
	return told(&d)
}

var noons = map[string]string{"morning": "上午", "afternoon": "下午", "evening": "晚上", "day": "全天"}

// getSchedule writes hours without a leading zero.
func (h *HIS) getSchedule(p params) reply {
	var d document
	found, free := h.books.Sessions(p["beginDate"], p["endDate"], p["deptCode"], p["docCode"])
	for i, s := range found {
		state := "出诊"
		if s.Stopped {
			state = "停诊"
		}
		d.row("ShemaInfo", "SCHEMA_NO", s.No, "DEPT_CODE", s.DepartmentCode, "DOCT_CODE", s.DoctorCode, "SEE_DATE", s.Date, "NOON_NAME", noons[s.Period],
			"BEGIN_TIME", s.Start, "END_TIME", s.End, "TOTAL_NUM", strconv.Itoa(s.Places), "LEFT_NUM", strconv.Itoa(free[i]), "REG_FEE", books.Yuan(s.FeeFen), "STATE", state)
	}
	if d.Len() == 0 {
		return noData()
	}
	return told(&d)
}

// page cuts a list; pages count from 1 and have at most 100 entries. Past the
// end there is no data.
func page[T any](all []T, p params) (part []T, wrong string) {
	number, err := strconv.Atoi(p["pageNo"])
	if err != nil || number < 1 {
		return nil, "参数错误: pageNo"
	}
	size := 100
	if s := p["pageSize"]; s != "" {
		if size, err = strconv.Atoi(s); err != nil || size < 1 || size > 100 {
			return nil, "参数错误: pageSize"
		}
	}
	from := min((number-1)*size, len(all))
	return all[from:min(from+size, len(all))], ""
}

func (h *HIS) getDrugs(p params) reply {
	part, wrong := page(books.Drugs, p)
	switch {
	case wrong != "":
		return refuse(wrong)
	case len(part) == 0:
		return noData()
	}
	var d document
	d.put("TOTAL_COUNT", strconv.Itoa(len(books.Drugs)))
	for _, x := range part {
		d.row("MedicinesInfo", "DRUG_CODE", x.Code, "TRADE_NAME", x.Name, "SPECS", x.Spec, "DOSE_MODEL", x.Form, "PACK_UNIT", x.Unit, "DOSE_UNIT", x.DoseUnit,
			"PACK_DOSE", x.DosePerUnit, "RETAIL_PRICE", x.Price, "PHARM_CODE", x.Pharmacy, "SI_CODE", orNull(x.InsuranceCode), "VALID_STATE", validity(x.Closed))
	}
	return told(&d)
}

func (h *HIS) getStock(p params) reply {
	var d document
	for _, x := range books.Drugs {
		if (p["drugCode"] == "" || x.Code == p["drugCode"]) && (p["pharmCode"] == "" || x.Pharmacy == p["pharmCode"]) {
			d.row("DrugStock", "DRUG_CODE", x.Code, "PHARM_CODE", x.Pharmacy, "STORE_SUM", strconv.Itoa(x.Stock)+".00", "PACK_UNIT", x.Unit)
		}
	}
	if d.Len() == 0 {
		return noData()
	}
	return told(&d)
}

func (h *HIS) getTerms(p params) reply {
	part, wrong := page(books.Terms, p)
	switch {
	case wrong != "":
		return refuse(wrong)
	case len(part) == 0:
		return noData()
	}
	var d document
	for _, x := range part {
		d.row("ICDInfo", "ICD_CODE", x.Code, "ICD_NAME", x.Name, "ICD_TYPE", "ICD10", "VALID_STATE", validity(false))
	}
	return told(&d)
}

func (h *HIS) getTime(params) reply {
	var d document
	d.row("SysTime", "SYSDATE", slashed(time.Now()))
	return told(&d)
}
