package appointment

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
	"hishub/core/rabbit"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
	"hishub/platform/order"
	"hishub/platform/schedule"
)

// clerkLines is how many queues the clerks share.
const clerkLines = 4

// clerk is a process that answers tickets from a broker, until it is killed.
func clerk() {
	ctx, log := context.Background(), slog.New(slog.NewTextHandler(os.Stderr, nil))
	must := func(err error) {
		if err != nil {
			log.Error("clerk", "error", err)
			os.Exit(1)
		}
	}
	db, err := pgxpool.New(ctx, os.Getenv("CLERK_DATABASE"))
	must(err)
	broker, err := rabbit.Dial(os.Getenv("CLERK_BROKER"), log)
	must(err)
	c := &clinic.Clinic{Database: db, Vault: clinictest.Vault{}, Log: log, Wake: func(string) {}, Outbox: func(pgx.Tx) core.Outbox { return nil },
		Place: func(_ context.Context, id string) (clinic.Place, error) {
			return clinic.Place{ID: id, Zone: time.UTC, Can: func(core.Kind) bool { return false }}, nil
		}}
	orders := &order.Service{Clinic: c}
	s := &Service{Clinic: c, Schedule: &schedule.Service{Clinic: c}, Orders: orders, Queue: rabbit.NewLines(broker, "tickets", clerkLines)}
	orders.Subjects = map[order.Kind]order.Subject{order.Registration: s}
	s.Queue.Consume(ctx, func(ctx context.Context, ticket string) error {
		err := s.Answer(ctx, ticket)
		if err == nil {
			fmt.Println(ticket) // its answer is durable, and the broker is not told yet
		}
		return err
	})
}

// started is a clerk that runs, and what it says that it has answered.
func started(t *testing.T, database, broker string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CLERK_DATABASE="+database, "CLERK_BROKER="+broker)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

// Two processes take tickets from a broker; one is killed in the middle of its work. The
// other goes on where it was: every ticket is answered, once, and no place is sold twice.
// Nothing sweeps here.
func TestTicketsOfABrokerWhoseClerkIsKilled(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	url := servers.RabbitMQ(t)
	if _, err := w.Database.Exec(ctx, `create table answered (no text);
		create function note() returns trigger language plpgsql as $$ begin insert into answered values (new.no); return null; end $$;
		create trigger answered after update of state on appointment.ticket for each row when (old.state is distinct from new.state) execute function note()`); err != nil {
		t.Fatal(err)
	}
	broker, err := rabbit.Dial(url, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	w.Queue = rabbit.NewLines(broker, "tickets", clerkLines)
	// As many places as wishes: a session that is full would answer those that were lost.
	const doctors, capacity, wishes = 8, 20, 20
	for d := range doctors {
		no := w.session(t, fmt.Sprint("S", d), capacity, 5000, schedule.Platform, 50*hour)
		if _, err := w.Database.Exec(ctx, `update schedule.session set doctor = $1 where no = $2`, fmt.Sprint("D", d), no); err != nil {
			t.Fatal(err)
		}
	}
	database := w.Database.Config().ConnString()
	first, said := started(t, database, url)
	// The broker takes them once its queues are there, and the first clerk has them all.
	for w.Queue.Publish(ctx, "h1/D0", "TK-none") != nil {
		select {
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	var tickets []Ticket
	ask := func(from, to int) {
		for i := from; i < to; i++ {
			for d := range doctors {
				account := int64(1000*d + i)
				tickets = append(tickets, must[Ticket](t)(w.Request(ctx, person(account), "h1",
					Wish{Session: fmt.Sprint("S", d), Patient: fmt.Sprint("P", account), Request: fmt.Sprintf("request-%d", account)})))
			}
		}
	}
	second, others := started(t, database, url) // it waits for its turn
	asked := make(chan struct{})
	go func() { defer close(asked); ask(0, wishes) }()
	before := 0
	for before < 40 && said.Scan() {
		before++
	}
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-asked
	for said.Scan() { // what it had said before it died
		before++
	}
	waiting := -1
	defer time.AfterFunc(90*time.Second, func() { _ = second.Process.Kill() }).Stop() // ends the reading
	for waiting != 0 && others.Scan() {
		if err := w.Database.QueryRow(ctx, `select count(*) from appointment.ticket where state = 'waiting'`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if waiting != 0 {
		t.Fatalf("%d of %d tickets have no answer", waiting, len(tickets))
	}
	if before == 0 || before >= len(tickets) {
		t.Errorf("the first clerk was not killed in the middle: it answered %d of %d", before, len(tickets))
	}
	var twice, never int
	if err := w.Database.QueryRow(ctx, `select (select count(*) from (select no from answered group by no having count(*) > 1) d),
		(select count(*) from appointment.ticket k where not exists (select from answered a where a.no = k.no))`).Scan(&twice, &never); err != nil {
		t.Fatal(err)
	}
	if twice+never != 0 {
		t.Errorf("%d tickets were answered twice, %d never", twice, never)
	}
	for d := range doctors {
		if held, booked := w.counts(t, fmt.Sprint("S", d)); held != capacity || booked != 0 {
			t.Errorf("session S%d: %d held, %d booked of %d", d, held, booked, capacity)
		}
	}
	granted := 0
	for _, k := range tickets {
		if must[Ticket](t)(w.OwnTicket(ctx, k.account, k.No)).State == Granted {
			granted++
		}
	}
	if granted != doctors*capacity {
		t.Errorf("%d tickets have a place, want %d", granted, doctors*capacity)
	}
}
