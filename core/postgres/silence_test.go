package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/connectors/proxy"
	"hishub/mocks/servers"
)

// distant is a pool whose connections pass a network that can fail.
func distant(t *testing.T) (*pgxpool.Pool, *proxy.Proxy) {
	url := servers.Postgres(t)
	_, rest, _ := strings.Cut(url, "@")
	address, _, _ := strings.Cut(rest, "/")
	between, err := proxy.New("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(between.Close)
	pool, err := Pool(t.Context(), strings.Replace(url, address, between.Address(), 1), 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		between.Close() // nothing is silent any more, so that the pool closes at once
		pool.Close()
	})
	return pool, between
}

// Without a deadline of its own, a statement that the network swallows would wait for
// ever, and its caller with it.
func TestAStatementThatTheNetworkSwallowsEnds(t *testing.T) {
	t.Parallel()
	pool, between := distant(t)
	if err := between.Set(proxy.Hang); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := pool.Exec(context.WithoutCancel(ctx), `select 1`)
	switch {
	case err == nil:
		t.Fatal("a statement was answered over a network that swallows answers")
	case ctx.Err() != nil:
		t.Fatal("a swallowed statement waited for a minute")
	case !Away(err):
		t.Errorf("a database that is silent is not taken for away: %v", err)
	}
	if err := between.Set(proxy.Through); err != nil {
		t.Fatal(err)
	}
	_, err = pool.Exec(ctx, `select 1`)
	if err != nil {
		t.Fatal(err)
	}
}

// One that works for longer than the silence is waited for.
func TestAStatementThatWorksIsWaitedFor(t *testing.T) {
	t.Parallel()
	pool, _ := distant(t)
	_, err := pool.Exec(t.Context(), `select pg_sleep(6.5)`)
	if err != nil {
		t.Fatal(err)
	}
}
