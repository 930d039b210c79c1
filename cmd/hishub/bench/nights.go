package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/core/reconcile/reconciletest"
)

// Comparison is a day of three parties' books, compared.
type Comparison struct {
	Hospitals int `json:"hospitals"`
	// Entries of each party at each hospital; one in a thousand differs.
	Entries int `json:"entries"`
	// HISCarries says which number the HIS's rows carry: ours, or the channel's.
	HISCarries string `json:"his_carries"`
	// Staged is how long it took to keep the books in the database.
	Staged float64 `json:"staged_seconds"`
	// Compared is reading them, resolving, merging and classifying, in a process of
	// its own, whose memory Peak is at most, in MB.
	Compared float64 `json:"compared_seconds"`
	Peak     int     `json:"peak_mb"`
	// Join is PostgreSQL's own full outer join of the same rows by our number with
	// ORDER BY, written out to nowhere; 0 where there is no such join.
	Join        float64 `json:"join_seconds,omitempty"`
	Differences int     `json:"differences"`
}

// dayOfBooks is the business day of the made-up books.
var dayOfBooks = reconciletest.Day.Format(time.DateOnly)

// parties in the order in which their statements are named.
var parties = []reconcile.Party{reconcile.Channel, reconcile.Ours, reconcile.HIS}

// comparisons measures one large hospital, one whose HIS knows only the
// channel's numbers, and many small ones.
func (s *stage) comparisons(ctx context.Context, tell func(string, ...any)) (all []Comparison, err error) {
	million, thousand := 1_000_000, 1000
	if s.Quick {
		million, thousand = 3000, 20
	}
	database := s.cluster.URL("nights")
	if err := s.cluster.CreateDatabase(ctx, "nights"); err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, database); err != nil {
		return nil, err
	}
	store, err := postgres.Open(ctx, postgres.Options{URL: database, KeyFile: filepath.Join(s.dir, "nights.key"), CreateKey: true})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	for _, c := range []struct {
		Comparison
		numbering reconciletest.Numbering
	}{
		{Comparison{Hospitals: 1, Entries: million, HISCarries: "our number"}, reconciletest.OurNumber},
		{Comparison{Hospitals: 1, Entries: million, HISCarries: "the channel's number only"}, reconciletest.ChannelNumber},
		{Comparison{Hospitals: thousand, Entries: 1000, HISCarries: "our number"}, reconciletest.OurNumber},
	} {
		tell("%d x %d entries of three parties, the HIS carries %s", c.Hospitals, c.Entries, c.HISCarries)
		if err := s.comparison(ctx, store, &c.Comparison, c.numbering); err != nil {
			return nil, fmt.Errorf("compare %d x %d entries: %w", c.Hospitals, c.Entries, err)
		}
		all = append(all, c.Comparison)
	}
	return all, nil
}

func (s *stage) comparison(ctx context.Context, store *postgres.Store, c *Comparison, numbering reconciletest.Numbering) error {
	began := time.Now()
	var work CompareWork
	expected := map[reconcile.Class]int{}
	for h := range c.Hospitals {
		shape := reconciletest.Shape{Payments: c.Entries, Every: 1000, Numbering: numbering, Salt: h}
		for class, n := range shape.Expected() {
			expected[class] += n
		}
		books := shape.Books()
		var three [3]int64
		for i, stream := range []reconcile.Stream{books.Channel, books.Ours, books.HIS} {
			kept, err := store.SaveStatement(ctx, reconcile.Statement{
				Hospital: fmt.Sprintf("bench-%d-%s-%d", c.Entries, c.HISCarries[:3], h), Day: dayOfBooks, Party: parties[i], Source: "bench",
			}, stream)
			if err != nil {
				return err
			}
			three[i] = kept.ID
		}
		work.Statements = append(work.Statements, three)
	}
	c.Staged = time.Since(began).Seconds()
	if err := s.analyze(ctx); err != nil {
		return err
	}

	file := filepath.Join(s.dir, "compare.json")
	text, err := json.Marshal(work)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	said, err := s.run(ctx, "compare-staged", "--database-url", s.cluster.URL("nights"), "--key-file", filepath.Join(s.dir, "nights.key"), file)
	if err != nil {
		return err
	}
	var done CompareResult
	if err := json.Unmarshal([]byte(said), &done); err != nil {
		return fmt.Errorf("read what the comparison says: %w", err)
	}
	if !maps.Equal(done.Found, expected) {
		return fmt.Errorf("found %v, made was %v", done.Found, expected)
	}
	c.Compared, c.Peak = done.Seconds, done.PeakMB
	for class, n := range done.Found {
		if class.Difference() {
			c.Differences += n
		}
	}
	if numbering == reconciletest.OurNumber {
		c.Join, err = s.join(ctx, work)
	}
	return err
}

func (s *stage) analyze(ctx context.Context) error {
	c, err := pgx.Connect(ctx, s.cluster.URL("nights"))
	if err != nil {
		return err
	}
	defer c.Close(context.Background())
	_, err = c.Exec(ctx, `vacuum analyze`)
	return err
}

// join has PostgreSQL do what the comparison does as far as SQL can: the same
// rows and columns, joined by our number, in its order. The better of two runs
// counts.
func (s *stage) join(ctx context.Context, work CompareWork) (seconds float64, err error) {
	c, err := pgx.Connect(ctx, s.cluster.URL("nights"))
	if err != nil {
		return 0, err
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(ctx, `set work_mem = '64MB'`); err != nil {
		return 0, err
	}
	for range 2 {
		began := time.Now()
		for _, three := range work.Statements {
			side := func(id int64) string {
				return fmt.Sprintf(`(select type, number, order_id, his_no, channel_no, channel, operator, amount, state, at, reversal, bill, fee, line
					from hub.statement_entry where statement = %d and day = '%s')`, id, dayOfBooks)
			}
			_, err := c.PgConn().CopyTo(ctx, io.Discard, fmt.Sprintf(`copy (
				select * from %s o full join %s c on (c.type, c.number) = (o.type, o.number)
				full join %s h on (h.type, h.number) = (coalesce(o.type, c.type), coalesce(o.number, c.number))
				order by coalesce(o.type, c.type, h.type), coalesce(o.number, c.number, h.number)) to stdout`,
				side(three[1]), side(three[0]), side(three[2])))
			if err != nil {
				return 0, err
			}
		}
		if took := time.Since(began).Seconds(); seconds == 0 || took < seconds {
			seconds = took
		}
	}
	return seconds, nil
}

// CompareWork names the staged books of hospitals: channel, ours, HIS.
type CompareWork struct {
	Statements [][3]int64 `json:"statements"`
}

// CompareResult is what comparing them came to.
type CompareResult struct {
	Seconds float64                 `json:"seconds"`
	PeakMB  int                     `json:"peak_mb"`
	Found   map[reconcile.Class]int `json:"found"`
}

// CompareStaged compares staged books. It is what the benchmark runs in a process
// of its own, so that its memory can be told.
func CompareStaged(ctx context.Context, store *postgres.Store, work CompareWork) (r CompareResult, err error) {
	r.Found = map[reconcile.Class]int{}
	rules := reconciletest.Shape{}.Rules()
	began := time.Now()
	for _, three := range work.Statements {
		books := reconcile.Books{
			Channel: store.StatementEntries(ctx, three[0]),
			Ours:    told(store.StatementEntries(ctx, three[1])),
			HIS:     store.StatementEntries(ctx, three[2]),
		}
		err := reconcile.Compare(ctx, books, rules, func(f reconcile.Finding) error { r.Found[f.Class]++; return nil })
		if err != nil {
			return r, err
		}
	}
	r.Seconds = time.Since(began).Seconds()
	_, r.PeakMB = memory(os.Getpid())
	return r, nil
}

// told makes staged entries ours: delivered, as the ledger would say.
func told(entries reconcile.Stream) reconcile.Stream {
	return func(yield func(reconcile.Entry, error) bool) {
		for e, err := range entries {
			e.Told, e.Business = delivery.Delivered, reconcile.Outpatient
			if !yield(e, err) {
				return
			}
		}
	}
}
