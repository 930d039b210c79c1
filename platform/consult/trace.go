package consult

import (
	"context"

	"hishub/platform/clinic"
)

const traced = `with k as (select * from consult.consult where no = $1)
	select created_at, hospital, no, 'opened', array[order_no] from k
	union all select started_at, hospital, no, 'accepted', '{}' from k where started_at is not null
	union all select ended_at, hospital, no, 'ended', '{}' from k where ended_at is not null
	union all select updated_at, hospital, no, state, '{}' from k`

// Trace is what became of a consultation.
func (s *Service) Trace(ctx context.Context, no, hospital string) ([]clinic.Hop, error) {
	return clinic.Hops(ctx, s.Database, traced, no, hospital)
}
