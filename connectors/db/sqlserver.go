package db

import (
	"context"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"hishub/connectors/option"
	"hishub/connectors/wire"
)

func sqlserver(s *option.Set, dsn, schema string, o wire.Options) engine {
	e := engine{
		syntax: syntax{
			bracket:     true,
			numbered:    true,
			placeholder: func(n int) string { return "@p" + strconv.Itoa(n) },
			quote:       func(name string) string { return "[" + name + "]" },
			rowsAtOnce:  100, valuesAtOnce: 2000, // of 2100 parameters
		},
		call:      callSQLServer,
		returning: returningSQLServer,
		generator: generatorSQLServer,
		judge:     judgeSQLServer,
		piecemeal: true,
		settle:    "if @@trancount > 0 commit",
	}
	if schema != "" {
		s.Problem("schema", "leave it out: write SCHEMA.TABLE; SQL Server knows no other schema than the login's")
	}
	config, err := msdsn.Parse(dsn)
	if err != nil || config.Host == "" {
		s.Problem("dsn", "not like sqlserver://user:password@host:1433?database=his&encrypt=true")
		return e
	}
	config.DisableRetry = true
	config.LogFlags = 0
	if config.AppName == "" || config.AppName == "go-mssqldb" {
		config.AppName = "hishub"
	}
	if o.TLS != nil {
		config.TLSConfig = o.TLS.Clone()
		config.TLSConfig.DynamicRecordSizingDisabled = true // SQL Server expects one record a packet
		if config.TLSConfig.ServerName == "" {
			config.TLSConfig.ServerName = config.Host
		}
		if config.Encryption != msdsn.EncryptionStrict {
			config.Encryption = msdsn.EncryptionRequired
		}
	}
	e.connect = func(ctx context.Context) (session, error) { return dialSQLServer(ctx, config, o) }
	return e
}

// hostDialling also resolves names, so that the driver does not do it without a deadline.
type hostDialling struct {
	*dialling
	host string
}

func (d hostDialling) HostName() string { return d.host }

func dialSQLServer(ctx context.Context, config msdsn.Config, o wire.Options) (session, error) {
	d := &dialling{Options: o, until: ctx}
	connector := mssql.NewConnectorConfig(config)
	connector.Dialer = hostDialling{d, config.Host}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, d.failed(ctx, err, judgeSQLServer)
	}
	d.connected()
	s := sqlserverSession(c, d.wire)
	// Else 2026-01-05 is the first of May where the login's language has it so.
	if _, err := s.run(ctx, statement{sql: "set dateformat ymd"}); err != nil {
		s.close()
		return nil, d.failed(ctx, err, judgeSQLServer)
	}
	return s, nil
}

func sqlserverSession(c driver.Conn, w *wire.Conn) *driven {
	return &driven{driver: c, wire: w, judge: judgeSQLServer, text: textSQLServer, ownTransactions: true}
}

func textSQLServer(v driver.Value, of column) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		if v {
			return "1"
		}
		return "0"
	case []byte:
		switch of.databaseType {
		case "DECIMAL", "MONEY", "SMALLMONEY":
			return string(v)
		case "UNIQUEIDENTIFIER":
			var u mssql.UniqueIdentifier
			if u.Scan(v) == nil {
				return u.String()
			}
		}
		return hex.EncodeToString(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case time.Time:
		switch of.databaseType {
		case "DATE":
			return v.Format("2006-01-02")
		case "TIME":
			return clock(v, "15:04:05")
		case "DATETIMEOFFSET":
			return clock(v, "2006-01-02 15:04:05") + v.Format("-07:00")
		}
		return clock(v, "2006-01-02 15:04:05")
	}
	return fmt.Sprint(v)
}

// callSQLServer keeps out parameters in variables of the batch, whose last
// statement asks for them. They are text unless the folder names a type: the
// server turns all but money into text by itself.
func callSQLServer(name string, ps []parameter, args []*string) ([]statement, error) {
	var declared, marks, outs []string
	n := 0
	for i, p := range ps {
		mark := ""
		if p.in {
			n++
			mark = "@p" + strconv.Itoa(n)
		}
		if p.out {
			variable := "@o" + strconv.Itoa(i+1)
			typ, out := "nvarchar(max)", variable
			if p.typ != "" {
				typ, out = p.typ, asTextSQLServer(p.typ, variable)
			}
			declaration := variable + " " + typ
			if p.in {
				declaration += " = " + mark
			}
			declared = append(declared, declaration)
			outs = append(outs, out)
			mark = variable + " output"
		}
		marks = append(marks, mark)
	}
	sql := strings.TrimSpace("exec " + name + " " + strings.Join(marks, ", "))
	if len(outs) > 0 {
		sql = "declare " + strings.Join(declared, ", ") + "; " + sql + "; select " + strings.Join(outs, ", ")
	}
	return []statement{{sql: sql, args: args}}, nil
}

func asTextSQLServer(typ, variable string) string {
	switch {
	case strings.Contains(typ, "date") || typ == "time":
		return "convert(nvarchar(max), " + variable + ", 121)"
	case typ == "money" || typ == "smallmoney":
		return "convert(nvarchar(max), " + variable + ", 2)" // all four decimals
	}
	return "convert(nvarchar(max), " + variable + ")"
}

// returningSQLServer asks in the same batch, so that a key that a trigger made is
// not taken for ours.
func returningSQLServer(st statement) ([]statement, error) {
	if len(st.gives) > 1 {
		return nil, errors.New("a table of this database generates one key only: " + st.gives[0].String() + " or " + st.gives[1].String())
	}
	st.sql += "; select convert(nvarchar(40), scope_identity())"
	return []statement{st}, nil
}

// judgeSQLServer goes by the numbers of sys.messages (SQL Server manual,
// "Database engine events and errors"). Several may come at once, the first of
// which is the cause.
func judgeSQLServer(err error) *refusal {
	var e mssql.Error
	if !errors.As(err, &e) {
		return nil
	}
	all := e.All
	if len(all) == 0 {
		all = []mssql.Error{e}
	}
	var r *refusal
	for _, e := range all {
		next := judgeNumber(e)
		if r == nil || r.meaning == doubtful || next.meaning == severed {
			r = next
		}
	}
	return r
}

func judgeNumber(e mssql.Error) *refusal {
	r := &refusal{code: "error " + strconv.Itoa(int(e.Number)), words: e.Message}
	switch e.Number {
	case 102, 137, 156, 201, 229, 230, 916, 2812, 4060, 8144, 8145:
		r.unstarted = e.ProcName == ""
	}
	switch {
	case e.Class >= 20:
		r.meaning = severed
		return r
	case e.Number >= 50000:
		r.meaning = raised
		r.code = strconv.Itoa(int(e.Number))
		return r
	}
	switch e.Number {
	case 2601, 2627:
		r.meaning = duplicate
	case 102, 137, 156, 201, 207, 208, 213, 229, 230, 262, 515, 911, 916, 2812, 4060, 4104, 4121, 8144, 8145, 8146:
		r.meaning = unfit
		r.public = e.Message // names objects only
	case 206, 220, 241, 242, 244, 245, 248, 257, 260, 273, 295, 296, 529, 544, 547, 2628, 8114, 8115, 8152, 8169, 9402, 9420:
		r.meaning = unfit // the message may repeat values
	case 701, 802, 1105, 1204, 1205, 1222, 3906, 3960, 8645, 8651, 9002, 10928, 10929, 40197, 40501, 40613:
		r.meaning = later
	case 596, 6005, 17142, 17148:
		r.meaning = severed // killed, shutting down
	}
	return r
}
