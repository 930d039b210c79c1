package incident

import (
	"fmt"
	"time"

	"hishub/core"
)

// Hub stands in a hospital's place for what concerns the hub itself.
const Hub = ""

// Signs are what is known of one hospital.
type Signs struct {
	Hospital string
	// Zone is the hospital's, in which people are told of times; nil is the usual one.
	Zone *time.Location
	// Held: it is paused, or in a maintenance window; its messages wait because
	// people want them to.
	Held bool
	// Queued counts those that are claimed, too; Sending are those alone.
	Queued, Sending int
	// Oldest is since when the oldest waits that is not parked; zero if none does.
	Oldest          time.Time
	Parked, InDoubt int
	// Lately is how many of Parked were parked within GrowthWindow.
	Lately int
	// Broken is since when the breaker is not closed; zero while it is. Answered: the
	// HIS has answered this process, so a closed breaker means something.
	Broken   time.Time
	Answered bool
	// Cause is why the latest exchange failed; "" where nobody knows.
	Cause Words
	// broke is when the Watch last saw it broken; zero: it has not.
	broke time.Time
	// Exchanges and Failed are the counts of Rates, Whole as there.
	Exchanges, Failed int
	Whole             bool
	// Unmapped are codes of the worklist that the folder does not map, if Counted.
	Unmapped int
	Counted  bool
	// Night is what is wrong with the latest night, or that it is late; "" is nothing.
	Night     string
	NightLate bool
	// ClockOff is how far the HIS's clock was ahead of ours when it was asked last,
	// at ClockAsked; zero when it was never asked.
	ClockOff   time.Duration
	ClockAsked time.Time
	// Ends is when the first of its certificates does; zero if it has none. Certificate
	// says which. Met: all have been met since this process began, so that Ends is the first.
	Ends        time.Time
	Certificate Words
	Met         bool
	// Variables is what is wrong with changed variables of its folder; "" is nothing.
	Variables string
}

// left is the trouble of which nothing is known, or that lies between beginning and
// end: it stays as it is.
var left = Words{}

// troubles judges the signs: what is wrong by kind. A kind that is missing is
// over; one that is left stays as it is.
func (s Signs) troubles(now time.Time, t Thresholds) map[Kind]Words {
	found := map[Kind]Words{}
	switch waits := now.Sub(s.Oldest); {
	case s.Oldest.IsZero():
	case s.Held:
		found[Backlog] = left
	case waits > t.Backlog:
		found[Backlog] = Words{core.Count(s.Queued, "message waits", "messages wait") + ", the oldest for over " + core.Count(int(waits.Minutes()), "minute", "minutes"),
			fmt.Sprintf("%d 条在等待，最早一条已超过 %d 分钟", s.Queued, int(waits.Minutes()))}
	}
	if s.Parked > 0 {
		found[Parked] = parkedWords(s.Parked, s.InDoubt)
	}
	switch {
	case s.Lately >= t.ParkedGrowth:
		found[ParkedGrowth] = words(core.Count(s.Lately, "message was", "messages were")+" parked within %d minutes", "%d 分钟内新增 "+fmt.Sprint(s.Lately)+" 条待人工处理", int(GrowthWindow.Minutes()))
	case 2*s.Lately >= t.ParkedGrowth:
		found[ParkedGrowth] = left
	}
	s.answers(found, now, t)
	switch {
	case !s.Counted:
		found[Codes] = left
	case s.Unmapped > 0:
		found[Codes] = Words{core.Count(s.Unmapped, "code has no mapping", "codes have no mapping"), fmt.Sprintf("%d 个编码没有对照", s.Unmapped)}
	}
	if s.Night != "" {
		found[Night] = Words{En: s.Night}
	}
	if s.Variables != "" {
		found[Variables] = Words{En: s.Variables}
	}
	switch off := s.ClockOff.Abs(); {
	case s.ClockAsked.IsZero():
		found[Clock] = left // not known to this process yet
	case off > t.Clock:
		found[Clock] = clockWords(int(s.ClockOff.Round(time.Minute).Minutes()))
	}
	s.expires(found, now, t)
	return found
}

// answers judges how the HIS does. One that answers nothing at all is told of by
// the breaker alone.
func (s Signs) answers(found map[Kind]Words, now time.Time, t Thresholds) {
	switch {
	case s.Broken.IsZero() && !s.Answered:
		found[Breaker] = left // another process, gone now, may have opened it
	case !s.Broken.IsZero() && now.Sub(s.Broken) > t.Breaker:
		found[Breaker] = words("the HIS has not answered since %s", "HIS 自 %s 起无应答", At(s.Broken, s.Zone)).because(s.Cause)
	case now.Sub(s.broke) < Steady:
		found[Breaker] = left // one that comes and goes is one outage
	}
	share := 0.0
	if s.Exchanges > 0 {
		share = float64(s.Failed) / float64(s.Exchanges)
	}
	switch {
	case !s.Broken.IsZero():
		found[Failures] = left
	case s.Exchanges >= t.FailuresOf && share >= t.Failures:
		// In steps of 5 %, so that it is not written anew at every look.
		found[Failures] = words("%d%% of the exchanges of %d minutes failed", "%[2]d 分钟内的交互有 %[1]d%% 失败", int(20*share)*5, int(RateWindow.Minutes()))
	case s.Exchanges >= t.FailuresOf && 2*share < t.Failures:
	case s.Whole && s.Failed == 0:
	default:
		found[Failures] = left
	}
}

// expires judges the certificate that ends first.
func (s Signs) expires(found map[Kind]Words, now time.Time, t Thresholds) {
	remains, day := s.Ends.Sub(now), dayAt(s.Ends, s.Zone)
	said := Words{s.Certificate.En + " ends on " + day, s.Certificate.Zh + "将于 " + day + " 到期"}
	if remains <= 0 {
		said = Words{s.Certificate.En + " ended on " + day, s.Certificate.Zh + "已于 " + day + " 到期"}
	}
	for kind, before := range map[Kind]time.Duration{Certificate: t.Certificate, CertificateEnds: t.CertificateEnds} {
		switch {
		case !s.Ends.IsZero() && remains <= before:
			found[kind] = said
		case !s.Met:
			found[kind] = left // the one that it was opened for may be still to come
		}
	}
}

// parkedWords leave out what may have happened where nothing may.
func parkedWords(parked, doubt int) Words {
	w := Words{core.Count(parked, "message waits", "messages wait") + " for a person", fmt.Sprintf("%d 条待人工处理", parked)}
	if doubt > 0 {
		w.En += fmt.Sprintf(", %d of them may have happened", doubt)
		w.Zh += fmt.Sprintf("，其中 %d 条结果不明", doubt)
	}
	return w
}

// clockWords are of minutes that the HIS's clock is ahead, below 0 behind.
func clockWords(ahead int) Words {
	if ahead < 0 {
		return Words{"the HIS's clock is behind by " + core.Count(-ahead, "minute", "minutes"), fmt.Sprintf("HIS 时钟慢 %d 分钟", -ahead)}
	}
	return Words{"the HIS's clock is ahead by " + core.Count(ahead, "minute", "minutes"), fmt.Sprintf("HIS 时钟快 %d 分钟", ahead)}
}

// because adds a cause, in English where there is no other.
func (w Words) because(cause Words) Words {
	if cause.En != "" {
		w.En += ": " + cause.En
		w.Zh += "：" + cause.In("zh")
	}
	return w
}

func words(en, zh string, args ...any) Words {
	return Words{fmt.Sprintf(en, args...), fmt.Sprintf(zh, args...)}
}
