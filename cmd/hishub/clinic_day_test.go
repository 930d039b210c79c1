package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"hishub/core"
	"hishub/core/postgres"
	ships "hishub/mapping/hospitals"
	"hishub/mocks/books"
	"hishub/mocks/paychannel"
	"hishub/mocks/pushhis"
	"hishub/mocks/servers"
	"hishub/mocks/shipped"
	"hishub/mocks/sms"
	"hishub/platform/chat"
	"hishub/platform/clinic"
	"hishub/platform/consult"
	"hishub/platform/identity"
	"hishub/platform/order"
	"hishub/platform/patient"
	"hishub/platform/pay"
	"hishub/platform/rx"
)

// day is the whole program on its embedded defaults, with three hospitals of three
// dialects and an account at a payment channel, and who works and is treated there.
type day struct {
	*office
	channel *paychannel.Server
	his     map[string]shipped.HIS

	admin, doctor, pharmacist, nurse, cashier, finance string // tokens
	patient                                            string
	account                                            int64
	him                                                patient.Record

	mu   sync.Mutex
	done map[string]int // method and path of what succeeded
}

// places of the day, and who tells of drugs that were handed out.
var dayHospitals = []string{"lianhu", "beicheng", "jiangwan"}

const (
	doctorCode     = "00731"
	pharmacistCode = "00815"
)

// newDay starts everything.
func newDay(t *testing.T) *day {
	ctx, cancel := context.WithCancel(context.Background())
	d := &day{office: &office{TB: t, words: &words{}}, his: map[string]shipped.HIS{}, done: map[string]int{}}
	d.went = func(method, path string) {
		d.mu.Lock()
		defer d.mu.Unlock()
		path, _, _ = strings.Cut(path, "?")
		d.done[method+" "+path]++
	}
	var err error
	d.sms, err = sms.Start(ctx, sms.Options{})
	ok(t, err)
	t.Cleanup(func() { d.sms.Close() })
	d.channel, err = paychannel.Start(ctx, paychannel.Options{})
	ok(t, err)
	t.Cleanup(func() { d.channel.Close() })
	k := d.channel.Keys()
	for name, value := range map[string]string{"WECHAT_URL": d.channel.URL(), "WECHAT_MERCHANT": k.Merchant, "WECHAT_SERIAL": k.Serial, "WECHAT_KEY": k.MerchantKey,
		"WECHAT_PUBLIC_KEY": k.PublicKey, "WECHAT_PUBLIC_KEY_ID": k.PublicKeyID, "WECHAT_API_V3_KEY": k.APIV3Key} {
		t.Setenv(name, value)
	}
	for name, start := range map[string]shipped.Start{"lianhu": shipped.Lianhu, "beicheng": shipped.Beicheng, "jiangwan": shipped.Jiangwan} {
		o := shipped.Options{}
		if name == "jiangwan" {
			o.Database = servers.Postgres(t)
		}
		his, env, err := start(ctx, o)
		ok(t, err)
		t.Cleanup(func() { his.Close() })
		d.his[name] = his
		for name, value := range env {
			t.Setenv(name, value)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	listen := free.Addr().String()
	ok(t, free.Close())

	url := servers.Postgres(t)
	ok(t, postgres.Migrate(ctx, url))
	log := slog.New(slog.NewTextHandler(d.words, nil))
	d.hub, err = openHub(ctx, log, url, filepath.Join(t.TempDir(), "key"), true, services{SMSURL: d.sms.URL(), StandIns: true, PublicURL: "http://" + listen})
	ok(t, err)
	d.listen, d.nights = listen, nightsOff
	ok(t, d.openClinic(ctx, url))
	d.clinic.consults.Video = calls{}
	for _, name := range dayHospitals {
		_, _, err := applyFolder(ctx, d.store, withAccount(t, name), "test", "")
		ok(t, err)
	}
	up, down := make(chan string, 1), make(chan error, 1)
	go func() { down <- d.run(ctx, func(address string) { up <- address }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-down; err != nil {
			t.Error(err)
		}
		d.close()
	})
	select {
	case d.address = <-up:
	case err := <-down:
		down <- nil
		t.Fatal(err)
	}
	d.his["lianhu"].(*pushhis.HIS).SetHub(d.address + "/his/lianhu/platform")
	return d
}

// calls are a video service that has a call for everybody.
type calls struct{}

func (calls) Join(_ context.Context, no string, _ clinic.Person) (string, error) {
	return "https://video.example/" + no, nil
}

// withAccount is a folder as it is shipped, with an account at WeChat Pay.
func withAccount(t *testing.T, name string) fs.FS {
	t.Helper()
	folder, err := fs.Sub(ships.FS, name)
	ok(t, err)
	files := fstest.MapFS{}
	ok(t, fs.WalkDir(folder, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(folder, path)
		files[path] = &fstest.MapFile{Data: data}
		return err
	}))
	text, others := string(files["hospital.yaml"].Data), ""
	if m := regexp.MustCompile(`(?m)^channels: \{(.*)\}\n`).FindStringSubmatch(text); m != nil {
		text, others = strings.Replace(text, m[0], "", 1), "  "+m[1]+"\n"
	}
	text += `
channels:
  wechat:
    wechatpay:
      base: "${WECHAT_URL}"
      app_id: wx0000000000000001
      merchant: "${WECHAT_MERCHANT}"
      serial: "${WECHAT_SERIAL}"
      key: "${WECHAT_KEY}"
      public_key: "${WECHAT_PUBLIC_KEY}"
      public_key_id: "${WECHAT_PUBLIC_KEY_ID}"
      api_v3_key: "${WECHAT_API_V3_KEY}"
` + others
	files["hospital.yaml"].Data = []byte(text)
	return files
}

// must asks and expects success; into may be nil.
func (d *day) must(token, method, path string, body, into any) {
	d.Helper()
	s := d.ask(token, method, clinic.Prefix+path, body)
	if s.status > 299 {
		d.Fatalf("%s %s: %d %s", method, path, s.status, s.text)
	}
	if into != nil {
		ok(d, json.Unmarshal([]byte(s.text), into))
	}
}

// refused asks and expects that status, and words in the answer.
func (d *day) refused(token, method, path string, body any, status int, words string) {
	d.Helper()
	if s := d.ask(token, method, clinic.Prefix+path, body); s.status != status || !strings.Contains(s.text, words) {
		d.Errorf("%s %s: %d %s, want %d with %q", method, path, s.status, s.text, status, words)
	}
}

// until looks until it is so.
func awaited[T any](d *day, token, path, what string, is func(T) bool) (v T) {
	d.Helper()
	end := time.Now().Add(30 * time.Second)
	for {
		v = *new(T)
		d.must(token, "GET", path, nil, &v)
		if is(v) {
			return v
		}
		if time.Now().After(end) {
			d.Fatalf("%s: not %s: %+v", path, what, v)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func at(hospital, path string) string { return "/hospitals/" + hospital + path }

// staff are invited, take their codes with them, and get their licences.
func (d *day) staff() {
	admins := make([]clinic.Grant, len(dayHospitals))
	finance, desk, cashier := make([]clinic.Grant, len(dayHospitals)), make([]clinic.Grant, len(dayHospitals)), make([]clinic.Grant, len(dayHospitals))
	for i, h := range dayHospitals {
		admins[i], finance[i] = clinic.Grant{Role: clinic.HospitalAdmin, Hospital: h}, clinic.Grant{Role: clinic.Finance, Hospital: h}
		desk[i], cashier[i] = clinic.Grant{Role: clinic.Nurse, Hospital: h}, clinic.Grant{Role: clinic.Cashier, Hospital: h}
	}
	d.admin = d.member("wang", admins...).Token
	d.finance, d.nurse, d.cashier = d.member("qian", finance...).Token, d.member("sun", desk...).Token, d.member("zhou", cashier...).Token
	for role, who := range map[clinic.Role]struct {
		name, code, kind string
		token            *string
	}{clinic.Doctor: {"li", doctorCode, "physician", &d.doctor}, clinic.Pharmacist: {"zhao", pharmacistCode, "pharmacist", &d.pharmacist}} {
		var in identity.Invited
		d.must(d.admin, "POST", at(dayHospitals[0], "/staff"), object{"name": who.name, "title": "测试" + who.name, "role": role, "code": who.code}, &in)
		*who.token = d.joins(who.name, in.Invitation).Token
		for i, h := range dayHospitals {
			if i > 0 {
				d.must(d.admin, "POST", at(h, fmt.Sprintf("/staff/%d/grants", in.Account)), object{"role": role, "code": who.code}, nil)
			}
			if i == 0 && role == clinic.Doctor {
				d.refused(*who.token, "PUT", at(h, "/offers/own"), offer(), 422, "licen")
			}
			d.must(d.admin, "POST", at(h, "/licences"), object{"account": in.Account, "kind": who.kind, "number": "110000000" + who.code, "valid_from": "2020-01-01", "valid_until": "2099-12-31"}, nil)
		}
	}
}

func offer() object {
	return object{"doctor": doctorCode, "department": "0102", "fee": 2000, "accept_within": 60, "lasts": 60, "daily": 20, "open": true}
}

// lists come from each HIS, and the doctor says what he offers.
func (d *day) lists() {
	for _, h := range dayHospitals {
		for _, module := range []string{"directory", "catalog"} {
			var lists []clinic.List
			d.must(d.admin, "POST", at(h, "/"+module+"/sync"), nil, &lists)
			for _, l := range lists {
				if l.Problem != "" || l.Entries == 0 {
					d.Errorf("%s: %+v", h, l)
				}
			}
		}
		d.must(d.doctor, "PUT", at(h, "/offers/own"), offer(), nil)
	}
	var found []struct{ Code string }
	d.must(d.doctor, "GET", at("lianhu", "/drugs?words=%E9%98%BF%E8%8E%AB%E8%A5%BF%E6%9E%97"), nil, &found)
	if len(found) != 1 || found[0].Code != amoxicillin {
		d.Errorf("%+v", found)
	}
}

const (
	phone       = "13800000001"
	amoxicillin = "Y00000003803"
	calcium     = "Y00000002416"
)

// arrives is the patient's first sign-in: consents, the real name, and a record that each
// hospital knows.
func (d *day) arrives() {
	in := d.office.patient("", phone)
	d.patient, d.account = in.Token, in.Account
	me := object{"relation": "self", "name": "张三测试", "id_type": "id_card", "id_no": "110101199003070097", "phone": phone}
	for _, kind := range []string{"privacy", "internet_diagnosis", "sensitive_data"} {
		d.must(d.patient, "PUT", "/consents/"+kind, object{"version": 1}, nil)
	}
	d.must(d.patient, "POST", "/account/real-name", object{"name": "张三测试", "id_no": "110101199003070097"}, nil)
	d.must(d.patient, "POST", "/patients", me, &d.him)
	if !d.him.Verified {
		d.Fatalf("%+v", d.him)
	}
	for _, h := range dayHospitals {
		d.must(d.patient, "PUT", at(h, "/patients/"+d.him.No+"/identity"), nil, nil)
	}
	for _, h := range dayHospitals {
		awaited(d, d.patient, at(h, "/patients/"+d.him.No+"/identity"), "linked", func(i patient.Identity) bool { return i.State == patient.Linked && i.PatientNo != "" })
	}
}

// pays an order: the program asks the channel, the payer pays there, its notice comes.
func (d *day) pays(no string) order.Order {
	d.Helper()
	var o order.Order
	d.must(d.patient, "GET", "/orders/"+no, nil, &o)
	var a pay.Attempt
	d.must(d.patient, "POST", "/orders/"+no+"/payments", object{"channel": "wechat", "way": "native", "version": o.Version}, &a)
	if a.State != pay.Sent || a.Client["code_url"] == "" {
		d.Fatalf("%+v", a)
	}
	_, err := d.channel.PayTrade(paychannel.WeChat, a.No, 0)
	ok(d, err)
	return awaited(d, d.patient, "/orders/"+no, "paid", func(o order.Order) bool { return o.State == order.Paid })
}

func (d *day) opens(hospital string) (k consult.Consult) {
	d.Helper()
	d.must(d.patient, "POST", at(hospital, "/consults"), object{"doctor": doctorCode, "patient": d.him.No, "complaint": "咳嗽三天", "allergies": "无",
		"proof": object{"hospital": "东山医院", "diagnosis": "急性上呼吸道感染", "date": "2026-01-05"}}, &k)
	return k
}

// consulted is a consultation from its opening to the doctor's acceptance.
func (d *day) consulted(hospital string) (k consult.Consult) {
	d.Helper()
	k = d.opens(hospital)
	d.refused(d.doctor, "POST", at(hospital, "/consults/"+k.No+"/accept"), object{"follow_up": true}, 409, "created")
	d.pays(k.Order)
	d.refused(d.doctor, "POST", at(hospital, "/consults/"+k.No+"/accept"), object{"follow_up": false}, 422, "follow-up")
	d.must(d.doctor, "POST", at(hospital, "/consults/"+k.No+"/accept"), object{"follow_up": true}, &k)
	return k
}

// talk goes both ways: the patient's app listens at the socket, the doctor syncs.
func (d *day) talk(k consult.Consult) {
	heard := make(chan chat.Message, 16)
	socket := centrifuge.NewJsonClient("ws"+strings.TrimPrefix(d.address, "http")+clinic.Prefix+"/socket", centrifuge.Config{Token: d.patient})
	connected := make(chan struct{}, 1)
	socket.OnConnected(func(centrifuge.ConnectedEvent) { connected <- struct{}{} })
	socket.OnPublication(func(e centrifuge.ServerPublicationEvent) {
		var m chat.Message
		if json.Unmarshal(e.Data, &m) == nil && m.Seq > 0 {
			heard <- m
		}
	})
	ok(d, socket.Connect())
	defer socket.Close()
	select {
	case <-connected:
	case <-time.After(10 * time.Second):
		d.Fatal("the socket does not connect")
	}
	path := "/conversations/" + k.Conversation + "/messages"
	d.must(d.patient, "POST", path, object{"client_id": "p1", "kind": "text", "text": "医生您好"}, nil)
	d.must(d.doctor, "POST", path, object{"client_id": "d1", "kind": "text", "text": "您好，哪里不舒服？"}, nil)
	d.must(d.doctor, "POST", path, object{"client_id": "d1", "kind": "text", "text": "您好，哪里不舒服？"}, nil) // sent again: the same message
	for {
		select {
		case m := <-heard:
			if m.From != "doctor" {
				continue
			}
			if m.Text != "您好，哪里不舒服？" {
				d.Errorf("heard %+v", m)
			}
		case <-time.After(10 * time.Second):
			d.Fatal("the patient heard nothing over the socket")
		}
		break
	}
	var all []chat.Message
	d.must(d.doctor, "GET", path+"?after=0", nil, &all)
	texts := 0
	for i, m := range all {
		if m.Seq != int64(i+1) {
			d.Errorf("a gap: %+v", all)
		}
		if m.Kind == chat.Text {
			texts++
		}
	}
	if texts != 2 {
		d.Errorf("%+v", all)
	}
	d.refused(d.nurse, "GET", path, nil, 404, "")
	d.must(d.patient, "POST", "/conversations/"+k.Conversation+"/read", object{"seq": len(all)}, nil)
}

func writing(days int) object {
	return object{"category": "western", "diagnoses": []object{{"code": "J06.900", "name": "急性上呼吸道感染"}}, "valid_days": 3, "items": []object{
		{"code": amoxicillin, "qty": fmt.Sprint((days*15 + 59) / 60), "dose": "0.5", "dose_unit": "g", "frequency": "tid", "route": "oral", "days": days},
		{"code": calcium, "qty": "12", "dose": "10", "dose_unit": "ml", "frequency": "tid", "route": "oral", "days": 4},
	}}
}

func allRight() map[string]bool {
	m := map[string]bool{}
	for _, c := range rx.Checks {
		m[c] = true
	}
	return m
}

func (d *day) signs(hospital string, p rx.Rx) (signed rx.Rx) {
	d.Helper()
	d.must(d.doctor, "POST", at(hospital, "/prescriptions/"+p.No+"/sign"), object{"version": p.Version}, &signed)
	return signed
}

// approved is a prescription that a pharmacist approved.
func (d *day) approved(k consult.Consult) (p rx.Rx) {
	d.Helper()
	d.must(d.doctor, "POST", at(k.Hospital, "/consults/"+k.No+"/prescriptions"), writing(4), &p)
	p = d.signs(k.Hospital, p)
	d.must(d.pharmacist, "POST", at(k.Hospital, "/reviews/"+p.No), object{"revision": p.Revision, "approve": true, "checks": allRight()}, &p)
	return p
}

// prescribed is a prescription as it happens: a rule hit, corrected, signed, rejected,
// revised, approved.
func (d *day) prescribed(k consult.Consult) (p rx.Rx) {
	base, review := at(k.Hospital, "/consults/"+k.No+"/prescriptions"), func(no string) string { return at(k.Hospital, "/reviews/"+no) }
	d.must(d.doctor, "POST", base, writing(10), &p)
	if len(p.Hits) == 0 || p.Hits[0].Rule != "days" || !p.Hits[0].Stops {
		d.Errorf("ten days: %+v", p.Hits)
	}
	d.refused(d.doctor, "POST", at(k.Hospital, "/prescriptions/"+p.No+"/sign"), object{"version": p.Version}, 422, "rule days")
	better := writing(5)
	better["version"] = p.Version
	d.must(d.doctor, "PUT", base+"/"+p.No, better, &p)
	if len(p.Hits) != 0 {
		d.Errorf("corrected: %+v", p.Hits)
	}
	p = d.signs(k.Hospital, p)
	d.refused(d.pharmacist, "POST", review(p.No), object{"revision": 1, "approve": true, "checks": object{"dose": true}}, 422, "missing")
	d.must(d.pharmacist, "POST", review(p.No), object{"revision": 1, "approve": false, "checks": allRight(), "reason": "剂量偏大"}, &p)
	if p.State != rx.Rejected || p.Order != "" {
		d.Errorf("rejected: %+v", p)
	}
	better = writing(4)
	better["version"] = p.Version
	d.must(d.doctor, "PUT", base+"/"+p.No, better, &p)
	p = d.signs(k.Hospital, p)
	d.must(d.pharmacist, "POST", review(p.No), object{"revision": 2, "approve": true, "checks": allRight()}, &p)
	if p.State != rx.Approved || p.Revision != 2 || p.Order == "" {
		d.Errorf("approved: %+v", p)
	}
	return p
}

// TestClinicDay is a day of the clinic over its API alone: from an invitation to drugs
// that were handed out, in three hospitals that speak three dialects. At its end the
// journal, the payment channel and each HIS tell of the same money.
func TestClinicDay(t *testing.T) {
	d := newDay(t)
	d.staff()
	d.lists()
	d.arrives()
	given := map[string]rx.Rx{}
	for _, h := range dayHospitals {
		k := d.consulted(h)
		d.talk(k)
		p := d.prescribed(k)
		d.pays(p.Order)
		given[h] = awaited(d, d.patient, "/own"+at(h, "/prescriptions/"+p.No), "at the HIS", func(p rx.Rx) bool { return p.State == rx.SentHIS && p.HisNo != "" })
		d.must(d.doctor, "POST", at(h, "/consults/"+k.No+"/end"), object{"diagnosis": "急性上呼吸道感染", "advice": "多饮水"}, nil)
		d.must(d.patient, "POST", "/consults/"+k.No+"/rating", object{"stars": 5}, nil)
	}
	d.handedOut(given["lianhu"])
	d.refundsALine(given["beicheng"])
	d.booksAgree(given)
	t.Run("what shows a patient is in the audit", func(t *testing.T) {
		d.everythingElse()
		d.inTheAudit(t)
	})
}

// handedOut: the pharmacy of the hospital tells, in its own words. Afterwards the app
// does not give money back by itself.
func (d *day) handedOut(p rx.Rx) {
	told, err := d.his["lianhu"].(*pushhis.HIS).Push(context.Background(), pushhis.Push{Kind: "dispensed", Fields: map[string]string{"recipeNo": p.No, "dispenseTime": time.Now().In(books.Zone).Format("2006-01-02 15:04:05")}})
	if err != nil || len(told) != 1 || told[0].Result != "SUCCESS" {
		d.Fatalf("%+v %v", told, err)
	}
	awaited(d, d.patient, "/own"+at("lianhu", "/prescriptions/"+p.No), "dispensed", func(p rx.Rx) bool { return p.State == rx.Dispensed })
}

// refundsALine: the patient wants one line's money back, by the app.
func (d *day) refundsALine(p rx.Rx) {
	var o order.Order
	d.must(d.patient, "GET", "/orders/"+p.Order, nil, &o)
	var r pay.Refund
	d.must(d.patient, "POST", "/orders/"+o.No+"/refunds", object{"lines": []int{1}, "reason": "缺药"}, &r)
	all := awaited(d, d.patient, "/orders/"+o.No+"/payments", "given back and told", func(all pay.Payments) bool {
		return len(all.Refunds) == 1 && all.Refunds[0].State == pay.Arrived && all.Refunds[0].Told == pay.HasIt
	})
	if all.Refunds[0].Amount != o.Lines[1].Amount || r.No != all.Refunds[0].No {
		d.Errorf("%+v of %+v", all.Refunds, o.Lines)
	}
}

// booksOf asks a HIS for its books, as its own people would look.
func (d *day) booksOf(hospital string) (all books.Export) {
	d.Helper()
	a, err := http.Get(d.his[hospital].ControlURL() + "/books")
	ok(d, err)
	defer a.Body.Close()
	ok(d, json.NewDecoder(a.Body).Decode(&all))
	return all
}

// booksAgree: journal, channel and each HIS have the same.
func (d *day) booksAgree(given map[string]rx.Rx) {
	var journal, channel core.Fen
	for _, h := range dayHospitals {
		var balances []pay.Balance
		d.must(d.finance, "GET", at(h, "/trial-balance"), nil, &balances)
		var sum core.Fen
		for _, b := range balances {
			if sum += b.Balance; b.Account == "channel:wechat" {
				journal += b.Balance
			}
		}
		if sum != 0 {
			d.Errorf("%s: the journal does not balance: %+v", h, balances)
		}
		// What was prescribed is at the HIS with what was paid for it less what went back.
		p := given[h]
		var o order.Order
		d.must(d.patient, "GET", "/orders/"+p.Order, nil, &o)
		var his books.Export
		within(d, 30*time.Second, h+" has the payment", func() bool {
			his = d.booksOf(h)
			for _, s := range his.Settlements {
				if s.Order == o.No {
					return true
				}
			}
			return false
		})
		found, paid, back := 0, int64(0), int64(0)
		for _, b := range his.Prescriptions {
			if b.No == p.No && b.HisNo == p.HisNo && b.AmountFen == int64(o.Amount) && len(b.Lines) == 2 {
				found++
			}
		}
		for _, s := range his.Settlements {
			if s.Order == o.No {
				paid += s.AmountFen
			}
		}
		for _, r := range his.Refunds {
			if r.Order == o.No {
				back += r.AmountFen
			}
		}
		if found != 1 || paid != int64(o.Amount) || back != int64(o.Refunded) {
			d.Errorf("%s has %d prescriptions, %d paid and %d back; the order is %+v", h, found, paid, back, o)
		}
	}
	for _, p := range d.channel.Books().Export().Payments {
		channel += core.Fen(p.AmountFen)
	}
	for _, r := range d.channel.Books().Export().Refunds {
		channel -= core.Fen(r.AmountFen)
	}
	if journal != channel || journal == 0 {
		d.Errorf("the journal has %s yuan at the channel, the channel %s", journal, channel)
	}
}
