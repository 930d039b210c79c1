package mapping

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"hishub/core"
)

func settleOf(t *testing.T, files fstest.MapFS) (*core.Call, core.Input) {
	t.Helper()
	d := load(t, files).Dialect
	return &d.Operations[core.PaymentSettle].Steps[0].Call, core.Input{Body: payment(), Kind: core.PaymentSettle, Stamp: stamp}
}

func TestExplainIsWhatIsSaid(t *testing.T) {
	call, in := settleOf(t, folder(t, "dongshan"))
	e := Explain(call.Mapper, in)
	q, err := call.Mapper.Encode(in)
	if err != nil || e.Err != nil || !reflect.DeepEqual(q, e.Request) {
		t.Fatalf("explained %+v (%v), said %+v (%v)", e.Request, e.Err, q, err)
	}
	body, ok := e.Body()
	if tree, _ := body.(core.Tree); !ok || tree.Get("totCost") != "21.50" {
		t.Errorf("the document is %v", body)
	}
	if again := Explain(call.Mapper, in); !reflect.DeepEqual(again, e) {
		t.Error("explaining leaves something behind")
	}
}

// Each rule is there in the order in which it is judged: those before the one
// that decided do not hold, those behind it were not asked.
func TestExplainAnswer(t *testing.T) {
	call, in := settleOf(t, folder(t, "dongshan"))
	for name, c := range map[string]struct {
		answer core.Value
		rules  string
		values string
	}{
		"ok":         {"<R><result><returnCode>1</returnCode></result><Data><SaveFeeSoap><INVOICENO>9</INVOICENO><TOT_COST>21.50</TOT_COST></SaveFeeSoap></Data></R>", "already-,ok+,rejected?", "answer"},
		"refused":    {"<R><result><returnCode>-1</returnCode></result></R>", "already-,ok-,rejected+", "answer"},
		"none holds": {"<R><result><returnCode>7</returnCode></result></R>", "already-,ok-,rejected-", "answer"},
		"unreadable": {"<R", "already!,ok?,rejected?", "answer"},
	} {
		e := ExplainAnswer(call.Mapper, in, core.Response{Body: core.Tree{{Name: "SaveFeeResult", Value: c.answer}}})
		var rules []string
		for _, r := range e.Rules {
			sign := "-"
			switch {
			case !r.Asked:
				sign = "?"
			case r.Err != nil:
				sign = "!"
			case r.Holds:
				sign = "+"
			}
			rules = append(rules, r.Name+sign)
		}
		if got := strings.Join(rules, ","); got != c.rules {
			t.Errorf("%s: %s, want %s", name, got, c.rules)
		}
		if v := call.Mapper.Decode(in, core.Response{Body: core.Tree{{Name: "SaveFeeResult", Value: c.answer}}}); v.Outcome != e.Verdict.Outcome || v.Rule != e.Verdict.Rule {
			t.Errorf("%s: explained %+v, judged %+v", name, e.Verdict, v)
		}
	}
}

// A let that nobody used was not computed, and is not shown as if it had been.
func TestExplainIsLazy(t *testing.T) {
	files := folder(t, "dongshan")
	files["hospital.yaml"].Data = []byte(strings.NewReplacer(
		"read: {answer", `read: {let: {used: '= root(from_xml(body[call + "Result"]))', unused: '= from_json("{")', key: '= from_hex("00ff")'}, answer`,
		`already: answer.result`, `already: key != nil and used.result`,
	).Replace(string(files["hospital.yaml"].Data)))
	call, in := settleOf(t, files)
	e := ExplainAnswer(call.Mapper, in, core.Response{Body: core.Tree{{Name: "SaveFeeResult", Value: "<R><result><returnCode>-1</returnCode></result></R>"}}})
	var shown []string
	for _, c := range e.Values {
		kind, text := Spell(c.Value)
		if c.Layer == LayerRead && c.Name != "body" {
			shown = append(shown, c.Name+" "+kind+" "+text)
		}
	}
	want := "used tree result:\n  returnCode: \"-1\"\n|key bytes 00ff|answer tree result:\n  returnCode: \"-1\"\n"
	if got := strings.Join(shown, "|"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestSpell(t *testing.T) {
	for _, c := range []struct {
		v          any
		kind, text string
	}{
		{nil, "nothing", ""},
		{"张三", "text", "张三"},
		{core.Token("1.50"), "text", "1.50"},
		{core.CData("<a>"), "text", "<a>"},
		{[]byte{0, 255}, "bytes", "00ff"},
		{core.Fen(4619), "money", "46.19"},
		{7, "text", "7"},
		{true, "text", "true"},
		{core.Tree{{Name: "a", Value: "1"}, {Name: "b", Value: core.List{"x: y", core.Tree{{Name: "c", Value: core.Token("1")}, {Name: "d"}}, core.List{}}}, {Name: "e", Value: core.Tree{}}},
			"tree", "a: \"1\"\nb:\n  - \"x: y\"\n  - c: 1\n    d:\n  - []\ne: {}\n"},
	} {
		if kind, text := Spell(c.v); kind != c.kind || text != c.text {
			t.Errorf("%v: %s %q, want %s %q", c.v, kind, text, c.kind, c.text)
		}
	}
}
