package torture

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/resthis"
)

// promise is a row of docs/reliability.md's first table, played by a hospital that has
// just this.
type promise struct {
	id string
	// says is what the folder has in place of each `inquire`; knows: with the rules of
	// what is there already.
	says  string
	knows bool
	// what the hospital does with a repeated number, and whether it can be asked
	repeats books.Repeats
	inquiry string
}

var promises = []promise{
	// It books twice what is sent twice: only asking keeps that from happening.
	{id: "asked", says: "inquire", repeats: books.Double},
	{id: "same", says: "repeat_safe: true", repeats: books.Same, inquiry: "none"},
	{id: "refuses", says: "repeat_safe: true", knows: true, repeats: books.Refuse, inquiry: "none"},
	{id: "neither", repeats: books.Double, inquiry: "none"},
}

// doubts leave in doubt what became of a request. It may have been booked, may be
// booked later, though the hospital said meanwhile that it knows nothing of it, or not.
var doubts = func() (rules []fault.Rule) {
	for _, k := range []fault.Kind{fault.CommitThenHang, fault.CutAfterCommit, fault.CutThenCommitLater, fault.Slow, fault.Garbled, fault.Truncated, fault.Hang, fault.CutBefore} {
		rules = append(rules, fault.Rule{Fault: k, Rate: 0.6 / 8, Delay: late})
	}
	return rules
}()

// playPromises plays every row of docs/reliability.md's first table with a
// hospital that leaves many a request in doubt: exactly once where the hospital
// can be asked, takes the same twice as one, or refuses it; at most once, and parked,
// where it can do nothing of that.
func playPromises(t *testing.T) {
	s := size{seeds: []uint64{3}, messages: 160, spread: 5 * time.Second, patience: 2 * time.Minute}
	if isFull() {
		s = size{seeds: []uint64{3, 4}, messages: 1200, spread: 40 * time.Second, patience: 8 * time.Minute}
	}
	for _, seed := range seedsOf(t, s.seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			dir := folder(t)
			c := &campaign{T: t, line: "promises", size: s, seed: seed, binary: program(t), dir: filepath.Join(dir, fmt.Sprintf("promises%d", seed)),
				postgres: startPostgres(t, dir).URL, processes: 1}
			c.also, c.faults = c.openPromises, func() {}
			c.run()
			c.judgePromises()
		})
	}
}

// openPromises puts the four rows in the place of the usual hospitals.
func (c *campaign) openPromises(folders string) (env []string) {
	c.hospitals = nil
	for n, p := range promises {
		his, err := resthis.Start(c.ctx, resthis.Options{Latency: 30 * time.Millisecond, Seed: c.seed*10 + uint64(n), Repeats: p.repeats, Inquiry: p.inquiry})
		must(c.T, "start "+p.id, err)
		c.Cleanup(func() { his.Close() })
		c.hospitals = append(c.hospitals, &hospital{
			id: p.id, control: his.ControlURL(), weather: doubts, struck: map[fault.Kind]int{}, neither: p.says == "", mayRepeat: p.says == "repeat_safe: true",
			writes:  map[core.Kind][]string{core.PrescriptionCreate: {"RX001"}, core.PrescriptionVoid: {"RX002"}, core.PaymentSettle: {"PAY001"}, core.RefundCreate: {"RF001"}},
			asks:    map[core.Kind]string{core.PrescriptionCreate: "RX003", core.PaymentSettle: "PAY003", core.RefundCreate: "RF003"},
			rejects: reject(refusedKey, "RX001", "PAY001", "RF001"),
		})
		upper := strings.ToUpper(p.id)
		env = append(env, upper+"_URL="+his.URL(), upper+"_USER=inet_hub", upper+"_PASSWORD=xihu-test", upper+"_NOTICE_KEY=xihu-notice-test")
		c.writePromise(p, folders)
	}
	return env
}

// writePromise makes the folder out of xihu's, by taking away what the row has not.
func (c *campaign) writePromise(p promise, folders string) {
	asks, settles, already := regexp.MustCompile(`  inquire: [a-z.]+\n`), regexp.MustCompile(`settle_after: \d+s`), regexp.MustCompile(`  outcome: \{already: .*\}\n`)
	changed := 0
	change := func(text string, at *regexp.Regexp, by string) string {
		changed += len(at.FindAllString(text, -1))
		return at.ReplaceAllString(text, by)
	}
	copyFolder(c, filepath.Join("..", "..", "..", "mapping", "hospitals", "xihu"), filepath.Join(folders, p.id), func(text string) string {
		text = strings.NewReplacer("hospital: xihu", "hospital: "+p.id, "XIHU_", strings.ToUpper(p.id)+"_", "timeout: 10s", "timeout: "+timeout).Replace(text)
		switch p.says {
		case "inquire":
			text = change(text, asks, "$0")
		case "":
			text = strings.ReplaceAll(change(text, asks, ""), "  repeat_safe: true\n", "") // voids, too
		default:
			text = change(text, asks, "  "+p.says+"\n")
		}
		if !p.knows {
			text = change(text, already, "")
		} else {
			text = change(text, already, "$0")
		}
		return change(text, settles, "settle_after: "+settleAfter)
	})
	if changed < 3+3+4 {
		c.Fatalf("make the folder of %s: only %d places of xihu's speak of repeats and inquiry", p.id, changed)
	}
}

// judgePromises: each row was put to the test. What was promised, judge has seen.
func (c *campaign) judgePromises() {
	for _, h := range c.hospitals {
		var doubtful, inquiries, again, parked int
		must(c.T, "count the doubts", c.ledger.hub.QueryRow(c.ctx, `
			select count(*) filter (where a.phase = 'send' and a.outcome = 'in_doubt'), count(*) filter (where a.phase = 'inquire'),
				count(*) filter (where a.phase = 'send' and exists (select from hub.attempt b where b.message = a.message and b.number < a.number and b.phase = 'send' and b.outcome = 'in_doubt')),
				(select count(*) from hub.queue q where q.hospital = $1 and q.state = 'parked')
			from hub.attempt a join hub.message m on m.id = a.message where m.hospital = $1`, h.id).Scan(&doubtful, &inquiries, &again, &parked))
		c.Logf("seed %d: %s: %d requests in doubt, %d inquiries, %d sent again, %d parked", c.seed, h.id, doubtful, inquiries, again, parked)
		var shown bool
		switch h.id {
		case "asked":
			shown = inquiries >= doubtful
		case "same", "refuses":
			shown = inquiries == 0 && again > 0
		case "neither":
			shown = inquiries == 0 && again == 0 && parked > 0
		}
		if !shown || doubtful < 3 {
			c.Errorf("seed %d: %s did not show what it is there for", c.seed, h.id)
		}
	}
}
