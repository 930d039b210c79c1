package private

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Started again as a child of its own test, the test binary plays the hub that
// is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PRIVATE_TEST_HUB"); dir != "" {
		c, err := Start(context.Background(), Options{Dir: dir, DieWithParent: os.Getenv("PRIVATE_TEST_DIE") != ""})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("pid", c.PID)
		select {}
	}
	os.Exit(m.Run())
}

// emptyDir is a folder that the server's user can reach; testing's own are
// closed to it.
func emptyDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hishub-private-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "postgres")
}

func startIn(t *testing.T, o Options) *Cluster {
	t.Helper()
	began := time.Now()
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %v", time.Since(began).Round(time.Millisecond))
	t.Cleanup(c.Kill)
	return c
}

func query[T any](t *testing.T, url, sql string) (v T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func keep7(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 7 AS n"); err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, o Options, words ...string) {
	t.Helper()
	c, err := Start(t.Context(), o)
	if err == nil {
		c.Kill()
		t.Fatal("started")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error does not say %q: %v", w, err)
		}
	}
}

func TestClusterKeepsItsDataAndIsDurable(t *testing.T) {
	dir := emptyDir(t)
	var told bytes.Buffer
	c := startIn(t, Options{Dir: dir, Log: &told, Settings: map[string]string{"work_mem": "9MB"}})
	if !strings.Contains(told.String(), "making a PostgreSQL") {
		t.Errorf("log: %q", told.String())
	}
	for range 2 { // the second time it exists
		if err := c.CreateDatabase(t.Context(), `ledger "一"`); err != nil {
			t.Fatal(err)
		}
	}
	url := c.URL(`ledger "一"`)
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on", "server_encoding": "UTF8",
		"TimeZone": "UTC", "listen_addresses": "127.0.0.1", "work_mem": "9MB", "max_connections": "200", "password_encryption": "scram-sha-256",
	} {
		if got := query[string](t, url, "SHOW "+setting); got != want {
			t.Errorf("%s = %s, want %s", setting, got, want)
		}
	}
	keep7(t, url)
	if _, err := pgx.Connect(t.Context(), strings.Replace(url, c.password, "wrong", 1)); err == nil {
		t.Error("a wrong password was accepted")
	}
	if info, err := os.Stat(filepath.Join(dir, "password")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v %v", info.Mode(), err)
	}

	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	c = startIn(t, Options{Dir: dir})
	if n := query[int](t, c.URL(`ledger "一"`), "SELECT n FROM kept"); n != 7 {
		t.Errorf("kept %d", n)
	}
}

func TestKilledServerRecovers(t *testing.T) {
	dir := emptyDir(t)
	c := startIn(t, Options{Dir: dir})
	keep7(t, c.URL("postgres"))
	all := append(children(c.PID), c.PID)
	if len(all) < 5 {
		t.Fatalf("only the processes %v", all)
	}
	c.Kill()
	c.Kill()
	for _, pid := range all {
		if alive(pid) {
			t.Errorf("PID %d survived Kill", pid)
		}
	}
	c = startIn(t, Options{Dir: dir})
	if n := query[int](t, c.URL("postgres"), "SELECT n FROM kept"); n != 7 {
		t.Errorf("kept %d", n)
	}
}

// A postmaster that is shot alone leaves busy children behind; PostgreSQL must
// not start beside them, and Start must wait for them rather than give up.
func TestStartWaitsForSurvivingChildren(t *testing.T) {
	dir := emptyDir(t)
	c := startIn(t, Options{Dir: dir})
	conn, err := pgx.Connect(t.Context(), c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	busy := int(conn.PgConn().PID())
	if err := syscall.Kill(busy, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(c.PID, syscall.SIGKILL)
	<-c.gone
	c.dir.unlock()

	short, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	c, err = Start(short, Options{Dir: dir})
	if err == nil {
		c.Kill()
		t.Fatal("started beside a process of the old server")
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Start gave up before its context did: %v", err)
	}
	syscall.Kill(busy, syscall.SIGKILL)
	startIn(t, Options{Dir: dir})
}

func TestStalePIDFileOfAForeignProcess(t *testing.T) {
	dir := emptyDir(t)
	c := startIn(t, Options{Dir: dir})
	c.Kill()
	// The number now belongs to a process of the server's user.
	stranger := c.dir.command("/bin/sleep", "60")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stranger.Process.Kill(); stranger.Wait() }()
	text, err := os.ReadFile(c.dir.pidFile())
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	if err := os.WriteFile(c.dir.pidFile(), []byte(strconv.Itoa(stranger.Process.Pid)+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	startIn(t, Options{Dir: dir})
}

func TestRefusals(t *testing.T) {
	dir := emptyDir(t)
	c := startIn(t, Options{Dir: dir})
	refused(t, Options{Dir: dir, Adopt: true}, "in use by process "+strconv.Itoa(os.Getpid()), strconv.Itoa(c.PID))
	taken := Options{Dir: emptyDir(t), Port: c.port}
	refused(t, taken, "could not bind")
	c.Kill()

	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, Options{Dir: dir}, "made by PostgreSQL 9", "apt-get install postgresql-9")
	refused(t, Options{Dir: taken.Dir, Settings: map[string]string{"no_such_setting": "1"}}, "no_such_setting")

	if _, err := choose(nil, 0); err == nil || !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("nothing installed: %v", err)
	}
}

func TestRootNamesTheClosedFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		return // an ordinary user's server runs as that user; there is nothing to reach
	}
	closed := filepath.Dir(emptyDir(t))
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "a", "postgres")
	refused(t, Options{Dir: dir}, "may not enter "+closed+":", "user ")
	if err := os.Chmod(closed, 0o711); err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	startIn(t, Options{Dir: dir})
}

// hub runs another process that starts the cluster; it returns the server's PID.
func hub(t *testing.T, dir string, env ...string) (*exec.Cmd, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "PRIVATE_TEST_HUB="+dir), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	var pid int
	if _, err := fmt.Fscanf(out, "pid %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	return cmd, pid
}

func TestServerOfAKilledHubIsAdopted(t *testing.T) {
	dir := emptyDir(t)
	killed, pid := hub(t, dir)
	refused(t, Options{Dir: dir, Adopt: true}, "in use by process "+strconv.Itoa(killed.Process.Pid))
	killed.Process.Kill()
	killed.Wait()

	refused(t, Options{Dir: dir}, "already runs", strconv.Itoa(pid))
	c := startIn(t, Options{Dir: dir, Adopt: true})
	if !c.Adopted || c.PID != pid {
		t.Errorf("adopted %v, PID %d, want the running %d", c.Adopted, c.PID, pid)
	}
	query[int](t, c.URL("postgres"), "SELECT 1")
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Error("Stop left the adopted server running")
	}
}

func TestAdoptedServerGetsTheSettingsAskedFor(t *testing.T) {
	dir := emptyDir(t)
	killed, pid := hub(t, dir)
	killed.Process.Kill()
	killed.Wait()
	c := startIn(t, Options{Dir: dir, Adopt: true, Settings: map[string]string{"work_mem": "9MB"}})
	if c.Adopted || c.PID == pid {
		t.Error("the server was not restarted")
	}
	if got := query[string](t, c.URL("postgres"), "SHOW work_mem"); got != "9MB" {
		t.Errorf("work_mem = %s", got)
	}
}

func TestDieWithParent(t *testing.T) {
	parent, pid := hub(t, emptyDir(t), "PRIVATE_TEST_DIE=1")
	parent.Process.Kill()
	parent.Wait()
	select {
	case <-watch(pid):
	case <-time.After(20 * time.Second):
		kill(pid)
		t.Fatal("the server outlived its parent")
	}
}
