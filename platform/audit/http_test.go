package audit

import (
	"slices"
	"testing"

	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
)

func TestOverHTTP(t *testing.T) {
	s, _ := opened(t)
	as := func(account int64, role clinic.Role, hospital string) clinic.Person {
		return clinic.Person{Account: account, Grants: []clinic.Grant{{Role: role, Hospital: hospital}}}
	}
	api := clinictest.NewAPI(s.Routes, map[string]clinic.Person{
		"auditor": as(1, clinic.Auditor, ""), "elsewhere": as(2, clinic.Auditor, "h2"), "admin": as(3, clinic.HospitalAdmin, "h1"), "patient": as(7, clinic.Patient, ""),
	})
	api.Call(t, "admin", "POST", "/audit/search", Search{}, nil, 403)
	for who, n := range map[string]int{"auditor": 1, "elsewhere": 0} {
		var found []Entry
		if api.Call(t, who, "POST", "/audit/search", map[string]string{"patient": "PA"}, &found, 200); len(found) != n {
			t.Error(who, found)
		}
	}
	api.Call(t, "auditor", "GET", "/audit/state", nil, nil, 404) // never yet
	if _, err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	var c Checked
	if api.Call(t, "auditor", "GET", "/audit/state", nil, &c, 200); c.Entries != 1 || len(c.Faults) != 0 {
		t.Fatal(c)
	}
	api.Call(t, "auditor", "GET", "/looked-at-me", nil, nil, 403)
	var looks []Look
	if api.Call(t, "patient", "GET", "/looked-at-me", nil, &looks, 200); len(looks) != 1 || looks[0].Who != "李主任" {
		t.Fatal(looks)
	}
	acts := api.Acts()
	if len(acts) != 3 || !slices.Equal(acts[2].Patients, []string{"PA", "PB"}) || !slices.Equal(acts[0].Patients, []string{"PA"}) {
		t.Fatal(acts)
	}
}
