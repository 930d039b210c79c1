// Package rush has many people ask for few places at once, over several processes' worth
// of the appointment module on one database, while what carries their tickets dies.
package rush

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	amqp "github.com/rabbitmq/amqp091-go"

	"hishub/core"
	"hishub/core/rabbit"
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
var size = struct{ requests, places, clients int }{2000, 20, 60}

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
	// What is answered is noted by the database itself, each time.
	_, err := c.Database.Exec(t.Context(), `create table answered (no text);
		create function note() returns trigger language plpgsql as $$ begin insert into answered values (new.no); return null; end $$;
		create trigger answered after update of state on appointment.ticket for each row when (old.state is distinct from new.state) execute function note();
		insert into schedule.session (no, hospital, doctor, department, day, period, starts, ends, capacity, fee, source, release_at)
			values ('S1', 'h1', 'D1', '01', current_date + 2, 'morning', now() + interval '2 days', now() + interval '51 hours', `+fmt.Sprint(size.places)+`, 5000, 'platform', 'epoch')`)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ask has many clients ask at once; half says when half of them have their tickets.
func (r *rush) ask(first, n int, half func()) (tickets []string) {
	r.t.Helper()
	requests := make(chan int)
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range size.clients {
		clients.Go(func() {
			for i := range requests {
				person := clinic.Person{Account: int64(i)}
				wish := appointment.Wish{Session: "S1", Patient: fmt.Sprint("P", i), Request: fmt.Sprintf("request-%d", i)}
				// Who gets no answer asks again, elsewhere, with the same request.
				for try := 0; ; try++ {
					k, err := r.processes[(i+try)%len(r.processes)].Request(context.Background(), person, "h1", wish)
					if err == nil {
						mu.Lock()
						tickets = append(tickets, k.No)
						mu.Unlock()
						break
					}
					if try == 20 {
						r.t.Errorf("request %d: %v", i, err)
						break
					}
				}
			}
		})
	}
	for i := range n {
		if i == n/2 {
			half()
		}
		requests <- first + i
	}
	close(requests)
	clients.Wait()
	return tickets
}

// watch looks at the session again and again until stop.
func (r *rush) watch() (stop func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	looks := make(chan int)
	go func() {
		n := 0
		for ctx.Err() == nil {
			var capacity, held, booked, open, paid int
			err := r.c.Database.QueryRow(context.Background(), `select capacity, held, booked,
				(select count(*) from appointment.appointment where session = 'S1' and state in ('requested', 'held')),
				(select count(*) from appointment.appointment where session = 'S1' and state = 'confirmed') from schedule.session where no = 'S1'`).Scan(&capacity, &held, &booked, &open, &paid)
			free := capacity - held - booked
			if err != nil || free < 0 || held != open || booked != paid {
				r.t.Errorf("capacity %d, held %d, booked %d; appointments: %d held, %d booked; %v", capacity, held, booked, open, paid, err)
			}
			n++
			time.Sleep(2 * time.Millisecond) // between two looks, waiting for nothing
		}
		looks <- n
	}()
	return func() int { cancel(); return <-looks }
}

// settle waits until every ticket has its answer, and sweeps meanwhile as the job does; or
// not, where the queue must bring them all.
func (r *rush) settle(sweep bool) {
	r.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var waiting int
		if err := r.c.Database.QueryRow(context.Background(), `select count(*) from appointment.ticket where state = 'waiting'`).Scan(&waiting); err != nil {
			r.t.Fatal(err)
		}
		if waiting == 0 {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d tickets have no answer", waiting)
		}
		if !sweep {
			continue
		}
		if err := r.processes[0].Sweep(context.Background()); err != nil {
			r.t.Error(err)
		}
	}
}

// judge: so many places were sold, and every ticket was answered once.
func (r *rush) judge(tickets []string, sold int) {
	r.t.Helper()
	slices.Sort(tickets)
	if n := len(slices.Compact(tickets)); n != len(tickets) {
		r.t.Errorf("%d tickets for %d requests", n, len(tickets))
	}
	var rows, held, granted, twice, orders int
	err := r.c.Database.QueryRow(context.Background(), `select (select count(*) from appointment.ticket), (select held from schedule.session), (select count(*) from appointment.ticket where state = 'held'),
		(select count(*) from (select from answered group by no having count(*) > 1) x), (select count(*) from clinic_order.orders where state = 'created')`).Scan(&rows, &held, &granted, &twice, &orders)
	if err != nil || rows != len(tickets) || held != sold || granted != sold || orders != sold || twice != 0 {
		r.t.Errorf("%d tickets of %d, %d held, %d granted, %d orders of %d, %d answered twice, %v", rows, len(tickets), held, granted, orders, sold, twice, err)
	}
	var answers int
	if err := r.c.Database.QueryRow(context.Background(), `select count(*) from answered`).Scan(&answers); err != nil || answers != len(tickets) {
		r.t.Errorf("%d answers to %d tickets, %v", answers, len(tickets), err)
	}
	var half, most float64
	if err := r.c.Database.QueryRow(context.Background(), `select percentile_cont(0.5) within group (order by extract(epoch from answered_at - created_at)),
		percentile_cont(0.99) within group (order by extract(epoch from answered_at - created_at)) from appointment.ticket`).Scan(&half, &most); err == nil {
		r.t.Logf("answered after %.3f s, p99 %.3f s", half, most)
	}
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
	stop := r.watch()
	tickets := r.ask(1, size.requests, func() { r.processes[2].kill() })
	r.settle(true)
	t.Logf("%d looks", stop())
	r.judge(tickets, size.places)
}

// The broker is emptied and killed on the way, and a process dies.
func TestRushOverRabbitMQ(t *testing.T) {
	dir, remove, err := servers.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	broker, err := servers.StartRabbitMQ(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Kill)
	const lines = 8
	var queues []appointment.Queue
	for range 3 {
		c, err := rabbit.Dial(broker.URL, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		queues = append(queues, rabbit.NewLines(c, "tickets", lines))
	}
	r := begin(t, queues...)
	ready(t, queues)
	stop := r.watch()
	var all sync.WaitGroup
	tickets := r.ask(1, size.requests, func() {
		empty(t, broker.URL, lines)
		r.processes[2].kill()
		all.Go(broker.Kill)
	})
	all.Wait()
	r.settle(true)
	t.Logf("%d looks", stop())
	r.judge(tickets, size.places)
	// And when it is back, it carries tickets again.
	if err := broker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	ready(t, queues)
	more := r.ask(size.requests+1, 20, func() {})
	r.settle(false)
	r.judge(append(tickets, more...), size.places)
}

// ready waits until the broker takes tickets: one that nobody has is none.
func ready(t *testing.T, queues []appointment.Queue) {
	t.Helper()
	for _, q := range queues {
		for deadline := time.Now().Add(time.Minute); q.Publish(t.Context(), "h1/D1", "nobody's") != nil; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the broker takes nothing")
			}
		}
	}
}

// empty throws away what waits in the broker.
func empty(t *testing.T, url string, lines int) {
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
