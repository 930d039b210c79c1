package books

import (
	"fmt"
	"time"
)

// What a HIS knows before anybody writes: its dictionaries, and the reports of
// one patient. All people are made up.

// Department of the hospital.
type Department struct {
	Code, Name, Parent string
	Closed             bool
}

// Departments in two levels.
var Departments = []Department{
	{Code: "01", Name: "内科"},
	{Code: "0102", Name: "呼吸内科", Parent: "01"},
	{Code: "0103", Name: "消化内科", Parent: "01"},
	{Code: "02", Name: "外科"},
	{Code: "0299", Name: "旧门诊部", Parent: "02", Closed: true},
	{Code: "0900", Name: "互联网门诊"},
}

// Doctor in one department; Clinic: has sessions there.
type Doctor struct {
	Code, Name, DepartmentCode, Title string
	Clinic                            bool
}

// Doctors, 李四测试 in two departments.
var Doctors = []Doctor{
	{Code: "00731", Name: "李四测试", DepartmentCode: "0102", Title: "主任医师", Clinic: true},
	{Code: "00731", Name: "李四测试", DepartmentCode: "0900", Title: "主任医师", Clinic: true},
	{Code: "00732", Name: "王五测试", DepartmentCode: "0103", Title: "主治医师", Clinic: true},
	{Code: "00815", Name: "赵六测试", DepartmentCode: "0900", Title: "主管药师"},
}

// Drug of the catalogue; Price is yuan with four decimals.
type Drug struct {
	Code, Name, Spec, Form, Unit, DoseUnit, DosePerUnit, Price, Pharmacy, InsuranceCode string
	Closed                                                                              bool
	Stock                                                                               int
}

// Drugs is a catalogue that is longer than a page: two known ones and 248 more.
var Drugs = drugs(250)

func drugs(n int) []Drug {
	out := []Drug{
		{Code: "Y00000003803", Name: "阿莫西林胶囊", Spec: "0.25g*24粒/盒", Form: "胶囊剂", Unit: "盒", DoseUnit: "g", DosePerUnit: "6", Price: "12.3450", Pharmacy: "20406", InsuranceCode: "XJ01CAA040E001010100001", Stock: 120},
		{Code: "Y00000002416", Name: "葡萄糖酸钙锌口服溶液", Spec: "10ml*12支", Form: "口服溶液剂", Unit: "支", DoseUnit: "ml", DosePerUnit: "10", Price: "1.7917", Pharmacy: "20406", Stock: 36},
	}
	for i := len(out) + 1; i <= n; i++ {
		out = append(out, Drug{
			Code: fmt.Sprintf("Y%011d", 9000000+i), Name: fmt.Sprintf("测试药品%03d", i), Spec: "10mg*10片", Form: "片剂", Unit: "盒",
			DoseUnit: "mg", DosePerUnit: "100", Price: fmt.Sprintf("%d.%04d", i, i), Pharmacy: "20406", Closed: i%50 == 0, Stock: i % 7,
		})
	}
	return out
}

// Term is a coded diagnosis of the HIS's own list.
type Term struct{ Code, Name string }

// Terms is longer than a page.
var Terms = terms(230)

func terms(n int) []Term {
	out := []Term{{"J06.900", "急性上呼吸道感染"}, {"R05.x00", "咳嗽"}, {"J00.x00", "急性鼻咽炎[普通感冒]"}}
	for i := len(out) + 1; i <= n; i++ {
		out = append(out, Term{fmt.Sprintf("Z%02d.%03d", i/10, i), fmt.Sprintf("测试诊断%03d", i)})
	}
	return out
}

// Known is a patient that every HIS has.
var Known = Patient{
	PersonID: "P0000001", PatientNo: "0000024772", CardNo: "K000024772", Name: "张三测试", Sex: "男", BirthDate: "1990-01-01",
	IDType: "01", IDNo: "999999199001010016", Phone: "13800000000",
}

// Kinds of reports.
const (
	LabReport          = "lab"
	MicrobiologyReport = "microbiology"
	ExamReport         = "exam"
)

// Report of a patient. Of an examination there are findings and a conclusion,
// else results.
type Report struct {
	No, PatientNo, VisitNo, Title, Kind string
	Ready                               bool
	At                                  time.Time
	Findings, Conclusion                string
	Results                             []Measured
}

// Measured is one line: of a laboratory report a value, of microbiology the
// susceptibility of an organism to a drug.
type Measured struct {
	Code, Name, Value, Unit, Range, Flag, Organism string
}

// Reports are those of Known.
var Reports = []Report{
	{No: "LIS0001", PatientNo: Known.PatientNo, VisitNo: "V0000345678", Title: "血常规", Kind: LabReport, Ready: true, At: time.Date(2026, 1, 5, 9, 30, 0, 0, Zone), Results: []Measured{
		{Code: "WBC", Name: "白细胞计数", Value: "11.20", Unit: "10^9/L", Range: "3.50-9.50", Flag: "H"},
		{Code: "HGB", Name: "血红蛋白", Value: "138", Unit: "g/L", Range: "130-175"},
		{Code: "HBsAg", Name: "乙肝表面抗原", Value: "<0.05", Unit: "IU/mL", Range: "<0.05"},
	}},
	{No: "LIS0002", PatientNo: Known.PatientNo, VisitNo: "V0000345678", Title: "痰培养+药敏", Kind: MicrobiologyReport, Ready: true, At: time.Date(2026, 1, 6, 16, 5, 9, 0, Zone), Results: []Measured{
		{Code: "AMP", Name: "氨苄西林", Value: ">=32", Unit: "ug/ml", Flag: "R", Organism: "大肠埃希菌"},
		{Code: "CRO", Name: "头孢曲松", Value: "<=1", Unit: "ug/ml", Flag: "S", Organism: "大肠埃希菌"},
	}},
	{No: "PACS0003", PatientNo: Known.PatientNo, VisitNo: "V0000345678", Title: "胸部CT平扫", Kind: ExamReport, Ready: true, At: time.Date(2026, 1, 5, 11, 0, 0, 0, Zone),
		Findings: "双肺纹理清晰，未见明显实变影。", Conclusion: "胸部CT平扫未见明显异常。"},
	{No: "LIS0004", PatientNo: Known.PatientNo, VisitNo: "V0000345678", Title: "肝功能", Kind: LabReport},
}

// ReportsOf a patient, of a visit when one is given, by days from … to when they
// are (a report that is not ready has no day and always shows).
func ReportsOf(patientNo, visitNo, from, to string) []Report {
	var found []Report
	for _, r := range Reports {
		day := r.At.Format("2006-01-02")
		if r.PatientNo == patientNo && (visitNo == "" || r.VisitNo == visitNo) && (!r.Ready || (from == "" || day >= from) && (to == "" || day <= to)) {
			found = append(found, r)
		}
	}
	return found
}
