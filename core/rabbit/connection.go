// Package rabbit carries three things over RabbitMQ: hints that a hospital has
// work (Wakes), messages that a platform submits by queue instead of HTTP
// (Intake), and the events that tell what became of them (Events). PostgreSQL
// holds the truth: lose the broker with everything in it, and nothing accepted
// is lost. Local carries the hints inside one process, without a broker.
package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// heartbeat: a broker that is silent for three of them is gone.
	heartbeat = 5 * time.Second
	// dialPatience bounds connecting, up to the end of the AMQP handshake.
	dialPatience = 5 * time.Second
	// closePatience bounds the farewell to a broker that may not answer.
	closePatience = time.Second
)

// errClosed is what remains after Close.
var errClosed = errors.New("the connection to RabbitMQ was closed")

// Connection is a connection to a RabbitMQ broker that heals itself: whatever
// happens to the broker, it connects again, and who uses it declares and
// consumes again.
type Connection struct {
	nodes  []node
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	conn    *amqp.Connection  // nil while away
	away    error             // why
	said    map[string]string // why each node is away, as the log has it
	changed chan struct{}     // closed when conn changes
}

// node is one of a broker's.
type node struct{ url, address string }

// Dial starts to connect to url (amqp:// or amqps://) and does not wait for it:
// a broker that is away now is used once it comes. Of a cluster url names several
// nodes, each whole, with commas between them; the first that answers is used, and
// when it is lost the next. The error says that the URL cannot be read, without
// the URL, which has a password in it.
func Dial(url string, log *slog.Logger) (*Connection, error) {
	nodes, err := nodesOf(url)
	if err != nil {
		return nil, err
	}
	c := &Connection{nodes: nodes, log: log, away: errors.New("not connected yet"), said: map[string]string{}, changed: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.work.Go(c.keep)
	return c, nil
}

// Nodes are the addresses of which url consists, each for amqp.Dial.
func Nodes(url string) []string {
	nodes, _ := nodesOf(url)
	all := make([]string, len(nodes))
	for i, n := range nodes {
		all[i] = n.url
	}
	return all
}

// nodesOf reads addresses with commas between them. A comma of a password is not
// followed by a scheme.
func nodesOf(url string) (nodes []node, err error) {
	rest := url
	for rest != "" {
		one := rest
		rest = ""
		for i := range one {
			if next := one[i:]; strings.HasPrefix(next, ",amqp://") || strings.HasPrefix(next, ",amqps://") {
				one, rest = one[:i], next[1:]
				break
			}
		}
		uri, err := amqp.ParseURI(one)
		if err != nil {
			return nil, errBadAddress
		}
		nodes = append(nodes, node{one, net.JoinHostPort(uri.Host, fmt.Sprint(uri.Port))})
	}
	if nodes == nil {
		return nil, errBadAddress
	}
	return nodes, nil
}

var errBadAddress = errors.New("read the address of RabbitMQ: it must look like amqp://user:password@host:5672/vhost, of a cluster several with commas between them")

// Ready says whether the broker is connected, for /readyz. hishub works without
// it, so that an error means degraded and not down.
func (c *Connection) Ready(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return fmt.Errorf("rabbitmq at %s: %w", c.addresses(), c.away)
	}
	return nil
}

func (c *Connection) addresses() string {
	all := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		all[i] = n.address
	}
	return strings.Join(all, ", ")
}

// Close ends the connection and everything that uses it, and returns when no
// goroutine of theirs is left. Calling it again is harmless.
func (c *Connection) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.work.Wait()
	return nil
}

// keep holds a connection until Close.
func (c *Connection) keep() {
	at := 0 // the node that is tried
	for failures := 0; c.ctx.Err() == nil; failures++ {
		conn, socket, err := c.dial(c.nodes[at])
		if err != nil {
			c.is(nil, err, c.nodes[at].address)
			// The others of a cluster are tried before anybody waits for long.
			at = (at + 1) % len(c.nodes)
			pause(c.ctx, failures/len(c.nodes))
			continue
		}
		lost := conn.NotifyClose(make(chan *amqp.Error, 1))
		since := time.Now()
		c.is(conn, nil, c.nodes[at].address)
		select {
		case err := <-lost:
			c.is(nil, lossOf(err), c.nodes[at].address)
			at = (at + 1) % len(c.nodes)
		case <-c.ctx.Done():
			c.is(nil, errClosed, "")
			farewell(conn, socket)
			return
		}
		if time.Since(since) > dialPatience {
			failures = 0
		}
		pause(c.ctx, failures)
	}
}

// dial connects; it gives up when Close is called.
func (c *Connection) dial(n node) (conn *amqp.Connection, socket net.Conn, err error) {
	greeted := func() bool { return true }
	defer func() { greeted() }()
	conn, err = amqp.DialConfig(n.url, amqp.Config{
		Heartbeat: heartbeat,
		Dial: func(network, address string) (net.Conn, error) {
			d := net.Dialer{Timeout: dialPatience}
			var err error
			if socket, err = d.DialContext(c.ctx, network, address); err != nil {
				return nil, err
			}
			greeted = context.AfterFunc(c.ctx, func() { socket.Close() })
			// A frozen broker accepts and never greets. The library lifts the
			// deadline once it did.
			return socket, socket.SetDeadline(time.Now().Add(dialPatience))
		},
	})
	return conn, socket, err
}

// is notes a new connection, or why there is none, and says it once for each node.
func (c *Connection) is(conn *amqp.Connection, away error, at string) {
	c.mu.Lock()
	known := false
	if conn != nil {
		clear(c.said)
	} else {
		known = c.conn == nil && c.said[at] == away.Error()
		c.said[at] = away.Error()
	}
	c.conn, c.away = conn, away
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	switch {
	case conn != nil:
		c.log.Info("rabbitmq connected", "address", at)
	case !known && !errors.Is(away, errClosed):
		c.log.Warn("rabbitmq is away; hints, intake and events wait", "address", at, "cause", away)
	}
}

// present waits until there is a connection.
func (c *Connection) present(ctx context.Context) (*amqp.Connection, error) {
	for {
		c.mu.Lock()
		conn, changed := c.conn, c.changed
		c.mu.Unlock()
		if conn != nil && !conn.IsClosed() {
			return conn, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// always gives use a channel, and another one whenever the channel was lost or
// use failed, until ctx or the connection ends. The context of use ends with
// its channel. what names it in the log.
func (c *Connection) always(ctx context.Context, what string, use func(context.Context, *amqp.Channel) error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	for failures := 0; ; failures++ {
		since := time.Now()
		err := c.once(ctx, use)
		if ctx.Err() != nil {
			return
		}
		if time.Since(since) > dialPatience {
			failures = 0
		}
		// That the connection was lost, keep says for all.
		if !errors.Is(err, errLost) {
			c.log.Warn("rabbitmq "+what+" begins anew", "cause", err)
		}
		pause(ctx, failures)
	}
}

func (c *Connection) once(ctx context.Context, use func(context.Context, *amqp.Channel) error) error {
	conn, err := c.present(ctx)
	if err != nil {
		return err
	}
	var ch *amqp.Channel
	err = c.call(ctx, func() (err error) { ch, err = conn.Channel(); return err })
	if err != nil {
		return err
	}
	lost := ch.NotifyClose(make(chan *amqp.Error, 1))
	using, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case err := <-lost:
			cancel(lossOf(err))
		case <-using.Done():
		}
	})
	err = use(using, ch)
	if ch.IsClosed() {
		<-using.Done() // the reason comes right behind
	}
	if cause := context.Cause(using); cause != nil && ctx.Err() == nil {
		err = cause // the channel's end says more than what it made of use
	}
	cancel(nil)
	watch.Wait()
	// What was not acknowledged goes back to the queue with the channel.
	closing, cancelClosing := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancelClosing()
	_ = c.call(closing, ch.Close)
	return err
}

// call bounds what the library does not: a request to a frozen broker hangs
// until the heartbeats fail. What is left behind ends with the connection.
func (c *Connection) call(ctx context.Context, request func() error) error {
	done := make(chan error, 1)
	if !c.begin(func() { done <- request() }) {
		return errClosed
	}
	select {
	case err := <-done:
		if errors.Is(err, amqp.ErrClosed) {
			return errLost
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// begin runs f beside; Close waits for it. It reports false after Close.
func (c *Connection) begin(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.work.Go(f)
	return true
}

// errLost stands for a channel or connection that ended without a reason given
// for this channel.
var errLost = errors.New("the connection was lost")

func lossOf(err *amqp.Error) error {
	// The library's own codes are for the loss of the whole connection.
	if err == nil || err.Code == amqp.ConnectionForced || !err.Server {
		return fmt.Errorf("%w: %s", errLost, reasonOf(err))
	}
	return err
}

func reasonOf(err *amqp.Error) string {
	if err == nil {
		return "closed"
	}
	return err.Reason
}

// farewell closes in order, or hangs up on a broker that does not answer.
func farewell(conn *amqp.Connection, socket net.Conn) {
	hangUp := time.AfterFunc(closePatience+time.Second/2, func() { socket.Close() })
	defer hangUp.Stop()
	_ = conn.CloseDeadline(time.Now().Add(closePatience))
}

// pause waits before try failures+1, from 0.1 to 5 seconds give or take half,
// so that the processes of one broker don't all come back at the same instant.
func pause(ctx context.Context, failures int) {
	wait := min(100*time.Millisecond<<min(failures, 6), 5*time.Second)
	select {
	case <-time.After(wait/2 + rand.N(wait)):
	case <-ctx.Done():
	}
}
