package month

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"hishub/core"
)

// kind of an event: what happens to one payment.
type kind string

const (
	plain        kind = "plain"
	refunded     kind = "refunded"      // by us, at the channel and told to the HIS
	hung         kind = "hung"          // the HIS books it and never answers; an inquiry finds it
	rounding     kind = "rounding"      // 1.7917 yuan x 12 = 21.50
	lateEvening  kind = "late_evening"  // 23:59:58, and everybody dates it alike
	crossDay     kind = "cross_day"     // 23:59:58, and the HIS books it on the next day
	lostCall     kind = "lost_call"     // the channel took the money, and nobody told us
	lostBooking  kind = "lost_booking"  // the HIS answered, and lost it since
	windowRefund kind = "window_refund" // a cashier gave it back, and nobody told us
	yuanAsFen    kind = "yuan_as_fen"   // the HIS booked a hundred times too much
	zeroYuan     kind = "zero_yuan"     // a free registration at the HIS
	reversedPair kind = "reversed_pair" // booked at the HIS and taken back, without us
	withoutMoney kind = "without_money" // booked at the HIS, paid nowhere
	paidTwice    kind = "paid_twice"    // the patient paid one bill again, by another order
	slowRefund   kind = "slow_refund"   // the channel takes days for it
)

// weather of a hospital's day: what is wrong with somebody's books of it.
type weather string

const (
	fair      weather = ""
	truncated weather = "truncated"      // the bill ends in the middle of a row
	checksum  weather = "wrong_checksum" // a digit of the bill is another
	late      weather = "late_bill"      // the bill is not made yet
	denied    weather = "denied_bill"    // the channel says that there is no bill, and we hold money
	empty     weather = "empty_day"      // nobody pays; the channel says that there is no bill
	twice     weather = "repeated_pages" // the HIS lists every row twice
)

// event is one payment with what happens to it.
type event struct {
	kind
	h   *hospital
	day int

	order, visit, patient, rx string
	way                       core.Channel
	channelNo                 string // once the channel has it
	amount                    core.Fen
	items                     []core.Item
	at                        time.Time
	// refund is our number of what goes back, back its amount.
	refund string
	back   core.Fen
	backAt time.Time

	// repairOn is the day on which people mend it; 0 never. Of a slow refund it is
	// the day on which the money arrives.
	repairOn int
	action   string
	mended   bool
	// repair that was approved; message is the key of what it had the hub do.
	repair  int64
	message string
	// wrongNo is the channel's number of a second payment, or of what has no money.
	again, wrongNo string
}

// day of one hospital.
type day struct {
	weather
	events []*event
}

// sorts are the faults in the order in which they are dealt out, with the
// hospitals that can have them.
var sorts = []struct {
	kind
	can func(*hospital) bool
}{
	{hung, anywhere}, {rounding, anywhere}, {lostCall, anywhere}, {lostBooking, anywhere}, {windowRefund, anywhere},
	{crossDay, func(h *hospital) bool { return h.clocked }}, {lateEvening, func(h *hospital) bool { return !h.clocked }},
	{yuanAsFen, anywhere}, {zeroYuan, anywhere}, {reversedPair, anywhere}, {paidTwice, anywhere}, {refunded, anywhere},
	// What is to be taken back must be named to the HIS by a number that it knows.
	{withoutMoney, func(h *hospital) bool { return !h.maimed }},
	{slowRefund, anywhere},
}

func anywhere(*hospital) bool { return true }

// plan makes the truth of the seed.
func (w *world) plan(often int) {
	for i, h := range w.hospitals {
		r := w.random(uint64(10 + i))
		if !w.fair {
			h.skies(w, r, i)
		}
		var open []int
		for d := 1; d <= w.days; d++ {
			if s := h.days[d].weather; s != empty && s != twice {
				open = append(open, d)
			}
			if h.days[d].weather != empty {
				for range 3 + r.IntN(4) {
					h.add(w, r, d, plain)
				}
				h.add(w, r, d, refunded)
			}
		}
		for _, s := range sorts {
			if !s.can(h) {
				continue
			}
			for n := range often {
				days := open
				if s.kind == crossDay || s.kind == slowRefund { // what becomes of it must be seen, too
					days = slices.DeleteFunc(slices.Clone(open), func(d int) bool { return d > max(1, w.days-2) })
				}
				d := days[r.IntN(len(days))]
				e := h.add(w, r, d, s.kind)
				if s.kind == yuanAsFen && (n+i)%2 == 1 {
					e.action = "write_off"
				}
			}
		}
	}
}

// skies deals out the weather; at most every second day is bad.
func (h *hospital) skies(w *world, r *rand.Rand, place int) {
	kinds := []weather{truncated, checksum, late, denied, empty}
	if h.id == "dongshan" || h.id == "nanyuan" {
		kinds = []weather{twice, empty, late, truncated, checksum, denied} // others are compared by totals, which list nothing
	}
	shift := place
	if h.id == "dongshan" || h.id == "nanyuan" {
		shift = place / 2 // one begins with pages twice, the other with an empty day
	}
	for d, n := 2, 0; d <= w.days; d, n = d+2+r.IntN(2), n+1 {
		h.days[d].weather = kinds[(n+shift)%len(kinds)]
	}
}

// add makes one event.
func (h *hospital) add(w *world, r *rand.Rand, d int, k kind) *event {
	n := len(h.days[d].events)
	stem := fmt.Sprintf("%s%03d%03d%03d", h.letter, w.seed%1000, d, n)
	e := &event{kind: k, h: h, day: d, order: stem + "MONTHTEST", visit: "V" + stem, patient: "P" + stem, rx: "RX" + stem}
	e.way = h.ways[0]
	if k == slowRefund && slices.Contains(h.ways, core.Channel("alipay")) || len(h.ways) > 1 && (k == plain || k == refunded) && h.ways[1] == "alipay" && r.IntN(2) == 0 || k == plain && r.IntN(3) == 0 {
		e.way = h.ways[len(h.ways)-1]
	}
	e.items, e.amount = lines(r, k)
	second := 7*3600 + r.IntN(12*3600)
	if k == crossDay || k == lateEvening {
		second = 24*3600 - 2
	}
	e.at = w.at(d, 0, 0, second)
	e.wrongNo = fmt.Sprintf("4200009%s", stem)
	switch k {
	case refunded, slowRefund, windowRefund:
		e.refund, e.back = "RF"+stem+"MONTHTEST", max(1, e.amount/core.Fen(2+r.IntN(3)))
		e.backAt = w.at(d, 20, r.IntN(60), r.IntN(60))
	case paidTwice:
		e.again = stem + "AGAINTEST"
	}
	switch k {
	case lostCall, lostBooking, windowRefund, yuanAsFen, withoutMoney, paidTwice:
		later := 1 + r.IntN(3)
		if w.days > 10 && r.IntN(5) == 0 {
			later = 9 // longer than a refund may take
		}
		e.repairOn = min(d+later, w.days+1)
		if w.fair {
			e.repairOn = w.days + 1
		}
		for e.repairOn <= w.days && h.days[e.repairOn].weather == twice {
			e.repairOn++ // what it books there would be listed twice as well
		}
	case slowRefund:
		e.repairOn = min(d+1+r.IntN(3), w.days)
	}
	h.days[d].events = append(h.days[d].events, e)
	return e
}

// lines of a prescription, with their sum.
func lines(r *rand.Rand, k kind) (items []core.Item, sum core.Fen) {
	for i := range 1 + r.IntN(3) {
		qty, price := fmt.Sprint(1+r.IntN(5)), fmt.Sprintf("%d.%04d", 1+r.IntN(40), r.IntN(10000))
		if k == rounding {
			qty, price = "12", "1.7917"
		}
		amount, err := core.LineAmount(qty, price)
		if err != nil {
			panic(err) // digits
		}
		items = append(items, core.Item{Code: fmt.Sprintf("%06d", i), Name: "阿莫西林胶囊", Spec: "0.25g*24", Qty: qty, Unit: "盒", UnitPrice: price,
			Amount: amount, Dose: "0.5", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 3})
		sum += amount
		if k == rounding {
			break
		}
	}
	return items, sum
}

func (e *event) prescription() *core.Prescription {
	return &core.Prescription{
		No: e.rx, VisitNo: e.visit, PatientNo: e.patient, PatientName: "张三测试", Sex: "female", BirthDate: "1990-01-01",
		IDNo: "999999199001010016", DepartmentCode: "D01", DepartmentName: "测试科", DoctorCode: "0001", DoctorName: "测试一",
		PharmacistCode: "0002", Category: "western", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "急性上呼吸道感染"}},
		WrittenAt: e.at.Add(-time.Hour), ValidUntil: e.at.Add(72 * time.Hour), Items: e.items, Amount: e.amount,
	}
}

func (e *event) payment() *core.Payment {
	return &core.Payment{OrderID: e.order, VisitNo: e.visit, PatientNo: e.patient, PatientName: "张三测试", Bills: []string{e.rx},
		Amount: e.amount, Channel: e.way, ChannelNo: e.channelNo, PaidAt: e.at}
}

func (e *event) refundTold(channelRefundNo string) *core.Refund {
	return &core.Refund{RefundNo: e.refund, OrderID: e.order, VisitNo: e.visit, PatientNo: e.patient, Amount: e.back, Paid: e.amount,
		Channel: e.way, ChannelNo: e.channelNo, ChannelRefundNo: channelRefundNo, Reason: "测试退费", RefundedAt: e.backAt}
}

// ours reports whether the platform hears of the payment when it is paid.
func (e *event) ours() bool {
	return !slices.Contains([]kind{lostCall, zeroYuan, reversedPair, withoutMoney}, e.kind)
}

// money reports whether the patient paid through a channel.
func (e *event) money() bool {
	return !slices.Contains([]kind{zeroYuan, reversedPair, withoutMoney}, e.kind)
}
