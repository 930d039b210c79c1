package mapping

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"hishub/core"
)

// recordedCase is one exchange of the folder's cases that has an answer.
type recordedCase struct {
	name     string // "payment.settle.ok"
	kind     core.Kind
	call     *core.Call
	in       core.Input
	answer   []byte
	outcome  core.Outcome
	rule     string
	status   *core.Status // of a question about a write
	next     bool         // another page follows
	captured map[string]string
	result   any  // the canonical answer
	partly   bool // some of its parts were refused
}

// readCases gathers the folder's recorded answers with what they mean. Cases that
// do not hold are left out; `hishub hospital check` names them.
func (mi *Mirror) readCases() {
	dirs, _ := fs.ReadDir(mi.folder.files, "cases")
	for _, d := range dirs {
		if d.IsDir() && !hidden(d.Name()) {
			mi.readCase(d.Name())
		}
	}
}

func (mi *Mirror) readCase(name string) {
	parts := strings.SplitN(name, ".", 3)
	if len(parts) < 2 {
		return
	}
	kind := core.Kind(parts[0] + "." + parts[1])
	c := &caseRun{folder: mi.folder, dir: path.Join("cases", name), connectors: mi.connectors}
	told, ok := c.outgoing(kind)
	if !ok {
		return
	}
	in := told.in
	for i := range min(len(told.want), len(told.calls)) {
		captured := mi.keepCase(name, kind, c, told.calls[i], in, told.number(i))
		if captured == nil {
			return
		}
		in.Captured = maps.Clone(in.Captured) // the case keeps what it was read with
		maps.Copy(in.Captured, captured)
	}
}

// keepCase reads one recorded answer; nil if there is none that holds.
func (mi *Mirror) keepCase(name string, kind core.Kind, c *caseRun, call *core.Call, in core.Input, number string) map[string]string {
	answer, file, err := c.recorded("answer" + number)
	if err != nil || file == "" {
		return nil
	}
	offline, ok := mi.connectors[call.Connector].(core.Offline)
	if !ok {
		return nil
	}
	q, err := call.Mapper.Encode(in)
	if err != nil {
		return nil
	}
	r, err := offline.Read(q, answer)
	if err != nil {
		return nil
	}
	v := call.Mapper.Decode(in, r)
	out := &recordedCase{name: name, kind: kind, call: call, in: in, answer: answer, outcome: v.Outcome, rule: v.Rule, next: v.Next != nil, captured: v.Captured, result: v.Answer}
	out.status, _ = v.Answer.(*core.Status)
	for _, p := range v.Parts {
		out.partly = out.partly || p.Outcome != core.OutcomeOK
	}
	mi.cases = append(mi.cases, out)
	if v.Captured == nil {
		return map[string]string{}
	}
	return v.Captured
}

// RecordedStates are the states that recorded answers to a question about a write
// say, each once. The folder's connectors must be able to open.
func (f *Folder) RecordedStates(kind core.Kind) []core.State {
	mi, err := f.Mirror()
	if err != nil {
		return nil
	}
	defer mi.Close()
	var out []core.State
	for _, c := range mi.cases {
		if c.kind == kind && c.status != nil && !slices.Contains(out, c.status.State) {
			out = append(out, c.status.State)
		}
	}
	return out
}
