package rabbit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"hishub/mocks/servers"
)

// desk handles texts as one process does: it notes them, and may fail.
type desk struct {
	mu   sync.Mutex
	got  []string
	fail func(text string) error
}

func (d *desk) handle(_ context.Context, text string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		if err := d.fail(text); err != nil {
			return err
		}
	}
	d.got = append(d.got, text)
	return nil
}

func (d *desk) count() int { d.mu.Lock(); defer d.mu.Unlock(); return len(d.got) }

type consumer struct {
	*Lines
	desk *desk
}

func (c consumer) Run(ctx context.Context) { c.Consume(ctx, c.desk.handle) }

func sendAll(t *testing.T, l *Lines, lane string, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		text := fmt.Sprintf("%s %04d", lane, i)
		eventually(t, "the broker keeps "+text, func() bool { return l.Publish(t.Context(), lane, text) == nil })
	}
}

// inOrder reports a lane whose texts did not come in their order, each once.
func inOrder(t *testing.T, got []string, lanes int) {
	t.Helper()
	for lane := range lanes {
		var mine []string
		for _, text := range got {
			if strings.HasPrefix(text, fmt.Sprintf("lane%d ", lane)) {
				mine = append(mine, text)
			}
		}
		if !slices.IsSorted(mine) || len(slices.Compact(slices.Clone(mine))) != len(mine) {
			t.Errorf("lane %d came as %v", lane, mine)
		}
	}
}

// Each lane is taken in its order, by one process at a time; another one goes on where it
// was when that leaves, also with what it could not handle.
func TestLinesKeepTheirOrder(t *testing.T) {
	url := servers.RabbitMQ(t)
	l := NewLines(dial(t, url), "ticket", 4)
	stuck := true
	var mu sync.Mutex
	first, second := &desk{}, &desk{}
	first.fail = func(text string) error {
		mu.Lock()
		defer mu.Unlock()
		if stuck && text == "lane3 0010" {
			return errors.New("not now")
		}
		return nil
	}
	stop := run(t, consumer{NewLines(dial(t, url), "ticket", 4), first})
	for lane := range 8 {
		sendAll(t, l, fmt.Sprintf("lane%d", lane), 0, 20)
	}
	eventually(t, "what is not stuck has come", func() bool { return first.count() >= 100 })
	run(t, consumer{NewLines(dial(t, url), "ticket", 4), second})
	stop()
	for lane := range 8 {
		sendAll(t, l, fmt.Sprintf("lane%d", lane), 20, 25)
	}
	eventually(t, "everything has come", func() bool { return first.count()+second.count() >= 200 })
	inOrder(t, append(slices.Clone(first.got), second.got...), 8)
	if !slices.Contains(second.got, "lane3 0010") {
		t.Error("what the first could not handle did not come to the second")
	}
}

// While the broker is away nobody is made to believe that it has a text.
func TestLinesWithoutABroker(t *testing.T) {
	l := NewLines(dial(t, "amqp://guest:guest@127.0.0.1:1/"), "ticket", 2)
	if err := l.Publish(t.Context(), "lane", "text"); !errors.Is(err, errAway) {
		t.Errorf("%v", err)
	}
}

// Queues that somebody deletes are made again.
func TestLinesWhoseQueuesAreDeleted(t *testing.T) {
	url := servers.RabbitMQ(t)
	l := NewLines(dial(t, url), "ticket", 2)
	d := &desk{}
	run(t, consumer{l, d})
	sendAll(t, l, "lane0", 0, 5)
	eventually(t, "they have come", func() bool { return d.count() == 5 })
	o := newOutsider(t, url)
	for i := range 2 {
		if _, err := o.ch.QueueDelete(l.queue(i), false, false, false); err != nil {
			t.Fatal(err)
		}
	}
	// What is published before the consumer has made them again is lost: hence hints.
	eventually(t, "the queues are there again", func() bool {
		if err := l.Publish(t.Context(), "lane0", "lane0 0006"); err != nil {
			t.Log(err)
		}
		return d.count() > 5
	})
}
