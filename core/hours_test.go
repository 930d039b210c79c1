package core

import (
	"slices"
	"testing"
	"time"
)

// 2026-01-05 is a Monday.
func TestHoursOfAHospital(t *testing.T) {
	shanghai := time.FixedZone("CST", 8*3600)
	at := func(day, hour, minute int) time.Time {
		return time.Date(2026, 1, day, hour, minute, 0, 0, shanghai).UTC()
	}
	weekdays := [7]bool{false, true, true, true, true, true, true}
	saturday := [7]bool{6: true}
	operations := map[Kind]*Operation{PrescriptionCreate: {}, PaymentSettle: {AnyHour: true}, "channel.refund": {}}
	day := &Dialect{Zone: shanghai, Operations: operations, Open: []Hours{{weekdays, Window{7 * 60, 18*60 + 30}}}, Maintenance: []Window{{12 * 60, 12*60 + 15}}}
	night := &Dialect{Zone: shanghai, Operations: operations, Open: []Hours{{saturday, Window{20 * 60, 3 * 60}}}}
	late := &Dialect{Zone: shanghai, Operations: operations, Open: []Hours{{saturday, Window{20 * 60, 24 * 60}}}, Maintenance: []Window{{19 * 60, 21 * 60}}}
	for i, c := range []struct {
		d     *Dialect
		kind  Kind
		t     time.Time
		opens time.Time
	}{
		{day, PrescriptionCreate, at(5, 6, 59), at(5, 7, 0)},
		{day, PrescriptionCreate, at(5, 7, 0), at(5, 7, 0)},
		{day, PrescriptionCreate, at(5, 18, 29), at(5, 18, 29)},
		{day, PrescriptionCreate, at(5, 18, 30), at(6, 7, 0)},
		{day, PrescriptionCreate, at(10, 18, 30), at(12, 7, 0)}, // over Sunday
		{day, PrescriptionCreate, at(5, 12, 3), at(5, 12, 15)},
		{day, PaymentSettle, at(5, 12, 3), at(5, 12, 15)},
		{day, PaymentSettle, at(11, 3, 0), at(11, 3, 0)},
		{day, "channel.refund", at(11, 3, 0), at(11, 3, 0)}, // the channel is no part of the hospital
		{night, PrescriptionCreate, at(10, 19, 0), at(10, 20, 0)},
		{night, PrescriptionCreate, at(11, 2, 59), at(11, 2, 59)}, // Saturday's
		{night, PrescriptionCreate, at(11, 3, 0), at(17, 20, 0)},
		{night, PrescriptionCreate, at(10, 2, 0), at(10, 20, 0)}, // not Friday's
		{late, PrescriptionCreate, at(10, 20, 0), at(10, 21, 0)},
		{late, PrescriptionCreate, at(10, 23, 59), at(10, 23, 59)},
		{late, PrescriptionCreate, at(11, 0, 0), at(17, 21, 0)},
	} {
		if got := c.d.Rests(c.kind, c.t); got == c.t.Equal(c.opens) {
			t.Errorf("%d: %s at %s: rests is %v", i, c.kind, c.t.In(shanghai), got)
		}
		if got, ok := c.d.Opens(c.kind, c.t); !ok || !got.Equal(c.opens) {
			t.Errorf("%d: %s at %s opens at %s, %v; want %s", i, c.kind, c.t.In(shanghai), got, ok, c.opens.In(shanghai))
		}
	}
	never := &Dialect{Zone: shanghai, Open: []Hours{{saturday, Window{60, 120}}}, Maintenance: []Window{{0, 180}}}
	if at, ok := never.Opens("", at(5, 0, 0)); ok {
		t.Errorf("opens at %s", at)
	}
	if got := day.AtAnyHour(); !slices.Equal(got, []Kind{"channel.refund", PaymentSettle}) {
		t.Errorf("at any hour: %v", got)
	}
}
