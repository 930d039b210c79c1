package clinic

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

type someone map[string]Person

func (s someone) Person(_ context.Context, token string) (Person, error) {
	if token == "broken" {
		return Person{}, errors.New("redis is away")
	}
	p, ok := s[token]
	if !ok {
		return p, ErrSignedOut
	}
	return p, nil
}

type kept struct {
	acts []Act
	err  error
}

func (k *kept) Keep(_ context.Context, a Act) error {
	if k.err == nil {
		k.acts = append(k.acts, a)
	}
	return k.err
}

type record struct {
	Body struct {
		Name string `json:"name"`
	}
}

// world is an API with one endpoint that shows a patient and one that anyone may see.
func world(t *testing.T, trail *kept) (call func(token, path string) *httptest.ResponseRecorder) {
	t.Helper()
	mux := http.NewServeMux()
	a := &API{Huma: humago.New(mux, huma.DefaultConfig("t", "1")), Trail: trail, People: someone{
		"doctor":  {Account: 1, Grants: []Grant{{Role: Doctor, Hospital: "h1", Code: "D1"}}},
		"patient": {Account: 2, Grants: []Grant{{Role: Patient}}},
	}}
	Register(a, Endpoint{ID: "see", Method: http.MethodGet, Path: "/hospitals/{hospital}/see/{no}", Right: Treat, Shows: true},
		func(ctx context.Context, p Person, in *struct {
			Hospital
			No string `path:"no"`
		}) (*record, error) {
			switch in.No {
			case "none":
				return nil, ErrNotFound
			case "silent":
			default:
				About(ctx, "record "+in.No, "patient 7")
			}
			out := &record{}
			out.Body.Name = "测试患者"
			return out, nil
		})
	Register(a, Endpoint{ID: "open", Method: http.MethodGet, Path: "/open", Right: Anyone},
		func(_ context.Context, p Person, _ *struct{}) (*struct{}, error) {
			if p.Account != 0 && p.Account != 2 {
				return nil, ErrRule
			}
			return nil, nil
		})
	return func(token, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, Prefix+path, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
}

func TestRegisterAdmits(t *testing.T) {
	call := world(t, &kept{})
	for _, c := range []struct {
		token, path string
		status      int
	}{
		{"doctor", "/hospitals/h1/see/1", 200},
		{"doctor", "/hospitals/h1/see/none", 404},
		{"doctor", "/hospitals/h2/see/1", 404}, // another hospital does not exist for him
		{"patient", "/hospitals/h1/see/1", 403},
		{"", "/hospitals/h1/see/1", 401},
		{"nobody", "/hospitals/h1/see/1", 401},
		{"broken", "/hospitals/h1/see/1", 503},
		{"", "/open", 204},
		{"patient", "/open", 204},
		{"nobody", "/open", 204},
	} {
		if w := call(c.token, c.path); w.Code != c.status {
			t.Errorf("%s %s: %d, want %d", c.token, c.path, w.Code, c.status)
		}
	}
}

func TestRegisterKeepsWhatIsShown(t *testing.T) {
	trail := &kept{}
	call := world(t, trail)
	call("doctor", "/hospitals/h1/see/1")
	if len(trail.acts) != 1 {
		t.Fatalf("%d acts are kept", len(trail.acts))
	}
	if a := trail.acts[0]; a.Person.Account != 1 || a.Verb != "see" || a.Hospital != "h1" || a.Subject != "record 1" || len(a.Patients) != 1 || a.Patients[0] != "patient 7" {
		t.Errorf("kept as %+v", a)
	}
	call("doctor", "/hospitals/h1/see/none")
	call("patient", "/hospitals/h1/see/1")
	if len(trail.acts) != 1 {
		t.Error("what showed nothing is kept")
	}
	// What names nobody, and what cannot be kept, is not shown.
	if w := call("doctor", "/hospitals/h1/see/silent"); w.Code != 500 || strings.Contains(w.Body.String(), "测试患者") {
		t.Errorf("shown without a name: %d", w.Code)
	}
	trail.err = errors.New("no room")
	if w := call("doctor", "/hospitals/h1/see/1"); w.Code != 500 || strings.Contains(w.Body.String(), "测试患者") {
		t.Errorf("shown without a record: %d", w.Code)
	}
}

func TestAllowBounds(t *testing.T) {
	mux := http.NewServeMux()
	var asked []string
	a := &API{Huma: humago.New(mux, huma.DefaultConfig("t", "1")), Trail: &kept{}, People: someone{"patient": {Account: 2, Grants: []Grant{{Role: Patient}}}},
		Allow: func(_ context.Context, who string) (bool, time.Duration, error) {
			asked = append(asked, who)
			return false, 1500 * time.Millisecond, nil
		}}
	Register(a, Endpoint{ID: "open", Method: http.MethodGet, Path: "/open", Right: Anyone},
		func(context.Context, Person, *struct{}) (*struct{}, error) { return nil, nil })
	for _, token := range []string{"", "patient"} {
		r := httptest.NewRequest(http.MethodGet, Prefix+"/open", nil)
		r.RemoteAddr = "192.0.2.1:77"
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != 429 || w.Header().Get("Retry-After") != "2" {
			t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
	}
	if len(asked) != 2 || asked[0] != "nobody 192.0.2.1" || asked[1] != "account 2" {
		t.Errorf("asked for %v", asked)
	}
}

func TestPolicy(t *testing.T) {
	p := Person{Grants: []Grant{{Role: Doctor, Hospital: "h1", Code: "D1"}, {Role: HospitalAdmin, Hospital: "h2"}}}
	if !p.May(Prescribe, "h1") || p.May(Prescribe, "h2") || !p.May(Prescribe, "") || !p.May(Directory, "h2") || p.May(Directory, "h1") {
		t.Error("a right reaches beyond its hospital")
	}
	if p.Code(Doctor, "h1") != "D1" || p.Code(Doctor, "h2") != "" || p.Code(Pharmacist, "h1") != "" {
		t.Error("a code is given for another role or hospital")
	}
	if p.Sees("h3") || !p.Sees("h1") || (Person{}).May(Look, "") || !(Person{}).May(Anyone, "h1") {
		t.Error("nobody sees something")
	}
	for _, role := range Roles {
		if len(policy[role]) == 0 {
			t.Errorf("%s may do nothing", role)
		}
	}
	if len(policy) != len(Roles) {
		t.Error("a role of the policy is no role")
	}
	// Who writes prescriptions does not review them, who takes money does not approve
	// its return, who grants does not audit.
	for _, apart := range [][2]Right{{Prescribe, Review}, {Charge, Refunding}, {Security, ReadAudit}, {Staffing, ReadAudit}} {
		for _, role := range Roles {
			if (Person{Grants: []Grant{{Role: role}}}).May(apart[0], "") && (Person{Grants: []Grant{{Role: role}}}).May(apart[1], "") {
				t.Errorf("%s has both %s and %s", role, apart[0], apart[1])
			}
		}
	}
}
