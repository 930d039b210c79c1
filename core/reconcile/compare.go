package reconcile

import (
	"context"
	"time"

	"hishub/core"
)

// Books are the entries of all parties; a nil stream is a party that takes no part.
type Books struct{ Channel, Ours, HIS Stream }

// Rules of a comparison.
type Rules struct {
	// From (inclusive) and To (exclusive) bound the day.
	From, To time.Time
	// Now decides what is still on its way.
	Now time.Time
	// Billed tells whose bills are among the channel's entries; money of another
	// channel needs no line in a bill.
	Billed map[core.Channel]bool
	// NextKnown: that party's entries of the day after are there as neighbours, so
	// that nothing is held as CrossDay for its sake.
	NextKnown map[Party]bool
	core.NightRules
	// Chunk is how many entries of a party are sorted in memory before they are
	// spilled to a file; 0 is 100,000. Spill is the folder for such files; "" is the system's.
	Chunk int
	Spill string
}

// Compare puts every entry of the day into a class and calls found for each
// finding, in the order of (type, number). Memory does not grow with the books.
// The order of entries changes nothing.
func Compare(ctx context.Context, books Books, rules Rules, found func(Finding) error) error {
	panic("not built yet")
}
