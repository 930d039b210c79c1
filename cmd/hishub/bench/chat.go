package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/jackc/pgx/v5"

	"hishub/core/postgres"
	"hishub/mocks/servers"
	"hishub/platform/chat"
	"hishub/platform/clinic"
)

// Chat is how long a message is on its way to the other's socket: patient and doctor of
// each conversation are at different nodes, if there is a Redis between them.
type Chat struct {
	Nodes    int `json:"nodes"`
	Sockets  int `json:"sockets"`
	PerSec   int `json:"per_second"`
	Messages int `json:"messages"`
	// Accept is from when a message was due to be sent until it is durable and told.
	Accept Quantiles `json:"accept"`
	// Delivered is from then until it is at the other's socket, 0 where it was there before;
	// Whole is from when it was due.
	Delivered Quantiles `json:"delivered"`
	Whole     Quantiles `json:"due_to_delivered"`
	// By message, in microseconds: this process has the nodes and both ends of the sockets.
	Node float64 `json:"cpu_us_nodes_and_clients"`
	DB   float64 `json:"cpu_us_postgresql"`
}

func (c *Chat) print(row func(what, format string, a ...any)) {
	row("", "")
	row("chat", "%d nodes, %d sockets, %d messages at %d/s", c.Nodes, c.Sockets, c.Messages, c.PerSec)
	row("accepted within", "%s", c.Accept)
	row("then at the other's", "%s", c.Delivered)
	row("due to there", "%s", c.Whole)
	row("CPU by message", "nodes and both ends of the sockets %.0f us, PostgreSQL %.0f us", c.Node, c.DB)
}

// talker is somebody at a socket.
type talker struct {
	clinic.Person
	at *chat.Service
}

// talking is a conversation of two.
type talking struct {
	no   string
	both [2]talker
}

// hall is everybody who talks, and where: it stands in for who is signed in, too.
type hall struct {
	nodes    []*chat.Service
	urls     []string
	talks    []talking
	people   map[string]clinic.Person
	received []atomic.Int64 // nanoseconds since began, by message
	began    time.Time
	all      sync.WaitGroup // one for each message that is on its way
}

// Person implements clinic.People.
func (h *hall) Person(_ context.Context, token string) (clinic.Person, error) {
	p, ok := h.people[token]
	if !ok {
		return p, clinic.ErrSignedOut
	}
	return p, nil
}

// Keep implements clinic.Trail: the audit is not measured here.
func (*hall) Keep(context.Context, clinic.Act) error { return nil }

// chat measures the way of messages, on a database of its own.
func (s *stage) chat(ctx context.Context, tell func(string, ...any)) (*Chat, error) {
	c := &Chat{Sockets: 1000, PerSec: 200}
	if s.Quick {
		c.Sockets, c.PerSec = 40, 50
	}
	c.Messages = int(float64(c.PerSec) * (20 * s.second()).Seconds())
	tell("%d chat messages a second between %d sockets", c.PerSec, c.Sockets)
	h, err := s.hall(ctx, c, tell)
	if err != nil {
		return nil, err
	}
	if err := s.seat(ctx, h, c.Sockets/2); err != nil {
		return nil, err
	}
	for _, p := range h.people {
		h.nodes[0].Live.Publish(p.Account, []byte(`{}`)) // the way is open before it is measured
	}
	before := s.used()
	asked, accepted, err := h.talk(ctx, c)
	if err != nil {
		return nil, err
	}
	used := s.used().since(before)
	var accept, delivered, whole []time.Duration
	for i := range asked {
		there := time.Duration(h.received[i].Load())
		accept, delivered, whole = append(accept, accepted[i]-asked[i]), append(delivered, max(0, there-accepted[i])), append(whole, there-asked[i])
	}
	c.Accept, c.Delivered, c.Whole = quantiles(accept), quantiles(delivered), quantiles(whole)
	c.Node, c.DB = float64(used.Generator.Microseconds())/float64(c.Messages), float64(used.PostgreSQL.Microseconds())/float64(c.Messages)
	return c, nil
}

// hall opens the nodes, each with connections of its own to the database.
func (s *stage) hall(ctx context.Context, c *Chat, tell func(string, ...any)) (*hall, error) {
	h := &hall{people: map[string]clinic.Person{}, received: make([]atomic.Int64, c.Messages)}
	if err := s.cluster.CreateDatabase(ctx, "chat"); err != nil {
		return nil, err
	}
	store, err := postgres.Open(ctx, postgres.Options{URL: s.cluster.URL("hub"), KeyFile: filepath.Join(s.dir, "master.key"), MaxConns: 4})
	if err != nil {
		return nil, err
	}
	s.later(store.Close)
	var url string
	c.Nodes = 2
	if redis, err := servers.StartRedis(ctx, s.dir); err != nil {
		tell("no Redis (%v): one node", err)
		c.Nodes = 1
	} else {
		s.later(redis.Kill)
		url = redis.URL
	}
	log := slog.New(slog.DiscardHandler)
	for range c.Nodes {
		db, err := postgres.Pool(ctx, s.cluster.URL("chat"), 0, nil)
		if err != nil {
			return nil, err
		}
		s.later(db.Close)
		node, err := chat.NewNode(h, h, url, log)
		if err != nil {
			return nil, err
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		server := &http.Server{Handler: node.Handler(), ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = server.Serve(listener) }()
		s.later(func() {
			stop, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = node.Close(stop)
			_ = server.Close()
		})
		h.nodes = append(h.nodes, &chat.Service{Clinic: &clinic.Clinic{Database: db, Vault: store.Vault(), Log: log}, Live: node})
		h.urls = append(h.urls, "ws://"+listener.Addr().String())
	}
	return h, h.nodes[0].Migrate(ctx)
}

// seat opens so many conversations, and a socket for each of the two.
func (s *stage) seat(ctx context.Context, h *hall, conversations int) error {
	connected := make(chan struct{}, 2*conversations)
	for i := range conversations {
		k := talking{}
		for side, grant := range []clinic.Grant{{Role: clinic.Patient}, {Role: clinic.Doctor, Hospital: hospital, Code: "D1"}} {
			p := clinic.Person{Account: int64(2*i + side + 1), Grants: []clinic.Grant{grant}}
			k.both[side] = talker{p, h.nodes[side%len(h.nodes)]}
			h.people[strconv.FormatInt(p.Account, 10)] = p
		}
		err := pgx.BeginFunc(ctx, h.nodes[0].Database, func(tx pgx.Tx) (err error) {
			k.no, err = h.nodes[0].Open(ctx, tx, hospital, fmt.Sprint("CS", i), fmt.Sprint("P", i), k.both[0].Account, k.both[1].Account)
			return err
		})
		if err != nil {
			return err
		}
		h.talks = append(h.talks, k)
	}
	for _, k := range h.talks {
		for side, p := range k.both {
			socket := centrifuge.NewJsonClient(h.urls[side%len(h.urls)], centrifuge.Config{Token: strconv.FormatInt(p.Account, 10)})
			socket.OnConnected(func(centrifuge.ConnectedEvent) { connected <- struct{}{} })
			socket.OnPublication(func(e centrifuge.ServerPublicationEvent) { h.hears([]string{"doctor", "patient"}[side], e.Data) })
			s.later(socket.Close)
			if err := socket.Connect(); err != nil {
				return err
			}
		}
	}
	for range 2 * conversations {
		select {
		case <-connected:
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
			return fmt.Errorf("not all of %d chat sockets connect", 2*conversations)
		}
	}
	return nil
}

// hears notes when what the other wrote came.
func (h *hall) hears(other string, data []byte) {
	now := time.Since(h.began)
	var m chat.Message
	if json.Unmarshal(data, &m) != nil || m.From != other {
		return
	}
	if i, err := strconv.Atoi(strings.TrimPrefix(m.ClientID, "m")); err == nil && h.received[i].CompareAndSwap(0, int64(now)) {
		h.all.Done()
	}
}

// talk sends at a steady rate that waits for nobody, and returns when each message was due
// and when it was accepted, since the beginning. All have come.
func (h *hall) talk(ctx context.Context, c *Chat) (due, accepted []time.Duration, err error) {
	due, accepted = make([]time.Duration, c.Messages), make([]time.Duration, c.Messages)
	wrong := make(chan error, c.Messages)
	var sending sync.WaitGroup
	h.began = time.Now()
	for i := range c.Messages {
		due[i] = time.Duration(i) * time.Second / time.Duration(c.PerSec)
		time.Sleep(time.Until(h.began.Add(due[i])))
		h.all.Add(1)
		sending.Go(func() {
			k := h.talks[i%len(h.talks)]
			p := k.both[i/len(h.talks)%2]
			_, err := p.at.Send(ctx, p.Person, k.no, chat.New{ClientID: fmt.Sprint("m", i), Kind: chat.Text, Text: "您好，这是一句测试。"})
			if accepted[i] = time.Since(h.began); err != nil {
				wrong <- err
			}
		})
	}
	sending.Wait()
	select {
	case err := <-wrong:
		return nil, nil, err
	default:
	}
	came := make(chan struct{})
	go func() { h.all.Wait(); close(came) }()
	select {
	case <-came:
		return due, accepted, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-time.After(30 * time.Second):
		return nil, nil, fmt.Errorf("not all of %d chat messages came to the other's socket", c.Messages)
	}
}
