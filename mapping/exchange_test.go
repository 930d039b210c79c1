package mapping

import (
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

func encode(t *testing.T, m core.Mapper, in core.Input) core.Request {
	t.Helper()
	if in.Stamp.Key == "" {
		in.Stamp = stamp
	}
	q, err := m.Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func expectBody(t *testing.T, q core.Request, operation, want string) {
	t.Helper()
	if diff := cmp.Diff(operation+"\n"+want, q.Operation+"\n"+show(q.Body)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func prescription() *core.Prescription {
	day := time.Date(2026, 1, 5, 9, 0, 0, 0, time.FixedZone("", 8*3600))
	return &core.Prescription{
		No: "RX01", VisitNo: "V1", PatientNo: "P1", PatientName: "张三测试", Sex: "female", BirthDate: "1990-01-01", DepartmentCode: "D", DoctorCode: "007",
		PharmacistCode: "8", Category: "western", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "上呼吸道感染"}},
		Items: []core.Item{
			{Code: "a", Name: "甲<药>", Qty: "2", Unit: "盒", UnitPrice: "12.3450", Amount: 2469, Dose: "0.5", DoseUnit: "g", Days: 3},
			{Code: "b", Name: "乙", Qty: "1", Unit: "瓶", UnitPrice: "1.00", Amount: 100, Dose: "10", DoseUnit: "ml", Days: 3},
		},
		Amount: 2569, WrittenAt: day, ValidUntil: day.AddDate(0, 0, 3),
	}
}

func TestDocuments(t *testing.T) {
	d := load(t, folder(t, "xihe")).Dialect
	mapper := d.Operations[core.PrescriptionCreate].Steps[0].Mapper
	p := prescription()
	expectBody(t, encode(t, mapper, core.Input{Body: p}), "SavePrescription", "{xmlParam=cdata "+
		"<Request><Head><No>RX01</No><Name>张三测试</Name><Sex>2</Sex><SexName>女</SexName><Age>36</Age></Head>"+
		"<Diagnosis><Code>J06.900</Code></Diagnosis>"+
		`<Items count="2"><Item no="1"><Code>a</Code><Name>甲&lt;药&gt;</Name><Dose unit="g">0.5</Dose><Price>12.3450</Price><Cost>24.69</Cost></Item>`+
		`<Item no="2"><Code>b</Code><Name>乙</Name><Dose unit="ml">10</Dose><Price>1.00</Price><Cost>1.00</Cost></Item></Items>`+
		"<Group><A>a</A><B>2</B><A>b</A><B>1</B></Group></Request>}")

	p.Category, p.Note = "herbal", "先煎"
	q := encode(t, mapper, core.Input{Body: p})
	for _, part := range []string{"<Note>先煎</Note>", "<Decoct><Days>3</Days></Decoct>"} {
		if !strings.Contains(show(q.Body), part) {
			t.Errorf("the document lacks %s", part)
		}
	}
}

func TestUnmappedCodeIsInvalidAndNamed(t *testing.T) {
	d := load(t, folder(t, "xihe")).Dialect
	p := prescription()
	p.Sex = "both"
	_, err := d.Operations[core.PrescriptionCreate].Steps[0].Mapper.Encode(core.Input{Body: p, Stamp: stamp})
	var unmapped *core.UnmappedCode
	if core.ClassOf(err) != core.Invalid || !errors.As(err, &unmapped) || *unmapped != (core.UnmappedCode{Table: "sex", Direction: core.CodeOut, Code: "both"}) {
		t.Fatalf("got %v", err)
	}
	want := `encode prescription.create: invalid: prescription.yaml:10:14: code table "sex" has no row for our code "both" (what we say to the HIS); add one with it in column ours and apply the folder`
	if err.Error() != want {
		t.Errorf("got  %v\nwant %v", err, want)
	}
}

func TestStepsCarryCapturedValues(t *testing.T) {
	o := load(t, folder(t, "xihe")).Dialect.Operations[core.PaymentSettle]
	if len(o.Steps) != 3 || o.Steps[0].Expires != 15*time.Minute || o.SettleAfter != time.Minute {
		t.Fatalf("unexpected operation: %+v", o)
	}
	in := core.Input{Body: payment(), Captured: map[string]string{}}
	who := "<PatientID>0000024772</PatientID><UserCode>IH01</UserCode><HospitalID>000012</HospitalID>"
	expectBody(t, encode(t, o.Steps[0].Mapper, in), "PreSettle",
		"{xmlParam=cdata <Request><TradeCode>4905</TradeCode>"+who+"<OrderNo>00012^00013</OrderNo><OrderSum>21.50</OrderSum><ExpStr></ExpStr></Request>}")
	in.Stamp = stamp
	v := o.Steps[0].Mapper.Decode(in, core.Response{Body: "<Response><ResultCode>0</ResultCode><InvoiceNo>00123</InvoiceNo></Response>"})
	if v.Outcome != core.OutcomeOK || v.Captured["invoice"] != "00123" {
		t.Fatalf("unexpected verdict: %+v", v)
	}
	in.Captured = v.Captured
	expectBody(t, encode(t, o.Steps[1].Mapper, in), "ConfirmSettle", "{xmlParam=cdata <Request><TradeCode>4906</TradeCode>"+who+
		"<InvoiceNoStr>00123</InvoiceNoStr><PayDetails><PayAmt>21.50</PayAmt><PlatformNo>IH20260105000002</PlatformNo><OutPayNo>4200000000</OutPayNo></PayDetails></Request>}")
	expectBody(t, encode(t, o.Steps[0].Undo.Mapper, in), "CancelPreSettle", "{xmlParam=cdata <Request><TradeCode>4910</TradeCode>"+who+"<InvoiceNoStr>00123</InvoiceNoStr></Request>}")

	v = o.Steps[1].Mapper.Decode(in, core.Response{Body: "<Response><ResultCode>0</ResultCode><ReceiptNo>R9</ReceiptNo></Response>"})
	if r, ok := v.Answer.(*core.Receipt); !ok || r.HisNo != "R9" {
		t.Errorf("a receipt is made of captured values of its names, got %+v", v.Answer)
	}
	v = o.Steps[1].Mapper.Decode(in, core.Response{Body: "<Response><ResultCode>-9</ResultCode><ResultMsg> 医保拒付 </ResultMsg></Response>"})
	if v.Outcome != core.OutcomeRefundNow || v.Words != "医保拒付" {
		t.Errorf("a step's rule comes before rejected, got %+v", v)
	}

	for channel, want := range map[core.Channel]bool{"wechat": true, "insurance": false} {
		p := payment()
		p.Channel = channel
		if applies, err := o.Steps[2].When(core.Input{Body: p}); err != nil || applies != want {
			t.Errorf("%s: when is %v, %v", channel, applies, err)
		}
	}
}

func TestInquirySeesTheWriteAsAQuestion(t *testing.T) {
	inquire := load(t, folder(t, "xihe")).Dialect.Operations[core.PaymentSettle].Steps[1].Inquire
	if inquire == nil || inquire.Kind != core.PaymentStatus || inquire.Every != 30*time.Second || inquire.For != 2*time.Hour {
		t.Fatalf("unexpected inquiry: %+v", inquire)
	}
	in := core.Input{Body: payment(), Stamp: stamp, Captured: map[string]string{"invoice": "00123"}}
	expectBody(t, encode(t, inquire.Mapper, in), "QueryPay", "{xmlParam=cdata <Request><TradeCode>4909</TradeCode><InvoiceNoStr>00123</InvoiceNoStr><OrderId>IH20260105000002</OrderId></Request>}")
	in.Captured = nil
	expectBody(t, encode(t, inquire.Mapper, in), "QueryPay", "{xmlParam=cdata <Request><TradeCode>4909</TradeCode><InvoiceNoStr></InvoiceNoStr><OrderId>IH20260105000002</OrderId></Request>}")

	status := func(answer string) core.Verdict { return inquire.Mapper.Decode(in, core.Response{Body: answer}) }
	v := status("<Response><ResultCode>0</ResultCode><PayState>P</PayState></Response>")
	if s, ok := v.Answer.(*core.Status); !ok || s.State != core.StateRunning || s.At != "pre" {
		t.Errorf("unexpected verdict %+v %+v", v, v.Answer)
	}
	v = status("<Response><ResultCode>0</ResultCode><PayState>X</PayState></Response>")
	if v.Outcome != core.OutcomeInDoubt || v.Err == nil || !strings.Contains(v.Err.Error(), `code table "pay_state" has no row for the HIS's code "X"`) {
		t.Errorf("an unmapped state must be in doubt, got %+v", v)
	}
}

func TestOutcomes(t *testing.T) {
	m := load(t, folder(t, "dongshan")).Dialect.Operations[core.PaymentSettle].Steps[0].Mapper
	in := core.Input{Body: payment(), Stamp: stamp}
	for name, c := range map[string]struct {
		answer  core.Value
		outcome core.Outcome
		rule    string
	}{
		"done":                      {parameters("<r><result><returnCode>1</returnCode></result><Data><SaveFeeSoap><INVOICENO>7</INVOICENO><TOT_COST>21.50</TOT_COST></SaveFeeSoap></Data></r>"), "ok", "ok"},
		"already comes before ok":   {parameters("<r><result><returnCode>1</returnCode><returnDesc>该处方已收费</returnDesc></result></r>"), "already", "already"},
		"refused":                   {parameters("<r><result><returnCode>-3</returnCode><returnDesc>余额不足</returnDesc></result></r>"), "rejected", "rejected"},
		"no rule holds":             {parameters("<r><result><returnCode>2</returnCode></result></r>"), "in_doubt", ""},
		"attributes beside text":    {parameters(`<r><result><returnCode t="x">1</returnCode></result><Data/></r>`), "ok", "ok"},
		"not even XML":              {parameters("oops"), "in_doubt", ""},
		"the parameter is missing":  {core.Tree{}, "in_doubt", ""},
		"nothing at all":            {nil, "in_doubt", ""},
		"rows where text should be": {core.List{core.Tree{}, core.Tree{}}, "in_doubt", ""},
		"money that is none":        {parameters("<r><result><returnCode>1</returnCode></result><Data><SaveFeeSoap><TOT_COST>1.234</TOT_COST></SaveFeeSoap></Data></r>"), "in_doubt", "ok"},
	} {
		v := m.Decode(in, core.Response{Body: c.answer})
		if v.Outcome != c.outcome || v.Rule != c.rule {
			t.Errorf("%s: got %s by rule %q (%v), want %s by %q", name, v.Outcome, v.Rule, v.Err, c.outcome, c.rule)
		}
		if v.Outcome == core.OutcomeInDoubt && v.Err == nil {
			t.Errorf("%s: in doubt without a reason", name)
		}
	}
	v := m.Decode(in, core.Response{Body: parameters("<r><result><returnCode>1</returnCode></result><Data><SaveFeeSoap><INVOICENO>007</INVOICENO><TOT_COST>21.5</TOT_COST></SaveFeeSoap></Data></r>")})
	amount := core.Fen(2150)
	if diff := cmp.Diff(&core.Receipt{HisNo: "007", Amount: &amount}, v.Answer); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"receipt_no": "007"}, v.Captured); diff != "" {
		t.Error(diff)
	}
}

func parameters(text string) core.Tree { return core.Tree{{Name: "SaveFeeResult", Value: text}} }

func TestListsInAnswers(t *testing.T) {
	m := load(t, folder(t, "dongshan")).Dialect.Operations[core.BillUnpaid].Steps[0].Mapper
	ask := func(inner string) core.Verdict {
		return m.Decode(core.Input{Body: &core.BillQuery{VisitNo: "V1"}, Stamp: stamp}, core.Response{Body: core.Tree{{Name: "GetFeeListByClinicCodeResult", Value: "<r><result><returnCode>1</returnCode></result>" + inner + "</r>"}}})
	}
	line := func(recipe, name, cost string) string {
		return "<FeeTable><RECIPE_NO>" + recipe + "</RECIPE_NO><ITEM_NAME>" + name + "</ITEM_NAME><UNIT_PRICE>1.50</UNIT_PRICE><TOT_COST>" + cost + "</TOT_COST></FeeTable>"
	}
	v := ask("<Data>" + line("02", "甲", "1.50") + line("01", "乙", "3.00") + line("02", "丙", "0.5") + "</Data>")
	want := &core.Bills{Bills: []core.Bill{
		{BillNo: "02", Amount: 200, Lines: []core.BillLine{{Name: "甲", UnitPrice: "1.50", Amount: 150}, {Name: "丙", UnitPrice: "1.50", Amount: 50}}},
		{BillNo: "01", Amount: 300, Lines: []core.BillLine{{Name: "乙", UnitPrice: "1.50", Amount: 300}}},
	}}
	if diff := cmp.Diff(any(want), v.Answer); diff != "" {
		t.Error(v.Err, diff)
	}
	if v = ask("<Data>" + line("01", "乙", "3.00") + "</Data>"); len(v.Answer.(*core.Bills).Bills) != 1 {
		t.Error("what occurs once is a list of one")
	}
	if v = ask(""); v.Outcome != core.OutcomeNoData {
		t.Errorf("got %+v", v)
	} else if diff := cmp.Diff(any(&core.Bills{}), v.Answer); diff != "" {
		t.Error(diff)
	}
}

func TestSignedRequestInASession(t *testing.T) {
	d := load(t, folder(t, "nanshan")).Dialect
	s := d.Sessions["main"]
	q := encode(t, s.Login.Mapper, core.Input{})
	expectBody(t, q, "POST /auth", `{"user":"hub","password":"not-a-real-one"}`)
	if diff := cmp.Diff([]string{"not-a-real-one"}, d.Secrets); diff != "" {
		t.Error(diff)
	}
	v := s.Login.Mapper.Decode(core.Input{}, core.Response{Status: "200", Body: `{"dateset":{"accessToken":"T1","accessPastTime":"2026-01-05 12:00:00"}}`})
	if v.Outcome != core.OutcomeOK || v.Captured["token"] != "T1" {
		t.Fatalf("unexpected verdict %+v", v)
	}
	until, err := s.Expires(core.Input{Session: v.Captured})
	if err != nil || !until.Equal(time.Date(2026, 1, 5, 4, 0, 0, 0, time.UTC)) || s.Early != time.Minute {
		t.Errorf("expires at %v, %v", until, err)
	}

	step := d.Operations[core.RefundCreate].Steps[0]
	if step.Session != "main" || s.Login.Session != "" {
		t.Errorf("the session of the call is %q, of the login %q", step.Session, s.Login.Session)
	}
	refund := &core.Refund{RefundNo: "R1", OrderID: "O1", Amount: 100, Paid: 250, RefundedAt: time.Date(2026, 1, 5, 1, 2, 3, 0, time.UTC)}
	q = encode(t, step.Mapper, core.Input{Body: refund, Session: v.Captured})
	param := `{"no":"R1","order":"O1","fee":1.00,"time":"20260105090203","part":true,"kind":7}`
	expectBody(t, q, "POST /api/process", param)
	want := []core.Field{
		{Name: "msgid", Value: stamp.ID}, {Name: "customid", Value: "C0001"}, {Name: "token", Value: "T1"}, {Name: "code", Value: "refund"},
		{Name: "sign", Value: md5Hex("code=refund&customid=C0001&msgid=" + stamp.ID + "&param=" + param + "&token=T1")},
	}
	if diff := cmp.Diff(want, q.Headers); diff != "" {
		t.Error(diff)
	}

	for answer, outcome := range map[string]core.Outcome{
		`{"success":"1001"}`: "expired", `{"success":1001}`: "expired", `{"success":"3"}`: "running", `{"success":1,"dateset":{"id":5}}`: "ok",
		`{"success":"2","msgtext":"重复"}`: "rejected", `{`: "in_doubt", `{"success":null}`: "in_doubt",
	} {
		if v := step.Mapper.Decode(core.Input{Body: refund, Session: v.Captured, Stamp: stamp}, core.Response{Status: "200", Body: answer}); v.Outcome != outcome {
			t.Errorf("%s: got %s (%v), want %s", answer, v.Outcome, v.Err, outcome)
		}
	}
	if _, err := step.Mapper.Encode(core.Input{Body: refund, Stamp: stamp}); core.ClassOf(err) != core.Invalid {
		t.Errorf("without a session the request cannot be made, got %v", err)
	}
}

func TestPages(t *testing.T) {
	step := load(t, folder(t, "nanshan")).Dialect.Operations[core.LedgerDetail].Steps[0]
	in := core.Input{Body: &core.LedgerQuery{Day: "2026-01-05"}, Session: map[string]string{"token": "T"}}
	expectBody(t, encode(t, step.Mapper, in), "POST /api/process", `{"day":"2026-01-05","page":1}`)
	in.Stamp = stamp
	row := `{"kind":"T","no":"R1","fee":"1.00","time":"2026-01-05 10:00:00","cz":0}`
	v := step.Mapper.Decode(in, core.Response{Body: `{"success":"1","dateset":{"rows":[` + row + "," + row + `]}}`})
	if v.Outcome != core.OutcomeOK || v.Next == nil || *v.Next != "2" || step.MaxPages != 50 {
		t.Fatalf("unexpected verdict %+v", v)
	}
	e := v.Answer.(*core.Ledger).Entries[1]
	if e.Type != core.EntryRefund || e.Amount != 100 || e.Reversal || !e.At.Equal(time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC)) {
		t.Errorf("unexpected entry %+v", e)
	}
	in.Page = v.Next
	expectBody(t, encode(t, step.Mapper, in), "POST /api/process", `{"day":"2026-01-05","page":2}`)
	v = step.Mapper.Decode(in, core.Response{Body: `{"success":"1","dateset":{"rows":[]}}`})
	if v.Outcome != core.OutcomeOK || v.Next != nil || v.Answer.(*core.Ledger).Entries == nil {
		t.Errorf("unexpected verdict %+v", v)
	}
}

// An inner document that is only there on success must not be touched by a rule
// that does not name it.
func TestLetsAreLazy(t *testing.T) {
	files := folder(t, "dongshan")
	files["hospital.yaml"].Data = []byte(strings.Replace(string(files["hospital.yaml"].Data), `read: {answer: '= root(from_xml(body[call + "Result"]))'}`,
		`read: {let: {inner: = from_json(body.data)}, answer: = body}`, 1))
	files["payment.yaml"].Data = []byte("payment.settle:\n  call: SaveFee\n  repeat_safe: true\n  send: {clinicCode: = payment.visit_no, totCost: \"1\", payMode: '= code(\"pay_channel\", payment.channel)'}\n" +
		"  outcome: {ok: answer.code == \"1\" and inner.id != nil, already: \"false\", rejected: answer.code == \"2\", message: = answer.words}\n")
	delete(files, "codes/pay_state.csv")
	delete(files, "bill.yaml")
	m := load(t, files).Dialect.Operations[core.PaymentSettle].Steps[0].Mapper
	in := core.Input{Body: payment(), Stamp: stamp}
	if v := m.Decode(in, core.Response{Body: core.Tree{{Name: "code", Value: "2"}, {Name: "data", Value: "no JSON"}, {Name: "words", Value: "x"}}}); v.Outcome != core.OutcomeRejected {
		t.Errorf("got %+v", v)
	}
	if v := m.Decode(in, core.Response{Body: core.Tree{{Name: "code", Value: "1"}, {Name: "data", Value: "no JSON"}}}); v.Outcome != core.OutcomeInDoubt {
		t.Errorf("got %+v", v)
	}
}

func TestMappersAreSafeForParallelUse(t *testing.T) {
	x := load(t, folder(t, "xihe")).Dialect
	create, settle := x.Operations[core.PrescriptionCreate].Steps[0].Mapper, x.Operations[core.PaymentSettle].Steps[0].Mapper
	want := show(encode(t, create, core.Input{Body: prescription()}).Body)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				q, err := create.Encode(core.Input{Body: prescription(), Stamp: stamp})
				if err != nil || show(q.Body) != want {
					t.Errorf("got %v %v", show(q.Body), err)
					return
				}
				v := settle.Decode(core.Input{Body: payment()}, core.Response{Body: "<Response><ResultCode>0</ResultCode><InvoiceNo>1</InvoiceNo></Response>"})
				if v.Captured["invoice"] != "1" {
					t.Errorf("got %+v", v)
					return
				}
			}
		})
	}
	group.Wait()
}

func TestEveryBodyOfTheCatalogueHasAView(t *testing.T) {
	for _, c := range core.Catalogue {
		v := viewOf(c.Body())
		if len(viewFields(v.of)) == 0 {
			t.Errorf("%s has no fields", c.Kind)
		}
		v.show(c.Body())
	}
}

// The inquiry must see its own fields, not the memory of the write's.
func TestInquirySeesFieldsByName(t *testing.T) {
	files := folder(t, "dongshan")
	files["payment.yaml"].Data = []byte(strings.Replace(string(files["payment.yaml"].Data), "orderNo: = payment.order_id}", "orderNo: '= payment.channel_no + payment.channel + yuan(payment.amount) + time(payment.paid_at, \"HHmm\")'}", 1))
	inquire := load(t, files).Dialect.Operations[core.PaymentSettle].Steps[0].Inquire
	expectBody(t, encode(t, inquire.Mapper, core.Input{Body: payment()}), "QueryFee", "{clinicCode=V0000345678 orderNo=4200000000wechat21.500959}")
}

// The order in which rules are judged does not depend on the order in which
// they are written.
func TestRulesAreJudgedInTheirOrder(t *testing.T) {
	files := capturing(`"x"`)
	outcome := "    outcome:\n"
	for _, r := range []string{"rejected", "refund_now", "ok", "already", "running", "busy", "unknown", "expired"} {
		outcome += "      " + r + ": answer." + r + " == \"1\"\n"
	}
	outcome += "      verify: answer.seal == md5(text(answer.ok) + secret.salt)\n      message: = answer.words\n      show_patient: answer.public == \"1\"\n"
	files["hospital.yaml"].Data = []byte("grammar: 1\nhospital: t\nname: t\nsecrets: {salt: \"${SALT}\"}\nconnectors: {default: {rest: {}}}\nenvelopes:\n  default:\n    read: {answer: = root(from_xml(body))}\n" + outcome)
	files["payment.yaml"].Data = []byte("payment.settle:\n  call: POST /\n  inquire: payment.status\npayment.status:\n  call: POST /s\n  returns: {state: unknown}\n  outcome: {verify: false}\n")
	f, err := Load(files, Options{Env: func(string) (string, bool) { return "pepper", true }})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(kind core.Kind, answer string) core.Verdict {
		return f.Dialect.Operations[kind].Steps[0].Mapper.Decode(core.Input{Body: payment(), Stamp: stamp}, core.Response{Body: "<r>" + answer + "</r>"})
	}
	answer := "<ok>1</ok><words>w</words><seal>" + md5Hex("1pepper") + "</seal><public>1</public>"
	if v := ask(core.PaymentSettle, answer); v.Outcome != core.OutcomeOK || v.Words != "w" || !v.ShowPatient {
		t.Errorf("got %+v", v)
	}
	more := answer
	for _, r := range []struct {
		rule    string
		outcome core.Outcome
	}{{"rejected", "ok"}, {"refund_now", "ok"}, {"already", "already"}, {"running", "running"}, {"busy", "busy"}, {"unknown", "in_doubt"}, {"expired", "expired"}} {
		more += "<" + r.rule + ">1</" + r.rule + ">"
		if v := ask(core.PaymentSettle, more); v.Outcome != r.outcome {
			t.Errorf("with %s as well the outcome is %s, want %s", r.rule, v.Outcome, r.outcome)
		}
	}
	if v := ask(core.PaymentSettle, "<ok>1</ok><seal>forged</seal>"); v.Outcome != core.OutcomeInDoubt || v.Rule != "verify" || v.Err == nil {
		t.Errorf("a forged answer gives %+v", v)
	}
	if v := ask(core.PaymentStatus, "<ok>1</ok>"); v.Outcome != core.OutcomeOK {
		t.Errorf("verify: false does not switch the rule off: %+v", v)
	}
	if v := ask(core.PaymentSettle, "<refund_now>1</refund_now><rejected>1</rejected><seal>"+md5Hex("pepper")+"</seal>"); v.Outcome != core.OutcomeRefundNow {
		t.Errorf("got %+v", v)
	}
}

// Encrypted, then signed; the answer is verified before it is opened.
func TestSealedDialect(t *testing.T) {
	files := capturing(`"x"`)
	files["hospital.yaml"].Data = []byte(`grammar: 1
hospital: t
name: t
secrets: {key: "${KEY}", salt: "${SALT}"}
connectors: {default: {rest: {}}}
envelopes:
  default:
    write:
      let:
        plain: {$xml: {Data: = body}}
        load: = base64(sm4_ecb(plain, secret.key))
      send: {$xml: {Packet: {Kind: = call, Load: = load, Seal: '= sm3(call + load + secret.salt)'}}}
    read:
      let: {packet: = from_xml(body).Packet}
      answer: = from_xml(from_sm4_ecb(from_base64(packet.Load), secret.key)).Data
    outcome: {verify: sm3(text(packet.Load) + secret.salt) == packet.Seal, ok: packet.Code == "0", message: = packet.Note}
`)
	files["payment.yaml"].Data = []byte("payment.settle:\n  call: Pay\n  repeat_safe: true\n  send: {No: = payment.order_id}\n  capture: {x: = answer.No}\n")
	f, err := Load(files, Options{Env: func(string) (string, bool) { return "0123456789abcdef", true }})
	if err != nil {
		t.Fatal(err)
	}
	m := f.Dialect.Operations[core.PaymentSettle].Steps[0].Mapper
	q := encode(t, m, core.Input{Body: payment()})
	// The HIS of this test answers with what it got: the load, sealed its own way.
	load := strings.Split(strings.Split(q.Body.(string), "<Load>")[1], "</Load>")[0]
	sum := sm3.Sum([]byte(load + "0123456789abcdef"))
	answer := "<Packet><Code>0</Code><Load>" + load + "</Load><Seal>" + hex.EncodeToString(sum[:]) + "</Seal></Packet>"
	if v := m.Decode(core.Input{Body: payment()}, core.Response{Body: answer}); v.Captured["x"] != "IH20260105000002" {
		t.Errorf("got %+v", v)
	}
	if v := m.Decode(core.Input{Body: payment()}, core.Response{Body: strings.Replace(answer, "<Seal>", "<Seal>0", 1)}); v.Outcome != core.OutcomeInDoubt || v.Rule != "verify" {
		t.Errorf("got %+v", v)
	}
}

// A list's item keeps its name while a let with a list of its own is computed.
func TestItemsKeepTheirNames(t *testing.T) {
	files := capturing(`"x"`)
	files["payment.yaml"].Data = []byte("payment.settle:\n  repeat_safe: true\n  call: POST /x\n  let: {every: [{$each: b in payment.bills, $value: = b}]}\n  send: [{$each: b in payment.bills, x: '= join(every, \",\")', y: = b}]\n")
	q := encode(t, load(t, files).Dialect.Operations[core.PaymentSettle].Steps[0].Mapper, core.Input{Body: payment()})
	expectBody(t, q, "POST /x", "[{x=00012,00013 y=00012}, {x=00012,00013 y=00013}]")
}

func TestProject(t *testing.T) {
	got := Project(payment(), core.PaymentStatus)
	p := payment()
	want := &core.PaymentQuery{OrderID: p.OrderID, VisitNo: p.VisitNo, PatientNo: p.PatientNo, ChannelNo: p.ChannelNo, Channel: p.Channel, Amount: p.Amount, PaidAt: p.PaidAt}
	if diff := cmp.Diff(core.Body(want), got); diff != "" {
		t.Error(diff)
	}
}
