package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"hishub/connectors"
	"hishub/core"
	"hishub/mapping"
)

// sent asks the HIS for real.
func (t *trial) sent(ctx context.Context, h *core.Hospital, call *core.Call, in core.Input, witness *mapping.Witness, x exchanged, shown *triedExchange) (*exchanged, error) {
	spec := t.folder.Dialect.Connectors[call.Connector]
	before := 0
	if t.played != nil {
		before = len(t.played.Exchanges())
	}
	asked := h.Ask(ctx, call, in, nil)
	if t.played != nil {
		for _, e := range t.played.Exchanges()[before:] {
			shown.Player = append(shown.Player, e.Trouble...)
		}
	}
	x.verdict = asked.Verdict
	defer func() { t.shown.Exchanges = append(t.shown.Exchanges, shown) }()
	if n := len(witness.Exchanges); n > 0 {
		x.Witnessed = witness.Exchanges[n-1]
		shown.Exchanges = n
		for _, value := range x.In.Session {
			shown.view.secrets = append(shown.view.secrets, value)
		}
		shown.asked(x.Asked)
	}
	if !asked.Called.IsZero() {
		shown.left(spec, h, x.Asked.Request, asked.Sent)
	}
	explained := mapping.ExplainedAnswer{Rules: mapping.Unjudged(call.Mapper.(*mapping.Witness).Mapper), Verdict: x.verdict}
	if x.Answer != nil && x.Response != nil {
		explained.Values, explained.Rules = x.Answer.Values, x.Answer.Rules
		x.answer = append([]byte(x.Response.Head()), x.Response.Received...)
	}
	if asked.Received != nil {
		shown.Answer = shown.bytes(asked.Received)
	}
	shown.judged(explained, x.Asked)
	t.exchanges = append(t.exchanges, x)
	if x.verdict.Outcome == core.OutcomeInvalid {
		return nil, x.verdict.Err
	}
	return &x, nil
}

// left shows what left as it is shown where nothing does: the request that was
// encoded, with its request line and headers, which the exchange does not keep. Where
// what a transport adds is new each time, as a nonce, what was sent stands beside it.
func (x *triedExchange) left(spec core.ConnectorSpec, h *core.Hospital, q core.Request, sent []byte) {
	wire, err := wireOf(spec, q)
	if err != nil {
		// It left all the same, and what became of it matters more.
		x.Wire = x.bytes(sent)
		return
	}
	x.Wire = x.bytes(wire)
	if !bytes.HasSuffix(h.Redact(wire), sent) {
		x.Sent = x.bytes(sent)
	}
}

// wireOf is what a connector would put on the wire.
func wireOf(spec core.ConnectorSpec, q core.Request) ([]byte, error) {
	offline, err := openOffline(spec)
	if err != nil {
		return nil, err
	}
	defer offline.Close()
	return offline.Write(q)
}

// openOffline opens a connector that can show what it would put on the wire.
func openOffline(spec core.ConnectorSpec) (offlineConnector, error) {
	connector, err := connectors.Open(spec)
	if err != nil {
		return nil, err
	}
	if offline, ok := connector.(offlineConnector); ok {
		return offline, nil
	}
	return nil, errors.Join(fmt.Errorf("connector %s cannot show what it would send", spec.Kind), connector.Close())
}

type offlineConnector interface {
	core.Connector
	core.Offline
}

// captured is what is known after an exchange: of earlier steps and of its own.
func (x *exchanged) captured(in core.Input) map[string]string {
	all := map[string]string{}
	maps.Copy(all, in.Captured)
	maps.Copy(all, x.verdict.Captured)
	return all
}

// triedStep is the one step of several that was sent, and how to send the next.
type triedStep struct {
	Name   string `json:"name"`
	Number int    `json:"number"` // from 1
	Of     int    `json:"of"`
	// Next is "" when no step follows, or this one did not go well.
	Next     string            `json:"next,omitempty"`
	Captured map[string]string `json:"captured,omitempty"`
}

// oneOf says which step it was that was sent: a payment in two steps is not made by
// its first.
func (t *trial) oneOf(x *exchanged, in core.Input, went bool) error {
	steps := t.folder.Dialect.Operations[t.kind].Steps
	at := slices.IndexFunc(steps, func(s core.Step) bool { return s.Name == x.call.Name })
	if at < 0 || len(steps) < 2 {
		return nil
	}
	in.Captured = x.captured(in)
	out := triedStep{Name: t.nameOf(steps[at]), Number: at + 1, Of: len(steps)}
	t.shown.Step = &out
	for _, s := range steps[at+1:] {
		if !went {
			break
		}
		if s.When != nil {
			applies, err := s.When(in)
			if err != nil {
				return err
			}
			if !applies {
				continue
			}
		}
		out.Next, out.Captured = t.nameOf(s), map[string]string{}
		shown := t.shown.Exchanges[len(t.shown.Exchanges)-1]
		for name, value := range in.Captured {
			out.Captured[name] = shown.view.maskText(value)
		}
		break
	}
	return nil
}

// nameOf is a step's name as --step takes it.
func (t *trial) nameOf(s core.Step) string {
	return strings.TrimPrefix(strings.TrimPrefix(s.Name, string(t.kind)), " ")
}

func (s *triedStep) print(w io.Writer) {
	if s == nil {
		return
	}
	fmt.Fprintf(w, "\nsent step %s (%d of %d)", s.Name, s.Number, s.Of)
	if s.Next != "" {
		fmt.Fprintf(w, "; next: --step %s", inShell(s.Next))
		for _, name := range sortedKeys(s.Captured) {
			fmt.Fprintf(w, " --captured %s", inShell(name+"="+s.Captured[name]))
		}
	}
	fmt.Fprintln(w)
}

// inShell quotes a word where a shell would read more into it.
func inShell(word string) string {
	if !strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || strings.ContainsRune("\"'$&|;<>()*?[]{}#~!`\\", r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
