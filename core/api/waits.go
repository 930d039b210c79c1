package api

import (
	"context"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
)

// waits says of each queued message why it is not sent now. What only the process that
// works its hospital knows is told where that is this one.
func (a *api) waits(ctx context.Context, all []postgres.Message) (map[int64]*delivery.Waits, error) {
	var hospitals []string
	for _, m := range all {
		if _, ok := m.Waiting(); ok {
			hospitals = append(hospitals, m.Hospital)
		}
	}
	if hospitals == nil {
		return nil, nil
	}
	circumstances, err := a.Store.Circumstances(ctx, core.Distinct(hospitals))
	if err != nil {
		return nil, err
	}
	lights := a.Lights()
	for id, c := range circumstances {
		if a.Folder != nil {
			c.Dialect, _ = a.Folder(ctx, id) // where it cannot be read here, its hours are not known
		}
		if light, ok := lights[id]; ok && c.Owner == a.Process {
			c.Light = &light
		}
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

// shownAll are messages with why they wait.
func (a *api) shownAll(ctx context.Context, c Caller, all []postgres.Message) ([]Message, error) {
	why, err := a.waits(ctx, all)
	if err != nil {
		return nil, err
	}
	out := make([]Message, 0, len(all))
	for _, m := range all {
		one := shown(m, c)
		one.Waits = why[m.ID]
		out = append(out, one)
	}
	return out, nil
}

func (a *api) shownOne(ctx context.Context, c Caller, m postgres.Message) (Message, error) {
	all, err := a.shownAll(ctx, c, []postgres.Message{m})
	if err != nil {
		return Message{}, err
	}
	return all[0], nil
}
