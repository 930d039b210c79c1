package bill_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"hishub/connectors/bill"
	"hishub/core"
)

const (
	number = iota
	amount
	fee
	at
	note
)

var columns = []bill.Column{
	bill.Need("订单号", "单号"), bill.Need("金额"), bill.May("手续费"), bill.Need("时间"), bill.May("备注"),
}

// read gives the rows as text, and the first error.
func read(text string, split bill.Split) ([]string, error) {
	f := bill.NewFile("test bill", strings.NewReader(text))
	header, err := f.Next()
	if err != nil {
		return nil, err
	}
	table, err := bill.NewTable(f, header, split, columns)
	if err != nil {
		return nil, err
	}
	var rows []string
	for {
		line, err := f.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		row, err := table.Row(line)
		if err != nil {
			return rows, err
		}
		s := row.Needed(number) + " " + row.Yuan(amount).String() + " " + row.Fee(fee).String() + " " +
			row.Time(at, bill.TimeLayout, bill.Zone).Format(time.RFC3339) + " " + row.Text(note)
		if row.Err() != nil {
			return rows, row.Err()
		}
		rows = append(rows, s)
	}
}

func TestTableByHeaderNames(t *testing.T) {
	want := "IH1 46.19 -0.28000 2026-01-05T23:59:58+08:00 处方,缴费"
	for name, c := range map[string]struct {
		text  string
		split bill.Split
	}{
		"back-ticks, a mark, CRLF": {"\ufeff订单号,金额,手续费,时间,备注\r\n`IH1,`46.19,`-0.28000,`2026-01-05 23:59:58,`处方,缴费\r\n", bill.Ticked},
		"another order":            {"备注,时间,手续费,金额,订单号\n`处方,缴费,`2026-01-05 23:59:58,`-0.28000,`46.19,`IH1\n", bill.Ticked},
		"columns nobody wants":     {"门店,订单号,金额,手续费,时间,又,备注\n`1,`IH1,`46.19,`-0.28,`2026-01-05 23:59:58,`,`处方,缴费", bill.Ticked},
		"an older name":            {"单号,金额,手续费,时间,备注\n`IH1,`46.19,`-0.28000,`2026-01-05 23:59:58,`处方,缴费\n", bill.Ticked},
		"padded with tabs, quoted": {"订单号,金额,手续费,时间,备注\n \tIH1\t ,46.19 ,-0.28000,2026-01-05 23:59:58\t,\"处方,缴费\"\n", bill.Quoted},
		"bars":                     {"订单号|金额|手续费|时间|备注\nIH1|46.19|-0.28|2026-01-05 23:59:58|处方,缴费\n", bill.On('|')},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := read(c.text, c.split)
			if err != nil || len(rows) != 1 || rows[0] != want {
				t.Fatalf("%q, %v", rows, err)
			}
		})
	}
}

func TestFaultsNameTheLineAndNoContent(t *testing.T) {
	const head = "订单号,金额,手续费,时间\n"
	for name, c := range map[string]struct{ text, want string }{
		"a needed column":    {"订单号,手续费,时间\n", "test bill:1: no column 金额; ask for the bill in a form that has it"},
		"a column twice":     {"订单号,金额,金额,时间\n", "test bill:1: there are two columns 金额; ask the channel which one counts"},
		"too few cells":      {head + "`IH1,`46.19,`0.28\n", "test bill:2: 3 cells, but the header has 4"},
		"too many cells":     {head + "`IH1,`1,`0,`2026-01-05 00:00:00,`SECRET\n", "test bill:2: 5 cells, but the header has 4"},
		"no amount":          {head + "`IH1,`46.1SECRET,`0.28,`2026-01-05 00:00:00\n", "test bill:2: column 金额 is not an amount in yuan: not a decimal number"},
		"a part of a fen":    {head + "`IH1,`46.191,`0.28,`2026-01-05 00:00:00\n", "test bill:2: column 金额 is not an amount in yuan: amount has a part of a fen"},
		"a fee too fine":     {head + "`IH1,`46.19,`0.280001,`2026-01-05 00:00:00\n", "test bill:2: column 手续费 is not an amount in yuan: amount has more than five decimals"},
		"no time":            {head + "`IH1,`46.19,`0.28,`2026-02-30 00:00:00\n", "test bill:2: column 时间 is not a time like 2006-01-02 15:04:05"},
		"no number":          {head + "`\t,`46.19,`0.28,`2026-01-05 00:00:00\n", "test bill:2: column 订单号 is empty"},
		"no text":            {head + "`IH\xff,`46.19,`0.28,`2026-01-05 00:00:00\n", "test bill:2: the line holds bytes that are not text"},
		"a decoder's excuse": {head + "`IH\ufffd,`46.19,`0.28,`2026-01-05 00:00:00\n", "test bill:2: the line holds bytes that are not text"},
		"a line of no end":   {head + strings.Repeat("x", bill.MostLine*2), "test bill:2: the line is longer than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(c.text, bill.Ticked)
			var fault *core.BillFault
			if !errors.As(err, &fault) || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("%v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "IH1") || fault.Cure == "" {
				t.Fatalf("content, or no cure: %v", err)
			}
		})
	}
	if _, err := read("订单号,金额,手续费,时间\n\"IH1,1,2,3\n", bill.Quoted); err == nil || !strings.Contains(err.Error(), "bill:2: the row cannot be split") {
		t.Fatal(err)
	}
}

func TestMoney(t *testing.T) {
	for text, want := range map[string]core.Fen{
		"46.19": 4619, "-46.19": -4619, "0": 0, "0.0": 0, "21.5": 2150, "500": 50000, "10.00": 1000, "0.01": 1, "-0.01": -1,
		"10.000": 1000, "1234567890123.45": 123456789012345, "000015": 1500,
	} {
		if got, err := bill.Yuan([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		if core, err := core.ParseYuan(text); err != nil || core != want {
			t.Errorf("%s: core says %d, %v", text, core, err)
		}
	}
	for text, want := range map[string]core.Millifen{"0.28000": 28000, "-0.06": -6000, "0.00001": 1, "3": 300000} {
		if got, err := bill.Fee([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-", ".", "1.", ".1", "1.2.3", "--1", "+1", "1,024.00", "1e3", "0x1", " 1", "46.191", "99999999999999999999", "١"} {
		if got, err := bill.Yuan([]byte(text)); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

// FuzzMoney holds the fast way against core's.
func FuzzMoney(f *testing.F) {
	for _, s := range []string{"46.19", "-0.01", "1.", "000", "9223372036854775807", "-", "999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := bill.Yuan([]byte(s))
		want, wantErr := core.ParseYuan(s)
		if got != want || (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %d %v, core says %d %v", s, got, err, want, wantErr)
		}
		fee, err := bill.Fee([]byte(s))
		wantFee, wantErr := core.ParseMillifen(s)
		if fee != wantFee || (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %d %v, core says %d %v", s, fee, err, wantFee, wantErr)
		}
	})
}

func TestCheckedDoesNotWrap(t *testing.T) {
	var c bill.Checked
	const half = 1 << 62
	c.Add(half)
	c.Add(half)
	c.Add(half)
	c.Add(half)
	if c.Is(0) {
		t.Fatal("four times 2^62 came to 0")
	}
	var d bill.Checked
	d.Add(5)
	d.Add(-7)
	d.Add(0)
	if !d.Is(-2) {
		t.Fatal("5 - 7 is not -2")
	}
}

func TestBounded(t *testing.T) {
	text := strings.Repeat("x", 100)
	if b, err := io.ReadAll(bill.Bounded("b", strings.NewReader(text), 100)); err != nil || len(b) != 100 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	b, err := io.ReadAll(iotest.OneByteReader(bill.Bounded("b", strings.NewReader(text), 99)))
	var fault *core.BillFault
	if !errors.As(err, &fault) || len(b) != 99 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
}

func TestLongLinesAndLastLineWithoutEnd(t *testing.T) {
	long := strings.Repeat("长", 10_000) // longer than the reader's buffer
	f := bill.NewFile("b", strings.NewReader(long+"\r\nlast"))
	line, err := f.Next()
	if err != nil || string(line) != long {
		t.Fatalf("%d bytes, %v", len(line), err)
	}
	if line, err = f.Next(); err != nil || !bytes.Equal(line, []byte("last")) || f.Line() != 2 {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err = f.Next(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}
