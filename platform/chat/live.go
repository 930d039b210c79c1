package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/centrifugal/centrifuge"
	"golang.org/x/sync/errgroup"

	"hishub/platform/clinic"
)

// Node holds the sockets of this process, one or several an account, and tells them what
// is new. With Redis all nodes are one: a message that was sent at one is told at all.
type Node struct {
	*centrifuge.Node
	people clinic.People
	trail  clinic.Trail
	log    *slog.Logger
	stop   context.CancelFunc
	done   chan struct{}
}

const (
	// lookEvery is how often it is looked whether those at the sockets are still who they
	// were. Identity believes an account for three seconds: within five a socket is closed
	// whose session has ended, or whose owner treats elsewhere.
	lookEvery = 1500 * time.Millisecond
	// lookAtOnce bounds the questions that are open at the same time.
	lookAtOnce = 8
	// maxSockets of an account at one node.
	maxSockets = 32
)

// otherRights closes a socket whose owner has other rights than when it was opened; the
// client connects again, and has those. By its code it may.
var otherRights = centrifuge.Disconnect{Code: 4001, Reason: "rights have changed"}

// NewNode makes a node and runs it. redis is the address of Redis (redis://…), "" for a
// node that is alone. Whoever connects is kept in the trail.
func NewNode(people clinic.People, trail clinic.Trail, redis string, log *slog.Logger) (*Node, error) {
	node, err := centrifuge.New(centrifuge.Config{UserConnectionLimit: maxSockets, LogLevel: centrifuge.LogLevelError, LogHandler: func(e centrifuge.LogEntry) {
		log.Error("chat: " + e.Message) // its fields may hold addresses and names
	}})
	if err != nil {
		return nil, fmt.Errorf("chat: make the node: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Node{Node: node, people: people, trail: trail, log: log, stop: stop, done: make(chan struct{})}
	if redis != "" {
		shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: redis})
		if err != nil {
			return nil, errors.New("chat: Redis cannot be used at its address; it looks like redis://user:password@host:6379/0")
		}
		broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{Prefix: "hishub:chat", Shards: []*centrifuge.RedisShard{shard}})
		if err != nil {
			return nil, fmt.Errorf("chat: use Redis: %w", err)
		}
		node.SetBroker(broker)
	}
	node.OnConnecting(n.connecting)
	if err := node.Run(); err != nil {
		return nil, fmt.Errorf("chat: start the node: %w", err)
	}
	go n.watch(ctx)
	return n, nil
}

// owner of a socket, as he was when it was opened.
type owner struct {
	token    string
	channels []string
}

type ownerKey struct{}

// connecting signs a socket in by the session's token, and gives it what is the account's.
func (n *Node) connecting(ctx context.Context, e centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
	p, err := n.people.Person(ctx, e.Token)
	if errors.Is(err, clinic.ErrSignedOut) {
		return centrifuge.ConnectReply{}, centrifuge.DisconnectInvalidToken
	} else if err != nil {
		return centrifuge.ConnectReply{}, centrifuge.ErrorInternal
	}
	account := strconv.FormatInt(p.Account, 10)
	if err := n.trail.Keep(ctx, clinic.Act{Person: p, Verb: "clinic-socket", Subject: "account " + account}); err != nil {
		n.log.Error("chat: a socket is not kept in the audit, and not opened", "error", err)
		return centrifuge.ConnectReply{}, centrifuge.ErrorInternal
	}
	o := owner{e.Token, channels(p)}
	subscriptions := map[string]centrifuge.SubscribeOptions{}
	for _, c := range o.channels {
		subscriptions[c] = centrifuge.SubscribeOptions{}
	}
	return centrifuge.ConnectReply{Context: context.WithValue(ctx, ownerKey{}, o), Credentials: &centrifuge.Credentials{UserID: account}, Subscriptions: subscriptions}, nil
}

// channels of a person: his own, and one for each hospital at which he treats now.
func channels(p clinic.Person) []string {
	all := []string{channel(p.Account)}
	for _, hospital := range treats(p) {
		all = append(all, channelAt(p.Account, hospital))
	}
	return all
}

func channel(account int64) string { return "account:" + strconv.FormatInt(account, 10) }

func channelAt(account int64, hospital string) string { return channel(account) + "@" + hospital }

// watch looks again and again at who is at the sockets, until Close.
func (n *Node) watch(ctx context.Context) {
	defer close(n.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
			n.look(ctx)
		}
	}
}

// look closes the sockets of those who are signed out, or have other rights. While sessions
// cannot be looked up, nobody is sent away.
func (n *Node) look(ctx context.Context) {
	var at errgroup.Group
	at.SetLimit(lookAtOnce)
	for _, c := range n.Hub().Connections() {
		o, ok := c.Context().Value(ownerKey{}).(owner)
		if !ok {
			continue
		}
		at.Go(func() error {
			p, err := n.people.Person(ctx, o.token)
			switch {
			case errors.Is(err, clinic.ErrSignedOut):
				c.Disconnect(centrifuge.DisconnectInvalidToken)
			case err == nil && !slices.Equal(channels(p), o.channels):
				c.Disconnect(otherRights)
			}
			return nil
		})
	}
	_ = at.Wait() // nothing fails
}

// Publish implements Live.
func (n *Node) Publish(account int64, data []byte) { n.tell(channel(account), data) }

// PublishAt implements Live.
func (n *Node) PublishAt(account int64, hospital string, data []byte) {
	n.tell(channelAt(account, hospital), data)
}

func (n *Node) tell(channel string, data []byte) {
	if _, err := n.Node.Publish(channel, data); err != nil {
		n.log.Warn("chat: a message was not told; it is synced", "error", err)
	}
}

// Handler of the web socket: the protocol is Centrifugo's, JSON; a client connects with its
// session's token and hears of every message of its conversations.
func (n *Node) Handler() http.Handler {
	return centrifuge.NewWebsocketHandler(n.Node, centrifuge.WebsocketConfig{MessageSizeLimit: 4 << 10})
}

// Close ends all sockets; their clients connect elsewhere.
func (n *Node) Close(ctx context.Context) error {
	n.stop()
	<-n.done
	return n.Shutdown(ctx)
}
