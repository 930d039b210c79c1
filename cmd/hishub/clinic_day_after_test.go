package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"hishub/core/api"
	"hishub/core/postgres"
	"hishub/mocks/books"
	"hishub/platform/audit"
	"hishub/platform/clinic"
	"hishub/platform/fulfilment"
	"hishub/platform/notify"
	"hishub/platform/regulator"
	"hishub/platform/rx"
)

var fourChecks = object{"who": true, "drug": true, "dose": true, "validity": true}

// pickedUp: the patient comes with his code, the pharmacist checks and hands out, and the
// HIS hears of it.
func (d *day) pickedUp(p rx.Rx) {
	own, desk := "/own"+at(p.Hospital, "/fulfilments/"+p.No), at(p.Hospital, "/fulfilments/"+p.No)
	var all []fulfilment.Fulfilment
	d.must(d.patient, "GET", "/fulfilments", nil, &all)
	if !slices.ContainsFunc(all, func(f fulfilment.Fulfilment) bool { return f.No == p.No && f.State == fulfilment.Ready }) {
		d.Fatalf("%s is not ready: %+v", p.No, all)
	}
	var c fulfilment.Code
	d.must(d.patient, "POST", own+"/code", nil, &c)
	d.must(d.pharmacist, "GET", at(p.Hospital, "/fulfilments"), nil, &all)
	var whole fulfilment.Whole
	d.must(d.pharmacist, "GET", desk, nil, &whole)
	if len(whole.Content.Items) != 2 || whole.Content.PatientName != "张三测试" {
		d.Errorf("%+v", whole)
	}
	wrong := "00000000"
	if c.Code == wrong {
		wrong = "00000001"
	}
	d.refused(d.pharmacist, "POST", desk+"/hand-out", object{"code": wrong, "checks": fourChecks}, 422, "pick-up code")
	d.refused(d.pharmacist, "POST", desk+"/hand-out", object{"code": c.Code, "checks": object{"who": true, "drug": true, "dose": true, "validity": false}}, 422, "four checks")
	d.refused(d.nurse, "POST", desk+"/hand-out", object{"code": c.Code, "checks": fourChecks}, 403, "dispense")
	d.must(d.pharmacist, "POST", desk+"/hand-out", object{"code": c.Code, "checks": fourChecks}, nil)
	d.refused(d.pharmacist, "POST", desk+"/hand-out", object{"code": c.Code, "checks": fourChecks}, 409, "dispensed")
	d.must(d.patient, "GET", "/own"+at(p.Hospital, "/prescriptions/"+p.No), nil, &p)
	if p.State != rx.Dispensed {
		d.Errorf("handed out, and the prescription is %s", p.State)
	}
	d.hisHas(p.Hospital, p.No, "已取药")
}

// hisHas waits until a HIS has heard what became of the drugs of a prescription.
func (d *day) hisHas(hospital, no, state string) {
	d.Helper()
	within(d, 30*time.Second, hospital+" hears that "+no+" is "+state, func() bool {
		return slices.ContainsFunc(d.booksOf(hospital).Dispenses, func(e books.Dispense) bool { return e.Prescription == no && e.State == state })
	})
}

// delivered is a prescription that travels, and comes back.
func (d *day) delivered(p rx.Rx) {
	own, desk := "/own"+at(p.Hospital, "/fulfilments/"+p.No), at(p.Hospital, "/fulfilments/"+p.No)
	to := object{"name": "张三测试", "phone": phone, "address": "测试市测试路一号"}
	d.must(d.patient, "POST", own+"/delivery", to, nil)
	d.must(d.patient, "POST", own+"/pick-up", nil, nil)
	d.must(d.patient, "POST", own+"/delivery", to, nil)
	d.must(d.pharmacist, "POST", desk+"/ship", object{"carrier": "测试快递", "tracking": "T" + p.No, "checks": fourChecks}, nil)
	d.must(d.pharmacist, "POST", desk+"/travel", object{"state": "arrived"}, nil)
	d.must(d.patient, "POST", own+"/received", nil, nil)
	var f fulfilment.Fulfilment
	d.must(d.pharmacist, "POST", desk+"/return", object{"reason": "包装破损"}, &f)
	if f.State != fulfilment.Returned || f.Tracking != "T"+p.No {
		d.Errorf("%+v", f)
	}
}

// noQuietHours: whatever the hour, notices come at once.
func (d *day) noQuietHours() {
	var p notify.Preferences
	d.must(d.patient, "GET", "/notice-preferences", nil, &p)
	p.QuietTo = p.QuietFrom
	d.must(d.patient, "PUT", "/notice-preferences", p, nil)
}

// noticed: the patient was told in the app and by SMS, and nothing of what he has.
func (d *day) noticed(given map[string]rx.Rx) {
	in := awaited(d, d.patient, "/inbox?limit=100", "noticed", func(in notify.Inbox) bool {
		for _, p := range given {
			for _, event := range []string{"prescription.approved", "fulfilment.ready"} {
				if !slices.ContainsFunc(in.Notices, func(n notify.Notice) bool { return n.Event == event && n.No == p.No }) {
					return false
				}
			}
		}
		return slices.ContainsFunc(in.Notices, func(n notify.Notice) bool { return n.Event == "fulfilment.picked_up" && n.No == given["beicheng"].No })
	})
	within(d, 30*time.Second, "the notices are sent", func() bool {
		sent := 0
		for _, m := range d.sms.Messages() {
			if m.Phone == phone && (strings.Contains(m.Text, "可以取药") || strings.Contains(m.Text, "已取药")) {
				sent++
			}
			if strings.Contains(m.Text, "张三") || strings.Contains(m.Text, "阿莫西林") {
				d.Fatal("a notice says something of a patient")
			}
		}
		return sent == len(given)+1
	})
	d.must(d.patient, "POST", "/inbox/read", object{"up_to": in.Notices[0].ID}, nil)
	d.must(d.patient, "GET", "/inbox?limit=1", nil, &in)
	if in.Unread != 0 {
		d.Errorf("%d are unread", in.Unread)
	}
	var dead []notify.Dead
	d.must(d.admin, "GET", "/notices/dead", nil, &dead)
	if len(dead) != 0 {
		d.Errorf("nobody got %+v", dead)
	}
}

// regulatorHas: what was prescribed and handed out in each hospital is in the province's
// books, and no report has a gap.
func (d *day) regulatorHas(given map[string]rx.Rx) {
	for h, p := range given {
		facts := map[string]int{"jiangwan": 1, "lianhu": 2, "beicheng": 2}[h] // and those whose drugs were handed out
		awaited(d, d.admin, at(h, "/regulator/gaps"), "without a gap", func(r regulator.Report) bool {
			told := 0
			for _, k := range r.Kinds {
				told += k.Taken
			}
			return len(r.Gaps) == 0 && told == facts
		})
		has := d.province.Books()
		if !slices.ContainsFunc(has.Prescriptions, func(b books.Prescription) bool { return b.No == p.No }) {
			d.Errorf("the province has not got %s of %s", p.No, h)
		}
		if facts == 2 && !slices.ContainsFunc(has.Dispenses, func(b books.Dispense) bool { return b.Prescription == p.No }) {
			d.Errorf("the province does not know that %s of %s was handed out", p.No, h)
		}
		if s := d.ask(d.admin, "GET", clinic.Prefix+at(h, "/regulator/gaps.csv"), nil); s.status != http.StatusOK || strings.Count(strings.TrimSpace(s.text), "\n") != 0 {
			d.Errorf("%d %s", s.status, s.text)
		}
	}
}

// followed: one prescription by each of its numbers, from the doctor's draft to the HIS, the
// money and the regulator, by the hub's API; and no further than a key sees.
func (d *day) followed(p rx.Rx) {
	key := func(hospitals ...string) string {
		text, prefix, hash := api.NewKey()
		_, err := d.store.AddKey(context.Background(), postgres.Key{Prefix: prefix, Hash: hash, Name: "ops", Role: "operator", Hospitals: hospitals})
		ok(d, err)
		return text
	}
	all, abroad := key(), key("xihu")
	for _, id := range []string{p.No, p.Order} {
		var t api.Trace
		d.ask(all, "GET", "/v1/traces/"+id, nil).into(d, &t)
		at := 0
		for _, want := range []struct{ where, number, what string }{
			{"rx", p.No, "written in consultation " + p.Consult}, {"rx", p.No, "revision 1 signed"}, {"rx", p.No, "revision 1 rejected"}, {"rx", p.No, "revision 2 approved"},
			{"order", p.Order, "made for drugs " + p.No}, {"pay", p.Order, "attempt " + p.Order + " at wechat"}, {"order", p.Order, "paid by wechat"},
			{"regulator", p.No, "prescription.create for jianguan"}, {"hub", p.No, "attempt 1: send"}, {"hub", p.No, "event message.delivered"},
			{"fulfilment", p.No, "picked_up"},
		} {
			i := slices.IndexFunc(t.Hops, func(h api.Hop) bool {
				return h.Where == want.where && h.Number == want.number && strings.HasPrefix(h.What, want.what)
			})
			if i < 0 {
				d.Fatalf("the trace of %s does not have %+v: %+v", id, want, t.Hops)
			}
			if want.where != "hub" && want.where != "regulator" && want.where != "pay" && t.Hops[i].At.Before(t.Hops[at].At.Truncate(time.Second)) { // some times are whole seconds
				d.Errorf("%+v comes before %+v", t.Hops[i], t.Hops[at])
			}
			at = max(at, i)
		}
		for _, h := range t.Hops {
			if h.Hospital != p.Hospital && h.Hospital != "jianguan" {
				d.Errorf("the trace of %s goes to %s: %+v", id, h.Hospital, h)
			}
		}
		text, _ := json.Marshal(t)
		for _, secret := range []string{"张三", phone, "阿莫西林", "感染"} {
			if strings.Contains(string(text), secret) {
				d.Errorf("the trace of %s says %s", id, secret)
			}
		}
		message := t.Hops[slices.IndexFunc(t.Hops, func(h api.Hop) bool { return h.Message != 0 })].Message
		var of api.Trace
		d.ask(all, "GET", "/v1/traces/"+itoa(message), nil).into(d, &of)
		if !slices.Contains(of.Numbers, p.No) {
			d.Errorf("message %d leads to %v", message, of.Numbers)
		}
		if s := d.ask(abroad, "GET", "/v1/traces/"+id, nil); s.status != http.StatusNotFound {
			d.Errorf("at another hospital: %d %s", s.status, s.text)
		}
	}
}

// whoLooked: an auditor finds who looked at the patient, and so does he.
func (d *day) whoLooked() {
	auditor := d.member("he", clinic.Grant{Role: clinic.Auditor}).Token
	d.refused(auditor, "GET", "/audit/state", nil, 404, "no such record")
	if _, err := d.clinic.audit.Check(context.Background()); err != nil { // as the night does
		d.Fatal(err)
	}
	var c audit.Checked
	d.must(auditor, "GET", "/audit/state", nil, &c)
	if len(c.Faults) != 0 || c.Entries == 0 {
		d.Errorf("%+v", c)
	}
	var found []audit.Entry
	d.must(auditor, "POST", "/audit/search", object{"patient": d.him.No, "limit": 500}, &found)
	for _, verb := range []string{"clinic-consult-accept", "clinic-prescription-sign", "clinic-review-decide", "clinic-fulfilment-hand-out"} {
		if !slices.ContainsFunc(found, func(e audit.Entry) bool { return e.Verb == verb && strings.Contains(e.Actor, "测试") }) {
			d.Errorf("the audit does not show who did %s", verb)
		}
	}
	if text, _ := json.Marshal(found); strings.Contains(string(text), "张三") || strings.Contains(string(text), phone) {
		d.Error("the audit names the patient")
	}
	var looks []audit.Look
	d.must(d.patient, "GET", "/looked-at-me", nil, &looks)
	if !slices.ContainsFunc(looks, func(l audit.Look) bool { return l.Who == "测试zhao" && l.Verb == "clinic-fulfilment-get" }) ||
		slices.ContainsFunc(looks, func(l audit.Look) bool { return strings.Contains(l.Who, "account") }) {
		d.Errorf("%+v", looks)
	}
}

// regulated: the province hears what happens at each hospital, and who signs.
func (d *day) regulated(accounts ...int64) {
	for _, h := range dayHospitals {
		d.refused(d.admin, "PUT", at(h, "/regulator"), object{"regulator": "nobody"}, 422, "regulator")
		var set regulator.Setting
		d.must(d.admin, "PUT", at(h, "/regulator"), object{"regulator": "jianguan"}, &set)
		d.must(d.admin, "GET", at(h, "/regulator"), nil, &set)
		if set.Regulator != "jianguan" {
			d.Errorf("%+v", set)
		}
	}
	for _, account := range accounts {
		d.must(d.admin, "PUT", at(dayHospitals[0], "/signatories/"+itoa(account)), object{"id_no": "11010519491231002X"}, nil)
	}
}
