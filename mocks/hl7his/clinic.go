package hl7his

import (
	"strconv"
	"strings"

	"hishub/mocks/books"
)

// register: PID-3 has our number of the person and a document; what comes back
// has the hospital's numbers too.
func (h *HIS) register(m *message) reply {
	pid := m.first("PID")
	p := books.Patient{PersonID: pid.typed(3, "PersonNO"), Name: pid.text(5), Sex: pid.text(8), BirthDate: pid.text(7), Phone: pid.text(13), Guardian: m.first("NK1").text(33)}
	for _, r := range pid.each(3) {
		if kind := pid.pick(r, 5); kind != "PersonNO" {
			p.IDType, p.IDNo = kind, pid.pick(r)
		}
	}
	for n, value := range map[int]string{3: p.PersonID, 5: p.Name, 7: p.BirthDate, 8: p.Sex} {
		if value == "" {
			return refuse("PID^1^"+strconv.Itoa(n)+"^101", "缺少必填字段")
		}
	}
	r := h.books.Register(p)
	return booked(r, func() string {
		card := ""
		if held, ok := h.books.Patient(r.HisNo); ok {
			card = held.CardNo
		}
		return line("PID", "1", "", repetitions(components(r.HisNo, "", "", "", "PatientNO"), components(card, "", "", "", "CardNO"), components(p.PersonID, "", "", "", "PersonNO")))
	})
}

// lines of a prescription or an order: each ORC begins one; its FT1 has the money.
func lines(m *message, what string) (no string, all []books.Line, sum int64, wrong *reply) {
	fail := func(where, words string) (string, []books.Line, int64, *reply) {
		r := refuse(where, words)
		return "", nil, 0, &r
	}
	for i, group := range m.groups("ORC") {
		n := strconv.Itoa(i + 1)
		orc, item, ft1 := within(group, "ORC"), within(group, what), within(group, "FT1")
		code, name, qty, unit := item.text(1), item.text(1, 2), item.text(2), item.text(4)
		if what == "OBR" {
			code, name, qty, unit = item.text(4), item.text(4, 2), ft1.text(10), ""
		}
		if orc.text(4) == "" || no != "" && orc.text(4) != no {
			return fail("ORC^"+n+"^4^101", "缺少组号，或组号不一致")
		}
		no = orc.text(4)
		fen, err := books.ParseYuan(ft1.text(11))
		if code == "" || name == "" || qty == "" || err != nil {
			return fail(what+"^"+n+"^1^101", "缺少必填字段")
		}
		sum += fen
		all = append(all, books.Line{No: i + 1, Code: code, Name: name, Spec: item.text(1, 5), Unit: unit, Qty: qty, Price: ft1.text(12), AmountFen: fen})
	}
	return no, all, sum, nil
}

// total is what the caller says that the lines make, in the Z-segment of the message.
func total(m *message, sum int64) int64 {
	if fen, err := books.ParseYuan(m.first("ZTO").text(1)); err == nil {
		return fen
	}
	return sum
}

func (h *HIS) savePrescription(m *message) reply {
	no, all, sum, wrong := lines(m, "RXO")
	if wrong != nil {
		return *wrong
	}
	if m.first("RXR").text(1) == "" {
		return refuse("RXR^1^1^101", "缺少给药途径")
	}
	pid := m.first("PID")
	r := h.books.Save(books.Prescription{No: no, VisitNo: m.first("PV1").text(19), PatientID: pid.typed(3, "PatientNO"), PatientName: pid.text(5), AmountFen: total(m, sum), Lines: all})
	return booked(r, h.heldPrescription(no))
}

func (h *HIS) voidPrescription(m *message) reply {
	orc := m.first("ORC")
	return takenBack(h.books.Void(orc.text(4), orc.text(16, 2)), h.heldPrescription(orc.text(4)))
}

var states = map[string]string{books.Saved: "S", books.Settled: "P", books.Voided: "V", books.Dispensed: "D", books.Returned: "R", books.Performed: "C"}

func (h *HIS) heldPrescription(no string) func() string {
	return func() string {
		p, _ := h.books.Prescription(no)
		return line("ZRX", p.No, p.HisNo, books.Yuan(p.AmountFen), states[p.State])
	}
}

func (h *HIS) askPrescription(m *message) reply {
	no := m.first("QPD").text(3)
	if _, ok := h.books.Prescription(no); !ok {
		return told()
	}
	return told(h.heldPrescription(no)())
}

func (h *HIS) saveOrder(m *message) reply {
	no, all, sum, wrong := lines(m, "OBR")
	if wrong != nil {
		return *wrong
	}
	r := h.books.SaveOrder(books.Order{No: no, VisitNo: m.first("PV1").text(19), PatientNo: m.first("PID").typed(3, "PatientNO"), Category: m.first("OBR").text(24), AmountFen: total(m, sum), Lines: all})
	return booked(r, h.heldOrder(no))
}

func (h *HIS) cancelOrder(m *message) reply {
	no := m.first("ORC").text(4)
	return takenBack(h.books.CancelOrder(no), h.heldOrder(no))
}

func (h *HIS) heldOrder(no string) func() string {
	return func() string {
		o, _ := h.books.OrderOf(no)
		return line("ZRX", o.No, o.HisNo, books.Yuan(o.AmountFen), states[o.State])
	}
}

func (h *HIS) askOrder(m *message) reply {
	no := m.first("QPD").text(3)
	if _, ok := h.books.OrderOf(no); !ok {
		return told()
	}
	return told(h.heldOrder(no)())
}

func (h *HIS) askDepartments(*message) reply {
	var rows []string
	for _, d := range books.Departments {
		closed := "N"
		if d.Closed {
			closed = "Y"
		}
		rows = append(rows, line("ZDP", d.Code, d.Name, d.Parent, closed))
	}
	return told(rows...)
}

func (h *HIS) askDoctors(m *message) reply {
	var rows []string
	for _, d := range books.Doctors {
		if of := m.first("QPD").text(3); of == "" || of == d.DepartmentCode {
			name := strings.ReplaceAll(d.Name, "^", "")
			rows = append(rows, line("ZDR", components(d.Code, name), d.DepartmentCode, d.Title))
		}
	}
	return told(rows...)
}
