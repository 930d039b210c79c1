package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// module is one of the clinic's, as a process runs it.
type module struct {
	name    string
	migrate func(context.Context) error
	people  func(*clinic.API)       // what people call; nil: nothing
	beside  map[string]http.Handler // addresses that are no operations: sockets, what payment channels call
	take    func(context.Context, pgx.Tx, core.Event) error
	mine    func(context.Context, pgx.Tx, []core.Event) ([]core.Event, error) // see clinic.Inbox
	jobs    []clinic.Job
	run     func(context.Context) // what else goes on by itself
}

// moduleNames are the names of all modules, as --modules takes them.
var moduleNames = []string{
	"identity", "directory", "patient", "catalog", "schedule", "order", "pay", "chat", "consult", "notify", "fulfilment", "rx", "appointment", "regulator", "audit",
}

// serves reports whether this process serves a module.
func (m *clinicModules) serves(name string) bool { return m.here == nil || m.here[name] }

// list is all modules, those first that others rest on.
func (m *clinicModules) list() []module {
	return []module{
		{name: "identity", migrate: m.identity.Migrate, people: m.identity.Routes, run: m.identity.Run},
		{name: "directory", migrate: m.directory.Migrate, people: m.directory.Routes, jobs: m.directory.Jobs()},
		{name: "patient", migrate: m.patients.Migrate, people: m.patients.Routes, take: m.patients.Take},
		{name: "catalog", migrate: m.catalog.Migrate, people: m.catalog.Routes, jobs: m.catalog.Jobs()},
		{name: "schedule", migrate: m.schedule.Migrate, people: m.schedule.Routes, jobs: m.schedule.Jobs()},
		{name: "order", migrate: m.orders.Migrate, people: m.orders.Routes, jobs: m.orders.Jobs()},
		{name: "pay", migrate: m.pay.Migrate, people: m.pay.Routes, take: m.pay.Take, mine: m.pay.Mine, jobs: m.pay.Jobs(),
			beside: map[string]http.Handler{"POST " + clinic.Prefix + "/notices/": m.pay.Notices()}},
		{name: "chat", migrate: m.chat.Migrate, people: m.chat.Routes, jobs: m.chat.Jobs(),
			beside: map[string]http.Handler{"GET " + clinic.Prefix + "/socket": m.node.Handler()}},
		{name: "consult", migrate: m.consults.Migrate, people: m.consults.Routes, jobs: m.consults.Jobs()},
		{name: "notify", migrate: m.notices.Migrate, people: m.notices.Routes, jobs: m.notices.Jobs()},
		{name: "fulfilment", migrate: m.fulfilment.Migrate, people: m.fulfilment.Routes, take: m.fulfilment.Take, jobs: m.fulfilment.Jobs()},
		{name: "rx", migrate: m.rx.Migrate, people: m.rx.Routes, take: m.rx.Take, mine: m.rx.Mine, jobs: m.rx.Jobs()},
		{name: "appointment", migrate: m.appointments.Migrate, people: m.appointments.Routes, take: m.appointments.Take, mine: m.appointments.Mine, jobs: m.appointments.Jobs(), run: m.appointments.Run},
		{name: "regulator", migrate: m.regulator.Migrate, people: m.regulator.Routes, take: m.regulator.Take, mine: m.regulator.Mine},
		{name: "audit", migrate: m.audit.Migrate, people: m.audit.Routes, jobs: m.audit.Jobs()},
	}
}

// migrate makes each module's schema.
func (m *clinicModules) migrate(ctx context.Context) error {
	for _, of := range m.modules {
		if err := of.migrate(ctx); err != nil {
			return fmt.Errorf("the clinic's module %s does not start: %w", of.name, err)
		}
	}
	return nil
}

// people registers what each module has for people.
func (m *clinicModules) people(a *clinic.API) {
	for _, of := range m.modules {
		if of.people != nil {
			own := *a
			own.Huma = m.grouped(a.Huma, of.name)
			of.people(&own)
		}
	}
}

// grouped has a module's operations say whose they are. Those of a module that is not
// served here answer where it is, and are not in the document.
func (m *clinicModules) grouped(api huma.API, name string) huma.API {
	group := huma.NewGroup(api)
	group.UseSimpleModifier(func(op *huma.Operation) {
		if op.Extensions == nil {
			op.Extensions = map[string]any{}
		}
		op.Extensions["x-module"] = name
	})
	if m.serves(name) {
		return group
	}
	group.UseSimpleModifier(func(op *huma.Operation) { op.Hidden = true })
	group.UseMiddleware(func(hc huma.Context, _ func(huma.Context)) {
		_ = huma.WriteErr(api, hc, http.StatusNotFound, notHere(name))
	})
	return group
}

// beside are the clinic's addresses that are no operations.
func (m *clinicModules) beside(mux *http.ServeMux) {
	for _, of := range m.modules {
		for pattern, h := range of.beside {
			if !m.serves(of.name) {
				h = notHereProblem(of.name)
			}
			mux.Handle(pattern, h)
		}
	}
}

// run does what the modules do by themselves, until ctx ends.
func (m *clinicModules) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, in := range m.inboxes {
		all.Go(func() { in.Run(ctx) })
	}
	for _, of := range m.modules {
		if of.run != nil && m.serves(of.name) {
			all.Go(func() { of.run(ctx) })
		}
	}
	all.Go(func() { m.jobs.Run(ctx) })
	all.Wait()
}
