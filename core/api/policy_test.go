package api

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hishub/core"
)

// TestWhoMayDoWhat asks every operation of the document as every role, by a key and
// by a person who has the role there (and is an auditor elsewhere), for an
// own and for a foreign hospital, without a key and with a revoked one. The
// operations and the rights they need come from the document, so none can be
// forgotten; what each right means stands here once more, on purpose.
func TestWhoMayDoWhat(t *testing.T) {
	w := newWorld(t)
	roles := map[string][]Role{
		"read":   {Submitter, Operator, Finance, Auditor, Admin},
		"submit": {Submitter, Operator, Admin},
		"ask":    {Submitter, Operator, Admin},
		"decide": {Operator, Admin}, "pause": {Operator, Admin},
		"night": {Operator, Finance, Admin}, "cases": {Operator, Finance, Admin}, "approve": {Finance, Admin}, "settle": {Finance, Admin},
		"keys": {Admin}, "webhooks": {Admin}, "unmask": {Operator, Admin}, "patients": {Operator, Admin}, "audit": {Auditor, Admin},
	}
	own := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	foreign := w.submit("xihu", core.PaymentSettle, payment("A1"))

	var doc struct {
		Paths map[string]map[string]struct {
			Right string   `json:"x-right"`
			Roles []string `json:"x-roles"`
		} `json:"paths"`
	}
	w.do("", "GET", "/openapi.json", nil).into(t, &doc)
	revoked := w.key(Admin, "xihu")
	must(t, w.store.RevokeKey(t.Context(), keyID(w, revoked)))

	people := map[Role]string{}
	for _, role := range []Role{Submitter, Operator, Finance, Auditor, Admin} {
		people[role] = w.person(Grant{role, []string{"dongshan"}}, Grant{Auditor, []string{"xihu"}})
	}

	asked := 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			method := strings.ToUpper(method)
			scoped := strings.Contains(path, "{hospital}") || strings.HasPrefix(path, "/v1/messages/{id}")
			request := func(hospital string, message int64) (string, any) {
				p := strings.NewReplacer("{hospital}", hospital, "{day}", "2026-01-05", "{file}", "2026-01-05.json", "{repair}", "1", "{n}", "1", "{p}", "1").Replace(path)
				if strings.HasPrefix(path, "/v1/messages/") {
					p = strings.ReplaceAll(p, "{id}", fmt.Sprint(message))
				}
				p = strings.ReplaceAll(p, "{id}", "999999")
				if strings.HasSuffix(path, "/settlements") && method == "GET" {
					p += "?from=2026-01-05&to=2026-01-05"
				}
				if method != "POST" {
					return p, nil
				}
				return p, bodyFor(path)
			}
			name := method + " " + path

			p, body := request("dongshan", own)
			for who, key := range map[string]string{"nobody": "", "a revoked key": revoked, "a made up key": "hk_" + strings.Repeat("a", 12) + "_" + strings.Repeat("a", 52), "a session that is over": "cs_over"} {
				if a := w.do(key, method, p, body); a.status != http.StatusUnauthorized || a.problem(t).Type != "/problems/unauthenticated" || a.header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s as %s: %d", name, who, a.status)
				}
			}
			for _, role := range []Role{Submitter, Operator, Finance, Auditor, Admin} {
				key := w.key(role, "dongshan")
				may := slices.Contains(roles[op.Right], role)
				if roles[op.Right] == nil {
					t.Fatalf("%s needs the right %q, which nobody explained here", name, op.Right)
				}
				if slices.Contains(op.Roles, string(role)) != may {
					t.Errorf("%s: the document says %v", name, op.Roles)
				}
				p, body := request("dongshan", own)
				a := w.do(key, method, p, body)
				asked++
				if forbidden := a.status == http.StatusForbidden && a.problem(t).Type == "/problems/forbidden"; forbidden == may || a.status == http.StatusUnauthorized {
					t.Errorf("%s as %s: %d, may %v: %s", name, role, a.status, may, a.text)
				}
				p, body = request("dongshan", own)
				a = w.do(people[role], method, p, body)
				program := slices.Contains([]string{"submit", "ask"}, op.Right) // no person's, whatever the role
				mayAlso := !program && (may || !scoped && slices.Contains(roles[op.Right], Auditor))
				if forbidden := a.status == http.StatusForbidden && a.problem(t).Type == "/problems/forbidden"; forbidden == mayAlso || a.status == http.StatusUnauthorized {
					t.Errorf("%s as a person who is %s: %d, may %v: %s", name, role, a.status, mayAlso, a.text)
				}
				if !scoped {
					continue
				}
				p, body = request("xihu", foreign)
				a = w.do(key, method, p, body)
				switch {
				case !may && a.status != http.StatusForbidden:
					t.Errorf("%s as %s at another hospital: %d", name, role, a.status)
				case may && role != Admin && (a.status != http.StatusNotFound || a.problem(t).Type != "/problems/not-found"):
					t.Errorf("%s as %s at another hospital: %d %s", name, role, a.status, a.text)
				}
				p, body = request("nowhere", 999998)
				if a := w.do(people[role], method, p, body); may && !program && role != Admin && a.status != http.StatusNotFound {
					t.Errorf("%s as a person who is %s at a hospital that is none: %d %s", name, role, a.status, a.text)
				}
				if role == Admin {
					continue
				}
				p, body = request("xihu", foreign)
				a = w.do(people[role], method, p, body)
				if elsewhere := slices.Contains(roles[op.Right], Auditor); (a.status == http.StatusForbidden) == elsewhere {
					t.Errorf("%s as a person who is %s at one hospital and auditor at this: %d %s", name, role, a.status, a.text)
				}
			}
		}
	}
	if asked < 90 {
		t.Errorf("only %d questions were asked", asked)
	}
}

// bodyFor is a body that the schema of an operation takes.
func bodyFor(path string) any {
	note := map[string]any{"note": "a test"}
	kind := core.Kind(path[strings.LastIndex(path, "/")+1:])
	if t, ok := core.Lookup(kind); ok {
		return sampleOf(t)
	}
	for pattern, body := range map[string]any{
		`messages/\{id\}/release$`:          map[string]any{"decision": "again", "note": "a test"},
		`/unmask$`:                          map[string]any{"purpose": "a test"},
		`supersede$`:                        map[string]any{"correction": payment("A1"), "note": "a test"},
		`v1/keys$`:                          map[string]any{"name": "new", "role": "submitter"},
		`v1/webhooks$`:                      map[string]any{"url": "http://127.0.0.1:1/hook"},
		`(retry|/enable)$`:                  nil,
		`nights:backfill$`:                  map[string]any{"from": "2026-01-05", "to": "2026-01-06"},
		`cases/\{id\}/notes$`:               note,
		`cases/\{id\}/assign$`:              map[string]any{"owner": "finance"},
		`cases/\{id\}/repairs$`:             map[string]any{"action": "write_off", "note": "a test"},
		`\{repair\}/(approve|reject)$`:      note,
		`inbound/\{id\}/decision$`:          map[string]any{"decision": "refused", "words": "a test"},
		`settlements$`:                      map[string]any{"channel": "wechat", "day": "2026-01-05", "amount": 1, "reference": "B1"},
		`\}/(pause|resume|cancel|release)$`: note,
		`proposals/\{p\}/(approve|reject)$`: note,
		`replays/\{id\}/approve$`:           note,
		`\}/limits$`:                        map[string]any{"reset": true, "note": "a test"},
	} {
		if regexp.MustCompile(pattern).MatchString(path) {
			if body != nil && strings.HasSuffix(path, "messages/{id}/release") {
				return map[string]any{"decision": "again", "note": "a test"}
			}
			return body
		}
	}
	return map[string]any{}
}

func keyID(w *world, text string) int64 {
	w.Helper()
	k, err := w.store.Key(w.Context(), prefixOf(text))
	must(w.T, err)
	return k.ID
}

func TestAuthorizationHeader(t *testing.T) {
	w := newWorld(t)
	key := w.key(Submitter, "")
	for header, want := range map[string]int{
		"Bearer " + key: 200, "bearer " + key: 200, "Bearer  " + key: 200, "Basic " + key: 401, key: 401, "Bearer": 401, "Bearer " + key + "x": 401,
		"Bearer " + key[:len(key)-1] + "a": 401, "Bearer " + strings.ToUpper(key): 401,
	} {
		if strings.HasSuffix(key, "a") && strings.HasSuffix(header, "a") && want == 401 {
			continue
		}
		if a := w.do("", "GET", "/v1/hospitals", nil, "Authorization: "+header); a.status != want {
			t.Errorf("%d for a header of %d characters, want %d", a.status, len(header), want)
		}
	}
}

func TestARevokedKeyIsRefusedAtOnceHere(t *testing.T) {
	w := newWorld(t)
	var made NewKeyAnswer
	a := w.do(w.key(Admin, ""), "POST", "/v1/keys", map[string]any{"name": "clinic", "role": "submitter", "hospitals": []string{"dongshan"}})
	a.into(t, &made)
	if a.status != http.StatusCreated {
		t.Fatal(a.text)
	}
	if a := w.do(made.Key, "GET", "/v1/hospitals", nil); a.status != 200 || !strings.Contains(a.text, "dongshan") || strings.Contains(a.text, "xihu") {
		t.Errorf("%d %s", a.status, a.text)
	}
	list := w.do(w.key(Admin, ""), "GET", "/v1/keys", nil)
	if secret := made.Key[strings.LastIndex(made.Key, "_")+1:]; strings.Contains(list.text, secret) || !strings.Contains(list.text, `"clinic"`) || !strings.Contains(list.text, "last_used_at") {
		t.Error("the list shows a secret, or lacks the key or its use")
	}
	if a := w.do(w.key(Admin, ""), "DELETE", fmt.Sprintf("/v1/keys/%d", made.ID), nil); a.status != http.StatusNoContent {
		t.Errorf("%d", a.status)
	}
	if a := w.do(made.Key, "GET", "/v1/hospitals", nil); a.status != 401 {
		t.Errorf("%d after it was revoked", a.status)
	}
	for _, body := range []map[string]any{{"name": "x", "role": "submitter", "hospitals": []string{"dongshan", "nowhere"}}, {"name": "x", "role": "admin", "hospitals": []string{"dongshan"}}} {
		if p := w.do(w.key(Admin, ""), "POST", "/v1/keys", body).problem(t); p.Status != 422 {
			t.Errorf("%+v", p)
		}
	}
}
