package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// network is everything that bytes pass on their way from one program to another.
type network struct {
	*campaign
	server *toxiproxy.ApiServer

	mu   sync.Mutex
	hops map[string]*toxiproxy.Proxy
}

// openNetwork puts a hop before each address of which carries says so.
func openNetwork(c *campaign, carries func(name string) bool) *network {
	registered.Do(func() {
		toxics.Register("forgotten", new(forgotten))
		toxics.Register("strange", new(strange))
		toxics.Register("counted", new(counted))
	})
	n := &network{campaign: c, server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), hops: map[string]*toxiproxy.Proxy{}}
	c.through = func(name, address string) string {
		if !carries(name) {
			return address
		}
		return n.hop(name, address)
	}
	c.Cleanup(func() {
		for _, p := range n.hops {
			p.Stop()
		}
	})
	return n
}

var here = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// hop is the address at which a hop of that name leads to this one. A program that
// was started again is at another place, and its hop leads there from then on.
func (n *network) hop(name, address string) string {
	n.Helper()
	to := here.FindString(address)
	if to == "" {
		n.Fatalf("%s is not an address of this machine", name)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if old := n.hops[name]; old != nil {
		must(n.T, "lead "+name+" elsewhere", old.Update(&toxiproxy.Proxy{Listen: old.Listen, Upstream: to, Enabled: true}))
		return strings.Replace(address, to, old.Listen, 1)
	}
	p := toxiproxy.NewProxy(n.server, name, "127.0.0.1:0", to)
	must(n.T, "open the hop "+name, p.Start())
	n.hops[name] = p
	return strings.Replace(address, to, p.Listen, 1)
}

func (n *network) names() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.hops))
}

// ill is what can be wrong with a hop. "there" are requests on their way, "back" answers.
type ill string

const (
	illCut          ill = "cut"                 // refused, and what is open is closed
	illSlow         ill = "slow"                // half a second each way, give or take
	illSwallowed    ill = "swallowed there"     // accepted, and nothing arrives
	illUnanswered   ill = "swallowed back"      // carried, and no answer comes back
	illForgotten    ill = "forgotten"           // what is open swallows everything, as behind a firewall that lost its memory; new ones are as ever
	illReset        ill = "reset at the answer" // RST when the answer begins
	illTruncated    ill = "reset in the answer" // the first bytes of an answer, then an end
	illTruncatedOut ill = "cut in the request"  // the first bytes of a request, then an end
)

var ills = []ill{illCut, illSlow, illSwallowed, illUnanswered, illForgotten, illReset, illTruncated, illTruncatedOut}

// make brings it about until heal.
func (n *network) make(name string, what ill) {
	n.Helper()
	n.inflict("network: " + string(what))
	n.mu.Lock()
	p := n.hops[name]
	n.mu.Unlock()
	add := func(kind, stream string, attributes map[string]any) *toxics.ToxicWrapper {
		n.Helper()
		return n.toxic(name, kind, stream, attributes)
	}
	switch what {
	case illCut:
		p.Stop()
	case illSlow:
		slow := map[string]any{"latency": 500, "jitter": 300}
		if strings.HasPrefix(name, "DATABASE_URL") { // a round trip is to fit into a lease
			slow = map[string]any{"latency": 60, "jitter": 40}
		}
		add("latency", "upstream", slow)
		add("latency", "downstream", slow)
	case illSwallowed:
		add("timeout", "upstream", map[string]any{"timeout": 0})
	case illUnanswered:
		add("timeout", "downstream", map[string]any{"timeout": 0})
	case illForgotten:
		for _, stream := range []string{"upstream", "downstream"} {
			add("forgotten", stream, nil).Toxic.(*forgotten).remembers.Store(true)
		}
	case illReset:
		add("reset_peer", "downstream", map[string]any{"timeout": 0})
	case illTruncated:
		add("limit_data", "downstream", map[string]any{"bytes": 70})
	case illTruncatedOut:
		add("limit_data", "upstream", map[string]any{"bytes": 300})
	}
}

// toxic adds one of the library's, or of ours.
func (n *network) toxic(hop, kind, stream string, attributes map[string]any) *toxics.ToxicWrapper {
	n.Helper()
	n.mu.Lock()
	p := n.hops[hop]
	n.mu.Unlock()
	text, err := json.Marshal(map[string]any{"type": kind, "stream": stream, "attributes": attributes})
	must(n.T, "describe a toxic", err)
	w, err := p.Toxics.AddToxicJson(strings.NewReader(string(text)))
	must(n.T, fmt.Sprintf("put %s into %s", kind, hop), err)
	return w
}

// heal makes the hop carry as ever.
func (n *network) heal(name string) {
	n.Helper()
	n.mu.Lock()
	p := n.hops[name]
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(n.ctx, 10*time.Second)
	defer cancel()
	p.Toxics.ResetToxics(ctx)
	if !p.Enabled {
		must(n.T, "open the hop "+name, p.Start())
	}
}

// forgotten swallows what comes over connections that were open when it came, and
// carries those that are opened later.
type forgotten struct {
	remembers atomic.Bool
}

var registered sync.Once

// NewState implements toxics.StatefulToxic: it is called for what is open at once, for
// the others when they open.
func (f *forgotten) NewState() any { return f.remembers.Load() }

// Pipe implements toxics.Toxic.
func (f *forgotten) Pipe(stub *toxics.ToxicStub) {
	if known, _ := stub.State.(bool); known {
		new(toxics.NoopToxic).Pipe(stub)
		return
	}
	new(toxics.TimeoutToxic).Pipe(stub)
}

// Cleanup implements toxics.CleanupToxic: what swallowed for a while carries nothing
// whole any more.
func (f *forgotten) Cleanup(stub *toxics.ToxicStub) {
	if known, _ := stub.State.(bool); !known {
		stub.Close()
	}
}
