package hl7his

import (
	"strings"
	"time"

	"hishub/mocks/books"
)

// operation is a kind of message: its key, and what it does.
type operation struct {
	key     func(*message) string
	inquiry bool // a question about one write
	act     func(*HIS, *message) reply
}

func field(name string, n int) func(*message) string {
	return func(m *message) string { return m.first(name).text(n) }
}

var operations = map[string]*operation{
	"ADT^A04":     {key: func(m *message) string { return m.first("PID").typed(3, "PersonNO") }, act: (*HIS).register},
	"OMP^O09/NW":  {key: field("ORC", 4), act: (*HIS).savePrescription},
	"OMP^O09/CA":  {key: field("ORC", 4), act: (*HIS).voidPrescription},
	"ORM^O01/NW":  {key: field("ORC", 4), act: (*HIS).saveOrder},
	"ORM^O01/CA":  {key: field("ORC", 4), act: (*HIS).cancelOrder},
	"DFT^P03/PY":  {key: field("FT1", 2), act: (*HIS).settle},
	"DFT^P03/CD":  {key: field("FT1", 2), act: (*HIS).refund},
	"DFT^P03/AJ":  {key: field("FT1", 2), act: (*HIS).refund},
	"QBP^Q11/Z01": {key: field("QPD", 3), inquiry: true, act: (*HIS).askPrescription},
	"QBP^Q11/Z02": {key: field("QPD", 3), inquiry: true, act: (*HIS).askOrder},
	"QBP^Q11/Z03": {key: field("QPD", 3), inquiry: true, act: (*HIS).askPayment},
	"QBP^Q11/Z04": {key: field("QPD", 3), inquiry: true, act: (*HIS).askRefund},
	"QBP^Q11/Z05": {key: field("QPD", 3), act: (*HIS).askUnpaid},
	"QBP^Q11/Z06": {key: field("QPD", 3), act: (*HIS).askLedger},
	"QBP^Q11/Z07": {key: field("QPD", 3), act: (*HIS).askTotals},
	"QBP^Q11/Z08": {key: field("QPD", 3), act: (*HIS).askDepartments},
	"QBP^Q11/Z09": {key: field("QPD", 3), act: (*HIS).askDoctors},
}

// operationOf names what is asked, as the fault script does: the type, and what
// tells the messages of one type apart.
func operationOf(m *message) (string, *operation) {
	msh := m.first("MSH")
	name := msh.text(9) + "^" + msh.text(9, 2)
	switch msh.text(9) {
	case "OMP", "ORM":
		name += "/" + m.first("ORC").text(1)
	case "DFT":
		name += "/" + m.first("FT1").text(6)
	case "QBP":
		name += "/" + m.first("QPD").text(1)
	}
	return name, operations[name]
}

// answers are the types of the messages that answer.
var answers = map[string]parts{"OMP": "ORP^O10", "ORM": "ORR^O02", "QBP": "RSP^K11"}

// duplicate is where and why an ERR segment says that a key is there already.
const duplicate = "ORC^1^4^205"

// reply of an operation.
type reply struct {
	code  string // AA, AE, AR; CA
	wrong string // segment, sequence, field and code of the ERR segment
	words string
	lines []string // what follows MSA and ERR
	// QAK-2 of a question
	found  string
	effect string // for the journal
}

func refuse(wrong, words string) reply {
	return reply{code: "AE", wrong: wrong, words: words, effect: "refused: " + words}
}

// told answers a question; no lines are no data.
func told(lines ...string) reply {
	r := reply{code: "AA", lines: lines, found: "OK", effect: "asked"}
	if len(lines) == 0 {
		r.found = "NF"
	}
	return r
}

// booked answers a write with what the books hold.
func booked(r books.Result, held func() string) reply {
	switch r.Effect {
	case books.Refused:
		return refuse("ORC^1^1^207", r.Words)
	case books.Conflict:
		return refuse("FT1^1^11^207", "重复提交内容不一致")
	}
	a := reply{code: "AA", words: "成功", lines: []string{held()}, effect: r.Journal()}
	if r.Effect == books.Already {
		a.code, a.wrong, a.words = "AE", duplicate, "重复的业务主键"
	}
	return a
}

// takenBack answers what takes a write back; a second time is the same.
func takenBack(r books.Result, held func() string) reply {
	if r.Effect == books.Already {
		r.Effect = books.Repeated
	}
	return booked(r, held)
}

// document is the whole answer.
func (h *HIS) document(m *message, r reply) string {
	msh := m.first("MSH")
	kind := parts("ACK^" + msh.text(9, 2))
	if k := answers[msh.text(9)]; k != "" && r.code != "CA" {
		kind = k
	}
	all := []string{
		`MSH|^~\&` + line("", "HIS", "HEPING", msh.text(3), msh.text(4), time.Now().In(books.Zone).Format(hl7Time), "", kind, h.books.Number("M"), "P", "2.4", "", "", "", "", "", "GB 18030-2000"),
		line("MSA", r.code, msh.text(10), r.words),
	}
	if r.wrong != "" {
		where := strings.Split(r.wrong, "^")
		all = append(all, line("ERR", parts(strings.Join(where[:3], "^")+"^"+where[3]+"&"+escaping.Replace(r.words)+"&HL70357")))
	}
	if r.found != "" {
		qpd := m.first("QPD")
		all = append(all, line("QAK", qpd.text(2), r.found, qpd.text(1)), strings.Join(qpd.fields, "|"))
	}
	return strings.Join(append(all, r.lines...), h.options.Ends) + h.options.Ends
}

const hl7Time = "20060102150405"

// clock turns yyyyMMddHHmmss into the spelling of the books, and back.
func clock(text string) (string, bool) {
	t, err := time.Parse(hl7Time, text)
	return t.Format(books.TimeLayout), err == nil
}

func compact(text string) string {
	t, err := time.Parse(books.TimeLayout, text)
	if err != nil {
		return ""
	}
	return t.Format(hl7Time)
}
