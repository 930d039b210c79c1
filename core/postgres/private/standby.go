package private

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Standby is the name under which a cluster made with Options.Follow follows its
// primary, for synchronous_standby_names there.
const Standby = "standby"

// copyFrom makes the cluster as a standby of the server at primary. Like
// initialise, it moves it to its place when it is complete.
func (f folder) copyFrom(ctx context.Context, bin binaries, primary string) error {
	if _, err := os.Stat(f.data()); err == nil {
		return fmt.Errorf("%s exists but is no PostgreSQL cluster: move it away", f.data())
	}
	of, err := pgconn.ParseConfig(primary)
	if err != nil {
		return errors.New("read the address of the server to follow: it must look like postgres://user:password@host:port/database")
	}
	if err := os.WriteFile(f.passwordFile(), []byte(of.Password+"\n"), 0o600); err != nil {
		return err
	}
	if err := f.own(f.passwordFile()); err != nil {
		return err
	}
	fresh := f.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	u := url.URL{Scheme: "postgres", User: url.User(of.User), Host: fmt.Sprintf("%s:%d", of.Host, of.Port), RawQuery: "application_name=" + Standby}
	// The log is streamed beside, so nothing of it can be gone at the end; -R writes how
	// to follow, the password included.
	cmd := f.command(filepath.Join(bin.dir, "pg_basebackup"), "--dbname", u.String(), "--pgdata", fresh, "--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf")
	cmd.Env = append(cmd.Env, "PGPASSWORD="+of.Password)
	said, err := output(ctx, cmd)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("pg_basebackup: %w: %s", err, strings.TrimSpace(string(said)))
	}
	// The primary's settings file names its port; ours is written before the first start.
	if err := os.Remove(filepath.Join(fresh, filepath.Base(f.settingsFile()))); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, f.data()); err != nil {
		return err
	}
	return syncFolder(f.path)
}

// Promote makes a standby the primary and returns when it takes writes. Its old
// primary must have ended for good: nothing here keeps it from writing on.
func (c *Cluster) Promote(ctx context.Context) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return fmt.Errorf("promote PostgreSQL in %s: %w", c.dir.path, err)
	}
	defer conn.Close(ctx)
	var done bool
	if err := conn.QueryRow(ctx, "select pg_promote(true, 300)").Scan(&done); err != nil {
		return fmt.Errorf("promote PostgreSQL in %s: %w", c.dir.path, err)
	}
	if !done {
		return fmt.Errorf("promote PostgreSQL in %s: it did not end its recovery within 300 s", c.dir.path)
	}
	return nil
}
