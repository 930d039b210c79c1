package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
)

// messageReplay releases many parked messages. Without --yes it only counts.
type messageReplay struct {
	place
	Hospital string  `help:"Of this hospital." required:""`
	Class    string  `help:"Parked with this class." enum:"unavailable,in_doubt,rejected,invalid" required:""`
	Kind     string  `help:"Only this kind, as payment.settle."`
	Rate     float64 `help:"Messages a second." default:"5"`
	Yes      bool    `help:"Do it; without it, only the count is shown."`
	By       string  `default:"${user}" help:"Who."`
	Note     string  `help:"What was mended; recorded with each message." default:"replayed"`
}

func (messageReplay) Help() string {
	return "Releases, one by one, what is parked: after a code table was mended, or a HIS explained its refusals. Each release is recorded. Ctrl-C pauses; the same command goes on, because what was released is no longer parked.\n\nExamples:\n  hishub message replay --hospital xihu --class invalid\n  hishub message replay --hospital xihu --class invalid --yes --rate 20 --note 'route codes mended'"
}

func (c *messageReplay) Run(ctx context.Context) error {
	if c.Rate <= 0 {
		return core.Problems{{Field: "--rate", What: "not more than 0"}}
	}
	return c.with(ctx, func(s *postgres.Store) error {
		ids, err := c.parked(ctx, s)
		if err != nil {
			return err
		}
		if !c.Yes {
			fmt.Printf("%d messages of %s are parked as %s; nothing was done. Add --yes to release them at %g a second.\n", len(ids), c.Hospital, c.Class, c.Rate)
			return nil
		}
		bar := progressbar.NewOptions(len(ids), progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowCount(), progressbar.OptionSetDescription("releasing"))
		released, meanwhile := 0, 0
		pace := time.NewTicker(time.Duration(float64(time.Second) / c.Rate))
		defer pace.Stop()
		for _, id := range ids {
			select {
			case <-ctx.Done():
				fmt.Fprintln(os.Stderr)
				return fmt.Errorf("paused: %d of %d released; the same command goes on", released, len(ids))
			case <-pace.C:
			}
			var refusal *postgres.Refusal
			switch err := s.Release(ctx, id, c.By, postgres.Again, c.Note); {
			case errors.As(err, &refusal):
				meanwhile++ // somebody else decided about it
			case err != nil:
				return fmt.Errorf("message %d, after %d were released: %w", id, released, err)
			default:
				released++
			}
			_ = bar.Add(1)
		}
		fmt.Fprintln(os.Stderr)
		fmt.Printf("%d released, %d had been decided meanwhile\n", released, meanwhile)
		return nil
	})
}

// parked lists all of them, oldest first, so that lanes keep their order.
func (c *messageReplay) parked(ctx context.Context, s *postgres.Store) (ids []int64, err error) {
	f := postgres.Filter{Hospitals: []string{c.Hospital}, State: delivery.Parked, Class: core.Class(c.Class), Kind: core.Kind(c.Kind)}
	for cursor := ""; ; {
		page, next, err := s.List(ctx, f, cursor, 500)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			ids = append(ids, m.ID)
		}
		if cursor = next; cursor == "" {
			slices.Reverse(ids)
			return ids, nil
		}
	}
}
