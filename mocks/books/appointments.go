package books

import (
	"strconv"
	"time"
)

// Session is one clinic session with numbered places, 1 to Places.
type Session struct {
	No             string `json:"no"`
	DepartmentCode string `json:"department_code"`
	DoctorCode     string `json:"doctor_code"`
	Date           string `json:"date"`   // yyyy-MM-dd
	Period         string `json:"period"` // morning, afternoon
	Start          string `json:"start"`  // HH:mm
	End            string `json:"end"`
	Places         int    `json:"places"`
	FeeFen         int64  `json:"fee_fen"`
	Stopped        bool   `json:"stopped"`
}

// States of an appointment. A lock that ran out is released.
const (
	Locked    = "locked"
	Released  = "released"
	Booked    = "booked"
	Paid      = "paid"
	Cancelled = "cancelled"
)

// Appointment of one of the caller's orders, from the lock on.
type Appointment struct {
	Order     string    `json:"order"` // the caller's number
	HisNo     string    `json:"his_no"`
	LockNo    string    `json:"lock_no,omitempty"`
	PatientNo string    `json:"patient_no"`
	Session   string    `json:"session"`
	Place     int       `json:"place"`
	FeeFen    int64     `json:"fee_fen"`
	RefundNo  string    `json:"refund_no,omitempty"`
	State     string    `json:"state"`
	Until     time.Time `json:"until,omitzero"` // of a lock
	At        time.Time `json:"at"`
}

// live reports whether the appointment holds its place.
func (a *Appointment) live() bool {
	return a.State == Booked || a.State == Paid || a.State == Locked && time.Now().Before(a.Until)
}

// Schedule puts sessions into the books.
func (b *Books) Schedule(sessions ...Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range sessions {
		b.clinic.sessions = append(b.clinic.sessions, &s)
	}
}

// StopSession takes a session out of the schedule, what is booked stays.
func (b *Books) StopSession(no string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.session(no)
	if s != nil {
		s.Stopped = true
	}
	return s != nil
}

// SessionOf finds a session by its number.
func (b *Books) SessionOf(no string) (Session, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.session(no); s != nil {
		return *s, true
	}
	return Session{}, false
}

// Sessions lists those of the dates from … to, both included, with how many of
// their places are free; "" is everything.
func (b *Books) Sessions(from, to, department, doctor string) (found []Session, remaining []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.clinic.sessions {
		if (from == "" || s.Date >= from) && (to == "" || s.Date <= to) &&
			(department == "" || s.DepartmentCode == department) && (doctor == "" || s.DoctorCode == doctor) {
			free := 0
			for place := 1; place <= s.Places; place++ {
				if b.holder(s.No, place) == nil {
					free++
				}
			}
			found, remaining = append(found, *s), append(remaining, free)
		}
	}
	return found, remaining
}

func (b *Books) session(no string) *Session {
	return first(b.clinic.sessions, func(s *Session) bool { return s.No == no })
}

func (b *Books) holder(session string, place int) *Appointment {
	return first(b.clinic.appointments, func(a *Appointment) bool { return a.Session == session && a.Place == place && a.live() })
}

// appointment of an order: the live one, else the newest.
func (b *Books) appointment(order string) *Appointment {
	var newest *Appointment
	for _, a := range b.clinic.appointments {
		if a.Order == order {
			if a.live() {
				return a
			}
			newest = a
		}
	}
	return newest
}

// AppointmentOf finds the appointment of one of the caller's orders; a lock that
// ran out shows as released.
func (b *Books) AppointmentOf(order string) (Appointment, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.appointment(order)
	if a == nil {
		return Appointment{}, false
	}
	found := *a
	if found.State == Locked && !found.live() {
		found.State = Released
	}
	return found, true
}

// LockPlace holds a place for life; Place 0 is the first free one.
func (b *Books) LockPlace(a Appointment, life time.Duration) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	effect := Done
	if held := b.appointment(a.Order); held != nil && held.live() {
		if b.repeats != Double {
			return b.repeated(held.LockNo, held.FeeFen, held.FeeFen)
		}
		effect = Again
	}
	if refused := b.take(&a); refused.Effect == Refused {
		return refused
	}
	a.LockNo, a.State, a.Until = b.number("L"), Locked, time.Now().Add(life)
	b.clinic.appointments = append(b.clinic.appointments, &a)
	return Result{Effect: effect, HisNo: a.LockNo, AmountFen: a.FeeFen}
}

// take finds the place, or says why there is none.
func (b *Books) take(a *Appointment) Result {
	s := b.session(a.Session)
	switch {
	case s == nil:
		return Result{Effect: Refused, Words: "无此排班"}
	case s.Stopped:
		return Result{Effect: Refused, Words: "已停诊"}
	case a.Place < 0 || a.Place > s.Places:
		return Result{Effect: Refused, Words: "无此号源"}
	case a.Place > 0 && b.holder(s.No, a.Place) != nil:
		return Result{Effect: Refused, Words: "号源已被占用"}
	}
	for place := 1; a.Place == 0 && place <= s.Places; place++ {
		if b.holder(s.No, place) == nil {
			a.Place = place
		}
	}
	if a.Place == 0 {
		return Result{Effect: Refused, Words: "号源已满"}
	}
	a.FeeFen, a.At = s.FeeFen, b.now()
	return Result{Effect: Done}
}

// ReleasePlace lets a lock go. One that is gone already is Already and harmless.
func (b *Books) ReleasePlace(order string) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.appointment(order)
	switch {
	case a == nil:
		return Result{Effect: Refused, Words: "未找到锁号记录"}
	case a.State == Booked || a.State == Paid:
		return Result{Effect: Refused, Words: "已挂号，不能解锁"}
	case !a.live():
		return Result{Effect: Already, HisNo: a.LockNo}
	}
	a.State = Released
	return Result{Effect: Done, HisNo: a.LockNo}
}

// Book turns the order's lock into an appointment, or takes a free place when
// nothing was locked. A lock that ran out is refused.
func (b *Books) Book(a Appointment) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	effect, held := Done, b.appointment(a.Order)
	if held != nil && (held.State == Booked || held.State == Paid) {
		if b.repeats != Double {
			return b.repeated(held.HisNo, held.FeeFen, a.FeeFen)
		}
		effect, held = Again, nil
	}
	switch {
	case held != nil && held.State == Cancelled:
		return Result{Effect: Refused, Words: "预约已取消"}
	case a.LockNo != "" && effect == Done && (held == nil || !held.live() || held.LockNo != a.LockNo):
		return Result{Effect: Refused, Words: "锁号已失效"}
	}
	if held != nil && held.live() {
		if held.FeeFen != a.FeeFen {
			return Result{Effect: Refused, Words: "挂号费不符"}
		}
		held.HisNo, held.PatientNo, held.State, held.At = b.number("G"), a.PatientNo, Booked, b.now()
		return Result{Effect: Done, HisNo: held.HisNo, AmountFen: held.FeeFen}
	}
	asked := a.FeeFen
	if refused := b.take(&a); refused.Effect == Refused {
		return refused
	}
	if a.FeeFen != asked {
		return Result{Effect: Refused, Words: "挂号费不符"}
	}
	a.HisNo, a.LockNo, a.State = b.number("G"), "", Booked
	b.clinic.appointments = append(b.clinic.appointments, &a)
	return Result{Effect: effect, HisNo: a.HisNo, AmountFen: a.FeeFen}
}

// PayAppointment books the registration fee; it is a settlement like any other,
// so that it is in the ledger.
func (b *Books) PayAppointment(s Settlement) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	effect, a := Done, b.appointment(s.Order)
	if held := b.orders[s.Order]; held != nil {
		if b.repeats != Double {
			return b.repeated(held.HisNo, held.AmountFen, s.AmountFen)
		}
		effect = Again
	}
	switch {
	case a == nil || a.State != Booked && a.State != Paid:
		return Result{Effect: Refused, Words: "未找到预约记录"}
	case a.FeeFen != s.AmountFen:
		return Result{Effect: Refused, Words: "支付金额与挂号费不符"}
	}
	s.Registration = true
	b.settle(&s)
	a.State = Paid
	return Result{Effect: effect, HisNo: s.HisNo, AmountFen: s.AmountFen}
}

// CancelAppointment lets the place go, with the whole fee if it was paid.
// back.No may be empty when nothing was.
func (b *Books) CancelAppointment(back Refund) Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.appointment(back.Order)
	switch {
	case a == nil || a.HisNo == "":
		return Result{Effect: Refused, Words: "未找到预约记录"}
	case a.State == Cancelled && b.backs[a.RefundNo] != nil:
		held := b.backs[a.RefundNo]
		return Result{Effect: Already, HisNo: held.HisNo, AmountFen: held.AmountFen}
	case a.State == Cancelled:
		return Result{Effect: Already, HisNo: a.HisNo}
	case a.State == Booked && back.AmountFen != 0:
		return Result{Effect: Refused, Words: "未支付，不能退款"}
	case a.State == Booked:
		a.State = Cancelled
		return Result{Effect: Done, HisNo: a.HisNo}
	case back.AmountFen != a.FeeFen || back.No == "":
		return Result{Effect: Refused, Words: "退款金额与挂号费不符"}
	}
	r := b.refund(back, "")
	if r.Effect == Done || r.Effect == Again {
		a.State, a.RefundNo = Cancelled, back.No
	}
	return r
}

// QueuePlace is where a patient stands in one waiting line.
type QueuePlace struct {
	Session       Session
	Number, Ahead int
}

// Queue lists the places of a patient's appointments on a day; those before it
// in the same session who hold an appointment are ahead.
func (b *Books) Queue(patientNo, day string) []QueuePlace {
	b.mu.Lock()
	defer b.mu.Unlock()
	var places []QueuePlace
	for _, a := range b.clinic.appointments {
		s := b.session(a.Session)
		if a.PatientNo != patientNo || a.State != Booked && a.State != Paid || s == nil || s.Date != day {
			continue
		}
		ahead := 0
		for place := 1; place < a.Place; place++ {
			if h := b.holder(s.No, place); h != nil && h.State != Locked {
				ahead++
			}
		}
		places = append(places, QueuePlace{Session: *s, Number: a.Place, Ahead: ahead})
	}
	return places
}

// DaySessions is a small schedule: for each of days from the first on, a morning
// and an afternoon of three doctors, each with five places at 15.00.
func DaySessions(from time.Time, days int) []Session {
	var out []Session
	for d := range days {
		day := from.In(Zone).AddDate(0, 0, d)
		for i, who := range Doctors {
			if !who.Clinic {
				continue
			}
			for _, half := range []Session{{Period: "morning", Start: "8:00", End: "11:30"}, {Period: "afternoon", Start: "13:30", End: "17:00"}} {
				s := half
				s.No = "PB" + day.Format("20060102") + strconv.Itoa(i) + s.Period[:1]
				s.DepartmentCode, s.DoctorCode, s.Date = who.DepartmentCode, who.Code, day.Format("2006-01-02")
				s.Places, s.FeeFen = 5, 1500
				out = append(out, s)
			}
		}
	}
	return out
}
