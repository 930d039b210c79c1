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
	rows, err := tx.Query(l.ctx, fmt.Sprintf("explain (analyze, buffers, costs off, timing off, summary off) execute %s (%s)", name, strings.Join(places, ", ")),
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
// long queue, also by the plan that was made when there was neither.
func TestHotStatementsDoNotGrow(t *testing.T) {
	l := newLedger(t)
	tx, err := l.hot.Begin(l.ctx)
	l.must(err)
	defer tx.Rollback(l.ctx)
	run := func(sql string) {
		t.Helper()
		_, err := tx.Exec(l.ctx, sql)
		l.must(err)
	}
	run("prepare accepting as " + accept)
	run("prepare claiming as " + claim)
	run("prepare marking as " + markSent)
	run("prepare settling as " + settle)
	run("prepare promoting as " + promote)
	run("select set_config('hub.held', '1', true)")

	// One message goes its whole way; each statement leaves what the next one needs.
	way := func(key string) map[string]string {
		t.Helper()
		plans := map[string]string{}
		e, err := l.enqueueing("h1", payment(key, "of "+key), EnqueueOptions{})
		l.must(err)
		plans["accept"] = l.explain(tx, "accepting", acceptArgs([]enqueueing{e})...)
		run("update hub.queue set due = 'epoch' where key = '" + key + "'")
		plans["claim"] = l.explain(tx, "claiming", "p", "h1", 1, int64(60e6), int64(1e6))
		d := &delivery.Delivery{Hospital: "h1", Lane: "of " + key}
		l.must(tx.QueryRow(l.ctx, "select message, fence, kind from hub.queue where key = $1 and fence > 0", key).Scan(&d.ID, &d.Fence, &d.Kind))
		plans["mark"] = l.explain(tx, "marking", []int64{d.ID}, []int64{d.Fence}, []int32{1})
		plans["settle"] = l.explain(tx, "settling", settleArgs([]settlement{l.settlement(d, attempt(d, "ok"), next(d, delivery.Delivered))})...)
		plans["promote"] = l.explain(tx, "promoting", []string{"h1"}, []string{d.Lane}, []int32{1})
		return plans
	}
	way("A0") // fills the catalogue caches
	few := way("A1")
	run(`insert into hub.message (id, hospital, kind, key, lane, place, state, digest, accepted_at)
		select n, 'h1', 'payment.settle', 'K' || n, 'L' || n, n, 'delivered', '', now() from generate_series(1000, 30000) n`)
	run(`insert into hub.queue (message, hospital, kind, key, lane, place, head, due, accepted_at)
		select n, 'h1', 'payment.settle', 'K' || n, 'L' || n, n, true, now(), now() from generate_series(1000, 30000) n`)
	run(`insert into hub.attempt (message, number, fence, phase, step, connector, operation, outcome, rule, class, because, duration_us)
		select n, 1, 1, 'send', '', '', '', 'ok', '', '', '', 1 from generate_series(1000, 30000) n`)
	many := way("A2")
	for name, plan := range many {
		// Trees become a little higher, pages are filled and split. A scan would be hundreds.
		if was, is := pages(few[name]), pages(plan); is > was+60 || is == 0 {
			t.Errorf("%s touched %d pages without history and queue, %d with them:\n%s", name, was, is, plan)
		} else {
			t.Logf("%s: %d pages, then %d", name, was, is)
		}
	}
}
