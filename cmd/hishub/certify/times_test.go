package certify

import (
	"testing"
	"time"

	"hishub/core"
)

func TestAllTimesOfAMessageMoveAlike(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 8*3600)
	written := time.Date(2026, 1, 5, 23, 50, 0, 0, zone)
	p := &core.Prescription{
		BirthDate: "1990-01-01", WrittenAt: written, ValidUntil: written.Add(72 * time.Hour),
		Review:       &core.Review{ReviewedAt: written.Add(6 * time.Minute)},
		Consultation: &core.Consultation{StartedAt: written.Add(-time.Hour)},
	}
	now := time.Date(2026, 11, 24, 0, 2, 0, 0, zone)
	bringUp(p, now, zone)
	by := now.Add(-6 * time.Minute).Sub(written)
	for what, times := range map[string][2]time.Time{
		"written":  {p.WrittenAt, written},
		"valid":    {p.ValidUntil, written.Add(72 * time.Hour)},
		"reviewed": {p.Review.ReviewedAt, written.Add(6 * time.Minute)},
		"started":  {p.Consultation.StartedAt, written.Add(-time.Hour)},
	} {
		if got := times[0].Sub(times[1]); got != by {
			t.Errorf("%s moved by %s, not %s", what, got, by)
		}
	}
	if p.BirthDate != "1990-01-01" {
		t.Errorf("born on %s", p.BirthDate)
	}
}

func TestTheDateOfASessionMovesByWholeDays(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 8*3600)
	b := &core.Appointment{Date: "2026-01-07", BookedAt: time.Date(2026, 1, 5, 23, 50, 0, 0, zone)}
	now := time.Date(2026, 11, 24, 0, 2, 0, 0, zone)
	bringUp(b, now, zone)
	if b.Date != "2026-11-26" || !b.BookedAt.Equal(now) {
		t.Errorf("%s, booked %s", b.Date, b.BookedAt)
	}
	none := &core.Appointment{Date: "2026-01-07"}
	if bringUp(none, now, zone); none.Date != "2026-01-07" || !none.BookedAt.IsZero() {
		t.Errorf("of one without times: %s, %s", none.Date, none.BookedAt)
	}
}
