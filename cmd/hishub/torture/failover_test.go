package torture

import (
	"path/filepath"
	"time"

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

// layFailover: in the middle of the load the standby falls silent for a moment, so
// that commits wait for it, and in this moment the primary dies. The standby is
// promoted; the hubs find it by themselves.
func (c *campaign) layFailover() {
	primary, standby := c.pair()
	c.faults = func() {
		c.after(0.4)
		standby.Pause()
		time.Sleep(c.between(3, 300*time.Millisecond, time.Second))
		c.fail(primary)
		standby.Resume()
		time.Sleep(c.between(4, 0, time.Second))
		must(c.T, "promote the standby", standby.Promote(c.ctx))
		c.count("failovers")
	}
}

// layStaleStandby: the standby is away for so long that hubs give up waiting and
// their callers submit again. What the primary alone has then is nobody's promise.
func (c *campaign) layStaleStandby() {
	primary, standby := c.pair()
	c.faults = func() {
		c.after(0.2)
		standby.Pause()
		time.Sleep(c.between(3, 32*time.Second, 40*time.Second))
		c.fail(primary)
		standby.Resume()
		must(c.T, "promote the standby", standby.Promote(c.ctx))
		c.count("failovers")
	}
}

// fail kills the postmaster alone or the whole server.
func (c *campaign) fail(server *servers.Server) {
	if c.random(5).IntN(2) == 0 {
		c.count("kill -9 of the postmaster")
		server.KillFirst()
	} else {
		c.count("kill -9 of PostgreSQL")
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
			c.count("crashes of PostgreSQL")
		}
	}
}
