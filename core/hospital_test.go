package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// spoken is a mapper of a made-up dialect: it says the session's token and the
// page, and reads "outcome" or "outcome:next page".
type spoken struct{}

func (spoken) Encode(in Input) (Request, error) {
	page := ""
	if in.Page != nil {
		page = *in.Page
	}
	return Request{Operation: "say", Body: in.Session["token"] + "/" + page}, nil
}

func (spoken) Decode(in Input, r Response) Verdict {
	text, _ := r.Body.(string)
	o, next, paged := strings.Cut(text, ":")
	v := Verdict{Outcome: Outcome(o), Answer: &Ledger{Entries: []LedgerEntry{{Number: text}}}}
	if paged {
		v.Next = &next
	}
	if o == "token" {
		v = Verdict{Outcome: OutcomeOK, Captured: map[string]string{"token": next}}
	}
	return v
}

type wire func(ctx context.Context, q Request) (Response, error)

func (w wire) Call(ctx context.Context, q Request) (Response, error) { return w(ctx, q) }
func (wire) Close() error                                            { return nil }

type memory struct {
	mu     sync.Mutex
	values map[string]map[string]string
}

func (m *memory) Get(_ context.Context, h, s string) (map[string]string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[h+s]
	return v, ok, nil
}
func (m *memory) Put(_ context.Context, h, s string, v map[string]string, _ time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[h+s] = v
	return nil
}

var loginLock sync.Mutex

func (m *memory) Lock(context.Context, string, string) (func(), error) {
	loginLock.Lock()
	return loginLock.Unlock, nil
}

func hospital(business, login wire) *Hospital {
	d := &Dialect{Hospital: "h", Zone: time.UTC, Connectors: map[string]ConnectorSpec{"default": {}, "auth": {}}, Secrets: []string{"s3cret"},
		Sessions: map[string]*Session{"main": {Name: "main", Login: Call{Name: "login", Connector: "auth", Mapper: spoken{}}}}}
	return NewHospital(d, 1, map[string]Connector{"default": business, "auth": login}, &memory{values: map[string]map[string]string{}}, nil)
}

func say(text string) (Response, error) { return Response{Body: text}, nil }

var call = &Call{Name: "ask", Connector: "default", Session: "main", Mapper: spoken{}, MaxPages: 5}

func TestAskRenewsAnExpiredSessionOnce(t *testing.T) {
	logins := 0
	h := hospital(
		func(_ context.Context, q Request) (Response, error) {
			if q.Body == "t2/" {
				return say("ok")
			}
			return say("expired")
		},
		func(context.Context, Request) (Response, error) {
			logins++
			return say(fmt.Sprintf("token:t%d", logins))
		})
	sent := 0
	x := h.Ask(t.Context(), call, Input{}, func(context.Context) error { sent++; return nil })
	if x.Verdict.Outcome != OutcomeOK || logins != 2 || sent != 2 {
		t.Errorf("%s after %d logins, marked %d times: %v", x.Verdict.Outcome, logins, sent, x.Verdict.Err)
	}
	// The second caller uses the new token.
	if x := h.Ask(t.Context(), call, Input{}, nil); x.Verdict.Outcome != OutcomeOK || logins != 2 {
		t.Errorf("%s after %d logins", x.Verdict.Outcome, logins)
	}
}

func TestAskWithoutALoginIsUnavailable(t *testing.T) {
	called := false
	business := func(context.Context, Request) (Response, error) { called = true; return say("ok") }
	for name, login := range map[string]wire{
		"refused":  func(context.Context, Request) (Response, error) { return say("rejected") },
		"in doubt": func(context.Context, Request) (Response, error) { return Response{}, errors.New("cut") },
	} {
		h := hospital(business, login)
		x := h.Ask(t.Context(), call, Input{}, func(context.Context) error { t.Error("marked as sent"); return nil })
		if x.Verdict.Outcome != OutcomeUnavailable || called || x.Left {
			t.Errorf("%s: %s, called %v", name, x.Verdict.Outcome, called)
		}
	}
	// A session that expires for ever does not go round for ever.
	h := hospital(func(context.Context, Request) (Response, error) { return say("expired") }, func(context.Context, Request) (Response, error) { return say("token:t") })
	if x := h.Ask(t.Context(), call, Input{}, nil); x.Verdict.Outcome != OutcomeUnavailable {
		t.Error(x.Verdict.Outcome)
	}
}

func TestAskClassifies(t *testing.T) {
	token := func(context.Context, Request) (Response, error) { return say("token:t") }
	for want, w := range map[Outcome]wire{
		OutcomeInDoubt:     func(context.Context, Request) (Response, error) { return Response{}, errors.New("unclassified") },
		OutcomeUnavailable: func(context.Context, Request) (Response, error) { return Response{}, &Fault{Class: Unavailable} },
		OutcomeInvalid:     func(context.Context, Request) (Response, error) { return Response{}, &Fault{Class: Invalid} },
	} {
		x := hospital(w, token).Ask(t.Context(), call, Input{}, nil)
		if x.Verdict.Outcome != want || x.Left != (want == OutcomeInDoubt) {
			t.Errorf("%s, left %v; want %s", x.Verdict.Outcome, x.Left, want)
		}
	}
	// When the durable mark fails, nothing is sent.
	h := hospital(func(context.Context, Request) (Response, error) { t.Error("sent"); return Response{}, nil }, token)
	mark := errors.New("database away")
	if x := h.Ask(t.Context(), call, Input{}, func(context.Context) error { return mark }); x.Verdict.Outcome != OutcomeUnavailable || !errors.Is(x.Verdict.Err, mark) {
		t.Error(x.Verdict.Outcome)
	}
}

func TestAskJoinsPages(t *testing.T) {
	pages := map[string]string{"t/": "ok:2", "t/2": "ok:3", "t/3": "ok"}
	token := func(context.Context, Request) (Response, error) { return say("token:t") }
	h := hospital(func(_ context.Context, q Request) (Response, error) { return say(pages[q.Body.(string)]) }, token)
	x := h.Ask(t.Context(), call, Input{}, nil)
	if l, ok := x.Verdict.Answer.(*Ledger); !ok || len(l.Entries) != 3 {
		t.Errorf("%+v", x.Verdict)
	}
	pages["t/3"] = "ok:2" // the HIS goes in circles
	if x := h.Ask(t.Context(), call, Input{}, nil); x.Verdict.Outcome != OutcomeInDoubt || !strings.Contains(x.Verdict.Err.Error(), "same page mark") {
		t.Error(x.Verdict.Outcome, x.Verdict.Err)
	}
}

func TestAskMasksSecrets(t *testing.T) {
	h := hospital(func(context.Context, Request) (Response, error) {
		return Response{Body: "ok", Sent: []byte("<k>s3cret</k>"), Received: []byte("s3cret!")}, nil
	}, func(context.Context, Request) (Response, error) { return say("token:t") })
	x := h.Ask(t.Context(), call, Input{}, nil)
	if string(x.Sent) != "<k>***</k>" || string(x.Received) != "***!" {
		t.Errorf("%s %s", x.Sent, x.Received)
	}
}

// What the ledger needs to go through an exchange again: the stamp of the request
// that was answered, and what stood before that answer.
func TestAskTellsStampAndHead(t *testing.T) {
	var serials []int64
	answers := []Response{{Body: "expired", Status: "500"}, {Body: "ok", Status: "200", Headers: Tree{{Name: "content-type", Value: "text/xml"}}}}
	h := hospital(func(context.Context, Request) (Response, error) {
		r := answers[0]
		answers = answers[1:]
		return r, nil
	}, func(context.Context, Request) (Response, error) { return say("token:t") })
	in := Input{Stamp: h.Stamp("IH1", time.Now(), 3)}
	serials = append(serials, in.Stamp.Serial)
	x := h.Ask(t.Context(), call, in, nil)
	if x.Stamp.ID == in.Stamp.ID || len(x.Stamp.ID) != 32 || x.Stamp.Serial <= serials[0] || x.Stamp.Number != 3 || x.Stamp.At.IsZero() || x.Head != "" {
		t.Errorf("after the session was renewed it is %+v, %q", x.Stamp, x.Head)
	}

	for _, c := range []struct{ status, kind, want string }{
		{"", "", ""}, {"200", "application/json", ""}, {"500", "", "HTTP/1.1 500\n\n"},
		{"404", "text/html", "HTTP/1.1 404\nContent-Type: text/html\n\n"},
		{"200", "Multipart/Related; boundary=x", "HTTP/1.1 200\nContent-Type: Multipart/Related; boundary=x\n\n"},
		{"500", strings.Repeat("x", maxHead+1), "HTTP/1.1 500\n\n"},
	} {
		r := Response{Status: c.status, Headers: Tree{{Name: "set-cookie", Value: "s3cret"}}}
		if c.kind != "" {
			r.Headers = append(r.Headers, Field{Name: "content-type", Value: c.kind})
		}
		if got := r.Head(); got != c.want {
			t.Errorf("%s %s: %q", c.status, c.kind, got)
		}
	}
}

func TestWindowOverMidnight(t *testing.T) {
	w := Window{Start: 23*60 + 30, End: 30}
	for clock, want := range map[string]bool{"23:29": false, "23:30": true, "00:00": true, "00:29": true, "00:30": false, "12:00": false} {
		at, _ := time.Parse("15:04", clock)
		if w.Contains(at) != want {
			t.Errorf("%s: %v", clock, !want)
		}
	}
}
