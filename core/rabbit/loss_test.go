package rabbit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"hishub/mocks/servers"
)

// TestBrokerLoss kills and freezes the broker while submissions come in, events
// go out and hints fly.
func TestBrokerLoss(t *testing.T) {
	dir, remove, err := servers.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	server, err := servers.StartRabbitMQ(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	// Heartbeats of two seconds find a frozen broker after six.
	url := server.URL + "?heartbeat=2"

	l := newLedger()
	f := &feed{}
	hub := dial(t, url)
	events := NewEvents(hub, f, f, always)
	run(t, NewIntake(hub, l.accept))
	run(t, events)
	wakeful, listener := NewWakes(hub, shardOf), NewWakes(dial(t, url), shardOf)
	got := listen(t, listener, all(0, 15))

	platform := newPlatform(t, url)
	wakeUntil(t, wakeful, "h1", got)

	var slowest atomic.Int64
	stopWaking := make(chan struct{})
	var waking sync.WaitGroup
	waking.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stopWaking:
				return
			case <-time.After(5 * time.Millisecond):
			}
			began := time.Now()
			wakeful.Wake(fmt.Sprint("h", i%16))
			if took := int64(time.Since(began)); took > slowest.Load() {
				slowest.Store(took)
			}
		}
	})

	// Each loss happens in the middle of the work, which goes on meanwhile.
	sent := 0
	work := func(n int) {
		for range n {
			platform.submit(t, sent)
			sent++
		}
		f.add(n)
		events.Poke()
	}
	settled := func() {
		t.Helper()
		eventually(t, "everything submitted is accepted", l.has(sent))
		eventually(t, "every event has come", func() bool { return platform.seen() == len(f.events) })
	}
	restart := func() {
		t.Helper()
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	work(200)
	settled()

	// First in order, which also writes the new queues down: RabbitMQ 3.10.8 was
	// seen to leave a quorum queue without a leader for good that was made in the
	// second before a kill.
	work(100)
	restart()
	settled()
	wakeUntil(t, wakeful, "h1", got)

	work(200)
	server.Kill()
	work(50)
	eventually(t, "the loss is seen", func() bool { return hub.Ready(t.Context()) != nil })
	restart()
	settled()
	wakeUntil(t, wakeful, "h2", got)

	work(200)
	server.Pause()
	work(50)
	eventually(t, "the freeze is seen", func() bool { return hub.Ready(t.Context()) != nil })
	server.Resume()
	settled()
	wakeUntil(t, wakeful, "h3", got)

	close(stopWaking)
	waking.Wait()
	if took := time.Duration(slowest.Load()); took > 100*time.Millisecond {
		t.Errorf("the slowest Wake took %v", took)
	}
	for lane, keys := range l.lanes {
		if !slices.IsSorted(keys) {
			t.Errorf("lane %s was taken out of order: %v", lane, keys)
		}
	}
	if err := hub.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCloseWhileFrozen: a broker that says nothing must not hold up the end.
func TestCloseWhileFrozen(t *testing.T) {
	dir, remove, err := servers.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	server, err := servers.StartRabbitMQ(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	connected, dialling := dial(t, server.URL), dial(t, server.URL)
	eventually(t, "both are connected", func() bool {
		return connected.Ready(t.Context()) == nil && dialling.Ready(t.Context()) == nil
	})
	f := &feed{}
	events := NewEvents(connected, f, f, always)
	run(t, events)
	f.add(1)
	eventually(t, "the first event is out", func() bool { return f.cursor() != "" })
	server.Pause()
	f.add(1)
	events.Poke()
	late := dial(t, server.URL) // in the middle of its greeting
	if late.Ready(t.Context()) == nil {
		t.Error("a frozen broker is ready")
	}
	// The cleanups of dial and run close all three, within their time.
}

// platform submits reliably and gathers events: it keeps what the broker has not
// confirmed and goes on after a loss, as a real one does.
type platform struct {
	connection *Connection
	queue      chan outgoing
	mu         sync.Mutex
	cursors    map[string]bool
}

func newPlatform(t *testing.T, url string) *platform {
	p := &platform{connection: dial(t, url), queue: make(chan outgoing, 10_000), cursors: map[string]bool{}}
	ready := make(chan struct{}, 100)
	run(t, runs(func(ctx context.Context) {
		p.connection.always(ctx, "platform's events", func(ctx context.Context, ch *amqp.Channel) error {
			if err := declareEvents(ch); err != nil {
				return err
			}
			if _, err := ch.QueueDeclare("platform", true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
				return err
			}
			if err := ch.QueueBind("platform", "dongshan.#", eventsExchange, false, nil); err != nil {
				return err
			}
			deliveries, err := ch.Consume("platform", "", false, false, false, false, nil)
			if err != nil {
				return err
			}
			ready <- struct{}{}
			for {
				select {
				case <-ctx.Done():
					return context.Cause(ctx)
				case d, ok := <-deliveries:
					if !ok {
						return errConsumerGone
					}
					p.mu.Lock()
					if d.MessageId != "" { // an answer to what was submitted again is not of the feed
						p.cursors[d.MessageId] = true
					}
					p.mu.Unlock()
					if err := d.Ack(false); err != nil {
						return err
					}
				}
			}
		})
	}))
	var pending *outgoing
	run(t, runs(func(ctx context.Context) {
		p.connection.always(ctx, "platform's submissions", func(ctx context.Context, ch *amqp.Channel) error {
			if _, err := consumeOnlyDeclare(ch); err != nil {
				return err
			}
			for {
				if pending == nil {
					select {
					case <-ctx.Done():
						return context.Cause(ctx)
					case next := <-p.queue:
						pending = &next
					}
				}
				confirm, err := ch.PublishWithDeferredConfirm("", SubmitQueue, false, false, pending.Publishing)
				if err != nil {
					return err
				}
				if taken, err := confirm.WaitContext(ctx); err != nil || !taken {
					return fmt.Errorf("submit: %v", err)
				}
				pending = nil
			}
		})
	}))
	next(t, ready, "the platform's queue")
	return p
}

// consumeOnlyDeclare waits until the intake's queue is there.
func consumeOnlyDeclare(ch *amqp.Channel) (amqp.Queue, error) {
	if err := ch.Confirm(false); err != nil {
		return amqp.Queue{}, err
	}
	return ch.QueueDeclarePassive(SubmitQueue, true, false, false, false, nil)
}

func (p *platform) submit(t *testing.T, i int) {
	body := submitted(t, "dongshan", payment(fmt.Sprintf("IH%06d", i), fmt.Sprint("V", i%7), 100))
	p.queue <- outgoing{Publishing: body}
}

func (p *platform) seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.cursors)
}

type runs func(context.Context)

func (r runs) Run(ctx context.Context) { r(ctx) }
