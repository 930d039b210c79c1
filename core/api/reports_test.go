package api

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"hishub/core"
	"hishub/core/report"
)

func TestReports(t *testing.T) {
	w := newWorld(t)
	w.differing()
	finance := w.key(Finance, "dongshan")
	at := "/v1/hospitals/dongshan/reports/"

	// The bank received something for the day.
	settlement := map[string]any{"channel": "wechat", "day": "2026-01-05", "amount": 1490, "reference": "B1"}
	if a := w.do(w.key(Operator, "dongshan"), "POST", "/v1/hospitals/dongshan/settlements", settlement); a.status != 403 {
		t.Errorf("an operator records money: %d", a.status)
	}
	for range 2 { // the same reference again replaces it
		if a := w.do(finance, "POST", "/v1/hospitals/dongshan/settlements", settlement); a.status != 204 {
			t.Fatalf("%d %s", a.status, a.text)
		}
	}
	var bank struct {
		Settlements []struct {
			Amount    core.Fen
			Reference string
			Who       string
		}
	}
	w.do(finance, "GET", "/v1/hospitals/dongshan/settlements?from=2026-01-01&to=2026-01-05", nil).into(t, &bank)
	if len(bank.Settlements) != 1 || bank.Settlements[0].Amount != 1490 || !strings.HasPrefix(bank.Settlements[0].Who, "finance dongshan") {
		t.Errorf("%+v", bank)
	}
	if p := w.do(finance, "GET", "/v1/hospitals/dongshan/settlements?from=2026-01-01&to=2026-06-05", nil).problem(t); p.Status != 422 || !strings.Contains(p.Errors[0].What, "more than 92 days") {
		t.Errorf("%+v", p)
	}

	file := func(name, media, disposition string) answerOfAPI {
		t.Helper()
		a := w.do(finance, "GET", at+name, nil)
		if a.status != 200 || a.header.Get("Content-Type") != media || a.header.Get("Content-Disposition") != disposition {
			t.Fatalf("%s: %d %q %q", name, a.status, a.header.Get("Content-Type"), a.header.Get("Content-Disposition"))
		}
		return a
	}
	for _, period := range []string{"2026-01-05", "2026-01"} {
		a := file(period+".xlsx", report.TypeXLSX, "attachment; filename=reconciliation-dongshan-"+period+".xlsx")
		book, err := excelize.OpenReader(strings.NewReader(a.text))
		must(t, err)
		rows, err := book.GetRows("差异 differences")
		must(t, err)
		if len(rows) != 4 || rows[1][3] != "A1" || rows[2][3] != "A2" { // heading, two, sum
			t.Errorf("%s: %v", period, rows)
		}
		a = file(period+".html", report.TypeHTML, "inline; filename=reconciliation-dongshan-"+period+".html")
		if !strings.Contains(a.text, "DONGSHAN") || !strings.Contains(a.text, "15.00") || strings.Contains(a.text, "三测试") || !strings.Contains(a.header.Get("Content-Security-Policy"), report.StyleSource) {
			t.Errorf("%s: %s", period, a.text)
		}
		a = file(period+".zip", report.TypeZIP, "attachment; filename=reconciliation-dongshan-"+period+".zip")
		z, err := zip.NewReader(strings.NewReader(a.text), int64(len(a.text)))
		must(t, err)
		f, err := z.Open("reconciliation-dongshan-" + period + "-differences.csv")
		must(t, err)
		content, err := io.ReadAll(f)
		must(t, err)
		if !bytes.HasPrefix(content, []byte("\xef\xbb\xbf")) || !bytes.Contains(content, []byte(`"A1"`)) {
			t.Errorf("%s: %s", period, content)
		}
	}
	type read struct {
		Name   string
		Tables map[string][]map[string]any
	}
	var day read
	file("2026-01-05.json", report.TypeJSON, "inline; filename=reconciliation-dongshan-2026-01-05.json").into(t, &day)
	first := day.Tables["differences"][0]
	if day.Name != "DONGSHAN" || first["ours_amount"] != 1200.0 || first["class"] != "missing_at_his" || first["case"] == nil || day.Tables["settlements"][0]["received"] != 1490.0 {
		t.Errorf("%+v", day)
	}

	// The HIS has them after all: the closed day stays, the change is booked today.
	w.his.say(func(core.Body) core.Verdict {
		return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Ledger{Entries: []core.LedgerEntry{{Type: core.EntryPayment, Number: "A1", Channel: "wechat", Amount: 1200, At: noon}}}}
	})
	var n NightDetail
	w.do(finance, "POST", "/v1/hospitals/dongshan/nights/2026-01-05", map[string]any{}).into(t, &n)
	if n.Closed || n.Against != 1 || len(n.Changes) != 1 || !n.Changes[0].Gone {
		t.Fatalf("%+v", n)
	}
	var filtered NightDetail
	w.do(finance, "GET", "/v1/hospitals/dongshan/nights/2026-01-05?run=1&class=paid_twice,excluded", nil).into(t, &filtered)
	if filtered.Run != 1 || len(filtered.Findings) != 0 || filtered.Differences != 2 {
		t.Errorf("%+v", filtered)
	}
	w.do(finance, "GET", "/v1/hospitals/dongshan/nights/2026-01-05?run=1&class=paid_twice,missing_at_his", nil).into(t, &filtered)
	if len(filtered.Findings) != 2 {
		t.Errorf("%+v", filtered)
	}
	var same, today read
	w.do(finance, "GET", at+"2026-01-05.json", nil).into(t, &same)
	if len(same.Tables["differences"]) != len(day.Tables["differences"]) {
		t.Error("the report of a closed day lost a difference")
	}
	w.do(finance, "GET", at+time.Now().UTC().Format(time.DateOnly)+".json", nil).into(t, &today)
	if got := today.Tables["adjustments"]; len(got) != 1 || got[0]["day"] != "2026-01-05" || got[0]["change"] != "gone" || got[0]["number"] != "A1" {
		t.Errorf("%+v", got)
	}

	for name, status := range map[string]int{"2026-01-05.pdf": 422, "2026-13-05.html": 422, "2026-00.html": 422, "2026-02-30.xlsx": 422, "x.html": 422} {
		if a := w.do(finance, "GET", at+name, nil); a.status != status {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	if a := w.do(w.key(Finance, "xihu"), "GET", at+"2026-01-05.json", nil); a.status != 404 {
		t.Errorf("another hospital's report: %d", a.status)
	}
	if a := w.do(w.key(Admin, ""), "GET", "/v1/hospitals/nowhere/reports/2026-01-05.json", nil); a.status != 404 {
		t.Errorf("a hospital that is none: %d", a.status)
	}
}
