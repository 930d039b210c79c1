package api

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"time"

	"hishub/core"
	"hishub/core/postgres"
)

// Hooks keeps the webhooks.
type Hooks interface {
	AddWebhook(ctx context.Context, w postgres.Webhook) (id int64, err error)
	Webhooks(ctx context.Context) ([]postgres.Webhook, error)
	DisableWebhook(ctx context.Context, id int64, why string) error
	RemoveWebhook(ctx context.Context, id int64) error
}

// Webhook is an address that is told of events.
type Webhook struct {
	ID          int64            `json:"id"`
	URL         string           `json:"url" doc:"with its password hidden"`
	Hospitals   []string         `json:"hospitals,omitempty" doc:"missing: all"`
	Types       []core.EventType `json:"types,omitempty" doc:"missing: all"`
	Cursor      string           `json:"cursor" doc:"of the last event that it took"`
	Failures    int              `json:"failures" doc:"since then"`
	NextAt      time.Time        `json:"next_at"`
	DisabledAt  *time.Time       `json:"disabled_at,omitempty"`
	DisabledWhy string           `json:"disabled_why,omitempty"`
	CreatedAt   time.Time        `json:"created_at"`
}

// NewWebhookAnswer holds a webhook's secret, which is shown this once.
type NewWebhookAnswer struct {
	ID     int64  `json:"id"`
	Secret string `json:"secret" doc:"signs what is sent; shown this once"`
}

type newWebhook struct {
	Body struct {
		URL       string   `json:"url" maxLength:"500" doc:"http or https" example:"https://clinic.example/hishub"`
		Hospitals []string `json:"hospitals,omitempty" maxItems:"1000" doc:"missing: all"`
		Types     []string `json:"types,omitempty" maxItems:"20" enum:"inbound.decided,inbound.refund.apply,inbound.clinic.stop,inbound.prescription.reviewed,inbound.prescription.dispensed,inbound.report.ready,inbound.bill.created,message.accepted,message.refused,message.delivered,message.parked,message.cancelled,message.refund_now,message.superseded,incident.opened,incident.resolved,night.done,night.late,night.failed,replay.ended,replay.stopped" doc:"missing: all"`
		After     *string  `json:"after,omitempty" maxLength:"60" doc:"begin after this cursor, \"\" is the beginning; missing: with what comes from now on"`
	}
}

type webhookList struct {
	Body struct {
		Webhooks []Webhook `json:"webhooks"`
	}
}

type oneWebhook struct {
	ID int64 `path:"id" minimum:"1"`
}

func (a *api) webhooks() {
	register(a, operation{
		id: "create-webhook", method: http.MethodPost, path: "/v1/webhooks", right: mayWebhooks, tag: "Events",
		title: "Be called for events", status: http.StatusCreated,
		doc: "One event a request, as JSON, in order; the next only after a 2xx. Failures are repeated ever more slowly, for three days; then the webhook is disabled. " +
			"Check the header `Hishub-Signature: t=<unix seconds>,v1=<hex>`: v1 is the HMAC-SHA-256 of `<t>.<body>` under the secret; refuse an old t. An event may come twice: its cursor tells.",
	}, func(ctx context.Context, rq *request, in *newWebhook) (*struct{ Body NewWebhookAnswer }, error) {
		if u, err := url.Parse(in.Body.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, invalid(core.Problems{{Field: "url", What: "not an address like https://host/path"}})
		}
		if err := a.known(ctx, in.Body.Hospitals); err != nil {
			return nil, err
		}
		w := postgres.Webhook{URL: in.Body.URL, Hospitals: in.Body.Hospitals, Secret: []byte("whs_" + rand.Text() + rand.Text())}
		for _, t := range in.Body.Types {
			w.Types = append(w.Types, core.EventType(t))
		}
		var err error
		if w.Cursor, err = a.begin(ctx, in.Body.After); err != nil {
			return nil, err
		}
		id, err := a.Store.AddWebhook(ctx, w)
		return &struct{ Body NewWebhookAnswer }{NewWebhookAnswer{id, string(w.Secret)}}, err
	})
	register(a, operation{
		id: "list-webhooks", method: http.MethodGet, path: "/v1/webhooks", right: mayWebhooks, tag: "Events", title: "List the webhooks",
	}, func(ctx context.Context, rq *request, _ *struct{}) (*webhookList, error) {
		all, err := a.Store.Webhooks(ctx)
		out := &webhookList{}
		out.Body.Webhooks = make([]Webhook, 0, len(all))
		for _, w := range all {
			out.Body.Webhooks = append(out.Body.Webhooks, Webhook{
				ID: w.ID, URL: hidden(w.URL), Hospitals: w.Hospitals, Types: w.Types, Cursor: w.Cursor, Failures: w.Failures, NextAt: w.NextAt,
				DisabledAt: w.DisabledAt, DisabledWhy: w.DisabledWhy, CreatedAt: w.CreatedAt,
			})
		}
		return out, err
	})
	register(a, operation{
		id: "enable-webhook", method: http.MethodPost, path: "/v1/webhooks/{id}/enable", right: mayWebhooks, tag: "Events",
		title: "Enable a webhook again", doc: "It goes on where it stopped.", status: http.StatusNoContent,
	}, func(ctx context.Context, rq *request, in *oneWebhook) (*struct{}, error) {
		return nil, a.Store.DisableWebhook(ctx, in.ID, "")
	})
	register(a, operation{
		id: "remove-webhook", method: http.MethodDelete, path: "/v1/webhooks/{id}", right: mayWebhooks, tag: "Events",
		title: "Remove a webhook", status: http.StatusNoContent,
	}, func(ctx context.Context, rq *request, in *oneWebhook) (*struct{}, error) {
		return nil, a.Store.RemoveWebhook(ctx, in.ID)
	})
}

// begin is the cursor of a new webhook; nil is the feed's present end.
func (a *api) begin(ctx context.Context, after *string) (string, error) {
	if after != nil {
		_, _, err := a.Store.Read(ctx, *after, 1)
		if errors.Is(err, postgres.ErrCursor) {
			return "", invalid(core.Problems{{Field: "after", What: "not a cursor of the feed"}})
		}
		return *after, err
	}
	for cursor := ""; ; {
		events, next, err := a.Store.Read(ctx, cursor, longest)
		if err != nil || len(events) < longest {
			return next, err
		}
		cursor = next
	}
}

func hidden(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Redacted()
}
