// Package servers runs real PostgreSQL, RabbitMQ, Redis and MariaDB servers for
// tests, the full demo and benchmarks: private ones, on free ports of 127.0.0.1,
// beside and without touching whatever the machine runs already.
//
// A test asks for what it needs with Postgres, RabbitMQ, Redis or MariaDB and
// gets the address of something empty that is its own: a database, a virtual
// host, a Redis instance. The servers behind it start at the first request and
// serve the whole test process; the package's TestMain ends them:
//
//	func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }
//
// The command testservers starts them once for several packages.
//
// Chaos tests and the demo start servers of their own with StartPostgres and its
// siblings, to kill, pause and restart them.
//
// Every server dies with the process that started it, however that ends (Linux).
package servers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Server is one private server: its folder and ports are kept from start to
// start, so that clients find it again after a Restart.
type Server struct {
	// URL is the administrator's address:
	//
	//	postgres://user:password@127.0.0.1:port/postgres?sslmode=disable
	//	amqp://guest:guest@127.0.0.1:port/
	//	redis://127.0.0.1:port/0
	//	user:password@tcp(127.0.0.1:port)/     (MariaDB: a DSN of go-sql-driver)
	URL string

	// Ctl, of RabbitMQ only, is how to call its rabbitmqctl: NAME=value words and
	// then the program, as for the shell.
	Ctl string

	launch func(context.Context) (running, error)
	mu     sync.Mutex
	now    running // nil when stopped or killed
}

// running is a started server as the operating system sees it.
type running interface {
	pids() []int                // parents before their children
	stop(context.Context) error // in order
	kill()                      // returns when all its processes are gone
}

// blueprint is what the four kinds of servers differ in.
type blueprint struct {
	name    string
	install string // Debian package
	ports   int    // how many it needs
	launch  func(ctx context.Context, dir string, ports []int) (running, error)
	url     func(ports []int) string
}

// start makes the folder, picks ports and starts the server. A port may be taken
// between our look and the server's: then others are tried.
func (b blueprint) start(ctx context.Context, dir string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		ports, err := freePorts(b.ports)
		if err != nil {
			return nil, err
		}
		s := &Server{launch: func(ctx context.Context) (running, error) { return b.launch(ctx, dir, ports) }}
		if s.now, err = s.launch(ctx); err == nil {
			s.URL = b.url(ports)
			return s, nil
		}
		portTaken := errors.Is(err, errEnded) || strings.Contains(err.Error(), "could not bind")
		if try == 3 || ctx.Err() != nil || !portTaken {
			return nil, fmt.Errorf("start %s (Debian: apt-get install %s): %w", b.name, b.install, err)
		}
	}
}

// Stop ends the server in order; a paused one is resumed first. Stopping what
// does not run does nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return nil
	}
	signalAll(s.now.pids(), syscall.SIGCONT)
	if err := s.now.stop(ctx); err != nil {
		return err
	}
	s.now = nil
	return nil
}

// Kill ends all the server's processes with SIGKILL and returns when they are
// gone. What it had on disk stays for Restart.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil {
		s.now.kill()
		s.now = nil
	}
}

// Restart starts a stopped or killed server again, and stops a running one
// before, on the same folder and ports. It returns when the server answers.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	s.now, err = s.launch(ctx)
	return err
}

// KillFirst ends the server's first process with SIGKILL, PostgreSQL's
// postmaster say, and leaves it to the others to see that.
func (s *Server) KillFirst() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil {
		if all := s.now.pids(); len(all) > 0 {
			signalAll(all[:1], syscall.SIGKILL)
		}
	}
}

// Pause freezes all the server's processes (SIGSTOP): connections stay open and
// silent, new ones are accepted by the kernel and never served.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil {
		signalAll(s.now.pids(), sig)
	}
}

// reserved are this process's ports, each held as the name of an abstract unix
// socket: other test processes look for free ports at the same time, and ours
// stay ours while a server is starting or killed. They fall with the process.
var reserved struct {
	sync.Mutex
	ports []net.Listener
}

// freePorts finds ports below the range from which the kernel gives outgoing
// connections theirs: a server that starts slowly, or comes back after a kill,
// would else find one of them in its place.
func freePorts(n int) ([]int, error) {
	reserved.Lock()
	defer reserved.Unlock()
	var ports []int
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := 20000 + rand.IntN(12000)
		if runtime.GOOS == "linux" {
			mark, err := net.Listen("unix", fmt.Sprintf("@hishub-test-port-%d", port))
			if err != nil {
				continue
			}
			reserved.ports = append(reserved.ports, mark)
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer l.Close() // only when all are found, so that they differ
		ports = append(ports, port)
	}
	return nil, errors.New("find free ports: none between 20000 and 32000")
}
