package prescription

import (
	"testing"
	"time"

	"hishub/core"
)

// What no prescription may ever do, whatever the table becomes.
func TestStatesForbid(t *testing.T) {
	for _, move := range [][2]State{
		{InReview, Paid}, {InReview, SentHIS}, {Rejected, Approved}, {Rejected, Paid}, // nobody reviewed it
		{Approved, InReview}, {Paid, InReview}, {SentHIS, InReview}, // what was approved stays as it is
		{Paid, Approved}, {SentHIS, Paid}, // told once
		{Void, InReview}, {Void, Approved}, {Void, SentHIS}, {Expired, Approved}, {Expired, Paid}, // over
		{Paid, Expired}, {SentHIS, Expired}, // paid in time
	} {
		if _, err := States.Move(move[0], move[1]); err == nil {
			t.Errorf("from %s to %s", move[0], move[1])
		}
	}
}

func TestExpiry(t *testing.T) {
	end := time.Date(2026, 1, 6, 10, 0, 0, 0, time.UTC)
	for state, later := range map[State]State{
		InReview: Expired, Rejected: Expired, Approved: Expired, Paid: Paid, SentHIS: SentHIS, Void: Void,
	} {
		p := Rx{State: state, ValidUntil: end, Content: &core.Prescription{}}
		if got := p.by(end).State; got != state {
			t.Errorf("%s is %s at its last moment", state, got)
		}
		if got := p.by(end.Add(time.Nanosecond)).State; got != later {
			t.Errorf("%s is %s after its last moment, want %s", state, got, later)
		}
	}
}
