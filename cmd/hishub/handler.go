package main

import (
	"context"
	"net/http"
	"sync"

	"hishub/core"
	"hishub/core/api"
	"hishub/core/postgres"
	"hishub/core/rabbit"
	"hishub/core/redis"
	"hishub/core/shadow"
)

// handler is the API with the clinic's routes, what HIS call, and the sender of webhooks.
func (h *hub) handler(background context.Context) (http.Handler, *api.Webhooks, error) {
	o := api.Options{
		Version: version, Store: h.accepting(), Questions: h.questions, Nights: h.runner, Repairs: h.repairs, Place: h.hospitals.place, Folder: h.folder, Repeats: h.hospitals.repeats, Background: background,
		Head: newHeads(h.store).of, Process: h.dispatcher.Process, Lights: h.dispatcher.Lights, Seen: h.metrics.hospitals.seen, Pulse: h.pulse.read,
		Limits: redis.NewLimits(h.redis, h.metrics.unlimited.Inc), Metrics: h.metrics.handler(), Log: h.log, Secure: h.tls != nil, ClientCert: h.tlsAPI,
		Ready: h.dependencies(), Stopping: h.leaving.begun,
	}
	o.Shadow = func(ctx context.Context, of shadow.Store, hospital string, limit int) (*shadow.Report, error) {
		return saidNewest(ctx, h.store, of, hospital, limit)
	}
	o.Follow = (&follower{store: h.store}).follow
	if h.clinic != nil {
		o.Follow = (&follower{h.store, h.clinic.tracers()}).follow
		o.Mine = h.clinic.pay.Takes
		o.People = h.people
		o.Person = h.person
	}
	if h.apart != nil {
		o.Apart = true
		return h.withBrowsers(api.New(o)), nil, nil
	}
	return h.withInbound(h.withConsole(api.New(o))), &api.Webhooks{Store: h.store, Log: h.log}, nil
}

// dependencies are the servers that this process works with.
func (h *hub) dependencies() []api.Dependency {
	all := []api.Dependency{
		{Name: "database", Check: func(ctx context.Context) error { _, err := h.store.Now(ctx); return err }},
		{Name: "redis", Degraded: true, Check: h.redis.Ready},
	}
	if h.broker != nil {
		all = append(all, api.Dependency{Name: "rabbitmq", Degraded: true, Check: h.broker.Ready})
	}
	return all
}

// overBroker runs the intake and the events over RabbitMQ, if there is one. stop
// ends the intake: what it has taken is accepted or goes back to the queue.
func (h *hub) overBroker(ctx context.Context, work *sync.WaitGroup) (stop func()) {
	if h.broker == nil {
		return func() {}
	}
	taking, stop := context.WithCancel(ctx)
	intake := rabbit.NewIntake(h.broker, func(ctx context.Context, hospital string, m core.Message, submission string) (core.Accepted, error) {
		return h.accepting().EnqueueAs(ctx, hospital, m, postgres.EnqueueOptions{Submission: submission, Announce: true})
	})
	work.Go(func() { intake.Run(taking) })
	events := rabbit.NewEvents(h.broker, h.store, h.store, func(context.Context) bool {
		return h.dispatcher.Holds(0) // one process publishes the events of all
	})
	work.Go(func() { events.Run(ctx) })
	return stop
}
