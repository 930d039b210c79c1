package main

import (
	"context"
	"fmt"

	"hishub/core/api"
	"hishub/core/postgres"
	"hishub/platform/appointment"
	"hishub/platform/clinic"
	"hishub/platform/consult"
	"hishub/platform/fulfilment"
	"hishub/platform/order"
	"hishub/platform/pay"
	"hishub/platform/regulator"
	"hishub/platform/rx"
)

type traceCmd struct {
	place
	ID   string `arg:"" help:"Number of a prescription, order, appointment, consultation or refund, of a message, or the id of a trace."`
	JSON bool   `name:"json" help:"For scripts."`
}

func (traceCmd) Help() string {
	return `What the clinic's modules did, what the hub was told, every try at the HIS with its outcome, and what came back, in the order of time. It names
no patient and holds no word of a HIS; 'hishub message trace' has those of one message.

A trace's id (OpenTelemetry, 32 hex digits) is looked for among the newest 100,000 messages.

Example:
  hishub trace RX2601050A1B2C3D4E
  hishub trace 4711 --json`
}

func (c *traceCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(store *postgres.Store) error {
		url, err := c.databaseURL()
		if err != nil {
			return err
		}
		db, err := postgres.Pool(ctx, url, 2, nil)
		if err != nil {
			return err
		}
		defer db.Close()
		shared := &clinic.Clinic{Database: db, Vault: store.Vault(), Log: newLog(0)}
		m := &clinicModules{
			consults: &consult.Service{Clinic: shared}, appointments: &appointment.Service{Clinic: shared}, rx: &rx.Service{Clinic: shared}, orders: &order.Service{Clinic: shared},
			pay: &pay.Service{Clinic: shared}, fulfilment: &fulfilment.Service{Clinic: shared}, regulator: &regulator.Service{Clinic: shared},
		}
		t, err := (&follower{store, m.tracers()}).follow(ctx, c.ID)
		if err != nil {
			return err
		}
		if len(t.Hops) == 0 {
			return fmt.Errorf("nothing here has the number %s", c.ID)
		}
		return printTrace(t, c.JSON)
	})
}

func printTrace(t api.Trace, asJSON bool) error {
	if asJSON {
		return printJSON(t)
	}
	lines := newTable("AT", "WHERE", "HOSPITAL", "NUMBER", "MESSAGE", "")
	for _, h := range t.Hops {
		message := ""
		if h.Message != 0 {
			message = fmt.Sprint(h.Message)
		}
		lines.row(h.At.Local().Format("2006-01-02 15:04:05.000"), h.Where, h.Hospital, h.Number, message, h.What)
	}
	return lines.print()
}

// tracers are the modules that have rows of what a number names.
func (m *clinicModules) tracers() []tracer {
	return []tracer{
		{"consult", m.consults.Trace}, {"appointment", m.appointments.Trace}, {"rx", m.rx.Trace}, {"order", m.orders.Trace}, {"pay", m.pay.Trace},
		{"fulfilment", m.fulfilment.Trace}, {"regulator", m.regulator.Trace},
	}
}
