package mapping

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"hishub/core"
)

// capturing is a folder that reads an answer as XML and keeps one cell of it.
func capturing(expression string) fstest.MapFS {
	return fstest.MapFS{
		"hospital.yaml": {Data: []byte("grammar: 1\nhospital: t\nname: t\nconnectors: {default: {rest: {}}}\n" +
			"envelopes: {default: {read: {answer: = root(from_xml(body))}, outcome: {ok: 'true'}}}\n")},
		"payment.yaml": {Data: []byte("payment.settle:\n  repeat_safe: true\n  let: {item: {a: 7, b: [{$each: item in payment.bills, $value: '= item + \"!\"'}]}}\n" +
			"  capture:\n    x: |\n      = " + expression + "\n  send: {a: = payment.visit_no}\n")},
	}
}

// captured is what the cell gives for an answer: its text, or "error: ...".
func captured(t *testing.T, expression, answer string) string {
	t.Helper()
	f, err := Load(capturing(expression), Options{})
	if err != nil {
		return "load: " + err.Error()
	}
	v := f.Dialect.Operations[core.PaymentSettle].Steps[0].Mapper.Decode(core.Input{Body: payment(), Stamp: stamp}, core.Response{Body: "<r>" + answer + "</r>", Status: "201"})
	if v.Err != nil {
		return "error: " + v.Err.Error()
	}
	return v.Captured["x"]
}

func TestExpressions(t *testing.T) {
	for _, c := range []struct{ expression, answer, want string }{
		{`answer.a.b`, "<a><b>007</b></a>", "007"},
		{`answer.a.b ?? "none"`, "<a/>", "none"},
		{`answer.a.b.c.d ?? "none"`, "", "none"},
		{`answer["a"]["b"]`, "<a><b>1</b></a>", "1"},
		{`answer["a" + "b"]`, "<ab>1</ab>", "1"},
		{`answer.a.t`, `<a t="x">1</a>`, "x"},
		{`answer.a`, `<a t="x">1</a>`, "1"},
		{`if answer.a == "1" {"yes"} else {"no"}`, `<a t="x">1</a>`, "yes"},
		{`if "1" == answer.a {"yes"} else {"no"}`, `<a t="x">1</a>`, "yes"},
		{`if answer.a == answer.b {"yes"} else {"no"}`, `<a t="x">1</a><b>1</b>`, "yes"},
		{`if answer.a != "1" {"yes"} else {"no"}`, "", "yes"},
		{`if answer.a in ["1", "2"] {"yes"} else {"no"}`, `<a t="x">2</a>`, "yes"},
		{`if answer.a contains "x" or answer.a startsWith "x" or answer.a endsWith "x" or answer.a matches "x" {"yes"} else {"no"}`, "", "no"},
		{`if answer.a contains "bc" {"yes"} else {"no"}`, "<a t='1'>abcd</a>", "yes"},
		{`answer.a.b`, "<a><b>1</b></a><a><b>2</b></a>", `error: decode payment.settle: capture x: payment.yaml:6:9: "b" is asked of 2 repetitions; use list(...), first(...) or $each`},
		{`answer.a contains "1"`, "<a>1</a><a>2</a>", "error: decode payment.settle: capture x: payment.yaml:6:9: text is asked of several repetitions; use first(...) or any(...)"},
		{`answer.a`, "<a>1</a><a>2</a>", "error: decode payment.settle: capture x: payment.yaml:5:8: takes text, not a list"},
		{`answer.a`, "<a><b/></a>", "error: decode payment.settle: capture x: payment.yaml:5:8: takes text, not a tree with children"},
		{`answer.a[0] + answer.a[1] + (answer.a[2] ?? "-") + answer.a[-1]`, "<a>1</a><a>2</a>", "12-2"},
		{`answer.a[0].b`, "<a><b>1</b></a>", "1"},
		{`join(map(answer.a, .b + text(#.c)), ",")`, "<a><b>1</b></a><a><b>2</b><c>3</c></a>", "1,23"},
		{`text(len(list(answer.a)))`, "", "0"},
		{`text(count(answer.a, # == "1"))`, "<a>1</a><a>2</a><a>1</a>", "2"},
		{`yuan(total(map(answer.a, from_yuan(#))) + from_fen("5"))`, "<a>1.5</a><a>2</a>", "3.55"},
		{`yuan(payment.amount - from_yuan("0.50"))`, "", "21.00"},
		{`if payment.amount > from_yuan(answer.a) {"more"} else {"less"}`, "<a>21.49</a>", "more"},
		{`from_yuan(answer.a) + payment.amount`, "<a>1</a>", "load: payment.yaml:6:9: from_yuan(answer.a) + payment.amount is money; write yuan(from_yuan(answer.a) + payment.amount) or fen(from_yuan(answer.a) + payment.amount)"},
		{`payment.bills[1] + (payment.bills[7] ?? "-")`, "", "00013-"},
		{`join(payment.bills, "^")`, "", "00012^00013"},
		{`wire.status + (wire.error ?? "")`, "", "201"},
		{`wire.headers.date ?? "none"`, "", "none"},
		{`message.key + text(attempt.serial) + text(attempt.number) + attempt.id`, "", "K171" + stamp.ID},
		{`time(message.time, "yyyyMMddHHmmss") + time(attempt.time, "ss")`, "", "2026010510000001"},
		{`item.a + join(item.b, "")`, "", "700012!00013!"},
		{`let x = answer.a; x.b + x.b`, "<a><b>1</b></a>", "11"},
		{`if answer.a == nil {nil} else {"x"}`, "", ""},
		{`(if answer.a == nil {"x"} else {answer.a}) == "x"`, "", "true"},
		{`not (payment.amount - from_yuan("1") < from_yuan("2") and answer.a == nil)`, "", "true"},
		{`(if answer.a == nil {nil} else {"x"}) == "x"`, "", "false"},
		{`answer.a ?? absent`, "", ""},
		{`answer.a + "x"`, "", "error: decode payment.settle: capture x: payment.yaml:6:9: a value is missing or of another kind than the expression needs"},
		{`answer.a > 5`, "", `load: payment.yaml:6:9: answer.a is text; write > "5"`},
		{`5 == answer.a.b`, "", `load: payment.yaml:6:14: answer.a.b is text; write == "5"`},
		{`answer.a * 2`, "", `load: payment.yaml:6:18: answer.a cannot be calculated with: what was read is text; write mul, sum or round for decimal text, from_yuan(...) for money`},
		{`answer.a == true`, "", `load: payment.yaml:6:9: answer.a is text; write == "true"`},
		{`not answer.a`, "", `load: payment.yaml:6:20: a condition must be true or false, this is text; compare it, as == "1"`},
		{`filter(answer.a, .b)`, "", `load: payment.yaml:6:27: a condition must be true or false, this is text; compare it, as == "1"`},
		{`payment.amount * 100`, "", "load: payment.yaml:6:24: money can only be added to, *"},
		{`payment.paid_at - message.time`, "", `load: payment.yaml:6:25: a time can only be compared with a time; *`},
		{`payment.amount == answer.a`, "", "load: payment.yaml:6:24: money can only be added to, *"},
		{`string(payment.visit_no)`, "", `load: payment.yaml:6:9: there is no function "string"*`},
		{`now()`, "", `load: payment.yaml:6:9: there is no function "now"*`},
		{`payment.visit_no.Foo()`, "", "load: payment.yaml:6:26: values have no methods; write a function, f(x)"},
		{`payment.paid_at.Unix()`, "", "load: payment.yaml:6:25: values have no methods; write a function, f(x)"},
		{`payment.OrderID`, "", `load: payment.yaml:6:17: payment has no field "OrderID"; did you mean "order_id"?`},
		{`{"a": 1}`, "", "load: payment.yaml:6:9: maps are not part of this language, they have no order; write it as YAML in a let"},
		{`answer.a[1:2]`, "", "load: *[from:to] is not part of this language; write slice, left, right, cut or take"},
		{`1.5`, "", `load: payment.yaml:6:9: there are no numbers with a fraction here*`},
		{`$env.payment`, "", `load: payment.yaml:6:9: there is no name "$env" here*`},
		{`const`, "", "load: payment.yaml:6:9: const is a group of names, not a value; write const.<name>"},
		{`payment.bills.x`, "", `load: payment.yaml:6:23: payment.bills is a list, it has no field "x"*`},
		{`payment.visit_no.x`, "", "load: payment.yaml:6:26: payment.visit_no is text, it has no fields"},
		{`payment`, "", "load: payment.yaml:6:9: payment is a record; name one of its fields: *"},
		{`payment.paid_at`, "", `load: payment.yaml:6:9: payment.paid_at is a time; write time(payment.paid_at, "yyyy-MM-dd HH:mm:ss")`},
		{`from_base64(answer.a)`, "", "load: payment.yaml:6:9: from_base64(answer.a) is bytes; write base64(from_base64(answer.a)) or hex(from_base64(answer.a))"},
		{`"a" + 1`, "", "load: payment.yaml:6:13: + (mismatched types text and int); write text(...) for the number"},
		{`upper(`, "", "load: payment.yaml:6:*: the expression ends too early"},
		{`secret.x`, "", "load: payment.yaml:6:9: secret is not visible here: secrets are never captured"},
		{`session.x`, "", "load: payment.yaml:6:9: session is not visible here: the folder has no sessions"},
		{`captured.x`, "", "load: payment.yaml:6:18: captured.x is captured by payment.settle itself; write the answer's own name"},
		{`page`, "", "load: payment.yaml:6:9: page is not visible here: the operation has no page"},
	} {
		got := captured(t, c.expression, c.answer)
		if !like(c.want, got) {
			t.Errorf("%s of %s:\n got  %s\n want %s", c.expression, c.answer, got, c.want)
		}
	}
}

func TestDocumentWords(t *testing.T) {
	for _, c := range []struct{ document, want string }{
		{`{a: 12.50, b: "12.50", c: 007, d: true, e: , f: -1}`, "{a=token 12.50 b=12.50 c=007 d=token true e=nil f=token -1}"},
		{`{$$a: x, ..b: y, .c: z, $text: t}`, "{$a=x ..b=y .c=z $text=t}"},
		{`[{$each: "b, n in payment.bills", n: = n, v: = b}]`, "[{n=token 1 v=00012}, {n=token 2 v=00013}]"},
		{`[{$each: b in payment.bills, $value: = b}]`, "[00012, 00013]"},
		{`[{$each: b in payment.bills, $when: b == "00013", v: = b}, x]`, "[{v=00013}, x]"},
		{`{a: {$when: payment.amount > from_fen("1"), b: 1}, c: {$when: payment.amount < from_fen("1"), b: 1}}`, "{a={b=token 1}}"},
		{`{a: {$when: payment.channel == "cash", $value: 1}, b: {$when: payment.channel == "wechat", $value: = payment.channel}}`, "{b=wechat}"},
		{`{a: 1, $group: [{b: 2}, {$each: x in payment.bills, c: = x, d: 4}], e: 5}`, "{a=token 1 b=token 2 c=00012 d=token 4 c=00013 d=token 4 e=token 5}"},
		{`{a: = absent, b: '= if payment.channel == "cash" {"x"} else {absent}', c: 1}`, "{c=token 1}"},
		{`{a: {$cdata: = payment.visit_no}, b: {$raw: <x/>}, c: {$json: {d: = payment.bills}}}`, `{a=cdata V0000345678 b=raw <x/> c={"d":["00012","00013"]}}`},
		{`{$form: {a: {$xml: {b: {$json: [1]}}}}}`, "a=%3Cb%3E%5B1%5D%3C%2Fb%3E"},
		{`'= payment.visit_no'`, "V0000345678"},
		{`{a: = payment.bills}`, "{a=[00012, 00013]}"},
		{`{a: "payment.visit_no"}`, "{a=payment.visit_no}"},
	} {
		files := capturing(`"x"`)
		files["payment.yaml"].Data = []byte("payment.settle:\n  repeat_safe: true\n  send: " + c.document + "\n")
		f, err := Load(files, Options{})
		if err != nil {
			t.Errorf("%s: %v", c.document, err)
			continue
		}
		q, err := f.Dialect.Operations[core.PaymentSettle].Steps[0].Mapper.Encode(core.Input{Body: payment(), Stamp: stamp})
		if got := fmt.Sprint(show(q.Body), strings.ReplaceAll(fmt.Sprint(err), "<nil>", "")); got != c.want {
			t.Errorf("%s:\n got  %s\n want %s", c.document, got, c.want)
		}
	}
}

// The items of a list that lost its type still have their fields, and only those.
func TestRecordsOfAGroup(t *testing.T) {
	f := fstest.MapFS{
		"hospital.yaml": {Data: []byte("grammar: 1\nhospital: t\nname: t\nconnectors: {default: {rest: {}}}\n" +
			"envelopes: {default: {write: {send: {$xml: = body}}, read: {answer: = root(from_xml(body))}, outcome: {ok: 'true'}}}\n")},
		"refund.yaml": {Data: []byte("refund.create:\n  call: POST /x\n  repeat_safe: true\n  send:\n    bills:\n      - $each: g in group(refund.lines, \"bill_no\")\n" +
			"        no: = g.key\n        line: [{$each: l in g.items, n: = l.line_no, je: = yuan(l.amount)}]\n")},
	}
	body := &core.Refund{RefundNo: "R1", Lines: []core.RefundLine{{BillNo: "B1", LineNo: "1", Amount: 100}, {BillNo: "B1", LineNo: "2", Amount: 250}}}
	encode := func() (core.Request, error) {
		return load(t, f).Dialect.Operations[core.RefundCreate].Steps[0].Mapper.Encode(core.Input{Body: body, Stamp: stamp})
	}
	q, err := encode()
	if want := "<bills><no>B1</no><line><n>1</n><je>1.00</je></line><line><n>2</n><je>2.50</je></line></bills>"; err != nil || q.Body != want {
		t.Errorf("%v, %v", q.Body, err)
	}
	f["refund.yaml"].Data = []byte(strings.Replace(string(f["refund.yaml"].Data), "l.line_no", "l.lineno", 1))
	if _, err := encode(); err == nil || !strings.Contains(err.Error(), `a record has no "lineno"`) {
		t.Errorf("a name that is not there: %v", err)
	}
}
