package torture

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// table is what a run ends with: a row for each campaign, in the order in which they
// ended, however they ended, and one for what could not be played.
var table struct {
	sync.Mutex
	rows []row
}

// row is one campaign.
type row struct {
	line     string
	seed     uint64
	messages int
	faults   int // those at hospitals, and those that happened to hubs, servers and networks
	outcome  string
	took     time.Duration // from its hospitals' start to its judgement
}

func add(r row) {
	table.Lock()
	defer table.Unlock()
	table.rows = append(table.rows, r)
}

// tabled makes the campaign's row once its test is over.
func (c *campaign) tabled() {
	began := time.Now()
	c.Cleanup(func() {
		outcome := "held"
		if c.Failed() {
			outcome = "FAILED"
		}
		add(row{c.line, c.seed, len(c.messages), c.faulty(), outcome, time.Since(began)})
	})
}

// faulty is how many faults there were, of all kinds.
func (c *campaign) faulty() (all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hospitals {
		for _, n := range h.struck {
			all += n
		}
	}
	return all + c.inflicted
}

// leftOut makes the row of a line that cannot be played on this machine.
func leftOut(t *testing.T, line, why string) {
	t.Logf("LEFT OUT: %s: %s", line, why)
	add(row{line: line, outcome: "LEFT OUT: " + why})
}

// printTable prints all rows, where somebody looks.
func printTable() {
	if !testing.Verbose() || len(table.rows) == 0 {
		return
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer t.Flush()
	fmt.Fprintln(t, "\nline\tseed\tmessages\tfaults\toutcome\tminutes")
	for _, r := range table.rows {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%.1f\n", r.line, r.seed, r.messages, r.faults, r.outcome, r.took.Minutes())
	}
}
