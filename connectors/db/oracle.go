package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	ora "github.com/sijms/go-ora/v2"
	"github.com/sijms/go-ora/v2/configurations"
	"github.com/sijms/go-ora/v2/network"

	"hishub/connectors/charset"
	"hishub/connectors/option"
	"hishub/connectors/wire"
)

func oracle(s *option.Set, dsn, schema string, o wire.Options) engine {
	e := engine{
		syntax: syntax{
			alternate: true,
			// Oracle takes what is bound in the order of the text, so a name that
			// occurs again is bound again.
			placeholder: func(n int) string { return ":" + strconv.Itoa(n) },
			// In capitals, as Oracle itself reads names without quotes.
			quote:      func(name string) string { return `"` + strings.ToUpper(name) + `"` },
			rowsAtOnce: 1, valuesAtOnce: 1000,
		},
		call:      callOracle,
		returning: returningOracle,
		judge:     judgeOracle,
		handsOut:  true,
		piecemeal: true,
	}
	config, err := ora.ParseConfig(dsn)
	if err != nil {
		s.Problem("dsn", "not like oracle://user:password@host:1521/service")
		return e
	}
	config.TraceFilePath, config.TraceDir = "", ""
	if config.ProgramName == "" {
		config.ProgramName = "hishub"
	}
	if o.TLS != nil {
		if o.TLS.ServerName != "" {
			s.Problem("tls.server_name", "leave it out: the certificate must be for the host of the dsn")
		}
		config.SSL, config.Protocol = true, "tcps"
	}
	e.connect = func(ctx context.Context) (session, error) {
		c := *config
		if o.TLS != nil {
			c.TLSConfig = o.TLS.Clone() // the driver writes into it
		}
		return dialOracle(ctx, &c, schema, o)
	}
	return e
}

// settings make text of a session's own way to write dates and decimals into
// the one way in which folders do.
const settings = `alter session set nls_numeric_characters = '.,' nls_date_format = 'YYYY-MM-DD HH24:MI:SS'` +
	` nls_timestamp_format = 'YYYY-MM-DD HH24:MI:SS.FF' nls_timestamp_tz_format = 'YYYY-MM-DD HH24:MI:SS.FFTZH:TZM'`

func dialOracle(ctx context.Context, config *configurations.ConnectionConfig, schema string, o wire.Options) (session, error) {
	d := &dialling{Options: o, until: ctx}
	config.Dialer = d
	c, err := ora.NewConnection("", config)
	if err != nil {
		return nil, errors.New("the dsn cannot be used")
	}
	if err := c.OpenWithContext(ctx); err != nil {
		return nil, d.failed(ctx, err, judgeOracle)
	}
	d.connected()
	s := oracleSession(c, d.wire)
	if err := s.prepare(ctx, schema); err != nil {
		s.close()
		return nil, d.failed(ctx, err, judgeOracle)
	}
	return s.driven, nil
}

// oracled is a session that knows the database's charset.
type oracled struct {
	*driven
	charset *charset.Charset // nil holds every character
	// open asks for the rows of a cursor that came out.
	open func(*ora.RefCursor) (driver.Rows, error)
}

func oracleSession(c driver.Conn, w *wire.Conn) *oracled {
	s := &oracled{driven: &driven{
		driver: c, wire: w, judge: judgeOracle, text: textOracle,
		ownTransactions: true, abrupt: true,
	}, open: func(c *ora.RefCursor) (driver.Rows, error) { return c.Query() }}
	s.execute = s.exec
	return s
}

func (s *oracled) prepare(ctx context.Context, schema string) error {
	statements := []string{settings}
	if schema != "" {
		statements = append(statements, `alter session set current_schema = "`+strings.ToUpper(schema)+`"`)
	}
	for _, sql := range statements {
		if _, err := s.run(ctx, statement{sql: sql}); err != nil {
			return err
		}
	}
	r, err := s.run(ctx, statement{sql: "select value from nls_database_parameters where parameter = 'NLS_CHARACTERSET'"})
	if err != nil {
		return err
	}
	if len(r.values) == 1 && r.values[0][0] != nil && strings.HasPrefix(*r.values[0][0], "ZHS16") {
		s.charset, err = charset.New("GBK", "refuse")
	}
	return err
}

// kind is how a value is bound.
type kind int

const (
	asText kind = iota
	asCLOB
	outText
	inOutText
	outCLOB
	outCursor
)

const (
	// outSize is the most characters of an out parameter that is no clob; the
	// driver asks for four bytes each, of the 32,767 of a VARCHAR2.
	outSize = 4000
	// longText is where a value goes as a CLOB: it may double in the server's charset.
	longText = 16000
)

var selects = regexp.MustCompile(`(?i)^\W*(select|with)\b`)

// exec runs what brings no rows, and gives what was bound as out as one row.
func (s *oracled) exec(ctx context.Context, _ *driven, st statement) (rows, bool, error) {
	if err := s.fits(st.args); err != nil {
		return rows{}, true, err
	}
	if selects.MatchString(st.sql) {
		return rows{}, false, nil
	}
	args := texts(st.args)
	var outs []any
	for i := range args {
		k := asText
		if i < len(st.kinds) {
			k = st.kinds[i]
		}
		var dest any
		text, _ := args[i].Value.(string)
		switch {
		case k == outText || k == inOutText:
			dest = &sql.NullString{String: text, Valid: args[i].Value != nil}
			args[i].Value = ora.Out{Dest: dest, Size: outSize, In: k == inOutText}
		case k == outCLOB:
			dest = &ora.Clob{}
			args[i].Value = ora.Out{Dest: dest, Size: 1 << 20}
		case k == outCursor:
			dest = &ora.RefCursor{}
			args[i].Value = ora.Out{Dest: dest}
		case (k == asCLOB || len(text) > longText) && args[i].Value != nil:
			args[i].Value = ora.Clob{String: text, Valid: true}
		}
		if dest != nil {
			outs = append(outs, dest)
		}
	}
	touched, err := s.counted(ctx, st.sql, args)
	if err != nil || len(outs) == 0 {
		touched.counted = st.counts
		return touched, true, err
	}
	r := rows{columns: make([]string, len(outs)), values: [][]*string{make([]*string, len(outs))}}
	for i, o := range outs {
		cursor, ok := o.(*ora.RefCursor)
		if !ok {
			r.values[0][i] = read(o)
			continue
		}
		if r.cursors == nil {
			r.cursors = map[int]rows{}
		}
		if r.cursors[i], err = s.opened(cursor); err != nil {
			return rows{}, true, err
		}
	}
	return r, true, nil
}

// opened reads a cursor to its end. The procedure has run by then, so whatever the
// database says of the reading tells nothing of what the procedure did.
func (s *oracled) opened(cursor *ora.RefCursor) (rows, error) {
	result, err := s.open(cursor)
	var r rows
	if err == nil {
		r, err = s.all(result)
	}
	refused := judgeOracle(err)
	switch {
	case refused == nil || refused.meaning == severed:
		return r, err
	case notOpened(refused):
		return rows{}, nil
	}
	return rows{}, &refusal{code: refused.code, public: refused.public}
}

// read gives what an out parameter brought; Oracle's empty text is NULL.
func read(out any) *string {
	text, valid := "", false
	switch o := out.(type) {
	case *sql.NullString:
		text, valid = o.String, o.Valid
	case *ora.Clob:
		text, valid = o.String, o.Valid
	}
	if !valid || text == "" {
		return nil
	}
	return &text
}

// fits refuses characters that the database's charset lacks: Oracle would store
// a ? and say nothing.
func (s *oracled) fits(args []*string) error {
	if s.charset == nil {
		return nil
	}
	for _, a := range args {
		if a == nil {
			continue
		}
		if _, err := s.charset.Encode(nil, *a); err != nil {
			return &refusal{meaning: unfit, unstarted: true, code: "its charset", public: err.Error()}
		}
	}
	return nil
}

func textOracle(v driver.Value, of column) string {
	switch v := v.(type) {
	case string:
		if of.databaseType == "NUMBER" && of.hasScale {
			return scaled(v, of.scale)
		}
		return v
	case []byte:
		return hex.EncodeToString(v)
	case time.Time:
		switch of.databaseType {
		case "TIMESTAMPTZ", "TimeStampTZ_DTY":
			return clock(v, "2006-01-02 15:04:05") + v.Format("-07:00")
		}
		return clock(v, "2006-01-02 15:04:05")
	case float32:
		return strconv.FormatFloat(float64(v), 'f', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// scaled gives a NUMBER(12,2) the zeros that Oracle does not keep. 255 is the
// scale of a NUMBER that has none.
func scaled(number string, scale int64) string {
	if scale <= 0 || scale > 38 || strings.ContainsAny(number, "eE") {
		return number
	}
	_, fraction, ok := strings.Cut(number, ".")
	if !ok {
		number += "."
	}
	return number + strings.Repeat("0", max(0, int(scale)-len(fraction)))
}

// callOracle writes a block. A text will do for most types; an xmltype or clob
// must be named as such. What is bound stands in the block in its order.
func callOracle(name string, ps []parameter, args []*string) ([]statement, error) {
	var b block
	for i, p := range ps {
		var value *string
		if p.in {
			value, args = args[0], args[1:]
		}
		if err := b.parameter(i+1, p, value); err != nil {
			return nil, err
		}
	}
	call := name
	if len(b.marks) > 0 {
		call += "(" + strings.Join(b.marks, ", ") + ")"
	}
	sql := "begin " + call + "; end;"
	if len(b.after) > 0 {
		// Read back behind the call, so numbered last.
		sql = "begin " + call + ";"
		for _, variable := range b.after {
			sql += " if " + variable + " is not null then " + b.bind(nil, outCLOB) + " := " + variable + ".getclobval(); end if;"
		}
		sql = "declare " + strings.Join(b.declared, " ") + " " + sql + " end;"
	}
	return []statement{{sql: sql, args: b.args, kinds: b.kinds}}, nil
}

type block struct {
	declared, marks, after []string
	args                   []*string
	kinds                  []kind
}

func (b *block) bind(value *string, k kind) string {
	b.args, b.kinds = append(b.args, value), append(b.kinds, k)
	return ":" + strconv.Itoa(len(b.args))
}

func (b *block) parameter(n int, p parameter, value *string) error {
	switch p.typ {
	case "":
		k := asText
		switch {
		case p.in && p.out:
			k = inOutText
		case p.out:
			k = outText
		}
		b.marks = append(b.marks, b.bind(value, k))
	case "clob":
		k := asCLOB
		switch {
		case p.in && p.out:
			return fmt.Errorf("parameter %s: an inout clob is not known yet", p.name)
		case p.out:
			k = outCLOB
		}
		b.marks = append(b.marks, b.bind(value, k))
	case "xmltype":
		switch {
		case p.in && p.out:
			return fmt.Errorf("parameter %s: an inout xmltype is not known yet", p.name)
		case p.out:
			variable := "x" + strconv.Itoa(n)
			b.declared = append(b.declared, variable+" sys.xmltype;")
			b.after = append(b.after, variable)
			b.marks = append(b.marks, variable)
		case value == nil:
			b.marks = append(b.marks, "null")
		default:
			b.marks = append(b.marks, "sys.xmltype.createxml("+b.bind(value, asCLOB)+")")
		}
	case cursorType:
		if p.in {
			return fmt.Errorf("parameter %s: write out %s cursor; nothing is given in it", p.name, p.name)
		}
		b.marks = append(b.marks, b.bind(nil, outCursor))
	default:
		return fmt.Errorf("parameter %s: its type may be xmltype, clob or cursor; leave others out", p.name)
	}
	return nil
}

func returningOracle(st statement) ([]statement, error) {
	st.kinds = make([]kind, len(st.args))
	marks := make([]string, len(st.gives))
	for i := range st.gives {
		st.args, st.kinds = append(st.args, nil), append(st.kinds, outText)
		marks[i] = ":" + strconv.Itoa(len(st.args))
	}
	st.sql += " returning " + columnsOfKeys(st.gives, func(c string) string { return `"` + strings.ToUpper(c) + `"` }) + " into " + strings.Join(marks, ", ")
	return []statement{st}, nil
}

// rolledBack is what COMMIT says when a deferred constraint did not hold; the
// next line names it.
const rolledBack = 2091

var nested = regexp.MustCompile(`\nORA-(\d{5}):[^\n]*`)

// judgeOracle goes by the ORA- numbers (Oracle Database Error Messages).
func judgeOracle(err error) *refusal {
	var own *refusal
	if errors.As(err, &own) {
		return own
	}
	var o *network.OracleError
	if !errors.As(err, &o) {
		return nil
	}
	number, words := o.ErrCode, o.ErrMsg
	if m := nested.FindStringSubmatch(words); number == rolledBack && m != nil {
		number, _ = strconv.Atoi(m[1])
		words = strings.TrimSpace(m[0])
	}
	words, _, _ = strings.Cut(words, "\n")
	r := &refusal{code: fmt.Sprintf("ORA-%05d", number), words: words}
	switch n := number; {
	case n == 1:
		r.meaning = duplicate
	case n >= 20000 && n <= 20999:
		r.meaning = raised
		r.code = strconv.Itoa(n)
		r.words = strings.TrimSpace(strings.TrimPrefix(words, fmt.Sprintf("ORA-%05d:", n)))
	default:
		r.meaning = oracleMeanings[n]
		if 900 <= n && n < 1000 {
			r.meaning = unfit
		}
	}
	switch number {
	case 904, 942, 1031, 1400, 1407, 6550, 6564, 12899, 4043:
		r.public = words // names objects only
	}
	switch number {
	case 900, 911, 942, 1008, 1031, 6550, 6564, 4043, 4061, 4065, 4068:
		r.unstarted = true
	}
	return r
}

var oracleMeanings = map[int]meaning{
	1008: unfit, 1031: unfit, 1036: unfit, 1400: unfit, 1401: unfit, 1407: unfit, 1438: unfit, 1461: unfit, 1722: unfit, 1745: unfit,
	1830: unfit, 1839: unfit, 1840: unfit, 1841: unfit, 1843: unfit, 1847: unfit, 1858: unfit, 1861: unfit, 2289: unfit, 2290: unfit,
	2291: unfit, 2292: unfit, 4043: unfit, 6502: unfit, 6550: unfit, 6564: unfit, 12704: unfit, 12899: unfit, 31011: unfit, 31013: unfit,

	18: later, 20: later, 51: later, 54: later, 60: later, 257: later, 1555: later, 1653: later, 1654: later, 4020: later, 4021: later,
	// A package was compiled anew under the session: nothing of the call ran.
	4061: later, 4065: later, 4068: later,
	8177: later, 12519: later, 12520: later, 16000: later, 30006: later, 30036: later,

	28: severed, 600: severed, 603: severed, 1012: severed, 1033: severed, 1034: severed, 1089: severed, 1090: severed, 1092: severed,
	2396: severed, 3113: severed, 3114: severed, 3135: severed, 12528: severed, 12537: severed, 12571: severed,
}
