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
	"hishub/platform/pay/alipay"
	"hishub/platform/pay/wechat"
)

// accounts are the hospitals' accounts at payment channels, as their folders name them
// under channels. One without payments: true gives bills, and pays back.
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

// openAccount opens an account that takes payments, by what the folder's connector has
// checked.
func openAccount(spec core.ConnectorSpec) (pay.Channel, error) {
	s := option.New(spec.Options)
	if !s.Bool("payments", false) {
		return nil, pay.ErrNoAccount
	}
	text := func(name string) string { return s.Text(name, "") }
	file := func(name string) string { // of the folder, or its text
		if text(name) == "" {
			return ""
		}
		return string(s.File(name, spec.Files))
	}
	var opened pay.Channel
	var err error
	switch spec.Kind {
	case "wechatpay":
		opened, err = wechat.Open(wechat.Options{
			Base: text("base"), App: text("app_id"), Merchant: text("merchant"), Serial: text("serial"), Key: file("key"), PublicKey: file("public_key"), PublicKeyID: text("public_key_id"),
			PlatformCertificate: file("platform_certificate"), APIV3Key: text("api_v3_key"), Timeout: spec.Timeout,
		})
	case "alipay":
		opened, err = alipay.Open(alipay.Options{Base: text("base"), App: text("app_id"), Key: file("key"), PublicKey: file("public_key"), Store: text("store"), Timeout: spec.Timeout})
	default:
		return nil, pay.ErrNoAccount
	}
	if err != nil {
		return nil, fmt.Errorf("open the account %s for payments: %w", spec.Name, err)
	}
	return opened, nil
}
