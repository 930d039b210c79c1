// Package chat is the conversation of a consultation: messages and pictures in one order
// without a gap, first in PostgreSQL, then to whoever is listening. Nobody reads a
// conversation that he is not in, or in which he has nothing to do any more.
package chat

import (
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
)

// Kind of a message.
type Kind string

// The kinds.
const (
	Text  Kind = "text"
	Image Kind = "image" // a picture that was put into the conversation
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

// Live carries what is new to an account's sockets, wherever they are. What it loses is
// synced.
type Live interface {
	// Publish to all of an account's sockets.
	Publish(account int64, data []byte)
	// PublishAt to those of a doctor's sockets that were opened while he treated at that
	// hospital.
	PublishAt(account int64, hospital string, data []byte)
}

// Service is the module.
type Service struct {
	*clinic.Clinic
	Live Live // nil: members see what is new when they ask
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

// Open makes the conversation of a subject (a consultation) between a patient's account and
// a doctor's, or finds it, and returns its number. patient is our number, for the audit.
func (s *Service) Open(ctx context.Context, tx pgx.Tx, hospital, subject, patient string, account, doctor int64) (string, error) {
	no := clinic.NewNumber("CH", time.Now())
	err := tx.QueryRow(ctx, `insert into chat.conversation (no, hospital, subject, patient) values ($1, $2, $3, $4)
		on conflict (hospital, subject) do update set subject = excluded.subject returning no`, no, hospital, subject, patient).Scan(&no)
	if err == nil {
		_, err = tx.Exec(ctx, `insert into chat.member (conversation, account, role) values ($1, $2, 'patient'), ($1, $3, 'doctor') on conflict do nothing`, no, account, doctor)
	}
	if err != nil {
		return "", fmt.Errorf("open conversation: %w", err)
	}
	return no, nil
}

// Card shows something in a conversation that no person wrote, also in a closed one.
func (s *Service) Card(ctx context.Context, tx pgx.Tx, conversation, about, number, text string) error {
	m, err := s.append(ctx, tx, conversation, nobody, "", Card, body{Text: text, About: about, Number: number})
	if err == nil {
		clinic.AfterCommit(tx, func() { s.publish(context.WithoutCancel(ctx), conversation, m) })
	}
	return err
}

// nobody writes cards.
var nobody clinic.Person

// Close ends a conversation: it can be read, and not written.
func (s *Service) Close(ctx context.Context, tx pgx.Tx, conversation string) error {
	_, err := tx.Exec(ctx, `update chat.conversation set closed_at = coalesce(closed_at, clock_timestamp()) where no = $1`, conversation)
	return err
}
