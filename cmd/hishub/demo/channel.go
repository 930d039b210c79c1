package demo

import (
	"context"
	"fmt"
	"strings"

	"hishub/core"
	"hishub/mocks/paychannel"
)

// openChannel starts the payment channel, of which each hospital has an account:
// its bills come from there, and what goes back to patients goes by it.
func (s *stage) openChannel(ctx context.Context) (err error) {
	if s.channel, err = paychannel.Start(ctx, paychannel.Options{}); err != nil {
		return err
	}
	s.later(func() { s.channel.Close() })
	k := s.channel.Keys()
	s.env = append(s.env, "WECHAT_URL="+s.channel.URL(), "WECHAT_MERCHANT="+k.Merchant, "WECHAT_SERIAL="+k.Serial, "WECHAT_KEY="+k.MerchantKey,
		"WECHAT_PUBLIC_KEY="+k.PublicKey, "WECHAT_PUBLIC_KEY_ID="+k.PublicKeyID, "WECHAT_API_V3_KEY="+k.APIV3Key)
	return nil
}

// account is what a hospital's folder says of its account at the channel. One
// merchant account serves all here, each under a sub-merchant of its own.
func account(hospital string) string {
	return `
channels:
  wechat:
    wechatpay:
      base: "${WECHAT_URL}"
      merchant: "${WECHAT_MERCHANT}"
      serial: "${WECHAT_SERIAL}"
      key: "${WECHAT_KEY}"
      public_key: "${WECHAT_PUBLIC_KEY}"
      public_key_id: "${WECHAT_PUBLIC_KEY_ID}"
      api_v3_key: "${WECHAT_API_V3_KEY}"
      sub_merchant: ` + hospital + "\n"
}

// charge has the channel take a patient's money.
func (s *stage) charge(hospital string, p *core.Payment) error {
	_, err := s.channel.Books().Pay(paychannel.Payment{
		Channel: paychannel.WeChat, Number: p.OrderID, ChannelNo: p.ChannelNo, AmountFen: int64(p.Amount), PaidAt: p.PaidAt,
		Attach: strings.Join(p.Bills, ","), Subject: "处方缴费", SubMerchant: hospital,
	})
	if err != nil {
		return fmt.Errorf("the channel takes %s: %w", p.OrderID, err)
	}
	return nil
}
