package rabbit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"hishub/core"
	"hishub/mocks/servers"
)

func TestMain(m *testing.M) {
	code := servers.Main(m)
	// Every connection was closed by now: no goroutine may be left of any.
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "after all tests:", err)
		code = 1
	}
	os.Exit(code)
}

// dial connects for the test's time.
func dial(t *testing.T, url string) *Connection {
	t.Helper()
	c, err := Dial(url, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		began := time.Now()
		for range 2 {
			if err := c.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("close took %v", took)
		}
	})
	return c
}

// run runs something with Run until the test or stop ends it.
func run(t *testing.T, r interface{ Run(context.Context) }) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	stop = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("run did not end with its context")
		}
	}
	t.Cleanup(stop)
	return stop
}

// outsider is somebody else at the broker, with a plain connection.
type outsider struct {
	t    *testing.T
	ch   *amqp.Channel
	took chan amqp.Confirmation
	back chan amqp.Return
}

func newOutsider(t *testing.T, url string) *outsider {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	return &outsider{t, ch, ch.NotifyPublish(make(chan amqp.Confirmation, 1)), ch.NotifyReturn(make(chan amqp.Return, 1))}
}

// submit puts a submission into the queue, which must exist soon.
func (o *outsider) submit(p amqp.Publishing) {
	o.t.Helper()
	eventually(o.t, "the submission is in the queue", func() bool {
		if err := o.ch.Publish("", SubmitQueue, true, false, p); err != nil {
			o.t.Fatal(err)
		}
		taken := (<-o.took).Ack
		select {
		case <-o.back:
			return false // no queue yet
		default:
			return taken
		}
	})
}

// listen makes a queue of its own for the events with this routing key.
func (o *outsider) listen(key string) <-chan amqp.Delivery {
	o.t.Helper()
	if err := o.ch.ExchangeDeclare("hishub.events", "topic", true, false, false, false, nil); err != nil {
		o.t.Fatal(err)
	}
	q, err := o.ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.ch.QueueBind(q.Name, key, "hishub.events", false, nil); err != nil {
		o.t.Fatal(err)
	}
	events, err := o.ch.Consume(q.Name, "", true, false, false, false, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return events
}

// remaining counts what is in the queue; what an intake holds comes back to it
// when that is stopped.
func (o *outsider) remaining() int {
	o.t.Helper()
	q, err := o.ch.QueueDeclarePassive(SubmitQueue, true, false, false, false, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return q.Messages
}

func next[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v, ok := <-from:
		if !ok {
			t.Fatalf("%s: the channel ended", what)
		}
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited 20 s in vain for %s", what)
		panic("unreachable")
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s in vain until %s", what)
		}
	}
}

// payment is a valid payment of a visit.
func payment(order, visit string, amount core.Fen) *core.Payment {
	return &core.Payment{
		OrderID: order, VisitNo: visit, PatientNo: "0000000001", PatientName: "张三测试", Bills: []string{"B1"},
		Amount: amount, Channel: "wechat", ChannelNo: "4200" + order, PaidAt: time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC),
	}
}

// submit is a submission of a payment, its reference being "ref-" and the order.
func submitted(t *testing.T, hospital string, p *core.Payment) amqp.Publishing {
	t.Helper()
	body, err := json.Marshal(map[string]any{"hospital": hospital, "kind": core.PaymentSettle, "submission": "ref-" + p.OrderID, "message": p})
	if err != nil {
		t.Fatal(err)
	}
	return amqp.Publishing{Body: body, DeliveryMode: amqp.Persistent}
}

// ledger accepts as the real one does: durably for this test, each key once.
type ledger struct {
	mu       sync.Mutex
	accepted map[string]string   // content by key
	lanes    map[string][]string // keys by lane
	calls    int
	atOnce   int // the most calls at the same time
	inside   int
	// before may fail or hold a call.
	before func(ctx context.Context, key string) error
}

func newLedger() *ledger { return &ledger{accepted: map[string]string{}, lanes: map[string][]string{}} }

func (l *ledger) accept(ctx context.Context, hospital string, m core.Message, submission string) (core.Accepted, error) {
	l.mu.Lock()
	l.calls++
	l.inside++
	l.atOnce = max(l.atOnce, l.inside)
	before := l.before
	l.mu.Unlock()
	defer func() { l.mu.Lock(); l.inside--; l.mu.Unlock() }()
	if err := m.Validate(); err != nil {
		return core.Accepted{}, err
	}
	if before != nil {
		if err := before(ctx, m.Key()); err != nil {
			return core.Accepted{}, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if hospital != "dongshan" {
		return core.Accepted{}, fmt.Errorf("accept: %w", core.ErrUnknownHospital)
	}
	content, _ := json.Marshal(m.Body)
	switch old, ok := l.accepted[m.Key()]; {
	case ok && old != string(content):
		return core.Accepted{}, &core.Conflict{ID: 1, Fields: []string{"amount"}}
	case ok:
		return core.Accepted{ID: 1, Duplicate: true}, nil
	}
	l.accepted[m.Key()] = string(content)
	l.lanes[m.LaneOrDefault()] = append(l.lanes[m.LaneOrDefault()], m.Key())
	return core.Accepted{ID: int64(len(l.accepted))}, nil
}

func (l *ledger) has(n int) func() bool {
	return func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.accepted) == n }
}

// feed is a list of events and the cursor of its reader.
type feed struct {
	mu     sync.Mutex
	events []core.Event
	saved  string
	fail   error // of Save
}

func (f *feed) add(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		i := len(f.events) + 1
		f.events = append(f.events, core.Event{
			Cursor: fmt.Sprintf("%06d", i), Type: core.EventDelivered, Hospital: "dongshan", Message: int64(i),
			Kind: core.PaymentSettle, Key: fmt.Sprint("IH", i), At: time.Now(), Receipt: &core.Receipt{HisNo: "H1"},
		})
	}
}

func (f *feed) Read(_ context.Context, after string, limit int) ([]core.Event, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := 0
	fmt.Sscanf(after, "%d", &from)
	events := f.events[from:min(from+limit, len(f.events))]
	if len(events) == 0 {
		return nil, after, nil
	}
	return append([]core.Event(nil), events...), events[len(events)-1].Cursor, nil
}

func (f *feed) Cursor(context.Context, string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.saved, nil
}

func (f *feed) SaveCursor(_ context.Context, _, cursor string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.saved = cursor
	return nil
}

func (f *feed) cursor() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.saved
}

func always(context.Context) bool { return true }

func TestNodesOfACluster(t *testing.T) {
	for url, want := range map[string]string{
		"amqp://a:5673/v":                           "a:5673",
		"amqp://a/,amqps://u:p@b:1/v":               "a:5672, b:1",
		"amqp://u:p,q@a/,amqp://u:p,q@[::1]:7/%2F":  "a:5672, [::1]:7",
		"amqp://u:x,amqpx@a/?heartbeat=2,amqp://b/": "a:5672, b:5672",
	} {
		nodes, err := nodesOf(url)
		if got := (&Connection{nodes: nodes}).addresses(); err != nil || got != want {
			t.Errorf("%s: %s, want %s: %v", url, got, want, err)
		}
	}
}

// A node that is gone, or frozen, is left for the next.
func TestNextNode(t *testing.T) {
	frozen, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never greets
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	c := dial(t, "amqp://guest:guest@127.0.0.1:1/,amqp://guest:guest@"+frozen.Addr().String()+"/,"+servers.RabbitMQ(t))
	eventually(t, "the third node is connected", func() bool { return c.Ready(t.Context()) == nil })
}

func TestPasswordNeverShows(t *testing.T) {
	for _, url := range []string{"amqp://u:geheim@[::1", "http://u:geheim@x/", "amqp://u:geheim@x:port/", "", "amqp://x/,amqp://u:geheim@x:port/"} {
		c, err := Dial(url, slog.New(slog.DiscardHandler))
		if err == nil {
			c.Close()
			t.Errorf("%q was taken", url)
		} else if strings.Contains(err.Error(), "geheim") {
			t.Error("the error shows the password")
		}
	}

	var log bytes.Buffer
	url := strings.Replace(servers.RabbitMQ(t), "guest:guest", "guest:geheim", 1)
	c, err := Dial(url, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the broker refuses the password", func() bool {
		err := c.Ready(t.Context())
		if strings.Contains(err.Error(), "geheim") {
			t.Error("ready shows the password")
		}
		return strings.Contains(err.Error(), "403")
	})
	c.Close()
	if s := log.String(); strings.Contains(s, "geheim") || !strings.Contains(s, "403") {
		t.Errorf("the log must name the cause and not the password: %s", strings.ReplaceAll(s, "geheim", "<the password>"))
	}
}
