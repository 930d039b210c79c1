package reconcile

import (
	"context"
	"errors"
	"time"

	"hishub/core"
)

// Night is one run over one business day of one hospital. A run never changes
// once it ended.
type Night struct {
	ID       int64  `json:"id"`
	Hospital string `json:"hospital"`
	// Day is yyyy-MM-dd in the hospital's zone.
	Day string `json:"day"`
	// Run counts the runs of this day from 1.
	Run     int        `json:"run"`
	State   NightState `json:"state"`
	Started time.Time  `json:"started"`
	Ended   time.Time  `json:"ended,omitzero"`
	// Who asked for it: a person, or "schedule".
	Who string `json:"who"`
	// Closed: the first run of the day that had everybody's books. Finance's
	// reports of the day are its; what later runs find are adjustments.
	Closed bool `json:"closed"`
	// Detail is "full" when the HIS was asked for each entry, "totals" when its
	// counts and sums agreed with ours and it was not; Why says what decided.
	Detail Detail `json:"detail,omitempty"`
	Why    string `json:"why,omitempty"`
	// Problem says in our words why the run failed, or what it waits for.
	Problem string `json:"problem,omitempty"`
	// Stage and Done tell how far a run has come that is going on.
	Stage string `json:"stage,omitempty"`
	Done  int64  `json:"done,omitempty"`
	// Counts and Amounts (fen) of findings by class; Lines are everybody's totals.
	Counts  map[Class]int      `json:"counts,omitempty"`
	Amounts map[Class]core.Fen `json:"amounts,omitempty"`
	Lines   []Line             `json:"lines,omitempty"`
	// Statements are the books that were compared.
	Statements []Statement `json:"statements,omitempty"`
}

// Differences is how many findings somebody must look into.
func (n Night) Differences() int {
	sum := 0
	for c, k := range n.Counts {
		if c.Difference() {
			sum += k
		}
	}
	return sum
}

// NightState is how far a run has come.
type NightState string

const (
	NightRunning NightState = "running"
	// NightWaiting: somebody's books are not there yet; another run follows by itself.
	NightWaiting NightState = "waiting"
	NightDone    NightState = "done"
	NightFailed  NightState = "failed"
)

// Detail is how the HIS's books were compared.
type Detail string

const (
	Full   Detail = "full"
	Totals Detail = "totals"
)

// Line is one party's total of one sort of entries.
type Line struct {
	Party    Party          `json:"party"`
	Channel  core.Channel   `json:"channel"`
	Business Business       `json:"business"`
	Type     core.EntryType `json:"type"`
	// Operator is the HIS's account; empty for the other parties.
	Operator string        `json:"operator,omitempty"`
	Count    int64         `json:"count"`
	Amount   core.Fen      `json:"amount"`
	Fee      core.Millifen `json:"fee"`
}

// Statement is one party's books of one day, as they were taken at one moment.
type Statement struct {
	ID       int64  `json:"id"`
	Hospital string `json:"hospital"`
	Day      string `json:"day"`
	Party    Party  `json:"party"`
	// Source is where it came from: "wechat", "alipay", a bank; "ledger.detail", "ledger.push".
	Source string    `json:"source"`
	Taken  time.Time `json:"taken"`
	// Digest of the entries (SHA-256, hex), whatever their order.
	Digest  string        `json:"digest"`
	Entries int64         `json:"entries"`
	Amount  core.Fen      `json:"amount"` // payments less refunds
	Fee     core.Millifen `json:"fee"`
}

// ErrNightRunning: another run of the same day has not ended, or has since the
// asker looked.
var ErrNightRunning = errors.New("a run of this day is still going on")

// CaseState is how far a difference has come.
type CaseState string

const (
	CaseOpen CaseState = "open"
	// CaseRepairing: a repair was approved; a later run must find it gone.
	CaseRepairing CaseState = "repairing"
	// CaseResolved: a later run did not find it any more.
	CaseResolved   CaseState = "resolved"
	CaseWrittenOff CaseState = "written_off"
)

// Case is a difference with what people do about it. One is open for one
// (hospital, type, number) at most; a run that finds it again adds to it.
type Case struct {
	ID       int64          `json:"id"`
	Hospital string         `json:"hospital"`
	Day      string         `json:"day"`
	Type     core.EntryType `json:"type"`
	Number   string         `json:"number"`
	Class    Class          `json:"class"`
	Amount   core.Fen       `json:"amount"`
	State    CaseState      `json:"state"`
	Owner    string         `json:"owner"`
	OpenedAt time.Time      `json:"opened_at"`
	EndedAt  time.Time      `json:"ended_at,omitzero"`
	// Night that found it last, with the finding.
	Night   int64   `json:"night"`
	Finding Finding `json:"finding"`
	// Repair is the newest one, nil when none was proposed.
	Repair *Repair `json:"repair,omitempty"`
}

// Trail is one thing that happened to a case.
type Trail struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	Verb string    `json:"verb" doc:"opened, found, noted, assigned, proposed, approved, rejected, executed, failed, resolved, reopened"`
	Note string    `json:"note,omitempty"`
}

// RepairState is how far a repair has come.
type RepairState string

const (
	RepairProposed RepairState = "proposed"
	// RepairApproved: it will be carried out, once, also if this process ends now.
	RepairApproved RepairState = "approved"
	// RepairSent: its command is in the ledger, as Message.
	RepairSent     RepairState = "sent"
	RepairDone     RepairState = "done"
	RepairFailed   RepairState = "failed"
	RepairRejected RepairState = "rejected"
)

// Repair is what is to be done about a case. One that is neither done, failed nor
// rejected is open; a case has one open repair at most.
type Repair struct {
	ID     int64       `json:"id"`
	Case   int64       `json:"case"`
	Action Action      `json:"action"`
	Params Params      `json:"params"`
	Note   string      `json:"note,omitempty"`
	Amount core.Fen    `json:"amount"`
	State  RepairState `json:"state"`
	// ProposedBy is a person, or "policy". SecondBy is set where two are needed.
	ProposedBy string    `json:"proposed_by"`
	ProposedAt time.Time `json:"proposed_at"`
	ApprovedBy string    `json:"approved_by,omitempty"`
	SecondBy   string    `json:"second_by,omitempty"`
	ApprovedAt time.Time `json:"approved_at,omitzero"`
	// People is how many must say yes, by the rule at the first yes; 0 before.
	People int `json:"people,omitempty" doc:"how many people must say yes; known from the first yes on"`
	// Message is the command in the ledger.
	Message int64  `json:"message,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// Params are what a repair needs beside its finding; most are known and empty here.
type Params struct {
	// VisitNo, PatientNo and Bill are for what we knew nothing of.
	VisitNo   string `json:"visit_no,omitempty" maxLength:"64"`
	PatientNo string `json:"patient_no,omitempty" maxLength:"64"`
	Bill      string `json:"bill,omitempty" maxLength:"500" doc:"numbers of bills or prescriptions, joined by commas"`
	// OrderID is, for a refund, the payment whose money goes back.
	OrderID string `json:"order_id,omitempty" maxLength:"64"`
}

// ErrSecondPerson is returned when who proposed or approved a repair before
// approves it alone.
var ErrSecondPerson = errors.New("this amount takes a second person")

// ErrNotOpen: the case or repair has moved on.
var ErrNotOpen = errors.New("it is not open any more")

// CaseQuery narrows a list of cases; zero values do not.
type CaseQuery struct {
	Hospitals []string // nil is all
	State     CaseState
	Class     Class
	Day       string
	Number    string
	// Live: neither resolved nor written off.
	Live   bool
	Before int64 // cases with a smaller id
	Limit  int
}

// Settlement is money that a channel paid into the hospital's bank account.
type Settlement struct {
	Hospital  string       `json:"hospital"`
	Channel   core.Channel `json:"channel"`
	Day       string       `json:"day" doc:"the business day that it settles"`
	Amount    core.Fen     `json:"amount"`
	Reference string       `json:"reference" doc:"the bank's own number; the same again of one channel replaces it"`
	Who       string       `json:"who"`
	At        time.Time    `json:"at"`
	// Replaced is what stood in its place before, oldest first; only the store sets it.
	Replaced []Replaced `json:"replaced,omitempty" doc:"what was entered under this number before, oldest first"`
}

// Replaced is what somebody had entered of a settlement before another took its place.
type Replaced struct {
	Day    string    `json:"day"`
	Amount core.Fen  `json:"amount"`
	Who    string    `json:"who"`
	At     time.Time `json:"at"`
}

// RefundLine is one refund with its arrival.
type RefundLine struct {
	Number    string          `json:"number"`
	OrderID   string          `json:"order_id"`
	Channel   core.Channel    `json:"channel"`
	ChannelNo string          `json:"channel_no"`
	Amount    core.Fen        `json:"amount"`
	AskedAt   time.Time       `json:"asked_at"`
	State     core.EntryState `json:"state" doc:"processing until a bill of the channel has it as done"`
	ArrivedAt time.Time       `json:"arrived_at,omitzero"`
}

// Store keeps books, nights, cases and repairs.
type Store interface {
	// SaveStatement keeps one party's books of a day, whole or not at all. Books
	// that are the same as the newest of that source are not kept again; that one
	// is returned.
	SaveStatement(ctx context.Context, s Statement, entries Stream) (Statement, error)
	// Statements gives the newest of each party and source of that day.
	Statements(ctx context.Context, hospital, day string) ([]Statement, error)
	// StatementEntries streams the entries of statements.
	StatementEntries(ctx context.Context, statements ...int64) Stream
	// StatementRefunds streams of them what goes back only.
	StatementRefunds(ctx context.Context, statements ...int64) Stream
	// Ours streams our payments and refunds whose money moved in [from, to), test
	// messages left out.
	Ours(ctx context.Context, hospital string, from, to time.Time) Stream
	// OursRefunds streams of them what goes back only.
	OursRefunds(ctx context.Context, hospital string, from, to time.Time) Stream
	// ToldSince reports whether we were told after since of money that moved in [from, to).
	ToldSince(ctx context.Context, hospital string, from, to, since time.Time) (bool, error)
	// Records gives our prescriptions and orders that were told in [from, to), with
	// the stage that we believe them to be at.
	Records(ctx context.Context, hospital string, from, to time.Time) ([]Prescribed, error)

	// BeginNight opens the next run of a day, or ErrNightRunning. A run whose lease
	// ran out is dead: it becomes failed, and what it had found is dropped.
	BeginNight(ctx context.Context, a Ask, lease time.Duration) (Night, error)
	// Progress tells how far it is and renews the lease; an error means that the
	// run is not ours any more and must stop.
	Progress(ctx context.Context, night int64, stage string, done int64, lease time.Duration) error
	// Found keeps findings of a run that is going on.
	Found(ctx context.Context, night int64, findings []Finding) error
	// EndNight ends the run. In the same transaction, when it is done: each
	// difference opens a case or is added to the open one of its number, with the
	// repair that the policy proposes (of several of one number the first in the order
	// of classes; the trail says how many more there are); cases of the day that it
	// did not find are resolved, if those whose books they hang on took part: the HIS,
	// or the channel among n.Statements; the first such run of a day with n.Closed set closes it (the runner
	// sets it once the day has ended; a later run that has it set comes back without).
	EndNight(ctx context.Context, n Night) (Night, error)
	// Nights lists runs, newest first; hospital and day may be empty.
	Nights(ctx context.Context, hospital, day string, limit int) ([]Night, error)
	// Findings of one run but the matched ones, in the order of classes.
	Findings(ctx context.Context, night int64) ([]Finding, error)
	// Days gives, of the days in [from, to], those that are closed, and those with
	// findings that are not settled: live cases, or held ones of the newest run.
	Days(ctx context.Context, hospital, from, to string) (closed, unsettled []string, err error)

	Cases(ctx context.Context, q CaseQuery) ([]Case, error)
	// Case with its trail. ErrNotFound of the store when there is none.
	Case(ctx context.Context, id int64) (Case, []Trail, error)
	// Note and Assign add to the trail.
	Note(ctx context.Context, id int64, who, note string) error
	Assign(ctx context.Context, id int64, who, owner string) error
	// Propose puts a repair up; it takes the place of one that only the policy
	// proposed. ErrNotOpen when another person's is open, or the case is not live.
	Propose(ctx context.Context, id int64, action Action, p Params, who, note string) (Repair, error)
	// Approve is one person's yes; the repair is approved when enough have said it:
	// one, or from fourEyesFrom on two different people, of whom a person who
	// proposed it is one. Two that were needed at the first yes stay needed, however
	// fourEyesFrom is later. ErrSecondPerson when the same says it again.
	Approve(ctx context.Context, repair int64, who, note string, fourEyesFrom core.Fen) (Repair, error)
	Reject(ctx context.Context, repair int64, who, note string) (Repair, error)
	// RepairHospital is whose case a repair is of. ErrNotFound of the store when there is none.
	RepairHospital(ctx context.Context, repair int64) (string, error)
	// ToCarryOut lists approved repairs, oldest first.
	ToCarryOut(ctx context.Context, hospital string) ([]Repair, error)
	// CarryOut runs f with the repair and its case locked, in one transaction with
	// what f accepts into the outbox; the repair is sent when f names a message, else done.
	// An error of f that is core.Problems, *core.Conflict or core.ErrCannot makes it failed.
	CarryOut(ctx context.Context, repair int64, f func(ctx context.Context, c Case, r Repair, do Carrier) (message int64, err error)) (Repair, error)
	// Follow moves sent repairs on by what became of their messages.
	Follow(ctx context.Context, hospital string) error

	// SaveSettlement keeps one by hospital, channel and reference. Another day or
	// amount takes the place of what is there, which goes into Replaced.
	SaveSettlement(ctx context.Context, s Settlement) error
	Settlements(ctx context.Context, hospital, from, to string) ([]Settlement, error)
	Refunds(ctx context.Context, hospital string, from, to time.Time) ([]RefundLine, error)
}

// Carrier is what carrying out a repair may do, all in one transaction.
type Carrier interface {
	core.Outbox
	// Resend makes a message go out again in its old place; the HIS is asked first
	// whether it has it. It names the message that goes out.
	Resend(ctx context.Context, message int64, who, note string) (int64, error)
	// Undecided reports whether a message, or the one that took its place, may still go out.
	Undecided(ctx context.Context, message int64) (bool, error)
	// Body of an earlier message.
	Body(ctx context.Context, message int64) (core.Body, error)
}

// Prescribed is a prescription or order of ours with how far we believe it to be.
type Prescribed struct {
	Type      core.EntryType
	Number    string
	VisitNo   string
	PatientNo string
	Amount    core.Fen
	At        time.Time
	Message   int64
	// Told is what became of telling the HIS of it; VoidTold of taking it back, ""
	// when it was not, and Void is that message.
	Told     string
	VoidTold string
	Void     int64
	// Stage that we believe.
	Stage core.Stage
}
