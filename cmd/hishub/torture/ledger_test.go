package torture

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
)

// ledger looks into the databases past the programs that own them: into the
// hub's for what a process held when it was struck, which nobody else can tell,
// and into nanyuan's for when it got each row.
type ledger struct {
	*campaign
	hub, his *pgxpool.Pool
}

// claim of a message by a process.
type claim struct {
	sent     bool // sent_at was written: bytes may have left
	attempts int
}

func openLedger(c *campaign, hub, his string) *ledger {
	l := &ledger{campaign: c}
	for address, pool := range map[string]**pgxpool.Pool{urlAs(c.postgres, "", hub): &l.hub, urlAs(c.his, "", his): &l.his} {
		var err error
		*pool, err = pgxpool.New(c.ctx, address+"&pool_max_conns=4")
		must(c.T, "look into the database", err)
		c.Cleanup((*pool).Close)
	}
	_, err := l.hub.Exec(c.ctx, slowMark)
	must(c.T, "slow down sent_at", err)
	return l
}

// slowMark makes a slow disk of writing sent_at for beishan, so that a hub has
// claims that it has not sent yet whenever it is struck. There they would be
// parked, if a claim alone were taken for sent.
const slowMark = `
	create function hub.slow_mark() returns trigger language plpgsql as $$ begin perform pg_sleep(0.04); return new; end $$;
	create trigger slow_mark before update of sent_at on hub.queue for each row
		when (new.sent_at is not null and new.hospital = 'beishan') execute function hub.slow_mark()`

// administer runs statements at the server.
func (c *campaign) administer(server string, statements ...string) {
	c.Helper()
	conn, err := pgx.Connect(c.ctx, server)
	must(c.T, "connect to PostgreSQL", err)
	defer conn.Close(c.ctx)
	for _, s := range statements {
		_, err := conn.Exec(c.ctx, s)
		must(c.T, s, err)
	}
}

func (l *ledger) number(query string, args ...any) (n int) {
	l.Helper()
	err := l.hub.QueryRow(l.ctx, query, args...).Scan(&n)
	for end := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		err = l.hub.QueryRow(l.ctx, query, args...).Scan(&n) // the server may just have come back
	}
	must(l.T, "look into the hub's database", err)
	return n
}

// connections of a role.
func (l *ledger) connections(role string) int {
	return l.number(`select count(*) from pg_stat_activity where usename = $1`, role)
}

// cut ends the connections of a role; what they were writing is undone.
func (l *ledger) cut(role string) {
	l.number(`select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = $1`, role)
}

// unsent claims of a process at beishan.
func (l *ledger) unsent(pid int) int {
	return l.number(`select count(*) from hub.queue where lease_until > clock_timestamp() and sent_at is null and hospital = 'beishan' and process like $1`, ofProcess(pid))
}

// shards that a process holds.
func (l *ledger) shards(pid int) int {
	return l.number(`select count(*) from hub.shard where process like $1`, ofProcess(pid))
}

// claims of a process. Its name has its process id in the middle.
func (l *ledger) claims(pid int) map[int64]claim {
	l.Helper()
	rows, err := l.hub.Query(l.ctx, `select message, sent_at is not null, attempts from hub.queue where lease_until is not null and process like $1`, ofProcess(pid))
	must(l.T, "look at the claims", err)
	held := map[int64]claim{}
	var id int64
	var cl claim
	_, err = pgx.ForEachRow(rows, []any{&id, &cl.sent, &cl.attempts}, func() error { held[id] = cl; return nil })
	must(l.T, "look at the claims", err)
	return held
}

func ofProcess(pid int) string { return fmt.Sprintf("%%-%d-%%", pid) }

// read tells when nanyuan first read the row of each message.
func (l *ledger) read() map[named]time.Time {
	rows, err := l.his.Query(l.ctx, `
		select $1, cfh, min(dqsj) at time zone 'Asia/Shanghai' from zjk_cf_main where dqsj is not null group by cfh
		union all select $2, cfh, min(dqsj) at time zone 'Asia/Shanghai' from zjk_cf_zf where dqsj is not null group by cfh
		union all select $3, tfdh, min(dqsj) at time zone 'Asia/Shanghai' from zjk_tf where dqsj is not null group by tfdh
		union all select $4, biz_key, min(at) at time zone 'Asia/Shanghai' from his_journal where operation = 'zjk_jf_settle' and biz_key <> '' group by biz_key`,
		string(core.PrescriptionCreate), string(core.PrescriptionVoid), string(core.RefundCreate), string(core.PaymentSettle))
	must(l.T, "look at nanyuan's rows", err)
	first := map[named]time.Time{}
	var kind, key string
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&kind, &key, &at}, func() error { first[named{core.Kind(kind), key}] = at; return nil })
	must(l.T, "look at nanyuan's rows", err)
	return first
}

// named is a message as hospitals know it.
type named struct {
	kind core.Kind
	key  string
}
