package inbound

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hishub/core"
)

// shelf is a table of the HIS, its wire, and the connector that reaches it. A row is a
// text; it goes when it is marked.
type shelf struct {
	lines
	rows []string
	// fails are what marking a row ends with; misses are rows that no mark touches.
	fails  map[string]error
	faults map[string]bool
	misses map[string]bool
	away   error
	takes  int
	marks  []string
}

func (s *shelf) Take() core.Request { return core.Request{Operation: "take"} }

func (s *shelf) Rows(r core.Response, err error) ([]core.Incoming, error) {
	if err != nil {
		return nil, err
	}
	var all []core.Incoming
	for _, row := range strings.Fields(r.Body.(string)) {
		all = append(all, core.Incoming{Body: []byte(row)})
	}
	return all, nil
}

func (s *shelf) Mark(r core.Reply) (core.Request, error) {
	return core.Request{Operation: "mark", Body: r.Body}, nil
}

func (s *shelf) Touched(r core.Response) (int64, bool) { return int64(len(r.Body.(string))), true }

// Call implements core.Connector.
func (s *shelf) Call(_ context.Context, q core.Request) (core.Response, error) {
	if s.away != nil {
		return core.Response{}, s.away
	}
	if q.Operation == "take" {
		s.takes++
		return core.Response{Body: strings.Join(s.rows, " ")}, nil
	}
	text := q.Body.(string)
	s.marks = append(s.marks, strings.TrimSpace(text))
	row, _, _ := strings.Cut(text, " ")
	switch {
	case s.fails[row] != nil:
		return core.Response{}, s.fails[row]
	case s.faults[row]:
		return core.Response{Error: "fault"}, nil
	case s.misses[row]:
		return core.Response{Body: ""}, nil
	}
	for i, r := range s.rows {
		if r == row {
			s.rows = append(s.rows[:i:i], s.rows[i+1:]...)
			break
		}
	}
	return core.Response{Body: "x"}, nil
}

func (s *shelf) Close() error { return nil }

// looking is a watch over a shelf.
type looking struct {
	*testing.T
	*shelf
	*watch
	books    *books
	log      strings.Builder
	served   map[string]int
	hospital *core.Hospital
	// open: nobody decides.
	open bool
}

func newLooking(t *testing.T, rows ...string) *looking {
	l := &looking{T: t, shelf: &shelf{rows: rows, fails: map[string]error{}, faults: map[string]bool{}, misses: map[string]bool{}}, books: &books{}, served: map[string]int{}}
	listener := &core.Listener{Name: "notice", Kind: "table", Door: refunds{}, Listening: core.Listening{Wire: l.shelf, Using: "default", Every: time.Second, Timeout: time.Second}}
	dialect := &core.Dialect{Hospital: "east", Zone: time.UTC, Listeners: map[string]*core.Listener{"notice": listener}}
	l.hospital = core.NewHospital(dialect, 1, map[string]core.Connector{"default": l.shelf}, nil, nil)
	log := slog.New(slog.NewTextHandler(&l.log, nil))
	server := &Server{Log: log, Served: func(_ string, _ core.Kind, result string) { l.served[result]++ },
		Hospital: func(context.Context, string) (*core.Hospital, error) { return l.hospital, nil },
		Desk: &Desk{Store: l.books, Log: slog.New(slog.DiscardHandler), Deciders: map[core.Kind]Decider{
			core.RefundApply: func(context.Context, string, core.Body) (core.Resolution, error) {
				if l.open {
					return core.Resolution{}, errors.New("the channel is away")
				}
				return core.Resolution{State: core.ResultDone}, nil
			}}}}
	l.watch = &watch{Watched: Watched{Hospital: "east", Listener: "notice"}, server: server}
	return l
}

// looks looks n times, and expects the rows that are marked from then on.
func (l *looking) looks(n int, marks ...string) error {
	l.Helper()
	l.marks = nil
	var failed error
	for range n {
		if _, err := l.look(context.Background()); err != nil {
			failed = err
		}
	}
	if got, want := fmt.Sprint(l.marks), fmt.Sprint(marks); got != want {
		l.Errorf("marked are %s, not %s", got, want)
	}
	return failed
}

// later lets the time pass for which rows are left alone.
func (l *looking) later() {
	for _, s := range l.watch.rows {
		s.until = s.until.Add(-leftFor)
	}
}

func (l *looking) logged(words string) int { return strings.Count(l.log.String(), words) }

func TestRowsAreMarkedInTheirOrder(t *testing.T) {
	l := newLooking(t, "R1", "R2")
	if err := l.looks(2, "R1 done", "R2 done"); err != nil || len(l.watch.rows) != 0 {
		t.Errorf("%v, remembered are %d rows", err, len(l.watch.rows))
	}
}

func TestWhatIsNotDecidedStaysUnmarked(t *testing.T) {
	l := newLooking(t, "R1")
	l.open = true
	if err := l.looks(3); err != nil || l.served["unknown"] != 3 {
		t.Errorf("%v, served %v", err, l.served)
	}
	// One exchange is kept of the three looks, and one more when it is decided.
	l.open = false
	l.looks(1, "R1 done")
	kept := 0
	for _, said := range l.books.said {
		if said != "" {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("%d exchanges are kept: %q", kept, l.books.said)
	}
}

func TestMaintenanceLooksAtNothing(t *testing.T) {
	l := newLooking(t, "R1")
	l.hospital.Maintenance = []core.Window{{Start: 0, End: 24 * 60}}
	if err := l.looks(1); err != nil || l.takes != 0 {
		t.Errorf("%v, looked %d times", err, l.takes)
	}
	l.hospital.Maintenance = nil
	l.looks(1, "R1 done")
}

func TestAStrangeRowIsLeftAloneForAWhile(t *testing.T) {
	l := newLooking(t, "?", "R1")
	l.looks(3, "R1 done")
	if n := l.served["unrecognised"] + l.served["unreadable"]; n != 1 {
		t.Errorf("heard %d times: %v", n, l.served)
	}
	l.later()
	l.looks(3)
	if n := l.served["unrecognised"] + l.served["unreadable"]; n != 2 {
		t.Errorf("after the while heard %d times: %v", n, l.served)
	}
}

func TestARowThatTheDatabaseRefusesHoldsUpNobody(t *testing.T) {
	l := newLooking(t, "R1", "R2")
	l.faults["R1"] = true
	if err := l.looks(3, "R1 done", "R2 done"); err != nil {
		t.Error(err)
	}
	l.later()
	l.looks(2, "R1 done")
	if l.logged("a row cannot be marked") != 1 || l.served["unmarked"] != 2 || l.logged("row="+l.watch.known(digestOf("R1")).row) != 1 {
		t.Errorf("served %v, logged\n%s", l.served, l.log.String())
	}
	l.faults["R1"] = false
	l.later()
	l.looks(2, "R1 done")
}

// A fault of one row may look like a database that is away: it ends one look.
func TestARowThatSeemsToBeTheDatabase(t *testing.T) {
	l := newLooking(t, "R1", "R2")
	l.fails["R1"] = &core.Fault{Class: core.InDoubt, Op: "db update", Err: errors.New("refused")}
	if err := l.looks(1, "R1 done"); err == nil {
		t.Error("the look goes on")
	}
	if err := l.looks(2, "R1 done", "R2 done"); err != nil {
		t.Error(err)
	}
}

func TestADatabaseThatIsAway(t *testing.T) {
	l := newLooking(t, "R1")
	l.away = &core.Fault{Class: core.Unavailable, Op: "db select", Err: errors.New("refused")}
	if err := l.looks(3); err == nil {
		t.Error("no error")
	}
	l.away = nil
	if err := l.looks(1, "R1 done"); err != nil {
		t.Error(err)
	}
}

func TestDoneThatTouchesNoRow(t *testing.T) {
	l := newLooking(t, "R1", "R2")
	l.misses["R1"] = true
	l.looks(5, "R1 done", "R2 done", "R1 done")
	if l.logged("done touched no row") != 1 || l.served["unmarked"] != 1 {
		t.Errorf("served %v, logged\n%s", l.served, l.log.String())
	}
	l.later()
	l.looks(3, "R1 done")
	// A row that the HIS changed is another one, and not left alone.
	l.shelf.rows = []string{"R11"}
	l.looks(1, "R11 done")
}
func digestOf(row string) digest { return sha256.Sum256([]byte(row)) }
