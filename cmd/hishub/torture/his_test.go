package torture

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"

	"hishub/mocks/fault"
)

// playHIS: hospitals that answer twice, long after everybody stopped listening,
// or with the answer to somebody else's request, on top of all that they do by
// themselves: commit and hang, say "absent" and book a little later, answer garbage.
// A database's protocol carries no answers that could stand alone, so it is left in peace.
func playHIS(t *testing.T) {
	s := size{seeds: []uint64{15, 16}, messages: 1200, spread: 60 * time.Second, patience: 8 * time.Minute}
	for _, seed := range seedsOf(t, s.seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			dir := folder(t)
			c := &campaign{T: t, line: "his", size: s, seed: seed, binary: program(t), dir: filepath.Join(dir, fmt.Sprintf("his%d", seed)),
				postgres: startPostgres(t, dir).URL, processes: 1, double: seed%2 == 0}
			n := openNetwork(c, func(name string) bool {
				return strings.HasSuffix(name, "_URL") && name != "DATABASE_URL" || name == "HEPING_ADDRESS"
			})
			told := &telling{network: n}
			c.also = func(folders string) []string {
				env := told.openHeping(folders)
				for _, h := range c.hospitals {
					h.weather = without(h.weather, fault.Busy, fault.DuplicateAnswer)
				}
				return env
			}
			c.faults = n.answerStrangely
			c.run()
		})
	}
}

func without(rules []fault.Rule, kinds ...fault.Kind) (left []fault.Rule) {
	for _, r := range rules {
		keep := true
		for _, k := range kinds {
			keep = keep && r.Fault != k
		}
		if keep {
			left = append(left, r)
		}
	}
	return left
}

// answerStrangely lasts until all is submitted.
func (n *network) answerStrangely() {
	strangers := map[string]*strange{}
	for i, hop := range n.names() {
		s := n.toxic(hop, "strange", "downstream", nil).Toxic.(*strange)
		s.begin(n.seed*100+uint64(i), hop)
		strangers[hop] = s
	}
	time.Sleep(time.Until(n.began.Add(n.spread)))
	for hop, s := range strangers {
		n.heal(hop)
		for what, times := range s.counted() {
			n.inflictMore("answers "+what, times)
		}
	}
}

// strange answers one request in twenty twice, one too late, and three with what it
// answered somebody else.
type strange struct {
	mu     sync.Mutex
	r      *rand.Rand
	others *regexp.Regexp // answers that can be told from another's
	last   []byte
	times  map[string]int
}

// numbered are 东山's answers that hold a sum of ours which no other message has, and
// say yes. What it says to a pre-settlement names nobody, and two refunds of a payment
// may be of one sum: no program can tell whose answer that is.
var numbered = regexp.MustCompile(`(SavePrescription|ConfirmSettle)Response[\s\S]*ResultCode(>|&gt;)0(<|&lt;)`)

func (s *strange) begin(seed uint64, hop string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.r, s.times, s.others = rand.New(rand.NewPCG(seed, 15)), map[string]int{}, regexp.MustCompile(``)
	if strings.HasPrefix(hop, "DONGSHAN") || strings.HasPrefix(hop, "BEISHAN") {
		s.others = numbered
	}
}

func (s *strange) counted() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.times
}

// draw is what becomes of an answer: the pieces that are sent, and how late.
func (s *strange) draw(answer []byte) (pieces [][]byte, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.r == nil { // not begun
		return [][]byte{answer}, 0
	}
	before := s.last
	its := s.others.Match(answer)
	if its {
		s.last = append([]byte(nil), answer...)
	}
	switch x := s.r.Float64(); {
	case x < 0.05:
		s.times["given twice"]++
		return [][]byte{answer, answer}, 0
	case x < 0.10:
		s.times["given after settle_after"]++
		return [][]byte{answer}, 4 * time.Second
	case x < 0.25 && its && before != nil:
		s.times["of another request"]++
		return [][]byte{before}, 0
	}
	return [][]byte{answer}, 0
}

// Pipe implements toxics.Toxic.
func (s *strange) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			pieces, wait := s.draw(c.Data)
			time.Sleep(wait) // only this connection waits
			for _, p := range pieces {
				stub.Output <- &stream.StreamChunk{Data: p, Timestamp: c.Timestamp}
			}
		}
	}
}
