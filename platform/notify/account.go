package notify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Preferences of an account.
type Preferences struct {
	Language  string     `json:"language" enum:"zh,en"`
	QuietFrom string     `json:"quiet_from" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" doc:"nothing but what is urgent is sent from then on, China's time; the same as quiet_to: at any time"`
	QuietTo   string     `json:"quiet_to" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$"`
	Unwanted  []Unwanted `json:"unwanted" maxItems:"50" doc:"what is told in the app only"`
}

// Unwanted is a kind of notice that is not sent on a channel.
type Unwanted struct {
	Kind    string  `json:"kind" example:"payment"`
	Channel Channel `json:"channel" enum:"sms,wechat"`
}

var defaults = Preferences{Language: languages[0], QuietFrom: "22:00", QuietTo: "07:00", Unwanted: []Unwanted{}}

// Preferences of an account; those that are usual before it has said any.
func (s *Service) Preferences(ctx context.Context, account int64) (Preferences, error) {
	p := defaults
	err := s.Database.QueryRow(ctx, `select coalesce(max(language), $2), coalesce(max(quiet_from), $3), coalesce(max(quiet_to), $4) from notify.setting where account = $1`,
		account, p.Language, p.QuietFrom, p.QuietTo).Scan(&p.Language, &p.QuietFrom, &p.QuietTo)
	if err != nil {
		return p, fmt.Errorf("read preferences: %w", err)
	}
	rows, err := s.Database.Query(ctx, `select kind, channel from notify.unwanted where account = $1 order by kind, channel`, account)
	if err != nil {
		return p, fmt.Errorf("read preferences: %w", err)
	}
	p.Unwanted, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Unwanted])
	return p, err
}

// Prefer replaces them.
func (s *Service) Prefer(ctx context.Context, account int64, p Preferences) (Preferences, error) {
	for i, u := range p.Unwanted {
		if !slices.Contains(kinds, u.Kind) {
			return p, core.Problems{{Field: fmt.Sprintf("unwanted[%d].kind", i), What: fmt.Sprintf("is none of %v", kinds)}}
		}
	}
	err := pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into notify.setting (account, language, quiet_from, quiet_to) values ($1, $2, $3, $4)
			on conflict (account) do update set language = excluded.language, quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to`, account, p.Language, p.QuietFrom, p.QuietTo); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from notify.unwanted where account = $1`, account); err != nil {
			return err
		}
		for _, u := range p.Unwanted {
			if _, err := tx.Exec(ctx, `insert into notify.unwanted (account, kind, channel) values ($1, $2, $3) on conflict do nothing`, account, u.Kind, u.Channel); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("set preferences: %w", err)
	}
	return s.Preferences(ctx, account)
}

// Notice in the app.
type Notice struct {
	ID       int64      `json:"id"`
	Event    string     `json:"event"`
	Hospital string     `json:"hospital,omitempty"`
	No       string     `json:"no,omitempty" doc:"of what it is about"`
	Title    string     `json:"title"`
	Text     string     `json:"text"`
	At       time.Time  `json:"at"`
	ReadAt   *time.Time `json:"read_at,omitempty"`
}

// Inbox of an account.
type Inbox struct {
	Unread  int      `json:"unread" doc:"of all, not of these alone"`
	Notices []Notice `json:"notices" doc:"newest first"`
}

// Inbox of an account; before is the smallest id of the page before, 0 for the first.
func (s *Service) Inbox(ctx context.Context, account, before int64, limit int) (in Inbox, err error) {
	if err := s.Database.QueryRow(ctx, `select count(*) from notify.inbox where account = $1 and read_at is null`, account).Scan(&in.Unread); err != nil {
		return in, fmt.Errorf("read the inbox: %w", err)
	}
	rows, err := s.Database.Query(ctx, `select id, event, hospital, no, title, text, at, read_at from notify.inbox
		where account = $1 and ($2::bigint = 0 or id < $2) order by id desc limit $3`, account, before, limit)
	if err != nil {
		return in, fmt.Errorf("read the inbox: %w", err)
	}
	in.Notices, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Notice])
	return in, err
}

// Read marks an account's notices up to an id as read.
func (s *Service) Read(ctx context.Context, account, upTo int64) error {
	if _, err := s.Database.Exec(ctx, `update notify.inbox set read_at = clock_timestamp() where account = $1 and id <= $2 and read_at is null`, account, upTo); err != nil {
		return fmt.Errorf("mark notices read: %w", err)
	}
	return nil
}
