// Package prochis is the fake hospital 江湾: procedures that take an XML document
// and give one, in the schema zlhis of a PostgreSQL database, and views of its
// ledger. Its work is written in SQL; here are its start, its faults and its books.
package prochis

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/mocks/books"
	"hishub/mocks/control"
	"hishub/mocks/dbproxy"
	"hishub/mocks/fault"
)

// Schema that holds everything of the hospital.
const Schema = "zlhis"

// Options of the hospital. DSN is required.
type Options struct {
	DSN     string        // postgres://…; the database must be there, without TLS
	Listen  string        // of the proxy, "127.0.0.1:0"
	Control string        // "127.0.0.1:0"
	Latency time.Duration // how long each procedure takes
	Seed    uint64        // of network faults; the database draws its own numbers
	Repeats books.Repeats // books.Refuse
	Inquiry string        // "truthful", or "none": the status questions are refused
}

func (o Options) filled() (Options, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Control == "" {
		o.Control = "127.0.0.1:0"
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

//go:embed tables.sql serve.sql clinic.sql money.sql books.sql
var ddl embed.FS

// names are the operations that network faults can strike.
var names = []string{
	"zl_third_systime", "zl_third_getdept", "zl_third_getdoctor", "zl_third_getdrug", "zl_third_getstock", "zl_third_getschedule",
	"zl_third_buildpatient", "zl_third_getpatient", "zl_third_lockno", "zl_third_regist", "zl_third_registcancel", "zl_third_getregist",
	"zl_third_advicesave", "zl_third_revokeoutadvice", "zl_third_getadvice", "zl_third_waitingpay", "zl_third_payment",
	"zl_third_swapstaut", "zl_third_charge_delcheck", "zl_third_charge_del", "v_dz_mx", "v_dz_hz", "v_yb_mx",
}

// HIS is the running hospital.
type HIS struct {
	db      *pgxpool.Pool
	dsn     string // through the proxy
	script  *fault.Script
	proxy   *dbproxy.Proxy
	control *control.Port
}

// Start makes the tables that are missing, then the procedures and views, puts in
// what the hospital knows beforehand and opens proxy and control port. It runs
// until Close; the context only bounds the start.
func Start(ctx context.Context, options Options) (*HIS, error) {
	h, err := start(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("prochis: %w", err)
	}
	return h, nil
}

func start(ctx context.Context, options Options) (*HIS, error) {
	options, err := options.filled()
	if err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(options.DSN)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.RuntimeParams["search_path"] = Schema
	db, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, err
	}
	h := &HIS{db: db, script: fault.NewScript(options.Seed, dbproxy.Kinds)}
	if err := h.open(ctx, options); err != nil {
		_ = h.Close()
		return nil, err
	}
	return h, nil
}

func (h *HIS) open(ctx context.Context, o Options) error {
	if err := h.prepare(ctx, o); err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	at := h.db.Config().ConnConfig
	port := strconv.Itoa(int(at.Port))
	network, address := "tcp", net.JoinHostPort(at.Host, port)
	if strings.HasPrefix(at.Host, "/") {
		network, address = "unix", at.Host+"/.s.PGSQL."+port
	}
	var err error
	if h.proxy, err = dbproxy.Open(dbproxy.Options{Listen: o.Listen, Network: network, Target: address, Names: names, Script: h.script, Note: h.note}); err != nil {
		return err
	}
	if h.dsn, err = redirected(o.DSN, h.proxy.Addr()); err != nil {
		return err
	}
	h.control, err = control.Open(o.Control, h, nil)
	return err
}

// redirected is the DSN with the proxy's address in it.
func redirected(dsn, address string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return "", fmt.Errorf("the DSN is not like postgres://user:password@host:5432/database")
	}
	u.Host = address
	query := u.Query()
	query.Del("host")
	query.Del("port")
	u.RawQuery = query.Encode()
	return u.String(), nil
}

func (h *HIS) prepare(ctx context.Context, o Options) error {
	for _, name := range []string{"tables.sql", "serve.sql", "clinic.sql", "money.sql", "books.sql"} {
		text, err := ddl.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := h.db.Exec(ctx, string(text)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	_, err := h.db.Exec(ctx, `delete from his_fault; delete from his_option`)
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"repeats": string(o.Repeats), "inquiry": o.Inquiry, "latency": strconv.FormatFloat(o.Latency.Seconds(), 'f', -1, 64)} {
		if _, err := h.db.Exec(ctx, `insert into his_option (name, value) values ($1, $2)`, name, value); err != nil {
			return err
		}
	}
	return h.furnish(ctx)
}

// DSN leads to the database through the proxy: what a caller is given, for the
// procedures and for the ledger.
func (h *HIS) DSN() string { return h.dsn }

// Addr is host:port of the proxy.
func (h *HIS) Addr() string { return h.proxy.Addr() }

// ControlURL has no slash at its end.
func (h *HIS) ControlURL() string { return h.control.URL() }

// Close cuts the connections through the proxy; the tables stay.
func (h *HIS) Close() error {
	h.script.Close()
	var err error
	if h.proxy != nil {
		err = h.proxy.Close()
	}
	if h.control != nil {
		if e := h.control.Close(); err == nil {
			err = e
		}
	}
	h.db.Close()
	return err
}

// note writes the journal.
func (h *HIS) note(operation, key, effect, kind string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = h.db.Exec(ctx, `insert into his_journal (operation, biz_key, effect, fault) values ($1, $2, $3, $4)`, operation, key, effect, kind)
}

// Books reads what the hospital accepted. See control.Hospital.
func (h *HIS) Books(ctx context.Context) (books.Export, error) {
	var text []byte
	var b books.Export
	if err := h.db.QueryRow(ctx, `select books from his_books`).Scan(&text); err != nil {
		return b, fmt.Errorf("read books: %w", err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("read books: %w", err)
	}
	return b, nil
}
