package clinic

import "slices"

// Role that a person holds, at one hospital or at all of them (FHIR PractitionerRole.code).
type Role string

// The roles. A patient acts for himself and for those whose guardian he is; the
// others work at a hospital.
const (
	Patient         Role = "patient"
	Guardian        Role = "guardian"
	Doctor          Role = "doctor"
	Pharmacist      Role = "pharmacist"
	Nurse           Role = "nurse"
	Cashier         Role = "cashier"
	Finance         Role = "finance"
	HospitalAdmin   Role = "hospital_admin"
	Ops             Role = "ops"
	ReleaseApprover Role = "release_approver"
	SecurityAdmin   Role = "security_admin"
	Auditor         Role = "auditor"
)

// Roles in the order of the constants.
var Roles = []Role{Patient, Guardian, Doctor, Pharmacist, Nurse, Cashier, Finance, HospitalAdmin, Ops, ReleaseApprover, SecurityAdmin, Auditor}

// Values of Role.
func (Role) Values() []string {
	out := make([]string, len(Roles))
	for i, r := range Roles {
		out[i] = string(r)
	}
	return out
}

// Staff reports whether the role is one of those who work at a hospital.
func (r Role) Staff() bool { return r != Patient && r != Guardian }

// Right is what an operation needs.
type Right string

// The rights. Whose record it is (the patient's own, the doctor's own consultation) is
// the module's to check; a right alone never opens another one's.
const (
	Anyone      Right = ""             // nobody need be signed in
	SignedIn    Right = "signed_in"    // one's own account and sessions
	OwnRecords  Right = "own_records"  // book, pay, consult and read as the patient, or as the guardian
	Look        Right = "look"         // departments, doctors, free places, the catalogue
	Treat       Right = "treat"        // consultations and chat as the doctor
	Prescribe   Right = "prescribe"    // write, sign and void prescriptions
	Review      Right = "review"       // approve and reject prescriptions
	Dispense    Right = "dispense"     // hand out drugs, deliveries
	CheckIn     Right = "check_in"     // appointments at the desk
	PlanClinics Right = "plan_clinics" // templates, sessions, stop and replace
	Charge      Right = "charge"       // orders and payments at the desk, propose refunds
	Refunding   Right = "refund"       // approve refunds, decide unknown payments
	Books       Right = "books"        // journal and trial balance
	Directory   Right = "directory"    // departments, doctors, catalogue, templates of notices
	Staffing    Right = "staffing"     // accounts of staff, licences, roles of one's own hospital
	Security    Right = "security"     // any account's sessions and second factor, roles of security
	Reports     Right = "reports"      // what the regulator was told and what is missing
	Watch       Right = "watch"        // queues and states without patients
	ReadAudit   Right = "audit"        // what people did and looked at
	Releasing   Right = "release"      // approve releases
)

// policy is the one place that says who may do what; at which hospital is said by
// the grant.
var policy = map[Role][]Right{
	Patient:         {SignedIn, Look, OwnRecords},
	Guardian:        {SignedIn, Look, OwnRecords},
	Doctor:          {SignedIn, Look, Treat, Prescribe},
	Pharmacist:      {SignedIn, Look, Review, Dispense},
	Nurse:           {SignedIn, Look, CheckIn},
	Cashier:         {SignedIn, Look, CheckIn, Charge},
	Finance:         {SignedIn, Look, Refunding, Books},
	HospitalAdmin:   {SignedIn, Look, PlanClinics, Directory, Staffing, Reports, Watch},
	Ops:             {SignedIn, Look, Watch, Reports},
	ReleaseApprover: {SignedIn, Watch, Releasing},
	SecurityAdmin:   {SignedIn, Security, Watch},
	Auditor:         {SignedIn, Books, Reports, Watch, ReadAudit},
}

// RolesWith are the roles that have a right, in the order of Roles; nil for Anyone.
func RolesWith(r Right) (with []Role) {
	for _, role := range Roles {
		if slices.Contains(policy[role], r) {
			with = append(with, role)
		}
	}
	return with
}

// RightsOf are the rights of a role.
func RightsOf(r Role) []Right { return slices.Clone(policy[r]) }

// Grant is a role at a hospital.
type Grant struct {
	Role Role `json:"role"`
	// Hospital is "" for every hospital, which only patients, guardians, ops and the
	// last three roles may have.
	Hospital string `json:"hospital,omitempty"`
	// Code is the person's own code at that hospital's HIS, as a doctor's.
	Code string `json:"code,omitempty"`
}

// Person is who is signed in.
type Person struct {
	// Account is the number of the account; 0 is nobody.
	Account int64
	// Name as staff and patients see it.
	Name string
	// Session is the public number of the session; never its token.
	Session string
	Grants  []Grant
}

// May reports whether the person has a right at a hospital; hospital "" asks for a
// right at any of them.
func (p Person) May(r Right, hospital string) bool {
	if r == Anyone {
		return true
	}
	return slices.ContainsFunc(p.Grants, func(g Grant) bool {
		return slices.Contains(policy[g.Role], r) && (hospital == "" || g.Hospital == "" || g.Hospital == hospital)
	})
}

// Code is the person's code in a role at a hospital, "" when he has none there.
func (p Person) Code(role Role, hospital string) string {
	for _, g := range p.Grants {
		if g.Role == role && g.Hospital == hospital {
			return g.Code
		}
	}
	return ""
}

// Sees reports whether the hospital is one of the person's. What is outside does
// not exist for him.
func (p Person) Sees(hospital string) bool {
	return slices.ContainsFunc(p.Grants, func(g Grant) bool { return g.Hospital == "" || g.Hospital == hospital })
}
