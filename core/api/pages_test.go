package api

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"hishub/core"
)

// browser is a person with cookies.
type browser struct {
	*world
	client *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	must(w.T, err)
	return &browser{w, &http.Client{Jar: jar}}
}

func (b *browser) open(path string) (int, string) {
	b.Helper()
	a, err := b.client.Get(b.server.URL + path)
	must(b.T, err)
	defer a.Body.Close()
	text, _ := io.ReadAll(a.Body)
	return a.StatusCode, string(text)
}

func (b *browser) post(path string, form url.Values, headers ...string) (int, string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, b.server.URL+path, strings.NewReader(form.Encode()))
	must(b.T, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	a, err := b.client.Do(r)
	must(b.T, err)
	defer a.Body.Close()
	text, _ := io.ReadAll(a.Body)
	return a.StatusCode, string(text)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (b *browser) signIn(key string) (csrf string) {
	b.Helper()
	status, text := b.post("/pages/login", url.Values{"key": {key}})
	found := csrfField.FindStringSubmatch(text)
	if status != 200 || found == nil {
		b.Fatalf("sign in: %d %s", status, text)
	}
	return found[1]
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	w.his.wire = func(core.Body) ([]byte, []byte) {
		return []byte("<n>张三测试</n><script>alert(1)</script>"), []byte("<r>no</r>")
	}
	w.his.say(func(b core.Body) core.Verdict {
		if _, ok := b.(*core.LedgerQuery); ok {
			return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Ledger{}}
		}
		return core.Verdict{Outcome: core.OutcomeRejected, Words: "医生未备案 <b>"}
	})
	w.dispatch()
	id := w.submit("dongshan", core.PrescriptionCreate, prescription("R1"))
	behind := w.submit("dongshan", core.PaymentSettle, func() *core.Payment { p := payment("A1"); p.VisitNo = "VR1"; return p }())
	foreign := w.submit("xihu", core.PrescriptionCreate, prescription("R1"))
	w.await(id, core.EventParked)
	w.await(foreign, core.EventParked)

	b := w.browser()
	for _, path := range []string{"/", "/pages/hospitals", "/pages/messages", fmt.Sprint("/pages/messages/", id)} {
		if _, text := b.open(path); !strings.Contains(text, `action="/pages/login"`) {
			t.Errorf("%s is open to all", path)
		}
	}
	if status, text := b.post("/pages/login", url.Values{"key": {"hk_wrong"}}); status != 401 || !strings.Contains(text, "unknown or revoked") || strings.Contains(text, "hk_wrong") {
		t.Errorf("a wrong key: %d %s", status, text)
	}
	key := w.key(Operator, "dongshan")
	csrf := b.signIn(key)
	at, _ := url.Parse(w.server.URL)
	for _, c := range b.client.Jar.Cookies(at) {
		if strings.Contains(key, c.Value) {
			t.Error("the cookie holds the key")
		}
	}

	see := func(path string, want ...string) string {
		t.Helper()
		status, text := b.open(path)
		if status != 200 {
			t.Errorf("%s: %d", path, status)
		}
		for _, s := range want {
			if !strings.Contains(text, s) {
				t.Errorf("%s lacks %q: %s", path, s, text)
			}
		}
		if strings.Contains(text, "三测试") || strings.Contains(text, "<script") || strings.Contains(text, "999999199001010016") || strings.Contains(text, "style=") {
			t.Errorf("%s names the patient, or holds a script or style", path)
		}
		return text
	}
	if text := see("/pages/hospitals", "DONGSHAN", "needs a look", "Pause"); strings.Contains(text, "XIHU") {
		t.Error("another hospital is shown")
	}
	see("/pages/messages", "R1", "A1", fmt.Sprint("behind ", id))
	see("/pages/messages?number=R1&state=parked&hospital=dongshan", "R1")
	see("/pages/messages?number=none", "Nothing here")
	see(fmt.Sprint("/pages/messages/", id), "parked", "医生未备案 &lt;b&gt;", "张***", "&lt;script&gt;", "the HIS refused it", "Release")
	see(fmt.Sprint("/pages/messages/", behind), fmt.Sprintf("Waits behind <a href=\"/pages/messages/%d\">", id))
	see("/pages/parked", "R1", "医生未备案", "The HIS has it")
	see("/pages/nights", "No night was run yet", "Compare now")
	if status, _ := b.open(fmt.Sprint("/pages/messages/", foreign)); status != 404 {
		t.Errorf("another hospital's message: %d", status)
	}
	if status, _ := b.open("/pages/messages?hospital=xihu"); status != 404 {
		t.Errorf("another hospital's list: %d", status)
	}

	release := fmt.Sprintf("/pages/messages/%d/release", id)
	for name, try := range map[string]struct {
		form    url.Values
		headers []string
	}{
		"without the token":    {url.Values{"note": {"x"}}, nil},
		"with another's token": {url.Values{"note": {"x"}, "csrf": {"guess"}}, nil},
		"from another site":    {url.Values{"note": {"x"}, "csrf": {csrf}}, []string{"Sec-Fetch-Site: cross-site"}},
	} {
		if status, _ := b.post(release, try.form, try.headers...); status != 403 {
			t.Errorf("%s: %d", name, status)
		}
	}
	if d := w.detail(key, id); d.State != "parked" {
		t.Fatalf("a forged form was believed: %+v", d.Message)
	}
	w.his.say(nil)
	if status, text := b.post(release, url.Values{"csrf": {csrf}, "note": {"the doctor is registered now"}}); status != 200 || !strings.Contains(text, "the doctor is registered now") {
		t.Errorf("release: %d %s", status, text)
	}
	w.await(id, core.EventDelivered)
	w.await(behind, core.EventDelivered)
	see(fmt.Sprint("/pages/messages/", id), "HIS-R1", "delivered")

	w.his.say(func(core.Body) core.Verdict { return core.Verdict{Outcome: core.OutcomeOK, Answer: &core.Ledger{}} })
	if status, text := b.post("/pages/nights", url.Values{"csrf": {csrf}, "hospital": {"dongshan"}, "day": {"2026-01-05"}}); status != 200 || !strings.Contains(text, "missing_at_his") || !strings.Contains(text, "1 to look into") {
		t.Errorf("night: %d %s", status, text)
	}
	if status, text := b.post("/pages/hospitals/dongshan/pause", url.Values{"csrf": {csrf}, "note": {"repairs"}}); status != 200 || !strings.Contains(text, "paused by operator dongshan") {
		t.Errorf("pause: %d %s", status, text)
	}
	if status, _ := b.post("/pages/hospitals/xihu/pause", url.Values{"csrf": {csrf}, "note": {"repairs"}}); status != 404 {
		t.Errorf("pause of another hospital: %d", status)
	}

	// A submitter sees, and decides nothing.
	s := w.browser()
	csrf = s.signIn(w.key(Submitter, "dongshan"))
	if _, text := s.open("/pages/hospitals"); strings.Contains(text, "Resume") || strings.Contains(text, "/pages/nights") {
		t.Error("a submitter gets buttons")
	}
	if status, _ := s.post(release, url.Values{"csrf": {csrf}, "note": {"x"}}); status != 403 {
		t.Errorf("a submitter releases: %d", status)
	}
	if status, _ := s.open("/pages/nights"); status != 403 {
		t.Errorf("a submitter sees nights: %d", status)
	}

	// Signed out, or with a revoked key, the pages are closed.
	if _, text := b.post("/pages/logout", nil); !strings.Contains(text, `action="/pages/login"`) {
		t.Error("signed out, and still in")
	}
	if _, text := b.open("/pages/hospitals"); !strings.Contains(text, `action="/pages/login"`) {
		t.Error("signed out, and the cookie still opens")
	}
	must(t, w.store.RevokeKey(t.Context(), keyID(w, w.key(Submitter, "dongshan"))))
	w.do(w.key(Admin, ""), "DELETE", "/v1/keys/999", nil) // a revocation here makes every key be looked up again
	if _, text := s.open("/pages/hospitals"); !strings.Contains(text, `action="/pages/login"`) {
		t.Error("the key is revoked, and its visit goes on")
	}
}

func TestPagesOfASecondPerson(t *testing.T) {
	w := newWorld(t)
	w.his.say(func(core.Body) core.Verdict { return core.Verdict{Outcome: core.OutcomeRejected, Words: "no"} })
	w.dispatch()
	id := w.submit("dongshan", core.PaymentSettle, payment("A1"))
	w.await(id, core.EventParked)
	corrected := payment("A1")
	corrected.Amount = 1300
	var s Superseding
	w.do(w.key(Operator, "dongshan"), "POST", messages(id)+"/supersede", map[string]any{"correction": corrected, "note": "the till was wrong"}).into(t, &s)

	one, other := w.browser(), w.browser()
	csrf := one.signIn(w.key(Operator, "dongshan"))
	approve := fmt.Sprintf("/pages/messages/%d/proposals/%d/approve", id, s.Proposal)
	if status, text := one.post(approve, url.Values{"csrf": {csrf}, "note": {"fine"}}); status != 403 || !strings.Contains(text, "a second person must do this") {
		t.Errorf("approved by the same: %d %s", status, text)
	}
	csrf = other.signIn(w.key(Operator, ""))
	if _, text := other.open(fmt.Sprint("/pages/messages/", id)); !strings.Contains(text, "the till was wrong") || !strings.Contains(text, "&#34;amount&#34;: 1300") || strings.Contains(text, "三测试") {
		t.Errorf("%s", text)
	}
	if status, text := other.post(approve, url.Values{"csrf": {csrf}, "note": {"checked"}}); status != 200 || !strings.Contains(text, "Supersedes") {
		t.Errorf("approved: %d %s", status, text)
	}
}

func TestPagesCookie(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Secure = true })
	a := w.do("", "POST", "/pages/login", "key="+w.key(Operator, ""), "Content-Type: application/x-www-form-urlencoded")
	c := a.header.Get("Set-Cookie")
	if a.status != http.StatusSeeOther || !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Strict") || !strings.Contains(c, "Secure") {
		t.Errorf("%d %q", a.status, c)
	}
}
