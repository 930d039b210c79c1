package mapping

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"hishub/core"
)

func loadWith(files fstest.MapFS, env map[string]string) (*Folder, error) {
	return Load(files, Options{Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
}

func rotating() fstest.MapFS {
	files := capturing(`"x"`)
	files["hospital.yaml"].Data = []byte(`grammar: 1
hospital: t
name: t
secrets: {key: {now: "${KEY}", before: "${KEY_BEFORE}"}}
connectors: {default: {rest: {}}}
envelopes:
  default:
    write: {let: {load: '= base64(sm4_ecb(body, secret.key))'}, send: {$json: {load: = load, sign: = md5(load + secret.key)}}}
    read: {let: {packet: = from_json(body)}, answer: '= from_json(from_sm4_ecb(from_base64(packet.load), secret.key))'}
    outcome: {verify: md5(packet.load + secret.key) == packet.sign, ok: answer.code == "0", rejected: answer.code == "1"}
`)
	files["payment.yaml"].Data = []byte("payment.settle:\n  call: POST /pay\n  repeat_safe: true\n  send: {$json: {code: '0', no: = payment.order_id}}\n  capture: {no: = answer.no}\n")
	return files
}

const oldKey, newKey, thirdKey = "0123456789abcdef", "fedcba9876543210", "aaaaaaaaaaaaaaaa"

// What is written has the new key; an answer that was made with the old one still holds.
func TestAnswersHoldWithTheSecretOfBefore(t *testing.T) {
	mapperWith := func(env map[string]string) core.Mapper {
		f, err := loadWith(rotating(), env)
		if err != nil {
			t.Fatal(err)
		}
		return f.Dialect.Operations[core.PaymentSettle].Steps[0].Mapper
	}
	in := core.Input{Body: payment(), Stamp: stamp}
	before, after, over := mapperWith(map[string]string{"KEY": oldKey}), mapperWith(map[string]string{"KEY": newKey, "KEY_BEFORE": oldKey}), mapperWith(map[string]string{"KEY": newKey, "KEY_BEFORE": ""})
	third := mapperWith(map[string]string{"KEY": thirdKey})
	// The HIS of this test answers with what it got.
	old, now, forged := encode(t, before, in).Body, encode(t, after, in).Body, encode(t, third, in).Body
	if now != encode(t, over, in).Body || now == old {
		t.Error("what is written does not have the value of now")
	}
	for name, c := range map[string]struct {
		m      core.Mapper
		answer core.Value
		ok     bool
		note   string
	}{
		"new":                      {after, now, true, ""},
		"old, in the grace time":   {after, old, true, readBefore},
		"old, after it":            {over, old, false, ""},
		"of somebody else":         {after, forged, false, ""},
		"new, read by the old hub": {before, now, false, ""},
	} {
		v := c.m.Decode(in, core.Response{Body: c.answer})
		if ok := v.Outcome == core.OutcomeOK && v.Captured["no"] == payment().OrderID; ok != c.ok || strings.Join(v.Forgave, "") != c.note {
			t.Errorf("%s: %+v", name, v)
		}
		if !c.ok && (v.Outcome != core.OutcomeInDoubt || v.Rule != "verify") {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// A HIS that changes its key after us is heard, and gets a reply that it can verify.
func TestNoticesHoldWithTheSecretOfBefore(t *testing.T) {
	files := inboundFolder()
	text := strings.Replace(listening, `{key: "${KEY}"}`, `{key: {now: "${KEY}", before: "${KEY_BEFORE}"}}`, 1)
	text = strings.Replace(text, `echo: = request.serial`, `echo: = request.serial, sign: = md5(secret.key)`, 1)
	files["hospital.yaml"].Data = []byte(text)
	f, err := loadWith(files, map[string]string{"KEY": newKey, "KEY_BEFORE": oldKey})
	if err != nil {
		t.Fatal(err)
	}
	door := f.Dialect.Listeners["notice"].Door
	for key, want := range map[string]bool{newKey: true, oldKey: true, thirdKey: false} {
		o := door.Open(signed(applied, sign(t, "amount=12.30&hisId=T1&is_reverse=0&method=refundApply&serial=77&time=20260105145600&tradeNo=IH1&key="+key)), core.Stamp{})
		if (o.Err == nil) != want || o.Kind != core.RefundApply {
			t.Errorf("%s: %+v", key, o)
			continue
		}
		state, replied := core.ResultDone, key
		if !want {
			state, replied = core.ResultInvalid, newKey
		}
		reply, err := door.Reply(o, core.Resolution{State: state}, core.Stamp{})
		if body, _ := reply.Body.(string); err != nil || !strings.Contains(body, "<sign>"+md5Hex(replied)+"</sign>") {
			t.Errorf("%s: the reply is not signed with %s: %v %v", key, replied, reply.Body, err)
		}
	}
}

func TestSecretsOfBeforeAreMaskedAndNeverInClear(t *testing.T) {
	f, err := loadWith(rotating(), map[string]string{"KEY": newKey, "KEY_BEFORE": oldKey})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Dialect.Redact([]byte(newKey + oldKey)); bytes.Contains(got, []byte(oldKey)) || bytes.Contains(got, []byte(newKey)) {
		t.Errorf("shown: %s", got)
	}
	for from, c := range map[string]struct{ to, want string }{
		`before: "${KEY_BEFORE}"`: {`before: abc`, `the secret "key" stands here in clear`},
		`now: "${KEY}", `:         {``, `secret needs the key "now"`},
		`before: `:                {`earlier: `, `secret has no key "earlier"`},
	} {
		files := rotating()
		files["hospital.yaml"].Data = []byte(strings.Replace(string(files["hospital.yaml"].Data), from, c.to, 1))
		if _, err := loadWith(files, map[string]string{"KEY": newKey}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.to, err)
		}
	}
	if _, err := loadWith(rotating(), nil); err == nil || !strings.Contains(err.Error(), "KEY is not set") || strings.Contains(err.Error(), "KEY_BEFORE") {
		t.Errorf("only the value of now must be set: %v", err)
	}
	if !json.Valid(Schema()) || !bytes.Contains(Schema(), []byte(`"#/$defs/secret"`)) {
		t.Error("the schema does not have it")
	}
}
