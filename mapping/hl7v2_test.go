package mapping

import (
	"strings"
	"testing"

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
