package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Servers that exist already: when these are set, tests make their databases and
// virtual hosts there. The values are the administrators' addresses, in the
// forms of Server.URL and Server.Ctl.
const (
	envPostgres    = "HISHUB_TEST_POSTGRES"
	envAMQP        = "HISHUB_TEST_AMQP"
	envRabbitmqctl = "HISHUB_TEST_RABBITMQCTL" // needed with HISHUB_TEST_AMQP
	envRedis       = "HISHUB_TEST_REDIS"
	envMariaDB     = "HISHUB_TEST_MARIADB"
)

// startLimit bounds every start and every administration of a test server.
const startLimit = 3 * time.Minute

// shared are the test process's servers, started when first asked for.
var shared = struct{ postgres, rabbitmq, mariadb lazy }{
	postgres: lazy{env: envPostgres, start: startSharedPostgres},
	rabbitmq: lazy{env: envAMQP, start: StartRabbitMQ},
	mariadb:  lazy{env: envMariaDB, start: StartMariaDB},
}

type lazy struct {
	env   string
	start func(context.Context, string) (*Server, error)

	once   sync.Once
	server *Server
	err    error
}

func (l *lazy) get(tb testing.TB) *Server {
	tb.Helper()
	l.once.Do(func() {
		if address := os.Getenv(l.env); address != "" {
			l.server = &Server{URL: address, Ctl: os.Getenv(envRabbitmqctl)}
			return
		}
		dir, err := newTempDir()
		if err != nil {
			l.err = err
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		l.server, l.err = l.start(ctx, dir)
	})
	must(tb, "start the shared server", l.err)
	return l.server
}

// Main runs the package's tests, then ends the shared servers and removes their
// folders. It returns the exit code, for TestMain.
func Main(m *testing.M) int {
	code := m.Run()
	for _, l := range []*lazy{&shared.postgres, &shared.rabbitmq, &shared.mariadb} {
		l.once.Do(func() {}) // nothing starts from here on
		if l.server != nil {
			l.server.Kill()
		}
	}
	removeTempRoot()
	return code
}

// StartAll starts all four, side by side, in folders below dir, and returns the
// environment (NAME=value) that makes tests use them. stop ends them.
func StartAll(ctx context.Context, dir string) (env []string, stop func(), err error) {
	starts := []func(context.Context, string) (*Server, error){startSharedPostgres, StartRabbitMQ, StartRedis, StartMariaDB}
	servers := make([]*Server, len(starts))
	errs := make([]error, len(starts))
	var all sync.WaitGroup
	for i, start := range starts {
		all.Go(func() { servers[i], errs[i] = start(ctx, filepath.Join(dir, fmt.Sprint(i))) })
	}
	all.Wait()
	stop = func() {
		for _, s := range servers {
			if s != nil {
				s.Kill()
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		stop()
		return nil, nil, err
	}
	return []string{
		envPostgres + "=" + servers[0].URL,
		envAMQP + "=" + servers[1].URL,
		envRabbitmqctl + "=" + servers[1].Ctl,
		envRedis + "=" + servers[2].URL,
		envMariaDB + "=" + servers[3].URL,
	}, stop, nil
}

// TempDir makes a folder that is readable for the servers' own users; remove it
// when done. A process that is killed leaves its folders; the next one's first
// TempDir removes them.
func TempDir() (dir string, remove func(), err error) {
	if dir, err = newTempDir(); err != nil {
		return "", nil, err
	}
	return dir, func() { removeTempDir(dir) }, nil
}

func tempDir(tb testing.TB) string {
	tb.Helper()
	dir, remove, err := TempDir()
	must(tb, "make a folder", err)
	tb.Cleanup(remove)
	return dir
}

// tempRoot holds all folders of this process, under a lock that falls with it.
var tempRoot struct {
	sync.Mutex
	path string
	lock *os.File
}

func newTempDir() (string, error) {
	tempRoot.Lock()
	defer tempRoot.Unlock()
	if tempRoot.path == "" {
		removeAbandoned()
		path, err := os.MkdirTemp("", "hishub-servers-")
		if err != nil {
			return "", err
		}
		if err := os.Chmod(path, 0o755); err != nil {
			return "", err
		}
		lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return "", err
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			return "", err
		}
		tempRoot.path, tempRoot.lock = path, lock
	}
	dir, err := os.MkdirTemp(tempRoot.path, "")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// removeTempDir also removes the root with its last folder, for programs that
// have no Main.
func removeTempDir(dir string) {
	tempRoot.Lock()
	defer tempRoot.Unlock()
	os.RemoveAll(dir)
	if entries, _ := os.ReadDir(tempRoot.path); len(entries) == 1 { // the lock
		os.RemoveAll(tempRoot.path)
		tempRoot.lock.Close()
		tempRoot.path = ""
	}
}

// removeAbandoned removes the folders of processes that could not do it. A young
// one may belong to a process that is about to lock it.
func removeAbandoned() {
	roots, _ := filepath.Glob(filepath.Join(os.TempDir(), "hishub-servers-*"))
	for _, root := range roots {
		info, err := os.Stat(root)
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(root, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			os.RemoveAll(root)
		}
		lock.Close()
	}
}

func removeTempRoot() {
	tempRoot.Lock()
	defer tempRoot.Unlock()
	if tempRoot.path != "" {
		os.RemoveAll(tempRoot.path)
		tempRoot.lock.Close()
		tempRoot.path = ""
	}
}

func must(tb testing.TB, doing string, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatalf("%s: %v", doing, err)
	}
}
