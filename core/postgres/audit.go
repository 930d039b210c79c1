package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Origin says where an act came from. It is a trace for the audit and decides nothing.
type Origin struct {
	// Who acts, where the act itself does not say.
	Who string
	// Role of the caller's key; "machine" for commands at the database.
	Role string
	// Request is the number of the API's request, as in its log.
	Request string
}

type originKey struct{}

// WithOrigin notes where the acts under ctx come from. What o points to may be
// filled in until the act.
func WithOrigin(ctx context.Context, o *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

func originOf(ctx context.Context) Origin {
	if o, _ := ctx.Value(originKey{}).(*Origin); o != nil {
		return *o
	}
	return Origin{}
}

// Act is what a person did, or looked at.
type Act struct {
	Who  string // "": that of the Origin; the hub itself if there is none
	Role string // "": that of the Origin
	Verb string
	// Hospital that it is about; "" is none, or more than one.
	Hospital string
	// Subject as "message 4711", "replay 7", "incident 17" or "revision 3" (of the
	// hospital); "" is the hospital itself.
	Subject string
	// Purpose is why, in the person's words.
	Purpose string
	// Data of the act, as JSON; nil is none.
	Data any
}

const insertAct = `insert into hub.audit_inbox (actor, role, verb, hospital, subject, purpose, request, data) values ($1, $2, $3, $4, $5, $6, $7, $8)`

// record keeps an act, in the transaction that carries it out. The chain takes it
// in at the commit (migration 00009).
func record(ctx context.Context, q querier, a Act) error {
	args, err := a.row(ctx)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, insertAct, args...)
	return err
}

// decideAbout keeps an act at a hospital on what is no message, where it is shown and in
// the audit: subject names it, as "replay 7", and the audit is searched by that.
func decideAbout(ctx context.Context, tx pgx.Tx, hospital, subject, who, verb, note string, data any) error {
	return decideOn(ctx, tx, hospital, 0, Act{Who: who, Verb: verb, Hospital: hospital, Subject: subject, Purpose: note, Data: data})
}

func (a Act) row(ctx context.Context) ([]any, error) {
	o := originOf(ctx)
	for _, who := range []string{o.Who, "hub"} {
		if a.Who == "" {
			a.Who = who
		}
	}
	var data []byte
	if a.Data != nil {
		var err error
		if data, err = json.Marshal(a.Data); err != nil {
			return nil, err
		}
	}
	if a.Role == "" {
		a.Role = o.Role
	}
	return []any{clean(a.Who), a.Role, a.Verb, a.Hospital, clean(a.Subject), clean(a.Purpose), o.Request, string(data)}, nil
}

// Audit keeps an act that changes nothing in the database, such as a login.
func (s *Store) Audit(ctx context.Context, a Act) error {
	if err := record(ctx, s.calm, a); err != nil {
		return fmt.Errorf("audit %s: %w", a.Verb, err)
	}
	return nil
}

// AuditIn keeps an act in the transaction of another module that carries it out.
func AuditIn(ctx context.Context, tx pgx.Tx, a Act) error {
	if err := record(ctx, tx, a); err != nil {
		return fmt.Errorf("audit %s: %w", a.Verb, err)
	}
	return nil
}

// recorded changes one row and keeps that as an act; ErrNotFound when there is none.
func (s *Store) recorded(ctx context.Context, doing string, a Act, sql string, args ...any) error {
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, args...)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		return record(ctx, tx, a)
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return err
}

// Digest of an audit entry, SHA-256.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText writes it as 64 hex digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// ParseDigest reads what String writes.
func ParseDigest(text string) (d Digest, err error) {
	if n, err := hex.Decode(d[:], []byte(text)); len(text) != 2*len(d) || n != len(d) || err != nil {
		return d, core.Problems{{Field: "digest", What: "not 64 hex digits, as an audit's head has"}}
	}
	return d, nil
}

// AuditEntry is an act in the chain.
type AuditEntry struct {
	Number   int64     `json:"number"` // 1, 2, 3 … without a gap
	At       time.Time `json:"at"`
	Actor    string    `json:"actor"`
	Role     string    `json:"role,omitempty"`
	Verb     string    `json:"verb"`
	Hospital string    `json:"hospital,omitempty"`
	Subject  string    `json:"subject,omitempty"`
	Purpose  string    `json:"purpose,omitempty"`
	Request  string    `json:"request,omitempty"`
	Data     string    `json:"data,omitempty"` // JSON text, as it is in the digest
	Previous Digest    `json:"previous"`
	Digest   Digest    `json:"digest"`
}

const auditColumns = `number, at, actor, role, verb, hospital, subject, purpose, request, data, previous, digest`

func scanAudit(row pgx.CollectableRow) (e AuditEntry, err error) {
	var previous, digest []byte
	err = row.Scan(&e.Number, &e.At, &e.Actor, &e.Role, &e.Verb, &e.Hospital, &e.Subject, &e.Purpose, &e.Request, &e.Data, &previous, &digest)
	// One of another length fits nothing, and is found by that.
	copy(e.Previous[:], previous)
	copy(e.Digest[:], digest)
	return e, err
}

// as is the digest that the entry would have as that number: SHA-256 of the
// previous digest, then each field as its length in bytes, a colon and its text.
func (e AuditEntry) as(number int64) Digest {
	var b strings.Builder
	b.Write(e.Previous[:])
	for _, field := range []string{strconv.FormatInt(number, 10), strconv.FormatInt(e.At.UnixMicro(), 10),
		e.Actor, e.Role, e.Verb, e.Hospital, e.Subject, e.Purpose, e.Request, e.Data} {
		b.WriteString(strconv.Itoa(len(field)))
		b.WriteByte(':')
		b.WriteString(field)
	}
	return sha256.Sum256([]byte(b.String()))
}

// AuditFilter narrows a list; zero values do not.
type AuditFilter struct {
	Hospitals            []string // nil is everything, what is of no hospital too
	Actor, Verb, Subject string
	Since, Until         time.Time // at or after; before
	Before               int64     // entries with smaller numbers
}

// AuditEntries lists up to limit entries, newest first.
func (s *Store) AuditEntries(ctx context.Context, f AuditFilter, limit int) ([]AuditEntry, error) {
	where, args := "true", []any{limit}
	and := func(condition string, value any) {
		args = append(args, value)
		where += fmt.Sprintf(" and "+condition, len(args))
	}
	if f.Hospitals != nil {
		and("hospital = any($%d)", f.Hospitals)
	}
	for column, value := range map[string]string{"actor": f.Actor, "verb": f.Verb, "subject": f.Subject} {
		if value != "" {
			and(column+" = $%d", value)
		}
	}
	if !f.Since.IsZero() {
		and("at >= $%d", f.Since)
	}
	if !f.Until.IsZero() {
		and("at < $%d", f.Until)
	}
	if f.Before > 0 {
		and("number < $%d", f.Before)
	}
	rows, err := s.calm.Query(ctx, `select `+auditColumns+` from hub.audit where `+where+` order by number desc limit $1`, args...)
	var all []AuditEntry
	if err == nil {
		all, err = pgx.CollectRows(rows, scanAudit)
	}
	if err != nil {
		return nil, fmt.Errorf("list the audit: %w", err)
	}
	return all, nil
}

// AuditHead is the chain's end: kept elsewhere, it proves what was there by then.
type AuditHead struct {
	Number int64  `json:"number"`
	Digest Digest `json:"digest"`
}

// AuditHead of now; number 0 before the first entry.
func (s *Store) AuditHead(ctx context.Context) (AuditHead, error) {
	h, err := auditHead(ctx, s.calm)
	if err != nil {
		return h, fmt.Errorf("read the audit's head: %w", err)
	}
	return h, nil
}

func auditHead(ctx context.Context, q querier) (h AuditHead, err error) {
	var digest []byte
	err = q.QueryRow(ctx, `select number, digest from hub.audit_head`).Scan(&h.Number, &digest)
	copy(h.Digest[:], digest)
	return h, err
}

// AnchorAudit signs the head of now, once: fresh is false when it was signed before,
// or there is no entry yet. Who calls it writes the head where the database's owner
// cannot change it, such as a log that is shipped.
func (s *Store) AnchorAudit(ctx context.Context) (h AuditHead, fresh bool, err error) {
	if h, err = auditHead(ctx, s.calm); err == nil && h.Number > 0 {
		tag, e := s.calm.Exec(ctx, `insert into hub.audit_anchor (number, digest, signature) values ($1, $2, $3) on conflict do nothing`,
			h.Number, h.Digest[:], s.sign(h))
		fresh, err = tag.RowsAffected() > 0, e
	}
	if err != nil {
		return h, false, fmt.Errorf("anchor the audit: %w", err)
	}
	return h, fresh, nil
}

// sign with a key that is never rotated, so that anchors of years ago hold.
func (s *Store) sign(h AuditHead) []byte {
	return s.keys.Digest(fmt.Appendf(nil, "audit head %d %s", h.Number, h.Digest))
}

// ExportAudit gives every entry after a number to f, oldest first, as they stand at
// one moment.
func (s *Store) ExportAudit(ctx context.Context, after int64, f func(AuditEntry) error) error {
	if err := s.eachAudit(ctx, s.calm, after, f); err != nil {
		return fmt.Errorf("export the audit: %w", err)
	}
	return nil
}

func (s *Store) eachAudit(ctx context.Context, q querier, after int64, f func(AuditEntry) error) error {
	rows, err := q.Query(ctx, `select `+auditColumns+` from hub.audit where number > $1 order by number`, after)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanAudit(rows)
		if err == nil {
			err = f(e)
		}
		if err != nil {
			return err
		}
	}
	return rows.Err()
}
