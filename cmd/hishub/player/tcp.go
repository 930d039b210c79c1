package player

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"time"

	"hishub/core"
	"hishub/mapping"
	"hishub/mocks/fault"
)

// mostRequest bounds one request over a bare connection, in bytes.
const mostRequest = 4 << 20

// serve takes connections of the entrances that have ports of their own; the web
// serves since its door was opened.
func (p *Player) serve() {
	ports := map[string]*fault.Port{}
	for _, d := range p.doors {
		if port, ok := d.(*fault.Port); ok {
			ports[port.Addr().String()] = port
		}
	}
	for _, e := range p.entrance {
		if e.kind == "tcp" {
			p.work.Go(func() { p.accept(e, ports[e.address]) })
		}
	}
}

func (p *Player) accept(e *entrance, port *fault.Port) {
	for {
		conn, err := port.Accept()
		if err != nil {
			return
		}
		p.open(conn)
		p.work.Go(func() {
			defer p.shut(conn)
			p.converse(e, conn)
		})
	}
}

// converse answers the requests of one connection, one after the other.
func (p *Player) converse(e *entrance, conn net.Conn) {
	stream, ok := e.wire.(core.Stream)
	if !ok {
		return
	}
	r := bufio.NewReader(conn)
	for {
		raw, err := stream.Next(r, mostRequest)
		if err != nil {
			return
		}
		if !p.turn(e, conn, raw) {
			return
		}
	}
}

// turn answers one request; false ends the connection.
func (p *Player) turn(e *entrance, conn net.Conn, raw []byte) bool {
	x := p.begin(e.name, "")
	h := p.hearFrame(e, raw, &x)
	if h == nil {
		p.record(x)
		return false
	}
	p.heard(&x, e, h)
	if !p.script.Wait(p.options.Latency) {
		return false
	}
	act := func(k fault.Kind) outgoing {
		x := x
		x.Fault = string(k)
		out := p.answer(e, h, k, &x)
		p.told(&x, e, out)
		return out
	}
	idle := func(k fault.Kind) {
		x.Fault = string(k)
		p.record(x)
	}
	send := func(out outgoing) bool {
		_, err := conn.Write(out.body)
		return err == nil && !out.end
	}
	strike := p.script.Strike(h.Identity(), p.names(h, x.Call)...)
	switch k := strike.Kind; k {
	case "", fault.DuplicateAnswer, fault.Busy, fault.Reject:
		return send(act(k))
	case fault.Slow:
		return p.script.Wait(strike.Delay.Or(10*time.Second)) && send(act(k))
	case fault.Hang:
		idle(k)
		p.holdUntilGone(conn, strike)
	case fault.CommitThenHang:
		act(k)
		p.holdUntilGone(conn, strike)
	case fault.CutAfterCommit:
		act(k)
	case fault.CutThenCommitLater:
		p.script.Later(strike.Delay.Or(10*time.Second), func() { act(k) })
	case fault.Garbled:
		out := act(k)
		out.body = p.script.Scramble(len(out.body))
		return send(out)
	case fault.Truncated:
		out := act(k)
		out.body = out.body[:len(out.body)/2]
		send(out)
	case fault.WrongCharset:
		out := act(k)
		out.body = e.recoded(out.body)
		return send(out)
	default: // what a bare connection has no words for
		idle(k)
	}
	fault.Reset(conn)
	return false
}

// holdUntilGone waits until the caller hangs up, the rule is gone, or the player closes.
func (p *Player) holdUntilGone(conn net.Conn, strike fault.Strike) {
	gone := make(chan struct{})
	p.work.Go(func() {
		defer close(gone)
		_, _ = conn.Read(make([]byte, 1))
	})
	select {
	case <-gone:
	case <-strike.Released:
	case <-p.done:
	}
}

func (p *Player) hearFrame(e *entrance, raw []byte, x *Exchange) *mapping.Heard {
	a, err := e.wire.Read(core.Incoming{Method: "POST", Path: "/", Body: raw})
	if err != nil {
		x.Request = p.redacted(e.text.Legible(raw))
		x.Trouble = append(x.Trouble, err.Error())
		return nil
	}
	text, _ := core.Text(a.Body)
	x.Request = p.redacted(text)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mirror == nil {
		return nil
	}
	h, err := p.mirror.Hear(e.name, core.Request{Body: a.Body})
	if err != nil {
		x.Trouble = append(x.Trouble, err.Error())
		return nil
	}
	return h
}

func (e *entrance) renderFrame(said *mapping.Said) (outgoing, error) {
	out, err := e.wire.Write(core.Arrival{}, core.Reply{Body: said.Response.Body})
	if err != nil {
		return outgoing{}, fmt.Errorf("frame the answer: %w", err)
	}
	if len(out.Body) == 0 {
		return outgoing{}, errors.New("the answer is empty")
	}
	return outgoing{body: out.Body}, nil
}
