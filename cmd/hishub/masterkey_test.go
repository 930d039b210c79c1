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
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core/postgres"
	"hishub/mocks/resthis"
	"hishub/mocks/servers"
)

// The master key changes, twice, and the data key to another cipher, while two hubs
// deliver. Every message is told once, all stay readable, and at the end the first key
// is needed for nothing, and opens nothing.
func TestTheMasterKeyChangesWhileMessagesFlow(t *testing.T) {
	t.Parallel()
	his, err := resthis.Start(context.Background(), resthis.Options{Key: "k"})
	ok(t, err)
	t.Cleanup(func() { _ = his.Close() })
	dir := t.TempDir()
	keyFile, firstKey := filepath.Join(dir, "master.key"), filepath.Join(dir, "first.key")
	url := servers.Postgres(t)
	env := environment("DATABASE_URL="+url, "HISHUB_KEY_FILE="+keyFile, "HISHUB_CREATE_KEY=true",
		"XIHU_URL="+his.URL(), "XIHU_USER=inet_hub", "XIHU_PASSWORD=xihu-test", "XIHU_NOTICE_KEY=notice", "XIHU_KEY=k", "XIHU_KEY_BEFORE=")
	hubs := []*process{startHub(t, env, "--no-clinic"), startHub(t, env, "--no-clinic")}
	run := func(args ...string) (string, error) {
		c := exec.Command("hishub", args...)
		c.Env = env
		out, err := c.CombinedOutput()
		return string(out), err
	}
	hishub := func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		if err != nil {
			t.Fatalf("hishub %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	text, err := os.ReadFile(keyFile)
	ok(t, err)
	ok(t, os.WriteFile(firstKey, text, 0o600))
	hishub("hospital", "apply", signedXihu(t))
	key := strings.TrimSpace(hishub("key", "new", "--name", "load", "--role", "operator"))
	ledger, err := pgxpool.New(context.Background(), url)
	ok(t, err)
	t.Cleanup(ledger.Close)
	count := func(sql string) (n int64) {
		t.Helper()
		ok(t, ledger.QueryRow(context.Background(), sql).Scan(&n))
		return n
	}

	var accepted atomic.Int64
	var load sync.WaitGroup
	done := make(chan struct{})
	for w, hub := range hubs {
		load.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				rx := prescriptionOf(fmt.Sprintf("M%d%04d", w, i))
				rx.VisitNo = "V" + rx.No
				text, _ := json.Marshal(rx)
				rq, _ := http.NewRequest(http.MethodPost, hub.address+"/v1/hospitals/xihu/messages/prescription.create", bytes.NewReader(text))
				rq.Header.Set("Authorization", "Bearer "+key)
				rq.Header.Set("Content-Type", "application/json")
				answer, err := http.DefaultClient.Do(rq)
				if err != nil {
					t.Errorf("submit: %v", err)
					return
				}
				answer.Body.Close()
				if answer.StatusCode != http.StatusAccepted {
					t.Errorf("submit: %s", answer.Status)
					return
				}
				accepted.Add(1)
			}
		})
	}
	more := func() { // some more are accepted and told before it goes on
		t.Helper()
		from, told := accepted.Load(), count(`select count(*) from hub.message where state = 'delivered'`)
		within(t, time.Minute, "messages flow", func() bool {
			return accepted.Load() >= from+10 && count(`select count(*) from hub.message where state = 'delivered'`) >= told+10
		})
	}
	more()
	if out, err := run("key", "rotate-master", "--forget"); err != nil || !strings.Contains(out, "nothing, there was no older key") {
		t.Errorf("forget too early: %v %s", err, out)
	}
	hishub("key", "rotate-master", "--prepare")
	hishub("key", "rotate-master", "--prepare") // again is harmless
	if out, err := run("key", "rotate-master", "--forget"); err == nil || !strings.Contains(out, "still need an older key") {
		t.Errorf("forgot a key that is needed: %v %s", err, out)
	}
	more()
	hishub("key", "rotate-master")
	more()
	hishub("key", "renew", "--cipher", "sm4")
	// The one that does not deliver seals with it, and the one that does must read it.
	for _, hub := range hubs {
		if count(fmt.Sprintf(`select count(*) from hub.shard where number = %d and process like '%%-%d-%%'`, postgres.ShardOf("xihu"), hub.cmd.Process.Pid)) == 0 {
			ok(t, hub.cmd.Process.Signal(syscall.SIGHUP))
		}
	}
	within(t, time.Minute, "SM4 is in use", func() bool { return count(`select count(*) from hub.body where get_byte(sealed, 0) > 2`) > 0 })
	hishub("key", "rotate-master", "--new-file", filepath.Join(dir, "third.key"))
	more()
	if out := hishub("key", "rotate-master", "--forget"); !strings.Contains(out, ", ") {
		t.Errorf("two older keys: %s", out)
	}
	more()
	close(done)
	load.Wait()
	within(t, 2*time.Minute, "all are told", func() bool {
		return count(`select count(*) from hub.message where state = 'delivered'`) == accepted.Load()
	})
	if n := count(`select count(*) from hub.attempt where outcome <> 'ok'`); n != 0 {
		t.Errorf("%d attempts that are not ok", n)
	}
	for _, hub := range hubs {
		if code := hub.stop(); code != 0 {
			t.Errorf("a hub ended with %d", code)
		}
		if said := hub.words.last(); strings.Contains(said, "level=ERROR") {
			t.Errorf("a hub said %s", said)
		}
	}

	if lines := bytes.Count(mustRead(t, keyFile), []byte("\n")); lines != 1 {
		t.Errorf("%d keys in the key file", lines)
	}
	for _, id := range []int64{count(`select min(id) from hub.message`), count(`select max(id) from hub.message`)} {
		out := hishub("message", "show", fmt.Sprint(id), "--unmask", "--purpose", "is it readable")
		if !strings.Contains(out, `"no": "M`) || !strings.Contains(out, "→ ") {
			t.Errorf("message %d: %s", id, out)
		}
	}
	secret := regexp.MustCompile(`[0-9a-f]{64}`)
	for _, wrong := range []struct{ file, want string }{
		{firstKey, "does not open this database, whose keys were sealed with key"}, {filepath.Join(dir, "nothing"), "is missing: without it nothing sealed"},
	} {
		out, err := run("message", "list", "--key-file", wrong.file)
		if err == nil || !strings.Contains(out, wrong.want) || secret.MatchString(out) {
			t.Errorf("with %s: %v %s", wrong.file, err, out)
		}
	}
	if out := hishub("audit", "verify"); !strings.Contains(out, "entries") {
		t.Error(out)
	}
	if out := hishub("audit", "list", "--verb", "rotate master key"); strings.Count(out, "rotate master key") != 2 || secret.MatchString(out) {
		t.Error(out)
	}
}

func mustRead(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	ok(t, err)
	return text
}
