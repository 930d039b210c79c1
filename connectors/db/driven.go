package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"

	"hishub/connectors/wire"
)

// driven is a session over a driver of database/sql. That package itself is not
// used: its pool sends a statement a second time where it believes that nothing
// happened, and does not tell what left.
type driven struct {
	driver driver.Conn
	wire   *wire.Conn
	judge  func(error) *refusal
	// text spells a value that is not NULL.
	text func(v driver.Value, of column) string
	// execute, if set, runs statements that are no queries.
	execute func(ctx context.Context, s *driven, st statement) (r rows, done bool, err error)
	// ownTransactions: begin, commit and rollback are the driver's, not statements.
	ownTransactions bool
	// abrupt: a farewell would commit what is open.
	abrupt bool
	tx     driver.Tx
}

// column is what a driver says of one.
type column struct {
	databaseType string
	scale        int64
	hasScale     bool
}

// abandonAfter is how long a driver may take to tell the server that we gave up.
const abandonAfter = 50 * time.Millisecond

func (s *driven) conn() *wire.Conn { return s.wire }

func (s *driven) inTransaction() bool { return s.tx != nil }

func (s *driven) close() {
	s.wire.Expire(partingTimeout)
	if s.abrupt && s.tx != nil {
		s.wire.Close()
	}
	s.driver.Close()
	s.wire.Close()
}

// run ends soon after the context does, even if the server says nothing more:
// the connection is given up then.
func (s *driven) run(ctx context.Context, st statement) (rows, error) {
	stop := context.AfterFunc(ctx, func() { s.wire.Expire(abandonAfter) })
	defer stop()
	r, err := s.statement(ctx, st)
	if err != nil {
		return rows{}, s.cause(ctx, err)
	}
	return r, nil
}

func (s *driven) statement(ctx context.Context, st statement) (rows, error) {
	if s.ownTransactions {
		if done, err := s.transaction(ctx, st.sql); done {
			return rows{}, err
		}
	}
	if s.execute != nil {
		if r, done, err := s.execute(ctx, s, st); done {
			return r, err
		}
	}
	if st.counts {
		return s.counted(ctx, st.sql, texts(st.args))
	}
	result, err := s.query(ctx, st.sql, texts(st.args))
	if err != nil {
		return rows{}, err
	}
	return s.all(result)
}

// all reads a result to its end and closes it.
func (s *driven) all(result driver.Rows) (rows, error) {
	r, err := s.read(result)
	if err != nil {
		if s.judge(err) == nil {
			s.wire.Close() // so that closing the result does not read the rest of it
		}
		result.Close()
		return rows{}, err
	}
	return r, result.Close()
}

// counted runs what brings no rows and tells how many it touched.
func (s *driven) counted(ctx context.Context, sql string, args []driver.NamedValue) (rows, error) {
	result, err := s.driver.(driver.ExecerContext).ExecContext(ctx, sql, args)
	if err != nil || result == nil {
		return rows{}, err
	}
	n, err := result.RowsAffected()
	return rows{affected: n, counted: true}, err
}

func (s *driven) transaction(ctx context.Context, word string) (done bool, err error) {
	switch word {
	case "begin":
		s.tx, err = s.driver.(driver.ConnBeginTx).BeginTx(ctx, driver.TxOptions{})
	case "commit":
		if err = s.tx.Commit(); err == nil {
			s.tx = nil
		}
	case "rollback":
		if s.tx == nil {
			return true, nil
		}
		if err = s.tx.Rollback(); err == nil {
			s.tx = nil
		}
	default:
		return false, nil
	}
	return true, err
}

func texts(args []*string) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, a := range args {
		values[i].Ordinal = i + 1
		if a != nil {
			values[i].Value = *a
		}
	}
	return values
}

func (s *driven) query(ctx context.Context, sql string, args []driver.NamedValue) (driver.Rows, error) {
	if q, ok := s.driver.(driver.QueryerContext); ok {
		return q.QueryContext(ctx, sql, args)
	}
	st, err := s.driver.(driver.ConnPrepareContext).PrepareContext(ctx, sql)
	if err != nil {
		return nil, err
	}
	return st.(driver.StmtQueryContext).QueryContext(ctx, args)
}

// cause prefers the end of the context to what it did to the connection.
func (s *driven) cause(ctx context.Context, err error) error {
	if s.judge(err) == nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) {
			return io.ErrUnexpectedEOF
		}
	}
	return err
}

// read takes the rows of the last result that has columns, and of those before.
func (s *driven) read(result driver.Rows) (rows, error) {
	var last rows
	for {
		names := result.Columns()
		if len(names) > 0 {
			var earlier []rows
			if last.columns != nil {
				earlier = append(last.earlier, rows{columns: last.columns, values: last.values})
			}
			last = rows{columns: append([]string(nil), names...), earlier: earlier}
		}
		columns := columnsOf(result, len(names))
		values := make([]driver.Value, len(names))
		for {
			err := result.Next(values)
			if err == io.EOF {
				break
			}
			if err != nil {
				return rows{}, err
			}
			texts := make([]*string, len(values))
			for i, v := range values {
				if v != nil {
					t := s.text(v, columns[i])
					texts[i] = &t
				}
			}
			last.values = append(last.values, texts)
		}
		next, ok := result.(driver.RowsNextResultSet)
		if !ok || !next.HasNextResultSet() {
			return last, nil
		}
		if err := next.NextResultSet(); err == io.EOF {
			return last, nil
		} else if err != nil {
			return rows{}, err
		}
	}
}

func columnsOf(result driver.Rows, n int) []column {
	columns := make([]column, n)
	types, _ := result.(driver.RowsColumnTypeDatabaseTypeName)
	scales, _ := result.(driver.RowsColumnTypePrecisionScale)
	for i := range columns {
		if types != nil {
			columns[i].databaseType = types.ColumnTypeDatabaseTypeName(i)
		}
		if scales != nil {
			_, columns[i].scale, columns[i].hasScale = scales.ColumnTypePrecisionScale(i)
		}
	}
	return columns
}

// dialling lets a driver dial, and keeps the connection that it dialled last. It
// is given up when the context ends before the driver has logged in, which not
// every driver sees to.
type dialling struct {
	wire.Options
	until context.Context
	wire  *wire.Conn
	stop  func() bool
}

func (d *dialling) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.Dial(ctx, dialTimeout, network, address)
	if err != nil {
		return nil, err
	}
	d.connected()
	d.wire, d.stop = c, context.AfterFunc(d.until, func() { c.Expire(0) })
	return c, nil
}

// connected ends the watch over the log-in.
func (d *dialling) connected() {
	if d.stop != nil {
		d.stop()
	}
}

// failed closes what was dialled and says why there is no session, without the
// name of the user.
func (d *dialling) failed(ctx context.Context, err error, judge func(error) *refusal) error {
	d.connected()
	if d.wire != nil {
		d.wire.Close()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if r := judge(err); r != nil {
		r.public = ""
		return r
	}
	return err
}

// clock spells a time as date, time and as much of a fraction as there is.
func clock(t time.Time, layout string) string {
	if t.Nanosecond() != 0 {
		layout += ".999999999"
	}
	return t.Format(layout)
}
