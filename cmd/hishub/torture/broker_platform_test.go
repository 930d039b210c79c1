package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	goredis "github.com/redis/go-redis/v9"

	"hishub/core"
	"hishub/core/api"
)

// platform submits by queue and hears of the results as docs/broker.md says that
// one should: it keeps what had no answer and submits it again, and reads from the
// API what the broker has lost.
type platform struct {
	*campaign
	nodes []string
	queue string

	mu      sync.Mutex
	answers map[string]core.Event // by the reference
	heard   map[string]bool       // cursors
	last    string                // the newest of them
	emptied bool                  // the broker has lost what it had taken over
}

// join makes a third of the clients submit by queue.
func (c *campaign) join(nodes ...string) *platform {
	p := &platform{campaign: c, nodes: nodes, queue: "platform", answers: map[string]core.Event{}, heard: map[string]bool{}}
	c.submitting = func(n int, h *hospital, kind core.Kind, body core.Body) (int, []byte) {
		if n%3 != 0 {
			return c.post(n, h, kind, body)
		}
		return p.submit(h, kind, body)
	}
	ctx, stop := context.WithCancel(c.Context())
	var listening sync.WaitGroup
	listening.Go(func() {
		for ctx.Err() == nil {
			for _, node := range p.nodes {
				_ = p.listen(ctx, node) // whatever it was, the next try says
			}
			time.Sleep(200 * time.Millisecond)
		}
	})
	c.Cleanup(func() { stop(); listening.Wait() })
	return p
}

func (p *platform) open(node string, use func(*amqp.Channel) error) error {
	conn, err := amqp.DialConfig(node, amqp.Config{Heartbeat: 2 * time.Second, Dial: amqp.DefaultDial(2 * time.Second)})
	if err != nil {
		return err
	}
	defer conn.CloseDeadline(time.Now().Add(time.Second)) //nolint:errcheck // nothing is lost with it
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	return use(ch)
}

// listen takes events until the connection is lost. What was published while its
// queue was not there, it reads from the feed.
func (p *platform) listen(ctx context.Context, node string) error {
	return p.open(node, func(ch *amqp.Channel) error {
		if err := ch.ExchangeDeclare("hishub.events", "topic", true, false, false, false, nil); err != nil {
			return err
		}
		if _, err := ch.QueueDeclare(p.queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
			return err
		}
		if err := ch.QueueBind(p.queue, "#", "hishub.events", false, nil); err != nil {
			return err
		}
		deliveries, err := ch.Consume(p.queue, "", false, false, false, false, nil)
		if err != nil {
			return err
		}
		if err := p.catchUp(); err != nil {
			return err
		}
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case d, ok := <-deliveries:
				if !ok {
					return errors.New("the consumer is gone")
				}
				var e core.Event
				if err := json.Unmarshal(d.Body, &e); err != nil {
					p.Errorf("an event cannot be read: %v", err)
				}
				e.Cursor = d.MessageId
				p.take(e)
				if err := d.Ack(false); err != nil {
					return err
				}
			}
		}
	})
}

func (p *platform) take(e core.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Submission != "" && (e.Type == core.EventAccepted || e.Type == core.EventRefused) {
		p.answers[e.Submission] = e
	}
	if e.Cursor != "" {
		p.heard[e.Cursor], p.last = true, e.Cursor
	}
}

// catchUp reads what the broker has lost. One that was only killed has lost nothing,
// and must bring everything itself.
func (p *platform) catchUp() error {
	for {
		p.mu.Lock()
		after, emptied := p.last, p.emptied
		p.mu.Unlock()
		if !emptied {
			return nil
		}
		events, err := p.feed(after)
		if err != nil || len(events) == 0 {
			return err
		}
		p.countMore("events read from the API instead", len(events))
		for _, e := range events {
			p.take(e)
		}
	}
}

func (p *platform) feed(after string) ([]core.Event, error) {
	status, body, err := p.request(p.ctx, p.hubs[0], http.MethodGet, "/v1/events?limit=500&after="+url.QueryEscape(after), nil)
	if err != nil {
		return nil, err
	}
	var page struct{ Events []core.Event }
	if status != http.StatusOK {
		return nil, fmt.Errorf("read the feed: %d", status)
	}
	return page.Events, json.Unmarshal(body, &page)
}

// submit goes on until there is an answer.
func (p *platform) submit(h *hospital, kind core.Kind, body core.Body) (int, []byte) {
	ref := string(kind) + " " + body.Key()
	content, err := json.Marshal(map[string]any{"hospital": h.id, "kind": kind, "submission": ref, "message": body})
	must(p.T, "write a submission", err)
	taken := 0
	for try := 0; p.ctx.Err() == nil; try++ {
		if p.publish(p.nodes[try%len(p.nodes)], content) != nil {
			time.Sleep(200 * time.Millisecond)
			continue
		}
		if taken++; taken > 1 {
			p.count("submissions by queue repeated")
		}
		for end := time.Now().Add(4 * time.Second); time.Now().Before(end) && p.ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			if e, ok := p.answer(ref); ok && e.Type == core.EventAccepted {
				p.count("accepted by queue")
				answer, err := json.Marshal(api.Accepted{ID: e.Message})
				must(p.T, "write an answer", err)
				return http.StatusAccepted, answer
			} else if ok {
				return http.StatusUnprocessableEntity, []byte(e.Reason)
			}
		}
	}
	return 0, nil
}

// publish returns nil once the broker has the submission in its queue.
func (p *platform) publish(node string, content []byte) error {
	return p.open(node, func(ch *amqp.Channel) error {
		if err := ch.Confirm(false); err != nil {
			return err
		}
		back := ch.NotifyReturn(make(chan amqp.Return, 1))
		confirm, err := ch.PublishWithDeferredConfirm("", "hishub.submit", true, false, amqp.Publishing{Body: content, DeliveryMode: amqp.Persistent})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(p.ctx, 3*time.Second)
		defer cancel()
		if taken, err := confirm.WaitContext(ctx); err != nil || !taken {
			return errors.New("not confirmed")
		}
		select {
		case <-back:
			return errors.New("the queue is not there")
		default:
			return nil
		}
	})
}

func (p *platform) answer(ref string) (core.Event, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.answers[ref]
	return e, ok
}

// eventuallyAnswered waits until some more submissions were answered.
func (p *platform) eventuallyAnswered(more int) {
	p.Helper()
	all := func() int { p.mu.Lock(); defer p.mu.Unlock(); return len(p.answers) }
	before := all()
	p.eventually("submissions by queue are answered", 90*time.Second, func() bool { return all() >= before+more || p.everythingSubmitted() })
}

// everythingSubmitted: nobody is left who could submit.
func (p *platform) everythingSubmitted() bool {
	return p.ledger.number(`select count(*) from hub.message`) >= len(p.messages)
}

// heardAll: each event of the feed came over the broker, or was read because the
// broker had lost it.
func (p *platform) heardAll() {
	var missing []core.Event
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		missing = nil
		for after := ""; ; {
			events, err := p.feed(after)
			must(p.T, "read the feed", err)
			if len(events) == 0 {
				break
			}
			p.mu.Lock()
			for _, e := range events {
				if !p.heard[e.Cursor] {
					missing = append(missing, e)
				}
			}
			p.mu.Unlock()
			after = events[len(events)-1].Cursor
		}
		if len(missing) == 0 {
			p.mu.Lock()
			n := len(p.heard)
			p.mu.Unlock()
			p.countMore("events that the platform has", n)
			return
		}
	}
	p.Errorf("seed %d: the platform never heard of %d events, the first is %+v", p.seed, len(missing), missing[0])
}

func wakeQueue(shard int) string { return fmt.Sprintf("hishub.wake.%d", shard) }

// redisLook looks into Redis past the hubs.
type redisLook struct {
	*campaign
	client *goredis.Client
}

func newRedis(c *campaign, address string) redisLook {
	o, err := goredis.ParseURL(address)
	must(c.T, "read Redis's address", err)
	client := goredis.NewClient(o)
	c.Cleanup(func() { client.Close() })
	return redisLook{c, client}
}

func (r redisLook) eventuallyHas(pattern string) {
	r.Helper()
	r.eventually("Redis has "+pattern, time.Minute, func() bool {
		keys, err := r.client.Keys(r.ctx, pattern).Result()
		return err == nil && len(keys) > 0
	})
}

func (r redisLook) empty() { must(r.T, "empty Redis", r.client.FlushAll(r.ctx).Err()) }
