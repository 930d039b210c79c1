package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
)

// ErrFourEyes is returned when a correction of money is not proposed by one
// person and approved by another.
var ErrFourEyes = errors.New("a correction of money takes a second person")

// Supersede replaces a message by a corrected one under the same business key,
// in the same place of its lane. It must be parked as rejected or invalid with
// nothing at the HIS, or cancelled. Errors: *Refusal; Problems when the correction
// is not valid or has another key; ErrFourEyes for money.
func (s *Store) Supersede(ctx context.Context, id int64, correction core.Body, who, note string) (core.Accepted, error) {
	return s.supersede(ctx, id, correction, who, note, nil)
}

// secondPerson is run in the transaction that supersedes; it finds or refuses
// the proposal.
type secondPerson func(ctx context.Context, m *subject) error

func (s *Store) supersede(ctx context.Context, id int64, correction core.Body, who, note string, second secondPerson) (a core.Accepted, err error) {
	data := map[string]any{}
	err = s.act(ctx, id, who, "supersede", note, data, func(ctx context.Context, m *subject) error {
		if err := m.correctable(correction); err != nil {
			return err
		}
		if t, _ := core.Lookup(m.kind); t.Money && second == nil {
			return ErrFourEyes
		}
		if second != nil {
			if err := second(ctx, m); err != nil {
				return err
			}
		}
		old, err := s.bodyOf(ctx, m.tx, m.id)
		switch {
		case err == nil:
			data["fields"] = differing(old, correction)
		case !errors.Is(err, ErrNotFound):
			return err
		}
		a.ID, err = m.replace(ctx, correction, delivery.Cancelled, nil)
		data["by"] = a.ID
		return err
	})
	return a, err
}

func (m *subject) correctable(correction core.Body) error {
	if m.supersededBy != 0 {
		return &Refusal{m.state, "it is superseded by message " + strconv.FormatInt(m.supersededBy, 10)}
	}
	switch {
	case m.refundNow:
		return &Refusal{m.state, "the HIS refused it for good and the money goes back; what is paid again is another order"}
	case m.state == delivery.Cancelled:
	case m.state != delivery.Parked:
		return &Refusal{m.state, "only a parked or cancelled one can be superseded"}
	case m.class != core.Rejected && m.class != core.Invalid || m.maybeThere():
		return &Refusal{m.state, "the HIS may have it; cancel or release it first"}
	}
	if err := (core.Message{Kind: m.kind, Body: correction}).Validate(); err != nil {
		return err
	}
	if correction.Key() != m.key {
		return core.Problems{{Field: "", What: "the business key differs from that of the message to be superseded"}}
	}
	if !m.s.Can(m.hospital, m.kind) {
		return core.ErrCannot
	}
	return nil
}

// replace writes the new message in the old one's place, which it leaves in this
// state. The new one begins with this progress; nil is nothing done.
func (m *subject) replace(ctx context.Context, correction core.Body, left delivery.State, begun *delivery.Progress) (id int64, err error) {
	content, err := json.Marshal(correction)
	if err != nil {
		return 0, err
	}
	if err := m.tx.QueryRow(ctx, `select nextval('hub.message_id')`).Scan(&id); err != nil {
		return 0, err
	}
	b := &pgx.Batch{}
	b.Queue(`delete from hub.queue where message = $1`, m.id)
	b.Queue(`update hub.message set superseded_by = $2, state = $3, decided_at = coalesce(decided_at, clock_timestamp()) where id = $1`, m.id, id, string(left))
	b.Queue(`insert into hub.message (id, hospital, kind, key, lane, place, digest, test, submission, trace, accepted_at, supersedes)
		select $2, hospital, kind, key, lane, place, $3, test, submission, trace, clock_timestamp(), id from hub.message where id = $1`, m.id, id, m.s.keys.Digest(content))
	b.Queue(`insert into hub.body (message, accepted_at, sealed) select id, accepted_at, $2 from hub.message where id = $1`,
		id, m.s.sealBody(m.hospital, m.kind, m.key, content))
	b.Queue(`insert into hub.found_by (token, message, accepted_at) select t.token, m.id, m.accepted_at from hub.message m, unnest($2::bigint[]) t(token) where m.id = $1`,
		id, m.s.FoundBy(correction, m.key, ""))
	// Not the head yet: the promotion that follows every act sees to that.
	var plain *string
	var secret []byte
	if begun != nil {
		plain, secret = m.s.sealProgress(id, *begun)
	}
	b.Queue(`insert into hub.queue (message, hospital, kind, key, lane, place, head, due, accepted_at, progress, secret)
		select id, hospital, kind, key, lane, place, false, accepted_at, accepted_at, $2, $3 from hub.message where id = $1`, id, plain, secret)
	if e := entryOf(correction); e != nil {
		b.Queue(`insert into hub.ledger_entry (message, hospital, at, type, number, channel, channel_no, amount, order_id, business, bill, reversal, told)
			select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
			from (select $2::text as hospital, $5::text as number) f where $14 <> 'channel.refund' or not `+refundKnown,
			id, m.hospital, e.At, string(e.Type), e.Number, string(e.Channel), e.ChannelNo, int64(e.Amount), e.OrderID, string(e.business), e.Bill, e.Reversal, !e.untold,
			string(m.kind))
	}
	b.Queue(`insert into hub.event (hospital, message, kind, key, type, data)
		select hospital, id, kind, key, $2, jsonb_strip_nulls(jsonb_build_object('submission', submission)) from hub.message where id = $1`, m.id, string(core.EventSuperseded))
	return id, m.tx.SendBatch(ctx, b).Close()
}

// Proposal is a correction that waits for a second person.
type Proposal struct {
	ID         int64
	Message    int64
	Hospital   string
	Kind       core.Kind
	Key        string
	Fields     []string // that differ from the present content
	Note       string
	ProposedBy string
	ProposedAt time.Time
}

// ProposeCorrection puts a correction up for another person's approval and returns its
// number. One proposal may be open for a message.
func (s *Store) ProposeCorrection(ctx context.Context, id int64, correction core.Body, who, note string) (proposal int64, err error) {
	data := map[string]any{}
	err = s.act(ctx, id, who, "propose", note, data, func(ctx context.Context, m *subject) error {
		if err := m.correctable(correction); err != nil {
			return err
		}
		content, err := json.Marshal(correction)
		if err != nil {
			return err
		}
		err = m.tx.QueryRow(ctx, `insert into hub.proposal (message, body, note, proposed_by) values ($1, $2, $3, $4)
			on conflict (message) where decided_at is null do nothing returning id`,
			m.id, s.sealText(string(content), sealedProposal, m.id), clean(note), who).Scan(&proposal)
		data["proposal"] = proposal
		if errors.Is(err, pgx.ErrNoRows) {
			return &Refusal{m.state, "another proposal for it is open"}
		}
		return err
	})
	return proposal, err
}

// Proposals lists the open ones of these hospitals (nil: all), oldest first.
func (s *Store) Proposals(ctx context.Context, hospitals []string) (all []Proposal, err error) {
	rows, err := s.calm.Query(ctx, `
		select p.id, p.message, m.hospital, m.kind, m.key, p.note, p.proposed_by, p.proposed_at, p.body
		from hub.proposal p join hub.message m on m.id = p.message
		where p.decided_at is null and ($1::text[] is null or m.hospital = any($1)) order by p.id`, hospitals)
	if err != nil {
		return nil, fmt.Errorf("list proposals: %w", err)
	}
	var bodies [][]byte
	for rows.Next() {
		var p Proposal
		var body []byte
		if err := rows.Scan(&p.ID, &p.Message, &p.Hospital, &p.Kind, &p.Key, &p.Note, &p.ProposedBy, &p.ProposedAt, &body); err != nil {
			rows.Close()
			return nil, fmt.Errorf("list proposals: %w", err)
		}
		all, bodies = append(all, p), append(bodies, body)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list proposals: %w", err)
	}
	for i := range all {
		if all[i].Fields, err = s.proposedFields(ctx, all[i], bodies[i]); err != nil {
			return nil, fmt.Errorf("read proposal %d: %w", all[i].ID, err)
		}
	}
	return all, nil
}

func (s *Store) proposedFields(ctx context.Context, p Proposal, sealed []byte) ([]string, error) {
	old, err := s.bodyOf(ctx, s.calm, p.Message)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		return nil, err
	}
	correction, err := s.openProposal(ctx, p.Message, p.Kind, sealed)
	if err != nil {
		return nil, err
	}
	return differing(old, correction), nil
}

func (s *Store) openProposal(ctx context.Context, message int64, kind core.Kind, sealed []byte) (core.Body, error) {
	content, err := s.openText(ctx, sealed, sealedProposal, message)
	if err != nil {
		return nil, err
	}
	return decodeStored(kind, []byte(content))
}

// Proposed is the content of an open proposal. It names patients.
func (s *Store) Proposed(ctx context.Context, proposal int64) (message int64, correction core.Body, err error) {
	var sealed []byte
	var kind core.Kind
	err = s.calm.QueryRow(ctx, `select p.message, m.kind, p.body from hub.proposal p join hub.message m on m.id = p.message
		where p.id = $1 and p.decided_at is null`, proposal).Scan(&message, &kind, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err == nil {
		correction, err = s.openProposal(ctx, message, kind, sealed)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read proposal %d: %w", proposal, err)
	}
	return message, correction, nil
}

// ApproveCorrection supersedes the message as proposed. ErrFourEyes when who proposed it;
// ErrNotFound when it is not open (any more).
func (s *Store) ApproveCorrection(ctx context.Context, proposal int64, who, note string) (core.Accepted, error) {
	message, correction, err := s.Proposed(ctx, proposal)
	if err != nil {
		return core.Accepted{}, err
	}
	return s.supersede(ctx, message, correction, who, note, func(ctx context.Context, m *subject) error {
		return closeProposal(ctx, m.tx, proposal, who, true)
	})
}

// RejectCorrection closes a proposal without its coming true. Who proposed it may do so too.
func (s *Store) RejectCorrection(ctx context.Context, proposal int64, who, note string) error {
	message, _, err := s.Proposed(ctx, proposal)
	if err != nil {
		return err
	}
	return s.act(ctx, message, who, "reject", note, map[string]any{"proposal": proposal}, func(ctx context.Context, m *subject) error {
		return closeProposal(ctx, m.tx, proposal, who, false)
	})
}

func closeProposal(ctx context.Context, tx pgx.Tx, proposal int64, who string, approved bool) error {
	var by string
	err := tx.QueryRow(ctx, `update hub.proposal set decided_by = $2, decided_at = clock_timestamp(), approved = $3
		where id = $1 and decided_at is null returning proposed_by`, proposal, who, approved).Scan(&by)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	if err == nil && approved && samePerson(who, by) {
		return ErrFourEyes
	}
	return err
}

// samePerson reports whether two records may be of one pair of eyes: two keys of one
// name are, and a key with the name of an account. Two accounts never are, whatever
// they are called.
func samePerson(a, b string) bool {
	nameA, accountA := person(a)
	nameB, accountB := person(b)
	if accountA != "" && accountB != "" {
		return accountA == accountB
	}
	return nameA == nameB
}

// person is who without the key that was used, however the name is written; account is
// "" for keys.
func person(who string) (name, account string) {
	name, _, _ = strings.Cut(who, " (key ")
	if i := strings.LastIndex(name, " (account "); i >= 0 {
		name, account = name[:i], name[i:]
	}
	return strings.ToLower(strings.Join(strings.Fields(name), " ")), account
}
