package alert

import (
	"context"
	"strings"
	"time"

	"hishub/core/report"
)

// letterbox sends mail by the server that the process names for all its mail.
type letterbox struct {
	report.Mailer
	view
}

// mailMost bounds the text of a mail, in bytes.
const mailMost = 200 << 10

func (c letterbox) Pause() time.Duration { return 10 * time.Second }
func (c letterbox) Address() string      { return c.Mailer.Address }

// Send implements Channel. One that goes out again has the same Message-ID.
func (c letterbox) Send(ctx context.Context, l Letter) error {
	s := c.in(l)
	end := ""
	if s.link != "" {
		end = s.link + "\n"
	}
	text := fit(mailMost, s.title+"\n\n", s, end, func(b block) string {
		return b.head + "\n  " + strings.Join(b.lines, "\n  ") + "\n\n"
	})
	return c.Mailer.Send(ctx, report.Mail{ID: l.ID, Subject: s.title, Text: text})
}
