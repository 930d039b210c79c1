package postgres

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

func TestRetentionByClass(t *testing.T) {
	l := newLedger(t)
	day := 24 * time.Hour
	r, err := l.Retention(l.ctx)
	l.must(err)
	if want := (Retention{Exchanges: 180 * day, Attempts: 730 * day, Events: 90 * day, Statements: 400 * day}); r != want {
		t.Errorf("%+v, want %+v", r, want)
	}
	before := l.head().Number
	l.must(l.Keep(l.ctx, "exchanges", 90, "li", "the law"))
	l.must(l.Keep(l.ctx, "bodies", 3650, "li", ""))
	l.must(l.Keep(l.ctx, "events", 30, "li", ""))
	l.must(l.Keep(l.ctx, "events", 0, "li", ""))
	if r, err = l.Retention(l.ctx); err != nil || r.Exchanges != 90*day || r.Bodies != 3650*day || r.Events != 0 || r.Attempts != 730*day {
		t.Errorf("%+v %v", r, err)
	}
	var ps core.Problems
	for _, c := range []struct {
		class string
		days  int
	}{{"audit", 90}, {"exchange", 90}, {"events", 6}, {"events", -1}, {"events", 1 << 30}} {
		if err := l.Keep(l.ctx, c.class, c.days, "li", ""); !errors.As(err, &ps) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if n := l.head().Number - before; n != 4 {
		t.Errorf("%d entries in the audit of 4 settings", n)
	}
	kept, err := l.Kept(l.ctx)
	l.must(err)
	if len(kept) != 6 || kept[1].Class != "exchanges" || kept[1].Days != 90 || kept[1].Usual != 180 || kept[1].Months != monthsAhead+1 || kept[1].Bytes == 0 {
		t.Errorf("%+v", kept)
	}
}

// A month of 100,000 rows is gone in less than a second, while others read and write.
func TestAMonthIsDroppedInASecond(t *testing.T) {
	l := newLedger(t)
	now, err := l.Now(l.ctx)
	l.must(err)
	old := month(now).AddDate(0, -8, 0)
	l.must(l.inTransaction(l.ctx, func(tx pgx.Tx) error { return addPartition(l.ctx, tx, "exchange", old) }))
	l.exec(fmt.Sprintf(`insert into hub.exchange (message, number, at, request, answer)
		select n, 1, timestamptz '%s' + n * interval '1 second', convert_to(repeat(md5(n::text), 20), 'UTF8'), '' from generate_series(1000000, 1099999) n`, old.Format(time.RFC3339)))
	if n := count[int](l, `select count(*) from hub.`+partitionName("exchange", old)); n != 100_000 {
		t.Fatalf("%d rows", n)
	}
	began := time.Now()
	dropped, err := l.Maintain(l.ctx, now, Retention{Exchanges: 180 * 24 * time.Hour})
	took := time.Since(began)
	if err != nil || !slices.Equal(dropped, []string{partitionName("exchange", old)}) {
		t.Errorf("dropped %v: %v", dropped, err)
	}
	t.Logf("%d rows in %s", 100_000, took)
	if took > time.Second {
		t.Errorf("it took %s", took)
	}
}

// What is not over yet keeps what it needs: a message that waits its attempts and
// their bytes, an open case the books of its day.
func TestRetentionLeavesWhatIsNeeded(t *testing.T) {
	l := newLedger(t)
	now, err := l.Now(l.ctx)
	l.must(err)
	old, older := month(now).AddDate(0, -2, 0), month(now).AddDate(0, -3, 0)
	for _, table := range []string{"attempt", "exchange", "statement_entry", "body"} {
		for _, m := range []time.Time{old, older} {
			l.must(l.inTransaction(l.ctx, func(tx pgx.Tx) error { return addPartition(l.ctx, tx, table, m) }))
		}
	}
	waits := l.enqueue(payment("A1", "L1"))
	at := old.AddDate(0, 0, 9).Format(time.RFC3339)
	l.exec(fmt.Sprintf(`insert into hub.exchange (message, number, at) values (%d, 1, '%s')`, waits, at))
	l.exec(fmt.Sprintf(`insert into hub.attempt (message, number, fence, at, phase, step, connector, operation, outcome, rule, class, because, duration_us)
		values (%d, 1, 1, '%s', 'send', '', '', '', 'in_doubt', '', '', '', 1)`, waits, at))
	l.exec(fmt.Sprintf(`insert into hub.case (hospital, day, type, number, class, amount, owner, night, finding) values ('h1', '%s', 'payment', 'A1', 'missing_his', 1, 'finance', 1, '{}')`,
		old.AddDate(0, 0, 9).Format(time.DateOnly)))
	all := Retention{Bodies: time.Hour, Exchanges: time.Hour, Attempts: time.Hour, Statements: time.Hour}
	drop := func(want ...string) {
		t.Helper()
		dropped, err := l.Maintain(l.ctx, now, all)
		slices.Sort(dropped)
		if err != nil || !slices.Equal(dropped, want) {
			t.Errorf("dropped %v, want %v: %v", dropped, want, err)
		}
	}
	of := func(m time.Time) []string {
		return []string{partitionName("attempt", m), partitionName("body", m), partitionName("exchange", m), partitionName("statement_entry", m)}
	}
	drop(of(older)...)
	l.exec(`update hub.case set state = 'resolved', ended_at = clock_timestamp()`)
	drop(partitionName("body", old), partitionName("statement_entry", old))
	l.exec(`delete from hub.queue`)
	drop(partitionName("attempt", old), partitionName("exchange", old))
}

// A replay goes with its messages, however many, when the time of attempts is over
// since the month of its end; one that runs, or of which something is on its way, stays.
func TestReplaysAreForgotten(t *testing.T) {
	l := newLedger(t)
	now, err := l.Now(l.ctx)
	l.must(err)
	const long = 2*listedAtOnce + 1
	at := func(m time.Time) *time.Time { return &m }
	first := month(now).AddDate(0, -2, 0)
	for _, r := range []struct {
		state        string
		ended        *time.Time
		items, onWay int
	}{
		{"done", at(first.AddDate(0, 0, -10)), long, 0}, // 1: in a month that ended two months ago
		{"cancelled", at(first.Add(-time.Second)), 3, 1},
		{"done", at(first.Add(time.Second)), 3, 0},
		{"running", nil, 3, 0},
		{"cancelled", at(first.AddDate(-1, 0, 0)), listedAtOnce, 0}, // 5
	} {
		var id int64
		l.must(l.calm.QueryRow(l.ctx, `insert into hub.replay (state, filter, revision, rate, concurrency, stop_after, created_by, created_at, ended_at)
			values ($1, '{}', '', 1, 1, 1, 'ops', $2, $3) returning id`, r.state, first.AddDate(-2, 0, 0), r.ended).Scan(&id))
		l.exec(`insert into hub.replay_part (replay, hospital, shard, items, on_way) values ($1, 'h1', 0, $2, $3)`, id, r.items, r.onWay)
		l.exec(`insert into hub.replay_item (replay, message, hospital, kind, place) select $1, n, 'h1', 'payment.settle', n from generate_series(1, $2) n`, id, r.items)
	}
	left := func(keep time.Duration, want string) {
		t.Helper()
		if _, err := l.Maintain(l.ctx, now, Retention{Attempts: keep}); err != nil {
			t.Fatal(err)
		}
		got := count[string](l, `select string_agg(r.id || ':' || (select count(*) from hub.replay_item i where i.replay = r.id), ' ' order by r.id) from hub.replay r`)
		if got != want {
			t.Errorf("kept for %s: replays and how many messages they have: %s, want %s", keep, got, want)
		}
	}
	left(0, fmt.Sprintf("1:%d 2:3 3:3 4:3 5:%d", long, listedAtOnce))
	left(now.Sub(first)+time.Hour, fmt.Sprintf("1:%d 2:3 3:3 4:3", long))
	left(now.Sub(first), "2:3 3:3 4:3")
	l.exec(`update hub.replay_part set on_way = 0`)
	left(now.Sub(first), "3:3 4:3")
}
