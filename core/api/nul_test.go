package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"hishub/core"
)

// A text with NUL is the caller's mistake, named by its field, whether the body is one that
// is read in one pass or not; a text with the six signs \u0000 in it is none.
func TestNULInABody(t *testing.T) {
	w := newWorld(t)
	pay := payment("A1")
	pay.PatientName, pay.Bills = "张三\x00", []string{"B1", "B\x002"}
	p := w.do(w.key(Submitter, ""), "POST", "/v1/hospitals/dongshan/messages/payment.settle", pay).problem(t)
	if want := []core.Problem{{Field: "bills[1]", What: holdsNUL}, {Field: "patient_name", What: holdsNUL}}; p.Status != http.StatusUnprocessableEntity || !slices.Equal(p.Errors, want) {
		t.Errorf("a message: %d %v", p.Status, p.Errors)
	}
	key := func(name string) answerOfAPI {
		return w.do(w.key(Admin, ""), "POST", "/v1/keys", map[string]any{"name": name, "role": "submitter", "hospitals": []string{"dongshan"}})
	}
	p = key("clinic\x00").problem(t)
	if p.Status != http.StatusUnprocessableEntity || len(p.Errors) != 1 || p.Errors[0] != (core.Problem{Field: "name", What: holdsNUL}) {
		t.Errorf("a key: %d %v", p.Status, p.Errors)
	}
	if a := key(`clinic \u0000`); a.status != http.StatusCreated {
		t.Errorf("six signs: %d %s", a.status, a.text)
	}
}

func TestNULsByPlace(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":{"b":["x","\u0000"]},"c":"y\u0000"}`: "a.b[1] c",
		`{"a":"\\u0000"}`:                          "",
		`{"A 张三":{"x":"\u0000"}}`:                  "x", // of that name nothing is said
		`{"a\u0000":1}`:                            "",
		`"\u0000"`:                                 "",
		`{"a":"\u0000"`:                            "",
	} {
		var at []string
		found := nuls([]byte(text))
		for _, p := range found {
			at = append(at, p.Field)
		}
		if got := strings.Join(at, " "); got != want {
			t.Errorf("%s: at %q, want %q", text, got, want)
		}
		if wrong := text == `{"a\u0000":1}` || text == `"\u0000"` || want != ""; (len(found) > 0) != wrong {
			t.Errorf("%s: %v", text, found)
		}
	}
	if n := len(nuls([]byte(`[` + strings.Repeat(`"\u0000",`, 1000) + `1]`))); n != maxNULs {
		t.Errorf("%d places", n)
	}
}
