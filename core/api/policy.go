package api

import "slices"

// Role of an API key.
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
// by the key itself; an admin's key is good for all.
var policy = map[Role][]Right{
	Submitter: {mayRead, maySubmit, mayAsk},
	Operator:  {mayRead, maySubmit, mayAsk, mayDecide, mayPause, mayRunNight, mayCases, mayUnmask, mayPatients},
	Finance:   {mayRead, mayRunNight, mayCases, mayApprove, maySettle},
	Auditor:   {mayRead, mayAudit},
	Admin:     {mayRead, maySubmit, mayAsk, mayDecide, mayPause, mayRunNight, mayCases, mayApprove, maySettle, mayUnmask, mayPatients, mayKeys, mayWebhooks, mayAudit},
}

// Caller is who makes a request.
type Caller struct {
	// Key is the id of the API key.
	Key  int64
	Name string
	Role Role
	// Hospitals that the key is good for; nil means all.
	Hospitals []string
}

// May reports whether the caller's role has the right.
func (c Caller) May(r Right) bool { return slices.Contains(policy[c.Role], r) }

// Sees reports whether the hospital is in the caller's scope. What is outside
// does not exist for the caller.
func (c Caller) Sees(hospital string) bool {
	return c.Role == Admin || c.Hospitals == nil || slices.Contains(c.Hospitals, hospital)
}

// scope are the hospitals to look at, nil for all.
func (c Caller) scope() []string {
	if c.Role == Admin {
		return nil
	}
	return c.Hospitals
}
