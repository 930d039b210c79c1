package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// ConsentKind is what a person agrees to.
type ConsentKind string

const (
	Privacy           ConsentKind = "privacy"
	InternetDiagnosis ConsentKind = "internet_diagnosis"
	SensitiveData     ConsentKind = "sensitive_data"
)

// Values of ConsentKind.
func (ConsentKind) Values() []string {
	return []string{string(Privacy), string(InternetDiagnosis), string(SensitiveData)}
}

// ConsentText is a version of what is agreed to.
type ConsentText struct {
	Kind        ConsentKind `json:"kind"`
	Version     int         `json:"version"`
	Title       string      `json:"title"`
	Text        string      `json:"text"`
	PublishedAt time.Time   `json:"published_at"`
}

// Consent of an account, as it stands.
type Consent struct {
	Kind    ConsentKind `json:"kind"`
	Current int         `json:"current" doc:"the version that counts now"`
	Given   int         `json:"given,omitempty" doc:"the newest version that was agreed to and not withdrawn"`
	GivenAt time.Time   `json:"given_at,omitzero"`
	Holds   bool        `json:"holds" doc:"the current version is agreed to"`
}

// Consented returns ErrRule, naming the consent, unless the account has agreed to its
// current version.
func (s *Service) Consented(ctx context.Context, account int64, kind ConsentKind) error {
	var holds bool
	err := s.Database.QueryRow(ctx, `select exists (select from identity.consent where account = $1 and kind = $2 and withdrawn_at is null
		and version = (select max(version) from identity.consent_text where kind = $2))`, account, kind).Scan(&holds)
	if err != nil {
		return fmt.Errorf("read consents: %w", err)
	}
	if !holds {
		return fmt.Errorf("%w: the consent %s in its current version is missing", clinic.ErrRule, kind)
	}
	return nil
}

// ConsentTexts are the current versions.
func (s *Service) ConsentTexts(ctx context.Context) ([]ConsentText, error) {
	rows, err := s.Database.Query(ctx, `select distinct on (kind) kind, version, title, text, published_at from identity.consent_text order by kind, version desc`)
	if err != nil {
		return nil, fmt.Errorf("read the texts of consents: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ConsentText])
}

// Consents of an account, one a kind.
func (s *Service) Consents(ctx context.Context, account int64) ([]Consent, error) {
	rows, err := s.Database.Query(ctx, `
		select t.kind, max(t.version), coalesce(max(c.version), 0), max(c.given_at) from identity.consent_text t
		left join identity.consent c on c.kind = t.kind and c.version = t.version and c.account = $1 and c.withdrawn_at is null
		group by t.kind order by t.kind`, account)
	if err != nil {
		return nil, fmt.Errorf("read consents: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Consent, err error) {
		var at *time.Time
		err = row.Scan(&c.Kind, &c.Current, &c.Given, &at)
		if at != nil {
			c.GivenAt = *at
		}
		c.Holds = c.Given == c.Current
		return c, err
	})
}

// Agree keeps that a person agreed to a version, which must be the current one.
func (s *Service) Agree(ctx context.Context, p clinic.Person, kind ConsentKind, version int) error {
	err := s.change(ctx, p.Account, clinic.Act{Person: p, Verb: "agree", Data: map[string]any{"kind": kind, "version": version, "session": p.Session}}, func(tx pgx.Tx) error {
		var current int
		if err := tx.QueryRow(ctx, `select coalesce(max(version), 0) from identity.consent_text where kind = $1`, kind).Scan(&current); err != nil {
			return err
		}
		if version != current {
			return fmt.Errorf("%w: version %d of %s is the one to agree to", clinic.ErrState, current, kind)
		}
		tag, err := tx.Exec(ctx, `insert into identity.consent (account, kind, version, given_at) values ($1, $2, $3, $4) on conflict do nothing`, p.Account, kind, version, s.now())
		if err == nil && tag.RowsAffected() == 0 {
			return errAlready
		}
		return err
	})
	if errors.Is(err, errAlready) {
		return nil
	}
	return err
}

// errAlready undoes an act that changes nothing, with its record.
var errAlready = errors.New("there already")

// Withdraw takes a consent back; what was done under it stays.
func (s *Service) Withdraw(ctx context.Context, p clinic.Person, kind ConsentKind) error {
	return s.change(ctx, p.Account, clinic.Act{Person: p, Verb: "withdraw consent", Data: map[string]any{"kind": kind}}, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update identity.consent set withdrawn_at = $3 where account = $1 and kind = $2 and withdrawn_at is null`, p.Account, kind, s.now())
		if err == nil && tag.RowsAffected() == 0 {
			return clinic.ErrNotFound
		}
		return err
	})
}

// Publish makes the next version of a text the current one; everybody is asked again.
func (s *Service) Publish(ctx context.Context, kind ConsentKind, title, text string) (version int, err error) {
	if !slices.Contains(kind.Values(), string(kind)) {
		return 0, core.Problems{{Field: "kind", What: "not a kind of consent"}}
	}
	if title == "" || text == "" {
		return 0, core.Problems{{Field: "text", What: "missing"}}
	}
	err = pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `insert into identity.consent_text (kind, version, title, text)
			select $1, coalesce(max(version), 0) + 1, $2, $3 from identity.consent_text where kind = $1 returning version`, kind, title, text).Scan(&version)
		if err != nil {
			return err
		}
		return s.Trail(tx).Keep(ctx, clinic.Act{Verb: "publish consent", Subject: fmt.Sprintf("consent %s %d", kind, version)})
	})
	if clinic.Duplicate(err) {
		return 0, fmt.Errorf("%w: somebody else publishes it just now", clinic.ErrState)
	}
	return version, err
}
