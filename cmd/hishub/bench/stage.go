package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core/postgres/private"
	"hishub/mapping/hospitals"
	"hishub/mocks/books"
	"hishub/mocks/servers"
)

// hospital is the shipped folder that is measured: SOAP, 16 at a time.
const hospital = "dongshan"

// latency of the fake hospital, how much its folder lets it be sent at once, and how
// much in the concurrent run.
const (
	latency  = 20 * time.Millisecond
	inFlight = 16
	many     = 256
)

// keys are how many submitters there are: one may send a thousand requests a second,
// and what is sent goes over the connection that was used last.
const keys = 16

// stage is what is measured: a durable PostgreSQL, a fake hospital and a hub,
// each a process of its own. The generator is this process.
type stage struct {
	Options
	dir    string
	env    []string
	closes []func()
	starts int // of processes, for the names of their logs

	cluster  *private.Cluster
	database *pgxpool.Pool // the hub's, to look at
	mock     *process
	hub      *process
	control  string // the fake hospital's books
	profiles string // the hub's, when asked for
	api      string
	keys     []string
	http     *http.Client
}

func (s *stage) later(f func()) { s.closes = append(s.closes, f) }

func (s *stage) close() {
	for i := len(s.closes) - 1; i >= 0; i-- {
		s.closes[i]()
	}
}

func (s *stage) build(ctx context.Context) (err error) {
	var remove func()
	if s.dir, remove, err = servers.TempDir(); err != nil {
		return err
	}
	s.later(remove)
	transport := &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true}
	s.later(transport.CloseIdleConnections)
	s.http = &http.Client{Transport: transport, Timeout: time.Minute}

	// The settings are those of 'hishub up': durable.
	if s.cluster, err = private.Start(ctx, private.Options{Dir: filepath.Join(s.dir, "postgres"), DieWithParent: true}); err != nil {
		return err
	}
	s.later(func() {
		stop, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = s.cluster.Stop(stop)
	})
	for _, name := range []string{"hub", "own"} {
		if err := s.cluster.CreateDatabase(ctx, name); err != nil {
			return err
		}
	}
	return s.raise(ctx, "hub")
}

// raise starts a hub on a database of the stage's server, with a fake hospital that it
// knows and keys to submit with.
func (s *stage) raise(ctx context.Context, database string) (err error) {
	if s.database, err = pgxpool.New(ctx, s.cluster.URL(database)); err != nil {
		return err
	}
	s.later(s.database.Close)

	s.env = append(os.Environ(), "HISHUB_DATA="+s.dir, "DATABASE_URL="+s.cluster.URL(database), "AMQP_URL=", "REDIS_URL=",
		"HISHUB_KEY_FILE="+filepath.Join(s.dir, "master.key"), "HISHUB_CREATE_KEY=true")
	var service string
	if s.mock, service, s.control, err = s.fake(ctx, latency); err != nil {
		return err
	}
	s.env = append(s.env, "DONGSHAN_URL="+service)
	if err := s.serveHub(ctx); err != nil {
		return err
	}
	folder, err := s.folder(hospital)
	if err != nil {
		return err
	}
	if err := s.apply(ctx, folder); err != nil {
		return err
	}
	for i := range keys {
		key, err := s.run(ctx, "key", "new", "--name", fmt.Sprintf("bench %d", i+1), "--role", "operator")
		if err != nil {
			return err
		}
		s.keys = append(s.keys, key)
	}
	return nil
}

// serveHub starts a hub on the stage's database and returns when it serves.
func (s *stage) serveHub(ctx context.Context) (err error) {
	args, words := []string{"serve", "--listen", "127.0.0.1:0", "--nights", "off"}, []string{" serves at "}
	if s.Profile != "" {
		args, words = append(args, "--pprof", "127.0.0.1:0"), append(words, " profiles at ")
	}
	var said []string
	if s.hub, said, err = s.start(ctx, words, args...); err != nil {
		return err
	}
	if s.api = said[0]; s.Profile != "" {
		s.profiles = said[1]
	}
	return nil
}

// folder is a shipped hospital's folder in a place of the stage's own.
func (s *stage) folder(id string) (string, error) {
	folders := filepath.Join(s.dir, "hospitals")
	if _, err := os.Stat(folders); err != nil {
		if err := os.CopyFS(folders, hospitals.FS); err != nil {
			return "", err
		}
	}
	return filepath.Join(folders, id), nil
}

// apply makes a folder's hospital known to the hub.
func (s *stage) apply(ctx context.Context, folder string) error {
	_, err := s.run(ctx, "hospital", "apply", folder)
	return err
}

// limit sets how many exchanges with a hospital may be in flight; the hub follows
// within two seconds.
func (s *stage) limit(ctx context.Context, id string, concurrency int) error {
	_, err := s.run(ctx, "hospital", "limits", id, "--concurrency", strconv.Itoa(concurrency), "--why", "a benchmark")
	return err
}

// fake starts a fake SOAP hospital that takes that long and more; it says where
// its service and its books are.
func (s *stage) fake(ctx context.Context, takes time.Duration, more ...string) (p *process, service, control string, err error) {
	p, said, err := s.start(ctx, []string{"hub:", "control:"}, append([]string{"mock", "soap", "--latency", takes.String()}, more...)...)
	if err != nil {
		return nil, "", "", err
	}
	return p, said[0], said[1], nil
}

// run runs another command of the program, as a user would.
func (s *stage) run(ctx context.Context, args ...string) (string, error) {
	c := exec.CommandContext(ctx, s.Binary, args...)
	c.Env = s.env
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("hishub %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// get reads a JSON answer.
func (s *stage) get(ctx context.Context, url string, out any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.keys[0])
	a, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(a.Body)
		return fmt.Errorf("%s: %s: %s", url, a.Status, text)
	}
	return json.NewDecoder(a.Body).Decode(out)
}

// undelivered is how many accepted messages these hospitals do not have yet.
func (s *stage) undelivered(ctx context.Context, of func(hospital string) bool) (waiting int, err error) {
	var all struct {
		Hospitals []struct {
			ID                      string
			Queued, Sending, Parked int
		}
	}
	if err := s.get(ctx, s.api+"/v1/hospitals", &all); err != nil {
		return 0, err
	}
	for _, h := range all.Hospitals {
		if !of(h.ID) {
			continue
		}
		if h.Parked > 0 {
			return 0, fmt.Errorf("%d messages of %s were parked: %s", h.Parked, h.ID, s.hub.lastWords())
		}
		waiting += h.Queued + h.Sending
	}
	return waiting, nil
}

// books of the fake hospital whose control port that is.
func (s *stage) books(ctx context.Context, control string) (b books.Export, err error) {
	return b, s.get(ctx, control+"/books", &b)
}
