package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/alert"
	"hishub/core/delivery"
	"hishub/core/inbound"
	"hishub/core/incident"
	"hishub/core/postgres"
	"hishub/core/rabbit"
	"hishub/core/reconcile"
	"hishub/core/redis"
	"hishub/core/report"
)

// hub is everything that one process runs.
type hub struct {
	services
	log    *slog.Logger
	listen string
	nights string
	tls    *tls.Config    // nil serves plain http
	tlsAPI bool           // callers of the API must show a certificate
	mailer *report.Mailer // nil sends no mail
	env    *variables     // files that are read again at a SIGHUP; nil if there are none

	alertsAgain func() // reads the alerts file again; nil if there is none

	store      *postgres.Store
	redis      *redis.Client
	broker     *rabbit.Connection // nil without AMQP_URL
	wakes      delivery.Wakes
	hospitals  *hospitals
	questions  *delivery.Questions
	dispatcher *delivery.Dispatcher
	runner     *reconcile.Runner
	repairs    *reconcile.Repairs
	metrics    *metrics
	pulse      *pulse
	tracing    *tracing // nil traces nothing
	clocks     clocks
	unmapped   unmappedCodes
	rates      incident.Rates
	alerts     *alert.Teller
	desk       *inbound.Desk
	// modules of the clinic, when this process runs them.
	clinic *clinicModules
	// modules are those that this process serves; nil are all.
	modules []string
	// apart asks HISs where this process works no hospitals, and looks says what these can;
	// nil in a hub.
	apart *hubAPI
	looks *looks

	address string // where the API listens, once it does
	leaving leaving
}

// openHub connects to what the hub needs; nothing runs yet.
func openHub(ctx context.Context, log *slog.Logger, databaseURL, keyFile string, createKey bool, s services) (_ *hub, err error) {
	h := &hub{services: s, log: log, metrics: newMetrics(), leaving: leaving{begun: make(chan struct{})}}
	if h.tracing, err = newTracing(ctx, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if s.RedisURL == "" {
		h.redis = redis.Embedded()
	} else if h.redis, err = redis.Open(s.RedisURL); err != nil {
		return nil, err
	}
	h.pulse = newPulse(h.redis)
	if s.AmqpURL == "" {
		h.wakes = rabbit.NewLocal(postgres.ShardOf)
	} else {
		if h.broker, err = rabbit.Dial(s.AmqpURL, log); err != nil {
			return nil, err
		}
		h.wakes = rabbit.NewWakes(h.broker, postgres.ShardOf)
	}
	h.store, err = postgres.Open(ctx, postgres.Options{
		URL: databaseURL, KeyFile: keyFile, CreateKey: createKey,
		Can:            h.can,
		PassWhenParked: h.passWhenParked,
		Woken:          h.wakes.Wake,
		Measure:        h.metrics.ledger(),
		Traced:         h.tracing != nil,
	})
	if err != nil {
		return nil, err
	}
	h.hospitals = newHospitals(h.store, redis.NewSessions(h.redis), h.carried)
	h.hospitals.certificates = h.metrics.certificates
	h.clocks.database = h.store.Now
	h.alerts = &alert.Teller{Store: h.store, Log: log, Result: h.metrics.alerted}
	h.questions = &delivery.Questions{Hospitals: h.hospitals, Answers: redis.NewCache(h.redis), Codes: h.noteCodes}
	h.runner = &reconcile.Runner{Store: h.store, Asker: h.questions, Place: h.hospitals.place}
	h.repairs = &reconcile.Repairs{Store: h.store, Place: h.hospitals.place, Log: log}
	h.desk = &inbound.Desk{Store: h.store, Log: log, Deciders: map[core.Kind]inbound.Decider{}}
	h.dispatcher = &delivery.Dispatcher{
		Process: processName(), Store: h.store, Hospitals: h.hospitals, Wakes: h.wakes,
		Policy: delivery.DefaultPolicy, Log: log, Ended: h.ended, Traced: h.tracing.rounds(),
	}
	return h, nil
}

// processName is unique among the processes at one database, also over restarts.
func processName() string {
	host, _ := os.Hostname()
	var random [4]byte
	rand.Read(random[:])
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(random[:]))
}

func (h *hub) close() {
	if h.clinic != nil {
		h.clinic.close()
	}
	if h.hospitals != nil {
		h.hospitals.close()
	}
	if h.store != nil {
		h.store.Close()
	}
	if h.broker != nil {
		h.broker.Close()
	}
	if h.redis != nil {
		h.redis.Close()
	}
	h.tracing.close()
}

// run works until ctx ends, then stops in the order in which nothing is lost and
// nobody gets an error: requests go elsewhere, those under way end, then exchanges
// in flight, connections close.
func (h *hub) run(ctx context.Context, ready func(address string)) error {
	if err := h.hospitals.refresh(ctx); err != nil {
		return err
	}
	listener, err := h.bind()
	if err != nil {
		return err
	}
	// What this process does by itself is no person's act.
	background, stop := context.WithCancel(postgres.WithOrigin(context.WithoutCancel(ctx), &postgres.Origin{Who: "hub", Role: "hub"}))
	defer stop()

	handler, webhooks, err := h.handler(background)
	if err != nil {
		return err
	}
	schedule := &reconcile.Schedule{Runner: h.runner, Repairs: h.repairs, Log: h.log,
		Mine: func(id string) bool { return h.dispatcher.Holds(postgres.ShardOf(id)) }}
	schedule.Start()
	var work sync.WaitGroup
	work.Go(func() {
		h.hospitals.follow(background, time.Second, func(active map[string]postgres.HospitalRecord) {
			if h.nights != nightsOff {
				h.setNights(background, schedule, active)
			}
		})
	})
	work.Go(func() { h.maintain(background) })
	work.Go(func() { h.anchor(background) })
	work.Go(func() { h.hangups(background, h.env, h.alertsAgain) })
	work.Go(func() {
		if err := webhooks.Run(background); err != nil && background.Err() == nil {
			h.log.Error("webhooks are told nothing any more", "error", err)
		}
	})
	work.Go(func() { h.watch().Run(background) })
	work.Go(func() { h.alerts.Run(background) })
	work.Go(func() { h.watchServices(background) })
	work.Go(func() { h.pulse.run(background) })
	work.Go(func() { h.carryOut(background) })
	work.Go(func() { h.replays().Run(background) })
	work.Go(func() { h.hear(background) })
	if h.mailer != nil {
		work.Go(func() { h.letters(background) })
	}
	work.Go(func() { h.clocks.watch(background, h.mine, h.askClock) })
	if h.clinic != nil {
		work.Go(func() { h.clinic.run(background) })
	}
	stopBroker := h.overBroker(background, &work)

	server := h.server(handler)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if ready != nil {
		ready(h.address)
	}

	dispatching := make(chan error, 1)
	dispatch, stopDispatch := context.WithCancel(background)
	defer stopDispatch()
	go func() { dispatching <- h.dispatcher.Run(dispatch) }()

	select {
	case <-ctx.Done():
	case err = <-served:
	}
	h.log.Info("stopping")
	h.leaving.begin(err != nil)
	shutdown, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	if h.clinic != nil {
		h.clinic.leave(shutdown)
	}
	if e := server.Shutdown(shutdown); e != nil {
		server.Close()
	}
	h.desk.Close(shutdown)
	stopBroker()
	stopDispatch()
	err = errors.Join(ignoreClosed(err), <-dispatching)
	schedule.Stop()
	stop()
	work.Wait()
	return err
}

// bind listens for the API.
func (h *hub) bind() (net.Listener, error) {
	listener, err := net.Listen("tcp", h.listen)
	if err != nil {
		return nil, fmt.Errorf("listen for the API: %w", err)
	}
	h.address = "http://" + listener.Addr().String()
	h.metrics.apiCertificate(h.tls)
	if h.tls != nil {
		h.address = "https://" + listener.Addr().String()
		listener = tls.NewListener(listener, h.tls)
	}
	return listener, nil
}

// server of the API.
func (h *hub) server(handler http.Handler) *http.Server {
	return &http.Server{Handler: h.leaving.around(handler), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelWarn)}
}

// can implements the ledger's question whether a dialect has a transaction.
func (h *hub) can(id string, kind core.Kind) bool {
	if h.looks != nil {
		return h.looks.can(id, kind)
	}
	return h.hospitals.can(id, kind)
}

func (h *hub) passWhenParked(id string, kind core.Kind) bool {
	if h.looks != nil {
		return h.looks.passWhenParked(id, kind)
	}
	return h.hospitals.passWhenParked(id, kind)
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// nightsOff is a process that runs no nights by itself.
const nightsOff = "off"

// comparable: there is somebody to compare our ledger with.
func comparable(h *core.Hospital) bool {
	return len(h.Channels) > 0 || h.Operations[core.LedgerDetail] != nil || h.Operations[core.LedgerTotal] != nil || h.Pushes(core.LedgerPushed)
}

// setNights gives every hospital with somebody to compare with its night.
func (h *hub) setNights(ctx context.Context, s *reconcile.Schedule, active map[string]postgres.HospitalRecord) {
	nights := map[string]reconcile.Nightly{}
	for id := range active {
		opened, err := h.hospitals.Hospital(ctx, id, 0)
		if err != nil {
			h.log.Error("open hospital", "hospital", id, "error", err)
			continue
		}
		if comparable(opened) {
			nights[id] = reconcile.Nightly{Zone: opened.Zone, At: cmp.Or(h.nights, opened.Night.At)}
		}
	}
	if err := s.Set(ctx, nights); err != nil {
		h.log.Error("schedule nights", "error", err)
	}
}

// carryOut carries out repairs that people approved elsewhere, or before a process
// ended, and follows those on their way.
func (h *hub) carryOut(ctx context.Context) {
	for {
		mending, err := h.store.Mending(ctx)
		if err != nil && ctx.Err() == nil {
			h.log.Error("look for repairs", "error", err)
		}
		for _, id := range mending {
			if !h.dispatcher.Holds(postgres.ShardOf(id)) {
				continue
			}
			if err := h.repairs.Sweep(ctx, id); err != nil && ctx.Err() == nil {
				h.log.Error("carry out repairs", "hospital", id, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(3 * time.Second):
		}
	}
}

// dataKeyLasts is how long everything is sealed with one data key.
const dataKeyLasts = 30 * 24 * time.Hour

// maintain makes the coming partitions, drops those past their retention and renews
// the data key.
func (h *hub) maintain(ctx context.Context) {
	for {
		var dropped []string
		retention, err := h.store.Retention(ctx)
		if err == nil {
			dropped, err = h.store.Maintain(ctx, time.Now(), retention)
		}
		if err != nil && ctx.Err() == nil {
			h.log.Error("maintain partitions", "error", err)
		}
		for _, name := range dropped {
			h.log.Info("dropped a month past its retention", "partition", name)
		}
		if err := h.store.RenewDataKey(ctx, dataKeyLasts); err != nil && ctx.Err() == nil {
			h.log.Error("renew the data key", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(6 * time.Hour):
		}
	}
}
