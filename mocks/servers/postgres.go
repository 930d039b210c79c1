package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hishub/core/postgres/private"

	"github.com/jackc/pgx/v5"
)

// StartPostgres starts a PostgreSQL server in dir, which belongs to it alone,
// with hishub's own settings (everything durable). As root, the user postgres
// must be able to reach dir.
func StartPostgres(ctx context.Context, dir string) (*Server, error) {
	return startPostgres(ctx, dir, "", nil)
}

// StartStandby starts a PostgreSQL server in dir that follows primary and whose
// flush each of its commits waits for from now on. Promote makes it the primary.
func StartStandby(ctx context.Context, dir string, primary *Server) (*Server, error) {
	s, err := startPostgres(ctx, dir, primary.URL, nil)
	if err != nil {
		return nil, err
	}
	// Not before it follows: the primary would wait for nobody.
	err = execPostgres(primary.URL, "ALTER SYSTEM SET synchronous_standby_names = '"+private.Standby+"'", "SELECT pg_reload_conf()")
	for err == nil {
		var mode string
		mode, err = syncState(ctx, primary.URL)
		if mode == "sync" {
			return s, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.Kill()
	return nil, fmt.Errorf("have PostgreSQL's commits wait for a standby: %w", err)
}

// syncState of the standby, "" while it does not follow.
func syncState(ctx context.Context, primary string) (mode string, err error) {
	conn, err := pgx.Connect(ctx, primary)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, "SELECT coalesce(max(sync_state), '') FROM pg_stat_replication WHERE application_name = $1", private.Standby).Scan(&mode)
	return mode, err
}

// Promote makes a standby the primary. The old one must have ended for good.
func (s *Server) Promote(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.now.(cluster)
	if !ok {
		return errors.New("promote: no running PostgreSQL")
	}
	return c.Promote(ctx)
}

func startPostgres(ctx context.Context, dir, follow string, settings map[string]string) (*Server, error) {
	own := map[string]string{"logging_collector": "off"}
	for name, value := range settings {
		own[name] = value
	}
	var address string
	s, err := blueprint{
		name: "PostgreSQL", install: "postgresql", ports: 1,
		launch: func(ctx context.Context, dir string, ports []int) (running, error) {
			c, err := private.Start(ctx, private.Options{
				Dir: filepath.Join(dir, "postgres"), Port: ports[0], Follow: follow, Settings: own, DieWithParent: true,
			})
			if err != nil {
				return nil, err
			}
			address = c.URL("postgres")
			return cluster{c}, nil
		},
		url: func([]int) string { return address },
	}.start(ctx, dir)
	return s, err
}

type cluster struct{ *private.Cluster }

func (c cluster) pids() []int                    { return family(c.PID) }
func (c cluster) stop(ctx context.Context) error { return c.Stop(ctx) }
func (c cluster) kill()                          { c.Kill() }

// startSharedPostgres gives up surviving a power cut for speed: the clusters of
// a test process end with it. A killed server still loses nothing.
func startSharedPostgres(ctx context.Context, dir string) (*Server, error) {
	return startPostgres(ctx, dir, "", map[string]string{
		"fsync": "off", "full_page_writes": "off",
		"max_connections": "500", // several packages with a pool for each test
	})
}

// Postgres returns the URL of a new, empty database, dropped at the end of the
// test. Roles belong to the server and are shared with other tests.
func Postgres(tb testing.TB) string {
	tb.Helper()
	admin := shared.postgres.get(tb).URL
	name := fresh()
	must(tb, "create a database", execPostgres(admin, "CREATE DATABASE "+name))
	tb.Cleanup(func() {
		// FORCE cuts the sessions a test has left open.
		must(tb, "drop the test's database", execPostgres(admin, "DROP DATABASE "+name+" WITH (FORCE)"))
	})
	u, err := url.Parse(admin)
	must(tb, "read the server's URL", err)
	u.Path = "/" + name
	return u.String()
}

func execPostgres(address string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// fresh is a name nobody else has, fit for databases and virtual hosts.
func fresh() string {
	return fmt.Sprintf("test_%s", strings.ToLower(rand.Text()[:12]))
}
