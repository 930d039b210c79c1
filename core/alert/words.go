package alert

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"

	"hishub/core"
	"hishub/core/incident"
)

// view is how a route wants to be told.
type view struct {
	language string // zh or en
	zone     *time.Location
	// pages is where the hub's pages are, without a slash at its end; "" is nowhere.
	pages string
}

// oneByOne is up to how many incidents each has lines of its own; more are summed up by kind.
const oneByOne = 8

// namesShown is how many hospitals a sum names.
const namesShown = 40

// said is a letter in words.
type said struct {
	title  string
	blocks []block
	link   string
	more   func(n int) string
}

// block is one incident, or all of a kind.
type block struct {
	head  string
	over  bool
	lines []string
}

func (v view) say(zh, en string) string {
	if v.language == "zh" {
		return zh
	}
	return en
}

// in puts a letter in words, without patients and values: what incidents hold.
func (v view) in(l Letter) said {
	out := said{title: v.title(l), more: func(n int) string {
		return fmt.Sprintf(v.say("……另有 %d 段，见页面", "… and %d more, see the pages"), n)
	}}
	if v.pages != "" {
		out.link = v.pages + "/pages/hospitals"
	}
	if l.Test {
		out.blocks = []block{{head: v.say("这是一条测试，什么都没有发生", "this is a test, nothing has happened"), over: true}}
		return out
	}
	if len(l.Entries) <= oneByOne {
		for _, e := range l.Entries {
			out.blocks = append(out.blocks, v.one(e))
		}
		return out
	}
	out.blocks = v.sums(l.Entries)
	return out
}

func (v view) title(l Letter) string {
	opened, over := 0, 0
	for _, e := range l.Entries {
		if e.Opened {
			opened++
		}
		if e.Resolved {
			over++
		}
	}
	switch {
	case l.Test:
		return v.say("hishub 告警测试", "hishub: a test of alerts")
	case len(l.Entries) == 1:
		e := l.Entries[0]
		return fmt.Sprintf(v.say("hishub 告警 %s：%s，%s", "hishub %s: %s, %s"), v.state(e), v.name(e), v.kind(e.Kind))
	case over == 0:
		return fmt.Sprintf(v.say("hishub 告警：新增 %d 项", "hishub: %d new incidents"), opened)
	case opened == 0:
		return fmt.Sprintf(v.say("hishub 告警：恢复 %d 项", "hishub: %d incidents are over"), over)
	}
	return v.say(fmt.Sprintf("hishub 告警：新增 %d 项，恢复 %d 项", opened, over), fmt.Sprintf("hishub: %s, %d over", core.Count(opened, "new incident", "new incidents"), over))
}

func (v view) state(e Entry) string {
	switch {
	case e.Opened && e.Resolved:
		return v.say("已自行恢复", "came and went")
	case e.Resolved:
		return v.say("恢复", "over")
	case e.Kind.Severity() == incident.Critical:
		return v.say("严重", "critical")
	}
	return v.say("警告", "warning")
}

func (v view) kind(k incident.Kind) string { return k.Title().In(v.language) }

func (v view) name(e Entry) string {
	switch {
	case e.Hospital == incident.Hub:
		return v.say("本平台", "the hub")
	case e.Name == "" || e.Name == e.Hospital:
		return plain(e.Hospital)
	}
	return plain(e.Name) + v.say("（", " (") + plain(e.Hospital) + v.say("）", ")")
}

func (v view) one(e Entry) block {
	b := block{head: "[" + v.state(e) + "] " + v.name(e) + v.say("：", ": ") + v.kind(e.Kind), over: e.Resolved}
	if d := e.Detail.In(v.language); d != "" {
		b.lines = append(b.lines, plain(d))
	}
	zone := cmp.Or(e.Zone, v.zone)
	when := fmt.Sprintf(v.say("%s 起", "since %s"), incident.At(e.OpenedAt, zone))
	if e.Resolved && e.ResolvedAt != nil {
		when = fmt.Sprintf(v.say("%s 至 %s（%s）", "%s to %s (%s)"), clock(e.OpenedAt, zone), incident.At(*e.ResolvedAt, zone), v.lasted(e.ResolvedAt.Sub(e.OpenedAt)))
	}
	b.lines = append(b.lines, when)
	if e.LookedBy != "" {
		looks := fmt.Sprintf(v.say("%s 正在处理", "%s looks at it"), plain(e.LookedBy))
		if e.LookedNote != "" {
			looks += v.say("：", ": ") + plain(e.LookedNote)
		}
		b.lines = append(b.lines, looks)
	}
	return b
}

// clock is a time beside another one that names the zone.
func clock(t time.Time, zone *time.Location) string { return t.In(zone).Format(time.DateTime) }

// lasted is how long something was, in whole seconds below a minute, else in minutes.
func (v view) lasted(d time.Duration) string {
	minutes := int(d.Round(time.Minute).Minutes())
	switch {
	case d < time.Minute:
		return fmt.Sprintf(v.say("%d 秒", "%d s"), int(d.Round(time.Second).Seconds()))
	case minutes < 60:
		return fmt.Sprintf(v.say("%d 分钟", "%d min"), minutes)
	}
	return fmt.Sprintf(v.say("%d 小时 %d 分钟", "%d h %d min"), minutes/60, minutes%60)
}

// sums are the incidents by what became of them and kind.
func (v view) sums(all []Entry) (blocks []block) {
	type sort struct{ state, kind string }
	of := map[sort][]Entry{}
	var order []sort
	for _, e := range all {
		s := sort{v.state(e), v.kind(e.Kind)}
		if of[s] == nil {
			order = append(order, s)
		}
		of[s] = append(of[s], e)
	}
	for _, s := range order {
		some := of[s]
		names := make([]string, 0, namesShown)
		for _, e := range some[:min(len(some), namesShown)] {
			names = append(names, plain(e.Hospital))
			if e.Hospital == incident.Hub {
				names[len(names)-1] = v.name(e)
			}
		}
		line := strings.Join(names, v.say("、", ", "))
		if n := len(some) - namesShown; n > 0 {
			line += v.say(fmt.Sprintf(" 等，另有 %d 家", n), fmt.Sprintf(" and %d more", n))
		}
		blocks = append(blocks, block{
			head: v.say(fmt.Sprintf("[%s] %s：%d 家", s.state, s.kind, len(some)), fmt.Sprintf("[%s] %s: %s", s.state, s.kind, core.Count(len(some), "hospital", "hospitals"))), over: some[0].Resolved, lines: []string{line},
		})
	}
	return blocks
}

// plain is one line of text that no markup reads as its own.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '<':
			return '＜'
		case r == '>':
			return '＞'
		case strings.ContainsRune("*`[]#", r):
			return -1
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, s)
}
