package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
)

// Ledger is what became of messages.
type Ledger interface {
	Message(ctx context.Context, id int64) (postgres.Message, []postgres.Attempt, error)
	Circumstances(ctx context.Context, hospitals []string) (map[string]delivery.Circumstances, error)
	List(ctx context.Context, f postgres.Filter, cursor string, limit int) (page []postgres.Message, next string, err error)
	SearchPatient(ctx context.Context, f postgres.Filter, patient, who, purpose, cursor string, limit int) (page []postgres.Message, next string, err error)
	Trace(ctx context.Context, id int64) (postgres.Trace, error)
	Body(ctx context.Context, id int64) (core.Body, error)
	Exchange(ctx context.Context, id int64, number int) ([]postgres.ExchangeBytes, error)
}

// Message is an accepted message. It names no patient.
type Message struct {
	ID           int64           `json:"id"`
	Address      string          `json:"address"`
	Hospital     string          `json:"hospital"`
	Kind         core.Kind       `json:"kind" example:"payment.settle"`
	Key          string          `json:"key" doc:"the business key"`
	Lane         string          `json:"lane"`
	State        delivery.State  `json:"state" enum:"queued,sending,delivered,parked,cancelled"`
	Class        core.Class      `json:"class,omitempty" enum:"unavailable,in_doubt,rejected,invalid" doc:"what the last failure means"`
	Reason       string          `json:"reason,omitempty" doc:"why it waits, is parked or cancelled, in our words"`
	Words        string          `json:"words,omitempty" doc:"the HIS's own words, for those who may see them"`
	RefundNow    bool            `json:"refund_now,omitempty" doc:"the HIS refused for good and the money must go back"`
	Receipt      *core.Receipt   `json:"receipt,omitempty"`
	Attempts     int             `json:"attempts"`
	AcceptedAt   time.Time       `json:"accepted_at"`
	DecidedAt    *time.Time      `json:"decided_at,omitempty" doc:"when it was delivered or cancelled"`
	Due          *time.Time      `json:"due,omitempty" doc:"when a queued one is tried next"`
	BlockedBy    int64           `json:"blocked_by,omitempty" doc:"the message before it in its lane"`
	Waits        *delivery.Waits `json:"waits,omitempty" doc:"why a queued one is not sent now; not told of links"`
	Phase        delivery.Phase  `json:"phase,omitempty" enum:"send,inquire,undo" doc:"what the next exchange is for"`
	CancelWanted bool            `json:"cancel_wanted,omitempty"`
	Revision     int             `json:"revision,omitempty" doc:"of the hospital's folder, from the first byte on"`
	Supersedes   int64           `json:"supersedes,omitempty"`
	SupersededBy int64           `json:"superseded_by,omitempty"`
	Test         bool            `json:"test,omitempty"`
}

// Attempt is one exchange with the HIS.
type Attempt struct {
	Number    int            `json:"number"`
	At        time.Time      `json:"at"`
	Late      bool           `json:"late,omitempty" doc:"its claim had been taken over; it changed nothing"`
	Phase     delivery.Phase `json:"phase" enum:"send,inquire,undo"`
	Step      string         `json:"step,omitempty"`
	Connector string         `json:"connector,omitempty"`
	Operation string         `json:"operation,omitempty" doc:"the dialect's own name"`
	Outcome   core.Outcome   `json:"outcome"`
	Rule      string         `json:"rule,omitempty" doc:"the outcome rule that decided"`
	Class     core.Class     `json:"class,omitempty" enum:"unavailable,in_doubt,rejected,invalid"`
	Because   string         `json:"because" doc:"what was decided, in our words"`
	Words     string         `json:"words,omitempty"`
	Ms        float64        `json:"ms" doc:"how long it took"`
}

// Decision is what a person did about a message or hospital.
type Decision struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	Verb string    `json:"verb" example:"release"`
	Note string    `json:"note,omitempty"`
}

// MessageDetail is a message with its history.
type MessageDetail struct {
	Message
	History   []Attempt  `json:"history" doc:"every exchange, in order"`
	Decisions []Decision `json:"decisions" doc:"what people did about it"`
	Proposals []Proposal `json:"proposals" doc:"corrections that wait for a second person"`
}

type oneMessage struct {
	ID int64 `path:"id" minimum:"1"`
}

func (a *api) messages() {
	a.search()
	register(a, operation{
		id: "get-message", method: http.MethodGet, path: "/v1/messages/{id}", right: mayRead, tag: "Messages",
		title: "See one message", doc: "With every exchange, but without its bytes.",
	}, func(ctx context.Context, rq *request, in *oneMessage) (*struct{ Body MessageDetail }, error) {
		d, err := a.detail(ctx, rq.caller, in.ID)
		return &struct{ Body MessageDetail }{d}, err
	})
	a.exchanges()
	a.trace()
}

// message finds a message that the caller may see.
func (a *api) message(ctx context.Context, c Caller, id int64) (postgres.Message, []postgres.Attempt, error) {
	m, attempts, err := a.Store.Message(ctx, id)
	if err == nil && !c.Sees(m.Hospital) {
		err = problem("not-found", "")
		if c.MayAt(mayRead, m.Hospital) {
			err = lacks(c.about(""), c.right)
		}
	}
	return m, attempts, err
}

func (a *api) detail(ctx context.Context, c Caller, id int64) (d MessageDetail, err error) {
	m, attempts, err := a.message(ctx, c, id)
	if err != nil {
		return d, err
	}
	decisions, err := a.Store.Decisions(ctx, id)
	if err != nil {
		return d, err
	}
	proposals, err := a.openProposals(ctx, c, id)
	if err != nil {
		return d, err
	}
	one, err := a.shownOne(ctx, c, m)
	if err != nil {
		return d, err
	}
	d = MessageDetail{Message: one, History: make([]Attempt, 0, len(attempts)), Decisions: make([]Decision, 0, len(decisions)), Proposals: make([]Proposal, 0, len(proposals))}
	for _, t := range attempts {
		d.History = append(d.History, Attempt{
			Number: t.Number, At: t.At, Late: t.Late, Phase: t.Phase, Step: t.Step, Connector: t.Connector, Operation: t.Operation,
			Outcome: t.Outcome, Rule: t.Rule, Class: t.Class, Because: t.Because, Words: wordsFor(c, m.Hospital, t.Words, false), Ms: float64(t.Duration.Microseconds()) / 1000,
		})
	}
	for _, x := range decisions {
		d.Decisions = append(d.Decisions, Decision{x.At, x.Who, x.Verb, x.Note})
	}
	for _, p := range proposals {
		d.Proposals = append(d.Proposals, shownProposal(p))
	}
	return d, nil
}

func shown(m postgres.Message, c Caller) Message {
	return Message{
		ID: m.ID, Address: messageAddress(m.ID), Hospital: m.Hospital, Kind: m.Kind, Key: m.Key, Lane: m.Lane, State: m.State, Class: m.Class,
		Reason: m.Reason, Words: wordsFor(c, m.Hospital, m.Words, m.ShowPatient), RefundNow: m.RefundNow, Receipt: m.Receipt, Attempts: m.Attempts,
		AcceptedAt: m.AcceptedAt, DecidedAt: m.DecidedAt, Due: m.Due, BlockedBy: m.BlockedBy, Phase: m.Phase, CancelWanted: m.CancelWanted,
		Revision: m.Revision, Supersedes: m.Supersedes, SupersededBy: m.SupersededBy, Test: m.Test,
	}
}

// wordsFor shows the HIS's words to staff, and to others where the hospital's
// folder says that even the patient may see them. Numbers that look like a
// person's are hidden from all.
func wordsFor(c Caller, hospital, words string, showPatient bool) string {
	if !showPatient && !c.MayAt(mayUnmask, hospital) {
		return ""
	}
	return maskNumbers(words)
}

// maskedBody is the canonical content with the patient hidden; null once it is
// past its retention.
func (a *api) maskedBody(ctx context.Context, id int64) (core.Body, json.RawMessage, error) {
	body, err := a.Store.Body(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	masked, err := maskBody(body)
	return body, masked, err
}
