package postgres

import (
	"context"
	"fmt"
	"time"

	"hishub/core"
	"hishub/core/reconcile"
)

// toldBy is what became of telling the HIS by message m with queue row q. "sending"
// is no stored state.
const toldBy = `case when q.message is null then m.state when q.state = 'parked' then 'parked'
	when q.lease_until > clock_timestamp() then 'sending' else 'queued' end`

// Ours implements reconcile.Store. What was superseded is left out, as the
// message that came in its place tells of the same money. A refund that the HIS
// started is as good as delivered: it told us.
//
// The HIS need not have what it is not told, nor a payment that it does not have
// and whose whole amount went back without its being told. Of a payment that only
// we recorded and that stands, Told is empty: the HIS may have it or not.
func (s *Store) Ours(ctx context.Context, hospital string, from, to time.Time) reconcile.Stream {
	return s.oursOf(ctx, hospital, from, to, "")
}

// OursRefunds implements reconcile.Store.
func (s *Store) OursRefunds(ctx context.Context, hospital string, from, to time.Time) reconcile.Stream {
	return s.oursOf(ctx, hospital, from, to, core.EntryRefund)
}

func (s *Store) oursOf(ctx context.Context, hospital string, from, to time.Time, only core.EntryType) reconcile.Stream {
	return func(yield func(reconcile.Entry, error) bool) {
		if err := s.ours(ctx, hospital, from, to, only, yield); err != nil {
			yield(reconcile.Entry{}, fmt.Errorf("read our ledger: %w", err))
		}
	}
}

func (s *Store) ours(ctx context.Context, hospital string, from, to time.Time, only core.EntryType, yield func(reconcile.Entry, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := s.calm.Query(ctx, `
		select l.type, l.number, l.order_id, coalesce(case when m.kind <> 'channel.refund' then m.receipt->>'his_no' end, i.key, ''), l.channel_no, l.channel,
			l.amount, l.at, l.reversal, l.bill, l.business, l.message,
			case when m.id is null then 'delivered' when not l.told and l.type = 'payment' and not back.whole then '' else `+toldBy+` end,
			not l.told or l.type = 'payment' and m.state <> 'delivered' and back.whole
		from hub.ledger_entry l
		left join lateral (
			select l.amount <= coalesce(sum(b.amount), 0) as whole from hub.ledger_entry b join hub.message g on g.id = b.message
			where l.type = 'payment' and b.type = 'refund' and not b.told and b.order_id = l.number and b.hospital = l.hospital
				and g.superseded_by is null and g.state <> 'cancelled' and not g.test) back on true
		left join hub.message m on m.id = l.message
		left join hub.inbound i on i.id = l.message
		left join hub.queue q on q.message = l.message
		where l.hospital = $1 and l.at >= $2 and l.at < $3 and coalesce(not m.test and m.superseded_by is null, true)
			and ($4 = '' or l.type = $4)
		order by l.at, l.message`, hospital, from, to, string(only))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var e reconcile.Entry
		var untold *bool
		if err := rows.Scan(&e.Type, &e.Number, &e.OrderID, &e.HisNo, &e.ChannelNo, &e.Channel, &e.Amount, &e.At, &e.Reversal, &e.Bill, &e.Business,
			&e.Message, &e.Told, &untold); err != nil {
			return err
		}
		e.NoHIS, e.NoChannel = untold != nil && *untold, e.Reversal
		if !yield(e, nil) {
			cancel() // rather than reading the rest of them from the wire
			return nil
		}
	}
	return rows.Err()
}

// ToldSince implements reconcile.Store.
func (s *Store) ToldSince(ctx context.Context, hospital string, from, to, since time.Time) (told bool, err error) {
	err = s.calm.QueryRow(ctx, `select exists (
		select from hub.ledger_entry l left join hub.message m on m.id = l.message left join hub.inbound i on i.id = l.message
		where l.hospital = $1 and l.at >= $2 and l.at < $3 and coalesce(m.accepted_at, i.arrived_at) > $4
			and coalesce(not m.test and m.superseded_by is null, true))`, hospital, from, to, since).Scan(&told)
	if err != nil {
		return false, fmt.Errorf("look for money that we were told of late: %w", err)
	}
	return told, nil
}

// Records implements reconcile.Store: those that were accepted in that time, and
// older ones that were taken back in it. VisitNo, PatientNo and Amount are empty
// for one whose body is past its retention.
func (s *Store) Records(ctx context.Context, hospital string, from, to time.Time) ([]reconcile.Prescribed, error) {
	all, err := s.records(ctx, hospital, from, to)
	if err != nil {
		return nil, fmt.Errorf("read our prescriptions and orders: %w", err)
	}
	return all, nil
}

func (s *Store) records(ctx context.Context, hospital string, from, to time.Time) (all []reconcile.Prescribed, err error) {
	rows, err := s.calm.Query(ctx, `
		with pair(made, void) as (values ('prescription.create', 'prescription.void'), ('order.create', 'order.cancel')),
		record as (
			select id from hub.message where hospital = $1 and accepted_at >= $2 and accepted_at < $3 and kind in ('prescription.create', 'order.create')
			union
			select m.id from hub.message v join pair p on p.void = v.kind
			join hub.message m on m.key = v.key and m.hospital = v.hospital and m.kind = p.made and m.superseded_by is null
			where v.hospital = $1 and v.accepted_at >= $2 and v.accepted_at < $3 and v.kind in ('prescription.void', 'order.cancel') and v.superseded_by is null
		)
		select m.id, m.kind, m.key, m.accepted_at, `+toldBy+`, coalesce(v.id, 0), coalesce(v.told, ''), coalesce(v.state, '') not in ('', 'cancelled'),
			exists (select from hub.inbound i where i.hospital = m.hospital and i.kind = 'prescription.dispensed' and i.key = m.key || '/dispensed')
				or exists (select from hub.message d where d.key in (m.key || '/picked_up', m.key || '/shipped', m.key || '/delivered') and d.hospital = m.hospital
					and d.kind = 'prescription.dispense-status' and d.superseded_by is null and d.state = 'delivered'),
			exists (select from hub.inbound i where i.hospital = m.hospital and i.kind = 'prescription.dispensed' and i.key = m.key || '/returned')
				or exists (select from hub.message d where d.key = m.key || '/returned' and d.hospital = m.hospital
					and d.kind = 'prescription.dispense-status' and d.superseded_by is null and d.state = 'delivered'),
			b.sealed
		from record r join hub.message m on m.id = r.id join pair p on p.made = m.kind
		left join hub.queue q on q.message = m.id
		left join hub.body b on b.message = m.id and b.accepted_at = m.accepted_at
		left join lateral (
			select v.id, v.state, (select `+toldBy+` from hub.message m left join hub.queue q on q.message = m.id where m.id = v.id) as told
			from hub.message v where v.key = m.key and v.hospital = m.hospital and v.kind = p.void and v.superseded_by is null and not v.test limit 1) v on true
		where not m.test and m.superseded_by is null
		order by m.accepted_at, m.id`, hospital, from, to)
	if err != nil {
		return nil, err
	}
	type sealed struct {
		kind core.Kind
		body []byte
	}
	var bodies []sealed
	for rows.Next() {
		var p reconcile.Prescribed
		var b sealed
		var voided, dispensed, returned bool
		if err := rows.Scan(&p.Message, &b.kind, &p.Number, &p.At, &p.Told, &p.Void, &p.VoidTold, &voided, &dispensed, &returned, &b.body); err != nil {
			rows.Close()
			return nil, err
		}
		p.Type, p.Stage = reconcile.EntryPrescription, core.StageActive
		if b.kind == core.OrderCreate {
			p.Type = reconcile.EntryOrder
		}
		switch {
		case returned:
			p.Stage = core.StageReturned
		case voided:
			p.Stage = core.StageVoided
		case dispensed:
			p.Stage = core.StageDispensed
		}
		all, bodies = append(all, p), append(bodies, b)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i, b := range bodies {
		if b.body == nil {
			continue
		}
		body, err := s.openBody(ctx, b.body, hospital, b.kind, all[i].Number)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", all[i].Message, err)
		}
		switch r := body.(type) {
		case *core.Prescription:
			all[i].VisitNo, all[i].PatientNo, all[i].Amount = r.VisitNo, r.PatientNo, r.Amount
		case *core.Order:
			all[i].VisitNo, all[i].PatientNo, all[i].Amount = r.VisitNo, r.PatientNo, r.Amount
		}
	}
	return all, nil
}
