package pay

import (
	"context"
	"errors"
	"net/http"

	"hishub/platform/clinic"
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
	s.lists(api)
	s.books(api)
}

func (s *Service) payers(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-pay", Method: http.MethodPost, Path: "/orders/{no}/payments", Right: clinic.OwnRecords, Shows: true, Status: http.StatusCreated,
		Title: "pay an order of one's own", Doc: "Gives what the payer's device needs (`client`). The same again gives the same. 409 with both amounts (`changed`) when the order costs something else than was seen: show it, and ask again with the order's new version. State `unknown`: the channel did not answer; look again."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Path
			clinic.From
			Body Wish
		}) (*clinic.Out[Attempt], error) {
			in.Body.Address = in.From.Address()
			a, err := s.Pay(ctx, p, in.No, in.Body)
			clinic.About(ctx, "order "+in.No, a.Patient)
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
		Title: "ask for money of an order of one's own back", Doc: "Up to the hospital's amount it goes back at once: of an appointment all of it, while it may be cancelled; of drugs whole lines, before they are handed out. Else finance decides (`requested`, and `problem` says why)."},
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
