package appointment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/schedule"
)

const hour = time.Hour

func TestFromTicketToDone(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	v := w.session(t, "S1", 2, 5000, schedule.Platform, time.Minute)
	wish := Wish{Session: v, Patient: "P7", Request: "request-1"}
	k := must[Ticket](t)(w.Request(ctx, mother, "h1", wish))
	if k.State != Waiting || k.Place != 1 || k.Channel != "app" {
		t.Fatalf("%+v", k)
	}
	if again := must[Ticket](t)(w.Request(ctx, mother, "h1", wish)); again.No != k.No {
		t.Errorf("the same request is another ticket")
	}
	wish.Patient = "P8"
	if _, err := w.Request(ctx, mother, "h1", wish); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("the same request for another patient: %v", err)
	}
	if _, err := w.OwnTicket(ctx, 8, k.No); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another's ticket: %v", err)
	}
	for range 2 { // again changes nothing
		if err := w.Answer(ctx, k.No); err != nil {
			t.Fatal(err)
		}
	}
	k = must[Ticket](t)(w.OwnTicket(ctx, 7, k.No))
	if k.State != Granted || k.Order == "" || k.Answered == nil || len(w.told(7)) != 1 || w.told(7)[0].State != "held" {
		t.Fatalf("%+v, told %v", k, w.told(7))
	}
	a := must[Appointment](t)(w.Own(ctx, 7, k.Appointment))
	if a.State != Held || a.PayUntil == nil || a.Fee != 5000 || a.him.Name != "测试患者" {
		t.Fatalf("%+v", a)
	}
	if _, err := w.Own(ctx, 8, a.No); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another's appointment: %v", err)
	}
	if k := w.ask(t, 7, v); k.State != Refused || k.Reason != HasOne {
		t.Errorf("a second one: %+v", k)
	}
	if held, booked := w.counts(t, v); held != 1 || booked != 0 {
		t.Errorf("%d held, %d booked", held, booked)
	}
	if _, err := w.CheckIn(ctx, "h1", a.No); !errors.Is(err, clinic.ErrState) {
		t.Errorf("checked in before it is paid: %v", err)
	}
	if err := w.pay(ctx, a); err != nil {
		t.Fatal(err)
	}
	if held, booked := w.counts(t, v); held != 0 || booked != 1 {
		t.Errorf("%d held, %d booked", held, booked)
	}
	if a = w.read(t, a.No); a.State != Confirmed || a.UnknownAtHIS || !slices.Equal(w.kinds(t), []core.Kind{core.RecordMoney}) {
		t.Errorf("%+v, told %v", a, w.kinds(t))
	}
	if _, err := w.Cancel(ctx, mother, a.No); !errors.Is(err, clinic.ErrRule) || !strings.Contains(err.Error(), "cancel in time") {
		t.Errorf("cancelled a minute before: %v", err)
	}
	if _, err := w.CheckIn(ctx, "h2", a.No); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another hospital checks in: %v", err)
	}
	if _, err := w.Database.Exec(ctx, `update appointment.appointment set day = (clock_timestamp() at time zone 'Asia/Shanghai')::date`); err != nil {
		t.Fatal(err)
	}
	if a = must[Appointment](t)(w.CheckIn(ctx, "h1", a.No)); a.State != CheckedIn {
		t.Errorf("%+v", a)
	}
	if a = must[Appointment](t)(w.Finish(ctx, "h1", a.No)); a.State != Done || len(w.back) != 0 {
		t.Errorf("%+v, back %v", a, w.back)
	}
}

func TestWhyATicketIsRefused(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	refused := func(name string, account int64, session string, want Reason) {
		t.Helper()
		if k := w.ask(t, account, session); k.State != Refused || k.Reason != want || k.Answered == nil || k.Appointment != "" {
			t.Errorf("%s: %+v", name, k)
		}
	}
	full := w.session(t, "S1", 1, 5000, schedule.Platform, 50*hour)
	w.asked(t, 1, full)
	refused("full", 2, full, Full)
	refused("over", 2, w.session(t, "S2", 1, 5000, schedule.Platform, -time.Minute), Over)
	late := w.session(t, "S3", 1, 5000, schedule.Platform, 50*hour)
	if _, err := w.Database.Exec(ctx, `update schedule.session set release_at = clock_timestamp() + interval '1 hour' where no = 'S3'`); err != nil {
		t.Fatal(err)
	}
	refused("not released", 2, late, NotReleased)
	stopped := w.session(t, "S4", 1, 5000, schedule.Platform, 50*hour)
	must[Effect](t)(w.Stop(ctx, person(99), "h1", stopped, schedule.Stop{Reason: "停诊"}))
	refused("stopped", 2, stopped, Off)
	open := w.session(t, "S5", 9, 5000, schedule.Platform, 50*hour)
	if _, err := w.Database.Exec(ctx, `insert into appointment.blacklist values ('h1', 'P3', clock_timestamp() + interval '1 day')`); err != nil {
		t.Fatal(err)
	}
	refused("rule no-shows", 3, open, Blacklisted)
	if err := w.Pardon(ctx, "h1", "P3"); err != nil {
		t.Fatal(err)
	}
	w.asked(t, 3, open)
	must[Settings](t)(w.Set(ctx, "h1", Settings{PayWithin: 15, Daily: 1, NoShows: 3, WithinDays: 180, BlockedDays: 90}))
	refused("rule daily limit", 3, w.session(t, "S6", 1, 5000, schedule.Platform, 50*hour), DailyLimit)
	if _, err := w.Request(ctx, mother, "h1", Wish{Session: "none", Patient: "P7", Request: "request-9"}); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("no such session: %v", err)
	}
	w.bookable = clinic.ErrRule
	if _, err := w.Request(ctx, mother, "h1", Wish{Session: open, Patient: "P7", Request: "request-9"}); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("rule real name: %v", err)
	}
}

// Who misses too many is kept from booking for a while; whom a HIS does not know is not blamed.
func TestNoShows(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	must[Settings](t)(w.Set(ctx, "h1", Settings{PayWithin: 15, Daily: 9, NoShows: 2, WithinDays: 180, BlockedDays: 30}))
	over := func() {
		t.Helper()
		if _, err := w.Database.Exec(ctx, `update appointment.appointment set starts = clock_timestamp() - interval '2 hours', ends = clock_timestamp() - interval '1 hour'`); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.ends(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := w.paid(t, 1, w.session(t, "S1", 9, 5000, schedule.Platform, hour))
	there := w.paid(t, 2, "S1")
	if _, err := w.Database.Exec(ctx, `update appointment.appointment set day = (clock_timestamp() at time zone 'Asia/Shanghai')::date`); err != nil {
		t.Fatal(err)
	}
	must[Appointment](t)(w.CheckIn(ctx, "h1", there.No))
	unknown := w.asked(t, 1, w.session(t, "HV1", 9, 0, schedule.HIS, hour)) // for nothing
	over()
	if a, b, c := w.read(t, first.No).State, w.read(t, there.No).State, w.read(t, unknown.No).State; a != NoShow || b != Done || c != Confirmed {
		t.Fatalf("%s, %s, %s", a, b, c)
	}
	if all := must[[]Blocked](t)(w.Blacklist(ctx, "h1")); len(all) != 0 {
		t.Errorf("after one: %v", all)
	}
	w.paid(t, 1, w.session(t, "S2", 9, 5000, schedule.Platform, hour))
	over()
	if all := must[[]Blocked](t)(w.Blacklist(ctx, "h1")); len(all) != 1 || all[0].Patient != "P1" || time.Until(all[0].Until) < 29*24*hour {
		t.Errorf("after two: %v", all)
	}
	w.counts(t, "S1")
}

// A place that becomes free goes to who waits the longest, with its order, and to nobody
// who comes later.
func TestWaitingList(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	v := w.session(t, "S1", 1, 5000, schedule.Platform, 50*hour)
	if _, err := w.Wait(ctx, person(2), "h1", v, "P2", ""); !errors.Is(err, clinic.ErrState) {
		t.Errorf("while places are left: %v", err)
	}
	a := w.asked(t, 1, v)
	if _, err := w.Wait(ctx, person(1), "h1", v, "P1", ""); !errors.Is(err, clinic.ErrState) {
		t.Errorf("with a place: %v", err)
	}
	second := must[Waiter](t)(w.Wait(ctx, person(2), "h1", v, "P2", ""))
	third := must[Waiter](t)(w.Wait(ctx, person(3), "h1", v, "P3", ""))
	fourth := must[Waiter](t)(w.Wait(ctx, person(4), "h1", v, "P4", ""))
	if again := must[Waiter](t)(w.Wait(ctx, person(3), "h1", v, "P3", "")); again.No != third.No || third.Place != 2 {
		t.Errorf("%+v, again %+v", third, again)
	}
	if _, err := w.Leave(ctx, 3, second.No); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another leaves for him: %v", err)
	}
	must[Waiter](t)(w.Leave(ctx, 2, second.No))
	w.lapse(t, a)
	if got := w.read(t, a.No); got.State != Expired {
		t.Fatalf("%+v", got)
	}
	if k := w.ask(t, 5, v); k.Reason != Full {
		t.Errorf("one who comes later: %+v", k)
	}
	for range 2 {
		if err := w.Promote(ctx); err != nil {
			t.Fatal(err)
		}
	}
	got := must[[]Waiter](t)(w.Waits(ctx, 3))[0]
	if got.State != Offered || w.read(t, got.Appointment).State != Held || w.read(t, got.Appointment).Order == "" {
		t.Fatalf("%+v", got)
	}
	if n := w.told(3); n[len(n)-1].Type != "waitlist" {
		t.Errorf("told %v", n)
	}
	if held, _ := w.counts(t, v); held != 1 || must[[]Waiter](t)(w.Waits(ctx, 4))[0].State != InLine {
		t.Errorf("%d held", held)
	}
	if _, err := w.Database.Exec(ctx, `update schedule.session set starts = clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	if err := w.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	if all := must[[]Waiter](t)(w.Waits(ctx, 4)); all[0].No != fourth.No || all[0].State != Ended || all[0].Reason != Over {
		t.Errorf("when it has begun: %+v", all)
	}
}

// Everybody of a stopped session has his money back, once, whatever dies on the way; one
// whose payment is on its way, when that has come.
func TestStopASession(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	v := w.session(t, "S1", 20, 5000, schedule.Platform, 50*hour)
	var paid []Appointment
	for account := int64(1); account <= 6; account++ {
		paid = append(paid, w.paid(t, account, v))
	}
	held, paying := w.asked(t, 7, v), w.asked(t, 8, v)
	if _, err := w.Database.Exec(ctx, `update clinic_order.orders set state = 'paying' where no = $1`, paying.Order); err != nil {
		t.Fatal(err)
	}
	if a := must[Appointment](t)(w.Get(ctx, "h1", paying.No)); a.State != Paying {
		t.Errorf("%s", a.State)
	}
	if e := must[Effect](t)(w.Preview(ctx, "h1", v)); e.Held != 2 || e.Booked != 6 || e.Money != 30000 || e.Left != 0 {
		t.Errorf("%+v", e)
	}
	for range 2 {
		if e := must[Effect](t)(w.Stop(ctx, person(99), "h1", v, schedule.Stop{Reason: "医生生病"})); e.Left != 8 {
			t.Errorf("%+v", e)
		}
	}
	// It dies again and again before it is through.
	for patience := time.Millisecond; ; patience *= 2 {
		within, cancel := context.WithTimeout(ctx, patience)
		err := w.stops(within)
		cancel()
		if err == nil {
			break
		}
	}
	for _, a := range paid {
		if got := w.read(t, a.No); got.State != Stopped || w.back[a.Order] != 1 || got.Why != "医生生病" {
			t.Errorf("%+v, %d times back", got, w.back[a.Order])
		}
	}
	if got := w.read(t, held.No).State; got != Stopped {
		t.Errorf("held: %s", got)
	}
	if e := must[Effect](t)(w.Preview(ctx, "h1", v)); e.Left != 1 {
		t.Errorf("%+v", e)
	}
	if err := w.pay(ctx, paying); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.stops(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.read(t, paying.No).State; got != Stopped || w.back[paying.Order] != 1 {
		t.Errorf("that was being paid: %s, %d times back", got, w.back[paying.Order])
	}
	var open int
	if err := w.Database.QueryRow(ctx, `select count(*) from appointment.stop where done_at is null`).Scan(&open); err != nil || open != 0 {
		t.Errorf("%d stops are open, %v", open, err)
	}
	if h, b := w.counts(t, v); h+b != 0 {
		t.Errorf("%d held, %d booked", h, b)
	}
}

func TestReschedule(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	one, two := w.session(t, "S1", 3, 5000, schedule.Platform, 50*hour), w.session(t, "S2", 3, 5000, schedule.Platform, 60*hour)
	dear := w.session(t, "S3", 3, 8000, schedule.Platform, 60*hour)
	move := func(no, to string) Appointment { return must[Appointment](t)(w.Reschedule(ctx, person(1), no, to)) }
	a := w.asked(t, 1, one)
	b := move(a.No, two)
	if b.No == a.No || b.State != Held || w.read(t, a.No).State != Cancelled || b.Session != two {
		t.Fatalf("%+v", b)
	}
	if err := w.pay(ctx, b); err != nil {
		t.Fatal(err)
	}
	if c := move(b.No, one); c.No != b.No || c.State != Confirmed || c.Session != one || len(w.back) != 0 { // nothing to pay anew
		t.Errorf("%+v, back %v", c, w.back)
	}
	d := move(b.No, dear)
	if d.State != Held || d.Fee != 8000 || w.read(t, b.No).State != Cancelled || w.back[b.Order] != 1 {
		t.Errorf("%+v, back %v", d, w.back)
	}
	for account := int64(10); account < 13; account++ {
		w.asked(t, account, two)
	}
	if _, err := w.Reschedule(ctx, person(1), d.No, two); !errors.Is(err, clinic.ErrState) || w.read(t, d.No).State != Held {
		t.Errorf("to one that is full: %v", err)
	}
	if _, err := w.Database.Exec(ctx, `update clinic_order.orders set expires_at = clock_timestamp() where no = $1`, d.Order); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Reschedule(ctx, person(1), d.No, one); !errors.Is(err, clinic.ErrState) || must[Appointment](t)(w.Own(ctx, 1, d.No)).State != Expired {
		t.Errorf("that was not paid in time: %v", err)
	}
	if _, err := w.Reschedule(ctx, person(2), d.No, one); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another's: %v", err)
	}
	for _, v := range []string{one, two, dear} {
		w.counts(t, v)
	}
	// Where the HIS holds the places, the old one goes once it has agreed.
	his, his2 := w.session(t, "HV1", 3, 5000, schedule.HIS, 50*hour), w.session(t, "HV2", 3, 5000, schedule.HIS, 60*hour)
	k := w.ask(t, 1, his)
	w.take(t, core.Event{Type: core.EventDelivered, Kind: core.AppointmentLock, Key: k.Order})
	e := move(k.Appointment, his2)
	if e.State != Requested || w.read(t, k.Appointment).State != Held {
		t.Fatalf("%+v", e)
	}
	w.take(t, core.Event{Type: core.EventDelivered, Kind: core.AppointmentLock, Key: e.Order})
	if w.read(t, e.No).State != Held || w.read(t, k.Appointment).State != Cancelled {
		t.Errorf("%s, %s", w.read(t, e.No).State, w.read(t, k.Appointment).State)
	}
	w.counts(t, his)
	w.counts(t, his2)
}

// What cannot be granted, whatever is tried, is answered too, and holds up nobody.
func TestWhatCannotBeGranted(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	v := w.session(t, "HV1", 1, 5000, schedule.HIS, 50*hour)
	held := w.asked(t, 1, v)
	must[Waiter](t)(w.Wait(ctx, person(2), "h1", v, "P2", ""))
	if _, err := w.Database.Exec(ctx, `update schedule.session set his_no = ''`); err != nil { // no message can name it
		t.Fatal(err)
	}
	must[Appointment](t)(w.Cancel(ctx, person(1), held.No))
	if err := w.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	if all := must[[]Waiter](t)(w.Waits(ctx, 2)); all[0].State != Ended || all[0].Reason != Impossible {
		t.Errorf("%+v", all)
	}
	if k := w.ask(t, 3, v); k.State != Refused || k.Reason != Impossible {
		t.Errorf("%+v", k)
	}
	if h, b := w.counts(t, v); h+b != 0 {
		t.Errorf("%d held, %d booked", h, b)
	}
}

// A channel whose quota is sold has its own waiting list: the others go on selling.
func TestWaitingByChannel(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	v := w.session(t, "S1", 3, 5000, schedule.Platform, 50*hour)
	if _, err := w.Database.Exec(ctx, `insert into schedule.quota (hospital, session, channel, capacity) values ('h1', 'S1', 'wechat', 1)`); err != nil {
		t.Fatal(err)
	}
	ask := func(account int64, channel string) Ticket {
		t.Helper()
		k := must[Ticket](t)(w.Request(ctx, person(account), "h1", Wish{Session: v, Patient: fmt.Sprint("P", account), Channel: channel, Request: clinic.NewNumber("rq", time.Now())}))
		if err := w.Answer(ctx, k.No); err != nil {
			t.Fatal(err)
		}
		return must[Ticket](t)(w.OwnTicket(ctx, account, k.No))
	}
	first := ask(1, "wechat")
	if k := ask(2, "wechat"); k.Reason != Full {
		t.Fatalf("%+v", k)
	}
	if _, err := w.Wait(ctx, person(3), "h1", v, "P3", "app"); !errors.Is(err, clinic.ErrState) {
		t.Errorf("where places are left: %v", err)
	}
	must[Waiter](t)(w.Wait(ctx, person(2), "h1", v, "P2", "wechat"))
	if k := ask(3, "app"); k.State != Granted {
		t.Errorf("another channel: %+v", k)
	}
	if k := ask(4, "wechat"); k.Reason != Full {
		t.Errorf("the same channel: %+v", k)
	}
	must[Appointment](t)(w.Cancel(ctx, person(1), first.Appointment))
	if k := ask(5, "wechat"); k.Reason != Full { // what is free goes to who waits, at once
		t.Errorf("%+v", k)
	}
	if all := must[[]Waiter](t)(w.Waits(ctx, 2)); all[0].State != Offered {
		t.Errorf("%+v", all)
	}
	w.counts(t, v)
}

// What people should hear of though they do not look is sent to them: a place that is
// theirs, one that is gone, and one that is held for them for a while.
func TestNotices(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	v := w.session(t, "S1", 1, 5000, schedule.Platform, 50*hour)
	a := w.paid(t, 1, v)
	must[Waiter](t)(w.Wait(ctx, person(2), "h1", v, "P2", ""))
	must[Appointment](t)(w.Cancel(ctx, person(1), a.No))
	if err := w.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	all := must[[]Waiter](t)(w.Waits(ctx, 2))
	b := w.read(t, all[0].Appointment)
	if err := w.pay(ctx, b); err != nil {
		t.Fatal(err)
	}
	must[Effect](t)(w.Stop(ctx, clinic.Person{Account: 9}, "h1", v, schedule.Stop{Reason: "停诊"}))
	if err := w.stops(ctx); err != nil {
		t.Fatal(err)
	}
	want := []string{"1 appointment.confirmed " + a.No, "1 appointment.cancelled " + a.No, "2 appointment.waitlist 15", "2 appointment.confirmed " + b.No, "2 appointment.stopped " + b.No}
	if !slices.Equal(w.sent, want) {
		t.Errorf("sent %q, want %q", w.sent, want)
	}
}
