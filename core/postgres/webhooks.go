package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Webhook is an address that is told of events.
type Webhook struct {
	ID  int64
	URL string
	// Secret signs what is sent.
	Secret []byte
	// Hospitals and Types narrow what it is told of; nil is everything.
	Hospitals []string
	Types     []core.EventType
	// Cursor of the last event that it took; Failures since then.
	Cursor   string
	Failures int
	// NextAt is when it is called next after a failure.
	NextAt      time.Time
	DisabledAt  *time.Time
	DisabledWhy string
	CreatedAt   time.Time
}

const webhookColumns = `id, url, secret, hospitals, types, cursor, failures, next_at, disabled_at, disabled_why, created_at`

// AddWebhook keeps a new webhook, told of everything after w.Cursor, and returns
// its number.
func (s *Store) AddWebhook(ctx context.Context, w Webhook) (id int64, err error) {
	// Bound to its URL, which never changes and is known before the number.
	secret := s.keys.Seal(w.Secret, sealedSecret, w.URL)
	err = s.inTransaction(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `insert into hub.webhook (url, secret, hospitals, types, cursor) values ($1, $2, $3, $4, $5) returning id`,
			w.URL, secret, w.Hospitals, w.Types, w.Cursor).Scan(&id)
		if err != nil {
			return err
		}
		return record(ctx, tx, Act{Verb: "add webhook", Subject: fmt.Sprintf("webhook %d", id), Data: map[string]any{"hospitals": w.Hospitals, "types": w.Types}})
	})
	if err != nil {
		return 0, fmt.Errorf("add a webhook: %w", err)
	}
	return id, nil
}

// Webhooks lists all webhooks.
func (s *Store) Webhooks(ctx context.Context) ([]Webhook, error) {
	return s.webhooks(ctx, `select `+webhookColumns+` from hub.webhook order by id`)
}

// TakeWebhooks gives up to n enabled webhooks whose time has come to the caller
// alone, for ttl or until it says with WebhookTold or WebhookFailed how it went.
func (s *Store) TakeWebhooks(ctx context.Context, n int, ttl time.Duration) ([]Webhook, error) {
	return s.webhooks(ctx, `
		with due as (select id from hub.webhook
			where disabled_at is null and next_at <= clock_timestamp() and (lease_until is null or lease_until <= clock_timestamp())
			order by next_at limit $1 for update skip locked)
		update hub.webhook set lease_until = clock_timestamp() + $2::bigint * interval '1 microsecond'
		where id in (select id from due) returning `+webhookColumns, n, ttl.Microseconds())
}

func (s *Store) webhooks(ctx context.Context, sql string, args ...any) (all []Webhook, err error) {
	rows, err := s.calm.Query(ctx, sql, args...)
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Webhook])
	}
	for i := range all {
		if err == nil {
			all[i].Secret, err = s.open(ctx, all[i].Secret, sealedSecret, all[i].URL)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read webhooks: %w", err)
	}
	return all, nil
}

// WebhookTold moves a webhook's cursor after it took the events before it, and
// gives it back. It may be taken again after pause.
func (s *Store) WebhookTold(ctx context.Context, id int64, cursor string, pause time.Duration) error {
	return s.change(ctx, "move a webhook's cursor", `update hub.webhook set cursor = $2, failures = 0, lease_until = null,
		next_at = clock_timestamp() + $3::bigint * interval '1 microsecond' where id = $1`, id, cursor, pause.Microseconds())
}

// WebhookFailed counts a failure and gives the webhook back until retry has passed.
func (s *Store) WebhookFailed(ctx context.Context, id int64, retry time.Duration) error {
	return s.change(ctx, "note a webhook's failure", `update hub.webhook set failures = failures + 1, lease_until = null,
		next_at = clock_timestamp() + $2::bigint * interval '1 microsecond' where id = $1`, id, retry.Microseconds())
}

// DisableWebhook stops calling it, and says why; "" enables it again.
func (s *Store) DisableWebhook(ctx context.Context, id int64, why string) error {
	verb := "disable webhook"
	if why == "" {
		verb = "enable webhook"
	}
	return s.recorded(ctx, "disable a webhook", Act{Verb: verb, Subject: fmt.Sprintf("webhook %d", id), Purpose: why}, `update hub.webhook set disabled_at = case when $2 <> '' then clock_timestamp() end, disabled_why = $2,
		failures = 0, lease_until = null, next_at = clock_timestamp() where id = $1`, id, why)
}

// RemoveWebhook forgets it.
func (s *Store) RemoveWebhook(ctx context.Context, id int64) error {
	return s.recorded(ctx, "remove a webhook", Act{Verb: "remove webhook", Subject: fmt.Sprintf("webhook %d", id)}, `delete from hub.webhook where id = $1`, id)
}
