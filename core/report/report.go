// Package report makes what finance uses of the nights: a day's report and a
// month's, as a workbook, CSV files, a page or JSON. It reads and asks nothing;
// whoever calls it hands it the plain data.
package report

import (
	"cmp"
	"slices"
	"time"

	"hishub/core"
	"hishub/core/reconcile"
)

// Day is what one business day of one hospital came to.
type Day struct {
	Hospital string
	Name     string // of the hospital
	Day      string // yyyy-MM-dd in the hospital's zone
	// Zone in which times are shown; UTC if nil.
	Zone *time.Location
	// Made is when this report is made: ages count up to it.
	Made time.Time
	// Night is the run that closed the day; while none has, the newest one; zero
	// when there was no run.
	Night reconcile.Night
	// Findings of that run but the matched ones.
	Findings []reconcile.Finding
	// Cases of the day, and those of earlier days that are still live.
	Cases []reconcile.Case
	// Adjustments that were booked on this day: what runs on it found otherwise
	// about days that were closed before.
	Adjustments []Adjustment
	// Refunds that were asked for on this day.
	Refunds []reconcile.RefundLine
	// Settlements are what the bank received for this day.
	Settlements []reconcile.Settlement
}

// Adjustment is what a later run found otherwise about a closed day. The closed
// day stays as it is; the adjustment belongs to the day on which it was found.
type Adjustment struct {
	Day string // that was closed
	Run int    // of that day
	At  time.Time
	reconcile.Change
}

// Month is the roll-up of a hospital's days.
type Month struct {
	Hospital string
	Name     string
	Month    string // yyyy-MM
	Zone     *time.Location
	Made     time.Time
	// Days in their order, also those that had no run.
	Days []Day
}

// Document is a report as the renderers take it.
type Document struct {
	Hospital string
	Name     string
	// Period is the day or the month.
	Period string
	Made   time.Time
	// Facts are what stands above the tables.
	Facts  []Fact
	Tables []Table
	Charts []Chart
}

// Fact is one line above the tables.
type Fact struct{ Title, Text string }

// Title of the document for people.
func (d Document) Title() string {
	if len(d.Period) == len("2026-01") {
		return d.Name + " " + d.Period + " 对账月报"
	}
	return d.Name + " " + d.Period + " 对账日报"
}

// FileName of the document without its ending; plain ASCII.
func (d Document) FileName() string { return "reconciliation-" + d.Hospital + "-" + d.Period }

// Document of the day.
func (d Day) Document() Document {
	days := []Day{d}
	n := d.Night
	facts := []Fact{{"状态 state", stateOf(n).String()}}
	if n.Run > 0 {
		facts = append(facts, Fact{"批次 run", runText(n, zoneOf(d.Zone))})
	}
	if n.Detail != "" {
		facts = append(facts, Fact{"方式 detail", wordOf(details, string(n.Detail)).String() + why(n.Why)})
	}
	if n.Problem != "" {
		facts = append(facts, Fact{"说明 problem", n.Problem})
	}
	facts = append(facts, Fact{"差异 differences", differencesText(d)})
	return Document{
		Hospital: d.Hospital, Name: nameOf(d.Name, d.Hospital), Period: d.Day, Made: d.Made.In(zoneOf(d.Zone)), Facts: facts,
		Tables: []Table{
			summary(days), differences(days), open(days), transit(days), adjustments(days), refunds(days), settlements(days), operators(days), excluded(days), books(days),
		},
	}
}

// Document of the month.
func (m Month) Document() Document {
	days := slices.Clone(m.Days)
	for i := range days { // the month says once what holds for all
		days[i].Hospital, days[i].Name, days[i].Zone, days[i].Made = m.Hospital, m.Name, m.Zone, m.Made
	}
	slices.SortStableFunc(days, func(a, b Day) int { return cmp.Compare(a.Day, b.Day) })
	closed := 0
	for _, d := range days {
		if d.Night.Closed {
			closed++
		}
	}
	return Document{
		Hospital: m.Hospital, Name: nameOf(m.Name, m.Hospital), Period: m.Month, Made: m.Made.In(zoneOf(m.Zone)),
		Facts: []Fact{{"已关账天数 closed days", countText(closed) + " / " + countText(len(days))}},
		Tables: []Table{
			roll(days), summary(days), differences(days), open(days), transit(days), adjustments(days), refunds(days), settlements(days), operators(days), excluded(days), books(days),
		},
		Charts: []Chart{
			{Title: "每日差异 differences per day", Table: "days", Category: "day", Series: []string{"differences"}, Columns: true},
			{Title: "每日金额（元） amounts per day, yuan", Table: "days", Category: "day", Series: []string{"ours_payment_amount", "ours_refund_amount"}},
		},
	}
}

// Differences counts what somebody must look into.
func (d Day) Differences() int {
	n := 0
	for _, f := range d.Findings {
		if f.Class.Difference() {
			n++
		}
	}
	return n
}

// questioned is the sum of the amounts that are in question.
func (d Day) questioned() (sum core.Fen) {
	for _, f := range d.Findings {
		if f.Class.Difference() {
			sum += f.Amount
		}
	}
	return sum
}

func nameOf(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

func zoneOf(z *time.Location) *time.Location {
	if z == nil {
		return time.UTC
	}
	return z
}

// age in whole days from the end of a business day to when the report is made.
func age(day string, made time.Time, zone *time.Location) any {
	from, err := time.ParseInLocation(time.DateOnly, day, zoneOf(zone))
	if err != nil || made.IsZero() {
		return nil
	}
	here := made.In(zoneOf(zone))
	to := time.Date(here.Year(), here.Month(), here.Day(), 0, 0, 0, 0, time.UTC)
	from = time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, time.UTC)
	return max(0, int64(to.Sub(from)/(24*time.Hour)))
}
