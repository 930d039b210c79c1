package postgres

import (
	"errors"
	"testing"
	"time"

	"hishub/core/delivery"
)

// History is linear: going back is a new revision with the content of the old one,
// and what was begun keeps the revision that it was begun with.
func TestGoingBackIsANewRevision(t *testing.T) {
	l := newLedger(t)
	begun, doubtful, tried := l.enqueue(payment("A1", "L1")), l.enqueue(payment("A2", "L2")), l.enqueue(payment("A3", "L3"))
	l.enqueue(payment("A4", "L4")) // nothing is done about it
	for _, d := range l.claim(3) {
		l.sent(&d)
		n := next(&d, delivery.Queued)
		n.After = time.Hour
		switch d.ID {
		case begun:
			n.Finished = []delivery.Finished{{Step: 0, At: time.Now()}}
		case doubtful:
			n.LastByte = time.Now()
		case tried: // the HIS was not there
		}
		l.settle(&d, n)
	}
	number, err := l.Apply(l.ctx, "h1", "Hospital", []byte("second"), "digest 2", "tester", "")
	l.must(err)
	if number != 2 {
		t.Fatalf("revision %d, want 2", number)
	}
	number, err = l.Restore(l.ctx, "h1", "Hospital", 1, "ops", "it was better")
	l.must(err)
	if number != 3 {
		t.Fatalf("revision %d, want 3", number)
	}
	active, err := l.Revision(l.ctx, "h1", 0)
	l.must(err)
	if active.Number != 3 || string(active.Archive) != "archive" || active.Digest != "digest" || active.AppliedBy != "ops" {
		t.Errorf("active is %+v", active)
	}
	all, err := l.Revisions(l.ctx, "h1")
	l.must(err)
	if len(all) != 3 || !all[0].Active || all[1].Active || all[2].Active || all[0].Unfinished != 0 || all[1].Unfinished != 0 || all[2].Unfinished != 2 {
		t.Errorf("the list is %+v", all)
	}
	var verb string
	var back int
	l.must(l.calm.QueryRow(l.ctx, `select verb, (data->>'back_to')::integer from hub.decision order by id desc limit 1`).Scan(&verb, &back))
	if verb != "rollback" || back != 1 {
		t.Errorf("recorded as %s to %d", verb, back)
	}
	if _, err := l.Restore(l.ctx, "h1", "Hospital", 9, "ops", "x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a revision that is not there: %v", err)
	}
	// The claims agree with the list.
	l.exec(`update hub.queue set due = now() - interval '1 s'`)
	for _, d := range l.claim(10) {
		want := 0
		if d.ID == begun || d.ID == doubtful {
			want = 1
		}
		if d.Revision != want {
			t.Errorf("message %d is claimed with revision %d, want %d", d.ID, d.Revision, want)
		}
	}
}
