package redis

import (
	"context"
	"maps"
	"slices"
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

// together is how many hospitals share a pipeline: a long one takes longer than Redis is
// waited for, and would have it left alone by everybody.
const together = 100

// Add counts more for a minute (since 1970) by hospital; "" is all of them together.
func (p *Pulse) Add(ctx context.Context, minute int64, by map[string]Counts) error {
	for some := range slices.Chunk(slices.Collect(maps.Keys(by)), together) {
		err := p.client.try(ctx, func(ctx context.Context) error {
			_, err := p.client.rdb.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
				for _, hospital := range some {
					key, lasts := pulseKey(minute, hospital), PulseOfOne
					if hospital == "" {
						lasts = PulseOfAll
					}
					for name, n := range by[hospital] {
						pipe.HIncrBy(ctx, key, name, n)
					}
					pipe.Expire(ctx, key, lasts)
				}
				return nil
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Read gives the minutes from first to last of the hospitals together, "" for all; the
// one at index i is of minute first+i.
func (p *Pulse) Read(ctx context.Context, hospitals []string, first, last int64) ([]Counts, error) {
	out := make([]Counts, last-first+1)
	for _, h := range hospitals { // each its own pipeline, see together
		if err := p.read(ctx, h, first, out); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (p *Pulse) read(ctx context.Context, hospital string, first int64, out []Counts) error {
	return p.client.try(ctx, func(ctx context.Context) error {
		asked := make([]*goredis.MapStringStringCmd, len(out))
		_, err := p.client.rdb.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
			for i := range out {
				asked[i] = pipe.HGetAll(ctx, pulseKey(first+int64(i), hospital))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i, a := range asked {
			for name, text := range a.Val() {
				n, err := strconv.ParseInt(text, 10, 64)
				if err != nil {
					continue // not ours
				}
				if out[i] == nil {
					out[i] = Counts{}
				}
				out[i][name] += n
			}
		}
		return nil
	})
}
