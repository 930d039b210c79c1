package order

import (
	"context"

	"hishub/platform/clinic"
)

const traced = `with o as (
		select * from clinic_order.orders where no = $1
		union select * from clinic_order.orders where hospital = $2 and kind in ('registration', 'consultation', 'drugs') and subject = $1 and state in ('created', 'paying', 'paid'))
	select created_at, hospital, no, 'made for ' || kind || ' ' || subject, array[subject] from o
	union all select greatest(paid_at, created_at), hospital, no, 'paid by ' || channel, '{}' from o where paid_at is not null
	union all select r.created_at, o.hospital, o.no, 'refund ' || r.no || case when r.by_window then ' of the window' else '' end, '{}' from o join clinic_order.refund r on r.order_no = o.no
	union all select r.returned_at, o.hospital, o.no, 'refund ' || r.no || ' paid back', '{}' from o join clinic_order.refund r on r.order_no = o.no where r.returned_at is not null
	union all select updated_at, hospital, no, state, '{}' from o`

// Trace is what became of an order, or of the one that pays for what the number names.
func (s *Service) Trace(ctx context.Context, no, hospital string) ([]clinic.Hop, error) {
	return clinic.Hops(ctx, s.Database, traced, no, hospital)
}
