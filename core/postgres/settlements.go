package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core/reconcile"
)

// SaveSettlement implements reconcile.Store. The same again changes nothing.
func (s *Store) SaveSettlement(ctx context.Context, t reconcile.Settlement) error {
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `insert into hub.settlement as s (hospital, reference, channel, day, amount, who) values ($1, $2, $3, $4::text::date, $5, $6)
		on conflict (hospital, channel, reference) do update set day = excluded.day, amount = excluded.amount, who = excluded.who, at = clock_timestamp(),
			replaced = s.replaced || jsonb_build_object('day', s.day, 'amount', s.amount, 'who', s.who, 'at', s.at)
			where (s.day, s.amount) <> (excluded.day, excluded.amount)`,
			t.Hospital, clean(t.Reference), string(t.Channel), t.Day, int64(t.Amount), clean(t.Who))
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return record(ctx, tx, Act{Who: t.Who, Verb: "settle", Hospital: t.Hospital, Subject: "settlement " + t.Reference,
			Data: map[string]any{"channel": t.Channel, "day": t.Day, "amount": t.Amount}})
	})
	if err != nil {
		return fmt.Errorf("keep a settlement of hospital %s: %w", t.Hospital, err)
	}
	return nil
}

// Settlements implements reconcile.Store: those of the days from, to and between.
func (s *Store) Settlements(ctx context.Context, hospital, from, to string) ([]reconcile.Settlement, error) {
	rows, err := s.calm.Query(ctx, `select hospital, channel, to_char(day, 'YYYY-MM-DD'), amount, reference, who, at, nullif(replaced, '[]') from hub.settlement
		where hospital = $1 and day between $2::text::date and $3::text::date order by day, channel, reference`, hospital, from, to)
	var all []reconcile.Settlement
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[reconcile.Settlement])
	}
	if err != nil {
		return nil, fmt.Errorf("list settlements of hospital %s: %w", hospital, err)
	}
	return all, nil
}

// Refunds implements reconcile.Store: ours that were asked for in [from, to), each
// with when the newest bills of its channel have it as done. One that the channel
// refused is failed; a reversal moves no money and is not among them.
func (s *Store) Refunds(ctx context.Context, hospital string, from, to time.Time) ([]reconcile.RefundLine, error) {
	rows, err := s.calm.Query(ctx, `
		with bill as materialized (
			-- A bill of the day before may have it: its day is the channel's.
			select distinct on (day, source) id, day from hub.statement
			where hospital = $1 and party = 'channel' and day >= $2::timestamptz::date - 2 order by day, source, id desc
		)
		select l.number, l.order_id, l.channel, coalesce(nullif(l.channel_no, ''), a.channel_no, ''), l.amount, l.at,
			case when a.at is not null then 'done' when m.kind = 'channel.refund' and m.state = 'cancelled' then 'failed' else 'processing' end, a.at
		from hub.ledger_entry l left join hub.message m on m.id = l.message
		left join lateral (
			select coalesce(e.at, e.day::timestamptz) as at, e.channel_no from (
				select e.* from bill b join hub.statement_entry e on e.statement = b.id and e.day = b.day where e.type = 'refund' and e.number = l.number
				union all
				select e.* from bill b join hub.statement_entry e on e.statement = b.id and e.day = b.day
				where e.type = 'refund' and l.channel_no <> '' and e.channel_no = l.channel_no
			) e where e.state in ('', 'done') order by 1 limit 1) a on true
		where l.hospital = $1 and l.type = 'refund' and l.at >= $2 and l.at < $3 and not l.reversal
			and coalesce(not m.test and m.superseded_by is null, true)
		order by l.at, l.message`, hospital, from, to)
	var all []reconcile.RefundLine
	if err == nil {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r reconcile.RefundLine, err error) {
			var arrived *time.Time
			err = row.Scan(&r.Number, &r.OrderID, &r.Channel, &r.ChannelNo, &r.Amount, &r.AskedAt, &r.State, &arrived)
			if arrived != nil {
				r.ArrivedAt = *arrived
			}
			return r, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list refunds of hospital %s: %w", hospital, err)
	}
	return all, nil
}
