// Package billfile reads bills that come as files into a folder: a bank drops
// one a day, or somebody exports what the medical insurance settled. How the
// file is written is configuration.
package billfile

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"hishub/connectors/bill"
	"hishub/connectors/charset"
	"hishub/connectors/option"
	"hishub/connectors/wire"
	"hishub/core"
)

// Connector is one folder in which bills appear. It implements core.Biller; money
// does not go back through it.
type Connector struct {
	folder      string
	name, ready template
	gb          bool // GB18030, of which GBK is a part
	split       bill.Split
	delimiter   string
	named       bool // the first row of the table has the names of its columns
	columns     map[string]string
	refunds     map[string]string // columns that refunds have elsewhere
	fen         bool
	layouts     []string
	types       map[string]kind
	first, last template
	unsigned    bool // sums add refunds instead of taking them off
	countAll    bool // counts are of all rows, ignored ones among them
	anyDay      bool
	channel     core.Channel // a folder names its channels by the way of paying
	maxBill     int64
}

// kind is what a row is.
type kind string

const (
	payment kind = "payment"
	refund  kind = "refund"
	ignored kind = "ignore"
)

// fields of an entry that a column may fill. date and at together are one
// moment, when day and time stand in columns of their own.
var fields = []string{"type", "number", "order_id", "channel_no", "his_no", "amount", "fee", "at", "date", "bill", "operator"}

// Open reads the options; it does not look at the folder. Errors are core.Problems.
func Open(spec core.ConnectorSpec) (core.Connector, error) {
	s := option.New(spec.Options)
	c := &Connector{folder: s.Needed("folder")}
	c.name = readTemplateOption(s, "name", template.checkName)
	if c.name == nil && spec.Options["name"] == nil {
		s.Problem("name", `missing; write it with its date, like "RBAS{yyyyMMdd}.txt"`)
	}
	c.ready = readTemplateOption(s, "ready", template.checkName)
	if text, err := charset.New(s.Text("charset", "UTF-8"), "refuse"); err != nil {
		s.Problem("charset", err.Error())
	} else {
		c.gb = text.Name() != "UTF-8"
	}
	c.delimiter = s.Text("delimiter", ",")
	if len(c.delimiter) != 1 || strings.ContainsAny(c.delimiter, "\"\r\n") {
		s.Problem("delimiter", `not one character like "|", "," or "\t"`)
	}
	if c.split = bill.Quoted; c.delimiter != "," && len(c.delimiter) == 1 {
		c.split = bill.On(c.delimiter[0])
	}
	c.named = s.OneOf("header", "names", "none") == "names"
	c.readColumns(s)
	c.fen = s.OneOf("unit", "yuan", "fen") == "fen"
	c.readTimes(s)
	c.readTypes(s)
	c.first = readTemplateOption(s, "first", template.checkSums)
	c.last = readTemplateOption(s, "last", template.checkSums)
	if c.first == nil && c.last == nil && c.ready == nil {
		s.Problem("first", "nothing tells a whole file from a cut one: write first or last, the line with the counts, or ready, the file that appears when the bill is whole")
	}
	c.unsigned = s.OneOf("sums", "signed", "unsigned") == "unsigned"
	c.countAll = s.OneOf("count", "rows", "money") == "rows"
	c.anyDay = s.OneOf("days", "same", "any") == "any"
	c.channel = core.Channel(strings.TrimPrefix(spec.Name, core.ChannelConnector(""))) // a hospital's connectors of channels are named so
	c.maxBill = s.Size("max_bill", 1<<30)
	if err := s.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func readTemplateOption(s *option.Set, name string, check func(template) error) template {
	text := s.Text(name, "")
	if text == "" {
		return nil
	}
	t, err := readTemplate(text)
	if err == nil {
		err = check(t)
	}
	if err != nil {
		s.Problem(name, err.Error())
	}
	return t
}

func (c *Connector) readColumns(s *option.Set) {
	read := func(option string) map[string]string {
		columns := map[string]string{}
		m := s.Map(option)
		if m == nil {
			return columns
		}
		for _, f := range fields {
			if m.Value(f) == nil {
				continue
			}
			columns[f] = m.Text(f, "")
			if n, err := strconv.Atoi(columns[f]); !c.named && columns[f] != "" && (err != nil || n < 1) {
				m.Problem(f, "not the number of a column, from 1 (header: none)")
			}
		}
		return columns
	}
	c.columns, c.refunds = read("columns"), read("refund_columns")
	if c.columns["amount"] == "" {
		s.Problem("columns.amount", "missing; a bill without amounts is none")
	}
	if c.columns["at"] == "" && c.columns["date"] == "" {
		s.Problem("columns.at", "missing; when did the money move?")
	}
	if c.columns["number"] == "" && c.columns["channel_no"] == "" && c.columns["his_no"] == "" {
		s.Problem("columns.number", "missing, and so are channel_no and his_no: which payment is a row?")
	}
	if c.refunds["type"] != "" || c.refunds["amount"] != "" {
		s.Problem("refund_columns", "type and amount stand in the same column for all rows")
	}
}

func (c *Connector) readTimes(s *option.Set) {
	var texts []string
	switch v := s.Value("times").(type) {
	case nil:
		texts = []string{"yyyy-MM-dd HH:mm:ss"}
	case string:
		texts = []string{v}
	case []any:
		for _, e := range v {
			t, ok := e.(string)
			if !ok {
				s.Problem("times", "not a layout, or a list of them")
			}
			texts = append(texts, t)
		}
	default:
		s.Problem("times", "not a layout, or a list of them")
	}
	for _, text := range texts {
		layout, err := timeLayout(text)
		if err != nil {
			s.Problem("times", err.Error())
		}
		c.layouts = append(c.layouts, layout)
	}
}

func (c *Connector) readTypes(s *option.Set) {
	v := s.Value("types")
	codes, ok := v.(map[string]any)
	if v != nil && !ok {
		s.Problem("types", "not a map of codes, like {3: payment, 6: refund, 1: ignore}")
	}
	c.types = map[string]kind{}
	names := make([]string, 0, len(codes))
	for code := range codes {
		names = append(names, code)
	}
	slices.Sort(names)
	for _, code := range names {
		k, _ := codes[code].(string)
		if c.types[code] = kind(k); !slices.Contains([]kind{payment, refund, ignored}, kind(k)) {
			s.Problem("types."+code, "not one of payment, refund, ignore")
		}
	}
	if (len(codes) > 0) != (c.columns["type"] != "") {
		s.Problem("types", "goes with columns.type, where the codes stand; without both, a negative amount is a refund")
	}
}

// Call implements core.Connector. A file takes no orders.
func (c *Connector) Call(_ context.Context, q core.Request) (core.Response, error) {
	return core.Response{}, wire.Invalid("file "+q.Operation,
		errors.New("this channel only gives files: money goes back by hand, at the bank's counter or window; write it off in the case when that is done"))
}

// Close implements core.Connector.
func (c *Connector) Close() error { return nil }
