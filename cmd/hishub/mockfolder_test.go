package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"hishub/cmd/hishub/player"
)

const asked = `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><QueryPay xmlns="http://dongshan.example/his"><xmlParam>` +
	`<![CDATA[<Request><TradeCode>5203</TradeCode><HospitalID>DS0001</HospitalID><UserCode>net07</UserCode><PlatformNo>IH1</PlatformNo></Request>]]></xmlParam></QueryPay></soap:Body></soap:Envelope>`

// What hospital IT reads at the terminal, and what scripts read.
func TestAPlayedFolderShowsWhatCame(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		show := &shown{to: &out, json: asJSON}
		p, err := player.Start(t.Context(), player.Options{Folder: os.DirFS("../../mapping/hospitals/dongshan"), Heard: show.exchange,
			Env: func(name string) (string, bool) { return "http://127.0.0.1:1/his", name == "DONGSHAN_URL" }})
		if err != nil {
			t.Fatal(err)
		}
		show.environment(p)
		r, err := http.Post(p.URL(), "text/xml; charset=GB18030", strings.NewReader(asked))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		show.mu.Lock()
		text := out.String()
		show.mu.Unlock()
		if asJSON {
			d := json.NewDecoder(strings.NewReader(text))
			var first struct{ Env map[string]string }
			var second player.Exchange
			if err := d.Decode(&first); err != nil || first.Env["DONGSHAN_URL"] != p.URL() || !strings.HasSuffix(p.URL(), "/his") {
				t.Errorf("%v: %+v", err, first)
			}
			if err := d.Decode(&second); err != nil || second.Name != "payment.status" || second.Fields["payment.order_id"] != "IH1" || second.Outcome != "ok" || second.Case != "payment.status.absent" {
				t.Errorf("%v: %+v", err, second)
			}
			continue
		}
		for _, want := range []string{"东山医院 (dongshan) is played", "  DONGSHAN_URL=" + p.URL() + "\n", "#1 payment.status, key IH1 (default QueryPay)\n", "    payment.order_id: IH1\n", "as in cases/payment.status.absent:", "your rules read: ok 无记录"} {
			if !strings.Contains(text, want) {
				t.Errorf("not there: %q in\n%s", want, text)
			}
		}
	}
}
