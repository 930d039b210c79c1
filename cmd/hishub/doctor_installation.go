package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	goredis "github.com/redis/go-redis/v9"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/rabbit"
)

// askHealth asks a hub whether it is up. Over https its certificate is not judged:
// this is asked from beside it, by an address that no certificate is made for.
func askHealth(ctx context.Context, address string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+"/healthz", nil)
	if err != nil {
		return "", err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // nothing is told to it
	defer transport.CloseIdleConnections()
	r, err := (&http.Client{Transport: transport}).Do(q)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	var said struct{ Status, Version string }
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<10)).Decode(&said); err != nil || r.StatusCode != http.StatusOK || said.Status != "up" {
		return "", errNoHub
	}
	return said.Version, nil
}

var errNoHub = errors.New("what answers there is no hub that is up")

// port looks who listens at the API's address.
// port says itself what listens there, and returns whether nobody does: what that
// means is told by what waits.
func (d *doctor) port(ctx context.Context, listen string) (nobody string) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		d.bad("port", listen+" is no address", "write HISHUB_LISTEN as host:port, or :port for all addresses")
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	address := net.JoinHostPort(host, port)
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "nobody listens at " + address + " (looked from here)"
	}
	conn.Close()
	for _, scheme := range []string{"http", "https"} {
		if version, err := askHealth(ctx, scheme+"://"+address); err == nil {
			d.ok("port", fmt.Sprintf("a hub %s answers at %s", version, address))
			return ""
		}
	}
	d.bad("port", "at "+address+" listens somebody who is no hub", "stop that program, or give the hub another address by --listen or HISHUB_LISTEN")
	return ""
}

// schema compares the database's schema with this program's.
func (d *doctor) schema(ctx context.Context, databaseURL string) {
	have, want, err := postgres.SchemaVersion(ctx, databaseURL)
	switch {
	case err != nil:
		d.bad("schema", err.Error(), "is PostgreSQL up, and was 'hishub migrate' run on this database?")
	case have < want:
		d.bad("schema", fmt.Sprintf("version %d, this program has %d", have, want), "hishub migrate (or start 'hishub serve', which does it)")
	case have > want:
		d.warn("schema", fmt.Sprintf("version %d, this program knows only %d", have, want), "use the program that migrated it; an older one may not know what is in there")
	default:
		d.ok("schema", fmt.Sprintf("version %d", have))
	}
}

// queue looks at the queue of submissions.
func (d *doctor) queue(amqpURL string) {
	var conn *amqp.Connection
	for _, node := range rabbit.Nodes(amqpURL) {
		var err error
		if conn, err = amqp.DialConfig(node, amqp.Config{Dial: amqp.DefaultDial(3 * time.Second)}); err == nil {
			break
		}
	}
	if conn == nil {
		return // servers has told
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return
	}
	q, err := ch.QueueDeclarePassive(rabbit.SubmitQueue, true, false, false, false, nil)
	var refused *amqp.Error
	switch {
	case errors.As(err, &refused) && refused.Code == amqp.NotFound:
		d.ok("queue "+rabbit.SubmitQueue, "is made by the first hub that starts")
	case err != nil:
		d.bad("queue "+rabbit.SubmitQueue, "cannot be looked at", "grant RabbitMQ's user configure, write and read on the virtual host")
	case q.Consumers == 0 && q.Messages > 0:
		d.bad("queue "+rabbit.SubmitQueue, fmt.Sprintf("%s and nobody takes them", core.Count(q.Messages, "submission waits", "submissions wait")), "start 'hishub serve' with this AMQP_URL")
	default:
		d.ok("queue "+rabbit.SubmitQueue, fmt.Sprintf("%s, %s there for them", core.Count(q.Messages, "submission waits", "submissions wait"), core.Count(q.Consumers, "hub is", "hubs are")))
	}
}

// memory looks at what Redis does when it is full.
func (d *doctor) memory(ctx context.Context, redisURL string) {
	o, err := goredis.ParseURL(redisURL)
	if err != nil {
		return // servers has told
	}
	c := goredis.NewClient(o)
	defer c.Close()
	settings, err := c.ConfigGet(ctx, "maxmemory*").Result()
	if err != nil {
		d.ok("redis memory", "cannot be looked at (CONFIG is not allowed)")
		return
	}
	policy, bound := settings["maxmemory-policy"], settings["maxmemory"]
	switch {
	case bound == "0":
		d.warn("redis memory", "has no bound", "give it one (maxmemory 256mb, maxmemory-policy volatile-lru), or it takes the memory of its neighbours")
	case policy == "noeviction":
		d.bad("redis memory", "refuses writes when it is full (maxmemory-policy noeviction)", "redis-cli config set maxmemory-policy volatile-lru, and in redis.conf: all that the hub keeps there may be lost")
	default:
		d.ok("redis memory", policy+" at "+bound+" bytes")
	}
}

// soon is how long before its end a certificate is worth a warning.
const soon = 21 * 24 * time.Hour

// certificates looks when those of a connector end: ours of the folder, and the
// HIS's, if it speaks https.
func (d *doctor) certificates(ctx context.Context, what, name string, spec core.ConnectorSpec) {
	spec.Certificate = func(ours bool, expires time.Time) { d.expiry(what, name, ours, expires) }
	open := connectors.Open
	if strings.HasPrefix(name, core.ChannelConnector("")) {
		open = connectors.OpenChannel
	}
	if c, err := open(spec); err == nil {
		c.Close()
	}
	address := addressOf(spec)
	for _, option := range []string{"endpoint", "base"} {
		text, _ := spec.Options[option].(string)
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" || address == "" {
			continue
		}
		dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 3 * time.Second}, Config: &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true}} //nolint:gosec // only its end is looked at
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			d.warn(what, fmt.Sprintf("connector %s: no TLS at %s", name, address), "does the HIS speak https there? does it want a certificate of ours (tls.cert, tls.key)?")
			continue
		}
		if peers := conn.(*tls.Conn).ConnectionState().PeerCertificates; len(peers) > 0 {
			spec.Certificate(false, peers[0].NotAfter)
		}
		conn.Close()
	}
}

func (d *doctor) expiry(what, name string, ours bool, expires time.Time) {
	whose, cure := "the HIS's certificate", "tell the hospital; nothing is delivered once it has ended"
	if ours {
		whose, cure = "our certificate", "get a new one from the hospital, put it into the folder and apply it"
	}
	left := time.Until(expires)
	text := fmt.Sprintf("connector %s: %s ends on %s", name, whose, expires.Format(time.DateOnly))
	switch {
	case left < 0:
		d.bad(what, strings.Replace(text, "ends", "ended", 1), cure)
	case left < soon:
		d.warn(what, text, cure)
	}
}
