package rx

import (
	"context"

	"hishub/platform/clinic"
)

const traced = `with p as (select * from rx.prescription where no = $1)
	select created_at, hospital, no, 'written in consultation ' || consult, '{}'::text[] from p where $2 in ('', hospital)
	union all select greatest(r.signed_at, p.created_at), p.hospital, p.no, 'revision ' || r.revision || ' signed', '{}' from p join rx.revision r on r.no = p.no
	union all select r.reviewed_at, p.hospital, p.no, 'revision ' || r.revision || case when r.approved then ' approved' else ' rejected' end, '{}' from p join rx.review r on r.no = p.no
	union all select told_at, hospital, no, 'handed to the hub', '{}' from p where told_at is not null
	union all select updated_at, hospital, no, state, '{}' from p`

// Trace is what became of a prescription.
func (s *Service) Trace(ctx context.Context, no, hospital string) ([]clinic.Hop, error) {
	return clinic.Hops(ctx, s.Database, traced, no, hospital)
}
