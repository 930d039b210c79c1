package reconcile

import (
	"context"
	"log/slog"

	"hishub/core"
)

// Platform makes records that the platform lacks. It is nil where the platform
// is elsewhere; the hub's own ledger is what is mended then.
type Platform interface {
	// Record makes the platform's record of a payment that only the channel knows,
	// which tells the HIS. Again it does nothing new. done is false when the platform
	// cannot, because what was paid is not known to it.
	Record(ctx context.Context, hospital string, e Entry, p Params) (message int64, done bool, err error)
	// PayBack pays back and records what the HIS's window gave back, or what the
	// platform's own records need to show; done is false when it is none of its business.
	PayBack(ctx context.Context, hospital string, f Finding, p Params) (message int64, done bool, err error)
}

// Repairs decides and carries out repairs.
type Repairs struct {
	Store    Store
	Place    func(ctx context.Context, hospital string) (Place, error)
	Platform Platform
	Log      *slog.Logger
}

// Approve is a person's yes to a repair; when that is enough it is carried out
// at once. Errors: ErrSecondPerson, ErrNotOpen, core.Problems when the repair
// lacks something.
func (r *Repairs) Approve(ctx context.Context, repair int64, who, note string) (Repair, error) {
	panic("not built yet")
}

// Sweep carries out what was approved and is not carried out yet, and follows
// what is on its way.
func (r *Repairs) Sweep(ctx context.Context, hospital string) error {
	panic("not built yet")
}

var _ = core.Fen(0)
