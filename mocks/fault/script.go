// Package fault is the script of failures that the fake hospitals play: when a
// request fits a rule, the hospital is slow, silent, cut off or wrong in the way
// the rule says.
package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Kind of a fault. mocks/README.md says what each one does.
type Kind string

const (
	Down               Kind = "down"
	Slow               Kind = "slow"
	Hang               Kind = "hang"
	CutBefore          Kind = "cut_before"
	CommitThenHang     Kind = "commit_then_hang"
	CutAfterCommit     Kind = "cut_after_commit"
	CutThenCommitLater Kind = "cut_then_commit_later"
	HTTP500            Kind = "http_500"
	SoapFault          Kind = "soap_fault"
	Garbled            Kind = "garbled"
	Truncated          Kind = "truncated"
	WrongCharset       Kind = "wrong_charset"
	Busy               Kind = "busy"
	Reject             Kind = "reject"
	DuplicateAnswer    Kind = "duplicate_answer"
	LateVerdict        Kind = "late_verdict"
)

// RejectWords are what a HIS says when it plays Reject.
const RejectWords = "药品库存不足"

// HTTPKinds are the faults an HTTP hospital can play.
var HTTPKinds = []Kind{Down, Slow, Hang, CutBefore, CommitThenHang, CutAfterCommit, CutThenCommitLater,
	HTTP500, SoapFault, Garbled, Truncated, WrongCharset, Busy, Reject, DuplicateAnswer}

// Rule says which requests meet a fault.
type Rule struct {
	Fault     Kind    `json:"fault"`
	Operation string  `json:"operation,omitempty"` // "": any
	Key       string  `json:"key,omitempty"`       // part of the business key; "": any
	Times     int     `json:"times,omitempty"`     // 0: until deleted
	Rate      float64 `json:"rate,omitempty"`      // probability of each strike; 0: always
	First     bool    `json:"first,omitempty"`     // only the first request with a key can meet it
	Delay     Delay   `json:"delay,omitempty"`
	Hits      int     `json:"hits"` // how often it struck
}

// Delay is a duration written "1.5s" in JSON.
type Delay time.Duration

// Or is the delay, or a default when none was given.
func (d Delay) Or(standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return time.Duration(d)
}

func (d Delay) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *Delay) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed < 0 {
		return fmt.Errorf("delay must look like 500ms or 10s")
	}
	*d = Delay(parsed)
	return nil
}

// Check refuses a rule that cannot be played by a hospital that knows these kinds.
func (r Rule) Check(known []Kind) error {
	switch {
	case !slices.Contains(known, r.Fault):
		return fmt.Errorf("fault %q is not known here; known: %v", r.Fault, known)
	case r.Times < 0 || r.Rate < 0 || r.Rate > 1:
		return errors.New("times must be 0 or more, rate between 0 and 1")
	case r.Fault == Down && (r.Operation != "" || r.Key != ""):
		return errors.New("down reads nothing, so it takes no operation and no key; cut_before does")
	case r.Fault == Down && r.First:
		return errors.New("down reads nothing, so it does not know whose first request it meets")
	}
	return nil
}

func (r Rule) fits(key string, operations []string) bool {
	return (r.Operation == "" || slices.Contains(operations, r.Operation)) && (r.Key == "" || strings.Contains(key, r.Key))
}

// limited tells a down that strikes single connections from one that is total.
func (r Rule) limited() bool { return r.Times > 0 || r.Rate > 0 }

// Script holds the rules in force; safe for concurrent use.
type Script struct {
	known []Kind

	active  atomic.Int32 // rules in force: the way out when there are none
	mu      sync.Mutex
	rules   []*Rule
	came    map[*Rule]map[string]bool // keys that had their first request
	random  *rand.Rand
	release chan struct{} // closed by Clear: what hangs is let go
	changed []func()

	done   chan struct{} // closed by Close
	closed bool
	later  sync.WaitGroup
}

// NewScript makes an empty script that takes rules of these kinds.
func NewScript(seed uint64, known []Kind) *Script {
	return &Script{
		known: known, random: rand.New(rand.NewPCG(seed, 20260105)),
		release: make(chan struct{}), done: make(chan struct{}),
	}
}

// Add puts rules behind those in force; none is added when one of them is wrong.
func (s *Script) Add(rules ...Rule) error {
	for i, r := range rules {
		if err := r.Check(s.known); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	s.mu.Lock()
	for _, r := range rules {
		r.Hits = 0
		s.rules = append(s.rules, &r)
	}
	s.mu.Unlock()
	s.tell()
	return nil
}

// Clear drops all rules and lets go what hangs.
func (s *Script) Clear() {
	s.mu.Lock()
	s.rules, s.came = nil, nil
	close(s.release)
	s.release = make(chan struct{})
	s.mu.Unlock()
	s.tell()
}

// Rules lists those in force, never nil.
func (s *Script) Rules() []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Rule, len(s.rules))
	for i, r := range s.rules {
		list[i] = *r
	}
	return list
}

// OnChange calls f whenever the rules changed, outside the script's lock.
func (s *Script) OnChange(f func()) {
	s.mu.Lock()
	s.changed = append(s.changed, f)
	s.mu.Unlock()
}

func (s *Script) tell() {
	s.mu.Lock()
	s.active.Store(int32(len(s.rules)))
	tell := s.changed
	s.mu.Unlock()
	for _, f := range tell {
		f()
	}
}

// Strike is a rule that struck: its kind, its delay, and the channel that is
// closed when the rules are cleared.
type Strike struct {
	Kind     Kind
	Key      string // of the rule
	Delay    Delay
	Released <-chan struct{}
}

// Strike finds the fault for a request, which may be several operations at once;
// the zero Strike is none.
func (s *Script) Strike(key string, operations ...string) Strike {
	return s.strike(func(r *Rule) bool { return r.Fault != Down && r.fits(key, operations) && s.chosen(r, key) })
}

// chosen notes that a request with the key came; false when it cannot meet the rule.
// s.mu is held.
func (s *Script) chosen(r *Rule, key string) bool {
	if !r.First {
		return true
	}
	if s.came == nil {
		s.came = map[*Rule]map[string]bool{}
	}
	if s.came[r] == nil {
		s.came[r] = map[string]bool{}
	}
	again := s.came[r][key]
	s.came[r][key] = true
	return !again
}

// StrikeDown reports whether this connection is one to be closed unread.
func (s *Script) StrikeDown() bool {
	return s.strike(func(r *Rule) bool { return r.Fault == Down }).Kind != ""
}

func (s *Script) strike(fits func(*Rule) bool) Strike {
	if s.active.Load() == 0 {
		return Strike{}
	}
	s.mu.Lock()
	var found Strike
	spent := false
	for i, r := range s.rules {
		if !fits(r) || r.Rate > 0 && s.random.Float64() >= r.Rate {
			continue
		}
		r.Hits++
		found = Strike{Kind: r.Fault, Key: r.Key, Delay: r.Delay, Released: s.release}
		if spent = r.Times > 0 && r.Hits >= r.Times; spent {
			delete(s.came, r)
			s.rules = slices.Delete(s.rules, i, i+1)
		}
		break
	}
	s.mu.Unlock()
	if spent {
		s.tell()
	}
	return found
}

// Shut reports whether a total down is in force.
func (s *Script) Shut() bool {
	return s.has(func(r *Rule) bool { return r.Fault == Down && !r.limited() })
}

// Flaky reports whether any down is in force, total or not.
func (s *Script) Flaky() bool { return s.has(func(r *Rule) bool { return r.Fault == Down }) }

func (s *Script) has(is func(*Rule) bool) bool {
	if s.active.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.rules, is)
}

// Wait sleeps, and reports false when the hospital closed meanwhile.
func (s *Script) Wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.done:
		return false
	}
}

// Hold blocks until the caller leaves, the rules are cleared or the hospital closes.
func (s *Script) Hold(ctx context.Context, strike Strike) {
	select {
	case <-ctx.Done():
	case <-strike.Released:
	case <-s.done:
	}
}

// Later does something after d, unless the hospital closes before.
func (s *Script) Later(d time.Duration, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.later.Go(func() {
		if s.Wait(d) {
			do()
		}
	})
}

// Scramble is n random bytes.
func (s *Script) Scramble(n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	noise := make([]byte, n)
	for i := range noise {
		noise[i] = byte(s.random.Uint32())
	}
	return noise
}

// Close lets go everything that waits, and waits until it is gone.
func (s *Script) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.mu.Unlock()
	s.later.Wait()
}
