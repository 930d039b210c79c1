package mapping

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hishub/core"
)

var zone = time.FixedZone("", 8*3600)

// coded is 东山 with another table of ways of paying.
func coded(t testing.TB, file, table string) fstest.MapFS {
	t.Helper()
	files := folder(t, "dongshan")
	files["codes/"+file+".csv"] = &fstest.MapFile{Data: []byte(table)}
	delete(files, "cases")
	return files
}

const channels = "unionpay,YL,,\ninsurance,YB,,\nbank,CH,,\ncash,CA,,\n"

func stateAnswer(state string) core.Response {
	return core.Response{Body: core.Tree{{Name: "QueryFeeResult", Value: "<r><result><returnCode>1</returnCode></result><Data><STATE>" + state + "</STATE></Data></r>"}}}
}

// What is said is in the codes of the day on which the message was accepted, so that
// a retry over midnight says the same.
func TestWhatIsSaidIsOfTheDayOfTheMessage(t *testing.T) {
	d := load(t, coded(t, "pay_channel", "ours,theirs,from,until\nwechat,OLD,,2026-03-01\nwechat,NEW,2026-03-01,\nalipay,ZFB,,\n"+channels)).Dialect
	m := d.Operations[core.PaymentSettle].Steps[0].Mapper
	for accepted, want := range map[time.Time]string{
		time.Date(2026, 2, 28, 23, 59, 59, 0, zone):   "payMode=OLD",
		time.Date(2026, 3, 1, 0, 0, 0, 0, zone):       "payMode=NEW",
		time.Date(2026, 2, 28, 16, 0, 0, 0, time.UTC): "payMode=NEW", // midnight of the hospital's zone
	} {
		s := stamp
		s.Time, s.At = accepted, time.Date(2026, 3, 1, 0, 5, 0, 0, zone)
		q, err := m.Encode(core.Input{Body: payment(), Stamp: s})
		if err != nil || !strings.Contains(body(t, q), want) {
			t.Errorf("%s: %v %s, want %s", accepted, err, body(t, q), want)
		}
	}
}

// What the HIS answers is in the codes of the day on which it answers.
func TestAnAnswerIsOfTheDayOfTheAttempt(t *testing.T) {
	d := load(t, coded(t, "pay_state", "ours,theirs,from,until\nabsent,0,,2026-03-01\ndone,1,,\nrunning,0,2026-03-01,\n")).Dialect
	m := d.Operations[core.PaymentStatus].Steps[0].Mapper
	in := core.Input{Body: &core.PaymentQuery{OrderID: "1"}, Kind: core.PaymentStatus, Stamp: stamp}
	answer := stateAnswer("0")
	for at, want := range map[time.Time]core.State{time.Date(2026, 2, 28, 23, 0, 0, 0, zone): core.StateAbsent, time.Date(2026, 3, 1, 0, 0, 1, 0, zone): core.StateRunning} {
		in.Stamp.Time, in.Stamp.At = time.Date(2026, 2, 28, 22, 0, 0, 0, zone), at
		v := m.Decode(in, answer)
		if s, _ := v.Answer.(*core.Status); s == nil || s.State != want {
			t.Errorf("%s: %+v", at, v)
		}
	}
}

func TestADefaultIsNotedWhereItStoodIn(t *testing.T) {
	d := load(t, coded(t, "pay_channel", "ours,theirs\nwechat,WX\n*,QT\n")).Dialect
	p := payment()
	m := d.Operations[core.PaymentSettle].Steps[0].Mapper
	q, err := m.Encode(core.Input{Body: p, Stamp: stamp})
	if err != nil || len(q.Codes) != 0 {
		t.Errorf("%v %v", err, q.Codes)
	}
	p.Channel = "cash"
	q, err = m.Encode(core.Input{Body: p, Stamp: stamp})
	if err != nil || !strings.Contains(body(t, q), "payMode=QT") || len(q.Codes) != 1 || q.Codes[0] != (core.CodeUse{Table: "pay_channel", Direction: core.CodeOut, Code: "cash", Defaulted: true}) {
		t.Errorf("%v %s %v", err, body(t, q), q.Codes)
	}

	d = load(t, coded(t, "pay_state", "ours,theirs\ndone,1\nunknown,*\n")).Dialect
	m = d.Operations[core.PaymentStatus].Steps[0].Mapper
	in := core.Input{Body: &core.PaymentQuery{OrderID: "1"}, Kind: core.PaymentStatus, Stamp: stamp}
	for state, note := range map[string]string{"1": "[]", "77": `[code table pay_state: default used for "77"]`} {
		v := m.Decode(in, stateAnswer(state))
		if v.Outcome != core.OutcomeOK || fmt.Sprint(v.Codes) != note {
			t.Errorf("%s: %+v", state, v)
		}
	}
	v := load(t, coded(t, "pay_state", "ours,theirs\ndone,1\n")).Dialect.Operations[core.PaymentStatus].Steps[0].Mapper.
		Decode(in, stateAnswer("7"))
	var unmapped *core.UnmappedCode
	if v.Outcome != core.OutcomeInDoubt || !errors.As(v.Err, &unmapped) || unmapped.Use() != (core.CodeUse{Table: "pay_state", Direction: core.CodeIn, Code: "7"}) {
		t.Errorf("%+v", v)
	}
}

// Where a row says that the HIS does not have a code, the table is complete, a message
// with it is invalid, and the worklist has nothing to do.
func TestACodeThatTheHISDoesNotHave(t *testing.T) {
	d := load(t, coded(t, "pay_channel", "ours,theirs,direction\nwechat,WX,\nbank,,none\nalipay,ZFB,\nunionpay,YL,\ninsurance,YB,\ncash,CA,\n")).Dialect
	p := payment()
	p.Channel = "bank"
	q, err := d.Operations[core.PaymentSettle].Steps[0].Mapper.Encode(core.Input{Body: p, Stamp: stamp})
	var unmapped *core.UnmappedCode
	if err == nil || !strings.Contains(err.Error(), "code table pay_channel: bank is not known to this HIS (line 3)") || errors.As(err, &unmapped) || len(q.Codes) != 0 {
		t.Errorf("%v %v", err, q.Codes)
	}
	if state, _ := d.CodeState(core.CodeUse{Table: "pay_channel", Direction: core.CodeOut, Code: "bank"}, time.Now()); state != core.CodeMapped {
		t.Errorf("an entry of the time before the row stays: %s", state)
	}
}

// What Notepad saves begins with a mark.
func TestFilesWithAByteOrderMark(t *testing.T) {
	files := folder(t, "dongshan")
	for name, f := range files {
		if ext := path.Ext(name); ext == ".yaml" || ext == ".csv" || path.Base(name) == "message.json" {
			f.Data = append([]byte("\ufeff"), f.Data...)
		}
	}
	for _, c := range load(t, files).RunCases() {
		if len(c.Differences) > 0 {
			t.Errorf("%s: %v", c.Name, c.Differences)
		}
	}
}

// A message that names its code tells the worklist the name.
func TestTheNameOfACodeComesAlong(t *testing.T) {
	files := folder(t, "xihe")
	text := string(files["prescription.yaml"].Data)
	if !strings.Contains(text, "= item.code") {
		t.Fatal("the test folder has no item.code any more")
	}
	files["prescription.yaml"].Data = []byte(strings.Replace(text, "= item.code", `'= code("drug", item.code)'`, 1))
	files["codes/drug.csv"] = &fstest.MapFile{Data: []byte("ours,theirs\nnobody,1\n")}
	_, err := load(t, files).Dialect.Operations[core.PrescriptionCreate].Steps[0].Mapper.Encode(core.Input{Body: prescription(), Stamp: stamp})
	var unmapped *core.UnmappedCode
	if !errors.As(err, &unmapped) || unmapped.Code != prescription().Items[0].Code || unmapped.Text != prescription().Items[0].Name || unmapped.Text == "" {
		t.Errorf("%v: %+v", err, unmapped)
	}
}

func TestTheFolderSaysWhatItMaps(t *testing.T) {
	d := load(t, coded(t, "pay_channel", "ours,theirs,from,until\nwechat,WX,,\nalipay,ZFB,,2000-01-01\n*,QT,,\n")).Dialect
	now := time.Now()
	for _, c := range []struct {
		use   core.CodeUse
		state core.CodeState
		near  string
	}{
		{core.CodeUse{Table: "pay_channel", Direction: core.CodeOut, Code: "wechat"}, core.CodeMapped, ""},
		{core.CodeUse{Table: "pay_channel", Direction: core.CodeOut, Code: "WeChat"}, core.CodeDefaulted, "wechat"},
		{core.CodeUse{Table: "pay_channel", Direction: core.CodeOut, Code: "alipay"}, core.CodeDefaulted, ""},
		{core.CodeUse{Table: "pay_channel", Direction: core.CodeIn, Code: "WX"}, core.CodeMapped, ""},
		{core.CodeUse{Table: "pay_channel", Direction: core.CodeIn, Code: "wx"}, core.CodeUnmapped, "WX"},
		{core.CodeUse{Table: "gone", Direction: core.CodeIn, Code: "wx"}, core.CodeUnused, ""},
	} {
		if state, near := d.CodeState(c.use, now); state != c.state || near != c.near {
			t.Errorf("%v: %s %q", c.use, state, near)
		}
	}
}

func TestMistakesOfDatedTables(t *testing.T) {
	rest := "alipay,ZFB,,,\nunionpay,YL,,,\ninsurance,YB,,,\nbank,CH,,,\ncash,CA,,,\n"
	for table, want := range map[string]string{
		"wechat,WX,,2100-01-01,\nwechat,W2,2100-02-01,,\n": `codes/pay_channel.csv:1:1: "wechat", a value of payment.channel, is in no row from 2100-01-01 until 2100-02-01; close the gap between its rows`,
		"wechat,WX,,2100-01-01,\n":                         `codes/pay_channel.csv:1:1: "wechat", a value of payment.channel, is in no row from 2100-01-01 on; let a row of it have no until`,
		"wechat,WX,,,in\n":                                 `codes/pay_channel.csv:1:1: "wechat", a value of payment.channel, is not in the table; add a line wechat,<their code>, or wechat with none under a column direction if this HIS does not know it`,
		"wechat,WX,,2000-01-01,\nwechat,W2,2000-02-01,,\n": "", // a gap that is over
		"wechat,WX,,2100-01-01,\nw*,W2,2099-01-01,,\n":     "",
		"wechat,WX,,2100-01-01,\nwechat,W2,2099-01-01,,\n": `codes/pay_channel.csv:3:1: "wechat" is valid on 2099-01-01 here and in line 2; let one end, by until, when the other begins`,
	} {
		_, err := Load(coded(t, "pay_channel", "ours,theirs,from,until,direction\n"+table+rest), Options{Env: environment, Open: open, OpenChannel: openChannel})
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("%s\ngot  %v\nwant %s", table, err, want)
		}
	}
	sets := ClosedSets(coded(t, "pay_channel", "ours,theirs\n"), Options{Env: environment, Open: open, OpenChannel: openChannel})
	if len(sets["pay_channel"]) != len(core.Channel("").Values()) || len(sets["pay_state"]) != len(core.State("").Values()) {
		t.Errorf("what an incomplete table is for: %v", sets)
	}
}

// What a HIS tells us and what we answer it are noted, too.
func TestCodesOfWhatComesIn(t *testing.T) {
	files := inboundFolder()
	files["codes/reply.csv"] = &fstest.MapFile{Data: []byte("ours,theirs\ndone,0\n*,9\n")}
	files["inbound.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(refunds, `reversal: = request.is_reverse == "1"`, `reversal: '= from_code("reversal", request.is_reverse) == "yes"'`, 1))}
	files["codes/reversal.csv"] = &fstest.MapFile{Data: []byte("ours,theirs,direction\nyes,1,\nno,*,in\n")}
	l := doorOf(t, files)
	o := l.Door.Open(signed(applied, sign(t, "amount=12.30&hisId=T1&is_reverse=0&method=refundApply&serial=77&time=20260105145600&tradeNo=IH1&key=s3cret")), stamp)
	if fmt.Sprint(o.Err, o.Codes) != `<nil> [code table reversal: default used for "0"]` {
		t.Errorf("%v %v", o.Err, o.Codes)
	}
	reply, err := l.Door.Reply(o, core.Resolution{State: core.ResultUnknown}, stamp)
	if fmt.Sprint(err, reply.Codes) != `<nil> [code table reply: default used for "unknown"]` {
		t.Errorf("%v %v", err, reply.Codes)
	}

	files["codes/reversal.csv"] = &fstest.MapFile{Data: []byte("ours,theirs\nyes,1\n")}
	o = doorOf(t, files).Door.Open(signed(applied, sign(t, "amount=12.30&hisId=T1&is_reverse=0&method=refundApply&serial=77&time=20260105145600&tradeNo=IH1&key=s3cret")), stamp)
	var unmapped *core.UnmappedCode
	if o.Body != nil || !errors.As(o.Err, &unmapped) || unmapped.Code != "0" || unmapped.Direction != core.CodeIn {
		t.Errorf("%v %v", o.Body, o.Err)
	}
}
