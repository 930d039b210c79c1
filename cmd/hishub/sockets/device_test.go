package sockets

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"hishub/platform/chat"
	"hishub/platform/clinic"
)

// device is a client as the apps are: it hears of messages over its socket, and syncs
// whenever it connects or a message is not the next one.
type device struct {
	t      *testing.T
	at     *chat.Service // the process that it asks
	person clinic.Person
	socket *centrifuge.Client
	its    []string // conversations
	// moves: its owner will lose his right; moved: his socket was closed for it.
	moves, moved atomic.Bool

	mu    sync.Mutex
	lists map[string][]chat.Message // by conversation
	heard int
	more  chan struct{}
}

// closedForRights is the code with which a socket is closed whose owner has other rights.
const closedForRights = 4001

func (d *device) connect(url, token string) {
	d.socket = centrifuge.NewJsonClient(url, centrifuge.Config{Token: token, MinReconnectDelay: 10 * time.Millisecond, MaxReconnectDelay: 500 * time.Millisecond})
	d.socket.OnConnected(func(centrifuge.ConnectedEvent) {
		for _, no := range d.its {
			d.sync(no)
		}
		d.tell()
	})
	d.socket.OnConnecting(func(e centrifuge.ConnectingEvent) {
		if e.Code == closedForRights {
			d.moved.Store(true)
		}
	})
	d.socket.OnPublication(func(e centrifuge.ServerPublicationEvent) { d.hears(e.Data) })
	if err := d.socket.Connect(); err != nil {
		d.t.Error(err)
	}
}

func (d *device) hears(data []byte) {
	var m chat.Message
	if err := json.Unmarshal(data, &m); err != nil {
		d.t.Error(err)
	}
	if m.Seq == 0 { // a receipt
		return
	}
	d.mu.Lock()
	list, his := d.lists[m.Conversation]
	d.heard++
	next := int64(len(list)) + 1
	if his && m.Seq == next {
		d.lists[m.Conversation] = append(list, m)
	}
	d.mu.Unlock()
	if !his || d.moved.Load() {
		d.t.Errorf("account %d heard of %s, in which he is not", d.person.Account, m.Conversation)
	} else if m.Seq > next {
		d.sync(m.Conversation)
	}
	d.tell()
}

// sync has what is missing of a conversation.
func (d *device) sync(no string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		page, err := d.at.Sync(context.Background(), d.owner(), no, int64(len(d.lists[no])), 200)
		if errors.Is(err, clinic.ErrNotFound) && d.moves.Load() {
			return
		}
		if err != nil {
			d.t.Error(err)
			return
		}
		d.lists[no] = append(d.lists[no], page...)
		if len(page) < 200 {
			return
		}
	}
}

// owner as he is now: who moves has no rights at the hospital any more.
func (d *device) owner() clinic.Person {
	p := d.person
	if d.moves.Load() {
		p.Grants = elsewhere
	}
	return p
}

func (d *device) tell() {
	select {
	case d.more <- struct{}{}:
	default:
	}
}

// until waits until the device has n messages of each conversation.
func (d *device) until(n map[string]int, end <-chan time.Time) bool {
	for {
		missing := 0
		d.mu.Lock()
		for no, list := range d.lists {
			missing += max(0, n[no]-len(list))
		}
		d.mu.Unlock()
		if missing == 0 {
			return true
		}
		select {
		case <-d.more:
		case <-end:
			d.t.Errorf("account %d misses %d messages", d.person.Account, missing)
			return false
		}
	}
}

// again loses the connection as a client does that is switched off and on.
func (d *device) again() {
	if err := d.socket.Disconnect(); err != nil {
		d.t.Error(err)
	}
	if err := d.socket.Connect(); err != nil {
		d.t.Error(err)
	}
}

// wire is a listener whose connections can be cut, as networks do.
type wire struct {
	net.Listener
	mu   sync.Mutex
	open map[net.Conn]bool
}

func (w *wire) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	kept := &cuttable{c, w}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[kept] = true
	return kept, nil
}

type cuttable struct {
	net.Conn
	of *wire
}

func (c *cuttable) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// cut resets connections: one at random, or all of them.
func (w *wire) cut(all bool) {
	var cut []net.Conn
	w.mu.Lock()
	if n := len(w.open); n > 0 {
		one, i := rand.IntN(n), 0
		for c := range w.open {
			if all || i == one {
				cut = append(cut, c)
			}
			i++
		}
	}
	w.mu.Unlock()
	for _, c := range cut {
		_ = c.(*cuttable).Conn.(*net.TCPConn).SetLinger(0) // a reset, without a good-bye
		_ = c.Close()
	}
}
