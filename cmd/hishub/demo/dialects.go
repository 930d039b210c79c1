package demo

import (
	"context"
	"fmt"
	"strings"

	"hishub/core"
	"hishub/core/api"
)

// different are those whose dialects have the least in common.
var different = []string{"dongshan", "xihu", "nanyuan", "heping", "qingshan", "xingguang", "yongan"}

// dialects shows how what some HISs were sent for the one prescription begins,
// patients masked.
func (t *tale) dialects(ctx context.Context) error {
	for _, hospital := range different {
		m, err := t.client.find(ctx, hospital, core.PrescriptionCreate, t.shared.No)
		if err != nil {
			return err
		}
		var x struct{ Exchanges []api.Exchange }
		if err := t.client.get(ctx, fmt.Sprintf("/v1/messages/%d/attempts/1/exchange", m.ID), &x); err != nil {
			return err
		}
		if len(x.Exchanges) == 0 || x.Exchanges[0].Request.Text == "" {
			return fmt.Errorf("%s: the exact bytes were not kept", hospital)
		}
		text := strings.Join(strings.Fields(x.Exchanges[0].Request.Text), " ")
		if _, body, soap := strings.Cut(text, "<soap:Body>"); soap {
			text = "…" + body // the envelopes are all alike
		}
		runes := []rune(text)
		t.say("   %-9s %s…\n", hospital, string(runes[:min(150, len(runes))]))
	}
	return nil
}
