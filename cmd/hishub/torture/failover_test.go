package torture

import (
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/mocks/servers"
)

// pair starts a primary whose commits wait for a standby.
func (c *campaign) pair() (primary, standby *servers.Server) {
	primary = c.own()
	standby, err := servers.StartStandby(c.Context(), filepath.Join(c.dir, "standby"), primary)
	must(c.T, "start a standby", err)
	c.Cleanup(standby.Kill)
	c.postgres = bothHosts(primary.URL, standby.URL)
	return primary, standby
}

// layFailover: in the middle of the load the standby dies, so that commits wait for
// it. Some of those that wait are ended: the primary has what they wrote,
// nobody else has, and their callers submit it again. Then the primary dies; the
// standby comes back without it and is promoted, and the hubs find it by themselves.
func (c *campaign) layFailover() {
	primary, standby := c.pair()
	c.faults = func() {
		c.after(0.4)
		standby.Kill()
		conn, err := pgx.Connect(c.ctx, primary.URL)
		must(c.T, "connect to the primary", err)
		defer conn.Close(c.ctx)
		for end := time.Now().Add(c.between(3, 1500*time.Millisecond, 3*time.Second)); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			var ended int
			must(c.T, "end what waits for the standby", conn.QueryRow(c.ctx,
				`select count(pg_terminate_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep' and query_start < clock_timestamp() - interval '300 ms'`).Scan(&ended))
			c.inflictMore("ended while they waited for the standby", ended)
		}
		c.fail(primary)
		must(c.T, "restart the standby", standby.Restart(c.ctx))
		time.Sleep(c.between(4, 0, time.Second))
		must(c.T, "promote the standby", standby.Promote(c.ctx))
		c.inflict("failovers")
	}
}

// fail kills the postmaster alone or the whole server.
func (c *campaign) fail(server *servers.Server) {
	if c.random(5).IntN(2) == 0 {
		c.inflict("kill -9 of the postmaster")
		server.KillFirst()
	} else {
		c.inflict("kill -9 of PostgreSQL")
	}
	server.Kill()
}

// layCrash: PostgreSQL dies as in a power cut and comes back, several times; once
// it stays away for long while the hospitals go on answering.
func (c *campaign) layCrash() {
	server := c.own()
	c.faults = func() {
		for i, away := range []time.Duration{0, c.between(3, 0, 2*time.Second), 20 * time.Second} {
			c.after(0.2 + 0.2*float64(i))
			server.Kill()
			time.Sleep(away)
			must(c.T, "restart PostgreSQL", server.Restart(c.ctx))
			c.inflict("crashes of PostgreSQL")
		}
	}
}
