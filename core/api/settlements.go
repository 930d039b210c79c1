package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"hishub/core"
	"hishub/core/reconcile"
)

// Receipts keeps what arrived where money goes: at the bank, and with patients.
type Receipts interface {
	SaveSettlement(ctx context.Context, s reconcile.Settlement) error
	Settlements(ctx context.Context, hospital, from, to string) ([]reconcile.Settlement, error)
	Refunds(ctx context.Context, hospital string, from, to time.Time) ([]reconcile.RefundLine, error)
}

type newSettlement struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	Body     struct {
		Channel   core.Channel `json:"channel" enum:"wechat,alipay,unionpay,insurance,bank,cash"`
		Day       string       `json:"day" maxLength:"10" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" patternDescription:"a date like 2026-01-05" doc:"the business day that it settles"`
		Amount    core.Fen     `json:"amount" doc:"fen; negative when the channel took money back"`
		Reference string       `json:"reference" minLength:"1" maxLength:"64" doc:"the bank's own number; the same again of one channel replaces it, and what it replaced stays in the list"`
	}
}

type settlementQuery struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	From     string `query:"from" required:"true" maxLength:"10" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" patternDescription:"a date like 2026-01-05" doc:"the first business day"`
	To       string `query:"to" required:"true" maxLength:"10" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" patternDescription:"a date like 2026-01-05" doc:"the last one; at most 92 days"`
}

type settlementList struct {
	Body struct {
		Settlements []reconcile.Settlement `json:"settlements"`
	}
}

func (a *api) settlements() {
	register(a, operation{
		id: "record-settlement", method: http.MethodPost, path: "/v1/hospitals/{hospital}/settlements", right: maySettle, tag: "Nights",
		title: "Record what the bank received from a channel", doc: "The day's report holds it against the channel's bill, net of its fee.", status: http.StatusNoContent,
	}, func(ctx context.Context, rq *request, in *newSettlement) (*struct{}, error) {
		if _, err := a.place(ctx, in.Hospital); err != nil { // unknown hospitals have no bank
			return nil, err
		}
		if err := reconcile.KnownDay("day", in.Body.Day); err != nil {
			return nil, err
		}
		reference := strings.TrimSpace(in.Body.Reference)
		if reference == "" {
			return nil, invalid(core.Problems{{Field: "reference", What: "missing"}})
		}
		return nil, a.Store.SaveSettlement(ctx, reconcile.Settlement{
			Hospital: in.Hospital, Channel: in.Body.Channel, Day: in.Body.Day, Amount: in.Body.Amount, Reference: reference, Who: rq.who(),
		})
	})
	register(a, operation{
		id: "list-settlements", method: http.MethodGet, path: "/v1/hospitals/{hospital}/settlements", right: mayRunNight, tag: "Nights",
		title: "List what the bank received",
	}, func(ctx context.Context, rq *request, in *settlementQuery) (*settlementList, error) {
		if _, err := reconcile.Span("query.from", in.From, "query.to", in.To); err != nil {
			return nil, err
		}
		all, err := a.Store.Settlements(ctx, in.Hospital, in.From, in.To)
		out := &settlementList{}
		out.Body.Settlements = append([]reconcile.Settlement{}, all...)
		return out, err
	})
}
