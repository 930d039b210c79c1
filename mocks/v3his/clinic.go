package v3his

import (
	"strconv"

	"hishub/mocks/books"
)

func (h *HIS) register(m *message) reply {
	in := m.act().at("subject", "registrationRequest", "subject1", "patient")
	person := in.at("patientPerson")
	p := books.Patient{PersonID: in.at("id").id(oidPerson), Name: person.at("name", "item", "part").attr("value"), Sex: person.at("administrativeGenderCode").attr("code"),
		BirthDate: person.value("birthTime"), Phone: person.at("telecom", "item").attr("value"), Guardian: in.at("guardian", "id").attr("extension")}
	for _, item := range in.at("id").all("item") {
		if item.attr("root") != oidPerson {
			p.IDType, p.IDNo = item.attr("root"), item.attr("extension")
		}
	}
	if p.PersonID == "" || p.Name == "" || p.Sex == "" || p.BirthDate == "" {
		return refuse("患者信息不完整")
	}
	r := h.books.Register(p)
	return booked(r, func() string {
		k, _ := h.books.Patient(r.HisNo)
		return held(oidPerson, p.PersonID, r.HisNo, "active", 0, oidCard, k.CardNo)
	})
}

// patient, visit and name of a subject.
func patientOf(e *element) (patient, visit, name string) {
	in := e.at("subject", "patient")
	return in.at("id").id(oidPatient), in.at("id").id(oidVisit), in.at("patientPerson", "name", "item", "part").attr("value")
}

// lines of a prescription or an order.
func lines(e *element, request string, of func(*element) (code, name string)) (all []books.Line, wrong string) {
	for i, c := range e.all("component2") {
		item := c.at(request)
		code, name := of(item)
		fen, err := books.ParseYuan(item.value("price", "total"))
		qty := item.value("quantity")
		switch n := strconv.Itoa(i + 1); {
		case c.value("sequenceNumber") != n:
			return nil, "医嘱序号错误: " + n
		case code == "" || name == "" || qty == "":
			return nil, "明细不完整: " + n
		case err != nil:
			return nil, "金额格式错误: " + n
		}
		all = append(all, books.Line{No: i + 1, Code: code, Name: name, Spec: item.at("consumable2", "manufacturedProduct").value("desc"),
			Unit: item.at("quantity").attr("unit"), Qty: qty, Price: item.value("price", "unit"), AmountFen: fen})
	}
	return all, ""
}

func (h *HIS) savePrescription(m *message) reply {
	g := m.act().at("subject", "placerGroup")
	sum, err := books.ParseYuan(g.value("value"))
	if err != nil || g.at("value").attr("type") != "MO" {
		return refuse("金额格式错误")
	}
	if g.at("author", "assignedEntity", "id").id(oidStaff) == "" || g.at("verifier", "assignedEntity", "id").id(oidStaff) == "" {
		return refuse("缺少开立者或审核者")
	}
	for _, c := range g.all("component2") {
		if of := c.at("substanceAdministrationRequest", "effectiveTime", "code"); of.attr("codeSystem") != oidFrequency || of.attr("code") == "" {
			return refuse("频次编码体系错误")
		}
	}
	all, wrong := lines(g, "substanceAdministrationRequest", func(e *element) (string, string) {
		p := e.at("consumable2", "manufacturedProduct")
		return p.at("code").attr("code"), p.at("name", "item", "part").attr("value")
	})
	if wrong != "" {
		return refuse(wrong)
	}
	no := g.at("id").id(oidOrder)
	patient, visit, name := patientOf(g)
	return booked(h.books.Save(books.Prescription{No: no, VisitNo: visit, PatientID: patient, PatientName: name, AmountFen: sum, Lines: all}), h.prescription(no))
}

func (h *HIS) voidPrescription(m *message) reply {
	g := m.act().at("subject", "placerGroup")
	no := g.at("id").id(oidOrder)
	if g.at("statusCode").attr("code") != "aborted" {
		return refuse("状态错误")
	}
	return takenBack(h.books.Void(no, g.value("text")), h.prescription(no))
}

var states = map[string]string{books.Saved: "active", books.Settled: "billed", books.Voided: "aborted", books.Dispensed: "completed", books.Returned: "returned", books.Performed: "completed"}

func (h *HIS) prescription(no string) func() string {
	return func() string {
		p, _ := h.books.Prescription(no)
		return held(oidOrder, p.No, p.HisNo, states[p.State], p.AmountFen)
	}
}

func (h *HIS) askPrescription(m *message) reply {
	no := m.asked("id").id(oidOrder)
	if _, ok := h.books.Prescription(no); !ok {
		return told()
	}
	return told(h.prescription(no)())
}

func (h *HIS) saveOrder(m *message) reply {
	o := m.act().at("subject", "observationRequest")
	sum, err := books.ParseYuan(o.value("value"))
	if err != nil {
		return refuse("金额格式错误")
	}
	all, wrong := lines(o, "observationRequest", func(e *element) (string, string) {
		return e.at("code").attr("code"), e.value("code", "displayName")
	})
	if wrong != "" {
		return refuse(wrong)
	}
	no := o.at("id").id(oidApplication)
	patient, visit, _ := patientOf(o)
	return booked(h.books.SaveOrder(books.Order{No: no, VisitNo: visit, PatientNo: patient, Category: o.at("code").attr("code"), AmountFen: sum, Lines: all}), h.order(no))
}

func (h *HIS) cancelOrder(m *message) reply {
	no := m.act().at("subject", "observationRequest", "id").id(oidApplication)
	return takenBack(h.books.CancelOrder(no), h.order(no))
}

func (h *HIS) order(no string) func() string {
	return func() string {
		o, _ := h.books.OrderOf(no)
		return held(oidApplication, o.No, o.HisNo, states[o.State], o.AmountFen)
	}
}

func (h *HIS) askOrder(m *message) reply {
	no := m.asked("id").id(oidApplication)
	if _, ok := h.books.OrderOf(no); !ok {
		return told()
	}
	return told(h.order(no)())
}

func (h *HIS) askDepartments(*message) reply {
	var rows []string
	for _, x := range books.Departments {
		state := "active"
		if x.Closed {
			state = "terminated"
		}
		var d document
		d.open("organization").put("id", "root", oidDepartment, "extension", x.Code).put("name", "value", x.Name).put("statusCode", "code", state)
		if x.Parent != "" {
			d.open("asOrganizationPartOf").put("id", "root", oidDepartment, "extension", x.Parent).close("asOrganizationPartOf")
		}
		d.close("organization")
		rows = append(rows, d.String())
	}
	return told(rows...)
}

func (h *HIS) askDoctors(m *message) reply {
	of := m.asked("department").attr("extension")
	var rows []string
	for _, x := range books.Doctors {
		if of != "" && of != x.DepartmentCode {
			continue
		}
		var d document
		d.open("assignedEntity").put("id", "root", oidStaff, "extension", x.Code)
		d.open("code").put("displayName", "value", x.Title).close("code")
		d.open("assignedPerson").put("name", "value", x.Name).close("assignedPerson")
		d.open("representedOrganization").put("id", "root", oidDepartment, "extension", x.DepartmentCode).close("representedOrganization", "assignedEntity")
		rows = append(rows, d.String())
	}
	return told(rows...)
}
