package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"hishub/core/postgres"
	"hishub/mocks/servers"
	"hishub/mocks/sms"
	"hishub/platform/clinic"
	"hishub/platform/identity"
)

// office is the clinic as up and serve wire it, behind its API.
type office struct {
	testing.TB
	*hub
	address string
	sms     *sms.Gateway
	words   *words
	// went is told of every request that succeeded; may be nil.
	went func(method, path string)
}

func newOffice(tb testing.TB, redisURL string) *office {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	tb.Cleanup(cancel)
	o := &office{TB: tb, words: &words{}}
	var err error
	o.sms, err = sms.Start(ctx, sms.Options{})
	ok(tb, err)
	tb.Cleanup(func() { o.sms.Close() })
	url := servers.Postgres(tb)
	ok(tb, postgres.Migrate(ctx, url))
	log := slog.New(slog.NewTextHandler(o.words, nil))
	o.hub, err = openHub(ctx, log, url, filepath.Join(tb.TempDir(), "key"), true, services{RedisURL: redisURL, SMSURL: o.sms.URL(), StandIns: true})
	ok(tb, err)
	tb.Cleanup(o.close)
	ok(tb, o.openClinic(ctx, url))
	tb.Cleanup(o.clinic.close)
	handler, _, err := o.handler(ctx)
	ok(tb, err)
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	o.address = server.URL
	return o
}

// said is an answer.
type said struct {
	status int
	header http.Header
	text   string
}

func (s said) into(tb testing.TB, v any) {
	tb.Helper()
	if s.status > 299 {
		tb.Fatalf("%d %s", s.status, s.text)
	}
	ok(tb, json.Unmarshal([]byte(s.text), v))
}

// problem is the last part of a problem's type, and its detail.
func (s said) problem() (kind, detail string) {
	var p struct{ Type, Detail string }
	_ = json.Unmarshal([]byte(s.text), &p)
	return strings.TrimPrefix(p.Type, "/problems/"), p.Detail
}

func (o *office) ask(token, method, path string, body any) said {
	o.Helper()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		ok(o, err)
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, o.address+path, content)
	ok(o, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := http.DefaultClient.Do(r)
	ok(o, err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	ok(o, err)
	if o.went != nil && a.StatusCode < 300 {
		o.went(method, path)
	}
	return said{a.StatusCode, a.Header, string(text)}
}

type object = map[string]any

var (
	h5       = object{"channel": "h5", "name": "测试手机"}
	sixOfSMS = regexp.MustCompile(`[0-9]{6}`)
)

// patient signs in by phone.
func (o *office) patient(token, phone string) (in identity.Opened) {
	o.Helper()
	if s := o.ask("", "POST", clinic.Prefix+"/codes", object{"phone": phone}); s.status != http.StatusNoContent {
		o.Fatalf("%d %s", s.status, s.text)
	}
	m, _ := o.sms.Last(phone)
	o.ask(token, "POST", clinic.Prefix+"/sessions/phone", object{"phone": phone, "code": sixOfSMS.FindString(m.Text), "device": h5}).into(o, &in)
	return in
}

// member makes a member of staff over the API: invitation, password, second factor.
// The recovery codes open further sessions.
func (o *office) member(name string, grants ...clinic.Grant) (in identity.Opened) {
	o.Helper()
	ctx := context.Background()
	account, code, err := o.clinic.identity.Invite(ctx, clinic.Person{}, name, "测试"+name, false)
	ok(o, err)
	for _, g := range grants {
		_, err := o.clinic.identity.GrantAtDatabase(ctx, account, g, "")
		ok(o, err)
	}
	return o.joins(name, code)
}

// joins is how somebody who was invited comes to his first session.
func (o *office) joins(name, invitation string) (in identity.Opened) {
	o.Helper()
	if s := o.ask("", "POST", clinic.Prefix+"/invitations/accept", object{"invitation": invitation, "password": "correct horse 9 battery"}); s.status != http.StatusNoContent {
		o.Fatalf("%d %s", s.status, s.text)
	}
	ticket := o.ticket(name)
	var offer identity.Offer
	o.ask("", "POST", clinic.Prefix+"/sessions/second-factor/enrol", object{"ticket": ticket}).into(o, &offer)
	now, err := totp.GenerateCode(offer.Secret, time.Now())
	ok(o, err)
	o.ask("", "POST", clinic.Prefix+"/sessions/second-factor/confirm", object{"ticket": ticket, "code": now, "device": h5}).into(o, &in)
	return in
}

func (o *office) ticket(name string) string {
	o.Helper()
	var t identity.Ticket
	o.ask("", "POST", clinic.Prefix+"/sessions/password", object{"name": name, "password": "correct horse 9 battery"}).into(o, &t)
	return t.Ticket
}

// again opens a further session of a member.
func (o *office) again(name, recovery string) (in identity.Opened) {
	o.Helper()
	o.ask("", "POST", clinic.Prefix+"/sessions/second-factor", object{"ticket": o.ticket(name), "recovery": recovery, "device": h5}).into(o, &in)
	return in
}

// TestPeople is one suite over the embedded Redis and a real one, which also loses all
// that it has.
func TestPeople(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { peopleSuite(t, newOffice(t, "")) })
	t.Run("server", func(t *testing.T) {
		dir, remove, err := servers.TempDir()
		ok(t, err)
		t.Cleanup(remove)
		server, err := servers.StartRedis(t.Context(), dir)
		ok(t, err)
		t.Cleanup(server.Kill)
		o := newOffice(t, server.URL)
		peopleSuite(t, o)

		in := o.patient("", "13800000077")
		server.Kill()
		if s := o.ask(in.Token, "GET", clinic.Prefix+"/account", nil); s.status != http.StatusServiceUnavailable {
			t.Errorf("without Redis: %d %s", s.status, s.text)
		}
		ok(t, server.Restart(t.Context()))
		var s said
		within(t, time.Minute, "redis is used again", func() bool {
			s = o.ask(in.Token, "GET", clinic.Prefix+"/account", nil)
			return s.status != http.StatusServiceUnavailable
		})
		if kind, _ := s.problem(); s.status != http.StatusUnauthorized || kind != "unauthenticated" {
			t.Errorf("a session outlived its Redis: %d %s", s.status, s.text)
		}
		if again := o.patient("", "13800000077"); again.Account != in.Account {
			t.Error("with Redis the account was lost")
		}
	})
}

func peopleSuite(t *testing.T, o *office) {
	first := o.patient("", "13800000001")
	var me identity.Account
	o.ask(first.Token, "GET", clinic.Prefix+"/account", nil).into(t, &me)
	if me.ID != first.Account || me.Phone != "138****0001" || me.Kind != identity.PatientAccount {
		t.Errorf("%+v", me)
	}
	if s := o.ask("", "POST", clinic.Prefix+"/codes", object{"phone": "13800000001"}); s.status != http.StatusTooManyRequests || s.header.Get("Retry-After") != "60" {
		t.Errorf("a second code within a minute: %d %v", s.status, s.header)
	}
	// Refused sign-ins look alike.
	for _, wrong := range []object{{"phone": "13800000001", "code": "000000", "device": h5}, {"phone": "13900000009", "code": "000000", "device": h5}} {
		s := o.ask("", "POST", clinic.Prefix+"/sessions/phone", wrong)
		if kind, detail := s.problem(); s.status != http.StatusUnauthorized || kind != "unauthenticated" || detail != identity.ErrRefused.Error() || s.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%d %s", s.status, s.text)
		}
	}
	// A session that is brought to a sign-in ends there.
	planted := o.patient("", "13800000002")
	in := o.patient(planted.Token, "13800000003")
	if s := o.ask(planted.Token, "GET", clinic.Prefix+"/account", nil); s.status != http.StatusUnauthorized || in.Token == planted.Token {
		t.Errorf("the planted session is alive: %d", s.status)
	}
	// A rule is named; the consent, then the name.
	verify := object{"name": "张三测试", "id_no": "110101199003070097"}
	s := o.ask(in.Token, "POST", clinic.Prefix+"/account/real-name", verify)
	if kind, detail := s.problem(); s.status != http.StatusUnprocessableEntity || kind != "rule" || !strings.Contains(detail, "sensitive_data") {
		t.Errorf("%d %s", s.status, s.text)
	}

	li := o.member("li", clinic.Grant{Role: clinic.Nurse, Hospital: "h1"})
	var list struct{ Sessions []identity.Session }
	second := o.again("li", li.Recovery[0])
	o.ask(second.Token, "GET", clinic.Prefix+"/sessions", nil).into(t, &list)
	if len(list.Sessions) != 2 {
		t.Errorf("%+v", list)
	}
	if s := o.ask(second.Token, "DELETE", clinic.Prefix+"/sessions/"+li.Session, nil); s.status != http.StatusNoContent {
		t.Errorf("%d %s", s.status, s.text)
	}
	if s := o.ask(li.Token, "GET", clinic.Prefix+"/account", nil); s.status != http.StatusUnauthorized {
		t.Errorf("a session that was ended: %d", s.status)
	}
	o.sms.Down(true)
	s = o.ask("", "POST", clinic.Prefix+"/codes", object{"phone": "13800000008"})
	if kind, detail := s.problem(); s.status != http.StatusServiceUnavailable || kind != "unavailable" || !strings.Contains(detail, "codes cannot be sent") {
		t.Errorf("%d %s", s.status, s.text)
	}
	o.sms.Down(false)

	o.words.mu.Lock()
	said := o.words.text.String()
	o.words.mu.Unlock()
	if !regexp.MustCompile(`route="GET /clinic/v1/account".* account=[0-9]+`).MatchString(said) {
		t.Error("the log does not name the account")
	}
	m, _ := o.sms.Last("13800000003")
	for _, secret := range []string{"13800000001", "13800000008", first.Token, in.Token, sixOfSMS.FindString(m.Text) + " ", "110101199003070097", "correct horse"} {
		if strings.Contains(said, secret) {
			t.Error("the log holds a secret, or what names a person")
		}
	}
	entries, err := o.store.AuditEntries(t.Context(), postgres.AuditFilter{Actor: "测试li (account " + itoa(li.Account) + ")"}, 10)
	ok(t, err)
	if len(entries) == 0 || entries[0].Role != "nurse" || entries[0].Verb != "sign out" {
		t.Errorf("%+v", entries)
	}
}

func itoa(n int64) string { text, _ := json.Marshal(n); return string(text) }

// described is an operation of the clinic in the OpenAPI document.
type described struct {
	method, path string
	ID           string                `json:"operationId"`
	Right        string                `json:"x-right"`
	Roles        []string              `json:"x-roles"`
	Shows        *bool                 `json:"x-shows-patient"`
	Security     []map[string][]string `json:"security"`
}

// clinicOperations are those that people call; what ends a session comes last.
func (o *office) clinicOperations() (all []described) {
	o.Helper()
	var doc struct {
		Paths map[string]map[string]described `json:"paths"`
	}
	o.ask("", "GET", "/openapi.json", nil).into(o, &doc)
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.Shows != nil {
				op.method, op.path = strings.ToUpper(method), path
				all = append(all, op)
			}
		}
	}
	last := []string{"sign-out", "sign-out-everywhere"}
	slices.SortFunc(all, func(a, b described) int {
		if x, y := slices.Index(last, a.ID), slices.Index(last, b.ID); x != y {
			return x - y
		}
		return strings.Compare(a.ID, b.ID)
	})
	if len(all) < 120 {
		o.Fatalf("only %d operations", len(all))
	}
	return all
}

// TestEveryRoleAtEveryEndpoint asks every operation of the clinic as every role, at an
// own and at a foreign hospital, as nobody, and with a token that is none. Operations
// and rights come from the document, so that none can be forgotten; who has which
// right stands here once more, on purpose.
func TestEveryRoleAtEveryEndpoint(t *testing.T) {
	o := newOffice(t, "")
	with := map[string]string{
		"signed_in": "patient guardian doctor pharmacist nurse cashier finance hospital_admin ops release_approver security_admin auditor", "own_records": "patient guardian",
		"look":  "patient guardian doctor pharmacist nurse cashier finance hospital_admin ops",
		"treat": "doctor", "prescribe": "doctor", "review": "pharmacist", "dispense": "pharmacist", "check_in": "nurse cashier", "plan_clinics": "hospital_admin", "charge": "cashier", "refund": "finance",
		"books": "finance auditor", "directory": "hospital_admin", "staffing": "hospital_admin", "security": "security_admin", "reports": "hospital_admin ops auditor",
		"watch": "hospital_admin ops release_approver security_admin auditor", "audit": "auditor", "release": "release_approver",
	}
	tokens := map[clinic.Role][]string{}
	for i, role := range clinic.Roles {
		if !role.Staff() {
			in := o.patient("", "1380000000"+itoa(int64(i)))
			if role == clinic.Guardian {
				tx, err := o.clinic.database.Begin(t.Context())
				ok(t, err)
				ok(t, o.clinic.identity.MakeGuardian(t.Context(), tx, in.Account))
				ok(t, tx.Commit(t.Context()))
			}
			tokens[role] = []string{in.Token}
			continue
		}
		g := clinic.Grant{Role: role, Hospital: "h1", Code: "C1"}
		if role == clinic.SecurityAdmin {
			g.Hospital = "" // there is none at a hospital
		}
		tokens[role] = []string{o.member(strings.ReplaceAll(string(role), "_", "-"), g).Token}
	}
	path := func(op described, hospital string) string {
		p := strings.NewReplacer("{hospital}", hospital, "{kind}", "privacy").Replace(op.path)
		return regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(p, "999999")
	}
	ask := func(op described, token, hospital string) (said, string) {
		var body any
		if op.method == "POST" || op.method == "PUT" {
			body = object{} // admission comes before the body is read
		}
		s := o.ask(token, op.method, path(op, hospital), body)
		for s.status == http.StatusTooManyRequests && s.header.Get("Retry-After") == "1" { // no person asks so many questions
			time.Sleep(time.Second)
			s = o.ask(token, op.method, path(op, hospital), body)
		}
		switch kind, detail := s.problem(); {
		case s.status == http.StatusUnauthorized && detail == "":
			return s, "signed out"
		case s.status == http.StatusForbidden && kind == "forbidden" && strings.HasPrefix(detail, "none of your roles"):
			return s, "forbidden"
		case s.status == http.StatusNotFound && kind == "not-found" && detail == "":
			return s, "no such hospital"
		case s.status >= 500 && s.status != http.StatusServiceUnavailable:
			return s, "broken"
		}
		return s, "admitted"
	}
	asked := 0
	for _, op := range o.clinicOperations() {
		roles, known := with[op.Right]
		if !known && op.Right != "anyone" {
			t.Fatalf("%s needs the right %q, which nobody explained here", op.ID, op.Right)
		}
		if op.Right != "anyone" && strings.Join(op.Roles, " ") != roles || len(op.Security) == 0 && op.Right != "anyone" {
			t.Errorf("%s: the document says %v, %v", op.ID, op.Roles, op.Security)
		}
		// Of these paths the right is known without the document.
		for prefix, right := range map[string]string{"/accounts": "security", "/grants": "security", "/hospitals/{hospital}/staff": "staffing", "/hospitals/{hospital}/licences": "staffing", "/hospitals/{hospital}/grants": "staffing", "/sessions/{session}": "signed_in"} {
			if strings.HasPrefix(op.path, clinic.Prefix+prefix) && op.Right != right {
				t.Errorf("%s needs the right %q, want %q", op.ID, op.Right, right)
			}
		}
		nobody := "signed out"
		if op.Right == "anyone" {
			nobody = "admitted"
		}
		for _, none := range []string{"", "cs_" + strings.Repeat("A", 43), "hk_abc"} {
			if s, got := ask(op, none, "h1"); got != nobody {
				t.Errorf("%s as nobody: %s, want %s: %d %s", op.ID, got, nobody, s.status, s.text)
			}
		}
		for _, role := range clinic.Roles {
			token := tokens[role][0]
			may := op.Right == "anyone" || slices.Contains(strings.Fields(roles), string(role))
			atHospital := strings.Contains(op.path, "{hospital}")
			want := "forbidden"
			if may {
				want = "admitted"
			}
			if op.ID == "sign-out-everywhere" { // sign-out came before
				want = "signed out"
			}
			if s, got := ask(op, token, "h1"); got != want {
				t.Errorf("%s as %s: %s, want %s: %d %s", op.ID, role, got, want, s.status, s.text)
			}
			asked++
			if !atHospital {
				continue
			}
			if op.Right != "anyone" && role.Staff() && role != clinic.SecurityAdmin {
				want = "no such hospital"
			}
			if s, got := ask(op, token, "h2"); got != want {
				t.Errorf("%s as %s at a foreign hospital: %s, want %s: %d %s", op.ID, role, got, want, s.status, s.text)
			}
		}
	}
	t.Logf("%d questions", asked)
	if asked < 1500 {
		t.Errorf("only %d questions were asked", asked)
	}
}
