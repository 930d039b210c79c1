package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"hishub/core"
	"hishub/core/api"
	"hishub/mocks/paychannel"
)

// platform is a program that has its patients and money itself, and uses the hub by its API
// alone: it hands in what hospitals are to know, follows the events, and decides about what
// their windows give back.
type platform struct {
	*client
	channel *paychannel.Server

	mu       sync.Mutex
	payments map[string]*core.Payment // what patients paid, by hospital and order
	back     map[string]core.Fen      // what of it went back, likewise
	heard    map[string]bool          // hospital, kind and key of what events called delivered
	failed   error
}

func newPlatform(c *client, channel *paychannel.Server) *platform {
	return &platform{client: c, channel: channel, payments: map[string]*core.Payment{}, back: map[string]core.Fen{}, heard: map[string]bool{}}
}

// took writes down that a patient paid.
func (p *platform) took(hospital string, pay *core.Payment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.payments[hospital+" "+pay.OrderID] = pay
}

// gaveBack is how much of an order went back at the window.
func (p *platform) gaveBack(hospital, order string) (core.Fen, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.back[hospital+" "+order], p.failed
}

// follow takes the events until ctx ends.
func (p *platform) follow(ctx context.Context) {
	var deciding sync.WaitGroup
	defer deciding.Wait()
	for cursor := ""; ctx.Err() == nil; {
		var page struct {
			Events []core.Event
			Next   string
		}
		q := url.Values{"limit": {"500"}, "wait": {"5"}}
		if cursor != "" {
			q.Set("after", cursor)
		}
		if err := p.get(ctx, "/v1/events?"+q.Encode(), &page); err != nil {
			p.fail(ctx, fmt.Errorf("follow the events: %w", err))
			return
		}
		for _, e := range page.Events {
			switch e.Type {
			case core.EventDelivered:
				p.mu.Lock()
				p.heard[e.Hospital+" "+string(e.Kind)+" "+e.Key] = true
				p.mu.Unlock()
			case core.EventArrived(core.RefundApply):
				deciding.Go(func() {
					if err := p.decide(ctx, e.Hospital, e.Inbound); err != nil {
						p.fail(ctx, fmt.Errorf("decide what the window of %s gives back: %w", e.Hospital, err))
					}
				})
			}
		}
		cursor = page.Next
	}
}

func (p *platform) fail(ctx context.Context, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil && ctx.Err() == nil {
		p.failed = err
	}
}

// decide has the channel pay back what a window gives back, and says so; what is too much
// or not known here is refused.
func (p *platform) decide(ctx context.Context, hospital string, id int64) error {
	var in api.InboundDetail
	if err := p.get(ctx, fmt.Sprintf("/v1/inbound/%d", id), &in); err != nil {
		return err
	}
	var asked core.WindowRefund
	if err := json.Unmarshal(in.Content, &asked); err != nil {
		return err
	}
	said := func(what map[string]any) error {
		return p.post(ctx, fmt.Sprintf("/v1/inbound/%d/decision", id), what, nil)
	}
	pay, words := p.setAside(hospital, &asked)
	if pay == nil {
		return said(map[string]any{"decision": "refused", "words": words})
	}
	no := "WB" + asked.HisRefundNo
	if _, _, err := p.channel.Books().Refund(paychannel.Refund{Number: no, Payment: pay.OrderID, AmountFen: int64(asked.Amount)}); err != nil {
		return fmt.Errorf("the channel gives %s back: %w", no, err)
	}
	return said(map[string]any{"decision": "done", "refund_no": no})
}

// setAside finds the payment and takes the amount from what can go back, or has words to
// the window.
func (p *platform) setAside(hospital string, asked *core.WindowRefund) (*core.Payment, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := hospital + " " + asked.OrderID
	pay := p.payments[key]
	switch {
	case pay == nil:
		return nil, "平台查无此支付"
	case p.back[key]+asked.Amount > pay.Amount:
		return nil, "可退金额不足"
	}
	p.back[key] += asked.Amount
	return pay, ""
}

// hears waits until the events told of what was delivered.
func (p *platform) hears(ctx context.Context, hospital string, kind core.Kind, key string) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		p.mu.Lock()
		heard, failed := p.heard[hospital+" "+string(kind)+" "+key], p.failed
		p.mu.Unlock()
		switch {
		case failed != nil:
			return failed
		case heard:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return errors.New("no event told that " + string(kind) + " " + key + " of " + hospital + " was delivered")
		}
	}
}
