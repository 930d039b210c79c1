package torture

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"hishub/mocks/servers"
)

// timeline is a campaign in which servers fail while hubs work on and hospitals
// fail as always. What holds in the end is what holds for every campaign.
type timeline struct {
	name string
	// short ones are in make test, too.
	short bool
	// lay starts the servers and says what happens to them.
	lay func(c *campaign)
	// lacks says why it cannot be played on this machine; nil or "": it can.
	lacks func() string
}

var timelines = []timeline{
	{name: "failover", short: true, lay: (*campaign).layFailover},
	{name: "broker", lay: (*campaign).layBroker},
	{name: "rolling restart", short: true, lay: (*campaign).layRolling},
	{name: "crash", lay: (*campaign).layCrash},
	{name: "broker cluster", lay: (*campaign).layBrokerCluster},
	{name: "redis", lay: (*campaign).layRedis},
	{name: "all away", lay: (*campaign).layAllAway},
	{name: "disk full", lay: (*campaign).layDiskFull, lacks: mayMount},
}

// TestTortureServers plays the time lines in which servers fail.
func TestTortureServers(t *testing.T) {
	seed, size := uint64(1), size{messages: 120, spread: 5 * time.Second, patience: 2 * time.Minute}
	if isFull() {
		size.messages, size.spread, size.patience = 600, 25*time.Second, 5*time.Minute
	} else {
		t.Parallel()
	}
	if one := os.Getenv("HISHUB_SEED"); one != "" {
		var err error
		seed, err = strconv.ParseUint(one, 10, 64)
		must(t, "read HISHUB_SEED", err)
	}
	binary, dir := program(t), folder(t)
	server := startPostgres(t, dir)
	for _, l := range timelines {
		if !l.short && !isFull() {
			continue
		}
		if l.lacks != nil {
			if why := l.lacks(); why != "" {
				leftOut(t, l.name, why)
				continue
			}
		}
		t.Run(l.name, func(t *testing.T) {
			if !isFull() {
				t.Parallel()
			}
			c := &campaign{
				T: t, line: l.name, size: size, seed: seed, binary: binary, dir: filepath.Join(dir, identifier(l.name)),
				postgres: server.URL, his: server.URL, processes: 2, double: seed%2 == 0,
			}
			l.lay(c)
			c.run()
		})
	}
}

// identifier is a name that PostgreSQL takes as it is.
func identifier(name string) string {
	out := []rune(name)
	for i, r := range out {
		if r == ' ' {
			out[i] = '_'
		}
	}
	return string(out)
}

// after waits until that part of the time is over in which messages are submitted.
// It waits for nothing else: the moment is to be any moment.
func (c *campaign) after(part float64) {
	time.Sleep(time.Until(c.began.Add(time.Duration(part * float64(c.spread)))))
}

// between is a time of the seed's choice.
func (c *campaign) between(part uint64, least, most time.Duration) time.Duration {
	return least + time.Duration(c.random(part).Int64N(int64(most-least)))
}

// own starts a PostgreSQL for the hubs alone, so that it can fail without the
// hospitals' own.
func (c *campaign) own() *servers.Server {
	server, err := servers.StartPostgres(c.Context(), filepath.Join(c.dir, "own"))
	must(c.T, "start the hubs' PostgreSQL", err)
	c.Cleanup(server.Kill)
	c.postgres = server.URL
	return server
}

// bothHosts is an address that finds whichever of two servers takes writes.
func bothHosts(first, second string) string {
	a, err := url.Parse(first)
	if err != nil {
		panic(err) // the server's own
	}
	b, err := url.Parse(second)
	if err != nil {
		panic(err)
	}
	a.Host = a.Host + "," + b.Host
	return fmt.Sprintf("%s&target_session_attrs=read-write", a)
}
