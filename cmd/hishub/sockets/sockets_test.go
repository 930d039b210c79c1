// Package sockets has many people talk at once at the sockets of two nodes, while their
// connections break: in the end all have the same.
package sockets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/chat"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// size of the talk, with two sockets for each account: HISHUB_SOCKETS=full is that of the
// soak, a thousand sockets. A doctor talks with five patients.
var size = struct{ patients, doctors, strangers, messages, writers int }{40, 8, 2, 3000, 8}

func init() {
	if os.Getenv("HISHUB_SOCKETS") == "full" {
		size.patients, size.doctors, size.strangers, size.messages, size.writers = 400, 80, 20, 100_000, 24
	}
}

// first is the smallest number of an account: nobody else at the same Redis has such ones.
const first = 5_000_000

var (
	asPatient = []clinic.Grant{{Role: clinic.Patient}}
	here      = []clinic.Grant{{Role: clinic.Doctor, Hospital: "h1", Code: "D1"}}
	elsewhere = []clinic.Grant{{Role: clinic.Doctor, Hospital: "h2", Code: "D1"}}
)

// people are signed in with the number of their account; it counts who connects.
type people struct {
	mu      sync.Mutex
	of      map[string]clinic.Person
	sockets int
}

func (p *people) Person(_ context.Context, token string) (clinic.Person, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	who, ok := p.of[token]
	if !ok {
		return who, clinic.ErrSignedOut
	}
	return who, nil
}

func (p *people) Keep(context.Context, clinic.Act) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sockets++
	return nil
}

func (p *people) connected() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sockets
}

// process is one of the two that share database and Redis.
type process struct {
	*chat.Service
	wire *wire
	url  string
}

func start(t *testing.T, c *clinictest.Clinic, p *people, redis string) *process {
	t.Helper()
	own := *c.Clinic
	db, err := pgxpool.NewWithConfig(context.Background(), c.Database.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	own.Database = db
	node, err := chat.NewNode(p, p, redis, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: listener, open: map[net.Conn]bool{}}
	server := httptest.NewUnstartedServer(node.Handler())
	server.Listener.Close()
	server.Listener = w
	server.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := node.Close(ctx); err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	return &process{&chat.Service{Clinic: &own, Live: node}, w, "ws" + strings.TrimPrefix(server.URL, "http")}
}

// talk is a conversation with those who are in it.
type talk struct {
	no      string
	members [2]clinic.Person
}

// TestSockets: two nodes, everybody with a device at each, who write through both, repeat
// themselves, lose their connections alone and all at once, or are away until the end.
// Every list is in the end what the database has, in order and without a gap; a doctor who
// is moved elsewhere meanwhile, and those who are in no conversation, hear nothing.
func TestSockets(t *testing.T) {
	c := clinictest.New(t)
	p := &people{of: map[string]clinic.Person{}}
	redis := servers.Redis(t)
	both := []*process{start(t, c, p, redis), start(t, c, p, redis)}
	if err := both[0].Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	devices, talks := gather(t, both, p)
	defer func() {
		var all sync.WaitGroup
		for _, d := range devices {
			all.Go(d.socket.Close)
		}
		all.Wait()
	}()
	began := time.Now()
	want := write(t, both, p, devices, talks)
	written := time.Since(began)
	judge(t, both[0], devices, talks, want)
	heard, closed := 0, 0
	for _, d := range devices {
		d.mu.Lock()
		heard += d.heard
		d.mu.Unlock()
		if d.moved.Load() {
			closed++
		}
	}
	t.Logf("%d sockets, %d messages in %.1f s, %d heard over sockets, %d connections, %d closed since their owner was moved", len(devices), size.messages, written.Seconds(), heard, p.connected(), closed)
	if heard < size.messages || p.connected() < 2*len(devices) {
		t.Error("little was heard over the sockets, or few connections broke")
	}
}

// gather opens the conversations, and two sockets for everybody.
func gather(t *testing.T, both []*process, p *people) (devices []*device, talks []talk) {
	t.Helper()
	of := map[int64][]string{} // conversations by account
	account := func(i int, grants []clinic.Grant) clinic.Person {
		who := clinic.Person{Account: int64(first + i), Grants: grants}
		p.of[fmt.Sprint(who.Account)] = who
		return who
	}
	for i := range size.patients {
		him, doctor := account(size.doctors+i, asPatient), account(i%size.doctors, here)
		var no string
		err := both[0].Transact(t.Context(), "h1", func(tx pgx.Tx, _ core.Outbox) (err error) {
			no, err = both[0].Open(t.Context(), tx, "h1", fmt.Sprint("CS", i), fmt.Sprint("P", i), him.Account, doctor.Account)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		talks = append(talks, talk{no, [2]clinic.Person{him, doctor}})
		of[him.Account], of[doctor.Account] = append(of[him.Account], no), append(of[doctor.Account], no)
	}
	for i := range size.strangers {
		account(size.doctors+size.patients+i, asPatient)
	}
	var connected sync.WaitGroup
	for token, who := range p.of {
		for _, at := range both {
			d := &device{t: t, at: at.Service, person: who, its: of[who.Account], lists: map[string][]chat.Message{}, more: make(chan struct{}, 1)}
			for _, no := range of[who.Account] {
				d.lists[no] = nil
			}
			devices = append(devices, d)
			connected.Go(func() { d.connect(at.url, token) })
		}
	}
	connected.Wait()
	return devices, talks
}

// write has everybody write, while connections break; it returns how many messages each
// conversation must have.
func write(t *testing.T, both []*process, p *people, devices []*device, talks []talk) map[string]int {
	t.Helper()
	work := make(chan int)
	var writers sync.WaitGroup
	for range size.writers {
		writers.Go(func() {
			for i := range work {
				k := talks[i%len(talks)]
				who := k.members[i/len(talks)%2]
				if who.Account == first { // he will be moved
					who = k.members[0]
				}
				n := chat.New{ClientID: fmt.Sprint(i), Kind: chat.Text, Text: fmt.Sprintf("第%d句", i)}
				times := 1
				if i%20 == 0 {
					times = 2 // no answer came, so that he sends it again, elsewhere
				}
				for try := range times {
					if _, err := both[(i+try)%2].Send(context.Background(), who, k.no, n); err != nil {
						t.Errorf("message %d: %v", i, err)
					}
				}
			}
		})
	}
	want := map[string]int{}
	var away []*device
	for i := range size.messages {
		work <- i
		want[talks[i%len(talks)].no]++
		switch {
		case i == size.messages/3 || i == size.messages*2/3: // everybody at one node, at once
			both[i%2].wire.cut(true)
		case i == size.messages/2:
			move(p, devices)
			for _, d := range devices { // some are away until the end
				if rand.IntN(20) == 0 && len(d.its) > 0 {
					if err := d.socket.Disconnect(); err != nil {
						t.Error(err)
					}
					away = append(away, d)
				}
			}
		case i%40 == 7:
			both[rand.IntN(2)].wire.cut(false)
		case i%40 == 27 && i < size.messages/2:
			devices[rand.IntN(len(devices))].again()
		}
	}
	close(work)
	writers.Wait()
	for _, d := range away {
		if err := d.socket.Connect(); err != nil {
			t.Error(err)
		}
	}
	return want
}

// move has the first doctor treat at another hospital from now on.
func move(p *people, devices []*device) {
	for _, d := range devices {
		if d.person.Account == first {
			d.moves.Store(true)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	token := fmt.Sprint(first)
	who := p.of[token]
	who.Grants = elsewhere
	p.of[token] = who
}

// judge: each list is the database's.
func judge(t *testing.T, at *process, devices []*device, talks []talk, want map[string]int) {
	t.Helper()
	truth := map[string][]chat.Message{}
	for _, k := range talks {
		for len(truth[k.no]) < want[k.no] {
			page, err := at.Sync(t.Context(), k.members[0], k.no, int64(len(truth[k.no])), 500)
			if err != nil || len(page) == 0 {
				t.Fatalf("%s has %d messages of %d, %v", k.no, len(truth[k.no]), want[k.no], err)
			}
			truth[k.no] = append(truth[k.no], page...)
		}
		once := map[string]bool{}
		for i, m := range truth[k.no] {
			if m.Seq != int64(i+1) || once[m.Text] {
				t.Fatalf("%s: message %d is %+v", k.no, i+1, m)
			}
			once[m.Text] = true
		}
		if len(once) != want[k.no] {
			t.Fatalf("%s has %d messages, want %d", k.no, len(once), want[k.no])
		}
		if _, err := at.Sync(t.Context(), clinic.Person{Account: first, Grants: elsewhere}, k.no, 0, 1); !errors.Is(err, clinic.ErrNotFound) {
			t.Errorf("the doctor who was moved reads %s: %v", k.no, err)
		}
	}
	end := time.After(2 * time.Minute)
	for _, d := range devices {
		if d.moves.Load() || !d.until(want, end) {
			continue
		}
		d.mu.Lock()
		for no, list := range d.lists {
			for i, m := range list {
				if i >= len(truth[no]) || !m.At.Equal(truth[no][i].At) || m.Seq != truth[no][i].Seq || m.Text != truth[no][i].Text || m.From != truth[no][i].From {
					t.Fatalf("account %d, %s, message %d: %+v", d.person.Account, no, i+1, m)
				}
			}
		}
		d.mu.Unlock()
	}
}
