package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/alert"
	"hishub/core/report"
	"hishub/mocks/postbox"
	"hishub/mocks/robots"
	"hishub/mocks/servers"
)

// blackboard is a webhook that notes "hospital kind transition" of each thing it is told.
type blackboard struct {
	*httptest.Server
	mu    sync.Mutex
	notes []string
}

func newBlackboard(t *testing.T) *blackboard {
	b := &blackboard{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var l struct {
			Incidents []struct {
				Hospital, Kind string
				Transitions    []string
			}
		}
		_ = json.NewDecoder(r.Body).Decode(&l)
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, i := range l.Incidents {
			for _, tr := range i.Transitions {
				b.notes = append(b.notes, i.Hospital+" "+i.Kind+" "+tr)
			}
		}
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *blackboard) times(note string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, one := range b.notes {
		if one == note {
			n++
		}
	}
	return n
}

// Two hubs, a HIS whose clock is an hour slow and whose certificates end, codes that
// nobody mapped: people are told of each once, where they are, and once when it is
// over; a SIGHUP changes who and from when on.
func TestAlertsOfRunningHubs(t *testing.T) {
	his, board := newSecureHIS(t), newBlackboard(t)
	r, err := robots.Start(t.Context(), robots.Options{})
	ok(t, err)
	t.Cleanup(func() { r.Close() })
	mail, err := postbox.Start(t.Context(), postbox.Options{})
	ok(t, err)
	t.Cleanup(func() { mail.Close() })
	trust, file := filepath.Join(t.TempDir(), "mail.crt"), filepath.Join(t.TempDir(), "alerts.yaml")
	ok(t, os.WriteFile(trust, mail.Authority, 0o600))
	write := func(thresholds string) {
		ok(t, os.WriteFile(file, []byte(`thresholds: {`+thresholds+`}
routes:
  duty: {wecom: {key: "${WECOM_KEY}", base: "`+r.URL()+`"}, severity: critical, gather: 1s}
  office: {dingtalk: {token: "${DINGTALK_TOKEN}", secret: "${DINGTALK_SECRET}", base: "`+r.URL()+`"}, kinds: [parked, codes], gather: 1s}
  it: {mail: {to: it@clinic.example}, kinds: [clock], language: en, gather: 1s}
  board: {webhook: {url: "`+board.URL+`"}, gather: 1s}
`), 0o600))
	}
	write("parked_growth: 2")
	env := environment("DATABASE_URL="+servers.Postgres(t), "HISHUB_KEY_FILE="+t.TempDir()+"/key", "HISHUB_CREATE_KEY=true", "HISHUB_ALERTS="+file,
		"WECOM_KEY="+robots.WeComKey, "DINGTALK_TOKEN="+robots.DingTalkToken, "DINGTALK_SECRET="+robots.DingTalkSecret,
		"HISHUB_MAIL_SERVER="+mail.Addr(), "HISHUB_MAIL_FROM=hub@clinic.example", "SSL_CERT_FILE="+trust)
	o := &outage{TB: t, env: append(env, his.env...)}
	o.hub = startHub(t, o.env, "--no-clinic")
	o.hishub("hospital", "apply", his.folder)
	o.key = strings.TrimSpace(o.hishub("key", "new", "--name", "alerts", "--role", "operator"))
	var ids []int64
	for i := range 2 {
		rx := written(fmt.Sprintf("RX%d", i), fmt.Sprintf("V%d", i), 1)
		rx.DepartmentCode, rx.PharmacistCode = "D02", "P001"
		var accepted core.Accepted
		o.call(http.MethodPost, "/v1/hospitals/h9/messages/prescription.create", rx, &accepted)
		ids = append(ids, accepted.ID)
	}
	told := func(notes ...string) {
		t.Helper()
		for _, n := range notes {
			within(t, 60*time.Second, n, func() bool { return board.times(n) > 0 })
		}
	}
	told("h9 parked opened", "h9 parked_growth opened", "h9 clock opened", "h9 certificate opened", "h9 certificate_ends opened")
	// The codes of the worklist are counted once a minute, and at the start.
	second := startHub(t, o.env, "--no-clinic")
	o.hub.stop()
	o.hub = second
	told("h9 codes opened")

	for _, id := range ids {
		o.hishub("message", "cancel", fmt.Sprint(id), "--note", "a test")
	}
	told("h9 parked resolved", "h9 parked_growth resolved")
	write("clock: 2h")
	ok(t, o.hub.cmd.Process.Signal(syscall.SIGHUP))
	told("h9 clock resolved")
	if list := o.hishub("incident", "list"); !strings.Contains(list, "codes") || strings.Contains(list, "clock") {
		t.Errorf("open:\n%s", list)
	}
	o.hub.stop()
	// The hub's own certificate.
	authority := newAuthority(t, "api")
	cert, key := authority.files("api")
	o.hub = startHub(t, o.env, "--no-clinic", "--tls-cert", cert, "--tls-key", key)
	told(" certificate_ends opened")
	o.hub.stop()
	o.hub = startHub(t, o.env, "--no-clinic")
	told(" certificate_ends resolved", " certificate resolved")

	board.mu.Lock()
	notes := slices.Clone(board.notes)
	board.mu.Unlock()
	slices.Sort(notes)
	if len(slices.Compact(slices.Clone(notes))) != len(notes) {
		t.Errorf("told twice: %q", notes)
	}
	within(t, 30*time.Second, "mail about the clock", func() bool { return len(mail.Letters()) == 2 })
	for _, l := range mail.Letters() {
		if !l.Private || l.To[0] != "it@clinic.example" || !strings.Contains(l.Text, "clock is off") {
			t.Errorf("%+v", l)
		}
	}
	var all strings.Builder
	for _, m := range r.Messages() {
		all.WriteString(m.Robot + ": " + m.Title + m.Text + "\n")
	}
	for _, l := range mail.Letters() {
		all.WriteString(l.Text)
	}
	for _, want := range []string{"证书马上到期或已到期", "本平台", "测试医院（h9）：有未对照的编码", "有消息待人工处理"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("nobody was told %s:\n%s", want, all.String())
		}
	}
	if strings.Contains(all.String(), "张三") || strings.Contains(all.String(), "RX0") || strings.Contains(all.String(), "D02") {
		t.Error("a patient, a number or a value is in an alert")
	}
	page := scraped(t, o.hub.address)
	if !strings.Contains(page, `hishub_alerts_total{result="sent",route="board"} `) {
		t.Error("alerts are not counted")
	}
	for _, w := range []*process{o.hub, second} {
		if said := w.words.last(); strings.Contains(said, robots.WeComKey) || strings.Contains(said, robots.DingTalkSecret) {
			t.Error("a secret is in the log")
		}
	}
}

func scraped(t *testing.T, address string) string {
	t.Helper()
	answer, err := http.Get(address + "/metrics")
	ok(t, err)
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	ok(t, err)
	return string(page)
}

// The file that is deployed, and the one that the docs show, load.
func TestShownAlertsFiles(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join(repository(t), "docs", "operations.md"))
	ok(t, err)
	_, shown, found := strings.Cut(string(docs), "```yaml\nurl: ")
	shown, _, closed := strings.Cut(shown, "```")
	if !found || !closed {
		t.Fatal("the docs show no alerts file")
	}
	for name, text := range map[string]string{"deploy/alerts.yaml": deployed(t, "alerts.yaml"), "docs/operations.md": "url: " + shown} {
		plan, err := alert.Load([]byte(text), alert.Options{File: name, Env: func(string) (string, bool) { return "secret", true }, Mail: &report.Mailer{}})
		if err != nil || len(plan.Routes) != 4 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
