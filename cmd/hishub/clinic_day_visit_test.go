package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"hishub/mocks/paychannel"
	"hishub/platform/chat"
	"hishub/platform/clinic"
	"hishub/platform/consult"
	"hishub/platform/order"
	"hishub/platform/pay"
	"hishub/platform/rx"
)

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
