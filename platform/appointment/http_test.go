package appointment

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"hishub/platform/clinic"
	"hishub/platform/schedule"
)

type someone map[string]clinic.Person

func (s someone) Person(_ context.Context, token string) (clinic.Person, error) {
	p, ok := s[token]
	if !ok {
		return p, clinic.ErrSignedOut
	}
	return p, nil
}

type kept struct {
	mu   sync.Mutex
	acts []clinic.Act
}

func (k *kept) Keep(_ context.Context, a clinic.Act) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.acts = append(k.acts, a)
	return nil
}

// Through the API, from the ticket to the patient who came; each with who may, and who may not.
func TestOverHTTP(t *testing.T) {
	w := opened(t)
	trail := &kept{}
	mux := http.NewServeMux()
	w.Routes(&clinic.API{Huma: humago.New(mux, huma.DefaultConfig("t", "1")), Trail: trail, People: someone{
		"mother": person(7), "other": person(8),
		"desk":  {Account: 20, Grants: []clinic.Grant{{Role: clinic.Nurse, Hospital: "h1"}}},
		"plan":  {Account: 21, Grants: []clinic.Grant{{Role: clinic.HospitalAdmin, Hospital: "h1"}}},
		"plan2": {Account: 22, Grants: []clinic.Grant{{Role: clinic.HospitalAdmin, Hospital: "h2"}}},
	}})
	call := func(token, method, path string, body, out any, want int) {
		t.Helper()
		text, _ := json.Marshal(body)
		r := httptest.NewRequest(method, clinic.Prefix+path, bytes.NewReader(text))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, r)
		if rec.Code != want {
			t.Fatalf("%s %s: %d, not %d: %s", method, path, rec.Code, want, rec.Body)
		}
		if out != nil {
			if err := json.Unmarshal(rec.Body.Bytes(), out); err != nil {
				t.Fatal(err)
			}
		}
	}
	v := w.session(t, "S1", 1, 5000, schedule.Platform, hour)
	var k Ticket
	wish := Wish{Session: v, Patient: "P7", Channel: "app", Request: "request-1"}
	call("desk", "POST", "/hospitals/h1/tickets", wish, nil, 403)
	call("mother", "POST", "/hospitals/h1/tickets", wish, &k, 202)
	if k.State != Waiting || k.Place != 1 {
		t.Fatalf("%+v", k)
	}
	if err := w.Answer(t.Context(), k.No); err != nil {
		t.Fatal(err)
	}
	call("other", "GET", "/tickets/"+k.No, nil, nil, 404)
	call("mother", "GET", "/tickets/"+k.No, nil, &k, 200)
	var a Appointment
	call("mother", "GET", "/appointments/"+k.Appointment, nil, &a, 200)
	call("other", "POST", "/appointments/"+a.No+"/cancel", nil, nil, 404)
	var waits Waiter
	call("other", "POST", "/hospitals/h1/sessions/S1/waitlist", map[string]string{"patient": "P8"}, &waits, 201)
	call("mother", "DELETE", "/waitlist/"+waits.No, nil, nil, 404)
	call("other", "DELETE", "/waitlist/"+waits.No, nil, nil, 200)
	call("other", "GET", "/waitlist", nil, nil, 200)
	if err := w.pay(t.Context(), w.read(t, a.No)); err != nil {
		t.Fatal(err)
	}
	var list []Entry
	call("mother", "GET", "/hospitals/h1/sessions/S1/appointments", nil, nil, 403)
	call("desk", "GET", "/hospitals/h1/sessions/S1/appointments", nil, &list, 200)
	if len(list) != 1 || list[0].No != a.No || list[0].Name == "测试患者" || list[0].Name == "" {
		t.Fatalf("%+v", list)
	}
	call("desk", "GET", "/hospitals/h1/appointments/"+a.No, nil, nil, 200)
	call("plan", "PUT", "/hospitals/h1/appointment-settings", Settings{15, 30, 5, 3, 180, 90}, nil, 200)
	call("plan", "PUT", "/hospitals/h1/appointment-settings", Settings{0, 30, 5, 3, 180, 90}, nil, 422)
	call("mother", "GET", "/hospitals/h1/appointment-settings", nil, nil, 200)
	call("plan2", "GET", "/hospitals/h1/sessions/S1/stop", nil, nil, 404)
	call("plan2", "GET", "/hospitals/h2/sessions/S1/stop", nil, nil, 404)
	var e Effect
	call("plan", "GET", "/hospitals/h1/sessions/S1/stop", nil, &e, 200)
	call("plan", "POST", "/hospitals/h1/sessions/S1/stop", schedule.Stop{Substitute: "D2", Reason: "换医生"}, &e, 202)
	if e.Booked != 1 || e.Money != 5000 {
		t.Errorf("%+v", e)
	}
	call("mother", "POST", "/appointments/"+a.No+"/reschedule", map[string]string{"session": "S1"}, nil, 409)
	call("mother", "GET", "/appointments", nil, nil, 200)
	if _, err := w.Database.Exec(t.Context(), `update appointment.appointment set day = (clock_timestamp() at time zone 'Asia/Shanghai')::date`); err != nil {
		t.Fatal(err)
	}
	call("desk", "POST", "/hospitals/h1/appointments/"+a.No+"/check-in", nil, &a, 200)
	call("desk", "POST", "/hospitals/h1/appointments/"+a.No+"/done", nil, &a, 200)
	call("plan", "POST", "/hospitals/h1/appointments/"+a.No+"/cancel", map[string]string{"reason": "x"}, nil, 409)
	call("plan", "GET", "/hospitals/h1/blacklist", nil, nil, 200)
	call("plan", "DELETE", "/hospitals/h1/blacklist/P7", nil, nil, 404)
	if a.State != Done || len(trail.acts) < 10 {
		t.Errorf("%s, %d acts", a.State, len(trail.acts))
	}
	for _, act := range trail.acts {
		if act.Subject == "" || act.Subject == "appointment " {
			t.Errorf("%+v", act)
		}
	}
	for i := range 2 { // a page
		w.asked(t, 7, w.session(t, fmt.Sprint("S9", i), 1, 5000, schedule.Platform, 50*hour))
	}
	var all []Appointment
	call("mother", "GET", "/appointments?limit=2", nil, &all, 200)
	call("mother", "GET", "/appointments?limit=2&before="+all[1].No, nil, &all, 200)
	if len(all) != 1 || all[0].No != a.No {
		t.Errorf("%+v", all)
	}
}
