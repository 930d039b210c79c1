package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/reconcile"
	"hishub/mocks/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

const (
	lease    = time.Minute
	deadline = time.Minute
)

// ledger is a store on a database of the test's own, with the process "p" that
// owns everything and the hospital "h1".
type ledger struct {
	*Store
	tb  testing.TB
	ctx context.Context
	url string
}

func newLedger(tb testing.TB, change ...func(*Options)) *ledger {
	tb.Helper()
	return openLedger(tb, servers.Postgres(tb), change...)
}

func openLedger(tb testing.TB, url string, change ...func(*Options)) *ledger {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	tb.Cleanup(cancel)
	if err := Migrate(ctx, url); err != nil {
		tb.Fatal(err)
	}
	o := Options{URL: url, KeyFile: filepath.Join(tb.TempDir(), "key"), CreateKey: true}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(ctx, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	l := &ledger{Store: s, tb: tb, ctx: ctx, url: url}
	l.hospital("h1")
	l.own("p")
	return l
}

func (l *ledger) hospital(id string) {
	l.tb.Helper()
	_, err := l.Apply(l.ctx, id, "Hospital "+id, []byte("archive"), "digest", "tester", "")
	l.must(err)
}

func (l *ledger) own(process string) []int {
	l.tb.Helper()
	held, err := l.Own(l.ctx, process, time.Hour)
	l.must(err)
	return held
}

func (l *ledger) must(err error) {
	l.tb.Helper()
	if err != nil {
		l.tb.Fatal(err)
	}
}

// payment is a valid payment message with that order number in that lane.
func payment(order, lane string) core.Message {
	return core.Message{Kind: core.PaymentSettle, Lane: lane, Body: &core.Payment{
		OrderID: order, VisitNo: "V1", PatientNo: "P1", PatientName: "张三测试", Bills: []string{"B1"}, Amount: 1200,
		Channel: "wechat", ChannelNo: "wx" + order, PaidAt: time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC),
	}}
}

func voiding(no, lane string) core.Message {
	return core.Message{Kind: core.PrescriptionVoid, Lane: lane, Body: &core.PrescriptionVoiding{
		No: no, PatientNo: "P1", Reason: "wrong drug", OperatorCode: "D1", VoidedAt: time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC),
	}}
}

func (l *ledger) enqueue(m core.Message) int64 {
	l.tb.Helper()
	a, err := l.Enqueue(l.ctx, "h1", m)
	l.must(err)
	if a.Duplicate {
		l.tb.Fatalf("%s is a duplicate", m.Key())
	}
	return a.ID
}

func (l *ledger) claim(n int) []delivery.Delivery {
	l.tb.Helper()
	return l.claimFor("p", n, lease, deadline)
}

func (l *ledger) claimFor(process string, n int, lease, deadline time.Duration) []delivery.Delivery {
	l.tb.Helper()
	ds, err := l.Claim(l.ctx, process, "h1", n, lease, deadline)
	l.must(err)
	return ds
}

// one claims and expects exactly this message.
func (l *ledger) one(id int64) *delivery.Delivery {
	l.tb.Helper()
	ds := l.claim(10)
	if len(ds) != 1 || ds[0].ID != id {
		l.tb.Fatalf("claimed %v, want only %d", ids(ds), id)
	}
	return &ds[0]
}

func (l *ledger) none() {
	l.tb.Helper()
	if ds := l.claim(10); len(ds) != 0 {
		l.tb.Fatalf("claimed %v, want nothing", ids(ds))
	}
}

func ids(ds []delivery.Delivery) (all []int64) {
	for _, d := range ds {
		all = append(all, d.ID)
	}
	return all
}

func (l *ledger) sent(d *delivery.Delivery) {
	l.tb.Helper()
	l.must(l.Sent(l.ctx, d, 1))
}

// attempt is an exchange with this outcome.
func attempt(d *delivery.Delivery, o core.Outcome) *delivery.Attempt {
	now := time.Now()
	return &delivery.Attempt{Number: d.Attempts + 1, Phase: d.Phase, Step: "pay", Now: now, Exchange: core.Exchange{
		Hospital: d.Hospital, Call: "pay", Connector: "default", Operation: "SavePay", Started: now, Ended: now.Add(time.Millisecond),
		Verdict: core.Verdict{Outcome: o}, Sent: []byte("<request/>"), Received: []byte("<answer/>"),
	}}
}

// next is d's progress after one more attempt, in this state.
func next(d *delivery.Delivery, s delivery.State) delivery.Next {
	n := delivery.Next{State: s, Progress: d.Progress, Because: "because"}
	n.Attempts++
	return n
}

func (l *ledger) settle(d *delivery.Delivery, n delivery.Next) (promoted bool) {
	l.tb.Helper()
	promoted, err := l.Settle(l.ctx, d, attempt(d, core.OutcomeOK), n)
	l.must(err)
	return promoted
}

func (l *ledger) deliver(id int64) {
	l.tb.Helper()
	d := l.one(id)
	l.sent(d)
	l.settle(d, next(d, delivery.Delivered))
}

// exec changes the database behind the store's back.
func (l *ledger) exec(sql string, args ...any) {
	l.tb.Helper()
	_, err := l.calm.Exec(l.ctx, sql, args...)
	l.must(err)
}

func count[T any](l *ledger, sql string, args ...any) (v T) {
	l.tb.Helper()
	l.must(l.calm.QueryRow(l.ctx, sql, args...).Scan(&v))
	return v
}

// collect is a stream as a slice.
func collect(entries reconcile.Stream) (all []reconcile.Entry, err error) {
	for e, err := range entries {
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
	return all, nil
}

// visible waits until everything in the feed can be seen: transactions of other
// databases on this server, which other tests make, delay that.
func (l *ledger) visible(most time.Duration) {
	l.tb.Helper()
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var hidden bool
		l.must(l.calm.QueryRow(l.ctx, `select exists(select from hub.event where xid >= pg_snapshot_xmin(pg_current_snapshot()))`).Scan(&hidden))
		if !hidden {
			return
		}
	}
}

// events reads the feed once it can be seen. A transaction that a test holds open
// on purpose is not waited for long.
func (l *ledger) events(after string) (types []string, next string) {
	l.tb.Helper()
	l.visible(time.Second)
	events, next, err := l.Read(l.ctx, after, 1000)
	l.must(err)
	for _, e := range events {
		types = append(types, fmt.Sprintf("%s %d", e.Type, e.Message))
	}
	return types, next
}

var core8 = time.FixedZone("", 8*60*60)
