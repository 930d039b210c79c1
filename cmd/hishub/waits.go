package main

import (
	"context"
	"fmt"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/mapping"
)

// whyWaits says of each queued message, by its number, why it is not sent now. A
// command is not the process that works a hospital: what only that one knows is not in it.
func whyWaits(ctx context.Context, s *postgres.Store, all ...postgres.Message) (map[int64]*delivery.Waits, error) {
	var hospitals []string
	for _, m := range all {
		if _, ok := m.Waiting(); ok {
			hospitals = append(hospitals, m.Hospital)
		}
	}
	if hospitals == nil {
		return nil, nil
	}
	circumstances, err := s.Circumstances(ctx, core.Distinct(hospitals))
	if err != nil {
		return nil, err
	}
	for id, c := range circumstances {
		c.Dialect = activeDialect(ctx, s, id)
		circumstances[id] = c
	}
	why := map[int64]*delivery.Waits{}
	for _, m := range all {
		if row, ok := m.Waiting(); ok {
			w := delivery.WhyWaits(row, circumstances[m.Hospital])
			why[m.ID] = &w
		}
	}
	return why, nil
}

// whatNow says what was done of a message that is in doubt or parked, and what is to be
// done; "" where nothing is.
func whatNow(m postgres.Message) string {
	doubt := "it was sent, and no answer says whether the HIS has it"
	switch {
	case m.State == delivery.Parked && m.Class == core.InDoubt:
		return fmt.Sprintf("%s; look at the HIS. If it has it: hishub message release %d --delivered --note \"...\". If it has not: hishub message release %d; then the HIS is asked first where it can be, else it is sent again", doubt, m.ID, m.ID)
	case m.State == delivery.Queued && m.Class == core.InDoubt:
		return doubt + "; the hub asks the HIS by itself, or repeats what is harmless to repeat, and nothing needs to be done"
	case m.State == delivery.Parked && m.Class == core.Invalid:
		return fmt.Sprintf("the folder cannot say it, or the question about it; mend the folder or its code table and apply it, then: hishub message release %d", m.ID)
	case m.State == delivery.Parked && m.Class == core.Rejected:
		return fmt.Sprintf("the HIS answered, and not as hoped; agree with the hospital, then tell it again: hishub message release %d, or end it: hishub message cancel %d", m.ID, m.ID)
	case m.State == delivery.Parked && m.Class == core.Unavailable:
		return fmt.Sprintf("it was tried for as long as the hub tries; once the HIS is there: hishub message release %d", m.ID)
	}
	return ""
}

// activeDialect of a hospital, to look at; nil where it cannot be read here. This
// machine need not have its variables.
func activeDialect(ctx context.Context, s *postgres.Store, hospital string) *core.Dialect {
	revision, err := s.Revision(ctx, hospital, 0)
	if err != nil {
		return nil
	}
	files, err := mapping.Unpack(revision.Archive)
	if err != nil {
		return nil
	}
	if f, err := loadSample(files); err == nil {
		return f.Dialect
	}
	if d, err := mapping.Head(files); err == nil {
		return d
	}
	return nil
}

// waiting is a message with why it waits, for scripts.
type waiting struct {
	postgres.Message
	Waits *delivery.Waits `json:"waits,omitempty"`
}
