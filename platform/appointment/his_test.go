package appointment

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
	"hishub/platform/order"
	"hishub/platform/schedule"
)

// A HIS that counts the places is asked for each, told of each that is paid, and of each
// that is taken back with its money.
func TestTheHISCounts(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	w.c.Answer = func(_ string, kind core.Kind, _ core.Body) (any, error) {
		place, _ := w.Place(ctx, "h1")
		at := time.Now().Add(50 * hour).In(place.Zone)
		return &core.Schedules{Schedules: []core.Schedule{{ScheduleNo: "V1", DoctorCode: "D1", DepartmentCode: "01", Date: at.Format(time.DateOnly), Period: "morning", Fee: 5500, Remaining: "5"}}}, nil
	}
	v := w.session(t, "HV1", 5, 5000, schedule.HIS, 50*hour)
	w.identity = clinic.ErrState
	if _, err := w.Request(ctx, mother, "h1", Wish{Session: v, Patient: "P7", Request: "request-0"}); !errors.Is(err, clinic.ErrState) {
		t.Errorf("one whom the HIS does not know: %v", err)
	}
	w.identity = nil
	k := w.ask(t, 7, v)
	if k.State != Locking || k.Answered != nil {
		t.Fatalf("%+v", k)
	}
	a := w.read(t, k.Appointment)
	o := must[order.Order](t)(w.orders.Get(ctx, a.Order))
	if _, err := w.orders.Reprice(ctx, o.No, o.Version); !errors.Is(err, clinic.ErrState) {
		t.Errorf("paid before the HIS agreed: %v", err)
	}
	for range 2 {
		w.take(t, core.Event{Type: core.EventDelivered, Kind: core.AppointmentLock, Key: a.Order, Receipt: &core.Receipt{HisNo: "L1"}})
	}
	if k = must[Ticket](t)(w.OwnTicket(ctx, 7, k.No)); k.State != Granted {
		t.Fatalf("%+v", k)
	}
	var changed *order.PriceChanged
	if _, err := w.orders.Reprice(ctx, o.No, o.Version); !errors.As(err, &changed) || changed.Is != 5500 {
		t.Errorf("the fee at the HIS: %v", err)
	}
	a.Fee = 5500
	if err := w.pay(ctx, a); err != nil {
		t.Fatal(err)
	}
	if a = w.read(t, a.No); a.State != Confirmed || !a.UnknownAtHIS || a.lockNo != "L1" || a.Fee != 5500 {
		t.Fatalf("%+v", a)
	}
	w.take(t, core.Event{Type: core.EventParked, Class: core.InDoubt, Kind: core.AppointmentBook, Key: a.Order, Reason: "in doubt"})
	if a = w.read(t, a.No); a.State != Confirmed || !a.UnknownAtHIS || entry(a).HisProblem != "in doubt" {
		t.Errorf("in doubt: %+v", a)
	}
	w.take(t, core.Event{Type: core.EventDelivered, Kind: core.AppointmentBook, Key: a.Order, Receipt: &core.Receipt{HisNo: "G1", QueueNo: "12"}})
	w.take(t, core.Event{Type: core.EventParked, Class: core.Rejected, Kind: core.AppointmentBook, Key: a.Order}) // an older word
	for range 2 {
		if err := w.heed(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if a = w.read(t, a.No); a.UnknownAtHIS || a.HisNo != "G1" || a.QueueNo != "12" || a.State != Confirmed {
		t.Errorf("%+v", a)
	}
	must[Appointment](t)(w.Cancel(ctx, mother, a.No))
	if slices.Contains(w.kinds(t), core.AppointmentCancel) {
		t.Error("the HIS was told before the money was back")
	}
	w.returned(t, a)
	told := w.c.Told(t)
	want := []core.Kind{core.AppointmentLock, core.AppointmentBook, core.AppointmentPay, core.AppointmentCancel}
	if !slices.Equal(w.kinds(t), want) {
		t.Fatalf("told %v", w.kinds(t))
	}
	for _, m := range told {
		if m.LaneOrDefault() != a.Order {
			t.Errorf("%s is in the lane %s", m.Kind, m.LaneOrDefault())
		}
	}
	if m := told[2].Body.(*core.AppointmentPayment); m.HisNo != "G1" || m.Amount != 5500 || m.ChannelNo != "42"+a.No || m.PaidAt.IsZero() {
		t.Errorf("%+v", m)
	}
	if m := told[3].Body.(*core.AppointmentCancelling); m.Amount != 5500 || m.HisNo != "G1" || m.RefundNo != "R"+a.Order || m.ChannelRefundNo == "" {
		t.Errorf("%+v", m)
	}
	w.counts(t, v)
}

// What a HIS refuses, or does not agree to in time: nobody keeps a place or loses money.
func TestTheHISRefuses(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	v := w.session(t, "HV1", 5, 5000, schedule.HIS, 50*hour)
	refusedLock := w.ask(t, 1, v)
	w.take(t, core.Event{Type: core.EventParked, Class: core.Rejected, Kind: core.AppointmentLock, Key: w.read(t, refusedLock.Appointment).Order})
	if k := must[Ticket](t)(w.OwnTicket(ctx, 1, refusedLock.No)); k.State != Refused || k.Reason != RefusedHIS {
		t.Errorf("%+v", k)
	}
	silent := w.ask(t, 2, v)
	if _, err := w.Database.Exec(ctx, `update appointment.appointment set lock_until = clock_timestamp() where no = $1`, silent.Appointment); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.heed(ctx); err != nil {
			t.Fatal(err)
		}
	}
	w.take(t, core.Event{Type: core.EventDelivered, Kind: core.AppointmentLock, Key: w.read(t, silent.Appointment).Order}) // too late
	if k := must[Ticket](t)(w.OwnTicket(ctx, 2, silent.No)); k.Reason != SilentHIS || w.read(t, k.Appointment).State != Rejected {
		t.Errorf("%+v", k)
	}
	if want := []core.Kind{core.AppointmentLock, core.AppointmentLock, core.AppointmentUnlock}; !slices.Equal(w.kinds(t), want) {
		t.Errorf("told %v", w.kinds(t))
	}
	if held, booked := w.counts(t, v); held+booked != 0 {
		t.Errorf("%d held, %d booked", held, booked)
	}
	w.c.Cannot[core.AppointmentLock] = true
	for account, e := range map[int64]core.Event{3: {Type: core.EventRefundNow, Kind: core.AppointmentBook}, 4: {Type: core.EventParked, Class: core.Rejected, Kind: core.AppointmentBook},
		5: {Type: core.EventRefundNow, Kind: core.AppointmentPay}} {
		a := w.paid(t, account, v)
		e.Key = a.Order
		w.take(t, e)
		w.take(t, e)
		if b := w.read(t, a.No); b.State != Rejected || w.back[a.Order] != 1 {
			t.Errorf("%s of %s: %s, %d times back", e.Type, e.Kind, b.State, w.back[a.Order])
		}
		w.returned(t, a)
		last := w.c.Told(t)
		if e.Kind == core.AppointmentPay { // the HIS has the place, and no money
			if !slices.ContainsFunc(last, func(m clinictest.Told) bool { return m.Kind == core.AppointmentCancel && m.Key() == a.Order }) {
				t.Error("the HIS keeps the place")
			}
		}
		if last[len(last)-1].Kind != core.RecordMoney {
			t.Errorf("told %s", last[len(last)-1].Kind)
		}
	}
	if held, booked := w.counts(t, v); held+booked != 0 {
		t.Errorf("%d held, %d booked", held, booked)
	}
}

// One of nothing is confirmed at once, and the HIS decides when it is booked.
func TestForNothing(t *testing.T) {
	w := opened(t)
	v := w.session(t, "HV1", 1, 0, schedule.HIS, 50*hour)
	a := w.asked(t, 1, v)
	if a.State != Confirmed || !a.UnknownAtHIS || a.Order == "" {
		t.Fatalf("%+v", a)
	}
	must[Appointment](t)(w.Cancel(t.Context(), person(1), a.No))
	w.take(t, core.Event{Type: core.EventDelivered, Kind: core.AppointmentBook, Key: a.Order, Receipt: &core.Receipt{HisNo: "G1"}})
	if want := []core.Kind{core.AppointmentBook, core.AppointmentCancel}; !slices.Equal(w.kinds(t), want) || len(w.back) != 0 {
		t.Errorf("told %v, back %v", w.kinds(t), w.back)
	}
	w.counts(t, v)
}

// The HIS says that another doctor takes a session, then that it does not take place.
func TestTheHISStopsASession(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	w.c.Cannot[core.AppointmentLock] = true
	v := w.session(t, "HV1", 5, 5000, schedule.HIS, 50*hour)
	a := w.paid(t, 1, v)
	w.take(t, core.Event{Type: core.EventDelivered, Kind: core.AppointmentBook, Key: a.Order, Receipt: &core.Receipt{HisNo: "G1"}})
	notice := core.ClinicStop{StopNo: "N1", ScheduleNo: v, DepartmentCode: "01", Date: a.Day, Substitute: "D2"}
	w.Heard = func(context.Context, int64) (core.Body, error) { return &notice, nil }
	w.take(t, core.Event{Type: "inbound.clinic.stop", Kind: core.ClinicStopped, Inbound: 1})
	if err := w.stops(ctx); err != nil {
		t.Fatal(err)
	}
	if got := w.read(t, a.No); got.State != Confirmed || got.Substitute != "D2" || w.told(1)[len(w.told(1))-1].Reason != "substitute" {
		t.Fatalf("%+v, told %v", got, w.told(1))
	}
	notice.Substitute = ""
	for range 2 {
		w.take(t, core.Event{Type: "inbound.clinic.stop", Kind: core.ClinicStopped, Inbound: 2})
	}
	if err := w.stops(ctx); err != nil {
		t.Fatal(err)
	}
	if got := w.read(t, a.No); got.State != Stopped || got.Why != "医院通知停诊" || w.back[a.Order] != 1 {
		t.Errorf("%+v, back %v", got, w.back)
	}
	w.returned(t, a)
	if k := w.kinds(t); k[len(k)-1] != core.AppointmentCancel {
		t.Errorf("told %v", k)
	}
}

// Finance and the HIS's window give the money back: the place is free.
func TestMoneyThatOthersGiveBack(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	w.c.Cannot[core.AppointmentLock] = true
	v := w.session(t, "HV1", 3, 5000, schedule.HIS, 50*hour)
	refund := func(a Appointment, amount core.Fen, window bool) error {
		return w.Transact(ctx, "h1", func(tx pgx.Tx, outbox core.Outbox) error {
			_, err := w.orders.Refund(ctx, tx, outbox, a.Order, order.Refund{No: clinic.NewNumber("R", time.Now()), Amount: amount, ByWindow: window, Reason: "退号"})
			return err
		})
	}
	a, b := w.paid(t, 1, v), w.paid(t, 2, v)
	if err := refund(a, 1000, false); err != nil || w.read(t, a.No).State != Confirmed {
		t.Errorf("a part: %v", err)
	}
	if err := refund(a, 4000, false); err != nil || w.read(t, a.No).State != Cancelled {
		t.Errorf("all: %v", err)
	}
	if err := refund(b, 5000, true); err != nil || w.read(t, b.No).State != Cancelled {
		t.Errorf("at the window: %v", err)
	}
	if h, booked := w.counts(t, v); h+booked != 0 {
		t.Errorf("%d held, %d booked", h, booked)
	}
}

// On his own word a patient has back what cancelling gives him; finance may give more.
func TestMoneyOnThePatientsWord(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	back := func(a Appointment, amount core.Fen, patient bool) error {
		return w.Transact(ctx, "h1", func(tx pgx.Tx, outbox core.Outbox) error {
			_, err := w.orders.Refund(ctx, tx, outbox, a.Order, order.Refund{No: clinic.NewNumber("R", time.Now()), Amount: amount, ByPatient: patient, Reason: "不来了"})
			return err
		})
	}
	soon, later := w.session(t, "S1", 9, 5000, schedule.Platform, 10*time.Minute), w.session(t, "S2", 9, 5000, schedule.Platform, 50*hour)
	late, part, done, missed, fine := w.paid(t, 1, soon), w.paid(t, 2, later), w.paid(t, 3, soon), w.paid(t, 4, soon), w.paid(t, 5, later)
	for _, x := range []struct {
		state State
		of    Appointment
	}{{Done, done}, {NoShow, missed}} {
		if _, err := w.Database.Exec(ctx, `update appointment.appointment set state = $2 where no = $1`, x.of.No, x.state); err != nil {
			t.Fatal(err)
		}
	}
	for what, x := range map[string]struct {
		of     Appointment
		amount core.Fen
	}{"too late to cancel": {late, 5000}, "all but a fen": {part, 4999}, "done": {done, 5000}, "not come": {missed, 5000}} {
		was := w.read(t, x.of.No).State
		if err := back(x.of, x.amount, true); !errors.Is(err, clinic.ErrRule) || w.read(t, x.of.No).State != was {
			t.Errorf("%s: %v, it is %s", what, err, w.read(t, x.of.No).State)
		}
		if err := back(x.of, x.amount, false); err != nil {
			t.Errorf("%s, decided by finance: %v", what, err)
		}
	}
	if err := back(fine, 5000, true); err != nil || w.read(t, fine.No).State != Cancelled {
		t.Errorf("in time: %v", err)
	}
	// The place is gone: that the channel refused does not keep the money.
	var no string
	if err := w.Database.QueryRow(ctx, `select no from clinic_order.refund where order_no = $1`, fine.Order).Scan(&no); err != nil {
		t.Fatal(err)
	}
	if err := w.Transact(ctx, "h1", func(tx pgx.Tx, _ core.Outbox) error { return w.orders.Undo(ctx, tx, no) }); !errors.Is(err, order.ErrEnded) {
		t.Errorf("the refund of a place that was let go is taken back: %v", err)
	}
}

// A HIS wants its own number of a booking with the money, and with the cancellation: it is
// told of either once it has agreed. What is given up before goes into the ledger alone.
func TestNothingIsToldBeforeTheHISHasAgreed(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	w.c.Cannot[core.AppointmentLock] = true
	v := w.session(t, "HV1", 5, 5000, schedule.HIS, 50*hour)
	of := func(a Appointment) (all []core.Kind) {
		for _, m := range w.c.Told(t) {
			record, money := m.Body.(*core.LedgerRecord)
			if m.LaneOrDefault() == a.Order || money && record.OrderID == a.Order {
				all = append(all, m.Kind)
			}
		}
		return all
	}
	check := func(what string, a Appointment, want ...core.Kind) {
		t.Helper()
		if got := of(a); !slices.Equal(got, want) {
			t.Errorf("%s: told %v, want %v", what, got, want)
		}
	}
	agrees := func(a Appointment) {
		t.Helper()
		for range 2 {
			w.take(t, core.Event{Type: core.EventDelivered, Kind: core.AppointmentBook, Key: a.Order, Receipt: &core.Receipt{HisNo: "G" + a.No}})
		}
	}

	a := w.paid(t, 1, v)
	w.take(t, core.Event{Type: core.EventParked, Class: core.InDoubt, Kind: core.AppointmentBook, Key: a.Order})
	check("in doubt", a, core.AppointmentBook)
	if _, err := w.Database.Exec(ctx, `update appointment.appointment set due = false, book_state = 'agreed', his_no = 'G1' where no = $1`, a.No); err != nil { // taken by a program that does not know of this
		t.Fatal(err)
	}
	for range 2 {
		if err := w.heed(ctx); err != nil {
			t.Fatal(err)
		}
	}
	check("agreed", a, core.AppointmentBook, core.AppointmentPay)

	b := w.paid(t, 2, v)
	must[Appointment](t)(w.Cancel(ctx, person(2), b.No))
	check("given up", b, core.AppointmentBook, core.RecordMoney)
	w.returned(t, b)
	check("and paid back", b, core.AppointmentBook, core.RecordMoney, core.RecordMoney)
	agrees(b)
	check("and agreed to", b, core.AppointmentBook, core.RecordMoney, core.RecordMoney, core.AppointmentCancel)
	told := w.c.Told(t)
	if m := told[len(told)-1].Body.(*core.AppointmentCancelling); m.HisNo != "G"+b.No || m.Amount != 0 || m.Reason != "患者取消" {
		t.Errorf("%+v", m)
	}

	c := w.paid(t, 3, v)
	must[Appointment](t)(w.Cancel(ctx, person(3), c.No))
	agrees(c)
	check("agreed to before the money is back", c, core.AppointmentBook, core.RecordMoney)
	w.returned(t, c)
	check("and paid back", c, core.AppointmentBook, core.RecordMoney, core.RecordMoney, core.AppointmentCancel)

	d := w.paid(t, 4, v)
	w.take(t, core.Event{Type: core.EventParked, Class: core.Rejected, Kind: core.AppointmentBook, Key: d.Order})
	w.returned(t, d)
	check("refused", d, core.AppointmentBook, core.RecordMoney, core.RecordMoney)
	w.counts(t, v)
}

// What is booked and on its way to the HIS is among the places that it says remain: it
// is not sold a second time, whenever the HIS says so.
func TestABookingOnItsWayIsNotSoldAgain(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	w.c.Cannot[core.AppointmentLock] = true
	place, _ := w.Place(ctx, "h1")
	at := time.Now().Add(50 * hour).In(place.Zone)
	remaining, asOf := "", time.Now()
	w.Recent = func(context.Context, string, core.Kind, core.Body) (any, time.Time, error) {
		return &core.Schedules{Schedules: []core.Schedule{{ScheduleNo: "V1", DoctorCode: "D1", DepartmentCode: "01", Date: at.Format(time.DateOnly), Period: "morning", Fee: 5000, Remaining: remaining}}}, asOf, nil
	}
	v := "HV1"
	free := func(what string, says string, after time.Duration, want int) {
		t.Helper()
		remaining, asOf = says, time.Now().Add(after)
		day := at.Format(time.DateOnly)
		if _, err := w.sessions.Sessions(ctx, "h1", schedule.Filter{From: day, To: day}); err != nil {
			t.Fatal(err)
		}
		if s := must[schedule.Session](t)(w.sessions.Get(ctx, "h1", v)); s.Free != want || s.Held+s.Booked+s.Free != s.Capacity {
			t.Errorf("%s: %d free, want %d: %+v", what, s.Free, want, s)
		}
	}
	free("at first", "2", 0, 2)
	a := w.paid(t, 1, v)
	free("the HIS does not know", "2", 0, 1)
	b := w.paid(t, 2, v)
	free("nor of the second", "2", 0, 0)
	if k := w.ask(t, 3, v); k.Reason != Full {
		t.Errorf("sold what is on its way: %+v", k)
	}
	w.take(t, core.Event{Type: core.EventDelivered, Kind: core.AppointmentBook, Key: a.Order, Receipt: &core.Receipt{HisNo: "G1"}})
	free("an answer from about then", "2", time.Second, 0)
	free("it counts the first", "1", 10*time.Second, 0)
	must[Appointment](t)(w.CancelFor(ctx, "h1", b.No, "测试"))
	free("the second was taken back", "1", 11*time.Second, 1)
	w.paid(t, 4, v)
	free("another is on its way", "1", 12*time.Second, 0)
	// Repeated words change nothing.
	w.take(t, core.Event{Type: core.EventDelivered, Kind: core.AppointmentBook, Key: a.Order, Receipt: &core.Receipt{HisNo: "G1"}})
	free("the HIS sells none", "0", 13*time.Second, 0)
	w.counts(t, v)
}
