package certify

import (
	"reflect"
	"time"

	"hishub/core"
)

// bringUp moves everything in a message that has a time by the same amount, so that
// what happened before it was sent keeps its order and distances, and the last of it
// happens now: a review stays after the writing, and neither lies ahead, which a HIS
// refuses. Dates that belong to the message (of a clinic session, say) move by whole
// days of the zone; those of a person (of birth) stay.
func bringUp(body core.Body, now time.Time, zone *time.Location) {
	var d dated
	d.walk(reflect.ValueOf(body))
	var last time.Time
	for _, at := range d.times {
		if !ahead(body, at) && at.After(last) {
			last = *at
		}
	}
	if last.IsZero() {
		return
	}
	by := now.Sub(last)
	for _, at := range d.times {
		if !at.IsZero() {
			*at = at.Add(by)
		}
	}
	days := int(midnight(now, zone).Sub(midnight(last, zone)).Hours() / 24)
	for _, date := range d.dates {
		day, _ := time.Parse(time.DateOnly, date.String())
		date.SetString(day.AddDate(0, 0, days).Format(time.DateOnly))
	}
}

// ahead: a time that lies after the message by its nature.
func ahead(body core.Body, at *time.Time) bool {
	p, ok := body.(*core.Prescription)
	return ok && at == &p.ValidUntil
}

// midnight that began the day there, as if the day were one of UTC: all days have
// 24 hours.
func midnight(at time.Time, zone *time.Location) time.Time {
	at = at.In(zone)
	return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
}

// dated is what has a time or a date in a message, at any depth.
type dated struct {
	times []*time.Time
	dates []reflect.Value // strings, yyyy-MM-dd
}

func (d *dated) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			d.walk(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			d.walk(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			d.times = append(d.times, v.Addr().Interface().(*time.Time))
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("personal") == "" {
				d.walk(v.Field(i))
			}
		}
	case reflect.String:
		if _, err := time.Parse(time.DateOnly, v.String()); err == nil && v.CanSet() {
			d.dates = append(d.dates, v)
		}
	}
}
