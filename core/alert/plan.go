package alert

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hishub/core/incident"
)

// Plan is what an alerts file says: from when on something is an incident, and who is
// told of it.
type Plan struct {
	Thresholds incident.Thresholds
	// Hospitals are the thresholds of those that have their own.
	Hospitals map[string]incident.Thresholds
	// Routes by name.
	Routes []Route
}

// Route is one way to tell people.
type Route struct {
	Name string
	// Kind of its channel: wecom, dingtalk, mail, webhook.
	Kind string
	// Hospitals that it is told of; nil is all, "hub" among them the hub itself.
	Hospitals []string
	// Kinds that it is told of; nil is all from Severity on.
	Kinds    []incident.Kind
	Severity incident.Severity
	// Gather is how long the first incident waits for others to come along.
	Gather time.Duration

	quiet   *hours
	zone    *time.Location
	channel Channel
}

// HubName stands for the hub itself among the hospitals of a route.
const HubName = "hub"

// hours of a day, in minutes since midnight; until may be before from.
type hours struct{ from, until int }

// DefaultGather is long enough for what falls together to be seen together.
const DefaultGather = 15 * time.Second

// Of are the thresholds of a hospital.
func (p *Plan) Of(hospital string) incident.Thresholds {
	if t, ok := p.Hospitals[hospital]; ok {
		return t
	}
	return p.Thresholds
}

// Route of that name.
func (p *Plan) Route(name string) (Route, bool) {
	i := slices.IndexFunc(p.Routes, func(r Route) bool { return r.Name == name })
	if i < 0 {
		return Route{}, false
	}
	return p.Routes[i], true
}

// For are the names of the routes that are told of such an incident.
func (p *Plan) For(hospital string, kind incident.Kind) (names []string) {
	for _, r := range p.Routes {
		if r.wants(hospital, kind) {
			names = append(names, r.Name)
		}
	}
	return names
}

func (r Route) wants(hospital string, kind incident.Kind) bool {
	if hospital == incident.Hub {
		hospital = HubName
	}
	return (r.Hospitals == nil || slices.Contains(r.Hospitals, hospital)) &&
		r.Wants(kind)
}

// Wants reports whether it is told of such incidents.
func (r Route) Wants(kind incident.Kind) bool {
	return (r.Kinds == nil || slices.Contains(r.Kinds, kind)) && (r.Severity != incident.Critical || kind.Severity() == incident.Critical)
}

// Send tells it something at once.
func (r Route) Send(ctx context.Context, l Letter) error { return r.channel.Send(ctx, l) }

// QuietHours are as the file has them, with their zone; "" if there are none.
func (r Route) QuietHours() string {
	if r.quiet == nil {
		return ""
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d %s", r.quiet.from/60, r.quiet.from%60, r.quiet.until/60, r.quiet.until%60, r.zone)
}

// wanted are the routes that may be told something now.
func (p *Plan) wanted(now time.Time) (all []Wanted) {
	for _, r := range p.Routes {
		if !r.Quiet(now) {
			all = append(all, Wanted{r.Name, r.Gather})
		}
	}
	return all
}

// Quiet reports whether the route is not to be disturbed now; what comes up meanwhile
// is told at the end, as one.
func (r Route) Quiet(now time.Time) bool {
	if r.quiet == nil {
		return false
	}
	local := now.In(r.zone)
	minute := local.Hour()*60 + local.Minute()
	if r.quiet.from <= r.quiet.until {
		return r.quiet.from <= minute && minute < r.quiet.until
	}
	return minute >= r.quiet.from || minute < r.quiet.until
}

// Address is host:port of whom the route needs to reach.
func (r Route) Address() string { return r.channel.Address() }
