package servers

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
)

// redisDatabases is how many tests can use one Redis before its databases are
// used again.
const redisDatabases = 4096

// StartRedis starts a Redis server in dir. It keeps nothing on disk: after Kill
// or Stop, Restart gives an empty one.
func StartRedis(ctx context.Context, dir string) (*Server, error) {
	return blueprint{
		name: "Redis", install: "redis-server", ports: 1,
		launch: launchRedis,
		url:    func(ports []int) string { return redisURL(ports[0]) },
	}.start(ctx, dir)
}

func redisURL(port int) string { return fmt.Sprintf("redis://127.0.0.1:%d/0", port) }

func launchRedis(ctx context.Context, dir string, ports []int) (running, error) {
	path, err := program("redis-server")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "--port", strconv.Itoa(ports[0]), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--databases", strconv.Itoa(redisDatabases), "--dir", dir)
	p, err := startProcess(cmd, filepath.Join(dir, "redis.log"))
	if err != nil {
		return nil, err
	}
	client, err := redisClient(redisURL(ports[0]))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	address := client.Options().Addr
	return p, p.waitReady(ctx, func(ctx context.Context) error {
		// go-redis logs each refused connection, and until it listens that is expected.
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		conn.Close()
		return client.Ping(ctx).Err()
	})
}

func redisClient(address string) (*redis.Client, error) {
	o, err := redis.ParseURL(address)
	if err != nil {
		return nil, err
	}
	o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled = -1, 1, true // waitReady does the trying
	return redis.NewClient(o), nil
}

// Redis returns the URL of an empty database on a Redis of the test's own, or,
// with HISHUB_TEST_REDIS, of an emptied database on that one (whose pub/sub
// channels all tests share).
func Redis(tb testing.TB) string {
	tb.Helper()
	admin := os.Getenv(envRedis)
	if admin == "" {
		dir := tempDir(tb)
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		s, err := StartRedis(ctx, dir)
		must(tb, "start a Redis", err)
		tb.Cleanup(s.Kill)
		return s.URL
	}

	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	client, err := redisClient(admin)
	must(tb, "read "+envRedis, err)
	defer client.Close()
	databases, err := client.ConfigGet(ctx, "databases").Result()
	must(tb, "count the databases of "+envRedis, err)
	count, _ := strconv.ParseInt(databases["databases"], 10, 64)
	if count < 2 {
		tb.Fatalf("%s: a Redis with more than one database is needed", envRedis)
	}
	// Database 0 only counts; the others go round.
	turn, err := client.Incr(ctx, "hishub:tests").Result()
	must(tb, "take a database of "+envRedis, err)
	u, err := url.Parse(admin)
	must(tb, "read "+envRedis, err)
	u.Path = fmt.Sprintf("/%d", 1+turn%(count-1))
	own, err := redisClient(u.String())
	must(tb, "read "+envRedis, err)
	defer own.Close()
	must(tb, "empty a database of "+envRedis, own.FlushDB(ctx).Err())
	return u.String()
}
