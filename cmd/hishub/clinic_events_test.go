package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/platform/clinic"
	"hishub/platform/payment"
	"hishub/platform/prescription"
)

// What becomes of the messages moves the clinic's states, over the real feed.
func TestEventsMoveTheClinic(t *testing.T) {
	p := newPractice(t)
	p.approved("V1", "RX1")
	_, err := p.payments.Pay(p.ctx, "h1", paid("IH1", "RX1"))
	ok(t, err)
	p.ends(core.PrescriptionCreate, parked("the HIS does not know the drug"))
	if rx := p.rxIs("RX1", prescription.Paid); rx.HisProblem != "the HIS does not know the drug" {
		t.Errorf("parked: %q", rx.HisProblem)
	}
	p.orderIs("IH1", payment.Telling) // held behind it
	var id int64
	ok(t, p.database.QueryRow(p.ctx, `select id from hub.message where key = 'RX1'`).Scan(&id))
	ok(t, p.store.Release(p.ctx, id, "it", "again", ""))
	p.ends(core.PrescriptionCreate, delivered("H1"))
	if rx := p.rxIs("RX1", prescription.SentHIS); rx.HisNo != "H1" || rx.HisProblem != "" {
		t.Errorf("delivered: %+v", rx)
	}
	p.ends(core.PaymentSettle, parked("the sum differs"))
	if o := p.orderIs("IH1", payment.Stuck); o.HisProblem != "the sum differs" {
		t.Errorf("stuck: %+v", o)
	}
	ok(t, p.database.QueryRow(p.ctx, `select id from hub.message where key = 'IH1'`).Scan(&id))
	ok(t, p.store.Release(p.ctx, id, "it", "again", ""))
	p.ends(core.PaymentSettle, delivered("S1"))
	if o := p.orderIs("IH1", payment.Told); o.HisNo != "S1" || o.HisProblem != "" {
		t.Errorf("told: %+v", o)
	}

	_, err = p.payments.Refund(p.ctx, "h1", "IH1", given("RF1", 150))
	ok(t, err)
	p.refundIs("RF1", payment.Telling)
	p.ends(core.RefundCreate, parked("dispensed already"))
	p.refundIs("RF1", payment.Stuck)
	p.orderIs("IH1", payment.Told)
	ok(t, p.database.QueryRow(p.ctx, `select id from hub.message where key = 'RF1'`).Scan(&id))
	ok(t, p.store.Release(p.ctx, id, "it", "again", ""))
	p.ends(core.RefundCreate, delivered("R1"))
	p.refundIs("RF1", payment.Told)
	_, err = p.payments.Refund(p.ctx, "h1", "IH1", given("RF2", 2000))
	ok(t, err)
	p.orderIs("IH1", payment.Refunded)
}

// The HIS refuses a payment for good: the money goes back, and the HIS, which
// never had it, is not told of that.
func TestRefundNow(t *testing.T) {
	p := newPractice(t)
	p.approved("V1", "RX1")
	_, err := p.payments.Pay(p.ctx, "h1", paid("IH1", "RX1"))
	ok(t, err)
	p.ends(core.PrescriptionCreate, delivered("H1"))
	p.ends(core.PaymentSettle, delivery.Next{State: delivery.Cancelled, Class: core.Rejected, RefundNow: true, Because: "the clinic is closed"})
	if o := p.orderIs("IH1", payment.GoBack); o.HisProblem != "the clinic is closed" {
		t.Errorf("refused for good: %+v", o)
	}
	_, err = p.payments.Refund(p.ctx, "h1", "IH1", given("RF1", 2150))
	ok(t, err)
	p.orderIs("IH1", payment.Refunded)
	p.refundIs("RF1", payment.Untold)
	// The refund is only written down, so that the night knows why the channel has it.
	p.toldIs("prescription.create RX1 V1", "payment.settle IH1 V1", "ledger.record refund RF1 RF1")
}

// script is a feed of the test's own.
type script struct {
	mu     sync.Mutex
	events []core.Event
	fail   error
}

func (s *script) Read(_ context.Context, after string, limit int) ([]core.Event, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, _ := strconv.Atoi(after)
	to := min(len(s.events), from+limit)
	if from == to {
		return nil, after, s.fail
	}
	return s.events[from:to], strconv.Itoa(to), s.fail
}

func (s *script) add(es ...core.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, es...)
}

func event(t core.EventType, kind core.Kind, key string) core.Event {
	e := core.Event{Type: t, Hospital: "h1", Kind: kind, Key: key, At: time.Now()}
	if t == core.EventDelivered {
		e.Receipt = &core.Receipt{HisNo: "H" + key}
	} else {
		e.Reason = string(t)
	}
	return e
}

// follow makes the inboxes follow a feed of the test's.
func (p *practice) follow(s *script) {
	for _, in := range p.inboxes {
		in.Feed = s
	}
}

// Repeats, late events and those of others are legal and change nothing.
func TestEventsThatComeTwiceOrLate(t *testing.T) {
	p := newPractice(t)
	feed := &script{}
	p.follow(feed)
	p.approved("V1", "RX1", "RX2")
	p.approved("V3", "RX3")
	_, err := p.payments.Pay(p.ctx, "h1", paid("IH1", "RX1", "RX2"))
	ok(t, err)
	feed.add(
		event(core.EventDelivered, core.PrescriptionCreate, "RX1"),
		event(core.EventDelivered, core.PrescriptionCreate, "RX1"),
		event(core.EventParked, core.PrescriptionCreate, "RX1"),    // late
		event(core.EventCancelled, core.PrescriptionCreate, "RX1"), // late
		event(core.EventParked, core.PrescriptionCreate, "RX2"),
		event(core.EventParked, core.PrescriptionCreate, "RX2"),
		event(core.EventParked, core.PrescriptionCreate, "RX3"),   // of somebody else's message
		event(core.EventDelivered, core.PrescriptionVoid, "RX1"),  // likewise
		event(core.EventAccepted, core.PrescriptionCreate, "RX1"), // nothing new
		event(core.EventDelivered, core.PrescriptionCreate, "RX9"),
		event(core.EventDelivered, core.PaymentSettle, "IH9"),
		event(core.EventParked, core.RefundCreate, "RF9"),
		event(core.EventDelivered, core.PaymentSettle, "IH1"),
		event(core.EventRefundNow, core.PaymentSettle, "IH1"), // late: it was told
		event(core.EventParked, core.PaymentSettle, "IH1"),
		event(core.EventSuperseded, core.PaymentSettle, "IH1"),
		event(core.EventDelivered, "bill.paid", "IH1"),
	)
	other := event(core.EventParked, core.PrescriptionCreate, "RX1")
	other.Hospital = "h2"
	feed.add(other)
	p.read()
	if rx := p.rxIs("RX1", prescription.SentHIS); rx.HisNo != "HRX1" || rx.HisProblem != "" {
		t.Errorf("%+v", rx)
	}
	if rx := p.rxIs("RX2", prescription.Paid); rx.HisProblem != string(core.EventParked) {
		t.Errorf("%+v", rx)
	}
	if rx := p.rxIs("RX3", prescription.Approved); rx.HisProblem != "" {
		t.Errorf("%+v", rx)
	}
	if o := p.orderIs("IH1", payment.Told); o.HisNo != "HIH1" || o.HisProblem != "" {
		t.Errorf("%+v", o)
	}

	_, err = p.payments.Refund(p.ctx, "h1", "IH1", given("RF1", 4300))
	ok(t, err)
	again := event(core.EventDelivered, core.PaymentSettle, "IH1")
	again.Receipt = nil
	feed.add(again, event(core.EventCancelled, core.RefundCreate, "RF1"), event(core.EventRefundNow, core.RefundCreate, "RF1"))
	p.read()
	if o := p.orderIs("IH1", payment.Refunded); o.HisNo != "HIH1" {
		t.Errorf("told again after the refund: %+v", o)
	}
	p.refundIs("RF1", payment.Stuck)
}

// The change and the place in the feed are one: a crash between two events
// undoes both, two processes take each event once, and none is lost.
func TestInboxTakesEachEventOnce(t *testing.T) {
	p := newPractice(t)
	_, err := p.database.Exec(p.ctx, `create table taken (cursor text)`)
	ok(t, err)
	feed := &script{}
	for i := range 1000 {
		feed.add(core.Event{Cursor: fmt.Sprint(i)})
	}
	var mu sync.Mutex
	calls := 0
	crash := errors.New("the process died here")
	in := &clinic.Inbox{Clinic: p.prescriptions.Clinic, Module: "test", Feed: feed, Take: func(ctx context.Context, tx pgx.Tx, e core.Event) error {
		mu.Lock()
		calls++
		die := slices.Contains([]int{1, 100, 250, 777}, calls)
		mu.Unlock()
		if _, err := tx.Exec(ctx, `insert into taken values ($1)`, e.Cursor); err != nil || !die {
			return err
		}
		return crash
	}}
	var all sync.WaitGroup
	var crashes, taken int
	for range 3 {
		all.Go(func() {
			for p.ctx.Err() == nil {
				n, err := in.Step(p.ctx)
				mu.Lock()
				taken += n
				if errors.Is(err, crash) {
					crashes++
				}
				done := taken == 1000
				mu.Unlock()
				if done || err != nil && !errors.Is(err, crash) {
					return
				}
			}
		})
	}
	all.Wait()
	if crashes != 4 {
		t.Errorf("%d crashes, want 4", crashes)
	}
	if taken != 1000 || p.count(`select count(*) from taken`) != 1000 || p.count(`select count(distinct cursor) from taken`) != 1000 {
		t.Errorf("%d events of 1000 were taken, %d rows", taken, p.count(`select count(*) from taken`))
	}
	feed.fail = errors.New("the feed is away")
	if _, err := in.Step(p.ctx); !errors.Is(err, feed.fail) {
		t.Errorf("without a feed: %v", err)
	}
}

// The inbox at rest writes nothing and holds no transaction open.
func TestInboxRuns(t *testing.T) {
	p := newPractice(t)
	feed := &script{}
	seen := make(chan string, 10)
	in := &clinic.Inbox{Clinic: p.prescriptions.Clinic, Module: "test", Feed: feed, Take: func(_ context.Context, _ pgx.Tx, e core.Event) error {
		seen <- e.Key
		return nil
	}}
	n, err := in.Step(p.ctx)
	if n != 0 || err != nil || p.count(`select count(*) from clinic.inbox where module = 'test'`) != 0 {
		t.Errorf("an empty feed: %d events, %v", n, err)
	}
	ctx, stop := context.WithCancel(p.ctx)
	done := make(chan struct{})
	go func() { defer close(done); in.Run(ctx) }()
	for _, key := range []string{"a", "b"} {
		feed.add(core.Event{Key: key})
		select {
		case got := <-seen:
			if got != key {
				t.Errorf("took %s, want %s", got, key)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("event %s was not taken", key)
		}
	}
	stop()
	<-done
}

// allowed: from here to there by the table, or no change.
func allowed[S ~string](table clinic.States[S], from, to S) bool {
	if from == to {
		return true
	}
	_, err := table.Move(from, to)
	return err == nil
}

// Random commands and events never reach a state that the tables do not allow,
// a command that is refused changes nothing, and the money adds up.
func TestClinicModel(t *testing.T) {
	p := newPractice(t)
	feed := &script{}
	p.follow(feed)
	ok(t, flag.Set("rapid.checks", "300"))
	visit, reached := 0, map[string]int{}
	walk := func(rt *rapid.T) {
		visit++
		v := fmt.Sprint("V", visit)
		nos := []string{fmt.Sprint("RX", visit, "a"), fmt.Sprint("RX", visit, "b")}
		orders := []string{fmt.Sprint("IH", visit, "x"), fmt.Sprint("IH", visit, "y")}
		refunds := []string{fmt.Sprint("RF", visit, "1"), fmt.Sprint("RF", visit, "2"), fmt.Sprint("RF", visit, "3")}
		kinds := map[core.Kind][]string{core.PrescriptionCreate: nos, core.PrescriptionVoid: nos, core.PaymentSettle: orders, core.RefundCreate: refunds}
		before := p.states(rt, v)
		reviewed := map[string]bool{}

		// check compares what is there with what was, after a command with that error.
		check := func(err error) {
			after := p.states(rt, v)
			for no, now := range after.prescriptions {
				was, there := before.prescriptions[no]
				if !there && now != prescription.InReview || there && !allowed(prescription.States, was, now) {
					rt.Fatalf("prescription %s went from %q to %q", no, was, now)
				}
				if (now == prescription.Paid || now == prescription.SentHIS) && !reviewed[no] {
					rt.Fatalf("prescription %s is %s, and nobody reviewed it", no, now)
				}
			}
			for id, now := range after.payments {
				was, there := before.payments[id]
				if !there && now != payment.Telling || there && !allowed(payment.States, was, now) {
					rt.Fatalf("payment %s went from %q to %q", id, was, now)
				}
			}
			for no, now := range after.refunds {
				was, there := before.refunds[no]
				if !there && now != payment.Telling && now != payment.Untold || there && !allowed(payment.RefundStates, was, now) {
					rt.Fatalf("refund %s went from %q to %q", no, was, now)
				}
			}
			if err != nil && fmt.Sprint(after) != fmt.Sprint(before) {
				rt.Fatalf("refused (%v), and changed from %v to %v", err, before, after)
			}
			if after.wrongSums != 0 {
				rt.Fatalf("%d payments do not add up with their refunds and messages", after.wrongSums)
			}
			if errors.Is(err, context.Canceled) || err != nil && !errors.Is(err, clinic.ErrRule) && !errors.Is(err, clinic.ErrState) && !errors.Is(err, clinic.ErrNotFound) && !isProblem(err) {
				rt.Fatalf("an error that nobody can mend: %v", err)
			}
			for _, now := range after.prescriptions {
				reached["prescription "+string(now)]++
			}
			for _, now := range after.payments {
				reached["payment "+string(now)]++
			}
			for _, now := range after.refunds {
				reached["refund "+string(now)]++
			}
			before = after
		}
		rt.Repeat(map[string]func(*rapid.T){
			"sign": func(rt *rapid.T) {
				_, err := p.prescriptions.Sign(p.ctx, "h1", written(rapid.SampledFrom(nos).Draw(rt, "no"), v, 1))
				check(err)
			},
			"review": func(rt *rapid.T) {
				no, who := rapid.SampledFrom(nos).Draw(rt, "no"), rapid.SampledFrom([]string{"P001", "P001", "0007"}).Draw(rt, "who")
				approve := rapid.IntRange(0, 3).Draw(rt, "approve") > 0
				_, err := p.prescriptions.Review(p.ctx, "h1", no, prescription.Verdict{Pharmacist: who, Approve: approve, Reason: "测试"})
				if err == nil {
					reviewed[no] = approve && who != "0007"
				}
				check(err)
			},
			"pay": func(rt *rapid.T) {
				some := rapid.SampledFrom([][]string{nos[:1], nos[1:], nos, {nos[1], nos[0]}}).Draw(rt, "prescriptions")
				w := paid(rapid.SampledFrom(orders).Draw(rt, "order"), some...)
				w.Amount += core.Fen(rapid.SampledFrom([]int{0, 0, 0, 0, 1}).Draw(rt, "too much"))
				_, err := p.payments.Pay(p.ctx, "h1", w)
				check(err)
			},
			"void": func(rt *rapid.T) {
				if rapid.IntRange(0, 3).Draw(rt, "really") > 0 {
					return
				}
				_, err := p.prescriptions.Void(p.ctx, "h1", rapid.SampledFrom(nos).Draw(rt, "no"), "0007", "测试")
				check(err)
			},
			"refund": func(rt *rapid.T) {
				amount := core.Fen(rapid.SampledFrom([]int{100, 1000, 2050, 2150, 4300}).Draw(rt, "amount"))
				_, err := p.payments.Refund(p.ctx, "h1", rapid.SampledFrom(orders).Draw(rt, "order"), given(rapid.SampledFrom(refunds).Draw(rt, "refund"), amount))
				check(err)
			},
			"event": func(rt *rapid.T) {
				kind := rapid.SampledFrom([]core.Kind{core.PrescriptionCreate, core.PaymentSettle, core.PaymentSettle, core.PrescriptionVoid, core.RefundCreate}).Draw(rt, "kind")
				what := rapid.SampledFrom([]core.EventType{core.EventDelivered, core.EventDelivered, core.EventParked, core.EventCancelled, core.EventRefundNow, core.EventRefundNow, core.EventAccepted}).Draw(rt, "event")
				feed.add(event(what, kind, rapid.SampledFrom(kinds[kind]).Draw(rt, "key")))
				p.read()
				check(nil)
			},
		})
	}
	// A walk that stays near its beginning proves nothing. Rare states take more
	// walks now and then.
	states := []string{
		"prescription in_review", "prescription rejected", "prescription approved", "prescription paid", "prescription sent_to_his", "prescription void",
		"payment telling", "payment told", "payment stuck", "payment go_back", "payment refunded", "refund telling", "refund told", "refund stuck", "refund untold",
	}
	missed := func() (missed []string) {
		for _, state := range states {
			if reached[state] == 0 {
				missed = append(missed, state)
			}
		}
		return missed
	}
	for range 8 {
		if rapid.Check(t, walk); t.Failed() || missed() == nil {
			break
		}
	}
	if m := missed(); m != nil {
		t.Errorf("never reached: %s", strings.Join(m, ", "))
	}
}

func isProblem(err error) bool {
	var ps core.Problems
	return errors.As(err, &ps)
}

type states struct {
	prescriptions map[string]prescription.State
	payments      map[string]payment.State
	refunds       map[string]payment.State
	messages      int
	wrongSums     int
}

// states of what belongs to a visit.
func (p *practice) states(tb interface{ Fatal(...any) }, visit string) states {
	s := states{map[string]prescription.State{}, map[string]payment.State{}, map[string]payment.State{}, 0, 0}
	number := visit[1:]
	rows, err := p.database.Query(p.ctx, `
		select 'rx', no, state from prescription.prescription where no in ('RX' || $1 || 'a', 'RX' || $1 || 'b')
		union all select 'order', order_id, state from payment.payment where visit_no = 'V' || $1
		union all select 'refund', refund_no, r.state from payment.refund r join payment.payment p using (hospital, order_id) where visit_no = 'V' || $1`, number)
	if err != nil {
		tb.Fatal(err)
	}
	for rows.Next() {
		var what, no, state string
		if err := rows.Scan(&what, &no, &state); err != nil {
			tb.Fatal(err)
		}
		switch what {
		case "rx":
			s.prescriptions[no] = prescription.State(state)
		case "order":
			s.payments[no] = payment.State(state)
		case "refund":
			s.refunds[no] = payment.State(state)
		}
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	// Refunds add up; fully given back and only then refunded; told of once, unless
	// there is nothing to tell.
	err = p.database.QueryRow(p.ctx, `select
		(select count(*) from hub.message where lane = $1),
		(select count(*) from payment.payment p where visit_no = $1 and (
			refunded <> coalesce((select sum(amount) from payment.refund r where r.order_id = p.order_id), 0)
			or (state = 'refunded') <> (refunded = amount)
			or 1 <> (select count(*) from hub.message m where m.kind = 'payment.settle' and m.key = p.order_id)
			or (select count(*) from payment.refund r where r.order_id = p.order_id and state <> 'untold')
				<> (select count(*) from payment.refund r join hub.message m on m.kind = 'refund.create' and m.key = r.refund_no where r.order_id = p.order_id)))
		+ (select count(*) from hub.message m where lane = $1 and kind = 'prescription.create'
			and not exists (select from payment.payment p where m.key = any(p.rx)))`, visit).Scan(&s.messages, &s.wrongSums)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
