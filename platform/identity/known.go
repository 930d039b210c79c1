package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/platform/clinic"
)

// Whoever knows a name or a phone can try wrong passwords and have codes sent until
// its owner is kept out. So a device that signed in before has a token that says so (OWASP
// calls it a device cookie): its tries and codes are counted apart from those of strangers.
// It signs nobody in. It is a keyed digest, so that nothing has to be kept of it.
const (
	devicePrefix = "cd_"
	deviceLasts  = 180 * 24 * time.Hour
	deviceNonce  = 16
)

// deviceToken says until when a device is known as one that signed in as who.
func (s *Service) deviceToken(who string) string {
	claim := make([]byte, deviceNonce, deviceNonce+8)
	rand.Read(claim)
	claim = binary.BigEndian.AppendUint64(claim, uint64(s.now().Add(deviceLasts).Unix()))
	return devicePrefix + base64.RawURLEncoding.EncodeToString(append(claim, s.deviceProof(who, claim)...))
}

func (s *Service) deviceProof(who string, claim []byte) []byte {
	return s.index(who+" "+base64.RawURLEncoding.EncodeToString(claim), "known device")
}

// device names the device that a token is of; "" when it is none that signed in as who.
func (s *Service) device(who, token string) string {
	text, ok := strings.CutPrefix(token, devicePrefix)
	all, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil || len(all) <= deviceNonce+8 {
		return ""
	}
	claim, proof := all[:deviceNonce+8], all[deviceNonce+8:]
	if subtle.ConstantTimeCompare(proof, s.deviceProof(who, claim)) != 1 || s.now().Unix() >= int64(binary.BigEndian.Uint64(claim[deviceNonce:])) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(claim[:deviceNonce])
}

// who a device is known for: a member of staff by name, a patient by phone.
func (r record) who() string {
	if r.Kind == StaffAccount {
		return "name " + r.Name
	}
	return "phone " + r.phone
}

// bound is how many tries in a row cost nothing, and how the waits grow from there.
type bound struct {
	free           int
	first, longest time.Duration
}

var (
	// ofOne bounds who tries: an address, a device, or who holds a password at the second
	// factor. Guessing must not pay.
	ofOne = bound{5, time.Minute, time.Hour}
	// ofAll bounds all strangers together at one name. It only slows them: however many
	// there are, its owner is in within minutes, and on a known device at once.
	ofAll = bound{20, time.Second, time.Minute}
)

// rower is the pool or a transaction.
type rower interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// attempt counts a try at a secret before it is looked at, so that tries side by side
// are counted, too. *clinic.TooMany while the next one has to wait.
func (s *Service) attempt(ctx context.Context, q rower, subject []byte, b bound) error {
	now := s.now()
	var count int
	err := q.QueryRow(ctx, `
		insert into identity.attempt as a (subject, count, last_at, until) values ($1, 1, $2, $2)
		on conflict (subject) do update set last_at = $2, count = case when a.last_at < $3 then 1 else a.count + 1 end,
			until = case when a.last_at < $3 or a.count + 1 < $4 then $2
				else $2::timestamptz + least($6::float8, $5::float8 * power(2, least(a.count + 1 - $4, 20))) * interval '1 second' end
		where a.until <= $2
		returning count`, subject, now, now.Add(-24*time.Hour), b.free, b.first.Seconds(), b.longest.Seconds()).Scan(&count)
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	var until time.Time
	if err := q.QueryRow(ctx, `select until from identity.attempt where subject = $1`, subject).Scan(&until); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	return &clinic.TooMany{After: until.Sub(now), What: "too many tries; the wait grows with each"}
}

func (s *Service) attemptRight(ctx context.Context, subjects ...[]byte) error {
	_, err := s.Database.Exec(ctx, `delete from identity.attempt where subject = any($1)`, subjects)
	return err
}

// attemptName counts a try at a name's password, and returns as what: a known device's,
// or an address's and the name's. One that the name makes wait does not count against the
// address.
func (s *Service) attemptName(ctx context.Context, name, known, address string) ([][]byte, error) {
	if device := s.device("name "+name, known); device != "" {
		subject := s.index(name+" "+device, "device tried")
		return [][]byte{subject}, s.attempt(ctx, s.Database, subject, ofOne)
	}
	subjects := [][]byte{s.index(name+" "+address, "name tried from"), s.index(name, "name tried")}
	return subjects, pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error {
		if err := s.attempt(ctx, tx, subjects[0], ofOne); err != nil {
			return err
		}
		return s.attempt(ctx, tx, subjects[1], ofAll)
	})
}
