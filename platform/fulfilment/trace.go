package fulfilment

import (
	"context"

	"hishub/platform/clinic"
)

const traced = `select created_at, hospital, no, 'to be handed out', '{}'::text[] from fulfilment.fulfilment where hospital = $2 and no = $1
	union all select at, hospital, no, state, '{}' from fulfilment.step where hospital = $2 and no = $1`

// Trace is what became of the drugs of a prescription.
func (s *Service) Trace(ctx context.Context, no, hospital string) ([]clinic.Hop, error) {
	return clinic.Hops(ctx, s.Database, traced, no, hospital)
}
