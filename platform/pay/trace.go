package pay

import (
	"context"

	"hishub/platform/clinic"
)

const traced = `select created_at, hospital, order_no, 'attempt ' || no || ' at ' || channel || ', ' || way, array[order_no] from pay.attempt where order_no = $1
	union all select updated_at, hospital, order_no, 'attempt ' || no || ' ' || state, '{}' from pay.attempt where order_no = $1
	union all select created_at, hospital, no, 'refund of ' || order_no || ' wanted by ' || origin, array[order_no] from pay.refund where no = $1 or order_no = $1
	union all select updated_at, hospital, no, 'refund ' || state, '{}' from pay.refund where no = $1 or order_no = $1`

// Trace is what became of the payments and refunds of an order, or one refund.
func (s *Service) Trace(ctx context.Context, no, hospital string) ([]clinic.Hop, error) {
	return clinic.Hops(ctx, s.Database, traced, no, hospital)
}
