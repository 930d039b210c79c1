package main

import (
	"testing"
	"time"

	"hishub/mocks/books"
)

// The HIS has lost a payment. Finance compares the day on the page, sees it, proposes that
// the HIS is told again, and may not approve that itself: a second person does. The HIS has
// it once, and the day agrees.
func TestConsoleClosesADayByTwoPeople(t *testing.T) {
	t.Parallel()
	o := newConsole(t)
	o.visits(0, 2)
	within(t, time.Minute, "the visits are told", func() bool { return o.delivered() == 6 })
	lost := "P" + visitOf(1)
	for _, e := range []books.Edit{{Settlement: lost, Remove: true}, {Prescription: "A" + visitOf(1), State: books.Saved}} {
		ok(t, o.his.Edit(t.Context(), e))
	}

	day := paidAt.In(books.Zone).Format(time.DateOnly)
	qian := newBrowser(t, o.hub.address, "en-US")
	qian.joins("qian", o.invites("qian", "finance", "jiangwan"))
	qian.keys("gc")
	qian.sees("No day was compared yet.")
	qian.settledAndAccessible("nights, none yet")
	qian.chooses("Day", day)
	qian.press("Compare now")
	qian.sees("Compare "+day, "what is found otherwise is an adjustment")
	qian.press("Compare now") // in the question
	qian.sees("江湾医院, "+day, "Differences (1)", "Missing at the HIS", lost, "46.19", "Totals of each party")
	qian.settledAndAccessible("night")
	qian.press("Case 1")
	qian.sees("Case 1: Missing at the HIS", "This side has nothing.", "The HIS is asked first whether it has it")
	qian.settledAndAccessible("case")
	qian.press("Propose: Tell the HIS again…")
	qian.press("Propose") // without saying why
	qian.sees("Say why; it is kept in the audit")
	qian.fill("Why", "their server was restored from yesterday")
	qian.press("Propose")
	qian.sees("waits for approval", "proposed by 测试qian", "You proposed it.")
	qian.press("Approve")
	qian.fill("Why", "it is urgent")
	qian.press("Approve")
	qian.sees("A second person must do this")
	if n := o.settledAt(lost); n != 0 {
		t.Fatalf("nobody else said yes, and the HIS has it %d times", n)
	}

	// Another one, who looks for what is to be settled.
	sun := newBrowser(t, o.hub.address, "zh-CN")
	sun.joinsInChinese("sun", o.invites("sun", "finance", "jiangwan"))
	sun.open("reconciliation?show=cases")
	sun.sees("长款（医院无账）", lost, "待批准")
	sun.settledAndAccessible("cases")
	sun.press("差异单 1")
	sun.sees("批准后：")
	sun.press("批准")
	sun.fill("原因", "已与医院信息科核对")
	sun.press("批准")
	within(t, time.Minute, "the HIS has it again", func() bool { return o.settledAt(lost) == 1 })
	sun.sees("批准人 测试sun", "已与医院信息科核对")

	// Compared again the day agrees, and the case has ended by that.
	sun.open("reconciliation")
	sun.chooses("日期", day)
	sun.press("现在核对")
	sun.press("现在核对")
	sun.sees("各方账目一致。", "与第 1 次相比的变化", "已消失")
	sun.open("reconciliation/cases/1")
	sun.sees("已解决")
	sun.open("reconciliation")
	sun.sees("已关账", "日历", "走势")
	sun.settledAndAccessible("nights")
	sun.sound()

	// Who looks after messages may propose, and never approve; who is elsewhere sees nothing.
	li := newBrowser(t, o.hub.address, "en-US")
	li.joins("li", o.invites("li", "finance", "elsewhere"))
	li.open("reconciliation/cases/1")
	li.sees("Not found, or of a hospital that is not yours")
	li.misses(lost)
	li.open("reconciliation/nights/jiangwan/" + day)
	li.sees("Not found, or of a hospital that is not yours")
	li.misses(lost)
	qian.sound()
}

// settledAt counts how often the HIS has a payment.
func (o *outage) settledAt(order string) int {
	o.Helper()
	all, err := o.his.Books(o.Context())
	ok(o, err)
	return settled(all, order)
}

// chooses types a date into a field that shows a calendar.
func (b *browser) chooses(label, day string) {
	b.Helper()
	b.fill(label, day)
	b.keys("\r")
}

// settledAndAccessible waits until nothing moves any more: a button that was just enabled is
// pale for a moment.
func (b *browser) settledAndAccessible(page string) {
	b.Helper()
	b.do("settle", settledPage)
	b.accessible(page)
}
