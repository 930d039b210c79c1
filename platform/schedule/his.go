package schedule

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

// unlimited stands for a session whose HIS counts no places.
const unlimited = 9999

// hours of the periods, where a HIS says no time.
var hours = map[core.Period][2]string{"morning": {"08:00", "12:00"}, "afternoon": {"14:00", "17:30"}, "evening": {"18:00", "21:00"}, "day": {"08:00", "17:30"}, "": {"08:00", "17:30"}}

// ask has the sessions from the HIS and writes them down: its remaining places, beside
// those that we hold and have booked.
func (s *Service) ask(ctx context.Context, hospital string, f Filter) error {
	place, err := s.Place(ctx, hospital)
	if err != nil {
		return err
	}
	answer, asOf, err := s.Recent(ctx, hospital, core.ScheduleList, &core.DictionaryQuery{DepartmentCode: f.Department, DoctorCode: f.Doctor, From: f.From, To: f.To})
	if err != nil {
		return err
	}
	var no, doctor, department, day, period, slot, hisNo []string
	var starts, ends []time.Time
	var remaining []int
	var fee []int64
	var stopped []bool
	seen := map[string]bool{}
	for _, v := range answer.(*core.Schedules).Schedules {
		id := "H" + v.ScheduleNo
		if v.SlotNo != "" {
			id += "-" + v.SlotNo
		}
		from, to, ok := times(v, place.Zone)
		if v.ScheduleNo == "" || seen[id] || !ok || v.Date < f.From || v.Date > f.To {
			continue
		}
		seen[id] = true
		left := unlimited
		if v.Remaining != "" {
			if left, err = strconv.Atoi(v.Remaining); err != nil {
				return fmt.Errorf("session %s: its remaining places are no whole number", id)
			}
		}
		no, doctor, department, day, period = append(no, id), append(doctor, v.DoctorCode), append(department, v.DepartmentCode), append(day, v.Date), append(period, string(v.Period))
		slot, hisNo = append(slot, v.SlotNo), append(hisNo, v.ScheduleNo)
		starts, ends, remaining, fee, stopped = append(starts, from), append(ends, to), append(remaining, max(left, 0)), append(fee, int64(v.Fee)), append(stopped, v.Stopped)
	}
	// What we hold is not known to the HIS; what we booked is, and is not among the
	// remaining, once it has agreed: what is on its way is still among them. An answer that
	// is older than what is kept changes nothing.
	_, err = s.Database.Exec(ctx, `insert into schedule.session as o (no, hospital, doctor, department, day, period, starts, ends, capacity, fee, source, his_no, slot_no, release_at, stopped_at, as_of)
		select no, $1, doctor, department, day::date, period, starts, ends, remaining, fee, 'his', his_no, slot_no, 'epoch', case when stopped then $2::timestamptz end, $2
		from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[], $10::integer[], $11::bigint[], $12::text[], $13::text[], $14::boolean[])
			x(no, doctor, department, day, period, starts, ends, remaining, fee, his_no, slot_no, stopped)
		on conflict (hospital, no) do update set doctor = excluded.doctor, department = excluded.department, day = excluded.day, period = excluded.period,
			starts = excluded.starts, ends = excluded.ends, fee = excluded.fee, as_of = excluded.as_of,
			capacity = o.booked + greatest(o.held, excluded.capacity - (select count(*) from jsonb_each(o.on_way) where `+uncounted+`)),
			on_way = coalesce((select jsonb_object_agg(key, value) from jsonb_each(o.on_way) where `+uncounted+`), '{}'),
			stopped_at = case when excluded.stopped_at is null then o.stopped_at else coalesce(o.stopped_at, excluded.stopped_at) end
		where o.as_of < excluded.as_of`,
		hospital, asOf, no, doctor, department, day, period, starts, ends, remaining, fee, hisNo, slot, stopped)
	if err != nil {
		return err
	}
	// What the HIS does not list any more has no free place.
	_, err = s.Database.Exec(ctx, `update schedule.session set capacity = held + booked, as_of = $2 where hospital = $1 and source = 'his' and as_of < $2
		and day between $3::date and $4::date and ($5 = '' or department = $5) and ($6 = '' or doctor = $6) and no <> all($7)`,
		hospital, asOf, f.From, f.To, f.Department, f.Doctor, no)
	return err
}

// uncounted are the bookings that the HIS's answer does not count: those to which it
// has not agreed, or did so when it was asked already, by clocks that may differ by seconds.
const uncounted = `case when value = 'null' then true else value::text::float8 > extract(epoch from excluded.as_of) - 5 end`

// OnWay says that a booking of a place is on its way to the HIS that counts the session's.
func (s *Service) OnWay(ctx context.Context, tx pgx.Tx, hospital, no, booking string) error {
	_, err := tx.Exec(ctx, `update schedule.session set on_way = on_way || jsonb_build_object($3::text, null) where hospital = $1 and no = $2 and source = 'his'`, hospital, no, booking)
	return err
}

// Agreed says that the HIS has a booking that was on its way: what it answers from now on
// counts it. Again changes nothing.
func (s *Service) Agreed(ctx context.Context, tx pgx.Tx, hospital, no, booking string) error {
	_, err := tx.Exec(ctx, `update schedule.session set on_way = on_way || jsonb_build_object($3::text, extract(epoch from clock_timestamp()))
		where hospital = $1 and no = $2 and on_way -> $3 = 'null'`, hospital, no, booking)
	return err
}

// OffWay says that a booking is taken back.
func (s *Service) OffWay(ctx context.Context, tx pgx.Tx, hospital, no, booking string) error {
	_, err := tx.Exec(ctx, `update schedule.session set on_way = on_way - $3::text where hospital = $1 and no = $2 and on_way ? $3`, hospital, no, booking)
	return err
}

// times of a session in its hospital's zone.
func times(v core.Schedule, zone *time.Location) (from, to time.Time, ok bool) {
	usual, known := hours[v.Period]
	start, end := v.Start, v.End
	if start == "" && known {
		start = usual[0]
	}
	if end == "" && known {
		end = usual[1]
	}
	from, err := time.ParseInLocation("2006-01-02 15:04", v.Date+" "+start, zone)
	if err != nil {
		return from, to, false
	}
	if to, err = time.ParseInLocation("2006-01-02 15:04", v.Date+" "+end, zone); err != nil || !to.After(from) {
		to = from.Add(15 * time.Minute)
	}
	return from, to, true
}
