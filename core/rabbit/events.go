package rabbit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"hishub/core"
)

const (
	// eventsExchange is a durable topic exchange. The routing key is
	// <hospital>.<event type>, "dongshan.message.delivered".
	eventsExchange = "hishub.events"
	// eventsAtOnce are published together and confirmed together.
	eventsAtOnce = 256
	// eventsPoll bounds how long an event waits whose Poke was lost.
	eventsPoll = time.Second
)

// Cursor keeps how far a reader of the feed has come. It must be durable.
type Cursor interface {
	// Cursor returns "" when nothing was saved under this name.
	Cursor(ctx context.Context, name string) (string, error)
	SaveCursor(ctx context.Context, name, cursor string) error
}

// Events publishes the feed to the exchange hishub.events: each event at least
// once and in the feed's order, repeats after a failure. An event is a core.Event
// as JSON; its AMQP message ID is its cursor.
type Events struct {
	connection *Connection
	feed       core.Feed
	cursor     Cursor
	lease      func(context.Context) bool
	poke       chan struct{}
}

// NewEvents makes Events whose cursor has the name of the exchange. lease is
// asked before each round whether this process is the one that publishes.
func NewEvents(c *Connection, feed core.Feed, cursor Cursor, lease func(context.Context) bool) *Events {
	return &Events{connection: c, feed: feed, cursor: cursor, lease: lease, poke: make(chan struct{}, 1)}
}

// Poke says that there may be new events. It never blocks.
func (e *Events) Poke() {
	select {
	case e.poke <- struct{}{}:
	default:
	}
}

// Run publishes until ctx or the connection ends.
func (e *Events) Run(ctx context.Context) { e.connection.always(ctx, "events", e.publish) }

func (e *Events) publish(ctx context.Context, ch *amqp.Channel) error {
	if err := e.connection.call(ctx, func() error { return declareEvents(ch) }); err != nil {
		return err
	}
	poll := time.NewTicker(eventsPoll)
	defer poll.Stop()
	for {
		more, err := e.round(ctx, ch)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-e.poke:
		case <-poll.C:
		}
	}
}

// round reads, publishes, waits for the broker's word and only then saves. The
// cursor is loaded each time: between two rounds another process may have had
// the lease.
func (e *Events) round(ctx context.Context, ch *amqp.Channel) (more bool, err error) {
	if !e.lease(ctx) {
		return false, nil
	}
	after, err := e.cursor.Cursor(ctx, eventsExchange)
	if err != nil {
		return false, fmt.Errorf("load the cursor of %s: %w", eventsExchange, err)
	}
	events, next, err := e.feed.Read(ctx, after, eventsAtOnce)
	if err != nil {
		return false, fmt.Errorf("read the feed: %w", err)
	}
	if next == after || next == "" {
		return false, nil
	}
	out := make([]outgoing, len(events))
	for i := range events {
		if out[i], err = write(&events[i], events[i]); err != nil {
			return false, err
		}
		out[i].MessageId = events[i].Cursor
	}
	if err := e.connection.publish(ctx, ch, out); err != nil {
		return false, fmt.Errorf("publish events: %w", err)
	}
	if err := e.cursor.SaveCursor(ctx, eventsExchange, next); err != nil {
		return false, fmt.Errorf("save the cursor of %s: %w", eventsExchange, err)
	}
	return len(events) == eventsAtOnce, nil
}

// declareEvents makes the exchange and asks for confirms.
func declareEvents(ch *amqp.Channel) error {
	if err := ch.ExchangeDeclare(eventsExchange, "topic", true, false, false, false, nil); err != nil {
		return err
	}
	return ch.Confirm(false)
}

// hubWord stands in a hospital's place in the key of what concerns the hub itself:
// a word that is empty is none to a binding.
const hubWord = "hub"

// outgoing is an event as it goes to the exchange.
type outgoing struct {
	key string
	amqp.Publishing
}

// write makes content, which is e or holds it, an outgoing event.
func write(e *core.Event, content any) (outgoing, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return outgoing{}, fmt.Errorf("write a %s event: %w", e.Type, err)
	}
	return outgoing{cmp.Or(e.Hospital, hubWord) + "." + string(e.Type), amqp.Publishing{
		Body: body, ContentType: "application/json", DeliveryMode: amqp.Persistent, Timestamp: e.At, Type: string(e.Type),
	}}, nil
}

// publish returns nil once the broker has taken over all of them.
func (c *Connection) publish(ctx context.Context, ch *amqp.Channel, events []outgoing) error {
	confirms := make(chan *amqp.DeferredConfirmation, len(events))
	err := c.call(ctx, func() error {
		for _, e := range events {
			confirm, err := ch.PublishWithDeferredConfirm(eventsExchange, e.key, false, false, e.Publishing)
			if err != nil {
				return err
			}
			confirms <- confirm
		}
		return nil
	})
	if err != nil {
		return err
	}
	for range events {
		taken, err := (<-confirms).WaitContext(ctx)
		if err != nil {
			return context.Cause(ctx)
		}
		if !taken {
			return errNotTaken
		}
	}
	return nil
}

var errNotTaken = errors.New("the broker did not take an event over")
