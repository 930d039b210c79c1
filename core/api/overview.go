package api

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"time"

	"hishub/core"
)

// Names under which a minute is counted, beside those of PulseTook.
const (
	PulseDelivered = "delivered"
	PulseParked    = "parked"
	PulseExchanges = "exchanges"
	PulseFailed    = "failed"
)

// pulseBounds are the upper bounds of the times of exchanges that are told apart, in
// milliseconds; the last one has none.
var pulseBounds = []int{5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000}

// PulseTook is the name for an exchange that took so long.
func PulseTook(took time.Duration) string {
	ms := int(took.Milliseconds())
	i := sort.SearchInts(pulseBounds, ms)
	return fmt.Sprintf("took%d", i)
}

// Overview is how much went on, step by step.
type Overview struct {
	Step   int             `json:"step_minutes"`
	Points []OverviewPoint `json:"points" doc:"in order; the last step is still going on"`
}

// OverviewPoint is one step.
type OverviewPoint struct {
	At        time.Time `json:"at" doc:"its beginning"`
	Delivered int64     `json:"delivered" doc:"messages"`
	Parked    int64     `json:"parked" doc:"messages that came to wait for a person"`
	Exchanges int64     `json:"exchanges" doc:"with HIS and payment channels"`
	Failed    int64     `json:"failed" doc:"of these, those not answered"`
	P50       *int      `json:"p50_ms,omitempty" doc:"half of the exchanges took at most so long; a bound, not a measurement"`
	P95       *int      `json:"p95_ms,omitempty" doc:"95 of 100 took at most so long"`
}

type overviewQuery struct {
	Hospital string `query:"hospital" maxLength:"64" doc:"only this one's; missing: all that the caller may see together"`
	Minutes  int    `query:"minutes" minimum:"10" maximum:"1440" default:"60" doc:"how far back; at most 120 of single hospitals"`
}

const (
	// ofOne is how far back single hospitals are known, in minutes; ofMany bounds the
	// hospitals that are added up.
	ofOne, ofMany = 120, 50
	overviewSteps = 120
)

func (a *api) overview() {
	register(a, operation{
		id: "get-overview", method: http.MethodGet, path: "/v1/overview", right: mayRead, tag: "Hospitals",
		title: "See how much goes on", errors: []int{404},
		doc: "Counted by the processes as they work, and kept for a day beside the ledger: what was not kept is missing here, and nowhere else.",
	}, func(ctx context.Context, rq *request, in *overviewQuery) (*struct{ Body Overview }, error) {
		hospitals := rq.caller.scope()
		if in.Hospital != "" {
			if !rq.caller.Sees(in.Hospital) {
				return nil, problem("not-found", "")
			}
			hospitals = []string{in.Hospital}
		}
		if hospitals != nil && in.Minutes > ofOne {
			return nil, invalid(core.Problems{{Field: "query.minutes", What: fmt.Sprintf("single hospitals are known for %d minutes", ofOne)}})
		}
		if len(hospitals) > ofMany {
			return nil, invalid(core.Problems{{Field: "query.hospital", What: fmt.Sprintf("choose one: at most %d are added up", ofMany)}})
		}
		if a.Pulse == nil {
			return nil, problem("unavailable", "this process counts nothing")
		}
		o, err := a.pulses(ctx, hospitals, in.Minutes)
		return &struct{ Body Overview }{o}, err
	})
}

// pulses reads minutes and adds them up to steps.
func (a *api) pulses(ctx context.Context, hospitals []string, minutes int) (o Overview, err error) {
	o = Overview{Step: (minutes + overviewSteps - 1) / overviewSteps, Points: []OverviewPoint{}}
	step := int64(o.Step)
	last := time.Now().Unix() / 60
	first := (last - int64(minutes)) / step * step
	var all []map[string]int64
	if hospitals == nil || len(hospitals) > 0 { // whoever sees none, sees nothing happen
		if all, err = a.Pulse(ctx, hospitals, first, last); err != nil {
			return o, problem("unavailable", "the counts of what went on are away").after(5 * time.Second)
		}
	}
	for from := first; from <= last; from += step {
		sum := map[string]int64{}
		for m := from; m < from+step && int(m-first) < len(all); m++ {
			for name, n := range all[m-first] {
				sum[name] += n
			}
		}
		o.Points = append(o.Points, OverviewPoint{
			At: time.Unix(from*60, 0).UTC(), Delivered: sum[PulseDelivered], Parked: sum[PulseParked], Exchanges: sum[PulseExchanges], Failed: sum[PulseFailed],
			P50: percentile(sum, 50), P95: percentile(sum, 95),
		})
	}
	return o, nil
}

// percentile is the bound below which so many of a hundred exchanges stayed; nil for none.
func percentile(sum map[string]int64, of int64) *int {
	var all, so int64
	for i := range len(pulseBounds) + 1 {
		all += sum[fmt.Sprintf("took%d", i)]
	}
	if all == 0 {
		return nil
	}
	for i := range len(pulseBounds) + 1 {
		so += sum[fmt.Sprintf("took%d", i)]
		if so*100 >= all*of {
			bound := pulseBounds[min(i, len(pulseBounds)-1)]
			return &bound
		}
	}
	return nil
}
