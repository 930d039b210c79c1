package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
)

// rights are what a member needs at the conversation's hospital whenever he reads or
// writes: who does not treat there any more has no conversations there.
var rights = map[string]clinic.Right{"patient": clinic.OwnRecords, "doctor": clinic.Treat}

// seat is somebody's place in a conversation.
type seat struct {
	role, patient string // patient: whose conversation it is, by our number
	closed        bool
}

// seat returns clinic.ErrNotFound unless the person is in the conversation, and may be. It
// tells the audit whose the conversation is, and where.
func (s *Service) seat(ctx context.Context, q querier, p clinic.Person, conversation string) (t seat, err error) {
	var hospital string
	err = q.QueryRow(ctx, `select m.role, c.patient, c.hospital, c.closed_at is not null from chat.member m join chat.conversation c on c.no = m.conversation
		where m.conversation = $1 and m.account = $2`, conversation, p.Account).Scan(&t.role, &t.patient, &hospital, &t.closed)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !p.May(rights[t.role], hospital) {
		return seat{}, clinic.ErrNotFound
	} else if err != nil {
		return seat{}, fmt.Errorf("read who is in a conversation: %w", err)
	}
	clinic.At(ctx, hospital)
	clinic.About(ctx, "conversation "+conversation, t.patient)
	return t, nil
}

// treats are the hospitals at which a person treats now, sorted.
func treats(p clinic.Person) (hospitals []string) {
	for _, g := range p.Grants {
		if g.Hospital != "" && (clinic.Person{Grants: []clinic.Grant{g}}).May(clinic.Treat, g.Hospital) {
			hospitals = append(hospitals, g.Hospital)
		}
	}
	slices.Sort(hospitals)
	return slices.Compact(hospitals)
}

// Conversations of a person, newest first: those that he may read.
func (s *Service) Conversations(ctx context.Context, p clinic.Person, limit int) ([]Conversation, error) {
	rows, err := s.Database.Query(ctx, `select c.no, c.hospital, c.subject, c.seq, m.read_seq, coalesce((select min(o.read_seq) from chat.member o where o.conversation = c.no and o.account <> $1), 0),
		c.closed_at is not null, c.created_at from chat.member m join chat.conversation c on c.no = m.conversation
		where m.account = $1 and (m.role = 'patient' and $3 or m.role = 'doctor' and c.hospital = any($4)) order by c.created_at desc limit $2`,
		p.Account, limit, p.May(clinic.OwnRecords, ""), treats(p))
	if err != nil {
		return nil, fmt.Errorf("list conversations: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Conversation])
}

// Seen says up to where a member has read; back is never.
func (s *Service) Seen(ctx context.Context, p clinic.Person, conversation string, seq int64) error {
	if _, err := s.seat(ctx, s.Database, p, conversation); err != nil {
		return err
	}
	if _, err := s.Database.Exec(ctx, `update chat.member m set read_seq = greatest(m.read_seq, least($3, c.seq)) from chat.conversation c
		where c.no = m.conversation and m.conversation = $1 and m.account = $2`, conversation, p.Account, seq); err != nil {
		return fmt.Errorf("note what was read: %w", err)
	}
	s.publish(ctx, conversation, Receipt{conversation, true})
	return nil
}

// Receipt tells that a member has read further; how far is in the list of conversations.
type Receipt struct {
	Conversation string `json:"conversation"`
	Read         bool   `json:"read"`
}

// publish tells the members, as JSON; who cannot be told syncs.
func (s *Service) publish(ctx context.Context, conversation string, what any) {
	if s.Live == nil {
		return
	}
	type member struct {
		Account        int64
		Role, Hospital string
	}
	rows, err := s.Database.Query(ctx, `select m.account, m.role, c.hospital from chat.member m join chat.conversation c on c.no = m.conversation where m.conversation = $1`, conversation)
	var members []member
	if err == nil {
		members, err = pgx.CollectRows(rows, pgx.RowToStructByPos[member])
	}
	var data []byte
	if err == nil {
		data, err = json.Marshal(what)
	}
	if err != nil {
		s.Log.Warn("tell of a message", "conversation", conversation, "error", err)
		return
	}
	for _, m := range members {
		if m.Role == "doctor" {
			s.Live.PublishAt(m.Account, m.Hospital, data)
		} else {
			s.Live.Publish(m.Account, data)
		}
	}
}
