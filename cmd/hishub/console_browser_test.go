package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
)

// axe-core 4.14.1 (MPL-2.0), as its npm package has it.
//
//go:embed testdata/axe-4.14.1.min.js
var axe string

// browser is a person at the console, in a Chromium of its own.
type browser struct {
	testing.TB
	ctx     context.Context
	address string

	mu     sync.Mutex
	errors []string
}

// newBrowser opens one whose language is English, or Chinese.
func newBrowser(tb testing.TB, address, language string) *browser {
	tb.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		tb.Fatal("the console's tests need chromium: tools/install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1440, 900), chromedp.Flag("accept-lang", language), chromedp.Flag("lang", language), chromedp.WSURLReadTimeout(time.Minute))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	tb.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocator)
	tb.Cleanup(end)
	b := &browser{TB: tb, ctx: ctx, address: address}
	chromedp.ListenTarget(ctx, func(e any) {
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			b.wrong("exception: " + e.ExceptionDetails.Error())
		case *cdplog.EventEntryAdded:
			if e.Entry.Level == cdplog.LevelError && !strings.Contains(e.Entry.Text, "the server responded with a status of") {
				b.wrong(e.Entry.Text)
			}
		}
	})
	ok(tb, chromedp.Run(ctx, cdplog.Enable(), emulation.SetLocaleOverride().WithLocale(language)))
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the page at the end:\n%s", b.text())
		}
	})
	return b
}

func (b *browser) wrong(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errors = append(b.errors, what)
}

// sound fails if the browser complained, of the content security policy above all.
func (b *browser) sound() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.errors {
		b.Errorf("the browser complains: %s", e)
	}
	b.errors = nil
}

// do fails after a time that is enough for a busy machine.
func (b *browser) do(what string, actions ...chromedp.Action) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.Fatalf("%s: %v", what, err)
	}
}

// open goes to an address of the console.
func (b *browser) open(path string) {
	b.Helper()
	b.do("open "+path, chromedp.Navigate(b.address+"/console/"+path), chromedp.WaitVisible("main, [role=main]", chromedp.ByQuery))
}

func quoted(s string) string { text, _ := json.Marshal(s); return string(text) }

// sees waits until the page says so.
func (b *browser) sees(texts ...string) {
	b.Helper()
	for _, text := range texts {
		b.do("see "+text, chromedp.Poll("document.body.innerText.includes("+quoted(text)+")", nil, chromedp.WithPollingInterval(50*time.Millisecond)))
	}
}

// misses waits until the page does not say so any more.
func (b *browser) misses(text string) {
	b.Helper()
	b.do("miss "+text, chromedp.Poll("!document.body.innerText.includes("+quoted(text)+")", nil, chromedp.WithPollingInterval(50*time.Millisecond)))
}

// press a button or a link that says so; the last one there is lies on top.
func (b *browser) press(text string) {
	b.Helper()
	found := `(() => { const all = [...document.querySelectorAll('button, a, [role=tab], [role=menuitem], .ant-segmented-item')].filter(e => (e.innerText.trim() === ` + quoted(text) +
		` || e.getAttribute('aria-label') === ` + quoted(text) + `) && e.getClientRects().length > 0 && !e.disabled); return all.at(-1) })()`
	b.do("press "+text, chromedp.Poll(found+" !== undefined", nil, chromedp.WithPollingInterval(50*time.Millisecond)), chromedp.Evaluate(found+".click()", nil))
}

// fill writes into the field with that label, as a person types.
func (b *browser) fill(label, text string) {
	b.Helper()
	found := `(() => { const l = [...document.querySelectorAll('label')].filter(e => e.innerText.trim() === ` + quoted(label) + ` && e.getClientRects().length > 0).at(-1);
		return l ? document.getElementById(l.htmlFor) : [...document.querySelectorAll('[aria-label]')].find(e => e.getAttribute('aria-label') === ` + quoted(label) + ` && ['INPUT','TEXTAREA'].includes(e.tagName)) })()`
	b.do("fill "+label,
		chromedp.Poll("!!"+found, nil, chromedp.WithPollingInterval(50*time.Millisecond)),
		chromedp.Evaluate(found+".focus(); "+found+".select()", nil),
		chromedp.ActionFunc(func(ctx context.Context) error { return chromedp.KeyEvent(text).Do(ctx) }))
}

func (b *browser) keys(text string) {
	b.Helper()
	b.do("type "+text, chromedp.KeyEvent(text))
}

func (b *browser) js(expression string, into any) {
	b.Helper()
	b.do(expression, chromedp.Evaluate(expression, into))
}

func (b *browser) text() (all string) {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.Evaluate("location.pathname + '\\n' + document.body.innerText", &all))
	return all
}

// accessible has axe-core look at the page, which must find nothing serious (WCAG 2 A and AA).
func (b *browser) accessible(page string) {
	b.Helper()
	var found []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	await := func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
	b.do("axe", chromedp.Evaluate(axe+";0", nil), chromedp.Evaluate(
		`axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}).then(r => r.violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 3).map(n => ({html: n.html.slice(0, 200), failureSummary: n.failureSummary}))})))`,
		&found, await))
	for _, v := range found {
		b.Errorf("axe on %s: %s (%s): %+v", page, v.Help, v.ID, v.Nodes)
	}
}

// cookies that the browser has, by name.
func (b *browser) cookies() map[string]*network.Cookie {
	b.Helper()
	by := map[string]*network.Cookie{}
	b.do("cookies", chromedp.ActionFunc(func(ctx context.Context) error {
		all, err := network.GetCookies().Do(ctx)
		for _, c := range all {
			by[c.Name] = c
		}
		return err
	}))
	return by
}

// joins is how somebody who was invited comes to his first session, on the pages
// themselves.
func (b *browser) joins(name, invitation string) {
	b.Helper()
	b.open("")
	b.english()
	b.press("I have an invitation")
	b.fill("Invitation", invitation)
	b.fill("New password", "correct horse 9 battery")
	b.press("Set password")
	b.sees("Your password is set")
	b.fill("Name", name)
	b.fill("Password", "correct horse 9 battery")
	b.press("Next")
	b.sees("Your first sign-in")
	var secret string
	b.js(`document.querySelector('main .mono').innerText.trim()`, &secret)
	code, err := totp.GenerateCode(secret, time.Now())
	ok(b, err)
	b.fill("Code", code)
	b.press("Sign in")
	b.sees("Keep these recovery codes")
	b.press("I have kept them, go on")
	b.sees("Overview")
}

// english chooses the language; a browser that is new has its own.
func (b *browser) english() {
	b.Helper()
	b.js(`localStorage.setItem('hishub.language', 'en')`, nil)
	b.open("")
}

// joinsInChinese is joins, and Chinese afterwards.
func (b *browser) joinsInChinese(name, invitation string) {
	b.Helper()
	b.joins(name, invitation)
	b.press("中文")
	b.sees("总览")
}

// closeDialog closes what lies on top.
var closeDialog = chromedp.KeyEvent("\x1b")
