package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"hishub/core/alert"
	"hishub/core/incident"
)

// alertsFile says who is told of incidents.
type alertsFile struct {
	Alerts string `help:"File that says from when on something is an incident, and who is told. A SIGHUP reads it again." placeholder:"FILE" env:"HISHUB_ALERTS"`
}

// plan reads it; nil if there is none. The error is alert.Mistakes.
func (f alertsFile) plan(m mailOptions) (*alert.Plan, error) {
	if f.Alerts == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.Alerts)
	if err != nil {
		return nil, err
	}
	server, err := m.server()
	if err != nil {
		return nil, err
	}
	return alert.Load(text, alert.Options{File: f.Alerts, Env: os.LookupEnv, Mail: server})
}

// tellPeople has reports mailed and incidents told, as the options say.
func (h *hub) tellPeople(m mailOptions, f alertsFile) (err error) {
	m = m.filled()
	// A mail server without receivers of reports is there for alerts.
	if f.Alerts == "" || len(m.MailTo) > 0 {
		if h.mailer, err = m.mailer(); err != nil {
			return err
		}
	}
	plan, err := f.plan(m)
	if err != nil || plan == nil {
		return err
	}
	h.alerts.Store = zonedLetters{h.alerts.Store, h.hospitals.zone}
	h.alerts.Use(plan)
	h.alertsAgain = func() {
		plan, err := f.plan(m)
		if err != nil {
			h.log.Error("read the alerts file again; the former one stays", "error", err)
			return
		}
		h.alerts.Use(plan)
		h.log.Info("the alerts file was read again", "routes", len(plan.Routes))
	}
	return nil
}

// zonedLetters say what happened at a hospital by the hospital's own clock, where this
// process knows it.
type zonedLetters struct {
	alert.Store
	zone func(hospital string) *time.Location
}

// TakeLetters implements alert.Store.
func (z zonedLetters) TakeLetters(ctx context.Context, routes []alert.Wanted, ttl time.Duration) ([]alert.Letter, error) {
	letters, err := z.Store.TakeLetters(ctx, routes, ttl)
	for _, l := range letters {
		for i := range l.Entries {
			l.Entries[i].Zone = z.zone(l.Entries[i].Hospital)
		}
	}
	return letters, err
}

// alertCmd looks after who is told of incidents.
type alertCmd struct {
	Check alertCheck `cmd:"" help:"Say every mistake of an alerts file, or who is told of what."`
	Test  alertTest  `cmd:"" help:"Send a marked test to a route, and say what came back."`
}

type alertCheck struct {
	variables
	mailOptions
	File string `arg:"" help:"Alerts file." placeholder:"FILE"`
}

func (alertCheck) Help() string {
	return "Reaches nobody. Exit status 1 when the file has mistakes.\n\nExample:\n  hishub alert check alerts.yaml --env my.env"
}

func (c *alertCheck) Run() error {
	if err := c.set(); err != nil {
		return err
	}
	plan, err := alertsFile{c.File}.plan(c.mailOptions)
	if err != nil {
		return err
	}
	t := newTable("ROUTE", "CHANNEL", "HOSPITALS", "INCIDENTS", "TOLD")
	for _, r := range plan.Routes {
		var kinds []string
		for _, k := range incident.Kind("").Values() {
			if r.Wants(incident.Kind(k)) {
				kinds = append(kinds, k)
			}
		}
		told := "at any hour"
		if q := r.QuietHours(); q != "" {
			told = "not at " + q
		}
		t.row(r.Name, r.Kind, orAll(r.Hospitals), orAll(onlySome(kinds)), told)
	}
	return t.print()
}

func orAll(some []string) string {
	if some == nil {
		return "all"
	}
	return strings.Join(some, ",")
}

// onlySome is nil for all kinds.
func onlySome(kinds []string) []string {
	if len(kinds) == len(incident.Kind("").Values()) {
		return nil
	}
	return kinds
}

type alertTest struct {
	variables
	mailOptions
	alertsFile
	Route string `arg:"" help:"Name of the route in the file."`
}

func (alertTest) Help() string {
	return "What is sent says that it is a test. Quiet hours do not hold it.\n\nExample:\n  hishub alert test duty --alerts alerts.yaml --env my.env"
}

func (c *alertTest) Run(ctx context.Context) error {
	if err := c.set(); err != nil {
		return err
	}
	if c.Alerts == "" {
		return errors.New("name the file by --alerts or HISHUB_ALERTS")
	}
	plan, err := c.plan(c.mailOptions)
	if err != nil {
		return err
	}
	route, ok := plan.Route(c.Route)
	if !ok {
		var names []string
		for _, r := range plan.Routes {
			names = append(names, r.Name)
		}
		return fmt.Errorf("%s has no route %q; there are %s", c.Alerts, c.Route, strings.Join(names, ", "))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := route.Send(ctx, alert.Letter{ID: rand.Text(), Route: route.Name, Test: true}); err != nil {
		return fmt.Errorf("route %s (%s): %w", route.Name, route.Kind, err)
	}
	fmt.Printf("route %s (%s) took it\n", route.Name, route.Kind)
	return nil
}
