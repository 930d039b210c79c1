package alert

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// weCom is a group's robot of WeCom (企业微信群机器人): markdown of up to 4096 bytes, 20
// a minute. https://developer.work.weixin.qq.com/document/path/91770
type weCom struct {
	base, key string
	view
}

const (
	weComBase = "https://qyapi.weixin.qq.com"
	weComMost = 4096 // bytes of content
)

var (
	weComBusy    = map[int]time.Duration{45009: time.Minute, 45033: time.Minute}
	weComMeaning = map[int]string{
		45009: "too many; it takes 20 a minute", 93000: "the key is not that of a robot", 40058: "the content is not what it takes", 40008: "the content is not what it takes",
	}
)

func (c weCom) Pause() time.Duration { return robotPause }
func (c weCom) Address() string      { return hostOf(c.base) }

// Send implements Channel.
func (c weCom) Send(ctx context.Context, l Letter) error {
	body, err := json.Marshal(map[string]any{"msgtype": "markdown", "markdown": map[string]string{"content": c.content(l)}})
	if err != nil {
		return err
	}
	answer, err := post(ctx, c.base+"/cgi-bin/webhook/send?key="+url.QueryEscape(c.key), body, nil)
	if err != nil {
		return err
	}
	return verdict(answer, weComBusy, weComMeaning)
}

func (c weCom) content(l Letter) string {
	s := c.in(l)
	end := ""
	if s.link != "" {
		end = "\n[" + c.say("查看页面", "the pages") + "](" + s.link + ")"
	}
	return fit(weComMost, "**"+s.title+"**\n", s, end, func(b block) string {
		colour := "warning"
		if b.over {
			colour = "info"
		}
		text := `<font color="` + colour + `">` + b.head + "</font>\n"
		for _, line := range b.lines {
			text += "> " + line + "\n"
		}
		return text
	})
}

// fit joins as many blocks as there is room for, and says how many are left out.
func fit(most int, begin string, s said, end string, write func(block) string) string {
	room := most - len(begin) - len(end) - len(s.more(len(s.blocks))) - 1
	var text strings.Builder
	text.WriteString(begin)
	for i, b := range s.blocks {
		one := write(b)
		if room -= len(one); room < 0 {
			text.WriteString(s.more(len(s.blocks)-i) + "\n")
			break
		}
		text.WriteString(one)
	}
	text.WriteString(end)
	return text.String()
}
