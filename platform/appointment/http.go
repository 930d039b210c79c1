package appointment

import (
	"context"
	"fmt"
	"net/http"

	"hishub/platform/clinic"
)

// OwnPath names something of one's own.
type OwnPath struct {
	No string `path:"no" maxLength:"64" doc:"its number"`
}

// Path names an appointment at a hospital. Embedded, it must be exported for huma to fill it.
type Path struct {
	clinic.Hospital
	No string `path:"no" maxLength:"64" doc:"appointment number"`
}

// SessionPath names a clinic session.
type SessionPath struct {
	clinic.Hospital
	No string `path:"no" maxLength:"100" doc:"our number of the session"`
}

// Routes registers the module's endpoints.
func (s *Service) Routes(api *clinic.API) {
	s.tickets(api)
	s.patients(api)
	s.waiting(api)
	s.deskRoutes(api)
	s.planRoutes(api)
}

func (s *Service) tickets(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-ticket-ask", Method: http.MethodPost, Path: "/hospitals/{hospital}/tickets", Right: clinic.OwnRecords, Shows: true, Status: http.StatusAccepted,
		Title: "ask for a place of a clinic session", Doc: "Answered by a ticket at once; what becomes of it is told live, and read at `/clinic/v1/tickets/{no}`. The same `request` again is the same ticket."},
		func(ctx context.Context, p clinic.Person, in *struct {
			clinic.Hospital
			Body Wish
		}) (*clinic.Out[Ticket], error) {
			return ticketReply(ctx)(s.Request(ctx, p, in.Hospital.Hospital, in.Body))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-ticket-get", Method: http.MethodGet, Path: "/tickets/{no}", Right: clinic.OwnRecords, Shows: true,
		Title: "what became of one's ticket, or its place in the line"},
		func(ctx context.Context, p clinic.Person, in *OwnPath) (*clinic.Out[Ticket], error) {
			return ticketReply(ctx)(s.OwnTicket(ctx, p.Account, in.No))
		})
}

func (s *Service) patients(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-appointment-own", Method: http.MethodGet, Path: "/appointments", Right: clinic.OwnRecords, Shows: true,
		Title: "one's own appointments, newest first", Doc: "`before` is the last number of the page before."},
		func(ctx context.Context, p clinic.Person, in *struct {
			Before string `query:"before" maxLength:"64"`
			Limit  int    `query:"limit" default:"20" minimum:"1" maximum:"100"`
		}) (*clinic.Out[[]Appointment], error) {
			all, err := s.OfAccount(ctx, p.Account, in.Before, in.Limit)
			about(ctx, all)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-appointment-own-get", Method: http.MethodGet, Path: "/appointments/{no}", Right: clinic.OwnRecords, Shows: true,
		Title: "one of them"},
		func(ctx context.Context, p clinic.Person, in *OwnPath) (*clinic.Out[Appointment], error) {
			return reply(ctx)(s.Own(ctx, p.Account, in.No))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-appointment-cancel", Method: http.MethodPost, Path: "/appointments/{no}/cancel", Right: clinic.OwnRecords, Shows: true,
		Title: "cancel it; what was paid goes back", Doc: "A paid one until the hospital's limit before it begins."},
		func(ctx context.Context, p clinic.Person, in *OwnPath) (*clinic.Out[Appointment], error) {
			return reply(ctx)(s.Cancel(ctx, p, in.No))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-appointment-reschedule", Method: http.MethodPost, Path: "/appointments/{no}/reschedule", Right: clinic.OwnRecords, Shows: true,
		Title: "move it to another session of the hospital", Doc: "The answer is the appointment that holds the new place: the same one where nothing is to be paid anew, else a new one to be paid, and the money of the old one goes back."},
		func(ctx context.Context, p clinic.Person, in *struct {
			OwnPath
			Body struct {
				Session string `json:"session" minLength:"1" maxLength:"100" doc:"our number of the session"`
			}
		}) (*clinic.Out[Appointment], error) {
			return reply(ctx)(s.Reschedule(ctx, p, in.No, in.Body.Session))
		})
}

func (s *Service) waiting(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-waitlist-join", Method: http.MethodPost, Path: "/hospitals/{hospital}/sessions/{no}/waitlist", Right: clinic.OwnRecords, Shows: true, Status: http.StatusCreated,
		Title: "wait for a place of a session that is full", Doc: "A place that becomes free is held for who waits the longest, with its order, and told live."},
		func(ctx context.Context, p clinic.Person, in *struct {
			SessionPath
			Body struct {
				Patient string `json:"patient" minLength:"1" maxLength:"64" doc:"our number"`
				Channel string `json:"channel,omitempty" maxLength:"20" default:"app"`
			}
		}) (*clinic.Out[Waiter], error) {
			return waiterReply(ctx)(s.Wait(ctx, p, in.Hospital.Hospital, in.No, in.Body.Patient, in.Body.Channel))
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-waitlist-own", Method: http.MethodGet, Path: "/waitlist", Right: clinic.OwnRecords, Shows: true,
		Title: "where one's patients wait, or waited"},
		func(ctx context.Context, p clinic.Person, _ *struct{}) (*clinic.Out[[]Waiter], error) {
			all, err := s.Waits(ctx, p.Account)
			patients := make([]string, len(all))
			for i, w := range all {
				patients[i] = w.Patient
			}
			clinic.About(ctx, fmt.Sprintf("%d in waiting lists", len(all)), patients...)
			return clinic.Reply(all, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-waitlist-leave", Method: http.MethodDelete, Path: "/waitlist/{no}", Right: clinic.OwnRecords, Shows: true,
		Title: "wait no more"},
		func(ctx context.Context, p clinic.Person, in *OwnPath) (*clinic.Out[Waiter], error) {
			return waiterReply(ctx)(s.Leave(ctx, p.Account, in.No))
		})
}

func ticketReply(ctx context.Context) func(Ticket, error) (*clinic.Out[Ticket], error) {
	return func(t Ticket, err error) (*clinic.Out[Ticket], error) {
		clinic.About(ctx, "ticket "+t.No, t.Patient)
		return clinic.Reply(t, err)
	}
}

func waiterReply(ctx context.Context) func(Waiter, error) (*clinic.Out[Waiter], error) {
	return func(w Waiter, err error) (*clinic.Out[Waiter], error) {
		clinic.About(ctx, "waiting list "+w.No, w.Patient)
		return clinic.Reply(w, err)
	}
}

// reply names the appointment for the audit.
func reply(ctx context.Context) func(Appointment, error) (*clinic.Out[Appointment], error) {
	return func(a Appointment, err error) (*clinic.Out[Appointment], error) {
		clinic.About(ctx, "appointment "+a.No, a.Patient)
		return clinic.Reply(a, err)
	}
}

func about(ctx context.Context, all []Appointment) {
	patients := make([]string, len(all))
	for i, a := range all {
		patients[i] = a.Patient
	}
	clinic.About(ctx, fmt.Sprintf("%d appointments", len(all)), patients...)
}
