package torture

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"hishub/core/api"
	"hishub/core/delivery"
	"hishub/mocks/fault"
)

// story is everything that is known of a message.
func (c *campaign) story(m *message, what string, d api.MessageDetail) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %s\n  state %s %s after %d attempts: %s %s\n", m, what, d.State, d.Class, d.Attempts, d.Reason, d.Words)
	for _, a := range d.History {
		late := ""
		if a.Late {
			late = " LATE"
		}
		fmt.Fprintf(&s, "  attempt %d %s%s %s %s %s: %s %s [%s] (%.0f ms)\n", a.Number, a.At.Local().Format("15:04:05.000"), late, a.Phase, a.Step, a.Operation, a.Outcome, a.Because, a.Words, a.Ms)
	}
	for _, crash := range c.crashes {
		if held, ok := crash.claims[m.id]; ok {
			fmt.Fprintf(&s, "  held by process %d when it was %s: sent %v, attempts %d\n", crash.pid, crash.how, held.sent, held.attempts)
		}
	}
	for _, e := range m.lane.hospital.books(c).Journal {
		if e.Key == m.key {
			fmt.Fprintf(&s, "  journal %s %s: %s %s\n", e.At.Local().Format("15:04:05.000"), e.Operation, e.Effect, e.Fault)
		}
	}
	return s.String()
}

// report is the table of what happened.
func (c *campaign) report(f found) {
	attempts, inquiries, lates := 0, 0, 0
	for _, d := range f.details {
		attempts += len(d.History)
		for _, a := range d.History {
			if a.Phase == delivery.Inquire {
				inquiries++
			}
			if a.Late {
				lates++
			}
		}
	}
	struck := map[fault.Kind]int{}
	all := 0
	for _, h := range c.hospitals {
		for kind, n := range h.struck {
			struck[kind] += n
			all += n
		}
	}
	var out strings.Builder
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(what string, n any) { fmt.Fprintf(t, "  %s\t%v\n", what, n) }
	row("messages", len(c.messages))
	row("lanes", len(c.lanes))
	row("attempts", attempts)
	row("inquiries", inquiries)
	row("late settles", lates)
	for _, what := range slices.Sorted(maps.Keys(c.counted)) {
		row(what, c.counted[what])
	}
	row("faults that struck", all)
	for _, kind := range slices.Sorted(maps.Keys(struck)) {
		row("  "+string(kind), struck[kind])
	}
	row("duration", time.Since(c.began).Round(100*time.Millisecond))
	t.Flush()
	c.Logf("seed %d\n%s", c.seed, out.String())
}
