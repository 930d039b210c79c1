package pay

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"hishub/core"
	"hishub/platform/clinic"
)

// Undecidable are what waits for a person.
type Undecidable struct {
	Attempts []Attempt `json:"attempts" doc:"unknown, of another amount, or refused by the HIS for good with money that did not go back"`
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
		Doc:   "`ask` asks the channel once more; `nothing_came` ends one whose channel never answers, after its desk said so; `give_back` returns money of another amount, or that the HIS refused for good."},
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
				Note     string   `json:"note,omitempty" maxLength:"200" doc:"why; it is kept in the audit"`
			}
		}) (*clinic.Out[Refund], error) {
			if in.Body.Note != "" {
				clinic.Because(ctx, in.Body.Note)
			}
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
			Order   string    `query:"order" maxLength:"64"`
			Account string    `query:"account" maxLength:"64" example:"channel:wechat"`
			Fact    string    `query:"fact" enum:"paid,stray,unallocated,refund,given_up,returned"`
			From    time.Time `query:"from" doc:"inclusive"`
			To      time.Time `query:"to" doc:"exclusive"`
			After   int64     `query:"after" minimum:"0"`
			Limit   int       `query:"limit" default:"100" minimum:"1" maximum:"1000"`
		}) (*clinic.Out[[]Posting], error) {
			f := JournalFilter{Order: in.Order, Account: in.Account, Fact: in.Fact, From: in.From, To: in.To, After: in.After, Limit: in.Limit}
			return clinic.Reply(s.Journal(ctx, in.Hospital.Hospital, f))
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
	clinic.Register(api, clinic.Endpoint{ID: "clinic-trial-balance-days", Method: http.MethodGet, Path: "/hospitals/{hospital}/trial-balance/days", Right: clinic.Books,
		Title: "what every account moved on each day", Doc: "Missing days are the last thirty; 92 at most. An account that did not move on a day is left out; the debits of a day are its credits."},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			From string `query:"from" maxLength:"10" example:"2026-01-01"`
			To   string `query:"to" maxLength:"10" example:"2026-01-31" doc:"inclusive"`
		}) (*clinic.Out[[]DayBalance], error) {
			return clinic.Reply(s.BalanceByDay(ctx, in.Hospital.Hospital, in.From, in.To))
		})
}

// Period of a list, and its page. Embedded, it must be exported for huma to fill it.
type Period struct {
	Order  string    `query:"order" maxLength:"64" doc:"order number"`
	From   time.Time `query:"from" doc:"begun at or after"`
	To     time.Time `query:"to" doc:"begun before"`
	Before string    `query:"before" maxLength:"100" doc:"next of the page before"`
	Limit  int       `query:"limit" default:"50" minimum:"1" maximum:"200"`
}

func (p Period) filter() Filter {
	return Filter{Order: p.Order, From: p.From, To: p.To, Before: p.Before, Limit: p.Limit}
}

func (s *Service) lists(api *clinic.API) {
	clinic.Register(api, clinic.Endpoint{ID: "clinic-payment-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/payments", Right: clinic.Refunding, Shows: true,
		Title: "payments, the newest first", Doc: "`told=stuck`: telling the HIS is parked; `told=go_back`: it refused for good."},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			State   string `query:"state" enum:"created,sent,unknown,succeeded,failed,closed,stray,review"`
			Told    Told   `query:"told" enum:"telling,told,stuck,go_back"`
			Channel string `query:"channel" maxLength:"20"`
			Period
		}) (*clinic.Out[AttemptPage], error) {
			f := in.filter()
			f.State, f.Told, f.Channel = in.State, in.Told, core.Channel(in.Channel)
			page, err := s.Attempts(ctx, in.Hospital.Hospital, f)
			patients := make([]string, len(page.Attempts))
			for i, a := range page.Attempts {
				patients[i] = a.Patient
			}
			clinic.About(ctx, fmt.Sprintf("%d payments", len(patients)), patients...)
			return clinic.Reply(page, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-payment-get", Method: http.MethodGet, Path: "/hospitals/{hospital}/payments/{channel}/{no}", Right: clinic.Refunding, Shows: true,
		Title: "all about the order of a payment: attempts, refunds, postings"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			HospitalPath
			Channel string `path:"channel" maxLength:"20"`
		}) (*clinic.Out[OrderMoney], error) {
			w, err := s.Of(ctx, in.Hospital.Hospital, core.Channel(in.Channel), in.No)
			if err == nil {
				clinic.About(ctx, "order "+w.Attempts[0].OrderNo, w.Attempts[0].Patient)
			}
			return clinic.Reply(w, err)
		})
	clinic.Register(api, clinic.Endpoint{ID: "clinic-refund-list", Method: http.MethodGet, Path: "/hospitals/{hospital}/refunds", Right: clinic.Refunding, Shows: true,
		Title: "refunds, the newest first"},
		func(ctx context.Context, _ clinic.Person, in *struct {
			clinic.Hospital
			State  string `query:"state" enum:"requested,declined,approved,sent,unknown,succeeded,failed,dropped"`
			Told   Told   `query:"told" enum:"telling,told,stuck,go_back"`
			Origin Origin `query:"origin" enum:"patient,desk,window,clinic,stray,refused"`
			Period
		}) (*clinic.Out[RefundPage], error) {
			f := in.filter()
			f.State, f.Told, f.Origin = in.State, in.Told, in.Origin
			page, err := s.Refunds(ctx, in.Hospital.Hospital, f)
			patients := make([]string, len(page.Refunds))
			for i, r := range page.Refunds {
				patients[i] = r.Patient
			}
			clinic.About(ctx, fmt.Sprintf("%d refunds", len(patients)), patients...)
			return clinic.Reply(page, err)
		})
}
