package demo

import (
	"fmt"
	"time"

	"hishub/core"
)

// Everything here is made up, and looks so.

var drugs = []struct{ code, name, spec, unit, price, dose, doseUnit string }{
	{"YP0001", "阿莫西林胶囊", "0.25g*24粒", "盒", "12.3450", "0.5", "g"},
	{"YP0002", "维生素C片", "100mg*100片", "瓶", "1.7917", "2", "片"},
	{"YP0003", "布洛芬缓释胶囊", "0.3g*20粒", "盒", "18.6000", "0.3", "g"},
	{"YP0004", "氯雷他定片", "10mg*6片", "盒", "9.9950", "10", "mg"},
	{"YP0005", "蒙脱石散", "3g*10袋", "盒", "15.2500", "3", "g"},
}

// prescriptionOf makes the n-th test prescription of a hospital, for a visit of its own.
func prescriptionOf(n int, lines int) *core.Prescription {
	now := time.Now().Truncate(time.Second)
	p := &core.Prescription{
		No: fmt.Sprintf("RX%08d", n), VisitNo: fmt.Sprintf("V%08d", n), PatientNo: fmt.Sprintf("%010d", n),
		PatientName: "测试" + string([]rune("甲乙丙丁戊己庚辛壬癸䶮")[n%11]), Sex: []core.Sex{"female", "male"}[n%2], BirthDate: "1990-01-01",
		DepartmentCode: "D01", DepartmentName: "互联网门诊", DoctorCode: "0007", DoctorName: "测试医生", PharmacistCode: "P001",
		Category: "western", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "急性上呼吸道感染"}},
		WrittenAt: now, ValidUntil: now.Add(24 * time.Hour),
	}
	for i := range lines {
		d := drugs[(n+i)%len(drugs)]
		qty := []string{"1", "2", "12"}[(n+i)%3]
		amount, err := core.LineAmount(qty, d.price)
		if err != nil {
			panic(err)
		}
		p.Items = append(p.Items, core.Item{
			Code: d.code, Name: d.name, Spec: d.spec, Qty: qty, Unit: d.unit, UnitPrice: d.price, Amount: amount,
			Dose: d.dose, DoseUnit: d.doseUnit, Frequency: "tid", Route: "oral", Days: 3,
		})
		p.Amount += amount
	}
	return p
}

// paymentOf pays a prescription.
func paymentOf(p *core.Prescription) *core.Payment {
	return &core.Payment{
		OrderID: "IH" + p.No[2:], VisitNo: p.VisitNo, PatientNo: p.PatientNo, PatientName: p.PatientName,
		Bills: []string{p.No}, Amount: p.Amount, Channel: "wechat", ChannelNo: "42000000" + p.No[2:], PaidAt: time.Now().Truncate(time.Second),
	}
}
