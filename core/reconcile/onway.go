package reconcile

import (
	"context"

	"hishub/core"
)

// onWay are the refunds of a bill that the channel was still at when it made the
// bill. A bill never learns better, so each is asked about: else it would count
// as on its way for ever, and as a difference after that.
type onWay struct {
	account core.Biller
	refunds []Entry
}

// takes reports whether the entry is kept to be asked about.
func (o *onWay) takes(e Entry) bool {
	_, canAsk := o.account.(core.Connector)
	if !canAsk || e.Type != core.EntryRefund || e.State != core.EntryProcessing || e.Number == "" {
		return false
	}
	o.refunds = append(o.refunds, e)
	return true
}

// each calls yield with every refund as it stands now. One that cannot be asked
// about stands as the bill has it.
func (o *onWay) each(ctx context.Context, yield func(Entry, error) bool) error {
	for _, e := range o.refunds {
		if err := ctx.Err(); err != nil {
			return err
		}
		if account, ok := o.account.(core.Connector); ok {
			e.State = stateNow(ctx, account, e)
		}
		if !yield(e, nil) {
			return errEnough
		}
	}
	return nil
}

func stateNow(ctx context.Context, account core.Connector, e Entry) core.EntryState {
	answer, err := account.Call(ctx, core.Request{Operation: core.ChannelOpRefundQuery, Body: core.Tree{
		{Name: "refund_no", Value: e.Number}, {Name: "order_id", Value: e.OrderID},
	}})
	if err != nil {
		return e.State
	}
	body, ok := answer.Body.(core.Tree)
	if !ok {
		return e.State
	}
	text, _ := core.Text(body.Get("state"))
	switch state := core.EntryState(text); state {
	case core.EntryDone, core.EntryFailed:
		return state
	}
	return e.State
}
