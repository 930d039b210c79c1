package core

import (
	"bytes"
	"context"
	"io/fs"
	"net"
	"time"
)

// Dialect is a compiled hospital folder: how each transaction is said to this
// HIS and what its answers mean. It is immutable and free of I/O.
type Dialect struct {
	Hospital string
	Name     string
	// Digest identifies the content of the folder (SHA-256, hex).
	Digest string
	Zone   *time.Location
	// Operations by kind. A kind that is missing means that this HIS cannot, which
	// is a fact and not an error.
	Operations map[Kind]*Operation
	Sessions   map[string]*Session
	Connectors map[string]ConnectorSpec
	// Channels are the payment channels' accounts by way of paying: where bills come
	// from, and where refunds go. A Kind of "" is a channel whose ledger the HIS is asked for.
	Channels map[Channel]ConnectorSpec
	// Night says how its days are compared.
	Night NightRules
	// Listeners by name: where this HIS calls us.
	Listeners map[string]*Listener
	Limits    Limits
	// Maintenance windows; deliveries wait in them and spend no attempt.
	Maintenance []Window
	// Open are the working hours, likewise; none means always, see Rests.
	Open []Hours
	// Codes are the code tables by name.
	Codes map[string]CodeTable
	// Secrets are values that are masked wherever they appear.
	Secrets []string
}

// Redact masks the folder's secrets in bytes that are kept or shown.
func (d *Dialect) Redact(b []byte) []byte {
	for _, s := range d.Secrets {
		if len(s) >= ShortestSecret && bytes.Contains(b, []byte(s)) {
			b = bytes.ReplaceAll(b, []byte(s), mask)
		}
	}
	return b
}

// ShortestSecret is how many bytes a secret must have to be masked: shorter ones
// stand in half of all texts.
const ShortestSecret = 4

var mask = []byte("***")

// Limits hold for the whole hospital.
type Limits struct {
	// Concurrency is how many exchanges may be in flight at once; at least 1.
	Concurrency int
	// Rate is the most exchanges per second; 0 is unlimited.
	Rate float64
}

// ConnectorSpec says how to reach one entrance of the HIS.
type ConnectorSpec struct {
	// Name within the folder; "default" is the one used when nothing else is said.
	Name string
	// Kind is soap, rest, db.
	Kind string
	// Timeout bounds one call, from dialling to the last byte of the answer; the
	// folder's option "timeout", 30 s by default. Hospital.Ask enforces it.
	Timeout time.Duration
	// Options as written in the folder, after ${ENV} was put in. Values are
	// string, int, bool, []any or map[string]any.
	Options map[string]any
	// Files is the hospital folder, for what options name (a WSDL, certificates).
	Files fs.FS
	// Dial, if set, makes the connections in place of the network's own dialler: a
	// certification has a proxy between that loses answers.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Certificate, if set, is told when the certificates of its TLS expire: ours when
	// it is opened, the HIS's at each handshake that succeeds. It must not block.
	Certificate func(ours bool, expires time.Time)
}

// Operation is how one transaction is said. A question and a simple write have
// one step.
type Operation struct {
	Kind  Kind
	Steps []Step
	// SettleAfter is how long after the last byte "absent" is believed.
	SettleAfter time.Duration
	// PassWhenParked lets successors in the lane go on while this one is parked.
	PassWhenParked bool
	// AnyHour: it is told, or asked, outside the working hours, too.
	AnyHour bool
}

// Step is one exchange of an operation, and how to get out of doubt about it.
type Step struct {
	Call
	// When, if set, says whether the step applies to this message.
	When func(Input) (bool, error)
	// Inquire asks what became of the step; nil means that the HIS cannot be asked.
	Inquire *Inquiry
	// RepeatSafe: the HIS de-duplicates by our key, so the step may be sent again in doubt.
	RepeatSafe bool
	// Undo takes the finished step back; nil when it cannot be.
	Undo *Step
	// Expires is how long what the step captured is good for; 0 is for ever.
	Expires time.Duration
}

// Inquiry is the question to ask about a step in doubt or running.
type Inquiry struct {
	// Kind of the question, whose answer is a *Status.
	Kind Kind
	Call
	// Every is the time between two questions while the HIS is at work, For how
	// long to go on before a person must look.
	Every, For time.Duration
}

// Call is one exchange: what to say, over which connector, in which session.
type Call struct {
	// Name of the step or operation, for people.
	Name      string
	Connector string
	// Session is the login that the call needs, "" if none.
	Session string
	Mapper  Mapper
	// MaxPages bounds a paged question; 0 means that it is not paged.
	MaxPages int
}

// Session is a login.
type Session struct {
	Name  string
	Login Call
	// Refresh is tried before Login when a session expired; nil when there is none.
	Refresh *Call
	// Expires tells until when the captured values are good; zero if unknown.
	Expires func(Input) (time.Time, error)
	// Early renews so long before that.
	Early time.Duration
}

// Mapper turns one canonical message or question into a request of the HIS's
// dialect, and the response into a verdict. It is pure: time, identifiers and
// captured values come in from outside, so that a golden file pins it.
type Mapper interface {
	// Encode fails only with a *Fault of class Invalid. The same Input gives the
	// same Request.
	Encode(in Input) (Request, error)
	// Decode never fails: what cannot be read is in doubt, and the verdict says why.
	Decode(in Input, r Response) Verdict
}

// Input is all that a mapping may look at.
type Input struct {
	// Body is the canonical message or question, of the type in the Catalogue.
	Body Body
	// Kind of the message; of an inquiry, that of the write that it asks about.
	Kind Kind
	// Captured are the values kept by earlier steps, Session those of the login.
	Captured map[string]string
	Session  map[string]string
	Stamp    Stamp
	// Page is the mark of the page to ask for; nil for the first.
	Page *string
}

// Stamp is the only clock and the only random of a mapping.
type Stamp struct {
	// Key and Time are the same at every attempt: the business key, and when the
	// message was accepted.
	Key  string
	Time time.Time
	// ID (32 hex digits), At, Serial and Number are new at every attempt. Serial
	// grows within a hospital and day, Number counts the attempts of this message from 1.
	ID     string
	At     time.Time
	Serial int64
	Number int
}

// Outcome is what one exchange came to.
type Outcome string

const (
	OutcomeOK          Outcome = "ok"
	OutcomeAlready     Outcome = "already"    // done before, says the HIS
	OutcomeRunning     Outcome = "running"    // accepted, verdict later
	OutcomeBusy        Outcome = "busy"       // understood, not done, try later
	OutcomeNoData      Outcome = "no_data"    // the empty answer to a question
	OutcomeExpired     Outcome = "expired"    // the session; never leaves Hospital.Ask
	OutcomeRefundNow   Outcome = "refund_now" // refused for good, the money goes back
	OutcomeRejected            = Outcome(Rejected)
	OutcomeUnavailable         = Outcome(Unavailable)
	OutcomeInDoubt             = Outcome(InDoubt)
	OutcomeInvalid             = Outcome(Invalid)
)

// Verdict is what an answer means.
type Verdict struct {
	Outcome Outcome
	// Rule that decided, "" when none held.
	Rule string
	// Words of the HIS. They may name a patient: shown to staff, never logged.
	Words       string
	ShowPatient bool
	// Captured is kept durably with the delivery.
	Captured map[string]string
	// Answer is of the type in the Catalogue; nil when there is none.
	Answer any
	// Parts of a write of several, where the HIS says of each one for itself whether
	// it was done; empty where the outcome is that of the whole.
	Parts []Part
	// Next is the mark of the next page, nil at the end.
	Next *string
	// Forgave is what a lenient format took although it was wrong, as in
	// "from_loose: 3:12: a comma is missing": at most 20, without any value.
	Forgave []string
	// Codes are those of the answer for which the default of a code table stood in.
	Codes []CodeUse
	// Err says why nothing better than in_doubt, unavailable or invalid could be
	// found. It holds no values.
	Err error
}

// Part is what an answer means for one of several: a bill of a payment.
type Part struct {
	Key string `json:"key"`
	// Outcome is ok, rejected or in_doubt.
	Outcome Outcome `json:"outcome"`
	Words   string  `json:"words,omitempty"`
}
