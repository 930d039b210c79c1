package player

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hishub/core"
)

// A folder that has no cases yet is played, too: the smallest answers that its rules
// take are made up.
func TestADraftWithoutCasesCanBePlayed(t *testing.T) {
	all := folders(t)
	for _, name := range []string{"dongshan", "xihu", "lianhu", "good/donghu", "good/lihe"} {
		t.Run(name, func(t *testing.T) {
			whole := copied(t, all[name])
			draft := fstest.MapFS{}
			for file, f := range whole {
				if !strings.HasPrefix(file, "cases/") {
					draft[file] = f
				}
			}
			p, h := played(t, draft)
			r := &rehearsal{player: p, hospital: h, booked: map[string]bool{}}
			done := map[core.Kind]bool{}
			for _, m := range messages(t, whole, h.Dialect) {
				tr, _ := core.Lookup(m.kind)
				if m.step != "" || done[m.kind] || tr.Mode != core.Write {
					continue
				}
				done[m.kind] = true
				t.Run(m.name, func(t *testing.T) { r.play(t, m) })
			}
			if r.asked == 0 {
				t.Error("nothing was asked")
			}
			for _, x := range p.Exchanges() {
				if x.Case != "" {
					t.Errorf("%s is made of a case that is not there: %s", x.Name, x.Case)
				}
			}
		})
	}
}

// sealedFolder encrypts what it says and seals it, both ways, as the reference of the
// folder has it.
func sealedFolder() fstest.MapFS {
	return fstest.MapFS{
		"hospital.yaml": {Data: []byte(`grammar: 1
hospital: bihai
name: 碧海测试医院
constants: {operator: net07}
secrets: {key: "${BIHAI_KEY}", salt: "${BIHAI_SALT}"}
connectors: {default: {rest: {base: "${BIHAI_URL}", content_type: "text/xml; charset=utf-8"}}}
envelopes:
  default:
    write:
      let:
        plain: {$xml: {Data: = body}}
        load: = base64(sm4_ecb(plain, secret.key))
      call: POST /gate
      send: {$xml: {Packet: {Kind: = call, Load: = load, Seal: '= sm3(call + load + secret.salt)'}}}
    read:
      let: {packet: = from_xml(body).Packet}
      answer: = from_xml(from_sm4_ecb(from_base64(packet.Load), secret.key)).Data
    outcome:
      verify: sm3(text(packet.Load) + secret.salt) == packet.Seal
      already: packet.Code == "7"
      ok: packet.Code == "0"
      rejected: packet.Code == "9"
      message: = packet.Words
`)},
		"payment.yaml": {Data: []byte(`payment.settle:
  call: pay
  send:
    order: = payment.order_id
    sum: = fen(payment.amount)
    bills: = join(payment.bills, "^")
    way: = code("way", payment.channel)
    at: = time(payment.paid_at, "yyyyMMddHHmmss")
    trace: '= "T" + payment.channel_no + "/" + const.operator'
    child: '= if payment.visit_no == "" {"none"} else {payment.visit_no}'
  returns: {his_no: = answer.receipt, amount: = from_fen(answer.sum)}
  inquire: payment.status
payment.status:
  call: ask
  send: {order: = payment.order_id}
  returns:
    state: '= if answer.state == "1" {"done"} else {"absent"}'
    his_no: = answer.receipt
    amount: = from_fen(answer.sum)
`)},
		"codes/way.csv": {Data: []byte("ours,theirs\nwechat,1\nalipay,2\nunionpay,3\ninsurance,4\nbank,5\ncash,6\n")},
		"env.sample":    {Data: []byte("BIHAI_URL=http://127.0.0.1:1/his\nBIHAI_KEY=0123456789abcdef\nBIHAI_SALT=a-test-salt\n")},
	}
}

func aPayment() *core.Payment {
	return &core.Payment{
		OrderID: "IH20260105000002", VisitNo: "V0000345678", PatientNo: "0000024772", PatientName: "张三", Bills: []string{"R1", "R2"},
		Amount: 4619, Channel: "alipay", ChannelNo: "4200000000", PaidAt: time.Date(2026, 1, 5, 10, 0, 0, 0, time.FixedZone("", 8*3600)),
	}
}

func TestASealedFolderIsOpenedAndItsSealChecked(t *testing.T) {
	folder := sealedFolder()
	p, h := played(t, folder)
	pay := aPayment()
	in := core.Input{Body: pay, Kind: core.PaymentSettle, Stamp: h.Stamp(pay.Key(), time.Now(), 1)}
	settle := h.Operations[core.PaymentSettle].Steps[0]

	x := h.Ask(t.Context(), &settle.Inquire.Call, in, nil)
	if s, ok := x.Verdict.Answer.(*core.Status); !ok || s.State != core.StateAbsent {
		t.Fatalf("before: %+v, %v", x.Verdict, p.Exchanges())
	}
	x = h.Ask(t.Context(), &settle.Call, in, nil)
	receipt, ok := x.Verdict.Answer.(*core.Receipt)
	if x.Verdict.Outcome != core.OutcomeOK || !ok || receipt.HisNo == "" || receipt.Amount == nil || *receipt.Amount != pay.Amount {
		t.Fatalf("%+v %+v", x.Verdict, p.Exchanges())
	}
	heard := p.Exchanges()[1]
	want := map[string]string{
		"payment.order_id": pay.OrderID, "payment.amount": "46.19", "payment.bills[0]": "R1", "payment.bills[1]": "R2",
		"payment.channel": "alipay", "payment.channel_no": pay.ChannelNo, "payment.visit_no": pay.VisitNo, "payment.paid_at": "2026-01-05T10:00:00+08:00",
	}
	for path, v := range want {
		if heard.Fields[path] != v {
			t.Errorf("%s is %q, want %q", path, heard.Fields[path], v)
		}
	}
	if len(heard.Verified) != 1 || len(heard.Forged) != 0 {
		t.Errorf("verified %v, forged %v", heard.Verified, heard.Forged)
	}
	if strings.Contains(heard.Request+heard.Answer, "0123456789abcdef") {
		t.Error("the key is shown")
	}
	x = h.Ask(t.Context(), &settle.Inquire.Call, in, nil)
	if s, ok := x.Verdict.Answer.(*core.Status); !ok || s.State != core.StateDone || s.HisNo != receipt.HisNo || s.Amount == nil || *s.Amount != pay.Amount {
		t.Errorf("after: %+v", x.Verdict)
	}
}

// Who signs with another secret is told so.
func TestAForgedSealIsNamed(t *testing.T) {
	folder := sealedFolder()
	p, err := Start(t.Context(), Options{Folder: folder, Env: environment(folder)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	other := hospitalOf(t, folder, func(name string) (string, bool) {
		if v, ok := p.Env()[name]; ok {
			return v, true
		}
		if name == "BIHAI_SALT" {
			return "another-salt", true
		}
		return environment(folder)(name)
	})
	pay := aPayment()
	in := core.Input{Body: pay, Kind: core.PaymentSettle, Stamp: other.Stamp(pay.Key(), time.Now(), 1)}
	x := other.Ask(t.Context(), &other.Operations[core.PaymentSettle].Steps[0].Call, in, nil)
	if x.Verdict.Outcome != core.OutcomeInDoubt {
		t.Errorf("an answer with another seal is %s", x.Verdict.Outcome)
	}
	heard := p.Exchanges()[0]
	if len(heard.Forged) != 1 || !strings.HasPrefix(heard.Forged[0], "hospital.yaml:14:") || heard.Key != pay.OrderID {
		t.Errorf("forged %v, key %q, trouble %v", heard.Forged, heard.Key, heard.Trouble)
	}
}
