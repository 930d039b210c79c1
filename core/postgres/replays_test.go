package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/replay"
)

// canAsk is of a HIS that can be asked about everything.
func canAsk(context.Context, string, core.Kind, int) (replay.Repeats, error) {
	return replay.RepeatsOf(&core.Operation{Steps: []core.Step{{Inquire: &core.Inquiry{}}}}), nil
}

// cannotAsk is one that cannot be asked and takes every repeat for another.
func cannotAsk(context.Context, string, core.Kind, int) (replay.Repeats, error) {
	return replay.RepeatsOf(&core.Operation{Steps: []core.Step{{}}}), nil
}

func plan(state delivery.State) replay.Plan {
	return replay.Plan{Filter: replay.Filter{State: state}, Rate: 1000, Concurrency: 1000, StopAfter: 5, Note: "mended"}
}

// parked has a new payment parked as this class; sent: bytes of it may have left.
func (l *ledger) parked(order, lane string, class core.Class, sent bool) int64 {
	l.tb.Helper()
	id := l.enqueue(payment(order, lane))
	d := l.one(id)
	n := next(d, delivery.Parked)
	n.Class, n.Because = class, "because of "+order
	if sent {
		l.sent(d)
		n.LastByte = time.Now()
	}
	l.settle(d, n)
	return id
}

func (l *ledger) create(p replay.Plan) replay.Replay {
	l.tb.Helper()
	r, err := l.CreateReplay(l.ctx, p, -1, "ops")
	l.must(err)
	return r
}

// tellAll tells every message of a replay that has its turn.
func (l *ledger) tellAll(process string, id int64, rules replay.Rules) (all []replay.Outcome) {
	l.tb.Helper()
	for {
		o, err := l.ReplayNext(l.ctx, process, id, "h1", rules)
		l.must(err)
		if o == replay.Waiting {
			return all
		}
		all = append(all, o)
	}
}

func (l *ledger) follow(id int64) replay.Replay {
	l.tb.Helper()
	_, err := l.ReplayFollow(l.ctx, id, "h1")
	l.must(err)
	r, err := l.Replay(l.ctx, id)
	l.must(err)
	return r
}

func (l *ledger) outcomes(id int64) (all []string) {
	l.tb.Helper()
	items, err := l.ReplayItems(l.ctx, id, "", 0, 1000)
	l.must(err)
	for _, i := range items {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", i.Key, i.Outcome, i.Why)))
	}
	return all
}

func (l *ledger) wantOutcomes(id int64, want ...string) {
	l.tb.Helper()
	if got := l.outcomes(id); !slices.Equal(got, want) {
		l.tb.Errorf("outcomes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAReplayFromPreviewToItsEnd(t *testing.T) {
	l := newLedger(t)
	a := l.parked("A1", "L1", core.Invalid, false)
	b := l.parked("A2", "L2", core.Invalid, false)
	l.parked("A3", "L3", core.Rejected, false)
	l.enqueue(payment("A4", "L1")) // waits behind A1
	p := plan(delivery.Parked)
	p.Filter.Class = core.Invalid
	v, err := l.PreviewReplay(l.ctx, p, canAsk)
	l.must(err)
	if all, may := v.Count(); all != 2 || may != 2 || v.Behind != 1 || len(v.Groups) != 1 || v.Groups[0].Kind != core.PaymentSettle || v.Oldest.IsZero() || !v.Oldest.Before(v.Newest) {
		t.Errorf("preview %+v", v)
	}
	var changed *replay.Changed
	if _, err := l.CreateReplay(l.ctx, p, 3, "ops"); !errors.As(err, &changed) || changed.Now != 2 {
		t.Errorf("another number than was seen: %v", err)
	}
	r := l.create(p)
	if r.State != replay.Running || r.Money || r.Tally() != (replay.Tally{Items: 2, Waiting: 2}) || len(r.Parts) != 1 {
		t.Fatalf("made %+v", r)
	}
	l.parked("A5", "L5", core.Invalid, false) // too late: the list is frozen
	l.must(l.Release(l.ctx, b, "nurse", Confirmed, ""))
	if got := l.tellAll("p", r.ID, canAsk); !slices.Equal(got, []replay.Outcome{replay.Released, replay.Skipped}) {
		t.Errorf("told %v", got)
	}
	l.deliver(a)
	r = l.follow(r.ID)
	if r.State != replay.Done || r.EndedAt == nil || r.Tally() != (replay.Tally{Items: 2, Delivered: 1, Skipped: 1}) {
		t.Errorf("in the end %+v %+v", r, r.Tally())
	}
	l.wantOutcomes(r.ID, "A1 delivered", "A2 skipped the message is delivered: somebody decided about it meanwhile")
	if d, _ := l.Decisions(l.ctx, a); len(d) != 1 || d[0].Verb != "replay" || d[0].Who != "ops" || d[0].Note != "mended" {
		t.Errorf("decisions %+v", d)
	}
	if n := count[int](l, `select count(*) from hub.audit where verb = 'replay' and hospital = 'h1'`); n != 2 {
		t.Errorf("%d entries of the audit: one of the replay, one of its message", n)
	}
	l.visible(30 * time.Second)
	events, _, err := l.Read(l.ctx, "", 100)
	l.must(err)
	if last := events[len(events)-1]; last.Type != core.EventReplayEnded || last.Replay != r.ID || last.Reason != "1 of 2 delivered, 1 decided meanwhile" {
		t.Errorf("the last event is %+v", last)
	}
}

func TestFiltersOfReplays(t *testing.T) {
	l := newLedger(t)
	l.hospital("h2")
	a := l.parked("A1", "L1", core.Invalid, false)
	unmapped := core.UnmappedCode{Table: "freq", Direction: core.CodeOut, Code: "q9h"}
	l.exec(`update hub.queue set reason = 'the message cannot be said: ' || $2 where message = $1`, a, unmapped.Error())
	b := l.parked("A2", "L2", core.Unavailable, false)
	middle := count[time.Time](l, `select clock_timestamp()`)
	c := l.parked("A3", "L3", core.Unavailable, false)
	l.deliver(l.enqueue(payment("A4", "L4")))
	for name, one := range map[string]struct {
		filter replay.Filter
		want   []int64
	}{
		"all":        {replay.Filter{}, []int64{a, b, c}},
		"class":      {replay.Filter{Class: core.Unavailable}, []int64{b, c}},
		"reason":     {replay.Filter{Reason: "OF a2"}, []int64{b}},
		"code":       {replay.Filter{Codes: "freq", Code: "q9h"}, []int64{a}},
		"other code": {replay.Filter{Codes: "freq", Code: "q9"}, nil},
		"since":      {replay.Filter{Since: middle}, []int64{c}},
		"until":      {replay.Filter{Until: middle}, []int64{a, b}},
		"keys":       {replay.Filter{Keys: []string{"A1", "A3", "A9"}}, []int64{a, c}},
		"numbers":    {replay.Filter{Messages: []int64{b}}, []int64{b}},
		"kind":       {replay.Filter{Kind: core.PrescriptionVoid}, nil},
		"hospital":   {replay.Filter{Hospitals: []string{"h2"}}, nil},
	} {
		p := plan(delivery.Parked)
		one.filter.State = delivery.Parked
		p.Filter = one.filter
		r, err := l.CreateReplay(l.ctx, p, -1, "ops")
		var problems core.Problems
		if one.want == nil && !errors.As(err, &problems) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if one.want == nil {
			continue
		}
		l.must(err)
		items, err := l.ReplayItems(l.ctx, r.ID, "", 0, 100)
		l.must(err)
		var got []int64
		for _, i := range items {
			got = append(got, i.Message)
		}
		if !slices.Equal(got, one.want) {
			t.Errorf("%s: %v, want %v", name, got, one.want)
		}
	}
	if n := count[int](l, `select count(*) from hub.replay where state = 'listing'`); n != 0 {
		t.Errorf("%d replays of nothing are left", n)
	}
	p := plan(delivery.Parked)
	p.Filter.Hospitals = []string{"h9"}
	if _, err := l.CreateReplay(l.ctx, p, -1, "ops"); !errors.Is(err, core.ErrUnknownHospital) {
		t.Errorf("a hospital that is not there: %v", err)
	}
}

// What may be at the HIS is never sent blindly: it is asked about, or left alone.
func TestReplayOfWhatIsInDoubt(t *testing.T) {
	l := newLedger(t)
	a := l.parked("A1", "L1", core.InDoubt, true)
	v, err := l.PreviewReplay(l.ctx, plan(delivery.Parked), cannotAsk)
	l.must(err)
	if _, may := v.Count(); may != 0 || !strings.Contains(v.Groups[0].Refusal, "cannot be asked") {
		t.Errorf("preview %+v", v)
	}
	r := l.create(plan(delivery.Parked))
	if got := l.tellAll("p", r.ID, cannotAsk); !slices.Equal(got, []replay.Outcome{replay.Refused}) {
		t.Errorf("told %v", got)
	}
	l.none()
	r = l.create(plan(delivery.Parked))
	if got := l.tellAll("p", r.ID, canAsk); !slices.Equal(got, []replay.Outcome{replay.Released}) {
		t.Errorf("told %v", got)
	}
	d := l.one(a)
	if !d.Unanswered || d.LastByte.IsZero() || d.Revision != 1 {
		t.Errorf("it would not be asked about: %+v", d)
	}
}

func TestReplayOfWhatIsDelivered(t *testing.T) {
	l := newLedger(t)
	first := l.enqueue(payment("A1", "L1"))
	l.deliver(first)
	second := l.enqueue(payment("A2", "L1"))
	l.deliver(second)
	later := l.enqueue(payment("A3", "L1")) // head of the lane, not begun
	l.exec(`update hub.hospital set active_revision = 2`)
	p := plan(delivery.Delivered)
	v, err := l.PreviewReplay(l.ctx, p, canAsk)
	l.must(err)
	if all, may := v.Count(); all != 2 || may != 2 || !v.Money {
		t.Errorf("preview %+v", v)
	}
	alone := p
	alone.Filter.Messages = []int64{first}
	if v, err := l.PreviewReplay(l.ctx, alone, canAsk); err != nil || v.Later != 1 {
		t.Errorf("what came after it in its lane is not told of: %+v %v", v, err)
	}
	if v.Later != 0 {
		t.Errorf("%d later ones, and all are among them", v.Later)
	}
	r := l.create(p)
	if r.State != replay.Proposed || !r.Money {
		t.Fatalf("money that was told runs without a second person: %+v", r)
	}
	if got := l.tellAll("p", r.ID, canAsk); len(got) != 0 {
		t.Errorf("told %v before a second person", got)
	}
	if _, err := l.ApproveReplay(l.ctx, r.ID, "OPS (key 7)", ""); !errors.Is(err, ErrFourEyes) {
		t.Errorf("approved by who made it: %v", err)
	}
	if _, err := l.ApproveReplay(l.ctx, r.ID, "finance", "the HIS was restored"); err != nil {
		t.Fatal(err)
	}
	if got := l.tellAll("p", r.ID, canAsk); len(got) != 2 {
		t.Errorf("told %v", got)
	}
	// In the order of the lane, before what was behind, each asked about first, by the
	// revision that told it.
	for _, want := range []string{"A1", "A2"} {
		ds := l.claim(10)
		if len(ds) != 1 || ds[0].Body.Key() != want || !ds[0].Unanswered || ds[0].Revision != 1 {
			t.Fatalf("claimed %+v, want %s to be asked about", ds, want)
		}
		n := next(&ds[0], delivery.Queued) // the HIS does not have it: sent again, as it was
		n.LastByte, n.Unanswered = time.Time{}, false
		l.settle(&ds[0], n)
		if ds = l.claim(10); len(ds) != 1 || ds[0].Revision != 1 || ds[0].LastByte != (time.Time{}) {
			t.Fatalf("claimed %+v, want %s with the revision 1", ds, want)
		}
		l.settle(&ds[0], next(&ds[0], delivery.Delivered))
	}
	l.deliver(later)
	if r = l.follow(r.ID); r.State != replay.Done || r.Tally().Delivered != 2 {
		t.Errorf("in the end %+v", r.Tally())
	}
	items, err := l.ReplayItems(l.ctx, r.ID, "", 0, 10)
	l.must(err)
	if items[0].Goes <= later || items[0].Key != "A1" {
		t.Errorf("items %+v", items)
	}
	// With the newest: another two, by revision 2.
	p.With = replay.Newest
	p.Filter.Messages = []int64{items[1].Goes}
	r = l.create(p)
	_, err = l.ApproveReplay(l.ctx, r.ID, "finance", "")
	l.must(err)
	l.tellAll("p", r.ID, canAsk)
	if ds := l.claim(10); len(ds) != 1 || ds[0].Revision != 0 {
		t.Errorf("claimed %+v, want the newest", ds)
	}
	// A HIS that cannot be asked is not told of money again.
	p.Filter.Messages = []int64{items[0].Goes}
	r = l.create(p)
	_, err = l.ApproveReplay(l.ctx, r.ID, "finance", "")
	l.must(err)
	if got := l.tellAll("p", r.ID, cannotAsk); !slices.Equal(got, []replay.Outcome{replay.Refused}) {
		t.Errorf("told %v", got)
	}
}

func TestReplayWithTheOriginalOfWhatWasRefused(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	l.sent(d)
	n := next(d, delivery.Parked)
	n.Class = core.Rejected
	l.settle(d, n)
	p := plan(delivery.Parked)
	p.With = replay.Original
	l.tellAll("p", l.create(p).ID, canAsk)
	if d := l.one(id); d.Revision != 1 {
		t.Errorf("revision %d, want the original", d.Revision)
	}
	// A later release by a person takes the newest.
	d = &l.reclaim()[0]
	n = next(d, delivery.Parked)
	n.Class = core.Rejected
	l.settle(d, n)
	l.must(l.Release(l.ctx, id, "nurse", Again, ""))
	if d := l.one(id); d.Revision != 0 {
		t.Errorf("revision %d, want the newest", d.Revision)
	}
}

func TestPauseResumeAndCancel(t *testing.T) {
	l := newLedger(t)
	for i := range 4 {
		l.parked(fmt.Sprint("A", i), fmt.Sprint("L", i), core.Invalid, false)
	}
	r := l.create(plan(delivery.Parked))
	next := func() replay.Outcome {
		o, err := l.ReplayNext(l.ctx, "p", r.ID, "h1", canAsk)
		l.must(err)
		return o
	}
	if o := next(); o != replay.Released {
		t.Fatal(o)
	}
	var no *replay.NotPossible
	if _, err := l.ResumeReplay(l.ctx, r.ID, "ops", ""); !errors.As(err, &no) {
		t.Errorf("resumed what runs: %v", err)
	}
	r, err := l.PauseReplay(l.ctx, r.ID, "ops", "their lunch")
	l.must(err)
	if o := next(); o != replay.Waiting || r.State != replay.Paused || r.PausedBy != "ops" {
		t.Errorf("%s after the pause", o)
	}
	if work, _ := l.ReplayWork(l.ctx, "p"); len(work) != 1 || !work[0].Live() || work[0].AtHIS != 1 {
		t.Errorf("what is on its way is not followed: %+v", work)
	}
	if _, err = l.ResumeReplay(l.ctx, r.ID, "ops", ""); err != nil {
		t.Fatal(err)
	}
	if o := next(); o != replay.Released {
		t.Errorf("%s after it was resumed", o)
	}
	if _, err = l.CancelReplay(l.ctx, r.ID, "ops", "enough"); err != nil {
		t.Fatal(err)
	}
	if o := next(); o != replay.Waiting {
		t.Errorf("%s after it was cancelled", o)
	}
	for _, d := range l.claim(10) {
		l.settle(&d, nextOf(d))
	}
	if r = l.follow(r.ID); r.State != replay.Cancelled || r.Tally() != (replay.Tally{Items: 4, Waiting: 2, Delivered: 2}) {
		t.Errorf("in the end %+v %+v", r.State, r.Tally())
	}
	if _, err = l.ResumeReplay(l.ctx, r.ID, "ops", ""); !errors.As(err, &no) {
		t.Errorf("resumed what is cancelled: %v", err)
	}
	if work, _ := l.ReplayWork(l.ctx, "p"); len(work) != 0 {
		t.Errorf("still to be worked on: %+v", work)
	}
}

func nextOf(d delivery.Delivery) delivery.Next { return next(&d, delivery.Delivered) }

// Hammering at a HIS that refuses everything is a harm.
func TestAReplayStopsByItself(t *testing.T) {
	l := newLedger(t)
	for i := range 12 {
		l.parked(fmt.Sprint("A", i), fmt.Sprint("L", i), core.Invalid, false)
	}
	p := plan(delivery.Parked)
	p.StopAfter = 3
	r := l.create(p)
	tell := func(s delivery.State, class core.Class) {
		t.Helper()
		if o, err := l.ReplayNext(l.ctx, "p", r.ID, "h1", canAsk); err != nil || o != replay.Released {
			t.Fatalf("%s %v", o, err)
		}
		d := &l.claim(1)[0]
		n := next(d, s)
		n.Class, n.Because = class, "the HIS refused it"
		l.settle(d, n)
		r = l.follow(r.ID)
	}
	tell(delivery.Parked, core.Rejected)
	tell(delivery.Parked, core.Rejected)
	tell(delivery.Delivered, "")
	tell(delivery.Parked, core.Rejected)
	tell(delivery.Parked, core.Rejected)
	tell(delivery.Parked, core.Invalid)
	tell(delivery.Parked, core.Rejected)
	tell(delivery.Parked, core.Rejected)
	if r.State != replay.Running {
		t.Fatalf("stopped too early: %+v", r)
	}
	tell(delivery.Parked, core.Rejected)
	if r.State != replay.Paused || r.PausedBy != "hub" || r.Problem != "h1: 3 in a row were parked again as rejected, the last one because the HIS refused it" {
		t.Fatalf("it goes on: %+v", r)
	}
	if o, err := l.ReplayNext(l.ctx, "p", r.ID, "h1", canAsk); err != nil || o != replay.Waiting {
		t.Errorf("%s %v after it stopped", o, err)
	}
	if n := count[int](l, `select count(*) from hub.event where type = 'replay.stopped'`); n != 1 {
		t.Errorf("told %d times", n)
	}
	var err error
	if r, err = l.ResumeReplay(l.ctx, r.ID, "ops", "their pharmacy is back"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		tell(delivery.Delivered, "")
	}
	if r.State != replay.Done || r.Tally() != (replay.Tally{Items: 12, Delivered: 4, Parked: 8}) {
		t.Errorf("in the end %s %+v", r.State, r.Tally())
	}
}

// Only whoever owns the hospital tells; the other takes over where it was.
func TestReplayMovesWithTheHospital(t *testing.T) {
	l := newLedger(t)
	for i := range 2 {
		l.parked(fmt.Sprint("A", i), fmt.Sprint("L", i), core.Invalid, false)
	}
	r := l.create(plan(delivery.Parked))
	if o, err := l.ReplayNext(l.ctx, "q", r.ID, "h1", canAsk); err != nil || o != replay.Waiting {
		t.Errorf("told by a process that owns nothing: %s %v", o, err)
	}
	if o, err := l.ReplayNext(l.ctx, "p", r.ID, "h1", canAsk); err != nil || o != replay.Released {
		t.Errorf("%s %v", o, err)
	}
	l.must(l.Leave(l.ctx, "p", nil))
	l.own("q")
	if o, err := l.ReplayNext(l.ctx, "p", r.ID, "h1", canAsk); err != nil || o != replay.Waiting {
		t.Errorf("told by a process that left: %s %v", o, err)
	}
	if work, err := l.ReplayWork(l.ctx, "q"); err != nil || len(work) != 1 {
		t.Errorf("%+v %v", work, err)
	}
	if got := l.tellAll("q", r.ID, canAsk); len(got) != 1 {
		t.Errorf("told %v", got)
	}
}

func TestReplaysAreListedByScope(t *testing.T) {
	l := newLedger(t)
	l.parked("A1", "L1", core.Invalid, false)
	r := l.create(plan(delivery.Parked))
	for _, c := range []struct {
		hospitals []string
		want      int
	}{{nil, 1}, {[]string{"h1"}, 1}, {[]string{"h2"}, 0}, {[]string{}, 0}} {
		if all, err := l.Replays(l.ctx, c.hospitals, true, 0, 10); err != nil || len(all) != c.want {
			t.Errorf("%v: %+v %v", c.hospitals, all, err)
		}
	}
	if all, _ := l.Replays(l.ctx, nil, false, r.ID, 10); len(all) != 0 {
		t.Errorf("the next page: %+v", all)
	}
}

// What cannot be opened is refused by itself and does not hold up the rest.
func TestReplayOfWhatCannotBeOpened(t *testing.T) {
	l := newLedger(t)
	bad := l.enqueue(payment("A1", "L1"))
	l.deliver(bad)
	l.deliver(l.enqueue(payment("A2", "L2")))
	l.exec(`update hub.body set sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) where message = $1`, bad)
	r := l.create(plan(delivery.Delivered))
	_, err := l.ApproveReplay(l.ctx, r.ID, "finance", "")
	l.must(err)
	if got := l.tellAll("p", r.ID, canAsk); !slices.Equal(got, []replay.Outcome{replay.Refused, replay.Released}) {
		t.Errorf("told %v", got)
	}
}
