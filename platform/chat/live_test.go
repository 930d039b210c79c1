package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	server "github.com/centrifugal/centrifuge"
	"github.com/centrifugal/centrifuge-go"

	"hishub/mocks/servers"
	"hishub/platform/clinic"
)

// sessions are tokens of people; one that is taken out is signed out. It keeps who
// connected, too.
type sessions struct {
	mu   sync.Mutex
	of   map[string]clinic.Person
	acts []clinic.Act
}

func (s *sessions) set(token string, p *clinic.Person) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.of, token); p != nil {
		s.of[token] = *p
	}
}

func (s *sessions) Keep(_ context.Context, a clinic.Act) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts = append(s.acts, a)
	return nil
}

func (s *sessions) Person(_ context.Context, token string) (clinic.Person, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.of[token]
	if !ok {
		return clinic.Person{}, clinic.ErrSignedOut
	}
	return p, nil
}

// device is a client as the apps are: it hears of messages over its socket, and syncs
// whenever it connects or a message is not the next one.
type device struct {
	t      *testing.T
	s      *Service
	person clinic.Person
	no     string
	socket *centrifuge.Client

	mu    sync.Mutex
	list  []Message
	heard int
	more  chan struct{}
}

func (d *device) connect(t *testing.T, url, token string) {
	d.socket = centrifuge.NewJsonClient(url, centrifuge.Config{Token: token, MinReconnectDelay: time.Millisecond, MaxReconnectDelay: 20 * time.Millisecond})
	d.socket.OnConnected(func(centrifuge.ConnectedEvent) { d.sync() })
	d.socket.OnPublication(func(e centrifuge.ServerPublicationEvent) {
		var m Message
		if err := json.Unmarshal(e.Data, &m); err != nil {
			t.Error(err)
		}
		if m.Seq == 0 || m.Conversation != d.no {
			return
		}
		d.mu.Lock()
		d.heard++
		next := int64(len(d.list)) + 1
		if m.Seq == next {
			d.list = append(d.list, m)
		}
		d.mu.Unlock()
		if m.Seq > next {
			d.sync()
		}
		d.tell()
	})
	if err := d.socket.Connect(); err != nil {
		t.Error(err)
	}
}

func (d *device) sync() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		page, err := d.s.Sync(context.Background(), d.person, d.no, int64(len(d.list)), 100)
		if err != nil {
			d.t.Error(err)
			return
		}
		d.list = append(d.list, page...)
		if len(page) < 100 {
			break
		}
	}
	d.tell()
}

func (d *device) tell() {
	select {
	case d.more <- struct{}{}:
	default:
	}
}

// until waits until the device has n messages.
func (d *device) until(t *testing.T, n int) []Message {
	t.Helper()
	end := time.After(time.Minute)
	for {
		d.mu.Lock()
		list := d.list
		d.mu.Unlock()
		if len(list) >= n {
			return list
		}
		select {
		case <-d.more:
		case <-end:
			t.Fatalf("account %d has %d of %d messages", d.person.Account, len(list), n)
		}
	}
}

func started(t *testing.T, people *sessions, redis string) (*Node, string) {
	t.Helper()
	n, err := NewNode(people, people, redis, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(n.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := n.Close(ctx); err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	return n, "ws" + strings.TrimPrefix(server.URL, "http")
}

// TestTwoNodes: devices at two nodes, cut off at random while both sides write through
// both nodes. In the end every list is the same, in order, without a gap.
func TestTwoNodes(t *testing.T) {
	s, no := opened(t)
	people := &sessions{of: map[string]clinic.Person{"p": patient, "d": doctor}}
	redis := servers.Redis(t)
	a, urlA := started(t, people, redis)
	b, urlB := started(t, people, redis)
	s.Live = a
	second := &Service{Clinic: s.Clinic, Live: b} // the other process

	var devices []*device
	for i, p := range []clinic.Person{patient, doctor, patient, doctor} {
		d := &device{t: t, s: s, person: p, no: no, more: make(chan struct{}, 1)}
		d.connect(t, []string{urlA, urlB}[i/2], []string{"p", "d"}[i%2])
		devices = append(devices, d)
	}
	defer func() {
		for _, d := range devices {
			d.socket.Close()
		}
	}()
	const each = 60
	var writing sync.WaitGroup
	for i, at := range []*Service{s, second} {
		p := []clinic.Person{patient, doctor}[i]
		writing.Go(func() {
			for n := range each {
				if _, err := at.Send(context.Background(), p, no, New{ClientID: fmt.Sprint(n), Kind: Text, Text: fmt.Sprint(n)}); err != nil {
					t.Error(err)
				}
				if n%15 == 7 { // somebody loses the connection
					d := devices[rand.IntN(len(devices))]
					if err := d.socket.Disconnect(); err != nil {
						t.Error(err)
					}
					if err := d.socket.Connect(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	writing.Wait()
	truth, err := s.Sync(t.Context(), patient, no, 0, 500)
	if err != nil || len(truth) != 2*each {
		t.Fatalf("%d messages, %v", len(truth), err)
	}
	for i, d := range devices {
		list := d.until(t, 2*each)
		for j, m := range list {
			if m.Seq != int64(j+1) || m.Text != truth[j].Text || m.From != truth[j].From {
				t.Fatalf("device %d, message %d: %+v", i, j+1, m)
			}
		}
		if d.heard == 0 {
			t.Errorf("device %d heard nothing over its socket", i)
		}
	}
	if len(devices[0].list) != 2*each {
		t.Errorf("%d messages", len(devices[0].list))
	}
}

// A token of no session has no socket, and nobody hears of another's conversation.
func TestSocketsOfOthers(t *testing.T) {
	s, no := opened(t)
	people := &sessions{of: map[string]clinic.Person{"p": patient, "x": stranger}}
	n, url := started(t, people, "")
	s.Live = n
	refused := make(chan uint32, 1)
	nobody := centrifuge.NewJsonClient(url, centrifuge.Config{Token: "nobody"})
	nobody.OnDisconnected(func(e centrifuge.DisconnectedEvent) { refused <- e.Code })
	if err := nobody.Connect(); err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	if code := <-refused; code != 3500 { // invalid token, terminal
		t.Errorf("nobody was sent away with %d", code)
	}

	heard := make(chan string, 10)
	other := centrifuge.NewJsonClient(url, centrifuge.Config{Token: "x"})
	connected := make(chan struct{}, 1)
	other.OnConnected(func(centrifuge.ConnectedEvent) { connected <- struct{}{} })
	other.OnPublication(func(e centrifuge.ServerPublicationEvent) { heard <- string(e.Data) })
	if err := other.Connect(); err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	<-connected
	// He cannot subscribe to the patient's channel by himself either.
	sub, err := other.NewSubscription(channel(patient.Account))
	if err != nil {
		t.Fatal(err)
	}
	denied := make(chan struct{}, 1)
	sub.OnUnsubscribed(func(centrifuge.UnsubscribedEvent) { denied <- struct{}{} })
	if err := sub.Subscribe(); err != nil {
		t.Fatal(err)
	}
	<-denied
	d := &device{t: t, s: s, person: patient, no: no, more: make(chan struct{}, 1)}
	d.connect(t, url, "p")
	defer d.socket.Close()
	sent(t, s, doctor, no, "a", "您好")
	d.until(t, 1)
	n.Publish(stranger.Account, []byte(`"yours"`)) // what is his comes after, so that nothing else came before
	if got := <-heard; got != `"yours"` {
		t.Errorf("heard %s", got)
	}
}

// watched is a socket that tells what becomes of it.
type watched struct {
	socket  *centrifuge.Client
	opened  chan struct{}
	closed  chan uint32
	heard   chan string
	waiting time.Duration
}

func watch(t *testing.T, url, token string) *watched {
	t.Helper()
	w := &watched{socket: centrifuge.NewJsonClient(url, centrifuge.Config{Token: token, MinReconnectDelay: time.Millisecond, MaxReconnectDelay: 20 * time.Millisecond}),
		opened: make(chan struct{}, 8), closed: make(chan uint32, 8), heard: make(chan string, 8), waiting: 30 * time.Second}
	w.socket.OnConnected(func(centrifuge.ConnectedEvent) { w.opened <- struct{}{} })
	w.socket.OnConnecting(func(e centrifuge.ConnectingEvent) {
		if e.Code >= 3000 {
			w.closed <- e.Code
		}
	})
	w.socket.OnDisconnected(func(e centrifuge.DisconnectedEvent) { w.closed <- e.Code })
	w.socket.OnPublication(func(e centrifuge.ServerPublicationEvent) { w.heard <- string(e.Data) })
	if err := w.socket.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.socket.Close)
	got(t, w.opened, w.waiting)
	return w
}

// got is the next of a channel, or the end of the test.
func got[T any](t *testing.T, from <-chan T, within time.Duration) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(within):
		t.Fatal("nothing came")
	}
	return v
}

// A socket is closed when its session ends, or its owner does not treat there any more; it
// opens again with the rights that are left, and hears no more of what was.
func TestSocketsOfTheFormer(t *testing.T) {
	s, no := opened(t)
	people := &sessions{of: map[string]clinic.Person{"p": patient, "d": doctor}}
	n, url := started(t, people, "")
	s.Live = n
	d, p := watch(t, url, "d"), watch(t, url, "p")
	sent(t, s, patient, no, "a", "您好")
	if text := got(t, d.heard, d.waiting); !strings.Contains(text, "您好") {
		t.Errorf("the doctor heard %s", text)
	}
	moved := doctor
	moved.Grants = []clinic.Grant{{Role: clinic.Doctor, Hospital: "h2", Code: "D1"}}
	people.set("d", &moved)
	if code := got(t, d.closed, d.waiting); code != otherRights.Code {
		t.Errorf("the former doctor's socket was closed with %d", code)
	}
	got(t, d.opened, d.waiting)
	sent(t, s, patient, no, "b", "在吗")
	n.PublishAt(doctor.Account, "h2", []byte(`"yours"`)) // what is his comes after, so that nothing else came before
	if text := got(t, d.heard, d.waiting); text != `"yours"` {
		t.Errorf("the former doctor heard %s", text)
	}
	people.set("p", nil)
	if code := got(t, p.closed, p.waiting); code != 3500 {
		t.Errorf("the socket of nobody was closed with %d", code)
	}
	people.mu.Lock()
	defer people.mu.Unlock()
	if len(people.acts) != 3 || people.acts[0].Verb != "clinic-socket" || people.acts[0].Subject != "account 11" || people.acts[0].Person.Account != 11 {
		t.Errorf("in the audit: %+v", people.acts)
	}
}

// What cannot be kept in the audit is not opened.
func TestNoSocketWithoutAudit(t *testing.T) {
	n := &Node{people: &sessions{of: map[string]clinic.Person{"p": patient}}, trail: lost{}, log: slog.New(slog.DiscardHandler)}
	if _, err := n.connecting(t.Context(), server.ConnectEvent{Token: "p"}); !errors.Is(err, server.ErrorInternal) {
		t.Errorf("%v", err)
	}
}

type lost struct{}

func (lost) Keep(context.Context, clinic.Act) error { return errors.New("the audit is full") }
