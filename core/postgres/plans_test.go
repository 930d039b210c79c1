package postgres

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"hishub/core/delivery"
)

// explain runs a prepared statement and gives back its plan.
func (l *ledger) explain(tx pgx.Tx, name string, args ...any) string {
	l.tb.Helper()
	places := make([]string, len(args))
	for i := range args {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	call := name
	if len(args) > 0 {
		call += " (" + strings.Join(places, ", ") + ")"
	}
	rows, err := tx.Query(l.ctx, "explain (analyze, buffers, costs off, timing off, summary off) execute "+call,
		append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	l.must(err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	l.must(err)
	return strings.Join(lines, "\n")
}

var hits = regexp.MustCompile(`Buffers: shared (?:hit=(\d+) ?)?(?:read=(\d+))?`)

// pages that the hungriest part of a plan has touched. The top does not hold them
// all: writing parts run after it.
func pages(plan string) (most int) {
	for _, line := range hits.FindAllStringSubmatch(plan, -1) {
		n := 0
		for _, s := range line[1:] {
			v, _ := strconv.Atoi(s)
			n += v
		}
		most = max(most, n)
	}
	return most
}

// What is done once per message must cost the same with a long history and a
// long queue, also by a plan that was made when there was little or nothing, and
// by one that was made after an ANALYZE of that: to a table of one row every way
// of reading it looks alike.
func TestHotStatementsDoNotGrow(t *testing.T) {
	t.Run("as they are met", func(t *testing.T) { hotStatementsDoNotGrow(t, false, 0, 10, 100, 400, 2000) })
	for _, size := range []int{0, 1, 2, 30} { // an ANALYZE has the plans made anew, so each is alone
		t.Run(fmt.Sprint("analysed with ", size), func(t *testing.T) { hotStatementsDoNotGrow(t, true, size) })
	}
}

func hotStatementsDoNotGrow(t *testing.T, analysed bool, sizes ...int) {
	l := newLedger(t)
	_, err := l.hot.Exec(l.ctx, `alter table hub.queue set (autovacuum_enabled = false)`) // it would look by itself now and then
	l.must(err)
	tx, err := l.hot.Begin(l.ctx)
	l.must(err)
	defer tx.Rollback(l.ctx)
	run := func(sql string, args ...any) {
		t.Helper()
		_, err := tx.Exec(l.ctx, sql, args...)
		l.must(err)
	}
	run("select set_config('hub.held', '1', true)")

	// One message goes its whole way; each statement leaves what the next one needs.
	way := func(made int, key string) map[string]string {
		t.Helper()
		plans := map[string]string{}
		explain := func(name string, args ...any) { plans[name] = l.explain(tx, fmt.Sprint(name, made), args...) }
		e, err := l.enqueueing("h1", payment(key, "of "+key), EnqueueOptions{})
		l.must(err)
		explain("accept", acceptArgs([]enqueueing{e})...)
		e.key, e.lane, e.entry = key+"+", key+"+", nil
		explain("acceptplain", acceptArgs([]enqueueing{e})...)
		run("update hub.queue set due = 'epoch' where key in ('" + key + "', '" + key + "+')")
		explain("claim", claimArgs([]claiming{{process: "p", hospital: "h1", wanted: 2, leaseUS: 60e6, deadlineUS: 1e6}})...)
		d := &delivery.Delivery{Hospital: "h1", Lane: "of " + key}
		l.must(tx.QueryRow(l.ctx, "select message, fence, kind from hub.queue where key = $1 and fence > 0", key).Scan(&d.ID, &d.Fence, &d.Kind))
		explain("mark", []int64{d.ID}, []int64{d.Fence}, []int32{1})
		explain("settle", settleArgs([]settlement{l.settlement(d, attempt(d, "ok"), next(d, delivery.Delivered))})...)
		e2 := &delivery.Delivery{Hospital: "h1", Lane: key + "+"}
		l.must(tx.QueryRow(l.ctx, "select message, fence, kind from hub.queue where key = $1 and fence > 0", key+"+").Scan(&e2.ID, &e2.Fence, &e2.Kind))
		explain("settleend", settleArgs([]settlement{l.settlement(e2, attempt(e2, "ok"), next(e2, delivery.Delivered))})...)
		explain("promote", []string{"h1"}, []string{d.Lane}, []int32{1})
		return plans
	}
	from := 1000
	grow := func(to int) {
		for _, insert := range []string{
			`insert into hub.message (id, hospital, kind, key, lane, place, state, digest, accepted_at)
				select n, 'h1', 'payment.settle', 'K' || n, 'L' || n, n, 'delivered', '', now() from generate_series($1::int, $2::int) n`,
			`insert into hub.queue (message, hospital, kind, key, lane, place, head, due, accepted_at)
				select n, 'h1', 'payment.settle', 'K' || n, 'L' || n, n, true, now(), now() from generate_series($1::int, $2::int) n`,
			`insert into hub.attempt (message, number, fence, phase, step, connector, operation, outcome, rule, class, because, duration_us)
				select n, 1, 1, 'send', '', '', '', 'ok', '', '', '', 1 from generate_series($1::int, $2::int) n`,
		} {
			run(insert, from, to-1)
		}
		from = to
	}
	few := map[int]map[string]string{}
	for _, size := range sizes {
		grow(1000 + size)
		if analysed {
			// Not hub.message: it only grows, so an ANALYZE meets one row there at most once.
			run("analyze hub.queue, hub.attempt, hub.hospital, hub.shard")
		}
		for name, sql := range map[string]string{"accept": accept, "acceptplain": acceptPlain, "settleend": settleEnd, "claim": claim, "mark": markSent, "settle": settle, "promote": promote} {
			run(fmt.Sprint("prepare ", name, size, " as ", sql))
		}
		way(size, fmt.Sprint("A", size)) // makes the plans, and fills the catalogue caches
		few[size] = way(size, fmt.Sprint("B", size))
	}
	grow(31000)
	for _, size := range sizes {
		for name, plan := range way(size, fmt.Sprint("C", size)) {
			// Trees become a little higher, pages are filled and split. A scan would be hundreds.
			if was, is := pages(few[sizes[0]][name]), pages(plan); is > was+60 || is == 0 {
				t.Errorf("%s, planned with %d messages, touched %d pages at first, %d with history and queue:\n%s", name, size, was, is, plan)
			}
		}
	}
}
