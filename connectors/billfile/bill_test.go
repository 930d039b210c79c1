package billfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/connectors/bill"
	"hishub/core"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
)

const day = "2026-01-05"

// bank is a bank's file: no names, two dates, appointments among the money.
func bank() map[string]any {
	return map[string]any{
		"name": "RBAS{yyyyMMdd}.txt", "charset": "GB18030", "delimiter": "|", "header": "none",
		"columns": map[string]any{"number": 2, "amount": 3, "type": 4, "date": 6},
		"types":   map[string]any{"1": "ignore", "2": "ignore", "3": "payment", "4": "ignore", "5": "ignore", "6": "refund"},
		"times":   "yyyyMMdd", "first": "{date}|{count}|{amount}|",
	}
}

// insurance is an export: names, fen, reversals below zero, a line with the sums at the end.
func insurance() map[string]any {
	return map[string]any{
		"name": "yb_{yyyy-MM-dd}.csv", "charset": "GB18030", "unit": "fen", "times": []any{"yyyyMMdd HHmmss", "yyyyMMdd HH:mm:ss"},
		"columns": map[string]any{
			"number": "定点流水号", "channel_no": "结算流水号", "his_no": "结算流水号", "amount": "基金支付", "fee": "手续费",
			"date": "清算日期", "at": "结算时间", "operator": "操作员", "bill": "险种",
		},
		"refund_columns": map[string]any{"order_id": "原流水号", "his_no": ""},
		"last":           "合计,{count},{amount},{fee}",
	}
}

func open(t testing.TB, name string, options map[string]any) *Connector {
	t.Helper()
	if options["folder"] == nil {
		options["folder"] = t.TempDir()
	}
	c, err := Open(core.ConnectorSpec{Name: name, Kind: "file", Options: options})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Connector)
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\n", "\r\n")
}

func drop(t testing.TB, c *Connector, name, text string) {
	t.Helper()
	b, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.folder, name), []byte(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func collect(c *Connector, day string) ([]core.BillEntry, core.BillTotals, error) {
	var entries []core.BillEntry
	totals, err := c.Bill(context.Background(), day, func(e core.BillEntry) error {
		entries = append(entries, e)
		return nil
	})
	return entries, totals, err
}

func at(clock string) time.Time {
	t, _ := time.ParseInLocation(bill.TimeLayout, day+" "+clock, bill.Zone)
	return t
}

func TestBankFile(t *testing.T) {
	c := open(t, "bank", bank())
	drop(t, c, "RBAS20260105.txt", fixture(t, "bank.txt"))
	entries, totals, err := collect(c, day)
	if err != nil {
		t.Fatal(err)
	}
	want := []core.BillEntry{
		{Line: 3, LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "YY0001", Channel: "bank", Amount: 1500, State: core.EntryDone, At: at("00:00:00")}},
		{Line: 4, LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "YY0002", Channel: "bank", Amount: 4619, State: core.EntryDone, At: at("00:00:00")}},
		{Line: 5, LedgerEntry: core.LedgerEntry{Type: core.EntryRefund, Number: "TK0001", Channel: "bank", Amount: 1000, State: core.EntryDone, At: at("00:00:00")}},
	}
	if d := cmp.Diff(want, entries); d != "" {
		t.Error(d)
	}
	if totals.Payments != 2 || totals.PaymentAmount != 6119 || totals.Refunds != 1 || totals.RefundAmount != 1000 || len(totals.Digest) != 64 {
		t.Errorf("%+v", totals)
	}
}

func TestInsuranceFile(t *testing.T) {
	c := open(t, "insurance", insurance())
	drop(t, c, "yb_2026-01-05.csv", fixture(t, "insurance.csv"))
	entries, totals, err := collect(c, day)
	if err != nil {
		t.Fatal(err)
	}
	line := func(n int, kind core.EntryType, number, order, no, his string, amount core.Fen, fee core.Millifen, clock, what string) core.BillEntry {
		return core.BillEntry{Line: n, Fee: fee, LedgerEntry: core.LedgerEntry{
			Type: kind, Number: number, OrderID: order, HisNo: his, ChannelNo: no, Channel: "insurance", Operator: "net07", Amount: amount, State: core.EntryDone, At: at(clock), Bill: what,
		}}
	}
	want := []core.BillEntry{
		line(2, core.EntryPayment, "IH20260105000201", "", "YB330100000001", "YB330100000001", 2469, 12000, "10:00:09", "职工"),
		line(3, core.EntryPayment, "IH20260105000202", "", "YB330100000002", "YB330100000002", 10000, 0, "23:59:58", "居民"),
		line(4, core.EntryRefund, "IHR20260105000201", "IH20260105000201", "YB330100000003", "", 1000, -5000, "18:00:09", "职工"),
	}
	if d := cmp.Diff(want, entries); d != "" {
		t.Error(d)
	}
	if totals.Fee != 7000 || totals.PaymentAmount != 12469 || totals.RefundAmount != 1000 {
		t.Errorf("%+v", totals)
	}
}

func TestNotThere(t *testing.T) {
	options := bank()
	options["ready"] = "RBAS{yyyyMMdd}.ok"
	c := open(t, "bank", options)
	if _, _, err := collect(c, day); !errors.Is(err, core.ErrBillNotReady) {
		t.Errorf("no file: %v", err)
	}
	drop(t, c, "RBAS20260105.txt", fixture(t, "bank.txt"))
	if _, _, err := collect(c, day); !errors.Is(err, core.ErrBillNotReady) {
		t.Errorf("no mark: %v", err)
	}
	drop(t, c, "RBAS20260105.ok", "")
	if _, _, err := collect(c, day); err != nil {
		t.Error(err)
	}
	// A day of nothing is a bill, too.
	drop(t, c, "RBAS20260106.ok", "")
	drop(t, c, "RBAS20260106.txt", "20260106|0|0.00|\r\n")
	if entries, totals, err := collect(c, "2026-01-06"); err != nil || len(entries) != 0 || totals.Digest == "" {
		t.Errorf("%v %v", entries, err)
	}
	c.folder = filepath.Join(c.folder, "not-mounted")
	_, _, err := collect(c, day)
	if core.ClassOf(err) != core.Unavailable || strings.Contains(err.Error(), "not-mounted") {
		t.Errorf("no folder: %v", err)
	}
	if _, _, err := collect(c, "5 January"); core.ClassOf(err) != core.Invalid {
		t.Error(err)
	}
}

func TestNothingOutsideOfTheFolder(t *testing.T) {
	c := open(t, "bank", bank())
	other := filepath.Join(t.TempDir(), "other.txt")
	if err := os.WriteFile(other, []byte("20260105|0|0.00|\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(c.folder, "RBAS20260105.txt")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := collect(c, day); core.ClassOf(err) != core.Unavailable {
		t.Errorf("a link out of the folder: %v", err)
	}
	if err := os.Mkdir(filepath.Join(c.folder, "RBAS20260107.txt"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, _, err := collect(c, "2026-01-07")
	refused(t, err, "RBAS20260107.txt", "not a file")
}

// A file that grows while it is read is not there yet, whatever is wrong with it.
func TestStillWritten(t *testing.T) {
	c := open(t, "bank", bank())
	drop(t, c, "RBAS20260105.txt", fixture(t, "bank.txt"))
	_, err := c.Bill(context.Background(), day, func(core.BillEntry) error {
		f, err := os.OpenFile(filepath.Join(c.folder, "RBAS20260105.txt"), os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString("0000024774|YY0003|1.00|3|7|20260105|20260105|\r\n")
			f.Close()
		}
		return err
	})
	if !errors.Is(err, core.ErrBillNotReady) {
		t.Error(err)
	}
}

// refused checks that a bill is refused at that place, without a word of its content.
func refused(t *testing.T, err error, place, why string) {
	t.Helper()
	var f *core.BillFault
	if !errors.As(err, &f) {
		t.Fatalf("got %v", err)
	}
	if !strings.HasPrefix(err.Error(), place+": ") || !strings.Contains(err.Error(), why) {
		t.Errorf("got %q, want %s with %q", err, place, why)
	}
	for _, content := range []string{"YY00", "TK00", "0000024772", "测试", "IH2026", "YB33"} {
		if strings.Contains(err.Error(), content) {
			t.Errorf("%q shows %q", err, content)
		}
	}
}

func TestDamagedFiles(t *testing.T) {
	const b, i = "RBAS20260105.txt", "yb_2026-01-05.csv"
	for name, c := range map[string]struct {
		file, old, new, place, why string
	}{
		"another day":          {b, "20260105|4", "20260104|4", b + ":1", "another day"},
		"first line":           {b, "20260105|4|51.19|", "20260105|4|", b + ":1", "option first"},
		"wrong count":          {b, "|4|", "|5|", b + ":1", "count is not the 4"},
		"no count":             {b, "|4|", "|vier|", b + ":1", "count"},
		"wrong sum":            {b, "51.19", "51.18", b + ":1", "amount is not the 51.19"},
		"no sum":               {b, "51.19", "viel", b + ":1", "amount"},
		"flipped amount":       {b, "46.19", "46.29", b + ":1", "51.29"},
		"flipped type":         {b, "YY0001|15.00|3", "YY0001|15.00|1", b + ":1", "amount"},
		"unknown type":         {b, "|10.00|6|", "|10.00|9|", b + ":5", "column 4"},
		"lost row":             {b, "0000024773|YY0002|46.19|3|7|20260105|20260106|\r\n", "", b + ":1", "count"},
		"short row":            {b, "|3|7|20260105|20260106|", "|3|7|20260105|", b + ":4", "7 cells, but the header has 8"},
		"no amount":            {b, "46.19", "", b + ":4", "column 3 is not an amount"},
		"part of a fen":        {b, "46.19", "46.195", b + ":4", "part of a fen"},
		"thousands":            {b, "46.19", "1,046.19", b + ":4", "column 3"},
		"no date":              {b, "|3|7|20260105|20260106|", "|3|7||20260106|", b + ":4", "column 6 is not written like"},
		"row of another day":   {b, "|3|7|20260105|20260106|", "|3|7|20260106|20260106|", b + ":4", "another day"},
		"no number":            {b, "YY0002", "", b + ":4", "no number"},
		"cut":                  {b, "0000024773|TK0001|10.00|6|7|20260105|20260105|\r\n", "0000024773|TK00", b + ":5", "2 cells"},
		"empty":                {b, fixture(t, "bank.txt"), "", b, "empty"},
		"more than there is":   {b, "46.19", "99999999999999.00", b + ":4", "more money"},
		"no column":            {i, "基金支付", "基金", i + ":1", "no column 基金支付"},
		"column twice":         {i, "险种", "定点流水号", i + ":1", "two columns"},
		"quote":                {i, `测试,丈"`, `测试,丈`, i + ":3", "quoted cell"},
		"yuan":                 {i, "2469", "24.69", i + ":2", "not an amount in fen"},
		"flipped insurance":    {i, "10000,5", "10010,5", i + ":5", "amount"},
		"flipped reversal":     {i, "-1000", "-1001", i + ":5", "amount"},
		"flipped fee":          {i, ",0,12,", ",0,13,", i + ":5", "fee"},
		"no fee":               {i, ",0,12,", ",0,1.2,", i + ":2", "手续费"},
		"no last line":         {i, "合计,3,11469,7\r\n", "", i + ":4", "without the line of option last"},
		"half a last line":     {i, "合计,3,11469,7\r\n", "合计,3,11", i + ":5", "cells"},
		"behind the last line": {i, "合计,3,11469,7\r\n", "合计,3,11469,7\r\nx\r\n", i + ":6", "behind"},
		"no table":             {i, fixture(t, "insurance.csv"), "合计,0,0,0", i + ":1", "names of the columns"},
	} {
		t.Run(name, func(t *testing.T) {
			connector, text := open(t, "bank", bank()), fixture(t, "bank.txt")
			if c.file == i {
				connector, text = open(t, "insurance", insurance()), fixture(t, "insurance.csv")
			}
			if !strings.Contains(text, c.old) {
				t.Fatal("the fixture has no such place")
			}
			drop(t, connector, c.file, strings.Replace(text, c.old, c.new, 1))
			_, _, err := collect(connector, day)
			refused(t, err, c.place, c.why)
		})
	}
}

// A bank's file cut anywhere is refused, but for its last line's end.
func TestCutFiles(t *testing.T) {
	c, whole := open(t, "bank", bank()), fixture(t, "bank.txt")
	for cut := range len(whole) - 2 {
		drop(t, c, "RBAS20260105.txt", whole[:cut])
		if _, _, err := collect(c, day); err == nil {
			t.Fatalf("cut after %d bytes, it is believed", cut)
		}
	}
}

// In GB18030 the second half of a character may be the delimiter.
func TestDelimiterInsideACharacter(t *testing.T) {
	const name = "\u4E02\u7B80" // 丂 ends with the byte of @, and its neighbours with | ~ }
	var tricky []rune
	for r := rune(0x4e00); r < 0x9fa5; r++ {
		if b, err := simplifiedchinese.GB18030.NewEncoder().String(string(r)); err == nil && strings.HasSuffix(b, "|") {
			tricky = append(tricky, r)
		}
	}
	if len(tricky) == 0 {
		t.Fatal("no such character")
	}
	c := open(t, "bank", bank())
	text := strings.ReplaceAll(fixture(t, "bank.txt"), "0000024772", name+string(tricky[:min(20, len(tricky))])+"䶮")
	drop(t, c, "RBAS20260105.txt", text)
	if entries, _, err := collect(c, day); err != nil || len(entries) != 3 {
		t.Errorf("%v %v", entries, err)
	}
	if err := os.WriteFile(filepath.Join(c.folder, "RBAS20260105.txt"), []byte(strings.ReplaceAll(fixture(t, "bank.txt"), "0000024773", "\xff\xff")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := collect(c, day)
	refused(t, err, "RBAS20260105.txt:4", "not text")
}

// Rows of the days around are read where the folder says that they belong there.
func TestOtherOptions(t *testing.T) {
	options := bank()
	options["days"], options["sums"], options["count"] = "any", "unsigned", "money"
	options["columns"].(map[string]any)["date"] = 7
	options["first"] = "{date}|{count}|{amount}|"
	c := open(t, "bank", options)
	drop(t, c, "RBAS20260105.txt", strings.Replace(fixture(t, "bank.txt"), "|4|51.19|", "|3|71.19|", 1))
	if entries, _, err := collect(c, day); err != nil || entries[1].At.Day() != 6 {
		t.Errorf("%v %v", entries, err)
	}
	options = bank()
	options["first"] = "{yyyyMMdd}|{*}|{payments}/{refunds}|{payment_amount}-{refund_amount}"
	c = open(t, "bank", options)
	for line, want := range map[string]string{
		"20260105|x|2/1|61.19-10.00": "", "20260105||2/1|61.19-10.01": "refund_amount", "20260105||2/2|61.19-10.00": "refunds is", "20260104||2/1|61.19-10.00": "another day",
	} {
		drop(t, c, "RBAS20260105.txt", strings.Replace(fixture(t, "bank.txt"), "20260105|4|51.19|", line, 1))
		if _, _, err := collect(c, day); want == "" && err != nil {
			t.Error(err)
		} else if want != "" {
			refused(t, err, "RBAS20260105.txt:1", want)
		}
	}
}

// A row is not taken for the line with the sums, though it could be read as one.
func TestRowsAreNoSums(t *testing.T) {
	options := bank()
	delete(options, "first")
	options["last"] = "{date}|{amount}"
	c := open(t, "bank", options)
	drop(t, c, "RBAS20260105.txt", fixture(t, "bank.txt")[len("20260105|4|51.19|\r\n"):]+"20260105|51.19")
	if entries, _, err := collect(c, day); err != nil || len(entries) != 3 {
		t.Errorf("%v %v", entries, err)
	}
}

// The fake bank drops its files; every one of its faults is found, or is for the
// comparison to find.
func TestFakeBank(t *testing.T) {
	s, err := paychannel.New(paychannel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := s.Books().Pay(paychannel.Payment{Channel: paychannel.Bank, Number: fmt.Sprintf("YY%04d", i), AmountFen: 1501, PaidAt: at("10:00:00")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Books().Refund(paychannel.Refund{Channel: paychannel.Bank, Number: "TK0001", Payment: "YY0001", AmountFen: 500, AcceptedAt: at("11:00:00")}); err != nil {
		t.Fatal(err)
	}
	options := bank()
	options["columns"].(map[string]any)["channel_no"] = 8
	c := open(t, "bank", options)
	write := func(day string) ([]core.BillEntry, core.BillTotals, error) {
		if _, err := s.WriteBankFile(c.folder, day); err != nil {
			t.Fatal(err)
		}
		return collect(c, day)
	}
	entries, totals, err := write(day)
	if err != nil || len(entries) != 4 || totals.PaymentAmount != 4503 || totals.RefundAmount != 500 || entries[3].ChannelNo == "" {
		t.Errorf("%+v %v", entries, err)
	}
	if entries, _, err := write("2026-01-06"); err != nil || len(entries) != 0 {
		t.Errorf("%v %v", entries, err)
	}
	for kind, want := range map[fault.Kind]string{paychannel.BillTruncated: ":5", paychannel.BillWrongChecksum: ":1", paychannel.BillLostRow: ":1"} {
		if err := s.AddFaults(fault.Rule{Fault: kind, Times: 1}); err != nil {
			t.Fatal(err)
		}
		_, _, err := write(day)
		refused(t, err, "RBAS20260105.txt"+want, "")
	}
	if err := s.AddFaults(fault.Rule{Fault: paychannel.BillLate, Times: 1}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := write("2026-01-07"); !errors.Is(err, core.ErrBillNotReady) {
		t.Error(err)
	}
}

// endless gives rows without holding them.
type endless struct {
	rows, at int
	rest     []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.at > e.rows {
			return 0, io.EOF
		}
		if e.at == 0 {
			e.rest = fmt.Appendf(nil, "20260105|%d|%s|\r\n", e.rows, core.Fen(1500*e.rows))
		} else {
			e.rest = fmt.Appendf(nil, "0000024772|YY%010d|15.00|3|7|20260105|20260105|\r\n", e.at)
		}
		e.at++
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// Memory does not grow with the bill.
func TestMemory(t *testing.T) {
	const rows = 200_000
	c := open(t, "bank", bank())
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	most, seen := uint64(0), 0
	totals, err := c.read(context.Background(), "big", at("00:00:00"), &endless{rows: rows}, func(core.BillEntry) error {
		if seen++; seen%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
		return nil
	})
	if err != nil || totals.Payments != rows {
		t.Fatalf("%+v %v", totals, err)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("%d KiB are held while %d rows are read", grown>>10, rows)
	}
	c.maxBill = 1 << 10
	_, err = c.read(context.Background(), "big", at("00:00:00"), &endless{rows: rows}, func(core.BillEntry) error { return nil })
	refused(t, err, "big", "larger than 1024 bytes")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.maxBill = 1 << 30
	if _, err = c.read(ctx, "big", at("00:00:00"), &endless{rows: rows}, func(core.BillEntry) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Whichever digit of an amount is another one, the file is refused.
func TestEveryFlippedDigitIsNoticed(t *testing.T) {
	c, whole := open(t, "bank", bank()), fixture(t, "bank.txt")
	flipped := 0
	for i := range whole {
		line := strings.LastIndexByte(whole[:i], '\n') + 1
		if column := strings.Count(whole[line:i], "|"); column != 2 || whole[i] < '0' || whole[i] > '9' || strings.Contains(whole[line:line+27], "15.00|1") {
			continue
		}
		flipped++
		spoilt := []byte(whole)
		spoilt[i] = '0' + (spoilt[i]-'0'+1)%10
		drop(t, c, "RBAS20260105.txt", string(spoilt))
		if _, _, err := collect(c, day); err == nil {
			t.Errorf("believed: %s", spoilt[line:i+1])
		}
	}
	if flipped != 16 {
		t.Errorf("%d digits were flipped", flipped)
	}
}

// FuzzBill: nothing panics, and what is believed adds up.
func FuzzBill(f *testing.F) {
	f.Add([]byte(fixture(f, "bank.txt")), false)
	f.Add([]byte(fixture(f, "insurance.csv")), true)
	gb, _ := simplifiedchinese.GB18030.NewEncoder().String(fixture(f, "insurance.csv"))
	f.Add([]byte(gb), true)
	a, b := open(f, "bank", bank()), open(f, "insurance", insurance())
	f.Fuzz(func(t *testing.T, file []byte, second bool) {
		c := a
		if second {
			c = b
		}
		var again core.BillTotals
		totals, err := c.read(context.Background(), "bill", at("00:00:00"), bytes.NewReader(file), func(e core.BillEntry) error {
			if e.Amount < 0 || e.At.Before(at("00:00:00")) || !e.At.Before(at("00:00:00").AddDate(0, 0, 1)) {
				t.Fatalf("line %d was believed", e.Line)
			}
			if e.Type == core.EntryRefund {
				again.Refunds, again.RefundAmount = again.Refunds+1, again.RefundAmount+e.Amount
			} else {
				again.Payments, again.PaymentAmount = again.Payments+1, again.PaymentAmount+e.Amount
			}
			again.Fee += e.Fee
			return nil
		})
		var fault *core.BillFault
		switch again.Digest = totals.Digest; {
		case err != nil && !errors.As(err, &fault):
			t.Fatalf("%v is no *core.BillFault", err)
		case err == nil && again != totals:
			t.Fatalf("%+v, but the entries come to %+v", totals, again)
		}
	})
}

func TestMoneyDoesNotGoBack(t *testing.T) {
	c := open(t, "bank", bank())
	for _, operation := range []string{core.ChannelOpRefund, core.ChannelOpRefundQuery} {
		_, err := c.Call(context.Background(), core.Request{Operation: operation})
		if core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), "by hand") {
			t.Error(err)
		}
	}
}

func TestOptions(t *testing.T) {
	change := func(name string, v any) func(map[string]any) {
		return func(o map[string]any) { o[name] = v }
	}
	column := func(name string, v any) func(map[string]any) {
		return func(o map[string]any) { o["columns"].(map[string]any)[name] = v }
	}
	for name, c := range map[string]struct {
		change      func(map[string]any)
		field, want string
	}{
		"good":              {func(map[string]any) {}, "", ""},
		"tab":               {change("delimiter", "\t"), "", ""},
		"no folder":         {change("folder", ""), "folder", "environment variable"},
		"no name":           {func(o map[string]any) { delete(o, "name") }, "name", "missing"},
		"name without day":  {change("name", "bill.txt"), "name", "every day would be the same"},
		"name elsewhere":    {change("name", "../{yyyyMMdd}.txt"), "name", "another folder"},
		"name's brace":      {change("name", "{yyyyMMdd.txt"), "name", "without a name"},
		"name's layout":     {change("name", "{yyyyMMDD}.txt"), "name", "no field"},
		"name without year": {change("name", "{MMdd}.txt"), "name", "yyyy"},
		"charset":           {change("charset", "Big5"), "charset", "not one of"},
		"delimiter":         {change("delimiter", "||"), "delimiter", "one character"},
		"column by name":    {column("amount", "金额"), "columns.amount", "number of a column"},
		"no amount":         {func(o map[string]any) { delete(o["columns"].(map[string]any), "amount") }, "columns.amount", "missing"},
		"no date":           {func(o map[string]any) { delete(o["columns"].(map[string]any), "date") }, "columns.at", "missing"},
		"no number":         {func(o map[string]any) { delete(o["columns"].(map[string]any), "number") }, "columns.number", "missing"},
		"misspelt column":   {column("amounts", 3), "columns.amounts", "did you mean amount"},
		"type without code": {change("types", nil), "types", "goes with columns.type"},
		"code of nothing":   {change("types", map[string]any{"3": "pay"}), "types.3", "not one of payment"},
		"times":             {change("times", "yyyyMMdd hh"), "times", "no field"},
		"times of numbers":  {change("times", 3), "times", "not a layout"},
		"first":             {change("first", "{date}{count}"), "first", "nothing between"},
		"first's name":      {change("first", "{sum}"), "first", "none of count"},
		"nothing to check":  {change("first", nil), "first", "a cut one"},
		"sums":              {change("sums", "both"), "sums", "not one of"},
		"refund's amount":   {change("refund_columns", map[string]any{"amount": 3}), "refund_columns", "same column"},
	} {
		t.Run(name, func(t *testing.T) {
			options := bank()
			options["folder"] = "bills"
			c.change(options)
			_, err := Open(core.ConnectorSpec{Name: "bank", Options: options})
			if c.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var ps core.Problems
			if !errors.As(err, &ps) {
				t.Fatalf("opened, or %v", err)
			}
			for _, p := range ps {
				if p.Field == c.field && strings.Contains(p.What, c.want) {
					return
				}
			}
			t.Errorf("%+v", ps)
		})
	}
}
