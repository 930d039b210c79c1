package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/core/report"
)

// mailOptions say to whom the report of a night goes by mail.
type mailOptions struct {
	MailServer   string   `help:"SMTP server as host:port; without it no mail is sent." env:"HISHUB_MAIL_SERVER" placeholder:"HOST:PORT"`
	MailSecurity string   `help:"starttls, tls, or clear for a relay of one's own." enum:"starttls,tls,clear" default:"starttls" env:"HISHUB_MAIL_SECURITY"`
	MailUser     string   `help:"User at the mail server; the password is in HISHUB_MAIL_PASSWORD." env:"HISHUB_MAIL_USER"`
	MailPassword string   `hidden:"" env:"HISHUB_MAIL_PASSWORD"`
	MailFrom     string   `help:"Who sends, as 'hishub <hub@clinic.example>'." env:"HISHUB_MAIL_FROM"`
	MailTo       []string `help:"Who gets the report of each night that is done or late." env:"HISHUB_MAIL_TO" sep:";"`
}

// filled takes what a file of --env gave, which was read after the command line.
func (o mailOptions) filled() mailOptions {
	for name, field := range map[string]*string{"SERVER": &o.MailServer, "USER": &o.MailUser, "PASSWORD": &o.MailPassword, "FROM": &o.MailFrom} {
		*field = cmp.Or(*field, os.Getenv("HISHUB_MAIL_"+name))
	}
	if to := os.Getenv("HISHUB_MAIL_TO"); len(o.MailTo) == 0 && to != "" {
		o.MailTo = strings.Split(to, ";")
	}
	if security := os.Getenv("HISHUB_MAIL_SECURITY"); slices.Contains([]string{"tls", "clear"}, security) && o.MailSecurity == string(report.StartTLS) {
		o.MailSecurity = security
	}
	return o
}

// mailer is nil when no mail is wanted.
func (o mailOptions) mailer() (*report.Mailer, error) {
	m, err := o.server()
	if err == nil && m != nil && len(m.To) == 0 {
		return nil, errors.New("mail takes --mail-to beside --mail-server")
	}
	return m, err
}

// server is nil when there is none; alerts have receivers of their own.
func (o mailOptions) server() (*report.Mailer, error) {
	o = o.filled()
	switch {
	case o.MailServer == "":
		return nil, nil
	case o.MailFrom == "":
		return nil, errors.New("mail takes --mail-from beside --mail-server")
	}
	return &report.Mailer{
		Address: o.MailServer, Security: report.Security(o.MailSecurity), User: o.MailUser, Password: o.MailPassword, From: o.MailFrom, To: o.MailTo,
	}, nil
}

// letters mails the report of each night that is done or late. The place in the
// feed is saved after a letter was handed over, so that a crash sends one twice
// rather than none. One process does it for all.
func (h *hub) letters(ctx context.Context) {
	g := report.Gatherer{Books: h.store, Place: h.hospitals.place}
	for wait := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = 5 * time.Second
		if !h.dispatcher.Holds(0) {
			continue
		}
		more, err := h.letter(ctx, g)
		if err != nil && ctx.Err() == nil {
			h.log.Error("mail the report of a night", "error", err)
			wait = time.Minute
		} else if more {
			wait = 0
		}
	}
}

const lettersCursor = "mail"

// letter sends what the next page of the feed asks for.
func (h *hub) letter(ctx context.Context, g report.Gatherer) (more bool, err error) {
	cursor, err := h.store.Cursor(ctx, lettersCursor)
	if err != nil {
		return false, err
	}
	events, next, err := h.store.Read(ctx, cursor, 500)
	if err != nil || len(events) == 0 {
		return false, err
	}
	for _, e := range events {
		// A feed that is followed for the first time begins with old news.
		if e.Type != core.EventNightDone && e.Type != core.EventNightLate || time.Since(e.At) > 3*24*time.Hour {
			continue
		}
		if err := h.send(ctx, g, e); err != nil {
			return false, err
		}
		if err := h.store.SaveCursor(ctx, lettersCursor, e.Cursor); err != nil {
			return false, err
		}
	}
	return true, h.store.SaveCursor(ctx, lettersCursor, next)
}

func (h *hub) send(ctx context.Context, g report.Gatherer, e core.Event) error {
	day, err := g.Day(ctx, e.Hospital, e.Key)
	if err != nil {
		return err
	}
	letter, err := day.Letter()
	if err != nil {
		return err
	}
	return h.mailer.Send(ctx, letter)
}

var _ report.Books = (*postgres.Store)(nil)
