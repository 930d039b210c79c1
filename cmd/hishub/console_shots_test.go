package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestShots takes a picture of every page for the docs, in both languages and looks, wide
// and narrow: `make shots`. In `make test` it takes each page once, into nowhere: what
// cannot be shown is found there too.
func TestShots(t *testing.T) {
	full := os.Getenv("HISHUB_SHOTS") != ""
	o := newConsole(t)
	o.visits(0, 4)
	within(t, time.Minute, "visits are told", func() bool { return o.delivered() == 12 })
	message := o.inDoubt(4)
	b := newBrowser(t, o.hub.address, "en-US")
	shot := func(name, language, look string, width int) {
		if !full {
			return
		}
		b.Helper()
		var picture []byte
		b.do("take "+name, emulation.SetDeviceMetricsOverride(int64(width), 900, 1, width < 600),
			chromedp.Evaluate(fmt.Sprintf(`localStorage.setItem('hishub.language', %q); localStorage.setItem('hishub.look', %q); document.title`, language, look), nil),
			chromedp.Reload(), chromedp.WaitVisible("h1", chromedp.ByQuery), settledPage, chromedp.FullScreenshot(&picture, 100))
		file := filepath.Join(repository(t), "docs", "shots", fmt.Sprintf("%s-%d-%s-%s.png", name, width, look, language))
		ok(t, os.MkdirAll(filepath.Dir(file), 0o755))
		ok(t, os.WriteFile(file, picture, 0o644))
	}
	all := func(name string) {
		for _, width := range []int{1440, 390} {
			for _, look := range []string{"light", "dark"} {
				for _, language := range []string{"zh", "en"} {
					shot(name, language, look, width)
				}
			}
		}
		b.do("as before", emulation.ClearDeviceMetricsOverride())
	}
	b.open("")
	all("sign-in")
	b.joins("wang", o.invites("wang", "ops", "jiangwan"))
	b.sees("Needs a look")
	for _, page := range []struct{ name, path, sees string }{
		{"overview", "", "Throughput"}, {"messages", "messages", "Business key"}, {"message", fmt.Sprintf("messages/%d", message), "Exchanges with the HIS"}, {"parked", "parked", "In doubt"},
	} {
		b.english()
		b.open(page.path)
		b.sees(page.sees)
		all(page.name)
	}
	b.sound()
}

// settledPage waits until nothing is being loaded any more.
var settledPage = chromedp.ActionFunc(func(ctx context.Context) error {
	return chromedp.Poll(`!document.querySelector('.ant-spin-spinning, .ant-skeleton-active') && document.fonts.status === 'loaded' &&
		(window.quiet = document.querySelectorAll('*').length === window.were ? (window.quiet || 0) + 1 : 0, window.were = document.querySelectorAll('*').length, window.quiet > 8)`,
		nil, chromedp.WithPollingInterval(60*time.Millisecond)).Do(ctx)
})
