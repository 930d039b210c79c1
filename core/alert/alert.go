// Package alert tells people of incidents, where they are: a robot of WeCom or
// DingTalk, mail, or a webhook. One letter when an incident opens and one when it is
// over, and one for many that come together.
//
// The duty to tell a route is made in the transaction that opens or resolves an
// incident, so a letter goes out at least once: one whose process died before it
// was noted as taken goes out again, under the same ID.
package alert

import (
	"context"
	"errors"
	"time"

	"hishub/core/incident"
)

// Letter is what a route is told at once.
type Letter struct {
	// ID is the same when the letter goes out again; receivers that keep it hear once.
	ID      string
	Route   string
	Entries []Entry
	// Test: somebody tries the route; nothing has happened.
	Test bool
	// Failures of the route since it took something.
	Failures int
	// Fence is the number of this taking of the route; what an earlier one says of it is
	// not heard.
	Fence int64
}

// Entry is an incident, and what of it is told.
type Entry struct {
	Incident int64
	Hospital string
	Name     string // of the hospital
	// Zone is the hospital's; nil where it is not known, and the route's stands in.
	Zone   *time.Location
	Kind   incident.Kind
	Detail incident.Words
	// Opened and Resolved are what is told: both of one that was over before its
	// beginning could be told.
	Opened, Resolved bool
	OpenedAt         time.Time
	ResolvedAt       *time.Time
	// LookedBy is who said that they look at it, and LookedNote what; "" is nobody.
	LookedBy, LookedNote string
}

// Wanted is a route that may be told something now.
type Wanted struct {
	Route string
	// Gather is how long the first waits for others to come along.
	Gather time.Duration
}

// Store keeps what routes are to be told.
type Store interface {
	// TakeLetters gives, for each of the routes that something waits for and that nobody
	// else tells, a letter to the caller alone, for ttl or until it says how it went. A
	// letter that failed comes again as it was, before any newer.
	TakeLetters(ctx context.Context, routes []Wanted, ttl time.Duration) ([]Letter, error)
	// LetterTold notes that the route took it; its next may follow after pause.
	LetterTold(ctx context.Context, l Letter, pause time.Duration) error
	// LetterFailed notes that it did not, and why; the letter comes again after retry.
	LetterFailed(ctx context.Context, l Letter, retry time.Duration, why string) error
	// ForgetAlerts forgets those of incidents that are over for 90 days.
	ForgetAlerts(ctx context.Context) error
}

// Patience is how long a route is tried before what it was to be told is given up.
const Patience = 3 * 24 * time.Hour

// Channel carries letters to people. It must not retry, log or keep state; its errors
// hold neither the address nor what is secret of it. One that says when to come back is
// a *Later.
type Channel interface {
	Send(ctx context.Context, l Letter) error
	// Pause is the least time between two letters.
	Pause() time.Duration
	// Address is host:port, to see whether anybody is there.
	Address() string
}

// Later is the failure of a channel that wants to be left alone for a while.
type Later struct {
	Err   error
	After time.Duration
}

func (l *Later) Error() string { return l.Err.Error() }
func (l *Later) Unwrap() error { return l.Err }

// again is how long a letter waits that failed so many times before.
func again(err error, failures int) time.Duration {
	var later *Later
	if errors.As(err, &later) {
		return later.After
	}
	return min(5*time.Second<<min(failures, 10), 10*time.Minute)
}
