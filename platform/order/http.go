package order

import (
	"context"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/platform/clinic"
)

// Path names an order. Embedded, it must be exported for huma to fill it.
type Path struct {
	No string `path:"no" maxLength:"64" doc:"order number"`
}

// Routes registers the module's endpoints.
func (s *Service) Routes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-order-list", Method: http.MethodGet, Path: "/orders", Right: clinic.OwnRecords, Shows: true,
		Title: "one's own orders, newest first", Doc: "`before` is the last number of the page before."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Before string `query:"before" maxLength:"64"`
			Limit  int    `query:"limit" default:"20" minimum:"1" maximum:"100"`
		}) (*clinic.Out[[]Order], error) {
			all, err := s.List(ctx, p.Account, in.Before, in.Limit)
			patients := make([]string, len(all))
			for i, o := range all {
				patients[i] = o.Patient
			}
			clinic.About(ctx, fmt.Sprintf("%d orders", len(all)), patients...)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-order-get", Method: http.MethodGet, Path: "/orders/{no}", Right: clinic.OwnRecords, Shows: true,
		Title: "one of one's own orders"},
		func(ctx context.Context, p clinic.Person, in *Path) (*clinic.Out[Order], error) {
			return clinic.Reply(s.own(ctx, p, in.No))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-order-cancel", Method: http.MethodPost, Path: "/orders/{no}/cancel", Right: clinic.OwnRecords, Shows: true,
		Title: "take back an order that is not paid"},
		func(ctx context.Context, p clinic.Person, in *Path) (*clinic.Out[Order], error) {
			o, err := s.own(ctx, p, in.No)
			if err != nil {
				return clinic.Reply(o, err)
			}
			err = s.Transact(ctx, o.Hospital, func(tx pgx.Tx, outbox core.Outbox) error {
				o, err = s.Close(ctx, tx, outbox, in.No, "taken back", false)
				return err
			})
			return clinic.Reply(o, err)
		})
}

// own is an order of the person's own; another's does not exist for him.
func (s *Service) own(ctx context.Context, p clinic.Person, no string) (Order, error) {
	o, err := s.Get(ctx, no)
	if err == nil && o.Account != p.Account {
		return Order{}, clinic.ErrNotFound
	}
	clinic.About(ctx, "order "+no, o.Patient)
	return o, err
}
