package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print writes the report as a table for people.
func (r Report) Print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what, format string, a ...any) { fmt.Fprintf(t, "%s\t%s\n", what, fmt.Sprintf(format, a...)) }
	m := r.Machine
	row("machine", "%d x %s, %d MB, load before %s", m.Cores, m.CPU, m.MemoryMB, m.Load)
	row("", "PostgreSQL %s, %s; one durable commit %.2f ms (%.0f/s, one client)", m.PostgreSQL, m.Go, m.CommitMs, m.CommitsPS)
	if r.Throughput.Messages > 0 {
		r.deliveries(row)
	}
	if r.History != nil {
		r.History.print(row)
	}
	if r.Isolation != nil {
		r.Isolation.print(row)
	}
	if r.Chat != nil {
		r.Chat.print(row)
	}
	for _, n := range r.Nights {
		row("", "")
		row(fmt.Sprintf("night %d x %d", n.Hospitals, n.Entries), "entries of three parties, %d differences, the HIS carries %s", n.Differences, n.HISCarries)
		against := ""
		if n.Join > 0 {
			against = fmt.Sprintf(", %.1f times PostgreSQL's own join of %.1f s", n.Compared/n.Join, n.Join)
		}
		row("", "resolved and merged in %.1f s, %d MB at most%s; staged in %.1f s", n.Compared, n.Peak, against, n.Staged)
	}
	_ = t.Flush() // to memory
}

func (r Report) deliveries(row func(what, format string, a ...any)) {
	row("job", "prescription of five lines, %d bytes of JSON, SOAP to a HIS that takes %s", r.Bytes, latency)
	row("", "")
	r.Throughput.row(row)
	for _, o := range r.OpenLoops {
		o.row(row)
	}
	row("", "")
	r.Concurrent.row(row)
	if r.AtMost.PerSec > 0 {
		r.AtMost.row(row)
	}
	row("", "")
	row("ready", "%.0f ms from the start of a hub on this database to its first 202", r.Ready)
	if r.Own.Batch > 0 {
		row("PostgreSQL alone", "%.0f/s one transaction a message, %.0f/s by %d: the same rows, %d connections", r.Own.Single, r.Own.Batched, r.Own.Batch, inFlight)
	}
	p := r.Space
	row("database", "%.0f bytes a message after VACUUM (%d messages), WAL %.0f bytes", p.Bytes, p.Messages, p.WAL)
	var tables []string
	for _, table := range p.Tables[:min(len(p.Tables), 7)] {
		tables = append(tables, fmt.Sprintf("%s %.0f + %.0f", table.Name, table.Rows, table.Indexes))
	}
	row("", "rows + indexes: %s", strings.Join(tables, ", "))
	row("hub's memory", "%d MB resident, %d MB at most", p.HubMB, p.HubMost)
	if r.Encoding != (Encoding{}) {
		row("encoding", "%s", r.Encoding)
	}
	row("exactly once", "all %d", r.Booked)
}

func (x Throughput) row(row func(what, format string, a ...any)) {
	row(fmt.Sprintf("delivered, %d in flight", x.InFlight), "%.0f/s of the possible %.0f/s (%.0f %%): %d messages, %d clients", x.PerSec, x.Possible, 100*x.PerSec/x.Possible, x.Messages, x.Clients)
	row("accepted within", "%s", x.Accept)
	c := x.CPU
	row("CPU by delivery", "%.0f us: hub %.0f, PostgreSQL %.0f, mock %.0f, generator %.0f", c.Hub+c.PostgreSQL+c.Mock+c.Generator, c.Hub, c.PostgreSQL, c.Mock, c.Generator)
	row("", "others kept the machine %.0f %% busy meanwhile", 100*c.Others)
}

func (o OpenLoop) row(row func(what, format string, a ...any)) {
	row(fmt.Sprintf("at %d/s", o.PerSec), "request sent to HIS's answer: %s", o.Answered)
	row("", "accepted within: %s", o.Accept)
}

func (q Quantiles) String() string {
	return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, max %.1f ms", q.P50, q.P99, q.Max)
}
