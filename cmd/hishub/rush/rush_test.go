// Package rush has many people ask for few places at once, over several processes on one
// database, while what carries their tickets dies.
package rush

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	amqp "github.com/rabbitmq/amqp091-go"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/appointment"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
	"hishub/platform/order"
	"hishub/platform/patient"
	"hishub/platform/schedule"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// size of a rush: HISHUB_RUSH=full is that of the soak.
var size = struct{ requests, places, clients int }{1000, 20, 60}

func init() {
	if os.Getenv("HISHUB_RUSH") == "full" {
		size.requests, size.places, size.clients = 20_000, 50, 2000
	}
}

// people are all known everywhere.
type people struct{}

func (people) Bookable(context.Context, int64, string) (patient.Record, error) {
	return patient.Record{Details: patient.Details{Name: "测试患者"}, Verified: true}, nil
}
func (people) Identity(context.Context, string, string) (patient.Identity, error) {
	return patient.Identity{PatientNo: "1"}, nil
}

// payback is never needed here.
type payback struct{}

func (payback) GiveBack(context.Context, pgx.Tx, core.Outbox, order.Order, string) error {
	return fmt.Errorf("no money was paid")
}

// heard counts how often each ticket's answer was told.
type heard struct {
	mu    sync.Mutex
	times map[string]int
}

func (h *heard) Publish(_ int64, data []byte) {
	var n struct{ Type, No string }
	if err := json.Unmarshal(data, &n); err != nil {
		panic(err)
	}
	if n.Type != "ticket" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.times[n.No]++
}

// process is one of those that share the database.
type process struct {
	*appointment.Service
	kill func()
}

type rush struct {
	t         *testing.T
	c         *clinictest.Clinic
	heard     *heard
	processes []*process
	done      sync.WaitGroup
}

// begin opens the clinic with one session, and as many processes as there are queues.
func begin(t *testing.T, queues ...appointment.Queue) *rush {
	t.Helper()
	c := clinictest.New(t)
	r := &rush{t: t, c: c, heard: &heard{times: map[string]int{}}}
	for i, q := range queues {
		own := *c.Clinic
		db, err := pgxpool.NewWithConfig(context.Background(), c.Database.Config())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		own.Database = db
		sessions, orders := &schedule.Service{Clinic: &own}, &order.Service{Clinic: &own}
		s := &appointment.Service{Clinic: &own, Patients: people{}, Schedule: sessions, Orders: orders, Payback: payback{}, Queue: q, Live: r.heard}
		orders.Subjects = map[order.Kind]order.Subject{order.Registration: s}
		if i == 0 {
			for _, migrate := range []func(context.Context) error{sessions.Migrate, orders.Migrate, s.Migrate} {
				if err := migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		r.done.Go(func() { s.Run(ctx) })
		r.processes = append(r.processes, &process{s, cancel})
	}
	t.Cleanup(func() {
		for _, p := range r.processes {
			p.kill()
		}
		r.done.Wait()
	})
	offer(t, c.Database, "h1")
	return r
}

// offer makes the session that everybody wants, and has the database itself note each
// answer to a ticket.
func offer(t *testing.T, db *pgxpool.Pool, hospital string) {
	t.Helper()
	_, err := db.Exec(t.Context(), `create table answered (no text);
		create function note() returns trigger language plpgsql as $$ begin insert into answered values (new.no); return null; end $$;
		create trigger answered after update of state on appointment.ticket for each row when (old.state is distinct from new.state) execute function note();
		insert into schedule.session (no, hospital, doctor, department, day, period, starts, ends, capacity, fee, source, release_at)
			values ('S1', '`+hospital+`', 'D1', '01', current_date + 2, 'morning', now() + interval '2 days', now() + interval '51 hours', `+fmt.Sprint(size.places)+`, 5000, 'platform', 'epoch')`)
	if err != nil {
		t.Fatal(err)
	}
}

// ask has many clients ask at once; half says when half of them have their tickets.
func (r *rush) ask(half func()) (tickets []string) {
	r.t.Helper()
	return askAll(r.t, size.clients, size.requests, func(ctx context.Context, _ *http.Client, i, try int) (string, bool, error) {
		w := appointment.Wish{Session: "S1", Patient: fmt.Sprint("P", i), Request: fmt.Sprintf("request-%d", i)}
		// Who gets no answer asks again, elsewhere, with the same request.
		k, err := r.processes[(i+try)%len(r.processes)].Request(ctx, clinic.Person{Account: int64(i + 1)}, "h1", w)
		return k.No, false, err
	}, half)
}

// watch looks at the session again and again until stop.
func watch(t *testing.T, db *pgxpool.Pool) (stop func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	looks := make(chan int)
	go func() {
		n := 0
		for ctx.Err() == nil {
			var capacity, held, booked, open, paid int
			err := db.QueryRow(context.Background(), `select capacity, held, booked,
				(select count(*) from appointment.appointment where session = 'S1' and state in ('requested', 'held')),
				(select count(*) from appointment.appointment where session = 'S1' and state = 'confirmed') from schedule.session where no = 'S1'`).Scan(&capacity, &held, &booked, &open, &paid)
			free := capacity - held - booked
			if err != nil || free < 0 || held != open || booked != paid {
				t.Errorf("capacity %d, held %d, booked %d; appointments: %d held, %d booked; %v", capacity, held, booked, open, paid, err)
			}
			n++
			time.Sleep(2 * time.Millisecond) // between two looks, waiting for nothing
		}
		looks <- n
	}()
	return func() int { cancel(); return <-looks }
}

// settle waits until every ticket has its answer, and sweeps meanwhile.
func settle(t *testing.T, db *pgxpool.Pool, sweep func()) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var waiting int
		if err := db.QueryRow(t.Context(), `select count(*) from appointment.ticket where state = 'waiting'`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		if waiting == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d tickets have no answer", waiting)
		}
		sweep()
	}
}

// judge: so many places were sold, and every ticket was answered once.
func judge(t *testing.T, db *pgxpool.Pool, tickets []string, sold int) {
	t.Helper()
	slices.Sort(tickets)
	if n := len(slices.Compact(tickets)); n != len(tickets) {
		t.Errorf("%d tickets for %d requests", n, len(tickets))
	}
	var rows, held, granted, twice, orders int
	err := db.QueryRow(t.Context(), `select (select count(*) from appointment.ticket), (select held from schedule.session), (select count(*) from appointment.ticket where state = 'held'),
		(select count(*) from (select from answered group by no having count(*) > 1) x), (select count(*) from clinic_order.orders where state = 'created')`).Scan(&rows, &held, &granted, &twice, &orders)
	if err != nil || rows != len(tickets) || held != sold || granted != sold || orders != sold || twice != 0 {
		t.Errorf("%d tickets of %d, %d held, %d granted, %d orders of %d, %d answered twice, %v", rows, len(tickets), held, granted, orders, sold, twice, err)
	}
	var answers int
	if err := db.QueryRow(t.Context(), `select count(*) from answered`).Scan(&answers); err != nil || answers != len(tickets) {
		t.Errorf("%d answers to %d tickets, %v", answers, len(tickets), err)
	}
	var half, most float64
	if err := db.QueryRow(t.Context(), `select percentile_cont(0.5) within group (order by extract(epoch from answered_at - created_at)),
		percentile_cont(0.99) within group (order by extract(epoch from answered_at - created_at)) from appointment.ticket`).Scan(&half, &most); err == nil {
		t.Logf("answered after %.3f s, p99 %.3f s", half, most)
	}
}

// told: nobody was told of a ticket twice.
func (r *rush) told() {
	r.t.Helper()
	r.heard.mu.Lock()
	defer r.heard.mu.Unlock()
	for no, n := range r.heard.times {
		if n > 1 {
			r.t.Errorf("ticket %s was told %d times", no, n)
		}
	}
}

// Without a broker each process has its own queue, and one dies with what is in it.
func TestRushInProcess(t *testing.T) {
	r := begin(t, appointment.NewLocal(4), appointment.NewLocal(4), appointment.NewLocal(4))
	stop := watch(t, r.c.Database)
	tickets := r.ask(func() { r.processes[2].kill() })
	settle(t, r.c.Database, func() {
		if err := r.processes[0].Sweep(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%d looks", stop())
	judge(t, r.c.Database, tickets, size.places)
	r.told()
}

// purge throws away what waits in the broker.
func purge(t *testing.T, url string, lines int) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		if _, err := ch.QueuePurge(fmt.Sprintf("hishub.tickets.%d", i), false); err != nil {
			t.Fatal(err)
		}
	}
}
