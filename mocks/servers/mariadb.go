package servers

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// The test server's only account beside root. It may do everything.
const mariadbUser, mariadbPassword = "hishub", "mariadb-of-a-test"

// StartMariaDB starts a MariaDB server in dir, which belongs to it alone. As
// root it runs as the user mysql (or nobody), who must be able to reach dir.
func StartMariaDB(ctx context.Context, dir string) (*Server, error) {
	return blueprint{
		name: "MariaDB", install: "mariadb-server", ports: 1,
		launch: launchMariaDB,
		url:    func(ports []int) string { return mariadbDSN(ports[0]) },
	}.start(ctx, dir)
}

func mariadbDSN(port int) string {
	return fmt.Sprintf("%s:%s@tcp(127.0.0.1:%d)/", mariadbUser, mariadbPassword, port)
}

func launchMariaDB(ctx context.Context, dir string, ports []int) (running, error) {
	server, err := program("mariadbd")
	if err != nil {
		return nil, err
	}
	as, err := unprivileged("mysql")
	if err != nil {
		return nil, err
	}
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return nil, err
		}
	}
	data, accounts := filepath.Join(dir, "data"), filepath.Join(dir, "accounts.sql")
	if _, err := os.Stat(accounts); err != nil { // written last: its absence means unfinished
		if err := initialiseMariaDB(ctx, dir, data, as); err != nil {
			return nil, err
		}
		text := fmt.Sprintf("CREATE USER IF NOT EXISTS '%s'@'127.0.0.1' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO '%[1]s'@'127.0.0.1' WITH GRANT OPTION;\n", mariadbUser, mariadbPassword)
		if err := os.WriteFile(accounts, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}

	// Not --user: a server that changes its user itself no longer dies with us.
	cmd := exec.Command(server, "--no-defaults", "--datadir="+data, "--bind-address=127.0.0.1", "--port="+strconv.Itoa(ports[0]),
		"--socket=", // the folder's path may be too long for one
		"--pid-file="+filepath.Join(dir, "mariadb.pid"), "--tmpdir="+dir, "--skip-name-resolve", "--init-file="+accounts,
		"--character-set-server=utf8mb4", "--innodb-buffer-pool-size=64M")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	p, err := startProcess(cmd, filepath.Join(dir, "mariadb.log"))
	if err != nil {
		return nil, err
	}
	return p, p.waitReady(ctx, func(ctx context.Context) error { return execMariaDB(ctx, mariadbDSN(ports[0]), "DO 1") })
}

func initialiseMariaDB(ctx context.Context, dir, data string, as *syscall.Credential) error {
	install, err := program("mariadb-install-db")
	if err != nil {
		return err
	}
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, install, "--no-defaults", "--datadir="+data, "--tmpdir="+dir,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// MariaDB returns the DSN (go-sql-driver's form) of a new, empty database,
// dropped at the end of the test.
func MariaDB(tb testing.TB) string {
	tb.Helper()
	admin := shared.mariadb.get(tb).URL
	config, err := mysql.ParseDSN(admin)
	must(tb, "read MariaDB's DSN", err)
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	config.DBName = fresh()
	must(tb, "create a database", execMariaDB(ctx, admin, "CREATE DATABASE "+config.DBName))
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		must(tb, "drop the test's database", execMariaDB(ctx, admin, "DROP DATABASE "+config.DBName))
	})
	return config.FormatDSN()
}

func execMariaDB(ctx context.Context, dsn, statement string) error {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return err
	}
	config.Logger = &mysql.NopLogger{} // a refused connection is expected while it starts
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	_, err = db.ExecContext(ctx, statement)
	return err
}
