package postgres

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// A transaction that began earlier and commits later must not be stepped over.
func TestFeedWaitsForEarlierTransactions(t *testing.T) {
	l := newLedger(t)
	first := l.enqueue(payment("A1", "L1"))
	l.deliver(first)
	types, cursor := l.events("")
	if want := []string{fmt.Sprint("message.delivered ", first)}; !slices.Equal(types, want) {
		t.Fatalf("events %v", types)
	}

	slow, err := l.calm.Begin(l.ctx)
	l.must(err)
	defer slow.Rollback(l.ctx)
	_, err = slow.Exec(l.ctx, `insert into hub.event (hospital, message, kind, key, type, data) values ('h1', 99, 'payment.settle', 'slow', 'message.parked', '{}')`)
	l.must(err)

	second := l.enqueue(payment("A2", "L2"))
	l.deliver(second)
	types, next := l.events(cursor)
	if len(types) != 0 || next != cursor {
		t.Errorf("events %v before the earlier transaction ended", types)
	}
	l.must(slow.Commit(l.ctx))
	types, next = l.events(cursor)
	if want := []string{"message.parked 99", fmt.Sprint("message.delivered ", second)}; !slices.Equal(types, want) {
		t.Errorf("events %v", types)
	}
	if types, _ := l.events(next); len(types) != 0 {
		t.Errorf("events %v after the last", types)
	}
}

func TestFeedTellsAllInPages(t *testing.T) {
	l := newLedger(t)
	for i := range 7 {
		_, err := l.EnqueueAs(l.ctx, "h1", payment(fmt.Sprint("A", i), "L"), EnqueueOptions{Submission: fmt.Sprint("S", i), Announce: true})
		l.must(err)
	}
	l.must(l.Refused(l.ctx, core.Event{Hospital: "h1", Kind: core.PaymentSettle, Key: "A9", Class: core.Invalid, Reason: "amount: missing", Submission: "S9"}))
	l.visible(30 * time.Second)
	var keys []string
	for cursor := ""; ; {
		events, next, err := l.Read(l.ctx, cursor, 3)
		l.must(err)
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			keys = append(keys, string(e.Type)+" "+e.Key+" "+e.Submission)
		}
		cursor = next
	}
	if len(keys) != 8 || keys[0] != "message.accepted A0 S0" || keys[7] != "message.refused A9 S9" {
		t.Errorf("events %v", keys)
	}
	if _, _, err := l.Read(l.ctx, "yesterday", 1); !errors.Is(err, ErrCursor) {
		t.Errorf("a made-up cursor: %v", err)
	}
}

func TestEventsTellWhatWasDecided(t *testing.T) {
	l := newLedger(t)
	_, err := l.EnqueueAs(l.ctx, "h1", payment("A1", "L1"), EnqueueOptions{Submission: "S1"})
	l.must(err)
	d := &l.claim(1)[0]
	n := next(d, delivery.Cancelled)
	n.Class, n.RefundNow, n.ShowPatient, n.Words, n.Because = core.Rejected, true, true, "张三测试 已停诊", "the money goes back"
	l.settle(d, n)
	l.visible(30 * time.Second)
	events, _, err := l.Read(l.ctx, "", 10)
	l.must(err)
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	if e.Type != core.EventRefundNow || e.Class != core.Rejected || e.Words != n.Words || !e.ShowPatient || e.Reason != n.Because || e.Submission != "S1" {
		t.Errorf("event %+v", e)
	}
	if leak := count[bool](l, `select bool_or(event::text like '%张三%') from hub.event`); leak {
		t.Error("the HIS's words stand in the open")
	}
}

// A restored database is played by events of transactions that are yet to come.
func TestFeedGoesOnAfterARestore(t *testing.T) {
	l := newLedger(t)
	first := l.enqueue(payment("A1", "L1"))
	l.deliver(first)
	second := l.enqueue(payment("A2", "L1"))
	l.deliver(second)
	l.exec(`update hub.event set xid = '9000000000' where message = $1`, first)
	l.exec(`update hub.event set xid = '9000000001' where message = $1`, second)
	id := count[int64](l, `select id from hub.event where message = $1`, first)
	cursor := fmt.Sprint("9000000000-", id)

	s, err := Open(l.ctx, Options{URL: l.url, KeyFile: l.KeyFile})
	l.must(err)
	t.Cleanup(s.Close)
	third := l.enqueue(payment("A3", "L1"))
	l.deliver(third)
	types, next := l.events(cursor)
	if want := []string{fmt.Sprint("message.delivered ", second), fmt.Sprint("message.delivered ", third)}; !slices.Equal(types, want) {
		t.Errorf("events %v", types)
	}
	if types, _ := l.events(next); len(types) != 0 {
		t.Errorf("events %v after the last", types)
	}
}
