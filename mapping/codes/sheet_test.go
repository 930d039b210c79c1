package codes

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"
)

// brought reads a file as Import would take it, as CSV; or what is wrong with it.
func brought(name string, data []byte) string {
	s, err := ReadSheet(name, data)
	if err != nil {
		return err.Error()
	}
	t, wrong := s.Import("t")
	if wrong != nil {
		return wrong.Error()
	}
	return string(t.CSV())
}

func TestCSVAsExcelWritesIt(t *testing.T) {
	const want = "ours,theirs,name,from,until\nwechat,007,微信,2026-01-05,2026-12-31\nalipay,08,支付宝,,\n"
	text := "我方,对方,名称,生效,失效\r\nwechat,\"=\"\"007\"\"\",微信,2026/1/5,2026年12月31日\r\n\u3000alipay ,'08,支付宝\u200b,,\r\n,,,,\r\n"
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(strings.ReplaceAll(text, "\u200b", ""))
	if err != nil {
		t.Fatal(err)
	}
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(strings.ReplaceAll(text, ",", "\t"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"UTF-8": text, "UTF-8 with mark": "\ufeff" + text, "GB18030": gb, "UTF-16 with tabs": wide, "semicolons": strings.ReplaceAll(text, ",", ";")} {
		if got := brought("a.csv", []byte(data)); got != want {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

func TestWhatCannotBeBroughtIn(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "the file is empty; the first row names the columns: ours,theirs (我方,对方)",
		"我方,名称\nA,x\n":                      `row 1: no column "theirs" among ours, name; the first row names the columns: ours,theirs (我方,对方)`,
		"ours,theirs,\nA,1,x\n":             "row 1: column 3 has no heading; name it, or delete it",
		"ours,我方,theirs\n":                  `row 1: two columns are "ours"; keep one`,
		"ours,theirs\nA,1.23E+11\n":         `row 2: theirs "1.23E+11"; is a number whose digits were lost; format the column as text and enter the code again`,
		"ours,theirs,from\nA,1,soon\n":      `row 2: from "soon"; is no date; write yyyy-MM-dd`,
		"ours,theirs\nA,1\n\nB,2\nA,3\n":    `row 5: "A" is here a second time, the first is in line 2; keep one of them, or give one the direction in`,
		"ours,theirs,方向\nA,1,出\nB,2,quer\n": `row 3: there is no direction "quer"; write both, out (only what we say), in (only what they say) or none (this HIS does not know ours)`,
		"ours,theirs\nA,\n":                 `row 2: not filled in yet; write their code of "A", or none under a column direction if this HIS does not know it`,
		"ours,theirs\n\xff\xfe\xff,1\n":     "the text is neither UTF-8 nor GB18030",
	} {
		if got := brought("a.csv", []byte(text)); got != want {
			t.Errorf("%q\ngot  %s\nwant %s", text, got, want)
		}
	}
	if got := brought("a.xlsx", []byte("ours,theirs\n")); got != "a.xlsx: not an .xlsx workbook" {
		t.Error(got)
	}
	if got := brought("a.xls", []byte("x")); got != "a.xls: a workbook of the old kind; save it as .xlsx or .csv" {
		t.Error(got)
	}
	if got := brought("a.xlsx", []byte("PK\x03\x04 not really")); !strings.HasPrefix(got, "open the workbook: ") {
		t.Error(got)
	}
}

func workbookOf(t testing.TB, set func(f *excelize.File)) []byte {
	t.Helper()
	f := excelize.NewFile()
	set(f)
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAWorkbookAsPeopleMakeIt(t *testing.T) {
	zeros := "00000"
	data := workbookOf(t, func(f *excelize.File) {
		style, _ := f.NewStyle(&excelize.Style{CustomNumFmt: &zeros})
		date, _ := f.NewStyle(&excelize.Style{NumFmt: 14})
		thousands, _ := f.NewStyle(&excelize.Style{NumFmt: 3})
		for cell, v := range map[string]any{
			"B2": "我方", "C2": "对方", "D2": "生效", // a title's row and column are left free
			"B3": "A", "C3": 42, "D3": 46027, // 2026-01-05
			"B4": "B", "C4": 123456789012, "D4": "2026-02-01",
			"B5": "C", "C5": "0071",
			"B6": "D", "C6": 12345,
			"B7": "E", "C7": 4321,
		} {
			_ = f.SetCellValue("Sheet1", cell, v)
		}
		_ = f.SetCellStyle("Sheet1", "C3", "C3", style)
		_ = f.SetCellStyle("Sheet1", "D3", "D3", date)
		_ = f.SetCellStyle("Sheet1", "C6", "C6", thousands)
		science, _ := f.NewStyle(&excelize.Style{NumFmt: 11})
		_ = f.SetCellStyle("Sheet1", "C7", "C7", science)
	})
	if got, want := brought("a.xlsx", data), "ours,theirs,from\nA,00042,2026-01-05\nB,123456789012,2026-02-01\nC,0071,\nD,12345,\nE,4321,\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	long := workbookOf(t, func(f *excelize.File) {
		for cell, v := range map[string]any{"A1": "ours", "B1": "theirs", "A2": "A", "B2": 1.2345678901234567e17} {
			_ = f.SetCellValue("Sheet1", cell, v)
		}
	})
	if got := brought("a.xlsx", long); !strings.Contains(got, "row 2: ") || !strings.Contains(got, "digits were lost") {
		t.Errorf("a number of 18 digits: %s", got)
	}
}

// What is taken out and brought in again, as CSV or as a workbook, is the same.
func TestOutAndInAgain(t *testing.T) {
	cell := rapid.OneOf(rapid.StringMatching(`[0-9A-Z]{1,6}`), rapid.SampledFrom([]string{"007", "1,5", `say "x"`, "=1+1", "微信", "J06.*", `x\*`, "-3", "1E5", "+86"}))
	rapid.Check(t, func(t *rapid.T) {
		table := &Table{Name: "t", Columns: []string{Ours, Theirs, Name, From}}
		for i := range rapid.IntRange(0, 5).Draw(t, "rows") {
			values := []string{fmt.Sprintf("%d%s", i, cell.Draw(t, "ours")), strings.TrimSuffix(cell.Draw(t, "theirs"), "*"), cell.Draw(t, "name"), rapid.SampledFrom([]string{"", "2026-01-05"}).Draw(t, "from")}
			if p := table.add(i+2, values); p != nil {
				t.Fatal(p)
			}
		}
		if got := brought("a.csv", table.CSV()); got != string(table.CSV()) {
			t.Fatalf("CSV gave\n%snot\n%s", got, table.CSV())
		}
		var b bytes.Buffer
		if err := table.XLSX(&b); err != nil {
			t.Fatal(err)
		}
		if got := brought("a.xlsx", b.Bytes()); got != string(table.CSV()) {
			t.Fatalf("the workbook gave\n%snot\n%s", got, table.CSV())
		}
	})
}

func changed(t *testing.T, old *Table, next string, add bool) *Change {
	t.Helper()
	s, err := ReadSheet("a.csv", []byte(next))
	if err != nil {
		t.Fatal(err)
	}
	if add {
		s, _ = s.Without(old)
	}
	table, wrong := s.Import("t")
	if wrong != nil {
		t.Fatal(wrong)
	}
	c, wrong := Replace(old, table, add)
	if wrong != nil {
		t.Fatal(wrong)
	}
	return c
}

func counts(c *Change) [3]int { return [3]int{len(c.Added), len(c.Changed), len(c.Removed)} }

func TestReplaceKeepsPlacesSoThatDifferencesAreSmall(t *testing.T) {
	old := read(t, "ours,theirs,name\nz,1,last\nm,2,middle\na,3,first\n")
	c := changed(t, old, "名称,对方,我方\nfirst,3,a\nMIDDLE,2,m\nnew,5,n\nnew,4,b\n", false)
	if got, want := string(c.Table.CSV()), "ours,theirs,name\nm,2,MIDDLE\na,3,first\nb,4,new\nn,5,new\n"; got != want || counts(c) != [3]int{2, 1, 1} {
		t.Errorf("%v\n%s", counts(c), got)
	}
	again := changed(t, c.Table, string(c.Table.CSV()), false)
	if !again.None() || !bytes.Equal(again.Table.CSV(), c.Table.CSV()) {
		t.Errorf("a second time: %v", counts(again))
	}
	c = changed(t, old, "ours,theirs,score,our_name\nm,9,0.9,x\nq,8,0.5,y\n", true)
	if got, want := string(c.Table.CSV()), "ours,theirs,name\nz,1,last\nm,9,middle\na,3,first\nq,8,\n"; got != want || counts(c) != [3]int{1, 1, 0} {
		t.Errorf("added: %v\n%s", counts(c), got)
	}
	dated := read(t, "ours,theirs,from,until\nA,1,,2026-03-01\nA,2,2026-03-01,\n")
	c = changed(t, dated, "ours,theirs,from,until\nA,1,,2026-03-01\nA,3,2026-03-01,\n", false)
	if counts(c) != [3]int{0, 1, 0} {
		t.Errorf("dated: %v", counts(c))
	}
	one := changed(t, nil, "ours,theirs\nb,1\na,2\n", false)
	if got := string(one.Table.CSV()); got != "ours,theirs\na,2\nb,1\n" {
		t.Errorf("a new table: %s", got)
	}
	next, _ := (&Sheet{Columns: []string{Ours, Theirs, From}, Rows: []SheetRow{{2, []string{"A", "9", "2026-02-01"}}}}).Import("t")
	if _, wrong := Replace(dated, next, true); wrong == nil {
		t.Error("a code that would stand there twice on one day was added")
	}
}

// Whatever a file holds, it is read or refused with words; what is read is a table
// that reads the same again.
func FuzzReadSheet(f *testing.F) {
	for _, s := range []string{"ours,theirs\nA,1\n", "我方;对方\nA;=\"007\"\n", "ours\ttheirs\tfrom\nA\t1\t2026/1/5\n", "\xff\xfeo\x00", "ours,theirs,direction\nA*,1,出\n*,2,\n", "\"ours\",\"theirs\"\n\"a\"b,\"c\n"} {
		f.Add("a.csv", []byte(s))
	}
	f.Add("a.xlsx", workbookOf(f, func(x *excelize.File) {
		for cell, v := range map[string]any{"A1": "ours", "B1": "theirs", "A2": "A", "B2": 7} {
			_ = x.SetCellValue("Sheet1", cell, v)
		}
	}))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		s, err := ReadSheet(name, data)
		if err != nil {
			var wrong Problems
			if errors.As(err, &wrong) && slices.ContainsFunc(wrong, func(p Problem) bool { return p.Line < 1 || p.Column < 1 || p.What == "" }) {
				t.Fatalf("a problem without place or words: %+v", wrong)
			}
			return
		}
		table, wrong := s.Import("t")
		if wrong != nil {
			return
		}
		again, wrong := Read("t", table.CSV())
		if wrong != nil {
			t.Fatalf("%v in\n%s", wrong, table.CSV())
		}
		if !bytes.Equal(again.CSV(), table.CSV()) {
			t.Fatalf("read again:\n%q\nnot\n%q", again.CSV(), table.CSV())
		}
	})
}

func FuzzReadEntries(f *testing.F) {
	for _, s := range []string{"编码,名称\nA,x\n", `{"answer":{"drugs":[{"code":"1","name":"x","spec":"y"}]}}`, `[{"code":"1"}]`, `{"answer":{"answer":{}}}`, "["} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := ReadEntries("x", data)
		if err == nil {
			NewDictionary(all).Nearest(Entry{Code: "1", Name: "阿莫西林"})
		}
	})
}
