// Package chat is the conversation of a consultation: messages in one order without a
// gap, first in PostgreSQL, then to whoever is listening. Nobody reads a conversation
// that he is not in.
package chat

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Kind of a message.
type Kind string

// The kinds.
const (
	Text  Kind = "text"
	Image Kind = "image" // a picture of the image library, under its rules
	Card  Kind = "card"  // something that happened: a prescription, an order, the end
)

// Message of a conversation.
type Message struct {
	Conversation string    `json:"conversation"`
	Seq          int64     `json:"seq" doc:"1, 2, 3 … without a gap"`
	At           time.Time `json:"at"`
	From         string    `json:"from" enum:"patient,doctor,system"`
	ClientID     string    `json:"client_id,omitempty" doc:"the sender's own"`
	Kind         Kind      `json:"kind" enum:"text,image,card"`
	Text         string    `json:"text,omitempty"`
	Image        string    `json:"image,omitempty" doc:"number of the picture"`
	About        string    `json:"about,omitempty" doc:"of a card: prescription, order, consult"`
	Number       string    `json:"number,omitempty" doc:"of a card: its number"`
}

// body is what is sealed of a message.
type body struct {
	Text   string `json:"text,omitempty"`
	Image  string `json:"image,omitempty"`
	About  string `json:"about,omitempty"`
	Number string `json:"number,omitempty"`
}

// Conversation as a member sees it.
type Conversation struct {
	No       string    `json:"no"`
	Hospital string    `json:"hospital"`
	Subject  string    `json:"subject" doc:"the consultation"`
	Seq      int64     `json:"seq" doc:"of its last message"`
	Read     int64     `json:"read" doc:"up to where one has read"`
	PeerRead int64     `json:"peer_read" doc:"up to where the other has"`
	Closed   bool      `json:"closed"`
	Created  time.Time `json:"created_at"`
}

// Live carries what is new to an account, wherever it listens. What it loses is synced.
type Live interface {
	Publish(account int64, data []byte)
}

// Images is the image library: whether an account may show a picture. Nil: there is no
// library, and no picture can be sent.
type Images interface {
	MayShow(ctx context.Context, account int64, image string) error
}

// Service is the module.
type Service struct {
	*clinic.Clinic
	Live   Live // nil: members see what is new when they ask
	Images Images
}

//go:embed *.sql
var schema embed.FS

// Migrate makes the module's schema and the months that are near.
func (s *Service) Migrate(ctx context.Context) error {
	if err := clinic.Migrate(ctx, s.Database, "chat", schema); err != nil {
		return err
	}
	return s.months(ctx)
}

const maxText = 2000 // characters of a message

// Open makes the conversation of a subject between a patient's account and a doctor's, or
// finds it, and returns its number.
func (s *Service) Open(ctx context.Context, tx pgx.Tx, hospital, subject string, patient, doctor int64) (string, error) {
	no := clinic.NewNumber("CH", time.Now())
	err := tx.QueryRow(ctx, `insert into chat.conversation (no, hospital, subject) values ($1, $2, $3)
		on conflict (hospital, subject) do update set subject = excluded.subject returning no`, no, hospital, subject).Scan(&no)
	if err == nil {
		_, err = tx.Exec(ctx, `insert into chat.member (conversation, account, role) values ($1, $2, 'patient'), ($1, $3, 'doctor') on conflict do nothing`, no, patient, doctor)
	}
	if err != nil {
		return "", fmt.Errorf("open conversation: %w", err)
	}
	return no, nil
}

// Card shows something in a conversation that no person wrote, also in a closed one.
func (s *Service) Card(ctx context.Context, tx pgx.Tx, conversation, about, number, text string) error {
	m, err := s.append(ctx, tx, conversation, 0, "", Card, body{Text: text, About: about, Number: number})
	if err == nil {
		clinic.AfterCommit(tx, func() { s.publish(context.WithoutCancel(ctx), conversation, m) })
	}
	return err
}

// Close ends a conversation: it can be read, and not written.
func (s *Service) Close(ctx context.Context, tx pgx.Tx, conversation string) error {
	_, err := tx.Exec(ctx, `update chat.conversation set closed_at = coalesce(closed_at, clock_timestamp()) where no = $1`, conversation)
	return err
}

// New is a message to be sent.
type New struct {
	ClientID string `json:"client_id" minLength:"1" maxLength:"64" doc:"one's own number of the message: sent again, it is the same message"`
	Kind     Kind   `json:"kind" enum:"text,image"`
	Text     string `json:"text,omitempty" maxLength:"8000"`
	Image    string `json:"image,omitempty" maxLength:"64" doc:"number of a picture of the library"`
}

func (n New) check() error {
	switch {
	case n.ClientID == "":
		return core.Problems{{Field: "client_id", What: "missing"}}
	case n.Kind == Text && strings.TrimSpace(n.Text) == "":
		return core.Problems{{Field: "text", What: "missing"}}
	case n.Kind == Text && utf8.RuneCountInString(n.Text) > maxText:
		return core.Problems{{Field: "text", What: fmt.Sprintf("has more than %d characters", maxText)}}
	case n.Kind == Image && n.Image == "":
		return core.Problems{{Field: "image", What: "missing"}}
	case n.Kind != Text && n.Kind != Image:
		return core.Problems{{Field: "kind", What: "is neither text nor image"}}
	}
	return nil
}

// Send a message as a member. The same client id again is the same message.
func (s *Service) Send(ctx context.Context, account int64, conversation string, n New) (Message, error) {
	if err := n.check(); err != nil {
		return Message{}, err
	}
	if n.Kind == Image {
		if s.Images == nil {
			return Message{}, fmt.Errorf("send message: %w: this installation has no image library", clinic.ErrState)
		}
		if err := s.Images.MayShow(ctx, account, n.Image); err != nil {
			return Message{}, fmt.Errorf("send message: %w", err)
		}
	}
	var m Message
	err := pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) (err error) {
		m, err = s.append(ctx, tx, conversation, account, n.ClientID, n.Kind, body{Text: n.Text, Image: n.Image})
		return err
	})
	if err != nil {
		return m, fmt.Errorf("send message: %w", err)
	}
	s.publish(ctx, conversation, m)
	return m, nil
}

// append writes the next message, in the order in which the conversation's row is held.
func (s *Service) append(ctx context.Context, tx pgx.Tx, conversation string, account int64, clientID string, kind Kind, b body) (Message, error) {
	m := Message{Conversation: conversation, ClientID: clientID, Kind: kind, Text: b.Text, Image: b.Image, About: b.About, Number: b.Number, From: "system"}
	var closed bool
	var last int64
	err := tx.QueryRow(ctx, `select seq, closed_at is not null from chat.conversation where no = $1 for update`, conversation).Scan(&last, &closed)
	if errors.Is(err, pgx.ErrNoRows) {
		return m, clinic.ErrNotFound
	} else if err != nil {
		return m, err
	}
	if account != 0 {
		if err := tx.QueryRow(ctx, `select role from chat.member where conversation = $1 and account = $2`, conversation, account).Scan(&m.From); errors.Is(err, pgx.ErrNoRows) {
			return m, clinic.ErrNotFound
		} else if err != nil {
			return m, err
		}
		known, err := s.list(ctx, tx, `m.conversation = $1 and m.sender = $2 and m.client_id = $3`, conversation, account, clientID)
		if err != nil {
			return m, err
		}
		if len(known) > 0 {
			if known[0].Kind != kind || known[0].Text != b.Text || known[0].Image != b.Image {
				return m, fmt.Errorf("%w: this client id was used for another message", clinic.ErrState)
			}
			return known[0], nil
		}
		if closed {
			return m, fmt.Errorf("%w: the conversation is over", clinic.ErrState)
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
		conversation, m.Seq, account, clientID, kind, sealed).Scan(&m.At)
	return m, err
}

// publish tells the members, as JSON; who cannot be told syncs.
func (s *Service) publish(ctx context.Context, conversation string, what any) {
	if s.Live == nil {
		return
	}
	rows, err := s.Database.Query(ctx, `select account from chat.member where conversation = $1`, conversation)
	var members []int64
	if err == nil {
		members, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	var data []byte
	if err == nil {
		data, err = json.Marshal(what)
	}
	if err != nil {
		s.Log.Warn("tell of a message", "conversation", conversation, "error", err)
		return
	}
	for _, account := range members {
		s.Live.Publish(account, data)
	}
}

// Sync gives a member what came after a message, in order, at most limit.
func (s *Service) Sync(ctx context.Context, account int64, conversation string, after int64, limit int) ([]Message, error) {
	if err := s.member(ctx, account, conversation); err != nil {
		return nil, err
	}
	return s.list(ctx, s.Database, `m.conversation = $1 and m.seq > $2 order by m.seq limit $3`, conversation, after, limit)
}

// member returns clinic.ErrNotFound unless the account is in the conversation.
func (s *Service) member(ctx context.Context, account int64, conversation string) error {
	var is bool
	err := s.Database.QueryRow(ctx, `select exists (select from chat.member where conversation = $1 and account = $2)`, conversation, account).Scan(&is)
	if err == nil && !is {
		return clinic.ErrNotFound
	}
	return err
}

// Seen says up to where a member has read; back is never.
func (s *Service) Seen(ctx context.Context, account int64, conversation string, seq int64) error {
	tag, err := s.Database.Exec(ctx, `update chat.member m set read_seq = greatest(m.read_seq, least($3, c.seq)) from chat.conversation c
		where c.no = m.conversation and m.conversation = $1 and m.account = $2`, conversation, account, seq)
	if err != nil {
		return fmt.Errorf("note what was read: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return clinic.ErrNotFound
	}
	s.publish(ctx, conversation, Receipt{conversation, true})
	return nil
}

// Receipt tells that a member has read further; how far is in the list of conversations.
type Receipt struct {
	Conversation string `json:"conversation"`
	Read         bool   `json:"read"`
}

// Conversations of an account, newest first.
func (s *Service) Conversations(ctx context.Context, account int64, limit int) ([]Conversation, error) {
	rows, err := s.Database.Query(ctx, `select c.no, c.hospital, c.subject, c.seq, m.read_seq, coalesce((select min(o.read_seq) from chat.member o where o.conversation = c.no and o.account <> $1), 0),
		c.closed_at is not null, c.created_at from chat.member m join chat.conversation c on c.no = m.conversation where m.account = $1 order by c.created_at desc limit $2`, account, limit)
	if err != nil {
		return nil, fmt.Errorf("list conversations: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Conversation])
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
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

// retention of messages: three years, by law, and the month in which they end.
const retention = 37 // months

// Jobs makes the coming months and drops those that are past their retention.
func (s *Service) Jobs() []clinic.Job {
	return []clinic.Job{{Name: "chat.months", Times: "11 3 * * *", Lasts: 5 * time.Minute, Run: s.months}}
}

func (s *Service) months(ctx context.Context) error {
	var now time.Time
	if err := s.Database.QueryRow(ctx, `select clock_timestamp()`).Scan(&now); err != nil {
		return fmt.Errorf("chat: read the clock: %w", err)
	}
	now = now.UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	return pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtext('chat months'))`); err != nil {
			return err
		}
		for i := -1; i <= 2; i++ {
			from := first.AddDate(0, i, 0)
			sql := fmt.Sprintf(`create table if not exists chat.message_%s partition of chat.message for values from ('%s') to ('%s')`,
				from.Format("2006_01"), from.Format(time.RFC3339), from.AddDate(0, 1, 0).Format(time.RFC3339))
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("chat: make the month %s: %w", from.Format("2006-01"), err)
			}
		}
		rows, err := tx.Query(ctx, `select inhrelid::regclass::text from pg_inherits where inhparent = 'chat.message'::regclass and inhrelid::regclass::text < $1`,
			"chat.message_"+first.AddDate(0, -retention, 0).Format("2006_01"))
		if err != nil {
			return err
		}
		old, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, table := range old {
			if _, err := tx.Exec(ctx, `drop table `+table); err != nil {
				return fmt.Errorf("chat: drop %s: %w", table, err)
			}
			s.Log.Info("dropped a month of chat past its retention", "partition", table)
		}
		return nil
	})
}
