package certify

import (
	"fmt"
	"strings"
	"time"

	"hishub/core"
)

// Result of one check.
type Result string

const (
	Pass Result = "pass"
	Fail Result = "fail"
	// NotApplicable: the folder does not claim it.
	NotApplicable Result = "not_applicable"
	// NotTried: it could not or was not to be tried; Why says the reason.
	NotTried Result = "not_tried"
)

// Certificate is what a run found.
type Certificate struct {
	Hospital string `json:"hospital"`
	Name     string `json:"name"`
	// Digest of the folder, SHA-256 in hex.
	Digest  string `json:"digest"`
	Version string `json:"version"`
	Lang    string `json:"lang"`
	// Endpoints that were called, host and port only.
	Endpoints []string  `json:"endpoints"`
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended"`
	Money     bool      `json:"money"`
	// Capped is the most that any wait of the folder was allowed to last; 0 if all
	// were waited for.
	Capped time.Duration `json:"capped,omitempty"`
	Items  []*Item       `json:"items"`
	// Left is what stays at the HIS and must be removed by hand.
	Left      []Left         `json:"left"`
	Coverage  []Covered      `json:"coverage"`
	Variables []string       `json:"variables"`
	Counts    map[Result]int `json:"counts"`
}

// Item is one check of one thing.
type Item struct {
	// ID is that of the check, with what it is about: "C.repeat payment.settle".
	ID       string     `json:"id"`
	Check    string     `json:"check"`
	About    string     `json:"about,omitempty"`
	Proves   string     `json:"proves"`
	Result   Result     `json:"result"`
	Why      []string   `json:"why,omitempty"`
	Started  time.Time  `json:"started"`
	Ended    time.Time  `json:"ended"`
	Evidence []Evidence `json:"evidence,omitempty"`

	lang string
}

// Evidence is one exchange, with secrets and patients masked.
type Evidence struct {
	What     string        `json:"what"`
	Sent     string        `json:"sent,omitempty"`
	Received string        `json:"received,omitempty"`
	Outcome  core.Outcome  `json:"outcome,omitempty"`
	Rule     string        `json:"rule,omitempty"`
	Words    string        `json:"words,omitempty"`
	Because  string        `json:"because,omitempty"`
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took"`
}

// Left is one thing that the run made and could not take back.
type Left struct {
	Kind   core.Kind `json:"kind"`
	Number string    `json:"number"`
	HisNo  string    `json:"his_no,omitempty"`
	Why    string    `json:"why"`
}

// Failed reports whether anything failed.
func (c *Certificate) Failed() bool { return c.Counts[Fail] > 0 }

// Find gives an item by its id.
func (c *Certificate) Find(id string) *Item {
	for _, it := range c.Items {
		if it.ID == id {
			return it
		}
	}
	return nil
}

func (it *Item) say(zh, en string, args ...any) {
	said := text{zh, en}.in(it.lang)
	if strings.Contains(said, "%") {
		said = fmt.Sprintf(said, args...)
	}
	it.Why = append(it.Why, said)
}

func (it *Item) fail(zh, en string, args ...any) {
	it.Result = Fail
	it.say(zh, en, args...)
}

// notTried and notApplicable never hide a failure.
func (it *Item) notTried(zh, en string, args ...any) {
	if it.Result != Fail {
		it.Result = NotTried
	}
	it.say(zh, en, args...)
}

func (it *Item) notApplicable(zh, en string, args ...any) {
	if it.Result != Fail {
		it.Result = NotApplicable
	}
	it.say(zh, en, args...)
}
