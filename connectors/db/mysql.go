package db

import (
	"context"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"

	"hishub/connectors/option"
	"hishub/connectors/wire"
)

func mysqlEngine(s *option.Set, dsn, schema string, o wire.Options) engine {
	e := engine{
		syntax: syntax{
			backslash: true, hash: true, question: true,
			placeholder: func(int) string { return "?" },
			quote:       func(name string) string { return "`" + name + "`" },
			rowsAtOnce:  100, valuesAtOnce: 65535,
		},
		call:      callMySQL,
		returning: returningMySQL,
		generator: generatorMySQL,
		judge:     judgeMySQL,
		piecemeal: true,
		settle:    "commit",
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		s.Problem("dsn", "not like user:password@tcp(host:3306)/database")
		return e
	}
	// The text protocol brings values as the database spells them. It needs
	// parameters inside the statement, which is safe in UTF-8 only.
	config.InterpolateParams = true
	config.ParseTime = false
	config.MultiStatements = false
	config.ClientFoundRows = true // an update touches what it finds, as everywhere else
	config.AllowAllFiles = false
	config.Logger = silence{}
	if err := config.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		s.Problem("dsn", "the connection must be able to speak utf8mb4")
	}
	if config.Params == nil {
		config.Params = map[string]string{}
	}
	// Without it a too long name is cut and a bad amount becomes 0, with a mere warning.
	config.Params["sql_mode"] = "concat(@@sql_mode, ',STRICT_ALL_TABLES')"
	config.Params["autocommit"] = "1" // else what no procedure ends is never committed
	if schema != "" {
		config.DBName = schema
	}
	if o.TLS != nil {
		config.TLS = o.TLS.Clone()
		if host, _, err := net.SplitHostPort(config.Addr); err == nil && config.TLS.ServerName == "" {
			config.TLS.ServerName = host
		}
	}
	e.connect = func(ctx context.Context) (session, error) { return dialMySQL(ctx, config.Clone(), o) }
	return e
}

type silence struct{}

func (silence) Print(...any) {}

func dialMySQL(ctx context.Context, config *mysql.Config, o wire.Options) (session, error) {
	d := &dialling{Options: o, until: ctx}
	config.DialFunc = d.DialContext
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, errors.New("the dsn cannot be used")
	}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, d.failed(ctx, err, judgeMySQL)
	}
	d.connected()
	return &driven{driver: c, wire: d.wire, judge: judgeMySQL, text: textMySQL}, nil
}

func textMySQL(v driver.Value, of column) string {
	switch v := v.(type) {
	case []byte:
		switch of.databaseType {
		case "BINARY", "VARBINARY", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "GEOMETRY", "VECTOR":
			return hex.EncodeToString(v)
		case "BIT":
			var n uint64
			for _, b := range v {
				n = n<<8 | uint64(b)
			}
			return strconv.FormatUint(n, 10)
		}
		return string(v)
	case float32:
		return strconv.FormatFloat(float64(v), 'f', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// callMySQL keeps out parameters in variables of the session and asks for them
// in a second statement.
func callMySQL(name string, ps []parameter, args []*string) ([]statement, error) {
	var sets, marks, outs []string
	var setArgs, callArgs []*string
	for i, p := range ps {
		variable := fmt.Sprintf("@hishub_%d", i+1)
		if p.out {
			outs = append(outs, variable)
		}
		if !p.in {
			marks = append(marks, variable)
			continue
		}
		a := args[0]
		args = args[1:]
		if p.out {
			sets = append(sets, variable+" = ?")
			setArgs = append(setArgs, a)
			marks = append(marks, variable)
		} else {
			marks = append(marks, "?")
			callArgs = append(callArgs, a)
		}
	}
	var statements []statement
	if len(sets) > 0 {
		statements = append(statements, statement{sql: "set " + strings.Join(sets, ", "), args: setArgs, harmless: true})
	}
	statements = append(statements, statement{sql: "call " + name + "(" + strings.Join(marks, ", ") + ")", args: callArgs})
	if len(outs) > 0 {
		statements = append(statements, statement{sql: "select " + strings.Join(outs, ", ")})
	}
	return statements, untyped(ps)
}

// returningMySQL asks in a statement of its own, which MySQL and MariaDB both know.
// last_insert_id() stays what it was where a table generates nothing, so it is set
// to nothing first. A table has one key of this kind at most.
func returningMySQL(st statement) ([]statement, error) {
	if len(st.gives) > 1 {
		return nil, errors.New("a table of this database generates one key only: " + st.gives[0].String() + " or " + st.gives[1].String())
	}
	ask := statement{sql: "select last_insert_id()", gives: st.gives, harmless: true}
	st.gives = nil
	return []statement{{sql: "do last_insert_id(0)", harmless: true}, st, ask}, nil
}

// columnMySQL is how a message ends that says where a value does not fit.
var columnMySQL = regexp.MustCompile("(?i) for column ('[^']+'|(?:`[^`]+`\\.)*`[^`]+`) at row \\d+$")

// judgeMySQL goes by the numbers that MySQL and MariaDB share (their manuals'
// lists of server errors).
func judgeMySQL(err error) *refusal {
	var m *mysql.MySQLError
	if !errors.As(err, &m) {
		return nil
	}
	r := &refusal{code: "error " + strconv.Itoa(int(m.Number)), words: m.Message}
	switch m.Number {
	case 1044, 1046, 1305, 1318, 1370:
		r.unstarted = true
	}
	switch m.Number {
	case 1022, 1062, 1586:
		r.meaning = duplicate
	case 1644:
		r.meaning = raised
		r.code = string(m.SQLState[:])
	case 1044, 1045, 1046, 1048, 1049, 1054, 1093, 1111, 1136, 1142, 1143, 1146, 1227, 1241, 1242, 1305, 1318, 1364, 1370, 1451, 1452:
		r.meaning = unfit
		r.public = m.Message // names objects only
	case 1052, 1064, 1065, 1109, 1153, 1264, 1265, 1292, 1300, 1365, 1366, 1406, 1411, 1690, 1977, 3819, 4025:
		r.meaning = unfit // the message repeats values, before the column
		if column := columnMySQL.FindStringSubmatch(m.Message); column != nil {
			r.public = "column " + strings.NewReplacer("`", "", "'", "").Replace(column[1])
		}
	case 1040, 1047, 1203, 1205, 1213, 1226, 1290, 1317, 1792, 1836, 1969, 3024:
		r.meaning = later
	case 1053, 1077, 1079, 1080, 1152, 1159, 1160, 1161, 1927:
		r.meaning = severed
	}
	return r
}
