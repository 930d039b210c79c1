package main

import (
	"context"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/platform/clinic"
	"hishub/platform/identity"
	"hishub/platform/payment"
	"hishub/platform/prescription"
)

// clinicModules are the modules of the thin clinic.
type clinicModules struct {
	database      *pgxpool.Pool
	identity      *identity.Service
	prescriptions *prescription.Service
	payments      *payment.Service
	inboxes       []*clinic.Inbox
}

// openClinic makes the clinic's modules on the hub's own database server, where
// a fact and the duty to tell it are one transaction.
func (h *hub) openClinic(ctx context.Context, url string) error {
	db, err := postgres.Pool(ctx, url, 0, nil)
	if err != nil {
		return err
	}
	shared := &clinic.Clinic{Database: db, Outbox: h.store.In, Wake: h.wakes.Wake, Trail: trailIn, Vault: h.store.Vault(), Log: h.log}
	m := &clinicModules{database: db, identity: h.openIdentity(shared), prescriptions: &prescription.Service{Clinic: shared}}
	m.payments = &payment.Service{Clinic: shared, Prescriptions: m.prescriptions, Channel: channels{h.store, h.hospitals}}
	h.desk.Deciders[core.RefundApply] = windowRefunds(m.payments)
	h.repairs.Platform = clinicRepairs{h.store, h.desk, h.hospitals, m.payments}
	m.inboxes = []*clinic.Inbox{
		{Clinic: shared, Module: "prescription", Feed: h.store, Take: m.prescriptions.Take, Mine: m.prescriptions.Mine},
		{Clinic: shared, Module: "payment", Feed: h.store, Take: m.payments.Take},
	}
	h.clinic = m
	if err := m.identity.Migrate(ctx); err != nil {
		return err
	}
	if err := m.prescriptions.Migrate(ctx); err != nil {
		return err
	}
	return m.payments.Migrate(ctx)
}

func (m *clinicModules) routes(api huma.API) {
	m.prescriptions.Routes(api)
	m.payments.Routes(api)
}

func (m *clinicModules) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, in := range m.inboxes {
		all.Go(func() { in.Run(ctx) })
	}
	all.Go(func() { m.identity.Run(ctx) })
	all.Wait()
	m.database.Close()
}
