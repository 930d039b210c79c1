package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/alert"
	"hishub/core/postgres"
)

// alerts looks at the alerts file, and at each of its routes: whether anybody answers
// there, and what it took last. It says nothing to them; 'hishub alert test' does.
func (d *doctor) alerts(ctx context.Context, store *postgres.Store, f alertsFile, m mailOptions) {
	if f.Alerts == "" {
		d.warn("alerts", "nobody is told of incidents by this hub (no alerts file); they are in its pages and its feed", "write one (docs/operations.md) and name it by --alerts or HISHUB_ALERTS")
		return
	}
	plan, err := f.plan(m)
	if err != nil {
		d.bad("alerts", err.Error(), "hishub alert check "+f.Alerts)
		return
	}
	hospitals, err := store.Hospitals(ctx)
	standing, err2 := store.AlertRoutes(ctx)
	if err != nil || err2 != nil {
		return // the database is told of elsewhere
	}
	known := map[string]bool{alert.HubName: true}
	for _, h := range hospitals {
		known[h.ID] = true
	}
	if len(plan.Routes) == 0 {
		d.warn("alerts", f.Alerts+" has no routes", "add one: docs/operations.md")
	}
	by := map[string]postgres.AlertRoute{}
	for _, s := range standing {
		by[s.Name] = s
	}
	for _, r := range plan.Routes {
		what := "alerts to " + r.Name
		for _, h := range r.Hospitals {
			if !known[h] {
				d.warn(what, "there is no hospital "+h, "mend it in "+f.Alerts+", or apply its folder")
			}
		}
		s := by[r.Name]
		delete(by, r.Name)
		switch {
		case s.Failures > 0:
			d.bad(what, fmt.Sprintf("%s takes nothing, %s; %s; the last time: %s", r.Kind, core.Count(s.Failures, "try", "tries"), core.Count(s.Waiting, "alert waits", "alerts wait"), s.Problem), "mend it, then: hishub alert test "+r.Name)
		case !reaches(ctx, r.Address()):
			d.bad(what, fmt.Sprintf("%s: nobody answers at %s", r.Kind, r.Address()), "does a firewall stand between? behind a proxy this look says nothing: hishub alert test "+r.Name)
		case s.ToldAt != nil:
			d.ok(what, fmt.Sprintf("%s; took something last at %s", r.Kind, s.ToldAt.Local().Format("2006-01-02 15:04")))
		default:
			d.ok(what, r.Kind+"; was told nothing yet")
		}
	}
	for _, name := range sortedKeys(plan.Hospitals) {
		if !known[name] {
			d.warn("alerts", "thresholds of "+name+": there is no such hospital", "mend it in "+f.Alerts)
		}
	}
	for _, name := range sortedKeys(by) {
		if by[name].Waiting > 0 {
			d.warn("alerts to "+name, fmt.Sprintf("%d wait for a route that %s has not", by[name].Waiting, f.Alerts), "does another hub have another file? they are given up after three days")
		}
	}
}

func reaches(ctx context.Context, address string) bool {
	if strings.TrimSpace(address) == "" {
		return true
	}
	conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}
