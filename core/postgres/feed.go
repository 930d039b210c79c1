package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Read implements core.Feed. A cursor is "<transaction>-<event>".
//
// Ids are given when a row is written and not when it becomes visible, so a feed
// by id would step over a transaction that commits late. Therefore events are
// ordered by transaction, and only those of transactions older than every one
// still at work are shown. One that writes for long holds the feed back, whatever
// it writes; idle ones are ended after a minute.
func (s *Store) Read(ctx context.Context, after string, limit int) (events []core.Event, next string, err error) {
	xid, id, err := parseCursor(after)
	if err != nil {
		return nil, "", err
	}
	later := `(event.xid, event.id) > ($1::text::xid8, $2)`
	var foreign bool
	if err := s.calm.QueryRow(ctx, `select $1::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot())`, xid).Scan(&foreign); err != nil {
		return nil, "", fmt.Errorf("read events: %w", err)
	}
	if foreign { // it is from before a restore: only the event's number still means something
		later = `$1::text is not null and id > $2`
	}
	// By the columns of the table: xid alone would be the text that is selected,
	// and sort "10000" before "9999".
	rows, err := s.calm.Query(ctx, `
		select `+eventColumns+` from hub.event
		where `+later+` and event.xid < pg_snapshot_xmin(pg_current_snapshot())
		order by event.xid, event.id limit $3`, xid, id, limit)
	if err != nil {
		return nil, "", fmt.Errorf("read events: %w", err)
	}
	if events, err = s.scanEvents(ctx, rows); err != nil {
		return nil, "", fmt.Errorf("read events: %w", err)
	}
	if len(events) == 0 {
		return nil, after, nil
	}
	// A reader that was told what is lost then would step over what comes in its place.
	var replicated bool
	if err := s.calm.QueryRow(ctx, `select `+waitsForStandby).Scan(&replicated); err != nil {
		return nil, "", fmt.Errorf("read events: wait for the standby to have them: %w", err)
	}
	return events, events[len(events)-1].Cursor, nil
}

const eventColumns = `xid::text, id, at, hospital, message, kind, key, type, data, words`

func (s *Store) scanEvents(ctx context.Context, rows pgx.Rows) (events []core.Event, err error) {
	defer rows.Close()
	for rows.Next() {
		var e core.Event
		var xid string
		var id int64
		var data, words []byte
		if err := rows.Scan(&xid, &id, &e.At, &e.Hospital, &e.Message, &e.Kind, &e.Key, &e.Type, &data, &words); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &e); err != nil {
			return nil, fmt.Errorf("event %d: %w", id, err)
		}
		if e.Words, err = s.openText(ctx, words, sealedWords, e.Message); err != nil {
			return nil, fmt.Errorf("event %d: %w", id, err)
		}
		e.Cursor = xid + "-" + strconv.FormatInt(id, 10)
		events = append(events, e)
	}
	return events, rows.Err()
}

// adoptEvents makes the feed go on after pg_restore into a new cluster, whose
// transactions count from the start: events of the old one would be newer than
// everything to come. Nobody else can see such an event, whatever happens at
// the same time.
func (s *Store) adoptEvents(ctx context.Context) error {
	_, err := s.calm.Exec(ctx, `update hub.event set xid = pg_current_xact_id() where xid >= pg_snapshot_xmax(pg_current_snapshot())`)
	if err != nil {
		return fmt.Errorf("adopt the events of a restored database: %w", err)
	}
	return nil
}

// ErrCursor is returned for a cursor that the feed never gave.
var ErrCursor = errors.New("not a cursor of this feed")

func parseCursor(cursor string) (xid string, id int64, err error) {
	if cursor == "" {
		return "0", 0, nil
	}
	xid, number, ok := strings.Cut(cursor, "-")
	if _, e := strconv.ParseUint(xid, 10, 64); !ok || e != nil {
		return "", 0, ErrCursor
	}
	if id, err = strconv.ParseInt(number, 10, 64); err != nil {
		return "", 0, ErrCursor
	}
	return xid, id, nil
}

// Refused tells, by an event, a submitter of the intake queue that its message
// was not accepted. Of e, Hospital, Kind, Key, Class, Reason and Submission count.
func (s *Store) Refused(ctx context.Context, e core.Event) error {
	_, err := s.calm.Exec(ctx, `
		insert into hub.event (hospital, message, kind, key, type, data) values ($1, 0, $2, $3, $4,
			jsonb_strip_nulls(jsonb_build_object('class', nullif($5, ''), 'reason', nullif($6, ''), 'submission', nullif($7, ''))))`,
		clean(e.Hospital), clean(string(e.Kind)), clean(e.Key), string(core.EventRefused), string(e.Class), clean(e.Reason), clean(e.Submission))
	if err != nil {
		return fmt.Errorf("announce a refusal: %w", err)
	}
	return nil
}
