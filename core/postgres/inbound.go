package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/inbound"
	"hishub/core/reconcile"
)

var _ inbound.Store = (*Store)(nil)

// Arrive implements inbound.Store. Two at the same moment meet at the unique
// index: the second waits for the first and finds it.
func (s *Store) Arrive(ctx context.Context, f inbound.Fact, content []byte, r *core.Resolution) (out inbound.Stored, err error) {
	body, err := json.Marshal(f.Body)
	var books *pushed
	if push, ok := f.Body.(*core.LedgerPush); ok && err == nil {
		books, err = s.pushed(ctx, f.Hospital, push)
		defer books.close()
	}
	if err == nil {
		err = s.inTransaction(ctx, func(tx pgx.Tx) error {
			out, err = s.arrive(ctx, tx, f, body, s.keys.Digest(content), r)
			if err == nil && books != nil {
				err = books.keep(ctx, tx)
			}
			return err
		})
	}
	if err != nil {
		return inbound.Stored{}, fmt.Errorf("keep a %s of hospital %s: %w", f.Kind, f.Hospital, err)
	}
	return out, nil
}

func (s *Store) arrive(ctx context.Context, tx pgx.Tx, f inbound.Fact, body, digest []byte, r *core.Resolution) (inbound.Stored, error) {
	key, state, message := f.Body.Key(), "open", ""
	if r != nil {
		state, message = string(r.State), clean(r.Message)
	}
	var id int64
	var arrived time.Time
	err := tx.QueryRow(ctx, `
		insert into hub.inbound (id, hospital, kind, key, state, message, digest, decided_at)
		values (nextval('hub.message_id'), $1, $2, $3, $4, $5, $6, case when $4 <> 'open' then clock_timestamp() end)
		on conflict (hospital, kind, key) do nothing returning id, arrived_at`,
		f.Hospital, f.Kind, key, state, message, digest).Scan(&id, &arrived)
	if errors.Is(err, pgx.ErrNoRows) {
		out, err := s.again(ctx, tx, f, digest)
		if err == nil && out.Other && f.Kind == core.LedgerPushed {
			out.Other = false
			err = s.replaceArrived(ctx, tx, out.ID, f, body, digest)
		}
		return out, err
	}
	if err != nil {
		return inbound.Stored{}, err
	}
	if _, err := tx.Exec(ctx, `insert into hub.body (message, accepted_at, sealed) values ($1, $2, $3)`, id, arrived, s.sealBody(f.Hospital, f.Kind, key, body)); err != nil {
		return inbound.Stored{}, err
	}
	if tokens := s.FoundBy(f.Body, key, ""); len(tokens) > 0 {
		if _, err := tx.Exec(ctx, insertFoundBy, tokens, id, arrived); err != nil {
			return inbound.Stored{}, err
		}
	}
	out := inbound.Stored{ID: id, Number: 1, Open: r == nil}
	if r != nil {
		out.Resolution = *r
	}
	if answersOnly(f.Kind) {
		return out, nil // a question is nobody's news
	}
	return out, announce(ctx, tx, id, f, core.EventArrived(f.Kind), nil)
}

// replaceArrived: the HIS sends its books of a day again, with other content,
// which takes the place of what it sent before.
func (s *Store) replaceArrived(ctx context.Context, tx pgx.Tx, id int64, f inbound.Fact, body, digest []byte) error {
	_, err := tx.Exec(ctx, `update hub.inbound set digest = $2, conflicts = conflicts - 1, decided_at = clock_timestamp() where id = $1`, id, digest)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update hub.body b set sealed = $2 from hub.inbound i where i.id = $1 and b.message = i.id and b.accepted_at = i.arrived_at`,
		id, s.sealBody(f.Hospital, f.Kind, f.Body.Key(), body))
	if err != nil {
		return err
	}
	return announce(ctx, tx, id, f, core.EventArrived(f.Kind), nil)
}

// pushed are books that a HIS sent by itself, ready to be kept.
type pushed struct {
	reconcile.Statement
	*spool
}

func (s *Store) pushed(ctx context.Context, hospital string, push *core.LedgerPush) (*pushed, error) {
	sp, err := spoolOf(push.Day, func(yield func(reconcile.Entry, error) bool) {
		for _, e := range push.Entries {
			if !yield(reconcile.Entry{LedgerEntry: e}, nil) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	p := &pushed{reconcile.Statement{Hospital: hospital, Day: push.Day, Party: reconcile.HIS, Source: string(core.LedgerPushed)}, sp}
	return p, s.partitionOf(ctx, push.Day)
}

func (p *pushed) keep(ctx context.Context, tx pgx.Tx) error {
	_, err := saveStatement(ctx, tx, p.Statement, p.spool)
	return err
}

func (p *pushed) close() {
	if p != nil {
		p.spool.close()
	}
}

// answersOnly: of a question neither event nor answer is kept, only that and how
// it was asked.
func answersOnly(k core.Kind) bool { return k == core.RefundQueried || k == core.LedgerPulled }

func (s *Store) again(ctx context.Context, tx pgx.Tx, f inbound.Fact, digest []byte) (inbound.Stored, error) {
	var known []byte
	out, err := scanStored(tx.QueryRow(ctx, `
		update hub.inbound set times = times + 1, conflicts = conflicts + case when digest = $4 then 0 else 1 end
		where hospital = $1 and kind = $2 and key = $3 returning id, times, state, message, answer, digest`,
		f.Hospital, f.Kind, f.Body.Key(), digest), f.Kind, &known)
	out.Other = err == nil && !slices.Equal(known, digest)
	return out, err
}

func scanStored(row pgx.Row, kind core.Kind, digest *[]byte) (out inbound.Stored, err error) {
	var answer []byte
	var state string
	if err := row.Scan(&out.ID, &out.Number, &state, &out.Message, &answer, digest); err != nil {
		return inbound.Stored{}, err
	}
	if state == "open" {
		out.Open = true
		return out, nil
	}
	out.State = core.ResultState(state)
	if answer != nil {
		t, _ := core.Lookup(kind)
		out.Answer = t.Answer()
		err = json.Unmarshal(answer, out.Answer)
	}
	return out, err
}

// announce adds the event of a fact.
func announce(ctx context.Context, tx pgx.Tx, id int64, f inbound.Fact, e core.EventType, r *core.Resolution) error {
	var result, reason string
	var receipt []byte
	if r != nil {
		result, reason = string(r.State), clean(r.Message)
		if a, ok := r.Answer.(*core.Receipt); ok && a != nil {
			var err error
			if receipt, err = json.Marshal(storable(a)); err != nil {
				return err
			}
		}
	}
	_, err := tx.Exec(ctx, `insert into hub.event (hospital, message, kind, key, type, data) values ($1, 0, $2, $3, $4,
		jsonb_strip_nulls(jsonb_build_object('inbound', $5::bigint, 'result', nullif($6, ''), 'reason', nullif($7, ''), 'receipt', $8::jsonb)))`,
		f.Hospital, f.Kind, f.Body.Key(), string(e), id, result, reason, nullJSON(receipt))
	return err
}

func nullJSON(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

// Decide implements inbound.Store.
func (s *Store) Decide(ctx context.Context, id int64, f inbound.Fact, r core.Resolution) (core.Resolution, error) {
	err := s.inTransaction(ctx, func(tx pgx.Tx) error { return s.decide(ctx, tx, id, f, &r) })
	if err != nil {
		return core.Resolution{}, fmt.Errorf("decide %s %d: %w", f.Kind, id, err)
	}
	return r, nil
}

func (s *Store) decide(ctx context.Context, tx pgx.Tx, id int64, f inbound.Fact, r *core.Resolution) error {
	var answer []byte
	if a, ok := r.Answer.(*core.Receipt); ok && a != nil {
		var err error
		if answer, err = json.Marshal(storable(a)); err != nil {
			return err
		}
	}
	tag, err := tx.Exec(ctx, `update hub.inbound set state = $2, message = $3, answer = $4::jsonb, decided_at = clock_timestamp() where id = $1 and state = 'open'`,
		id, string(r.State), clean(r.Message), nullJSON(answer))
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 { // somebody was faster; what the HIS was told stays
		var digest []byte
		first, err := scanStored(tx.QueryRow(ctx, `select id, times, state, message, answer, digest from hub.inbound where id = $1`, id), f.Kind, &digest)
		if err != nil {
			return err
		}
		*r = first.Resolution
		return nil
	}
	if err := bookWindowRefund(ctx, tx, id, f, *r); err != nil {
		return err
	}
	return announce(ctx, tx, id, f, core.EventDecided, r)
}

// bookWindowRefund makes a refund that the window started one of ours, so that a
// night does not find it at the HIS only. One that the app had started is in the
// ledger by its own message; one that only a channel was told of becomes this one,
// as the HIS has it too. A reversal is left out of nights.
func bookWindowRefund(ctx context.Context, tx pgx.Tx, id int64, f inbound.Fact, r core.Resolution) error {
	refund, ok := f.Body.(*core.WindowRefund)
	receipt, _ := r.Answer.(*core.Receipt)
	if !ok || r.State != core.ResultDone || refund.Reversal || receipt == nil || receipt.Number == "" {
		return nil
	}
	number := clean(receipt.Number)
	// The channel may be told of it at this moment.
	if err := lock(ctx, tx, keyLock(f.Hospital, core.PayBack, number)); err != nil {
		return err
	}
	order, channel, business, err := paymentOf(ctx, tx, f.Hospital, refund)
	if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
		update hub.ledger_entry l set message = $1, told = true, business = $4 where l.type = 'refund' and l.number = $3 and l.hospital = $2 and not l.told
			and exists (select from hub.message c where c.id = l.message and c.kind = 'channel.refund' and c.superseded_by is null)`, id, f.Hospital, number, business)
	if err != nil || tag.RowsAffected() > 0 {
		return err
	}
	at := &refund.At
	if refund.At.IsZero() {
		at = nil
	}
	_, err = tx.Exec(ctx, `
		insert into hub.ledger_entry (message, hospital, at, type, number, channel, channel_no, amount, order_id, business)
		select $1, $2, coalesce($3, clock_timestamp()), 'refund', $4, $6, '', $5, $7, $8
		where not exists (select from hub.ledger_entry where hospital = $2 and type = 'refund' and number = $4)`,
		id, f.Hospital, at, number, int64(refund.Amount), channel, order, business)
	return err
}

// paymentOf finds the payment that a window gave back, by whichever number of it
// the HIS keeps; empty when it is none of ours. Business is outpatient then.
func paymentOf(ctx context.Context, tx pgx.Tx, hospital string, r *core.WindowRefund) (order, channel, business string, err error) {
	for _, way := range []struct{ number, find string }{
		{r.OrderID, `hub.message m join hub.ledger_entry l on l.message = m.id and l.type = 'payment'
			where m.key = any(array[$2, 'payment ' || $2]) and m.hospital = $1 and m.kind in ('payment.settle', 'appointment.pay', 'ledger.record') and m.superseded_by is null`},
		{r.HisNo, `hub.his_no h join hub.ledger_entry l on l.message = h.message and l.type = 'payment' where h.his_no = $2 and h.hospital = $1`},
		// Rare, and read along the days: an index would cost each payment something.
		{r.ChannelNo, `hub.ledger_entry l where l.hospital = $1 and l.type = 'payment' and l.channel_no = $2 and l.at > clock_timestamp() - interval '400 days'`},
	} {
		if way.number == "" {
			continue
		}
		err = tx.QueryRow(ctx, `select l.number, l.channel, l.business from `+way.find+` order by l.at desc limit 1`, hospital, clean(way.number)).Scan(&order, &channel, &business)
		if !errors.Is(err, pgx.ErrNoRows) {
			return order, channel, business, err
		}
	}
	return clean(r.OrderID), "", string(reconcile.Outpatient), nil
}

// Look implements inbound.Store.
func (s *Store) Look(ctx context.Context, hospital string, kind core.Kind, key string) (inbound.Stored, error) {
	var digest []byte
	out, err := scanStored(s.calm.QueryRow(ctx, `select id, times, state, message, answer, digest from hub.inbound
		where hospital = $1 and kind = $2 and key = $3`, hospital, kind, key), kind, &digest)
	if errors.Is(err, pgx.ErrNoRows) {
		return inbound.Stored{}, nil
	}
	if err != nil {
		return inbound.Stored{}, fmt.Errorf("look for a %s: %w", kind, err)
	}
	return out, nil
}

// Said implements inbound.Store: exchanges of both directions are kept alike.
func (s *Store) Said(ctx context.Context, id int64, number int, request, answer []byte) error {
	whose := strconv.FormatInt(id, 10)
	_, err := s.calm.Exec(ctx, `insert into hub.exchange (message, number, request, answer) values ($1, $2, $3, $4)`,
		id, number, s.keys.Seal(request, sealedRequest, whose), s.keys.Seal(answer, sealedAnswer, whose))
	if err != nil {
		return fmt.Errorf("keep exchange %d of inbound %d: %w", number, id, err)
	}
	return nil
}

// Booked implements inbound.Store: what a night calls ours, without what was
// cancelled before it took effect and what the HIS need not have.
func (s *Store) Booked(ctx context.Context, hospital string, from, to time.Time) ([]core.LedgerEntry, error) {
	all := []core.LedgerEntry{}
	for e, err := range s.Ours(ctx, hospital, from, to) {
		if err != nil {
			return nil, err
		}
		if e.Told != delivery.Cancelled && !e.NoHIS {
			all = append(all, e.LedgerEntry)
		}
	}
	return all, nil
}

// Inbound is what a HIS told us, for people.
type Inbound struct {
	ID        int64
	Hospital  string
	Kind      core.Kind
	Key       string
	State     string // open, done, refused
	Message   string
	Receipt   *core.Receipt
	Times     int
	Conflicts int
	ArrivedAt time.Time
	DecidedAt *time.Time
}

// InboundFilter narrows a list; zero values do not.
type InboundFilter struct {
	Hospitals []string // nil: all
	Kind      core.Kind
	State     string
	Key       string
	Before    int64
	Limit     int
}

const inboundColumns = `id, hospital, kind, key, state, message, answer, times, conflicts, arrived_at, decided_at`

func inboundKinds() (kinds []string) {
	for _, t := range core.Catalogue {
		if t.Mode == core.Inbound {
			kinds = append(kinds, string(t.Kind))
		}
	}
	return kinds
}

// ListInbound lists what came in, newest first.
func (s *Store) ListInbound(ctx context.Context, f InboundFilter) ([]Inbound, error) {
	// Only what is given stands in the statement, so that its plan is for that.
	q := &query{}
	q.text.WriteString(`select ` + inboundColumns + ` from hub.inbound where true`)
	if f.Key != "" && f.Hospitals == nil {
		q.text.WriteString(` and hospital in (select id from hub.hospital)`) // the index of keys begins with it
	}
	switch {
	case len(f.Hospitals) == 1:
		q.add(` and hospital = (?::text[])[1]`, f.Hospitals) // so that its index gives an order
	case f.Hospitals != nil:
		q.add(` and hospital = any(?)`, f.Hospitals)
	}
	kinds := inboundKinds()
	if f.Kind != "" {
		kinds = []string{string(f.Kind)}
	}
	if f.Kind != "" || f.Key != "" {
		q.add(` and kind = any(?)`, kinds)
	}
	if f.Key != "" {
		q.add(` and key = ?`, f.Key)
	}
	if f.State == "open" {
		q.text.WriteString(` and state = 'open'`)
	} else if f.State != "" {
		q.add(` and state = ?`, f.State)
	}
	if f.Before > 0 {
		q.add(` and id < ?`, f.Before)
	}
	rows, err := s.calm.Query(ctx, q.add(` order by id desc limit ?`, f.Limit).text.String(), q.args...)
	var all []Inbound
	if err == nil {
		all, err = pgx.CollectRows(rows, scanInbound)
	}
	if err != nil {
		return nil, fmt.Errorf("list what came in: %w", err)
	}
	return all, nil
}

func scanInbound(row pgx.CollectableRow) (in Inbound, err error) {
	var answer []byte
	if err := row.Scan(&in.ID, &in.Hospital, &in.Kind, &in.Key, &in.State, &in.Message, &answer, &in.Times, &in.Conflicts, &in.ArrivedAt, &in.DecidedAt); err != nil {
		return in, err
	}
	return in, readJSON(answer, &in.Receipt)
}

// InboundByID returns one with its content; the body is nil once it is past its
// retention. ErrNotFound when there is none.
func (s *Store) InboundByID(ctx context.Context, id int64) (Inbound, core.Body, error) {
	in, body, err := s.inboundByID(ctx, id)
	if err != nil {
		return in, nil, fmt.Errorf("read inbound %d: %w", id, err)
	}
	return in, body, nil
}

func (s *Store) inboundByID(ctx context.Context, id int64) (in Inbound, body core.Body, err error) {
	rows, err := s.calm.Query(ctx, `select `+inboundColumns+` from hub.inbound where id = $1`, id)
	if err == nil {
		in, err = pgx.CollectExactlyOneRow(rows, scanInbound)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return in, nil, ErrNotFound
	}
	if err != nil {
		return in, nil, err
	}
	var sealed []byte
	err = s.calm.QueryRow(ctx, `select sealed from hub.body where message = $1`, id).Scan(&sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return in, nil, nil
	}
	if err == nil {
		body, err = s.openBody(ctx, sealed, in.Hospital, in.Kind, in.Key)
	}
	return in, body, err
}

// InboundExchanges are the last 50 times that something came, newest first.
func (s *Store) InboundExchanges(ctx context.Context, id int64) ([]ExchangeBytes, error) {
	all, err := s.exchanges(ctx, s.calm, id, 0)
	if err != nil {
		return nil, fmt.Errorf("read the exchanges of inbound %d: %w", id, err)
	}
	return all, nil
}
