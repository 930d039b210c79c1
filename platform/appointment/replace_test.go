package appointment

import (
	"errors"
	"sync"
	"testing"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/schedule"
)

// said is the HIS's word about a place that it was asked for.
func (w *world) said(t fataler, a Appointment, e core.EventType) {
	t.Helper()
	w.take(t, core.Event{Type: e, Class: core.Rejected, Kind: core.AppointmentLock, Key: a.Order})
}

// One place goes for one other: while the HIS is asked for that, it goes for no third, and
// several at once do not make it several.
func TestRescheduledToOneAtATime(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	var v []string
	for _, no := range []string{"HV1", "HV2", "HV3", "HV4"} {
		v = append(v, w.session(t, no, 3, 5000, schedule.HIS, 50*hour))
	}
	k := w.asked(t, 1, v[0])
	w.said(t, k, core.EventDelivered)

	refused := must[Appointment](t)(w.Reschedule(ctx, person(1), k.No, v[1]))
	if _, err := w.Reschedule(ctx, person(1), k.No, v[2]); !errors.Is(err, clinic.ErrState) {
		t.Errorf("to a second one while the HIS is asked for the first: %v", err)
	}
	w.said(t, refused, core.EventParked)
	if w.read(t, refused.No).State != Rejected || w.read(t, k.No).State != Held {
		t.Fatalf("the HIS refused: %s, %s", w.read(t, refused.No).State, w.read(t, k.No).State)
	}

	got := make([]Appointment, 3)
	errs := make([]error, 3)
	var all sync.WaitGroup
	for i, to := range v[1:] {
		all.Go(func() { got[i], errs[i] = w.Reschedule(ctx, person(1), k.No, to) })
	}
	all.Wait()
	asked := 0
	for i, err := range errs {
		switch {
		case err == nil:
			asked++
			w.said(t, got[i], core.EventDelivered)
		case !errors.Is(err, clinic.ErrState):
			t.Error(err)
		}
	}
	held := 0
	for _, s := range v {
		h, _ := w.counts(t, s)
		held += h
	}
	if asked != 1 || held != 1 || w.read(t, k.No).State != Cancelled {
		t.Errorf("one place went for %d and became %d; it is %s", asked, held, w.read(t, k.No).State)
	}
}

// A place whose patient gave it up, or came to it, while the HIS was asked for another one is
// no reason for that any more: the HIS hears that it is free.
func TestWhatGoesForNothingIsGivenUp(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	one, two := w.session(t, "HV1", 3, 5000, schedule.HIS, 50*hour), w.session(t, "HV2", 3, 5000, schedule.HIS, 60*hour)
	for account, gone := range map[int64]func(Appointment) State{
		1: func(a Appointment) State { must[Appointment](t)(w.Cancel(ctx, person(1), a.No)); return Cancelled },
		2: func(a Appointment) State { w.lapse(t, a); return Expired },
		3: func(a Appointment) State {
			if err := w.pay(ctx, a); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Database.Exec(ctx, `update appointment.appointment set day = (clock_timestamp() at time zone 'Asia/Shanghai')::date where no = $1`, a.No); err != nil {
				t.Fatal(err)
			}
			must[Appointment](t)(w.CheckIn(ctx, "h1", a.No))
			return CheckedIn
		},
	} {
		k := w.asked(t, account, one)
		w.said(t, k, core.EventDelivered)
		e := must[Appointment](t)(w.Reschedule(ctx, person(account), k.No, two))
		is := gone(k)
		w.c.Told(t)
		w.said(t, e, core.EventDelivered)
		if got := w.read(t, e.No); got.State != Cancelled || w.read(t, k.No).State != is {
			t.Errorf("the old one is %s, want %s; the new one %s", w.read(t, k.No).State, is, got.State)
		}
		unlocked := false
		for _, m := range w.c.Told(t) {
			b, ok := m.Body.(*core.SlotRelease)
			unlocked = unlocked || ok && b.OrderID == e.Order
		}
		if !unlocked {
			t.Errorf("%s: the HIS was not told", is)
		}
		w.counts(t, one)
		if h, _ := w.counts(t, two); h != 0 {
			t.Errorf("%s: %d held", is, h)
		}
	}
}

// Several that were asked for instead of one, before that was refused, go one for the other.
func TestSeveralThatReplaceOneBeforeTheIndex(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	var asked []Appointment
	k := w.asked(t, 1, w.session(t, "HV1", 3, 5000, schedule.HIS, 50*hour))
	w.said(t, k, core.EventDelivered)
	for _, no := range []string{"HV2", "HV3", "HV4"} {
		asked = append(asked, w.asked(t, 1, w.session(t, no, 3, 5000, schedule.HIS, 60*hour)))
	}
	if _, err := w.Database.Exec(ctx, `drop index appointment.appointment_replaced; update appointment.appointment set replaces = '`+k.No+`' where no <> '`+k.No+`'`); err != nil {
		t.Fatal(err)
	}
	text, err := schema.ReadFile("schema_3.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Database.Exec(ctx, string(text)); err != nil {
		t.Fatal(err)
	}
	for _, a := range asked {
		w.said(t, a, core.EventDelivered)
	}
	if w.read(t, k.No).State != Cancelled || w.read(t, asked[0].No).State != Cancelled || w.read(t, asked[1].No).State != Cancelled || w.read(t, asked[2].No).State != Held {
		t.Errorf("%s: %s, %s, %s", w.read(t, k.No).State, w.read(t, asked[0].No).State, w.read(t, asked[1].No).State, w.read(t, asked[2].No).State)
	}
}
