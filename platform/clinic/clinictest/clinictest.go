// Package clinictest is what the tests of the clinic's modules share: a clinic on a
// real, empty database, with a HIS that answers as a test says and an outbox that notes
// what it is given.
package clinictest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
)

// Clinic for a test.
type Clinic struct {
	*clinic.Clinic
	// Answer is what the HIS answers; nil: every question is core.ErrCannot.
	Answer func(hospital string, kind core.Kind, body core.Body) (any, error)
	// Cannot are transactions that no HIS has.
	Cannot map[core.Kind]bool

	mu   sync.Mutex
	told []Told
}

// Told is a message that went into the outbox.
type Told struct {
	Hospital string
	core.Message
}

// New makes a clinic of the hospitals h1 and h2, in the zone Asia/Shanghai.
func New(t *testing.T) *Clinic {
	t.Helper()
	ctx := context.Background()
	db, err := pgxpool.New(ctx, servers.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	c := &Clinic{Cannot: map[core.Kind]bool{}}
	places := map[string]clinic.Place{}
	for id, name := range map[string]string{"h1": "测试一院", "h2": "测试二院"} {
		places[id] = clinic.Place{ID: id, Name: name, Zone: zone, Can: func(k core.Kind) bool { return !c.Cannot[k] }}
	}
	c.Clinic = &clinic.Clinic{
		Database: db, Vault: Vault{}, Log: slog.New(slog.DiscardHandler),
		Outbox: func(tx pgx.Tx) core.Outbox { return outbox{c, tx} }, Wake: func(string) {},
		Ask: c.ask,
		Recent: func(ctx context.Context, hospital string, kind core.Kind, body core.Body) (any, time.Time, error) {
			answer, err := c.ask(ctx, hospital, kind, body)
			return answer, time.Now(), err
		},
		Place: func(_ context.Context, id string) (clinic.Place, error) {
			p, ok := places[id]
			if !ok {
				return p, clinic.ErrNotFound
			}
			return p, nil
		},
		Places: func(context.Context) ([]clinic.Place, error) { return []clinic.Place{places["h1"], places["h2"]}, nil },
	}
	if _, err := db.Exec(ctx, `create table told (number bigserial, hospital text, kind text, key text, primary key (hospital, kind, key))`); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Clinic) ask(_ context.Context, hospital string, kind core.Kind, body core.Body) (any, error) {
	if err := body.Validate(); err != nil {
		return nil, err
	}
	if c.Answer == nil || c.Cannot[kind] {
		return nil, core.ErrCannot
	}
	return c.Answer(hospital, kind, body)
}

// outbox notes a message in the caller's transaction, as the hub's own does: what is
// rolled back was never told. A key is told once.
type outbox struct {
	*Clinic
	tx pgx.Tx
}

func (o outbox) Enqueue(ctx context.Context, hospital string, m core.Message) (core.Accepted, error) {
	if err := m.Validate(); err != nil {
		return core.Accepted{}, err
	}
	if o.Cannot[m.Kind] {
		return core.Accepted{}, core.ErrCannot
	}
	var number int64
	err := o.tx.QueryRow(ctx, `insert into told (hospital, kind, key) values ($1, $2, $3) on conflict do nothing returning number`, hospital, m.Kind, m.Key()).Scan(&number)
	if errors.Is(err, pgx.ErrNoRows) {
		return core.Accepted{Duplicate: true}, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, Told{hospital, m})
	return core.Accepted{ID: number}, err
}

// Told is what the hub was told so far, in the order in which it was, without what was
// rolled back.
func (c *Clinic) Told(t *testing.T) (all []Told) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.told {
		var there bool
		if err := c.Database.QueryRow(context.Background(), `select exists (select from told where hospital = $1 and kind = $2 and key = $3)`, m.Hospital, m.Kind, m.Key()).Scan(&there); err != nil {
			t.Fatal(err)
		}
		if there {
			all = append(all, m)
		}
	}
	return all
}

// Do runs f in a transaction of the hospital h1.
func Do[T any](c *Clinic, f func(tx pgx.Tx, outbox core.Outbox) (T, error)) (out T, err error) {
	err = c.Transact(context.Background(), "h1", func(tx pgx.Tx, outbox core.Outbox) error {
		out, err = f(tx, outbox)
		return err
	})
	return out, err
}

// Vault binds to purpose and number, and hides nothing.
type Vault struct{}

// Seal implements clinic.Vault.
func (Vault) Seal(plain []byte, purpose, number string) ([]byte, error) {
	return append([]byte(purpose+"\x00"+number+"\x00"), plain...), nil
}

// Open implements clinic.Vault.
func (Vault) Open(sealed []byte, purpose, number string) ([]byte, error) {
	head := purpose + "\x00" + number + "\x00"
	if len(sealed) < len(head) || string(sealed[:len(head)]) != head {
		return nil, errors.New("sealed for something else, or changed")
	}
	return sealed[len(head):], nil
}

// Index implements clinic.Vault.
func (Vault) Index(text, purpose string) []byte {
	m := hmac.New(sha256.New, []byte(purpose))
	m.Write([]byte(text))
	return m.Sum(nil)
}
