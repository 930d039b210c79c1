package postgres

import (
	"testing"
	"time"

	"hishub/core"
)

// A reader is behind by the age of the oldest event that it has not taken.
func TestBehind(t *testing.T) {
	l := newLedger(t)
	behind := func() map[string]time.Duration {
		t.Helper()
		b, err := l.Behind(l.ctx)
		l.must(err)
		return b
	}
	if b := behind(); len(b) != 0 {
		t.Errorf("readers that never read: %v", b)
	}
	for _, class := range []core.Class{core.Invalid, core.Rejected} {
		l.must(l.Refused(l.ctx, core.Event{Hospital: "h1", Kind: core.PrescriptionCreate, Key: string(class), Class: class}))
	}
	_, err := l.calm.Exec(l.ctx, `update hub.event set at = at - interval '1 minute' where key = 'rejected'`)
	l.must(err)
	events, last, err := l.Read(l.ctx, "", 10)
	l.must(err)
	l.must(l.SaveCursor(l.ctx, "all", last))
	l.must(l.SaveCursor(l.ctx, "first", events[len(events)-2].Cursor))
	l.must(l.SaveCursor(l.ctx, "none", ""))
	_, err = l.AddWebhook(l.ctx, Webhook{URL: "http://h/a", Secret: []byte("s"), Cursor: last})
	l.must(err)
	b := behind()
	if b["all"] != 0 || b["webhooks"] != 0 {
		t.Errorf("who has taken all is behind: %v", b)
	}
	if b["first"] < time.Minute || b["first"] > 2*time.Minute || b["none"] > time.Minute {
		t.Errorf("behind by %v", b)
	}
	_, err = l.AddWebhook(l.ctx, Webhook{URL: "http://h/b", Secret: []byte("s"), Cursor: events[len(events)-2].Cursor})
	l.must(err)
	if b := behind(); b["webhooks"] < time.Minute {
		t.Errorf("the webhook that is furthest behind does not count: %v", b)
	}
}
