package player

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hishub/core"
)

// The share of the fields that a folder sends which the player must recover, in
// percent: of each folder, where a format may lose something (pipes in a name), and
// of all together.
const (
	readBackOfOne = 80
	readBackOfAll = 98
)

// Every folder answers its own messages: what the player says is read by the folder's
// real connectors and rules as what was meant. What cannot be played is named.
func TestEveryFolderCanBePlayed(t *testing.T) {
	all := folders(t)
	sent, recovered := 0, 0
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
			r := &rehearsal{player: p, hospital: h, booked: map[string]bool{}}
			for _, m := range messages(t, folder, h.Dialect) {
				if m.step == "" {
					t.Run(m.name, func(t *testing.T) { r.play(t, m) })
				}
			}
			sent, recovered = sent+r.sent, recovered+r.recovered
			if r.sent > 0 {
				share := 100 * r.recovered / r.sent
				t.Logf("%s: %d exchanges, %d of %d fields that are sent were read back, %d%%; lost: %v", name, r.asked, r.recovered, r.sent, share, r.missed)
				if share < readBackOfOne {
					t.Errorf("%d%% of the fields were read back, %d%% are asked for; lost: %v", share, readBackOfOne, r.missed)
				}
			}
			if said := messages(t, folder, h.Dialect); len(said) > 0 && r.asked == 0 {
				t.Error("nothing was asked")
			}
		})
	}
	if sent == 0 || 100*recovered/sent < readBackOfAll {
		t.Errorf("%d of %d fields were read back, %d%% are asked for", recovered, sent, readBackOfAll)
	}
}

// rehearsal goes through the messages of a folder's cases.
type rehearsal struct {
	player                 *Player
	hospital               *core.Hospital
	booked                 map[string]bool
	asked, sent, recovered int
	missed                 []string
}

func (r *rehearsal) play(t *testing.T, m message) {
	o := r.hospital.Operations[m.kind]
	tr, _ := core.Lookup(m.kind)
	in := core.Input{Body: m.body, Kind: m.kind, Captured: map[string]string{}, Stamp: r.hospital.Stamp(m.body.Key(), time.Now(), 1)}
	maps.Copy(in.Captured, m.captured)
	if tr.Mode == core.Question {
		if x, ok := r.ask(t, &o.Steps[0].Call, in); ok {
			r.compare(t, &o.Steps[0].Call, in, m)
			if x.Verdict.Outcome != core.OutcomeOK && x.Verdict.Outcome != core.OutcomeNoData {
				r.report(t, x, "not answered")
			}
		}
		return
	}
	key := string(m.kind) + " " + m.body.Key()
	known := r.booked[key]
	if !known && !r.booked[tr.Noun+" "+m.body.Key()] {
		r.inquire(t, o, in, core.StateAbsent)
	}
	if !r.write(t, o, in, m) {
		return
	}
	r.booked[key], r.booked[tr.Noun+" "+m.body.Key()] = true, true
	if takesBack[m.kind] {
		r.booked["void "+m.body.Key()] = true
	}
	if !known && !r.booked["void "+m.body.Key()] && m.kind != core.AppointmentCancel && m.kind != core.AppointmentUnlock {
		r.inquire(t, o, in, core.StateDone)
	}
	r.write(t, o, in, m) // once more
}

// write says all steps; what their answers gave goes into in.
func (r *rehearsal) write(t *testing.T, o *core.Operation, in core.Input, m message) bool {
	for i := range o.Steps {
		s := &o.Steps[i]
		if s.When != nil {
			if applies, err := s.When(in); err != nil || !applies {
				continue
			}
		}
		x, ok := r.ask(t, &s.Call, in)
		if !ok {
			return false
		}
		r.compare(t, &s.Call, in, m)
		if v := x.Verdict.Outcome; v != core.OutcomeOK && v != core.OutcomeRunning && v != core.OutcomeAlready {
			r.report(t, x, s.Name+" is not done")
			return false
		}
		maps.Copy(in.Captured, x.Verdict.Captured)
	}
	return true
}

// ask says one exchange; ok is false where the dialect cannot say the message.
func (r *rehearsal) ask(t *testing.T, call *core.Call, in core.Input) (core.Exchange, bool) {
	x := r.hospital.Ask(t.Context(), call, in, nil)
	if x.Verdict.Outcome == core.OutcomeInvalid {
		return x, false
	}
	r.asked++
	return x, true
}

func (r *rehearsal) report(t *testing.T, x core.Exchange, what string) {
	t.Helper()
	shown := "nothing was heard"
	if log := r.player.Exchanges(); len(log) > 0 {
		l := log[len(log)-1]
		shown = fmt.Sprintf("heard %q, meant %q as in %q, trouble %q\nrequest %s\nanswer %s", l.Name, l.Meant, l.Case, l.Trouble, l.Request, l.Answer)
	}
	t.Errorf("%s: %s: %s (%v)\n%s", x.Call, what, x.Verdict.Outcome, x.Verdict.Err, shown)
}

// inquire asks about the last step as the hub does when it is in doubt.
func (r *rehearsal) inquire(t *testing.T, o *core.Operation, in core.Input, want core.State) {
	t.Helper()
	q := o.Steps[len(o.Steps)-1].Inquire
	if q == nil {
		return
	}
	if want == core.StateAbsent && !r.canBeAbsent(q.Kind) {
		return
	}
	x, ok := r.ask(t, &q.Call, in)
	if !ok {
		return
	}
	if want == core.StateAbsent && x.Verdict.Outcome == core.OutcomeNoData {
		return
	}
	s, isStatus := x.Verdict.Answer.(*core.Status)
	if x.Verdict.Outcome != core.OutcomeOK || !isStatus || s.State != want {
		r.report(t, x, fmt.Sprintf("the inquiry does not say %s: %+v", want, s))
		return
	}
	if priced, ok := in.Body.(core.Priced); ok && want == core.StateDone && s.Amount != nil && *s.Amount != priced.Total() {
		r.report(t, x, fmt.Sprintf("the HIS holds %s, we sent %s", s.Amount, priced.Total()))
	}
}

// canBeAbsent reports whether the folder has a recorded answer that says so.
func (r *rehearsal) canBeAbsent(kind core.Kind) bool {
	for _, c := range r.player.Folder().RecordedStates(kind) {
		if c == core.StateAbsent {
			return true
		}
	}
	return false
}

// compare counts which of the fields that the message has and the folder sends were
// recovered as they were.
func (r *rehearsal) compare(t *testing.T, call *core.Call, in core.Input, m message) {
	log := r.player.Exchanges()
	if len(log) == 0 {
		return
	}
	heard := log[len(log)-1]
	alike := slices.ContainsFunc(heard.Trouble, func(s string) bool { return strings.HasPrefix(s, "it could as well be "+string(m.kind)) })
	if heard.Kind != m.kind && !alike {
		t.Errorf("heard as %q: %s", heard.Name, heard.Request)
		return
	}
	tr, _ := core.Lookup(m.kind)
	in.Session = map[string]string{}
	for path, v := range heard.Fields {
		if name, ok := strings.CutPrefix(path, "session."); ok {
			in.Session[name] = v
		}
	}
	for path, v := range leavesOf(t, m.body) {
		if !isSent(call, in, m, path) {
			continue
		}
		r.sent++
		got, came := heard.Fields[tr.Noun+path]
		if came && equalSpelling(v, got) {
			r.recovered++
		} else if name := string(m.kind) + path; !slices.Contains(r.missed, name) {
			r.missed = append(r.missed, name)
		}
	}
	for _, at := range heard.Forged {
		t.Errorf("%s is called forged", at)
	}
}

// equalSpelling compares a value of canonical JSON with one of the player's.
func equalSpelling(v any, got string) bool {
	text := fmt.Sprint(v)
	if text == got {
		return true
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return core.Fen(n).String() == got
	}
	if x, ok := new(big.Rat).SetString(text); ok { // 12.50 is 12.5000
		if y, ok := new(big.Rat).SetString(got); ok && x.Cmp(y) == 0 && strings.Contains(text, ".") {
			return true
		}
	}
	a, err1 := time.Parse(time.RFC3339, text)
	b, err2 := time.Parse(time.RFC3339, got)
	return err1 == nil && err2 == nil && a.Truncate(time.Second).Equal(b)
}

// leavesOf are the values of a message by path, ".items[0].code".
func leavesOf(t *testing.T, body core.Body) map[string]any {
	t.Helper()
	out := map[string]any{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, inner := range v {
				walk(path+"."+name, inner)
			}
		case []any:
			for i, inner := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), inner)
			}
		case nil:
		default:
			if fmt.Sprint(v) != "" {
				out[path] = v
			}
		}
	}
	walk("", plainJSON(t, body))
	return out
}

func plainJSON(t *testing.T, body any) any {
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// isSent changes a field and looks whether the request becomes another.
func isSent(call *core.Call, in core.Input, m message, path string) bool {
	before, err := call.Mapper.Encode(in)
	if err != nil {
		return false
	}
	data, _ := json.Marshal(m.body)
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v any
	_ = d.Decode(&v)
	v = changedAt(v, path)
	data, _ = json.Marshal(v)
	body, err := core.DecodeBody(m.kind, data)
	if err != nil {
		return false
	}
	in.Body = body
	after, err := call.Mapper.Encode(in)
	return err != nil || fmt.Sprint(before) != fmt.Sprint(after)
}

func changedAt(v any, path string) any {
	switch x := v.(type) {
	case map[string]any:
		for name, inner := range x {
			if rest, ok := strings.CutPrefix(path, "."+name); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				x[name] = changedAt(inner, rest)
			}
		}
	case []any:
		for i := range x {
			if rest, ok := strings.CutPrefix(path, fmt.Sprintf("[%d]", i)); ok {
				x[i] = changedAt(x[i], rest)
			}
		}
	case json.Number:
		n, _ := x.Int64()
		return json.Number(strconv.FormatInt(n+1, 10))
	case bool:
		return !x
	case string:
		if t, err := time.Parse(time.RFC3339, x); err == nil {
			return t.Add(26*time.Hour + 61*time.Second).Format(time.RFC3339)
		}
		if t, err := time.Parse(time.DateOnly, x); err == nil {
			return t.AddDate(0, 0, 1).Format(time.DateOnly)
		}
		return x + "1"
	}
	return v
}
