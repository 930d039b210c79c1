package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"hishub/core"
	"hishub/core/delivery"
)

type asked[Q any] struct {
	Hospital string `path:"hospital" maxLength:"64" doc:"the hospital's id"`
	Now      bool   `query:"now" doc:"ask the HIS, whatever it answered just before"`
	Body     canonical[Q]
}

type answered[A any] struct {
	Body struct {
		Answer answerOf[A] `json:"answer"`
		AsOf   time.Time   `json:"as_of" doc:"when the HIS said so"`
	}
}

// answerOf is the canonical JSON of an A, as it came.
type answerOf[A any] struct{ json.RawMessage }

// Schema implements huma.SchemaProvider.
func (answerOf[A]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[A](), true, "")
}

func (a *api) questions() {
	asks[core.PatientQuery, core.Patients](a, core.PatientFind)
	asks[core.AppointmentQuery, core.Status](a, core.AppointmentStatus)
	asks[core.QueueQuery, core.QueuePlaces](a, core.QueueStatus)
	asks[core.PrescriptionQuery, core.Status](a, core.PrescriptionStatus)
	asks[core.OrderQuery, core.Status](a, core.OrderStatus)
	asks[core.BillQuery, core.Bills](a, core.BillUnpaid)
	asks[core.PaymentQuery, core.Status](a, core.PaymentStatus)
	asks[core.RefundQuery, core.Status](a, core.RefundStatus)
	asks[core.ReportQuery, core.Reports](a, core.ReportList)
	asks[core.ReportQuery, core.Report](a, core.ReportDetail)
	asks[core.DictionaryQuery, core.Departments](a, core.DepartmentList)
	asks[core.DictionaryQuery, core.Doctors](a, core.DoctorList)
	asks[core.DictionaryQuery, core.Schedules](a, core.ScheduleList)
	asks[core.DictionaryQuery, core.Drugs](a, core.DrugList)
	asks[core.DictionaryQuery, core.Stocks](a, core.StockList)
	asks[core.DictionaryQuery, core.Terms](a, core.ICDList)
	asks[core.LedgerQuery, core.LedgerTotals](a, core.LedgerTotal)
	asks[core.LedgerQuery, core.Ledger](a, core.LedgerDetail)
	asks[core.DictionaryQuery, core.SystemTime](a, core.SystemTimeAsk)
}

// asks adds the operation that asks a question of a kind.
func asks[Q, A any](a *api, kind core.Kind) {
	t, _ := core.Lookup(kind)
	doc := "Asked now."
	if t.Keep > 0 {
		doc = "An answer up to " + t.Keep.String() + " old may be served, unless `now` is given; `as_of` says when it was given."
	}
	register(a, operation{
		id: "ask-" + dashed(kind), method: http.MethodPost, path: "/v1/hospitals/{hospital}/questions/" + string(kind),
		right: mayAsk, tag: "Questions", title: sentence(t.Title), errors: []int{502}, doc: doc, itself: true,
	}, func(ctx context.Context, rq *request, in *asked[Q]) (*answered[A], error) {
		answer, asOf, err := a.ask(ctx, in.Now, in.Hospital, kind, in.Body.body())
		if err != nil {
			return nil, unanswered(rq, in.Hospital, err)
		}
		out := &answered[A]{}
		out.Body.Answer.RawMessage, out.Body.AsOf = lists(answer), asOf
		return out, nil
	})
}

// ask is the answer as canonical JSON, and when it was given.
func (a *api) ask(ctx context.Context, now bool, hospital string, kind core.Kind, body core.Body) (json.RawMessage, time.Time, error) {
	if !now {
		return a.Questions.Fresh(ctx, hospital, kind, body)
	}
	answer, err := a.Questions.Question(ctx, hospital, kind, body)
	if err != nil {
		return nil, time.Time{}, err
	}
	text, err := json.Marshal(answer)
	return text, time.Now(), err
}

// lists makes an empty list of what has none: nobody should have to tell null
// from [].
func lists(answer json.RawMessage) json.RawMessage {
	if !bytes.Contains(answer, []byte(":null")) {
		return answer
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(answer, &fields) != nil {
		return answer
	}
	for name, value := range fields {
		if string(value) == "null" {
			fields[name] = json.RawMessage("[]")
		}
	}
	filled, _ := json.Marshal(fields)
	return filled
}

// unanswered says why a HIS gave no answer. The cause goes to the log only.
func unanswered(rq *request, hospital string, err error) error {
	var refusal *delivery.Refusal
	if errors.As(err, &refusal) {
		p := problem("his-refused", "")
		if refusal.ShowPatient || rq.caller.MayAt(mayUnmask, hospital) {
			p.Words = refusal.Words
		}
		return p
	}
	var fault *core.Fault
	if !errors.As(err, &fault) {
		return err
	}
	rq.log.Warn("question not answered", "class", fault.Class, "error", err)
	p := problem("his-unavailable", "")
	if fault.Class == core.Invalid {
		p = problem("his-invalid", "")
	} else {
		p = p.after(max(fault.RetryAfter, time.Second))
		var closed *delivery.Closed
		if errors.As(err, &closed) {
			p.Title, p.Detail = "the hospital is closed", closed.Error()
		}
	}
	p.Class = fault.Class
	return p
}
