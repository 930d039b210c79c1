package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/postgres"
	"hishub/core/replay"
	"hishub/core/shadow"
)

// Replays tells many messages again, slowly (*postgres.Store).
type Replays interface {
	PreviewReplay(ctx context.Context, p replay.Plan, rules replay.Rules) (replay.Preview, error)
	CreateReplay(ctx context.Context, p replay.Plan, expect int, who string) (replay.Replay, error)
	ApproveReplay(ctx context.Context, id int64, who, note string) (replay.Replay, error)
	PauseReplay(ctx context.Context, id int64, who, note string) (replay.Replay, error)
	ResumeReplay(ctx context.Context, id int64, who, note string) (replay.Replay, error)
	CancelReplay(ctx context.Context, id int64, who, note string) (replay.Replay, error)
	Replay(ctx context.Context, id int64) (replay.Replay, error)
	Replays(ctx context.Context, hospitals []string, open bool, before int64, limit int) ([]replay.Replay, error)
	ReplayItems(ctx context.Context, id int64, outcome replay.Outcome, after int64, limit int) ([]replay.Item, error)
	ToldOf(f replay.Filter) shadow.Store
}

// ReplayFilter names messages.
type ReplayFilter struct {
	Hospitals []string       `json:"hospitals,omitempty" maxItems:"1000" doc:"missing: all that the key is good for"`
	State     delivery.State `json:"state,omitempty" enum:"parked,cancelled,delivered" default:"parked" doc:"parked: go on; cancelled: tell it after all; delivered: tell it again, after the HIS was asked whether it still has it"`
	Kind      string         `json:"kind,omitempty" maxLength:"64" doc:"as payment.settle"`
	Class     core.Class     `json:"class,omitempty" enum:"unavailable,in_doubt,rejected,invalid"`
	Reason    string         `json:"reason,omitempty" maxLength:"200" doc:"a part of why it was parked or cancelled, in our words"`
	Codes     string         `json:"codes,omitempty" maxLength:"64" doc:"the code table that had no row for code"`
	Code      string         `json:"code,omitempty" maxLength:"200"`
	Since     *time.Time     `json:"since,omitempty" doc:"accepted then or later"`
	Until     *time.Time     `json:"until,omitempty" doc:"accepted before"`
	Keys      []string       `json:"keys,omitempty" maxItems:"10000" doc:"business keys"`
	Messages  []int64        `json:"messages,omitempty" maxItems:"10000" doc:"numbers of messages"`
}

// ReplayAsk is what to do.
type ReplayAsk struct {
	Filter      ReplayFilter `json:"filter"`
	With        replay.With  `json:"with,omitempty" enum:"original,newest" doc:"which revision of the folder says it again. Missing: the newest for what never reached the HIS, else the one that it was said with"`
	Rate        float64      `json:"rate,omitempty" minimum:"0.01" maximum:"1000" default:"5" doc:"messages a second at each hospital, at most"`
	Concurrency int          `json:"concurrency,omitempty" minimum:"1" maximum:"10000" default:"50" doc:"on their way at once at each hospital, at most"`
	StopAfter   int          `json:"stop_after,omitempty" minimum:"1" maximum:"100000" default:"10" doc:"so many that are parked again in a row, as the same class, stop the hospital's part"`
	Expect      *int         `json:"expect,omitempty" minimum:"0" doc:"how many messages the preview had; with another number now nothing is made (409)"`
	Note        string       `json:"note" minLength:"1" maxLength:"500" doc:"why; recorded with each message"`
}

// ReplayLook is what to look at.
type ReplayLook struct {
	Filter  ReplayFilter `json:"filter"`
	With    replay.With  `json:"with,omitempty" enum:"original,newest"`
	Compare int          `json:"compare,omitempty" minimum:"0" maximum:"5000" default:"200" doc:"so many of each hospital, the oldest, are said with the newest folder, too; 0 compares none"`
}

// ReplayGroup are messages that are alike.
type ReplayGroup struct {
	Hospital string     `json:"hospital"`
	Kind     core.Kind  `json:"kind"`
	Class    core.Class `json:"class,omitempty"`
	Count    int        `json:"count"`
	Refusal  string     `json:"refusal,omitempty" doc:"why they would not be told again"`
	Oldest   time.Time  `json:"oldest"`
	Newest   time.Time  `json:"newest"`
}

// ReplayPreview is what would be done; nothing was.
type ReplayPreview struct {
	Count  int           `json:"count" doc:"messages that fit the filter"`
	May    int           `json:"may" doc:"those of them that would be told again"`
	Behind int           `json:"behind" doc:"messages that wait in lanes behind them"`
	Later  int           `json:"later" doc:"messages that were delivered after these in their lanes and are not among them: what they took back would be told again alone"`
	Oldest *time.Time    `json:"oldest,omitempty"`
	Newest *time.Time    `json:"newest,omitempty"`
	Money  bool          `json:"money" doc:"money that was decided would be told again: it takes a second person"`
	Groups []ReplayGroup `json:"groups"`
	// Differs is what the newest folder would say otherwise, by hospital; what names a
	// person is masked.
	Differs []*shadow.Report `json:"differs" doc:"what the newest folder says otherwise than the revision each was said with; of the first compare messages of each hospital"`
}

// ReplayPart is what a replay has of one hospital.
type ReplayPart struct {
	Hospital string `json:"hospital"`
	replay.Tally
	Stopped string     `json:"stopped,omitempty" doc:"why it stopped by itself"`
	EndedAt *time.Time `json:"ended_at,omitempty"`
}

// Replay is one as it stands.
type Replay struct {
	ID          int64         `json:"id"`
	Address     string        `json:"address"`
	State       replay.State  `json:"state" enum:"listing,proposed,running,paused,done,cancelled"`
	Filter      replay.Filter `json:"filter"`
	With        replay.With   `json:"with,omitempty"`
	Rate        float64       `json:"rate"`
	Concurrency int           `json:"concurrency"`
	StopAfter   int           `json:"stop_after"`
	Note        string        `json:"note,omitempty"`
	Money       bool          `json:"money" doc:"it takes a second person"`
	CreatedBy   string        `json:"created_by"`
	CreatedAt   time.Time     `json:"created_at"`
	ApprovedBy  string        `json:"approved_by,omitempty"`
	PausedBy    string        `json:"paused_by,omitempty" doc:"hub: it stopped by itself"`
	Problem     string        `json:"problem,omitempty"`
	EndedAt     *time.Time    `json:"ended_at,omitempty"`
	Total       replay.Tally  `json:"total"`
	Parts       []ReplayPart  `json:"parts"`
}

func shownReplay(r replay.Replay) Replay {
	out := Replay{ID: r.ID, Address: replayAddress(r.ID), State: r.State, Filter: r.Filter, With: r.With, Rate: r.Rate, Concurrency: r.Concurrency, StopAfter: r.StopAfter,
		Note: r.Note, Money: r.Money, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt, ApprovedBy: r.ApprovedBy, PausedBy: r.PausedBy, Problem: r.Problem, EndedAt: r.EndedAt,
		Total: r.Tally(), Parts: []ReplayPart{}}
	for _, p := range r.Parts {
		out.Parts = append(out.Parts, ReplayPart{p.Hospital, p.Tally, p.Stopped, p.EndedAt})
	}
	return out
}

func replayAddress(id int64) string { return fmt.Sprintf("/v1/replays/%d", id) }

// ReplayItem is one message of a replay.
type ReplayItem struct {
	Message    int64          `json:"message"`
	Hospital   string         `json:"hospital"`
	Kind       core.Kind      `json:"kind"`
	Key        string         `json:"key"`
	Outcome    replay.Outcome `json:"outcome" enum:"waiting,released,delivered,parked,cancelled,skipped,refused" doc:"skipped: it was decided before its turn came; parked: again"`
	Why        string         `json:"why,omitempty"`
	Goes       int64          `json:"goes,omitempty" doc:"the message that was sent in its place"`
	ReleasedAt *time.Time     `json:"released_at,omitempty"`
	KnownAt    *time.Time     `json:"known_at,omitempty"`
}

type oneReplay struct {
	ID int64 `path:"id" minimum:"1"`
}

type notedReplay struct {
	ID   int64 `path:"id" minimum:"1"`
	Body Note
}

type replayQuery struct {
	Open   bool  `query:"open" doc:"only those that have not ended"`
	Before int64 `query:"before" minimum:"1" doc:"only replays with a smaller id: the next page"`
	Limit  int   `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type replayItemQuery struct {
	ID      int64          `path:"id" minimum:"1"`
	Outcome replay.Outcome `query:"outcome" enum:"waiting,released,delivered,parked,cancelled,skipped,refused"`
	After   int64          `query:"after" minimum:"1" doc:"only messages with a greater number: the next page"`
	Limit   int            `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type replayList struct {
	Body struct {
		Replays []Replay `json:"replays" doc:"newest first"`
		Next    int64    `json:"next,omitempty" doc:"the value of before for the next page; missing on the last"`
	}
}

type replayItemList struct {
	Body struct {
		Items []ReplayItem `json:"items" doc:"by number"`
		Next  int64        `json:"next,omitempty" doc:"the value of after for the next page; missing on the last"`
	}
}

type replayAnswer struct{ Body Replay }

type replayMade struct {
	Location string `header:"Location"`
	Body     Replay
}

func (a *api) replays() {
	register(a, operation{
		id: "preview-replay", method: http.MethodPost, path: "/v1/replays:preview", right: mayDecide, tag: "Replays",
		title: "See what a replay would do", doc: "How many, of what, which may not be told again and why, and what the newest folder would say otherwise. Nothing is done.", errors: []int{404},
	}, a.previewReplay)
	register(a, operation{
		id: "create-replay", method: http.MethodPost, path: "/v1/replays", right: mayDecide, tag: "Replays",
		title: "Tell many messages again", status: http.StatusAccepted, errors: []int{404, 409},
		doc: "The list is made now and does not change. Lanes keep their order, each message is told once, and what the HIS may have is asked about first. One that tells again of money that was decided waits until a second person approves it.",
	}, a.createReplay)
	register(a, operation{
		id: "list-replays", method: http.MethodGet, path: "/v1/replays", right: mayRead, tag: "Replays", title: "List replays", doc: "Those whose hospitals the key is good for.",
	}, func(ctx context.Context, rq *request, in *replayQuery) (*replayList, error) {
		all, err := a.Store.Replays(ctx, rq.caller.scope(), in.Open, in.Before, in.Limit+1)
		out := &replayList{}
		out.Body.Replays = []Replay{}
		for i, r := range all {
			if i == in.Limit {
				out.Body.Next = all[i-1].ID
				break
			}
			out.Body.Replays = append(out.Body.Replays, shownReplay(r))
		}
		return out, err
	})
	register(a, operation{
		id: "get-replay", method: http.MethodGet, path: "/v1/replays/{id}", right: mayRead, tag: "Replays", title: "See how a replay stands",
	}, func(ctx context.Context, rq *request, in *oneReplay) (*replayAnswer, error) {
		r, err := a.replay(ctx, rq.caller, in.ID)
		return &replayAnswer{shownReplay(r)}, err
	})
	register(a, operation{
		id: "list-replay-items", method: http.MethodGet, path: "/v1/replays/{id}/items", right: mayRead, tag: "Replays", title: "List the messages of a replay", doc: "With what became of each.",
	}, a.replayItems)
	for _, act := range []struct {
		verb, title, doc string
		do               func(ctx context.Context, id int64, who, note string) (replay.Replay, error)
	}{
		{"approve", "Let a replay of money run", "By another key than the one that made it.", a.Store.ApproveReplay},
		{"pause", "Pause a replay", "When it answers, nothing more is told. What is on its way goes on.", a.Store.PauseReplay},
		{"resume", "Go on with a replay", "Also with one that stopped by itself.", a.Store.ResumeReplay},
		{"cancel", "Cancel a replay", "What was not told yet stays as it is. What is on its way goes on.", a.Store.CancelReplay},
	} {
		register(a, operation{
			id: act.verb + "-replay", method: http.MethodPost, path: "/v1/replays/{id}/" + act.verb, right: mayDecide, tag: "Replays", title: act.title, doc: act.doc, errors: []int{409},
		}, func(ctx context.Context, rq *request, in *notedReplay) (*replayAnswer, error) {
			if _, err := a.replay(ctx, rq.caller, in.ID); err != nil {
				return nil, err
			}
			r, err := act.do(ctx, in.ID, rq.who(), in.Body.Note)
			return &replayAnswer{shownReplay(r)}, err
		})
	}
}

// replay finds one of which the caller may see every hospital.
func (a *api) replay(ctx context.Context, c Caller, id int64) (replay.Replay, error) {
	r, err := a.Store.Replay(ctx, id)
	if err != nil {
		return r, err
	}
	seen := len(r.Parts) > 0 || c.scope() == nil
	for _, p := range r.Parts {
		seen = seen && c.Sees(p.Hospital)
	}
	if !seen {
		return replay.Replay{}, postgres.ErrNotFound
	}
	return r, nil
}

// filter is what the caller means: without hospitals, all that the key is good for.
func (f ReplayFilter) filter(c Caller) (replay.Filter, error) {
	out := replay.Filter{Hospitals: f.Hospitals, State: f.State, Kind: core.Kind(f.Kind), Class: f.Class, Reason: f.Reason, Codes: f.Codes, Code: f.Code, Keys: f.Keys, Messages: f.Messages}
	if len(out.Hospitals) == 0 {
		out.Hospitals = c.scope()
	}
	for _, h := range out.Hospitals {
		if !c.Sees(h) {
			return out, problem("not-found", "")
		}
	}
	if f.Since != nil {
		out.Since = *f.Since
	}
	if f.Until != nil {
		out.Until = *f.Until
	}
	return out, nil
}

func (a *api) previewReplay(ctx context.Context, rq *request, in *struct{ Body ReplayLook }) (*struct{ Body ReplayPreview }, error) {
	f, err := in.Body.Filter.filter(rq.caller)
	if err != nil {
		return nil, err
	}
	if a.Repeats == nil {
		return nil, problem("unavailable", "this process does not know the folders of hospitals")
	}
	p := replay.Plan{Filter: f, With: in.Body.With, Rate: replay.DefaultRate, Concurrency: replay.DefaultConcurrency, StopAfter: replay.DefaultStopAfter}
	v, err := a.Store.PreviewReplay(ctx, p, a.Repeats)
	if err != nil {
		return nil, err
	}
	out := &struct{ Body ReplayPreview }{ReplayPreview{Behind: v.Behind, Later: v.Later, Money: v.Money, Groups: []ReplayGroup{}, Differs: []*shadow.Report{}}}
	out.Body.Count, out.Body.May = v.Count()
	if out.Body.Count > 0 {
		out.Body.Oldest, out.Body.Newest = &v.Oldest, &v.Newest
	}
	for _, g := range v.Groups {
		out.Body.Groups = append(out.Body.Groups, ReplayGroup{g.Hospital, g.Kind, g.Class, g.Count, g.Refusal, g.Oldest, g.Newest})
	}
	if a.Shadow == nil || in.Body.Compare == 0 {
		return out, nil
	}
	for _, hospital := range v.Hospitals() {
		report, err := a.Shadow(ctx, a.Store.ToldOf(f), hospital, in.Body.Compare)
		if err != nil {
			return nil, err
		}
		out.Body.Differs = append(out.Body.Differs, report)
	}
	return out, nil
}

func (a *api) createReplay(ctx context.Context, rq *request, in *struct{ Body ReplayAsk }) (*replayMade, error) {
	f, err := in.Body.Filter.filter(rq.caller)
	if err != nil {
		return nil, err
	}
	expect := -1
	if in.Body.Expect != nil {
		expect = *in.Body.Expect
	}
	r, err := a.Store.CreateReplay(ctx, replay.Plan{
		Filter: f, With: in.Body.With, Rate: in.Body.Rate, Concurrency: in.Body.Concurrency, StopAfter: in.Body.StopAfter, Note: in.Body.Note,
	}, expect, rq.who())
	return &replayMade{replayAddress(r.ID), shownReplay(r)}, err
}

func (a *api) replayItems(ctx context.Context, rq *request, in *replayItemQuery) (*replayItemList, error) {
	if _, err := a.replay(ctx, rq.caller, in.ID); err != nil {
		return nil, err
	}
	all, err := a.Store.ReplayItems(ctx, in.ID, in.Outcome, in.After, in.Limit+1)
	out := &replayItemList{}
	out.Body.Items = []ReplayItem{}
	for i, item := range all {
		if i == in.Limit {
			out.Body.Next = all[i-1].Message
			break
		}
		out.Body.Items = append(out.Body.Items, ReplayItem(item))
	}
	return out, err
}

// unreplayed finds the problem of a replay that is not possible.
func unreplayed(err error) *Problem {
	var not *replay.NotPossible
	var changed *replay.Changed
	switch {
	case errors.As(err, &not):
		return problem("state", not.Error())
	case errors.As(err, &changed):
		return problem("state", changed.Error())
	}
	return nil
}
