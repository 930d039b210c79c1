package mapping

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/core"
)

func TestChannelsOfAFolder(t *testing.T) {
	var asked []string
	files := folder(t, "beishan")
	f, err := Load(files, Options{Env: environment, Open: open, OpenChannel: func(s core.ConnectorSpec) (core.Connector, error) {
		asked = append(asked, s.Name+" "+s.Kind)
		return openChannel(s)
	}})
	if err != nil {
		t.Fatal(err)
	}
	d := f.Dialect
	if got := strings.Join(asked, ", "); got != "alipay alipay, bank file, wechat wechatpay" {
		t.Errorf("opened %s", got)
	}
	w := d.Channels["wechat"]
	if w.Kind != "wechatpay" || w.Options["merchant"] != "1900000001" || w.Options["key"] != "pay/apiclient_key.pem" || w.Timeout != 30*time.Second || w.Files == nil {
		t.Errorf("wechat is %+v", w)
	}
	if i, ok := d.Channels["insurance"]; !ok || i.Kind != "" {
		t.Errorf("insurance is %+v", i)
	}
	for _, secret := range []string{"not-a-real-v3-key", "not-a-real-pem"} {
		if !slices.Contains(d.Secrets, secret) {
			t.Errorf("%s is not masked", secret)
		}
	}
	if got := string(d.Redact([]byte("k=not-a-real-v3-key"))); got != "k=***" {
		t.Errorf("redacted to %s", got)
	}
	if slices.Contains(d.Secrets, "1900000001") {
		t.Error("the merchant number is no secret")
	}
}

// Without an opener the options are not looked at.
func TestChannelsUnchecked(t *testing.T) {
	files := edited(t, "beishan", "hospital.yaml", "      serial: ", "      cereal: ")
	if _, err := Load(files, Options{Env: environment, Open: open}); err != nil {
		t.Error(err)
	}
}

// The whole of an entry comes through a question, and a list through what the HIS pushes.
func TestLedgersOfAFolder(t *testing.T) {
	d := load(t, folder(t, "beishan")).Dialect
	detail := d.Operations[core.LedgerDetail].Steps[0].Mapper
	q := &core.LedgerQuery{Day: "2026-01-05", Channel: "alipay", Operator: "net08"}
	expectBody(t, encode(t, detail, core.Input{Body: q}), "POST /ledger", `{"day":"2026-01-05","oper":"net08","way":"2"}`)
	v := detail.Decode(core.Input{Body: q}, core.Response{Body: `{"code":"0","rows":[{"no":"IHR1","order":"IH1","his":"T1","trade":"42","way":"2","oper":"net08","fee":"-0.10","state":"2",
		"at":"2026-01-05 10:00:00","reverse":"1","bill":"RX1,RX2"}]}`})
	if v.Outcome != core.OutcomeOK {
		t.Fatalf("%+v", v)
	}
	want := core.LedgerEntry{Type: core.EntryRefund, Number: "IHR1", OrderID: "IH1", HisNo: "T1", ChannelNo: "42", Channel: "alipay", Operator: "net08",
		Amount: 10, State: core.EntryProcessing, Reversal: true, Bill: "RX1,RX2"}
	got := v.Answer.(*core.Ledger).Entries[0]
	want.At = got.At
	if got != want || got.At.Format(time.RFC3339) != "2026-01-05T10:00:00+08:00" {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if d.Operations[core.InsuranceLedger] == nil {
		t.Error("there is no ledger.insurance")
	}

	door := d.Listeners["push"].Door
	o := door.Open(core.Arrival{Call: "POST /push", Body: `{"day":"2026-01-05","rows":[{"kind":"1","no":"IH1","his":"S1","fee":"0.10","at":"2026-01-05 10:00:00"},
		{"kind":"2","no":"IHR1","fee":"0.10","at":"2026-01-05 11:00:00","reverse":"1"}]}`}, stamp)
	if o.Err != nil || o.Kind != core.LedgerPushed {
		t.Fatalf("%+v", o)
	}
	push := o.Body.(*core.LedgerPush)
	if len(push.Entries) != 2 || push.Entries[1].Type != core.EntryRefund || !push.Entries[1].Reversal || push.Entries[0].HisNo != "S1" || push.Key() != "2026-01-05" {
		t.Errorf("got %+v", push)
	}
	reply, err := door.Reply(o, core.Resolution{State: core.ResultDone}, stamp)
	if err != nil || reply.Body != `{"code":"0","count":"2"}` {
		t.Errorf("%v %v", reply, err)
	}
	if o := door.Open(core.Arrival{Call: "POST /push", Body: `{"day":"2026-01-05","rows":[{"kind":"1","fee":"0.10","at":"2026-01-05 10:00:00"}]}`}, stamp); o.Err == nil {
		t.Error("an entry without any number came in")
	}
	if o := door.Open(core.Arrival{Call: "POST /push", Body: `{"day":"2026-01-05","rows":[]}`}, stamp); o.Err != nil || o.Body.(*core.LedgerPush).Entries == nil {
		t.Errorf("an empty day: %v", o.Err)
	}
}
