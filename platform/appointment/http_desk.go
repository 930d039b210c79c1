package appointment

import (
	"context"
	"fmt"
	"net/http"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/schedule"
)

// Entry of a session's list at the desk: the patient's name is masked.
type Entry struct {
	Appointment
	Name       string `json:"name" doc:"masked"`
	HisProblem string `json:"his_problem,omitempty" doc:"what the hub says of telling the HIS"`
}

func entry(a Appointment) Entry { return Entry{a, core.MaskName(a.him.Name), a.hisProblem} }

func (s *Service) deskRoutes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-appointment-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/sessions/{no}/appointments", Right: clinic.CheckIn, Shows: true,
		Title: "the appointments of a session, in the order in which they were made", Doc: "At most 500."},
		func(ctx context.Context, _ clinic.Person, in *SessionPath) (*clinic.Out[[]Entry], error) {
			all, err := s.OfSession(ctx, in.Hospital.Hospital, in.No)
			about(ctx, all)
			entries := make([]Entry, len(all))
			for i, a := range all {
				entries[i] = entry(a)
			}
			return clinic.Reply(entries, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-appointment-get", Method: http.MethodGet, Path: "/hospitals/{hospital}/appointments/{no}", Right: clinic.CheckIn, Shows: true,
		Title: "one appointment, at the desk"},
		func(ctx context.Context, _ clinic.Person, in *Path) (*clinic.Out[Entry], error) {
			a, err := s.Get(ctx, in.Hospital.Hospital, in.No)
			clinic.About(ctx, "appointment "+a.No, a.Patient)
			return clinic.Reply(entry(a), err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-appointment-check-in", Method: http.MethodPost, Path: "/hospitals/{hospital}/appointments/{no}/check-in", Right: clinic.CheckIn, Shows: true,
		Title: "the patient is there", Doc: "On the day of the session, until its end."},
		func(ctx context.Context, _ clinic.Person, in *Path) (*clinic.Out[Appointment], error) {
			return reply(ctx)(s.CheckIn(ctx, in.Hospital.Hospital, in.No))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-appointment-done", Method: http.MethodPost, Path: "/hospitals/{hospital}/appointments/{no}/done", Right: clinic.CheckIn, Shows: true,
		Title: "the doctor has seen the patient"},
		func(ctx context.Context, _ clinic.Person, in *Path) (*clinic.Out[Appointment], error) {
			return reply(ctx)(s.Finish(ctx, in.Hospital.Hospital, in.No))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-appointment-cancel-for", Method: http.MethodPost, Path: "/hospitals/{hospital}/appointments/{no}/cancel", Right: clinic.PlanClinics, Shows: true,
		Title: "cancel an appointment for the hospital; what was paid goes back"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			Path
			Body struct {
				Reason string `json:"reason" minLength:"1" maxLength:"200" doc:"the patient reads it"`
			}
		}) (*clinic.Out[Appointment], error) {
			return reply(ctx)(s.CancelFor(ctx, in.Hospital.Hospital, in.No, in.Body.Reason))
		})
}

func (s *Service) planRoutes(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-session-stop-preview", Method: http.MethodGet, Path: "/hospitals/{hospital}/sessions/{no}/stop", Right: clinic.PlanClinics,
		Title: "what stopping a session would do, or has still to do"},
		func(ctx context.Context, _ clinic.Person, in *SessionPath) (*clinic.Out[Effect], error) {
			return clinic.Reply(s.Preview(ctx, in.Hospital.Hospital, in.No))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-session-stop", Method: http.MethodPost, Path: "/hospitals/{hospital}/sessions/{no}/stop", Right: clinic.PlanClinics, Status: http.StatusAccepted,
		Title: "stop a session, or give it to another doctor", Doc: "Nothing of it is sold any more; everybody is told, and has his money back, within moments. `left` of the preview counts down."},
		func(ctx context.Context, p clinic.Person, in *struct {
			SessionPath
			Body schedule.Stop
		}) (*clinic.Out[Effect], error) {
			return clinic.Reply(s.Stop(ctx, p, in.Hospital.Hospital, in.No, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-appointment-settings-get", Method: http.MethodGet, Path: "/hospitals/{hospital}/appointment-settings", Right: clinic.Anyone,
		Title: "the hospital's rules of appointments"},
		func(ctx context.Context, _ clinic.Person, in *clinic.Hospital) (*clinic.Out[Settings], error) {
			if _, err := s.Place(ctx, in.Hospital); err != nil {
				return clinic.Reply(Settings{}, err)
			}
			return clinic.Reply(s.Settings(ctx, in.Hospital))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-appointment-settings-set", Method: http.MethodPut, Path: "/hospitals/{hospital}/appointment-settings", Right: clinic.PlanClinics,
		Title: "set them"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Body Settings
		}) (*clinic.Out[Settings], error) {
			return clinic.Reply(s.Set(ctx, in.Hospital.Hospital, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-blacklist", Method: http.MethodGet, Path: "/hospitals/{hospital}/blacklist", Right: clinic.PlanClinics, Shows: true,
		Title: "patients who may not book now, because they missed too many appointments"},
		func(ctx context.Context, _ clinic.Person, in *clinic.Hospital) (*clinic.Out[[]Blocked], error) {
			all, err := s.Blacklist(ctx, in.Hospital)
			patients := make([]string, len(all))
			for i, b := range all {
				patients[i] = b.Patient
			}
			clinic.About(ctx, fmt.Sprintf("blacklist of %d", len(all)), patients...)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-blacklist-pardon", Method: http.MethodDelete, Path: "/hospitals/{hospital}/blacklist/{patient}", Right: clinic.PlanClinics, Shows: true, Status: http.StatusNoContent,
		Title: "let a patient book again"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			Patient string `path:"patient" maxLength:"64" doc:"our number"`
		}) (*struct{}, error) {
			clinic.About(ctx, "blacklist", in.Patient)
			return nil, s.Pardon(ctx, in.Hospital.Hospital, in.Patient)
		})
}
