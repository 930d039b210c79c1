package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/mocks/fault"
	"hishub/mocks/resthis"
	"hishub/mocks/servers"
)

// signedXihu is 西湖 with a key in its signatures.
func signedXihu(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "xihu")
	ok(t, os.CopyFS(dir, os.DirFS(filepath.Join(repository(t), "mapping", "hospitals", "xihu"))))
	ok(t, os.RemoveAll(filepath.Join(dir, "cases"))) // they are of the HIS without a key
	file := filepath.Join(dir, "hospital.yaml")
	text, err := os.ReadFile(file)
	ok(t, err)
	for _, change := range [][2]string{
		{`notice_key: "${XIHU_NOTICE_KEY}"`, `notice_key: "${XIHU_NOTICE_KEY}", key: {now: "${XIHU_KEY}", before: "${XIHU_KEY_BEFORE}"}`},
		{`sign = md5(sorted_query(signed))`, `sign: '= md5(sorted_query(signed) + "&key=" + secret.key)'`},
		{`sign: = md5(sorted_query(signed))`, `sign: '= md5(sorted_query(signed) + "&key=" + secret.key)'`},
		{`verify: whole.msgid == attempt.id`, `verify: 'whole.msgid == attempt.id and whole.sign == md5(whole.msgid + "&" + whole.remsgid + "&" + whole.success + "&key=" + secret.key)'`},
	} {
		text = bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1)
	}
	if n := bytes.Count(text, []byte("secret.key)")); n != 2 {
		t.Fatalf("%d places of 西湖's folder have the key, want 2", n)
	}
	ok(t, os.WriteFile(file, text, 0o644))
	return dir
}

// A key changes on both sides while messages wait and others are in doubt: all are
// told once, with the new key, and none is refused. The HIS goes on answering with
// the old key, as some do until the next day.
func TestAKeyChangesWhileMessagesWait(t *testing.T) {
	t.Parallel()
	his, err := resthis.Start(context.Background(), resthis.Options{Key: "first-key"})
	ok(t, err)
	t.Cleanup(func() { _ = his.Close() })
	variables := filepath.Join(t.TempDir(), "my.env")
	say := func(lines ...string) {
		t.Helper()
		lines = append(lines, "XIHU_URL="+his.URL(), "XIHU_USER=inet_hub", "XIHU_PASSWORD=xihu-test", "XIHU_NOTICE_KEY=notice")
		ok(t, os.WriteFile(variables, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	}
	say("XIHU_KEY=first-key")
	url := servers.Postgres(t)
	env := environment("DATABASE_URL="+url, "HISHUB_KEY_FILE="+filepath.Join(t.TempDir(), "key"), "HISHUB_CREATE_KEY=true", "HISHUB_ENV="+variables)
	hub := startHub(t, env, "--no-clinic")
	hishub := func(args ...string) string {
		t.Helper()
		c := exec.Command("hishub", args...)
		c.Env = env
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("hishub %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	hishub("hospital", "apply", signedXihu(t))
	key := strings.TrimSpace(hishub("key", "new", "--name", "rotation", "--role", "operator"))
	ledger, err := pgxpool.New(context.Background(), url)
	ok(t, err)
	t.Cleanup(ledger.Close)
	count := func(sql string) (n int) {
		t.Helper()
		ok(t, ledger.QueryRow(context.Background(), sql).Scan(&n))
		return n
	}
	submit := func(prefix string, n int) {
		t.Helper()
		for i := range n {
			rx := prescriptionOf(fmt.Sprintf("%s%03d", prefix, i))
			rx.VisitNo = "V" + rx.No
			text, err := json.Marshal(rx)
			ok(t, err)
			rq, err := http.NewRequest(http.MethodPost, hub.address+"/v1/hospitals/xihu/messages/prescription.create", bytes.NewReader(text))
			ok(t, err)
			rq.Header.Set("Authorization", "Bearer "+key)
			rq.Header.Set("Content-Type", "application/json")
			answer, err := http.DefaultClient.Do(rq)
			ok(t, err)
			answer.Body.Close()
			if answer.StatusCode/100 != 2 {
				t.Fatalf("submit: %s", answer.Status)
			}
		}
	}
	delivered := func(n int) func() bool {
		return func() bool { return count(`select count(*) from hub.message where state = 'delivered'`) == n }
	}
	submit("A", 3)
	within(t, time.Minute, "the first are told", delivered(3))

	// Some are taken by the HIS and their answers lost; then it is away and more come.
	_ = his.Script().Add(fault.Rule{Operation: "RX001", Fault: fault.CutAfterCommit}, fault.Rule{Operation: "RX003", Fault: fault.CutBefore})
	submit("B", 4)
	within(t, time.Minute, "four are in doubt", func() bool {
		return count(`select count(*) from hub.queue where progress->>'last_byte' is not null`) == 4
	})
	his.Script().Clear()
	_ = his.Script().Add(fault.Rule{Fault: fault.Down})
	submit("C", 20)

	// A key that does not load changes nothing but the light.
	hup := func() {
		t.Helper()
		ok(t, hub.cmd.Process.Signal(syscall.SIGHUP))
	}
	say()
	hup()
	within(t, time.Minute, "it is an incident", func() bool {
		return count(`select count(*) from hub.incident where kind = 'variables' and resolved_at is null`) == 1
	})
	if said := hub.words.last(); !strings.Contains(said, "XIHU_KEY is not set") {
		t.Errorf("the log does not say why: %s", said)
	}
	his.Rekey("second-key", "first-key")
	say("XIHU_KEY=second-key", "XIHU_KEY_BEFORE=first-key")
	hup()
	within(t, time.Minute, "the incident is over", func() bool {
		return count(`select count(*) from hub.incident where kind = 'variables' and resolved_at is null`) == 0
	})
	his.Script().Clear()
	_, err = ledger.Exec(context.Background(), `update hub.queue set due = clock_timestamp() where lease_until is null`) // not to wait for retries
	ok(t, err)
	within(t, 2*time.Minute, "all are told", delivered(27))

	// The HIS answers with the new key, and the old one is forgotten.
	his.Rekey("second-key", "second-key")
	say("XIHU_KEY=second-key")
	hup()
	submit("D", 3)
	within(t, time.Minute, "the last are told", delivered(30))

	if n := count(`select count(*) from hub.attempt where outcome not in ('ok', 'unavailable', 'in_doubt')`); n != 0 {
		t.Errorf("%d answers say something else than ok", n)
	}
	if n := count(`select count(*) from hub.attempt where because like '%values of before%'`); n < 24 {
		t.Errorf("%d attempts say that their answer was read with the old key, want 24", n)
	}
	times, refused := map[string]int{}, 0
	for _, note := range his.Books().Journal {
		if strings.HasPrefix(note.Effect, "refused") {
			refused++
			t.Errorf("refused: %s %s %s", note.Operation, note.Key, note.Effect)
		}
		if note.Operation == "RX001" && note.Effect == "done" {
			times[note.Key]++
		}
	}
	for no, n := range times {
		if n != 1 {
			t.Errorf("%s was written %d times", no, n)
		}
	}
	if len(times) != 30 || refused > 0 {
		t.Errorf("%d prescriptions written, %d refused; want 30 and none", len(times), refused)
	}
}
