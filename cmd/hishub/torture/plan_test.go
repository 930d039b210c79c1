package torture

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"hishub/core"
)

// Parts of a business key by which hospitals recognise what they refuse.
const (
	refusedKey     = "XJ"
	refusedLateKey = "XK" // dongshan's way: pre-settled, then refused and taken back
)

// message is one that is submitted and must be accepted.
type message struct {
	lane   *lane
	place  int // in its lane
	kind   core.Kind
	key    string
	body   core.Body
	amount int64 // fen; 0 for a void
	id     int64 // once accepted
}

func (m *message) String() string {
	return fmt.Sprintf("%s %s %s (message %d, lane %s place %d)", m.lane.hospital.id, m.kind, m.key, m.id, m.lane.visit, m.place+1)
}

// lane is a visit: its messages are submitted one after the other.
type lane struct {
	hospital *hospital
	visit    string
	at       time.Duration // when its first message is submitted
	messages []*message
	refused  []refused
}

// refused is a submission that must be answered with a 4xx and never be sent.
type refused struct {
	kind   core.Kind
	body   core.Body
	status int
	key    string // "" when a good message has the same
}

// visits are the ways of a patient, one to six messages long. p prescription,
// y payment of the newest prescription, f refund of a part, v void.
var visits = []string{"p", "py", "py", "py", "pv", "pyf", "pyff", "pvpy", "pyfpv", "pypyf", "pypyfp", "pvpyfp"}

// plan makes the lanes of a seed.
func (c *campaign) plan() {
	r := c.random(1)
	for n := 1; len(c.messages) < c.size.messages; n++ {
		l := &lane{hospital: c.hospitals[n%len(c.hospitals)], visit: fmt.Sprintf("V%d%06d", c.seed, n)}
		l.fill(r, visits[r.IntN(len(visits))])
		if n%25 == 0 {
			l.addRefused(n)
		}
		c.lanes = append(c.lanes, l)
		c.messages = append(c.messages, l.messages...)
	}
	for i, l := range c.lanes {
		l.at = c.spread * time.Duration(i) / time.Duration(len(c.lanes))
	}
}

func (l *lane) fill(r *rand.Rand, way string) {
	var last *core.Prescription
	var paid *core.Payment
	for i, step := range way {
		number := fmt.Sprintf("%s%d", l.visit[1:], i)
		if r.IntN(40) == 0 {
			number += refusedKey
		} else if r.IntN(20) == 0 {
			number += refusedLateKey
		}
		m := &message{lane: l, place: i}
		now := time.Now().Truncate(time.Second)
		switch step {
		case 'p':
			last = newPrescription(r, "RX"+number, l.visit, now)
			m.kind, m.body, m.amount = core.PrescriptionCreate, last, int64(last.Amount)
		case 'v':
			m.kind = core.PrescriptionVoid
			m.body = &core.PrescriptionVoiding{No: last.No, VisitNo: l.visit, PatientNo: last.PatientNo, Reason: "测试作废", OperatorCode: "D01", VoidedAt: now}
		case 'y':
			paid = &core.Payment{OrderID: "IH" + number, VisitNo: l.visit, PatientNo: last.PatientNo, PatientName: last.PatientName,
				Bills: []string{last.No}, Amount: last.Amount, Channel: "wechat", ChannelNo: "4200" + number, PaidAt: now}
			m.kind, m.body, m.amount = core.PaymentSettle, paid, int64(paid.Amount)
		case 'f':
			// A tenth: a refund that is booked twice must not be hidden by the limit of the payment.
			back := &core.Refund{RefundNo: "RF" + number, OrderID: paid.OrderID, VisitNo: l.visit, PatientNo: paid.PatientNo,
				Amount: paid.Amount / 10, Paid: paid.Amount, Channel: paid.Channel, ChannelNo: paid.ChannelNo,
				ChannelRefundNo: "5000" + number, Reason: "测试退费", RefundedAt: now}
			m.kind, m.body, m.amount = core.RefundCreate, back, int64(back.Amount)
		}
		m.key = m.body.Key()
		l.messages = append(l.messages, m)
	}
}

func newPrescription(r *rand.Rand, no, visit string, now time.Time) *core.Prescription {
	p := &core.Prescription{
		No: no, VisitNo: visit, PatientNo: "P" + visit[1:], PatientName: "张三测试", Sex: "female", BirthDate: "1990-01-01",
		IDNo: "999999199001010016", DepartmentCode: "D01", DepartmentName: "测试科", DoctorCode: "0001", DoctorName: "测试一",
		PharmacistCode: "0002", Category: "western", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "急性上呼吸道感染"}},
		WrittenAt: now, ValidUntil: now.Add(72 * time.Hour),
	}
	for i := range 1 + r.IntN(4) {
		qty, price := fmt.Sprint(1+r.IntN(5)), fmt.Sprintf("%d.%04d", 1+r.IntN(90), r.IntN(10000))
		amount, err := core.LineAmount(qty, price)
		if err != nil {
			panic(err) // digits
		}
		p.Items = append(p.Items, core.Item{Code: fmt.Sprintf("%06d", i), Name: "阿莫西林胶囊", Spec: "0.25g*24", Qty: qty, Unit: "盒", UnitPrice: price,
			Amount: amount, Dose: "0.5", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 3})
		p.Amount += amount
	}
	return p
}

// addRefused: a total that its lines don't make, and other content under a key
// that was accepted.
func (l *lane) addRefused(n int) {
	good := l.messages[0].body.(*core.Prescription)
	wrong := *good
	wrong.No, wrong.Amount = fmt.Sprintf("BAD%s", good.No), good.Amount+1
	l.refused = append(l.refused,
		refused{kind: core.PrescriptionCreate, body: &wrong, status: 422, key: wrong.No},
		refused{kind: core.PrescriptionCreate, body: different(good), status: 409})
}

// different is other content under the same key.
func different(p *core.Prescription) *core.Prescription {
	other := *p
	item := p.Items[0]
	item.Qty += "0"
	amount, err := core.LineAmount(item.Qty, item.UnitPrice)
	if err != nil {
		panic(err) // digits
	}
	item.Amount, other.Amount = amount, amount
	other.Items = []core.Item{item}
	return &other
}

// isRefused reports whether its hospital has the order to refuse the message.
func (m *message) isRefused() bool {
	if m.kind == core.PrescriptionVoid {
		return false
	}
	return strings.Contains(m.key, refusedKey) || strings.Contains(m.key, refusedLateKey) && m.kind == core.PaymentSettle && m.lane.hospital.undo != ""
}
