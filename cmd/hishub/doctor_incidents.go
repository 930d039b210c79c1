package main

import (
	"context"
	"fmt"

	"hishub/core/incident"
	"hishub/core/postgres"
)

// hubs says whether anybody works on what waits; nobody says that nobody listens at
// the API's address. It returns whether a process works.
func (d *doctor) hubs(ctx context.Context, store *postgres.Store, nobody string) bool {
	processes, err := store.Workers(ctx)
	if err != nil {
		d.bad("hub", err.Error(), "")
		return false
	}
	lights, err := store.Lights(ctx)
	if err != nil {
		d.bad("hub", err.Error(), "")
		return false
	}
	waiting := 0
	for _, w := range lights {
		waiting += w.Queued + w.Sending
	}
	switch {
	case processes == 0 && waiting > 0 && nobody != "":
		d.bad("port", fmt.Sprintf("%s, and no hub works on this database: %d wait", nobody, waiting), "start it: hishub up, or hishub serve; what was on its way is asked about or sent again by itself")
	case processes == 0 && waiting > 0:
		d.bad("hub", fmt.Sprintf("none works on this database: %d wait", waiting), "what listens is not this database's hub: is DATABASE_URL, or --data, the hub's? else start 'hishub serve' on it")
	case nobody != "" && processes > 0:
		d.ok("port", fmt.Sprintf("%s; hubs that work on this database elsewhere: %d", nobody, processes))
	case nobody != "":
		d.ok("port", nobody+"; a hub can take it")
	}
	return processes > 0
}

// incidents lists what is open. A critical one is wrong: nothing goes, or soon will not.
func (d *doctor) incidents(ctx context.Context, store *postgres.Store, worked bool) {
	const most = 100
	open, err := store.Incidents(ctx, nil, true, most)
	if err != nil {
		d.bad("incidents", err.Error(), "")
		return
	}
	for _, i := range open {
		where := i.Hospital
		if where == incident.Hub {
			where = "the hub"
		}
		what := fmt.Sprintf("incident %d at %s", i.ID, where)
		detail := fmt.Sprintf("%s since %s: %s", i.Kind.Title().En, minutely(i.OpenedAt), i.Detail)
		if i.LookedBy != "" {
			detail += "; " + i.LookedBy + " looks at it"
		}
		if !worked {
			detail += "; as it stood when a hub last worked"
		}
		if i.Kind.Severity() == incident.Critical {
			d.bad(what, detail, cure(i))
		} else {
			d.warn(what, detail, cure(i))
		}
	}
	switch len(open) {
	case 0:
		d.ok("incidents", "none is open")
	case most:
		d.warn("incidents", fmt.Sprintf("more than these %d", most), "hishub incident list --limit 1000")
	}
}

// cure is what to do about an incident.
func cure(i incident.Incident) string {
	h := i.Hospital
	switch i.Kind {
	case incident.Backlog:
		return "is a hub running, and does the HIS answer? hishub message list --state queued --hospital " + h
	case incident.Parked, incident.ParkedGrowth:
		return "hishub message list --state parked --hospital " + h
	case incident.Breaker:
		return "call the hospital; its messages wait, and are sent by themselves when it answers"
	case incident.Failures:
		return "see what fails: hishub message list --state queued --hospital " + h
	case incident.Codes:
		return "hishub codes unmapped " + h
	case incident.Night:
		return "hishub reconcile show --hospital " + h + "; hishub reconcile cases --hospital " + h
	case incident.Clock:
		return "have the hospital synchronise its clock (NTP)"
	case incident.Certificate, incident.CertificateEnds:
		return "renew it: the hospital's is theirs to renew, ours goes into the folder, which is applied again"
	case incident.Variables:
		return "mend the variables in the hub's --env files; until then it goes on with those before"
	}
	return "hishub incident list --hospital " + h
}
