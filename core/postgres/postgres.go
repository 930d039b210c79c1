// Package postgres is the one store of the hub: messages, the queue, attempts,
// events, revisions, decisions, in the schema "hub" of one PostgreSQL (14 or newer).
//
// What runs once per message is written for many messages at a time: concurrent
// callers are gathered (gather.go) into one transaction of a few statements over
// arrays, sent in one round trip. Lanes are kept in order by one rule: who
// changes the membership of a lane holds the lane's lock (lanes.go).
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres/seal"
)

// Options for Open. URL and KeyFile are required.
type Options struct {
	// URL of the database, "postgres://…". It must be migrated, and reached directly
	// or through a pooler that keeps sessions: statements stay prepared in them.
	URL string
	// KeyFile holds the master key. With CreateKey it is made when it is missing
	// and the database holds nothing sealed yet.
	KeyFile   string
	CreateKey bool
	// MaxConns bounds all connections to the database; 0 means 24.
	MaxConns int
	// Can reports whether the hospital's dialect has such a transaction; nil: always.
	Can func(hospital string, kind core.Kind) bool
	// PassWhenParked reports whether a lane goes on behind a parked message; nil:
	// never. It is not asked about money, which never passes.
	PassWhenParked func(hospital string, kind core.Kind) bool
	// Woken is called after a message was committed that can be claimed at once;
	// nil: nobody is told. It must not block.
	Woken func(hospital string)
	// Traced gives claims the trace that they were accepted under.
	Traced bool
	Measure
}

// Store is the hub's ledger. It is safe for parallel use.
type Store struct {
	Options
	// hot serves what happens once per message or oftener, calm all the rest: a
	// slow list or a waiting person never takes a delivery's connection.
	hot, calm *pgxpool.Pool
	keys      *seal.Ring
	master    atomic.Pointer[seal.Master]

	accepts *gather[enqueueing, enqueued]
	claims  *gather[claiming, []claimRow]
	marks   *gather[mark, bool]
	settles *gather[settlement, settled]
	// codes that are unmapped, until they are written
	codes tally
	// alone bounds transactions that wait for a lane that is busy.
	alone chan struct{}
	stop  context.CancelFunc
	work  sync.WaitGroup
}

var (
	_ delivery.Store = (*Store)(nil)
	_ core.Outbox    = (*Store)(nil)
	_ core.Feed      = (*Store)(nil)
)

// ErrNotFound is returned for a message, hospital or key that does not exist.
var ErrNotFound = errors.New("not found")

// Open connects to a migrated database. It fails when the key file is missing
// or its key cannot open the database's data keys.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, o Options) (_ *Store, err error) {
	if o.MaxConns == 0 {
		o.MaxConns = 24
	}
	if o.Can == nil {
		o.Can = func(string, core.Kind) bool { return true }
	}
	if o.PassWhenParked == nil {
		o.PassWhenParked = func(string, core.Kind) bool { return false }
	}
	if o.Woken == nil {
		o.Woken = func(string) {}
	}
	o.Measure = o.Measure.orNothing()
	s := &Store{Options: o, keys: &seal.Ring{}, alone: make(chan struct{}, 4)}
	if s.hot, err = Pool(ctx, o.URL, max(8, o.MaxConns*2/3), lookups); err != nil {
		return nil, err
	}
	if s.calm, err = Pool(ctx, o.URL, max(4, o.MaxConns/3), nil); err != nil {
		s.hot.Close()
		return nil, err
	}
	defer func() {
		if err != nil {
			s.hot.Close()
			s.calm.Close()
		}
	}()
	if err = s.loadKeys(ctx); err != nil {
		return nil, err
	}
	if err = s.partitionsAhead(ctx, time.Time{}); err != nil {
		return nil, err
	}
	if err = s.adoptEvents(ctx); err != nil {
		return nil, err
	}
	var background context.Context
	background, s.stop = context.WithCancel(context.Background())
	s.accepts = newGather(background, &s.work, 2, acceptPace, batched(s, "accept", s.acceptAll))
	s.claims = newGather(background, &s.work, 2, 0, s.claimAll)
	s.marks = newGather(background, &s.work, 2, 0, batched(s, "mark", s.markAll))
	// The HIS has answered: nobody but the next of the lane waits for this, or the
	// next step.
	s.settles = newGather(background, &s.work, 1, settlePace, batched(s, "settle", s.settleAll))
	s.settles.urgent = func(w settlement) bool { return w.state == string(delivery.Sending) }
	s.work.Go(func() { s.tallyCodes(background) })
	return s, nil
}

// The paces of acceptances and of settlements. At 700 messages a second they are
// shared by two and by six; at less than 100 nobody waits. Claims and marks have
// none, because a free slot waits for them.
const (
	acceptPace = 2 * time.Millisecond
	settlePace = 8 * time.Millisecond
)

// Close ends what is under way and gives back the connections.
func (s *Store) Close() {
	s.stop()
	s.work.Wait()
	s.hot.Close()
	s.calm.Close()
}

// lookups are the planner settings of hot connections. Each statement there
// looks up few rows by an index. A plan that was made and cached while the queue
// was empty would scan or hash it, and would still be in use when the queue
// holds 100,000 rows.
//
// What they leave is to walk a whole index in its order and look for each row's
// wish, which costs as little as a lookup when an ANALYZE met a row or two. So
// hot statements join by "= any(array[wish])": that is looked up like "=", but
// has no order, which leaves nothing but the scan that is off.
var lookups = map[string]string{
	"enable_seqscan":    "off",
	"enable_bitmapscan": "off",
	"enable_hashjoin":   "off",
	"enable_mergejoin":  "off",
	"plan_cache_mode":   "force_generic_plan",
}

// Now is the database's clock.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	err = s.calm.QueryRow(ctx, `select clock_timestamp()`).Scan(&now)
	if err != nil {
		return now, fmt.Errorf("read the database's clock: %w", err)
	}
	return now, nil
}
