package db

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"hishub/connectors/connectortest"
	"hishub/core"
	"hishub/mocks/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// database is a real one, with a connection beside the connector's.
type database struct {
	driver  string
	dsn     string
	address string
	secret  string
	sql     *sql.DB
	// through is the dsn that goes by another address.
	through func(address string) string
}

func postgresDatabase(t *testing.T) *database {
	dsn := servers.Postgres(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	return (&database{driver: "postgres", dsn: dsn, address: u.Host, secret: secret, through: func(address string) string {
		to := *u
		to.Host = address
		return to.String()
	}}).open(t, "pgx")
}

func mariaDatabase(t *testing.T) *database {
	dsn := servers.MariaDB(t)
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return (&database{driver: "mysql", dsn: dsn, address: config.Addr, secret: config.Passwd, through: func(address string) string {
		to := config.Clone()
		to.Addr = address
		return to.FormatDSN()
	}}).open(t, "mysql")
}

func (d *database) open(t *testing.T, driver string) *database {
	var err error
	if d.sql, err = sql.Open(driver, d.dsn); err != nil {
		t.Fatal(err)
	}
	d.sql.SetMaxOpenConns(1)
	t.Cleanup(func() { d.sql.Close() })
	return d
}

func (d *database) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := d.sql.ExecContext(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func (d *database) count(t *testing.T, table string) int {
	t.Helper()
	var n int
	if err := d.sql.QueryRowContext(context.Background(), "select count(*) from "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (d *database) connector(t *testing.T, address string) *Connector {
	t.Helper()
	c, err := Open(core.ConnectorSpec{Options: map[string]any{
		"driver": d.driver, "dsn": d.through(address), "max_answer": "1MiB", "timeout": "20s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*Connector)
}

func TestConformancePostgres(t *testing.T) {
	d := postgresDatabase(t)
	d.exec(t, "create table seen (text text)")
	conformance(t, d, "select repeat('x', 50 * 1024 * 1024)")
}

func TestConformanceMariaDB(t *testing.T) {
	d := mariaDatabase(t)
	d.exec(t, "create table seen (text varchar(200)) default charset utf8mb4")
	conformance(t, d, "select repeat('x', 1000000) from information_schema.columns limit 50")
}

// The suite wants calls that leave an idle connection, so none of procedures.
func conformance(t *testing.T, d *database, huge string) {
	d.count(t, "seen") // so that the connection beside is there before goroutines are counted
	secrets := []string{}
	if d.secret != "" {
		secrets = append(secrets, d.secret)
	} else if !strings.Contains(d.dsn, "@") {
		t.Fatal("the database has no password that could leak")
	}
	connectortest.Run(t, connectortest.Peer{
		Address: d.address,
		Open:    func(t *testing.T, address string) core.Connector { return d.connector(t, address) },
		Request: func(text string) core.Request {
			return core.Request{Operation: "insert into seen (text) values (:p_text) returning text as r_text", Body: core.Tree{{Name: "p_text", Value: text}}}
		},
		Text: func(r core.Response) string {
			body, _ := r.Body.(core.List)
			if len(body) != 1 {
				return ""
			}
			s, _ := body[0].(core.Tree).Get("r_text").(string)
			return s
		},
		Huge:    core.Request{Operation: huge},
		Acted:   func() int { return d.count(t, "seen") },
		Secrets: secrets,
	})
}
