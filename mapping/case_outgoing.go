package mapping

import (
	"bytes"
	"cmp"
	"path"
	"strconv"
	"strings"
	"time"

	"hishub/core"
)

// outgoing is a case of what we say: its exchanges, what they begin with, and what is
// expected of each.
type outgoing struct {
	calls    []*core.Call
	in       core.Input
	want     []expected
	numbered bool // its files have a number for each exchange
}

// number stands in the names of the files of an exchange.
func (o *outgoing) number(i int) string {
	if !o.numbered {
		return ""
	}
	return "." + strconv.Itoa(i+1)
}

func (c *caseRun) outgoing(kind core.Kind) (o outgoing, ok bool) {
	operation := c.folder.Dialect.Operations[kind]
	if operation == nil {
		c.differ("the folder has no operation %s", kind)
		return o, false
	}
	data, err := readRegular(c.folder.files, path.Join(c.dir, "message.json"))
	if err != nil {
		c.differ("message.json: %v", cause(err))
		return o, false
	}
	body, err := core.DecodeBody(kind, bytes.TrimPrefix(data, []byte(mark)))
	if err != nil {
		c.differ("message.json: %v", err)
		return o, false
	}
	var g given
	var want expected
	if !c.readYAML("given.yaml", true, &g) || !c.readYAML("expect.yaml", false, &want) {
		return o, false
	}
	if o.in, ok = c.input(body, &g); !ok {
		return o, false
	}
	o.in.Kind = cmp.Or(g.Message.Kind, kind)
	if o.calls, ok = c.calls(operation, g.Step, o.in); !ok {
		return o, false
	}
	if o.want = want.Steps; o.want == nil {
		if len(o.calls) > 1 {
			c.differ("expect.yaml: %s has %d steps; write steps: a list, or step: <name> in given.yaml", kind, len(o.calls))
			return o, false
		}
		o.want = []expected{want}
	}
	o.numbered = len(o.want) > 1 || g.Step == "" && len(o.calls) > 1
	return o, true
}

// calls are the exchanges of the case: all steps, or the one that given.yaml
// names; "<step> undo" is its undo.
func (c *caseRun) calls(o *core.Operation, step string, in core.Input) ([]*core.Call, bool) {
	var calls []*core.Call
	for i := range o.Steps {
		s := &o.Steps[i]
		name := strings.TrimPrefix(strings.TrimPrefix(s.Name, string(o.Kind)), " ")
		switch {
		case step == "":
			if s.When != nil {
				applies, err := s.When(in)
				if err != nil {
					c.differ("%v", err)
					return nil, false
				}
				if !applies {
					continue
				}
			}
			calls = append(calls, &s.Call)
		case step == name:
			return []*core.Call{&s.Call}, true
		case step == strings.TrimSpace(name+" undo") && s.Undo != nil:
			return []*core.Call{&s.Undo.Call}, true
		}
	}
	if step != "" {
		c.differ("given.yaml: there is no step %q", step)
		return nil, false
	}
	return calls, true
}

// input is fixed where given.yaml says nothing, so that requests are the same
// every time.
func (c *caseRun) input(body core.Body, g *given) (core.Input, bool) {
	zone := c.folder.Dialect.Zone
	at := func(name, text string, def time.Time) time.Time {
		if text == "" {
			return def
		}
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
			if t, err := time.ParseInLocation(layout, text, zone); err == nil {
				return t
			}
		}
		c.differ("given.yaml: %s is not a time like 2026-01-05T10:00:00+08:00", name)
		return def
	}
	accepted := time.Date(2026, 1, 5, 10, 0, 0, 0, zone)
	key := ""
	if body != nil {
		key = body.Key()
	}
	in := core.Input{Body: body, Captured: map[string]string{}, Session: g.Session}
	for k, v := range g.Captured {
		in.Captured[k] = v
	}
	in.Stamp = core.Stamp{
		Key: key, Time: at("message.time", g.Message.Time, accepted),
		ID: strings.Repeat("0", 31) + "1", At: at("attempt.time", g.Attempt.Time, accepted.Add(time.Second)), Serial: 1, Number: 1,
	}
	if g.Attempt.ID != "" {
		in.Stamp.ID = g.Attempt.ID
	}
	if g.Attempt.Serial != 0 {
		in.Stamp.Serial = g.Attempt.Serial
	}
	if g.Attempt.Number != 0 {
		in.Stamp.Number = g.Attempt.Number
	}
	return in, len(c.differences) == 0
}
