package v3his

import (
	"strconv"
	"time"

	"hishub/mocks/books"
)

// OIDs that this hospital knows things by. Those below 900.77 are its own.
const (
	oidPerson      = "2.16.156.900.77.1.1"
	oidPatient     = "2.16.156.10011.0.2.2"
	oidVisit       = "2.16.156.10011.1.11"
	oidCard        = "2.16.156.10011.1.19"
	oidStaff       = "2.16.156.10011.1.4"
	oidDepartment  = "2.16.156.10011.1.26"
	oidOrder       = "2.16.156.10011.1.28"
	oidApplication = "2.16.156.10011.1.24"
	oidCharge      = "2.16.156.900.77.1.2"
	oidRefund      = "2.16.156.900.77.1.3"
	oidTrade       = "2.16.156.900.77.1.4"
	oidHeld        = "2.16.156.900.77.1.9"
	oidFrequency   = "2.16.156.10011.2.5.1.13"
)

// action is one that the entrance knows.
type action struct {
	interaction string
	inquiry     bool // a question about one write
	key         func(*message) string
	act         func(*HIS, *message) reply
}

func subject(name, oid string) func(*message) string {
	return func(m *message) string { return m.act().at("subject", name, "id").id(oid) }
}

func asked(name string) func(*message) string {
	return func(m *message) string { return m.asked(name).attr("extension") }
}

func day(m *message) string { return m.asked("day").attr("value") }

var actions = map[string]*action{
	"PatientRegistryAdd": {interaction: "PRPA_IN201311UV02", key: func(m *message) string {
		return m.act().at("subject", "registrationRequest", "subject1", "patient", "id").id(oidPerson)
	}, act: (*HIS).register},
	"OrderInfoAdd":      {interaction: "POOR_IN200901UV", key: subject("placerGroup", oidOrder), act: (*HIS).savePrescription},
	"OrderInfoCancel":   {interaction: "POOR_IN200902UV", key: subject("placerGroup", oidOrder), act: (*HIS).voidPrescription},
	"OrderInfoQuery":    {interaction: "QUMT_IN020030UV01", inquiry: true, key: asked("id"), act: (*HIS).askPrescription},
	"ExamAppInfoAdd":    {interaction: "POOR_IN200907UV", key: subject("observationRequest", oidApplication), act: (*HIS).saveOrder},
	"ExamAppInfoCancel": {interaction: "POOR_IN200908UV", key: subject("observationRequest", oidApplication), act: (*HIS).cancelOrder},
	"ExamAppInfoQuery":  {interaction: "QUMT_IN020031UV01", inquiry: true, key: asked("id"), act: (*HIS).askOrder},
	"ChargeInfoAdd":     {interaction: "FIAB_IN010001UV01", key: subject("financialTransaction", oidCharge), act: (*HIS).settle},
	"ChargeInfoQuery":   {interaction: "QUQI_IN000003UV01", inquiry: true, key: asked("id"), act: (*HIS).askPayment},
	"RefundInfoAdd":     {interaction: "FIAB_IN010002UV01", key: subject("financialTransaction", oidRefund), act: (*HIS).refund},
	"RefundInfoQuery":   {interaction: "QUQI_IN000003UV01", inquiry: true, key: asked("id"), act: (*HIS).askRefund},
	"UnpaidBillQuery":   {interaction: "QUQI_IN000003UV01", key: asked("visitId"), act: (*HIS).askUnpaid},
	"LedgerQuery":       {interaction: "QUQI_IN000003UV01", key: day, act: (*HIS).askLedger},
	"LedgerTotalQuery":  {interaction: "QUQI_IN000003UV01", key: day, act: (*HIS).askTotals},
	"DepartmentQuery":   {interaction: "QUQI_IN000003UV01", key: func(*message) string { return "" }, act: (*HIS).askDepartments},
	"DoctorQuery":       {interaction: "QUQI_IN000003UV01", key: asked("department"), act: (*HIS).askDoctors},
}

// reply of an action.
type reply struct {
	code     string // AA, AE; AR: not now
	words    string
	subjects []string // what stands in the subjects of the control act
	question bool
	left     int // rows of a question that did not come yet
	effect   string
}

func refuse(words string) reply { return reply{code: "AE", words: words, effect: "refused: " + words} }

// told answers a question; no subjects are no data.
func told(subjects ...string) reply {
	return reply{code: "AA", words: "查询成功", subjects: subjects, question: true, effect: "asked"}
}

// booked answers a write with what the books hold.
func booked(r books.Result, held func() string) reply {
	switch r.Effect {
	case books.Refused:
		return refuse(r.Words)
	case books.Conflict:
		return refuse("重复提交内容不一致")
	case books.Already: // only with repeats "refuse", and told apart by nothing but the words
		return reply{code: "AE", words: "重复提交", subjects: []string{held()}, effect: r.Journal()}
	}
	return reply{code: "AA", words: "处理成功", subjects: []string{held()}, effect: r.Journal()}
}

// takenBack answers what takes a write back; a second time is the same.
func takenBack(r books.Result, held func() string) reply {
	if r.Effect == books.Already {
		r.Effect = books.Repeated
	}
	return booked(r, held)
}

// held is an act of which the hospital says its numbers, state and sum.
func held(oid, ours, theirs, state string, fen int64, more ...string) string {
	var d document
	d.open("act", "classCode", "ACT", "moodCode", "EVN").open("id")
	d.put("item", "root", oid, "extension", ours).put("item", "root", oidHeld, "extension", theirs)
	for i := 0; i+1 < len(more); i += 2 {
		d.put("item", "root", more[i], "extension", more[i+1])
	}
	d.close("id").put("statusCode", "code", state).put("value", "xsi:type", "MO", "value", books.Yuan(fen), "currency", "CNY").close("act")
	return d.String()
}

const v3Time = "20060102150405"

// acknowledge writes the MCCI_IN000002UV01 about a message.
func (h *HIS) acknowledge(m *message, r reply) string {
	var d document
	d.WriteString(`<?xml version="1.0" encoding="UTF-8"?>`)
	d.open("MCCI_IN000002UV01", "xmlns", "urn:hl7-org:v3", "xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance", "ITSVersion", "XML_1.0")
	d.put("id", "root", "2.16.156.10011.0", "extension", h.books.Number("M")).put("creationTime", "value", time.Now().In(books.Zone).Format(v3Time))
	d.put("interactionId", "root", "2.16.840.1.113883.1.6", "extension", "MCCI_IN000002UV01").put("processingCode", "code", "P").put("processingModeCode").put("acceptAckCode", "code", "AL")
	d.WriteString("<!-- AA 成功 AE 失败 -->")
	d.open("acknowledgement", "typeCode", r.code).open("targetMessage").put("id", "extension", m.id).close("targetMessage")
	d.open("acknowledgementDetail").put("text", "value", r.words).close("acknowledgementDetail", "acknowledgement")
	if r.question || len(r.subjects) > 0 {
		d.open("controlActProcess", "classCode", "CACT", "moodCode", "EVN")
		for _, s := range r.subjects {
			d.open("subject", "typeCode", "SUBJ").WriteString(s)
			d.close("subject")
		}
		if r.question {
			code := "OK"
			if len(r.subjects) == 0 {
				code = "NF"
			}
			d.open("queryAck").put("queryResponseCode", "code", code).put("resultRemainingQuantity", "value", strconv.Itoa(r.left)).close("queryAck")
		}
		d.close("controlActProcess")
	}
	d.close("MCCI_IN000002UV01")
	return d.String()
}

// clock turns yyyyMMddHHmmss into the spelling of the books, and back.
func clock(text string) (string, bool) {
	t, err := time.Parse(v3Time, text)
	return t.Format(books.TimeLayout), err == nil
}

func compact(text string) string {
	t, err := time.Parse(books.TimeLayout, text)
	if err != nil {
		return ""
	}
	return t.Format(v3Time)
}
