package postgres

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

func (l *ledger) list(f Filter) (ids []int64) {
	l.tb.Helper()
	page, _, err := l.List(l.ctx, f, "", 100)
	l.must(err)
	for _, m := range page {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestList(t *testing.T) {
	l := newLedger(t)
	l.hospital("h2")
	delivered := l.enqueue(payment("A1", "L1"))
	d := l.one(delivered)
	n := next(d, delivery.Delivered)
	n.Receipt = &core.Receipt{HisNo: "HIS-1"}
	l.settle(d, n)
	parked := l.enqueue(payment("A2", "L2"))
	l.park(parked, core.InDoubt, inDoubt)
	blocked := l.enqueue(payment("A3", "L2"))
	sending := l.enqueue(payment("A4", "L4"))
	l.one(sending)
	superseded := l.enqueue(voiding("R1", "L5"))
	_, err := l.Cancel(l.ctx, superseded, "nurse", "")
	l.must(err)
	a, err := l.Supersede(l.ctx, superseded, voiding("R1", "").Body, "nurse", "")
	l.must(err)
	b, err := l.Enqueue(l.ctx, "h2", payment("A1", "L1"))
	l.must(err)
	corrected, elsewhere := a.ID, b.ID

	now, err := l.Now(l.ctx)
	l.must(err)
	all := []int64{elsewhere, corrected, superseded, sending, blocked, parked, delivered}
	for _, c := range []struct {
		name string
		f    Filter
		want []int64
	}{
		{"everything", Filter{}, all},
		{"no hospital", Filter{Hospitals: []string{}}, nil},
		{"one hospital", Filter{Hospitals: []string{"h2"}}, []int64{elsewhere}},
		{"both", Filter{Hospitals: []string{"h1", "h2"}}, all},
		{"kind", Filter{Kind: core.PrescriptionVoid}, []int64{corrected, superseded}},
		{"queued", Filter{State: delivery.Queued}, []int64{elsewhere, corrected, blocked}},
		{"queued here", Filter{State: delivery.Queued, Hospitals: []string{"h1"}}, []int64{corrected, blocked}},
		{"sending", Filter{State: delivery.Sending}, []int64{sending}},
		{"parked", Filter{State: delivery.Parked}, []int64{parked}},
		{"delivered", Filter{State: delivery.Delivered}, []int64{delivered}},
		{"cancelled", Filter{State: delivery.Cancelled}, []int64{superseded}},
		{"key", Filter{Key: "A1"}, []int64{elsewhere, delivered}},
		{"key in one hospital", Filter{Key: "A1", Hospitals: []string{"h1"}}, []int64{delivered}},
		{"key with its past", Filter{Key: "R1"}, []int64{corrected, superseded}},
		{"the HIS's number", Filter{HisNo: "HIS-1"}, []int64{delivered}},
		{"lane", Filter{Lane: "L2"}, []int64{blocked, parked}},
		{"class", Filter{Class: core.InDoubt}, []int64{parked}},
		{"since now", Filter{Since: now}, nil},
		{"until now", Filter{Until: now}, all},
	} {
		if got := l.list(c.f); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	m, _, err := l.Message(l.ctx, blocked)
	if err != nil || m.BlockedBy != parked {
		t.Errorf("blocked by %d, want %d: %v", m.BlockedBy, parked, err)
	}

	var paged []int64
	for cursor := ""; ; {
		page, next, err := l.List(l.ctx, Filter{}, cursor, 3)
		l.must(err)
		for _, m := range page {
			paged = append(paged, m.ID)
		}
		if next == "" {
			break
		}
		cursor = next
	}
	if !slices.Equal(paged, all) {
		t.Errorf("in pages: %v", paged)
	}

	lights, err := l.Lights(l.ctx)
	l.must(err)
	h := lights["h1"]
	if h.Queued != 2 || h.Sending != 1 || h.Parked != 1 || h.InDoubt != 1 || h.Oldest == nil || lights["h2"].Queued != 1 {
		t.Errorf("lights %+v", lights)
	}
}

func TestAttemptsAndBytes(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	d := l.one(id)
	l.settle(d, next(d, delivery.Queued))
	d = l.one(id)
	a := attempt(d, core.OutcomeRejected)
	a.Exchange.Verdict.Words, a.Exchange.Verdict.Rule = "余额不足", "code=9"
	a.Exchange.Sent, a.Exchange.Received = []byte("<second/>"), nil
	_, err := l.Settle(l.ctx, d, a, next(d, delivery.Parked))
	l.must(err)
	_, attempts, err := l.Message(l.ctx, id)
	l.must(err)
	if len(attempts) != 2 || attempts[1].Number != 2 || attempts[1].Words != "余额不足" || attempts[1].Rule != "code=9" || attempts[1].Operation != "SavePay" || attempts[1].Duration != time.Millisecond {
		t.Errorf("attempts %+v", attempts)
	}
	x, err := l.Exchange(l.ctx, id, 2)
	if err != nil || len(x) != 1 || string(x[0].Request) != "<second/>" || x[0].Response != nil {
		t.Errorf("bytes %+v %v", x, err)
	}
	if _, err := l.Exchange(l.ctx, id, 3); !errors.Is(err, ErrNotFound) {
		t.Errorf("bytes of no attempt: %v", err)
	}
	if leak := count[bool](l, `select bool_or(position('second'::bytea in request) > 0) from hub.exchange`); leak {
		t.Error("bytes stand in the open")
	}
}

// Lists must not grow with history: each plan starts from an index or the queue.
func TestListsUseIndexes(t *testing.T) {
	l := newLedger(t)
	l.exec(`insert into hub.message (id, hospital, kind, key, lane, place, state, digest, accepted_at, decided_at)
		select n, 'h' || n % 50, 'payment.settle', 'A' || n, 'L' || n / 3, n, 'delivered', '', now(), now() from generate_series(1, 60000) n`)
	l.exec(`insert into hub.his_no select 'H' || n, 'h' || n % 50, n from generate_series(1, 60000) n`)
	l.exec(`analyze hub.message`)
	l.exec(`analyze hub.his_no`)
	l.exec(`analyze hub.queue`)
	for name, f := range map[string]Filter{
		"all": {}, "hospital": {Hospitals: []string{"h7"}}, "key": {Key: "A77"}, "his_no": {HisNo: "H77"}, "lane": {Lane: "L77"},
		"parked": {State: delivery.Parked, Hospitals: []string{"h7"}}, "queued": {State: delivery.Queued},
	} {
		sql, args := f.query(0, 20)
		rows, err := l.calm.Query(l.ctx, "explain (analyze, buffers off, timing off, costs off) "+sql, args...)
		l.must(err)
		var plan []string
		for rows.Next() {
			var line string
			l.must(rows.Scan(&line))
			plan = append(plan, line)
		}
		l.must(rows.Err())
		if text := strings.Join(plan, "\n"); strings.Contains(text, "Seq Scan on message") || removesMany.MatchString(text) {
			t.Errorf("%s reads all messages:\n%s", name, text)
		}
	}
}

var removesMany = regexp.MustCompile(`Rows Removed by Filter: [0-9]{4,}`)

// Claiming and marking must leave the indexes alone.
func TestClaimsAreInPageUpdates(t *testing.T) {
	l := newLedger(t)
	for i := range 50 {
		l.enqueue(payment(fmt.Sprint("A", i), fmt.Sprint("L", i)))
	}
	for range 5 {
		ds := l.claim(10)
		for i := range ds {
			l.sent(&ds[i])
			l.settle(&ds[i], next(&ds[i], delivery.Delivered))
		}
	}
	l.exec(`select pg_stat_force_next_flush()`)
	l.hot.Reset() // a session reports its statistics when it ends
	var updates, hot int
	for range 100 {
		l.must(l.calm.QueryRow(l.ctx, `select sum(n_tup_upd), sum(n_tup_hot_upd) from pg_stat_user_tables where schemaname = 'hub' and relname in ('queue', 'message')`).Scan(&updates, &hot))
		if updates >= 150 {
			break
		}
		l.exec(`select pg_stat_clear_snapshot()`)
		time.Sleep(50 * time.Millisecond) // the statistics come when they come
	}
	if updates < 150 || hot < updates*8/10 {
		t.Errorf("%d of %d updates stayed in their page", hot, updates)
	}
}
