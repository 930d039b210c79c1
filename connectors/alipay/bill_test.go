package alipay

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/connectors/bill"
	"hishub/core"
)

const day = "2026-01-05"

var date = time.Date(2026, 1, 5, 0, 0, 0, 0, bill.Zone)

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// gb writes text as Alipay does.
func gb(t testing.TB, text string) string {
	t.Helper()
	s, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// packed makes the archive of a day; summary may be empty.
func packed(t testing.TB, details, summary string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range [][2]string{{"业务明细.csv", details}, {"业务明细(汇总).csv", summary}} {
		if f[1] == "" {
			continue
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: gb(t, "20880000000000000156_20260105_"+f[0]), NonUTF8: true, Method: zip.Deflate})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, gb(t, strings.ReplaceAll(f[1], "\n", "\r\n")))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpack(c *Connector, zipped []byte) ([]core.BillEntry, core.BillTotals, error) {
	var entries []core.BillEntry
	totals, err := c.readZip(context.Background(), bytes.NewReader(zipped), int64(len(zipped)), date, func(e core.BillEntry) error {
		entries = append(entries, e)
		return nil
	})
	return entries, totals, err
}

func at(clock string) time.Time {
	t, _ := time.ParseInLocation(bill.TimeLayout, day+" "+clock, bill.Zone)
	return t
}

func entry(kind core.EntryType, line int, amount core.Fen, fee core.Millifen, clock, number, order, no, what string) core.BillEntry {
	return core.BillEntry{Line: line, Fee: fee, LedgerEntry: core.LedgerEntry{
		Type: kind, Number: number, OrderID: order, ChannelNo: no, Channel: "alipay", Amount: amount, State: core.EntryDone, At: at(clock), Bill: what,
	}}
}

func TestBill(t *testing.T) {
	const trade = "2026010522001400000000000001"
	all := []core.BillEntry{
		entry(core.EntryPayment, 6, 2469, 15000, "10:00:09", "IH20260105000101", "", trade, "S0000101"),
		entry(core.EntryPayment, 7, 10000, 57000, "11:00:08", "IH20260105000102", "", "2026010522001400000000000002", "S0000102"),
		entry(core.EntryRefund, 8, 1000, -6000, "18:00:09", "IHR20260105000001", "IH20260105000101", trade+"-IHR20260105000001", "S0000101"),
		entry(core.EntryRefund, 9, 1469, -9000, "23:59:58", "IHR20260105000002", "IH20260105000101", trade+"-IHR20260105000002", "S0000101"),
	}
	for name, c := range map[string]struct {
		store string
		want  []core.BillEntry
		sums  core.BillTotals
	}{
		"all":       {"", all, core.BillTotals{Payments: 2, PaymentAmount: 12469, Refunds: 2, RefundAmount: 2469, Fee: 57000}},
		"one store": {"1002", all[1:2], core.BillTotals{Payments: 1, PaymentAmount: 10000, Fee: 57000}},
		"no store":  {"9", nil, core.BillTotals{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, totals, err := unpack(&Connector{store: c.store, account: "2088000000000000", maxBill: 1 << 20}, packed(t, fixture(t, "details.csv"), fixture(t, "summary.csv")))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if totals != c.sums {
				t.Errorf("totals %+v", totals)
			}
		})
	}
}

// Names in the archive may be UTF-8, and columns may stand anywhere.
func TestOtherForms(t *testing.T) {
	details := fixture(t, "details.csv")
	var turned []string
	for _, line := range strings.Split(strings.ReplaceAll(details, "西药费,检查费", "西药费"), "\n") {
		if cells := strings.Split(line, ","); !strings.HasPrefix(line, "#") && len(cells) > 2 {
			for i, j := 0, len(cells)-1; i < j; i, j = i+1, j-1 {
				cells[i], cells[j] = cells[j], cells[i]
			}
			line = strings.Join(append(cells, "x"), ",")
		}
		turned = append(turned, line)
	}
	got, _, err := unpack(&Connector{maxBill: 1 << 20}, packed(t, strings.Join(turned, "\n"), ""))
	if err != nil || len(got) != 4 || got[3].Number != "IHR20260105000002" {
		t.Errorf("%v %v", got, err)
	}
	half := strings.NewReplacer("（", "(", "）", ")").Replace(details)
	if got, _, err := unpack(&Connector{maxBill: 1 << 20}, packed(t, half, "")); err != nil || len(got) != 4 {
		t.Errorf("%v %v", got, err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create("../20260105_业务明细.csv") // no file is written by its name
	io.WriteString(w, gb(t, details))
	z.Close()
	if got, _, err := unpack(&Connector{maxBill: 1 << 20}, b.Bytes()); err != nil || len(got) != 4 {
		t.Errorf("%v %v", got, err)
	}
}

// A refund by hand has no number of ours.
func TestRefundByHand(t *testing.T) {
	got, _, err := unpack(&Connector{maxBill: 1 << 20}, packed(t, strings.Replace(fixture(t, "details.csv"), "IHR20260105000001\t", "", 1), ""))
	if err != nil || got[2].Number != "" || got[2].OrderID != "IH20260105000101" || got[2].ChannelNo != "2026010522001400000000000001" {
		t.Errorf("%v %v", got, err)
	}
}

// Each damage is refused with the line, and with nothing of what the line holds.
func TestDamagedBills(t *testing.T) {
	const detail, summary = "alipay bill 2026-01-05/业务明细.csv", "alipay bill 2026-01-05/业务明细(汇总).csv"
	for name, c := range map[string]struct {
		file          string // which of both is damaged
		old, new      string
		want, whyPart string
	}{
		"another account":        {detail, "[20880000000000000156]", "[20880000000000010156]", detail + ":2", "another account"},
		"another day":            {detail, "[2026年01月05日", "[2026年01月04日", detail + ":3", "another day"},
		"no day":                 {detail, "#起始日期：", "#", detail + ":5", "which day"},
		"no column":              {detail, "退款批次号/请求号", "批次", detail + ":5", "退款批次号"},
		"column twice":           {detail, "创建时间", "完成时间", detail + ":5", "two columns"},
		"short row":              {detail, ",2026-01-05 10:00:01,2026-01-05 10:00:09", ",2026-01-05 10:00:09", detail + ":6", "24 cells"},
		"flipped amount":         {detail, ",24.69,24.69,", ",24.89,24.69,", detail + ":6", "订单金额（元）"},
		"flipped in both":        {detail, ",24.69,24.69,", ",24.89,24.89,", detail + ":11", "sums"},
		"flipped received":       {detail, ",100.00,95.00,", ",100.00,96.00,", detail + ":7", "discounts"},
		"flipped discount":       {detail, ",5.00,0.00,,", ",6.00,0.00,,", detail + ":7", "discounts"},
		"flipped refund":         {detail, ",-10.00,-10.00,", ",-10.01,-10.01,", detail + ":12", "sums"},
		"no money":               {detail, ",24.69,24.69,", ",zehn,24.69,", detail + ":6", "not an amount"},
		"part of a fen":          {detail, ",24.69,24.69,", ",24.695,24.695,", detail + ":6", "not an amount"},
		"positive refund":        {detail, ",-10.00,-10.00,", ",10.00,10.00,", detail + ":8", "above zero"},
		"negative payment":       {detail, ",24.69,24.69,", ",-24.69,-24.69,", detail + ":6", "below zero"},
		"unknown type":           {detail, ",退款,处方缴费-䶮测试\t,2026-01-05 10:00:01,2026-01-05 18", ",转账,处方缴费-䶮测试\t,2026-01-05 10:00:01,2026-01-05 18", detail + ":8", "业务类型"},
		"refund of nothing":      {detail, "IH20260105000101\t,退款", "\t,退款", detail + ":8", "商户订单号 is empty"},
		"payment without number": {detail, "IH20260105000102\t", "\t", detail + ":7", "商户订单号 is empty"},
		"no time":                {detail, "2026-01-05 18:00:09", "2026-01-05 18:00", detail + ":8", "not a time"},
		"row of another day":     {detail, "2026-01-05 23:59:58", "2026-01-06 00:00:00", detail + ":9", "another day"},
		"no mark of the end":     {detail, "业务明细列表结束", "业务明细列表", detail + ":10", "remarks"},
		"lost row":               {detail, "2026010522001400000000000002\t,IH20260105000102\t,交易,西药费,检查费\t,2026-01-05 11:00:00,2026-01-05 11:00:08,1002,西湖院区,,,*四(139****8000)\t,100.00,95.00,0.00,0.00,0.00,5.00,0.00,,0.00,0.00,,-0.57,0.00,S0000102\n", "", detail + ":10", "count"},
		"no sums":                {detail, "#交易合计", "#合计", detail + ":11", "sums"},
		"flipped sum":            {detail, "119.69", "119.68", detail + ":11", "sums"},
		"flipped sum of refunds": {detail, "共-24.69", "共-24.68", detail + ":12", "sums"},
		"flipped count":          {detail, "#退款合计：2", "#退款合计：3", detail + ":12", "count"},
		"row behind the end":     {detail, "#导出时间", "导出时间", detail + ":13", "behind"},
		"flipped fee":            {detail, ",-0.57,", ",-0.67,", summary + ":8", "服务费"},
		"summary's count":        {summary, "合计,,2,2", "合计,,2,3", summary + ":8", "counts"},
		"summary's sum":          {summary, "合计,,2,2,100.00", "合计,,2,2,101.00", summary + ":8", "sums"},
		"summary's stores":       {summary, "1001,东山院区,1,2", "1001,东山院区,1,1", summary, "stores"},
		"summary's day":          {summary, "[2026年01月05日", "[2026年01月07日", summary + ":3", "another day"},
		"summary cut":            {summary, "#-----------------------------------------业务汇总列表结束------------------------------------\n#导出时间：[2026年01月06日 09:00:00]\n", "", summary + ":8", "cut"},
	} {
		t.Run(name, func(t *testing.T) {
			details, sums := fixture(t, "details.csv"), fixture(t, "summary.csv")
			damaged := &details
			if c.file == summary {
				damaged = &sums
			}
			if !strings.Contains(*damaged, c.old) {
				t.Fatal("the fixture has no such place")
			}
			*damaged = strings.Replace(*damaged, c.old, c.new, 1)
			_, _, err := unpack(&Connector{account: "2088000000000000", maxBill: 1 << 20}, packed(t, details, sums))
			refused(t, err, c.want, c.whyPart)
		})
	}
}

// refused checks that a bill is refused at that place, without a word of its content.
func refused(t *testing.T, err error, place, why string) {
	t.Helper()
	var f *core.BillFault
	if !errors.As(err, &f) {
		t.Fatalf("got %v", err)
	}
	if !strings.HasPrefix(err.Error(), place+": ") || !strings.Contains(err.Error(), why) || f.Cure == "" {
		t.Errorf("got %q", err)
	}
	for _, content := range []string{"IH2026", "220014", "138****", "24.69", "24.89", "处方缴费"} {
		if strings.Contains(err.Error(), content) {
			t.Errorf("%q shows %q", err, content)
		}
	}
}

// A bill cut anywhere before its sums is refused; behind them there is only the
// time at which it was made.
func TestCutBills(t *testing.T) {
	details := fixture(t, "details.csv")
	whole := strings.Index(details, "#导出时间") - 1
	for cut := 0; cut < whole-1; cut++ {
		_, _, err := unpack(&Connector{maxBill: 1 << 20}, packed(t, strings.ToValidUTF8(details[:cut], "")+" ", ""))
		if err == nil {
			t.Fatalf("cut after %d bytes, it is believed", cut)
		}
	}
}

func TestDamagedArchives(t *testing.T) {
	good := packed(t, fixture(t, "details.csv"), fixture(t, "summary.csv"))
	c := &Connector{maxBill: 1 << 20}
	for n := range len(good) { // every byte of it
		for _, spoilt := range [][]byte{bytes.Clone(good), bytes.Clone(good[:n])} {
			if len(spoilt) > n {
				spoilt[n] ^= 0x15
			}
			entries, totals, err := unpack(c, spoilt)
			var f *core.BillFault
			if err != nil && !errors.As(err, &f) {
				t.Fatalf("byte %d: %v", n, err)
			}
			// Times and flags in the archive's table say nothing of the content.
			if err == nil && (len(entries) != 4 || totals.PaymentAmount != 12469) {
				t.Fatalf("byte %d: believed, but it is another bill", n)
			}
		}
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.Close()
	_, _, err := unpack(c, b.Bytes())
	refused(t, err, "alipay bill 2026-01-05", "no file")
	refusedBomb(t)
}

// A small archive does not become a huge bill.
func refusedBomb(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create("业务明细.csv")
	head, row, _ := strings.Cut(gb(t, fixture(t, "details.csv")), "\n2026")
	io.WriteString(w, head+"\n")
	row = "2026" + row[:strings.IndexByte(row, '\n')+1]
	for range 200_000 {
		io.WriteString(w, row)
	}
	z.Close()
	if b.Len() > 1<<20 {
		t.Fatalf("the bomb has %d bytes", b.Len())
	}
	_, _, err := unpack(&Connector{maxBill: 8 << 20}, b.Bytes())
	refused(t, err, "alipay bill 2026-01-05/业务明细.csv", "larger than 8388608 bytes")
}

// big writes a bill with that many rows into an archive.
func big(t testing.TB, to io.Writer, rows int) {
	t.Helper()
	whole := fixture(t, "details.csv")
	head, _, _ := strings.Cut(whole, "\n2026")
	z := zip.NewWriter(to)
	w, err := z.Create("业务明细.csv")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, gb(t, head+"\n"))
	for i := range rows {
		io.WriteString(w, gb(t, fmt.Sprintf("20260105220014%014d\t,IH20260105%010d\t,交易,处方缴费-䶮测试\t,2026-01-05 10:00:01,2026-01-05 10:00:09,,,,,*三(138****8000)\t,24.69,24.69,0.00,0.00,0.00,0.00,0.00,,0.00,0.00,,-0.15,0.00,S%07d\n", i, i, i)))
	}
	io.WriteString(w, gb(t, fmt.Sprintf("#--业务明细列表结束--\n#交易合计：%d笔，商家实收共%s元，商家优惠共0.00元\n#退款合计：0笔，商家实收退款共0.00元，商家优惠退款共0.00元\n", rows, core.Fen(2469*rows))))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

// Memory does not grow with the bill.
func TestMemory(t *testing.T) {
	const rows = 200_000
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	big(t, file, rows)
	info, _ := file.Stat()
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	most, seen := uint64(0), 0
	totals, err := (&Connector{maxBill: 1 << 30}).readZip(context.Background(), file, info.Size(), date, func(core.BillEntry) error {
		if seen++; seen%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
		return nil
	})
	if err != nil || totals.Payments != rows || totals.Fee != 15000*rows {
		t.Fatalf("%+v %v", totals, err)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("%d KiB are held while %d rows are read", grown>>10, rows)
	}
}

// FuzzBill: nothing panics, and what is believed adds up.
func FuzzBill(f *testing.F) {
	f.Add(fixture(f, "details.csv"), fixture(f, "summary.csv"))
	f.Add(fixture(f, "details.csv"), "")
	f.Add(strings.Replace(fixture(f, "details.csv"), "西药费", "西,药,费", 1), "")
	f.Fuzz(func(t *testing.T, details, summary string) {
		encoder := simplifiedchinese.GB18030.NewEncoder()
		a, err1 := encoder.String(details)
		b, err2 := encoder.String(summary)
		if err1 != nil || err2 != nil {
			a, b = details, summary // bytes that are no text at all
		}
		var z bytes.Buffer
		w := zip.NewWriter(&z)
		for _, e := range [][2]string{{"业务明细.csv", a}, {"业务明细(汇总).csv", b}} {
			if e[1] != "" {
				out, _ := w.CreateHeader(&zip.FileHeader{Name: e[0]})
				io.WriteString(out, e[1])
			}
		}
		w.Close()
		entries, totals, err := unpack(&Connector{maxBill: 1 << 20}, z.Bytes())
		if err != nil {
			var fault *core.BillFault
			if !errors.As(err, &fault) {
				t.Fatalf("%v is no *core.BillFault", err)
			}
			return
		}
		var again core.BillTotals
		for _, e := range entries {
			if e.Amount < 0 || e.Number+e.OrderID == "" || e.At.Before(date) || !e.At.Before(date.AddDate(0, 0, 1)) {
				t.Fatalf("line %d was believed", e.Line)
			}
			if e.Type == core.EntryRefund {
				again.Refunds, again.RefundAmount = again.Refunds+1, again.RefundAmount+e.Amount
			} else {
				again.Payments, again.PaymentAmount = again.Payments+1, again.PaymentAmount+e.Amount
			}
			again.Fee += e.Fee
		}
		if again != totals {
			t.Fatalf("%+v, but the entries come to %+v", totals, again)
		}
	})
}

// Whichever digit of an amount is another one, the bill is refused.
func TestEveryFlippedDigitIsNoticed(t *testing.T) {
	details, summary := fixture(t, "details.csv"), fixture(t, "summary.csv")
	flipped := 0
	for i := range details {
		if details[i] < '0' || details[i] > '9' {
			continue
		}
		line := details[strings.LastIndexByte(details[:i], '\n')+1:]
		line = line[:strings.IndexByte(line, '\n')]
		place := i - strings.LastIndexByte(details[:i], '\n') - 1
		column := strings.Count(line[:place], ",") - strings.Count(line[:place], "西药费,检查费")
		if money := strings.HasPrefix(line, "2026") && (column == 11 || column == 12 || column == 16 || column == 22); !money {
			continue
		}
		flipped++
		spoilt := []byte(details)
		spoilt[i] = '0' + (spoilt[i]-'0'+1)%10
		if _, _, err := unpack(&Connector{maxBill: 1 << 20}, packed(t, string(spoilt), summary)); err == nil {
			t.Errorf("believed: %s", spoilt[i-20:i+1])
		}
	}
	if flipped < 40 {
		t.Errorf("only %d digits were flipped", flipped)
	}
}
