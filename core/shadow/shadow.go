// Package shadow says what was told to a HIS once more: with the folder that it was
// told with, and with another. Nothing is sent and nothing is kept.
package shadow

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// Query is what to look at: what was accepted from From on, before Until, oldest
// first, at most Limit; Kind "" is every kind.
type Query struct {
	Hospital    string
	Kind        core.Kind
	From, Until time.Time
	Limit       int
	// Only is the number of the one message or notice to look at, whenever it was; 0 is all.
	Only int64
}

// Day is the query of a day in a zone.
func Day(day time.Time, zone *time.Location) (from, until time.Time) {
	from = time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, zone)
	return from, from.AddDate(0, 0, 1)
}

// Store is the ledger as a shadow sees it. Both give one after the other, whatever
// their number.
type Store interface {
	Told(ctx context.Context, q Query) iter.Seq2[Message, error]
	Heard(ctx context.Context, q Query) iter.Seq2[Arrival, error]
}

// Message is a message as the ledger remembers it.
type Message struct {
	ID       int64
	Kind     core.Kind
	Accepted time.Time
	// Revision that it was begun with; 0 if it was not.
	Revision int
	Body     core.Body
	// Captured are the values kept so far, until it is decided.
	Captured map[string]string
	// Attempts in their order, without those that came too late to count.
	Attempts []Attempt
}

// Attempt is one exchange; Answer is nil when none came, or it is past its retention.
// ID, Serial and Asked are of its stamp and Head stood before the answer, see
// core.Response.Head; ID is "" when the ledger does not have them.
type Attempt struct {
	Number  int
	At      time.Time // its end
	Took    time.Duration
	Phase   delivery.Phase
	Step    string
	Outcome core.Outcome
	Rule    string
	Request []byte
	Answer  []byte
	ID      string
	Serial  int64
	Asked   time.Time
	Head    string
}

// Arrival is something that the HIS told us; Request is its body, and all that is left of it.
type Arrival struct {
	ID      int64
	Kind    core.Kind
	At      time.Time
	Body    core.Body
	Request []byte
	core.Resolution
}

// Side is a folder that can be looked through without any server.
type Side struct {
	*core.Dialect
	// Offline opens a connector by name, each once.
	Offline func(connector string) (core.Offline, error)
	// Session are stand-ins for what a login would give.
	Session func(*core.Session) map[string]string
}

// Run is one comparison.
type Run struct {
	Store Store
	// Old is the folder of a revision; 0 is the active one.
	Old func(ctx context.Context, revision int) (*Side, error)
	New *Side
	// Text makes text of bytes, Mask hides in it what names the person of a message.
	Text func([]byte) string
	Mask func(text string, about core.Body) string
	// Seen is told of every exchange that differs; it may be nil.
	Seen func(Difference)
}

// What differs.
type What string

const (
	Bytes    What = "bytes"    // other bytes are sent
	Invalid  What = "invalid"  // it can no longer be sent
	Valid    What = "valid"    // it could not be sent, and can be now
	Gone     What = "gone"     // the new folder has no such transaction, step, inquiry or undo
	Outcome  What = "outcome"  // the same answer is judged differently
	Captured What = "captured" // other values are kept of it
	Returns  What = "returns"  // the canonical answer is another one
	Words    What = "words"    // of the HIS, for people
	Taken    What = "taken"    // what the HIS told us is read differently
	Replied  What = "replied"  // it gets another reply
	Still    What = "still"    // it could not be sent, and cannot be now; no difference, told apart
)

// Difference is one exchange that differs. Its texts are masked.
type Difference struct {
	Message int64     `json:"message"`
	Inbound bool      `json:"inbound,omitempty"`
	Kind    core.Kind `json:"kind"`
	// Call is the step and what it is for: "pay", "pay inquire".
	Call  string `json:"call"`
	What  What   `json:"what"`
	Place string `json:"place"`
	// Old and New are around the first difference; Before and After the whole of it,
	// for those who are told of every difference.
	Old    string `json:"old"`
	New    string `json:"new"`
	Before string `json:"-"`
	After  string `json:"-"`
}

// Group are differences of one kind at one place.
type Group struct {
	Difference     // an example
	Count      int `json:"count"`
	// Messages are those with such an exchange; a message may have had many.
	Messages int `json:"messages"`
}

// Report is what came of it.
type Report struct {
	Hospital string    `json:"hospital"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
	Messages int       `json:"messages"`
	Inbound  int       `json:"inbound"`
	// Exchanges are those that were compared; each of them counts once below, by the
	// first that applies: newly invalid, outcome, bytes and all else.
	Exchanges      int `json:"exchanges"`
	Same           int `json:"same"`
	Differ         int `json:"differ"`
	NewlyInvalid   int `json:"newly_invalid"`
	OutcomeDiffers int `json:"outcome_differs"`
	// Unread are answers that the old folder does not judge here as it did then, so
	// that only their requests were compared: other secrets, or what was not kept.
	Unread int `json:"unread"`
	// Random are requests that are never the same twice: encrypted with fresh random.
	Random int `json:"random"`
	// Lost are messages and arrivals of which too little is left to say them again.
	Lost   int      `json:"lost"`
	Groups []*Group `json:"groups"`
	// More differences were not grouped any more.
	More int `json:"more,omitempty"`
	// Differing are the messages of which an exchange differs. Stuck are those that could
	// not be sent and still cannot be: told again they fail again, by why in Still.
	Differing int      `json:"messages_differ"`
	Stuck     int      `json:"messages_still_invalid"`
	Still     []*Group `json:"still_invalid"`
}

// Differs reports whether anything does.
func (r *Report) Differs() bool { return r.Differ+r.NewlyInvalid+r.OutcomeDiffers > 0 }

// mostGroups bounds a report whatever a folder does.
const mostGroups = 500

// Do compares. It holds one message at a time.
func (x *Run) Do(ctx context.Context, q Query) (*Report, error) {
	w := &work{Run: x, report: &Report{Hospital: q.Hospital, From: q.From, Until: q.Until, Groups: []*Group{}, Still: []*Group{}}, groups: map[string]*Group{}}
	for m, err := range x.Store.Told(ctx, q) {
		if err != nil {
			return nil, err
		}
		old, err := x.Old(ctx, m.Revision)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", m.ID, err)
		}
		w.report.Messages++
		w.differs, w.stuck = false, false
		if err := w.message(old, m); err != nil {
			return nil, fmt.Errorf("message %d: %w", m.ID, err)
		}
		if w.differs {
			w.report.Differing++
		}
		if w.stuck {
			w.report.Stuck++
		}
	}
	if len(x.New.Listeners) > 0 || q.Kind == "" {
		old, err := x.Old(ctx, 0)
		if err != nil {
			return nil, err
		}
		for a, err := range x.Store.Heard(ctx, q) {
			if err != nil {
				return nil, err
			}
			w.report.Inbound++
			w.arrival(old, a)
		}
	}
	for _, groups := range [][]*Group{w.report.Groups, w.report.Still} {
		slices.SortFunc(groups, func(a, b *Group) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Message, b.Message))
		})
	}
	return w.report, nil
}

// work is a run at work.
type work struct {
	*Run
	report *Report
	groups map[string]*Group
	// seen is the last message that a group counted; differs and stuck are of the
	// message at hand.
	seen           map[*Group]int64
	differs, stuck bool
}

// count takes the differences of one exchange.
func (w *work) count(ds []Difference) {
	w.report.Exchanges++
	worst := &w.report.Same
	for _, d := range ds {
		switch {
		case d.What == Invalid || d.What == Gone:
			worst = &w.report.NewlyInvalid
		case d.What == Outcome && worst != &w.report.NewlyInvalid:
			worst = &w.report.OutcomeDiffers
		case worst == &w.report.Same:
			worst = &w.report.Differ
		}
		w.group(d, &w.report.Groups)
		if w.Seen != nil {
			w.Seen(d)
		}
	}
	*worst++
	w.differs = w.differs || worst != &w.report.Same
}

// group counts a difference with those that are like it.
func (w *work) group(d Difference, groups *[]*Group) {
	key := fmt.Sprint(d.Kind, "\x00", d.Call, "\x00", d.What, "\x00", d.Place)
	g := w.groups[key]
	if g == nil {
		if len(w.groups) >= mostGroups {
			w.report.More++
			return
		}
		g = &Group{Difference: d}
		g.Before, g.After = "", "" // one whole text a group may be many megabytes
		w.groups[key] = g
		*groups = append(*groups, g)
	}
	g.Count++
	if w.seen == nil {
		w.seen = map[*Group]int64{}
	}
	if w.seen[g] != d.Message {
		w.seen[g] = d.Message
		g.Messages++
	}
}
