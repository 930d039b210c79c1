package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"hishub/core"
	"hishub/core/postgres"
)

// Outbox accepts messages. When it returns, the message is durable.
type Outbox interface {
	EnqueueAs(ctx context.Context, hospital string, m core.Message, c postgres.EnqueueOptions) (core.Accepted, error)
}

// submission of a message whose content is a T.
type submission[T any] struct {
	Hospital       string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	Lane           string `query:"lane" maxLength:"64" doc:"keeps its order with the other messages of this lane; by default the visit, or the order where there is no visit"`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"200" doc:"the same key with the same request gives the first answer again for a day"`
	Traceparent    string `header:"traceparent" maxLength:"200" doc:"W3C trace context, kept with the message"`
	Body           canonical[T]
}

// accepted is the answer to a submission.
type accepted struct {
	Location string `header:"Location" doc:"the message's address"`
	Replayed string `header:"Idempotency-Replayed" doc:"true when this is the stored answer of an earlier request"`
	Body     Accepted
}

// Accepted names a message that will be delivered.
type Accepted struct {
	ID        int64  `json:"id" example:"4711"`
	Address   string `json:"address" example:"/v1/messages/4711"`
	Duplicate bool   `json:"duplicate" doc:"the same message was accepted before; nothing new happens"`
}

func (a *api) submissions() {
	submits[core.Patient](a, core.PatientRegister)
	submits[core.SlotLock](a, core.AppointmentLock)
	submits[core.SlotRelease](a, core.AppointmentUnlock)
	submits[core.Appointment](a, core.AppointmentBook)
	submits[core.AppointmentPayment](a, core.AppointmentPay)
	submits[core.AppointmentCancelling](a, core.AppointmentCancel)
	submits[core.Prescription](a, core.PrescriptionCreate)
	submits[core.PrescriptionVoiding](a, core.PrescriptionVoid)
	submits[core.Dispense](a, core.DispenseReport)
	submits[core.Order](a, core.OrderCreate)
	submits[core.OrderCancelling](a, core.OrderCancel)
	submits[core.Payment](a, core.PaymentSettle)
	submits[core.Refund](a, core.RefundCreate)
	submits[core.Invoice](a, core.InvoiceIssue)
}

// submits adds the operation that takes messages of a kind.
func submits[T any](a *api, kind core.Kind) {
	t, _ := core.Lookup(kind)
	register(a, operation{
		id: "submit-" + dashed(kind), method: http.MethodPost, path: "/v1/hospitals/{hospital}/messages/" + string(kind),
		right: maySubmit, tag: "Messages", title: sentence(t.Title), status: http.StatusAccepted, errors: []int{409}, itself: true,
		doc: "Answered once the message is durable. The business key de-duplicates for ever: the same content again is the same message (`duplicate`), other content is a conflict.",
	}, func(ctx context.Context, rq *request, in *submission[T]) (*accepted, error) {
		m := core.Message{Kind: kind, Body: in.Body.body(), Lane: in.Lane}
		accept := func() (Accepted, error) {
			got, err := a.Store.EnqueueAs(ctx, in.Hospital, m, postgres.EnqueueOptions{Trace: trace(in.Traceparent)})
			return Accepted{got.ID, messageAddress(got.ID), got.Duplicate}, err
		}
		if in.IdempotencyKey == "" {
			got, err := accept()
			return &accepted{Location: got.Address, Body: got}, err
		}
		return a.idempotent(ctx, rq, in.IdempotencyKey, in.Hospital, m, accept)
	})
}

func messageAddress(id int64) string { return fmt.Sprintf("/v1/messages/%d", id) }

// trace keeps only what has the form of a traceparent.
func trace(parent string) string {
	if len(parent) < 55 || strings.Trim(parent, "0123456789abcdef-") != "" {
		return ""
	}
	return parent[:55]
}

func dashed(kind core.Kind) string { return strings.ReplaceAll(string(kind), ".", "-") }

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
