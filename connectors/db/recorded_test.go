package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	ora "github.com/sijms/go-ora/v2"
	"github.com/sijms/go-ora/v2/network"

	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// recorded stands for the driver of a database that there is no server of here.
// It notes what the driver is asked for, in order, and answers by script.
type recorded struct {
	calls []string
	// answer gives the result of what is called; nil is a result without rows.
	answer func(call string) (*result, error)
	// touches is how many rows a statement without a result touched.
	touches func(call string) int64
	wire    *wire.Conn
	// open gives the rows of a cursor that came out.
	open func(*ora.RefCursor) (driver.Rows, error)
}

type result struct {
	columns, types []string
	scales         []int64
	values         [][]driver.Value
	// then is what comes behind the last row.
	then error
}

func (d *recorded) call(text string) (*result, error) {
	d.calls = append(d.calls, text)
	if _, err := d.wire.Write([]byte(text)); err != nil {
		return nil, err
	}
	if d.answer == nil {
		return nil, nil
	}
	return d.answer(text)
}

func (d *recorded) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not by this way") }
func (d *recorded) Begin() (driver.Tx, error)           { return nil, errors.New("not by this way") }

// Close says farewell where it still can, as drivers do.
func (d *recorded) Close() error {
	if _, err := d.wire.Write([]byte("farewell")); err == nil {
		d.calls = append(d.calls, "farewell")
	}
	d.calls = append(d.calls, "close")
	return nil
}

func (d *recorded) Commit() error   { _, err := d.call("COMMIT"); return err }
func (d *recorded) Rollback() error { _, err := d.call("ROLLBACK"); return err }

func (d *recorded) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	_, err := d.call("BEGIN")
	return d, err
}

func (d *recorded) QueryContext(_ context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	r, err := d.call(text + bound(args))
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = &result{}
	}
	return &recordedRows{result: *r}, nil
}

// ExecContext sets out parameters from the first row of the scripted result.
func (d *recorded) ExecContext(_ context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	r, err := d.call(text + bound(args))
	if err == nil && d.touches != nil && strings.HasPrefix(text, "update") {
		return driver.RowsAffected(d.touches(text)), nil
	}
	if err != nil || r == nil {
		return nil, err
	}
	n := 0
	for _, a := range args {
		out, ok := a.Value.(ora.Out)
		if !ok {
			continue
		}
		v, _ := r.values[0][n].(string)
		valid := r.values[0][n] != nil
		n++
		switch dest := out.Dest.(type) {
		case *sql.NullString:
			*dest = sql.NullString{String: v, Valid: valid}
		case *ora.Clob:
			*dest = ora.Clob{String: v, Valid: valid}
		}
	}
	return nil, nil
}

func bound(args []driver.NamedValue) string {
	var b strings.Builder
	for _, a := range args {
		switch v := a.Value.(type) {
		case nil:
			b.WriteString(" | NULL")
		case ora.Clob:
			fmt.Fprintf(&b, " | clob %s", v.String)
		case ora.Out:
			if _, cursor := v.Dest.(*ora.RefCursor); cursor {
				b.WriteString(" | out cursor")
				continue
			}
			_, clob := v.Dest.(*ora.Clob)
			fmt.Fprintf(&b, " | out(in %v, clob %v)", v.In, clob)
		default:
			fmt.Fprintf(&b, " | %v", v)
		}
	}
	return b.String()
}

type recordedRows struct {
	result
	next int
}

func (r *recordedRows) Columns() []string                       { return r.columns }
func (r *recordedRows) Close() error                            { return nil }
func (r *recordedRows) ColumnTypeDatabaseTypeName(i int) string { return r.types[i] }
func (r *recordedRows) ColumnTypePrecisionScale(i int) (int64, int64, bool) {
	if r.scales == nil {
		return 0, 0, false
	}
	return 0, r.scales[i], true
}

func (r *recordedRows) Next(to []driver.Value) error {
	if r.next == len(r.values) {
		if r.then != nil {
			return r.then
		}
		return io.EOF
	}
	copy(to, r.values[r.next])
	r.next++
	return nil
}

// opened is a connector over a recorded driver, over a connection that is real,
// so that what left is known.
func opened(t *testing.T, name string, d *recorded) *Connector {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(io.Discard, c)
		}
	}()
	c := &Connector{engine: engines(t)[name], options: wire.ReadOptions(option.New(nil), core.ConnectorSpec{})}
	c.engine.connect = func(ctx context.Context) (session, error) {
		w, err := wire.Options{}.Dial(ctx, dialTimeout, "tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		d.wire = w
		if name == "oracle" {
			s := oracleSession(d, w)
			s.open = d.open
			return s.driven, s.prepare(ctx, "")
		}
		return sqlserverSession(d, w), nil
	}
	c.pool = newPool(1, c.engine.connect)
	t.Cleanup(func() { c.Close(); l.Close() })
	return c
}

const (
	oracleLogin = 2 // calls of a new session: its settings, its charset
	batch       = "declare @o3 nvarchar(max), @o4 nvarchar(max) = @p3, @o5 money; exec [his].[settle] @p1, @p2, @o3 output, @o4 output, @o5 output; " +
		"select @o3, @o4, convert(nvarchar(max), @o5, 2)"
)

func oraError(code int, words string) error {
	return &network.OracleError{ErrCode: code, ErrMsg: words}
}

func mssqlError(numbers ...int32) error {
	all := make([]mssql.Error, len(numbers))
	for i, n := range numbers {
		words := "names of objects"
		if n != 208 && n != 916 && n != 2812 {
			words = "秘密"
		}
		all[i] = mssql.Error{Number: n, Class: 16, Message: words}
	}
	last := all[len(all)-1]
	last.All = all
	return last
}

// What the two databases without a server here refuse, and what follows from it.
func TestRecordedRefusals(t *testing.T) {
	insert := prescription("RX1")
	procedure := core.Request{Operation: "settle(a)", Body: tree{field("a", "1")}}
	query := core.Request{Operation: "select 1 from t"}
	for name, c := range map[string]struct {
		driver string
		q      core.Request
		at     string // the call that fails
		err    error
		error  string     // of the answer
		class  core.Class // else of the fault
		calls  string     // how the calls end
	}{
		"a taken key":                      {"sqlserver", insert, "[cf_mx]", mssqlError(2627, 3621), "duplicate", "", "ROLLBACK"},
		"a taken index":                    {"sqlserver", insert, "[cf]", mssqlError(2601), "duplicate", "", "ROLLBACK"},
		"the HIS said no":                  {"sqlserver", procedure, "exec", mssqlError(50001), "fault", "", ""},
		"a truncated value":                {"sqlserver", insert, "[cf]", mssqlError(2628), "", core.Invalid, "ROLLBACK"},
		"no such table":                    {"sqlserver", query, "select", mssqlError(208), "", core.Invalid, ""},
		"no such procedure":                {"sqlserver", procedure, "exec", mssqlError(2812), "", core.Invalid, ""},
		"a deadlock":                       {"sqlserver", insert, "[cf]", mssqlError(1205), "", core.Unavailable, "ROLLBACK"},
		"a deadlock inside a procedure":    {"sqlserver", procedure, "exec", mssqlError(1205), "", core.InDoubt, ""},
		"a bad value inside a procedure":   {"sqlserver", procedure, "exec", mssqlError(245), "", core.InDoubt, ""},
		"shut down before commit":          {"sqlserver", insert, "[cf]", mssqlError(6005), "", core.Unavailable, "close"},
		"shut down at commit":              {"sqlserver", insert, "COMMIT", mssqlError(6005), "", core.InDoubt, "close"},
		"cut at commit":                    {"sqlserver", insert, "COMMIT", io.ErrUnexpectedEOF, "", core.InDoubt, "close"},
		"cut before commit":                {"sqlserver", insert, "[cf_mx]", io.ErrUnexpectedEOF, "", core.Unavailable, "close"},
		"a login that may not begin":       {"sqlserver", insert, "BEGIN", mssqlError(916), "", core.Invalid, "ROLLBACK"},
		"oracle: a taken key":              {"oracle", insert, `"CF_MX"`, oraError(1, "ORA-00001: unique constraint (HIS.PK) violated"), "duplicate", "", "ROLLBACK"},
		"oracle: a taken key at commit":    {"oracle", insert, "COMMIT", oraError(2091, "ORA-02091: transaction rolled back\nORA-00001: unique constraint (HIS.PK) violated"), "duplicate", "", ""},
		"oracle: the HIS said no":          {"oracle", procedure, "begin", oraError(20001, "ORA-20001: 药品库存不足\nORA-06512: at line 1"), "fault", "", ""},
		"oracle: a too long value":         {"oracle", insert, `"CF"`, oraError(12899, "ORA-12899: value too large for column X"), "", core.Invalid, "ROLLBACK"},
		"oracle: wrong arguments":          {"oracle", procedure, "begin", oraError(6550, "ORA-06550: line 1"), "", core.Invalid, ""},
		"oracle: a bad value in procedure": {"oracle", procedure, "begin", oraError(1722, "ORA-01722: 秘密"), "", core.InDoubt, ""},
		"oracle: package was recompiled":   {"oracle", procedure, "begin", oraError(4068, "ORA-04068: existing state of packages has been discarded"), "", core.Unavailable, ""},
		"oracle: a lock that is held":      {"oracle", insert, `"CF"`, oraError(54, "ORA-00054: resource busy"), "", core.Unavailable, "ROLLBACK"},
		"oracle: killed before commit":     {"oracle", insert, `"CF"`, oraError(28, "ORA-00028: killed"), "", core.Unavailable, "close"},
		"oracle: killed at commit":         {"oracle", insert, "COMMIT", oraError(3113, "ORA-03113"), "", core.InDoubt, "close"},
		"oracle: nobody knows this one":    {"oracle", query, "from t", oraError(31999, "ORA-31999: 秘密"), "", core.InDoubt, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := &recorded{answer: func(call string) (*result, error) {
				if strings.Contains(call, c.at) && !strings.Contains(call, "nls_") {
					return nil, c.err
				}
				return nil, nil
			}}
			x := opened(t, c.driver, d)
			r, err := x.Call(t.Context(), c.q)
			if r.Error != c.error || c.error == "" && (err == nil || core.ClassOf(err) != c.class) || c.error != "" && err != nil {
				t.Errorf("answer %q, fault %v", r.Error, err)
			}
			if err != nil && strings.Contains(err.Error(), "秘密") {
				t.Errorf("the fault shows a value: %v", err)
			}
			if c.error == "fault" && strings.Contains(fmt.Sprint(r.Body), "ORA-") {
				t.Errorf("the HIS's words are %v", r.Body)
			}
			if last := d.calls[len(d.calls)-1]; c.calls != "" && last != c.calls {
				t.Errorf("the last call is %s, must be %s", last, c.calls)
			}
		})
	}
}

// A farewell would commit what is open: the connection must be cut first.
func TestOracleIsLeftWithoutAFarewellInATransaction(t *testing.T) {
	d := &recorded{}
	d.answer = func(call string) (*result, error) {
		if strings.HasPrefix(call, "insert") {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, nil
	}
	c := opened(t, "oracle", d)
	if _, err := c.Call(t.Context(), prescription("RX1")); core.ClassOf(err) != core.Unavailable {
		t.Error(err)
	}
	if d.calls[len(d.calls)-1] != "close" || slices.Contains(d.calls, "farewell") {
		t.Error(d.calls)
	}
	// Outside of a transaction it is the polite way.
	d.answer = nil
	if _, err := c.Call(t.Context(), core.Request{Operation: "select 1 from dual"}); err != nil {
		t.Error(err)
	}
	c.Close()
	if !slices.Contains(d.calls, "farewell") {
		t.Error(d.calls)
	}
}

// A driver that waits for a server's word on the cancelling is not waited for.
func TestASilentServerIsLeft(t *testing.T) {
	for _, name := range []string{"sqlserver", "oracle"} {
		d := &recorded{}
		ctx, cancel := context.WithCancel(t.Context())
		d.answer = func(call string) (*result, error) {
			if !strings.Contains(call, "from t") {
				return nil, nil
			}
			cancel()
			_, err := d.wire.Read(make([]byte, 1))
			return nil, err
		}
		c := opened(t, name, d)
		begun := time.Now()
		_, err := c.Call(ctx, core.Request{Operation: "select 1 from t"})
		if core.ClassOf(err) != core.InDoubt || !errors.Is(err, context.Canceled) || time.Since(begun) > 5*time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(begun))
		}
		cancel()
	}
}

// Oracle writes a ? for what its charset lacks, and says nothing.
func TestOracleCharset(t *testing.T) {
	d := &recorded{answer: func(call string) (*result, error) {
		if strings.Contains(call, "NLS_CHARACTERSET") {
			return &result{columns: []string{"VALUE"}, types: []string{"NCHAR"}, values: [][]driver.Value{{"ZHS16GBK"}}}, nil
		}
		return nil, nil
	}}
	c := opened(t, "oracle", d)
	q := core.Request{Operation: "insert", Body: tree{field("t", tree{field("xm", "阿卜·𠮷测试")})}}
	if _, err := c.Call(t.Context(), q); core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), "U+20BB7") {
		t.Error(err)
	}
	q.Body = tree{field("t", tree{field("xm", "张三测试")})}
	if _, err := c.Call(t.Context(), q); err != nil {
		t.Error(err)
	}
}

func clockOf(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05.99", text)
	if err != nil {
		panic(err)
	}
	return t
}
