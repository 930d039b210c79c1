package redis

import (
	"context"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Pulse is what all processes did, minute by minute, for charts. Nothing depends on it:
// what Redis loses is missing in a chart.
type Pulse struct{ client *Client }

// NewPulse keeps it in Redis.
func NewPulse(c *Client) *Pulse { return &Pulse{c} }

// Counts of one minute by name.
type Counts map[string]int64

// How long a minute is known: of all hospitals together, and of one.
const (
	PulseOfAll = 25 * time.Hour
	PulseOfOne = 2*time.Hour + 5*time.Minute
)

func pulseKey(minute int64, hospital string) string {
	return "hishub:pulse:" + strconv.FormatInt(minute, 10) + ":" + hospital
}

// Add counts more for a minute (since 1970) by hospital; "" is all of them together.
func (p *Pulse) Add(ctx context.Context, minute int64, by map[string]Counts) error {
	return p.client.try(ctx, func(ctx context.Context) error {
		_, err := p.client.rdb.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
			for hospital, counts := range by {
				key, lasts := pulseKey(minute, hospital), PulseOfOne
				if hospital == "" {
					lasts = PulseOfAll
				}
				for name, n := range counts {
					pipe.HIncrBy(ctx, key, name, n)
				}
				pipe.Expire(ctx, key, lasts)
			}
			return nil
		})
		return err
	})
}

// Read gives the minutes from first to last of the hospitals together, "" for all; the
// one at index i is of minute first+i.
func (p *Pulse) Read(ctx context.Context, hospitals []string, first, last int64) ([]Counts, error) {
	out := make([]Counts, last-first+1)
	err := p.client.try(ctx, func(ctx context.Context) error {
		var asked []*goredis.MapStringStringCmd
		_, err := p.client.rdb.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
			for _, h := range hospitals {
				for m := first; m <= last; m++ {
					asked = append(asked, pipe.HGetAll(ctx, pulseKey(m, h)))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i, a := range asked {
			at := i % len(out)
			for name, text := range a.Val() {
				n, err := strconv.ParseInt(text, 10, 64)
				if err != nil {
					continue // not ours
				}
				if out[at] == nil {
					out[at] = Counts{}
				}
				out[at][name] += n
			}
		}
		return nil
	})
	return out, err
}
