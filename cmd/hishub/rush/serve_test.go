package rush

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/mocks/servers"
)

// program is a `hishub serve` of its own.
type program struct {
	binary string
	env    []string
	log    string
	cmd    *exec.Cmd
	url    string
}

func (p *program) run(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.binary, args...)
	cmd.Env = p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("hishub %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// serve returns once the API listens.
func (p *program) serve(t *testing.T) {
	t.Helper()
	log, err := os.Create(p.log)
	must(t, "open the log", err)
	defer log.Close()
	p.cmd = exec.Command(p.binary, "serve", "--listen", "127.0.0.1:0", "--nights", "off")
	p.cmd.Env, p.cmd.Stderr = p.env, log
	out, err := p.cmd.StdoutPipe()
	must(t, "start", err)
	must(t, "start", p.cmd.Start())
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			t.Logf("it said last:\n%s", text[max(0, len(text)-3000):])
		}
	})
	address := make(chan string)
	go func() {
		defer close(address)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, at, ok := strings.Cut(lines.Text(), " serves at "); ok {
				address <- at
			}
		}
	}()
	select {
	case at, ok := <-address:
		if !ok {
			t.Fatal("it ended while it started")
		}
		p.url = strings.TrimSpace(at)
		go func() {
			for range address {
			}
		}()
	case <-time.After(2 * time.Minute):
		t.Fatal("it does not serve after two minutes")
	}
}

// wish asks a process for a place; ok is whether it answered with a ticket, and final
// whether asking again would not help.
func wish(ctx context.Context, client *http.Client, url string, a asker, request string) (no string, final bool, err error) {
	body, err := json.Marshal(map[string]string{"session": "S1", "patient": a.patient, "request": request})
	if err != nil {
		return "", true, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/clinic/v1/hospitals/dongshan/tickets", bytes.NewReader(body))
	if err != nil {
		return "", true, err
	}
	r.Header.Set("Authorization", "Bearer "+a.token)
	r.Header.Set("Content-Type", "application/json")
	said, err := client.Do(r)
	if err != nil {
		return "", false, err // the process is gone
	}
	defer said.Body.Close()
	text, err := io.ReadAll(said.Body)
	if err != nil {
		return "", false, err
	}
	if said.StatusCode != http.StatusAccepted {
		return "", said.StatusCode < 500 && said.StatusCode != http.StatusTooManyRequests, fmt.Errorf("%d %s", said.StatusCode, text)
	}
	var ticket struct{ No string }
	return ticket.No, true, json.Unmarshal(text, &ticket)
}

// Three processes of the real program on real PostgreSQL, RabbitMQ and Redis. Half-way the
// broker loses what waits in it and is killed, and so is one of the processes.
func TestRushOverProcesses(t *testing.T) {
	dir, remove, err := servers.TempDir()
	must(t, "make a folder", err)
	t.Cleanup(remove)
	broker, err := servers.StartRabbitMQ(t.Context(), dir)
	must(t, "start RabbitMQ", err)
	t.Cleanup(broker.Kill)
	database, cache := servers.Postgres(t), servers.Redis(t)

	binary := filepath.Join(dir, "hishub")
	if out, err := exec.Command("go", "build", "-o", binary, "hishub/cmd/hishub").CombinedOutput(); err != nil {
		t.Fatalf("build hishub: %v\n%s", err, out)
	}
	keyFile := filepath.Join(dir, "master.key")
	env := append(os.Environ(), "DATABASE_URL="+database, "AMQP_URL="+broker.URL, "REDIS_URL="+cache, "HISHUB_KEY_FILE="+keyFile, "HISHUB_CREATE_KEY=true", "HISHUB_LINGER=0s",
		"HISHUB_ENV=../../../mapping/hospitals/dongshan/env.sample", "HISHUB_DATA="+dir)
	var processes []*program
	for i := range 3 { // one after the other: the first makes the schema
		p := &program{binary: binary, env: env, log: filepath.Join(dir, fmt.Sprint(i, ".log"))}
		p.serve(t)
		processes = append(processes, p)
	}
	processes[0].run(t, "hospital", "apply", "../../../mapping/hospitals/dongshan")

	db, err := pgxpool.New(t.Context(), database)
	must(t, "open the database", err)
	t.Cleanup(db.Close)
	offer(t, db, "dongshan")
	people := signIn(t, database, keyFile, cache, max(size.requests/10, size.places*2))

	stop := watch(t, db)
	tickets := askAll(t, size.clients, size.requests, func(ctx context.Context, client *http.Client, i, try int) (string, bool, error) {
		return wish(ctx, client, processes[(i+try)%len(processes)].url, people[i%len(people)], fmt.Sprintf("request-%d", i))
	}, func() {
		purge(t, broker.URL, 8)
		must(t, "kill a process", processes[2].cmd.Process.Kill())
		broker.Kill()
	})
	must(t, "start the broker again", broker.Restart(t.Context()))
	settle(t, db, func() {}) // the processes sweep by themselves
	t.Logf("%d looks", stop())
	judge(t, db, tickets, size.places)
}

// askAll has many clients send requests at the same time, each again, elsewhere, until it
// has a ticket; half is called when half of them are under way.
func askAll(t *testing.T, clients, n int, ask func(ctx context.Context, client *http.Client, i, try int) (ticket string, final bool, err error), half func()) (tickets []string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: time.Minute}
	requests := make(chan int)
	var mu sync.Mutex
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for i := range requests {
				for try := 0; ; try++ {
					no, final, err := ask(t.Context(), client, i, try)
					if err == nil {
						mu.Lock()
						tickets = append(tickets, no)
						mu.Unlock()
						break
					}
					if final || try == 200 {
						t.Errorf("request %d: %v", i, err)
						break
					}
					time.Sleep(time.Duration(try) * 5 * time.Millisecond) // as a person who sees it fail
				}
			}
		})
	}
	for i := range n {
		if i == n/2 {
			half()
		}
		requests <- i
	}
	close(requests)
	all.Wait()
	return tickets
}

func must(t *testing.T, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}
