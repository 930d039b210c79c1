package regulator

import (
	"strings"
	"testing"

	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
)

func TestOverHTTP(t *testing.T) {
	s, _ := opened(t)
	as := func(role clinic.Role, hospital string) clinic.Person {
		return clinic.Person{Account: 1, Grants: []clinic.Grant{{Role: role, Hospital: hospital}}}
	}
	api := clinictest.NewAPI(s.Routes, map[string]clinic.Person{"admin": as(clinic.HospitalAdmin, "h1"), "ops": as(clinic.Ops, ""), "elsewhere": as(clinic.HospitalAdmin, "h2"), "doctor": as(clinic.Doctor, "h1")})
	at := "/hospitals/h1/regulator"
	api.Call(t, "ops", "PUT", at, map[string]string{"regulator": "h2"}, nil, 403)
	api.Call(t, "admin", "PUT", at, map[string]string{"regulator": "nobody"}, nil, 422)
	api.Call(t, "admin", "PUT", at, map[string]string{"regulator": "h2"}, nil, 200)
	var set Setting
	if api.Call(t, "ops", "GET", at, nil, &set, 200); set.Regulator != "h2" {
		t.Fatal(set)
	}
	if err := enqueue(s, "h1", written("RX1")); err != nil {
		t.Fatal(err)
	}
	var r Report
	api.Call(t, "doctor", "GET", at+"/gaps", nil, nil, 403)
	api.Call(t, "elsewhere", "GET", at+"/gaps", nil, nil, 404)
	if api.Call(t, "admin", "GET", at+"/gaps", nil, &r, 200); len(r.Gaps) != 1 {
		t.Fatal(r)
	}
	if text := api.Call(t, "admin", "GET", at+"/gaps.csv", nil, nil, 200); !strings.HasPrefix(text, "\ufeffhospital,day,kind,key") || !strings.Contains(text, "RX1") {
		t.Fatal(text)
	}
	api.Call(t, "admin", "GET", at+"/gaps.csv?day=never", nil, nil, 422)
}
