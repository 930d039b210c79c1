package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"hishub/mocks/servers"
	"hishub/platform/clinic"
)

// sessions are tokens of accounts; one that is taken out is signed out.
type sessions struct {
	mu sync.Mutex
	of map[string]int64
}

func (s *sessions) Person(_ context.Context, token string) (clinic.Person, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	account, ok := s.of[token]
	if !ok {
		return clinic.Person{}, clinic.ErrSignedOut
	}
	return clinic.Person{Account: account}, nil
}

// device is a client as the apps are: it hears of messages over its socket, and syncs
// whenever it connects or a message is not the next one.
type device struct {
	t       *testing.T
	s       *Service
	account int64
	no      string
	socket  *centrifuge.Client

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
		page, err := d.s.Sync(context.Background(), d.account, d.no, int64(len(d.list)), 100)
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
			t.Fatalf("account %d has %d of %d messages", d.account, len(list), n)
		}
	}
}

func started(t *testing.T, people clinic.People, redis string) (*Node, string) {
	t.Helper()
	n, err := NewNode(people, redis, slog.New(slog.DiscardHandler))
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
	people := &sessions{of: map[string]int64{"p": patient, "d": doctor}}
	redis := servers.Redis(t)
	a, urlA := started(t, people, redis)
	b, urlB := started(t, people, redis)
	s.Live = a
	second := &Service{Clinic: s.Clinic, Live: b} // the other process

	var devices []*device
	for i, account := range []int64{patient, doctor, patient, doctor} {
		d := &device{t: t, s: s, account: account, no: no, more: make(chan struct{}, 1)}
		d.connect(t, []string{urlA, urlB}[i/2], map[int64]string{patient: "p", doctor: "d"}[account])
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
		account := []int64{patient, doctor}[i]
		writing.Go(func() {
			for n := range each {
				if _, err := at.Send(context.Background(), account, no, New{ClientID: fmt.Sprint(n), Kind: Text, Text: fmt.Sprint(n)}); err != nil {
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
	people := &sessions{of: map[string]int64{"p": patient, "x": stranger}}
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
	sub, err := other.NewSubscription(channel(patient))
	if err != nil {
		t.Fatal(err)
	}
	denied := make(chan struct{}, 1)
	sub.OnUnsubscribed(func(centrifuge.UnsubscribedEvent) { denied <- struct{}{} })
	if err := sub.Subscribe(); err != nil {
		t.Fatal(err)
	}
	<-denied
	d := &device{t: t, s: s, account: patient, no: no, more: make(chan struct{}, 1)}
	d.connect(t, url, "p")
	defer d.socket.Close()
	sent(t, s, doctor, no, "a", "您好")
	d.until(t, 1)
	n.Publish(stranger, []byte(`"yours"`)) // what is his comes after, so that nothing else came before
	if got := <-heard; got != `"yours"` {
		t.Errorf("heard %s", got)
	}
}
