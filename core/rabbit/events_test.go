package rabbit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"hishub/core"
	"hishub/mocks/servers"
)

func TestEvents(t *testing.T) {
	url := servers.RabbitMQ(t)
	platform := newOutsider(t, url)
	all, others := platform.listen("dongshan.message.*"), platform.listen("xihu.#")
	f := &feed{}
	f.add(600) // more than go at once
	e := NewEvents(dial(t, url), f, f, always)
	run(t, e)
	for i := 1; i <= 600; i++ {
		sameEvent(t, next(t, all, "event"), f.events[i-1])
	}
	eventually(t, "the cursor is saved", func() bool { return f.cursor() == "000600" })
	f.add(1)
	began := time.Now()
	e.Poke()
	sameEvent(t, next(t, all, "the event after a poke"), f.events[600])
	if took := time.Since(began); took > eventsPoll/2 {
		t.Errorf("after a poke the event took %v", took)
	}
	f.add(1) // nobody pokes
	sameEvent(t, next(t, all, "the event without a poke"), f.events[601])
	select {
	case d := <-all:
		t.Errorf("one too many: %s", d.Body)
	case <-others:
		t.Error("an event of another hospital")
	default:
	}
}

func sameEvent(t *testing.T, d amqp.Delivery, want core.Event) {
	t.Helper()
	var e core.Event
	if err := json.Unmarshal(d.Body, &e); err != nil {
		t.Fatal(err)
	}
	if e.Cursor != want.Cursor || e.Key != want.Key || e.Receipt.HisNo != "H1" {
		t.Fatalf("event %s of %s, want %s of %s", e.Cursor, e.Key, want.Cursor, want.Key)
	}
	if d.RoutingKey != "dongshan.message.delivered" || d.MessageId != want.Cursor || d.DeliveryMode != amqp.Persistent || d.ContentType != "application/json" {
		t.Fatalf("routing key %s, ID %s, mode %d, type %s", d.RoutingKey, d.MessageId, d.DeliveryMode, d.ContentType)
	}
}

// TestEventsRepeatRatherThanMiss: a cursor that could not be saved means repeats.
func TestEventsRepeatRatherThanMiss(t *testing.T) {
	url := servers.RabbitMQ(t)
	all := newOutsider(t, url).listen("#")
	f := &feed{fail: errors.New("save: connection refused")}
	f.add(2)
	run(t, NewEvents(dial(t, url), f, f, always))
	for _, i := range []int{0, 1, 0, 1} {
		sameEvent(t, next(t, all, "event"), f.events[i])
	}
	f.mu.Lock()
	f.fail = nil
	f.mu.Unlock()
	eventually(t, "the cursor is saved", func() bool { return f.cursor() == "000002" })
}

// TestEventsWaitForTheBrokersWord: what the broker did not take over is not
// saved as published.
func TestEventsWaitForTheBrokersWord(t *testing.T) {
	url := servers.RabbitMQ(t)
	platform := newOutsider(t, url)
	if err := platform.ch.ExchangeDeclare(eventsExchange, "topic", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := platform.ch.QueueDeclare("full", true, false, false, false, amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"}); err != nil {
		t.Fatal(err)
	}
	if err := platform.ch.QueueBind("full", "#", eventsExchange, false, nil); err != nil {
		t.Fatal(err)
	}
	f := &feed{}
	f.add(1)
	e := NewEvents(dial(t, url), f, f, always)
	run(t, e)
	eventually(t, "the first is saved", func() bool { return f.cursor() == "000001" })
	f.add(1)
	e.Poke()
	time.Sleep(300 * time.Millisecond) // for a cursor that is saved too early
	if f.cursor() != "000001" {
		t.Fatal("an event that the queue refused was saved as published")
	}
	if _, ok, err := platform.ch.Get("full", true); !ok || err != nil {
		t.Fatal(ok, err)
	}
	eventually(t, "the second is saved", func() bool { return f.cursor() == "000002" })
}

func TestEventsOnlyWithTheLease(t *testing.T) {
	url := servers.RabbitMQ(t)
	all := newOutsider(t, url).listen("#")
	f := &feed{}
	var holder atomic.Int32
	asked := make(chan int32, 100)
	lease := func(process int32) func(context.Context) bool {
		return func(context.Context) bool {
			select {
			case asked <- process:
			default:
			}
			return holder.Load() == process
		}
	}
	one, two := NewEvents(dial(t, url), f, f, lease(1)), NewEvents(dial(t, url), f, f, lease(2))
	run(t, one)
	run(t, two)
	f.add(1)
	for seen := map[int32]bool{}; len(seen) < 2; {
		seen[next(t, asked, "both ask for the lease")] = true
	}
	for process := int32(1); process <= 2; process++ {
		holder.Store(process)
		sameEvent(t, next(t, all, fmt.Sprint("the event of process ", process)), f.events[process-1])
		eventually(t, "the cursor is saved", func() bool { return f.cursor() == f.events[process-1].Cursor })
		holder.Store(0)
		f.add(1)
	}
	one.Poke()
	two.Poke()
	select {
	case d := <-all:
		t.Errorf("published without the lease: %s", d.Body)
	case <-time.After(200 * time.Millisecond):
	}
}
