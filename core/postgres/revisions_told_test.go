package postgres

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/inbound"
	"hishub/core/shadow"
)

func (l *ledger) told(q shadow.Query) (all []shadow.Message) {
	l.tb.Helper()
	for m, err := range l.Told(l.ctx, q) {
		l.must(err)
		all = append(all, m)
	}
	return all
}

// A stretch of time is found among many messages, page by page, with what went over the wire.
func TestToldGivesAStretchOfTime(t *testing.T) {
	l := newLedger(t)
	l.hospital("h2")
	const n = 3*toldPage + 7
	for i := range n {
		l.enqueue(payment(fmt.Sprintf("A%04d", i), fmt.Sprintf("L%d", i)))
		if i%50 == 0 { // others are between them
			_, err := l.Enqueue(l.ctx, "h2", payment(fmt.Sprintf("B%04d", i), "L"))
			l.must(err)
		}
	}
	first := l.one0(t)
	l.sent(first)
	exchange := attempt(first, core.OutcomeOK)
	stamp := core.Stamp{ID: "00112233445566778899aabbccddeeff", Serial: 54_000_123, At: exchange.Now.Truncate(time.Microsecond)}
	exchange.Exchange.Stamp, exchange.Exchange.Head = stamp, "HTTP/1.1 202\n\n"
	_, err := l.Settle(l.ctx, first, exchange, next(first, delivery.Delivered))
	l.must(err)
	// One every ten minutes; the months ahead have their partitions.
	begin := time.Now().UTC().Truncate(time.Hour)
	for _, table := range []string{"body b set accepted_at = $1::timestamptz + o.n * interval '10 minutes' from o where b.message = o.id",
		"message m set accepted_at = $1::timestamptz + o.n * interval '10 minutes' from o where m.id = o.id"} {
		l.exec(`with o as (select id, row_number() over (order by id) - 1 as n from hub.message where hospital = 'h1') update hub.`+table, begin)
	}
	l.exec(`update hub.attempt set at = $1`, begin.Add(time.Minute))
	l.exec(`update hub.exchange set at = $1`, begin.Add(time.Minute))

	from := begin.Add(50 * 10 * time.Minute)
	got := l.told(shadow.Query{Hospital: "h1", From: from, Until: from.Add(150 * 10 * time.Minute), Limit: 1000})
	if len(got) != 150 || got[0].Body.Key() != "A0050" || got[149].Body.Key() != "A0199" {
		t.Fatalf("%d messages from %s to %s", len(got), got[0].Body.Key(), got[len(got)-1].Body.Key())
	}
	if !slices.IsSortedFunc(got, func(a, b shadow.Message) int { return a.Accepted.Compare(b.Accepted) }) {
		t.Error("not the oldest first")
	}
	for _, c := range []struct {
		q    shadow.Query
		want int
	}{
		{shadow.Query{Hospital: "h1", From: begin, Until: begin.Add(1000 * time.Hour), Limit: 120}, 120},
		{shadow.Query{Hospital: "h1", From: begin, Until: begin.Add(1000 * time.Hour), Limit: 1000}, n},
		{shadow.Query{Hospital: "h1", From: begin.Add(-time.Hour), Until: begin, Limit: 1000}, 0},
		{shadow.Query{Hospital: "h1", Kind: core.PrescriptionVoid, From: begin, Until: begin.Add(1000 * time.Hour), Limit: 1000}, 0},
		{shadow.Query{Hospital: "h3", From: begin, Until: begin.Add(1000 * time.Hour), Limit: 1000}, 0},
		{shadow.Query{Hospital: "h1", Only: got[7].ID, Limit: 1000}, 1},
		{shadow.Query{Hospital: "h2", Only: got[7].ID, Limit: 1000}, 0},
	} {
		if got := l.told(c.q); len(got) != c.want {
			t.Errorf("%+v: %d messages, want %d", c.q, len(got), c.want)
		}
	}
	one := l.told(shadow.Query{Hospital: "h1", Only: first.ID, Limit: 1})[0]
	if len(one.Attempts) != 1 || one.Revision != 1 {
		t.Fatalf("got %+v", one)
	}
	if a := one.Attempts[0]; a.Number != 1 || a.Step != "pay" || a.Outcome != core.OutcomeOK || a.Took != time.Millisecond || string(a.Request) != "<request/>" || string(a.Answer) != "<answer/>" {
		t.Errorf("the attempt is %+v", a)
	} else if a.ID != stamp.ID || a.Serial != stamp.Serial || !a.Asked.Equal(stamp.At) || a.Head != "HTTP/1.1 202\n\n" {
		t.Errorf("it was made with %+v", a)
	}
	if x, err := l.Exchange(l.ctx, first.ID, 1); err != nil || x[0].Head != "HTTP/1.1 202\n\n" {
		t.Errorf("its exchange is %+v, %v", x, err)
	}
}

// What steps captured is there as long as the ledger has it; what was settled before
// stamps were kept has none.
func TestToldGivesWhatWasCaptured(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	l.sent(d)
	n := next(d, delivery.Parked)
	n.Captured = map[string]string{"invoice": "INV1"}
	l.settle(d, n)
	got := l.told(shadow.Query{Hospital: "h1", Only: id, Limit: 1})[0]
	if got.Captured["invoice"] != "INV1" || len(got.Captured) != 1 || got.Attempts[0].ID != "" {
		t.Errorf("got %+v", got)
	}
}

// one0 claims the first message of all.
func (l *ledger) one0(t *testing.T) *delivery.Delivery {
	t.Helper()
	for _, d := range l.claim(1000) {
		if d.Body.Key() == "A0000" {
			return &d
		}
	}
	t.Fatal("the first was not claimed")
	return nil
}

func TestHeardGivesWhatTheHISSaid(t *testing.T) {
	l := newLedger(t)
	f := inbound.Fact{Hospital: "h1", Kind: core.ClinicStopped, Zone: time.UTC, Body: &core.ClinicStop{StopNo: "S1", DepartmentCode: "D", Date: "2026-01-05"}}
	s, err := l.Arrive(l.ctx, f, []byte("content"), &core.Resolution{State: core.ResultDone})
	l.must(err)
	l.must(l.Said(l.ctx, s.ID, 1, []byte("<said/>"), []byte("<reply/>")))
	n := 0
	for a, err := range l.Heard(l.ctx, shadow.Query{Hospital: "h1", From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour), Limit: 10}) {
		l.must(err)
		n++
		if a.ID != s.ID || a.Kind != core.ClinicStopped || string(a.Request) != "<said/>" || a.State != core.ResultDone || a.Body.Key() != "S1" {
			t.Errorf("got %+v", a)
		}
	}
	if n != 1 {
		t.Errorf("%d notices, want 1", n)
	}
}
