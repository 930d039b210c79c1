package reconcile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// memory is a Store as store.go's comments say, for tests.
type memory struct {
	now func() time.Time

	mu         sync.Mutex
	statements []Statement
	entries    map[int64][]Entry
	ours       map[string][]Entry
	toldAt     map[string]time.Time // by number; long before if there is none
	records    map[string][]Prescribed
	nights     []*memoryNight
	cases      []*Case
	trails     map[int64][]Trail
	repairs    []*Repair
	settled    []Settlement

	// acting stands for the lock on a case and its repair.
	acting   sync.Mutex
	messages []memoryMessage
	// crash, if set, ends the transaction of a repair before it is committed.
	crash func(Repair) error
}

type memoryNight struct {
	Night
	until    time.Time
	findings []Finding
}

type memoryMessage struct {
	ID       int64
	Hospital string
	core.Message
	State delivery.State
	// Again counts how often it was told to go out again.
	Again int
}

var _ Store = (*memory)(nil)

var errNoSuch = errors.New("no such thing")

func newMemory() *memory {
	return &memory{now: time.Now, entries: map[int64][]Entry{}, ours: map[string][]Entry{}, records: map[string][]Prescribed{}, trails: map[int64][]Trail{}, toldAt: map[string]time.Time{}}
}

func (m *memory) SaveStatement(_ context.Context, s Statement, entries Stream) (Statement, error) {
	var es []Entry
	var lines []string
	for e, err := range entries {
		if err != nil {
			return Statement{}, fmt.Errorf("keep the books: %w", err)
		}
		es = append(es, e)
		e.Row = 0
		line, err := json.Marshal(e)
		if err != nil {
			return Statement{}, err
		}
		lines = append(lines, string(line))
		s.Entries++
		s.Fee += e.Fee
		if e.Type == core.EntryRefund {
			s.Amount -= e.Amount
		} else {
			s.Amount += e.Amount
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256(fmt.Append(nil, lines))
	s.Digest = hex.EncodeToString(sum[:])
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, newest := range m.newest(s.Hospital, s.Day) {
		if newest.Party == s.Party && newest.Source == s.Source && newest.Digest == s.Digest {
			return newest, nil
		}
	}
	s.ID = int64(len(m.statements) + 1)
	m.statements = append(m.statements, s)
	m.entries[s.ID] = es
	return s, nil
}

func (m *memory) newest(hospital, day string) []Statement {
	found := map[[2]string]Statement{}
	for _, s := range m.statements {
		if s.Hospital == hospital && s.Day == day {
			found[[2]string{string(s.Party), s.Source}] = s
		}
	}
	var all []Statement
	for _, s := range found {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Statement) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (m *memory) Statements(_ context.Context, hospital, day string) ([]Statement, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest(hospital, day), nil
}

func (m *memory) StatementEntries(_ context.Context, statements ...int64) Stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	var es []Entry
	for _, id := range statements {
		es = append(es, m.entries[id]...)
	}
	return streamOf(es)
}

func (m *memory) StatementRefunds(ctx context.Context, statements ...int64) Stream {
	return refundsOf(m.StatementEntries(ctx, statements...))
}

func (m *memory) OursRefunds(ctx context.Context, hospital string, from, to time.Time) Stream {
	return refundsOf(m.Ours(ctx, hospital, from, to))
}

func refundsOf(all Stream) Stream {
	return func(yield func(Entry, error) bool) {
		for e, err := range all {
			if (err != nil || e.Type == core.EntryRefund) && !yield(e, err) {
				return
			}
		}
	}
}

func (m *memory) Ours(_ context.Context, hospital string, from, to time.Time) Stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	var es []Entry
	for _, e := range m.ours[hospital] {
		if !e.At.Before(from) && e.At.Before(to) {
			es = append(es, e)
		}
	}
	return streamOf(es)
}

func (m *memory) ToldSince(ctx context.Context, hospital string, from, to, since time.Time) (bool, error) {
	for e := range m.Ours(ctx, hospital, from, to) {
		if m.toldAt[e.Number].After(since) {
			return true, nil
		}
	}
	return false, nil
}

func (m *memory) Records(_ context.Context, hospital string, from, to time.Time) ([]Prescribed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Prescribed
	for _, p := range m.records[hospital] {
		if !p.At.Before(from) && p.At.Before(to) {
			all = append(all, p)
		}
	}
	return all, nil
}

func (m *memory) BeginNight(_ context.Context, a Ask, lease time.Duration) (Night, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	run, ended := 1, 0
	for _, n := range m.nights {
		if n.Hospital != a.Hospital || n.Day != a.Day {
			continue
		}
		run++
		if n.State != NightRunning {
			ended = n.Run
			continue
		}
		if n.until.After(m.now()) {
			return Night{}, ErrNightRunning
		}
		n.State, n.Problem, n.findings = NightFailed, "its process ended", nil
	}
	if a.After != 0 && max(a.After, 0) != ended {
		return Night{}, ErrNightRunning
	}
	n := Night{ID: int64(len(m.nights) + 1), Hospital: a.Hospital, Day: a.Day, Run: run, State: NightRunning, Started: m.now(), Who: a.Who}
	m.nights = append(m.nights, &memoryNight{Night: n, until: m.now().Add(lease)})
	return n, nil
}

func (m *memory) running(id int64) (*memoryNight, error) {
	n := m.nights[id-1]
	if n.State != NightRunning || !n.until.After(m.now()) {
		return nil, errors.New("the run is not yours any more")
	}
	return n, nil
}

func (m *memory) Progress(_ context.Context, night int64, stage string, done int64, lease time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.running(night)
	if err != nil {
		return err
	}
	n.Stage, n.Done, n.until = stage, done, m.now().Add(lease)
	return nil
}

func (m *memory) Found(_ context.Context, night int64, findings []Finding) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.running(night)
	if err == nil {
		n.findings = append(n.findings, findings...)
	}
	return err
}

func (m *memory) EndNight(_ context.Context, n Night) (Night, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept, err := m.running(n.ID)
	if err != nil {
		return n, err
	}
	if n.Closed {
		n.Closed = n.State == NightDone && !slices.ContainsFunc(m.nights, func(o *memoryNight) bool {
			return o.Hospital == n.Hospital && o.Day == n.Day && o.Closed
		})
	}
	kept.Night = n
	if n.State != NightDone {
		return n, nil
	}
	type key struct {
		t      core.EntryType
		number string
	}
	found := map[key]bool{}
	for _, f := range kept.findings {
		if f.Class.Difference() {
			found[key{f.Type, f.Number}] = true
			m.open(n, f)
		}
	}
	for _, c := range m.cases {
		if c.Hospital == n.Hospital && c.Day == n.Day && live(c) && !found[key{c.Type, c.Number}] {
			c.State, c.EndedAt = CaseResolved, m.now()
			m.note(c.ID, "night", "resolved", "")
		}
	}
	return n, nil
}

func live(c *Case) bool { return c.State == CaseOpen || c.State == CaseRepairing }

// open makes a case of a difference, or adds it to the one of its number. What
// was written off as it is stays so.
func (m *memory) open(n Night, f Finding) {
	var c *Case
	for _, o := range m.cases {
		if o.Hospital != n.Hospital || o.Type != f.Type || o.Number != f.Number {
			continue
		}
		if o.State == CaseWrittenOff && o.Class == f.Class && o.Amount == f.Amount {
			return
		}
		if live(o) {
			c = o
		}
	}
	verb := "found"
	if c == nil {
		verb = "opened"
		c = &Case{ID: int64(len(m.cases) + 1), Hospital: n.Hospital, Day: n.Day, Type: f.Type, Number: f.Number,
			State: CaseOpen, Owner: string(f.Class.Meaning().Owner), OpenedAt: m.now()}
		m.cases = append(m.cases, c)
	}
	c.Class, c.Amount, c.Night, c.Finding = f.Class, f.Amount, n.ID, f
	m.note(c.ID, "night", verb, string(f.Class))
	if action := f.Proposed(); action != "" && (c.Repair == nil || !pending(c.Repair)) {
		m.propose(c, action, Params{}, policy, f.Cause)
	}
}

func pending(r *Repair) bool {
	return r.State == RepairProposed || r.State == RepairApproved || r.State == RepairSent
}

func (m *memory) propose(c *Case, action Action, p Params, who, note string) *Repair {
	r := &Repair{ID: int64(len(m.repairs) + 1), Case: c.ID, Action: action, Params: p, Note: note, Amount: c.Amount,
		State: RepairProposed, ProposedBy: who, ProposedAt: m.now()}
	m.repairs = append(m.repairs, r)
	c.Repair = r
	m.note(c.ID, who, "proposed", string(action))
	return r
}

func (m *memory) note(id int64, who, verb, note string) {
	m.trails[id] = append(m.trails[id], Trail{m.now(), who, verb, note})
}

func (m *memory) Nights(_ context.Context, hospital, day string, limit int) ([]Night, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Night
	for _, n := range slices.Backward(m.nights) {
		if (hospital == "" || n.Hospital == hospital) && (day == "" || n.Day == day) && len(all) < limit {
			all = append(all, n.Night)
		}
	}
	return all, nil
}

func (m *memory) Findings(_ context.Context, night int64) ([]Finding, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fs := slices.Clone(m.nights[night-1].findings)
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Compare(slices.Index(Classes, a.Class), slices.Index(Classes, b.Class))
	})
	return fs, nil
}

func (m *memory) Days(_ context.Context, hospital, from, to string) (closed, unsettled []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	open, held := map[string]bool{}, map[string]bool{}
	for _, n := range m.nights {
		if n.Hospital != hospital || n.Day < from || n.Day > to || n.State != NightDone {
			continue
		}
		if n.Closed {
			closed = append(closed, n.Day)
		}
		held[n.Day] = n.Counts[InTransit]+n.Counts[RefundInTransit]+n.Counts[CrossDay] > 0
	}
	for _, c := range m.cases {
		if c.Hospital == hospital && c.Day >= from && c.Day <= to && live(c) {
			open[c.Day] = true
		}
	}
	for day, is := range held {
		if is {
			open[day] = true
		}
	}
	for day := range open {
		unsettled = append(unsettled, day)
	}
	slices.Sort(closed)
	slices.Sort(unsettled)
	return closed, unsettled, nil
}

func (m *memory) SaveSettlement(_ context.Context, s Settlement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.settled, func(o Settlement) bool {
		return o.Hospital == s.Hospital && o.Channel == s.Channel && o.Reference == s.Reference
	})
	if i < 0 {
		m.settled = append(m.settled, s)
		return nil
	}
	if o := m.settled[i]; o.Day != s.Day || o.Amount != s.Amount {
		s.Replaced = append(slices.Clone(o.Replaced), Replaced{o.Day, o.Amount, o.Who, o.At})
		m.settled[i] = s
	}
	return nil
}

func (m *memory) Settlements(_ context.Context, hospital, from, to string) ([]Settlement, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Settlement
	for _, s := range m.settled {
		if s.Hospital == hospital && s.Day >= from && s.Day <= to {
			all = append(all, s)
		}
	}
	return all, nil
}

func (m *memory) Refunds(ctx context.Context, hospital string, from, to time.Time) ([]RefundLine, error) {
	var all []RefundLine
	for e := range m.Ours(ctx, hospital, from, to) {
		if e.Type == core.EntryRefund {
			all = append(all, RefundLine{Number: e.Number, OrderID: e.OrderID, Channel: e.Channel, ChannelNo: e.ChannelNo, Amount: e.Amount, AskedAt: e.At, State: core.EntryProcessing})
		}
	}
	return all, nil
}
