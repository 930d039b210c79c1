package fulfilment

import (
	"strings"
	"testing"
	"time"

	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
)

func as(account int64, role clinic.Role, hospital string) clinic.Person {
	return clinic.Person{Account: account, Grants: []clinic.Grant{{Role: role, Hospital: hospital}}}
}

func TestOverHTTP(t *testing.T) {
	w := opened(t)
	api := clinictest.NewAPI(w.Routes, map[string]clinic.Person{
		"patient": as(7, clinic.Patient, ""), "other": as(8, clinic.Patient, ""), "pharmacist": pharmacist, "elsewhere": as(22, clinic.Pharmacist, "h2"), "doctor": as(11, clinic.Doctor, "h1"),
	})
	no, sent := w.paid(t, time.Hour), w.paid(t, time.Hour)
	own, shop := "/own/hospitals/h1/fulfilments/", "/hospitals/h1/fulfilments"
	var code Code
	api.Call(t, "other", "POST", own+no+"/code", nil, nil, 404)
	api.Call(t, "pharmacist", "POST", own+no+"/code", nil, nil, 403) // shown to the patient only
	api.Call(t, "patient", "POST", own+no+"/code", nil, &code, 200)
	for _, path := range []string{shop, shop + "/" + no} {
		if text := api.Call(t, "pharmacist", "GET", path, nil, nil, 200); strings.Contains(text, code.Code) {
			t.Error("a pharmacist is shown the code at", path)
		}
	}
	hand := map[string]any{"code": code.Code, "checks": all}
	api.Call(t, "doctor", "POST", shop+"/"+no+"/hand-out", hand, nil, 403)
	api.Call(t, "elsewhere", "POST", shop+"/"+no+"/hand-out", hand, nil, 404)
	api.Call(t, "pharmacist", "POST", shop+"/"+no+"/hand-out", map[string]any{"code": code.Code, "checks": map[string]bool{"who": true}}, nil, 422)
	api.Call(t, "pharmacist", "POST", shop+"/"+no+"/hand-out", hand, nil, 200)
	api.Call(t, "pharmacist", "POST", shop+"/"+no+"/hand-out", hand, nil, 409)
	api.Call(t, "pharmacist", "POST", shop+"/"+no+"/return", map[string]string{"reason": "包装破损"}, nil, 200)
	api.Call(t, "other", "POST", own+sent+"/delivery", home, nil, 404)
	api.Call(t, "patient", "POST", own+sent+"/delivery", home, nil, 200)
	api.Call(t, "patient", "POST", own+sent+"/pick-up", nil, nil, 200)
	api.Call(t, "patient", "POST", own+sent+"/delivery", home, nil, 200)
	var whole Whole
	api.Call(t, "pharmacist", "GET", shop+"/"+sent, nil, &whole, 200)
	if whole.To == nil || *whole.To != home || whole.Content.PatientNo == "" {
		t.Fatal(whole)
	}
	api.Call(t, "pharmacist", "POST", shop+"/"+sent+"/ship", map[string]any{"carrier": "测试快递", "checks": all}, nil, 422)
	api.Call(t, "pharmacist", "POST", shop+"/"+sent+"/ship", map[string]any{"carrier": "测试快递", "tracking": "T1", "checks": all}, nil, 200)
	api.Call(t, "pharmacist", "POST", shop+"/"+sent+"/travel", map[string]string{"state": "arrived"}, nil, 200)
	api.Call(t, "patient", "POST", own+sent+"/received", nil, nil, 200)
	var mine []Fulfilment
	api.Call(t, "patient", "GET", "/fulfilments", nil, &mine, 200)
	if len(mine) != 2 || mine[0].State != Signed || mine[1].State != Returned {
		t.Fatal(mine)
	}
	for _, a := range api.Acts() {
		if len(a.Patients) == 0 || a.Patients[0] != "PA" {
			t.Error("the audit does not say whose it was:", a.Verb)
		}
	}
}
