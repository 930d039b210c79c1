package notify

import (
	"testing"

	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
)

func TestOverHTTP(t *testing.T) {
	s, c, g := opened(t)
	as := func(account int64, role clinic.Role, hospital string) clinic.Person {
		return clinic.Person{Account: account, Grants: []clinic.Grant{{Role: role, Hospital: hospital}}}
	}
	api := clinictest.NewAPI(s.Routes, map[string]clinic.Person{
		"patient": as(7, clinic.Patient, ""), "other": as(8, clinic.Patient, ""), "admin": as(1, clinic.HospitalAdmin, "h1"), "admin2": as(2, clinic.HospitalAdmin, "h2"), "ops": as(3, clinic.Ops, ""),
	})
	mine := "/hospitals/h1/notice-templates/fulfilment.ready/zh/sms"
	api.Call(t, "patient", "PUT", mine, Words{"取药", "请取药"}, nil, 403)
	api.Call(t, "admin2", "PUT", mine, Words{"取药", "请取药"}, nil, 404)
	api.Call(t, "admin", "PUT", mine, Words{"取药", "{name}请取药"}, nil, 422)
	api.Call(t, "admin", "PUT", "/hospitals/h1/notice-templates/gossip/zh/sms", Words{"取药", "请取药"}, nil, 404)
	api.Call(t, "admin", "PUT", mine, Words{"取药", "请取药"}, nil, 200)
	api.Call(t, "admin", "GET", "/hospitals/h1/notice-templates", nil, nil, 200)
	g.fails = ErrNobody
	if err := send(c, s, 7, "fulfilment.ready", ready); err != nil {
		t.Fatal(err)
	}
	deliver(t, s)
	var in Inbox
	api.Call(t, "patient", "GET", "/inbox", nil, &in, 200)
	if in.Unread != 1 || len(in.Notices) != 1 {
		t.Fatal(in)
	}
	api.Call(t, "other", "POST", "/inbox/read", map[string]int64{"up_to": in.Notices[0].ID}, nil, 204)
	api.Call(t, "patient", "GET", "/inbox", nil, &in, 200)
	if in.Unread != 1 {
		t.Fatal("another marked it as read")
	}
	api.Call(t, "patient", "POST", "/inbox/read", map[string]int64{"up_to": in.Notices[0].ID}, nil, 204)
	api.Call(t, "patient", "PUT", "/notice-preferences", Preferences{Language: "en", QuietFrom: "25:00", QuietTo: "07:00", Unwanted: []Unwanted{}}, nil, 422)
	api.Call(t, "patient", "PUT", "/notice-preferences", Preferences{Language: "en", QuietFrom: "23:00", QuietTo: "07:00", Unwanted: []Unwanted{{"payment", SMS}}}, nil, 200)
	var p Preferences
	api.Call(t, "patient", "GET", "/notice-preferences", nil, &p, 200)
	if p.Language != "en" || len(p.Unwanted) != 1 {
		t.Fatal(p)
	}
	api.Call(t, "patient", "GET", "/notices/dead", nil, nil, 403)
	for who, n := range map[string]int{"admin": 1, "admin2": 0, "ops": 1} {
		var dead []Dead
		if api.Call(t, who, "GET", "/notices/dead", nil, &dead, 200); len(dead) != n {
			t.Error(who, dead)
		}
	}
}
