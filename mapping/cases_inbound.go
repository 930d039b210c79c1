package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"hishub/core"
)

// inbound runs a case of what the HIS asks of us: the request's bytes, the
// message that they become, and the exact bytes of the reply.
func (c *caseRun) inbound(t core.Transaction) {
	var in *core.Listener
	for _, l := range sortedByName(c.folder.Dialect.Listeners) {
		if d, ok := l.Door.(*door); ok && d.kinds[t.Kind] != nil {
			in = l
			break
		}
	}
	if in == nil {
		c.differ("the folder has no operation %s", t.Kind)
		return
	}
	if in.Wire == nil {
		c.differ("the case needs a listener, and none can be made here")
		return
	}
	var g given
	var want expected
	if !c.readYAML("given.yaml", true, &g) || !c.readYAML("expect.yaml", false, &want) {
		return
	}
	input, ok := c.input(nil, &g)
	if !ok {
		return
	}
	request, name, err := c.recorded("request")
	if err == nil && name == "" {
		err = fmt.Errorf("there is no request.*")
	}
	if err != nil {
		c.differ("%v", err)
		return
	}
	q, err := recordedRequest(request)
	if err != nil {
		c.differ("%s: %v", name, err)
		return
	}
	arrival, err := in.Wire.Read(q)
	opened := core.Opened{Arrival: arrival, Err: err}
	if err == nil {
		opened = in.Door.Open(arrival, input.Stamp)
	}
	result, ok := c.result(t, &g)
	if !ok {
		return
	}
	switch {
	case opened.Body == nil:
		c.invalid(&want, opened.Err)
		result = core.Resolution{State: core.ResultInvalid, Message: g.Result.Message}
	case want.Invalid != "" || want.Outcome == string(core.ResultInvalid):
		c.differ("should be invalid (%s), but is taken", want.Invalid)
	case opened.Kind != t.Kind:
		c.differ("this is a request for %s", opened.Kind)
		return
	case want.Takes != nil:
		c.differIn("takes", want.Takes, opened.Body)
	}
	reply, err := in.Door.Reply(opened, result, input.Stamp)
	if _, name, _ := c.recorded("answer"); err != nil && opened.Kind == "" && name == "" {
		return // nobody knows how to answer it
	}
	if err != nil {
		c.differ("%v", err)
		return
	}
	out, err := in.Wire.Write(arrival, reply)
	if err != nil {
		c.differ("answer: %v", err)
		return
	}
	if want.Status != 0 && want.Status != out.Status {
		c.differ("status: expected %d, got %d", want.Status, out.Status)
	}
	answer, name, err := c.recorded("answer")
	switch {
	case err != nil:
		c.differ("%v", err)
	case name == "":
		c.differ("there is no answer.*; what is answered is\n%s", out.Body)
	case !bytes.Equal(answer, out.Body):
		c.differ("%s: %s", name, difference(answer, out.Body))
	}
}

func (c *caseRun) invalid(want *expected, err error) {
	switch {
	case want.Invalid == "" && want.Outcome != string(core.ResultInvalid):
		c.differ("it is invalid: %v", err)
	case !strings.Contains(fmt.Sprint(err), want.Invalid):
		c.differ("should be invalid for %q, but: %v", want.Invalid, err)
	}
}

// result is the given one; done, if nothing is said.
func (c *caseRun) result(t core.Transaction, g *given) (core.Resolution, bool) {
	r := core.Resolution{State: core.ResultState(g.Result.State), Message: g.Result.Message}
	if r.State == "" {
		r.State = core.ResultDone
	}
	if g.Result.Answer == nil {
		return r, true
	}
	r.Answer = t.Answer()
	b, err := json.Marshal(g.Result.Answer)
	if err == nil {
		err = core.DecodeStrict(b, r.Answer)
	}
	if err != nil {
		c.differ("given.yaml: result.answer: %v", err)
	}
	return r, err == nil
}

// recordedRequest reads a whole HTTP request with its path below the listener's
// own, or the body of a POST to it.
func recordedRequest(b []byte) (core.Incoming, error) {
	q := core.Incoming{Method: "POST", Path: "/", Body: b}
	first, rest, _ := bytes.Cut(b, []byte("\n"))
	line := strings.TrimSuffix(string(first), "\r")
	if !strings.HasSuffix(line, " HTTP/1.1") {
		return q, nil
	}
	parts := strings.Fields(line)
	if len(parts) != 3 || !strings.HasPrefix(parts[1], "/") {
		return q, fmt.Errorf("the request line is not POST /path HTTP/1.1")
	}
	path, query, _ := strings.Cut(parts[1], "?")
	q.Method, q.Path = parts[0], path
	values, err := url.ParseQuery(query)
	if err != nil {
		return q, fmt.Errorf("the query cannot be read")
	}
	q.Query = core.Flatten(values)
	headers := map[string][]string{}
	for {
		first, rest, _ = bytes.Cut(rest, []byte("\n"))
		line = strings.TrimSuffix(string(first), "\r")
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return q, fmt.Errorf("a header line has no colon, or the blank line before the body is missing")
		}
		name = strings.ToLower(strings.TrimSpace(name))
		headers[name] = append(headers[name], strings.TrimSpace(value))
	}
	q.Headers, q.Body = core.Flatten(headers), rest
	return q, nil
}
