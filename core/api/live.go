package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Seen is what a process knows of a hospital that it works, beside the ledger.
type Seen struct {
	// Exchanges and Failed are those of the last minutes (see incident.Rates).
	Exchanges, Failed int
	Unmapped          int
	// ClockOff is how far the HIS's clock was ahead at ClockAsked; zero: never asked.
	ClockOff    time.Duration
	ClockAsked  time.Time
	LastFailure time.Time
}

// LiveHospital is a hospital with all its lights.
type LiveHospital struct {
	Hospital
	Known       bool       `json:"known" doc:"the process that was asked works it; otherwise what follows is missing"`
	Exchanges   int        `json:"exchanges,omitempty" doc:"of the last minutes"`
	Failed      int        `json:"failed,omitempty" doc:"of these, those not answered"`
	Unmapped    int        `json:"unmapped,omitempty" doc:"codes without a mapping"`
	ClockOffMs  *int64     `json:"clock_off_ms,omitempty" doc:"how far the HIS's clock is ahead; missing: not known"`
	LastFailure *time.Time `json:"last_failure,omitempty"`
}

// LiveNews is one message of the stream.
type LiveNews struct {
	At        time.Time      `json:"at"`
	All       bool           `json:"all" doc:"these are all hospitals; otherwise those that changed"`
	Hospitals []LiveHospital `json:"hospitals"`
	Gone      []string       `json:"gone" doc:"hospitals that are there no more"`
}

const (
	liveEvery = 2 * time.Second
	// liveKeeps: something is said at least so often, so that what lies between keeps
	// the connection, and whether the caller still may look is asked again.
	liveKeeps = 20 * time.Second
	// liveMost are the streams of one process.
	liveMost = 500
	// liveWrites is how long a reader may take over one message.
	liveWrites = 10 * time.Second
)

// lamps looks at the hospitals once for all who watch, while anybody does.
type lamps struct {
	look func(context.Context) ([]LiveHospital, error)
	ctx  context.Context
	// every is liveEvery; tests are faster.
	every time.Duration

	mu       sync.Mutex
	watchers map[chan struct{}]bool
	looking  bool
	at       time.Time // of what follows; zero: nothing yet
	now      map[string][]byte
}

// watch returns a channel that tells of each look; nil if there are too many.
func (l *lamps) watch() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.watchers) >= liveMost {
		return nil
	}
	if l.watchers == nil {
		l.watchers = map[chan struct{}]bool{}
	}
	c := make(chan struct{}, 1)
	l.watchers[c] = true
	if !l.looking {
		l.looking = true
		l.at, l.now = time.Time{}, nil // old news is none
		go l.run()
	} else if !l.at.IsZero() {
		c <- struct{}{}
	}
	return c
}

func (l *lamps) leave(c chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.watchers, c)
}

func (l *lamps) run() {
	for {
		ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
		all, err := l.look(ctx)
		cancel()
		now := make(map[string][]byte, len(all))
		for _, h := range all {
			text, e := json.Marshal(h)
			if e != nil {
				err = e
				break
			}
			now[h.ID] = text
		}
		l.mu.Lock()
		if len(l.watchers) == 0 || l.ctx.Err() != nil {
			l.looking = false
			l.mu.Unlock()
			return
		}
		if err == nil { // otherwise nothing is said, and readers see how old the last news is
			l.at, l.now = time.Now(), now
			for c := range l.watchers {
				select {
				case c <- struct{}{}:
				default: // it has not read the one before
				}
			}
		}
		l.mu.Unlock()
		select {
		case <-l.ctx.Done():
		case <-time.After(l.every):
		}
	}
}

// news is what changed for a reader who knows before, which is nil at first; sees says
// which hospitals are his. known is what he knows afterwards.
func (l *lamps) news(before map[string][]byte, sees func(string) bool) (text []byte, known map[string][]byte) {
	l.mu.Lock()
	at, now := l.at, l.now
	l.mu.Unlock()
	known = map[string][]byte{}
	changed, gone := []json.RawMessage{}, []string{}
	for id, h := range now {
		if !sees(id) {
			continue
		}
		known[id] = h
		if !bytes.Equal(before[id], h) {
			changed = append(changed, h)
		}
	}
	for id := range before {
		if known[id] == nil {
			gone = append(gone, id)
		}
	}
	if before != nil && len(changed) == 0 && len(gone) == 0 {
		return nil, known
	}
	text, _ = json.Marshal(map[string]any{"at": at, "all": before == nil, "hospitals": changed, "gone": gone})
	return text, known
}

func (a *api) live() {
	l := &lamps{look: a.liveLights, ctx: a.Background, every: liveEvery}
	if l.ctx == nil {
		l.ctx = context.Background()
	}
	a.lamps = l
	register(a, operation{
		id: "watch-lights", method: http.MethodGet, path: "/v1/live", right: mayRead, tag: "Hospitals", files: []string{"text/event-stream"},
		title: "Watch the hospitals' lights",
		doc:   "Server-sent events of the type `lights`: all hospitals first, then those that changed, at most every two seconds. Comments keep the connection. The process looks once for all who watch.",
	}, func(ctx context.Context, rq *request, _ *struct{}) (*huma.StreamResponse, error) {
		c := l.watch()
		if c == nil {
			return nil, problem("unavailable", "too many watch; ask for /v1/hospitals").after(time.Minute)
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			defer l.leave(c)
			a.stream(hc, rq.caller, c)
		}}, nil
	})
	a.huma.OpenAPI().Paths["/v1/live"].Get.Responses["200"].Content["text/event-stream"].Schema =
		a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[LiveNews](), true, "LiveNews")
}

// liveLights are those of all hospitals, with what this process knows of its own.
func (a *api) liveLights(ctx context.Context) ([]LiveHospital, error) {
	all, err := a.lights(ctx, Caller{Grants: []Grant{{Role: Admin}}})
	if err != nil {
		return nil, err
	}
	var seen map[string]Seen
	if a.Seen != nil {
		seen = a.Seen()
	}
	out := make([]LiveHospital, 0, len(all))
	for _, h := range all {
		if h.LastSuccess != nil { // not each answer of a busy HIS is news
			at := h.LastSuccess.Truncate(10 * time.Second)
			h.LastSuccess = &at
		}
		one := LiveHospital{Hospital: h}
		if s, ok := seen[h.ID]; ok {
			one.Known, one.Exchanges, one.Failed, one.Unmapped = true, s.Exchanges, s.Failed, s.Unmapped
			if !s.ClockAsked.IsZero() {
				ms := s.ClockOff.Milliseconds()
				one.ClockOffMs = &ms
			}
			if !s.LastFailure.IsZero() {
				at := s.LastFailure.Truncate(10 * time.Second)
				one.LastFailure = &at
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// stream writes news until the reader goes, may not look any more, or this process ends.
func (a *api) stream(hc huma.Context, caller Caller, told <-chan struct{}) {
	hc.SetHeader("Content-Type", "text/event-stream")
	hc.SetHeader("X-Accel-Buffering", "no") // for an nginx in front
	w, ok := hc.BodyWriter().(http.ResponseWriter)
	if !ok {
		return
	}
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the request was read; the server's limit is for that
	ctx, token := hc.Context(), bearer(hc.Header("Authorization"))
	say := func(text string) bool {
		_ = out.SetWriteDeadline(time.Now().Add(liveWrites))
		_, err := fmt.Fprint(w, text)
		return err == nil && out.Flush() == nil
	}
	if !say("retry: 3000\n\n") {
		return
	}
	keep := time.NewTicker(liveKeeps)
	defer keep.Stop()
	var known map[string][]byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.Stopping:
			return
		case <-keep.C:
			again, err := a.callers.caller(ctx, token)
			if err != nil || !again.May(mayRead) || !say(": still here\n\n") {
				return
			}
			caller = again.about(mayRead)
		case <-told:
			text, now := a.lamps.news(known, caller.Sees)
			known = now
			if text != nil && !say("event: lights\ndata: "+string(text)+"\n\n") {
				return
			}
		}
	}
}
