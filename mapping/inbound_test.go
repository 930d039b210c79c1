package mapping

import (
	"crypto/md5"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hishub/core"
)

const listening = `grammar: 1
hospital: donghu
name: 东湖
constants: {org: H1}
secrets: {key: "${KEY}"}
connectors: {default: {rest: {base: "http://x"}}}
listeners:
  notice: {rest: {}, envelope: notice}
envelopes:
  notice:
    read: {let: {request: = from_xml(body).request}, call: = request.method}
    outcome:
      verify: upper(md5(sorted_query(without(request, "sign"), "drop_empty") + "&key=" + secret.key)) == request.sign
    write: {send: {$xml: {response: {code: '= code("reply", result.state)', words: = result.message, echo: = request.serial, $group: = body}}}}
`

const refunds = `refund.apply:
  envelope: notice
  call: refundApply
  takes: {his_refund_no: = request.hisId, order_id: = request.tradeNo, amount: = from_yuan(request.amount), reversal: = request.is_reverse == "1", at: '= from_time(request.time, "yyyyMMddHHmmss")'}
  reply: {refundNo: = result.answer.number, fee: = yuan(result.answer.amount), hisId: = refund.his_refund_no}
refund.query:
  envelope: notice
  call: queryRefund
  takes: {his_refund_no: = request.hisId}
  reply: {state: '= if result.answer.state == "done" {"2"} else {"0"}'}
ledger.pull:
  envelope: notice
  call: checkAccount
  takes: {day: = request.day}
  reply: {rows: {row: [{$each: e in result.answer.entries, .no: = e.number, fee: = yuan(e.amount), time: '= time(e.at, "HH:mm")'}]}}
`

func inboundFolder() fstest.MapFS {
	return fstest.MapFS{
		"hospital.yaml":   {Data: []byte(listening)},
		"inbound.yaml":    {Data: []byte(refunds)},
		"codes/reply.csv": {Data: []byte("ours,theirs\ndone,0\nrefused,1\nunknown,2\ninvalid,9\n")},
	}
}

func doorOf(t *testing.T, files fstest.MapFS) *core.Listener {
	t.Helper()
	f, err := Load(files, Options{Env: func(string) (string, bool) { return "s3cret", true }})
	if err != nil {
		t.Fatal(err)
	}
	return f.Dialect.Listeners["notice"]
}

const applied = `<request><method>refundApply</method><serial>77</serial><hisId>T1</hisId><tradeNo>IH1</tradeNo><amount>12.30</amount><is_reverse>0</is_reverse>` +
	`<time>20260105145600</time><sign>%</sign></request>`

func signed(text, sign string) core.Arrival {
	return core.Arrival{Call: "POST /", Body: strings.Replace(text, "%", sign, 1)}
}

func sign(t *testing.T, text string) string {
	t.Helper()
	return fmt.Sprintf("%X", md5.Sum([]byte(text)))
}

func TestInboundOpensAndReplies(t *testing.T) {
	l := doorOf(t, inboundFolder())
	if !l.Signed {
		t.Error("the listener verifies, but is not called signed")
	}
	o := l.Door.Open(signed(applied, sign(t, "amount=12.30&hisId=T1&is_reverse=0&method=refundApply&serial=77&time=20260105145600&tradeNo=IH1&key=s3cret")), core.Stamp{})
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	zone, _ := time.LoadLocation("Asia/Shanghai")
	want := core.WindowRefund{HisRefundNo: "T1", OrderID: "IH1", Amount: 1230, At: time.Date(2026, 1, 5, 14, 56, 0, 0, zone)}
	if got := *o.Body.(*core.WindowRefund); !got.At.Equal(want.At) || got.HisRefundNo != want.HisRefundNo || got.Amount != want.Amount || got.OrderID != want.OrderID || got.Reversal {
		t.Errorf("got %+v", got)
	}
	amount := core.Fen(1230)
	for _, c := range []struct {
		r    core.Resolution
		want string
	}{
		{core.Resolution{State: core.ResultDone, Answer: &core.Receipt{Number: "W1", Amount: &amount}},
			"<response><code>0</code><words></words><echo>77</echo><refundNo>W1</refundNo><fee>12.30</fee><hisId>T1</hisId></response>"},
		{core.Resolution{State: core.ResultUnknown, Message: "处理中"},
			"<response><code>2</code><words>处理中</words><echo>77</echo><refundNo></refundNo><fee>0.00</fee><hisId>T1</hisId></response>"},
	} {
		reply, err := l.Door.Reply(o, c.r, core.Stamp{})
		if err != nil || reply.Body != c.want {
			t.Errorf("got %v (%v), want %s", reply.Body, err, c.want)
		}
	}
}

func TestInboundRefusesWhatItCannotTrust(t *testing.T) {
	l := doorOf(t, inboundFolder())
	good := sign(t, "amount=12.30&hisId=T1&is_reverse=0&method=refundApply&serial=77&time=20260105145600&tradeNo=IH1&key=s3cret")
	for name, c := range map[string]struct {
		a     core.Arrival
		kind  core.Kind
		reply string
	}{
		"forged":   {signed(strings.Replace(applied, "12.30", "92.30", 1), good), core.RefundApply, "<response><code>9</code><words></words><echo>77</echo>"},
		"unsigned": {signed(applied, ""), core.RefundApply, "<response><code>9</code>"},
		"no call":  {signed(strings.Replace(applied, "refundApply", "refundAply", 1), good), "", ""},
		"garbage":  {core.Arrival{Body: "<request"}, "", ""},
		"nothing":  {core.Arrival{}, "", ""},
		"a part of a fen": {signed(strings.Replace(applied, "12.30", "12.305", 1),
			sign(t, "amount=12.305&hisId=T1&is_reverse=0&method=refundApply&serial=77&time=20260105145600&tradeNo=IH1&key=s3cret")), core.RefundApply, "<response><code>9</code>"},
	} {
		o := l.Door.Open(c.a, core.Stamp{})
		if o.Body != nil || o.Err == nil || o.Kind != c.kind {
			t.Errorf("%s: opened as %q, %v", name, o.Kind, o.Err)
			continue
		}
		if strings.Contains(o.Err.Error(), "12.30") || strings.Contains(o.Err.Error(), "T1") {
			t.Errorf("%s: the error holds values: %v", name, o.Err)
		}
		reply, err := l.Door.Reply(o, core.Resolution{State: core.ResultInvalid}, core.Stamp{})
		if c.kind == "" {
			if err == nil {
				t.Errorf("%s: answered %v", name, reply.Body)
			}
			continue
		}
		if text, _ := reply.Body.(string); err != nil || !strings.HasPrefix(text, c.reply) {
			t.Errorf("%s: replied %v, %v", name, reply.Body, err)
		}
	}
}

func TestInboundAnswersLists(t *testing.T) {
	l := doorOf(t, inboundFolder())
	o := core.Opened{Kind: core.LedgerPulled, Body: &core.LedgerPull{Day: "2026-01-05"}}
	reply, err := l.Door.Reply(o, core.Resolution{State: core.ResultDone, Answer: &core.Ledger{Entries: []core.LedgerEntry{
		{Number: "IH1", Amount: 100, At: time.Date(2026, 1, 5, 1, 30, 0, 0, time.UTC)}, {Number: "IH2", Amount: 5, At: time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC)},
	}}}, core.Stamp{})
	const want = `<rows><row no="IH1"><fee>1.00</fee><time>09:30</time></row><row no="IH2"><fee>0.05</fee><time>10:00</time></row></rows>`
	if text, _ := reply.Body.(string); err != nil || !strings.Contains(text, want) {
		t.Errorf("got %v, %v", reply.Body, err)
	}
}

func TestInboundMistakes(t *testing.T) {
	for name, c := range map[string]struct{ file, old, new, want string }{
		"anybody may call": {"hospital.yaml", "      verify: upper(", "      verify: false # upper(",
			`hospital.yaml:8:3: anybody could call the listener "notice"; write the rule verify in its envelope`},
		"reply needs the request": {"inbound.yaml", "refundNo: = result.answer.number", "refundNo: = from_yuan(request.amount) > from_yuan(\"1\")",
			"inbound.yaml:5:"},
		"no such field":       {"inbound.yaml", "his_refund_no: = request.hisId, order_id", "refund_no: = request.hisId, order_id", `the message of refund.apply has no field "refund_no"; there are amount`},
		"takes sees no noun":  {"inbound.yaml", "order_id: = request.tradeNo", "order_id: = refund.order_id", "refund is not visible here: it is there once takes has made it"},
		"no result in takes":  {"inbound.yaml", "order_id: = request.tradeNo", "order_id: = result.state", "result is not visible here"},
		"an unmapped state":   {"codes/reply.csv", "unknown,2\n", "", `"unknown", a value of result.state, is not in the table`},
		"a rule of answers":   {"hospital.yaml", "    outcome:\n", "    outcome:\n      ok: request.sign == \"1\"\n", "ok is for answers; what comes in has the rule verify only"},
		"steps":               {"inbound.yaml", "  call: queryRefund\n", "  call: queryRefund\n  repeat_safe: true\n", "repeat_safe is for what we ask, refund.query comes from the HIS"},
		"no call":             {"inbound.yaml", "  call: queryRefund\n", "", `refund.query needs the key "call"`},
		"no listener":         {"inbound.yaml", "  envelope: notice\n  call: queryRefund", "  envelope: notices\n  call: queryRefund", `no listener has the envelope "notices" of refund.query; did you mean "notice"?`},
		"twice":               {"inbound.yaml", "call: queryRefund", "call: refundApply", `refund.query is called "refundApply", and so is refund.apply`},
		"no such envelope":    {"hospital.yaml", "envelope: notice", "envelope: notic", `there is no envelope "notic"; did you mean "notice"?`},
		"no kind":             {"hospital.yaml", "{rest: {}, envelope: notice}", "{envelope: notice}", `the listener "notice" has no kind`},
		"money in a document": {"inbound.yaml", "fee: = yuan(result.answer.amount)", "fee: = result.answer.amount", "result.answer.amount is money; write yuan(result.answer.amount)"},
		"a status of no HTTP": {"hospital.yaml", "write: {send", "write: {status: abc, send", `hospital.yaml:14:21: "abc" is no HTTP status; write a number from 200 to 599, as 422`},
		"a status on the way": {"hospital.yaml", "write: {send", "write: {status: 102, send", `hospital.yaml:14:21: "102" is no HTTP status; write a number from 200 to 599, as 422`},
		"no status at all":    {"hospital.yaml", "write: {send", "write: {status: , send", `hospital.yaml:14:13: "" is no HTTP status; write a number from 200 to 599, as 422`},
		"a status to the HIS": {"hospital.yaml", "envelopes:\n", "envelopes:\n  default: {write: {status: 200}, outcome: {ok: true}}\n", "write.status is for listeners, prescription.create uses this envelope to ask the HIS; give the listener an envelope of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			files := inboundFolder()
			if name == "a status to the HIS" {
				files["asked.yaml"] = &fstest.MapFile{Data: []byte("prescription.create: {call: POST /a, repeat_safe: true}\n")}
			}
			text := string(files[c.file].Data)
			if !strings.Contains(text, c.old) {
				t.Fatalf("%s does not hold %q", c.file, c.old)
			}
			files[c.file] = &fstest.MapFile{Data: []byte(strings.Replace(text, c.old, c.new, 1))}
			_, err := Load(files, Options{Env: func(string) (string, bool) { return "s3cret", true }})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got\n%v\nwant one with\n%s", err, c.want)
			}
		})
	}
}

// Where nothing of HTTP is heard, a status would be said to nobody.
func TestStatusWithoutHTTP(t *testing.T) {
	for kind, ok := range map[string]bool{"rest": true, "soap": false, "tcp": false, "table": false} {
		files := inboundFolder()
		text := strings.Replace(listening, "{rest: {}, envelope", "{"+kind+": {}, envelope", 1)
		files["hospital.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(text, "write: {send", "write: {status: 422, send", 1))}
		_, err := Load(files, Options{Env: func(string) (string, bool) { return "s3cret", true }})
		want := `hospital.yaml:14:21: only listeners of kind rest have a status, and "notice" is of kind ` + kind + `; leave it out`
		if ok && err != nil || !ok && (err == nil || err.Error() != want) {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}

// What is computed is known only when somebody calls.
func TestAStatusThatIsNone(t *testing.T) {
	for _, status := range []string{"abc", "99", "600", "2e2"} {
		files := inboundFolder()
		files["hospital.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(listening, "write: {send", `write: {status: '= code("reply", result.state)', send`, 1))}
		files["codes/reply.csv"] = &fstest.MapFile{Data: []byte("ours,theirs\ndone," + status + "\nrefused,422\nunknown,503\ninvalid,400\n")}
		door := doorOf(t, files).Door
		o := core.Opened{Kind: core.LedgerPulled, Body: &core.LedgerPull{Day: "2026-01-05"}}
		if _, err := door.Reply(o, core.Resolution{State: core.ResultDone, Answer: &core.Ledger{}}, core.Stamp{}); err == nil || !strings.HasSuffix(err.Error(), "write.status is no HTTP status from 200 to 599") {
			t.Errorf("%s: got %v", status, err)
		}
		if out, err := door.Reply(o, core.Resolution{State: core.ResultRefused}, core.Stamp{}); err != nil || out.Status != 422 {
			t.Errorf("refused: got %d, %v", out.Status, err)
		}
	}
}
