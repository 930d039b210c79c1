package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/centrifugal/centrifuge"

	"hishub/platform/clinic"
)

// Node holds the sockets of this process, one or several an account, and tells them what
// is new. With Redis all nodes are one: a message that was sent at one is told at all.
type Node struct {
	*centrifuge.Node
	people clinic.People
	log    *slog.Logger
}

// believed is how long a session is believed without asking again: a socket of one that was
// revoked is closed by then.
const believed = time.Minute

// NewNode makes a node and runs it. redis is the address of Redis (redis://…), "" for a
// node that is alone.
func NewNode(people clinic.People, redis string, log *slog.Logger) (*Node, error) {
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelError, LogHandler: func(e centrifuge.LogEntry) {
		log.Error("chat: " + e.Message) // its fields may hold addresses and names
	}})
	if err != nil {
		return nil, fmt.Errorf("chat: make the node: %w", err)
	}
	n := &Node{Node: node, people: people, log: log}
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
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnRefresh(func(_ centrifuge.RefreshEvent, reply centrifuge.RefreshCallback) {
			token, _ := c.Context().Value(tokenKey{}).(string)
			_, err := n.people.Person(c.Context(), token)
			// Who is signed out is gone; while sessions cannot be looked up, nobody is sent away.
			reply(centrifuge.RefreshReply{Expired: errors.Is(err, clinic.ErrSignedOut), ExpireAt: time.Now().Add(believed).Unix()}, nil)
		})
	})
	if err := node.Run(); err != nil {
		return nil, fmt.Errorf("chat: start the node: %w", err)
	}
	return n, nil
}

type tokenKey struct{}

// connecting signs a socket in by the session's token, and gives it what is the account's.
func (n *Node) connecting(ctx context.Context, e centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
	p, err := n.people.Person(ctx, e.Token)
	if errors.Is(err, clinic.ErrSignedOut) {
		return centrifuge.ConnectReply{}, centrifuge.DisconnectInvalidToken
	} else if err != nil {
		return centrifuge.ConnectReply{}, centrifuge.ErrorInternal
	}
	account := strconv.FormatInt(p.Account, 10)
	return centrifuge.ConnectReply{
		Context:       context.WithValue(ctx, tokenKey{}, e.Token),
		Credentials:   &centrifuge.Credentials{UserID: account, ExpireAt: time.Now().Add(believed).Unix()},
		Subscriptions: map[string]centrifuge.SubscribeOptions{channel(p.Account): {}},
	}, nil
}

func channel(account int64) string { return "account:" + strconv.FormatInt(account, 10) }

// Publish implements Live.
func (n *Node) Publish(account int64, data []byte) {
	if _, err := n.Node.Publish(channel(account), data); err != nil {
		n.log.Warn("chat: a message was not told; it is synced", "error", err)
	}
}

// Handler of the web socket: the protocol is Centrifugo's, JSON; a client connects with its
// session's token and hears of every message of its conversations.
func (n *Node) Handler() http.Handler {
	return centrifuge.NewWebsocketHandler(n.Node, centrifuge.WebsocketConfig{MessageSizeLimit: 4 << 10})
}

// Close ends all sockets; their clients connect elsewhere.
func (n *Node) Close(ctx context.Context) error { return n.Shutdown(ctx) }
