package rabbit

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// confirmWithin bounds how long a publisher waits for the broker's word.
	confirmWithin = time.Second
	// inHand is how many a consumer of a line may hold that it has not begun.
	inHand = 16
)

// Lines carries short texts, such as ticket numbers, in lanes: each lane has its place in
// one of some quorum queues, <name>.<n>, of which each has one consumer at a time, so that
// those of a lane are taken one after the other over all processes. Like everything here
// it is a hint: what the broker loses, a sweep of the database finds.
type Lines struct {
	connection *Connection
	name       string
	n          int
	channel    atomic.Pointer[amqp.Channel] // nil while the broker is away
	// declaring is one at a time: RabbitMQ 3.10 answers two that make the same quorum queue
	// at once with an internal error and ends the connection.
	declaring sync.Mutex
}

// NewLines makes n queues hishub.<name>.<number>; n must be the same in all processes. They end
// with the connection.
func NewLines(c *Connection, name string, n int) *Lines {
	l := &Lines{connection: c, name: "hishub." + name, n: n}
	c.begin(func() { c.always(c.ctx, name+" lines", l.open) })
	return l
}

func (l *Lines) queue(i int) string { return fmt.Sprintf("%s.%d", l.name, i) }

func (l *Lines) declare(ch *amqp.Channel, i int) error {
	l.declaring.Lock()
	defer l.declaring.Unlock()
	_, err := ch.QueueDeclare(l.queue(i), true, false, false, false, amqp.Table{
		"x-queue-type":             "quorum",
		"x-single-active-consumer": true,
		"x-delivery-limit":         1 << 30, // as for submissions: never thrown away
	})
	return err
}

// open keeps a channel for publishers.
func (l *Lines) open(ctx context.Context, ch *amqp.Channel) error {
	err := l.connection.call(ctx, func() error {
		for i := range l.n {
			if err := l.declare(ch, i); err != nil {
				return err
			}
		}
		return ch.Confirm(false)
	})
	if err != nil {
		return err
	}
	l.channel.Store(ch)
	defer l.channel.CompareAndSwap(ch, nil)
	<-ctx.Done()
	return context.Cause(ctx)
}

var errAway = errors.New("rabbitmq is away")

// Publish puts a text behind those of its lane. nil says that the broker keeps it; an error
// that it may not: it is away, or did not say so within a second.
func (l *Lines) Publish(ctx context.Context, lane, text string) error {
	ch := l.channel.Load()
	if ch == nil {
		return errAway
	}
	ctx, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	h := fnv.New32a()
	h.Write([]byte(lane))
	confirms := make(chan *amqp.DeferredConfirmation, 1)
	err := l.connection.call(ctx, func() error {
		confirm, err := ch.PublishWithDeferredConfirm("", l.queue(int(h.Sum32()%uint32(l.n))), false, false, amqp.Publishing{Body: []byte(text), DeliveryMode: amqp.Persistent})
		confirms <- confirm
		return err
	})
	if err != nil {
		return err
	}
	taken, err := (<-confirms).WaitContext(ctx)
	if err == nil && !taken {
		err = errors.New("the broker did not take it over")
	}
	return err
}

// Consume hands over what is in the queues until ctx or the connection ends: those of one
// queue one after the other. A text leaves its queue once handle returned nil; after an
// error it is handed over again.
func (l *Lines) Consume(ctx context.Context, handle func(ctx context.Context, text string) error) {
	var all sync.WaitGroup
	defer all.Wait()
	for i := range l.n {
		all.Go(func() {
			l.connection.always(ctx, l.queue(i), func(ctx context.Context, ch *amqp.Channel) error { return l.take(ctx, ch, i, handle) })
		})
	}
}

func (l *Lines) take(ctx context.Context, ch *amqp.Channel, i int, handle func(context.Context, string) error) error {
	var texts <-chan amqp.Delivery
	err := l.connection.call(ctx, func() (err error) {
		if err := l.declare(ch, i); err != nil {
			return err
		}
		if err := ch.Qos(inHand, 0, false); err != nil {
			return err
		}
		texts, err = ch.Consume(l.queue(i), "", false, false, false, false, nil)
		return err
	})
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case d, ok := <-texts:
			if !ok {
				return errConsumerGone
			}
			if err := l.handled(ctx, string(d.Body), handle); err != nil {
				return err
			}
			if err := d.Ack(false); err != nil {
				return err
			}
		}
	}
}

// handled tries until it is done, or for so long that another process may have more luck.
func (l *Lines) handled(ctx context.Context, text string, handle func(context.Context, string) error) error {
	began := time.Now()
	for failures := 0; ; failures++ {
		err := handle(ctx, text)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Since(began) > handBack {
			return fmt.Errorf("take from %s: %w", l.name, err)
		}
		pause(ctx, failures)
	}
}
