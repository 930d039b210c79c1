package rest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hishub/core"
)

// A link that a HIS gives, as to the next page, is followed below the base and
// nowhere else.
func TestLinks(t *testing.T) {
	for link, want := range map[string]string{
		"/MedicationRequest?a=1":                          "/fhir/MedicationRequest?a=1",
		"http://his.example:8080/fhir?_getpages=1&o=20":   "/fhir/?_getpages=1&o=20",
		"http://his.example:8080/fhir/Patient?x=%7C1":     "/fhir/Patient?x=%7C1",
		"http://HIS.example:8080/fhir/a%2Fb":              "/fhir/a%2Fb",
		"https://inner.example/r4?_getpages=2":            "/fhir/?_getpages=2",
		"https://inner.example:443/r4/Patient":            "/fhir/Patient",
		"http://evil.example/fhir?_getpages=1":            "",
		"http://his.example:8081/fhir?_getpages=1":        "",
		"https://his.example:8080/fhir?_getpages=1":       "",
		"http://his.example:8080/other":                   "",
		"http://his.example:8080/fhirother":               "",
		"http://his.example:8080/fhir.evil":               "",
		"http://his.example:8080/fhir%2e":                 "",
		"http://his.example:8080/fhir/..;/admin":          "",
		"/../admin":                                       "",
		"/a/../../admin?x=1":                              "",
		"/%2e%2e/admin":                                   "",
		"/%252e%252e/admin":                               "",
		"/..%2fadmin":                                     "",
		"/..;x=1/admin":                                   "",
		"/%2e%2e%3bx/admin":                               "",
		"/..\\admin":                                      "",
		"/.":                                              "",
		"/a..b/.c/...?next=/../x":                         "/fhir/a..b/.c/...?next=/../x",
		"http://his.example:8080/fhir/../admin":           "",
		"http://his.example:8080/fhir/%2e%2e/admin":       "",
		"http://his.example:8080/fhir/..%2fadmin":         "",
		"http://his.example:8080@evil.example/fhir":       "",
		"http://me:secret@his.example:8080/fhir":          "",
		"http://his.example:8080/fhir#part":               "",
		"//evil.example/fhir":                             "",
		"http:evil.example/fhir":                          "",
		"ftp://his.example:8080/fhir":                     "",
		"his.example:8080/fhir":                           "",
		"http://his.example:8080\\@evil.example/fhir?a=1": "",
	} {
		c := open(t, map[string]any{"base": "http://his.example:8080/fhir", "known_as": "https://inner.example/r4/"})
		got, err := c.Write(core.Request{Operation: "GET " + link})
		if want == "" {
			if core.ClassOf(err) != core.Invalid {
				t.Errorf("%s: %q, %v; want a refusal", link, got, err)
			}
			continue
		}
		if err != nil || string(got) != "GET "+want+" HTTP/1.1\n\n" {
			t.Errorf("%s: %q, %v", link, got, err)
		}
	}
}

// What only begins like the base is not below it.
func TestALinkBesideTheBase(t *testing.T) {
	c := open(t, map[string]any{"base": "https://h/api/v1"})
	for _, link := range []string{"https://h/api/v1evil", "https://h/api/v1evil/x", "https://h/api/v1;x/y", "https://h/api/v1@evil.example/"} {
		if got, err := c.Write(core.Request{Operation: "GET " + link}); core.ClassOf(err) != core.Invalid {
			t.Errorf("%s: %q, %v; want a refusal", link, got, err)
		}
		if got, err := c.within(link); err == nil {
			t.Errorf("%s is taken for %q below the base", link, got)
		}
	}
	if got, err := c.Write(core.Request{Operation: "GET https://h/api/v1/x"}); err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestALinkElsewhereIsNotCalled(t *testing.T) {
	called := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called++ }))
	defer elsewhere.Close()
	his := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called++ }))
	defer his.Close()
	c := open(t, map[string]any{"base": his.URL})
	_, err := c.Call(t.Context(), core.Request{Operation: "GET " + elsewhere.URL + "/fhir?_getpages=1", Headers: []core.Field{{Name: "Authorization", Value: "Bearer s3cret"}}})
	if core.ClassOf(err) != core.Invalid || called != 0 || !strings.Contains(err.Error(), "known_as") {
		t.Errorf("%v, %d called", err, called)
	}
	if strings.Contains(err.Error(), elsewhere.URL) {
		t.Errorf("the error holds what the HIS said: %v", err)
	}
}

func FuzzLink(f *testing.F) {
	for _, link := range []string{"http://his.example:8080/fhir?a=1", "/x", "http://evil.example", "http://his.example:8080/fhir/%2e%2e/a", "//a", "?b"} {
		f.Add(link)
	}
	c, err := Open(core.ConnectorSpec{Options: map[string]any{"base": "http://his.example:8080/fhir"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, link string) {
		m, err := c.(*Connector).write(core.Request{Operation: "GET " + link})
		if err != nil {
			return
		}
		if u := m.url; u.Host != "his.example:8080" || u.Scheme != "http" || u.User != nil || !strings.HasPrefix(u.EscapedPath(), "/fhir") {
			t.Errorf("%q leads to %s", link, u)
		}
	})
}
