package servers

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
)

// Started again with an order in its environment, the test binary plays another
// test process.
func TestMain(m *testing.M) {
	switch os.Getenv("SERVERS_TEST_PLAY") {
	case "all": // start everything and wait to be killed
		dir, _, err := TempDir()
		if err != nil {
			panic(err)
		}
		_, _, err = StartAll(context.Background(), dir)
		if err != nil {
			panic(err)
		}
		for _, pid := range family(os.Getpid())[1:] {
			fmt.Println(pid)
		}
		fmt.Println("0")
		signal.Ignore(syscall.SIGINT)
		select {}
	}
	os.Exit(Main(m))
}

// kinds is what the tests know of the four servers: how to start one, and how to
// write and read something that a restart shows again (or, with Redis, does not).
var kinds = []struct {
	name    string
	start   func(context.Context, string) (*Server, error)
	write   func(context.Context, string) error
	read    func(context.Context, string) error
	forgets bool
}{
	{"Postgres", StartPostgres, execPg("CREATE TABLE kept (n int)"), execPg("SELECT * FROM kept"), false},
	{"RabbitMQ", StartRabbitMQ, declare(false), declare(true), false},
	{"Redis", StartRedis, func(ctx context.Context, url string) error {
		return onRedis(url, func(c *redis.Client) error { return c.Set(ctx, "kept", 1, 0).Err() })
	}, func(ctx context.Context, url string) error {
		return onRedis(url, func(c *redis.Client) error { return c.Get(ctx, "kept").Err() })
	}, true},
	{"MariaDB", StartMariaDB, func(ctx context.Context, dsn string) error {
		return execMariaDB(ctx, dsn, "CREATE DATABASE kept")
	}, func(ctx context.Context, dsn string) error {
		return execMariaDB(ctx, dsn, "SHOW TABLES IN kept")
	}, false},
}

func execPg(sql string) func(context.Context, string) error {
	return func(ctx context.Context, url string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		_, err = conn.Exec(ctx, sql)
		return err
	}
}

func declare(passive bool) func(context.Context, string) error {
	return func(ctx context.Context, url string) error {
		conn, err := amqp.DialConfig(url, amqp.Config{Dial: amqp.DefaultDial(2 * time.Second)})
		if err != nil {
			return err
		}
		defer conn.Close()
		ch, err := conn.Channel()
		if err != nil {
			return err
		}
		if passive {
			_, err = ch.QueueDeclarePassive("kept", true, false, false, false, nil)
		} else {
			_, err = ch.QueueDeclare("kept", true, false, false, false, nil)
		}
		return err
	}
}

func onRedis(url string, do func(*redis.Client) error) error {
	c, err := redisClient(url)
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

func TestOwnServers(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), startLimit)
			defer cancel()
			step := func(name string, do func() error) {
				t.Helper()
				began := time.Now()
				if err := do(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				t.Logf("%s: %v", name, time.Since(began).Round(time.Millisecond))
			}
			var s *Server
			step("start", func() (err error) { s, err = k.start(ctx, tempDir(t)); return err })
			t.Cleanup(s.Kill)
			step("write", func() error { return k.write(ctx, s.URL) })

			s.Pause()
			short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
			if err := k.read(short, s.URL); err == nil {
				t.Error("a paused server answered")
			}
			stop()
			s.Resume()
			step("read after a pause", func() error { return k.read(ctx, s.URL) })

			pids := s.now.pids()
			step("kill", func() error { s.Kill(); return nil })
			for _, pid := range pids {
				if alive(pid) {
					t.Errorf("PID %d survived Kill", pid)
				}
			}
			if err := k.read(ctx, s.URL); err == nil {
				t.Error("a killed server answered")
			}
			step("restart after kill", func() error { return s.Restart(ctx) })
			if err := k.read(ctx, s.URL); (err != nil) != k.forgets {
				t.Errorf("read after kill and restart: %v", err)
			}

			s.Pause()
			pids = s.now.pids()
			step("stop a paused one", func() error { return s.Stop(ctx) })
			for _, pid := range pids {
				for began := time.Now(); alive(pid) && time.Since(began) < 5*time.Second; {
					time.Sleep(10 * time.Millisecond) // helpers of Erlang end by themselves just after it
				}
				if alive(pid) {
					t.Errorf("PID %d survived Stop", pid)
				}
			}
			step("restart after stop", func() error { return s.Restart(ctx) })
			if err := k.read(ctx, s.URL); (err != nil) != k.forgets {
				t.Errorf("read after stop and restart: %v", err)
			}
			step("restart", func() error { return s.Restart(ctx) })
		})
	}
}

// Each test gets something of its own, from this process's servers and from
// those named by the environment alike.
func TestSharedServers(t *testing.T) {
	forTests := map[string]func(testing.TB) string{"Postgres": Postgres, "RabbitMQ": RabbitMQ, "Redis": Redis, "MariaDB": MariaDB}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			write, read := k.write, k.read
			if k.name == "MariaDB" {
				write, read = inMariaDB("CREATE TABLE kept (n int)"), inMariaDB("SELECT * FROM kept")
			}
			var first string
			t.Run("first", func(t *testing.T) {
				first = forTests[k.name](t)
				if err := write(t.Context(), first); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				other := forTests[k.name](t)
				t.Logf("one more: %v", time.Since(began).Round(time.Millisecond))
				if err := read(t.Context(), other); err == nil {
					t.Error("a test sees what another wrote")
				}
				if err := read(t.Context(), first); err != nil {
					t.Error(err)
				}
			})
			if k.name == "Redis" && os.Getenv(envRedis) != "" {
				return // a numbered database stays; it is emptied before its next use
			}
			if err := read(t.Context(), first); err == nil {
				t.Error("it outlived its test")
			}
		})
	}
}

func inMariaDB(statement string) func(context.Context, string) error {
	return func(ctx context.Context, dsn string) error {
		db, err := sql.Open("mysql", dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		_, err = db.ExecContext(ctx, statement)
		return err
	}
}

// The command gives its child servers that work, the child's tests use them, and
// nothing is left at its end.
func TestTestservers(t *testing.T) {
	if os.Getenv(envAMQP) != "" {
		return // we are that child
	}
	program := tempDir(t) + "/testservers"
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/testservers").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(program, "--", os.Args[0], "-test.run=TestSharedServers", "-test.v")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := []int{}
	done := make(chan error)
	go func() { done <- cmd.Wait() }()
	for running := true; running; {
		seen = append(seen, family(cmd.Process.Pid)...)
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%v", err)
			}
			running = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Logf("%s", out.String())
	gone(t, seen)
	if err := exec.Command(program, "--", "sh", "-c", "exit 7").Run(); err == nil || err.(*exec.ExitError).ExitCode() != 7 {
		t.Errorf("the command's exit code is not handed on: %v", err)
	}
}

func TestServersDieWithTheirProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SERVERS_TEST_PLAY=all")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for {
		var pid int
		if _, err := fmt.Fscanln(out, &pid); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if pid == 0 {
			break
		}
		pids = append(pids, pid)
	}
	if len(pids) < 8 {
		t.Fatalf("only the processes %v", pids)
	}
	cmd.Process.Kill()
	cmd.Wait()
	gone(t, pids)
}

// gone waits until none of the processes runs.
func gone(t *testing.T, pids []int) {
	t.Helper()
	slices.Sort(pids)
	deadline := time.Now().Add(20 * time.Second)
	for _, pid := range slices.Compact(pids) {
		for alive(pid) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		if alive(pid) {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			t.Errorf("PID %d is left: %s", pid, strings.ReplaceAll(string(name), "\x00", " "))
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func TestFoldersOfKilledProcessesAreRemoved(t *testing.T) {
	make := func(lock bool) string {
		root, err := os.MkdirTemp("", "hishub-servers-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(root) })
		f, err := os.Create(filepath.Join(root, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if lock {
			if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
				t.Fatal(err)
			}
		}
		return root
	}
	abandoned, used, young := make(false), make(true), make(false)
	old := time.Now().Add(-time.Hour)
	for _, root := range []string{abandoned, used} {
		if err := os.Chtimes(root, old, old); err != nil {
			t.Fatal(err)
		}
	}
	removeAbandoned()
	for root, kept := range map[string]bool{abandoned: false, used: true, young: true} {
		if _, err := os.Stat(root); (err == nil) != kept {
			t.Errorf("%s: %v, want kept %v", root, err, kept)
		}
	}
}

func TestPortsAreOwnedByOneProcess(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		ports, err := freePorts(3)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range ports {
			if seen[p] {
				t.Fatalf("port %d twice", p)
			}
			seen[p] = true
		}
	}
}
