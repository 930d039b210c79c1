package postgres

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
)

func TestRevisions(t *testing.T) {
	l := newLedger(t)
	n, err := l.Apply(l.ctx, "h1", "Hospital one", []byte("two"), "digest2", "it", "better")
	if err != nil || n != 2 {
		t.Fatalf("revision %d: %v", n, err)
	}
	if n, err = l.Apply(l.ctx, "h1", "Hospital 1", []byte("two"), "digest2", "it", ""); err != nil || n != 2 {
		t.Errorf("the same again is revision %d: %v", n, err)
	}
	if n, err = l.Apply(l.ctx, "h1", "Hospital 1", []byte("archive"), "digest", "it", "roll back"); err != nil || n != 3 {
		t.Errorf("rolled back to revision %d: %v", n, err)
	}
	r, err := l.Revision(l.ctx, "h1", 0)
	if err != nil || r.Number != 3 || string(r.Archive) != "archive" || r.Note != "roll back" {
		t.Errorf("active: %+v %v", r, err)
	}
	if r, err = l.Revision(l.ctx, "h1", 2); err != nil || string(r.Archive) != "two" {
		t.Errorf("the second: %+v %v", r, err)
	}
	if _, err = l.Revision(l.ctx, "h1", 9); !errors.Is(err, ErrNotFound) {
		t.Errorf("the ninth: %v", err)
	}
	all, err := l.Revisions(l.ctx, "h1")
	if err != nil || len(all) != 3 || all[0].Number != 3 || all[0].Archive != nil {
		t.Errorf("all: %+v %v", all, err)
	}
	hs, err := l.Hospitals(l.ctx)
	if err != nil || len(hs) != 1 || hs[0].Name != "Hospital 1" || hs[0].Revision != 3 || hs[0].Shard != ShardOf("h1") {
		t.Errorf("hospitals: %+v %v", hs, err)
	}
	if err := l.Pause(l.ctx, "h9", "it", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("paused a hospital that is not there: %v", err)
	}
}

func TestAPIKeys(t *testing.T) {
	l := newLedger(t)
	id, err := l.AddKey(l.ctx, Key{Prefix: "abc", Hash: []byte{1, 2}, Name: "clinic", Role: "submitter", Hospitals: []string{"h1"}})
	l.must(err)
	k, err := l.Key(l.ctx, "abc")
	if err != nil || k.ID != id || k.Role != "submitter" || !slices.Equal(k.Hospitals, []string{"h1"}) || k.LastUsedAt != nil {
		t.Errorf("found %+v %v", k, err)
	}
	l.must(l.KeyUsed(l.ctx, []int64{id}))
	l.must(l.RevokeKey(l.ctx, id))
	l.must(l.RevokeKey(l.ctx, id))
	if _, err := l.Key(l.ctx, "abc"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a revoked key: %v", err)
	}
	if err := l.RevokeKey(l.ctx, 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoke no key: %v", err)
	}
	_, err = l.AddKey(l.ctx, Key{Prefix: "all", Hash: []byte{1}, Name: "all", Role: "admin"})
	l.must(err)
	all, err := l.Keys(l.ctx)
	if err != nil || len(all) != 2 || all[0].RevokedAt == nil || all[0].LastUsedAt == nil || all[1].Hospitals != nil {
		t.Errorf("all: %+v %v", all, err)
	}
}

func TestWebhooks(t *testing.T) {
	l := newLedger(t)
	id, err := l.AddWebhook(l.ctx, Webhook{URL: "https://a.example/hook", Secret: []byte("webhook-secret"), Types: []core.EventType{core.EventParked}, Cursor: "1-1"})
	l.must(err)
	if open := count[bool](l, `select position('webhook-secret'::bytea in secret) > 0 from hub.webhook`); open {
		t.Error("the secret stands in the open")
	}
	take := func() []Webhook {
		t.Helper()
		ws, err := l.TakeWebhooks(l.ctx, 10, time.Hour)
		l.must(err)
		return ws
	}
	ws := take()
	if len(ws) != 1 || string(ws[0].Secret) != "webhook-secret" || ws[0].Cursor != "1-1" || !slices.Equal(ws[0].Types, []core.EventType{core.EventParked}) || ws[0].Hospitals != nil {
		t.Fatalf("took %+v", ws)
	}
	if len(take()) != 0 {
		t.Error("taken twice")
	}
	l.must(l.WebhookTold(l.ctx, id, "2-2", 0))
	if ws = take(); len(ws) != 1 || ws[0].Cursor != "2-2" {
		t.Errorf("after it was told: %+v", ws)
	}
	l.must(l.WebhookFailed(l.ctx, id, time.Hour))
	if len(take()) != 0 {
		t.Error("taken before its retry")
	}
	l.must(l.DisableWebhook(l.ctx, id, "410"))
	if ws, _ := l.Webhooks(l.ctx); len(ws) != 1 || ws[0].DisabledAt == nil || ws[0].DisabledWhy != "410" {
		t.Errorf("disabled: %+v", ws)
	}
	l.must(l.DisableWebhook(l.ctx, id, ""))
	if len(take()) != 1 {
		t.Error("not taken after it was enabled")
	}
	l.must(l.RemoveWebhook(l.ctx, id))
	if err := l.RemoveWebhook(l.ctx, id); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestIdempotentRequests(t *testing.T) {
	l := newLedger(t)
	begin := func(digest string) (*Answer, error) {
		return l.BeginRequest(l.ctx, 1, "k", []byte(digest), time.Minute)
	}
	if a, err := begin("one"); a != nil || err != nil {
		t.Fatalf("first: %v %v", a, err)
	}
	if _, err := begin("one"); !errors.Is(err, ErrInProgress) {
		t.Errorf("beside the first: %v", err)
	}
	if _, err := begin("two"); !errors.Is(err, ErrOtherRequest) {
		t.Errorf("another: %v", err)
	}
	l.must(l.EndRequest(l.ctx, 1, "k", nil, time.Minute))
	if a, err := begin("one"); a != nil || err != nil {
		t.Errorf("after it was forgotten: %v %v", a, err)
	}
	l.must(l.EndRequest(l.ctx, 1, "k", &Answer{202, []byte(`{"id":1}`)}, time.Minute))
	if a, err := begin("one"); err != nil || a == nil || a.Status != 202 || string(a.Body) != `{"id":1}` {
		t.Errorf("after it was answered: %v %v", a, err)
	}
	if a, err := l.BeginRequest(l.ctx, 2, "k", []byte("x"), time.Minute); a != nil || err != nil {
		t.Errorf("another caller's: %v %v", a, err)
	}
	l.exec(`update hub.idempotency set expires = clock_timestamp()`)
	if a, err := begin("two"); a != nil || err != nil {
		t.Errorf("after it expired: %v %v", a, err)
	}
}

func TestCursors(t *testing.T) {
	l := newLedger(t)
	for _, want := range []string{"", "1-1", "2-2"} {
		if want != "" {
			l.must(l.SaveCursor(l.ctx, "rabbit", want))
		}
		if got, err := l.Cursor(l.ctx, "rabbit"); err != nil || got != want {
			t.Errorf("cursor %q, want %q: %v", got, want, err)
		}
	}
}

func TestRetention(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	l.deliver(id)
	waiting := l.enqueue(payment("A2", "L2"))
	now, err := l.Now(l.ctx)
	l.must(err)
	later := now.AddDate(0, 8, 0)
	r := Retention{Bodies: 30 * 24 * time.Hour, Exchanges: 30 * 24 * time.Hour, Attempts: 0, Events: 30 * 24 * time.Hour}
	dropped, err := l.Maintain(l.ctx, later, r)
	l.must(err)
	thisMonth := month(now)
	if slices.Contains(dropped, partitionName("body", thisMonth)) {
		t.Error("dropped the body of a message that waits")
	}
	if !slices.Contains(dropped, partitionName("exchange", thisMonth)) || !slices.Contains(dropped, partitionName("event", thisMonth)) {
		t.Errorf("dropped %v", dropped)
	}
	if _, err := l.Exchange(l.ctx, id, 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("bytes past their retention: %v", err)
	}
	if _, attempts, err := l.Message(l.ctx, id); err != nil || len(attempts) != 1 {
		t.Errorf("%d attempts left: %v", len(attempts), err)
	}
	l.exec(`update hub.queue set state = 'queued'`)
	l.must(l.partitionsAhead(l.ctx, now)) // the present months are needed again
	l.deliver(waiting)
	if dropped, err = l.Maintain(l.ctx, later, r); err != nil || !slices.Contains(dropped, partitionName("body", thisMonth)) {
		t.Errorf("dropped %v after everything was delivered: %v", dropped, err)
	}
	// The key is remembered for ever, whatever became of the content.
	var conflict *core.Conflict
	if a, err := l.Enqueue(l.ctx, "h1", payment("A1", "L1")); err != nil || !a.Duplicate {
		t.Errorf("the same again: %+v %v", a, err)
	}
	other := payment("A1", "L1")
	other.Body.(*core.Payment).Amount = 1
	if _, err := l.Enqueue(l.ctx, "h1", other); !errors.As(err, &conflict) {
		t.Errorf("other content: %v", err)
	}
}

func TestRetentionFinishesWhatWasInterrupted(t *testing.T) {
	l := newLedger(t)
	now, err := l.Now(l.ctx)
	l.must(err)
	last := month(now).AddDate(0, -1, 0)
	old := partitionName("exchange", last)
	l.must(l.inTransaction(l.ctx, func(tx pgx.Tx) error { return addPartition(l.ctx, tx, "exchange", last) }))
	l.exec(fmt.Sprintf(`alter table hub.exchange detach partition hub.%s`, old))
	dropped, err := l.Maintain(l.ctx, now, Retention{Exchanges: time.Nanosecond})
	if err != nil || !slices.Equal(dropped, []string{old}) {
		t.Errorf("dropped %v: %v", dropped, err)
	}
	if dropped, err = l.Maintain(l.ctx, now, Retention{Exchanges: time.Nanosecond}); err != nil || len(dropped) != 0 {
		t.Errorf("dropped again %v: %v", dropped, err)
	}
}
