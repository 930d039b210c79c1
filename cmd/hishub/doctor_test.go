package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"hishub/mocks/servers"
)

// installation is a database, a Redis, a RabbitMQ and what the doctor says of them.
type installation struct {
	*testing.T
	env []string
}

// look runs the doctor; more are variables for this look.
func (i *installation) look(more ...string) map[string]finding {
	i.Helper()
	c := exec.Command("hishub", "doctor", "--json")
	c.Env = append(i.env[:len(i.env):len(i.env)], more...)
	out, _ := c.Output()
	var all []finding
	if err := json.Unmarshal(out, &all); err != nil {
		i.Fatalf("%v in %s", err, out)
	}
	by := map[string]finding{}
	for _, f := range all {
		if was, twice := by[f.What]; twice {
			f.State, f.Detail, f.Cure = worse(was.State, f.State), was.Detail+"; "+f.Detail, was.Cure+"; "+f.Cure
		}
		by[f.What] = f
	}
	return by
}

func worse(a, b string) string {
	for _, s := range []string{"wrong", "warning"} {
		if a == s || b == s {
			return s
		}
	}
	return "ok"
}

func (i *installation) expect(found map[string]finding, what, state, detail string) {
	i.Helper()
	f := found[what]
	if f.State != state || !strings.Contains(f.Detail, detail) {
		i.Errorf("%s is %s: %s; want %s: …%s…", what, f.State, f.Detail, state, detail)
	}
	if f.State != "ok" && f.Cure == "" {
		i.Errorf("%s has no cure", what)
	}
}

// What an installation can have wrong is found, and told with a cure.
func TestDoctor(t *testing.T) {
	his, redis := newSecureHIS(t), servers.Redis(t)
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	i := &installation{t, environment("DATABASE_URL="+servers.Postgres(t), "REDIS_URL="+redis, "AMQP_URL="+servers.RabbitMQ(t),
		"HISHUB_DATA="+dir, "HISHUB_KEY_FILE="+key, "HISHUB_CREATE_KEY=true")}
	found := i.look()
	i.expect(found, "schema", "wrong", "version 0")
	i.expect(found, "master key", "wrong", "cannot be read")
	i.expect(found, "queue hishub.submit", "ok", "made by the first hub")
	i.expect(found, "disk", "ok", "free")

	i.env = append(i.env, his.env...)
	hub := startHub(t, i.env, "--no-clinic")
	apply := exec.Command("hishub", "hospital", "apply", his.folder)
	apply.Env = i.env
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	listen := "HISHUB_LISTEN=" + strings.TrimPrefix(hub.address, "http://")
	within(t, time.Minute, "the hub takes submissions", func() bool {
		return strings.Contains(i.look(listen)["queue hishub.submit"].Detail, "1 hub is")
	})
	found = i.look(listen)
	i.expect(found, "schema", "ok", "version")
	i.expect(found, "clock", "ok", "agrees")
	i.expect(found, "port", "ok", "a hub")
	i.expect(found, "redis memory", "warning", "no bound")
	i.expect(found, "hospital h9", "warning", "the HIS's certificate ends on")
	i.expect(found, "hospital h9", "warning", "our certificate ends on")

	options, err := goredis.ParseURL(redis)
	ok(t, err)
	client := goredis.NewClient(options)
	defer client.Close()
	ok(t, client.ConfigSet(context.Background(), "maxmemory", "100000000").Err())
	i.expect(i.look(), "redis memory", "wrong", "noeviction")
	ok(t, client.ConfigSet(context.Background(), "maxmemory-policy", "volatile-lru").Err())
	i.expect(i.look(), "redis memory", "ok", "volatile-lru")
	ok(t, client.ConfigSet(context.Background(), "maxmemory-policy", "noeviction").Err())
	ok(t, client.ConfigSet(context.Background(), "maxmemory", "0").Err())

	i.expect(i.look("H9_URL="), "hospital h9", "wrong", "does not load here")
	ok(t, os.Chmod(key, 0o640))
	i.expect(i.look(), "master key", "wrong", "mode 640")
	ok(t, os.Chmod(key, 0o600))
	somebody, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	go func() {
		for {
			c, err := somebody.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	defer somebody.Close()
	i.expect(i.look("HISHUB_LISTEN="+somebody.Addr().String()), "port", "wrong", "no hub")

	health := func() error { return exec.Command("hishub", "doctor", "--healthz", hub.address).Run() }
	ok(t, health())
	hub.stop()
	if health() == nil {
		t.Error("a hub that ended is said to be up")
	}
}

// Addresses with passwords may be files; a variable that is set itself wins.
func TestSecretFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	ok(t, os.WriteFile(file, []byte("redis://:secret@h:1/0\n"), 0o600))
	t.Setenv("REDIS_URL", "")
	t.Setenv("AMQP_URL", "amqp://own")
	t.Setenv("REDIS_URL_FILE", file)
	t.Setenv("AMQP_URL_FILE", file)
	ok(t, readSecretFiles())
	if got := os.Getenv("REDIS_URL") + " " + os.Getenv("AMQP_URL"); got != "redis://:secret@h:1/0 amqp://own" {
		t.Errorf("read %s", got)
	}
	t.Setenv("DATABASE_URL", "")
	t.Setenv("DATABASE_URL_FILE", file+"-missing")
	if err := readSecretFiles(); err == nil || !strings.Contains(err.Error(), "DATABASE_URL_FILE") {
		t.Errorf("a file that is missing: %v", err)
	}
}
