package schedule

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

func opened(t *testing.T) (*Service, *clinictest.Clinic) {
	t.Helper()
	c := clinictest.New(t)
	c.Cannot[core.ScheduleList] = true
	s := &Service{c.Clinic}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, c
}

// daily is a template for every day of the week, on sale at once.
func daily(t *testing.T, s *Service, capacity int, quota map[string]int) {
	t.Helper()
	for weekday := 1; weekday <= 7; weekday++ {
		_, err := s.Plan(t.Context(), "h1", Template{Doctor: "D1", Department: "01", Weekday: weekday, Period: "morning", Starts: "08:00", Ends: "12:00",
			Capacity: capacity, Fee: 5000, Quota: quota, ReleaseDays: 90, ReleaseTime: "07:30", ValidFrom: "2020-01-01"})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// tomorrow is the session of the day after today in the hospital's zone.
func tomorrow(t *testing.T, s *Service) Session {
	t.Helper()
	place, _ := s.Place(t.Context(), "h1")
	day := time.Now().In(place.Zone).AddDate(0, 0, 1).Format(time.DateOnly)
	all, err := s.Sessions(t.Context(), "h1", Filter{From: day, To: day})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d sessions on %s: %v", len(all), day, err)
	}
	return all[0]
}

func hold(s *Service, no, channel string) error {
	return s.Transact(context.Background(), "h1", func(tx pgx.Tx, _ core.Outbox) error {
		_, err := s.Hold(context.Background(), tx, "h1", no, channel)
		return err
	})
}

func TestPlanMakesSessionsInTheHospitalsZone(t *testing.T) {
	s, _ := opened(t)
	daily(t, s, 10, nil)
	v := tomorrow(t, s)
	place, _ := s.Place(t.Context(), "h1")
	if got := v.Starts.In(place.Zone); got.Format("15:04") != "08:00" || got.Format(time.DateOnly) != v.Day || v.Ends.Sub(v.Starts) != 4*time.Hour {
		t.Errorf("%s to %s on %s", v.Starts, v.Ends, v.Day)
	}
	if got := v.ReleaseAt.In(place.Zone).Format("15:04:05"); got != "07:30:00" || v.Free != 10 || v.Fee != 5000 || v.Source != Platform {
		t.Errorf("released %s: %+v", v.ReleaseAt, v)
	}
	before := v
	for _, j := range s.Jobs() { // again changes nothing
		if err := j.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := hold(s, v.No, "app"); err != nil {
		t.Fatal(err)
	}
	all, err := s.Templates(t.Context(), "h1")
	if err != nil || len(all) != 7 {
		t.Fatalf("%d templates, %v", len(all), err)
	}
	for _, tp := range all { // what is sold stays
		if err := s.End(t.Context(), "h1", tp.ID); err != nil {
			t.Fatal(err)
		}
	}
	if v = tomorrow(t, s); v.Held != 1 || v.No != before.No {
		t.Errorf("%+v", v)
	}
	if later, err := s.Sessions(t.Context(), "h1", Filter{From: "2020-01-01", To: "2099-01-01"}); err != nil || len(later) > 2 { // today's may have begun
		t.Errorf("%d sessions are left, %v", len(later), err)
	}
	if err := s.End(t.Context(), "h2", all[0].ID); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another hospital's template: %v", err)
	}
}

func TestWrongTemplates(t *testing.T) {
	s, _ := opened(t)
	right := Template{Doctor: "D1", Department: "01", Weekday: 1, Period: "morning", Starts: "08:00", Ends: "12:00", Capacity: 10, ReleaseTime: "07:30", ValidFrom: "2026-01-01"}
	for field, change := range map[string]func(*Template){
		"ends": func(t *Template) { t.Ends = "07:00" }, "starts": func(t *Template) { t.Starts = "29:00" }, "release_time": func(t *Template) { t.ReleaseTime = "x" },
		"valid_from": func(t *Template) { t.ValidFrom = "2026-02-30" }, "quota": func(t *Template) { t.Quota = map[string]int{"app": 11} },
	} {
		wrong := right
		change(&wrong)
		var ps core.Problems
		if _, err := s.Plan(t.Context(), "h1", wrong); !errors.As(err, &ps) || ps[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := s.Plan(t.Context(), "nowhere", right); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestWhatIsNotForSale(t *testing.T) {
	s, _ := opened(t)
	daily(t, s, 1, nil)
	v := tomorrow(t, s)
	for _, c := range []struct {
		set  string
		want error
	}{
		{`release_at = clock_timestamp() + interval '1 hour'`, ErrNotReleased},
		{`release_at = 'epoch', stopped_at = clock_timestamp()`, ErrStopped},
		{`stopped_at = null, starts = clock_timestamp()`, ErrOver},
		{`starts = clock_timestamp() + interval '1 hour', held = 1`, ErrFull},
	} {
		if _, err := s.Database.Exec(t.Context(), `update schedule.session set `+c.set+` where no = $1`, v.No); err != nil {
			t.Fatal(err)
		}
		if err := hold(s, v.No, "app"); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.set, err)
		}
		if now, err := s.Get(t.Context(), "h1", v.No); err != nil || now.Free != 0 {
			t.Errorf("%s: %d are free, %v", c.set, now.Free, err)
		}
	}
	if err := hold(s, "S0", "app"); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("no such session: %v", err)
	}
}

// Many at once: exactly as many places are sold as there are.
func TestNeverOversold(t *testing.T) {
	s, _ := opened(t)
	daily(t, s, 20, map[string]int{"window": 5})
	v := tomorrow(t, s)
	var sold, full atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				switch err := hold(s, v.No, "app"); {
				case err == nil:
					sold.Add(1)
				case errors.Is(err, ErrFull):
					full.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if sold.Load() != 15 || full.Load() != 65 {
		t.Errorf("%d sold, %d refused; 15 places are the app's", sold.Load(), full.Load())
	}
	for i := range 6 {
		if err := hold(s, v.No, "window"); (err == nil) != (i < 5) {
			t.Errorf("the window's place %d: %v", i, err)
		}
	}
}

// TestRandomPlaces: capacity = free + held + booked whatever comes, also by channel, and
// what cannot be changes nothing.
func TestRandomPlaces(t *testing.T) {
	s, _ := opened(t)
	daily(t, s, 3, map[string]int{"window": 1})
	v := tomorrow(t, s)
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		if _, err := s.Database.Exec(ctx, `update schedule.session set held = 0, booked = 0 where no = $1`, v.No); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Database.Exec(ctx, `update schedule.quota set held = 0, booked = 0 where session = $1`, v.No); err != nil {
			t.Fatal(err)
		}
		held, booked := map[string]int{}, map[string]int{}
		room := map[string]int{"window": 1, "app": 2}
		channel := rapid.SampledFrom([]string{"window", "app"})
		do := func(what string, may bool, f func(tx pgx.Tx) error, then func()) {
			err := s.Transact(ctx, "h1", func(tx pgx.Tx, _ core.Outbox) error { return f(tx) })
			if (err == nil) != may {
				t.Fatalf("%s: %v; held %v, booked %v", what, err, held, booked)
			}
			if may {
				then()
			}
			now, err := s.Get(ctx, "h1", v.No)
			if err != nil || now.Held != held["window"]+held["app"] || now.Booked != booked["window"]+booked["app"] || now.Free+now.Held+now.Booked != now.Capacity {
				t.Fatalf("after %s: %+v, %v; held %v, booked %v", what, now, err, held, booked)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"hold": func(t *rapid.T) {
				c := channel.Draw(t, "channel")
				do("hold "+c, held[c]+booked[c] < room[c], func(tx pgx.Tx) error { _, err := s.Hold(ctx, tx, "h1", v.No, c); return err }, func() { held[c]++ })
			},
			"book": func(t *rapid.T) {
				c := channel.Draw(t, "channel")
				if held[c] == 0 {
					return // nothing is held
				}
				do("book "+c, true, func(tx pgx.Tx) error { return s.Book(ctx, tx, "h1", v.No, c) }, func() { held[c]--; booked[c]++ })
			},
			"let": func(t *rapid.T) {
				c, sold := channel.Draw(t, "channel"), rapid.Bool().Draw(t, "booked")
				of := held
				if sold {
					of = booked
				}
				if of[c] == 0 {
					return // there is none
				}
				do("let "+c, true, func(tx pgx.Tx) error { return s.Let(ctx, tx, "h1", v.No, c, sold) }, func() { of[c]-- })
			},
		})
	})
}

func TestSessionsOfAHIS(t *testing.T) {
	s, c := opened(t)
	ctx := t.Context()
	place, _ := s.Place(ctx, "h1")
	day := time.Now().In(place.Zone).AddDate(0, 0, 1).Format(time.DateOnly)
	delete(c.Cannot, core.ScheduleList)
	his := []core.Schedule{
		{ScheduleNo: "77", DepartmentCode: "01", DoctorCode: "D1", Date: day, Period: "morning", Remaining: "3", Fee: 1000},
		{ScheduleNo: "78", SlotNo: "4", DepartmentCode: "01", DoctorCode: "D2", Date: day, Start: "09:00", End: "09:15"},
		{ScheduleNo: "", Date: day}, {ScheduleNo: "79", Date: "soon"},
	}
	var down error
	c.Answer = func(string, core.Kind, core.Body) (any, error) { return &core.Schedules{Schedules: his}, down }
	list := func(want int) []Session {
		t.Helper()
		all, err := s.Sessions(ctx, "h1", Filter{From: day, To: day})
		var fault *core.Fault
		if len(all) != want || err != nil && (down == nil || !errors.As(err, &fault)) {
			t.Fatalf("%+v, %v", all, err)
		}
		return all
	}
	all := list(2)
	if all[0].No != "H77" || all[0].Free != 3 || all[0].Source != HIS || all[1].No != "H78-4" || all[1].Free != unlimited || all[1].Starts.In(place.Zone).Format("15:04") != "09:00" {
		t.Fatalf("%+v", all)
	}
	// We hold two and book one of them: the HIS counts that one, and sells another.
	for range 2 {
		if err := hold(s, "H77", "app"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Transact(ctx, "h1", func(tx pgx.Tx, _ core.Outbox) error { return s.Book(ctx, tx, "h1", "H77", "app") }); err != nil {
		t.Fatal(err)
	}
	his[0].Remaining = "1"
	if v := list(2)[0]; v.Held != 1 || v.Booked != 1 || v.Free != 0 {
		t.Errorf("one remains, and we hold it: %+v", v)
	}
	his[0].Remaining = "0" // sold elsewhere: what we hold we still hold, and the HIS will decide
	if v := list(2)[0]; v.Held != 1 || v.Free != 0 {
		t.Errorf("%+v", v)
	}
	his[0].Remaining, down = "5", &core.Fault{Class: core.Unavailable, Err: errors.New("down")}
	if v := list(2)[0]; v.Free != 0 {
		t.Errorf("the HIS is away: %+v", v)
	}
	down = nil
	his = his[1:]
	if v := list(2)[0]; v.No != "H77" || v.Free != 0 || v.Booked != 1 {
		t.Errorf("not listed any more: %+v", v)
	}
	his = append(his, core.Schedule{ScheduleNo: "77", DepartmentCode: "01", Date: day, Remaining: "many"})
	if _, err := s.Sessions(ctx, "h1", Filter{From: day, To: day}); err == nil {
		t.Error("many are no number")
	}
	if _, err := s.Extra(ctx, "h1", "H77", 1); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("places of the HIS: %v", err)
	}
}

func TestSourceIsChosen(t *testing.T) {
	s, c := opened(t)
	ctx := t.Context()
	source := func(want Source) {
		t.Helper()
		if got, err := s.Source(ctx, "h1"); err != nil || got != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	source(Platform)
	if err := s.Choose(ctx, "h1", HIS); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("a HIS that has none: %v", err)
	}
	delete(c.Cannot, core.ScheduleList)
	source(HIS)
	if err := s.Choose(ctx, "h1", Platform); err != nil {
		t.Fatal(err)
	}
	source(Platform)
}

func TestStopAndExtra(t *testing.T) {
	s, _ := opened(t)
	daily(t, s, 1, nil)
	v := tomorrow(t, s)
	stop := func(w Stop) (Session, error) {
		return clinictest.Do(&clinictest.Clinic{Clinic: s.Clinic}, func(tx pgx.Tx, _ core.Outbox) (Session, error) { return s.Stop(t.Context(), tx, "h1", v.No, w) })
	}
	if v, err := s.Extra(t.Context(), "h1", v.No, 2); err != nil || v.Capacity != 3 {
		t.Fatalf("%+v, %v", v, err)
	}
	if v, err := stop(Stop{Substitute: "D9", Reason: "r"}); err != nil || v.Substitute != "D9" || v.Stopped || v.Free != 3 {
		t.Fatalf("%+v, %v", v, err)
	}
	notice := &core.ClinicStop{StopNo: "1", DepartmentCode: "01", DoctorCode: "D1", Date: v.Day}
	if found, err := clinictest.Do(&clinictest.Clinic{Clinic: s.Clinic}, func(tx pgx.Tx, _ core.Outbox) ([]Session, error) { return s.Find(t.Context(), tx, "h1", notice) }); err != nil || len(found) != 1 || found[0].No != v.No {
		t.Errorf("the notice is about %v, %v", found, err)
	}
	for range 2 {
		if v, err := stop(Stop{Reason: "r"}); err != nil || !v.Stopped || v.Free != 0 {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	if _, err := stop(Stop{Substitute: "D9", Reason: "r"}); !errors.Is(err, ErrStopped) {
		t.Errorf("replaced after it was stopped: %v", err)
	}
	if _, err := s.Extra(t.Context(), "h1", v.No, 2); !errors.Is(err, ErrStopped) {
		t.Errorf("more places after it was stopped: %v", err)
	}
}

func TestListingBounds(t *testing.T) {
	s, _ := opened(t)
	for _, f := range []Filter{{From: "x"}, {To: "x"}, {From: "2999-01-01", To: "2999-03-01"}, {From: "2999-02-01", To: "2999-01-01"}} {
		var ps core.Problems
		if _, err := s.listing(t.Context(), "h1", f); !errors.As(err, &ps) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if l, err := s.listing(t.Context(), "h1", Filter{}); err != nil || l.Now.IsZero() || l.Old {
		t.Errorf("%+v, %v", l, err)
	}
}
