package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// maxText is how many characters a message has at most.
const maxText = 2000

// body is what is sealed of a message.
type body struct {
	Text   string `json:"text,omitempty"`
	Image  string `json:"image,omitempty"`
	About  string `json:"about,omitempty"`
	Number string `json:"number,omitempty"`
}

// New is a message to be sent.
type New struct {
	ClientID string `json:"client_id" minLength:"1" maxLength:"64" doc:"one's own number of the message: sent again, it is the same message"`
	Kind     Kind   `json:"kind" enum:"text,image"`
	Text     string `json:"text,omitempty" maxLength:"8000"`
	Image    string `json:"image,omitempty" maxLength:"64" doc:"number of a picture that one has put into the conversation within a day"`
}

func (n New) check() error {
	switch {
	case n.ClientID == "":
		return core.Problems{{Field: "client_id", What: "missing"}}
	case n.Kind == Text && strings.TrimSpace(n.Text) == "":
		return core.Problems{{Field: "text", What: "missing"}}
	case utf8.RuneCountInString(n.Text) > maxText:
		return core.Problems{{Field: "text", What: fmt.Sprintf("has more than %d characters", maxText)}}
	case n.Kind == Image && n.Image == "":
		return core.Problems{{Field: "image", What: "missing"}}
	case n.Kind != Text && n.Kind != Image:
		return core.Problems{{Field: "kind", What: "is neither text nor image"}}
	}
	return nil
}

// body is what of it counts for its kind.
func (n New) body() body {
	if n.Kind == Text {
		n.Image = ""
	}
	return body{Text: n.Text, Image: n.Image}
}

// Send a message as a member. The same client id again is the same message.
func (s *Service) Send(ctx context.Context, p clinic.Person, conversation string, n New) (Message, error) {
	if err := n.check(); err != nil {
		return Message{}, err
	}
	var m Message
	err := pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) (err error) {
		m, err = s.append(ctx, tx, conversation, p, n.ClientID, n.Kind, n.body())
		return err
	})
	if err != nil {
		return m, fmt.Errorf("send message: %w", err)
	}
	s.publish(ctx, conversation, m)
	return m, nil
}

// append writes the next message, in the order in which the conversation's row is held.
func (s *Service) append(ctx context.Context, tx pgx.Tx, conversation string, p clinic.Person, clientID string, kind Kind, b body) (Message, error) {
	m := Message{Conversation: conversation, ClientID: clientID, Kind: kind, Text: b.Text, Image: b.Image, About: b.About, Number: b.Number, From: "system"}
	var last int64
	err := tx.QueryRow(ctx, `select seq from chat.conversation where no = $1 for update`, conversation).Scan(&last)
	if errors.Is(err, pgx.ErrNoRows) {
		return m, clinic.ErrNotFound
	} else if err != nil {
		return m, err
	}
	if p.Account != nobody.Account {
		known, err := s.written(ctx, tx, conversation, p, &m)
		if err != nil || known {
			return m, err
		}
	}
	m.Seq = last + 1
	text, err := json.Marshal(b)
	if err != nil {
		return m, err
	}
	sealed, err := s.Vault.Seal(text, "chat", fmt.Sprintf("%s/%d", conversation, m.Seq))
	if err != nil {
		return m, err
	}
	if _, err := tx.Exec(ctx, `update chat.conversation set seq = $2 where no = $1`, conversation, m.Seq); err != nil {
		return m, err
	}
	err = tx.QueryRow(ctx, `insert into chat.message (conversation, seq, at, sender, client_id, kind, body) values ($1, $2, clock_timestamp(), $3, $4, $5, $6) returning at`,
		conversation, m.Seq, p.Account, clientID, kind, sealed).Scan(&m.At)
	return m, err
}

// written is what a member's message must pass: m becomes the one that it repeats, if known.
func (s *Service) written(ctx context.Context, tx pgx.Tx, conversation string, p clinic.Person, m *Message) (known bool, err error) {
	seat, err := s.seat(ctx, tx, p, conversation)
	if err != nil {
		return false, err
	}
	m.From = seat.role
	before, err := s.list(ctx, tx, `m.conversation = $1 and m.sender = $2 and m.client_id = $3`, conversation, p.Account, m.ClientID)
	if err != nil {
		return false, err
	}
	switch {
	case len(before) > 0 && (before[0].Kind != m.Kind || before[0].Text != m.Text || before[0].Image != m.Image):
		return false, fmt.Errorf("%w: this client id was used for another message", clinic.ErrState)
	case len(before) > 0:
		*m = before[0]
		return true, nil
	case seat.closed:
		return false, errOver
	case m.Kind == Image:
		return false, s.show(ctx, tx, conversation, p.Account, m.Image)
	}
	return false, nil
}

var errOver = fmt.Errorf("%w: the conversation is over", clinic.ErrState)

// Sync gives a member what came after a message, in order, at most limit.
func (s *Service) Sync(ctx context.Context, p clinic.Person, conversation string, after int64, limit int) ([]Message, error) {
	if _, err := s.seat(ctx, s.Database, p, conversation); err != nil {
		return nil, err
	}
	return s.list(ctx, s.Database, `m.conversation = $1 and m.seq > $2 order by m.seq limit $3`, conversation, after, limit)
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func (s *Service) list(ctx context.Context, q querier, where string, args ...any) ([]Message, error) {
	rows, err := q.Query(ctx, `select m.conversation, m.seq, m.at, coalesce(p.role, 'system'), m.client_id, m.kind, m.body from chat.message m
		left join chat.member p on p.conversation = m.conversation and p.account = m.sender where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Message, err error) {
		var sealed []byte
		if err := row.Scan(&m.Conversation, &m.Seq, &m.At, &m.From, &m.ClientID, &m.Kind, &sealed); err != nil {
			return m, err
		}
		text, err := s.Vault.Open(sealed, "chat", fmt.Sprintf("%s/%d", m.Conversation, m.Seq))
		var b body
		if err == nil {
			err = json.Unmarshal(text, &b)
		}
		if err != nil {
			return m, fmt.Errorf("read message %d of %s: %w", m.Seq, m.Conversation, err)
		}
		m.Text, m.Image, m.About, m.Number = b.Text, b.Image, b.About, b.Number
		return m, nil
	})
}
