// Package delivery decides what happens to an accepted message until the HIS
// has it: the states, the policy, and the dispatcher that works the queue.
package delivery

import (
	"context"
	"errors"
	"time"

	"hishub/core"
)

// State of a delivery.
type State string

const (
	// Queued waits for its turn, its due time or its lane.
	Queued State = "queued"
	// Sending is claimed by a process.
	Sending State = "sending"
	// Delivered: the HIS has it. Final.
	Delivered State = "delivered"
	// Parked waits for a person, with class, reason and the HIS's words.
	Parked State = "parked"
	// Cancelled never takes effect, or its effect was undone. Final.
	Cancelled State = "cancelled"
)

// Phase is what the next exchange is for.
type Phase string

const (
	// Send carries the present step.
	Send Phase = "send"
	// Inquire asks what became of the present step.
	Inquire Phase = "inquire"
	// Undo takes the last finished step back.
	Undo Phase = "undo"
)

// Why a delivery is in its phase, when that changes what follows.
type Why string

const (
	// WhyAlready: the HIS said that it has it; the inquiry must confirm.
	WhyAlready Why = "already"
	// WhyRefused: a step was refused; the finished ones are taken back.
	WhyRefused Why = "refused"
	// WhyCancelled: a person wants it cancelled; the finished steps are taken back.
	WhyCancelled Why = "cancelled"
	// WhyExpired: what a step captured is too old; it is taken back and done again.
	WhyExpired Why = "expired"
	// WhyInPart: the HIS took some of it and refused the rest; it is never sent
	// again as a whole.
	WhyInPart Why = "in_part"
)

// Delivery is one message on its way, as a process holds it while it has the lease.
type Delivery struct {
	ID       int64
	Hospital string
	Kind     core.Kind
	Lane     string
	Accepted time.Time
	Body     core.Body
	// Revision of the hospital folder that it was begun with; 0 before its first
	// step was sent. From then on it keeps that revision to its end.
	Revision int
	// Fence is the number of this claim; a Settle with an older one is refused.
	Fence int64
	// LeaseUntil bounds the first byte: a process that comes later must not send.
	LeaseUntil time.Time
	// Interrupted is set when the lease of another claim ran out after its bytes
	// may have left.
	Interrupted bool
	// CancelWanted is a person's wish, decided as soon as it is known what the HIS has.
	CancelWanted bool
	// Trace is the W3C traceparent that it was accepted under; "" without traces.
	Trace string
	Progress
}

// Progress is what is saved between two exchanges.
type Progress struct {
	Phase Phase `json:"phase"`
	// Step is the index of the step that the phase is about.
	Step int `json:"step"`
	// Finished steps in the order in which they were done.
	Finished []Finished        `json:"finished,omitempty"`
	Captured map[string]string `json:"captured,omitempty"`
	Receipt  *core.Receipt     `json:"receipt,omitempty"`
	Why      Why               `json:"why,omitempty"`
	// Words and Reason of a refusal, kept while steps are undone.
	Words  string `json:"words,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Attempts counts all exchanges, Failures those that got nowhere since the
	// last one that did, Busy the answers since then that put it off, Inquiries the
	// questions that gave no answer.
	Attempts  int `json:"attempts,omitempty"`
	Failures  int `json:"failures,omitempty"`
	Busy      int `json:"busy,omitempty"`
	Inquiries int `json:"inquiries,omitempty"`
	// PutOff is what it waited because the HIS put it off for a time that it named.
	PutOff PutOff `json:"put_off,omitzero"`
	// LastByte is the latest moment at which a byte of the present step may have
	// reached the HIS; zero before it was sent.
	LastByte time.Time `json:"last_byte,omitzero"`
	// Unanswered: nobody read the answer to those bytes, because the process that
	// sent them is gone. It is asked about before anything is sent.
	Unanswered bool `json:"unanswered,omitempty"`
	// Running is since when the HIS says that it is at work.
	Running time.Time `json:"running,omitzero"`
}

// Finished is a step that the HIS has.
type Finished struct {
	Step int       `json:"step"`
	At   time.Time `json:"at"`
}

// Sent reports whether any byte of any step may have reached the HIS and was not
// taken back or refused since.
func (p Progress) Sent() bool { return len(p.Finished) > 0 || !p.LastByte.IsZero() }

// Attempt is the record of one exchange of a delivery.
type Attempt struct {
	Number   int
	Phase    Phase
	Step     string
	Exchange core.Exchange
	// Now is the ledger's clock at the end of the exchange.
	Now time.Time
	// Waited is how much of the wait that the HIS asked for before it the hospital could
	// be called in.
	Waited time.Duration
}

// Next is what follows after an attempt.
type Next struct {
	// State: Queued (due After from now), Sending (go on at once, lease held),
	// Delivered, Parked or Cancelled.
	State State
	After time.Duration
	Progress
	// Class says what kind of failure led here; empty for a success.
	Class core.Class
	// Because is the decision in plain words, without values.
	Because     string
	ShowPatient bool
	// Codes are those for which it was decided without an attempt: no code table has
	// them.
	Codes []core.CodeUse
	// RefundNow: the HIS refused for good and the money must go back.
	RefundNow bool
}

// ErrLeaseLost is returned when a claim is no longer the delivery's current one:
// whoever holds it now decides, and this process must not.
var ErrLeaseLost = errors.New("the lease of this delivery was lost")

// Store is the ledger as the dispatcher sees it. Every time in it is the
// database's clock.
type Store interface {
	// Own renews this process's hold on its share of the shards for ttl, takes
	// free ones and gives up what is more than its share. It returns the shards held.
	Own(ctx context.Context, process string, ttl time.Duration) ([]int, error)
	// Leave gives everything up at once: claims that were not sent, and shards, but
	// for those of busy hospitals, which end by themselves when their ttl does.
	Leave(ctx context.Context, process string, busy []string) error
	// Due names the hospitals of this process that have something to claim now.
	Due(ctx context.Context, process string) ([]string, error)
	// Claim takes up to n heads of lanes of one hospital that are due, for lease.
	// A head whose former lease ran out is taken over at once when it was not
	// sent, and once lease and deadline are over when it may have been. Nothing is
	// claimed for a paused hospital, or one that this process does not own. Where
	// kinds are named, only they are taken.
	Claim(ctx context.Context, process, hospital string, n int, lease, deadline time.Duration, kinds ...core.Kind) ([]Delivery, error)
	// Sent records durably that bytes are about to leave, under this revision. It
	// is the last check of the lease, and of a pause: after ErrLeaseLost nothing may
	// be sent, and whoever claims it next, after the pause, finds it as it was.
	Sent(ctx context.Context, d *Delivery, revision int) error
	// Settle saves an attempt and what follows in one transaction. promoted is
	// true when a successor in the lane became free. After ErrLeaseLost the attempt
	// is kept as late and nothing else was changed.
	Settle(ctx context.Context, d *Delivery, a *Attempt, n Next) (promoted bool, err error)
	// Now is the database's clock.
	Now(ctx context.Context) (time.Time, error)
}

// Hospitals gives the hospitals that can be asked.
type Hospitals interface {
	// Hospital returns a hospital at a revision; 0 is the newest.
	Hospital(ctx context.Context, id string, revision int) (*core.Hospital, error)
}

// Wakes carries the hint that a hospital has work. A lost hint costs a sweep.
type Wakes interface {
	Wake(hospital string)
	// Listen returns at once; from then on f is called for hints about these shards,
	// until ctx ends or Listen is called again with other shards.
	Listen(ctx context.Context, shards []int, f func(hospital string)) error
}
