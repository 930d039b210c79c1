package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/platform/clinic"
)

// What a hub answers to a question is, for a process apart, what the hub's own clinic would
// be told.
func TestAskingOverTheHub(t *testing.T) {
	var answer func(w http.ResponseWriter)
	var asked *http.Request
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		asked, body = r, string(text)
		answer(w)
	}))
	t.Cleanup(server.Close)
	h := &hub{}
	var err error
	h.apart, err = newHubAPI(server.URL+"/", "hk_test")
	ok(t, err)
	problem := func(status int, text string, header ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if header != nil {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	ask := func(f func(http.ResponseWriter)) (any, error) {
		answer = f
		return h.askHIS(context.Background(), "h1", core.DoctorList, &core.DictionaryQuery{Code: "D1"})
	}

	got, err := ask(problem(200, `{"answer":{"doctors":[{"code":"D1","name":"测试医生"}]},"as_of":"2026-01-05T10:00:00+08:00"}`))
	ok(t, err)
	if d := got.(*core.Doctors).Doctors; len(d) != 1 || d[0].Code != "D1" {
		t.Errorf("%+v", d)
	}
	if asked.URL.Path != "/v1/hospitals/h1/questions/doctor.list" || asked.URL.Query().Get("now") != "true" || asked.Header.Get("Authorization") != "Bearer hk_test" || !json.Valid([]byte(body)) || !strings.Contains(body, `"D1"`) {
		t.Errorf("asked %s with %s", asked.URL, body)
	}
	answer = problem(200, `{"answer":{"doctors":[]},"as_of":"2026-01-05T10:00:00+08:00"}`)
	_, asOf, err := h.recentOfHIS(context.Background(), "h1", core.DoctorList, &core.DictionaryQuery{})
	ok(t, err)
	if asked.URL.Query().Get("now") != "false" || !asOf.Equal(time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC)) {
		t.Errorf("%s, as of %s", asked.URL, asOf)
	}

	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	fault := func(class core.Class, after time.Duration) func(error) bool {
		return func(err error) bool {
			var f *core.Fault
			return errors.As(err, &f) && f.Class == class && f.RetryAfter == after
		}
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		is     func(error) bool
	}{
		"no such hospital":   {problem(404, `{"type":"/problems/not-found"}`), is(clinic.ErrNotFound)},
		"no such question":   {problem(404, `{"type":"/problems/cannot"}`), is(core.ErrCannot)},
		"refused in silence": {problem(502, `{"type":"/problems/his-refused"}`), is(clinic.ErrState)},
		"refused in words": {problem(502, `{"type":"/problems/his-refused","words":"无此人"}`), func(err error) bool {
			return errors.Is(err, clinic.ErrState) && strings.Contains(err.Error(), "无此人")
		}},
		"cannot be said":      {problem(502, `{"type":"/problems/his-invalid"}`), fault(core.Invalid, 0)},
		"closed":              {problem(503, `{"type":"/problems/his-unavailable"}`, "Retry-After", "60"), fault(core.Unavailable, time.Minute)},
		"too many":            {problem(429, `{"type":"/problems/rate"}`, "Retry-After", "1"), fault(core.Unavailable, time.Second)},
		"the key is revoked":  {problem(401, `{"type":"/problems/unauthenticated"}`), fault(core.Unavailable, 0)},
		"something else":      {problem(500, `<html>`), fault(core.Unavailable, 0)},
		"no answer":           {problem(200, `{`), fault(core.Unavailable, 0)},
		"an answer of no use": {problem(200, `{"answer":7}`), fault(core.Unavailable, 0)},
		"wrong":               {problem(422, `{"type":"/problems/validation","errors":[{"field":"code","what":"no"}]}`), func(err error) bool { var ps core.Problems; return errors.As(err, &ps) && ps[0].Field == "code" }},
	} {
		if _, err := ask(c.answer); !c.is(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	server.Close()
	if _, err := ask(nil); !fault(core.Unavailable, 0)(err) || strings.Contains(err.Error(), "/questions/") {
		t.Errorf("a hub that is gone: %v", err)
	}
}
