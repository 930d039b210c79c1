package mapping

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

// A hospital that speaks HL7 v2: positions by number, other delimiters and line
// ends in its answers, groups of a result, and what a lenient format forgave.
func TestHL7v2Folder(t *testing.T) {
	f := load(t, folder(t, "lihe"))
	results := f.RunCases()
	if len(results) != 4 {
		t.Fatalf("%d cases ran", len(results))
	}
	for _, c := range results {
		if !c.Passed() {
			t.Errorf("%s:\n%s", c.Name, strings.Join(c.Differences, "\n"))
		}
	}
	m := f.Dialect.Operations[core.ReportDetail].Steps[0].Mapper
	in := core.Input{Kind: core.ReportDetail, Body: &core.ReportQuery{PatientNo: "1", ReportNo: "R1"}, Stamp: core.Stamp{ID: "K1"}}
	answer := "MSH|^~\\&|HIS\rMSA|AA|K1\rOBR|1||R1|a^b|||20260105090000\rOBX|1|TX|x||one\rtwo\r"
	v := m.Decode(in, core.Response{Body: answer})
	want := []string{"from_results: 4:16: a line end in a field"}
	if v.Outcome != core.OutcomeOK || !cmp.Equal(v.Forgave, want) {
		t.Errorf("%s %v, forgave %q", v.Outcome, v.Err, v.Forgave)
	}
	if v := m.Decode(in, core.Response{Body: strings.Replace(answer, "\rtwo", "", 1)}); v.Outcome != core.OutcomeOK || v.Forgave != nil {
		t.Errorf("%s %v, forgave %q", v.Outcome, v.Err, v.Forgave)
	}
}

// Options of formats come from YAML with their order, and positional texts nest:
// a record with carets inside bars, fixed columns, pairs; near-JSON in the answer.
func TestFormatsOfAFolder(t *testing.T) {
	f := load(t, fstest.MapFS{
		"hospital.yaml": {Data: []byte(`
grammar: 1
hospital: posi
name: 定长测试医院
connectors: {default: {rest: {base: "http://127.0.0.1:1"}}}
formats:
  bill: {fixed: {columns: {no: 12, who: {width: 10}, fee: {width: 8, align: right, pad: "0"}, end: {width: 2, pad: 0}}, row: ""}}
  kinds: {fixed: {records: {H: {k: 1, n: 3}, D: {k: 1, x: 2}}}}
  bars: {delimited: {sep: "|", row: "~", trailing: true}}
  carets: {delimited: {sep: "^"}}
  lines: {pairs: {sep: "\n", equals: ":"}}
  loose: {json: {lenient: true}}
envelopes:
  default:
    read: {let: {parts: = from_bars(body)}, answer: '= from_loose(parts["3"])'}
    outcome: {ok: 'parts[1] == "0"', message: '= parts["2"]'}
`)},
		"report.yaml": {Data: []byte(`
report.detail:
  call: POST /x
  send:
    $bars:
      kind: "03"
      bill: {$bill: {no: = report.report_no, fee: "1205", who: 测试, end: 7}}
      items: {$carets: {a: = report.patient_no, b: "", c: x}}
      more: {$lines: {a: "1", b: "2:3"}}
      kinds: {$kinds: [{k: H, n: "1"}, {k: D, x: "9"}]}
  returns: {report_no: = answer.报告号, title: '= from_carets(answer.明细)[2]', results: []}
`)},
	})
	m := f.Dialect.Operations[core.ReportDetail].Steps[0].Mapper
	in := core.Input{Kind: core.ReportDetail, Body: &core.ReportQuery{PatientNo: "P1", ReportNo: "R1"}}
	q, err := m.Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	if q.Body != any(positional) {
		t.Errorf("(-want +got)\n%s", cmp.Diff(positional, q.Body))
	}
	v := m.Decode(in, core.Response{Body: "0|成功|{报告号：R1，明细：a^b^c,}|"})
	answer, _ := v.Answer.(*core.Report)
	if v.Outcome != core.OutcomeOK || answer == nil || answer.ReportNo != "R1" || answer.Title != "b" || len(v.Forgave) == 0 || v.Words != "成功" {
		t.Errorf("%s %v %+v, forgave %q", v.Outcome, v.Err, answer, v.Forgave)
	}
	in.Body = &core.ReportQuery{PatientNo: "P1", ReportNo: "R234567890123"}
	if _, err := m.Encode(in); err == nil || !strings.Contains(err.Error(), "no: is 13 wide, its column 12") {
		t.Errorf("a value that is too wide: %v", err)
	}
}

const positional = "03|R1          测试      0000120507|P1^^x|a:1\nb:2:3|H1  \nD9 |"
