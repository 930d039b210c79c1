package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/core/replay"
	"hishub/core/shadow"
)

// messageReplay makes a replay. Without --yes it only shows what it would do.
type messageReplay struct {
	place
	Hospital    []string `help:"Of this hospital; may be given more than once. All, if none." placeholder:"ID"`
	State       string   `help:"Messages that are parked, cancelled or delivered." enum:"parked,cancelled,delivered" default:"parked"`
	Kind        string   `help:"Only this kind, as payment.settle."`
	Class       string   `help:"Parked or cancelled with this class." enum:",unavailable,in_doubt,rejected,invalid" default:""`
	Reason      string   `help:"With this in why it was parked, in our words." placeholder:"TEXT"`
	Code        string   `help:"Parked because a code table had no row for this code." placeholder:"TABLE:CODE"`
	Since       string   `help:"Accepted on this day or later, or from this moment on: 2026-11-01, 2026-11-01T08:00:00+08:00." aliases:"from"`
	Until       string   `help:"Accepted on this day or before, or before this moment." aliases:"to"`
	Key         []string `help:"With this business number; may be given more than once." placeholder:"KEY"`
	Keys        string   `help:"With the business numbers of a file, one a line; - is the standard input." placeholder:"FILE"`
	Message     []int64  `help:"With this number; may be given more than once." placeholder:"ID"`
	With        string   `help:"Which revision of the folder says it again: original or newest. If nothing is said: the newest for what never reached the HIS, else the original." enum:",original,newest" default:""`
	Compare     int      `help:"Say so many of each hospital with the newest folder, too, and show what differs." default:"1000"`
	Rate        float64  `help:"Messages a second at each hospital, at most." default:"5"`
	Concurrency int      `help:"On their way at once at each hospital, at most." default:"50"`
	StopAfter   int      `help:"Stop by itself when so many in a row are parked again, as the same class." default:"10"`
	Yes         bool     `help:"Do it; without it, only what would be done is shown."`
	Detach      bool     `help:"Do not follow it."`
	By          string   `default:"${user}" help:"Who."`
	Note        string   `help:"What was mended; recorded with each message." default:"replayed"`
}

func (messageReplay) Help() string {
	return "Tells many messages again: what is parked goes on, what was delivered is told anew when the HIS, asked first, does not have it any more. " +
		"The list is frozen when it is made; the hub works on it in the order of the lanes, also when this command ends (Ctrl-C), and stops by itself where everything is parked again. " +
		"One that tells again of money that was decided waits for a second person: hishub replay approve. Exit status 3 when some were parked again or refused.\n\n" +
		"Examples:\n  hishub message replay --hospital xihu --class invalid\n" +
		"  hishub message replay --hospital xihu --class invalid --yes --rate 20 --note 'route codes mended'\n" +
		"  hishub message replay --hospital xihu --code frequency:q9h --yes\n" +
		"  hishub message replay --hospital xihu --state delivered --since 2026-11-01 --note 'their database was restored' --yes"
}

func (c *messageReplay) plan() (p replay.Plan, err error) {
	p = replay.Plan{
		Filter: replay.Filter{Hospitals: c.Hospital, State: delivery.State(c.State), Kind: core.Kind(c.Kind), Class: core.Class(c.Class), Reason: c.Reason,
			Keys: c.Key, Messages: c.Message},
		With: replay.With(c.With), Rate: c.Rate, Concurrency: c.Concurrency, StopAfter: c.StopAfter, Note: c.Note,
	}
	if p.Filter.Since, _, err = dayOrMoment("--since", c.Since); err != nil {
		return p, err
	}
	if _, p.Filter.Until, err = dayOrMoment("--until", c.Until); err != nil {
		return p, err
	}
	if c.Code != "" {
		var ok bool
		if p.Filter.Codes, p.Filter.Code, ok = strings.Cut(c.Code, ":"); !ok {
			return p, core.Problems{{Field: "code", What: "not a table and its code, as frequency:q9h"}}
		}
	}
	if c.Keys != "" {
		more, err := readKeys(c.Keys)
		if err != nil {
			return p, err
		}
		if p.Filter.Keys = append(p.Filter.Keys, more...); len(p.Filter.Keys) == 0 {
			return p, core.Problems{{Field: "keys", What: "the file holds no number"}}
		}
	}
	return p, p.Check()
}

func readKeys(file string) (keys []string, err error) {
	in := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the keys: %w", err)
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if key := strings.TrimSpace(lines.Text()); key != "" {
			keys = append(keys, key)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	return keys, nil
}

func (c *messageReplay) Run(ctx context.Context) error {
	p, err := c.plan()
	if err != nil {
		return err
	}
	return c.with(ctx, func(s *postgres.Store) error {
		v, err := s.PreviewReplay(ctx, p, repeatsStored(s))
		if err != nil {
			return err
		}
		all, may := v.Count()
		if !c.Yes || may == 0 {
			return c.preview(ctx, s, p, v)
		}
		c.warn(ctx, s, p, v)
		r, err := s.CreateReplay(ctx, p, all, c.By)
		if err != nil {
			return err
		}
		if r.State == replay.Proposed {
			fmt.Printf("replay %d of %s is proposed: it tells again of money that was decided, so a second person must say yes: hishub replay approve %d\n", r.ID, core.Count(all, "message", "messages"), r.ID)
			return nil
		}
		if c.Detach {
			fmt.Printf("replay %d of %s runs; follow it: hishub replay show %d --follow\n", r.ID, core.Count(all, "message", "messages"), r.ID)
			return nil
		}
		return followReplay(ctx, s, r.ID)
	})
}

// preview says what would be done.
func (c *messageReplay) preview(ctx context.Context, s *postgres.Store, p replay.Plan, v replay.Preview) error {
	all, may := v.Count()
	if all == 0 {
		fmt.Println("no message fits; nothing was done")
		return nil
	}
	printPreview(v)
	stuck := 0
	if c.Compare > 0 && p.With != replay.Original {
		for _, hospital := range v.Hospitals() {
			report, err := saidNewest(ctx, s, s.ToldOf(p.Filter), hospital, c.Compare)
			if err != nil {
				fmt.Printf("\n%s: what the newest folder would say cannot be shown: %v\n", hospital, err)
				continue
			}
			fmt.Printf("\nThe newest folder, against the revision that each was said with, for %d of %d; what names a person is masked:\n", report.Messages, v.Of(hospital))
			printNewest(report)
			stuck += report.Stuck
		}
		fmt.Println()
	}
	if may == 0 {
		fmt.Printf("%s, and none may be told again; nothing was done\n", core.Count(all, "message fits", "messages fit"))
		return nil
	}
	if stuck > 0 {
		fmt.Printf("%s, %d of them may be told again, but %d still cannot be said and would be parked again; nothing was done. Mend the folder and apply it first.\n", core.Count(all, "message fits", "messages fit"), may, stuck)
		return nil
	}
	fmt.Printf("%s, %d of them may be told again; nothing was done. Add --yes to do it, at %g a second.\n", core.Count(all, "message fits", "messages fit"), may, p.Rate)
	return nil
}

// printNewest says what the newest folder makes of messages: how many, not of how many
// attempts.
func printNewest(r *shadow.Report) {
	fmt.Printf("differ: %d, the same: %d, still cannot be said: %d\n", r.Differing, r.Messages-r.Differing-r.Stuck, r.Stuck)
	if r.Lost > 0 {
		fmt.Printf("  %s cannot be said again from what the ledger keeps\n", core.Count(r.Lost, "exchange", "exchanges"))
	}
	printStuck(os.Stdout, r)
	for _, g := range r.Groups {
		fmt.Printf("\n%d× %s (%s) %s: %s, as message %d\n  - %s\n  + %s\n", g.Messages, g.Kind, g.Call, g.What, g.Place, g.Message, g.Old, g.New)
	}
}

// printStuck says which messages the newest folder cannot say either, and why.
func printStuck(w io.Writer, r *shadow.Report) {
	for _, g := range r.Still {
		fmt.Fprintf(w, "! %d still cannot be said: %s, as message %d\n", g.Messages, g.New, g.Message)
	}
}

// warn says before it is done what will be parked again.
func (c *messageReplay) warn(ctx context.Context, s *postgres.Store, p replay.Plan, v replay.Preview) {
	if c.Compare <= 0 || p.With == replay.Original || p.Filter.State != delivery.Parked {
		return
	}
	for _, hospital := range v.Hospitals() {
		report, err := saidNewest(ctx, s, s.ToldOf(p.Filter), hospital, c.Compare)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: what the newest folder would say cannot be known: %v\n", hospital, err)
			continue
		}
		if report.Stuck > 0 {
			fmt.Fprintf(os.Stderr, "! %s: %d of %d will be parked again\n", hospital, report.Stuck, report.Messages)
			printStuck(os.Stderr, report)
		}
	}
}

func printPreview(v replay.Preview) {
	t := newTable("HOSPITAL", "KIND", "CLASS", "MESSAGES", "OLDEST", "NEWEST", "")
	slices.SortStableFunc(v.Groups, func(a, b replay.Group) int {
		return strings.Compare(a.Hospital+string(a.Kind), b.Hospital+string(b.Kind))
	})
	for _, g := range v.Groups {
		why := ""
		if g.Refusal != "" {
			why = "may not: " + g.Refusal
		}
		t.row(g.Hospital, g.Kind, g.Class, g.Count, g.Oldest.Local().Format("01-02 15:04"), g.Newest.Local().Format("01-02 15:04"), why)
	}
	_ = t.print()
	if v.Behind > 0 {
		fmt.Printf("%s in lanes behind them\n", core.Count(v.Behind, "message waits", "messages wait"))
	}
	if v.Later > 0 {
		fmt.Printf("! %s delivered after these in their lanes and not among them: if they took something back, it would be told again alone; widen the filter\n", core.Count(v.Later, "message was", "messages were"))
	}
	if v.Money {
		fmt.Println("money that was decided would be told again: it takes a second person")
	}
}

// errReplayStopped is the end of a follow whose replay waits for a person.
var errReplayStopped = errors.New("the replay does not go on by itself")
