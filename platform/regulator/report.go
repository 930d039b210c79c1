package regulator

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// Gap is a fact without a receipt.
type Gap struct {
	Kind       core.Kind `json:"kind"`
	Key        string    `json:"key"`
	Regulator  string    `json:"regulator"`
	State      State     `json:"state" enum:"waiting,refused,cancelled,untold"`
	Reason     string    `json:"reason,omitempty"`
	At         time.Time `json:"at" doc:"of the fact"`
	AgeMinutes int64     `json:"age_minutes"`
}

// Count of a kind.
type Count struct {
	Kind  core.Kind `json:"kind"`
	Facts int       `json:"facts"`
	Taken int       `json:"taken" doc:"with a receipt"`
}

// Report of a day: what the regulator must have heard, and what he has not.
type Report struct {
	Hospital string  `json:"hospital"`
	Day      string  `json:"day" format:"date" doc:"in the hospital's zone"`
	Kinds    []Count `json:"kinds"`
	Gaps     []Gap   `json:"gaps" doc:"the oldest first"`
}

// Report of a hospital's day, "yyyy-MM-dd"; "" is today.
func (s *Service) Report(ctx context.Context, hospital, day string) (r Report, err error) {
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return r, fmt.Errorf("report gaps: %w", err)
	}
	if day == "" {
		day = time.Now().In(place.Zone).Format(time.DateOnly)
	}
	from, err := time.ParseInLocation(time.DateOnly, day, place.Zone)
	if err != nil {
		return r, core.Problems{{Field: "day", What: "is no date, as 2026-01-05"}}
	}
	r = Report{Hospital: hospital, Day: day}
	rows, err := s.Database.Query(ctx, `select kind, count(*), count(*) filter (where state = 'taken') from regulator.upload where hospital = $1 and at >= $2 and at < $3 group by kind order by kind`,
		hospital, from, from.AddDate(0, 0, 1))
	if err == nil {
		r.Kinds, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Count])
	}
	if err != nil {
		return r, fmt.Errorf("report gaps: %w", err)
	}
	rows, err = s.Database.Query(ctx, `select kind, key, regulator, state, reason, at, (extract(epoch from clock_timestamp() - at) / 60)::bigint from regulator.upload
		where hospital = $1 and at >= $2 and at < $3 and state <> 'taken' order by at, kind, key`, hospital, from, from.AddDate(0, 0, 1))
	if err == nil {
		r.Gaps, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Gap])
	}
	if err != nil {
		return r, fmt.Errorf("report gaps: %w", err)
	}
	return r, nil
}

// CSV of the gaps, with a mark by which spreadsheets know that it is UTF-8.
func (r Report) CSV() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"hospital", "day", "kind", "key", "regulator", "state", "at", "age_minutes", "reason"})
	for _, g := range r.Gaps {
		_ = w.Write([]string{r.Hospital, r.Day, string(g.Kind), plain(g.Key), plain(g.Regulator), string(g.State), g.At.Format(time.RFC3339), strconv.FormatInt(g.AgeMinutes, 10), plain(g.Reason)})
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// plain keeps a spreadsheet from reading text as a formula.
func plain(text string) string {
	if text != "" && bytes.ContainsRune([]byte("=+-@\t\r"), rune(text[0])) {
		return "'" + text
	}
	return text
}
