package reconcile

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// nights is a schedule of the one hospital, in a bubble of time that begins at
// 08:00 of 2000-01-01 in Shanghai.
type nights struct {
	*beishan
	s   *Schedule
	log bytes.Buffer
}

func (n *nights) start(mine func(string) bool) {
	n.s = &Schedule{Runner: n.runner, Log: slog.New(slog.NewTextHandler(&n.log, nil)), Mine: mine}
	n.s.Start()
	if err := n.s.Set(n.Context(), map[string]Nightly{theHospital: {Zone: shanghai}}); err != nil {
		n.Fatal(err)
	}
}

func newNights(t *testing.T) *nights {
	h := newBeishan(t, "01-01 00:00:00")
	h.runner.Now, h.store.now = nil, time.Now
	h.asksDetail()
	return &nights{beishan: h}
}

// until lets time go on to a moment of January 2000, and everybody do what is due.
func (n *nights) until(text string) {
	n.Helper()
	t, err := time.ParseInLocation("2006-01-02 15:04:05", "2000-"+text, shanghai)
	if err != nil || !t.After(time.Now()) {
		n.Fatalf("not a time to come: %s", text)
	}
	time.Sleep(time.Until(t))
	synctest.Wait()
}

// ran lists the nights so far, oldest first: day, run, state.
func (n *nights) ran() (all []string) {
	list, _ := n.store.Nights(context.Background(), theHospital, "", 1000)
	for _, one := range slices.Backward(list) {
		all = append(all, one.Day[5:]+" "+string(one.State))
	}
	return all
}

func TestAWaitingNightIsTriedAgainUntilTheBillIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNights(t)
		n.noBill("1999-12-31", core.ErrBillNotReady)
		n.start(nil)
		defer n.s.Stop()
		same(t, "next", n.s.Next(theHospital).In(shanghai).Format(time.DateTime), "2000-01-01 10:30:00")

		n.until("01-01 10:29:59")
		same(t, "before its time", n.ran(), []string(nil))
		n.until("01-01 10:40:00")
		same(t, "at its time", n.ran(), []string{"12-31 waiting"})
		n.until("01-01 10:59:00")
		same(t, "a quarter of an hour later", len(n.ran()), 2)

		n.noBill("1999-12-31", nil)
		n.until("01-01 11:16:00")
		same(t, "when it is there", n.ran(), []string{"12-31 waiting", "12-31 waiting", "12-31 done"})
		n.until("01-02 10:29:00")
		same(t, "and never again", len(n.ran()), 3)
		if got := n.log.String(); strings.Count(got, "night waits") != 2 || !strings.Contains(got, "the bill of wechat for 1999-12-31") {
			t.Error(got)
		}
	})
}

func TestMissedNightsAreCaughtUpOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNights(t)
		n.start(nil)
		n.until("01-01 10:31:00")
		n.s.Stop()
		n.until("01-05 09:00:00") // the 4th is not due before half past ten
		n.start(nil)
		defer n.s.Stop()
		synctest.Wait()
		same(t, "at the start", n.ran(), []string{"12-31 done", "01-01 done", "01-02 done", "01-03 done"})
		n.until("01-05 10:30:01")
		same(t, "in the morning", n.ran()[4:], []string{"01-04 done"})
	})
}

func TestADayThatFailedIsTriedOnceANight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNights(t)
		n.noBill("1999-12-31", &core.BillFault{File: "wechat.csv", Line: 3, What: "has no amount"})
		n.start(nil)
		defer n.s.Stop()
		n.until("01-02 10:00:00")
		same(t, "the first night", n.ran(), []string{"12-31 failed"})
		n.noBill("1999-12-31", nil)
		n.until("01-02 10:31:00")
		same(t, "the night after", n.ran()[1:], []string{"12-31 done", "01-01 done"})
	})
}

func TestAnUnsettledDayIsVerifiedByLaterNights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNights(t)
		paid := Entry{Told: delivery.Delivered, LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "IH20000101", ChannelNo: "W20000101",
			Channel: "wechat", Amount: 2150, At: time.Date(1999, 12, 31, 12, 0, 0, 0, shanghai)}}
		n.store.ours[theHospital] = []Entry{paid}
		n.billed("1999-12-31", paid)
		n.start(nil)
		defer n.s.Stop()
		n.until("01-01 12:00:00")
		open, _ := n.store.Cases(context.Background(), CaseQuery{Live: true})
		same(t, "cases", len(open), 1)

		n.booked(paid)
		n.until("01-02 12:00:00")
		same(t, "nights", n.ran(), []string{"12-31 done", "01-01 done", "12-31 done"})
		open, _ = n.store.Cases(context.Background(), CaseQuery{Live: true})
		same(t, "cases", len(open), 0)
		n.until("01-03 12:00:00")
		same(t, "settled", n.ran()[3:], []string{"01-02 done"})
	})
}

// Somebody tells us days later of money of a day that was closed and clean. No
// other night looks at that day.
func TestADayOfWhichWeWereToldLateIsRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNights(t)
		n.start(nil)
		defer n.s.Stop()
		n.until("01-03 12:00:00")
		same(t, "nights", n.ran(), []string{"12-31 done", "01-01 done", "01-02 done"})
		n.store.ours[theHospital] = []Entry{{Told: delivery.Delivered, LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "IH20000101",
			Channel: "bank", ChannelNo: "B20000101", Amount: 2150, At: time.Date(1999, 12, 31, 12, 0, 0, 0, shanghai)}}}
		n.store.toldAt["IH20000101"] = time.Now()
		n.until("01-04 12:00:00")
		same(t, "the night after", n.ran()[3:], []string{"01-03 done", "12-31 done"})
		open, _ := n.store.Cases(context.Background(), CaseQuery{Live: true})
		if len(open) != 1 || open[0].Class != MissingAtHIS || open[0].Day != "1999-12-31" {
			t.Errorf("cases: %+v", open)
		}
	})
}

func TestADayIsNotVerifiedForWhatCountsOnAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNights(t)
		delete(n.his.answers, core.LedgerDetail)
		e := core.LedgerEntry{Type: core.EntryPayment, Number: "IH20000101", ChannelNo: "W20000101", Channel: "wechat", Amount: 2150,
			At: time.Date(1999, 12, 31, 23, 59, 58, 0, shanghai)}
		n.store.ours[theHospital] = []Entry{{Told: delivery.Delivered, LedgerEntry: e}}
		e.At = e.At.Add(3 * time.Second)
		n.billed("2000-01-01", Entry{LedgerEntry: e})
		n.start(nil)
		defer n.s.Stop()
		n.until("01-04 12:00:00")
		// Held in the first night, verified in the second by the bill of the day after, and settled then.
		same(t, "nights", n.ran(), []string{"12-31 done", "01-01 done", "12-31 done", "01-02 done", "01-03 done"})
	})
}

func TestTwoProcessesRunEachNightOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNights(t)
		n.his.answers[core.LedgerDetail] = func(core.Body) (any, error) {
			time.Sleep(5 * time.Minute) // a slow HIS: longer than the lease, which is renewed
			return &core.Ledger{}, nil
		}
		n.start(nil)
		one := n.s
		n.start(nil)
		two := n.s
		defer one.Stop()
		defer two.Stop()
		n.until("01-03 12:00:00")
		same(t, "nights", n.ran(), []string{"12-31 done", "01-01 done", "01-02 done"})
		if strings.Contains(n.log.String(), "ERROR") {
			t.Error(n.log.String())
		}
	})
}

func TestOnlyTheOwnerRunsNights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNights(t)
		var mine atomic.Bool
		n.start(func(string) bool { return mine.Load() })
		defer n.s.Stop()
		n.until("01-01 10:40:00")
		same(t, "of another", n.ran(), []string(nil))
		mine.Store(true) // the other process is gone
		n.until("01-01 11:00:00")
		same(t, "taken over", n.ran(), []string{"12-31 done"})
	})
}

func TestADeadRunIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNights(t)
		n.until("01-01 10:29:59")
		if _, err := n.store.BeginNight(context.Background(), Ask{Hospital: theHospital, Day: "1999-12-31", Who: "killed"}, lease); err != nil {
			t.Fatal(err)
		}
		n.start(nil)
		defer n.s.Stop()
		n.until("01-01 11:00:00")
		same(t, "nights", n.ran(), []string{"12-31 failed", "12-31 done"})
	})
}

func TestTheScheduleFollowsItsHospitals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNights(t)
		n.start(nil)
		defer n.s.Stop()
		set := func(hs map[string]Nightly) error { return n.s.Set(t.Context(), hs) }
		if err := set(map[string]Nightly{theHospital: {Zone: shanghai, At: "0 12 * * *"}}); err != nil {
			t.Fatal(err)
		}
		same(t, "next", n.s.Next(theHospital).In(shanghai).Format(time.TimeOnly), "12:00:00")
		n.until("01-01 11:59:00")
		same(t, "its old time", n.ran(), []string(nil))

		err := set(map[string]Nightly{theHospital: {Zone: shanghai, At: "0 12 * * *"}, "nanshan": {Zone: shanghai, At: "at noon"}})
		if err == nil || !strings.Contains(err.Error(), "hospital nanshan: reconcile.at") {
			t.Errorf("a time that nobody can read: %v", err)
		}
		same(t, "no night", n.s.Next("nanshan").IsZero(), true)
		if err := set(nil); err != nil {
			t.Fatal(err)
		}
		same(t, "next", n.s.Next(theHospital).IsZero(), true)
		n.until("01-03 12:00:00")
		same(t, "gone", n.ran(), []string(nil))
	})
}

func TestNightsLogNothingOfTheHIS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNights(t)
		n.his.answers[core.LedgerDetail] = func(core.Body) (any, error) { return nil, &delivery.Refusal{Words: "张三 is not known"} }
		n.start(nil)
		defer n.s.Stop()
		n.until("01-01 11:00:00")
		if got := n.log.String(); strings.Contains(got, "张三") || !strings.Contains(got, "the HIS refused to answer") {
			t.Error(got)
		}
		_, err := n.runner.Run(t.Context(), Ask{Hospital: theHospital, Day: "1999-12-31"})
		var refusal *delivery.Refusal
		if !errors.As(err, &refusal) {
			t.Error(err)
		}
	})
}
