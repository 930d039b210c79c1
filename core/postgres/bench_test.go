package postgres

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"hishub/core/delivery"
	"hishub/mocks/servers"
)

// newDurableLedger is a ledger on a server that waits for the disk, as in
// production and unlike the one that tests share.
func newDurableLedger(b *testing.B) *ledger {
	b.Helper()
	dir, remove, err := servers.TempDir()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(remove)
	server, err := servers.StartPostgres(context.Background(), dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Kill)
	u, _ := url.Parse(server.URL)
	return openLedger(b, u.String())
}

const callers = 64

// BenchmarkEnqueue: 64 callers, each waiting for its message to be durable.
func BenchmarkEnqueue(b *testing.B) {
	l := newDurableLedger(b)
	var n atomic.Int64
	b.SetParallelism(callers / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			if _, err := l.Enqueue(l.ctx, "h1", payment(fmt.Sprint("A", i), fmt.Sprint("L", i))); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkDelivery: claim, mark and settle, 64 in flight over 8 hospitals, of
// messages that were accepted before.
func BenchmarkDelivery(b *testing.B) {
	l := newDurableLedger(b)
	const hospitals = 8
	var filling sync.WaitGroup
	for h := range hospitals {
		l.hospital(fmt.Sprint("b", h))
	}
	for w := range callers {
		filling.Go(func() {
			for i := w; i < b.N; i += callers {
				if _, err := l.Enqueue(l.ctx, fmt.Sprint("b", i%hospitals), payment(fmt.Sprint("A", i), fmt.Sprint("L", i))); err != nil {
					b.Error(err)
				}
			}
		})
	}
	filling.Wait()
	b.ResetTimer()
	var working sync.WaitGroup
	for h := range hospitals {
		working.Go(func() {
			hospital := fmt.Sprint("b", h)
			for {
				ds, err := l.Claim(l.ctx, "p", hospital, callers/hospitals, lease, deadline)
				if err != nil {
					b.Error(err)
				}
				if len(ds) == 0 {
					return
				}
				var each sync.WaitGroup
				for i := range ds {
					each.Go(func() {
						d := &ds[i]
						if err := l.Sent(l.ctx, d, 1); err != nil {
							b.Error(err)
						}
						if _, err := l.Settle(l.ctx, d, attempt(d, "ok"), next(d, delivery.Delivered)); err != nil {
							b.Error(err)
						}
					})
				}
				each.Wait()
			}
		})
	}
	working.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
}

// BenchmarkWhole: acceptance and delivery at the same time.
func BenchmarkWhole(b *testing.B) {
	l := newDurableLedger(b)
	var n, done atomic.Int64
	b.ResetTimer()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for {
				i := n.Add(1)
				if i > int64(b.N) {
					return
				}
				if _, err := l.Enqueue(l.ctx, "h1", payment(fmt.Sprint("A", i), fmt.Sprint("L", i))); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range 4 {
		all.Go(func() {
			for done.Load() < int64(b.N) {
				ds, err := l.Claim(l.ctx, "p", "h1", 16, lease, deadline)
				if err != nil {
					b.Error(err)
				}
				var each sync.WaitGroup
				for i := range ds {
					each.Go(func() {
						d := &ds[i]
						if err := l.Sent(l.ctx, d, 1); err != nil {
							b.Error(err)
						}
						if _, err := l.Settle(l.ctx, d, attempt(d, "ok"), next(d, delivery.Delivered)); err != nil {
							b.Error(err)
						}
						done.Add(1)
					})
				}
				each.Wait()
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
}

// The claim must not grow with what waits: its plan reads as many rows as it takes.
func TestClaimDoesNotGrowWithTheQueue(t *testing.T) {
	l := newLedger(t)
	// The plan is made and cached while the queue is empty.
	for range 8 {
		l.none()
	}
	l.exec(`insert into hub.queue (message, hospital, kind, key, lane, place, head, due, accepted_at)
		select n, 'h1', 'payment.settle', 'A' || n, 'L' || n, n, true,
			clock_timestamp() + case when n % 2 = 0 then interval '1 hour' else interval '-1 second' end, clock_timestamp()
		from generate_series(1, 100000) n`)
	tx, err := l.hot.Begin(l.ctx)
	l.must(err)
	defer tx.Rollback(l.ctx)
	rows, err := tx.Query(l.ctx, "explain (analyze, buffers, costs off, timing off) "+claim,
		append([]any{pgx.QueryExecModeExec}, claimArgs([]claiming{{process: "p", hospital: "h1", wanted: 10, leaseUS: 1e6, deadlineUS: 1e6}})...)...)
	l.must(err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	l.must(err)
	plan := strings.Join(lines, "\n")
	t.Log(plan)
	if !strings.Contains(plan, "Index Scan using queue_due") || strings.Contains(plan, "Seq Scan") {
		t.Error("the claim does not walk the index of due heads")
	}
	if !strings.Contains(plan, "Index Scan using queue_due on queue q_1 (actual rows=10 loops=1)") {
		t.Error("the claim reads more rows than it takes")
	}
}
