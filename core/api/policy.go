package api

import (
	"cmp"
	"slices"
	"strings"

	"hishub/core"
)

// Role of an API key, or of a person at hospitals.
type Role string

// The roles. Operators look after messages and hospitals, finance after money; an
// auditor only looks; an admin may do what all do.
const (
	Submitter Role = "submitter"
	Operator  Role = "operator"
	Finance   Role = "finance"
	Auditor   Role = "auditor"
	Admin     Role = "admin"
)

// Values of Role.
func (Role) Values() []string {
	return []string{string(Submitter), string(Operator), string(Finance), string(Auditor), string(Admin)}
}

// Right is what an operation needs.
type Right string

const (
	mayRead     Right = "read"     // messages, events and hospitals, personal data masked
	maySubmit   Right = "submit"   // hand in messages
	mayAsk      Right = "ask"      // ask a HIS questions
	mayDecide   Right = "decide"   // retry, cancel, release, supersede
	mayPause    Right = "pause"    // pause, resume and limit a hospital
	mayRunNight Right = "night"    // run and read nights and their reports
	mayCases    Right = "cases"    // read cases of differences, note, assign and propose a repair
	mayApprove  Right = "approve"  // approve and reject repairs
	maySettle   Right = "settle"   // record what the bank received
	mayUnmask   Right = "unmask"   // see what names a patient, for a purpose that is recorded
	mayPatients Right = "patients" // look for the messages of a patient, for a purpose that is recorded
	mayKeys     Right = "keys"     // make and revoke keys
	mayWebhooks Right = "webhooks" // make and remove webhooks
	mayAudit    Right = "audit"    // see what people did and looked at
)

// policy is the one place that says who may do what. At which hospital is said
// by the key, or by the person's grants; an admin's is good for all.
var policy = map[Role][]Right{
	Submitter: {mayRead, maySubmit, mayAsk},
	Operator:  {mayRead, maySubmit, mayAsk, mayDecide, mayPause, mayRunNight, mayCases, mayUnmask, mayPatients},
	Finance:   {mayRead, mayRunNight, mayCases, mayApprove, maySettle},
	Auditor:   {mayRead, mayAudit},
	Admin:     {mayRead, maySubmit, mayAsk, mayDecide, mayPause, mayRunNight, mayCases, mayApprove, maySettle, mayUnmask, mayPatients, mayKeys, mayWebhooks, mayAudit},
}

// Grant is a role at hospitals.
type Grant struct {
	Role Role
	// Hospitals that it is good for; nil means all.
	Hospitals []string
}

// ofPrograms are rights that people never have, whatever their role: what a HIS is told
// of a patient comes from a program that has its own rules (who may prescribe, who
// reviewed), and what it is asked of one goes by the clinic, which audits it.
var ofPrograms = []Right{maySubmit, mayAsk}

// gives reports whether the caller has the right by that grant of his.
func (c Caller) gives(g Grant, r Right) bool {
	return slices.Contains(policy[g.Role], r) && (c.Account == 0 || !slices.Contains(ofPrograms, r))
}

func (g Grant) at(hospital string) bool {
	return g.Role == Admin || g.Hospitals == nil || slices.Contains(g.Hospitals, hospital)
}

// Caller is who makes a request: a key, which has one grant, or a person, who may have
// several.
type Caller struct {
	// Key is the id of the API key; 0 for a person.
	Key int64
	// Account of the person; 0 for a key.
	Account int64
	Name    string
	Grants  []Grant

	// right that the request is about; "" is mayRead.
	right Right
}

// about narrows the caller to the hospitals where he has the right: only those are seen.
func (c Caller) about(r Right) Caller {
	c.right = r
	return c
}

// May reports whether the caller has the right at any hospital.
func (c Caller) May(r Right) bool {
	return slices.ContainsFunc(c.Grants, func(g Grant) bool { return c.gives(g, r) })
}

// MayAt reports whether the caller has the right at the hospital.
func (c Caller) MayAt(r Right, hospital string) bool {
	return slices.ContainsFunc(c.Grants, func(g Grant) bool { return c.gives(g, r) && g.at(hospital) })
}

// Sees reports whether the hospital is in the caller's scope. What is outside
// does not exist for the caller.
func (c Caller) Sees(hospital string) bool { return c.MayAt(cmp.Or(c.right, mayRead), hospital) }

// scope are the hospitals to look at, nil for all.
func (c Caller) scope() []string {
	seen := []string{}
	for _, g := range c.Grants {
		switch {
		case !c.gives(g, cmp.Or(c.right, mayRead)):
		case g.Role == Admin || g.Hospitals == nil:
			return nil
		default:
			seen = append(seen, g.Hospitals...)
		}
	}
	return append([]string{}, core.Distinct(seen)...) // never nil, which is all
}

// roles that make the caller what he is, for the audit.
func (c Caller) roles() string {
	var roles []string
	for _, g := range c.Grants {
		if (c.right == "" || c.gives(g, c.right)) && !slices.Contains(roles, string(g.Role)) {
			roles = append(roles, string(g.Role))
		}
	}
	return strings.Join(roles, ",")
}

// number tells callers apart: a key's own, for a person the account's below zero.
func (c Caller) number() int64 {
	if c.Account != 0 {
		return -c.Account
	}
	return c.Key
}

// RightsOf are what a person of a role may do, in the order of the policy.
func RightsOf(r Role) []Right {
	return slices.DeleteFunc(slices.Clone(policy[r]), func(r Right) bool { return slices.Contains(ofPrograms, r) })
}
