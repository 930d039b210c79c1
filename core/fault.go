package core

import (
	"errors"
	"fmt"
	"time"
)

// Class says what a failure means for the message, which is all that a caller
// may branch on.
type Class string

const (
	// Unavailable: nothing reached the HIS. Send later.
	Unavailable Class = "unavailable"
	// InDoubt: the HIS may have acted. Inquire before sending again.
	InDoubt Class = "in_doubt"
	// Rejected: the HIS understood and refused. A person, or a refund, must follow.
	Rejected Class = "rejected"
	// Invalid: our message, mapping or configuration is wrong. Nothing was sent.
	Invalid Class = "invalid"
)

// Fault is a classified failure of one exchange with a HIS. Its text names the
// operation and the cause and never holds credentials or patient data.
type Fault struct {
	Class Class
	// Op is what was being done, "soap SavePrescription" or "encode payment.settle".
	Op  string
	Err error
	// RetryAfter is how long the HIS asked us to wait; 0 if it did not say.
	RetryAfter time.Duration
}

func (f *Fault) Error() string {
	return fmt.Sprintf("%s: %s: %v", f.Op, f.Class, f.Err)
}

func (f *Fault) Unwrap() error { return f.Err }

// ClassOf is the class of err. What nobody classified gets the careful
// reading: it may have happened, so it is in doubt.
func ClassOf(err error) Class {
	var f *Fault
	if errors.As(err, &f) {
		return f.Class
	}
	return InDoubt
}

// Problem is one thing that is wrong with a submitted message. What never
// holds the submitted value.
type Problem struct {
	// Field is the path in the message, "items[2].amount".
	Field string `json:"field"`
	// What is wrong and what would be right, in lower case.
	What string `json:"what"`
}

// AmountChange is an amount that is not as the caller saw it.
type AmountChange struct {
	Field string `json:"field" example:"amount"`
	Was   Fen    `json:"was" doc:"fen, as it was seen"`
	Is    Fen    `json:"is" doc:"fen, as it is now"`
}

// Problems is everything that is wrong with a message, as an error.
type Problems []Problem

func (ps Problems) Error() string {
	if len(ps) == 0 {
		return "no problems"
	}
	s := ps[0].Field + ": " + ps[0].What
	if n := len(ps) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// OrNil is ps as an error, nil if there are none.
func (ps Problems) OrNil() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}
