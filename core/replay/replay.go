// Package replay tells HIS again, many messages at a time and slowly enough: what was
// parked goes on, what was cancelled or delivered is told anew under its key.
//
// A replay is a list of messages that is frozen when it is made, divided into a part
// for each hospital. The process that works a hospital works its part, message by
// message, in the order of the lanes.
package replay

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"hishub/core"
	"hishub/core/delivery"
)

// With says which revision of the hospital's folder says a message again.
type With string

const (
	// Fitting: the newest for what never reached the HIS, else the original one.
	Fitting With = ""
	// Original: the revision that it was said with last.
	Original With = "original"
	// Newest: the folder as it is now.
	Newest With = "newest"
)

// Filter names messages. Zero fields do not narrow it; State is required.
type Filter struct {
	// Hospitals; nil is all of them.
	Hospitals []string       `json:"hospitals,omitempty"`
	State     delivery.State `json:"state"`
	Kind      core.Kind      `json:"kind,omitempty"`
	Class     core.Class     `json:"class,omitempty"`
	// Reason is a part of why it was parked or cancelled, in any case.
	Reason string `json:"reason,omitempty"`
	// Code of ours or theirs that no row of the table Codes had.
	Codes string `json:"codes,omitempty"`
	Code  string `json:"code,omitempty"`
	// Accepted from Since on, before Until.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Keys are business keys, Messages numbers of messages.
	Keys     []string `json:"keys,omitempty"`
	Messages []int64  `json:"messages,omitempty"`
}

// Plan is what a person asks for.
type Plan struct {
	Filter Filter
	With   With
	// Rate is the most messages a second at each hospital, above 0 and up to MaxRate.
	Rate float64
	// Concurrency is how many of a hospital may be on their way at once, from 1 on.
	Concurrency int
	// StopAfter is how many that are parked again in a row, as the same class, stop a
	// hospital's part; from 1 on.
	StopAfter int
	Note      string
}

// Bounds and defaults of a plan.
const (
	MaxRate            = 1000.0
	MaxConcurrency     = 10_000
	MaxStopAfter       = 100_000
	MaxKeys            = 10_000
	DefaultRate        = 5.0
	DefaultConcurrency = 50
	DefaultStopAfter   = 10
)

// Check gives everything that is wrong with a plan, as core.Problems.
func (p Plan) Check() error {
	ps := p.Filter.problems()
	bad := func(field, what string) { ps = append(ps, core.Problem{Field: field, What: what}) }
	if p.With != Fitting && p.With != Original && p.With != Newest {
		bad("with", "not one of original, newest")
	}
	if !(p.Rate > 0 && p.Rate <= MaxRate) {
		bad("rate", "not above 0 and up to "+strconv.FormatFloat(MaxRate, 'f', -1, 64)+" messages a second")
	}
	if p.Concurrency < 1 || p.Concurrency > MaxConcurrency {
		bad("concurrency", "not from 1 to "+strconv.Itoa(MaxConcurrency))
	}
	if p.StopAfter < 1 || p.StopAfter > MaxStopAfter {
		bad("stop_after", "not from 1 to "+strconv.Itoa(MaxStopAfter))
	}
	return ps.OrNil()
}

func (f Filter) problems() (ps core.Problems) {
	bad := func(field, what string) { ps = append(ps, core.Problem{Field: "filter." + field, What: what}) }
	if f.State != delivery.Parked && f.State != delivery.Cancelled && f.State != delivery.Delivered {
		bad("state", "not one of parked, cancelled, delivered")
	}
	if f.Kind != "" {
		if t, ok := core.Lookup(f.Kind); !ok || t.Mode == core.Question {
			bad("kind", "not a message of the catalogue")
		}
	}
	if f.Class != "" && !slices.Contains([]core.Class{core.Unavailable, core.InDoubt, core.Rejected, core.Invalid}, f.Class) {
		bad("class", "not one of unavailable, in_doubt, rejected, invalid")
	}
	if f.State == delivery.Delivered && (f.Class != "" || f.Reason != "" || f.Code != "") {
		bad("class", "what is delivered has no class, reason or code; leave them out")
	}
	if (f.Codes == "") != (f.Code == "") {
		bad("code", "a code goes with its table")
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		bad("until", "not after since")
	}
	if len(f.Keys)+len(f.Messages) > MaxKeys {
		bad("keys", "more than "+strconv.Itoa(MaxKeys)+" keys and numbers; narrow it by kind and time, or make several replays")
	}
	for _, text := range append([]string{f.Reason, f.Codes, f.Code}, f.Keys...) {
		if len(text) > 200 || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			bad("keys", "a key, reason or code is longer than 200 bytes, or no text")
			break
		}
	}
	return ps
}

// State of a replay.
type State string

const (
	// Listing: its messages are being listed; nothing happens yet.
	Listing State = "listing"
	// Proposed waits for a second person: it would move money.
	Proposed State = "proposed"
	Running  State = "running"
	// Paused by a person, or by itself: then Problem says why.
	Paused State = "paused"
	// Done: every message has an end. Final.
	Done State = "done"
	// Cancelled: what was not told yet stays as it is. Final.
	Cancelled State = "cancelled"
)

// Values of State.
func (State) Values() []string {
	return []string{string(Listing), string(Proposed), string(Running), string(Paused), string(Done), string(Cancelled)}
}

// Outcome is what became of one message of a replay.
type Outcome string

const (
	// Waiting for its turn.
	Waiting Outcome = "waiting"
	// Released is on its way.
	Released Outcome = "released"
	// Delivered afterwards: the HIS has it, or had it still.
	Delivered Outcome = "delivered"
	// ParkedAgain waits for a person again, with its Why.
	ParkedAgain Outcome = "parked"
	// Called off after it was released.
	CalledOff Outcome = "cancelled"
	// Skipped: it was decided, or superseded, before its turn came.
	Skipped Outcome = "skipped"
	// Refused: it may not be told again, and Why says why.
	Refused Outcome = "refused"
)

// Values of Outcome.
func (Outcome) Values() []string {
	return []string{string(Waiting), string(Released), string(Delivered), string(ParkedAgain), string(CalledOff), string(Skipped), string(Refused)}
}

// Replay is one as it stands.
type Replay struct {
	ID int64
	Plan
	State State
	// Money: it would tell HIS of money that was decided, which takes two people.
	Money      bool
	CreatedBy  string
	CreatedAt  time.Time
	ApprovedBy string
	// PausedBy is "hub" where it stopped by itself.
	PausedBy string
	Problem  string
	EndedAt  *time.Time
	Parts    []Part
}

// NotPossible is returned for an act that the replay's state does not allow.
type NotPossible struct {
	State State
	// Why, in lower case.
	Why string
}

func (e *NotPossible) Error() string { return "the replay is " + string(e.State) + ": " + e.Why }

// Changed is returned when a filter names another number of messages than was seen.
type Changed struct{ Expected, Now int }

func (e *Changed) Error() string {
	return fmt.Sprintf("%d messages fit it now, and not %d: look at the preview again", e.Now, e.Expected)
}

// Tally counts the messages of a replay, or of a part of it, by what became of them.
type Tally struct {
	Items     int `json:"items"`
	Waiting   int `json:"waiting"`
	OnWay     int `json:"on_way"`
	Delivered int `json:"delivered"`
	Parked    int `json:"parked"`
	Cancelled int `json:"cancelled"`
	Skipped   int `json:"skipped"`
	Refused   int `json:"refused"`
}

// String says how it stands, in words.
func (t Tally) String() string {
	words := []string{fmt.Sprintf("%d of %d delivered", t.Delivered, t.Items)}
	for _, n := range []struct {
		count int
		what  string
	}{{t.Parked, "parked again"}, {t.Cancelled, "cancelled"}, {t.Skipped, "decided meanwhile"}, {t.Refused, "refused"}, {t.OnWay, "on their way"}, {t.Waiting, "not told"}} {
		if n.count > 0 {
			words = append(words, fmt.Sprintf("%d %s", n.count, n.what))
		}
	}
	return strings.Join(words, ", ")
}

// Part is what a replay has of one hospital.
type Part struct {
	Replay   int64
	Hospital string
	Tally
	// Stopped says why it stopped by itself; "" if it did not.
	Stopped string
	EndedAt *time.Time
}

// Tally is the sum of the parts.
func (r Replay) Tally() (t Tally) {
	for _, p := range r.Parts {
		t.Items += p.Items
		t.Waiting += p.Waiting
		t.OnWay += p.OnWay
		t.Delivered += p.Delivered
		t.Parked += p.Parked
		t.Cancelled += p.Cancelled
		t.Skipped += p.Skipped
		t.Refused += p.Refused
	}
	return t
}

// Item is one message of a replay.
type Item struct {
	Message  int64
	Hospital string
	Kind     core.Kind
	Key      string
	Outcome  Outcome
	Why      string
	// Goes is the message that was sent in its place, where that is another.
	Goes int64
	// ReleasedAt and KnownAt are when it was told again, and when it was known what
	// came of it.
	ReleasedAt, KnownAt *time.Time
}

// Preview is what a plan would do, before anything is done.
type Preview struct {
	Groups []Group
	// Behind are messages that wait in lanes behind what is parked.
	Behind int
	// Later are messages that were delivered after these in their lanes and are not
	// among them: a voiding whose prescription alone would be told again.
	Later  int
	Oldest time.Time
	Newest time.Time
	// Money: it takes a second person.
	Money bool
}

// Count is all of them; May are those that may be replayed as they stand.
func (p Preview) Count() (all, may int) {
	for _, g := range p.Groups {
		all += g.Count
		if g.Refusal == "" {
			may += g.Count
		}
	}
	return all, may
}

// Of counts the messages of one hospital.
func (p Preview) Of(hospital string) (n int) {
	for _, g := range p.Groups {
		if g.Hospital == hospital {
			n += g.Count
		}
	}
	return n
}

// Hospitals are those that have any.
func (p Preview) Hospitals() (all []string) {
	for _, g := range p.Groups {
		if !slices.Contains(all, g.Hospital) {
			all = append(all, g.Hospital)
		}
	}
	return all
}

// Group are messages that are alike.
type Group struct {
	Hospital string
	Kind     core.Kind
	Class    core.Class
	// Refusal says why they may not be replayed; "" if they may.
	Refusal        string
	Count          int
	Oldest, Newest time.Time
}
