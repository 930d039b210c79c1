package main

import (
	"fmt"
	"net/http"
	"time"

	"hishub/platform/clinic"
	"hishub/platform/identity"
	"hishub/platform/patient"
)

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
	var accounts []int64
	for role, who := range map[clinic.Role]struct {
		name, code, kind string
		token            *string
	}{clinic.Doctor: {"li", doctorCode, "physician", &d.doctor}, clinic.Pharmacist: {"zhao", pharmacistCode, "pharmacist", &d.pharmacist}} {
		var in identity.Invited
		d.must(d.admin, "POST", at(dayHospitals[0], "/staff"), object{"name": who.name, "title": "测试" + who.name, "role": role, "code": who.code}, &in)
		*who.token = d.joins(who.name, in.Invitation).Token
		accounts = append(accounts, in.Account)
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
	d.regulated(accounts...)
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
		// Another process may believe a person of a moment ago for a while.
		within(d, 10*time.Second, "everybody knows the roles at "+h, func() bool {
			return d.ask(d.doctor, "PUT", clinic.Prefix+at(h, "/offers/own"), offer()).status == http.StatusOK &&
				d.ask(d.pharmacist, "GET", clinic.Prefix+at(h, "/reviews"), nil).status == http.StatusOK
		})
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
