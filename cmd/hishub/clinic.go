package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/rabbit"
	"hishub/platform/appointment"
	"hishub/platform/catalog"
	"hishub/platform/chat"
	"hishub/platform/clinic"
	"hishub/platform/consult"
	"hishub/platform/directory"
	"hishub/platform/identity"
	"hishub/platform/order"
	"hishub/platform/patient"
	"hishub/platform/pay"
	"hishub/platform/payment"
	"hishub/platform/prescription"
	"hishub/platform/rx"
	"hishub/platform/schedule"
)

// clinicModules are the modules of the clinic. prescriptions and payments are those of the
// thin one, which other programs drive with a key of the hub.
type clinicModules struct {
	database *pgxpool.Pool

	identity     *identity.Service
	directory    *directory.Service
	patients     *patient.Service
	catalog      *catalog.Service
	schedule     *schedule.Service
	orders       *order.Service
	pay          *pay.Service
	consults     *consult.Service
	chat         *chat.Service
	rx           *rx.Service
	appointments *appointment.Service

	prescriptions *prescription.Service
	payments      *payment.Service

	node    *chat.Node
	inboxes []*clinic.Inbox
	jobs    *clinic.Jobs
}

// openClinic makes the clinic's modules on the hub's own database server, where
// a fact and the duty to tell it are one transaction.
func (h *hub) openClinic(ctx context.Context, url string) error {
	db, err := postgres.Pool(ctx, url, 0, nil)
	if err != nil {
		return err
	}
	shared := &clinic.Clinic{
		Database: db, Outbox: h.store.In, Wake: h.wakes.Wake, Trail: trailIn, Vault: h.store.Vault(), Log: h.log,
		Ask: h.askHIS, Recent: h.recentOfHIS, Heard: h.heardOf, Place: h.clinicPlace, Places: h.clinicPlaces,
	}
	m := &clinicModules{database: db, identity: h.openIdentity(shared)}
	h.clinic = m
	if m.node, err = chat.NewNode(m.identity, trail(h.store.Audit), h.RedisURL, h.log); err != nil {
		return err
	}
	m.make(shared, h)
	m.thin(shared, h)
	h.desk.Deciders[core.RefundApply] = windowRefunds(m.pay)
	h.repairs.Platform = clinicRepairs{h.store, h.desk, h.hospitals, m.pay}
	m.inboxes = []*clinic.Inbox{
		{Clinic: shared, Module: "prescription", Feed: h.store, Take: m.prescriptions.Take, Mine: m.prescriptions.Mine},
		{Clinic: shared, Module: "payment", Feed: h.store, Take: m.payments.Take},
		{Clinic: shared, Module: "patient", Feed: h.store, Take: m.patients.Take},
		{Clinic: shared, Module: "rx", Feed: h.store, Take: m.rx.Take},
		{Clinic: shared, Module: "pay", Feed: h.store, Take: m.pay.Take},
		{Clinic: shared, Module: "appointment", Feed: h.store, Take: m.appointments.Take},
	}
	if err := m.migrate(ctx); err != nil {
		return err
	}
	m.jobs = &clinic.Jobs{Database: db, Process: h.dispatcher.Process, Log: h.log}
	for _, jobs := range [][]clinic.Job{m.directory.Jobs(), m.catalog.Jobs(), m.schedule.Jobs(), m.orders.Jobs(), m.pay.Jobs(), m.consults.Jobs(), m.chat.Jobs(), m.rx.Jobs(), m.appointments.Jobs()} {
		for _, j := range jobs {
			if err := m.jobs.Add(j); err != nil {
				return err
			}
		}
	}
	return nil
}

// make makes what one module needs of another the other.
func (m *clinicModules) make(shared *clinic.Clinic, h *hub) {
	m.directory, m.catalog, m.schedule = &directory.Service{Clinic: shared}, &catalog.Service{Clinic: shared}, &schedule.Service{Clinic: shared}
	m.patients = &patient.Service{Clinic: shared}
	if m.identity.RealName != nil { // an interface of nothing is not nil
		m.patients.RealName = m.identity.RealName
	}
	m.orders = &order.Service{Clinic: shared}
	m.pay = &pay.Service{Clinic: shared, Orders: m.orders, Accounts: &accounts{hospitals: h.hospitals}, Public: h.PublicURL}
	m.chat = &chat.Service{Clinic: shared, Live: m.node}
	m.consults = &consult.Service{Clinic: shared, Patients: m.patients, Doctors: m.directory, People: m.identity, Orders: m.orders, Payback: m.pay, Chat: m.chat}
	m.rx = &rx.Service{
		Clinic: shared, Consults: m.consults.Rx(), Patients: m.patients, Drugs: m.catalog, Orders: m.orders, Licences: m.identity, People: m.identity,
		Cards: m.consults, Payback: m.pay, Signer: rx.LocalSigner{Clinic: shared},
	}
	m.appointments = &appointment.Service{Clinic: shared, Patients: m.patients, Schedule: m.schedule, Orders: m.orders, Payback: m.pay, Live: m.node}
	if h.broker != nil {
		m.appointments.Queue = rabbit.NewLines(h.broker, "tickets", ticketLines)
	} else {
		m.appointments.Queue = appointment.NewLocal(ticketLines)
	}
	m.orders.Subjects = map[order.Kind]order.Subject{order.Registration: m.appointments, order.Consultation: m.consults, order.Drugs: m.rx}
}

// ticketLines is how many tickets are answered at the same time; all processes at one
// broker have the same.
const ticketLines = 8

func (m *clinicModules) thin(shared *clinic.Clinic, h *hub) {
	m.prescriptions = &prescription.Service{Clinic: shared}
	m.payments = &payment.Service{Clinic: shared, Prescriptions: m.prescriptions, Channel: channels{h.store, h.hospitals}}
	m.pay.Elsewhere = thinMoney{m.payments}
}

// migrate makes each module's schema, those first that others rest on.
func (m *clinicModules) migrate(ctx context.Context) error {
	for _, of := range []struct {
		module  string
		migrate func(context.Context) error
	}{
		{"identity", m.identity.Migrate}, {"directory", m.directory.Migrate}, {"patient", m.patients.Migrate}, {"catalog", m.catalog.Migrate},
		{"schedule", m.schedule.Migrate}, {"order", m.orders.Migrate}, {"pay", m.pay.Migrate}, {"chat", m.chat.Migrate}, {"consult", m.consults.Migrate},
		{"rx", m.rx.Migrate}, {"appointment", m.appointments.Migrate}, {"prescription", m.prescriptions.Migrate}, {"payment", m.payments.Migrate},
	} {
		if err := of.migrate(ctx); err != nil {
			return fmt.Errorf("the clinic's module %s does not start: %w", of.module, err)
		}
	}
	return nil
}

// routes are the thin clinic's, for callers with a key of the hub.
func (m *clinicModules) routes(api huma.API) {
	m.prescriptions.Routes(api)
	m.payments.Routes(api)
}

// people registers what each module has for people.
func (m *clinicModules) people(a *clinic.API) {
	for _, routes := range []func(*clinic.API){
		m.identity.Routes, m.directory.Routes, m.patients.Routes, m.catalog.Routes, m.schedule.Routes, m.orders.Routes, m.pay.Routes,
		m.consults.Routes, m.chat.Routes, m.rx.Routes, m.appointments.Routes,
	} {
		routes(a)
	}
}

// beside are the clinic's addresses that are no operations: sockets, and what payment
// channels call.
func (m *clinicModules) beside(mux *http.ServeMux) {
	mux.Handle("GET "+clinic.Prefix+"/socket", m.node.Handler())
	mux.Handle("POST "+clinic.Prefix+"/notices/", m.pay.Notices())
}

func (m *clinicModules) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, in := range m.inboxes {
		all.Go(func() { in.Run(ctx) })
	}
	all.Go(func() { m.identity.Run(ctx) })
	all.Go(func() { m.appointments.Run(ctx) })
	all.Go(func() { m.jobs.Run(ctx) })
	all.Wait()
}

// leave ends the sockets: their clients connect to another process, or sync later.
func (m *clinicModules) leave(ctx context.Context) {
	if m.node != nil {
		_ = m.node.Close(ctx)
	}
}

func (m *clinicModules) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m.leave(ctx)
	m.database.Close()
}
