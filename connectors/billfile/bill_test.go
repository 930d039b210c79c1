package billfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
