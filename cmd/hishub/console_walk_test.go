package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/mocks/fault"
	"hishub/mocks/prochis"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/console"
)

// newConsole is 江湾 with a hub and its clinic, where people work.
func newConsole(tb testing.TB) *outage {
	tb.Helper()
	o := &outage{TB: tb}
	hisURL, hubURL := servers.Postgres(tb), servers.Postgres(tb)
	var err error
	o.his, err = prochis.Start(context.Background(), prochis.Options{DSN: hisURL})
	ok(tb, err)
	tb.Cleanup(func() { _ = o.his.Close() })
	o.env = environment("DATABASE_URL="+hubURL, "HISHUB_KEY_FILE="+filepath.Join(tb.TempDir(), "key"), "HISHUB_CREATE_KEY=true",
		"JIANGWAN_DSN="+o.his.DSN(), "JIANGWAN_LEDGER_DSN="+o.his.DSN())
	o.hub = startHub(tb, o.env)
	o.hishub("hospital", "apply", filepath.Join(repository(tb), "mapping", "hospitals", "jiangwan"))
	o.key = strings.TrimSpace(o.hishub("key", "new", "--name", "console", "--role", "operator"))
	o.ledger, err = pgxpool.New(context.Background(), hubURL)
	ok(tb, err)
	tb.Cleanup(o.ledger.Close)
	return o
}

// invites somebody with a role, and returns the invitation.
func (o *outage) invites(name, role, hospital string) string {
	o.Helper()
	return strings.TrimSpace(o.hishub("person", "invite", name, "--title", "测试"+name, "--role", role, "--hospital", hospital))
}

// inDoubt submits a visit whose payment the HIS takes without an answer, and whose
// question it does not answer either, until a person must decide. It returns the payment.
func (o *outage) inDoubt(visit int) (message int64) {
	o.Helper()
	ok(o, o.his.AddFaults(context.Background(), []fault.Rule{{Fault: fault.CutAfterCommit, Operation: "zl_third_payment", Times: 1}, {Fault: fault.CutBefore, Operation: "zl_third_swapstaut"}}))
	o.visits(visit, visit+1)
	within(o, time.Minute, "the payment is asked about", func() bool {
		return o.number(o.ledger, `select count(*) from hub.queue where state = 'queued' and progress ->> 'phase' = 'inquire' and coalesce((progress ->> 'inquiries')::integer, 0) > 0 and lease_until is null`) == 1
	})
	// As after a day without answers; the next one is too much.
	o.exec(o.ledger, `update hub.queue set due = clock_timestamp(), progress = progress || '{"inquiries": 1500}' where progress ->> 'phase' = 'inquire'`)
	within(o, time.Minute, "the payment is parked", func() bool { return o.number(o.ledger, `select count(*) from hub.queue where state = 'parked'`) == 1 })
	ok(o, o.his.ClearFaults(context.Background()))
	return int64(o.number(o.ledger, `select message from hub.queue where state = 'parked'`))
}

// search is the field that every page has.
const search = "Order, visit or HIS number…"

// A member of staff comes with an invitation, sees on the overview that something waits,
// finds why, has the HIS asked, and sees it delivered: once.
func TestConsoleSettlesWhatIsInDoubt(t *testing.T) {
	t.Parallel()
	o := newConsole(t)
	o.visits(0, 1)
	within(t, time.Minute, "a visit is told", func() bool { return o.delivered() == 3 })

	b := newBrowser(t, o.hub.address, "en-US")
	b.open("")
	b.accessible("sign in")
	b.joins("wang", o.invites("wang", "ops", "jiangwan"))
	b.sees("江湾", "Fine", "There are no incidents now.")

	// The token is where no script comes to it.
	var kept string
	b.js(`document.cookie + '|' + JSON.stringify({...localStorage, ...sessionStorage})`, &kept)
	cookie := b.cookies()["hishub_console"]
	if strings.Contains(kept, "cs_") || cookie == nil || !cookie.HTTPOnly || cookie.SameSite != "Strict" {
		t.Errorf("scripts see %s; the cookie: %+v", kept, cookie)
	}

	// It comes by itself, without a reload.
	message := o.inDoubt(1)
	b.sees("Needs a look")
	b.accessible("overview")
	b.keys("gp")
	b.sees("P"+visitOf(1), "In doubt")
	b.js(`document.querySelector('.ant-table-row-expand-icon').click()`, nil)
	b.sees("Ask the HIS first", "1 wait behind it")
	b.accessible("parked")
	b.press("Ask the HIS now")
	b.press("Ask the HIS now") // in the question, without saying why
	b.sees("Say why; it is kept in the audit")
	b.fill("Why", "their network was down")
	b.press("Ask the HIS now")
	b.sees("Nothing is parked.")
	within(t, time.Minute, "all is told", func() bool { return o.delivered() == 6 })

	// Found again by its number, with what was said and answered, and who decided.
	b.keys("/")
	var focused string
	b.js(`document.activeElement.getAttribute('aria-label')`, &focused)
	if focused != search {
		t.Errorf("/ leads to %q", focused)
	}
	b.fill(search, "P"+visitOf(1))
	b.keys("\r")
	b.press(fmt.Sprint(message))
	b.sees("Delivered", "zl_third_swapstaut", "测试wang (account", "their network was down", "Canonical content")
	b.misses("张三测试")
	b.accessible("message")
	b.press("Compare two exchanges")
	b.sees("no. ")
	b.accessible("comparison")
	b.sound()

	books, err := o.his.Books(t.Context())
	ok(t, err)
	if n := settled(books, "P"+visitOf(1)); n != 1 {
		t.Errorf("the HIS has the payment %d times", n)
	}

	// At another hospital there is nothing to see, nor here for who is at another.
	c := newBrowser(t, o.hub.address, "zh-CN")
	invitation := o.invites("li", "ops", "elsewhere")
	c.joinsInChinese("li", invitation)
	c.open("messages/" + fmt.Sprint(message))
	c.sees("没有找到，或不属于您的医院")
	c.misses("P" + visitOf(1))
	c.open("messages")
	c.sees("没有符合条件的消息")
	c.sound()

	b.do("close", closeDialog)
	b.press("Sign out")
	b.sees("Please sign in.")
	if b.cookies()["hishub_console"] != nil {
		t.Error("the cookie is still there")
	}
}

// A session in a cookie is good for pages of ours alone.
func TestBrowsersSession(t *testing.T) {
	o := newOffice(t, "")
	ask := func(method, path, body string, headers ...string) (int, http.Header, string) {
		t.Helper()
		r, err := http.NewRequest(method, o.address+path, strings.NewReader(body))
		ok(t, err)
		r.Header.Set("Content-Type", "application/json")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Add(name, value)
		}
		a, err := http.DefaultClient.Do(r)
		ok(t, err)
		defer a.Body.Close()
		var text json.RawMessage
		_ = json.NewDecoder(a.Body).Decode(&text)
		return a.StatusCode, a.Header, string(text)
	}
	in := o.member("li", clinic.Grant{Role: clinic.Nurse, Hospital: "h1"})
	body := fmt.Sprintf(`{"ticket": %q, "recovery": %q, "device": {"channel": "web"}}`, o.ticket("li"), in.Recovery[0])
	const ours, path = console.Header + ": 1", "/clinic/v1/sessions/second-factor"
	if status, header, _ := ask("POST", path, body, ours, "Origin: https://elsewhere.example"); status != 403 || header.Get("Set-Cookie") != "" {
		t.Errorf("signed in from elsewhere: %d", status)
	}
	status, header, text := ask("POST", path, body, ours, "Sec-Fetch-Site: same-origin")
	set, err := http.ParseSetCookie(header.Get("Set-Cookie"))
	ok(t, err)
	if status != 200 || strings.Contains(text, "cs_") || !strings.Contains(text, `"session"`) || !set.HttpOnly || set.SameSite != http.SameSiteStrictMode || set.Path != "/" || !strings.HasPrefix(set.Value, "cs_") {
		t.Fatalf("%d %s %+v", status, text, set)
	}
	cookie := "Cookie: " + set.Name + "=" + set.Value
	for _, c := range []struct {
		name, method, path string
		headers            []string
		status             int
	}{
		{"a look", "GET", "/clinic/v1/console/me", []string{cookie}, 200},
		{"a look from another site", "GET", "/clinic/v1/console/me", []string{cookie, "Sec-Fetch-Site: cross-site"}, 403},
		{"a look from a neighbour's page", "GET", "/clinic/v1/console/me", []string{cookie, "Sec-Fetch-Site: same-site"}, 403},
		{"an act without the header", "DELETE", "/clinic/v1/sessions/none", []string{cookie, "Sec-Fetch-Site: same-origin"}, 403},
		{"an act from another site", "DELETE", "/clinic/v1/sessions/none", []string{cookie, ours, "Sec-Fetch-Site: cross-site"}, 403},
		{"an act of another origin", "DELETE", "/clinic/v1/sessions/none", []string{cookie, ours, "Origin: https://elsewhere.example"}, 403},
		{"an act of ours", "DELETE", "/clinic/v1/sessions/none", []string{cookie, ours, "Sec-Fetch-Site: same-origin"}, 404},
		{"the hub, without a role there", "GET", "/v1/hospitals", []string{cookie}, 403},
		{"nobody", "GET", "/clinic/v1/console/me", nil, 401},
		{"a token as everybody sends it", "GET", "/clinic/v1/console/me", []string{"Authorization: Bearer " + set.Value}, 200},
		{"pages of the hub do not know it", "GET", "/metrics", []string{cookie, "Sec-Fetch-Site: cross-site"}, 200},
		{"signing out", "DELETE", "/clinic/v1/session", []string{cookie, ours, "Sec-Fetch-Site: same-origin"}, 204},
		{"after that", "GET", "/clinic/v1/console/me", []string{cookie}, 401},
	} {
		status, header, text := ask(c.method, c.path, "", c.headers...)
		if status != c.status {
			t.Errorf("%s: %d, want %d: %s", c.name, status, c.status, text)
		}
		if c.name == "signing out" && !strings.Contains(header.Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("the cookie stays: %q", header.Get("Set-Cookie"))
		}
	}
}
