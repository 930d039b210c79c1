package db

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"hishub/connectors/option"
	"hishub/connectors/wire"
)

const (
	dialTimeout = 10 * time.Second
	// cancelTimeout bounds the plea to a server to cancel what we gave up.
	cancelTimeout = 2 * time.Second
	// partingTimeout bounds the farewell to a server.
	partingTimeout = 100 * time.Millisecond
)

// byteaOID is PostgreSQL's type bytea.
const byteaOID = 17

func postgres(s *option.Set, dsn, schema string, o wire.Options) engine {
	e := engine{
		syntax: syntax{
			dollar: true, numbered: true,
			placeholder: func(n int) string { return "$" + strconv.Itoa(n) },
			quote:       func(name string) string { return `"` + name + `"` },
			rowsAtOnce:  100, valuesAtOnce: 65535,
		},
		call:      callPostgres,
		returning: returningPostgres,
		handsOut:  true,
		function:  functionPostgres,
		judge:     judgePostgres,
	}
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		s.Problem("dsn", "not like postgres://user:password@host:5432/database?sslmode=require")
		return e
	}
	config.RuntimeParams["datestyle"] = "ISO, YMD"
	config.RuntimeParams["client_encoding"] = "UTF8"
	config.RuntimeParams["bytea_output"] = "hex"
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "hishub"
	}
	if schema != "" {
		config.RuntimeParams["search_path"] = `"` + schema + `"`
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(int(o.MaxAnswer))
		return f
	}
	if o.TLS != nil {
		encrypt(config, o.TLS)
	}
	e.connect = func(ctx context.Context) (session, error) { return dialPostgres(ctx, config.Copy(), o) }
	return e
}

// encrypt makes every way to the server an encrypted one, whatever sslmode says.
func encrypt(config *pgconn.Config, t *tls.Config) {
	with := func(host string) *tls.Config {
		c := t.Clone()
		if c.ServerName == "" {
			c.ServerName = host
		}
		return c
	}
	config.TLSConfig = with(config.Host)
	seen := map[string]bool{config.Host + strconv.Itoa(int(config.Port)): true}
	var others []*pgconn.FallbackConfig
	for _, f := range config.Fallbacks {
		if at := f.Host + strconv.Itoa(int(f.Port)); !seen[at] {
			seen[at] = true
			f.TLSConfig = with(f.Host)
			others = append(others, f)
		}
	}
	config.Fallbacks = others
}

type postgresSession struct {
	pg   *pgconn.PgConn
	wire *wire.Conn
}

func dialPostgres(ctx context.Context, config *pgconn.Config, o wire.Options) (session, error) {
	var connected atomic.Bool
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if !connected.Load() {
			return o.Dial(ctx, dialTimeout, network, address)
		}
		// The driver asks the server to cancel what we gave up. That must not hold
		// anybody up when the server does not answer.
		c, err := o.Dial(ctx, cancelTimeout, network, address)
		if err != nil {
			return nil, err
		}
		return c, c.SetDeadline(time.Now().Add(cancelTimeout))
	}
	pg, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if r := judgePostgres(err); r != nil {
			r.public = "" // names the user
			return nil, r
		}
		return nil, err
	}
	connected.Store(true)
	return &postgresSession{pg, wire.Under(pg.Conn())}, nil
}

func (s *postgresSession) conn() *wire.Conn { return s.wire }

func (s *postgresSession) inTransaction() bool { return s.pg.TxStatus() != 'I' }

func (s *postgresSession) close() {
	if !s.pg.IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), partingTimeout)
		defer cancel()
		s.pg.Close(ctx)
	}
	s.wire.Close()
}

var errNotCommitted = errors.New("the database rolled back instead of committing")

// run sends parameters as text without a type, so that the database reads each
// as the column's or parameter's own.
func (s *postgresSession) run(ctx context.Context, st statement) (rows, error) {
	values := make([][]byte, len(st.args))
	for i, a := range st.args {
		if a != nil {
			values[i] = []byte(*a)
		}
	}
	result := s.pg.ExecParams(ctx, st.sql, values, nil, nil, nil)
	var r rows
	for result.NextRow() {
		if r.columns == nil {
			r.columns = columnsPostgres(result.FieldDescriptions())
		}
		r.values = append(r.values, textPostgres(result.FieldDescriptions(), result.Values()))
	}
	tag, err := result.Close()
	var tooLong *pgproto3.ExceededMaxBodyLenErr
	switch {
	case err != nil && errors.As(err, &tooLong):
		return rows{}, wire.ErrTooLarge
	case err != nil && ctx.Err() != nil && judgePostgres(err) == nil:
		return rows{}, ctx.Err()
	case err != nil:
		return rows{}, err
	case st.sql == "commit" && tag.String() != "COMMIT":
		return rows{}, &refusal{meaning: later, code: "a rollback", public: errNotCommitted.Error()}
	}
	r.affected, r.counted = tag.RowsAffected(), st.counts
	return r, nil
}

func columnsPostgres(fields []pgconn.FieldDescription) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

func textPostgres(fields []pgconn.FieldDescription, values [][]byte) []*string {
	texts := make([]*string, len(values))
	for i, v := range values {
		if v == nil {
			continue
		}
		t := string(v)
		if fields[i].DataTypeOID == byteaOID {
			t = strings.TrimPrefix(t, `\x`)
		}
		texts[i] = &t
	}
	return texts
}

// callPostgres passes NULL in the place of an out parameter, as CALL wants.
func callPostgres(name string, ps []parameter, args []*string) ([]statement, error) {
	marks := make([]string, len(ps))
	n := 0
	for i, p := range ps {
		if !p.in {
			marks[i] = "null"
			continue
		}
		n++
		marks[i] = "$" + strconv.Itoa(n)
	}
	return []statement{{sql: "call " + name + "(" + strings.Join(marks, ", ") + ")", args: args}}, untyped(ps)
}

func returningPostgres(st statement) ([]statement, error) {
	st.sql += " returning " + columnsOfKeys(st.gives, func(c string) string { return `"` + c + `"` })
	return []statement{st}, nil
}

// judgePostgres goes by SQLSTATE (PostgreSQL manual, appendix A).
func judgePostgres(err error) *refusal {
	var own *refusal
	if errors.As(err, &own) {
		return own
	}
	var p *pgconn.PgError
	if !errors.As(err, &p) || len(p.Code) != 5 {
		return nil
	}
	r := &refusal{code: "SQLSTATE " + p.Code, words: p.Message}
	for _, name := range []string{p.SchemaName, p.TableName, p.ColumnName, p.ConstraintName} {
		if name != "" {
			r.public = strings.TrimPrefix(r.public+" "+name, " ")
		}
	}
	switch class := p.Code[:2]; {
	case p.Severity == "FATAL" || p.Severity == "PANIC" || p.SeverityUnlocalized == "FATAL" || p.SeverityUnlocalized == "PANIC":
		r.meaning = severed
	case p.Code == "23505":
		r.meaning = duplicate
	case p.Code == "P0001":
		r.meaning = raised
		r.code = p.Code
	case p.Code == "40003":
	case class == "42":
		r.meaning = unfit
		r.public = p.Message // values go as parameters, so it names only what the folder wrote
	case class == "22" || class == "23" || class == "3D" || class == "3F" || class == "0A" || class == "21":
		r.meaning = unfit
	case class == "40" || class == "53" || class == "55" || class == "57" || p.Code == "25006":
		r.meaning = later
	}
	return r
}
