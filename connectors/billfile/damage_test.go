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

	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/core"
)

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
