package torture

import (
	"path/filepath"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"hishub/mocks/servers"
)

// layBroker: RabbitMQ dies and comes back, then everything in it is thrown away,
// while a platform submits by queue and listens for events, and others submit over HTTP.
func (c *campaign) layBroker() {
	broker, err := servers.StartRabbitMQ(c.Context(), filepath.Join(c.dir, "broker"))
	must(c.T, "start RabbitMQ", err)
	c.Cleanup(broker.Kill)
	c.services = append(c.services, "AMQP_URL="+broker.URL)
	p := c.join(broker.URL)
	c.spread = max(c.spread, 16*time.Second) // RabbitMQ takes its time to come back
	c.faults = func() {
		c.after(0.2)
		// RabbitMQ 3.10.8 was seen to leave a quorum queue without a leader for good that
		// was made in the second before a kill.
		p.eventuallyAnswered(3)
		broker.Kill()
		c.inflict("kill -9 of RabbitMQ")
		c.goesOn("without RabbitMQ", 5)
		must(c.T, "restart RabbitMQ", broker.Restart(c.ctx))
		p.eventuallyAnswered(3)
		c.empty(p, broker.URL)
		p.eventuallyAnswered(3)
	}
	c.ended = func(found) { p.heardAll() }
}

// layBrokerCluster: one of three nodes freezes, the one that the hubs use, and is
// thawed; then another one dies and comes back.
func (c *campaign) layBrokerCluster() {
	nodes, stop, err := servers.StartRabbitMQCluster(c.Context(), filepath.Join(c.dir, "brokers"), 3)
	must(c.T, "start three nodes of RabbitMQ", err)
	c.Cleanup(stop)
	all := nodes[0].URL + "," + nodes[1].URL + "," + nodes[2].URL
	c.services = append(c.services, "AMQP_URL="+all)
	p := c.join(nodes[2].URL, nodes[1].URL, nodes[0].URL)
	c.faults = func() {
		c.after(0.2)
		p.eventuallyAnswered(3)
		nodes[0].Pause()
		c.inflict("freeze of a RabbitMQ node")
		c.goesOn("with a node of RabbitMQ frozen", 5)
		// Taken by a hub that has left the frozen node.
		p.eventuallyAnswered(3)
		nodes[0].Resume()
		p.eventuallyAnswered(3)
		nodes[1].Kill()
		c.inflict("kill -9 of a RabbitMQ node")
		p.eventuallyAnswered(3)
		must(c.T, "restart a node of RabbitMQ", nodes[1].Restart(c.ctx))
		p.eventuallyAnswered(3)
	}
	c.ended = func(found) { p.heardAll() }
}

// layRedis: Redis is emptied, killed and frozen; nothing but time is lost. The
// login at xihu is made again.
func (c *campaign) layRedis() {
	redis, err := servers.StartRedis(c.Context(), filepath.Join(c.dir, "redis"))
	must(c.T, "start Redis", err)
	c.Cleanup(redis.Kill)
	c.services = append(c.services, "REDIS_URL="+redis.URL)
	look := newRedis(c, redis.URL)
	c.faults = func() {
		for part := range 4 {
			c.after(0.2 * float64(part))
			look.eventuallyHas("hishub:session:xihu:*")
			look.empty()
			c.inflict("Redis emptied")
		}
		look.eventuallyHas("hishub:session:xihu:*")
		look.eventuallyHas("rate:hishub:*")
		redis.Pause()
		c.goesOn("with Redis frozen", 5)
		redis.Resume()
		c.inflict("freeze of Redis")
		redis.Kill()
		c.goesOn("without Redis", 5)
		must(c.T, "restart Redis", redis.Restart(c.ctx))
		c.inflict("kill -9 of Redis")
		look.eventuallyHas("hishub:session:xihu:*")
	}
	c.ended = func(found) {
		if n := c.counted["submissions repeated"]; n > 0 {
			c.Errorf("seed %d: %d submissions were not accepted at once for want of Redis", c.seed, n)
		}
	}
}

// layAllAway: PostgreSQL, RabbitMQ and Redis are away at once, and come back one
// after the other.
func (c *campaign) layAllAway() {
	database := c.own()
	broker, err := servers.StartRabbitMQ(c.Context(), filepath.Join(c.dir, "broker"))
	must(c.T, "start RabbitMQ", err)
	c.Cleanup(broker.Kill)
	redis, err := servers.StartRedis(c.Context(), filepath.Join(c.dir, "redis"))
	must(c.T, "start Redis", err)
	c.Cleanup(redis.Kill)
	c.services = append(c.services, "AMQP_URL="+broker.URL, "REDIS_URL="+redis.URL)
	p := c.join(broker.URL)
	c.faults = func() {
		c.after(0.2)
		p.eventuallyAnswered(3)
		all := []*servers.Server{database, broker, redis}
		c.random(6).Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		for _, s := range all {
			s.Kill()
		}
		c.inflict("all servers killed")
		time.Sleep(c.between(3, time.Second, 8*time.Second))
		for _, s := range all {
			must(c.T, "restart a server", s.Restart(c.ctx))
			time.Sleep(c.between(4, 0, 2*time.Second))
		}
		p.eventuallyAnswered(3)
	}
	c.ended = func(found) { p.heardAll() }
}

// goesOn waits until some more messages are delivered.
func (c *campaign) goesOn(how string, more int) {
	c.Helper()
	const delivered = `select count(*) from hub.message where state = 'delivered'`
	before := c.ledger.number(delivered)
	c.eventually("deliveries go on "+how, time.Minute, func() bool { return c.ledger.number(delivered) >= before+more })
}

// empty throws away all queues with what is in them. The hubs stand still for a
// moment before, so that something is.
func (c *campaign) empty(p *platform, broker string) {
	for _, h := range c.hubs {
		h.signal(syscall.SIGSTOP)
	}
	time.Sleep(700 * time.Millisecond)
	p.mu.Lock()
	p.emptied = true
	p.mu.Unlock()
	conn, err := amqp.Dial(broker)
	must(c.T, "connect to RabbitMQ", err)
	defer conn.Close()
	ch, err := conn.Channel()
	must(c.T, "open a channel", err)
	submissions, err := ch.QueueDelete("hishub.submit", false, false, false)
	must(c.T, "delete hishub.submit", err)
	events, err := ch.QueueDelete(p.queue, false, false, false)
	must(c.T, "delete the platform's queue", err)
	for shard := range 16 {
		_, err := ch.QueueDelete(wakeQueue(shard), false, false, false)
		must(c.T, "delete a queue of hints", err)
	}
	must(c.T, "delete hishub.events", ch.ExchangeDelete("hishub.events", false, false))
	c.countMore("submissions thrown away with the queue", submissions)
	c.countMore("events thrown away with the queue", events)
	c.inflict("RabbitMQ emptied")
	for _, h := range c.hubs {
		h.signal(syscall.SIGCONT)
	}
}
