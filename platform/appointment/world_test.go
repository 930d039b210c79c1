package appointment

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
	"hishub/platform/order"
	"hishub/platform/patient"
	"hishub/platform/schedule"
)

// TestMain takes fewer random walks than is usual: each of their steps is several
// transactions.
func TestMain(m *testing.M) {
	if os.Getenv("CLERK_BROKER") != "" {
		clerk()
		return
	}
	_ = flag.Set("rapid.checks", "60")
	os.Exit(servers.Main(m))
}

// world is the appointments among what they need: real sessions and orders, and stand-ins
// for the rest.
type world struct {
	*Service
	c        *clinictest.Clinic
	orders   *order.Service
	sessions *schedule.Service
	bookable error
	identity error

	mu   sync.Mutex
	back map[string]int // how often each order's money went back
	news map[int64][]news
	sent []string // notices, of transactions that were committed
}

var mother = person(7)

func person(account int64) clinic.Person {
	return clinic.Person{Account: account, Grants: []clinic.Grant{{Role: clinic.Patient}}}
}

func (w *world) Bookable(context.Context, int64, string) (patient.Record, error) {
	return patient.Record{Details: patient.Details{Name: "测试患者"}, Verified: true}, w.bookable
}

func (w *world) Identity(context.Context, string, string) (patient.Identity, error) {
	return patient.Identity{PatientNo: "0001"}, w.identity
}

func (w *world) GiveBack(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, reason string) error {
	_, err := w.orders.Refund(ctx, tx, outbox, o.No, order.Refund{No: "R" + o.No, Amount: o.Amount - o.Refunded, Reason: reason})
	if err == nil {
		clinic.AfterCommit(tx, func() { w.mu.Lock(); defer w.mu.Unlock(); w.back[o.No]++ })
	}
	return err
}

func (w *world) Publish(account int64, data []byte) {
	var n news
	if err := json.Unmarshal(data, &n); err != nil {
		panic(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.news[account] = append(w.news[account], n)
}

func (w *world) told(account int64) []news {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.news[account]
}

// Send implements Notices.
func (w *world) Send(_ context.Context, tx pgx.Tx, account int64, event string, params map[string]string) error {
	clinic.AfterCommit(tx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent = append(w.sent, fmt.Sprint(account, " ", event, " ", params["minutes"], params["no"]))
	})
	return nil
}

// none is a queue that loses everything.
type none struct{}

func (none) Publish(context.Context, string, string) error                      { return nil }
func (none) Consume(ctx context.Context, _ func(context.Context, string) error) { <-ctx.Done() }

func opened(t *testing.T) *world {
	t.Helper()
	c := clinictest.New(t)
	w := &world{c: c, orders: &order.Service{Clinic: c.Clinic}, sessions: &schedule.Service{Clinic: c.Clinic}, back: map[string]int{}, news: map[int64][]news{}}
	w.Service = w.service(c.Clinic, none{})
	w.orders.Subjects = map[order.Kind]order.Subject{order.Registration: w.Service}
	for _, migrate := range []func(context.Context) error{w.orders.Migrate, w.sessions.Migrate, w.Migrate} {
		if err := migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) service(c *clinic.Clinic, q Queue) *Service {
	orders := &order.Service{Clinic: c}
	s := &Service{Clinic: c, Patients: w, Schedule: &schedule.Service{Clinic: c}, Orders: orders, Payback: w, Queue: q, Live: w, Notices: w}
	orders.Subjects = map[order.Kind]order.Subject{order.Registration: s}
	return s
}

// session makes one that begins after a time, of our own counting, or a HIS's.
func (w *world) session(t fataler, no string, capacity int, fee core.Fen, source schedule.Source, begins time.Duration) string {
	t.Helper()
	_, err := w.Database.Exec(context.Background(), `insert into schedule.session (no, hospital, doctor, department, day, period, starts, ends, capacity, fee, source, his_no, release_at)
		values ($1, 'h1', 'D1', '01', (clock_timestamp() at time zone 'Asia/Shanghai' + $5::interval)::date, 'morning', clock_timestamp() + $5::interval, clock_timestamp() + $5::interval + interval '1 hour',
			$2, $3, $4, case when $4 = 'his' then $1 else '' end, 'epoch')`, no, capacity, fee, source, begins)
	if err != nil {
		t.Fatal(err)
	}
	return no
}

type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func must[T any](t fataler) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// ask makes a ticket and answers it.
func (w *world) ask(t fataler, account int64, session string) Ticket {
	t.Helper()
	ctx := context.Background()
	k := must[Ticket](t)(w.Request(ctx, person(account), "h1", Wish{Session: session, Patient: fmt.Sprint("P", account), Request: clinic.NewNumber("rq", time.Now())}))
	if err := w.Answer(ctx, k.No); err != nil {
		t.Fatal(err)
	}
	return must[Ticket](t)(w.OwnTicket(ctx, account, k.No))
}

func (w *world) asked(t fataler, account int64, session string) Appointment {
	t.Helper()
	k := w.ask(t, account, session)
	if k.Appointment == "" {
		t.Fatalf("%+v", k)
	}
	return w.read(t, k.Appointment)
}

func (w *world) read(t fataler, no string) Appointment {
	t.Helper()
	return must[Appointment](t)(w.one(context.Background(), w.Database, `no = $1`, no))
}

func (w *world) pay(ctx context.Context, a Appointment) error {
	_, err := clinictest.Do(w.c, func(tx pgx.Tx, outbox core.Outbox) (order.Order, error) {
		return w.orders.MarkPaid(ctx, tx, outbox, a.Order, order.Payment{Channel: "wechat", ChannelNo: "42" + a.No, Amount: a.Fee, At: time.Now()})
	})
	return err
}

func (w *world) paid(t fataler, account int64, session string) Appointment {
	t.Helper()
	a := w.asked(t, account, session)
	if err := w.pay(context.Background(), a); err != nil {
		t.Fatal(err)
	}
	return w.read(t, a.No)
}

// returned is the channel's word that the money is back.
func (w *world) returned(t fataler, a Appointment) {
	t.Helper()
	err := w.Transact(context.Background(), "h1", func(tx pgx.Tx, outbox core.Outbox) error {
		return w.orders.Returned(context.Background(), tx, outbox, "R"+a.Order, order.Back{Payment: order.Payment{Channel: "wechat", ChannelNo: "42" + a.No, Amount: a.Fee}, ChannelRefundNo: "50" + a.No, At: time.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) take(t fataler, e core.Event) {
	t.Helper()
	e.Hospital = "h1"
	ctx := context.Background()
	if err := pgx.BeginFunc(ctx, w.Database, func(tx pgx.Tx) error {
		mine, err := w.Mine(ctx, tx, []core.Event{e})
		for _, e := range mine {
			err = errors.Join(err, w.Take(ctx, tx, e))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.heed(ctx); err != nil {
		t.Fatal(err)
	}
}

// counts of a session, and whether they are what its appointments say.
func (w *world) counts(t fataler, session string) (held, booked int) {
	t.Helper()
	var h, b, capacity int
	err := w.Database.QueryRow(context.Background(), `select held, booked, capacity, (select count(*) from appointment.appointment where session = $1 and state in ('requested', 'held')),
		(select count(*) from appointment.appointment where session = $1 and state in ('confirmed', 'checked_in', 'done', 'no_show')) from schedule.session where no = $1`, session).Scan(&held, &booked, &capacity, &h, &b)
	if err != nil {
		t.Fatal(err)
	}
	if held != h || booked != b || held+booked > capacity {
		t.Fatalf("session %s of %d counts %d held, %d booked; its appointments are %d and %d", session, capacity, held, booked, h, b)
	}
	return held, booked
}

func (w *world) lapse(t fataler, a Appointment) {
	t.Helper()
	if _, err := w.Database.Exec(context.Background(), `update clinic_order.orders set expires_at = clock_timestamp() where no = $1`, a.Order); err != nil {
		t.Fatal(err)
	}
	if _, err := w.orders.Expire(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) kinds(t *testing.T) (all []core.Kind) {
	t.Helper()
	for _, m := range w.c.Told(t) {
		all = append(all, m.Kind)
	}
	return all
}
