// Package dbhis is the fake hospital 南园: interface tables, a procedure and views
// in PostgreSQL or MariaDB, with a poller that writes the verdicts and a proxy in
// front of the database where the network fails.
package dbhis

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"hishub/mocks/books"
	"hishub/mocks/control"
	"hishub/mocks/dbproxy"
	"hishub/mocks/fault"
)

// Options of the hospital. Driver and DSN are required.
type Options struct {
	Driver  string        // "postgres" or "mysql" (MariaDB)
	DSN     string        // as pgx or go-sql-driver take it; the database must be there, without TLS
	Listen  string        // of the proxy, "127.0.0.1:0"
	Control string        // "127.0.0.1:0"
	Poll    time.Duration // 100 ms
	Latency time.Duration // how long a row stays at czbz 1
	Seed    uint64        // of network faults; the database draws its own numbers
	Repeats books.Repeats // books.Refuse
	Inquiry string        // "truthful", or "none": there is no v_zjk_jf
}

func (o Options) filled() (Options, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Control == "" {
		o.Control = "127.0.0.1:0"
	}
	if o.Poll == 0 {
		o.Poll = 100 * time.Millisecond
	}
	if o.Repeats == "" {
		o.Repeats = books.Refuse
	}
	if o.Inquiry == "" {
		o.Inquiry = "truthful"
	}
	if err := o.Repeats.Check(); err != nil {
		return o, err
	}
	if o.Inquiry != "truthful" && o.Inquiry != "none" {
		return o, fmt.Errorf("inquiry %q: want truthful or none", o.Inquiry)
	}
	return o, nil
}

//go:embed postgres.sql
var postgresDDL string

//go:embed mariadb.sql
var mariadbDDL string

// HIS is the running hospital.
type HIS struct {
	options Options
	db      *sql.DB
	dsn     string // through the proxy
	script  *fault.Script
	proxy   *dbproxy.Proxy
	control *control.Port
	stop    context.CancelFunc
	polling sync.WaitGroup
	clock   atomic.Value // string: where the clock stands, "" when it goes
}

// Start makes the tables that are missing, then the procedure and the views, and
// opens proxy and control port. It runs until Close; the context only bounds the start.
func Start(ctx context.Context, options Options) (*HIS, error) {
	options, err := options.filled()
	if err != nil {
		return nil, fmt.Errorf("dbhis: %w", err)
	}
	h := &HIS{options: options, script: fault.NewScript(options.Seed, dbproxy.Kinds)}
	var network, address string
	if network, address, err = h.open(); err != nil {
		return nil, fmt.Errorf("dbhis: %w", err)
	}
	if err := h.prepare(ctx); err != nil {
		_ = h.db.Close()
		return nil, fmt.Errorf("dbhis: prepare the database: %w", err)
	}
	h.proxy, err = dbproxy.Open(dbproxy.Options{
		Listen: options.Listen, Network: network, Target: address, MySQL: options.Driver == "mysql",
		Names:  []string{"zjk_jf_settle", "zjk_cf_main", "zjk_cf_detail", "zjk_cf_zf", "zjk_tf", "zjk_tz", "v_zjk_jf", "v_zjk_ledger", "v_zjk_ledger_hz", "zjk_bill"},
		Script: h.script, Note: h.note,
	})
	if err != nil {
		_ = h.db.Close()
		return nil, fmt.Errorf("dbhis: %w", err)
	}
	if h.dsn, err = redirected(options, h.proxy.Addr()); err == nil {
		h.control, err = control.Open(options.Control, h, map[string]http.HandlerFunc{"POST /notices": h.serveNotice, "GET /notices": h.serveNotices})
	}
	if err != nil {
		_ = h.proxy.Close()
		_ = h.db.Close()
		return nil, fmt.Errorf("dbhis: %w", err)
	}
	polling, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.polling.Go(func() { newPoller(h).run(polling) })
	return h, nil
}

// open connects the hospital to its own database, past the proxy, and tells where that is.
func (h *HIS) open() (network, address string, err error) {
	switch h.options.Driver {
	case "postgres":
		config, err := pgx.ParseConfig(h.options.DSN)
		if err != nil {
			return "", "", err
		}
		if h.db, err = sql.Open("pgx", h.options.DSN); err != nil {
			return "", "", err
		}
		port := strconv.Itoa(int(config.Port))
		if strings.HasPrefix(config.Host, "/") {
			return "unix", config.Host + "/.s.PGSQL." + port, nil
		}
		return "tcp", net.JoinHostPort(config.Host, port), nil
	case "mysql":
		config, err := mysql.ParseDSN(h.options.DSN)
		if err != nil {
			return "", "", err
		}
		config.MultiStatements = true // the DDL is one text
		config.ParseTime = false
		// A found row that an UPDATE leaves as it is counts, as in PostgreSQL.
		config.ClientFoundRows = true
		connector, err := mysql.NewConnector(config)
		if err != nil {
			return "", "", err
		}
		h.db = sql.OpenDB(connector)
		return config.Net, config.Addr, nil
	}
	return "", "", fmt.Errorf("driver %q: want postgres or mysql", h.options.Driver)
}

// redirected is the DSN with the proxy's address in it.
func redirected(o Options, address string) (string, error) {
	if o.Driver == "mysql" {
		config, err := mysql.ParseDSN(o.DSN)
		if err != nil {
			return "", err
		}
		config.Net, config.Addr = "tcp", address
		return config.FormatDSN(), nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if !strings.Contains(o.DSN, "://") {
		return o.DSN + " host=" + host + " port=" + port, nil // the last word counts
	}
	u, err := url.Parse(o.DSN)
	if err != nil {
		return "", err
	}
	u.Host = address
	query := u.Query()
	query.Del("host")
	query.Del("port")
	u.RawQuery = query.Encode()
	return u.String(), nil
}

func (h *HIS) prepare(ctx context.Context) error {
	ddl := mariadbDDL
	if h.options.Driver == "postgres" {
		ddl = postgresDDL
	}
	// pgx sends a text without arguments as it is, several statements and all.
	if _, err := h.db.ExecContext(ctx, ddl); err != nil {
		return err
	}
	statements := []string{
		"delete from his_option",
		"insert into his_option (name, value) values ('repeats', '" + string(h.options.Repeats) + "')",
		"delete from his_fault",
	}
	if h.options.Repeats == books.Double {
		what := "constraint"
		if h.options.Driver == "mysql" {
			what = "index"
		}
		for _, table := range []string{"zjk_cf_main", "zjk_cf_detail", "zjk_cf_zf", "zjk_tf"} {
			statements = append(statements, "alter table "+table+" drop "+what+" if exists uq_"+table)
		}
	}
	if h.options.Inquiry == "none" {
		statements = append(statements, "drop view if exists v_zjk_jf")
	}
	for _, statement := range statements {
		if _, err := h.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// DSN leads to the database through the proxy: what a caller is given.
func (h *HIS) DSN() string { return h.dsn }

// Options it runs with, those that were empty filled in.
func (h *HIS) Options() Options { return h.options }

// Addr is host:port of the proxy.
func (h *HIS) Addr() string { return h.proxy.Addr() }

// ControlURL has no slash at its end.
func (h *HIS) ControlURL() string { return h.control.URL() }

// Close cuts the connections through the proxy; the tables stay.
func (h *HIS) Close() error {
	h.stop()
	h.polling.Wait()
	h.script.Close()
	err := h.proxy.Close()
	if e := h.control.Close(); err == nil {
		err = e
	}
	if e := h.db.Close(); err == nil {
		err = e
	}
	return err
}

// bind turns ? into $1, $2 … for PostgreSQL.
func (h *HIS) bind(query string) string {
	if h.options.Driver == "mysql" {
		return query
	}
	var out strings.Builder
	n := 0
	for _, r := range query {
		if r != '?' {
			out.WriteRune(r)
			continue
		}
		n++
		out.WriteString("$" + strconv.Itoa(n))
	}
	return out.String()
}

// now is the hospital's clock as its tables keep it; control can stop it.
func (h *HIS) now() string {
	if stands, _ := h.clock.Load().(string); stands != "" {
		return stands
	}
	return time.Now().In(books.Zone).Format("2006-01-02 15:04:05.000")
}

// note writes the journal.
func (h *HIS) note(operation, key, effect, kind string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = h.db.ExecContext(ctx, h.bind("insert into his_journal (at, operation, biz_key, effect, fault) values (?, ?, ?, ?, ?)"),
		h.now(), operation, key, effect, kind)
}
