package payment

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"hishub/platform/clinic"
)

// Path names what an endpoint is about. Embedded, it must be exported for huma to fill it.
type Path struct {
	clinic.Hospital
	OrderID string `path:"order_id" maxLength:"64" doc:"our order number"`
}

// Routes registers the module's endpoints. Who may call them for which hospital
// is decided before they are reached.
func (s *Service) Routes(api huma.API) {
	huma.Register(api, clinic.Operation("thin-payment-pay", http.MethodPost, "/payments", "the channel says that an order was paid; it may say so again", http.StatusCreated),
		func(ctx context.Context, in *struct {
			clinic.Hospital
			Body Paid
		}) (*clinic.Out[Charge], error) {
			return clinic.Reply(s.Pay(ctx, in.Hospital.Hospital, in.Body))
		})
	huma.Register(api, clinic.Operation("thin-payment-refund", http.MethodPost, "/payments/{order_id}/refunds", "the channel says that money went back; it may say so again", http.StatusCreated),
		func(ctx context.Context, in *struct {
			Path
			Body Given
		}) (*clinic.Out[Charge], error) {
			return clinic.Reply(s.Refund(ctx, in.Hospital.Hospital, in.OrderID, in.Body))
		})
	huma.Register(api, clinic.Operation("thin-payment-get", http.MethodGet, "/payments/{order_id}", "state of a payment", http.StatusOK),
		func(ctx context.Context, in *Path) (*clinic.Out[Charge], error) {
			return clinic.Reply(s.Get(ctx, in.Hospital.Hospital, in.OrderID))
		})
}
