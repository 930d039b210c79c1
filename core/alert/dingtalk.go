package alert

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// dingTalk is a group's own robot of DingTalk (钉钉自定义机器人), signed; 20 a minute, and
// who sends more is not heard for ten minutes.
// https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages
type dingTalk struct {
	base, token string
	// secret signs; "" for a robot that goes by a keyword ("hishub" is in every title) or
	// by our address.
	secret string
	now    func() time.Time
	view
}

const (
	dingTalkBase = "https://oapi.dingtalk.com"
	dingTalkMost = 15000 // bytes of text; it takes 20,000 of the whole body
)

var (
	dingTalkBusy    = map[int]time.Duration{130101: 10 * time.Minute, 410100: 10 * time.Minute, -1: time.Minute}
	dingTalkMeaning = map[int]string{
		130101: "too many; it takes 20 a minute", 410100: "too many; it takes 20 a minute", 300001: "the token is not that of a robot", 400101: "the token is not that of a robot",
		310000: "the signature, the keyword or our address is not what the robot's settings want; is this machine's clock right?",
		400013: "the group was dissolved", 400102: "the robot was turned off",
	}
)

func (c dingTalk) Pause() time.Duration { return robotPause }
func (c dingTalk) Address() string      { return hostOf(c.base) }

// Send implements Channel.
func (c dingTalk) Send(ctx context.Context, l Letter) error {
	title, text := c.markdown(l)
	body, err := json.Marshal(map[string]any{"msgtype": "markdown", "markdown": map[string]string{"title": title, "text": text}})
	if err != nil {
		return err
	}
	query := url.Values{"access_token": {c.token}}
	if c.secret != "" {
		at := strconv.FormatInt(c.now().UnixMilli(), 10)
		h := hmac.New(sha256.New, []byte(c.secret))
		h.Write([]byte(at + "\n" + c.secret))
		query.Set("timestamp", at)
		query.Set("sign", base64.StdEncoding.EncodeToString(h.Sum(nil)))
	}
	answer, err := post(ctx, c.base+"/robot/send?"+query.Encode(), body, nil)
	if err != nil {
		return err
	}
	return verdict(answer, dingTalkBusy, dingTalkMeaning)
}

func (c dingTalk) markdown(l Letter) (title, text string) {
	s := c.in(l)
	end := ""
	if s.link != "" {
		end = "[" + c.say("查看页面", "the pages") + "](" + s.link + ")"
	}
	return s.title, fit(dingTalkMost, "### "+s.title+"\n\n", s, end, func(b block) string {
		return "- **" + b.head + "**\n\n  " + strings.Join(b.lines, "\n\n  ") + "\n\n"
	})
}
