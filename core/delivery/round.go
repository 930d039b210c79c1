package delivery

import "time"

// Round is one exchange of a delivery with what came before and after it, by this
// process's clock.
type Round struct {
	// Before is the delivery as it was.
	Before Delivery
	// Waited is how long it had waited since its acceptance, Asked and Claimed when it
	// was claimed; all zero in a further round of the same claim.
	Waited         time.Duration
	Asked, Claimed time.Time
	// Begun is when the round began: the claim had its slot.
	Begun time.Time
	// Attempt is nil when it was decided without one.
	Attempt *Attempt
	Next    Next
	// Settling and Settled are when what followed was to be saved, and was.
	Settling, Settled time.Time
}
