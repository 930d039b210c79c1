package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/postgres/private"
)

// tillHIS books whatever it is told, twice if it is told twice, and can be asked.
type tillHIS struct {
	*httptest.Server
	mu     sync.Mutex
	booked map[string]int
	asked  map[string]int
}

func newTillHIS(t *testing.T) *tillHIS {
	h := &tillHIS{booked: map[string]int{}, asked: map[string]int{}}
	answer := func(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
	mux := http.NewServeMux()
	read := func(r *http.Request) (no string) {
		var q struct{ No string }
		_ = json.NewDecoder(r.Body).Decode(&q)
		return q.No
	}
	mux.HandleFunc("POST /pay", func(w http.ResponseWriter, r *http.Request) {
		no := read(r)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.booked[no]++
		answer(w, map[string]any{"ok": "1", "no": "HIS" + no})
	})
	mux.HandleFunc("POST /ask", func(w http.ResponseWriter, r *http.Request) {
		no := read(r)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.asked[no]++
		state := "absent"
		if h.booked[no] > 0 {
			state = "done"
		}
		answer(w, map[string]any{"ok": "1", "state": state, "no": "HIS" + no})
	})
	mux.HandleFunc("POST /ledger", func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		rows := []map[string]any{}
		for _, no := range slices.Sorted(maps.Keys(h.booked)) {
			rows = append(rows, map[string]any{"no": no, "at": paidAt.UTC().Format(time.DateTime)})
		}
		answer(w, map[string]any{"ok": "1", "rows": rows})
	})
	h.Server = httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h
}

func (h *tillHIS) times(no string) (booked, asked int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.booked[no], h.asked[no]
}

func (h *tillHIS) folder(t *testing.T) string {
	t.Helper()
	f := &secureHIS{folder: t.TempDir()}
	f.write(t, "hospital.yaml", `grammar: 1
hospital: till
name: 测试医院
timezone: UTC
connectors: {default: {rest: {base: "${TILL_URL}"}}}
envelopes:
  default:
    write: {send: {$json: = body}}
    read: {answer: = from_json(body)}
    outcome: {ok: answer.ok == "1", rejected: answer.ok == "0"}
`)
	f.write(t, "payment.yaml", `payment.settle:
  call: POST /pay
  send: {no: = payment.order_id}
  returns: {number: = payment.order_id, his_no: = answer.no}
  inquire: payment.status
  settle_after: 31s
payment.status:
  call: POST /ask
  send: {no: = payment.order_id}
  returns: {state: = answer.state, his_no: = answer.no}
ledger.detail:
  call: POST /ledger
  send: {day: = ledger.day}
  returns:
    entries:
      - $each: row in list(answer.rows)
        type: payment
        number: = row.no
        channel: wechat
        channel_no: '= "42" + row.no'
        his_no: '= "HIS" + row.no'
        amount: = from_yuan("1.00")
        at: = from_time(row.at, "yyyy-MM-dd HH:mm:ss")
`)
	return f.folder
}

// ground is a folder that the database's user can reach.
func ground(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hishub-backup")
	ok(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ok(t, os.Chmod(dir, 0o755))
	return dir
}

// A database that is lost is restored to a point. What the platform feeds again is
// what it was; what had reached the HIS after that point is asked about and not told
// twice; and what nobody feeds again is a case of the night.
func TestPointInTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	dir := ground(t)
	scripts, archive := filepath.Join(dir, "scripts"), filepath.Join(dir, "archive")
	ok(t, os.CopyFS(scripts, os.DirFS(filepath.Join(repository(t), "deploy", "backup"))))
	for _, name := range []string{"archive-wal", "base-backup", "restore"} {
		ok(t, os.Chmod(filepath.Join(scripts, name), 0o755))
	}
	ok(t, os.Mkdir(archive, 0o777))
	ok(t, os.Chmod(archive, 0o777))
	ok(t, os.Chmod(scripts, 0o755))

	first, err := private.Start(ctx, private.Options{Dir: filepath.Join(dir, "first"), DieWithParent: true, Settings: map[string]string{
		"logging_collector": "off", "archive_mode": "on", "archive_command": scripts + "/archive-wal %p %f " + archive}})
	ok(t, err)
	t.Cleanup(first.Kill)
	ok(t, first.CreateDatabase(ctx, "hishub"))
	address := first.URL("hishub")

	his := newTillHIS(t)
	env := func(database string) []string {
		return environment("DATABASE_URL="+database, "HISHUB_KEY_FILE="+filepath.Join(dir, "key"), "HISHUB_CREATE_KEY=true", "TILL_URL="+his.URL)
	}
	o := &outage{TB: t, env: env(address)}
	o.hub = startHub(t, o.env, "--no-clinic")
	o.hishub("hospital", "apply", his.folder(t))
	o.key = strings.TrimSpace(o.hishub("key", "new", "--name", "platform", "--role", "operator"))
	pay := func(no string) (duplicate bool) {
		t.Helper()
		var out struct{ Duplicate bool }
		o.call(http.MethodPost, "/v1/hospitals/till/messages/payment.settle", &core.Payment{OrderID: no, VisitNo: "V" + no, PatientNo: patientNo,
			Bills: []string{"B" + no}, Amount: 100, Channel: "wechat", ChannelNo: "42" + no, PaidAt: paidAt}, &out)
		return out.Duplicate
	}
	connect := func(address string) *pgx.Conn {
		t.Helper()
		c, err := pgx.Connect(ctx, address)
		ok(t, err)
		return c
	}
	db := connect(address)
	delivered := func(nos ...string) func() bool {
		return func() bool {
			var n int
			ok(t, db.QueryRow(ctx, `select count(*) from hub.message where key = any($1) and state = 'delivered'`, nos).Scan(&n))
			return n == len(nos)
		}
	}

	pay("before")
	within(t, time.Minute, "the first is delivered", delivered("before"))
	u, err := url.Parse(address)
	ok(t, err)
	password, _ := u.User.Password()
	backup := exec.Command(filepath.Join(scripts, "base-backup"), filepath.Join(dir, "base"))
	backup.Env = append(os.Environ(), "PGHOST="+u.Hostname(), "PGPORT="+u.Port(), "PGUSER="+u.User.Username(), "PGPASSWORD="+password)
	said, err := backup.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	lines := strings.Fields(string(said))
	base := lines[len(lines)-1]
	pay("after-backup")
	within(t, time.Minute, "the second is delivered", delivered("after-backup"))
	o.hishub("hospital", "pause", "till", "--why", "a test")
	pay("waits") // accepted before the point, delivered after it
	var point string
	ok(t, db.QueryRow(ctx, `select clock_timestamp()::text`).Scan(&point))
	o.hishub("hospital", "resume", "till")
	pay("lost-and-fed")
	pay("lost")
	within(t, time.Minute, "all are delivered", delivered("waits", "lost-and-fed", "lost"))
	var last string
	ok(t, db.QueryRow(ctx, `select pg_walfile_name(pg_switch_wal())`).Scan(&last))
	within(t, time.Minute, "the log is archived", func() bool { _, err := os.Stat(filepath.Join(archive, last)); return err == nil })
	_ = db.Close(ctx)
	o.hub.kill()
	first.Kill() // the machine is gone

	second := filepath.Join(dir, "second")
	ok(t, os.Mkdir(second, 0o700))
	if out, err := exec.Command(filepath.Join(scripts, "restore"), base, archive, filepath.Join(second, "data"), point).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	secret, err := os.ReadFile(filepath.Join(dir, "first", "password"))
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(second, "password"), secret, 0o600))
	owner, err := os.Stat(filepath.Join(dir, "first", "data"))
	ok(t, err)
	who := owner.Sys().(*syscall.Stat_t)
	ok(t, filepath.WalkDir(second, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(who.Uid), int(who.Gid))
	}))
	restored, err := private.Start(ctx, private.Options{Dir: second, DieWithParent: true, Settings: map[string]string{"logging_collector": "off"}})
	ok(t, err)
	t.Cleanup(restored.Kill)
	db = connect(restored.URL("hishub"))
	defer db.Close(ctx)
	within(t, time.Minute, "the recovery ends", func() bool {
		var still bool
		ok(t, db.QueryRow(ctx, `select pg_is_in_recovery()`).Scan(&still))
		return !still
	})
	run := func(name string) {
		t.Helper()
		sql, err := os.ReadFile(filepath.Join(scripts, name))
		ok(t, err)
		_, err = db.Exec(ctx, string(sql))
		ok(t, err)
	}
	var n int
	ok(t, db.QueryRow(ctx, `select count(*) from hub.message`).Scan(&n))
	if n != 3 {
		t.Fatalf("%d messages at the restore point, want 3", n)
	}

	run("hold.sql")
	o.env = env(restored.URL("hishub"))
	o.hub = startHub(t, o.env, "--no-clinic")
	for no, known := range map[string]bool{"before": true, "after-backup": true, "waits": true, "lost-and-fed": false} {
		if got := pay(no); got != known {
			t.Errorf("%s fed again: known is %t", no, got)
		}
	}
	run("doubt.sql")
	o.hishub("hospital", "resume", "till")
	within(t, 2*time.Minute, "all that was fed is delivered", delivered("before", "after-backup", "waits", "lost-and-fed"))
	for _, no := range []string{"before", "after-backup", "waits", "lost-and-fed", "lost"} {
		booked, asked := his.times(no)
		if booked != 1 {
			t.Errorf("%s is booked %d times", no, booked)
		}
		if (no == "waits" || no == "lost-and-fed") != (asked > 0) {
			t.Errorf("%s was asked about %d times", no, asked)
		}
	}
	night := exec.Command("hishub", "reconcile", "run", "till", paidAt.UTC().Format(time.DateOnly))
	night.Env = o.env
	report, _ := night.CombinedOutput()
	if night.ProcessState.ExitCode() != 3 {
		t.Errorf("exit status %d: %s", night.ProcessState.ExitCode(), report)
	}
	if cases := o.hishub("reconcile", "cases"); !strings.Contains(cases, "lost") || !strings.Contains(cases, "missing_here") || strings.Contains(cases, "lost-and-fed") {
		t.Errorf("the cases after the night:\n%s\n%s", cases, report)
	}
}
