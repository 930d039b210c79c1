package tcp

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"hishub/core"
)

func TestAKeptConnectionIsUsedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		options     map[string]any
		ending      string
		connections int64
	}{
		"length":             {eight, "", 1},
		"mllp":               {map[string]any{"framing": "mllp"}, "\r", 1},
		"mllp without 0x0D":  {map[string]any{"framing": "mllp"}, "", 1},
		"not kept":           {with(eight, map[string]any{"keep": false}), "", 5},
		"text that was kept": {with(eight, map[string]any{"keep": "true"}), "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			h, x := opened(t, c.options, func(h *his, on net.Conn, request string, n int) bool {
				b := h.framed(request)
				if h.framing.mllp {
					b = append(b[:len(b)-1], c.ending...)
				}
				_, err := on.Write(b)
				return err == nil
			})
			for i := range 5 {
				works(t, x, fmt.Sprint(i))
			}
			if h.accepted.Load() != c.connections {
				t.Errorf("%d connections, must be %d", h.accepted.Load(), c.connections)
			}
		})
	}
}

// The last byte of an MLLP frame is sent alone, and arrives while nobody reads.
func TestTheLateEndOfAFrame(t *testing.T) {
	taken, ended := make(chan struct{}), make(chan struct{})
	h, c := opened(t, map[string]any{"framing": "mllp"}, func(h *his, on net.Conn, request string, _ int) bool {
		b := h.framed(request)
		on.Write(b[:len(b)-1])
		<-taken
		on.Write(b[len(b)-1:])
		ended <- struct{}{}
		return true
	})
	for i := range 3 {
		r := works(t, c, fmt.Sprint(i))
		if string(r.Received) != fmt.Sprintf("\x0b%d\x1c", i) {
			t.Errorf("shows %q", r.Received)
		}
		taken <- struct{}{}
		<-ended
	}
	if h.accepted.Load() != 1 {
		t.Errorf("%d connections, must be 1", h.accepted.Load())
	}
}

// A HIS that closes after each answer, by which a kept connection dies while it
// is idle: every request is said once.
func TestConnectionsThatDieIdle(t *testing.T) {
	closed := make(chan struct{}, 1)
	h, c := opened(t, eight, func(h *his, on net.Conn, request string, n int) bool {
		echo(h, on, request, n)
		if n%2 == 0 {
			reset(on)
		} else {
			on.Close()
		}
		closed <- struct{}{}
		return false
	})
	for i := range 20 {
		works(t, c, fmt.Sprint(i))
		<-closed
	}
	if h.acted.Load() != 20 || h.accepted.Load() != 20 {
		t.Errorf("%d connections, acted %d times, must be 20", h.accepted.Load(), h.acted.Load())
	}
}

func TestAHundredCallsOverSevenConnections(t *testing.T) {
	h, c := opened(t, with(eight, map[string]any{"concurrency": 7}), echo)
	var wait sync.WaitGroup
	for i := range 100 {
		wait.Go(func() {
			text := fmt.Sprintf("张三测试 %d", i)
			if r, err := c.Call(t.Context(), ask(text)); err != nil || r.Body != text {
				t.Errorf("asked for %q, got %v, %v", text, r.Body, err)
			}
		})
	}
	wait.Wait()
	if h.most.Load() > 7 || h.accepted.Load() > 7 || h.acted.Load() != 100 {
		t.Errorf("%d connections, %d at once, acted %d times", h.accepted.Load(), h.most.Load(), h.acted.Load())
	}
}

// Who waits for a free connection until its deadline has sent nothing.
func TestWaitingForAConnectionIsUnavailable(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	h, c := opened(t, eight, func(h *his, on net.Conn, request string, n int) bool {
		close(asked)
		<-answer
		return echo(h, on, request, n)
	})
	first := make(chan error, 1)
	go func() {
		_, err := c.Call(context.Background(), ask("first"))
		first <- err
	}()
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Call(ctx, ask("second")); core.ClassOf(err) != core.Unavailable {
		t.Error(err)
	}
	close(answer)
	if err := <-first; err != nil || h.acted.Load() != 1 {
		t.Errorf("%v, acted %d times", err, h.acted.Load())
	}
}

// What follows a broken frame may be the rest of it, or anything.
func TestAConnectionThatBrokeIsNotUsedAgain(t *testing.T) {
	h, c := opened(t, eight, func(h *his, on net.Conn, request string, n int) bool {
		if request == "break" {
			io.WriteString(on, "OK......")
			return true
		}
		return echo(h, on, request, n)
	})
	fails(t, c, ask("break"), core.InDoubt, "stands no number")
	works(t, c, "next")
	if h.accepted.Load() != 2 {
		t.Errorf("%d connections, must be 2", h.accepted.Load())
	}
}
