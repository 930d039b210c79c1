package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// UnmappedCode is an entry of the worklist: a code that a table of the hospital's
// folder did not have, or had only by its default.
type UnmappedCode struct {
	Hospital  string
	Table     string
	Direction core.CodeDirection
	Code      string
	// Text is what messages call it, "" if none said.
	Text string
	// Unmapped counts the uses that failed, Defaulted those in which the default
	// stood in. A process that dies loses up to a second of both.
	Unmapped, Defaulted int64
	FirstSeen, LastSeen time.Time
	// Message is the latest one with it; 0 when only questions had it, or what came in.
	Message     int64
	DismissedAt *time.Time
	DismissedBy string
	Note        string
}

// Use is the entry as a folder can be asked about it.
func (u UnmappedCode) Use() core.CodeUse {
	return core.CodeUse{Table: u.Table, Direction: u.Direction, Code: u.Code, Text: u.Text}
}

// tally counts uses of codes in memory until they are written, all at once: a
// default may stand in at every message, and its one row would hold the
// settlements up.
type tally struct {
	mu     sync.Mutex
	counts map[codeKey]codeCount
	// busy lets one flush at a time write, so that whoever has flushed sees all.
	busy sync.Mutex
}

type codeKey struct {
	hospital, table, direction, code string
}

type codeCount struct {
	text                string
	unmapped, defaulted int64
	message             int64
}

const (
	tallyEvery = time.Second
	// maxTallied bounds what waits to be written; what comes on top is not counted.
	maxTallied = 10_000
	// maxWorklist bounds the entries of one table (to about so many): a cell that takes
	// a number for a code would make one of each message.
	maxWorklist = 5000
	// maxCode bounds a code in characters: longer ones are no codes, and PostgreSQL
	// would not index them.
	maxCode = 200
)

// NoteCodes counts uses of codes that an exchange noted. message is 0 where there is
// none. It neither blocks nor fails; they are written within a second.
func (s *Store) NoteCodes(hospital string, message int64, uses ...core.CodeUse) {
	if len(uses) == 0 {
		return
	}
	s.codes.mu.Lock()
	defer s.codes.mu.Unlock()
	for _, u := range uses {
		k := codeKey{hospital, clean(u.Table), string(u.Direction), bounded(clean(u.Code))}
		c, known := s.codes.counts[k]
		if !known && len(s.codes.counts) >= maxTallied {
			continue
		}
		if u.Defaulted {
			c.defaulted++
		} else {
			c.unmapped++
		}
		c.text, c.message = cmp.Or(bounded(clean(u.Text)), c.text), cmp.Or(message, c.message)
		if s.codes.counts == nil {
			s.codes.counts = map[codeKey]codeCount{}
		}
		s.codes.counts[k] = c
	}
}

func bounded(text string) string {
	if r := []rune(text); len(r) > maxCode {
		return string(r[:maxCode])
	}
	return text
}

// writeCodes writes what was counted; what cannot be written is kept for next time.
func (s *Store) writeCodes(ctx context.Context) error {
	s.codes.busy.Lock()
	defer s.codes.busy.Unlock()
	s.codes.mu.Lock()
	counts := s.codes.counts
	s.codes.counts = nil
	s.codes.mu.Unlock()
	if len(counts) == 0 {
		return nil
	}
	type counted struct {
		codeKey
		codeCount
	}
	var all []counted
	for k, c := range counts {
		all = append(all, counted{k, c})
	}
	// In one order, so that two processes wait for each other and not in a ring.
	slices.SortFunc(all, func(a, b counted) int {
		return cmp.Or(cmp.Compare(a.hospital, b.hospital), cmp.Compare(a.table, b.table), cmp.Compare(a.direction, b.direction), cmp.Compare(a.code, b.code))
	})
	_, err := s.calm.Exec(ctx, `
		insert into hub.unmapped_code as u (hospital, code_table, direction, code, text, unmapped, defaulted, message)
		select i.hospital, i.code_table, i.direction, i.code, i.text, i.unmapped, i.defaulted, nullif(i.message, 0)
		from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[])
			with ordinality as i(hospital, code_table, direction, code, text, unmapped, defaulted, message, n)
		where exists (select from hub.unmapped_code k where (k.hospital, k.code_table, k.direction, k.code) = (i.hospital, i.code_table, i.direction, i.code))
			or (select count(*) from hub.unmapped_code k where (k.hospital, k.code_table) = (i.hospital, i.code_table)) < $9
		order by n
		on conflict (hospital, code_table, direction, code) do update set
			text = case excluded.text when '' then u.text else excluded.text end,
			unmapped = u.unmapped + excluded.unmapped, defaulted = u.defaulted + excluded.defaulted,
			last_seen = clock_timestamp(), message = coalesce(excluded.message, u.message)`,
		column(all, func(c *counted) string { return c.hospital }), column(all, func(c *counted) string { return c.table }),
		column(all, func(c *counted) string { return c.direction }), column(all, func(c *counted) string { return c.code }),
		column(all, func(c *counted) string { return c.text }), column(all, func(c *counted) int64 { return c.unmapped }),
		column(all, func(c *counted) int64 { return c.defaulted }), column(all, func(c *counted) int64 { return c.message }), maxWorklist)
	if err == nil {
		return nil
	}
	s.codes.mu.Lock()
	defer s.codes.mu.Unlock()
	for _, c := range all {
		now := s.codes.counts[c.codeKey]
		now.unmapped, now.defaulted = now.unmapped+c.unmapped, now.defaulted+c.defaulted
		now.text, now.message = cmp.Or(now.text, c.text), cmp.Or(now.message, c.message)
		if s.codes.counts == nil {
			s.codes.counts = map[codeKey]codeCount{}
		}
		s.codes.counts[c.codeKey] = now
	}
	return fmt.Errorf("write unmapped codes: %w", err)
}

// tallyCodes writes what is counted until ctx ends, and then the rest.
func (s *Store) tallyCodes(ctx context.Context) {
	tick := time.NewTicker(tallyEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = s.writeCodes(ctx) // it is kept, and tried again
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			_ = s.writeCodes(last)
			return
		}
	}
}

// Unmapped lists the worklist of these hospitals, what was used most first; nil
// hospitals are all of them. Without dismissed, what a person has dismissed is left
// out. Whether a code is mapped by now, only the folder knows.
func (s *Store) Unmapped(ctx context.Context, hospitals []string, dismissed bool) ([]UnmappedCode, error) {
	err := s.writeCodes(ctx)
	var rows pgx.Rows
	if err == nil {
		rows, err = s.calm.Query(ctx, `
			select hospital, code_table, direction, code, text, unmapped, defaulted, first_seen, last_seen, coalesce(message, 0),
				dismissed_at, coalesce(dismissed_by, ''), coalesce(dismissed_note, '')
			from hub.unmapped_code where ($1::text[] is null or hospital = any($1)) and ($2 or dismissed_at is null)
			order by hospital, unmapped desc, defaulted desc, code_table, direction, code limit 20000`, hospitals, dismissed)
	}
	var all []UnmappedCode
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[UnmappedCode])
	}
	if err != nil {
		return nil, fmt.Errorf("list unmapped codes: %w", err)
	}
	return all, nil
}

// DismissUnmapped takes an entry off the worklist for good, and records who did.
// The error is ErrNotFound when there is none that is not dismissed.
func (s *Store) DismissUnmapped(ctx context.Context, hospital, table string, d core.CodeDirection, code, who, note string) error {
	err := s.writeCodes(ctx)
	if err == nil {
		err = s.inTransaction(ctx, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `update hub.unmapped_code set dismissed_at = clock_timestamp(), dismissed_by = $5, dismissed_note = $6
				where hospital = $1 and code_table = $2 and direction = $3 and code = $4 and dismissed_at is null`,
				hospital, table, string(d), code, clean(who), clean(note))
			if err != nil {
				return err
			}
			if tag.RowsAffected() == 0 {
				return ErrNotFound
			}
			return decide(ctx, tx, hospital, 0, clean(who), "dismiss code", note, map[string]any{"table": table, "direction": d, "code": code})
		})
	}
	if err != nil {
		return fmt.Errorf("dismiss the code %q of table %s: %w", code, table, err)
	}
	return nil
}
