package postgres

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/mocks/servers"
)

// The database is killed again and again while messages are accepted and
// delivered. What was accepted must be there; nothing may be half done.
func TestAcceptedSurvivesAKilledDatabase(t *testing.T) {
	dir, remove, err := servers.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	server, err := servers.StartPostgres(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	l := openLedger(t, server.URL)

	var accepted, settledOK sync.Map
	var n atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	progress := make(chan struct{}, 1)
	for range 8 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprint("A", n.Add(1))
				a, err := l.Enqueue(l.ctx, "h1", payment(key, key))
				if err != nil {
					if !Away(err) {
						t.Errorf("while the database was killed: %v", err)
					}
					continue
				}
				accepted.Store(a.ID, true)
				select {
				case progress <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ds, err := l.Claim(l.ctx, "p", "h1", 4, lease, deadline)
				if err != nil {
					continue
				}
				for _, d := range ds {
					if l.Sent(l.ctx, &d, 1) != nil {
						continue
					}
					if _, err := l.Settle(l.ctx, &d, attempt(&d, "ok"), next(&d, delivery.Delivered)); err == nil {
						settledOK.Store(d.ID, true)
					}
				}
			}
		})
	}
	for range 3 {
		for range 20 {
			<-progress
		}
		server.Kill()
		if err := server.Restart(l.ctx); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		<-progress
	}
	close(stop)
	all.Wait()
	l.calm.Reset() // its idle connections died with the server

	total := 0
	accepted.Range(func(id, _ any) bool {
		total++
		if found := count[int](l, `select count(*) from hub.message m join hub.body b on b.message = m.id where m.id = $1`, id); found != 1 {
			t.Errorf("message %v was accepted and is gone", id)
		}
		return true
	})
	settledOK.Range(func(id, _ any) bool {
		if s := count[string](l, `select state from hub.message where id = $1`, id); s != "delivered" {
			t.Errorf("message %v was settled and is %s", id, s)
		}
		return true
	})
	if total < 80 {
		t.Errorf("only %d accepted", total)
	}
	for what, sql := range map[string]string{
		"undecided messages without a queue row": `select count(*) from hub.message m where state in ('queued', 'parked') and not exists (select from hub.queue q where q.message = m.id)`,
		"decided messages with a queue row":      `select count(*) from hub.message m join hub.queue q on q.message = m.id where m.state in ('delivered', 'cancelled')`,
		"delivered messages without an event":    `select count(*) from hub.message m where state = 'delivered' and not exists (select from hub.event e where e.message = m.id)`,
		"delivered messages without an attempt":  `select count(*) from hub.message m where state = 'delivered' and not exists (select from hub.attempt a where a.message = m.id)`,
		"payments without a ledger entry":        `select count(*) from hub.message m where not exists (select from hub.ledger_entry e where e.message = m.id)`,
		"lanes without a head":                   `select count(*) from (select lane from hub.queue group by lane having count(*) filter (where head) <> 1) x`,
	} {
		if n := count[int](l, sql); n != 0 {
			t.Errorf("%d %s", n, what)
		}
	}
}

func TestCallersThatGiveUp(t *testing.T) {
	l := newLedger(t)
	ctx, cancel := context.WithCancel(l.ctx)
	cancel()
	if _, err := l.Enqueue(ctx, "h1", payment("A1", "L1")); !errors.Is(err, context.Canceled) {
		t.Errorf("enqueue: %v", err)
	}
	l.enqueue(payment("A2", "L2"))
}

func TestAClosedStoreRefuses(t *testing.T) {
	l := newLedger(t)
	s, err := Open(l.ctx, Options{URL: l.url, KeyFile: l.KeyFile})
	l.must(err)
	s.Close()
	if _, err := s.Enqueue(l.ctx, "h1", payment("A1", "L1")); !errors.Is(err, ErrClosed) || !Away(err) {
		t.Errorf("enqueue: %v", err)
	}
}

func TestTheKeyFileMustBelongToTheDatabase(t *testing.T) {
	l := newLedger(t)
	for _, create := range []bool{false, true} {
		missing := filepath.Join(t.TempDir(), "key")
		if _, err := Open(l.ctx, Options{URL: l.url, KeyFile: missing, CreateKey: create}); err == nil {
			t.Error("opened without its key file")
		}
	}
	// The key of another database.
	other := newLedger(t)
	_, err := Open(l.ctx, Options{URL: l.url, KeyFile: other.KeyFile})
	if err == nil {
		t.Fatal("opened with another database's key")
	}
	t.Log(err)
}

func TestRotatedDataKeys(t *testing.T) {
	l := newLedger(t)
	// Another process, which is not told.
	s, err := Open(l.ctx, Options{URL: l.url, KeyFile: l.KeyFile})
	l.must(err)
	t.Cleanup(s.Close)
	before := l.enqueue(payment("A1", "L1"))
	l.must(l.NewDataKey(l.ctx, ""))
	after := l.enqueue(payment("A2", "L2"))
	for _, id := range []int64{before, after} {
		for _, store := range []*Store{l.Store, s} {
			if b, err := store.Body(l.ctx, id); err != nil || b.(*core.Payment).PatientName != "张三测试" {
				t.Errorf("message %d: %v", id, err)
			}
		}
	}
	if n := count[int](l, `select count(distinct get_byte(sealed, 4)) from hub.body`); n != 2 {
		t.Errorf("%d data keys in use", n)
	}
	if a, err := s.Enqueue(l.ctx, "h1", payment("A1", "L1")); err != nil || !a.Duplicate {
		t.Errorf("the digest changed with the key: %+v %v", a, err)
	}
}

func TestMigrateFromManySidesAtOnce(t *testing.T) {
	address := servers.Postgres(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := Migrate(ctx, address); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	openLedger(t, address).enqueue(payment("A1", "L1"))
}
