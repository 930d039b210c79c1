package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/postgres/seal"
)

// What a sealed value is, bound to it together with whose it is.
const (
	sealedBody     = "body"
	sealedRequest  = "request"
	sealedAnswer   = "answer"
	sealedWords    = "words"
	sealedProgress = "progress"
	sealedProposal = "proposal"
	sealedSecret   = "webhook secret"
	sealedReply    = "idempotent answer"
)

// A body is bound to the business key, which is known before the id is.
func (s *Store) sealBody(hospital string, kind core.Kind, key string, content []byte) []byte {
	return s.keys.Seal(content, sealedBody, hospital, string(kind), key)
}

func (s *Store) openBody(ctx context.Context, sealed []byte, hospital string, kind core.Kind, key string) (core.Body, error) {
	content, err := s.open(ctx, sealed, sealedBody, hospital, string(kind), key)
	if err != nil {
		return nil, err
	}
	return decodeStored(kind, content)
}

// decodeStored reads what was validated when it was accepted. It does not refuse
// unknown fields: a newer version of the program may have stored more.
func decodeStored(kind core.Kind, content []byte) (core.Body, error) {
	t, ok := core.Lookup(kind)
	if !ok {
		return nil, fmt.Errorf("kind %s is not in this version's catalogue", kind)
	}
	body := t.Body()
	if err := json.Unmarshal(content, body); err != nil {
		return nil, errors.New("the stored JSON does not fit its kind")
	}
	return body, nil
}

func (s *Store) bodyOf(ctx context.Context, q querier, id int64) (core.Body, error) {
	var hospital, key string
	var kind core.Kind
	var sealed []byte
	err := q.QueryRow(ctx, `
		select m.hospital, m.kind, m.key, b.sealed
		from hub.message m join hub.body b on b.message = m.id and b.accepted_at = m.accepted_at
		where m.id = $1`, id).Scan(&hospital, &kind, &key, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return s.openBody(ctx, sealed, hospital, kind, key)
}

// Body is the canonical content of a message. It names patients: showing it is
// an act to be audited. ErrNotFound once its bytes are past their retention.
func (s *Store) Body(ctx context.Context, id int64) (core.Body, error) {
	b, err := s.bodyOf(ctx, s.calm, id)
	if err != nil {
		return nil, fmt.Errorf("read the body of message %d: %w", id, err)
	}
	return b, nil
}

func (s *Store) sealText(text, purpose string, id int64) []byte {
	if text == "" {
		return nil
	}
	return s.keys.Seal([]byte(text), purpose, strconv.FormatInt(id, 10))
}

func (s *Store) openText(ctx context.Context, sealed []byte, purpose string, id int64) (string, error) {
	text, err := s.open(ctx, sealed, purpose, strconv.FormatInt(id, 10))
	return string(text), err
}

// open opens a sealed value; with a key that another process made meanwhile too.
func (s *Store) open(ctx context.Context, sealed []byte, whose ...string) ([]byte, error) {
	plain, err := s.keys.Open(sealed, whose...)
	var unknown *seal.UnknownKey
	if errors.As(err, &unknown) {
		if err := s.readKeys(ctx, s.calm); err != nil {
			return nil, err
		}
		plain, err = s.keys.Open(sealed, whose...)
	}
	return plain, err
}
