package main

import (
	"strings"
	"testing"
	"time"
)

// Somebody on duty pauses a hospital: what is submitted waits and says why, and the HIS
// hears nothing; resumed, it is told all of it once.
func TestConsolePausesAndResumesAHospital(t *testing.T) {
	t.Parallel()
	o := newConsole(t)
	o.visits(0, 1)
	within(t, time.Minute, "a visit is told", func() bool { return o.delivered() == 3 })

	b := newBrowser(t, o.hub.address, "en-US")
	b.joins("wang", o.invites("wang", "ops", "jiangwan"))
	b.keys("gh")
	b.sees("How each stands", "jiangwan")
	b.accessible("hospitals")
	b.press("江湾医院")
	b.sees("Nothing waits.", "those of its folder", "Revisions of its folder", "There is none now.")
	b.accessible("hospital")

	// Not without saying why.
	b.press("Pause")
	b.sees("Messages are still accepted and wait in order")
	b.press("Pause")
	b.sees("Say why; it is kept in the audit")
	b.fill("Why", "their database is moved")
	b.press("Pause")
	b.sees("Paused by 测试wang", "their database is moved")

	o.visits(1, 2) // accepted as ever
	b.sees("the hospital is paused since")
	b.press("All messages")
	b.sees("P" + visitOf(1))
	b.open("hospitals/jiangwan")
	b.sees("the hospital is paused since")
	if n := o.number(o.ledger, `select count(*) from hub.queue where state = 'queued' and attempts = 0`); n != 3 {
		t.Errorf("%d of 3 messages wait untouched", n)
	}
	books, err := o.his.Books(t.Context())
	ok(t, err)
	if n := settled(books, "P"+visitOf(1)); n != 0 {
		t.Errorf("the HIS was told in the pause, %d times", n)
	}

	b.press("Resume")
	b.sees("What waits is sent in order")
	b.fill("Why", "it is there")
	b.press("Resume")
	b.misses("Paused by")
	b.sees("Nothing waits.")
	within(t, time.Minute, "all is told", func() bool { return o.delivered() == 6 })
	books, err = o.his.Books(t.Context())
	ok(t, err)
	if n := settled(books, "P"+visitOf(1)); n != 1 {
		t.Errorf("the HIS has the payment %d times", n)
	}

	// Limits of an operator stand in place of the folder's, until they are taken away.
	b.press("Limits…")
	b.fill("At once", "3")
	b.fill("Why", "a slow day")
	b.press("Limits…")
	b.sees("3 at once")
	b.sound()

	// An auditor finds both acts, who did them and why; he can do neither.
	c := newBrowser(t, o.hub.address, "en-US")
	c.joins("zhou", o.invites("zhou", "auditor", "jiangwan"))
	c.keys("ga")
	c.sees("their database is moved", "it is there", "a slow day", "测试wang")
	c.accessible("audit")
	c.fill("What was done", "pause")
	c.press("Find")
	c.misses("it is there")
	c.sees("their database is moved")
	c.open("hospitals/jiangwan")
	c.sees("Nothing waits.")
	if strings.Contains(c.text(), "Pause\n") {
		t.Error("an auditor is offered to pause")
	}
	c.open("incidents")
	c.sees("There is no trouble now.")
	c.accessible("incidents")
	c.sound()
}

// Who is at another hospital comes to nothing by an address, whatever his role.
func TestConsoleOfAnotherHospital(t *testing.T) {
	t.Parallel()
	o := newConsole(t)
	o.visits(0, 1)
	within(t, time.Minute, "a visit is told", func() bool { return o.delivered() == 3 })
	for _, role := range []string{"ops", "finance"} {
		b := newBrowser(t, o.hub.address, "en-US")
		b.joins("li"+role, o.invites("li"+role, role, "elsewhere"))
		for path, sees := range map[string]string{
			"hospitals/jiangwan":      "Not found, or of a hospital that is not yours",
			"hospitals":               "No hospital is connected that you look after",
			"codes?hospital=jiangwan": "Not found, or of a hospital that is not yours",
			"replays/1":               "Not found, or of a hospital that is not yours",
			"incidents?all=1":         "There was no trouble yet.",
			"messages":                "Business key",
			"parked":                  "Nothing is parked.",
		} {
			b.open(path)
			b.sees(sees)
			b.misses("P" + visitOf(0))
			b.misses("江湾")
		}
		b.sound()
	}
}
