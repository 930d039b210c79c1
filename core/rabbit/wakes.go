package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"hishub/core/delivery"
)

var _ delivery.Wakes = (*Wakes)(nil)

// Wakes carries hints between processes, over one small quorum queue per shard,
// hishub.wake.<n>. A hint about a shard that this process listens to itself
// needs no broker.
type Wakes struct {
	connection *Connection
	shard      func(hospital string) int
	ear        ear
	outgoing   atomic.Pointer[hints] // nil while the broker is away

	mu        sync.Mutex
	consumers map[int]context.CancelFunc
}

// NewWakes makes Wakes that end with the connection; shard tells the shard of a
// hospital and must be the same in all processes.
func NewWakes(c *Connection, shard func(hospital string) int) *Wakes {
	w := &Wakes{connection: c, shard: shard, consumers: map[int]context.CancelFunc{}}
	c.begin(func() { c.always(c.ctx, "hints", w.publish) })
	return w
}

// Wake implements delivery.Wakes. It never blocks and never fails: while the
// broker is away, hints for other processes are dropped.
func (w *Wakes) Wake(hospital string) {
	if !w.ear.hear(w.shard(hospital), hospital) {
		w.outgoing.Load().add(hospital)
	}
}

func (w *Wakes) publish(ctx context.Context, ch *amqp.Channel) error {
	out := newHints()
	w.outgoing.Store(out)
	defer w.outgoing.Store(nil)
	return out.run(ctx, func(hospital string) error {
		return w.connection.call(ctx, func() error {
			// Without a queue of that name nobody owns the shard, and the hint is
			// dropped: who takes the shard looks into the ledger first.
			return ch.Publish("", wakeQueue(w.shard(hospital)), false, false, amqp.Publishing{Body: []byte(hospital)})
		})
	})
}

// Listen implements delivery.Wakes. It returns at once; f must not block for
// long. The error says that the connection was closed.
func (w *Wakes) Listen(ctx context.Context, shards []int, f func(hospital string)) error {
	ctx, stop := context.WithCancel(ctx)
	unlink := context.AfterFunc(w.connection.ctx, stop)
	run := w.ear.listen(ctx, shards, f)
	begun := w.connection.begin(func() {
		defer stop()
		defer unlink()
		run()
		w.consume()
	})
	if !begun {
		stop()
		return errors.New("listen for hints: the connection to RabbitMQ was closed")
	}
	w.consume()
	return nil
}

// consume starts and stops consumers, so that there are those of the shards
// that are listened to now.
func (w *Wakes) consume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := w.ear.listensTo()
	for shard, stop := range w.consumers {
		if !wanted[shard] {
			stop()
			delete(w.consumers, shard)
		}
	}
	for shard := range wanted {
		if w.consumers[shard] != nil {
			continue
		}
		ctx, stop := context.WithCancel(w.connection.ctx)
		w.consumers[shard] = stop
		w.connection.begin(func() {
			w.connection.always(ctx, fmt.Sprintf("hints of shard %d", shard), func(ctx context.Context, ch *amqp.Channel) error {
				return w.take(ctx, ch, shard)
			})
		})
	}
}

func (w *Wakes) take(ctx context.Context, ch *amqp.Channel, shard int) error {
	var hints <-chan amqp.Delivery
	err := w.connection.call(ctx, func() (err error) {
		_, err = ch.QueueDeclare(wakeQueue(shard), true, false, false, false, amqp.Table{
			"x-queue-type":             "quorum",
			"x-single-active-consumer": true,
			// One hint per hospital and instant is enough, and an old one is worth
			// nothing: the sweep was there before.
			"x-max-length":  256,
			"x-overflow":    "drop-head",
			"x-message-ttl": 60_000,
		})
		if err != nil {
			return err
		}
		// Acknowledged by being sent: a lost hint costs a sweep.
		hints, err = ch.Consume(wakeQueue(shard), "", true, false, false, false, nil)
		return err
	})
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case d, ok := <-hints:
			if !ok {
				return errConsumerGone
			}
			w.ear.hear(shard, string(d.Body))
		}
	}
}

// errConsumerGone: the broker ended the consumer, as when its queue is deleted.
var errConsumerGone = errors.New("the broker ended the consumer")

func wakeQueue(shard int) string { return fmt.Sprintf("hishub.wake.%d", shard) }
