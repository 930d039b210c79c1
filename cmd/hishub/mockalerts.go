package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"hishub/mocks/postbox"
	"hishub/mocks/robots"
)

// mockAlerts plays those who are told of incidents.
type mockAlerts struct {
	Listen  string `help:"Address of both robots." default:"127.0.0.1:0"`
	Control string `help:"Address to look: GET /messages, POST /faults." default:"127.0.0.1:0"`
	Mail    string `help:"Address of the mail server." default:"127.0.0.1:0"`
	Trust   string `help:"File to leave the mail server's certificate in, for SSL_CERT_FILE." placeholder:"FILE"`
}

func (mockAlerts) Help() string {
	return "Prints an alerts file that leads to it. The robots check what the real ones check: key, signature, form, size, 20 a minute.\n\nExample:\n  hishub mock alerts --listen 127.0.0.1:8095 --control 127.0.0.1:9095 --mail 127.0.0.1:8025\n  curl 127.0.0.1:9095/messages"
}

func (c *mockAlerts) Run(ctx context.Context) error {
	r, err := robots.Start(ctx, robots.Options{Listen: c.Listen, Control: c.Control})
	if err != nil {
		return err
	}
	defer r.Close()
	p, err := postbox.Start(ctx, postbox.Options{Listen: c.Mail})
	if err != nil {
		return err
	}
	defer p.Close()
	if c.Trust != "" {
		if err := os.WriteFile(filepath.Clean(c.Trust), p.Authority, 0o600); err != nil {
			return err
		}
	}
	fmt.Printf("control: %s\nset for the hub: WECOM_KEY=%s DINGTALK_TOKEN=%s DINGTALK_SECRET=%s HISHUB_MAIL_SERVER=%s HISHUB_MAIL_FROM=hub@clinic.example\n", r.ControlURL(), robots.WeComKey, robots.DingTalkToken, robots.DingTalkSecret, p.Addr())
	fmt.Printf("alerts file:\nroutes:\n  duty: {wecom: {key: \"${WECOM_KEY}\", base: \"%[1]s\"}}\n  office: {dingtalk: {token: \"${DINGTALK_TOKEN}\", secret: \"${DINGTALK_SECRET}\", base: \"%[1]s\"}}\n  it: {mail: {to: it@clinic.example}}\n", r.URL())
	<-ctx.Done()
	return nil
}
