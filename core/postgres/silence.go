package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// connectPatience bounds connecting to the server, up to its greeting.
	connectPatience = 5 * time.Second
	// silence is how long an answer may take before the server is asked, over another
	// connection, whether it is still at work on it.
	silence = 5 * time.Second
	// copying bounds how long a COPY may wait for the next row from us.
	copying = 10 * time.Minute
)

// remote are session settings by which the server soon sees that we are gone, and
// gives free the locks of a transaction that nobody will end. Milliseconds without a
// unit; a unix socket ignores the first four.
var remote = map[string]string{
	"tcp_keepalives_idle":              "10",
	"tcp_keepalives_interval":          "5",
	"tcp_keepalives_count":             "3",
	"tcp_user_timeout":                 "25000",
	"client_connection_check_interval": "5s",
	// A process that stands still in the middle of a transaction must not hold
	// lanes, nor the feed, for ever.
	"idle_in_transaction_session_timeout": "60s",
}

// Pool connects to the database of the hub. A network that swallows everything, or a
// server that stands still, fails a statement within seconds; one that works for long
// is waited for. conns of 0 is the library's own number.
func Pool(ctx context.Context, url string, conns int, settings map[string]string) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	if conns > 0 {
		c.MaxConns = int32(conns)
	}
	c.ConnConfig.RuntimeParams["application_name"] = "hishub"
	c.ConnConfig.RuntimeParams["jit"] = "off"
	maps.Copy(c.ConnConfig.RuntimeParams, remote)
	maps.Copy(c.ConnConfig.RuntimeParams, settings)
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = connectPatience
	}
	beside := c.ConnConfig.Copy()
	dial := c.ConnConfig.DialFunc
	var p *pgxpool.Pool
	c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		socket, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &watched{Conn: socket, working: func(pid uint32) bool { return working(beside, pid) }, lost: func() { p.Reset() }}, nil
	}
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		var pid uint32 // not the one of the handshake: a pooler makes that up
		if err := conn.QueryRow(ctx, `select pg_backend_pid()`).Scan(&pid); err != nil {
			return err
		}
		socket := conn.PgConn().Conn()
		if sealed, ok := socket.(*tls.Conn); ok {
			socket = sealed.NetConn()
		}
		if w, ok := socket.(*watched); ok {
			w.is(pid)
		}
		return nil
	}
	if p, err = pgxpool.NewWithConfig(ctx, c); err != nil {
		return nil, err
	}
	if err := p.Ping(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// working asks over a connection of its own whether the session still works on
// something. A server that waits for our bytes while we wait for its answer never
// will: some were lost. A refusal (too many connections) says that it lives.
func working(beside *pgx.ConnConfig, pid uint32) bool {
	ctx, cancel := context.WithTimeout(context.Background(), connectPatience)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, beside)
	if err != nil {
		var refused *pgconn.PgError
		return errors.As(err, &refused) && refused.Code == "53300"
	}
	defer func() { _ = conn.Close(ctx) }()
	var at bool
	err = conn.QueryRow(ctx, `select exists (select from pg_stat_activity where pid = $1 and state = 'active'
		and (wait_event_type is distinct from 'Client' or query ilike 'copy%' and query_start > clock_timestamp() - $2::bigint * interval '1 microsecond'))`,
		pid, copying.Microseconds()).Scan(&at)
	return err == nil && at
}

// watched is a connection on which no read waits for ever. The library's own
// deadlines, which end a statement whose context ended, stand above ours.
type watched struct {
	net.Conn
	working func(pid uint32) bool
	lost    func() // the other connections of the pool are likely to be lost, too

	mu    sync.Mutex
	pid   uint32
	until time.Time // the library's deadline; zero: it has none
}

func (w *watched) is(pid uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pid = pid
}

func (w *watched) SetDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = t
	return w.Conn.SetDeadline(t)
}

// within gives a read or write its time, unless the library has.
func (w *watched) within(set func(time.Time) error, patience time.Duration) (ours bool, pid uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.until.IsZero() {
		return false, w.pid
	}
	_ = set(time.Now().Add(patience)) // a closed connection says so when it is used
	return true, w.pid
}

func (w *watched) Read(p []byte) (int, error) {
	for {
		ours, pid := w.within(w.SetReadDeadline, silence)
		n, err := w.Conn.Read(p)
		if n > 0 || !ours || pid == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if w.working(pid) {
			continue
		}
		// It may have answered while we asked.
		w.within(w.SetReadDeadline, time.Second)
		if n, err = w.Conn.Read(p); n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			go w.lost()
		}
		return n, err
	}
}

// Write does not wait for ever for a server that reads nothing.
func (w *watched) Write(p []byte) (int, error) {
	w.within(w.SetWriteDeadline, connectPatience+silence)
	return w.Conn.Write(p)
}
