package appointment

import (
	"context"

	"hishub/platform/clinic"
)

const traced = `select created_at, hospital, no, 'wish ' || state, array[appointment] from appointment.ticket where no = $1
	union all select answered_at, hospital, no, 'answered', '{}' from appointment.ticket where no = $1 and answered_at is not null
	union all select created_at, hospital, no, 'asked for, of session ' || session, array[order_no, replaces] from appointment.appointment where no = $1 or order_no = $1
	union all select updated_at, hospital, no, state, '{}' from appointment.appointment where no = $1 or order_no = $1`

// Trace is what became of a wish for a place, or an appointment.
func (s *Service) Trace(ctx context.Context, no, hospital string) ([]clinic.Hop, error) {
	return clinic.Hops(ctx, s.Database, traced, no, hospital)
}
