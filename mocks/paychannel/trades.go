package paychannel

import (
	"cmp"
	"errors"
	"time"
)

// Trade is a payment that a merchant has asked for, and that somebody may make.
type Trade struct {
	Channel string `json:"channel"`
	// Number is the merchant's (out_trade_no).
	Number    string    `json:"number"`
	AmountFen int64     `json:"amount_fen"`
	Subject   string    `json:"subject,omitempty"`
	Way       string    `json:"way"` // jsapi, native, h5, or Alipay's
	Notify    string    `json:"notify,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Closed    bool      `json:"closed,omitempty"`
	Token     string    `json:"token"` // prepay_id, or what is in the code
}

// Why the books refuse a trade.
var (
	ErrNoTrade    = errors.New("no such trade")
	ErrClosed     = errors.New("the trade is closed, or its time is over")
	ErrPaid       = errors.New("the trade is paid")
	ErrOtherTrade = errors.New("that number is in the books with another amount")
)

// Open books a trade. The same number again with the same amount is the same trade.
// Errors: ErrClosed, ErrPaid, ErrOtherTrade.
func (b *Books) Open(t Trade) (Trade, error) {
	t.Channel = cmp.Or(t.Channel, WeChat)
	b.mu.Lock()
	defer b.mu.Unlock()
	k := key{t.Channel, t.Number}
	if b.payments[k] != nil {
		return t, ErrPaid
	}
	if held := b.trades[k]; held != nil {
		switch {
		case held.Closed:
			return *held, ErrClosed
		case held.AmountFen != t.AmountFen:
			return *held, ErrOtherTrade
		}
		held.Way, held.Notify = t.Way, t.Notify
		return *held, nil
	}
	t.Token = newToken()
	b.trades[k] = &t
	b.asked = append(b.asked, k)
	return t, nil
}

// CloseTrade ends one that nobody paid. Errors: ErrNoTrade, ErrPaid.
func (b *Books) CloseTrade(channel, number string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := key{channel, number}
	switch {
	case b.payments[k] != nil:
		return ErrPaid
	case b.trades[k] == nil:
		return ErrNoTrade
	}
	b.trades[k].Closed = true
	return nil
}

// Trade finds one by the merchant's number; one whose time is over is closed.
func (b *Books) Trade(channel, number string) (Trade, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.trades[key{channel, number}]
	if t == nil {
		return Trade{}, false
	}
	b.expire(t)
	return *t, true
}

// Trades that may be paid, or could be.
func (b *Books) Trades() []Trade {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Trade, 0, len(b.asked))
	for _, k := range b.asked {
		b.expire(b.trades[k])
		all = append(all, *b.trades[k])
	}
	return all
}

func (b *Books) expire(t *Trade) {
	if !t.ExpiresAt.IsZero() && !b.now().Before(t.ExpiresAt) && b.payments[key{t.Channel, t.Number}] == nil {
		t.Closed = true
	}
}

// pay books the money of a trade, of an amount that may be another than was asked for.
// Errors: ErrNoTrade, ErrClosed, ErrTaken.
func (b *Books) pay(channel, number string, fen int64) (Trade, Payment, error) {
	t, known := b.Trade(channel, number)
	switch {
	case !known:
		return t, Payment{}, ErrNoTrade
	case t.Closed:
		return t, Payment{}, ErrClosed
	}
	p, err := b.Pay(Payment{Channel: channel, Number: number, AmountFen: cmp.Or(fen, t.AmountFen), Subject: t.Subject})
	return t, p, err
}
