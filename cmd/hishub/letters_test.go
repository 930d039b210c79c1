package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/core/report"
	"hishub/mocks/servers"
)

// postOffice is a mail server that keeps what it is handed.
func postOffice(t *testing.T) (address string, letters chan string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { l.Close() })
	letters = make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprint(c, "220 test\r\n")
				lines := bufio.NewScanner(c)
				lines.Buffer(nil, 16<<20)
				for lines.Scan() {
					switch verb := strings.ToUpper(strings.Fields(lines.Text() + " ?")[0]); verb {
					case "EHLO", "HELO":
						fmt.Fprint(c, "250 test\r\n")
					case "DATA":
						fmt.Fprint(c, "354 go on\r\n")
						var letter strings.Builder
						for lines.Scan() && lines.Text() != "." {
							letter.WriteString(lines.Text() + "\n")
						}
						letters <- letter.String()
						fmt.Fprint(c, "250 taken\r\n")
					case "QUIT":
						fmt.Fprint(c, "221 bye\r\n")
						return
					default:
						fmt.Fprint(c, "250 ok\r\n")
					}
				}
			}()
		}
	}()
	return l.Addr().String(), letters
}

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
	address, letters := postOffice(t)
	mailer, err := mailOptions{MailServer: address, MailSecurity: "clear", MailFrom: "hub@clinic.example", MailTo: []string{"finance@clinic.example"}}.mailer()
	ok(t, err)
	h := &hub{store: store, mailer: mailer, log: slog.New(slog.NewTextHandler(t.Output(), nil)), dispatcher: &delivery.Dispatcher{}}
	g := report.Gatherer{Books: store, Place: func(context.Context, string) (reconcile.Place, error) {
		return reconcile.Place{Zone: time.UTC, NightRules: core.DefaultNight()}, nil
	}}
	n, err := store.BeginNight(ctx, "h1", "2026-01-05", "schedule", time.Minute)
	ok(t, err)
	n.State, n.Closed, n.Detail = reconcile.NightDone, true, reconcile.Full
	_, err = store.EndNight(ctx, n)
	ok(t, err)

	within(t, 30*time.Second, "the letter", func() bool {
		_, err := h.letter(ctx, g)
		ok(t, err)
		return len(letters) > 0
	})
	if letter := <-letters; !strings.Contains(letter, "finance@clinic.example") || !strings.Contains(letter, "h1-2026-01-05.xlsx") {
		t.Errorf("the letter is %.2000s", letter)
	}
	for range 3 { // nothing new
		_, err := h.letter(ctx, g)
		ok(t, err)
	}
	if len(letters) > 0 {
		t.Error("mailed twice")
	}
	if _, err := (mailOptions{MailServer: "localhost:25"}).mailer(); err == nil {
		t.Error("mail to nobody")
	}
}
