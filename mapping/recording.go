package mapping

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"golang.org/x/text/encoding/simplifiedchinese"

	"hishub/core"
)

// Text reads and writes a connector's charset, for recordings.
type Text interface {
	Encode(to []byte, s string) ([]byte, error)
	Decode(b []byte) (string, error)
}

// Exchanged is an exchange of which a case is to be made.
type Exchanged struct {
	// Call belongs to the folder that records.
	Call *core.Call
	In   core.Input
	// Answer is as core.Offline reads it; nil: none came.
	Answer []byte
	// Verdict is what the answer meant when it came, Values what was read of it.
	Verdict core.Verdict
	Values  []Computed
}

// RecordOptions are what else a recording is made of.
type RecordOptions struct {
	Kind core.Kind
	// Step is the one that was said, "" for all.
	Step string
	// Charset of the connector's bytes.
	Charset Text
	// Secrets with which the exchange was made; none of them may be in the case.
	Secrets []string
	// Unmasked keeps answers that are sealed over people.
	Unmasked bool
}

// Recording is a case that is not written yet.
type Recording struct {
	Files map[string][]byte
	// Masked is how often each field was masked, by its name.
	Masked map[string]int
}

// Record makes a case of exchanges, in which nobody can be recognised: the message
// has made-up people, the request is what the folder writes for it, the answer has
// the same made-up people. The folder should be loaded with its env.sample, for
// that is how cases run everywhere.
func (f *Folder) Record(all []Exchanged, o RecordOptions) (*Recording, error) {
	r := &recorder{folder: f, RecordOptions: o, files: map[string][]byte{}}
	r.made = newMadeUp(func(s string) ([]byte, bool) {
		b, err := o.Charset.Encode(nil, s)
		return b, err == nil
	})
	if len(all) == 0 || all[0].In.Body == nil {
		return nil, errors.New("there is nothing to record")
	}
	if err := r.record(all); err != nil {
		return nil, err
	}
	return &Recording{Files: r.files, Masked: r.made.masked}, nil
}

// RunCase runs the case of that name which stands in a folder of any name.
func (f *Folder) RunCase(name, dir string) CaseResult {
	c := &caseRun{folder: f, dir: dir, connectors: map[string]core.Connector{}}
	defer func() {
		for _, opened := range c.connectors {
			opened.Close()
		}
	}()
	c.run(name)
	return CaseResult{name, c.differences}
}

// recorder is one Record at work.
type recorder struct {
	RecordOptions
	folder *Folder
	made   *madeUp
	masks  *strings.Replacer
	files  map[string][]byte
}

func (r *recorder) record(all []Exchanged) error {
	r.learn(all)
	// What only the answers show comes last: it must not be a number of business.
	for _, x := range all {
		if text, err := r.read(x); err == nil {
			r.made.shapes(text)
		}
	}
	r.masks = r.made.replacer()

	body, err := r.maskBody(all[0].In.Body)
	if err != nil {
		return err
	}
	if err := r.message(body); err != nil {
		return err
	}
	if err := r.given(all[0].In); err != nil {
		return err
	}
	captured := r.texts(all[0].In.Captured)
	var expects []yaml.MapSlice
	for i := range all {
		number := ""
		if len(all) > 1 {
			number = "." + strconv.Itoa(i+1)
		}
		in := r.input(all[i].In, body)
		in.Captured = captured
		expect, kept, err := r.exchange(all[i], in, number)
		if err != nil {
			return err
		}
		expects = append(expects, expect)
		captured = maps.Clone(captured)
		maps.Copy(captured, kept)
	}
	expect := expects[0]
	if len(all) > 1 {
		expect = yaml.MapSlice{{Key: "steps", Value: expects}}
	}
	if r.files["expect.yaml"], err = yaml.MarshalWithOptions(expect, yaml.IndentSequence(true)); err != nil {
		return err
	}
	return r.clean()
}

// input is what the case's exchange sees: times to the second, as they are written.
func (r *recorder) input(in core.Input, body core.Body) core.Input {
	zone := r.folder.Dialect.Zone
	out := core.Input{Body: body, Kind: in.Kind, Session: r.texts(in.Session), Stamp: in.Stamp}
	out.Stamp.Key = body.Key()
	out.Stamp.Time, out.Stamp.At = in.Stamp.Time.In(zone).Truncate(time.Second), in.Stamp.At.In(zone).Truncate(time.Second)
	return out
}

func (r *recorder) given(in core.Input) error {
	var g yaml.MapSlice
	put := func(key string, value any) { g = append(g, yaml.MapItem{Key: key, Value: value}) }
	if r.Step != "" {
		put("step", r.Step)
	}
	if values := r.texts(in.Captured); len(values) > 0 {
		put("captured", values)
	}
	if values := r.texts(in.Session); len(values) > 0 {
		put("session", values)
	}
	zone := r.folder.Dialect.Zone
	put("attempt", yaml.MapSlice{
		{Key: "id", Value: in.Stamp.ID}, {Key: "time", Value: in.Stamp.At.In(zone).Format(time.RFC3339)},
		{Key: "serial", Value: in.Stamp.Serial}, {Key: "number", Value: in.Stamp.Number},
	})
	message := yaml.MapSlice{{Key: "time", Value: in.Stamp.Time.In(zone).Format(time.RFC3339)}}
	if in.Kind != "" && in.Kind != r.Kind {
		message = append(message, yaml.MapItem{Key: "kind", Value: string(in.Kind)})
	}
	put("message", message)
	b, err := yaml.Marshal(g)
	r.files["given.yaml"] = b
	return err
}

// exchange writes request and answer, and says what comes of them.
func (r *recorder) exchange(x Exchanged, in core.Input, number string) (expect yaml.MapSlice, captured map[string]string, err error) {
	q, err := x.Call.Mapper.Encode(in)
	if err != nil {
		return nil, nil, fmt.Errorf("the message with made-up people cannot be said: %w", err)
	}
	opened, err := r.folder.options.Open(r.folder.Dialect.Connectors[x.Call.Connector])
	if err != nil {
		return nil, nil, err
	}
	defer opened.Close()
	offline, ok := opened.(core.Offline)
	if !ok {
		return nil, nil, fmt.Errorf("the connector %s cannot show what it would send", x.Call.Connector)
	}
	kind := r.folder.Dialect.Connectors[x.Call.Connector].Kind
	wrote, err := offline.Write(q)
	if err != nil {
		return nil, nil, err
	}
	r.files["request"+number+requestEnding(kind)] = wrote
	if x.Answer == nil {
		return yaml.MapSlice{}, nil, nil
	}
	answer, err := r.answer(x)
	if err != nil {
		return nil, nil, err
	}
	r.files["answer"+number+answerEnding(kind, answer)] = answer
	var v core.Verdict
	var read []Computed
	if response, err := offline.Read(q, answer); err != nil {
		v = core.Verdict{Outcome: core.Outcome(core.ClassOf(err)), Err: err}
	} else {
		e := ExplainAnswer(x.Call.Mapper, in, response)
		v, read = e.Verdict, e.Values
	}
	if v.Outcome != x.Verdict.Outcome || v.Rule != x.Verdict.Rule {
		return nil, nil, r.otherwise(x, v)
	}
	if field := r.found(read, v); field != "" && !r.Unmasked {
		return nil, nil, fmt.Errorf("the answer is sealed and holds %s of a person, which cannot be replaced inside; say --unmasked if it is nobody's", field)
	}
	return expectation(v), v.Captured, nil
}

func (r *recorder) otherwise(x Exchanged, v core.Verdict) error {
	why := ""
	if v.Err != nil {
		why = " (" + v.Err.Error() + ")"
	}
	return fmt.Errorf("with made-up people and the secrets of env.sample the answer of %s is judged %s by the rule %q%s, and not %s by %q as it was: is it signed or sealed? Write such a case by hand, with the hospital's test data and keys",
		x.Call.Name, v.Outcome, v.Rule, why, x.Verdict.Outcome, x.Verdict.Rule)
}

// read is an answer's text: of a frame what is in it.
func (r *recorder) read(x Exchanged) (string, error) {
	if x.Answer == nil {
		return "", nil
	}
	return r.Charset.Decode(x.Answer)
}

// answer is the answer with made-up people. What cannot be read as text is left as
// it is, for its people are looked for in what the folder reads of it.
func (r *recorder) answer(x Exchanged) ([]byte, error) {
	for _, c := range []Text{r.Charset, utf8Text{}, gbText{}} {
		text, err := c.Decode(x.Answer)
		if err != nil {
			continue
		}
		masked := r.masks.Replace(text)
		if masked == text {
			return x.Answer, nil
		}
		out, err := c.Encode(nil, masked)
		if err != nil {
			return nil, fmt.Errorf("the answer with made-up people: %w", err)
		}
		return out, nil
	}
	return x.Answer, nil
}

// found names a field of a person that is still in what was read; "" if none is.
func (r *recorder) found(read []Computed, v core.Verdict) string {
	var all strings.Builder
	for _, c := range read {
		_, text := Spell(c.Value)
		all.WriteString(text + "\n")
	}
	if b, err := json.Marshal(v.Answer); err == nil {
		all.Write(b)
	}
	all.WriteString(v.Words)
	for _, value := range v.Captured {
		all.WriteString("\n" + value)
	}
	text := all.String()
	// A number that was not seen outside is inside of something sealed.
	if n := len(r.made.order); len(r.files) > 0 {
		if r.made.shapes(text); len(r.made.order) > n {
			return "a number"
		}
	}
	for _, real := range r.made.order {
		kind := r.made.kinds[real]
		if kind == "session" || len([]rune(real)) < 2 || r.made.values[real] == real {
			continue
		}
		if strings.Contains(text, real) {
			return "the " + kind
		}
	}
	return ""
}

// clean looks through all files once more, in every charset that a HIS is likely to use.
func (r *recorder) clean() error {
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		data := r.files[name]
		for _, secret := range r.Secrets {
			if len(secret) >= core.ShortestSecret && bytes.Contains(data, []byte(secret)) {
				return fmt.Errorf("%s would hold a secret; give the folder's variable another value in env.sample", name)
			}
		}
		if r.Unmasked {
			continue
		}
		if real := r.person(data); real != "" {
			return fmt.Errorf("%s would still hold the %s of a person (%s) in some spelling, which cannot be replaced; write this case by hand, or say --unmasked if it is nobody's", name, r.made.kinds[real], cmp.Or(r.made.fields[real], "no field"))
		}
	}
	return nil
}

// expectation is what expect.yaml says of a verdict.
func expectation(v core.Verdict) yaml.MapSlice {
	out := yaml.MapSlice{{Key: "outcome", Value: string(v.Outcome)}}
	if v.Rule != "" {
		out = append(out, yaml.MapItem{Key: "rule", Value: v.Rule})
	}
	if v.Words != "" {
		out = append(out, yaml.MapItem{Key: "words", Value: v.Words})
	}
	if len(v.Captured) > 0 {
		out = append(out, yaml.MapItem{Key: "captured", Value: v.Captured})
	}
	if v.Answer != nil {
		out = append(out, yaml.MapItem{Key: "returns", Value: ordered(v.Answer)})
	}
	if len(v.Parts) > 0 {
		out = append(out, yaml.MapItem{Key: "parts", Value: ordered(v.Parts)})
	}
	return out
}

// ordered is a value of the catalogue in the order of its fields.
func ordered(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	if yaml.UnmarshalWithOptions(b, &out, yaml.UseOrderedMap()) != nil {
		return nil
	}
	return out
}

func requestEnding(kind string) string {
	return map[string]string{"db": ".sql", "tcp": ".bin"}[kind] + map[bool]string{true: ".http"}[kind == "soap" || kind == "rest"]
}

func answerEnding(kind string, answer []byte) string {
	switch text := bytes.TrimSpace(answer); {
	case kind == "db":
		return ".json"
	case bytes.HasPrefix(text, []byte("HTTP/")):
		return ".http"
	case kind == "tcp":
		return ".bin"
	case bytes.HasPrefix(text, []byte("<")):
		return ".xml"
	case bytes.HasPrefix(text, []byte("{")), bytes.HasPrefix(text, []byte("[")):
		return ".json"
	}
	return ".txt"
}

// HasCase reports whether the folder has a case of that name.
func (f *Folder) HasCase(name string) bool {
	_, err := fs.Stat(f.files, path.Join("cases", name))
	return err == nil
}

type utf8Text struct{}

func (utf8Text) Encode(to []byte, s string) ([]byte, error) { return append(to, s...), nil }
func (utf8Text) Decode(b []byte) (string, error) {
	if s := string(b); strings.ToValidUTF8(s, "\ufffd") == s {
		return s, nil
	}
	return "", errors.New("no UTF-8")
}

type gbText struct{}

func (gbText) Encode(to []byte, s string) ([]byte, error) {
	b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(s))
	return append(to, b...), err
}

func (gbText) Decode(b []byte) (string, error) {
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	if err == nil && bytes.ContainsRune(text, '\ufffd') {
		err = errors.New("no GB18030")
	}
	return string(text), err
}
