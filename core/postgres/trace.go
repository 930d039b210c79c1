package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/incident"
	"hishub/core/reconcile"
)

// Trace is everything that is kept about one message, but for what names a patient:
// its body, and the bytes of its exchanges.
type Trace struct {
	Message   Message
	Attempts  []Attempt
	Decisions []Decision
	// Events told of it, in the order of the feed; those past their retention are gone.
	Events []core.Event
	// Links are the messages under the same key that it replaces, or that replace it,
	// oldest first.
	Links []Message
	// Entry is the money that it tells of, nil for none.
	Entry *TracedEntry
	// Cases of nights about its number, newest first.
	Cases []reconcile.Case
	// Inbound is what the HIS told us of the same numbers, oldest first.
	Inbound []Inbound
	// Incidents of its hospital while it was on its way, newest first.
	Incidents []incident.Incident
}

// TracedEntry is a line of our ledger.
type TracedEntry struct {
	core.LedgerEntry
	Business string `json:"business"`
	// Told is false when the HIS is not told of it.
	Told bool `json:"told"`
}

// traced bounds each part of a trace; no message comes near.
const traced = 200

// Trace gathers what became of a message through all its hops. ErrNotFound when there
// is none.
func (s *Store) Trace(ctx context.Context, id int64) (t Trace, err error) {
	if t.Message, t.Attempts, err = s.Message(ctx, id); err != nil {
		return Trace{}, err
	}
	for _, part := range []func(context.Context, *Trace) error{s.traceDecisions, s.traceEvents, s.traceLinks, s.traceEntry, s.traceCases, s.traceInbound, s.traceIncidents} {
		if err := part(ctx, &t); err != nil {
			return Trace{}, fmt.Errorf("trace message %d: %w", id, err)
		}
	}
	return t, nil
}

func (s *Store) traceDecisions(ctx context.Context, t *Trace) (err error) {
	t.Decisions, err = s.Decisions(ctx, t.Message.ID)
	return err
}

func (s *Store) traceEvents(ctx context.Context, t *Trace) error {
	rows, err := s.calm.Query(ctx, `select `+eventColumns+` from hub.event where message = $1 and message <> 0 and at >= $2 order by event.xid, event.id limit $3`,
		t.Message.ID, t.Message.AcceptedAt.Add(-skew), traced)
	if err != nil {
		return err
	}
	t.Events, err = s.scanEvents(ctx, rows)
	return err
}

func (s *Store) traceLinks(ctx context.Context, t *Trace) error {
	var before, after []Message
	for id := t.Message.Supersedes; id != 0 && len(before) < traced; {
		m, err := s.message(ctx, id)
		if err != nil {
			return err
		}
		before, id = append(before, m), m.Supersedes
	}
	for id := t.Message.SupersededBy; id != 0 && len(after) < traced; {
		m, err := s.message(ctx, id)
		if err != nil {
			return err
		}
		after, id = append(after, m), m.SupersededBy
	}
	for i := len(before) - 1; i >= 0; i-- {
		t.Links = append(t.Links, before[i])
	}
	t.Links = append(t.Links, after...)
	return nil
}

func (s *Store) traceEntry(ctx context.Context, t *Trace) error {
	var e TracedEntry
	err := s.calm.QueryRow(ctx, `select type, number, order_id, channel, channel_no, amount, at, reversal, bill, business, told from hub.ledger_entry where message = $1`, t.Message.ID).
		Scan(&e.Type, &e.Number, &e.OrderID, &e.Channel, &e.ChannelNo, &e.Amount, &e.At, &e.Reversal, &e.Bill, &e.Business, &e.Told)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	t.Entry = &e
	return err
}

func (s *Store) traceCases(ctx context.Context, t *Trace) error {
	numbers := []string{t.Message.Key}
	if t.Entry != nil {
		numbers = core.Distinct([]string{t.Message.Key, t.Entry.Number})
	}
	rows, err := s.calm.Query(ctx, `select `+caseColumns+` from hub.case c where c.number = any($1) and c.hospital = $2 order by c.id desc limit $3`,
		numbers, t.Message.Hospital, traced)
	if err == nil {
		t.Cases, err = pgx.CollectRows(rows, scanCase)
	}
	if err != nil {
		return err
	}
	return s.withRepairs(ctx, t.Cases)
}

// traceInbound looks by what the HIS may call it: our number, and its own.
func (s *Store) traceInbound(ctx context.Context, t *Trace) error {
	numbers := []string{t.Message.Key}
	if t.Message.Receipt != nil {
		numbers = append(numbers, t.Message.Receipt.HisNo)
	}
	var keys []string
	var tokens []int64
	for _, n := range core.Distinct(numbers) {
		keys = append(keys, n, n+"/dispensed", n+"/returned")
		tokens = append(tokens, s.numberToken(n))
	}
	rows, err := s.calm.Query(ctx, `select `+inboundColumns+` from hub.inbound i where i.hospital = $1 and i.id in (
			select id from hub.inbound where hospital = $1 and kind = any($2) and key = any($3)
			union all (select message from hub.found_by where token = any($4) order by message desc limit $5))
		order by i.id limit $5`, t.Message.Hospital, inboundKinds(), keys, tokens, traced)
	if err == nil {
		t.Inbound, err = pgx.CollectRows(rows, scanInbound)
	}
	return err
}

// traceIncidents are those that were open between its acceptance and its end, among the
// last that were opened by then.
func (s *Store) traceIncidents(ctx context.Context, t *Trace) (err error) {
	end := time.Now().Add(24 * time.Hour)
	if t.Message.DecidedAt != nil {
		end = *t.Message.DecidedAt
	}
	t.Incidents, err = s.incidents(ctx, `id in (
			select id from (select id, resolved_at from hub.incident where hospital = $1 and opened_at <= $3 order by hospital desc, opened_at desc limit $4) i
			where resolved_at is null or resolved_at >= $2) order by id desc`,
		t.Message.Hospital, t.Message.AcceptedAt, end, traced)
	return err
}
