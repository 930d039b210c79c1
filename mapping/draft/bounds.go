package draft

import (
	"context"
	"slices"
	"strings"

	"hishub/core"
)

// Bounds of what is drafted of a database. A HIS has hundreds of tables of hundreds
// of columns, and somebody must read what is drafted.
const (
	maxTables  = 2000
	maxColumns = 1000
)

func (d *description) add(t *table) {
	d.tables = append(d.tables, t)
	if d.byName == nil {
		d.byName = map[string][]*table{}
	}
	name := strings.ToLower(t.name)
	d.byName[name] = append(d.byName[name], t)
}

func (t *table) take(c column) {
	if len(t.columns) >= maxColumns {
		t.left++
		return
	}
	t.columns = append(t.columns, c)
}

// chosen are the tables that are drafted, in their order. What is left out is noted.
func (p *plan) chosen(ctx context.Context, all []*table) []*table {
	out := all
	if len(all) > maxTables {
		out = p.likeliest(ctx, all)
		p.note("%d of %d tables, views and procedures are left out, as the bound is %d; choose with --only, or give a smaller dump", len(all)-len(out), len(all), maxTables)
	}
	for _, t := range out {
		if t.left > 0 {
			p.note("%d of %d columns of %s are left out, as the bound is %d; give a smaller dump", t.left, len(t.columns)+t.left, t.name, maxColumns)
		}
	}
	return out
}

// likeliest are as many as are drafted: those first that look like a transaction
// that is wanted, then those that may be the lines of one, then the rest.
func (p *plan) likeliest(ctx context.Context, all []*table) []*table {
	rank := map[*table]int{}
	for _, t := range all {
		if ctx.Err() != nil {
			return nil
		}
		name := t.name
		if t.view {
			name = "query " + name
		}
		kind, _ := guessKind(name, t.words)
		switch transaction, known := core.Lookup(kind); {
		case known && wanted(p.Only, transaction):
		case t.namedLines():
			rank[t] = 1
		default:
			rank[t] = 2
		}
	}
	taken := map[*table]bool{}
	for want := range 3 {
		for _, t := range all {
			if rank[t] == want && len(taken) < maxTables {
				taken[t] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(t *table) bool { return !taken[t] })
}
