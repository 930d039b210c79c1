package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/reconcile"
)

// asked are the statements that an operation has put to the database.
type asked struct {
	mu  sync.Mutex
	all []pgx.TraceQueryStartData
}

// TraceQueryStart implements pgx.QueryTracer.
func (a *asked) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, d)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (a *asked) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// recorded ledger: what it asks calmly is kept.
func newRecordedLedger(t *testing.T) (*ledger, *asked) {
	l := newLedger(t)
	a := &asked{}
	c, err := pgxpool.ParseConfig(l.url)
	l.must(err)
	c.ConnConfig.Tracer = a
	pool, err := pgxpool.NewWithConfig(l.ctx, c)
	l.must(err)
	was := l.calm
	l.calm = pool
	t.Cleanup(was.Close)
	return l, a
}

// history are the rows that a long life leaves, from message $1 to $2.
var history = []string{
	`insert into hub.message (id, hospital, kind, key, lane, place, state, digest, accepted_at, decided_at)
		select n, 'h' || n % 20, 'prescription.create', 'A' || n, 'L' || n, n, 'delivered', '', now() - (1000000 - n) * interval '10 s', now() from generate_series($1::int, $2::int) n`,
	`insert into hub.body (message, accepted_at, sealed) select n, now(), '' from generate_series($1::int, $2::int) n`,
	`insert into hub.his_no (his_no, hospital, message) select 'H' || n, 'h' || n % 20, n from generate_series($1::int, $2::int) n`,
	`insert into hub.found_by (token, message, accepted_at) select n, n, now() from generate_series($1::int, $2::int) n`,
	`insert into hub.attempt (message, number, fence, phase, step, connector, operation, outcome, rule, class, because, duration_us)
		select n, 1, 1, 'send', '', '', '', 'ok', '', '', '', 1 from generate_series($1::int, $2::int) n`,
	`insert into hub.exchange (message, number) select n, 1 from generate_series($1::int, $2::int) n`,
	`insert into hub.event (xid, hospital, message, kind, key, type, data) select (n / 100 + 3)::text::xid8, 'h' || n % 20, n, 'prescription.create', 'A' || n, 'message.delivered', '{}' from generate_series($1::int, $2::int) n`,
	`insert into hub.decision (hospital, message, who, verb) select 'h' || n % 20, n, 'nurse', 'retry' from generate_series($1::int, $2::int) n`,
	`insert into hub.ledger_entry (message, hospital, at, type, number, channel, channel_no, amount)
		select n, 'h' || n % 20, now() - (1000000 - n) * interval '1 minute', 'payment', 'A' || n, 'wechat', 'W' || n, 1 from generate_series($1::int, $2::int) n`,
	`insert into hub.inbound (id, hospital, kind, key, state, digest) select n + 10000000, 'h' || n % 20, 'prescription.dispensed', 'A' || n || '/dispensed', 'done', '' from generate_series($1::int, $2::int) n`,
	`insert into hub.case (hospital, day, type, number, class, amount, state, owner, night, finding)
		select 'h' || n % 20, '2026-01-05', 'payment', 'A' || n, 'missing_his', 1, 'resolved', 'finance', 1, '{}' from generate_series($1::int, $2::int) n`,
	`insert into hub.incident (hospital, kind, detail, opened_at, resolved_at) select 'h' || n % 20, 'backlog', '', now(), now() from generate_series($1::int, $2::int) n`,
	`insert into hub.night (hospital, day, run, state, who, counts) select 'h' || n % 20, date '1900-01-01' + n, 1, 'done', 'hub', '{}' from generate_series($1::int, $2::int, 10) n`,
}

// What people and the hub's own rounds ask costs the same with a long history: of
// every statement the pages are counted that it touches. An index that goes missing
// is found by this.
func TestStatementsDoNotGrow(t *testing.T) {
	l, asked := newRecordedLedger(t)
	grown := 0
	grow := func(to int) {
		for _, sql := range history {
			l.exec(sql, grown+1, to)
		}
		grown = to
		l.exec(`analyze`)
	}
	l.exec(`select setval('hub.message_id', 5000000)`)
	grow(6000)
	l.exec(`insert into hub.found_by (token, message, accepted_at) select unnest($1::bigint[]), 500, now()`, []int64{l.numberToken("C500"), l.patientToken("P500")})
	l.park(l.enqueue(payment("Q2", "Q2")), core.InDoubt, inDoubt)
	l.enqueue(payment("Q1", "Q1")) // something waits
	cursor := fmt.Sprintf("%d-0", 6000/100+2)

	list := func(f Filter) func() error {
		return func() error { _, _, err := l.List(l.ctx, f, "", 20); return err }
	}
	now := time.Now()
	operations := map[string]func() error{
		"list":               list(Filter{}),
		"list of a hospital": list(Filter{Hospitals: []string{"h7"}}),
		"list of two":        list(Filter{Hospitals: []string{"h7", "h8"}}),
		"list of a kind":     list(Filter{Kind: core.PrescriptionCreate, State: delivery.Delivered}),
		"list of a minute":   list(Filter{Since: now.Add(-(1000000-500)*10*time.Second - time.Minute), Until: now.Add(-(1000000 - 500) * 10 * time.Second)}),
		"list by key":        list(Filter{Key: "A500"}),
		"list by lane":       list(Filter{Lane: "L500"}),
		"list by the HIS's":  list(Filter{HisNo: "H500"}),
		"list by any number": list(Filter{Number: "C500"}),
		"list parked":        list(Filter{State: delivery.Parked, Hospitals: []string{"h1"}}),
		"list queued":        list(Filter{State: delivery.Queued}),
		"list of a patient": func() error {
			_, _, err := l.SearchPatient(l.ctx, Filter{}, "P500", "nurse", "why", "", 20)
			return err
		},
		"message":                 func() error { _, _, err := l.Message(l.ctx, 500); return err },
		"trace":                   func() error { _, err := l.Trace(l.ctx, 500); return err },
		"exchange":                func() error { _, err := l.Exchange(l.ctx, 500, 1); return err },
		"decisions of a hospital": func() error { _, err := l.HospitalDecisions(l.ctx, "h7", 20); return err },
		"lights":                  func() error { _, err := l.Lights(l.ctx); return err },
		"signs":                   func() error { _, err := l.Signs(l.ctx, []string{"h1"}); return err },
		"open incidents":          func() error { _, err := l.OpenIncidents(l.ctx, []string{"h1", "h7"}); return err },
		"incidents":               func() error { _, err := l.Incidents(l.ctx, []string{"h7"}, false, 20); return err },
		"feed":                    func() error { _, _, err := l.Read(l.ctx, cursor, 20); return err },
		"readers of the feed":     func() error { _, err := l.Behind(l.ctx); return err },
		"inbound by key": func() error {
			_, err := l.ListInbound(l.ctx, InboundFilter{Key: "A500/dispensed", Limit: 20})
			return err
		},
		"inbound that is open": func() error { _, err := l.ListInbound(l.ctx, InboundFilter{State: "open", Limit: 20}); return err },
		"inbound": func() error {
			_, err := l.ListInbound(l.ctx, InboundFilter{Hospitals: []string{"h7"}, Limit: 20})
			return err
		},
		"cases of a number":   func() error { _, err := l.Cases(l.ctx, reconcile.CaseQuery{Number: "A500"}); return err },
		"cases that are open": func() error { _, err := l.Cases(l.ctx, reconcile.CaseQuery{Live: true, Limit: 20}); return err },
		"audit of a message":  func() error { _, err := l.AuditEntries(l.ctx, AuditFilter{Subject: "message 500"}, 20); return err },
		"ours of a day": func() error {
			at := now.Add(-(1000000 - 500) * time.Minute)
			for _, err := range l.Ours(l.ctx, "h7", at.Add(-time.Hour), at) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"records of an hour": func() error {
			at := now.Add(-(1000000 - 500) * 10 * time.Second)
			_, err := l.Records(l.ctx, "h7", at.Add(-time.Hour), at)
			return err
		},
		"maintain": func() error {
			_, err := l.Maintain(l.ctx, now, Retention{Bodies: time.Hour, Attempts: time.Hour})
			return err
		},
	}
	names := slices.Sorted(maps.Keys(operations))
	made := 0 // statements that were prepared

	// cost is the pages of an operation's hungriest statement, as it is planned when it
	// was prepared and run some times, and that plan.
	cost := func(name, before string) (most int, worst string) {
		t.Helper()
		asked.mu.Lock()
		asked.all = nil
		asked.mu.Unlock()
		l.must(operations[name]())
		asked.mu.Lock()
		all := asked.all
		asked.mu.Unlock()
		tx, err := l.hot.Begin(l.ctx)
		l.must(err)
		defer tx.Rollback(l.ctx)
		if before != "" {
			_, err := tx.Exec(l.ctx, before)
			l.must(err)
		}
		looked := 0
		for _, d := range all {
			if sql := strings.ToLower(strings.TrimSpace(d.SQL)); !strings.HasPrefix(sql, "select") && !strings.HasPrefix(sql, "with") || strings.Contains(sql, "advisory") {
				continue
			}
			looked++
			made++
			prepared := fmt.Sprint("asked", made)
			_, err := tx.Exec(l.ctx, "prepare "+prepared+" as "+d.SQL)
			l.must(err)
			var args []any
			for _, a := range d.Args {
				if _, mode := a.(pgx.QueryExecMode); !mode {
					args = append(args, a)
				}
			}
			plan := ""
			for range 7 {
				plan = l.explain(tx, prepared, args...)
			}
			if n := pages(plan); n >= most {
				most, worst = n, d.SQL+"\n"+plan
			}
		}
		if looked == 0 {
			t.Errorf("%s asks nothing", name)
		}
		return most, worst
	}
	few := map[string]int{}
	for _, name := range names {
		few[name], _ = cost(name, "")
	}
	grow(30_000)
	const more = 100 // trees become a little higher; a scan would be hundreds
	for _, name := range names {
		if is, plan := cost(name, ""); is > few[name]+more {
			t.Errorf("%s touched %d pages at first, %d with history: %s", name, few[name], is, plan)
		}
	}
	for index, name := range map[string]string{
		"index hub.message_key": "list by key", "index hub.message_lane": "list by lane", "index hub.message_hospital": "list of a hospital",
		"index hub.found_by_token": "list of a patient", "index hub.event_order": "feed", "index hub.event_message": "trace", "index hub.attempt_message": "message",
		"index hub.decision_message": "trace", "index hub.case_number": "trace", "index hub.inbound_key": "inbound by key", "index hub.ledger_entry_day": "ours of a day",
		"index hub.inbound_open": "inbound that is open", "index hub.message_record": "records of an hour", "index hub.incident_opened": "trace",
	} {
		if is, _ := cost(name, "drop "+index); is <= few[name]+more {
			t.Errorf("without %s, %s touched %d pages: nobody would find it missing", index, name, is)
		}
	}
}
