package player

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"hishub/core"
)

// readBack is the share of a message's fields that the player must recover, in
// percent, of those that the folder sends at all.
const readBack = 90

// Every folder answers its own messages: what the player says is read by the folder's
// real connectors and rules as what was meant.
func TestEveryFolderCanBePlayed(t *testing.T) {
	all := folders(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			folder := copied(t, all[name])
			if why, ok := unplayable[name]; ok {
				_, err := Start(t.Context(), Options{Folder: folder, Env: environment(folder)})
				if err == nil {
					t.Errorf("it is played, though it should not: %s", why)
				}
				if why == "database" && !errors.Is(err, ErrDatabase) {
					t.Errorf("refused for another reason than its database: %v", err)
				}
				return
			}
			p, h := played(t, folder)
			seen := map[core.Kind]bool{}
			for _, m := range messages(t, folder, h.Dialect) {
				if m.step != "" || seen[m.kind] && m.body.Key() == "" {
					continue
				}
				first := !seen[m.kind]
				seen[m.kind] = true
				t.Run(m.name, func(t *testing.T) { ask(t, p, h, m, first) })
			}
		})
	}
}

func ask(t *testing.T, p *Player, h *core.Hospital, m message, first bool) {
	d := h.Operations[m.kind]
	tr, _ := core.Lookup(m.kind)
	in := core.Input{Body: m.body, Kind: m.kind, Captured: map[string]string{}, Stamp: h.Stamp(m.body.Key(), time.Now(), 1)}
	maps.Copy(in.Captured, m.captured)
	for i := range d.Steps {
		s := &d.Steps[i]
		if s.When != nil {
			if applies, err := s.When(in); err != nil || !applies {
				continue
			}
		}
		x := h.Ask(t.Context(), &s.Call, in, nil)
		report := func(what string) {
			t.Helper()
			log := p.Exchanges()
			shown := "nothing was heard"
			if len(log) > 0 {
				l := log[len(log)-1]
				shown = fmt.Sprintf("heard %q, meant %q as in %q, trouble %q\nrequest %s\nanswer %s", l.Name, l.Meant, l.Case, l.Trouble, l.Request, l.Answer)
			}
			t.Errorf("%s: %s: %s (%v)\n%s", s.Name, what, x.Verdict.Outcome, x.Verdict.Err, shown)
		}
		good := []core.Outcome{core.OutcomeOK, core.OutcomeRunning, core.OutcomeAlready}
		if tr.Mode == core.Question {
			good = append(good, core.OutcomeNoData)
		}
		if x.Verdict.Outcome == core.OutcomeInvalid {
			t.Skip("the message cannot be said in this dialect")
		}
		if !slices.Contains(good, x.Verdict.Outcome) {
			report("not done")
			return
		}
		maps.Copy(in.Captured, x.Verdict.Captured)
		_ = first
	}
	_ = strings.Join
}
