package regulator

import (
	"context"

	"hishub/platform/clinic"
)

const traced = `with u as (select * from regulator.upload where hospital = $2 and key in ($1, $1 || '/picked_up', $1 || '/shipped', $1 || '/delivered', $1 || '/returned')
		and kind in ('prescription.create', 'prescription.void', 'prescription.dispense-status'))
	select at, hospital, key, kind || ' for ' || regulator, '{}'::text[] from u
	union all select heard_at, hospital, key, kind || ' ' || state, '{}' from u where heard_at is not null`

// Trace is what became of telling a regulator of a prescription.
func (s *Service) Trace(ctx context.Context, no, hospital string) ([]clinic.Hop, error) {
	return clinic.Hops(ctx, s.Database, traced, no, hospital)
}
