// Package player plays a hospital folder as a HIS: it hears what the folder writes,
// keeps books of it, and answers what the folder reads. Hospital IT sees what they
// would receive, and a folder can be tried with no HIS at hand.
package player

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"hishub/connectors"
	"hishub/core"
	"hishub/mapping"
	"hishub/mocks/control"
	"hishub/mocks/fault"
)

// Options of a Player.
type Options struct {
	Folder fs.FS
	// Env gives the variables of the folder but for those that lead to the player;
	// nil: none is set.
	Env func(name string) (string, bool)
	// Listen is the address of the first entrance, 127.0.0.1:0 if empty; further
	// entrances have the ports behind it, or any if it has none.
	Listen string
	// Control is the address for books, faults and the page; 127.0.0.1:0 if empty.
	Control string
	Latency time.Duration
	Seed    uint64
	// Repeats is how a key that is in the books is answered: "" by what the folder's
	// cases have for already, else as the first time; "same" always as the first time.
	Repeats string
	// Heard is called after each request; it may be nil.
	Heard func(Exchange)
}

// Player is a hospital folder at play.
type Player struct {
	options  Options
	folder   *mapping.Folder
	script   *fault.Script
	port     *control.Port
	vars     map[string]string
	entrance []*entrance
	doors    []interface{ Close() error }
	work     sync.WaitGroup
	ready    chan struct{} // closed when requests can be heard
	done     chan struct{} // closed by Close
	closing  sync.Once

	connMu sync.Mutex
	conns  map[net.Conn]bool

	mu     sync.Mutex // of the mirror and the books
	mirror *mapping.Mirror
	books  accepted
	serial int
	log    []Exchange
}

// entrance is one connector of the folder, the other way round.
type entrance struct {
	name, kind string
	path       string // of HTTP: what the folder's address has
	wire       core.Wire
	text       charsetReader
	address    string
}

// kept is how many exchanges the page shows.
const kept = 200

// Start plays a folder until Close. Errors are mapping.Mistakes where the folder
// has them; a connector that cannot be played is named with what to do instead.
func Start(ctx context.Context, o Options) (*Player, error) {
	if o.Env == nil {
		o.Env = func(string) (string, bool) { return "", false }
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Control == "" {
		o.Control = "127.0.0.1:0"
	}
	p := &Player{options: o, script: fault.NewScript(o.Seed, fault.HTTPKinds), vars: map[string]string{}, ready: make(chan struct{}), done: make(chan struct{}), conns: map[net.Conn]bool{}}
	if err := p.start(); err != nil {
		p.Close()
		return nil, err
	}
	context.AfterFunc(ctx, func() { p.Close() })
	return p, nil
}

func (p *Player) start() error {
	written, err := readConnectors(p.options.Folder)
	if err != nil {
		return err
	}
	if err := p.openPorts(written); err != nil {
		return err
	}
	env := func(name string) (string, bool) {
		if v, ok := p.vars[name]; ok {
			return v, true
		}
		return p.options.Env(name)
	}
	p.folder, err = mapping.Load(p.options.Folder, mapping.Options{Env: env, Open: connectors.Open, Listen: connectors.Listen, Backwards: true})
	if err != nil {
		return err
	}
	if p.mirror, err = p.folder.Mirror(); err != nil {
		return err
	}
	if err := p.furnish(); err != nil {
		return err
	}
	p.serve()
	if p.port, err = control.Open(p.options.Control, desk{p}, p.pages()); err != nil {
		return err
	}
	close(p.ready)
	return nil
}

// Env is what leads the folder's connectors to the player: variables and their values.
func (p *Player) Env() map[string]string { return maps.Clone(p.vars) }

// Folder is the folder as it was loaded, its connectors led to the player.
func (p *Player) Folder() *mapping.Folder { return p.folder }

// URL of the first entrance, or its address where it is a bare connection.
func (p *Player) URL() string {
	for _, e := range p.entrance {
		return e.address
	}
	return ""
}

// ControlURL is where books, faults and the page are.
func (p *Player) ControlURL() string { return p.port.URL() }

// Addresses are the entrances by the names of the folder's connectors.
func (p *Player) Addresses() map[string]string {
	out := map[string]string{}
	for _, e := range p.entrance {
		out[e.name] = e.address
	}
	return out
}

// Script holds the faults that are played.
func (p *Player) Script() *fault.Script { return p.script }

// Exchanges are the last requests with their answers, the oldest first.
func (p *Player) Exchanges() []Exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.log)
}

// Close ends all connections. Calling it again is harmless.
func (p *Player) Close() error {
	p.closing.Do(func() { close(p.done) })
	p.script.Close()
	var errs []error
	for _, d := range p.doors {
		if err := d.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	p.connMu.Lock()
	for c := range p.conns {
		c.Close()
	}
	p.connMu.Unlock()
	p.work.Wait()
	if p.port != nil {
		errs = append(errs, p.port.Close())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mirror != nil {
		p.mirror.Close()
		p.mirror = nil
	}
	return errors.Join(errs...)
}

// open keeps a connection in mind, so that Close can end it.
func (p *Player) open(c net.Conn) {
	p.connMu.Lock()
	defer p.connMu.Unlock()
	p.conns[c] = true
	select {
	case <-p.done:
		c.Close()
	default:
	}
}

func (p *Player) shut(c net.Conn) {
	p.connMu.Lock()
	delete(p.conns, c)
	p.connMu.Unlock()
	c.Close()
}

// record keeps an exchange for the page, and tells who wants to hear of it.
func (p *Player) record(x Exchange) {
	p.mu.Lock()
	p.serial++
	x.No = p.serial
	p.log = append(p.log, x)
	if len(p.log) > kept {
		p.log = slices.Delete(p.log, 0, len(p.log)-kept)
	}
	p.mu.Unlock()
	if p.options.Heard != nil {
		p.options.Heard(x)
	}
}

// furnish makes the entrances of the connectors' options.
func (p *Player) furnish() error {
	names := slices.Sorted(maps.Keys(p.folder.Dialect.Connectors))
	for _, name := range names {
		spec := p.folder.Dialect.Connectors[name]
		e := p.at(name)
		if e == nil {
			return fmt.Errorf("the connector %s cannot be played", name)
		}
		if err := e.furnish(spec); err != nil {
			return fmt.Errorf("play the connector %s: %w", name, err)
		}
	}
	return nil
}

func (p *Player) at(name string) *entrance {
	for _, e := range p.entrance {
		if e.name == name {
			return e
		}
	}
	return nil
}

// redacted is text without the folder's secrets.
func (p *Player) redacted(text string) string {
	return strings.ToValidUTF8(string(p.folder.Dialect.Redact([]byte(text))), "\uFFFD")
}
