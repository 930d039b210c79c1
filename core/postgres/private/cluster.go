// Package private runs a PostgreSQL server of hishub's own: a cluster in one
// folder, listening on 127.0.0.1 only, that needs nothing of PostgreSQL on the
// machine but its binaries and touches no other cluster there.
//
// The server outlives a hub that is killed (kill -9, out of memory): the truth
// lives in it, and no crash of ours may be a crash of its. The next Start with
// Options.Adopt takes such a server over. A clean end of the hub calls Stop.
package private

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// User is the cluster's owner (a PostgreSQL superuser).
const User = "hishub"

// Options say where a cluster lives and how it runs.
type Options struct {
	// Dir belongs to the cluster alone. It is made when missing. As root the
	// server runs as the user postgres (nobody if there is none), or as the
	// owner of an existing cluster, so that user must be able to reach Dir.
	Dir string

	// Port on 127.0.0.1; 0 takes a free one.
	Port int

	// Log is told, in lines for people, what Start does. Nil is silent. The
	// server's own log is in Dir/log, one file per weekday.
	Log io.Writer

	// Follow makes the cluster, when there is none in Dir yet, as a standby of the
	// server at this URL (a superuser's, of whatever database), under the name
	// "standby". It keeps that server's password. Promote ends the following.
	Follow string

	// Settings are added to our defaults or replace them (names and values as in
	// postgresql.conf, values unquoted).
	Settings map[string]string

	// Adopt takes over a server that still runs in Dir after the process that
	// started it was killed. It is restarted if Port or Settings ask for
	// something it does not have. Without Adopt, Start refuses and names its PID.
	Adopt bool

	// DieWithParent ends the server at once when this process ends in whatever
	// way (Linux only). For tests, never for a hub.
	DieWithParent bool
}

// Cluster is a running PostgreSQL server.
type Cluster struct {
	PID     int  // the postmaster's
	Adopted bool // it was running before Start

	dir      folder
	port     int
	password string
	gone     <-chan struct{} // closed when the postmaster has ended
}

// Start opens the cluster in o.Dir, making it first if there is none, and
// returns when it answers queries. Crash recovery may take long: only ctx
// bounds it. ctx has no influence on the server once Start has returned.
//
// It fails, saying what to do, when PostgreSQL is not installed, when the
// cluster was made by another major version, when Dir cannot be reached by the
// server's user, and when Dir is in use.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL in %s: %w", o.Dir, err)
	}
	return c, nil
}

func start(ctx context.Context, o Options) (_ *Cluster, err error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	dir, err := openFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			dir.unlock()
		}
	}()
	bin, err := findBinaries(dir.major())
	if err != nil {
		return nil, err
	}
	if dir.major() == 0 {
		fmt.Fprintf(o.Log, "making a PostgreSQL %d cluster in %s\n", bin.major, dir.path)
		fill := dir.initialise
		if o.Follow != "" {
			fill = func(ctx context.Context, bin binaries) error { return dir.copyFrom(ctx, bin, o.Follow) }
		}
		if err := fill(ctx, bin); err != nil {
			return nil, err
		}
	}
	c := &Cluster{dir: dir, port: o.Port}
	if c.password, err = dir.password(); err != nil {
		return nil, err
	}

	if running, live := dir.postmaster(); live {
		if !o.Adopt {
			return nil, fmt.Errorf("a server already runs there (PID %d)", running.pid)
		}
		adopted, err := c.adopt(ctx, o, running)
		if adopted || err != nil {
			return c, err
		}
	}
	if err := c.launch(ctx, o, bin); err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Log, "PostgreSQL %d runs on 127.0.0.1:%d (PID %d)\n", bin.major, c.port, c.PID)
	return c, nil
}

// adopt takes over a running server, or ends it and reports false when it does
// not run as o asks.
func (c *Cluster) adopt(ctx context.Context, o Options, running postmaster) (bool, error) {
	c.PID, c.Adopted = running.pid, true
	c.gone = watch(running.pid)
	if o.Port == 0 {
		c.port = running.port
	}
	if c.port != running.port || !c.dir.hasSettings(settings(c.port, o.Settings)) {
		fmt.Fprintf(o.Log, "PostgreSQL (PID %d) runs with other settings: restarting it\n", running.pid)
		if err := c.shutDown(ctx, syscall.SIGINT); err != nil {
			return false, err
		}
		c.Adopted, c.port = false, o.Port
		return false, nil
	}
	// It has long been up, or is recovering: a minute without an answer means it
	// needs a person.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.waitReady(ctx); err != nil {
		return false, fmt.Errorf("the server running there (PID %d) cannot be adopted: %w", running.pid, err)
	}
	fmt.Fprintf(o.Log, "adopted PostgreSQL on 127.0.0.1:%d (PID %d)\n", c.port, c.PID)
	return true, nil
}

// launch starts the postmaster, trying again where another attempt can succeed:
// somebody took the free port we found, or the last processes of a killed
// postmaster have not ended yet.
func (c *Cluster) launch(ctx context.Context, o Options, bin binaries) error {
	for try := 1; ; try++ {
		if o.Port == 0 {
			var err error
			if c.port, err = freePort(); err != nil {
				return err
			}
		}
		if err := c.dir.writeSettings(settings(c.port, o.Settings)); err != nil {
			return err
		}
		if err := c.dir.disownStalePID(); err != nil {
			return err
		}
		var err error
		if c.PID, c.gone, err = c.dir.run(bin, o.DieWithParent); err != nil {
			return err
		}
		if err = c.waitReady(ctx); err == nil {
			return nil
		}
		if ctx.Err() != nil || !errors.Is(err, errEnded) {
			_ = c.shutDown(context.WithoutCancel(ctx), syscall.SIGQUIT) // why it is stopped says more
			return err
		}
		said := c.dir.lastWords(c.PID)
		portTaken := o.Port == 0 && strings.Contains(said, "could not bind")
		stillEnding := strings.Contains(said, "still in use")
		if try == 20 || !portTaken && !stillEnding {
			return fmt.Errorf("%w: %s", err, said)
		}
		if stillEnding {
			select {
			case <-time.After(500 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

var errEnded = errors.New("the server ended while starting")

// waitReady returns when the server answers a query. It first waits for the
// server's own word: until then somebody else's may be listening on the port.
func (c *Cluster) waitReady(ctx context.Context) error {
	for {
		err := errors.New("it is starting or recovering")
		if says, _ := c.dir.postmaster(); says.pid == c.PID && says.ready {
			err = c.ping(ctx)
		}
		var refused *pgconn.PgError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &refused) && strings.HasPrefix(refused.Code, "28"):
			return fmt.Errorf("it does not accept the password in %s: %w", c.dir.passwordFile(), err)
		}
		select {
		case <-c.gone:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("wait for its answer: %w (last: %w)", ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *Cluster) ping(ctx context.Context) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx)
}

func (c *Cluster) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(c.URL("postgres"))
	if err != nil {
		return nil, err
	}
	config.ConnectTimeout = 5 * time.Second
	return pgx.ConnectConfig(ctx, config)
}

// URL is the address of a database, with the password: not for logs.
func (c *Cluster) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(User, c.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// CreateDatabase makes a database unless it exists.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42P04" { // duplicate_database
		return nil
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// Stop ends the server in order (sessions are cut, everything is written) and
// returns when it has ended. A second Stop does nothing. If ctx ends first the
// server is still stopping and Dir stays locked by this process.
func (c *Cluster) Stop(ctx context.Context) error {
	if err := c.shutDown(ctx, syscall.SIGINT); err != nil {
		return fmt.Errorf("stop PostgreSQL in %s: %w", c.dir.path, err)
	}
	c.dir.unlock()
	return nil
}

// Kill ends the postmaster and all its processes with SIGKILL, as a power cut
// would, and returns when they are gone. For tests.
func (c *Cluster) Kill() {
	select {
	case <-c.gone: // its PID may be another's by now
	default:
		kill(c.PID)
		<-c.gone
	}
	c.dir.unlock()
}

func (c *Cluster) shutDown(ctx context.Context, signal syscall.Signal) error {
	select {
	case <-c.gone:
		return nil
	default:
	}
	if err := syscall.Kill(c.PID, signal); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("signal PID %d: %w", c.PID, err)
	}
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for PID %d to end: %w", c.PID, ctx.Err())
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// lastWords is what a server wrote that ended while starting: to standard error,
// and to its newest log once its log collector ran. The collector writes after
// the server's end, so the line that always comes last is waited for.
func (f folder) lastWords(pid int) string {
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		words := lines(f.startLog(), "")
		files, _ := filepath.Glob(filepath.Join(f.path, "log", "*.log"))
		newest, age := "", time.Time{}
		for _, file := range files {
			if info, err := os.Stat(file); err == nil && info.ModTime().After(age) {
				newest, age = file, info.ModTime()
			}
		}
		words = append(words, lines(newest, fmt.Sprintf("[%d]", pid))...)
		text := strings.Join(words[max(0, len(words)-12):], "; ")
		if strings.Contains(text, "FATAL") || time.Since(began) > 5*time.Second {
			return text
		}
	}
}

// lines are the last lines of a file that contain a mark.
func lines(file, mark string) (found []string) {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text[max(0, len(text)-8000):])) {
		if strings.Contains(line, mark) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
