package postgres

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"hishub/core"
)

// A thousand hospitals share the work of one: their claims are gathered, so that
// they take no more connections, and each gets its own messages only.
func TestClaimsOfManyHospitalsAreSharedOut(t *testing.T) {
	const hospitals = 200
	l := newLedger(t)
	for h := range hospitals {
		l.hospital(fmt.Sprint("b", h))
	}
	var filling sync.WaitGroup
	for h := range hospitals {
		filling.Go(func() {
			for i := range 2 {
				if _, err := l.Enqueue(l.ctx, fmt.Sprint("b", h), payment(fmt.Sprintf("A%d-%d", h, i), fmt.Sprint("L", i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	filling.Wait()
	var claiming sync.WaitGroup
	for h := range hospitals {
		claiming.Go(func() {
			hospital := fmt.Sprint("b", h)
			ds, err := l.Claim(l.ctx, "p", hospital, 1+h%3, lease, deadline)
			if err != nil {
				t.Error(err)
			}
			if len(ds) != min(1+h%3, 2) {
				t.Errorf("%s asked for %d and got %d", hospital, 1+h%3, len(ds))
			}
			for _, d := range ds {
				if d.Hospital != hospital || !strings.HasPrefix(d.Body.Key(), fmt.Sprintf("A%d-", h)) {
					t.Errorf("%s got %s of %s", hospital, d.Body.Key(), d.Hospital)
				}
			}
		})
	}
	claiming.Wait()
	if most := l.hot.Stat().TotalConns(); most > 8 {
		t.Errorf("%d connections were opened for it", most)
	}
}

// One hospital's 100,000 do not make the look for due hospitals, nor another's
// claim, any dearer; and only the kinds that are wanted are taken.
func TestABacklogCostsItsOwnHospitalOnly(t *testing.T) {
	const hospitals = 300
	l := newLedger(t)
	for h := range hospitals {
		l.hospital(fmt.Sprint("b", h))
	}
	id := l.enqueue(payment("A1", "L1"))
	// Plans made after an ANALYZE of one row, of which every way of reading looks alike,
	// and not made again while the test runs.
	_, err := l.hot.Exec(l.ctx, `alter table hub.queue set (autovacuum_enabled = false); analyze hub.queue, hub.hospital, hub.shard`)
	l.must(err)
	tx, err := l.hot.Begin(l.ctx)
	l.must(err)
	defer tx.Rollback(l.ctx)
	run := func(sql string, args ...any) {
		t.Helper()
		_, err := tx.Exec(l.ctx, sql, args...)
		l.must(err)
	}
	run("prepare due as " + due)
	run("prepare claim as " + claim)
	asks := func(hospital string, kinds string) []any {
		return claimArgs([]claiming{{process: "p", hospital: hospital, wanted: 5, leaseUS: 60e6, deadlineUS: 1e6, kinds: kinds}})
	}
	run("savepoint before")
	l.explain(tx, "due", "p")
	few := pages(l.explain(tx, "due", "p"))
	small := pages(l.explain(tx, "claim", asks("h1", "")...))
	run("rollback to savepoint before")
	run(`insert into hub.queue (message, hospital, kind, key, lane, place, head, due, accepted_at)
		select 1000 + n, 'b7', 'prescription.create', 'K' || n, 'L' || n, n, true, now() - interval '1 hour', now() from generate_series(1, 100000) n`)
	if many := pages(l.explain(tx, "due", "p")); many > few+2*hospitals { // the tree is higher
		t.Errorf("to look for due hospitals touched %d pages, with a backlog %d", few, many)
	}
	if many := pages(l.explain(tx, "claim", asks("h1", "")...)); many > small+60 {
		t.Errorf("another hospital's claim touched %d pages, beside a backlog %d", small, many)
	}
	run("rollback to savepoint before")
	for _, w := range []struct {
		kinds []core.Kind
		want  []int64
	}{{[]core.Kind{core.PrescriptionCreate}, nil}, {[]core.Kind{core.PrescriptionCreate, core.PaymentSettle}, []int64{id}}} {
		ds, err := l.Claim(l.ctx, "p", "h1", 5, lease, deadline, w.kinds...)
		l.must(err)
		var got []int64
		for _, d := range ds {
			got = append(got, d.ID)
		}
		if !slices.Equal(got, w.want) {
			t.Errorf("%v: claimed %v, want %v", w.kinds, got, w.want)
		}
	}
}
