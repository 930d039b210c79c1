package postgres

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// By what else than its key a message is found is kept as tokens: eight bytes of a
// keyed hash, alike wherever the same number stands. The key is that of the digests,
// which is never rotated: a new master key only wraps it anew, and a new data key
// seals other things.

// numberToken of a number that a message holds.
func (s *Store) numberToken(number string) int64 { return s.token("number", number) }

// patientToken of an identity card number, a telephone or a HIS's patient number.
func (s *Store) patientToken(term string) int64 { return s.token("patient", core.PatientTerm(term)) }

// token of a value among its like: a patient's number is none of a payment.
func (s *Store) token(of, value string) int64 {
	text := make([]byte, 0, 80)
	text = append(append(append(text, of...), ' '), value...)
	return int64(binary.BigEndian.Uint64(s.keys.Digest(text)))
}

// FoundBy are the tokens of a message. Its key and its lane have indexes of their own.
func (s *Store) FoundBy(b core.Body, key, lane string) (tokens []int64) {
	numbers, patient := core.FoundBy(b)
	for _, n := range core.Distinct(numbers, key, lane) {
		tokens = append(tokens, s.numberToken(clean(n)))
	}
	for i, p := range patient {
		patient[i] = core.PatientTerm(p)
	}
	for _, p := range core.Distinct(patient) {
		tokens = append(tokens, s.token("patient", p))
	}
	return tokens
}

const insertFoundBy = `insert into hub.found_by (token, message, accepted_at) select unnest($1::bigint[]), $2, $3`

// indexLate adds the indexes that tables from before a migration lack, without
// holding up who writes to them. One process does it; the others go on.
func (s *Store) indexLate(ctx context.Context) error {
	conn, err := s.calm.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var alone bool
	if err := conn.QueryRow(ctx, `select pg_try_advisory_lock($1)`, lockOf("hub late indexes")).Scan(&alone); err != nil || !alone {
		return err
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), `select pg_advisory_unlock($1)`, lockOf("hub late indexes"))
	}()
	var begun, whole bool
	if err := conn.QueryRow(ctx, `select count(*) > 0, coalesce(bool_and(indisvalid), false) from pg_index where indexrelid = to_regclass('hub.inbound_open')`).Scan(&begun, &whole); err != nil {
		return err
	}
	if begun && !whole { // by a process that ended over it
		if _, err := conn.Exec(ctx, `drop index concurrently hub.inbound_open`); err != nil {
			return err
		}
	}
	if !whole {
		if _, err := conn.Exec(ctx, `create index concurrently inbound_open on hub.inbound (hospital, id) where state = 'open'`); err != nil {
			return fmt.Errorf("index what came in and is open: %w", err)
		}
	}
	rows, err := conn.Query(ctx, `
		select c.relname, exists(select from pg_class i join pg_namespace n on n.oid = i.relnamespace where n.nspname = 'hub' and i.relname = c.relname || '_message')
		from pg_inherits p join pg_class c on c.oid = p.inhrelid
		where p.inhparent = 'hub.event'::regclass and not p.inhdetachpending and not exists (
			select from pg_index x join pg_inherits ip on ip.inhrelid = x.indexrelid and ip.inhparent = 'hub.event_message'::regclass where x.indrelid = c.oid)
		order by c.relname desc`)
	if err != nil {
		return err
	}
	type missing struct {
		Month string
		Begun bool
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[missing])
	if err != nil {
		return err
	}
	for _, m := range all {
		var steps []string
		if m.Begun { // by a process that ended over it
			steps = append(steps, fmt.Sprintf(`drop index concurrently if exists hub.%s_message`, m.Month))
		}
		steps = append(steps,
			fmt.Sprintf(`create index concurrently %s_message on hub.%s (message) where message <> 0`, m.Month, m.Month),
			fmt.Sprintf(`alter index hub.event_message attach partition hub.%s_message`, m.Month))
		for _, step := range steps {
			if _, err := conn.Exec(ctx, step, pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("index %s: %w", m.Month, err)
			}
		}
	}
	return nil
}
