package player

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/mapping"
	"hishub/mocks/fault"
)

// The script of the fakes is played by folders, too, over HTTP and bare connections,
// and the books tell what was done all the same.
func TestFaultsArePlayed(t *testing.T) {
	for _, c := range []struct {
		fault  fault.Kind
		want   core.Outcome
		booked bool
		after  core.State // what an inquiry finds, by the sealed folder
	}{
		{fault.Reject, core.OutcomeRejected, false, core.StateAbsent},
		{fault.CutAfterCommit, core.OutcomeInDoubt, true, core.StateDone},
		{fault.CutBefore, core.OutcomeInDoubt, false, core.StateAbsent},
		{fault.Garbled, core.OutcomeInDoubt, true, core.StateDone},
		{fault.Truncated, core.OutcomeInDoubt, true, core.StateDone},
		{fault.HTTP500, core.OutcomeInDoubt, false, core.StateAbsent},
		{fault.DuplicateAnswer, core.OutcomeAlready, false, core.StateAbsent},
	} {
		t.Run("sealed "+string(c.fault), func(t *testing.T) {
			p, h := played(t, sealedFolder())
			strikes(t, p, h, c.fault, c.want, c.booked)
			in := core.Input{Body: aPayment(), Kind: core.PaymentSettle, Stamp: h.Stamp("IH20260105000002", time.Now(), 1)}
			x := h.Ask(t.Context(), &h.Operations[core.PaymentSettle].Steps[0].Inquire.Call, in, nil)
			if s, ok := x.Verdict.Answer.(*core.Status); !ok || s.State != c.after {
				t.Errorf("the inquiry: %+v", x.Verdict)
			}
		})
	}
	for _, c := range []struct {
		fault  fault.Kind
		want   core.Outcome
		booked bool
	}{
		{fault.Reject, core.OutcomeRejected, false},
		{fault.Busy, core.OutcomeBusy, false},
		{fault.CutAfterCommit, core.OutcomeInDoubt, true},
		{fault.CutBefore, core.OutcomeInDoubt, false},
		{fault.Truncated, core.OutcomeInDoubt, true},
		{fault.Garbled, core.OutcomeInDoubt, true},
	} {
		t.Run("tcp "+string(c.fault), func(t *testing.T) {
			p, h := played(t, copied(t, folders(t)["good/donghu"]))
			strikes(t, p, h, c.fault, c.want, c.booked)
		})
	}
}

func strikes(t *testing.T, p *Player, h *core.Hospital, kind fault.Kind, want core.Outcome, booked bool) {
	t.Helper()
	rule, _ := json.Marshal(fault.Rule{Fault: kind, Operation: "payment.settle", Key: "IH2026", Times: 1})
	r, err := http.Post(p.ControlURL()+"/faults", "application/json", bytes.NewReader(rule))
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("%v %v", err, r)
	}
	r.Body.Close()
	in := core.Input{Body: aPayment(), Kind: core.PaymentSettle, Stamp: h.Stamp("IH20260105000002", time.Now(), 1)}
	x := h.Ask(t.Context(), &h.Operations[core.PaymentSettle].Steps[0].Call, in, nil)
	if x.Verdict.Outcome != want {
		t.Errorf("%s is %s (%v), want %s; %+v", kind, x.Verdict.Outcome, x.Verdict.Err, want, p.Exchanges())
	}
	if got := bookedOf(t, p); len(got) > 0 != booked {
		t.Errorf("%s: booked %v", kind, got)
	}
}

func bookedOf(t *testing.T, p *Player) []entry {
	t.Helper()
	r, err := http.Get(p.ControlURL() + "/booked")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var all []entry
	if err := json.NewDecoder(r.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestThePageShowsWhatCameWithoutSecrets(t *testing.T) {
	p, h := played(t, copied(t, folders(t)["xihu"]))
	pay := aPayment()
	in := core.Input{Body: pay, Kind: core.PaymentSettle, Stamp: h.Stamp(pay.Key(), time.Now(), 1)}
	if x := h.Ask(t.Context(), &h.Operations[core.PaymentSettle].Steps[0].Call, in, nil); x.Verdict.Outcome != core.OutcomeOK {
		t.Fatal(x.Verdict)
	}
	r, err := http.Get(p.ControlURL() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	page, _ := io.ReadAll(r.Body)
	for _, want := range []string{"payment.settle IH20260105000002", "payment.amount", "46.19", "login main", "XIHU_URL=" + p.URL(), "computed and right"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	password, _ := environment(copied(t, folders(t)["xihu"]))("XIHU_PASSWORD")
	if password == "" || strings.Contains(string(page), password) {
		t.Error("the page shows the password")
	}
}

func TestWhatCannotBePlayedIsRefusedWithACure(t *testing.T) {
	for name, c := range map[string]struct{ connector, want string }{
		"database":   {`{db: {driver: postgres, dsn: "${DSN}"}}`, "test database"},
		"written":    {`{rest: {base: "http://10.1.1.1/his"}}`, `write base: "${NAME}"`},
		"fixed port": {`{tcp: {address: "${HOST}:6661", framing: mllp}}`, `write address: "${NAME}"`},
		"tls":        {`{tcp: {address: "${HOST}", framing: mllp, tls: {}}}`, "without tls"},
		"unknown":    {`{fax: {number: "1"}}`, "cannot be played"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := sealedFolder()
			folder["hospital.yaml"].Data = []byte("grammar: 1\nhospital: x1\nname: 测试\nconnectors: {default: " + c.connector + "}\n")
			_, err := Start(t.Context(), Options{Folder: folder, Env: environment(folder)})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want one with %q", err, c.want)
			}
		})
	}
	folder := sealedFolder()
	folder["payment.yaml"].Data = append(folder["payment.yaml"].Data, "  nonsense: 1\n"...)
	var mistakes mapping.Mistakes
	if _, err := Start(t.Context(), Options{Folder: folder, Env: environment(folder)}); !errors.As(err, &mistakes) {
		t.Errorf("a folder with mistakes: %v", err)
	}
}

// Strangers get an error in the transport's way, and the player goes on.
func TestWhatNobodyWritesIsRefused(t *testing.T) {
	p, _ := played(t, copied(t, folders(t)["dongshan"]))
	for _, body := range []string{"", "nonsense", "<Envelope/>", strings.Repeat("<a>", 5000),
		`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><Unknown/></s:Body></s:Envelope>`} {
		r, err := http.Post(p.URL(), "text/xml", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 500 || !strings.Contains(string(answer), "Fault>") {
			t.Errorf("%.20q is answered %d %s", body, r.StatusCode, answer)
		}
	}
	q, _ := played(t, copied(t, folders(t)["good/donghu"]))
	conn, err := net.Dial("tcp", q.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("00000016nonsense")); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); len(answer) > 0 || err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a stranger is answered %q, %v", answer, err)
	}
	if log := q.Exchanges(); len(log) != 1 || len(log[0].Trouble) == 0 {
		t.Errorf("the log says %+v", log)
	}
}

// Whatever arrives: no panic.
func FuzzArrivals(f *testing.F) {
	var players []*Player
	for _, name := range []string{"dongshan", "xihu", "good/lihe"} {
		folder := copied(f, folders(f)[name])
		p, err := Start(f.Context(), Options{Folder: folder, Env: environment(folder)})
		if err != nil {
			f.Fatal(err)
		}
		f.Cleanup(func() { p.Close() })
		players = append(players, p)
	}
	sealed := sealedFolder()
	p, err := Start(f.Context(), Options{Folder: sealed, Env: environment(sealed)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { p.Close() })
	players = append(players, p)
	f.Add("/his", "text/xml", []byte(`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><QueryPay xmlns="http://dongshan.example/his"><xmlParam><![CDATA[<Request><TradeCode>5203</TradeCode><HospitalID>DS0001</HospitalID><UserCode>net07</UserCode><PlatformNo>1</PlatformNo></Request>]]></xmlParam></QueryPay></soap:Body></soap:Envelope>`))
	f.Add("/api/process", "application/json", []byte(`{"orderNo":"1","rxNos":["1",["2"]],"totalFee":{}}`))
	f.Add("/hl7", "application/hl7-v2", []byte("MSH|^~\\&|INETHUB||HIS||20260105100001||OMP^O09|1|P|2.4\rPID|||1^^^^PatientNO~2||张三||19900101|2\rORC|NW|1||1|1&2^3\rRXO|1^2|3\rRXR|4\r"))
	f.Add("/gate", "text/xml", []byte("<Packet><Kind>pay</Kind><Load>AAAA</Load><Seal>0</Seal></Packet>"))
	f.Fuzz(func(t *testing.T, path, kind string, body []byte) {
		for _, p := range players {
			for _, e := range p.entrance {
				r, err := http.NewRequest("POST", "http://127.0.0.1/", bytes.NewReader(body))
				if err != nil {
					return
				}
				r.URL.Path = path
				r.Header.Set("Content-Type", kind)
				x := p.begin(e.name, path)
				if h, e := p.hearHTTP([]*entrance{e}, r, body, &x); h != nil {
					p.heard(&x, e, h)
					p.answer(e, h, "", &x)
				}
			}
		}
	})
}
