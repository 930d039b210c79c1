package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hishub/core"
)

// mirrored is a folder of one operation that is sent by paper, and its mirror.
func mirrored(t testing.TB, settle string) (*Folder, *Mirror) {
	t.Helper()
	files := fstest.MapFS{
		"hospital.yaml": {Data: []byte(`grammar: 1
hospital: dongpo
name: 东坡测试医院
constants: {oper: net07}
secrets: {key: "${NANSHAN_PASSWORD}"}
connectors: {default: {rest: {base: "${NANSHAN_URL}"}}}
envelopes:
  default: {write: {send: {$xml: {R: {$group: = body}}}}, read: {answer: = from_xml(body).A}, outcome: {verify: answer.id == attempt.id, already: answer.c == "1", ok: 'answer.c in ["0", "00"]', busy: answer.words contains "忙", rejected: answer.c startsWith "E" and answer.words != nil, message: = answer.words}}
`)},
		"payment.yaml":    {Data: []byte("payment.settle:\n  call: POST /pay\n  repeat_safe: true\n" + settle)},
		"codes/way.csv":   {Data: []byte("ours,theirs\nwechat,1\nalipay,2\nunionpay,9\ninsurance,9\nbank,9\ncash,9\n")},
		"codes/shift.csv": {Data: []byte("ours,theirs\na,1\n")},
	}
	if !strings.Contains(settle, `"shift"`) {
		delete(files, "codes/shift.csv")
	}
	if !strings.Contains(settle, `"way"`) {
		delete(files, "codes/way.csv")
	}
	f, err := Load(files, Options{Env: environment, Open: func(core.ConnectorSpec) (core.Connector, error) { return paper{}, nil }, Backwards: true})
	if err != nil {
		t.Fatal(err)
	}
	mi, err := f.Mirror()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mi.Close)
	return f, mi
}

// What a cell writes is read back to what it was made of; what cannot be is named.
func TestCellsAreReadBack(t *testing.T) {
	pay := payment()
	for name, c := range map[string]struct {
		send   string
		want   map[string]string
		weak   string
		unread bool
	}{
		"plain":            {`{a: = payment.order_id}`, map[string]string{"order_id": pay.OrderID}, "", false},
		"yuan":             {`{a: = yuan(payment.amount)}`, map[string]string{"amount": pay.Amount.String()}, "", false},
		"neg":              {`{a: = fen(neg(payment.amount))}`, map[string]string{"amount": pay.Amount.String()}, "", false},
		"list":             {`{a: '= join(payment.bills, ",")'}`, map[string]string{"bills[0]": pay.Bills[0]}, "", false},
		"each":             {`{a: [{$each: b in payment.bills, $value: = b}]}`, map[string]string{"bills[0]": pay.Bills[0]}, "", false},
		"code":             {`{a: '= code("way", payment.channel)'}`, map[string]string{"channel": "wechat"}, "", false},
		"two times":        {`{a: '= time(payment.paid_at, "yyyyMMdd")', b: '= time(payment.paid_at, "HH:mm:ss")'}`, map[string]string{"paid_at": pay.PaidAt.In(time.FixedZone("", 8*3600)).Format(time.RFC3339)}, "", false},
		"short time":       {`{a: '= time(payment.paid_at, "yyyy/M/d H:mm:ss")'}`, map[string]string{"paid_at": pay.PaidAt.In(time.FixedZone("", 8*3600)).Format(time.RFC3339)}, "", false},
		"short year":       {`{a: '= time(payment.paid_at, "yyMMddHHmmss")'}`, map[string]string{"paid_at": pay.PaidAt.In(time.FixedZone("", 8*3600)).Format(time.RFC3339)}, "", false},
		"time anew":        {`{a: '= time(from_time(payment.order_id, "yyyy-MM-dd"), "yyyy/MM/dd")'}`, map[string]string{"order_id": "2026-01-05"}, "", false},
		"month of a time":  {`{a: '= time(from_time(payment.order_id, "yyyy-MM-dd"), "yyyy/MM")'}`, nil, "", true},
		"concatenation":    {`{a: '= "N" + payment.order_id + "/" + const.oper'}`, map[string]string{"order_id": pay.OrderID}, "", false},
		"between anchors":  {`{a: '= payment.order_id + "|" + payment.channel_no'}`, map[string]string{"order_id": pay.OrderID, "channel_no": pay.ChannelNo}, "", false},
		"branch":           {`{a: '= if payment.channel == "wechat" {"W"} else {"X"}'}`, map[string]string{"channel": "wechat"}, "", false},
		"base64":           {`{a: '= base64(hex(payment.order_id))'}`, map[string]string{"order_id": pay.OrderID}, "", false},
		"cipher":           {`{a: '= base64(aes_ecb(payment.order_id, md5(secret.key)))'}`, map[string]string{"order_id": pay.OrderID}, "", false},
		"nested":           {`{a: {$json: {x: {$form: {y: = payment.order_id}}}}}`, map[string]string{"order_id": pay.OrderID}, "", false},
		"upper":            {`{a: = upper(payment.order_id)}`, nil, "order_id", false},
		"digest":           {`{a: = md5(payment.order_id)}`, nil, "", true},
		"digest of known":  {`{a: = md5(payment.order_id), b: = payment.order_id}`, map[string]string{"order_id": pay.OrderID}, "", false},
		"a let":            {"{a: = x.o, b: = sm3(query(x))}\n  let: {x: {o: = payment.order_id, v: = payment.visit_no}}", map[string]string{"order_id": pay.OrderID}, "", true},
		"thousandths":      {`{a: '= mul(fen(payment.amount), "10")'}`, map[string]string{"amount": pay.Amount.String()}, "", false},
		"multiple of yuan": {`{a: '= mul("1000", yuan(payment.amount))'}`, map[string]string{"amount": pay.Amount.String()}, "", false},
		"part of fen":      {`{a: '= mul(fen(payment.amount), "0.01")'}`, map[string]string{"amount": pay.Amount.String()}, "", false},
		"times nothing":    {`{a: '= mul(fen(payment.amount), "0")'}`, nil, "", true},
		"numbered":         {`{n: = len(payment.bills), $group: [{$each: 'b, n in payment.bills', $group: '= wrap("B" + text(n), b)'}]}`, map[string]string{"bills[0]": pay.Bills[0]}, "", false},
		"digest of numbered": {"{$group: = x, s: '= md5(query(x))'}\n  let: {x: {$group: [{$each: 'b, n in payment.bills', $group: '= wrap(\"B\" + text(n), join([b, payment.order_id], \"^\"))'}]}}",
			map[string]string{"bills[0]": pay.Bills[0], "order_id": pay.OrderID}, "", false},
		// A digest of more than what came is not checked, and not called forged.
		"digest of seconds": {`{a: '= time(payment.paid_at, "yyyy/M/d")', s: '= md5(time(payment.paid_at, "yyyyMMddHHmmss"))'}`, nil, "", true},
		"digest of a day":   {`{a: '= time(payment.paid_at, "yyyy/M/d")', s: '= md5(time(payment.paid_at, "yyyyMMdd"))'}`, nil, "", false},
		"digest of unread":  {`{$group: [{$each: b in payment.bills, $group: '= wrap("B" + md5(b), "x")'}], s: '= md5(join(payment.bills, ","))'}`, nil, "", true},
		"records":           {`{a: [{$each: 'b, n in payment.bills', n: = n, no: = b}]}`, map[string]string{"bills[0]": pay.Bills[0]}, "", false},
		"condition absent":  {`{a: {$when: payment.visit_no == "", $value: x}, b: = payment.order_id}`, map[string]string{"order_id": pay.OrderID}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			f, mi := mirrored(t, "  send: "+c.send+"\n  returns: {his_no: = answer.no}\n")
			call := &f.Dialect.Operations[core.PaymentSettle].Steps[0].Call
			pay := pay
			if v := c.want["order_id"]; strings.Contains(c.send, "from_time") {
				dated := *pay
				dated.OrderID = cmp.Or(v, "2026-01-05")
				pay = &dated
			}
			q, err := call.Mapper.Encode(core.Input{Body: pay, Stamp: stamp})
			if err != nil {
				t.Fatal(err)
			}
			h, err := mi.Hear("default", q)
			if err != nil {
				t.Fatal(err)
			}
			for path, v := range c.want {
				if got := h.Fields["payment."+path]; got != v || h.Weak["payment."+path] {
					t.Errorf("%s is %q, want %q; all: %v", path, got, v, h.Fields)
				}
			}
			if c.weak != "" && !h.Weak["payment."+c.weak] {
				t.Errorf("%s lost something, and is not called weak: %v", c.weak, h.Fields)
			}
			if len(h.Unread) > 0 != c.unread {
				t.Errorf("unread: %v", h.Unread)
			}
			if len(h.Forged) > 0 {
				t.Errorf("forged: %v", h.Forged)
			}
		})
	}
}

func TestWhatAnotherOperationWritesIsNotHeard(t *testing.T) {
	_, mi := mirrored(t, "  send: {kind: \"4905\", a: = yuan(payment.amount)}\n  returns: {his_no: = answer.no}\n")
	for name, q := range map[string]core.Request{
		"literal": {Operation: "POST /pay", Body: "<R><kind>4906</kind><a>1.00</a></R>"},
		"missing": {Operation: "POST /pay", Body: "<R><a>1.00</a></R>"},
		"call":    {Operation: "POST /other", Body: "<R><kind>4905</kind><a>1.00</a></R>"},
		"money":   {Operation: "POST /pay", Body: "<R><kind>4905</kind><a>x</a></R>"},
		"format":  {Operation: "POST /pay", Body: "<R><kind>4905"},
		"tree":    {Operation: "POST /pay", Body: core.List{core.Tree{}, nil}},
	} {
		h, err := mi.Hear("default", q)
		if !errors.Is(err, ErrUnheard) {
			t.Errorf("%s: heard %+v, %v", name, h, err)
		}
		// Who reads the log learns which cell it was.
		if want := "the nearest, payment.settle, cannot have written what stands where its cell at payment.yaml:4:29"; name == "money" && !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A number that no amount gives, and a digest that something else was signed for, are
// told apart: of the first nothing is known, the second is wrong.
func TestWhatIsNotKnownIsNotForged(t *testing.T) {
	_, mi := mirrored(t, "  send: {no: = payment.order_id, a: '= mul(fen(payment.amount), \"10\")', s: = md5(payment.order_id), z: '= md5(fen(payment.amount))'}\n  returns: {his_no: = answer.no}\n")
	for a, unread := range map[string]int{"46190": 0, "46195": 2, "046190": 2, "46190.0": 0, "1e3": 2, "x": 2} {
		h, err := mi.Hear("default", core.Request{Operation: "POST /pay", Body: "<R><no>N1</no><a>" + a + "</a><s>0</s><z>0</z></R>"})
		if err != nil {
			t.Errorf("%s: %v", a, err)
			continue
		}
		// The digest of the number is forged where it can be computed.
		forged := 2 - unread/2
		if amount, came := h.Fields["payment.amount"]; came != (unread == 0) || came && amount != "46.19" {
			t.Errorf("%s is read as %q", a, amount)
		}
		if len(h.Unread) != unread || len(h.Forged) != forged {
			t.Errorf("%s: unread %v, forged %v", a, h.Unread, h.Forged)
		}
	}
}

// What counts other items than are there was not written by the folder.
func TestACountIsThatOfTheNumberedItems(t *testing.T) {
	_, mi := mirrored(t, "  send: {l: = len(payment.bills), $group: [{$each: 'b, n in payment.bills', $group: '= wrap(\"B\" + text(n), b)'}]}\n  returns: {his_no: = answer.no}\n")
	for l, want := range map[string]bool{"2": true, "3": false, "0": false, "-1": false, "two": false} {
		h, err := mi.Hear("default", core.Request{Operation: "POST /pay", Body: "<R><l>" + l + "</l><B1>x</B1><B2>y</B2></R>"})
		told := err == nil && len(h.Unread)+len(h.Forged) == 0
		if told != want || told && h.Fields["payment.bills[1]"] != "y" {
			t.Errorf("%s: %+v, %v", l, h, err)
		}
	}
}

// Of nothing but the rules, answers are made that they read as wanted.
func TestAnswersAreMadeOfRules(t *testing.T) {
	_, mi := mirrored(t, "  send: {id: = attempt.id, no: = payment.order_id, a: = yuan(payment.amount)}\n  returns: {his_no: = answer.h.no, amount: = from_fen(answer.sum)}\n")
	h, err := mi.Hear("default", core.Request{Operation: "POST /pay", Body: "<R><id>a1</id><no>N1</no><a>1.00</a></R>"})
	if err != nil {
		t.Fatal(err)
	}
	amount := core.Fen(100)
	for outcome, want := range map[core.Outcome]string{
		core.OutcomeOK:       "<A><c>0</c><h><no>H7</no></h><sum>100</sum><id>a1</id></A>",
		core.OutcomeAlready:  "<A><c>1</c><id>a1</id></A>",
		core.OutcomeBusy:     "<A><words>忙</words><id>a1</id></A>",
		core.OutcomeRejected: "<A><c>E</c><words>药品库存不足</words><id>a1</id></A>",
	} {
		wish := Wish{Outcome: outcome, Receipt: core.Receipt{HisNo: "H7", Amount: &amount}}
		if outcome == core.OutcomeRejected {
			wish.Words = "药品库存不足"
		}
		said, err := mi.Say(h, wish)
		if err != nil {
			t.Errorf("%s: %v", outcome, err)
			continue
		}
		if text, _ := core.Text(said.Response.Body); text != want || said.Verdict.Outcome != outcome {
			t.Errorf("%s: %s, read as %s", outcome, text, said.Verdict.Outcome)
		}
	}
	if _, err := mi.Say(h, Wish{Outcome: core.OutcomeRunning}); !errors.Is(err, ErrUnsaid) {
		t.Errorf("a folder without the rule running says it: %v", err)
	}
}

func TestADocumentKeepsItsSpellingWhenItIsPatched(t *testing.T) {
	const document = `<?xml version="1.0"?><p:A xmlns:p="urn:x" k='1'><!-- c --><b>x</b> <b><![CDATA[y<]]></b><c/></p:A>`
	was := core.Tree{{Name: "A", Value: core.Tree{{Name: ".k", Value: "1"}, {Name: "b", Value: core.List{"x", "y<"}}, {Name: "c"}}}}
	is := core.Tree{{Name: "A", Value: core.Tree{{Name: ".k", Value: "2"}, {Name: "b", Value: core.List{"x", "]]>&"}}, {Name: "c"}}}}
	got, ok := PatchXML(document, was, is)
	const want = `<?xml version="1.0"?><p:A xmlns:p="urn:x" k='2'><!-- c --><b>x</b> <b><![CDATA[]]]]><![CDATA[>&]]></b><c/></p:A>`
	if !ok || got != want {
		t.Errorf("got %v %s", ok, got)
	}
	more := core.Tree{{Name: "A", Value: core.Tree{{Name: ".k", Value: "1"}, {Name: "b", Value: core.List{"x", "y<", "z"}}, {Name: "c"}}}}
	if _, ok := PatchXML(document, was, more); ok {
		t.Error("a child more was patched in")
	}
}

func FuzzHear(f *testing.F) {
	_, mi := mirrored(f, "  send: {id: = attempt.id, a: [{$each: 'b, n in payment.bills', n: = n, no: = b}], t: '= time(payment.paid_at, \"yyyyMMdd\") + payment.order_id', w: '= if payment.visit_no == \"\" {absent} else {pad(payment.visit_no, 4, \"0\")}', s: = md5(payment.order_id), j: {$json: {c: '= code(\"way\", payment.channel)'}}, m: '= mul(fen(payment.amount), \"10\")', l: = len(payment.bills), $group: [{$each: 'b, n in payment.bills', $group: '= wrap(\"B\" + text(n), b)'}]}\n  returns: {his_no: = answer.no}\n")
	f.Add("<R><id>1</id><a><n>1</n><no>B</no></a><t>20260105X</t><w>0001</w><s>0</s><j>{&quot;c&quot;:&quot;9&quot;}</j><m>46190</m><l>1</l><B1>B</B1></R>")
	f.Add("<R><a/><t/></R>")
	f.Add("<R><id>1</id><a><n>1</n><no>x</no></a><a><n>2</n><no>y</no></a><t>20260105X</t><m>46195</m><l>2</l><B1>x</B1><B2>y</B2></R>")
	f.Add("<R><m>-0.10</m><l>-1</l><B1/><B1/></R>")
	f.Fuzz(func(t *testing.T, body string) {
		h, err := mi.Hear("default", core.Request{Operation: "POST /pay", Body: body})
		if err != nil {
			return
		}
		before := maps.Clone(h.Fields)
		_, _ = mi.Say(h, Wish{Outcome: core.OutcomeOK, Fresh: func(string) string { return "F1" }})
		if !maps.Equal(before, h.Fields) {
			t.Error("wording an answer changed what was heard")
		}
	})
}
