package pay

import (
	"context"
	"errors"
	"net/http"
	"time"

	"hishub/core"
)

// Channel is one merchant's account at a payment channel. Every answer is one of a closed
// set of states, and what nobody knows is one of them: none of these methods has an error,
// since after most errors the money may have moved all the same. Deadlines are the
// channel's own; it is never called within a transaction.
//
// The same number again is the same payment, and the same refund.
type Channel interface {
	// Pay makes a payment at the channel and gives what the payer's device needs. States:
	// Waiting, Refused, Unknown.
	Pay(ctx context.Context, c Charge) Prepaid
	// Query asks what became of a payment. States: None, Waiting, Paid, Shut, Unknown.
	Query(ctx context.Context, no string) Money
	// Close ends a payment that nobody made. States: Shut (or None) when no money can come
	// any more, Paid when it came before, Unknown.
	Close(ctx context.Context, no string) Money
	// Refund gives money back. States: Processing, Returned, Denied, Unknown.
	Refund(ctx context.Context, g Giving) Given
	// QueryRefund asks what became of a refund. States: Absent beside those of Refund.
	QueryRefund(ctx context.Context, g Giving) Given
	// Callback reads a notice. The error is ErrForged for one that is not the channel's own,
	// else what is wrong with it.
	Callback(ctx context.Context, header http.Header, body []byte) (Notice, error)
	// Answer to a notice: whether it was taken. One that was not is sent again.
	Answer(taken bool) Answer
}

// ErrForged: a notice is not signed by the channel.
var ErrForged = errors.New("the notice is not signed by the channel")

// ErrNoAccount: the hospital has no account at the channel.
var ErrNoAccount = errors.New("the hospital takes no payments by this channel")

// Accounts are the hospitals' accounts at payment channels.
type Accounts interface {
	// Account is ErrNoAccount when the hospital has none at the channel.
	Account(ctx context.Context, hospital string, channel core.Channel) (Channel, error)
}

// Way by which a payer is led to the channel.
type Way string

// The ways.
const (
	JSAPI  Way = "jsapi"  // within the channel's own app (a mini program): needs the payer's id there
	Native Way = "native" // a code that the payer scans
	H5     Way = "h5"     // a page that opens the channel's app
)

// Values of Way.
func (Way) Values() []string { return []string{string(JSAPI), string(Native), string(H5)} }

// Charge is a payment to be made.
type Charge struct {
	No     string // ours: the channel's out_trade_no
	Way    Way
	Amount core.Fen
	// Title is what the payer reads; it names no patient and no drug.
	Title string
	// Payer is his id at the channel (openid), for JSAPI; Address is where his request came
	// from, for H5.
	Payer, Address string
	ExpiresAt      time.Time
	// Notice is where the channel tells what became of it.
	Notice string
}

// MoneyState is what a channel says of a payment.
type MoneyState string

// What a channel says.
const (
	None    MoneyState = "none"    // it has no such payment
	Waiting MoneyState = "waiting" // it has, and nobody has paid
	Paid    MoneyState = "paid"
	Shut    MoneyState = "closed"
	Refused MoneyState = "refused" // it did not take it
	Unknown MoneyState = "unknown"
)

// Prepaid is what making a payment came to.
type Prepaid struct {
	State MoneyState
	// Client is what the payer's device needs: the parameters of the channel's own call, or
	// code_url, or url.
	Client map[string]string
	Words  string // why not; of the channel, without anything of a patient
}

// Money is a payment as the channel has it. ChannelNo, Amount and At are of one that is Paid.
type Money struct {
	State     MoneyState
	ChannelNo string
	Amount    core.Fen
	At        time.Time
	Words     string
}

// Giving is money to be given back.
type Giving struct {
	No             string // ours: the channel's out_refund_no
	Payment        string // our number of the payment
	ChannelNo      string // the channel's of the payment
	Amount, Total  core.Fen
	Reason, Notice string
}

// GivenState is what a channel says of a refund.
type GivenState string

// What a channel says.
const (
	Absent     GivenState = "none" // it has no such refund
	Processing GivenState = "processing"
	Returned   GivenState = "succeeded"
	Denied     GivenState = "refused" // no money moves for this number any more, or none yet: asking again with it is safe
	Doubtful   GivenState = "unknown"
)

// Given is a refund as the channel has it. ChannelNo and At are of one that is Returned.
type Given struct {
	State     GivenState
	ChannelNo string
	Amount    core.Fen
	At        time.Time
	Words     string
}

// Notice is what a channel tells by itself: of a payment, or of a refund.
type Notice struct {
	Payment string // our number; "" when it is about a refund
	Money   Money
	Refund  string // our number; "" when it is about a payment. It only says that asking tells more
}

// Answer to a notice.
type Answer struct {
	Status int
	Type   string
	Body   string
}
