package delivery

import (
	"fmt"
	"time"

	"hishub/core"
)

// WaitKind says what a queued message waits for.
type WaitKind string

const (
	// WaitLane: the message before it in its lane.
	WaitLane WaitKind = "lane"
	// WaitUnowned: no process works its hospital.
	WaitUnowned WaitKind = "unowned"
	// WaitPaused: a person paused the hospital.
	WaitPaused WaitKind = "paused"
	// WaitMaintenance and WaitClosed: a window of the folder, its working hours.
	WaitMaintenance WaitKind = "maintenance"
	WaitClosed      WaitKind = "closed"
	// WaitFolder: the hospital's folder cannot be used.
	WaitFolder WaitKind = "folder"
	// WaitBreaker: the HIS does not answer.
	WaitBreaker WaitKind = "breaker"
	// WaitHold: the HIS asked to be left alone for a while.
	WaitHold WaitKind = "hold"
	// WaitRetry: its own next try.
	WaitRetry WaitKind = "retry"
	// WaitTurn: it is due, and nothing that is known here holds it.
	WaitTurn WaitKind = "turn"
)

// Waits is why a queued message is not sent now.
type Waits struct {
	Kind WaitKind `json:"kind" enum:"lane,unowned,paused,maintenance,closed,folder,breaker,hold,retry,turn" doc:"lane: the message before it; unowned: no process works the hospital; paused: by a person; maintenance, closed: by the folder's hours; folder: it cannot be used; breaker: the HIS does not answer; hold: the HIS asked to be left alone; retry: its own next try; turn: it is due"`
	Text string   `json:"text" doc:"the same for people, with who, why and how often"`
	// Until is when that ends; nil where nobody can say.
	Until *time.Time `json:"until,omitempty" doc:"when that ends, where it is known"`
}

// Circumstances are what is known of a hospital when somebody asks why its messages wait.
type Circumstances struct {
	Now                 time.Time
	PausedAt            *time.Time
	PausedBy, PausedWhy string
	// Owner is the process that works it; "" is none.
	Owner string
	// Dialect of the active folder; nil where it cannot be read here.
	Dialect *core.Dialect
	// Light of Owner; nil where another process asks, which cannot know it.
	Light *Light
}

// Waiting is a queued message as its row tells.
type Waiting struct {
	Kind      core.Kind
	BlockedBy int64
	Due       *time.Time
	Attempts  int
	Reason    string
	// Pin is the revision that a replay wants it said by; 0 is none.
	Pin int
}

// WhyWaits names the first thing that must end before the message can be sent; where
// it must wait for its own next try after that, Until is the later of the two.
func WhyWaits(m Waiting, c Circumstances) Waits {
	w := c.first(m)
	if w.Until != nil {
		in := w.Until.In(c.zone())
		w.Until = &in
	}
	if m.Pin != 0 {
		w.Text += fmt.Sprintf("; a replay wants it said by revision %d", m.Pin)
	}
	return w
}

func (c Circumstances) first(m Waiting) Waits {
	retry := Waits{Kind: WaitRetry, Until: m.Due}
	tries := ""
	if m.Due != nil && m.Due.After(c.Now) {
		tries = fmt.Sprintf("next try at %s after %s", c.clock(*m.Due), times(m.Attempts))
		if m.Reason != "" {
			tries += ": " + m.Reason
		}
		retry.Text = tries
	}
	// then adds the message's own next try to what holds all of the hospital's.
	then := func(kind WaitKind, text string, until time.Time) Waits {
		w := Waits{Kind: kind, Text: text}
		if tries != "" {
			w.Text += "; " + tries
		}
		if !until.IsZero() {
			if tries != "" && m.Due.After(until) {
				until = *m.Due
			}
			w.Until = &until
		}
		return w
	}
	switch {
	case m.BlockedBy != 0:
		return Waits{Kind: WaitLane, Text: fmt.Sprintf("behind message %d in its lane", m.BlockedBy)}
	case c.PausedAt != nil:
		return Waits{Kind: WaitPaused, Text: fmt.Sprintf("the hospital is paused since %s by %s: %s", c.clock(*c.PausedAt), c.PausedBy, c.PausedWhy)}
	case c.Owner == "":
		return Waits{Kind: WaitUnowned, Text: "no process works the hospital; see that a hub runs"}
	}
	if closed := Rest(c.Dialect, m.Kind, c.Now); closed != nil {
		return then(closed.kind(), closed.Error(), closed.Opens)
	}
	if l := c.Light; l != nil {
		switch {
		case l.Problem != "":
			return then(WaitFolder, "the hospital's folder cannot be used: "+l.Problem, time.Time{})
		case l.Breaker == "open", l.Breaker == "half-open":
			text := "the HIS does not answer"
			if !l.Broken.IsZero() {
				text += " since " + c.clock(l.Broken)
			}
			if !l.Probe.After(c.Now) {
				return then(WaitBreaker, text+"; one message at a time is tried", c.Now)
			}
			return then(WaitBreaker, text+"; next probe at "+c.clock(l.Probe), l.Probe)
		case l.HeldUntil.After(c.Now):
			return then(WaitHold, "the HIS asked to be left alone until "+c.clock(l.HeldUntil), l.HeldUntil)
		}
	}
	if tries != "" {
		return retry
	}
	w := Waits{Kind: WaitTurn, Text: "due; it goes when a slot of the hospital is free"}
	if c.Light == nil {
		w.Text = fmt.Sprintf("due; whether the HIS answers, or asked to be left alone, is known to the process that works it (%s): ask that process", c.Owner)
	}
	return w
}

func times(attempts int) string {
	switch attempts {
	case 0:
		return "no attempt"
	case 1:
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", attempts)
}

func (c Circumstances) zone() *time.Location {
	if c.Dialect != nil && c.Dialect.Zone != nil {
		return c.Dialect.Zone
	}
	return time.Local
}

// clock writes a time in the hospital's zone.
func (c Circumstances) clock(t time.Time) string { return t.In(c.zone()).Format(time.RFC3339) }
