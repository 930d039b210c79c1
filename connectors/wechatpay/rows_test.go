package wechatpay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hishub/connectors/bill"
	"hishub/core"
)

var march = rules{day: "2026-03-02", merchant: "1900000009"}

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func read(text string, r rules) ([]core.BillEntry, core.BillTotals, error) {
	var entries []core.BillEntry
	totals, err := readBill(strings.NewReader(text), "test bill", r, func(e core.BillEntry) error {
		entries = append(entries, e)
		return nil
	})
	return entries, totals, err
}

func on(clock string) time.Time {
	t, err := time.ParseInLocation(bill.TimeLayout, "2026-03-02 "+clock, bill.Zone)
	if err != nil {
		panic(err)
	}
	return t
}

func payment(line int, number, channelNo string, fen core.Fen, fee core.Millifen, clock, what string) core.BillEntry {
	return core.BillEntry{Line: line, Fee: fee, LedgerEntry: core.LedgerEntry{
		Type: core.EntryPayment, State: core.EntryDone, Channel: "wechat", Number: number, ChannelNo: channelNo, Amount: fen, At: on(clock), Bill: what}}
}

func refund(line int, number, order, channelNo string, state core.EntryState, fen core.Fen, fee core.Millifen, clock, what string) core.BillEntry {
	return core.BillEntry{Line: line, Fee: fee, LedgerEntry: core.LedgerEntry{
		Type: core.EntryRefund, State: state, Channel: "wechat", Number: number, OrderID: order, ChannelNo: channelNo, Amount: fen, At: on(clock), Bill: what}}
}

func TestTodaysForm(t *testing.T) {
	entries, totals, err := read(fixture(t, "27_columns.csv"), march)
	if err != nil {
		t.Fatal(err)
	}
	want := []core.BillEntry{
		payment(2, "IH20260302000001", "4200000000202603020000000001", 2150, 13000, "00:00:00", "RX0001,RX0002"),
		payment(3, "IH20260302000002", "4200000000202603020000000002", 5000, 27000, "09:10:11", "GH0002"), // with a coupon of 5.00
		refund(4, "IHR20260302000001", "IH20260301000007", "50300000002026030200000000001", core.EntryDone, 1000, -6000, "16:00:00", "RX0007"),
		refund(5, "IHR20260302000002", "IH20260301000008", "50300000002026030200000000002", core.EntryProcessing, 705, -4000, "18:30:00", "RX0008"),
		payment(6, "IH20260302000003", "4200000000202603020000000003", 1, 0, "23:59:58", "GH0003"),
	}
	if diff := cmp.Diff(want, entries); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(core.BillTotals{Payments: 3, PaymentAmount: 7151, Refunds: 2, RefundAmount: 1705, Fee: 30000}, totals); diff != "" {
		t.Error(diff)
	}
}

func TestOldForm(t *testing.T) {
	entries, totals, err := read(fixture(t, "24_columns.csv"), march)
	if err != nil {
		t.Fatal(err)
	}
	want := []core.BillEntry{
		payment(2, "IH20260302000001", "4200000000202603020000000001", 2150, 13000, "08:00:00", "RX0001"),
		payment(3, "IH20260302000002", "4200000000202603020000000002", 50000, 300000, "08:00:01", "RX0002"),
		// By hand on WeChat's pages: no number of ours.
		refund(4, "", "IH20260301000007", "50300000002026030200000000001", core.EntryFailed, 1000, -6000, "11:00:00", "RX0007"),
		refund(5, "IHR20260302000009", "IH20260302000009", "50300000002026030200000000003", core.EntryDone, 300, -2000, "12:00:00", "GH0009"),
	}
	if diff := cmp.Diff(want, entries); diff != "" {
		t.Error(diff)
	}
	if totals.PaymentAmount != 52150 || totals.RefundAmount != 1300 || totals.Fee != 305000 {
		t.Errorf("%+v", totals)
	}
}

// The rows of others are checked with the summary, but not given out.
func TestOneOfSeveralMerchants(t *testing.T) {
	r := march
	r.sub = "1800000002"
	entries, totals, err := read(fixture(t, "24_columns.csv"), r)
	if err != nil || len(entries) != 1 || entries[0].Number != "IH20260302000002" || entries[0].Line != 3 {
		t.Fatalf("%+v, %v", entries, err)
	}
	if totals != (core.BillTotals{Payments: 1, PaymentAmount: 50000, Fee: 300000}) {
		t.Errorf("%+v", totals)
	}
	broken := strings.Replace(fixture(t, "24_columns.csv"), "`10.00", "`10.01", 1)
	if _, _, err := read(broken, r); err == nil {
		t.Error("another merchant's damaged row went unnoticed")
	}
}

func TestDamageIsRefusedWithItsLine(t *testing.T) {
	whole := fixture(t, "27_columns.csv")
	lines := strings.SplitAfter(whole, "\r\n")
	replaced := func(old, with string) string {
		s := strings.Replace(whole, old, with, 1)
		if s == whole {
			t.Fatalf("%s is not in the bill", old)
		}
		return s
	}
	without := func(i int) string { return strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "") }
	for name, c := range map[string]struct{ text, want string }{
		"nothing at all":          {"", "test bill:1: the bill ends without its summary"},
		"only a header":           {lines[0], "test bill:2: the bill ends without its summary"},
		"no summary":              {strings.Join(lines[:6], ""), "test bill:7: the bill ends without its summary"},
		"half a summary":          {strings.Join(lines[:7], ""), "test bill:8: the bill ends without its summary"},
		"cut in a row":            {whole[:strings.Index(whole, "IHR20260302000002")], "test bill:5: 16 cells, but the header has 27"},
		"a lost row":              {without(2), "test bill:7: the summary counts 5 rows, but there are 4"},
		"a row twice":             {strings.Join(append(append([]string{}, lines[:3]...), lines[2:]...), ""), "test bill:9: the summary counts 5 rows, but there are 6"},
		"garbage behind":          {whole + "x\r\n", "test bill:9: something follows the summary"},
		"a second bill behind":    {whole + whole, "test bill:9: something follows the summary"},
		"a column gone":           {replaced("交易状态,", "状态,"), "test bill:1: no column 交易状态"},
		"a summary without a sum": {replaced(",申请退款总金额", ",又"), "test bill:7: no column 申请退款总金额"},
		"another price":           {replaced("`21.50,`0.00,`\r\n", "`21.51,`0.00,`\r\n"), "test bill:8: 订单总金额 is not the sum of 订单金额"},
		"another fee":             {replaced("`0.13000", "`0.14000"), "test bill:8: 手续费总金额 is not the sum of 手续费"},
		"a fee's sign":            {replaced("`-0.06000", "`0.06000"), "test bill:8: 手续费总金额 is not the sum of 手续费"},
		"another refund":          {replaced("`0.00,`7.05", "`0.00,`8.05"), "test bill:8: 申请退款总金额 is not the sum of 申请退款金额"},
		"another total":           {replaced("`71.51", "`71.52"), "test bill:8: 订单总金额 is not the sum of 订单金额"},
		"no amount":               {replaced("`21.50,`0.00,`\r\n", "`,`0.00,`\r\n"), "test bill:2: column 订单金额 is not an amount in yuan"},
		"another account":         {replaced("1900000009", "1900000008"), "test bill:2: column 商户号 is another account than the folder's"},
		"another currency":        {replaced("CNY", "HKD"), "test bill:2: column 货币种类 is not CNY"},
		"an unknown state":        {replaced("SUCCESS", "NOTPAY"), "test bill:2: column 交易状态 is not SUCCESS, REFUND or REVOKED"},
		"an unknown refund state": {replaced("PROCESSING", "WAITING"), "test bill:5: column 退款状态 is not SUCCESS, PROCESSING, CHANGE or CLOSED"},
		"revoked, but not back":   {replaced("SUCCESS", "REVOKED"), "test bill:2: column 交易状态 is REVOKED, but no refund is there"},
		"another day":             {replaced("2026-03-02 09:10:11", "2026-03-03 09:10:11"), "test bill:3: column 交易时间 is not of the bill's day"},
		"a refund in a payment":   {strings.Replace(whole, "SUCCESS", "REFUND", 1), "test bill:2: column 退款状态 is not SUCCESS"},
		"a payment in a refund":   {replaced("REFUND", "SUCCESS"), "test bill:4: column 退款金额 is not 0 in the row of a payment"},
		"no number":               {replaced("`IH20260302000001", "`"), "test bill:2: column 商户订单号 is empty"},
		"another charset":         {replaced("处方", "\xb4\xa6"), "test bill:2: the line holds bytes that are not text"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(c.text, march)
			var fault *core.BillFault
			if !errors.As(err, &fault) || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("%v, want %s", err, c.want)
			}
			if fault.Cure == "" || strings.Contains(err.Error(), "IH2026") {
				t.Errorf("no cure, or content: %v", err)
			}
		})
	}
}

func TestFormsThatAreRead(t *testing.T) {
	whole := fixture(t, "27_columns.csv")
	want, totals, err := read(whole, march)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimPrefix(strings.TrimSuffix(whole, "\r\n"), "\ufeff"), "\r\n")
	mixed := make([]string, len(lines))
	for i, l := range lines {
		sep, mark := ",`", "`"
		if i == 0 || i == 6 {
			sep, mark = ",", ""
		}
		cells := strings.Split(strings.TrimPrefix(l, "`"), sep)
		for a, b := 0, len(cells)-1; a < b && i < 6; a, b = a+1, b-1 {
			cells[a], cells[b] = cells[b], cells[a]
		}
		if i < 6 {
			cells = append(cells, "新列") // and one that nobody knows
		}
		mixed[i] = mark + strings.Join(cells, sep)
	}
	for name, text := range map[string]string{
		"without a mark":          strings.TrimPrefix(whole, "\ufeff"),
		"LF":                      strings.ReplaceAll(whole, "\r\n", "\n"),
		"no end of the last line": strings.TrimSuffix(whole, "\r\n"),
		"empty lines behind":      whole + "\r\n\r\n",
		"other order, new column": strings.Join(mixed, "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			got, gotTotals, err := read(text, march)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" || totals != gotTotals {
				t.Errorf("%s%+v", diff, gotTotals)
			}
		})
	}
}

// FuzzBill: nothing makes the reader panic; what it takes for whole has the sums
// that its summary says; and a bill with one digit of any amount changed is never
// taken for whole. To be run with -fuzzminimizetime 10x: making 3 KB smaller would
// otherwise take all of a short run.
func FuzzBill(f *testing.F) {
	today, old := fixture(f, "27_columns.csv"), fixture(f, "24_columns.csv")
	f.Add([]byte(today), uint16(0), byte(1))
	f.Add([]byte(old), uint16(7), byte(3))
	f.Add([]byte("\ufeff总交易单数"), uint16(40), byte(9))
	f.Add([]byte(strings.Replace(today, "`21.50", "`999999999999.99", 2)), uint16(99), byte(5))
	f.Fuzz(func(t *testing.T, text []byte, at uint16, by byte) {
		if entries, totals, err := read(string(text), march); err == nil {
			var sum core.BillTotals
			for _, e := range entries {
				sum.Fee += e.Fee
				if e.Type == core.EntryPayment {
					sum.Payments, sum.PaymentAmount = sum.Payments+1, sum.PaymentAmount+e.Amount
				} else {
					sum.Refunds, sum.RefundAmount = sum.Refunds+1, sum.RefundAmount+e.Amount
				}
				if e.Amount <= 0 || e.Line < 2 {
					t.Fatalf("%+v", e)
				}
			}
			if sum != totals {
				t.Fatalf("%+v, but the entries come to %+v", totals, sum)
			}
		} else if fault := (*core.BillFault)(nil); !errors.As(err, &fault) {
			t.Fatal(err)
		}
		for _, whole := range []string{today, old} {
			places := digitsOfAmounts(whole)
			b := []byte(whole)
			i := places[int(at)%len(places)]
			b[i] = '0' + (b[i]-'0'+1+by%9)%10
			if _, _, err := read(string(b), march); err == nil {
				t.Fatalf("the digit at byte %d was changed and nobody noticed", i)
			}
		}
	})
}

// digitsOfAmounts are the places of all digits of cells that hold the money we
// read: what the summary sums up, and the summary itself.
func digitsOfAmounts(text string) []int {
	money := map[string]bool{"应结订单金额": true, "总金额": true, "退款金额": true, "充值券退款金额": true, "代金券或立减优惠退款金额": true, "手续费": true, "订单金额": true, "申请退款金额": true}
	var places []int
	var names []string
	start := 0
	for i, line := range strings.SplitAfter(text, "\r\n") {
		body := strings.TrimSuffix(line, "\r\n")
		switch {
		case i == 0:
			names = strings.Split(strings.TrimPrefix(body, "\ufeff"), ",")
		case strings.HasPrefix(body, "总交易单数"):
			names = nil // every cell of what follows
		default:
			at := start
			for n, cell := range strings.Split(body, ",`") {
				if names == nil || n < len(names) && money[names[n]] {
					for j := range len(cell) {
						if cell[j] >= '0' && cell[j] <= '9' {
							places = append(places, at+j)
						}
					}
				}
				at += len(cell) + 2
			}
		}
		start += len(line)
	}
	return places
}

// Each single digit of the fixtures, not only those that the fuzzer happens on.
func TestEveryDigitCounts(t *testing.T) {
	for _, name := range []string{"27_columns.csv", "24_columns.csv"} {
		whole := fixture(t, name)
		places := digitsOfAmounts(whole)
		if len(places) < 60 {
			t.Fatalf("only %d digits were found", len(places))
		}
		for _, i := range places {
			b := []byte(whole)
			b[i] = '0' + (b[i]-'0'+3)%10
			if _, _, err := read(string(b), march); err == nil {
				t.Errorf("%s: the digit at byte %d (%s) was changed and nobody noticed", name, i, whole[max(0, i-12):i+3])
			}
		}
	}
}

// long writes a bill of so many payments without holding it.
func long(rows int) io.Reader {
	r, w := io.Pipe()
	go func() {
		var b bytes.Buffer
		b.WriteString("交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n")
		for i := range rows {
			fmt.Fprintf(&b, "`2026-03-02 12:00:00,`wx0000000000000009,`1900000009,`0,`,`42%026d,`IH%014d,`oTEST000001,`JSAPI,`SUCCESS,`OTHERS,`CNY,`46.19,`0.00,`0,`0,`0.00,`0.00,`,`,`处方缴费,`RX%d,`0.28000,`0.60%%,`46.19,`0.00,`\r\n", i, i, i)
			if b.Len() > 1<<16 {
				if _, err := b.WriteTo(w); err != nil {
					return
				}
			}
		}
		sum := core.Fen(4619 * rows).String()
		fmt.Fprintf(&b, "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n`%d,`%s,`0.00,`0.00,`%s,`%s,`0.00\r\n", rows, sum, core.Millifen(28000*rows), sum)
		_, _ = b.WriteTo(w)
		_ = w.Close()
	}()
	return r
}

// TestMemoryDoesNotGrowWithTheBill reads 200,000 rows (65 MB) and looks at what is
// still in use while it reads: a reader that keeps rows shows at once.
func TestMemoryDoesNotGrowWithTheBill(t *testing.T) {
	const rows = 200_000
	inUse := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	before, most, n := inUse(), uint64(0), 0
	totals, err := readBill(long(rows), "long", march, func(core.BillEntry) error {
		if n++; n%50_000 == 0 {
			most = max(most, inUse())
		}
		return nil
	})
	if err != nil || totals.Payments != rows || totals.PaymentAmount != 4619*rows {
		t.Fatalf("%+v, %v", totals, err)
	}
	if most > before+4<<20 {
		t.Errorf("%d KiB in use while reading, %d before", most>>10, before>>10)
	}
}

func BenchmarkReadBill(b *testing.B) {
	for b.Loop() {
		if _, err := readBill(long(10_000), "long", march, func(core.BillEntry) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/row")
}
