// Package appointment gives places of clinic sessions to patients. Who wants one gets a
// ticket; tickets are answered one after the other, by doctor, each once: with a place
// that is held until it is paid, or with the reason why not. What the schedule's counters
// hold and book is changed in the transaction that changes the appointment.
//
// Locks: a ticket or a place in the waiting list, then the account; an order, then its
// appointment; and last the session, which everybody wants. An order that is new is made
// behind its session's lock: nobody else has it.
package appointment

import (
	"context"
	"embed"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/patient"
	"hishub/platform/schedule"
)

// State of an appointment.
type State string

// The states.
const (
	Requested State = "requested"  // a place is held here, and the HIS is asked for it
	Held      State = "held"       // to be paid
	Paying    State = "paying"     // as held, while a payment channel is at it
	Confirmed State = "confirmed"  // paid, or for nothing
	CheckedIn State = "checked_in" // the patient is there
	Done      State = "done"
	Rejected  State = "rejected"  // by the HIS; what was paid goes back
	Expired   State = "expired"   // not paid in time
	Cancelled State = "cancelled" // by the patient or the hospital; what was paid goes back
	Stopped   State = "stopped"   // the session does not take place; what was paid goes back
	NoShow    State = "no_show"   // the patient did not come
)

// States is the machine. Paying is not kept here: it is held, with an order that is being paid.
var States = clinic.States[State]{
	Requested: {Held, Rejected, Cancelled, Stopped},
	Held:      {Paying, Confirmed, Expired, Cancelled, Stopped},
	Paying:    {Held, Confirmed, Expired, Cancelled, Stopped},
	Confirmed: {CheckedIn, Rejected, Cancelled, Stopped, NoShow},
	CheckedIn: {Done, Stopped},
}

// Appointment of a patient (FHIR Appointment).
type Appointment struct {
	No         string          `json:"no"`
	Hospital   string          `json:"hospital"`
	Session    string          `json:"session" doc:"our number of the clinic session"`
	Doctor     string          `json:"doctor" doc:"code"`
	Department string          `json:"department" doc:"code"`
	Day        string          `json:"day" doc:"yyyy-MM-dd"`
	Period     core.Period     `json:"period" enum:"morning,afternoon,evening,day"`
	Starts     time.Time       `json:"starts"`
	Ends       time.Time       `json:"ends"`
	Substitute string          `json:"substitute,omitempty" doc:"code of the doctor who takes the session instead"`
	Source     schedule.Source `json:"source" enum:"platform,his"`
	Patient    string          `json:"patient" doc:"our number"`
	Channel    string          `json:"channel"`
	Fee        core.Fen        `json:"fee" doc:"fen"`
	State      State           `json:"state" enum:"requested,held,paying,confirmed,checked_in,done,rejected,expired,cancelled,stopped,no_show"`
	// UnknownAtHIS: it is paid, and the HIS has not confirmed it.
	UnknownAtHIS bool       `json:"unknown_at_his,omitempty" doc:"paid, and the hospital's own system has not confirmed it yet"`
	Order        string     `json:"order,omitempty" doc:"the order that pays for it"`
	PayUntil     *time.Time `json:"pay_until,omitempty"`
	HisNo        string     `json:"his_no,omitempty" doc:"the HIS's number of it"`
	QueueNo      string     `json:"queue_no,omitempty" doc:"place in the doctor's line"`
	Why          string     `json:"why,omitempty" doc:"it was cancelled, stopped or rejected"`
	Created      time.Time  `json:"created_at"`

	account                      int64
	hisSession, slotNo, replaces string
	lockState, lockNo, bookState string
	cancelTold, untold           bool
	payState                     string
	paid                         order.Payment // that the HIS is to be told of, or was
	hisProblem                   string        // of staff only
	him                          him
}

// States of what the HIS was asked: to lock a place, to book it.
const (
	asking  = "asking"
	agreed  = "agreed"
	refused = "refused"
	unpaid  = "unpaid" // it has the booking, and refused the money for good
)

// What became of telling the HIS of the money; "" is nothing to tell.
const (
	payWaits  = "waiting" // until it has agreed to the booking
	payTold   = "told"
	payLedger = "ledger" // the booking was given up before: no HIS is told of the money
)

// him is what a HIS must know of a patient.
type him struct {
	No   string `json:"no,omitempty"` // the HIS's number
	Name string `json:"name"`
}

// What the module needs of others.
type (
	// Patients is the patient module.
	Patients interface {
		Bookable(ctx context.Context, account int64, no string) (patient.Record, error)
		Identity(ctx context.Context, hospital, no string) (patient.Identity, error)
	}
	// Schedule is the schedule module.
	Schedule interface {
		Get(ctx context.Context, hospital, no string) (schedule.Session, error)
		Sessions(ctx context.Context, hospital string, f schedule.Filter) ([]schedule.Session, error)
		Hold(ctx context.Context, tx pgx.Tx, hospital, no, channel string) (schedule.Session, error)
		Book(ctx context.Context, tx pgx.Tx, hospital, no, channel string) error
		Let(ctx context.Context, tx pgx.Tx, hospital, no, channel string, booked bool) error
		// OnWay, Agreed and OffWay follow a booking to the HIS that counts the places.
		OnWay(ctx context.Context, tx pgx.Tx, hospital, no, booking string) error
		Agreed(ctx context.Context, tx pgx.Tx, hospital, no, booking string) error
		OffWay(ctx context.Context, tx pgx.Tx, hospital, no, booking string) error
		Stop(ctx context.Context, tx pgx.Tx, hospital, no string, stop schedule.Stop) (schedule.Session, error)
		Find(ctx context.Context, tx pgx.Tx, hospital string, n *core.ClinicStop) ([]schedule.Session, error)
	}
	// Orders is the order module.
	Orders interface {
		Create(ctx context.Context, tx pgx.Tx, outbox core.Outbox, n order.New) (order.Order, error)
		Get(ctx context.Context, no string) (order.Order, error)
		Lock(ctx context.Context, tx pgx.Tx, no string) (order.Order, error)
		Extend(ctx context.Context, tx pgx.Tx, no string, until time.Time) error
		Close(ctx context.Context, tx pgx.Tx, outbox core.Outbox, no, why string, fromPaying bool) (order.Order, error)
	}
	// Payback gives the money of an order back.
	Payback interface {
		GiveBack(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, reason string) error
	}
	// Notices is the notify module.
	Notices interface {
		Send(ctx context.Context, tx pgx.Tx, account int64, event string, params map[string]string) error
	}
	// Live tells an account what is new; what it loses is read.
	Live interface {
		Publish(account int64, data []byte)
	}
	// Queue says whose turn it is. It may lose a ticket, say it twice, or be away: the
	// sweep answers what it lost.
	Queue interface {
		// Publish puts a ticket behind those of its lane; an error says that it may not be there.
		Publish(ctx context.Context, lane, ticket string) error
		// Consume hands tickets over until ctx ends, those of a lane one after the other. One
		// leaves the queue once handle returned nil.
		Consume(ctx context.Context, handle func(ctx context.Context, ticket string) error)
	}
)

// Service is the module.
type Service struct {
	*clinic.Clinic
	Patients Patients
	Schedule Schedule
	Orders   Orders
	Payback  Payback
	Queue    Queue
	Live     Live    // nil: people see what is new when they ask
	Notices  Notices // nil: the same
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema.
func (s *Service) Migrate(ctx context.Context) error {
	return clinic.Migrate(ctx, s.Database, "appointment", schema)
}

// Run answers tickets until ctx ends.
func (s *Service) Run(ctx context.Context) { s.Queue.Consume(ctx, s.Answer) }

// Jobs of the module.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{
		{Name: "appointment.sweep", Times: "@every 2s", Run: s.Sweep},
		{Name: "appointment.his", Times: "@every 1s", Run: s.heed},
		{Name: "appointment.waitlist", Times: "@every 1s", Run: s.Promote},
		{Name: "appointment.stops", Times: "@every 2s", Lasts: 5 * time.Minute, Run: s.stops},
		{Name: "appointment.ends", Times: "@every 30s", Run: s.ends},
	}
}

func lines(fee core.Fen) []order.Line {
	return []order.Line{{Name: "挂号费", Qty: "1", Amount: fee}}
}
