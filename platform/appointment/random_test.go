package appointment

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/schedule"
)

// TestRandomCommands: whatever comes in whatever order, the states keep to their table,
// what fails changes nothing, the session's counters are those of its appointments, and
// money goes back exactly where the table says so.
func TestRandomCommands(t *testing.T) {
	for _, source := range []schedule.Source{schedule.Platform, schedule.HIS} {
		t.Run(string(source), func(t *testing.T) { randomCommands(t, source) })
	}
}

func randomCommands(t *testing.T, source schedule.Source) {
	w := opened(t)
	ctx := context.Background()
	n := int64(0)
	rapid.Check(t, func(t *rapid.T) {
		n++
		v := w.session(t, fmt.Sprint("HV", n), 1, 5000, source, 50*hour)
		k := w.ask(t, n, v)
		no, first := k.Appointment, w.read(t, k.Appointment).Order
		do := func(f func() error) {
			before := w.read(t, no)
			failed := f()
			after := w.read(t, no)
			from := States[before.State]
			if before.State == Held {
				from = append(slices.Clone(from), States[Paying]...)
			}
			switch {
			case failed != nil && after.State != before.State:
				t.Fatalf("%v, and yet %s became %s", failed, before.State, after.State)
			case after.State != before.State && !slices.Contains(from, after.State):
				t.Fatalf("%s became %s", before.State, after.State)
			}
			w.counts(t, v)
		}
		event := func(e core.EventType, class core.Class, kind core.Kind) func(*rapid.T) {
			return func(*rapid.T) {
				do(func() error {
					w.take(t, core.Event{Type: e, Class: class, Kind: kind, Key: first, Receipt: &core.Receipt{HisNo: "1"}})
					return nil
				})
			}
		}
		commands := map[string]func(*rapid.T){
			"pay":        func(*rapid.T) { do(func() error { return w.pay(ctx, w.read(t, no)) }) },
			"cancel":     func(*rapid.T) { do(func() error { _, err := w.Cancel(ctx, person(n), no); return err }) },
			"check in":   func(*rapid.T) { do(func() error { _, err := w.CheckIn(ctx, "h1", no); return err }) },
			"done":       func(*rapid.T) { do(func() error { _, err := w.Finish(ctx, "h1", no); return err }) },
			"not paid":   func(*rapid.T) { do(func() error { w.lapse(t, w.read(t, no)); return nil }) },
			"his agrees": event(core.EventDelivered, "", core.AppointmentLock),
			"stop": func(*rapid.T) {
				do(func() error {
					if _, err := w.Stop(ctx, person(99), "h1", v, schedule.Stop{Reason: "停诊"}); err != nil {
						return err
					}
					return w.stops(ctx)
				})
			},
			"day comes": func(*rapid.T) {
				if _, err := w.Database.Exec(ctx, `update appointment.appointment set day = (clock_timestamp() at time zone 'Asia/Shanghai')::date where no = $1`, no); err != nil {
					t.Fatal(err)
				}
			},
			"it is over": func(*rapid.T) {
				do(func() error {
					if _, err := w.Database.Exec(ctx, `update appointment.appointment set ends = clock_timestamp() where no = $1`, no); err != nil {
						return err
					}
					return w.ends(ctx)
				})
			},
			"ask again": func(*rapid.T) {
				if again := w.ask(t, n+1000000, v); again.State == Granted || again.State == Locking { // only where the first has none
					if slices.Contains([]State{Requested, Held, Confirmed, CheckedIn, Done, NoShow}, w.read(t, no).State) {
						t.Fatal("a second one has the only place")
					}
				}
			},
		}
		if source == schedule.HIS {
			commands["his refuses the lock"] = event(core.EventParked, core.Rejected, core.AppointmentLock)
			commands["his books"] = event(core.EventDelivered, "", core.AppointmentBook)
			commands["his refuses"] = event(core.EventRefundNow, "", core.AppointmentBook)
			commands["his refuses the money"] = event(core.EventRefundNow, "", core.AppointmentPay)
			commands["in doubt"] = event(core.EventParked, core.InDoubt, core.AppointmentBook)
		}
		t.Repeat(commands)
		o, err := w.orders.Get(ctx, first)
		if err != nil {
			t.Fatal(err)
		}
		end := w.read(t, no).State
		back := o.PaidAt != nil && slices.Contains([]State{Rejected, Cancelled, Stopped}, end)
		if (w.back[first] == 1) != back || w.back[first] > 1 || (o.State == order.Refunded) != back {
			t.Fatalf("%s: %d times back, order %s", end, w.back[first], o.State)
		}
	})
}

// TestEverythingAtOnce has many people and jobs at few sessions at the same time: nothing
// waits in a circle, nobody has two places, and everything adds up.
func TestEverythingAtOnce(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	var sessions []string
	for i := range 3 {
		sessions = append(sessions, w.session(t, fmt.Sprint("S", i), 4, 5000, schedule.Platform, 50*hour))
	}
	must[Settings](t)(w.Set(ctx, "h1", Settings{PayWithin: 15, Daily: 100, NoShows: 3, WithinDays: 180, BlockedDays: 90}))
	may := func(what string, err error) {
		if err != nil && !errors.Is(err, clinic.ErrState) && !errors.Is(err, clinic.ErrRule) && !errors.Is(err, clinic.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	until, end := context.WithCancel(ctx)
	var jobs, people sync.WaitGroup
	for name, job := range map[string]func(context.Context) error{"promote": w.Promote, "stops": w.stops, "heed": w.heed, "sweep": func(ctx context.Context) error { return w.sweep(ctx, 0) },
		"expire": func(ctx context.Context) error { _, err := w.orders.Expire(ctx); return err }} {
		jobs.Go(func() {
			for until.Err() == nil {
				may(name, job(ctx))
			}
		})
	}
	for account := int64(1); account <= 8; account++ {
		people.Go(func() {
			who, random := person(account), rand.New(rand.NewPCG(uint64(account), 7))
			patient := fmt.Sprint("P", account)
			for range 12 {
				v := sessions[random.IntN(len(sessions))]
				k, err := w.Request(ctx, who, "h1", Wish{Session: v, Patient: patient, Request: clinic.NewNumber("rq", time.Now())})
				may("ask", err)
				may("answer", w.Answer(ctx, k.No))
				mine, err := w.OfAccount(ctx, account, "", 5)
				may("list", err)
				for _, a := range mine {
					switch random.IntN(5) {
					case 0:
						if a.State == Held {
							may("pay", w.pay(ctx, a))
						}
					case 1:
						_, err := w.Cancel(ctx, who, a.No)
						may("cancel", err)
					case 2, 3:
						_, err := w.Reschedule(ctx, who, a.No, v)
						may("reschedule", err)
					case 4:
						_, err := w.Database.Exec(ctx, `update clinic_order.orders set expires_at = clock_timestamp() where no = $1 and state = 'created'`, a.Order)
						may("lapse", err)
					}
				}
				_, err = w.Wait(ctx, who, "h1", v, patient, "")
				may("wait", err)
			}
		})
	}
	people.Wait()
	_, err := w.Stop(ctx, person(99), "h1", sessions[0], schedule.Stop{Reason: "停诊"})
	may("stop", err)
	end()
	jobs.Wait()
	may("stops", w.stops(ctx))
	for _, v := range sessions {
		w.counts(t, v)
	}
	var twice, unpaidBack int
	err = w.Database.QueryRow(ctx, `select (select count(*) from (select from appointment.appointment where state in ('requested', 'held', 'confirmed', 'checked_in') group by session, patient having count(*) > 1) x),
		(select count(*) from appointment.appointment a join clinic_order.orders o on o.no = a.order_no where a.state in ('cancelled', 'stopped', 'rejected') and o.state not in ('refunded', 'closed')
			or a.state = 'confirmed' and o.state <> 'paid' or a.state = 'held' and o.state not in ('created', 'paying') or a.state = 'expired' and o.state <> 'closed')`).Scan(&twice, &unpaidBack)
	if err != nil || twice != 0 || unpaidBack != 0 {
		t.Errorf("%d have two places, %d orders are not as their appointments, %v", twice, unpaidBack, err)
	}
	for no, n := range w.back {
		if n != 1 {
			t.Errorf("the money of %s went back %d times", no, n)
		}
	}
}

// TestKilledOnTheWay ends a ticket's, a cancellation's and a reschedule's transaction at
// every instant: each happened, or did not.
func TestKilledOnTheWay(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	one, two := w.session(t, "S1", 1, 5000, schedule.Platform, 50*hour), w.session(t, "S2", 1, 5000, schedule.Platform, 60*hour)
	// until does something with ever more patience, and looks after each time.
	until := func(do func(context.Context) error, look func()) {
		t.Helper()
		for patience := 200 * time.Microsecond; ; patience += patience / 3 {
			within, cancel := context.WithTimeout(ctx, patience)
			err := do(within)
			cancel()
			look()
			if err == nil {
				return
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	k := must[Ticket](t)(w.Request(ctx, person(1), "h1", Wish{Session: one, Patient: "P1", Request: "request-1"}))
	until(func(ctx context.Context) error { return w.Answer(ctx, k.No) }, func() {
		got := must[Ticket](t)(w.OwnTicket(ctx, 1, k.No))
		if held, _ := w.counts(t, one); (held == 1) != (got.State == Granted) {
			t.Fatalf("%d held: %+v", held, got)
		}
	})
	no := must[Ticket](t)(w.OwnTicket(ctx, 1, k.No)).Appointment
	until(func(within context.Context) error {
		a, err := w.Reschedule(within, person(1), no, two)
		if err != nil {
			// It may have happened, and only the answer was lost.
			for _, a := range must[[]Appointment](t)(w.OfAccount(ctx, 1, "", 5)) {
				if a.State == Held && a.Session == two {
					no = a.No
					return nil
				}
			}
			return err
		}
		no = a.No
		return nil
	}, func() {
		a, _ := w.counts(t, one)
		b, _ := w.counts(t, two)
		if a+b != 1 {
			t.Fatalf("%d and %d places are held", a, b)
		}
	})
	if err := w.pay(ctx, w.read(t, no)); err != nil {
		t.Fatal(err)
	}
	until(func(ctx context.Context) error {
		_, err := w.Cancel(ctx, person(1), no)
		if errors.Is(err, clinic.ErrState) {
			return nil // it happened before
		}
		return err
	}, func() {
		a := w.read(t, no)
		_, booked := w.counts(t, two)
		o := must[order.Order](t)(w.orders.Get(ctx, a.Order))
		if (a.State == Cancelled) != (o.State == order.Refunded) || (booked == 0) != (a.State == Cancelled) {
			t.Fatalf("%s, order %s, %d booked", a.State, o.State, booked)
		}
	})
}
