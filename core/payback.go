package core

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"
)

// ChannelConnector is the name of the connector of a way of paying.
func ChannelConnector(c Channel) string { return "channel." + string(c) }

// WithChannels is the dialect with its payment channels as connectors, and with
// the transaction channel.refund when any of them can be told to pay back. No
// folder maps that one: the connectors of channels all speak the same document.
func (d *Dialect) WithChannels() *Dialect {
	same := *d
	same.Connectors, same.Operations = maps.Clone(d.Connectors), maps.Clone(d.Operations)
	var channels []Channel
	for c, spec := range d.Channels {
		if spec.Kind != "" {
			spec.Name = ChannelConnector(c)
			same.Connectors[spec.Name] = spec
			channels = append(channels, c)
		}
	}
	if channels != nil {
		slices.Sort(channels)
		same.Operations[PayBack] = payBack(channels)
	}
	return &same
}

// payBack is one step per channel, of which the message's own applies, and one
// that refuses all others: a refund that no step sends would look like done.
func payBack(channels []Channel) *Operation {
	op := &Operation{Kind: PayBack, SettleAfter: time.Minute}
	for _, c := range channels {
		call := func(name string, inquiry bool) Call {
			return Call{Name: name, Connector: ChannelConnector(c), Mapper: payBackMapper{inquiry: inquiry}}
		}
		op.Steps = append(op.Steps, Step{
			Call:    call(ChannelOpRefund, false),
			When:    func(in Input) (bool, error) { return in.Body.(*ChannelRefund).Channel == c, nil },
			Inquire: &Inquiry{Kind: PayBack, Call: call(ChannelOpRefundQuery, true), Every: 30 * time.Second, For: 2 * time.Hour},
			// A channel knows a refund by our number and pays it once.
			RepeatSafe: true,
		})
	}
	op.Steps = append(op.Steps, Step{
		Call: Call{Name: ChannelOpRefund, Connector: ChannelConnector(channels[0]), Mapper: noChannel{}},
		When: func(in Input) (bool, error) { return !slices.Contains(channels, in.Body.(*ChannelRefund).Channel), nil },
	})
	return op
}

// payBackMapper puts a channel.refund into the document of channel.go and reads
// what comes back.
type payBackMapper struct{ inquiry bool }

// Encode implements Mapper.
func (m payBackMapper) Encode(in Input) (Request, error) {
	r := in.Body.(*ChannelRefund)
	q := Request{Operation: ChannelOpRefund, Body: Tree{
		{"refund_no", r.RefundNo}, {"order_id", r.OrderID}, {"channel_no", r.ChannelNo},
		{"amount", strconv.FormatInt(int64(r.Amount), 10)}, {"paid", strconv.FormatInt(int64(r.Paid), 10)}, {"reason", r.Reason},
	}}
	if m.inquiry {
		q.Operation = ChannelOpRefundQuery
	}
	return q, nil
}

// Decode implements Mapper. A refund that the channel has accepted is done: when
// the money arrives is for its bills to tell.
func (m payBackMapper) Decode(in Input, r Response) Verdict {
	answer, ok := r.Body.(Tree)
	if !ok {
		return failed(InDoubt, "the channel's answer is no document")
	}
	text := func(name string) string { s, _ := Text(answer.Get(name)); return s }
	receipt := Receipt{HisNo: text("channel_refund_no"), Number: in.Body.Key()}
	if a := text("amount"); a != "" {
		n, err := strconv.ParseInt(a, 10, 64)
		if err != nil {
			return failed(InDoubt, "the amount in the channel's answer is no number of fen")
		}
		amount := Fen(n)
		receipt.Amount = &amount
	}
	words := text("message")
	state := text("state")
	if m.inquiry {
		s := &Status{Receipt: receipt, Message: words}
		switch state {
		case string(EntryDone), string(EntryProcessing):
			s.State = StateDone
		case string(StateAbsent):
			s.State = StateAbsent
		case string(EntryFailed):
			s.State = StateRefused
		case string(StateRunning):
			s.State = StateRunning
		default:
			s.State = StateUnknown
		}
		return Verdict{Outcome: OutcomeOK, Rule: "state", Words: words, Answer: s}
	}
	v := Verdict{Rule: "state", Words: words}
	switch state {
	case string(EntryDone), string(EntryProcessing):
		v.Outcome, v.Answer = OutcomeOK, &receipt
	case string(StateRunning):
		v.Outcome = OutcomeRunning
	case string(EntryFailed), string(StateAbsent):
		v.Outcome = OutcomeRejected
	default:
		v = failed(InDoubt, "the channel's answer has no state that is known")
	}
	return v
}

// noChannel refuses: nobody is connected who could pay this back.
type noChannel struct{}

// Encode implements Mapper.
func (noChannel) Encode(Input) (Request, error) {
	return Request{}, &Fault{Class: Invalid, Op: string(PayBack), Err: errors.New("the hospital's folder has no connector for this way of paying; pay it back by hand and cancel this, or add the channel")}
}

// Decode implements Mapper.
func (noChannel) Decode(Input, Response) Verdict { return failed(InDoubt, "nothing was asked") }
