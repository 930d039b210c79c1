package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
)

// Filter narrows a search of messages. Zero fields don't.
type Filter struct {
	// Hospitals to look at; nil is all of them, empty is none.
	Hospitals []string
	Kind      core.Kind
	State     delivery.State
	// Key is the business number under which a message was handed in.
	Key string
	// Number is any that somebody has in hand: the key, the visit, the HIS's of a
	// receipt, and what stands in the message, as a channel's or a bill's.
	Number string
	HisNo  string
	Lane   string
	Class  core.Class
	// Since and Until bound AcceptedAt: from Since on, before Until.
	Since, Until time.Time

	patient int64 // a token; see SearchPatient
}

// first, most and examined bound how many messages are looked at: at first, in one
// statement, and for one page.
const (
	first    = 250
	most     = 5000
	examined = 20_000
)

// List returns messages, newest first. cursor is "" for the first page and what
// the page before returned for the next; next is "" after the last.
//
// A page costs the same whatever the history: where what is looked for is rare, it
// may hold fewer messages than asked for, even none, and next goes on from where it
// stopped looking.
func (s *Store) List(ctx context.Context, f Filter, cursor string, limit int) (page []Message, next string, err error) {
	b := bounds{below: 1<<63 - 1}
	if cursor != "" {
		if b.below, err = strconv.ParseInt(cursor, 10, 64); err != nil || b.below <= 0 {
			return nil, "", ErrCursor
		}
	}
	if page, next, err = s.list(ctx, f, b, limit); err != nil {
		return nil, "", fmt.Errorf("list messages: %w", err)
	}
	return page, next, nil
}

func (s *Store) list(ctx context.Context, f Filter, b bounds, limit int) (page []Message, next string, err error) {
	if err := s.boundByTime(ctx, f, &b); err != nil {
		return nil, "", err
	}
	seen, n := 0, max(first, limit+1)
	for {
		c, err := s.candidates(ctx, f, b, n)
		if err != nil {
			return nil, "", err
		}
		found, err := s.among(ctx, f, c, limit+1-len(page))
		if err != nil {
			return nil, "", err
		}
		page = append(page, found...)
		if len(page) > limit {
			page = page[:limit]
			return page, strconv.FormatInt(page[limit-1].ID, 10), nil
		}
		if c.count < n {
			return page, "", nil
		}
		b.below = c.from
		if seen += n; seen >= examined {
			return page, strconv.FormatInt(b.below, 10), nil
		}
		n = min(4*n, most)
	}
}

// SearchPatient is List for the messages of a patient, by identity card number,
// telephone or the HIS's patient number. Who looked for which token, and why, is in
// the audit before anything is found. core.Problems without a purpose or a number.
func (s *Store) SearchPatient(ctx context.Context, f Filter, patient, who, purpose, cursor string, limit int) (page []Message, next string, err error) {
	switch {
	case who == "":
		return nil, "", errNobody
	case core.PatientTerm(patient) == "":
		return nil, "", core.Problems{{Field: "patient", What: "missing: an identity card number, a telephone or a patient number"}}
	case strings.TrimSpace(clean(purpose)) == "":
		return nil, "", core.Problems{{Field: "purpose", What: "missing: say why the patient is looked for"}}
	}
	f.patient = s.patientToken(patient)
	a := Act{Who: who, Verb: "search patient", Subject: fmt.Sprintf("patient %016x", uint64(f.patient)), Purpose: purpose}
	if len(f.Hospitals) == 1 {
		a.Hospital = f.Hospitals[0]
	}
	if err := s.Audit(ctx, a); err != nil {
		return nil, "", err
	}
	return s.List(ctx, f, cursor, limit)
}

// bounds of message ids: from on, before below.
type bounds struct{ from, below int64 }

// skew is how much later a message with a smaller id may have been accepted than one
// with a greater: the database's clock is read right after the id was given.
const skew = time.Minute

// boundByTime turns times into ids, which grow with them, so that old days are found
// without reading the newer ones, and without an index that each message pays for.
func (s *Store) boundByTime(ctx context.Context, f Filter, b *bounds) error {
	if !f.Since.IsZero() {
		id, err := s.idAt(ctx, f.Since.Add(-skew))
		if err != nil {
			return err
		}
		b.from = id
	}
	if !f.Until.IsZero() {
		id, err := s.idAt(ctx, f.Until.Add(skew))
		if err != nil {
			return err
		}
		b.below = min(b.below, id)
	}
	return nil
}

// idBy halves the ids until one is left: the first that was accepted at $1 or later.
const idBy = `
	with recursive half(low, high) as (
		select 0::bigint, coalesce(max(id), 0) + 1 from hub.message
		union all
		select case when x.accepted_at < $1 then x.id + 1 else h.low end, case when x.accepted_at < $1 then h.high else h.low + (h.high - h.low) / 2 end
		from half h left join lateral (
			select m.id, m.accepted_at from hub.message m where m.id >= h.low + (h.high - h.low) / 2 order by m.id limit 1) x on true
		where h.low < h.high
	) select low from half where low >= high`

func (s *Store) idAt(ctx context.Context, at time.Time) (id int64, err error) {
	if err := s.calm.QueryRow(ctx, idBy, at).Scan(&id); err != nil {
		return 0, fmt.Errorf("find the first message of a time: %w", err)
	}
	return id, nil
}

// query is SQL that grows with its arguments.
type query struct {
	text strings.Builder
	args []any
}

// add appends SQL in which each ? is the value.
func (q *query) add(sql string, value any) *query {
	q.args = append(q.args, value)
	q.text.WriteString(strings.ReplaceAll(sql, "?", "$"+strconv.Itoa(len(q.args))))
	return q
}

// candidates are messages to look at: count of them, from an id on.
type candidates struct {
	bounds
	count int
	// ids of them; nil: all within bounds, of the filter's hospital if it has one.
	ids []int64
}

// candidates are the newest n within bounds, from whatever tells most about what is
// looked for. Each way in is an index in which the ids are in order, or which has only
// a few. The planner cannot know that: a hospital is compared together with the id, and
// a key's ids as id + 0, so that it does not read all messages by their ids instead.
func (s *Store) candidates(ctx context.Context, f Filter, b bounds, n int) (c candidates, err error) {
	c.bounds = b
	if f.Hospitals != nil && len(f.Hospitals) == 0 {
		return c, nil
	}
	if f.everything() {
		sql, args := `select id from hub.message where id >= $1 and id < $2 order by id desc limit $3`, []any{b.from, b.below, n}
		if len(f.Hospitals) == 1 {
			sql, args = `select id from hub.message where (hospital, id) >= ($4, $1) and (hospital, id) < ($4, $2) order by hospital desc, id desc limit $3`, append(args, f.Hospitals[0])
		}
		err = s.calm.QueryRow(ctx, `select coalesce(min(id), 0), count(*) from (`+sql+`) c`, args...).Scan(&c.from, &c.count)
		return c, err
	}
	if c.ids, err = s.candidateIDs(ctx, f, b, n); len(c.ids) > 0 {
		c.from, c.count = slices.Min(c.ids), len(c.ids)
	}
	return c, err
}

// everything: nothing but a hospital, perhaps, narrows it to less than all messages.
func (f Filter) everything() bool {
	waiting := f.State == delivery.Queued || f.State == delivery.Sending || f.State == delivery.Parked
	return f.Key == "" && f.Number == "" && f.HisNo == "" && f.Lane == "" && f.patient == 0 && !waiting && (len(f.Hospitals) < 2 || len(f.Hospitals) > manyHospitals)
}

func (s *Store) candidateIDs(ctx context.Context, f Filter, b bounds, n int) ([]int64, error) {
	q := &query{}
	q.add(`with bound as (select ?::bigint as low`, b.from).add(`, ?::bigint as high)`, b.below).add(`, most as (select ?::bigint as n) `, n)
	const within = ` between (select low from bound) and (select high from bound) - 1 `
	const byItself = `id + 0`
	newest := func(from, id string, value any) {
		q.add(`(select `+id+` as id from `+from+` and `+id+within+`order by `+id+` desc limit (select n from most))`, value)
	}
	byKey := func(key string) {
		// Two for the two partial indexes.
		newest(`hub.message where key = ? and superseded_by is null`, byItself, key)
		q.text.WriteString(` union all `)
		newest(`hub.message where key = ? and superseded_by is not null`, byItself, key)
	}
	q.text.WriteString(`select distinct id from (`)
	switch {
	case f.Key != "":
		byKey(f.Key)
	case f.Number != "":
		byKey(f.Number)
		q.text.WriteString(` union all `)
		newest(`hub.message where lane = ?`, byItself, f.Number)
		q.text.WriteString(` union all `)
		newest(`hub.his_no where his_no = ?`, `message`, f.Number)
		q.text.WriteString(` union all `)
		newest(`hub.found_by where token = ?`, `message`, s.numberToken(f.Number))
	case f.HisNo != "":
		newest(`hub.his_no where his_no = ?`, `message`, f.HisNo)
	case f.patient != 0:
		newest(`hub.found_by where token = ?`, `message`, f.patient)
	case f.Lane != "":
		newest(`hub.message where lane = ?`, byItself, f.Lane)
	case f.State == delivery.Queued || f.State == delivery.Sending || f.State == delivery.Parked:
		state := "queued"
		if f.State == delivery.Parked {
			state = "parked"
		}
		if f.Hospitals != nil {
			q.add(`select message as id from hub.queue where hospital = any(?)`, f.Hospitals).add(` and state = ? and message`+within+`order by message desc limit (select n from most)`, state)
		} else {
			newest(`hub.queue where state = ?`, `message`, state)
		}
	default:
		q.add(`select m.id from unnest(?::text[]) h(hospital), lateral (
			select id from hub.message where (hospital, id) >= (h.hospital, (select low from bound)) and (hospital, id) < (h.hospital, (select high from bound))
			order by hospital desc, id desc limit (select n from most)) m`, f.Hospitals)
	}
	q.text.WriteString(`) c order by id desc limit (select n from most)`)
	rows, err := s.calm.Query(ctx, q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// manyHospitals are no longer looked up one by one.
const manyHospitals = 100

// among are those of these messages that the filter lets through, newest first.
func (s *Store) among(ctx context.Context, f Filter, c candidates, limit int) ([]Message, error) {
	if c.count == 0 {
		return nil, nil
	}
	q, order := &query{}, ` order by m.id desc`
	if q.text.WriteString(`select ` + view + ` from hub.message m left join hub.queue q on q.message = m.id where `); c.ids != nil {
		q.add(`m.id = any(?)`, c.ids)
	} else if len(f.Hospitals) == 1 {
		order = ` order by m.hospital desc, m.id desc`
		q.add(`(m.hospital, m.id) >= (?, `, f.Hospitals[0]).add(`?) and (m.hospital, m.id) < `, c.from).add(`(?, `, f.Hospitals[0]).add(`?)`, c.below)
	} else {
		q.add(`m.id >= ?`, c.from).add(` and m.id < ?`, c.below)
	}
	const leased = `coalesce(q.lease_until > clock_timestamp() or q.sent_at is not null and q.takeover_at > clock_timestamp(), false)`
	switch f.State {
	case "":
	case delivery.Queued:
		q.text.WriteString(` and q.state = 'queued' and not ` + leased)
	case delivery.Sending:
		q.text.WriteString(` and q.state = 'queued' and ` + leased)
	case delivery.Parked:
		q.text.WriteString(` and q.state = 'parked'`)
	default:
		q.add(` and m.state = ?`, string(f.State))
	}
	token := ` and exists (select from hub.found_by t where t.token = ? and t.message = m.id and t.accepted_at = m.accepted_at)`
	for _, c := range []struct {
		given bool
		sql   string
		value any
	}{
		{f.Hospitals != nil && (c.ids != nil || len(f.Hospitals) > 1), ` and m.hospital = any(?)`, f.Hospitals},
		{f.Kind != "", ` and m.kind = ?`, string(f.Kind)},
		{f.Key != "", ` and m.key = ?`, f.Key},
		{f.Key != "" && f.Number != "", ` and (m.key = ? or m.lane = ? or exists (select from hub.his_no h where h.his_no = ? and h.hospital = m.hospital and h.message = m.id)`, f.Number},
		{f.Key != "" && f.Number != "", strings.Replace(token, " and ", " or ", 1) + `)`, s.numberToken(f.Number)},
		{f.HisNo != "", ` and exists (select from hub.his_no h where h.his_no = ? and h.hospital = m.hospital and h.message = m.id)`, f.HisNo},
		{f.patient != 0, token, f.patient},
		{f.Lane != "", ` and m.lane = ?`, f.Lane},
		// First without the join, which would be made for each message that is looked at.
		{f.Class != "", ` and (m.class = ? or m.id in (select message from hub.queue where class = ?)) and coalesce(q.class, m.class) = ?`, string(f.Class)},
		{!f.Since.IsZero(), ` and m.accepted_at >= ?`, f.Since},
		{!f.Until.IsZero(), ` and m.accepted_at < ?`, f.Until},
	} {
		if c.given {
			q.add(c.sql, c.value)
		}
	}
	rows, err := s.calm.Query(ctx, q.add(order+` limit ?`, limit).text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanMessage)
}
