package postbox

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLettersAreOpened(t *testing.T) {
	plain := "From: a@x.example\r\nSubject: =?utf-8?q?=E5=91=8A=E8=AD=A6?=\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E5=91=8A=E8=AD=A6\r\n"
	parts := "Subject: two\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n5ZGK\r\n6K2m\r\n--i\r\nContent-Type: text/html\r\n\r\n<p>\r\n--i--\r\n--o\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename=a.html\r\n\r\nx\r\n--o--\r\n"
	for text, want := range map[string]Shown{
		plain:                     {From: "f", Private: true, Subject: "告警", Text: "告警\r\n"},
		parts:                     {From: "f", Private: true, Subject: "two", Text: "告警", Files: []string{"a.html"}},
		"Subject: x\r\n\r\nhello": {From: "f", Private: true, Subject: "x", Text: "hello"},
	} {
		got, err := (Letter{From: "f", Private: true, Text: text}).Read()
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, text := range []string{"", "no head", strings.TrimSuffix(parts, "--o--\r\n")} {
		if _, err := (Letter{Text: text}).Read(); err == nil {
			t.Errorf("opened %q", text)
		}
	}
}

// What a hub, or anybody, mails is shown or refused, and never ends the fake.
func FuzzRead(f *testing.F) {
	f.Add("Subject: x\r\n\r\nhello")
	f.Add("Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nx\r\n--o--\r\n")
	f.Fuzz(func(t *testing.T, text string) { _, _ = (Letter{Text: text}).Read() })
}
