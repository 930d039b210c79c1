package codes

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
	"pgregory.net/rapid"

	"hishub/core"
)

func read(t testing.TB, text string) *Table {
	t.Helper()
	table, wrong := Read("t", []byte(text))
	if wrong != nil {
		t.Fatal(wrong)
	}
	return table
}

func day(t testing.TB, text string) Day {
	t.Helper()
	d, ok := ParseDay(text)
	if !ok {
		t.Fatalf("no day: %s", text)
	}
	return d
}

// found is a look for people: the value, "value!" by the default, or the error.
func found(l *Lookup, code string, d Day) string {
	v, defaulted, err := l.Find(code, d)
	switch {
	case err != nil:
		return err.Error()
	case defaulted:
		return v + "!"
	}
	return v
}

func TestARowHoldsFromItsFirstDayUntilTheDayItEnds(t *testing.T) {
	table := read(t, "ours,theirs,from,until\nA,1,,2026-03-01\nA,2,2026-03-01,2026-06-01\nA,3,2026-07-01,\nB,9,,\n")
	out, back := table.Lookup(Theirs), table.Back()
	for on, want := range map[string]string{
		"2026-02-28": "1", "2026-03-01": "2", "2026-05-31": "2", "2026-07-01": "3", "2030-01-01": "3",
		"2026-06-01": `code table "t" has our code "A" (what we say to the HIS), but no row is valid on 2026-06-01; add one for that day and apply the folder`,
	} {
		if got := found(out, "A", day(t, on)); got != want {
			t.Errorf("A on %s: %s", on, got)
		}
	}
	if got := found(back, "2", day(t, "2026-03-01")); got != "A" {
		t.Error(got)
	}
	if got := found(back, "2", day(t, "2026-02-28")); got != `code table "t" has the HIS's code "2" (what the HIS says to us), but no row is valid on 2026-02-28; add one for that day and apply the folder` {
		t.Error(got)
	}
	if got := found(out, "C", day(t, "2026-03-01")); got != `code table "t" has no row for our code "C" (what we say to the HIS); add one with it in column ours and apply the folder` {
		t.Error(got)
	}
}

func TestWildcardsAreChosenAndTheLongestWins(t *testing.T) {
	table := read(t, "ours,theirs,name\nJ06.9,exact,x\nJ06.*,long,x\nJ*,short,x\n*,other,rest\nweird\\*,star,x\nback,*,x\nforth,W*,x\n")
	out, back := table.Lookup(Theirs), table.Back()
	for code, want := range map[string]string{"J06.9": "exact", "J06.1": "long", "J06.": "long", "J0": "short", "K1": "other!", "": "other!", "weird*": "star", "weirdo": "other!"} {
		if got := found(out, code, 0); got != want {
			t.Errorf("%q: %s", code, got)
		}
	}
	if got := found(table.Lookup(Name), "Z", 0); got != "rest!" {
		t.Error(got)
	}
	for code, want := range map[string]string{"exact": "J06.9", "W7": "forth", "anything": "back!", "star": "weird*", "long": "back!"} {
		if got := found(back, code, 0); got != want {
			t.Errorf("from %q: %s", code, got)
		}
	}
	if got := found(read(t, "ours,theirs\nA,1\n").Lookup(Theirs), "B", 0); got != `code table "t" has no row for our code "B" (what we say to the HIS); add one with it in column ours and apply the folder` {
		t.Errorf("a default that nobody wrote: %s", got)
	}
}

func TestOneWayRows(t *testing.T) {
	table := read(t, "ours,theirs,direction\nwechat,WX,both\nalipay,ZFB,\nunionpay,ZFB,out\nalipay,OLD,in\n")
	out, back := table.Lookup(Theirs), table.Back()
	if got := found(out, "unionpay", 0) + found(out, "alipay", 0) + found(back, "ZFB", 0) + found(back, "OLD", 0); got != "ZFBZFBalipayalipay" {
		t.Error(got)
	}
	table.Ambiguous(func(first, second *Row) { t.Errorf("lines %d and %d", first.Line, second.Line) })
	n := 0
	read(t, "ours,theirs\nalipay,ZFB\nunionpay,ZFB\n").Ambiguous(func(first, second *Row) { n = 10*first.Line + second.Line })
	if n != 23 {
		t.Error(n)
	}
}

// A row may say that the HIS does not have a code of ours: who says it is told so, by
// the row of its day and by stars too, and the row is no gap.
func TestWhatTheHISDoesNotKnow(t *testing.T) {
	table := read(t, "ours,theirs,direction,from,until\nbank,,none,,2026-07-01\nbank,CH,,2026-07-01,\nold*,,none,,\nolder,O,,,\n*,QT,,,\n")
	for _, l := range []*Lookup{table.Lookup(Theirs), table.Lookup(Direction)} {
		_, _, err := l.Find("bank", day(t, "2026-06-30"))
		var unknown *core.UnknownCode
		if !errors.As(err, &unknown) || err.Error() != "code table t: bank is not known to this HIS (line 2)" {
			t.Errorf("%v", err)
		}
	}
	out := table.Lookup(Theirs)
	for code, want := range map[string]string{"bank": "CH", "older": "O", "old1": "code table t: old1 is not known to this HIS (line 4)", "cash": "QT!"} {
		if got := found(out, code, day(t, "2026-07-01")); got != want {
			t.Errorf("%s: %s", code, got)
		}
	}
	if got := found(table.Back(), "", day(t, "2026-01-01")); got != `code table "t" has no row for the HIS's code "" (what the HIS says to us); add one with it in column theirs and apply the folder` {
		t.Errorf("an empty code of theirs: %s", got)
	}
	if gap, ok := table.Gap("bank", day(t, "2026-01-01")); ok || len(table.Open) != 0 {
		t.Errorf("%v %v", gap, table.Open)
	}
	if left := table.Lacking([]core.CodeUse{{Table: "t", Direction: core.CodeOut, Code: "bank"}}); len(left) != 0 {
		t.Errorf("proposals are asked for %v", left)
	}
}

func TestATableInAnotherCharset(t *testing.T) {
	for text, line := range map[string]int{
		"ours,theirs\nmale,男\nfemale,女\n": 2,
		"ours,theirs\nmale,1\nfemale,女\n": 3, // its bytes are Ů in UTF-8
	} {
		data, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		table, wrong := Read("sex", data)
		if want := fmt.Sprintf("row %d: the table is not UTF-8; save it as UTF-8, or bring it in with hishub codes import", line); table != nil || wrong.Error() != want {
			t.Errorf("%v: %v", table, wrong)
		}
		if got := brought("sex.csv", data); got != text {
			t.Errorf("brought in as the cure says:\n%s", got)
		}
	}
	for _, text := range []string{"ours,theirs\nmale,男\nx,Ů\n", "ours,theirs\nα,±5%\n", "\ufeffours,theirs\nx,Ů\n"} {
		if table, wrong := Read("t", []byte(text)); wrong != nil || string(table.CSV()) != text {
			t.Errorf("%q: %v", text, wrong)
		}
	}
}

func TestMistakesOfATable(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                    "row 1: the table is empty; write ours,theirs and a line for each code",
		"theirs,ours\n":                                       "row 1: the first line names the columns; write ours,theirs and any more columns",
		"ours,theirs,a,a\n":                                   `row 1: there are two columns "a"; name each column once`,
		"ours,theirs\nA,1\nA,2\n":                             `row 3: "A" is here a second time, the first is in line 2; keep one of them, or give one the direction in`,
		"ours,theirs\nA*,1\nA*,2\n":                           `row 3: "A*" is here a second time, the first is in line 2; keep one of them, or give one the direction in`,
		"ours,theirs\nA\n":                                    "row 2: the line has 1 columns, the first has 2",
		"ours,theirs\nA,\n":                                   `row 2: not filled in yet; write their code of "A", or none under a column direction if this HIS does not know it`,
		"ours,theirs\n*,*\n":                                  `row 2: * stands on both sides; name one code on the other side; \* at the end is a star`,
		"ours,theirs,from\nA,1,2026-02-30\n":                  `row 2: from "2026-02-30" is no date; write yyyy-MM-dd, or nothing for no bound`,
		"ours,theirs,direction\nA,1,out of\n":                 `row 2: there is no direction "out of"; write both, out (only what we say), in (only what they say) or none (this HIS does not know ours)`,
		"ours,theirs,direction\nA,1,none\n":                   `row 2: theirs "1" with direction none; leave theirs empty if this HIS does not know ours; else write another direction`,
		"ours,theirs,direction\n,,none\n":                     "row 2: a code is empty; write both, or leave the line out",
		"ours,theirs,direction\nA,,none\nA,1,\n":              `row 3: "A" is here a second time, the first is in line 2; keep one of them, or give one the direction in`,
		"ours,theirs,direction\n*,1,in\n":                     `row 2: ours "*" with direction in; it stands for our codes, so the row is for what we say: direction out`,
		"ours,theirs,direction\nA,*,out\n":                    `row 2: theirs "*" with direction out; it stands for their codes, so the row is for what they say: direction in`,
		"ours,theirs,from,until\nA,1,2026-02-01,2026-02-01\n": "row 2: until 2026-02-01 is not after from 2026-02-01; until is the first day on which the row does not hold any more",
		"ours,theirs,from,until\nA,1,,2026-03-02\nB,1,,\nA,2,2026-03-01,\n": `row 4: "A" is valid on 2026-03-01 here and in line 2; let one end, by until, when the other begins`,
		"ours,theirs,until\nA,1,2026-03-02\nA,2,2026-01-01\n":               `row 3: "A" is valid on each day before 2026-01-01 here and in line 2; let one end, by until, when the other begins`,
	} {
		if _, wrong := Read("t", []byte(text)); wrong.Error() != want {
			t.Errorf("%q\ngot  %s\nwant %s", text, wrong, want)
		}
	}
}

func TestGapsFromTodayOn(t *testing.T) {
	table := read(t, "ours,theirs,from,until\nA,1,,2026-03-01\nA,2,2026-04-01,\nB,1,,2026-05-01\nB,2,2026-05-01,\nC,1,,2026-02-01\n*x,3,,\nD*,4,,2026-06-01\nD1,5,2026-06-01,\n")
	for _, c := range []struct {
		code, today, want string
	}{
		{"A", "2026-01-01", "2026-03-01 2026-04-01"}, {"A", "2026-03-15", "2026-03-15 2026-04-01"}, {"A", "2026-04-01", ""},
		{"B", "2026-01-01", ""}, {"C", "2026-01-01", "2026-02-01 "}, {"C", "2027-01-01", "2027-01-01 "}, {"D1", "2026-01-01", ""}, {"D2", "2026-01-01", "2026-06-01 "}, {"E", "2026-01-01", "never"},
	} {
		gap, ok := table.Gap(c.code, day(t, c.today))
		got := ""
		if ok {
			got = gap.From.String() + " " + gap.Until.String()
		}
		if gap.Never {
			got = "never"
		}
		if got != c.want {
			t.Errorf("%s from %s: %q, want %q", c.code, c.today, got, c.want)
		}
	}
}

// A table without wildcards that has no mistake, and stands for one of ours each
// time, gives back what it was given.
func TestBackAndForth(t *testing.T) {
	codes := rapid.StringMatching(`[A-C0-2*]{1,2}`)
	rapid.Check(t, func(t *rapid.T) {
		text := "ours,theirs,from,until,direction\n"
		days := []string{"", "2026-01-01", "2026-02-01", "2026-03-01"}
		for range rapid.IntRange(0, 12).Draw(t, "rows") {
			text += fmt.Sprintf("%s,%s,%s,%s,%s\n", Written(codes.Draw(t, "ours")), Written(codes.Draw(t, "theirs")), rapid.SampledFrom(days).Draw(t, "from"),
				rapid.SampledFrom(days).Draw(t, "until"), rapid.SampledFrom([]string{"", "both", "out", "in"}).Draw(t, "direction"))
		}
		table, wrong := Read("t", []byte(text))
		if wrong != nil {
			return
		}
		one := true
		table.Ambiguous(func(_, _ *Row) { one = false })
		if !one {
			return
		}
		out, back := table.Lookup(Theirs), table.Back()
		for _, on := range []Day{20251231, 20260101, 20260131, 20260201, 20260301} {
			for i := range table.Rows {
				r := &table.Rows[i]
				if !r.Out || !r.In || !r.holds(on) {
					continue
				}
				theirs, defaulted, err := out.Find(r.Ours, on)
				if err != nil || defaulted || theirs != r.Theirs {
					t.Fatalf("%q on %s: %q %v %v in\n%s", r.Ours, on, theirs, defaulted, err, text)
				}
				if ours, _, err := back.Find(theirs, on); err != nil || ours != r.Ours {
					t.Fatalf("back from %q on %s: %q %v, not %q in\n%s", theirs, on, ours, err, r.Ours, text)
				}
			}
		}
	})
}

// The lookup agrees with reading the table from top to bottom.
func TestLookupIsTheTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.StringMatching(`[AB]{0,3}`)
		text := "ours,theirs,from,until\n"
		for range rapid.IntRange(1, 10).Draw(t, "rows") {
			text += fmt.Sprintf("%s%s,T,%s,%s\n", code.Draw(t, "ours"), rapid.SampledFrom([]string{"", "*"}).Draw(t, "star"),
				rapid.SampledFrom([]string{"", "2026-01-01"}).Draw(t, "from"), rapid.SampledFrom([]string{"", "2026-02-01"}).Draw(t, "until"))
		}
		table, wrong := Read("t", []byte(text))
		if wrong != nil {
			return
		}
		l := table.Lookup(Theirs)
		on := rapid.SampledFrom([]Day{20251201, 20260115, 20260301}).Draw(t, "on")
		c := code.Draw(t, "code")
		best := -1
		for _, r := range table.Rows {
			if r.holds(on) && (r.Ours == c && !r.OursBegin) {
				best = 1000
			}
			if r.holds(on) && r.OursBegin && strings.HasPrefix(c, r.Ours) {
				best = max(best, len(r.Ours))
			}
		}
		_, defaulted, err := l.Find(c, on)
		if (err == nil) != (best >= 0) || defaulted != (best == 0) {
			t.Fatalf("%q on %s: %v %v, best %d in\n%s", c, on, defaulted, err, best, text)
		}
		var unmapped *core.UnmappedCode
		if err != nil && (!errors.As(err, &unmapped) || unmapped.Code != c) {
			t.Fatal(err)
		}
	})
}

// big is a table of drug codes, each with its beginning and end.
func big(n int) []byte {
	var b strings.Builder
	b.WriteString("ours,theirs,name,from,until\n")
	for i := range n {
		fmt.Fprintf(&b, "D%06d,%09d,药品%d,2020-01-01,\n", i, i*7, i)
	}
	b.WriteString("D9*,X,,,\n*,Y,,,\n")
	return []byte(b.String())
}

// A table of 50,000 rows stays within 40 MiB with both lookups.
func TestMemoryOfABigTable(t *testing.T) {
	data := big(50_000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table, _ := Read("drug", data)
	out, back := table.Lookup(Theirs), table.Back()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 40<<20 {
		t.Errorf("%d MiB", used>>20)
	}
	if got := found(out, "D049999", 20260101) + found(back, "000349993", 20260101); got != "000349993D049999" {
		t.Error(got)
	}
}

func BenchmarkReadBig(b *testing.B) {
	data := big(50_000)
	b.ReportAllocs()
	for b.Loop() {
		table, _ := Read("drug", data)
		table.Lookup(Theirs)
		table.Back()
	}
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{5, 50_000} {
		table, _ := Read("drug", big(n))
		l := table.Lookup(Theirs)
		for name, code := range map[string]string{"exact": "D000003", "beginning": "D9zzz", "default": "nothing"} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := l.Find(code, 20260101); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestDays(t *testing.T) {
	if d := DayOf(time.Date(2026, 3, 9, 23, 59, 0, 0, time.UTC)); d.String() != "2026-03-09" {
		t.Error(d)
	}
	for text, want := range map[string]string{"2026-03-09": "2026-03-09", "2026/3/9": "2026-03-09", "2026年3月9日": "2026-03-09", "20260309": "2026-03-09", "2026-03-09 00:00:00": "2026-03-09", "2026/3/9 10:00": "", "9.3.2026": "", "": ""} {
		if d, _ := readDay(text); d.String() != want {
			t.Errorf("%q: %s", text, d)
		}
	}
	if !slices.IsSorted([]Day{0, 20251231, 20260101}) {
		t.Error("days do not compare")
	}
}
