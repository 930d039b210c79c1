// Package connectortest is what it means to be a connector: one suite that
// every kind of connector passes against a real server of its kind.
package connectortest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hishub/connectors/proxy"
	"hishub/core"
)

// Peer is a real server that acts once for each request, and how to talk to it.
type Peer struct {
	// Address of the server. The suite puts a Proxy in front of it.
	Address string
	// Open opens a connector to an address, with max_answer: 1MiB and credentials
	// wherever its options take some.
	Open func(t *testing.T, address string) core.Connector
	// Request makes the server act once and give text back.
	Request func(text string) core.Request
	// Text is what an answer gives back.
	Text func(core.Response) string
	// Huge makes the server answer with about 50 MB.
	Huge core.Request
	// Acted is how often the server acted so far.
	Acted func() int
	// Secrets are the credentials, which no error may show.
	Secrets []string
}

// Run runs the suite.
func Run(t *testing.T, p Peer) {
	for _, c := range []struct {
		name string
		run  func(*run)
	}{
		{"parallel calls do not mix", (*run).parallel},
		{"a refused connection is unavailable", (*run).refused},
		{"cut before the first byte is unavailable", (*run).cutBefore},
		{"an idle connection that was closed is replaced", (*run).idleClosed},
		{"cut after the HIS acted is in doubt", func(r *run) { r.spoilt(proxy.CutAfter) }},
		{"a garbled answer is in doubt", func(r *run) { r.spoilt(proxy.Garbled) }},
		{"a truncated answer is in doubt", func(r *run) { r.spoilt(proxy.Truncated) }},
		{"a hang past the deadline is in doubt", (*run).hang},
		{"cancel returns within 100 ms", (*run).cancel},
		{"cancelled before it began is unavailable", (*run).cancelled},
		{"a huge answer is refused at the bound", (*run).huge},
		{"a recorded answer reads like a received one", (*run).offline},
		{"closed twice, then nothing is sent", (*run).closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			r := begin(t, p)
			c.run(r)
			r.end()
			goleak.VerifyNone(t, before)
		})
	}
}

// run is one case: a connector of its own through a proxy of its own.
type run struct {
	*testing.T
	peer      Peer
	proxy     *proxy.Proxy
	connector core.Connector
}

func begin(t *testing.T, p Peer) *run {
	t.Helper()
	between, err := proxy.New("tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	return &run{T: t, peer: p, proxy: between, connector: p.Open(t, between.Address())}
}

func (r *run) end() {
	if err := r.connector.Close(); err != nil {
		r.Errorf("close: %v", err)
	}
	r.proxy.Close()
}

func (r *run) set(m proxy.Mode) {
	r.Helper()
	if err := r.proxy.Set(m); err != nil {
		r.Fatal(err)
	}
}

// patience is for what must come sooner or later; a busy machine takes its time.
const patience = time.Minute

// works makes a call that must succeed, and leaves an idle connection.
func (r *run) works(text string) core.Response {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a, err := r.connector.Call(ctx, r.peer.Request(text))
	if err != nil {
		r.Fatalf("call: %v", err)
	}
	if got := r.peer.Text(a); got != text {
		r.Fatalf("asked for %q, got %q", text, got)
	}
	if len(a.Sent) == 0 || len(a.Received) == 0 {
		r.Error("the answer does not hold what was sent and received")
	}
	return a
}

// fails makes a call that must fail with that class.
func (r *run) fails(ctx context.Context, q core.Request, want core.Class) error {
	r.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a, err := r.connector.Call(ctx, q)
	if err == nil {
		r.Fatalf("the call succeeded, it must be %s", want)
	}
	var f *core.Fault
	if !errors.As(err, &f) {
		r.Fatalf("%v is no *core.Fault", err)
	}
	if f.Class != want {
		r.Errorf("%v: must be %s", err, want)
	}
	if len(a.Sent) == 0 {
		r.Error("the response beside the error does not say what was to be sent")
	}
	for _, secret := range append(r.peer.Secrets, "张三测试", "garbage") {
		if strings.Contains(err.Error(), secret) || strings.Contains(fmt.Sprintf("%+v", f.Err), secret) {
			r.Errorf("the error shows %q", secret)
		}
	}
	return err
}

func (r *run) parallel() {
	const callers, calls = 24, 10
	before := r.peer.Acted()
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			for n := range calls {
				text := fmt.Sprintf("caller %d call %d 测试", i, n)
				a, err := r.connector.Call(context.Background(), r.peer.Request(text))
				if err != nil {
					r.Error(err)
				} else if got := r.peer.Text(a); got != text {
					r.Errorf("asked for %q, got %q", text, got)
				}
			}
		})
	}
	wait.Wait()
	if acted := r.peer.Acted() - before; acted != callers*calls {
		r.Errorf("the server acted %d times for %d calls", acted, callers*calls)
	}
}

func (r *run) refused() {
	r.set(proxy.Down)
	before := r.peer.Acted()
	r.fails(context.Background(), r.peer.Request("x"), core.Unavailable)
	r.acted(before, 0)
}

func (r *run) cutBefore() {
	r.works("x")
	before := r.peer.Acted()
	r.set(proxy.Down) // closes the idle connection, too
	r.fails(context.Background(), r.peer.Request("x"), core.Unavailable)
	r.acted(before, 0)
	r.set(proxy.Through)
	r.works("back again")
}

func (r *run) idleClosed() {
	before := r.peer.Acted()
	for i := range 5 {
		r.works(fmt.Sprint(i))
		r.proxy.Cut()
	}
	r.works("last")
	r.acted(before, 6)
}

func (r *run) spoilt(m proxy.Mode) {
	r.works("x") // so that a protocol with a greeting is past it
	before := r.peer.Acted()
	r.set(m)
	r.fails(context.Background(), r.peer.Request("y"), core.InDoubt)
	r.acted(before, 1)
	r.set(proxy.Through)
	r.works("the next one is not harmed")
}

// hang gives a machine that is too busy to send before a short deadline a
// longer one.
func (r *run) hang() {
	r.works("x")
	for deadline := 150 * time.Millisecond; ; deadline *= 2 {
		before := r.peer.Acted()
		r.set(proxy.Hang)
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		_, err := r.connector.Call(ctx, r.peer.Request("y"))
		cancel()
		if core.ClassOf(err) == core.Unavailable && deadline < patience {
			r.set(proxy.Through)
			r.works("z")
			continue
		}
		if core.ClassOf(err) != core.InDoubt || !errors.Is(err, context.DeadlineExceeded) {
			r.Fatalf("got %v, must be in doubt because the deadline passed", err)
		}
		<-r.proxy.Held
		r.acted(before, 1)
		return
	}
}

// cancel takes the best of a few tries, for the same reason.
func (r *run) cancel() {
	best := time.Hour
	for try := 0; try < 5 && best > 100*time.Millisecond; try++ {
		r.set(proxy.Through)
		r.works("x")
		r.set(proxy.Hang)
		best = min(best, r.cancelOnce())
	}
	if best > 100*time.Millisecond {
		r.Errorf("returned %v after it was cancelled", best)
	}
}

func (r *run) cancelOnce() time.Duration {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cancelledAt := make(chan time.Time, 1)
	go func() {
		<-r.proxy.Held
		cancelledAt <- time.Now()
		cancel()
	}()
	err := r.fails(ctx, r.peer.Request("y"), core.InDoubt)
	took := time.Since(<-cancelledAt)
	if !errors.Is(err, context.Canceled) {
		r.Errorf("%v does not say that it was cancelled", err)
	}
	return took
}

func (r *run) cancelled() {
	r.works("x")
	before := r.peer.Acted()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.fails(ctx, r.peer.Request("y"), core.Unavailable)
	r.acted(before, 0)
}

func (r *run) huge() {
	r.works("x")
	before := r.proxy.Returned()
	r.fails(context.Background(), r.peer.Huge, core.InDoubt)
	// What the kernel's buffers hold is beyond the connector.
	if got := r.proxy.Returned() - before; got > 20<<20 {
		r.Errorf("read %d MB of an answer over the bound of 1 MiB", got>>20)
	}
	r.works("the next one is not harmed")
}

func (r *run) offline() {
	o, ok := r.connector.(core.Offline)
	if !ok {
		r.Fatal("the connector is not core.Offline")
	}
	q := r.peer.Request("a & b 测试")
	a, err := r.connector.Call(context.Background(), q)
	if err != nil {
		r.Fatal(err)
	}
	written, err := o.Write(q)
	if err != nil {
		r.Fatal(err)
	}
	if !strings.HasSuffix(string(written), string(a.Sent)) {
		r.Errorf("Write shows\n%s\nbut Call sent\n%s", written, a.Sent)
	}
	recorded, err := o.Read(q, a.Received)
	if err != nil {
		r.Fatal(err)
	}
	if got, want := r.peer.Text(recorded), r.peer.Text(a); got != want {
		r.Errorf("Read gives %q, Call gave %q", got, want)
	}
}

func (r *run) closed() {
	r.works("x")
	for range 2 {
		if err := r.connector.Close(); err != nil {
			r.Errorf("close: %v", err)
		}
	}
	before := r.peer.Acted()
	r.fails(context.Background(), r.peer.Request("y"), core.Unavailable)
	r.acted(before, 0)
}

func (r *run) acted(before, want int) {
	r.Helper()
	if got := r.peer.Acted() - before; got != want {
		r.Errorf("the server acted %d times, must be %d", got, want)
	}
}
