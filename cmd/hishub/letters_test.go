package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/core/report"
	"hishub/mocks/postbox"
	"hishub/mocks/servers"
)

// A night that is done is mailed once, with its workbook.
func TestLetters(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	url := servers.Postgres(t)
	ok(t, postgres.Migrate(ctx, url))
	store, err := postgres.Open(ctx, postgres.Options{URL: url, KeyFile: filepath.Join(t.TempDir(), "key"), CreateKey: true})
	ok(t, err)
	t.Cleanup(store.Close)
	_, err = store.Apply(ctx, "h1", "测试医院", []byte("archive"), "digest", "tester", "")
	ok(t, err)
	office, err := postbox.Start(ctx, postbox.Options{Clear: true})
	ok(t, err)
	t.Cleanup(func() { office.Close() })
	mailer, err := mailOptions{MailServer: office.Addr(), MailSecurity: "clear", MailFrom: "hub@clinic.example", MailTo: []string{"finance@clinic.example"}}.mailer()
	ok(t, err)
	h := &hub{store: store, mailer: mailer, log: slog.New(slog.NewTextHandler(t.Output(), nil)), dispatcher: &delivery.Dispatcher{}}
	g := report.Gatherer{Books: store, Place: func(context.Context, string) (reconcile.Place, error) {
		return reconcile.Place{Zone: time.UTC, NightRules: core.DefaultNight()}, nil
	}}
	n, err := store.BeginNight(ctx, reconcile.Ask{Hospital: "h1", Day: "2026-01-05", Who: "schedule"}, time.Minute)
	ok(t, err)
	n.State, n.Closed, n.Detail = reconcile.NightDone, true, reconcile.Full
	_, err = store.EndNight(ctx, n)
	ok(t, err)

	within(t, 30*time.Second, "the letter", func() bool {
		_, err := h.letter(ctx, g)
		ok(t, err)
		return len(office.Letters()) > 0
	})
	if letter := office.Letters()[0]; letter.To[0] != "finance@clinic.example" || !strings.Contains(letter.Text, "h1-2026-01-05.xlsx") {
		t.Errorf("the letter is %.2000s", letter.Text)
	}
	for range 3 { // nothing new
		_, err := h.letter(ctx, g)
		ok(t, err)
	}
	if len(office.Letters()) != 1 {
		t.Error("mailed twice")
	}
	if _, err := (mailOptions{MailServer: "localhost:25"}).mailer(); err == nil {
		t.Error("mail to nobody")
	}
}
