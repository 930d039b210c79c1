package prescription

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"hishub/core"
	"hishub/platform/clinic"
)

// Path names what an endpoint is about. Embedded, it must be exported for huma to fill it.
type Path struct {
	clinic.Hospital
	No string `path:"no" maxLength:"64" doc:"prescription number"`
}

// Routes registers the module's endpoints. Who may call them for which hospital
// is decided before they are reached.
func (s *Service) Routes(api huma.API) {
	huma.Register(api, clinic.Operation("thin-prescription-sign", http.MethodPost, "/prescriptions", "sign a prescription, or the next revision of a rejected one", http.StatusCreated),
		func(ctx context.Context, in *struct {
			clinic.Hospital
			Body core.Prescription
		}) (*clinic.Out[Rx], error) {
			return clinic.Reply(s.Sign(ctx, in.Hospital.Hospital, in.Body))
		})
	huma.Register(api, clinic.Operation("thin-prescription-review", http.MethodPost, "/prescriptions/{no}/review", "approve or reject, as a pharmacist", http.StatusOK),
		func(ctx context.Context, in *struct {
			Path
			Body Verdict
		}) (*clinic.Out[Rx], error) {
			return clinic.Reply(s.Review(ctx, in.Hospital.Hospital, in.No, in.Body))
		})
	huma.Register(api, clinic.Operation("thin-prescription-void", http.MethodPost, "/prescriptions/{no}/void", "take a prescription back", http.StatusOK),
		func(ctx context.Context, in *struct {
			Path
			Body struct {
				Operator string `json:"operator" maxLength:"64" doc:"who voids it"`
				Reason   string `json:"reason" minLength:"1" maxLength:"200"`
			}
		}) (*clinic.Out[Rx], error) {
			return clinic.Reply(s.Void(ctx, in.Hospital.Hospital, in.No, in.Body.Operator, in.Body.Reason))
		})
	huma.Register(api, clinic.Operation("thin-prescription-get", http.MethodGet, "/prescriptions/{no}", "state of a prescription", http.StatusOK),
		func(ctx context.Context, in *Path) (*clinic.Out[Rx], error) {
			return clinic.Reply(s.Get(ctx, in.Hospital.Hospital, in.No))
		})
}
