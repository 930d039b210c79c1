package main

import (
	"testing"
	"time"
)

// Money that was decided is told again by two people: one makes the replay from its
// preview and cannot approve it, the other does; the HIS is asked first and books nothing
// twice.
func TestConsoleReplaysByTwoPeople(t *testing.T) {
	t.Parallel()
	o := newConsole(t)
	o.visits(0, 3)
	within(t, time.Minute, "visits are told", func() bool { return o.delivered() == 9 })

	b := newBrowser(t, o.hub.address, "en-US")
	b.joins("wang", o.invites("wang", "ops", "jiangwan"))
	b.keys("gy")
	b.sees("There is no replay.")
	b.accessible("replays")
	b.press("New replay")
	b.sees("Look first, then make it")
	b.open("replays/new?state=delivered&kind=payment.settle")
	b.press("Look")
	b.sees("3 fit, 3 of them would be told again", "a second person must approve it")
	b.accessible("new replay")
	b.press("Make replay")
	b.sees("Tell 3 messages again?")
	b.fill("Why", "they had their backup of yesterday")
	b.press("Make replay")
	b.sees("Waits for a second person", "You made it: it begins when another person approves it.", "they had their backup of yesterday")
	b.press("Approve")
	b.fill("Why", "sure")
	b.press("Approve")
	b.sees("A second person must do this")
	b.sound()

	c := newBrowser(t, o.hub.address, "en-US")
	c.joins("li", o.invites("li", "ops", "jiangwan"))
	c.open("replays?open=1")
	c.press("1")
	c.sees("Waits for a second person")
	c.accessible("replay")
	c.press("Approve")
	c.fill("Why", "seen with their IT")
	c.press("Approve")
	c.sees("Ended", "测试li")
	c.accessible("replay that is done")
	c.sound()
	books, err := o.his.Books(t.Context())
	ok(t, err)
	for i := range 3 {
		if n := settled(books, "P"+visitOf(i)); n != 1 {
			t.Errorf("the HIS has payment %d %d times", i, n)
		}
	}
}
