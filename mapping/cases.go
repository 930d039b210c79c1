package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"hishub/core"
)

// A case is cases/<operation>[.<name>]/: the canonical message, the exact bytes
// that it becomes, an answer of the HIS and what the answer means.
//
//	message.json   the message or question
//	given.yaml     what else the exchange sees (optional)
//	request.*      the bytes that the connector writes
//	answer.*       a recorded answer (optional)
//	expect.yaml    what comes of it
//
// An operation of several steps has request.1.xml, answer.1.xml, request.2.xml
// and so on, and a list steps in expect.yaml; captured values are carried along.
//
// What the HIS asks of us goes the other way: request.* is given, answer.* the
// exact bytes of the reply, expect.yaml has takes, or the reason of invalid.

// CaseResult is one case that ran.
type CaseResult struct {
	Name string // "payment.settle.alipay"
	// Differences between what was expected and what came; empty if it passed.
	Differences []string
}

// Passed reports whether everything came as expected.
func (c CaseResult) Passed() bool { return len(c.Differences) == 0 }

// RunCases runs all cases of the folder, without any server. It needs
// Options.Open, and connectors that implement core.Offline.
func (f *Folder) RunCases() []CaseResult {
	dirs, _ := fs.ReadDir(f.files, "cases")
	connectors := map[string]core.Connector{}
	defer func() {
		for _, c := range connectors {
			c.Close()
		}
	}()
	var out []CaseResult
	for _, d := range dirs {
		if !d.IsDir() || hidden(d.Name()) {
			continue
		}
		c := &caseRun{folder: f, dir: path.Join("cases", d.Name()), connectors: connectors}
		c.run(d.Name())
		out = append(out, CaseResult{d.Name(), c.differences})
	}
	return out
}

type given struct {
	Step     string            `yaml:"step"`
	Captured map[string]string `yaml:"captured"`
	Session  map[string]string `yaml:"session"`
	Attempt  struct {
		ID     string `yaml:"id"`
		Time   string `yaml:"time"`
		Serial int64  `yaml:"serial"`
		Number int    `yaml:"number"`
	} `yaml:"attempt"`
	Message struct {
		Time string    `yaml:"time"`
		Kind core.Kind `yaml:"kind"`
	} `yaml:"message"`
	// Result is what became of something inbound.
	Result struct {
		State   string `yaml:"state"`
		Message string `yaml:"message"`
		Answer  any    `yaml:"answer"`
	} `yaml:"result"`
}

type expected struct {
	Outcome  string            `yaml:"outcome"`
	Rule     *string           `yaml:"rule"`
	Words    *string           `yaml:"words"`
	Captured map[string]string `yaml:"captured"`
	Returns  any               `yaml:"returns"`
	Parts    []expectedPart    `yaml:"parts"`
	// Invalid is a part of the reason why nothing is sent.
	Invalid string     `yaml:"invalid"`
	Steps   []expected `yaml:"steps"`
	// Takes is the canonical message of something inbound.
	Takes any `yaml:"takes"`
	// Status is HTTP's of the reply, where the folder says one.
	Status int `yaml:"status"`
}

type expectedPart struct {
	Key     string `yaml:"key" json:"key"`
	Outcome string `yaml:"outcome" json:"outcome"`
	Words   string `yaml:"words" json:"words,omitempty"`
}

type caseRun struct {
	folder      *Folder
	dir         string
	connectors  map[string]core.Connector
	differences []string
	// wrote hears of each request: its number, the file that is to hold it ("": none).
	wrote func(number, file string, request []byte)
}

func (c *caseRun) differ(format string, args ...any) {
	c.differences = append(c.differences, fmt.Sprintf(format, args...))
}

func (c *caseRun) run(name string) {
	parts := strings.SplitN(name, ".", 3)
	if len(parts) < 2 {
		c.differ("a case is named <operation>[.<name>], as payment.settle.alipay")
		return
	}
	kind := core.Kind(parts[0] + "." + parts[1])
	if t, ok := core.Lookup(kind); ok && t.Mode == core.Inbound {
		c.inbound(t)
		return
	}
	told, ok := c.outgoing(kind)
	if !ok {
		return
	}
	for i := range told.want {
		if i >= len(told.calls) {
			c.differ("expect.yaml: there are %d steps, but only %d apply", len(told.want), len(told.calls))
			return
		}
		captured, ok := c.exchange(told.calls[i], told.in, told.number(i), &told.want[i])
		if !ok {
			return
		}
		for k, v := range captured {
			told.in.Captured[k] = v
		}
	}
}

func (c *caseRun) readYAML(name string, optional bool, into any) bool {
	data, err := readRegular(c.folder.files, path.Join(c.dir, name))
	if err != nil {
		if optional && errors.Is(err, fs.ErrNotExist) {
			return true
		}
		c.differ("%s: %v", name, cause(err))
		return false
	}
	data = bytes.TrimPrefix(data, []byte(mark))
	d := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := d.Decode(into); err != nil && len(bytes.TrimSpace(data)) > 0 {
		c.differ("%s: %s", name, yaml.FormatError(err, false, false))
		return false
	}
	return true
}

// exchange runs one call of the case; ok is false when the next cannot follow.
func (c *caseRun) exchange(call *core.Call, in core.Input, number string, want *expected) (captured map[string]string, ok bool) {
	q, err := call.Mapper.Encode(in)
	if want.Invalid != "" {
		if err == nil {
			c.differ("%s: should be invalid (%s), but can be sent", call.Name, want.Invalid)
		} else if !strings.Contains(err.Error(), want.Invalid) {
			c.differ("%s: should be invalid for %q, but: %v", call.Name, want.Invalid, err)
		}
		return nil, false
	}
	if err != nil {
		c.differ("%v", err)
		return nil, false
	}
	offline := c.offline(call)
	if offline == nil {
		return nil, false
	}
	wrote, err := offline.Write(q)
	if err != nil {
		c.differ("%s: %v", call.Name, err)
		return nil, false
	}
	request, name, err := c.recorded("request" + number)
	if c.wrote != nil {
		c.wrote(number, name, wrote)
	}
	switch {
	case err != nil:
		c.differ("%v", err)
	case name == "" && c.wrote != nil:
	case name == "":
		c.unaccepted(number, wrote)
	case !bytes.Equal(request, wrote):
		c.differ("%s: %s", name, difference(request, wrote))
	}
	answer, name, err := c.recorded("answer" + number)
	if err != nil {
		c.differ("%v", err)
		return nil, false
	}
	if name == "" {
		if want.Outcome != "" {
			c.differ("an outcome is expected, but there is no answer%s.*", number)
		}
		return nil, true
	}
	response, err := offline.Read(q, answer)
	if err != nil {
		c.compare(call, core.Verdict{Outcome: core.Outcome(core.ClassOf(err)), Err: err}, want)
		return nil, false
	}
	v := call.Mapper.Decode(in, response)
	c.compare(call, v, want)
	return v.Captured, true
}

func (c *caseRun) offline(call *core.Call) core.Offline {
	connector, ok := c.connectors[call.Connector]
	if !ok {
		if c.folder.options.Open == nil {
			c.differ("the case needs a connector, and none can be opened here")
			return nil
		}
		var err error
		if connector, err = c.folder.options.Open(c.folder.Dialect.Connectors[call.Connector]); err != nil {
			c.differ("open the connector %s: %v", call.Connector, err)
			return nil
		}
		c.connectors[call.Connector] = connector
	}
	offline, ok := connector.(core.Offline)
	if !ok {
		c.differ("the connector %s cannot show what it would send", call.Connector)
		return nil
	}
	return offline
}

// recorded reads the one file of that name, with any ending.
func (c *caseRun) recorded(stem string) (data []byte, name string, err error) {
	files, _ := fs.Glob(c.folder.files, path.Join(c.dir, stem+".*"))
	files = slices.DeleteFunc(files, func(f string) bool {
		// request.1.xml does not belong to request.
		return hidden(f) || strings.Count(path.Base(f), ".") != strings.Count(stem, ".")+1
	})
	switch len(files) {
	case 0:
		return nil, "", nil
	case 1:
		data, err = readRegular(c.folder.files, files[0])
		return data, path.Base(files[0]), err
	}
	return nil, "", fmt.Errorf("there are several files %s.*", stem)
}

func (c *caseRun) compare(call *core.Call, v core.Verdict, want *expected) {
	why := ""
	if v.Err != nil {
		why = fmt.Sprintf(" (%v)", v.Err)
	}
	if want.Outcome != string(v.Outcome) {
		c.differ("%s: outcome: expected %s, got %s%s", call.Name, want.Outcome, v.Outcome, why)
		return
	}
	if want.Rule != nil && *want.Rule != v.Rule {
		c.differ("%s: rule: expected %q, got %q%s", call.Name, *want.Rule, v.Rule, why)
	}
	if want.Words != nil && *want.Words != v.Words {
		c.differ("%s: words: expected %q, got %q", call.Name, *want.Words, v.Words)
	}
	if want.Captured != nil {
		c.differIn(call.Name+": captured", want.Captured, v.Captured)
	}
	if want.Returns != nil {
		c.differIn(call.Name+": returns", want.Returns, v.Answer)
	}
	if want.Parts != nil {
		c.differIn(call.Name+": parts", want.Parts, v.Parts)
	}
}

// differIn compares as JSON, in which times and money have one spelling.
func (c *caseRun) differIn(what string, want, got any) {
	w, err1 := jsonLines(want)
	g, err2 := jsonLines(got)
	if err := errors.Join(err1, err2); err != nil {
		c.differ("%s: %v", what, err)
		return
	}
	if !bytes.Equal(w, g) {
		c.differ("%s: %s", what, difference(w, g))
	}
}

// jsonLines is v as JSON with sorted names.
func jsonLines(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var plain any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&plain); err != nil {
		return nil, err
	}
	return json.MarshalIndent(plain, "", "  ")
}

// difference shows the first line in which two texts differ.
func difference(want, got []byte) string {
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := 0; ; i++ {
		a, b := "(end)", "(end)"
		if i < len(w) {
			a = strconv.Quote(w[i])
		}
		if i < len(g) {
			b = strconv.Quote(g[i])
		}
		if a != b {
			return fmt.Sprintf("line %d differs\n  expected %s\n  got      %s", i+1, clip(a, b), clip(b, a))
		}
	}
}

// clip shows the part of a long line around its first difference from the other.
func clip(line, other string) string {
	const most, before = 160, 60
	a, b := []rune(line), []rune(other)
	if len(a) <= most {
		return line
	}
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(0, min(i-before, len(a)-most))
	to := min(len(a), from+most)
	out := string(a[from:to])
	if from > 0 {
		out = "…" + out
	}
	if to < len(a) {
		out += "…"
	}
	return out
}
