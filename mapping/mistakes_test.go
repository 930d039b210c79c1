package mapping

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "write testdata/mistakes anew")

// seeded are mistakes that people make, one edit to a good folder each, and the
// lines that must name them. Those with a name are also kept as folders in
// testdata/mistakes, for tests of the program.
var seeded = []struct {
	name   string
	folder string
	file   string
	old    string
	new    string
	want   string // all lines; "*" stands for any text
}{
	{"unknown-field", "dongshan", "payment.yaml", "payment.visit_no\n    recipeNo", "payment.visitno\n    recipeNo",
		`payment.yaml:4:27: payment has no field "visitno"; did you mean "visit_no"?`},
	{"bare-money", "dongshan", "payment.yaml", "yuan(payment.amount)", "payment.amount",
		`payment.yaml:8:16: payment.amount is money; write yuan(payment.amount) or fen(payment.amount)`},
	{"literal-name", "dongshan", "payment.yaml", "clinicCode: = payment.visit_no\n", "clinicCode: payment.visit_no\n",
		`payment.yaml:4:17: "payment.visit_no" is literal text here; write "= payment.visit_no" (or quote it if you mean the words)`},
	{"number-against-text", "dongshan", "hospital.yaml", `answer.result.returnCode == "1"`, `answer.result.returnCode == 1`,
		`hospital.yaml:12:11: answer.result.returnCode is text; write == "1"`},
	{"cut-at-comma", "dongshan", "payment.yaml", "send: {clinicCode: = payment.visit_no, orderNo: = payment.order_id}", `send: {clinicCode: = code("pay_channel", payment.channel), orderNo: "1"}`,
		`payment.yaml:15:22: "= code(\"pay_channel\"" ends inside the brackets; inside {...} and [...] quote a cell that has a comma, colon or bracket`},
	{"cut-at-colon", "dongshan", "payment.yaml", "send: {clinicCode: = payment.visit_no, orderNo: = payment.order_id}", `send: {clinicCode: = payment.visit_no, .xsi:type: X}`,
		`payment.yaml:15:*: ".xsi:type: X" was cut at its first colon; inside {...} and [...] quote a cell that has a comma, colon or bracket`},
	{"cut-at-comment", "dongshan", "payment.yaml", `= join(payment.bills, ",")`, `= join(payment.bills, " # ")`,
		`payment.yaml:5:15: the cell ends at " #", YAML takes the rest as a comment; quote the cell`},
	{"missing-table", "dongshan", "payment.yaml", `code("pay_channel", payment.channel)`, `code("paychannel", payment.channel)`,
		`payment.yaml:7:21: there is no code table codes/paychannel.csv; did you mean "pay_channel"?`},
	{"incomplete-table", "dongshan", "codes/pay_channel.csv", "bank,CH\n", "",
		`codes/pay_channel.csv:1:1: "bank", a value of payment.channel, is not in the table; add a line bank,<their code>, or bank with none under a column direction if this HIS does not know it`},
	{"wrong-value-in-table", "dongshan", "codes/pay_state.csv", "done,1", "paid,1",
		`codes/pay_state.csv:2:1: "paid" is not a value of state; it is one of done, absent, running, refused, unknown`},
	{"ambiguous-table", "dongshan", "codes/pay_state.csv", "refused,9", "refused,1",
		`codes/pay_state.csv:5:1: "1" stands for two of ours, here and in line 2; from_code("pay_state") is used at payment.yaml:17; give each of them a code of its own, or all but one the direction out`},
	{"unused-table", "dongshan", "codes/colour.csv", "", "ours,theirs\nred,1\n",
		`codes/colour.csv:1:1: no cell uses this code table; use it with code("colour", ...) or delete it`},
	{"bad-expression", "dongshan", "payment.yaml", "= yuan(payment.amount)", "= yuan(payment.amount",
		`payment.yaml:8:34: the expression ends too early`},
	{"unknown-function", "dongshan", "payment.yaml", "= yuan(payment.amount)", "= yaun(payment.amount)",
		`payment.yaml:8:16: there is no function "yaun"; did you mean "yuan"?`},
	{"unknown-operation-of-the-wsdl", "dongshan", "payment.yaml", "call: SaveFee", "call: SaveFees",
		`payment.yaml:2:9: the WSDL has no operation "SaveFees"; did you mean "SaveFee"?`},
	{"unknown-parameter", "dongshan", "payment.yaml", "    operCode: = const.oper", "    opCode: = const.oper",
		`payment.yaml:6:5: SaveFee has no parameter "opCode"; did you mean "operCode"?`},
	{"unknown-operation", "dongshan", "payment.yaml", "payment.settle:", "payment.setle:",
		"payment.yaml:1:1: there is no operation \"payment.setle\"; did you mean \"payment.settle\"?\npayment.yaml:18:28: there is no captured.receipt_no"},
	{"unknown-key", "dongshan", "payment.yaml", "  inquire: payment.status", "  inquires: payment.status",
		"payment.yaml:1:1: a write without inquire and without repeat_safe: in doubt will always need a person (warning)\npayment.yaml:11:3: operation has no key \"inquires\"; did you mean \"inquire\"?"},
	{"doubled-key", "dongshan", "payment.yaml", "    totCost:", "    payMode:",
		"payment.yaml:8:5: \"payMode\" is here a second time, the first is in line 7; keep one of them; repeated elements are a list: payMode: [..., ...]"},
	{"doubled-group", "dongshan", "payment.yaml", "    totCost:", "    $group: = absent\n    $group:",
		"payment.yaml:9:5: \"$group\" is here a second time, the first is in line 8; write one with a list, in which children stand, too: $group: [= first, {child: ...}, = second]"},
	{"unknown-charset", "dongshan", "hospital.yaml", "wsdl: his.wsdl", "charset: GBQ, wsdl: his.wsdl",
		`hospital.yaml:6:58: charset: there is no charset "GBQ", there are UTF-8 and GB18030`},
	{"unknown-timezone", "dongshan", "hospital.yaml", "constants:", "timezone: Asia/Beijing\nconstants:",
		`hospital.yaml:4:11: there is no time zone "Asia/Beijing"; write Asia/Shanghai or another name of the tz database`},
	{"secret-in-clear", "nanshan", "hospital.yaml", `"${NANSHAN_PASSWORD}"`, "abc123",
		`hospital.yaml:5:21: the secret "password" stands here in clear; write password: "${NAME}" and set the variable NAME`},
	{"unset-variable", "nanshan", "hospital.yaml", `"${NANSHAN_URL}"`, `"${NANSHAN_ADDRESS}"`,
		`hospital.yaml:6:37: the environment variable NANSHAN_ADDRESS is not set; set it`},
	{"capture-before-use", "xihe", "payment.yaml", "      capture: {invoice: = answer.InvoiceNo}\n", "",
		"payment.yaml:*: there is no captured.invoice*\npayment.yaml:*: there is no captured.invoice*\npayment.yaml:*: there is no captured.invoice*\npayment.yaml:*: there is no captured.invoice*"},
	{"capture-later", "xihe", "payment.yaml", `OrderSum: = yuan(payment.amount), ExpStr: }`, `OrderSum: = yuan(payment.amount), ExpStr: = captured.his_no}`,
		`payment.yaml:8:*: captured.his_no is used by step "pre", but no earlier step captures it`},
	{"", "xihe", "payment.yaml", "- name: confirm", "- name: pre",
		`payment.yaml:12:13: there are two steps "pre"; give it another name`},
	{"bad-hours", "dongshan", "hospital.yaml", "maintenance: [\"23:50-00:20\"]\n", "maintenance: [\"23:50-00:20\"]\nworking_hours: [\"Mon-Fri 08:00-17:30\", \"Sa 8-12\"]\n",
		`hospital.yaml:18:40: "Sa 8-12" is no working hours; write "Mon-Sat 07:00-18:30", "Mon,Wed 08:00-12:00" or "08:00-24:00" for every day`},
	{"", "dongshan", "payment.yaml", "payment.settle:\n", "payment.settle:\n  any_hour: true\n",
		`payment.yaml:2:13: any_hour is for a folder that has working_hours; leave it out`},
	{"bad-duration", "xihe", "payment.yaml", "expires: 15m", "expires: 15min",
		`payment.yaml:10:16: expires must be a duration, not "15min"; write 30s, 15m or 2h`},
	{"", "xihe", "payment.yaml", "repeat_safe: true, send: {TradeCode: \"4910\"", "send: {TradeCode: \"4910\"",
		`payment.yaml:11:*: an undo must be repeat_safe or have an inquire; write repeat_safe: true if the HIS takes it twice, or inquire:`},
	{"", "xihe", "payment.yaml", `when: payment.channel != "insurance"`, `when: = payment.channel != "insurance"`,
		`payment.yaml:22:13: a condition is an expression by itself; leave the = out`},
	{"inquire-without-state", "dongshan", "payment.yaml", "inquire: payment.status", "inquire: bill.unpaid",
		`payment.yaml:11:12: bill.unpaid does not return a state; there are payment.status`},
	{"missing-state", "dongshan", "payment.yaml", "    state: = if answer.Data == nil {\"absent\"} else {from_code(\"pay_state\", answer.Data.STATE)}\n", "",
		"payment.yaml:17:5: the answer of payment.status needs the field \"state\"; write state:"},
	{"text-for-money", "dongshan", "bill.yaml", "amount: = total(map(g.items, from_yuan(.TOT_COST)))", "amount: = g.TOT_COST",
		`bill.yaml:9:19: amount is money, g.TOT_COST is text; write from_yuan(g.TOT_COST) or from_fen(g.TOT_COST)`},
	{"no-data-on-a-write", "dongshan", "hospital.yaml", "    outcome:\n", "    outcome:\n      no_data: answer == nil\n",
		"hospital.yaml:12:16: no_data is for questions, payment.settle is none; leave it out, or write no_data: false in the operation\nhospital.yaml:12:16: payment.status asks for a state, so nothing is an answer too; return state \"absent\" instead"},
	{"no-ok", "dongshan", "hospital.yaml", "      ok: answer.result.returnCode == \"1\"\n", "",
		"bill.yaml:1:1: bill.unpaid has no rule ok, so it can never be answered; write outcome: {ok: ...}\npayment.yaml:1:1: payment.settle has no rule ok or running, so it can never be done; write outcome: {ok: ...}\npayment.yaml:13:1: payment.status has no rule ok, so it can never be answered; write outcome: {ok: ...}"},
	{"parts-of-a-question", "nanshan", "refund.yaml", "refund.status:\n", "refund.status:\n  parts: [{$each: l in list(answer.lines), key: = l.no, outcome: {ok: l.state == \"1\"}}]\n",
		`refund.yaml:9:10: parts is for writes, refund.status is a question; leave it out`},
	{"parts-without-ok", "nanshan", "refund.yaml", "refund.create:\n", "refund.create:\n  parts: [{$each: l in list(answer.lines), outcome: {rejected: l.state}}]\n",
		"refund.yaml:2:11: part needs the key \"key\"; which one it is, for people: the number of the bill\nrefund.yaml:2:53: part_outcome needs the key \"ok\"; it was done\n" +
			"refund.yaml:2:64: a condition must be true or false, l.state is text; compare it, as == \"1\""},
	{"", "xihe", "payment.yaml", "  steps:\n", "  parts: [{$each: l in list(answer.lines), key: = l.no, outcome: {ok: l.state == \"1\"}}]\n  steps:\n",
		"*parts cannot stand beside steps; move it into a step*"},
	{"", "nanshan", "refund.yaml", "refund.status:\n", "refund.status:\n  takes: {no: x}\n",
		`refund.yaml:9:10: takes is for what the HIS asks of us, refund.status is not; leave it out`},
	{"", "nanshan", "hospital.yaml", "hospital: nanshan", "hospital: nanshan\nlisteners: {a: b}",
		`hospital.yaml:3:16: listeners.a must be a map, not text`},
	{"session-in-its-login", "nanshan", "hospital.yaml", "      envelope: plain\n", "",
		`hospital.yaml:20:76: session is not visible here: this is its own login; give the login an envelope of its own`},
	{"", "nanshan", "refund.yaml", "refund.amount < refund.paid", "refund.amount < 100",
		`refund.yaml:3:*: money can only be added to, subtracted from and compared with money; write from_yuan(...), from_fen(...) or yuan(...)`},
	{"bare-time", "nanshan", "refund.yaml", `'= time(refund.refunded_at, "yyyyMMddHHmmss")'`, `= refund.refunded_at`,
		`refund.yaml:3:*: refund.refunded_at is a time; write time(refund.refunded_at, "yyyy-MM-dd HH:mm:ss")`},
	{"", "nanshan", "refund.yaml", `settle_after: 2m`, `settle_after: 2s`,
		`refund.yaml:7:17: settle_after is shorter than an exchange may take: absent may be believed too early; write at least 30s (warning)`},
	{"", "nanshan", "refund.yaml", `settle_after: 2m`, `when_parked: pass`,
		`refund.yaml:7:16: when_parked cannot be pass for money: it always blocks its lane; leave it out`},
	{"", "nanshan", "refund.yaml", "  inquire: {ask: refund.status, every: 20s, for: 1h}\n", "",
		"refund.yaml:1:1: a write without inquire and without repeat_safe: in doubt will always need a person (warning)\nrefund.yaml:5:22: refund.create can be running, but nobody can be asked what became of it; write inquire: with a question that returns state"},
	{"", "nanshan", "ledger.yaml", `"refund"} else {"payment"}`, `"refund"} else {"payments"}`, `ledger.yaml:8:18: "payments" is not a value of type; did you mean "payment"?`},
	{"", "nanshan", "hospital.yaml", `param: {$json: = body}`, `param: {$jason: = body}`,
		"hospital.yaml:20:17: there is no word $jason; did you mean \"$json\"? A wire name that starts with $ is written $$jason"},
	{"", "nanshan", "hospital.yaml", "signed: {", "code: {",
		"*hospital.yaml:21:9: \"code\" is a word of the expression language; choose another name*"},
	{"", "xihe", "payment.yaml", `{"pre"} else {nil}`, `{"pres"} else {nil}`, `payment.yaml:*: payment.settle has no step "pres"; did you mean "pre"?`},
	{"", "dongshan", "bill.yaml", "  returns:\n", "  capture: {x: = answer.x}\n  returns:\n", `bill.yaml:5:12: capture is for writes, bill.unpaid is a question; leave it out`},
	{"", "dongshan", "hospital.yaml", "grammar: 1\n", "grammar: &x 1\n", "hospital.yaml:1:10: anchors are not part of this grammar; write it out, or quote it if the * or & is meant"},
	{"", "dongshan", "hospital.yaml", "grammar: 1\n", "grammar: 2\n", "hospital.yaml:1:10: grammar cannot be \"2\"; write 1"},
	{"", "dongshan", "hospital.yaml", "grammar: 1\n", "", "hospital.yaml:1:1: hospital needs the key \"grammar\"; version of this grammar"},
	{"", "dongshan", "hospital.yaml", "name: 东山测试医院\n", "name: 东山测试医院\n  x: 1\n", "hospital.yaml:3:7: not YAML: mapping value is not allowed in this context; quote a value that holds \": \"; each level is indented by the same number of blanks"},
	{"", "dongshan", "payment.yaml", "payMode: = code(\"pay_channel\", payment.channel)", "payMode: = if payment.channel {\"1\"} else {\"2\"}",
		"payment.yaml:7:*: a condition must be true or false, not text"},
	{"", "dongshan", "bill.yaml", "= bill.visit_no", "= payment.visit_no",
		"bill.yaml:3:24: payment is not visible here: it is the message of another operation"},
	{"", "dongshan", "bill.yaml", "= bill.visit_no", "= visit_no",
		"bill.yaml:3:24: there is no name \"visit_no\" here; visible are *"},
	{"", "dongshan", "hospital.yaml", "constants: {oper: net07}", "constants: {oper: net07, app_key: abc}",
		"hospital.yaml:4:35: the constant \"app_key\" looks like a secret in clear; if it is one, write it as secrets: {app_key: \"${ENV}\"}"},
	// SQL that YAML cut at a comma: the rest of it is no option.
	{"", "beishan", "hospital.yaml", "connectors: {", "connectors: {x: {db: {dsn: select a from t, take: select id, lx from t where a = '0'}}, ",
		`*"select id" ends inside the brackets; inside {...} and [...] quote a cell that has a comma, colon or bracket*`},
	{"", "dongshan", "bill.yaml", "  send: {", "  with: {a: settle(p_no, out p_code)}\n  send: {",
		`*"settle(p_no" ends inside the brackets; inside {...} and [...] quote a cell that has a comma, colon or bracket*`},
	{"", "beishan", "hospital.yaml", "  wechat:\n", "  wechatt:\n",
		`hospital.yaml:12:3: channels has no key "wechatt"; did you mean "wechat"?`},
	{"", "beishan", "hospital.yaml", "    wechatpay:\n", "    wechat_pay:\n",
		`hospital.yaml:13:5: there is no payment channel of kind "wechat_pay"; did you mean "wechatpay"?`},
	{"", "beishan", "hospital.yaml", "      merchant: ", "      mechant: ",
		`hospital.yaml:14:16: mechant: there is no such option`},
	{"", "beishan", "hospital.yaml", `"${BEISHAN_V3_KEY}"`, `0123456789abcdef0123456789abcdef`,
		`hospital.yaml:17:19: the option "api_v3_key" looks like a secret in clear; write "${NAME}" and set the variable NAME`},
	{"", "beishan", "hospital.yaml", `key: pay/apiclient_key.pem`, `key: pay/apiclient.pem`,
		`hospital.yaml:16:12: the option "key" looks like a secret in clear; write "${NAME}" and set the variable NAME, or name a file of the folder`},
	{"", "beishan", "hospital.yaml", `${BEISHAN_MERCHANT}`, `${BEISHAN_SHOP}`,
		`hospital.yaml:14:17: the environment variable BEISHAN_SHOP is not set; set it`},
	{"", "beishan", "hospital.yaml", "  bank: {file: {folder: bills}}", "  bank: {file: bills}",
		`hospital.yaml:19:9: bank must be one kind with its options, as {kind: {...}}, not a map`},
	{"", "beishan", "hospital.yaml", "  bank: {file: {folder: bills}}", "  bank: {ask: ledger.insurance}",
		`hospital.yaml:19:10: only the insurance's ledger is asked of the HIS, that of bank comes from the channel; write the account's kind and options`},
	{"", "beishan", "hospital.yaml", "{ask: ledger.insurance}", "{ask: ledger.detail}",
		`hospital.yaml:20:20: "ledger.detail" is no question about a channel's ledger; write ledger.insurance`},
	{"", "beishan", "hospital.yaml", "{ask: ledger.insurance}", "{ask: }",
		`hospital.yaml:20:*: insurance must be {ask: the name of a question}, not *`},
	{"", "beishan", "ledger.yaml", "ledger.insurance:", "ledger.total:",
		`hospital.yaml:20:20: the folder has no ledger.insurance to ask; write the operation ledger.insurance*`},
	{"", "beishan", "hospital.yaml", `at: "30 10 * * *"`, `at: "30 25 * * *"`,
		`hospital.yaml:22:7: "30 25 * * *" is not a time of the night: *; write minute, hour, day, month and weekday: "30 10 * * *" is every day at 10:30`},
	{"", "beishan", "hospital.yaml", `at: "30 10 * * *"`, `at: "@daily"`, `hospital.yaml:22:7: "@daily" is not a time of the night: *`},
	{"", "beishan", "hospital.yaml", `at: "30 10 * * *"`, `at: "0 30 10 * * *"`, `hospital.yaml:22:7: "0 30 10 * * *" is not a time of the night: *`},
	{"", "beishan", "hospital.yaml", `at: "30 10 * * *"`, `at: "30 10 30 2 *"`, `hospital.yaml:22:7: "30 10 30 2 *" never comes; *`},
	{"", "beishan", "hospital.yaml", `at: "30 10 * * *"`, `at: "TZ=UTC 30 10 * * *"`,
		`hospital.yaml:22:7: a zone does not belong into "TZ=UTC 30 10 * * *"; leave it out; the hospital's timezone holds`},
	{"", "beishan", "hospital.yaml", `cut: "17:00"`, `cut: "25:00"`,
		`hospital.yaml:23:8: "25:00" is not a time of the day; write "17:00", or "00:00" for midnight`},
	{"", "beishan", "hospital.yaml", `margin: 5m`, `margin: 13h`,
		`hospital.yaml:24:11: a margin of more than half a day leaves no day to compare; write 10m`},
	{"", "beishan", "hospital.yaml", `refund: 72h`, `refunds: 72h`,
		`hospital.yaml:25:30: in_transit has no key "refunds"; did you mean "refund"?`},
	{"", "beishan", "hospital.yaml", `channels: [wechat, alipay]`, `channels: [wechat, alpay]`,
		`hospital.yaml:28:22: "alpay" is no way of paying; did you mean "alipay"?`},
	{"", "beishan", "ledger.yaml", `oper: = ledger.operator`, `oper: = const.oper`,
		`hospital.yaml:27:14: operators asks for several, but ledger.detail does not say for which; write = ledger.operator where the HIS wants it, or name one only`},
	{"", "beishan", "hospital.yaml", `four_eyes_from: 100.00`, `four_eyes_from: 100.005`,
		`hospital.yaml:29:19: "100.005" is not an amount; write yuan with two decimals, 100.00`},
	{"", "beishan", "hospital.yaml", `full_every: 3`, `full_every: 0`,
		`hospital.yaml:30:15: full_every must be a whole number above 0, not the word 0`},
	{"", "beishan", "hospital.yaml", `party == "his"`, `party == "HIS"`,
		`hospital.yaml:33:16: "HIS" is not a value of party; did you mean "his"?`},
	{"", "beishan", "hospital.yaml", `not (entry.operator in`, `not (entry.operater in`,
		`hospital.yaml:33:*: entry has no field "operater"; did you mean "operator"?`},
	{"", "beishan", "hospital.yaml", `entry.amount == from_yuan("0.00")`, `entry.amount == 0`,
		`hospital.yaml:34:*: money can only be *`},
	{"", "beishan", "hospital.yaml", `entry.channel in ["cash", "bank"]`, `entry.channel in ["cash", "banc"]`,
		`hospital.yaml:35:33: "banc" is not a value of entry.channel; did you mean "bank"?`},
	{"", "beishan", "hospital.yaml", `entry.channel in ["cash", "bank"]`, `entry.number`,
		`hospital.yaml:35:7: a condition must be true or false, *`},
	{"", "beishan", "hospital.yaml", `entry.channel in ["cash", "bank"]`, `payment.channel == "cash"`,
		`hospital.yaml:35:7: payment is not visible here: a rule of exclude sees entry and party`},
	{"", "beishan", "ledger.yaml", "ledger.insurance:\n", "channel.refund: {call: x}\nledger.insurance:\n",
		`ledger.yaml:*: channel.refund goes to a payment channel, which no folder maps; delete it; the account is declared as channels: in hospital.yaml`},
	{"", "beishan", "ledger.yaml", "ledger.insurance:\n", "ledger.record: {call: x}\nledger.insurance:\n",
		`ledger.yaml:*: ledger.record is kept in our own ledger and told to nobody, so no folder maps it; delete it`},
	{"", "dongshan", "codes/pay_state.csv", "ours,theirs", "theirs,ours", "codes/pay_state.csv:1:1: the first line names the columns; write ours,theirs and any more columns\n*"},
	{"", "dongshan", "codes/pay_state.csv", "absent,0", "done,0", "codes/pay_state.csv:3:1: \"done\" is here a second time, the first is in line 2; keep one of them, or give one the direction in"},
}

func edited(t testing.TB, from, file, old, new string) fstest.MapFS {
	t.Helper()
	files := folder(t, from)
	f := files[file]
	if f == nil && old == "" {
		files[file] = &fstest.MapFile{Data: []byte(new)}
		return files
	}
	text := string(f.Data)
	if !strings.Contains(text, old) {
		t.Fatalf("%s/%s does not hold %q", from, file, old)
	}
	f.Data = []byte(strings.Replace(text, old, new, 1))
	return files
}

func mistakesOf(files fstest.MapFS) string {
	f, err := Load(files, Options{Env: environment, Open: open, OpenChannel: openChannel})
	if err != nil {
		return err.Error()
	}
	return Mistakes(f.Warnings).Error()
}

func TestSeededMistakes(t *testing.T) {
	for _, s := range seeded {
		name := s.name
		if name == "" {
			name = s.new
		}
		t.Run(name, func(t *testing.T) {
			got := mistakesOf(edited(t, s.folder, s.file, s.old, s.new))
			if !like(s.want, got) {
				t.Errorf("got\n%s\nwant\n%s", got, s.want)
			}
		})
	}
}

// like compares line by line; "*" in the pattern stands for any text.
func like(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}

// TestSeededFolders keeps testdata/mistakes as the table says.
func TestSeededFolders(t *testing.T) {
	root := filepath.Join("testdata", "mistakes")
	if *update {
		if err := os.RemoveAll(root); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, s := range seeded {
		if s.name == "" {
			continue
		}
		n++
		files := edited(t, s.folder, s.file, s.old, s.new)
		want := map[string]string{s.name + ".want": mistakesOf(files) + "\n"}
		for name, f := range files {
			if !strings.HasPrefix(name, "cases/") {
				want[s.name+"/"+name] = string(f.Data)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			path := filepath.Join(root, filepath.FromSlash(name))
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(want[name]), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != want[name] {
				t.Errorf("%s is not what the table says; run the test with -update", path)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d folders", n)
	}
}
