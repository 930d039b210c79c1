package pay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
)

// Path names an order. Embedded, it must be exported for huma to fill it.
type Path struct {
	No string `path:"no" maxLength:"64" doc:"order number"`
}

// HospitalPath names something of a hospital.
type HospitalPath struct {
	clinic.Hospital
	No string `path:"no" maxLength:"64"`
}

// Payments of an order, as its payer sees them.
type Payments struct {
	Attempts []Attempt `json:"attempts" doc:"newest first"`
	Refunds  []Refund  `json:"refunds" doc:"newest first"`
}

// Routes registers the module's endpoints. Notices are beside them.
func (s *Service) Routes(api *clinic.API) {
	s.payers(api)
	s.finance(api)
	s.books(api)
}

func (s *Service) payers(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-pay", Method: http.MethodPost, Path: "/orders/{no}/payments", Right: clinic.OwnRecords, Shows: true, Status: http.StatusCreated,
		Title: "pay an order of one's own", Doc: "Gives what the payer's device needs (`client`). The same again gives the same. 409 with the amount when the order costs something else than was seen: show it, and ask again with the order's new version. State `unknown`: the channel did not answer; look again."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			clinic.From
			Body Wish
		}) (*clinic.Out[Attempt], error) {
			in.Body.Address = in.From.Address()
			a, err := s.Pay(ctx, p, in.No, in.Body)
			clinic.About(ctx, "order "+in.No, a.Patient)
			var changed *order.PriceChanged
			if errors.As(err, &changed) {
				return nil, huma.NewError(http.StatusConflict, changed.Error(), &huma.ErrorDetail{Location: "amount", Message: "what it costs now, in fen", Value: changed.Is})
			}
			return clinic.Reply(a, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-payments", Method: http.MethodGet, Path: "/orders/{no}/payments", Right: clinic.OwnRecords, Shows: true,
		Title: "the payments and refunds of an order of one's own"}, s.show)
	clinic.Register(api, clinic.Endpoint{ID: "clinic-payment-check", Method: http.MethodPost, Path: "/orders/{no}/payments/check", Right: clinic.OwnRecords, Shows: true,
		Title: "ask the channel what became of the payment", Doc: "For a payer who comes back from the channel's app before its notice does."},
		func(ctx context.Context, p clinic.Person, in *Path) (*clinic.Out[Payments], error) {
			return s.with(ctx, p, in, s.Settle)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-payment-end", Method: http.MethodPost, Path: "/orders/{no}/payments/end", Right: clinic.OwnRecords, Shows: true,
		Title: "give up a payment that is under way", Doc: "It is closed at the channel; the order can be paid in another way, or cancelled."},
		func(ctx context.Context, p clinic.Person, in *Path) (*clinic.Out[Payments], error) {
			return s.with(ctx, p, in, s.End)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-refund-ask", Method: http.MethodPost, Path: "/orders/{no}/refunds", Right: clinic.OwnRecords, Shows: true, Status: http.StatusCreated,
		Title: "ask for money of an order of one's own back", Doc: "Up to the hospital's amount, and before anything was handed out, it goes back at once; else finance decides (`requested`)."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			Body Back
		}) (*clinic.Out[Refund], error) {
			return replyRefund(ctx)(s.Request(ctx, p, "", in.No, in.Body))
		})
}

// show is the payments of an order of the person's own.
func (s *Service) show(ctx context.Context, p clinic.Person, in *Path) (*clinic.Out[Payments], error) {
	o, err := s.own(ctx, p, in.No)
	if err != nil {
		return clinic.Reply(Payments{}, err)
	}
	clinic.About(ctx, "order "+in.No, o.Patient)
	return clinic.Reply(s.paymentsOf(ctx, in.No))
}

func (s *Service) paymentsOf(ctx context.Context, no string) (all Payments, err error) {
	if all.Attempts, err = s.OfOrder(ctx, no); err != nil {
		return all, err
	}
	all.Refunds, err = s.RefundsOf(ctx, no)
	return all, err
}

// with does something with the attempt that is under way, and shows what is then.
func (s *Service) with(ctx context.Context, p clinic.Person, in *Path, do func(context.Context, Attempt) (Attempt, error)) (*clinic.Out[Payments], error) {
	if _, err := s.own(ctx, p, in.No); err != nil {
		return clinic.Reply(Payments{}, err)
	}
	a, err := s.live(ctx, in.No)
	if err == nil && a.State != Created {
		_, err = do(ctx, a)
	}
	if err != nil && !errors.Is(err, clinic.ErrNotFound) {
		return clinic.Reply(Payments{}, err)
	}
	return s.show(ctx, p, in)
}

func replyRefund(ctx context.Context) func(Refund, error) (*clinic.Out[Refund], error) {
	return func(r Refund, err error) (*clinic.Out[Refund], error) {
		clinic.About(ctx, "order "+r.OrderNo, r.Patient)
		return clinic.Reply(r, err)
	}
}

// Undecidable are what waits for a person.
type Undecidable struct {
	Attempts []Attempt `json:"attempts" doc:"unknown, or of another amount"`
	Refunds  []Refund  `json:"refunds" doc:"requested, unknown, or refused by the channel"`
}

func (s *Service) finance(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-refund-propose", Method: http.MethodPost, Path: "/hospitals/{hospital}/orders/{no}/refunds", Right: clinic.Charge, Shows: true, Status: http.StatusCreated,
		Title: "propose at the desk that money goes back", Doc: "Finance decides."},
		func(ctx context.Context, p clinic.Person, in *struct {
			HospitalPath
			Body Back
		}) (*clinic.Out[Refund], error) {
			return replyRefund(ctx)(s.Request(ctx, p, in.Hospital.Hospital, in.No, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-payment-undecided", Method: http.MethodGet, Path: "/hospitals/{hospital}/payments/undecided", Right: clinic.Refunding, Shows: true,
		Title: "payments and refunds that wait for a person, the oldest first"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Limit int `query:"limit" default:"50" minimum:"1" maximum:"200"`
		}) (*clinic.Out[Undecidable], error) {
			all, err := s.Undecided(ctx, in.Hospital.Hospital, in.Limit)
			patients := []string{}
			for _, a := range all.Attempts {
				patients = append(patients, a.Patient)
			}
			for _, r := range all.Refunds {
				patients = append(patients, r.Patient)
			}
			clinic.About(ctx, fmt.Sprintf("%d payments and refunds", len(patients)), patients...)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-payment-decide", Method: http.MethodPost, Path: "/hospitals/{hospital}/payments/{channel}/{no}/decide", Right: clinic.Refunding, Shows: true,
		Title: "decide about a payment that nobody else can",
		Doc:   "`ask` asks the channel once more; `nothing_came` ends one whose channel never answers, after its desk said so; `give_back` returns money of another amount."},
		func(ctx context.Context, p clinic.Person, in *struct {
			HospitalPath
			Channel string `path:"channel" maxLength:"20"`
			Body    struct {
				Decision PaymentDecision `json:"decision" enum:"ask,nothing_came,give_back"`
				Note     string          `json:"note" minLength:"1" maxLength:"200"`
			}
		}) (*clinic.Out[Attempt], error) {
			a, err := s.Resolve(ctx, p, in.Hospital.Hospital, core.Channel(in.Channel), in.No, in.Body.Decision, in.Body.Note)
			clinic.About(ctx, "order "+a.OrderNo, a.Patient)
			clinic.Because(ctx, in.Body.Note)
			return clinic.Reply(a, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-refund-decide", Method: http.MethodPost, Path: "/hospitals/{hospital}/refunds/{no}/decide", Right: clinic.Refunding, Shows: true,
		Title: "decide about a refund", Doc: "Who proposed it does not approve it. `again` and `drop` are for one that the channel refused."},
		func(ctx context.Context, p clinic.Person, in *struct {
			HospitalPath
			Body struct {
				Decision Decision `json:"decision" enum:"approve,decline,again,drop"`
			}
		}) (*clinic.Out[Refund], error) {
			return replyRefund(ctx)(s.Decide(ctx, p, in.Hospital.Hospital, in.No, in.Body.Decision))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-payment-setting", Method: http.MethodPut, Path: "/hospitals/{hospital}/payment-setting", Right: clinic.Directory, Status: http.StatusNoContent,
		Title: "how much goes back without a second person"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Body struct {
				RefundAlone core.Fen `json:"refund_alone" minimum:"0" maximum:"10000000" doc:"fen, of one order in all"`
			}
		}) (*struct{}, error) {
			return nil, s.RefundAlone(ctx, in.Hospital.Hospital, in.Body.RefundAlone)
		})
}

func (s *Service) books(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-journal", Method: http.MethodGet, Path: "/hospitals/{hospital}/journal", Right: clinic.Books,
		Title: "the journal of money, in its order", Doc: "`after` is the last posting of the page before. The entries of a posting sum to 0."},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			After int64 `query:"after" minimum:"0"`
			Limit int   `query:"limit" default:"100" minimum:"1" maximum:"1000"`
		}) (*clinic.Out[[]Posting], error) {
			return clinic.Reply(s.Journal(ctx, in.Hospital.Hospital, in.After, in.Limit))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-trial-balance", Method: http.MethodGet, Path: "/hospitals/{hospital}/trial-balance", Right: clinic.Books,
		Title: "what every account comes to", Doc: "The balances sum to 0. `channel:…` is what the channel has for us: paid less given back."},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Until time.Time `query:"until" doc:"exclusive; missing: now"`
		}) (*clinic.Out[[]Balance], error) {
			if in.Until.IsZero() {
				in.Until = time.Now().Add(time.Hour) // the database's clock dates postings
			}
			return clinic.Reply(s.TrialBalance(ctx, in.Hospital.Hospital, in.Until))
		})
}

// Undecided are a hospital's payments and refunds that wait for a person.
func (s *Service) Undecided(ctx context.Context, hospital string, limit int) (u Undecidable, err error) {
	if u.Attempts, err = many(ctx, s.Database, `hospital = $1 and state in ('unknown', 'review') order by id limit $2`, hospital, limit); err != nil {
		return u, err
	}
	u.Refunds, err = s.refunds(ctx, s.Database, `hospital = $1 and state in ('requested', 'failed', 'unknown') order by created_at limit $2`, hospital, limit)
	return u, err
}

// PaymentDecision of a person about a payment.
type PaymentDecision string

// The decisions.
const (
	AskOnce     PaymentDecision = "ask"
	NothingCame PaymentDecision = "nothing_came"
	SendBack    PaymentDecision = "give_back"
)

// Resolve does what a person decides about a payment that is unknown or in review.
func (s *Service) Resolve(ctx context.Context, p clinic.Person, hospital string, c core.Channel, no string, d PaymentDecision, note string) (Attempt, error) {
	a, err := one(ctx, s.Database, `channel = $1 and no = $2 and hospital = $3`, c, no, hospital)
	if err != nil {
		return a, err
	}
	if d == AskOnce || d == NothingCame { // also before nothing came: the channel may have found its voice
		if a, err = s.askAgain(ctx, a); err != nil || d == AskOnce {
			return a, err
		}
	}
	sealed, err := s.Vault.Seal([]byte(note), "payment note", a.No)
	if err != nil {
		return a, err
	}
	err = s.hold(ctx, a, func(tx pgx.Tx, outbox core.Outbox, o order.Order, now Attempt) (err error) {
		a = now
		if _, err := tx.Exec(ctx, `update pay.attempt set decided_by = $2, note = $3 where id = $1`, a.id, p.Account, sealed); err != nil {
			return err
		}
		switch {
		case d == NothingCame && (a.State == Undecided || a.State == Review && a.Got == 0):
			return s.close(ctx, tx, o, &a)
		case d == SendBack && a.State == Review && a.Got > 0:
			if a, err = s.move(ctx, tx, a, Stray, `next_at = null`); err != nil {
				return err
			}
			return s.sendBack(ctx, tx, outbox, a, unallocated, "金额不符，原路退回")
		}
		return fmt.Errorf("decide payment: %w: it is %s", clinic.ErrState, a.State)
	})
	return a, err
}

// askAgain asks the channel about a payment that a person looks at.
func (s *Service) askAgain(ctx context.Context, a Attempt) (Attempt, error) {
	if a.State != Review || a.Got > 0 {
		return s.Settle(ctx, a)
	}
	channel, err := s.Accounts.Account(ctx, a.Hospital, a.Channel)
	if err != nil {
		return a, err
	}
	if said := channel.Query(ctx, a.No); said.State == Paid {
		return s.Said(ctx, a, said)
	}
	return a, nil
}
