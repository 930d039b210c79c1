package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"hishub/connectors/option"
	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/pay"
	"hishub/platform/pay/wechat"
)

// accounts are the hospitals' accounts at payment channels, as their folders name them
// under channels. One without app_id gives bills and takes no payments.
type accounts struct {
	hospitals *hospitals

	mu   sync.Mutex
	open map[accountKey]account
}

type accountKey struct {
	hospital string
	channel  core.Channel
}

type account struct {
	revision int
	channel  pay.Channel
	err      error
}

var _ pay.Accounts = (*accounts)(nil)

// Account implements pay.Accounts.
func (a *accounts) Account(ctx context.Context, hospital string, channel core.Channel) (pay.Channel, error) {
	h, err := a.hospitals.Hospital(ctx, hospital, 0)
	if errors.Is(err, core.ErrUnknownHospital) {
		return nil, clinic.ErrNotFound
	} else if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	k := accountKey{hospital, channel}
	known, ok := a.open[k]
	if !ok || known.revision != h.Revision {
		known = account{revision: h.Revision}
		known.channel, known.err = openAccount(h.Channels[channel])
		if a.open == nil {
			a.open = map[accountKey]account{}
		}
		a.open[k] = known
	}
	return known.channel, known.err
}

func openAccount(spec core.ConnectorSpec) (pay.Channel, error) {
	s := option.New(spec.Options)
	if spec.Kind != "wechatpay" || s.Text("app_id", "") == "" {
		return nil, pay.ErrNoAccount
	}
	if s.Text("sub_merchant", "") != "" {
		return nil, fmt.Errorf("%w: it is a service provider's, by which no payments are taken yet", pay.ErrNoAccount)
	}
	o := wechat.Options{
		Base: s.Text("base", ""), App: s.Text("app_id", ""), Merchant: s.Text("merchant", ""), Serial: s.Text("serial", ""), PublicKeyID: s.Text("public_key_id", ""),
		APIV3Key: s.Text("api_v3_key", ""), Timeout: spec.Timeout,
	}
	for name, into := range map[string]*string{"key": &o.Key, "public_key": &o.PublicKey, "platform_certificate": &o.PlatformCertificate} {
		if s.Text(name, "") != "" {
			*into = string(s.File(name, spec.Files))
		}
	}
	opened, err := wechat.Open(o)
	if err != nil {
		return nil, fmt.Errorf("open the account at WeChat Pay: %w", err)
	}
	return opened, nil
}
