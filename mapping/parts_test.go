package mapping

import (
	"slices"
	"strings"
	"testing"

	"hishub/core"
)

func TestPartsAreJudgedLineByLine(t *testing.T) {
	files := edited(t, "xihe", "payment.yaml", "    - name: confirm\n", `    - name: confirm
      parts:
        - $each: l in list(answer.Lines.Line)
          key: = l.No
          outcome: {rejected: true, ok: l.State == "1" or from_yuan(l.Sum) == from_yuan("0")}
          message: = l.Msg
`)
	m := load(t, files).Dialect.Operations[core.PaymentSettle].Steps[1].Mapper
	decode := func(code, lines string) core.Verdict {
		return m.Decode(core.Input{Body: payment(), Stamp: stamp}, core.Response{Body: "<Response><ResultCode>" + code + "</ResultCode><ReceiptNo>R9</ReceiptNo>" + lines + "</Response>"})
	}
	line := func(no, state, sum, words string) string {
		return "<Line><No>" + no + "</No><State>" + state + "</State><Sum>" + sum + "</Sum><Msg>" + words + "</Msg></Line>"
	}
	v := decode("0", "<Lines>"+line("A", "1", "", "")+line("B", "2", "0.50", " 已作废 ")+line("C", "2", "0", "")+"</Lines>")
	want := []core.Part{{Key: "A", Outcome: core.OutcomeOK}, {Key: "B", Outcome: core.OutcomeRejected, Words: "已作废"}, {Key: "C", Outcome: core.OutcomeOK}}
	if v.Outcome != core.OutcomeOK || !slices.Equal(v.Parts, want) {
		t.Errorf("got %+v", v)
	}
	if v := decode("0", ""); v.Outcome != core.OutcomeOK || v.Parts != nil {
		t.Errorf("an answer without lines is that of the whole, got %+v", v)
	}
	for what, lines := range map[string]string{
		"a sum that is none": line("A", "1", "", "") + line("B", "2", "?", ""), "a line without a key": line("", "1", "", ""),
		"words that are several": "<Line><No>A</No><State>1</State><Msg>a</Msg><Msg>b</Msg></Line>",
	} {
		if v := decode("0", "<Lines>"+lines+"</Lines>"); v.Outcome != core.OutcomeInDoubt || v.Parts != nil || !strings.Contains(v.Err.Error(), "parts: payment.yaml:") {
			t.Errorf("%s: got %+v", what, v)
		}
	}
	if v := decode("-9", "<Lines>"+line("A", "1", "", "")+"</Lines>"); v.Parts != nil {
		t.Errorf("parts of a refusal: %+v", v)
	}
}

func TestPartWithoutARuleIsInDoubt(t *testing.T) {
	files := edited(t, "xihe", "payment.yaml", "    - name: confirm\n",
		"    - name: confirm\n      parts: [{$each: l in list(answer.Line), key: = l, outcome: {ok: l == \"A\"}}]\n")
	m := load(t, files).Dialect.Operations[core.PaymentSettle].Steps[1].Mapper
	v := m.Decode(core.Input{Body: payment(), Stamp: stamp}, core.Response{Body: "<Response><ResultCode>0</ResultCode><ReceiptNo>R9</ReceiptNo><Line>A</Line><Line>B</Line></Response>"})
	if want := []core.Part{{Key: "A", Outcome: core.OutcomeOK}, {Key: "B", Outcome: core.OutcomeInDoubt}}; !slices.Equal(v.Parts, want) {
		t.Errorf("got %+v", v)
	}
}
