package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/rabbit"
	"hishub/platform/appointment"
	"hishub/platform/audit"
	"hishub/platform/catalog"
	"hishub/platform/chat"
	"hishub/platform/clinic"
	"hishub/platform/consult"
	"hishub/platform/directory"
	"hishub/platform/fulfilment"
	"hishub/platform/identity"
	"hishub/platform/notify"
	"hishub/platform/order"
	"hishub/platform/patient"
	"hishub/platform/pay"
	"hishub/platform/regulator"
	"hishub/platform/rx"
	"hishub/platform/schedule"
)

// clinicModules are the modules of the clinic.
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
	fulfilment   *fulfilment.Service
	notices      *notify.Service
	regulator    *regulator.Service
	audit        *audit.Service

	node    *chat.Node
	modules []module
	here    map[string]bool // those that this process serves; nil are all
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
	if m.here, err = modulesHere(h.modules); err != nil {
		return err
	}
	// What anybody tells a HIS, a regulator hears too, if he must.
	m.regulator = &regulator.Service{Clinic: shared, Hub: h.store.In}
	shared.Outbox = m.regulator.Telling
	if m.node, err = chat.NewNode(m.identity, trail(h.store.Audit), h.RedisURL, h.log); err != nil {
		return err
	}
	m.make(shared, h)
	h.desk.Deciders[core.RefundApply] = windowRefunds(m.pay, h.store)
	h.repairs.Platform = clinicRepairs{h.store, h.desk, h.hospitals, m.pay}
	m.modules = m.list()
	if err := m.migrate(ctx); err != nil {
		return err
	}
	m.jobs = &clinic.Jobs{Database: db, Process: h.dispatcher.Process, Log: h.log}
	for _, of := range m.modules {
		if !m.serves(of.name) {
			continue
		}
		if of.take != nil {
			m.inboxes = append(m.inboxes, &clinic.Inbox{Clinic: shared, Module: of.name, Feed: h.store, Take: of.take, Mine: of.mine})
		}
		for _, j := range of.jobs {
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
	m.patients = &patient.Service{Clinic: shared, Guardians: m.identity}
	if m.identity.RealName != nil { // an interface of nothing is not nil
		m.patients.RealName = m.identity.RealName
	}
	m.orders = &order.Service{Clinic: shared}
	m.pay = &pay.Service{Clinic: shared, Orders: m.orders, Accounts: &accounts{hospitals: h.hospitals}, Public: h.PublicURL}
	m.chat = &chat.Service{Clinic: shared, Live: m.node}
	m.notices = &notify.Service{Clinic: shared, Zone: quietZone, Senders: map[notify.Channel]notify.Sender{}}
	if m.identity.Sender != nil {
		m.notices.Senders[notify.SMS] = notify.Phone{Gateway: m.identity.Sender, People: m.identity}
	}
	m.consults = &consult.Service{Clinic: shared, Patients: m.patients, Doctors: m.directory, People: m.identity, Orders: m.orders, Payback: m.pay, Chat: m.chat, Notices: m.notices}
	if h.StandIns {
		m.consults.Video = videoStandIn{}
	}
	m.rx = &rx.Service{
		Clinic: shared, Consults: m.consults.Rx(), Patients: m.patients, Drugs: m.catalog, Orders: m.orders, Licences: m.identity, People: m.identity,
		Cards: m.consults, Payback: m.pay, Notices: m.notices, Signer: rx.LocalSigner{Clinic: shared},
	}
	m.fulfilment = &fulfilment.Service{Clinic: shared, Prescriptions: m.rx, Licences: m.identity, Notices: m.notices}
	m.rx.Fulfilment = m.fulfilment
	m.audit = &audit.Service{Clinic: shared, Patients: m.patients, Verify: h.verifyAudit}
	m.appointments = &appointment.Service{Clinic: shared, Patients: m.patients, Schedule: m.schedule, Orders: m.orders, Payback: m.pay, Live: m.node, Notices: m.notices}
	if h.broker != nil {
		m.appointments.Queue = rabbit.NewLines(h.broker, "tickets", ticketLines)
	} else {
		m.appointments.Queue = appointment.NewLocal(ticketLines)
	}
	m.orders.Subjects = map[order.Kind]order.Subject{order.Registration: m.appointments, order.Consultation: m.consults, order.Drugs: m.rx}
}

// quietZone is where it is night when nobody is to be woken.
var quietZone = time.FixedZone("CST", 8*3600)

// verifyAudit goes through the hub's chain for the clinic's auditors.
func (h *hub) verifyAudit(ctx context.Context) (audit.Checked, error) {
	r, err := h.store.VerifyAudit(ctx)
	c := audit.Checked{Entries: r.Entries, Head: r.Head.Digest.String()}
	for _, f := range r.Faults {
		c.Faults = append(c.Faults, fmt.Sprintf("entry %d: %s", f.Number, f.What))
	}
	return c, err
}

// videoStandIn has a call for everybody, at an address that leads nowhere.
type videoStandIn struct{}

func (videoStandIn) Join(_ context.Context, no string, _ clinic.Person) (string, error) {
	return "https://video.invalid/" + no, nil
}

// ticketLines is how many tickets are answered at the same time; all processes at one
// broker have the same.
const ticketLines = 8

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
