package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"hishub/core/postgres/private"
	"hishub/mocks/paychannel"
	"hishub/mocks/servers"
)

// stage is what the story needs: hospitals, and a hub.
type stage struct {
	dir    string
	env    []string
	binary string
	closes []func()

	channel *paychannel.Server

	hub    *exec.Cmd
	hubLog string
	client *client
	his    map[string]*control
	// mllp is where the hub listens for 和平.
	mllp string
}

func (s *stage) later(f func()) { s.closes = append(s.closes, f) }

func (s *stage) close() {
	for i := len(s.closes) - 1; i >= 0; i-- {
		s.closes[i]()
	}
}

// build starts the servers that the hub shall use, the hospitals and the payment channel.
func (s *stage) build(ctx context.Context, full bool) (err error) {
	dir, remove, err := servers.TempDir()
	if err != nil {
		return err
	}
	s.dir = dir
	s.later(remove)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	s.later(transport.CloseIdleConnections)
	s.client = &client{http: &http.Client{Transport: transport, Timeout: 60 * time.Second}}
	s.env = append(os.Environ(), "HISHUB_DATA="+filepath.Join(dir, "hub"), "DATABASE_URL=", "AMQP_URL=", "REDIS_URL=")

	var starting errgroup.Group
	if full {
		starting.Go(func() error { return s.real(ctx) })
	}
	var cluster *private.Cluster
	starting.Go(func() (err error) {
		cluster, err = private.Start(ctx, private.Options{Dir: filepath.Join(dir, "databases")})
		return err
	})
	err = starting.Wait()
	if cluster != nil {
		s.later(func() {
			stop, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			_ = cluster.Stop(stop)
		})
	}
	if err != nil {
		return err
	}
	if err := s.openHospitals(ctx, cluster); err != nil {
		return err
	}
	if err := s.openChannel(ctx); err != nil {
		return err
	}
	return s.writeFolders()
}

// real starts RabbitMQ and Redis and makes the hub use them.
func (s *stage) real(ctx context.Context) error {
	var broker, redis *servers.Server
	var errs [2]error
	var both sync.WaitGroup
	both.Go(func() { broker, errs[0] = servers.StartRabbitMQ(ctx, filepath.Join(s.dir, "rabbitmq")) })
	both.Go(func() { redis, errs[1] = servers.StartRedis(ctx, filepath.Join(s.dir, "redis")) })
	both.Wait()
	for _, server := range []*servers.Server{broker, redis} {
		if server != nil {
			s.later(func() { _ = server.Stop(context.Background()) })
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	s.env = append(s.env, "AMQP_URL="+broker.URL, "REDIS_URL="+redis.URL)
	return nil
}

// start runs the hub and waits until it serves.
func (s *stage) start(ctx context.Context, listen string) error {
	log, err := os.Create(filepath.Join(s.dir, "hub.log"))
	if err != nil {
		return err
	}
	s.hubLog = log.Name()
	s.hub = exec.Command(s.binary, "up", "--listen", listen, "--nights", "off", "--hospitals", filepath.Join(s.dir, "hospitals"))
	s.hub.Env, s.hub.Stderr = s.env, log
	s.hub.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours to hand on
	out, err := s.hub.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.hub.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	s.later(func() {
		_ = s.hub.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(60 * time.Second):
			_ = s.hub.Process.Kill()
			<-ended
		}
		log.Close()
	})
	up := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if _, rest, ok := strings.Cut(lines.Text(), " is up at "); ok {
				address, _, _ := strings.Cut(rest, ";")
				up <- address
			}
		}
		_ = s.hub.Wait()
		close(ended)
	}()
	select {
	case s.client.base = <-up:
	case <-ended:
		return fmt.Errorf("the hub ended before it was up:\n%s", s.lastLog())
	case <-ctx.Done():
		return ctx.Err()
	}
	key, err := s.run("key", "new", "--name", "demo", "--role", "admin")
	s.client.key = strings.TrimSpace(key)
	return err
}

// run runs another command of the program, as a user would.
func (s *stage) run(args ...string) (string, error) { return s.runWith(nil, args...) }

// runWith has more in its environment.
func (s *stage) runWith(env []string, args ...string) (string, error) {
	c := exec.Command(s.binary, args...)
	c.Env = slices.Concat(s.env, env)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		return string(out), fmt.Errorf("hishub %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return string(out), nil
}

// lookup finds a variable of the hub's environment.
func (s *stage) lookup(name string) (value string, there bool) {
	for _, v := range s.env {
		if n, is, _ := strings.Cut(v, "="); n == name {
			value, there = is, true // the last one holds
		}
	}
	return value, there
}

func (s *stage) lastLog() string {
	f, err := os.Open(s.hubLog)
	if err != nil {
		return ""
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, end-4000), io.SeekStart)
	}
	b, _ := io.ReadAll(f)
	return string(b)
}
