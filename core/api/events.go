package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"hishub/core"
	"hishub/core/postgres"
)

type eventQuery struct {
	After string `query:"after" maxLength:"60" doc:"the cursor to go on from; the beginning without it"`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
	Wait  int    `query:"wait" minimum:"0" maximum:"30" default:"0" doc:"seconds to wait for something to come"`
}

type eventList struct {
	Body struct {
		Events []core.Event `json:"events"`
		Next   string       `json:"next" doc:"the cursor to go on from, also when there are no events"`
	}
}

// look is the time between two looks at the feed while a caller waits, and
// longest how many events of other hospitals one request steps over.
const (
	look    = 250 * time.Millisecond
	longest = 5000
)

func (a *api) events() {
	register(a, operation{
		id: "read-events", method: http.MethodGet, path: "/v1/events", right: mayRead, tag: "Events",
		title: "Read what became of messages",
		doc:   "In the order in which it became visible, from a cursor on. An event may come again; its cursor tells. With `wait` the request is held until something comes.",
	}, func(ctx context.Context, rq *request, in *eventQuery) (*eventList, error) {
		events, next, err := follow(ctx, a.Store, rq.caller, in.After, in.Limit, time.Duration(in.Wait)*time.Second, a.Stopping)
		if errors.Is(err, postgres.ErrCursor) {
			return nil, invalid(core.Problems{{Field: "query.after", What: "not a cursor of this feed"}})
		}
		out := &eventList{}
		out.Body.Events, out.Body.Next = events, next
		return out, err
	})
}

// follow reads what the caller may see and waits until there is something, or until
// enough is closed.
func follow(ctx context.Context, feed core.Feed, c Caller, after string, limit int, wait time.Duration, enough <-chan struct{}) ([]core.Event, string, error) {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		events, next, err := read(ctx, feed, c, after, limit)
		if err != nil || len(events) > 0 || wait == 0 {
			return events, next, err
		}
		after = next
		again := time.NewTimer(look)
		select {
		case <-again.C:
		case <-timeout.C:
			again.Stop()
			return events, next, nil
		case <-enough:
			again.Stop()
			return events, next, nil
		case <-ctx.Done():
			again.Stop()
			return nil, "", ctx.Err()
		}
	}
}

// read steps over what is not the caller's; next is behind it.
func read(ctx context.Context, feed core.Feed, c Caller, after string, limit int) (mine []core.Event, next string, err error) {
	mine, next = []core.Event{}, after
	for stepped := 0; len(mine) < limit && stepped < longest; {
		events, to, err := feed.Read(ctx, next, limit-len(mine))
		if err != nil {
			return nil, "", err
		}
		if len(events) == 0 {
			break
		}
		next = to
		for _, e := range events {
			if c.Sees(e.Hospital) {
				e.Words = wordsFor(c, e.Hospital, e.Words, e.ShowPatient)
				mine = append(mine, e)
			} else {
				stepped++
			}
		}
	}
	return mine, next, nil
}
