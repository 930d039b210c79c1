package certify

import (
	"context"
	"net"
	"strings"
	"sync"

	"hishub/connectors/proxy"
)

// line is the way of all connectors to the HIS: through proxies, one for each
// address, that do what a drill wants.
type line struct {
	mu      sync.Mutex
	proxies map[string]*proxy.Proxy
	mode    proxy.Mode
}

func newLine() *line { return &line{proxies: map[string]*proxy.Proxy{}} }

// dial is a connector's dialler.
func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p, err := l.to(network, address)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "tcp", p.Address())
}

func (l *line) to(network, address string) (*proxy.Proxy, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.proxies[network+" "+address]
	if p != nil {
		return p, nil
	}
	p, err := proxy.New(network, address)
	if err != nil {
		return nil, err
	}
	if err := p.Set(l.mode); err != nil {
		return nil, err
	}
	l.proxies[network+" "+address] = p
	return p, nil
}

// addresses that were called, host and port.
func (l *line) addresses() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := sorted(l.proxies)
	for i := range all {
		all[i] = strings.TrimPrefix(all[i], "tcp ")
	}
	return all
}

func (l *line) each(do func(*proxy.Proxy) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.proxies {
		if err := do(p); err != nil {
			return err
		}
	}
	return nil
}

// set changes what happens from now on.
func (l *line) set(m proxy.Mode) error {
	err := l.each(func(p *proxy.Proxy) error { return p.Set(m) })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mode = m
	return err
}

// at changes it when a request holds the text.
func (l *line) at(text string, m proxy.Mode) {
	_ = l.each(func(p *proxy.Proxy) error { p.At(text, m); return nil })
}

// forget drops what is known of strikes so far.
func (l *line) forget() { l.struck() }

// struck reports whether anything was kept back or spoilt since forget. On a line
// whose words cannot be read, a drill that waits for one never strikes.
func (l *line) struck() (yes bool) {
	_ = l.each(func(p *proxy.Proxy) error {
		for {
			select {
			case <-p.Held:
				yes = true
			default:
				return nil
			}
		}
	})
	return yes
}

// release delivers late what was kept.
func (l *line) release() {
	_ = l.each(func(p *proxy.Proxy) error { p.Release(); return nil })
}

func (l *line) close() {
	_ = l.each(func(p *proxy.Proxy) error { p.Close(); return nil })
}
