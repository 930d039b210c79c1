package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"hishub/core/postgres"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
	"hishub/platform/appointment"
	"hishub/platform/clinic"
	"hishub/platform/consult"
	"hishub/platform/order"
	"hishub/platform/patient"
	"hishub/platform/pay"
	"hishub/platform/rx"
	"hishub/platform/schedule"
)

// everythingElse is what did not happen on the day, so that every operation that shows a
// patient was called once.
func (d *day) everythingElse() {
	d.family()
	d.lookedAt()
	d.givenUp()
	d.takenBack()
	d.decided()
	d.booked()
	d.security()
	d.whoLooked()
}

func (d *day) family() {
	var all []patient.Record
	d.must(d.patient, "GET", "/patients", nil, &all)
	var r patient.Record
	d.must(d.patient, "POST", "/patients", object{"relation": "spouse", "name": "测试患者乙", "id_type": "passport", "id_no": "E00000001", "sex": "female", "birth_date": "1991-02-03", "phone": "13800000002"}, &r)
	d.must(d.patient, "GET", "/patients/"+r.No, nil, &r)
	d.must(d.patient, "PATCH", "/patients/"+r.No, object{"phone": "13800000003", "version": r.Version}, nil)
	d.must(d.patient, "DELETE", "/patients/"+r.No, nil, nil)
	if len(all) != 1 || all[0].No != d.him.No {
		d.Errorf("%+v", all)
	}
	d.must(d.nurse, "POST", at("lianhu", "/patients/search"), object{"phone": phone}, &all)
	if len(all) != 1 || strings.Contains(all[0].Name, "张三") {
		d.Errorf("the desk finds %+v", all)
	}
}

// lookedAt are lists and records.
func (d *day) lookedAt() {
	var consults []consult.Consult
	d.must(d.patient, "GET", "/consults", nil, &consults)
	d.must(d.patient, "GET", "/consults/"+consults[0].No, nil, nil)
	h := consults[0].Hospital
	d.must(d.doctor, "GET", at(h, "/consults?state=ended"), nil, nil)
	d.must(d.doctor, "GET", at(h, "/consults/"+consults[0].No), nil, nil)
	d.must(d.doctor, "GET", at(h, "/consults/"+consults[0].No+"/prescriptions"), nil, nil)
	var all []rx.Rx
	d.must(d.patient, "GET", "/prescriptions", nil, &all)
	d.must(d.pharmacist, "GET", at(h, "/reviews"), nil, nil)
	d.must(d.pharmacist, "GET", at(all[0].Hospital, "/reviews/"+all[0].No), nil, nil)
	d.must(d.patient, "GET", "/orders", nil, nil)
	d.must(d.patient, "GET", "/own"+at(all[0].Hospital, "/prescriptions/"+all[0].No), nil, &all[0])
	d.must(d.patient, "POST", "/orders/"+all[0].Order+"/payments/check", nil, nil)
	d.must(d.finance, "GET", at(h, "/payments/undecided"), nil, nil)
	var payments pay.AttemptPage
	d.must(d.finance, "GET", at(h, "/payments?state=succeeded"), nil, &payments)
	d.must(d.finance, "GET", at(h, "/payments/wechat/"+payments.Attempts[0].No), nil, nil)
	d.must(d.finance, "GET", at(h, "/refunds"), nil, nil)
	// Another's does not exist.
	other := d.office.patient("", "13800000009").Token
	for _, path := range []string{"/patients/" + d.him.No, "/consults/" + consults[0].No, "/orders/" + all[0].Order, "/own" + at(all[0].Hospital, "/prescriptions/"+all[0].No)} {
		d.refused(other, "GET", path, nil, 404, "no such record")
	}
	d.refused(other, "GET", "/conversations/"+consults[0].Conversation+"/messages", nil, 404, "no such record")
}

// givenUp are consultations that do not take place, and an order that nobody pays.
func (d *day) givenUp() {
	k := d.opens("beicheng")
	var a pay.Attempt
	d.must(d.patient, "POST", "/orders/"+k.Order+"/payments", object{"channel": "wechat", "way": "native", "version": 1}, &a)
	d.must(d.patient, "POST", "/orders/"+k.Order+"/payments/end", nil, nil)
	d.must(d.patient, "POST", "/orders/"+k.Order+"/cancel", nil, nil)
	k = d.opens("beicheng")
	d.pays(k.Order)
	d.must(d.doctor, "POST", at("beicheng", "/consults/"+k.No+"/refuse"), object{"reason": "请到医院就诊"}, nil)
	awaited(d, d.patient, "/orders/"+k.Order, "given back", func(o order.Order) bool { return o.State == order.Refunded })
	k = d.opens("beicheng")
	d.must(d.patient, "POST", "/consults/"+k.No+"/cancel", nil, nil)
}

// takenBack are prescriptions that are void, by doctor and pharmacist.
func (d *day) takenBack() {
	k := d.consulted("lianhu")
	d.must(d.patient, "POST", "/consults/"+k.No+"/video", nil, nil)
	d.must(d.doctor, "POST", at("lianhu", "/consults/"+k.No+"/video"), nil, nil)
	one, two, three := d.approved(k), d.approved(k), d.approved(k)
	d.pays(one.Order)
	awaited(d, d.patient, "/own"+at("lianhu", "/prescriptions/"+one.No), "at the HIS", func(p rx.Rx) bool { return p.State == rx.SentHIS })
	d.must(d.doctor, "POST", at("lianhu", "/prescriptions/"+one.No+"/void"), object{"reason": "开错药"}, nil)
	d.must(d.pharmacist, "POST", at("lianhu", "/reviews/"+two.No+"/void"), object{"reason": "缺药"}, nil)
	d.pays(three.Order)
	d.delivered(three)
	awaited(d, d.patient, "/orders/"+one.Order, "given back", func(o order.Order) bool { return o.State == order.Refunded })
}

// decided are money of another amount, and a refund that the desk proposes.
func (d *day) decided() {
	k := d.opens("jiangwan")
	var a pay.Attempt
	d.must(d.patient, "POST", "/orders/"+k.Order+"/payments", object{"channel": "wechat", "way": "native", "version": 1}, &a)
	ok(d, d.channel.AddFaults(fault.Rule{Fault: paychannel.PaidOtherAmount, Times: 1}))
	_, err := d.channel.PayTrade(paychannel.WeChat, a.No, 2001)
	ok(d, err)
	awaited(d, d.finance, at("jiangwan", "/payments/undecided"), "in review", func(u pay.Undecidable) bool { return len(u.Attempts) == 1 && u.Attempts[0].State == pay.Review })
	d.channel.ClearFaults()
	d.must(d.finance, "POST", at("jiangwan", "/payments/wechat/"+a.No+"/decide"), object{"decision": "give_back", "note": "金额不符"}, nil)
	var consults []consult.Consult
	d.must(d.patient, "GET", "/consults", nil, &consults)
	for _, k := range consults {
		if k.Hospital == "jiangwan" && k.State == consult.Ended {
			var r pay.Refund
			d.must(d.patient, "GET", "/consults/"+k.No, nil, &k)
			d.must(d.cashier, "POST", at("jiangwan", "/orders/"+k.Order+"/refunds"), object{"amount": 500, "reason": "服务不周"}, &r)
			d.must(d.finance, "POST", at("jiangwan", "/refunds/"+r.No+"/decide"), object{"decision": "approve"}, &r)
			return
		}
	}
	d.Error("no consultation of jiangwan has ended")
}

// booked is what appointments go through, at sessions of the platform's own.
func (d *day) booked() {
	tomorrow := time.Now().In(books.Zone).AddDate(0, 0, 1)
	weekday := int(tomorrow.Weekday())
	if weekday == 0 {
		weekday = 7
	}
	d.must(d.admin, "PUT", at("jiangwan", "/schedule-source"), object{"source": "platform"}, nil)
	d.must(d.admin, "PUT", at("jiangwan", "/appointment-settings"), object{"pay_within": 15, "cancel_before": 0, "daily": 20, "no_shows": 3, "within_days": 180, "blocked_days": 90}, nil)
	for i, starts := range []string{"09:00", "10:00"} {
		d.must(d.admin, "POST", at("jiangwan", "/templates"), object{"doctor": doctorCode, "department": "0102", "weekday": weekday, "period": "morning", "starts": starts, "ends": "11:30",
			"capacity": 2 - i, "fee": 0, "release_days": 7, "release_time": "00:00", "valid_from": tomorrow.Format(time.DateOnly)}, nil)
	}
	var list schedule.Listing
	d.must("", "GET", at("jiangwan", "/sessions"), nil, &list)
	if len(list.Sessions) < 2 {
		d.Fatalf("%+v", list)
	}
	wide, narrow := list.Sessions[0], list.Sessions[1]
	a := d.ticket("first-wish", wide.No)
	d.must(d.patient, "POST", "/appointments/"+a.No+"/reschedule", object{"session": narrow.No}, &a)
	d.must(d.patient, "GET", "/appointments", nil, nil)
	var all []appointment.Entry
	d.must(d.nurse, "GET", at("jiangwan", "/sessions/"+narrow.No+"/appointments"), nil, &all)
	if len(all) != 1 || strings.Contains(all[0].Name, "张三") {
		d.Errorf("%+v", all)
	}
	d.must(d.nurse, "GET", at("jiangwan", "/appointments/"+a.No), nil, nil)
	var w appointment.Waiter
	s := d.ask(d.patient, "POST", clinic.Prefix+at("jiangwan", "/sessions/"+narrow.No+"/waitlist"), object{"patient": d.him.No})
	if s.status == 409 || s.status == 422 { // he has a place there: somebody else of the family waits
		var r patient.Record
		d.must(d.patient, "POST", "/patients", object{"relation": "parent", "name": "李四测试", "id_type": "id_card", "id_no": "110101196003070085", "phone": phone}, &r)
		d.must(d.patient, "PUT", at("jiangwan", "/patients/"+r.No+"/identity"), nil, nil)
		awaited(d, d.patient, at("jiangwan", "/patients/"+r.No+"/identity"), "linked", func(i patient.Identity) bool { return i.State == patient.Linked })
		d.must(d.patient, "POST", at("jiangwan", "/sessions/"+narrow.No+"/waitlist"), object{"patient": r.No}, &w)
	} else {
		s.into(d, &w)
	}
	d.must(d.patient, "GET", "/waitlist", nil, nil)
	d.must(d.patient, "DELETE", "/waitlist/"+w.No, nil, nil)
	d.must(d.patient, "POST", "/appointments/"+a.No+"/cancel", nil, nil)
	b := d.ticket("second-wish", wide.No)
	d.must(d.admin, "POST", at("jiangwan", "/appointments/"+b.No+"/cancel"), object{"reason": "医生外出"}, nil)
	// The day of the session has come.
	c := d.ticket("third-wish", wide.No)
	for table, no := range map[string]string{"appointment.appointment": c.No, "schedule.session": wide.No} {
		_, err := d.clinic.database.Exec(context.Background(), `update `+table+` set day = day - 1, starts = clock_timestamp() - interval '1 minute', ends = clock_timestamp() + interval '1 hour' where no = $1`, no)
		ok(d, err)
	}
	d.must(d.nurse, "POST", at("jiangwan", "/appointments/"+c.No+"/check-in"), nil, nil)
	d.must(d.nurse, "POST", at("jiangwan", "/appointments/"+c.No+"/done"), nil, nil)
	_, err := d.clinic.database.Exec(context.Background(), `insert into appointment.blacklist (hospital, patient, until) values ('jiangwan', $1, clock_timestamp() + interval '1 day')`, d.him.No)
	ok(d, err)
	var blocked []appointment.Blocked
	d.must(d.admin, "GET", at("jiangwan", "/blacklist"), nil, &blocked)
	if len(blocked) != 1 {
		d.Errorf("%+v", blocked)
	}
	d.must(d.admin, "DELETE", at("jiangwan", "/blacklist/"+d.him.No), nil, nil)
}

// ticket is a wish for a place that is granted.
func (d *day) ticket(request, session string) (a appointment.Appointment) {
	d.Helper()
	var t appointment.Ticket
	d.must(d.patient, "POST", at("jiangwan", "/tickets"), object{"session": session, "patient": d.him.No, "channel": "app", "request": request}, &t)
	t = awaited(d, d.patient, "/tickets/"+t.No, "answered", func(t appointment.Ticket) bool {
		return t.State == appointment.Granted || t.State == appointment.Refused
	})
	if t.State != appointment.Granted {
		d.Fatalf("%+v", t)
	}
	d.must(d.patient, "GET", "/appointments/"+t.Appointment, nil, &a)
	return a
}

// security looks at accounts.
func (d *day) security() {
	sec := d.member("sec", clinic.Grant{Role: clinic.SecurityAdmin}).Token
	account := fmt.Sprintf("/accounts/%d", d.account)
	d.must(sec, "POST", "/accounts/search", object{"phone": phone}, nil)
	d.must(sec, "GET", account, nil, nil)
	d.must(sec, "POST", account+"/unmask", object{"note": "complaint 17"}, nil)
}

// inTheAudit: every operation that shows a patient, or changes what is his, was called,
// and left a row for each success.
func (d *day) inTheAudit(t *testing.T) {
	parameter := regexp.MustCompile(`\\\{[a-z_]+\\\}`)
	type known struct {
		described
		path *regexp.Regexp
	}
	var all []known
	for _, op := range d.clinicOperations() {
		all = append(all, known{op, regexp.MustCompile("^" + op.method + " " + parameter.ReplaceAllString(regexp.QuoteMeta(op.path), `[^/]+`) + "$")})
	}
	called := map[string]int{}
	d.mu.Lock()
	for went, times := range d.done {
		best := -1
		for i, op := range all {
			if op.path.MatchString(went) && (best < 0 || strings.Count(op.described.path, "{") < strings.Count(all[best].described.path, "{")) {
				best = i
			}
		}
		if best >= 0 {
			called[all[best].ID] += times
		}
	}
	d.mu.Unlock()
	for _, op := range all {
		if !*op.Shows {
			continue
		}
		if called[op.ID] == 0 {
			t.Errorf("%s shows a patient and was not called", op.ID)
			continue
		}
		rows, err := d.store.AuditEntries(t.Context(), postgres.AuditFilter{Verb: op.ID}, 1000)
		ok(t, err)
		if len(rows) != called[op.ID] {
			t.Errorf("%s succeeded %d times and left %d rows", op.ID, called[op.ID], len(rows))
		}
		for _, r := range rows {
			if r.Subject == "" || r.Request == "" || r.Role == "" || !strings.Contains(r.Actor, "account ") {
				t.Errorf("%s left %+v", op.ID, r)
			}
			if text := r.Data + r.Actor + r.Subject; strings.Contains(text, phone) || strings.Contains(text, "张三") || strings.Contains(text, "阿莫西林") {
				t.Errorf("%s: the audit names the patient, or what he has", op.ID)
			}
		}
	}
	e, err := d.store.AuditEntries(t.Context(), postgres.AuditFilter{Verb: "unmask-account"}, 10)
	ok(t, err)
	if len(e) != 1 || e[0].Purpose != "complaint 17" || !strings.Contains(e[0].Data, fmt.Sprintf("account %d", d.account)) {
		t.Errorf("%+v", e)
	}
	report, err := d.store.VerifyAudit(t.Context())
	ok(t, err)
	if len(report.Faults) != 0 {
		t.Errorf("%+v", report.Faults)
	}
}
