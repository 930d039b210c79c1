package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"hishub/core"
	"hishub/mapping"
)

// triedInbound is what the HIS said, how it was opened and what we answer.
type triedInbound struct {
	Listener  string       `json:"listener"`
	Transport string       `json:"transport"`
	Wire      *triedBytes  `json:"wire"`
	Call      string       `json:"call,omitempty"` // the transport's own
	Body      *triedValue  `json:"body,omitempty"`
	Values    []triedValue `json:"values,omitempty"`
	Rules     []triedRule  `json:"rules,omitempty"`
	Taken     bool         `json:"taken"`
	// Error says why nothing is taken.
	Error string      `json:"error,omitempty"`
	Reply *triedReply `json:"reply,omitempty"`
}

type triedReply struct {
	State  core.ResultState `json:"state"`
	Values []triedValue     `json:"values,omitempty"`
	Send   *triedValue      `json:"send,omitempty"`
	Status int              `json:"status,omitempty"`
	Wire   *triedBytes      `json:"wire,omitempty"`
	Error  string           `json:"error,omitempty"`
}

// inbound shows what becomes of something that the HIS says. given is the result
// of a case; nil: none but --result.
func (t *trial) inbound(request []byte, given *core.Resolution) error {
	if t.asks() || len(t.Answer) > 0 || t.Step != "" {
		return fmt.Errorf("%s comes from the HIS: there is nothing to send, no step and no answer of it to record", t.kind)
	}
	listener := t.listener()
	if listener == nil {
		return fmt.Errorf("this folder has no %s, or no listener for it", t.kind)
	}
	v := t.viewIn(t.folder.ListenerCharset(listener.Name))
	shown := &triedInbound{Listener: listener.Name, Transport: listener.Kind, Wire: v.show(request, t.Hex)}
	t.shown.Kind, t.shown.Inbound = t.kind, shown
	if t.in.Stamp.ID == "" {
		t.in.Stamp = core.NewHospital(t.folder.Dialect, 0, nil, nil, nil).Stamp("", time.Now(), 1)
	}
	result, err := t.resolution(given)
	if err != nil {
		return err
	}
	incoming, err := mapping.RecordedRequest(request)
	if err != nil {
		return fmt.Errorf("%s: %w", t.File, err)
	}
	arrival, err := listener.Wire.Read(incoming)
	if err != nil {
		shown.Error = err.Error()
		return t.done()
	}
	shown.Call, shown.Body = arrival.Call, v.value(mapping.Computed{Value: arrival.Body})
	e := mapping.ExplainOpening(listener.Door, arrival, t.in.Stamp)
	shown.Values = v.values(e.Values, func(c mapping.Computed) bool { return c.Name != "body" || c.Layer != mapping.LayerRead })
	shown.Rules = v.rules(e.Rules, "")
	if e.Opened.Body == nil {
		shown.Error = fmt.Sprint(e.Opened.Err)
		result = &core.Resolution{State: core.ResultInvalid}
	} else {
		shown.Taken = true
		if t.shown.Message, err = plainJSON(e.Opened.Body); err != nil {
			return err
		}
		if e.Opened.Kind != t.kind {
			shown.Error = fmt.Sprintf("this is a request for %s", e.Opened.Kind)
		}
	}
	if result != nil {
		shown.Reply = t.reply(listener, arrival, e, *result, v)
	}
	if err := t.done(); err != nil || t.Record == "" {
		return err
	}
	if result == nil {
		return errors.New("to record, say --result, too: the case holds the reply")
	}
	return t.recordInbound(mapping.Told{Request: request, Stamp: t.in.Stamp, Taken: shown.Taken, Result: *result}, listener.Name)
}

// recordInbound makes a case of what the HIS told.
func (t *trial) recordInbound(told mapping.Told, listener string) error {
	r, err := newRecording(t.Folder, t.kind, t.Record)
	if err != nil {
		return err
	}
	r.live = t.folder.Dialect
	folder, err := loadCases(os.DirFS(t.Folder))
	if err != nil {
		return inFolder(t.Folder, err)
	}
	told.Listener = folder.Dialect.Listeners[listener]
	recorded, err := folder.RecordInbound(told, mapping.RecordOptions{
		Kind: t.kind, Unmasked: t.Unmasked, Charset: charsetNamed(folder.ListenerCharset(listener)), Secrets: r.secretsNotIn(folder.Dialect),
	})
	if err != nil {
		return fmt.Errorf("record %s: %w", r.name, err)
	}
	if err := r.place(folder, recorded); err != nil {
		return err
	}
	r.tell(recorded)
	return nil
}

func (t *trial) reply(in *core.Listener, a core.Arrival, e mapping.ExplainedOpening, result core.Resolution, v view) *triedReply {
	reply := mapping.ExplainReply(in.Door, e.Opened, result, t.in.Stamp)
	out := &triedReply{State: result.State}
	out.Values = v.values(reply.Values, func(c mapping.Computed) bool {
		return (c.Name != "body" || c.Layer != mapping.LayerRead) &&
			!slices.ContainsFunc(e.Values, func(o mapping.Computed) bool { return o.Layer == c.Layer && o.Name == c.Name })
	})
	if reply.Err != nil {
		out.Error = reply.Err.Error()
		return out
	}
	out.Send = v.value(mapping.Computed{Value: reply.Reply.Body})
	wire, err := in.Wire.Write(a, reply.Reply)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Status, out.Wire = wire.Status, v.show(wire.Body, t.Hex)
	return out
}

func (t *trial) listener() *core.Listener {
	for _, name := range sortedKeys(t.folder.Dialect.Listeners) {
		if l := t.folder.Dialect.Listeners[name]; l.Wire != nil && slices.Contains(l.Kinds, t.kind) {
			return l
		}
	}
	return nil
}

// resolution is what --result or the case says; nil when nobody says anything.
func (t *trial) resolution(given *core.Resolution) (*core.Resolution, error) {
	if t.Result == "" {
		return given, nil
	}
	var r struct {
		State   core.ResultState `json:"state"`
		Message string           `json:"message"`
		Answer  json.RawMessage  `json:"answer"`
	}
	if err := core.DecodeStrict([]byte(t.Result), &r); err != nil {
		return nil, fmt.Errorf("--result: %w", err)
	}
	if !slices.Contains(r.State.Values(), string(r.State)) {
		return nil, errors.New("--result: state is done, refused, unknown or invalid")
	}
	out := &core.Resolution{State: r.State, Message: r.Message}
	if transaction, ok := core.Lookup(t.kind); ok && r.Answer != nil {
		out.Answer = transaction.Answer()
		if err := core.DecodeStrict(r.Answer, out.Answer); err != nil {
			return nil, fmt.Errorf("--result: answer: %w", err)
		}
	}
	return out, nil
}

func (t *trial) done() error {
	if t.JSON {
		return printJSON(t.shown)
	}
	t.shown.print(os.Stdout)
	return nil
}

func (i *triedInbound) print(w io.Writer, t *tried) {
	fmt.Fprintf(w, "%s comes to %s at the listener %s (%s)\n", t.Kind, t.Hospital, i.Listener, i.Transport)
	i.Wire.print(w, "wire")
	if i.Call != "" {
		fmt.Fprintf(w, "\nwire.call: %s\n", i.Call)
	}
	i.Body.print(w, "body")
	printValues(w, "read", i.Values)
	printRules(w, i.Rules)
	if i.Taken {
		section(w, fmt.Sprintf("\nmessage: %s of %s", t.Kind, t.Hospital), pretty(t.Message))
	}
	if i.Error != "" {
		fmt.Fprintf(w, "\nnot taken: %s\n", i.Error)
	}
	r := i.Reply
	if r == nil {
		if i.Taken {
			fmt.Fprintln(w, "\nsay --result to see the reply")
		}
		return
	}
	fmt.Fprintf(w, "\nresult: %s\n", r.State)
	printValues(w, "values", r.Values)
	r.Send.print(w, "send")
	r.Wire.print(w, "reply")
	if r.Error != "" {
		fmt.Fprintf(w, "\ncannot be said: %s\n", r.Error)
	}
}
