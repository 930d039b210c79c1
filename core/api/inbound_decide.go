package api

import (
	"context"
	"fmt"
	"net/http"

	"hishub/core"
	"hishub/core/inbound"
	"hishub/core/postgres"
)

type decidedInbound struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Decision core.ResultState `json:"decision" enum:"done,refused" doc:"done: the money goes back, or went; refused: it does not"`
		RefundNo string           `json:"refund_no,omitempty" maxLength:"64" doc:"your number of the refund, which the HIS gets; with done"`
		Words    string           `json:"words,omitempty" maxLength:"200" doc:"to the people at the window; with refused"`
		Note     string           `json:"note,omitempty" maxLength:"500" doc:"why, for the record"`
	}
}

func (in *decidedInbound) check() error {
	var ps core.Problems
	switch done := in.Body.Decision == core.ResultDone; {
	case done && in.Body.RefundNo == "":
		ps = append(ps, core.Problem{Field: "refund_no", What: "missing: under which number does the money go back?"})
	case done && in.Body.Words != "":
		ps = append(ps, core.Problem{Field: "words", What: "only with refused: what is done is answered with its number"})
	case !done && in.Body.Words == "":
		ps = append(ps, core.Problem{Field: "words", What: "missing: why not? the people at the window read it"})
	case !done && in.Body.RefundNo != "":
		ps = append(ps, core.Problem{Field: "refund_no", What: "only with done"})
	}
	return ps.OrNil()
}

// decideInbound is for a platform that has its money elsewhere: who took it decides whether
// it goes back.
func (a *api) decideInbound() {
	register(a, operation{
		id: "decide-inbound", method: http.MethodPost, path: "/v1/inbound/{id}/decision", right: maySubmit, tag: "Inbound",
		title: "Decide what a HIS asked", errors: []int{409},
		doc: "A refund at the hospital's window (`refund.apply`) of a payment that you handed in stays open for you: the event `inbound.refund.apply` tells of it. " +
			"Give the money back, then say `done` with your number, or `refused` with words. The HIS gets that within its time if you are fast, else when it asks again. " +
			"The first decision stays; the same again is the same. Of payments that the clinic here took, the clinic decides.",
	}, func(ctx context.Context, rq *request, in *decidedInbound) (*struct{ Body Inbound }, error) {
		found, body, err := a.Store.InboundByID(ctx, in.ID)
		if err == nil && !rq.caller.Sees(found.Hospital) {
			err = postgres.ErrNotFound
		}
		if err == nil {
			err = in.check()
		}
		if err != nil {
			return nil, err
		}
		refund, ok := body.(*core.WindowRefund)
		switch {
		case found.Kind != core.RefundApply:
			return nil, problem("state", fmt.Sprintf("a %s is done by being kept", found.Kind))
		case !ok:
			return nil, problem("state", "its content is past its retention")
		}
		if found.State == "open" && a.Mine != nil {
			mine, err := a.Mine(ctx, found.Hospital, refund)
			if err != nil {
				return nil, err
			}
			if mine {
				return nil, problem("state", "the clinic took that payment, and decides about it")
			}
		}
		said := core.Resolution{State: in.Body.Decision, Message: in.Body.Words}
		if said.State == core.ResultDone {
			said.Answer = &core.Receipt{Number: in.Body.RefundNo, Amount: &refund.Amount}
		}
		fact := inbound.Fact{Hospital: found.Hospital, Kind: found.Kind, Body: body}
		now, first, err := a.Store.DecideAs(ctx, in.ID, fact, said, rq.who(), in.Body.Note)
		if err != nil {
			return nil, err
		}
		if !first && !sameDecision(now, said) {
			return nil, problem("state", fmt.Sprintf("it was decided before: %s", now.State))
		}
		found, _, err = a.Store.InboundByID(ctx, in.ID)
		return &struct{ Body Inbound }{Inbound(found)}, err
	})
}

func sameDecision(a, b core.Resolution) bool {
	number := func(r core.Resolution) string {
		if receipt, ok := r.Answer.(*core.Receipt); ok && receipt != nil {
			return receipt.Number
		}
		return ""
	}
	return a.State == b.State && a.Message == b.Message && number(a) == number(b)
}
