package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"hishub/mocks/postbox"
	"hishub/mocks/robots"
)

// mockAlerts plays those who are told of incidents.
type mockAlerts struct {
	Listen  string `help:"Address of both robots." default:"127.0.0.1:0"`
	Control string `help:"Address to look: GET /messages (of the robots), GET /mails, POST /faults." default:"127.0.0.1:0"`
	Mail    string `help:"Address of the mail server." default:"127.0.0.1:0"`
	Trust   string `help:"File to leave the mail server's certificate in, for SSL_CERT_FILE." placeholder:"FILE"`
}

func (mockAlerts) Help() string {
	return "Prints an alerts file that leads to it. The robots check what the real ones check: key, signature, form, size, 20 a minute.\n\nExample:\n  hishub mock alerts --listen 127.0.0.1:8095 --control 127.0.0.1:9095 --mail 127.0.0.1:8025\n  curl 127.0.0.1:9095/messages\n  curl 127.0.0.1:9095/mails"
}

func (c *mockAlerts) Run(ctx context.Context) error {
	p, err := postbox.Start(ctx, postbox.Options{Listen: c.Mail})
	if err != nil {
		return err
	}
	defer p.Close()
	r, err := robots.Start(ctx, robots.Options{Listen: c.Listen, Control: c.Control, Beside: map[string]http.HandlerFunc{"GET /mails": showMails(p)}})
	if err != nil {
		return err
	}
	defer r.Close()
	if c.Trust != "" {
		if err := os.WriteFile(filepath.Clean(c.Trust), p.Authority, 0o600); err != nil {
			return err
		}
	}
	env := map[string]string{"WECOM_KEY": robots.WeComKey, "DINGTALK_TOKEN": robots.DingTalkToken, "DINGTALK_SECRET": robots.DingTalkSecret,
		"HISHUB_MAIL_SERVER": p.Addr(), "HISHUB_MAIL_FROM": "hub@clinic.example"}
	if c.Trust != "" {
		env["SSL_CERT_FILE"] = c.Trust
	}
	fmt.Printf("control: %s\n", r.ControlURL())
	announceEnv(os.Stdout, env)
	fmt.Printf("alerts file:\nroutes:\n  duty: {wecom: {key: \"${WECOM_KEY}\", base: \"%[1]s\"}}\n  office: {dingtalk: {token: \"${DINGTALK_TOKEN}\", secret: \"${DINGTALK_SECRET}\", base: \"%[1]s\"}}\n  it: {mail: {to: it@clinic.example}}\n", r.URL())
	<-ctx.Done()
	return nil
}

// showMails gives the letters that came so far, opened; what cannot be is as it came.
func showMails(p *postbox.Postbox) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		all := []postbox.Shown{}
		for _, l := range p.Letters() {
			shown, err := l.Read()
			if err != nil {
				shown.Text = l.Text
			}
			all = append(all, shown)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(all)
	}
}
