package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestEveryPage goes through the menu of somebody who may see everything: each page
// shows itself without a complaint of the browser, and axe finds nothing serious, in the
// light and in the dark. `make shots` has it take pictures, too: in both languages, wide
// and narrow.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	o := newConsole(t)
	o.visits(0, 4)
	within(t, time.Minute, "visits are told", func() bool { return o.delivered() == 12 })
	message := o.inDoubt(4)
	invitation := o.invites("wang", "ops", "jiangwan")
	for _, role := range []string{"hospital_admin", "finance", "auditor"} {
		o.hishub("person", "grant", "wang", "--role", role, "--hospital", "jiangwan", "--note", "a test")
	}
	b := newBrowser(t, o.hub.address, "en-US")
	b.open("")
	b.everyLook("sign-in", "")
	b.joins("wang", invitation)
	b.sees("Needs a look")
	var links []string
	b.js(`[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href').replace(/^\/console\/?/, ''))`, &links)
	if len(links) < 3 {
		t.Fatalf("the menu has %v", links)
	}
	for _, path := range append(links, fmt.Sprintf("messages/%d", message)) {
		name, _, below := strings.Cut(path, "/")
		switch {
		case path == "":
			name = "overview"
		case below:
			name = strings.TrimSuffix(name, "s")
		}
		b.everyLook(name, path)
	}
	b.sound()
}

// everyLook looks at a page in the light and in the dark.
func (b *browser) everyLook(name, path string) {
	b.Helper()
	for _, look := range []string{"light", "dark"} {
		b.shown(path, look, "en", 1440)
		b.accessible(name + ", " + look)
		if os.Getenv("HISHUB_SHOTS") == "" {
			continue
		}
		for _, width := range []int{1440, 390} {
			for _, language := range []string{"zh", "en"} {
				b.shown(path, look, language, width)
				var picture []byte
				b.do("take "+name, chromedp.FullScreenshot(&picture, 100))
				file := filepath.Join(repository(b), "docs", "shots", fmt.Sprintf("%s-%d-%s-%s.png", name, width, look, language))
				ok(b, os.MkdirAll(filepath.Dir(file), 0o755))
				ok(b, os.WriteFile(file, picture, 0o644))
			}
		}
	}
	var over int
	b.shown(path, "light", "zh", 390)
	b.js(`document.documentElement.scrollWidth - 390`, &over)
	if over > 0 {
		b.Errorf("%s is %d pixels wider than a phone", name, over)
	}
	b.js(`localStorage.setItem('hishub.language', 'en')`, nil) // as tests read it
	b.do("as before", emulation.ClearDeviceMetricsOverride())
}

// shown opens a page so, and waits until it has all that it loads.
func (b *browser) shown(path, look, language string, width int) {
	b.Helper()
	b.do("choose", emulation.SetDeviceMetricsOverride(int64(width), 900, 1, width < 600),
		chromedp.Evaluate(fmt.Sprintf(`localStorage.setItem('hishub.language', %q); localStorage.setItem('hishub.look', %q)`, language, look), nil))
	b.open(path)
	b.do("see all of "+path, settledPage)
}

// settledPage waits until nothing is being loaded any more.
var settledPage = chromedp.ActionFunc(func(ctx context.Context) error {
	return chromedp.Poll(`!!document.querySelector('h1') && !document.querySelector('.ant-spin-spinning, .ant-skeleton-active') && document.fonts.status === 'loaded' &&
		(window.quiet = document.querySelectorAll('*').length === window.were ? (window.quiet || 0) + 1 : 0, window.were = document.querySelectorAll('*').length, window.quiet > 5)`,
		nil, chromedp.WithPollingInterval(60*time.Millisecond)).Do(ctx)
})
