package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"hishub/core/api"
	"hishub/core/postgres"
	"hishub/core/redis"
	"hishub/platform/clinic"
	"hishub/platform/identity"
)

// openIdentity makes the module that knows who uses the clinic.
func (h *hub) openIdentity(shared *clinic.Clinic) *identity.Service {
	people := identity.New(shared, redis.NewMemory(h.redis), identity.Limits{})
	if h.SMSURL != "" {
		people.Sender = identity.SMS{URL: strings.TrimSuffix(h.SMSURL, "/")}
	}
	if h.StandIns {
		h.log.Warn("stand-ins for WeChat and real names believe everybody; never in production")
		people.WeChat, people.RealName = identity.WeChatStandIn{}, people.Bounded(identity.RealNameStandIn{})
	}
	return people
}

// What one account, and one address of nobody, may ask in a second. An address may be
// a whole hospital's.
const (
	accountRate, accountBurst = 50, 200
	addressRate, addressBurst = 200, 1000
)

// people registers what people call, signed in with sessions of their own.
func (h *hub) people(a huma.API) {
	limits := redis.NewLimits(h.redis, h.metrics.unlimited.Inc)
	people := &clinic.API{
		Huma: a, People: h.clinic.identity, Trail: trail(h.store.Audit), Known: signedIn, Proxies: h.TrustedProxies,
		Allow: func(ctx context.Context, who string) (bool, time.Duration, error) {
			if strings.HasPrefix(who, "nobody ") {
				return limits.Allow(ctx, "clinic:"+who, addressRate, addressBurst)
			}
			return limits.Allow(ctx, "clinic:"+who, accountRate, accountBurst)
		},
	}
	h.clinic.people(people)
	if h.apart == nil {
		h.console().Routes(people)
	}
}

// signedIn puts who asks into the request's log line and the audit.
func signedIn(ctx context.Context, p clinic.Person) {
	api.SignedIn(ctx, p.Account, whoIs(p), rolesAt(p, ""))
}

// trail is the clinic's trail in the hub's audit.
type trail func(context.Context, postgres.Act) error

func (keep trail) Keep(ctx context.Context, a clinic.Act) error {
	act := postgres.Act{Verb: a.Verb, Hospital: a.Hospital, Subject: a.Subject, Purpose: a.Note}
	if a.Person.Account != 0 {
		act.Who, act.Role = whoIs(a.Person), rolesAt(a.Person, a.Hospital)
	}
	data := maps.Clone(a.Data)
	if len(a.Patients) > 0 {
		if data == nil {
			data = map[string]any{}
		}
		data["patients"] = a.Patients
	}
	if data != nil {
		act.Data = data
	}
	return keep(ctx, act)
}

// trailIn keeps acts in the transaction that carries them out.
func trailIn(tx pgx.Tx) clinic.Trail {
	return trail(func(ctx context.Context, a postgres.Act) error { return postgres.AuditIn(ctx, tx, a) })
}

// whoIs names a person in records: staff by title, patients by number alone.
func whoIs(p clinic.Person) string {
	number := fmt.Sprintf("account %d", p.Account)
	if slices.ContainsFunc(p.Grants, func(g clinic.Grant) bool { return g.Role.Staff() }) {
		return fmt.Sprintf("%s (%s)", p.Name, number)
	}
	return number
}

// rolesAt are a person's roles at a hospital, at all of them for "".
func rolesAt(p clinic.Person, hospital string) string {
	var roles []string
	for _, g := range p.Grants {
		if (hospital == "" || g.Hospital == "" || g.Hospital == hospital) && !slices.Contains(roles, string(g.Role)) {
			roles = append(roles, string(g.Role))
		}
	}
	return strings.Join(roles, ",")
}
