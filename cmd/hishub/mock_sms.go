package main

import (
	"context"
	"fmt"
	"os"

	"hishub/mocks/sms"
)

type mockSMS struct {
	Listen string `help:"Address of the gateway and its page." default:"127.0.0.1:0"`
}

func (mockSMS) Help() string {
	return "Example:\n  hishub mock sms --listen 127.0.0.1:8099\n  hishub up --sms-url http://127.0.0.1:8099\n  curl http://127.0.0.1:8099/messages/13800000001/last"
}

func (c *mockSMS) Run(ctx context.Context) error {
	g, err := sms.Start(ctx, sms.Options{Listen: c.Listen})
	if err != nil {
		return err
	}
	defer g.Close()
	fmt.Printf("gateway: %s\n", g.URL())
	announceEnv(os.Stdout, map[string]string{"HISHUB_SMS_URL": g.URL()})
	<-ctx.Done()
	return nil
}
