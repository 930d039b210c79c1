package report

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"hishub/core"
	"hishub/core/reconcile"
)

var shanghai = time.FixedZone("+08:00", 8*60*60)

func at(day, clock string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", day+" "+clock, shanghai)
	if err != nil {
		panic(err)
	}
	return t
}

func entry(number string, amount core.Fen, channelNo, hisNo string) reconcile.Entry {
	return reconcile.Entry{LedgerEntry: core.LedgerEntry{
		Type: core.EntryPayment, Number: number, ChannelNo: channelNo, HisNo: hisNo, Channel: "wechat", Amount: amount, At: at("2026-01-05", "09:00"),
	}}
}

// theDay has one of everything. Its sums: by WeChat 3 payments of 30.00 and 1
// refund of 5.00 in the bill, 2 of 20.00 and the same refund with us; by Alipay
// registrations that agree; cash that no bill has.
func theDay() Day {
	line := func(p reconcile.Party, c core.Channel, b reconcile.Business, t core.EntryType, operator string, count int64, amount core.Fen, fee core.Millifen) reconcile.Line {
		return reconcile.Line{Party: p, Channel: c, Business: b, Type: t, Operator: operator, Count: count, Amount: amount, Fee: fee}
	}
	const pay, back = core.EntryPayment, core.EntryRefund
	return Day{
		Hospital: "dongshan", Name: "东山测试医院", Day: "2026-01-05", Zone: shanghai, Made: at("2026-01-08", "08:30"),
		Night: reconcile.Night{
			ID: 7, Hospital: "dongshan", Day: "2026-01-05", Run: 2, State: reconcile.NightDone, Closed: true, Who: "schedule", Ended: at("2026-01-06", "10:31"), Detail: reconcile.Full, Why: "every 7th night",
			Lines: []reconcile.Line{
				line(reconcile.Channel, "wechat", reconcile.Outpatient, pay, "", 3, 3000, 18_333),
				line(reconcile.Channel, "wechat", reconcile.Outpatient, back, "", 1, 500, -3_333),
				line(reconcile.Ours, "wechat", reconcile.Outpatient, pay, "", 2, 2000, 0),
				line(reconcile.Ours, "wechat", reconcile.Outpatient, back, "", 1, 500, 0),
				line(reconcile.HIS, "wechat", reconcile.Outpatient, pay, "ZZ01", 2, 2000, 0),
				line(reconcile.HIS, "wechat", reconcile.Outpatient, back, "ZZ02", 1, 500, 0),
				line(reconcile.Channel, "alipay", reconcile.Registration, pay, "", 1, 1500, 9_333),
				line(reconcile.Ours, "alipay", reconcile.Registration, pay, "", 1, 1500, 0),
				line(reconcile.HIS, "alipay", reconcile.Registration, pay, "ZZ01", 1, 1500, 0),
				line(reconcile.Ours, "cash", reconcile.Outpatient, pay, "", 1, 700, 0),
				line(reconcile.HIS, "cash", reconcile.Outpatient, pay, "ZZ02", 1, 700, 0),
			},
			Statements: []reconcile.Statement{
				{Party: reconcile.Channel, Source: "wechat", Taken: at("2026-01-06", "10:30"), Entries: 4, Amount: 2500, Fee: 15_000, Digest: strings.Repeat("ab", 32)},
				{Party: reconcile.HIS, Source: "ledger.detail", Taken: at("2026-01-06", "10:30"), Entries: 5, Amount: 3700},
			},
		},
		Findings: []reconcile.Finding{
			{Class: reconcile.InTransit, Type: pay, Number: "0020260105000017", Ours: []reconcile.Entry{entry("0020260105000017", 300, "", "")}, Amount: 300, Cause: "not told yet"},
			{Class: reconcile.Excluded, Type: pay, Number: "ZERO1", HIS: []reconcile.Entry{entry("ZERO1", 0, "", "H9")}},
			{Class: reconcile.MissingHere, Type: pay, Number: "4200002026010512345678", Channel: []reconcile.Entry{entry("4200002026010512345678", 1000, "4200002026010512345678", "")}, Amount: 1000, Cause: "=HYPERLINK(\"http://bad.example\")"},
			{Class: reconcile.PaidTwice, Type: pay, Number: "A2", Channel: []reconcile.Entry{entry("A2", 400, "wx1", ""), entry("A2", 400, "wx2", "")}, Ours: []reconcile.Entry{entry("A2", 400, "wx1", "")}, Amount: 400, Cause: "paid again", Of: "A1"},
		},
		Cases: []reconcile.Case{
			{ID: 31, Day: "2026-01-05", Type: pay, Number: "A2", Class: reconcile.PaidTwice, Amount: 400, State: reconcile.CaseRepairing, Owner: "finance",
				Repair: &reconcile.Repair{Action: reconcile.PayBack, State: reconcile.RepairSent, ProposedBy: "policy", ApprovedBy: "ann", SecondBy: "bob"}},
			{ID: 12, Day: "2025-12-29", Type: back, Number: "-2+3", Class: reconcile.WithoutMoney, Amount: 900, State: reconcile.CaseOpen, Owner: "@carol"},
			{ID: 11, Day: "2025-12-28", Type: back, Number: "OLD", Class: reconcile.WithoutMoney, Amount: 900, State: reconcile.CaseResolved, Owner: "finance"},
		},
		Adjustments: []Adjustment{{"2026-01-03", 3, at("2026-01-05", "11:00"), reconcile.Change{Finding: reconcile.Finding{Class: reconcile.MissingAtHIS, Type: pay, Number: "B7", Amount: 200}, Gone: true}}},
		Refunds: []reconcile.RefundLine{
			{Number: "R1", OrderID: "A1", Channel: "wechat", ChannelNo: "5030001", Amount: 500, AskedAt: at("2026-01-05", "10:00"), State: core.EntryDone, ArrivedAt: at("2026-01-06", "12:00")},
			{Number: "R2", OrderID: "A3", Channel: "alipay", Amount: 100, AskedAt: at("2026-01-05", "10:00"), State: core.EntryProcessing},
		},
		Settlements: []reconcile.Settlement{{Channel: "wechat", Day: "2026-01-05", Amount: 2485, Reference: "00001234567890123"}},
	}
}

// read finds a table's rows by what one of its cells says.
func rows(t *testing.T, table Table, key, want string) []map[string]string {
	t.Helper()
	var found []map[string]string
	for _, r := range table.Rows {
		if len(r.Cells) != len(table.Columns) {
			t.Fatalf("%s: %d cells for %d columns", table.Name, len(r.Cells), len(table.Columns))
		}
		if !strings.Contains(text(r.Cells[table.column(key)]), want) {
			continue
		}
		row := map[string]string{}
		for i, c := range table.Columns {
			row[c.Key] = text(r.Cells[i])
		}
		if r.Total {
			row["total"] = "yes"
		}
		found = append(found, row)
	}
	return found
}

func expect(t *testing.T, row map[string]string, want ...string) {
	t.Helper()
	for _, w := range want {
		key, value, _ := strings.Cut(w, "=")
		if row[key] != value {
			t.Errorf("%s is %q, want %q in %v", key, row[key], value, row)
		}
	}
}

func TestTheDaysTables(t *testing.T) {
	d := theDay().Document()

	summary := d.table("summary")
	wechat := rows(t, summary, "channel", "wechat")
	if len(wechat) != 2 { // payment and refund; no sum of a single row
		t.Fatalf("%v", wechat)
	}
	expect(t, wechat[0], "business=门诊 outpatient", "type=支付 payment", "bill_count=3", "bill_amount=30.00", "bill_fee=0.18", "bill_net=29.82", "ours_amount=20.00", "his_amount=20.00",
		"bill_less_ours_count=1", "bill_less_ours=10.00", "his_less_ours_count=0", "his_less_ours=0.00")
	expect(t, wechat[1], "type=退款 refund", "bill_amount=5.00", "bill_fee=-0.03", "bill_net=-4.97", "bill_less_ours=0.00")
	cash := rows(t, summary, "channel", "cash")[0]
	expect(t, cash, "ours_amount=7.00", "bill_amount=", "bill_count=", "bill_less_ours=", "his_less_ours=0.00") // no bill of cash: no difference
	sums := rows(t, summary, "channel", "合计")
	// The fee of all payments is 18.333 + 9.333 = 27.666 fen: rounded once.
	expect(t, sums[0], "bill_count=4", "bill_amount=45.00", "bill_fee=0.28", "bill_net=44.72", "ours_count=4", "ours_amount=42.00", "his_amount=42.00", "bill_less_ours=10.00", "his_less_ours=0.00")

	differences := d.table("differences")
	missing := rows(t, differences, "class", "漏单")[0]
	expect(t, missing, "number=4200002026010512345678", "bill_amount=10.00", "ours_amount=", "his_amount=", "age_days=3", "owner=财务 finance", "case=", "channel_no=4200002026010512345678")
	twice := rows(t, differences, "class", "重复支付")[0]
	expect(t, twice, "bill_amount=8.00", "ours_amount=4.00", "amount=4.00", "case_state=处理中 repairing", "repair=退款 pay back", "repair_state=执行中 sent", "by=ann, bob", "case=31")
	expect(t, rows(t, differences, "day", "合计")[0], "number=2", "amount=14.00")

	if got := d.table("open-cases"); len(got.Rows) != 3 { // two live ones and the sum
		t.Errorf("%v", got.Rows)
	}
	expect(t, rows(t, d.table("open-cases"), "number", "-2+3")[0], "age_days=10")
	transit := rows(t, d.table("in-transit"), "class", "在途")
	expect(t, transit[0], "number=0020260105000017", "since=2026-01-05 09:00:00")
	expect(t, rows(t, d.table("adjustments"), "day", "2026-01-03")[0], "booked_on=2026-01-05", "change=消除 gone", "number=B7", "run=3")
	refunds := rows(t, d.table("refunds"), "day", "2026")
	expect(t, refunds[0], "state=已到账 done", "arrived=2026-01-06 12:00:00", "hours=26")
	expect(t, refunds[1], "state=在途 processing", "arrived=", "hours=70")
	bank := d.table("settlements")
	// 30.00 - 5.00 - 0.15
	expect(t, rows(t, bank, "channel", "wechat")[0], "expected=24.85", "received=24.85", "difference=0.00", "state=相符 agrees", "reference=00001234567890123")
	expect(t, rows(t, bank, "channel", "alipay")[0], "expected=14.91", "received=0.00", "difference=-14.91", "state=未到账 not received")
	if cash := rows(t, bank, "channel", "cash"); len(cash) != 0 {
		t.Errorf("cash is expected at the bank: %v", cash)
	}
	one := rows(t, d.table("operators"), "operator", "ZZ01")
	expect(t, one[2], "channel=小计 subtotal", "payments=3", "payment_amount=35.00", "net=35.00")
	expect(t, rows(t, d.table("operators"), "operator", "合计")[0], "payments=4", "payment_amount=42.00", "refunds=1", "refund_amount=5.00", "net=37.00")
}

// A HIS that told only the day's sums is not held against one channel.
func TestLumpedSums(t *testing.T) {
	d := theDay()
	var lines []reconcile.Line
	for _, l := range d.Night.Lines {
		if l.Party != reconcile.HIS {
			lines = append(lines, l)
		}
	}
	d.Night.Lines = append(lines,
		reconcile.Line{Party: reconcile.HIS, Type: core.EntryPayment, Count: 4, Amount: 4200}, reconcile.Line{Party: reconcile.HIS, Type: core.EntryRefund, Count: 1, Amount: 500},
		// Of an unknown payment the bill does not say what it was for.
		reconcile.Line{Party: reconcile.Channel, Channel: "wechat", Type: core.EntryPayment, Count: 1, Amount: 100})
	s := d.Document().table("summary")
	for _, r := range rows(t, s, "channel", "wechat") {
		if r["his_less_ours"] != "" {
			t.Errorf("%v", r)
		}
	}
	pay := rows(t, s, "channel", "wechat")
	expect(t, pay[0], "bill_less_ours=")                              // one part is told without what it was for
	expect(t, pay[2], "business=小计 subtotal", "bill_less_ours=11.00") // the channel's sum still agrees or not
	expect(t, rows(t, s, "channel", "合计")[0], "his_less_ours=0.00", "bill_less_ours=11.00")
}

func month() Month {
	other := theDay()
	other.Day, other.Night.Day, other.Findings, other.Adjustments, other.Cases = "2026-01-06", "2026-01-06", nil, nil, other.Cases[:1]
	none := Day{Day: "2026-01-07"}
	return Month{Hospital: "dongshan", Name: "东山测试医院", Month: "2026-01", Zone: shanghai, Made: at("2026-02-01", "09:00"), Days: []Day{none, other, theDay()}}
}

func TestTheMonthAddsUp(t *testing.T) {
	d := month().Document()
	days := d.table("days")
	all := rows(t, days, "day", "2026-01")
	if len(all) != 3 || all[0]["day"] != "2026-01-05" || all[2]["state"] != "未对账 no run" {
		t.Fatalf("%v", all)
	}
	expect(t, all[0], "state=已关账 closed", "ours_payments=4", "ours_payment_amount=42.00", "ours_refund_amount=5.00", "bill_payment_amount=45.00", "fee=0.24", "net=39.76", "differences=2", "difference_amount=14.00", "in_transit=1", "adjustments=1")
	// The total is the sum of the days, but for fees, which it rounds once: 2 x 24.333 = 48.666 fen.
	total := rows(t, days, "day", "合计")[0]
	expect(t, total, "ours_payment_amount=84.00", "bill_payment_amount=90.00", "fee=0.49", "net=79.51", "differences=2", "adjustments=1")
	if n := len(rows(t, d.table("open-cases"), "case", "31")); n != 1 {
		t.Errorf("a case of two days' reports stands %d times in the month's", n)
	}
	sums := rows(t, d.table("summary"), "channel", "合计")
	expect(t, sums[0], "bill_amount=90.00", "ours_amount=84.00", "bill_less_ours=20.00")
}

func TestWorkbook(t *testing.T) {
	d := month().Document()
	var out bytes.Buffer
	if err := XLSX(&out, d); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range d.Tables {
		name := sheetName(table, 1)
		got, err := f.GetRows(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(table.Rows)+1 {
			t.Errorf("%s has %d rows, want %d", name, len(got), len(table.Rows)+1)
		}
		if p, err := f.GetPanes(name); err != nil || !p.Freeze || p.YSplit != 1 {
			t.Errorf("%s: the heading is not frozen: %+v %v", name, p, err)
		}
		for i, r := range table.Rows {
			for j, c := range r.Cells {
				cell, _ := excelize.CoordinatesToCellName(j+1, i+2)
				if formula, _ := f.GetCellFormula(name, cell); formula != "" {
					t.Errorf("%s!%s is a formula", name, cell)
				}
				shown, _ := f.GetCellValue(name, cell)
				kind, _ := f.GetCellType(name, cell)
				switch c := c.(type) {
				case core.Fen:
					raw, _ := f.GetCellValue(name, cell, excelize.Options{RawCellValue: true})
					if back, err := core.ParseYuan(raw); err != nil || back != c || kind != excelize.CellTypeUnset && kind != excelize.CellTypeNumber {
						t.Errorf("%s!%s is %q of type %v, want %s as a number", name, cell, raw, kind, c)
					}
					if strings.ReplaceAll(shown, ",", "") != c.String() {
						t.Errorf("%s!%s shows %q, want %s", name, cell, shown, c)
					}
				case ID, string, Word:
					if want := text(c); shown != want || want != "" && kind != excelize.CellTypeInlineString && kind != excelize.CellTypeSharedString {
						t.Errorf("%s!%s is %q of type %v, want %q as text", name, cell, shown, kind, want)
					}
				case int64, time.Time:
					if shown != text(c) {
						t.Errorf("%s!%s shows %q, want %q", name, cell, shown, text(c))
					}
				}
			}
		}
		if w, _ := f.GetColWidth(name, "D"); w < 11 {
			t.Errorf("%s: width %v", name, w)
		}
	}
	// Two charts of Excel's own, over the three days and not their total.
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	charts := ""
	for _, file := range z.File {
		if strings.HasPrefix(file.Name, "xl/charts/chart") {
			r, _ := file.Open()
			text, _ := io.ReadAll(r)
			charts += string(text)
		}
	}
	for _, want := range []string{"barChart", "lineChart", "逐日 days&#39;!$Q$2:$Q$4", "逐日 days&#39;!$D$2:$D$4", "每日差异"} {
		if !strings.Contains(charts, want) {
			t.Errorf("the charts lack %s", want)
		}
	}
}

func TestALongTableGoesOnInAnotherSheet(t *testing.T) {
	var out bytes.Buffer
	d := Document{Hospital: "h", Period: "2026-01-05", Tables: []Table{{Name: "list", Title: "表", Columns: []Column{{"n", "号", Number}}}}}
	for i := range 7 {
		d.Tables[0].add(ID(countText(i)))
	}
	if err := workbook(&out, d, 3); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range []string{"表 list", "表 list 2", "表 list 3"} {
		got, err := f.GetRows(name)
		if err != nil || got[0][0] != "号 n" {
			t.Fatalf("%s: %v %v", name, got, err)
		}
		for _, r := range got[1:] {
			all = append(all, r[0])
		}
	}
	if strings.Join(all, "") != "0123456" {
		t.Errorf("%v", all)
	}
}

func TestCSV(t *testing.T) {
	d := theDay().Document()
	var out bytes.Buffer
	if err := CSV(&out, d); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) != len(d.Tables) {
		t.Fatalf("%d files", len(z.File))
	}
	for i, file := range z.File {
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(r)
		rest, marked := bytes.CutPrefix(content, []byte("\xef\xbb\xbf"))
		if !marked || bytes.Count(rest, []byte("\n")) != bytes.Count(rest, []byte("\r\n")) || !bytes.HasSuffix(rest, []byte("\r\n")) {
			t.Errorf("%s: no mark, or lines that do not end with CRLF", file.Name)
		}
		records, err := csv.NewReader(bytes.NewReader(rest)).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", file.Name, err)
		}
		table := d.Tables[i]
		if len(records) != len(table.Rows)+1 || file.Name != "reconciliation-dongshan-2026-01-05-"+table.Name+".csv" {
			t.Errorf("%s has %d records", file.Name, len(records))
		}
		for _, record := range records[1:] {
			for j, cell := range record {
				if cell == "" || table.Columns[j].Kind.Right() {
					continue
				}
				if strings.ContainsRune("=+-@", rune(cell[0])) {
					t.Errorf("%s: %q would be a formula", file.Name, cell)
				}
				if regexp.MustCompile(`^[0-9]+$`).MatchString(cell) && table.Columns[j].Kind == Number {
					if _, sum := d.Tables[i].Rows[0].Cells[j].(int64); !sum && len(cell) > 9 {
						t.Errorf("%s: Excel would mangle %q", file.Name, cell)
					}
				}
			}
		}
	}
}

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"=1+1": "'=1+1", "+86": "'+86", "-2+3": "'-2+3", "@SUM(A1)": "'@SUM(A1)", " =1+1": "' =1+1", "\t=1+1": "' =1+1", "\r\n=1": "'  =1", "＝1+1": "'＝1+1", "＠x": "'＠x", "\ufeff=1": "'=1",
		"0020260105000017": "\t0020260105000017", "4200002026010512345678": "\t4200002026010512345678", "1E10": "\t1E10", "1-2": "\t1-2", "2026/01/05": "\t2026/01/05",
		"A1": "A1", "微信 wechat": "微信 wechat", "": "", "a=b": "a=b",
	} {
		if got := safe(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// FuzzSafe: whatever a foreign text is, its cell is one record's one cell and
// begins with nothing that Excel takes for a formula.
func FuzzSafe(f *testing.F) {
	for _, s := range []string{"=1+1", "\"=1\"", "a,b;=c", "\n=1", "\x00=", "\ufeff=1", "１２３", "\u00a0=1", "0001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		table := Table{Columns: []Column{{"a", "甲", Text}, {"b", "乙", Number}}}
		table.add(s, ID(s))
		var out bytes.Buffer
		if err := table.CSV(&out); err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(out.String(), "\ufeff"))).ReadAll()
		if err != nil || len(records) != 2 || len(records[1]) != 2 {
			t.Fatalf("%q: %v %v", s, records, err)
		}
		for _, cell := range records[1] {
			if bare := strings.TrimSpace(cell); bare != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(bare)[0]) {
				t.Fatalf("%q became %q", s, cell)
			}
		}
	})
}

func TestPage(t *testing.T) {
	m := month()
	m.Days[2].Findings[0].Cause = "<script>alert(1)</script>"
	var out bytes.Buffer
	if err := HTML(&out, m.Document()); err != nil {
		t.Fatal(err)
	}
	page := out.String()
	for _, want := range []string{
		"东山测试医院 2026-01 对账月报", "已关账天数 closed days</dt><dd>2 / 3", "重复支付 paid twice", "4200002026010512345678", "84.00", "79.51", "&lt;script&gt;", "<svg", "<polyline", "<rect", "2026-01-05: 2",
		"未到账 not received", "charset=\"utf-8\"", "@media print",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, not := range []string{"<script", "ZgotmplZ", "src=", "url(", "http://www", "style=", "@import"} {
		if strings.Contains(page, not) {
			t.Errorf("the page holds %q", not)
		}
	}
	if inner := page[strings.Index(page, "<style>")+len("<style>") : strings.Index(page, "</style>")]; inner != style {
		t.Error("the style is not what its source names")
	}
	day := theDay()
	day.Findings, day.Night.State = nil, reconcile.NightDone
	out.Reset()
	if err := HTML(&out, day.Document()); err != nil || !strings.Contains(out.String(), "差异 differences</dt><dd>无 none") {
		t.Errorf("a day without differences does not say so: %v", err)
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	if err := JSON(&out, theDay().Document()); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Hospital, Period string
		Tables           map[string][]map[string]any
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	first := got.Tables["summary"][0]
	if got.Hospital != "dongshan" || first["channel"] != "wechat" || first["bill_amount"] != 3000.0 || first["type"] != "payment" {
		t.Errorf("%v", first)
	}
	if d := got.Tables["differences"][0]; d["class"] != "missing_here" || d["ours_amount"] != nil {
		t.Errorf("%v", d)
	}
}

// An empty day makes all that a full one makes.
func TestAnEmptyDay(t *testing.T) {
	for _, d := range []Document{{}, (Day{Hospital: "h", Day: "2026-01-05"}).Document(), (Month{Hospital: "h", Month: "2026-01"}).Document()} {
		if d.Hospital == "" {
			continue
		}
		for name, write := range map[string]func(io.Writer, Document) error{"xlsx": XLSX, "csv": CSV, "html": HTML, "json": JSON} {
			if err := write(io.Discard, d); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
