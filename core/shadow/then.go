package shadow

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"iter"
	"regexp"
	"slices"
	"strings"

	"hishub/core"
)

// Moments are the stamps that an attempt may have been made with, each with what may
// have stood before its answer. The ledger keeps both; of an attempt that is older
// than that they are guessed, the likeliest first, and whoever judges an answer takes
// the first with which it comes out as it did.
func (m Message) Moments(a Attempt) iter.Seq2[core.Stamp, string] {
	return func(yield func(core.Stamp, string) bool) {
		s := core.Stamp{Key: m.Body.Key(), Time: m.Accepted, At: a.At.Add(-a.Took), ID: standIn(m.ID, a.Number), Serial: m.ID, Number: a.Number}
		if a.ID != "" {
			s.ID, s.Serial, s.At = a.ID, a.Serial, a.Asked
			yield(s, a.Head)
			return
		}
		for _, id := range append([]string{s.ID}, identifiers(a.Request, a.Answer)...) {
			s.ID = id
			for _, head := range heads {
				if !yield(s, head) {
					return
				}
			}
		}
	}
}

// heads are what may have stood before an answer.
var heads = []string{"", "HTTP/1.1 500\n\n", "HTTP/1.1 400\n\n", "HTTP/1.1 404\n\n", "HTTP/1.1 409\n\n", "HTTP/1.1 422\n\n", "HTTP/1.1 201\n\n"}

var hexRun = regexp.MustCompile(`[0-9A-Fa-f]{8,32}`)

// identifiers are what the attempt's id may have been, as far as the bytes tell: a
// HIS often gives it back, or the front of it.
func identifiers(texts ...[]byte) (all []string) {
	for _, text := range texts {
		for _, run := range hexRun.FindAll(text, -1) {
			id := strings.ToLower(string(run))
			id += strings.Repeat("0", 32-len(id))
			if len(all) < 100 && !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	return all
}

// standIn is an id that is the same every time.
func standIn(message int64, attempt int) string {
	h := fnv.New128a()
	fmt.Fprint(h, message, " ", attempt)
	return hex.EncodeToString(h.Sum(nil))
}

// judgedAsThen finds the moment with which the old folder judges the answer as it did
// then, and sets its stamp in the input; without one it sets the likeliest.
func judgedAsThen(old *Side, call *core.Call, in *core.Input, m Message, a Attempt) (v core.Verdict, head string, ok bool) {
	var likeliest core.Stamp
	var s said
	for stamp, head := range m.Moments(a) {
		if likeliest == (core.Stamp{}) {
			likeliest = stamp
		}
		if len(a.Answer) == 0 {
			break
		}
		if in.Stamp != stamp {
			in.Stamp = stamp
			var err error
			if s, err = say(old, call, *in); err != nil || s.err != nil {
				break
			}
		}
		if v := judge(call, *in, s, head, a.Answer); v.Outcome == a.Outcome && v.Rule == a.Rule {
			return v, head, true
		}
	}
	in.Stamp = likeliest
	return core.Verdict{}, "", false
}
