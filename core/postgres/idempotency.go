package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Errors of BeginRequest.
var (
	ErrOtherRequest = errors.New("the idempotency key was used for another request")
	ErrInProgress   = errors.New("the same request is still at work")
)

// Answer is what a request under an idempotency key was answered.
type Answer struct {
	Status int
	Body   []byte
}

// BeginRequest opens a request under a caller's idempotency key. It returns nil
// when the request is to be carried out now and then ended with EndRequest, and
// the answer when it was carried out before. digest identifies the request's
// content. What was begun and not ended within hold counts as never begun.
// Errors: ErrOtherRequest, ErrInProgress.
func (s *Store) BeginRequest(ctx context.Context, apiKey int64, key string, digest []byte, hold time.Duration) (*Answer, error) {
	a, err := s.beginRequest(ctx, apiKey, key, digest, hold)
	if err != nil && !errors.Is(err, ErrOtherRequest) && !errors.Is(err, ErrInProgress) {
		return nil, fmt.Errorf("begin an idempotent request: %w", err)
	}
	return a, err
}

func (s *Store) beginRequest(ctx context.Context, apiKey int64, key string, digest []byte, hold time.Duration) (*Answer, error) {
	for {
		tag, err := s.calm.Exec(ctx, `
			insert into hub.idempotency (api_key, idem_key, request_digest, expires)
			values ($1, $2, $3, clock_timestamp() + $4::bigint * interval '1 microsecond')
			on conflict (api_key, idem_key) do update set request_digest = excluded.request_digest, status = null, answer = null, expires = excluded.expires
			where idempotency.expires <= clock_timestamp()`, apiKey, key, digest, hold.Microseconds())
		if err != nil || tag.RowsAffected() == 1 {
			return nil, err
		}
		var old, sealed []byte
		var status *int
		err = s.calm.QueryRow(ctx, `select request_digest, status, answer from hub.idempotency where api_key = $1 and idem_key = $2 and expires > clock_timestamp()`,
			apiKey, key).Scan(&old, &status, &sealed)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			continue // it ended between the two looks
		case err != nil:
			return nil, err
		case !slices.Equal(old, digest):
			return nil, ErrOtherRequest
		case status == nil:
			return nil, ErrInProgress
		}
		body, err := s.open(ctx, sealed, sealedReply, strconv.FormatInt(apiKey, 10), key)
		return &Answer{*status, body}, err
	}
}

// EndRequest keeps the answer for keep. A nil answer forgets the request, so
// that it can be tried again.
func (s *Store) EndRequest(ctx context.Context, apiKey int64, key string, a *Answer, keep time.Duration) error {
	var err error
	if a == nil {
		_, err = s.calm.Exec(ctx, `delete from hub.idempotency where api_key = $1 and idem_key = $2 and status is null`, apiKey, key)
	} else {
		sealed := s.keys.Seal(a.Body, sealedReply, strconv.FormatInt(apiKey, 10), key)
		_, err = s.calm.Exec(ctx, `update hub.idempotency set status = $3, answer = $4, expires = clock_timestamp() + $5::bigint * interval '1 microsecond'
			where api_key = $1 and idem_key = $2`, apiKey, key, a.Status, sealed, keep.Microseconds())
	}
	if err != nil {
		return fmt.Errorf("end an idempotent request: %w", err)
	}
	return nil
}
