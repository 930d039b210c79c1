package private

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestStandbyFollowsAndIsPromoted(t *testing.T) {
	primary := startIn(t, Options{Dir: emptyDir(t)})
	run(t, primary, "create table kept (n int)")
	standby := startIn(t, Options{Dir: emptyDir(t), Follow: primary.URL("postgres")})
	run(t, primary, "alter system set synchronous_standby_names = '"+Standby+"'")
	run(t, primary, "select pg_reload_conf()")
	run(t, primary, "insert into kept values (1)")
	if _, err := try(t, standby, "insert into kept values (2)"); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a standby took a write: %v", err)
	}
	primary.Kill()
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	// What the old primary was told to wait for is not the new one's.
	run(t, standby, "insert into kept values (3)")
	conn, err := standby.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var sum int
	if err := conn.QueryRow(t.Context(), "select sum(n) from kept").Scan(&sum); err != nil || sum != 4 {
		t.Errorf("the promoted standby holds %d: %v", sum, err)
	}
}

func TestStandbyOfNobody(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://hishub:secret@127.0.0.1:1/postgres": "pg_basebackup",
		"nonsense://hishub:secret":                      "it must look like",
	} {
		dir := emptyDir(t)
		_, err := Start(t.Context(), Options{Dir: dir, Follow: address})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q, want %q and no password", err, want)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "data")); len(left) > 0 {
			t.Error("it left what looks like a cluster")
		}
	}
}

func run(t *testing.T, c *Cluster, sql string) {
	t.Helper()
	if _, err := try(t, c, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func try(t *testing.T, c *Cluster, sql string) (int64, error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	tag, err := conn.Exec(t.Context(), sql)
	return tag.RowsAffected(), err
}
